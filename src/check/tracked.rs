//! Quorums that other rooms go by (`track_virtual_server`). What is decided by is the last word of each, never a stream of
//! events: of ten thousand servers that fail at once the event that the quorum is lost comes last, and finds no room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// What is not known yet is looked at again after this time.
const AGAIN: Duration = Duration::from_millis(200);

/// Names of virtual servers, as [`super::Identity`] is written.
pub type Names = BTreeSet<String>;

/// A quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumNow {
    /// It is reached.
    pub up: bool,
    /// Sum of the weights of the real servers that are up.
    pub weight: u32,
    /// The quorum that is asked for, as corrected.
    pub quorum: u32,
}

/// What is known, by the names that were asked for. One that is reached is known at once, one that is not when every check
/// of its virtual server has had a result.
pub type Quorums = BTreeMap<String, QuorumNow>;

/// The end of whoever goes by them.
#[derive(Debug)]
pub struct Follower {
    /// Which ones; the latest wins.
    pub names: watch::Sender<Arc<Names>>,
    /// How they are; the latest wins.
    pub said: watch::Receiver<Arc<Quorums>>,
}

/// The end of the check thread.
#[derive(Debug)]
pub struct Teller {
    names: watch::Receiver<Arc<Names>>,
    said: watch::Sender<Arc<Quorums>>,
    /// Something is not known yet: when to look again.
    again: Option<Instant>,
}

/// Both ends; nobody asks for anything yet.
pub fn channel() -> (Follower, Teller) {
    let (names_out, names) = watch::channel(Arc::default());
    let (said, said_in) = watch::channel(Arc::default());
    (Follower { names: names_out, said: said_in }, Teller { names, said, again: None })
}

impl Teller {
    /// Waits until others are asked for; for ever where nobody asks any more.
    pub async fn changed(&mut self) {
        if self.names.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Looks and tells; costs nothing where nobody asks. `look`: what is known of these, and whether that is all.
    pub fn tell(&mut self, now: Instant, look: impl FnOnce(&Names) -> (Quorums, bool)) {
        let names = Arc::clone(&self.names.borrow_and_update());
        let (quorums, all) = if names.is_empty() { (Quorums::new(), true) } else { look(&names) };
        self.again = (!all).then(|| now + AGAIN);
        self.said.send_if_modified(|last| {
            let differs = **last != quorums;
            if differs {
                *last = Arc::new(quorums);
            }
            differs
        });
    }

    /// When to look again though nothing has happened.
    pub const fn again(&self) -> Option<Instant> {
        self.again
    }
}
