//! How other threads reach the vrrp thread: "wanted" and "is so" values where the latest wins, commands in
//! order, and an eventfd that wakes its poll. Nobody waits for an answer, the vrrp thread takes no lock, and nothing here can grow without
//! bound: the slots are overwritten, and commands come from one place at human speed.

use std::collections::{BTreeSet, VecDeque};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::net::address::AddressKey;
use crate::net::link::Links;

use super::params::{Faults, Orders, Setup, TrackerValues};
use super::status::{NoAnswer, Places, Question, Status};

/// What came in since the last look.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) links: Option<Arc<Links>>,
    pub(super) trackers: Option<Arc<TrackerValues>>,
    /// Instances that must not take part, for reasons of other rooms.
    pub(super) faults: Option<Arc<Faults>>,
    /// Generation of addresses that is in place.
    pub(super) applied: Option<u64>,
    /// Addresses that were put in place just now.
    pub(super) placed: Vec<AddressKey>,
    pub(super) commands: VecDeque<Command>,
}

/// What the daemon asks of the vrrp thread.
pub(super) enum Command {
    /// New settings of all instances and groups.
    Reload(Box<Setup>),
    /// These orders of people are in force, and no others.
    Orders(Orders),
    /// These instances become master again where their priority is enough.
    Failback {
        /// Their names.
        names: Vec<String>,
        /// Who says so.
        by: String,
    },
    /// Step down everywhere and end.
    Stop,
    /// End without a word: another process goes on with everything as it is.
    Leave,
    /// Do this on the thread: for tests of what comes then.
    Happen(fn()),
    /// Say how things stand.
    Tell(Question),
}

/// A value where the latest wins, passed on without a lock: a sender that loses its processor in the middle of posting (it
/// has no real-time priority) cannot hold up the vrrp thread.
struct Slot<T>(AtomicPtr<T>, PhantomData<Mutex<T>>);

impl<T> Slot<T> {
    const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()), PhantomData)
    }

    fn put(&self, value: T) {
        drop(self.swap(Box::into_raw(Box::new(value))));
    }

    fn take(&self) -> Option<T> {
        self.swap(null_mut()).map(|value| *value)
    }

    fn swap(&self, value: *mut T) -> Option<Box<T>> {
        let before = self.0.swap(value, Ordering::AcqRel);
        // SAFETY: every pointer but null in here came from `Box::into_raw`, and the exchange takes it out for us alone.
        #[allow(unsafe_code)]
        (!before.is_null()).then(|| unsafe { Box::from_raw(before) })
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

struct Shared {
    links: Slot<Arc<Links>>,
    trackers: Slot<Arc<TrackerValues>>,
    faults: Slot<Arc<Faults>>,
    applied: Slot<u64>,
    placed: Slot<Vec<AddressKey>>,
    commands: Slot<VecDeque<Command>>,
    /// Held by whoever adds a command or a placed address; the vrrp thread never takes it.
    adding: Mutex<()>,
    asking: Places,
    wake: EventFd,
}

/// The sending side; cheap to clone.
#[derive(Clone)]
pub struct Mailbox(Arc<Shared>);

impl Mailbox {
    pub(super) fn new() -> nix::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self(Arc::new(Shared {
            links: Slot::new(),
            trackers: Slot::new(),
            faults: Slot::new(),
            applied: Slot::new(),
            placed: Slot::new(),
            commands: Slot::new(),
            adding: Mutex::new(()),
            asking: Places::default(),
            wake,
        })))
    }

    /// The interfaces as they are now.
    pub fn links(&self, links: Arc<Links>) {
        self.0.links.put(links);
        self.wake();
    }

    /// The script results as they are now.
    pub fn trackers(&self, values: Arc<TrackerValues>) {
        self.0.trackers.put(values);
        self.wake();
    }

    /// The instances that must not take part now, with the reasons; all others may.
    pub fn faults(&self, faults: Arc<Faults>) {
        self.0.faults.put(faults);
        self.wake();
    }

    /// This generation of wanted addresses is in place.
    pub fn applied(&self, generation: u64) {
        self.0.applied.put(generation);
        self.wake();
    }

    /// These addresses are there.
    pub(super) fn placed(&self, mut keys: Vec<AddressKey>) {
        let adding = self.0.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // As with commands: what the vrrp thread did not take yet goes with the new ones.
        let mut placed = self.0.placed.take().unwrap_or_default();
        placed.append(&mut keys);
        self.0.placed.put(placed);
        drop(adding);
        self.wake();
    }

    /// Take these settings over: instances of the same name keep their state.
    pub fn reload(&self, setup: Setup) {
        self.command(Command::Reload(Box::new(setup)));
    }

    /// These orders of people are in force from now on, and no others.
    pub fn orders(&self, orders: Orders) {
        self.command(Command::Orders(orders));
    }

    /// These instances become master again, once, where their priority is above the master's, `nopreempt` or not.
    pub fn failback(&self, names: Vec<String>, by: String) {
        self.command(Command::Failback { names, by });
    }

    /// Step down (priority-0 adverts), want no address, end the thread.
    pub fn stop(&self) {
        self.command(Command::Stop);
    }

    /// End the thread without an advert and with all addresses in place: another process goes on at once.
    pub fn leave(&self) {
        self.command(Command::Leave);
    }

    /// How things stand. `clear`: the counters begin at zero behind the answer. Blocks at most for `patience`, and as long
    /// again where the answer is being made by then: not for a thread that others wait for. Who hears no answer may rely on
    /// it that nothing is cleared later.
    ///
    /// # Errors
    /// The thread is starved or has ended, or too many ask.
    pub fn status(&self, clear: bool, patience: Duration) -> Result<Box<Status>, NoAnswer> {
        let (question, answer) = self.0.asking.question(clear)?;
        self.command(Command::Tell(question));
        answer.wait(patience)
    }

    /// How these instances stand, without groups: what takes the thread next to no time, however many others there are. Blocks at
    /// most for `patience`.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn status_of(&self, only: BTreeSet<String>, patience: Duration) -> Result<Box<Status>, NoAnswer> {
        let (mut question, answer) = self.0.asking.question(false)?;
        question.only = Some(only);
        self.command(Command::Tell(question));
        answer.wait(patience)
    }

    /// Has something happen on the thread: faults that tests ask for.
    pub fn happen(&self, what: fn()) {
        self.command(Command::Happen(what));
    }

    pub(super) fn take(&self) -> Inbox {
        // Reading resets the counter; EAGAIN only says that nobody wrote.
        let _ = self.0.wake.read();
        let shared = &self.0;
        Inbox {
            links: shared.links.take(),
            trackers: shared.trackers.take(),
            faults: shared.faults.take(),
            applied: shared.applied.take(),
            placed: shared.placed.take().unwrap_or_default(),
            commands: shared.commands.take().unwrap_or_default(),
        }
    }

    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }

    fn command(&self, command: Command) {
        let adding = self.0.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // Between these two the vrrp thread finds none of them, and all of them at its next look.
        let mut commands = self.0.commands.take().unwrap_or_default();
        commands.push_back(command);
        self.0.commands.put(commands);
        drop(adding);
        self.wake();
    }

    fn wake(&self) {
        // The counter can only overflow after 2^64 unread wake-ups; any error leaves it readable.
        let _ = self.0.wake.write(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_value_wins_and_comes_once() {
        let mailbox = Mailbox::new().unwrap();
        mailbox.applied(1);
        mailbox.applied(2);
        assert_eq!((mailbox.take().applied, mailbox.take().applied), (Some(2), None));
        let links = Arc::new(Links::default());
        mailbox.links(Arc::clone(&links));
        drop(mailbox);
        assert_eq!(Arc::strong_count(&links), 1, "what nobody took goes with the mailbox");
    }

    #[test]
    fn no_command_is_lost_and_each_senders_stay_in_order() {
        const EACH: usize = 2000;
        let mailbox = Mailbox::new().unwrap();
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let mailbox = mailbox.clone();
                std::thread::spawn(move || {
                    for number in 0..EACH {
                        let setup = Setup { tell_unknown_vrids: sender == 1, ..Setup::default() };
                        let delay = Duration::from_nanos(number as u64);
                        mailbox.reload(Setup { startup_delay: delay, ..setup });
                        mailbox.applied(number as u64);
                    }
                })
            })
            .collect();
        let mut next = [0u128; 2];
        let mut last_applied = None;
        while next != [EACH as u128; 2] {
            let inbox = mailbox.take();
            last_applied = inbox.applied.or(last_applied);
            for command in inbox.commands {
                let Command::Reload(setup) = command else { panic!("another command") };
                let next = &mut next[usize::from(setup.tell_unknown_vrids)];
                assert_eq!(setup.startup_delay.as_nanos(), *next);
                *next += 1;
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(mailbox.take().applied.or(last_applied), Some(EACH as u64 - 1));
    }
}
