//! What check knows, as a value for status output, and how another thread asks for it: it is made when somebody asks and
//! not before, because of ten thousand servers it is dear.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};

use super::counts::{KindCounts, ServiceCounts};
use super::hurry::{Order, Progress, Which};
use super::identity::Identity;
use super::quorum::Serving;
use crate::ipvs::table::{DestinationKey, ServiceKey};

/// Questions that wait at a time; who comes after them waits for room.
const QUESTIONS: usize = 16;

/// Orders that wait to be taken at a time.
const ORDERS: usize = 4;

/// Who may ask the check thread what it knows, and have it check at once.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<oneshot::Sender<Arc<Status>>>, mpsc::Sender<Order>);

/// The thread's end of it. Who drops it leaves every question without an answer.
#[derive(Debug)]
pub struct Asked(mpsc::Receiver<oneshot::Sender<Arc<Status>>>, mpsc::Receiver<Order>);

/// What comes in next.
#[derive(Debug)]
pub enum Next {
    /// Somebody wants to know.
    Question(Question),
    /// Somebody wants checks at once.
    Order(Order),
}

/// A question that waits for its answer.
#[derive(Debug)]
pub struct Question(oneshot::Sender<Arc<Status>>);

/// Both ends.
pub fn asker() -> (Asker, Asked) {
    let (sender, receiver) = mpsc::channel(QUESTIONS);
    let (orders_out, orders) = mpsc::channel(ORDERS);
    (Asker(sender, orders_out), Asked(receiver, orders))
}

impl Asker {
    /// Everything at this moment, or a moment before: a large farm's is made at most so often that it costs a tenth of
    /// the thread's time. `None`: the thread has ended.
    pub async fn ask(&self) -> Option<Arc<Status>> {
        let (question, answer) = oneshot::channel();
        self.0.send(question).await.ok()?;
        answer.await.ok()
    }
}

impl Asker {
    /// Has these checks run at once; how far that is comes back. Does not wait. `None`: too many orders wait already, or the
    /// thread has ended.
    pub fn hurry(&self, which: Which) -> Option<watch::Receiver<Progress>> {
        let (told, progress) = watch::channel(Progress::default());
        self.1.try_send(Order { which, told }).ok()?;
        Some(progress)
    }
}

impl Asked {
    /// The next question or order; `None` when nobody can ask any more.
    pub async fn next(&mut self) -> Option<Next> {
        tokio::select! {
            question = self.0.recv() => question.map(|question| Next::Question(Question(question))),
            // Both ends go together.
            order = self.1.recv() => order.map(Next::Order),
        }
    }

    /// The next one, when one waits.
    pub fn waiting(&mut self) -> Option<Question> {
        self.0.try_recv().ok().map(Question)
    }
}

impl Question {
    /// Answers. Who asked may have gone.
    pub fn answer(self, status: Arc<Status>) {
        let _ = self.0.send(status);
    }
}

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The virtual servers, in file order.
    pub services: Vec<ServiceStatus>,
    /// Checks that run now.
    pub in_flight: usize,
    /// Checks that ended, since the start.
    pub checks: u64,
    /// Failed checks since the start by [`super::outcome::Failure::name`].
    pub failures: BTreeMap<&'static str, u64>,
    /// Results by keepalived's word for the kind of checker, and how long they took.
    pub kinds: BTreeMap<&'static str, KindCounts>,
    /// Results that came after their checker was reconfigured or removed, and were dropped.
    pub late_results: u64,
    /// Events that nobody took in time, and that were dropped.
    pub lost_events: u64,
}

/// One virtual server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceStatus {
    /// What it is called.
    pub name: Identity,
    /// Its services in the kernel.
    pub members: Vec<ServiceKey>,
    /// Its checks do not run, because its address is not on this host (`ha_suspend`): what they say is what they said last.
    pub suspended: bool,
    /// The quorum is reached.
    pub quorum_up: bool,
    /// The quorum that is asked for, as corrected.
    pub quorum: u32,
    /// Sum of the weights of the real servers that are up.
    pub weight: u32,
    /// Who serves.
    pub serving: Serving,
    /// Which tiers of its real servers serve, first one first.
    pub tiers: Vec<bool>,
    /// What its checks came to.
    pub counts: ServiceCounts,
    /// Real servers that the file names no more and whose connections may end.
    pub draining: Vec<DrainStatus>,
    /// Its real servers, in file order.
    pub reals: Vec<RealStatus>,
}

/// One real server.
#[derive(Clone, Debug, PartialEq)]
pub struct RealStatus {
    /// `address:port` as the file names it.
    pub name: String,
    /// Its key in the service.
    pub key: DestinationKey,
    /// All of its checkers are up.
    pub up: bool,
    /// Its weight while up.
    pub weight: u32,
    /// How many tenths of it it has by now (`slow_start`), 1..=10.
    pub tenths: u32,
    /// Its tier, 0 = the first one.
    pub tier: usize,
    /// It serves only while the quorum is lost.
    pub sorry: bool,
    /// It flaps (`flap_damping`), and is down until then whatever its checkers say.
    pub held_until: Option<Instant>,
    /// The last failure of any of its checkers, in plain words, and when it was.
    pub last_failure: Option<(String, Instant)>,
    /// What is to be said of it while its checks go well: its certificate ends soon (`tls_expiry_warn`).
    pub warning: Option<String>,
    /// When the first of the certificates ends that its checks by TLS were shown since the start or the last reload, seconds
    /// since 1970; nobody need ask for it.
    pub certificate_ends: Option<i64>,
    /// When it last went or came; `None` = never since the start.
    pub last_change: Option<Instant>,
    /// Its checkers.
    pub checkers: Vec<CheckerStatus>,
}

impl RealStatus {
    /// It is up because nothing has been looked at yet: keepalived's assumption, and nothing that a check has said.
    pub fn assumed(&self) -> bool {
        self.up && !self.checkers.iter().any(|checker| checker.known)
    }
}

/// A real server on its way out (`drain_on_removal`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainStatus {
    /// `address:port` as the file named it.
    pub name: String,
    /// When it goes, whatever it has.
    pub until: Instant,
    /// Its connections when they were last counted.
    pub connections: Option<u64>,
}

/// One checker.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckerStatus {
    /// keepalived's word for its kind.
    pub kind: &'static str,
    /// It is up.
    pub up: bool,
    /// It had a result already.
    pub known: bool,
    /// How long its last run took, microseconds; 0 before the first.
    pub took_us: u64,
    /// How many equal checkers its runs count for, itself among them.
    pub users: usize,
}
