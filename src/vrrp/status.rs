//! What the vrrp thread knows, as a value for status output and dump files, and how another thread asks for it. Pure but for
//! the channel of the answer.
//!
//! The answer is made at the end of a turn, behind adverts and announcements, and costs next to nothing: settings, trackers
//! and the story of the last transition are shared, not copied. Who asks waits with a limit; the vrrp thread never waits.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::lateness::Lag;
use super::machine::{Cause, Order, StateName, Timer, Transition};
use super::params::{Settings, Tracker};
use super::snapshot::{Heard, Snapshot, sentence};

/// Questions that wait at a time.
const QUESTIONS: usize = 16;

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// That moment.
    pub at: Instant,
    /// The same by the wall clock, since 1970.
    pub since_1970: Duration,
    /// The instances, in file order.
    pub instances: Vec<InstanceStatus>,
    /// The sync groups, in file order.
    pub groups: Vec<GroupStatus>,
    /// Reports that nobody took in time, and that were dropped, since the last that could be told of.
    pub lost_reports: u64,
    /// How late the loop woke so far.
    pub lag: Lag,
}

/// One instance.
#[derive(Clone, Debug)]
pub struct InstanceStatus {
    /// What the configuration says, defaults filled in.
    pub settings: Arc<Settings>,
    /// Its state.
    pub state: StateName,
    /// It would be master, and waits for its sync group.
    pub wants_master: bool,
    /// Source address of its adverts; `None` while there is none.
    pub own: Option<IpAddr>,
    /// The effective priority, as an order has it where there is one; while a tracker says FAULT the last one known.
    pub priority: u8,
    /// What it would be without an order.
    pub own_priority: u8,
    /// What a person has ordered, maintenance of the whole director included.
    pub order: Option<Arc<Order>>,
    /// What forbids it to take part, its sync group left aside.
    pub fault: Option<String>,
    /// What it watches, with the values that the priority comes from: see [`super::priority::contribution`].
    pub trackers: Arc<[Tracker]>,
    /// Who else was heard for this virtual router, the last one first; at most 16.
    pub peers: Vec<Peer>,
    /// The last advert that was accepted.
    pub last_advert: Option<Heard>,
    /// The interval that the master counts by: its own word in version 3.
    pub master_interval: Duration,
    /// The master-down interval as it would be now.
    pub down_interval: Duration,
    /// What it waits for, and until when.
    pub timer: Option<(Timer, Instant)>,
    /// Its addresses should be on this machine.
    pub wants_addresses: bool,
    /// The last transition; `None` = none since the start.
    pub last: Option<Arc<Passed>>,
    /// What it has sent and accepted.
    pub counters: Counters,
    /// How often it changed its state, by [`Cause::name`].
    pub transitions: BTreeMap<&'static str, u64>,
    /// Adverts that were refused, by [`super::accept::Discard::name`].
    pub refused: BTreeMap<&'static str, u64>,
    /// Its socket could not be opened, in the system's words.
    pub socket_error: Option<String>,
}

/// Another router that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The priority of its last advert.
    pub priority: u8,
    /// When that came.
    pub at: Instant,
    /// How many adverts of it were accepted.
    pub adverts: u64,
}

/// A transition that is over.
#[derive(Clone, Debug)]
pub struct Passed {
    /// From, to, cause, priority.
    pub transition: Transition,
    /// What was so then.
    pub snapshot: Snapshot,
    /// When.
    pub at: Instant,
    /// The same by the wall clock, since 1970.
    pub since_1970: Duration,
}

impl Passed {
    /// Why, in one sentence without a full stop.
    pub fn sentence(&self) -> String {
        sentence(&self.transition.cause, &self.snapshot)
    }

    /// The event that it came from.
    pub const fn cause(&self) -> &Cause {
        &self.transition.cause
    }
}

/// What is counted of an instance since the start, or since the counters were last cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Adverts that were accepted.
    pub received: u64,
    /// Adverts that were sent; to several unicast peers it is one.
    pub sent: u64,
    /// How often it became master.
    pub became_master: u64,
    /// How often it stopped to be.
    pub released_master: u64,
    /// Accepted adverts of priority 0.
    pub zero_received: u64,
    /// Sent ones of priority 0.
    pub zero_sent: u64,
    /// Accepted adverts whose addresses were not ours.
    pub address_lists: u64,
}

/// A sync group.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: StateName,
    /// Names of its members, in file order.
    pub members: Vec<String>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many questions wait already.
    #[error("too many questions wait for the vrrp thread")]
    Busy,
    /// The thread did not answer in time: it is starved, or has ended.
    #[error("the vrrp thread does not answer")]
    Silent,
}

/// How many questions wait; the place is given back when the question goes, answered or not.
#[derive(Debug, Default)]
pub(super) struct Places(Arc<AtomicUsize>);

#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(super) struct Question {
    reply: SyncSender<Box<Status>>,
    /// Counters begin at zero behind the answer.
    pub(super) clear: bool,
    /// Whoever sets it first has it: the thread answers, or who asked has given up.
    settled: Arc<AtomicBool>,
    /// These instances alone; `None` = every one.
    pub(super) only: Option<BTreeSet<String>>,
    _place: Place,
}

impl Question {
    /// The thread takes it, to answer. False: who asked has given up, and nothing is to be done for it.
    pub(super) fn take(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    /// Answers. Who asked may have gone.
    pub(super) fn answer(self, status: Status) {
        let _ = self.reply.try_send(Box::new(status));
    }
}

/// Where the answer comes.
pub(super) struct Answer(Receiver<Box<Status>>, Arc<AtomicBool>);

impl Answer {
    /// Waits for it. A question that had no answer in time is withdrawn: counters are not cleared behind the back of
    /// somebody who was told that nothing was done.
    pub(super) fn wait(self, patience: Duration) -> Result<Box<Status>, NoAnswer> {
        match self.0.recv_timeout(patience) {
            Ok(status) => Ok(status),
            // The thread is at it just now.
            Err(RecvTimeoutError::Timeout) if self.1.swap(true, Ordering::AcqRel) => {
                self.0.recv_timeout(patience).map_err(|_| NoAnswer::Silent)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(NoAnswer::Silent),
        }
    }
}

impl Places {
    /// A question and where its answer comes, if there is room.
    pub(super) fn question(&self, clear: bool) -> Result<(Question, Answer), NoAnswer> {
        let place = Place(Arc::clone(&self.0));
        if self.0.fetch_add(1, Ordering::Relaxed) >= QUESTIONS {
            return Err(NoAnswer::Busy);
        }
        let (reply, answer) = sync_channel(1);
        let settled = Arc::new(AtomicBool::new(false));
        let question = Question { reply, clear, settled: Arc::clone(&settled), only: None, _place: place };
        Ok((question, Answer(answer, settled)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_bounded_and_give_their_places_back() {
        let places = Places::default();
        let mut held: Vec<_> = (0..QUESTIONS).map(|_| places.question(false).expect("room")).collect();
        assert_eq!(places.question(false).map(drop), Err(NoAnswer::Busy));
        assert_eq!(places.question(false).map(drop), Err(NoAnswer::Busy), "a refusal takes no place");
        held.pop();
        let (question, answer) = places.question(true).expect("room again");
        assert!(question.clear);
        drop(question);
        assert_eq!(
            answer.wait(Duration::from_secs(60)).map(drop),
            Err(NoAnswer::Silent),
            "who drops it ends it"
        );
    }

    #[test]
    fn a_question_is_answered_or_withdrawn_and_never_both() {
        let places = Places::default();
        let at = crate::clock::now();
        let status = || Status {
            at,
            since_1970: Duration::ZERO,
            instances: Vec::new(),
            groups: Vec::new(),
            lost_reports: 0,
            lag: Lag::default(),
        };
        let (late, answer) = places.question(true).expect("room");
        assert_eq!(answer.wait(Duration::ZERO).map(drop), Err(NoAnswer::Silent));
        assert!(!late.take(), "who asked was told that nothing is done");
        // Taken before the time was over, answered after it.
        let (question, answer) = places.question(true).expect("room");
        assert!(question.take());
        let asks = std::thread::spawn(move || answer.wait(Duration::from_secs(1)).map(drop));
        std::thread::sleep(Duration::from_millis(1100));
        question.answer(status());
        assert_eq!(asks.join().expect("its end"), Ok(()));
    }
}
