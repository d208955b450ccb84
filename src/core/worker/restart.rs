//! What goes over a restart: what this process takes over from the last one, and what it keeps for the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Past};
use crate::check::status::Asker;
use crate::clock;
use crate::core::lifeline::{AGAIN, Word};
use crate::core::options::Options;
use crate::core::recall::{self, Document};
use crate::core::remember::{self, Rememberer};
use crate::net::address::AddressKey;
use crate::vrrp::group::Group;
use crate::vrrp::machine::Cause;
use crate::vrrp::params::Setup;

use super::Worker;

/// The start is over after so long, also where something of it does not work: whoever waits for it may go on.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// True in the place of a worker that died or left.
pub(super) fn is_again() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// What was found at the start, and who keeps it for the next one.
pub(super) struct Restart {
    pub(super) board: Option<Arc<Board>>,
    past: Option<Past>,
    /// What the last process left.
    pub(super) memory: Document,
    /// Instances that go on as masters.
    pub(super) resumed: BTreeSet<String>,
    /// Those of which nobody was told again yet; and groups.
    untold: BTreeSet<String>,
    untold_groups: BTreeSet<String>,
    /// In the place of a worker that died or left: the start scripts have run.
    pub(super) again: bool,
    rememberer: Option<Rememberer>,
    /// Addresses of the instances.
    ours: BTreeSet<AddressKey>,
    begun: std::time::Instant,
    ready: bool,
}

impl Restart {
    /// Looks at what the last process left.
    pub(super) fn look(options: &Options) -> Self {
        let folder = remember::folder(options.run_directory.as_deref());
        let (board, past) = match Board::take(folder, &options.instance) {
            Ok((board, past)) => (Some(board), past),
            Err(error) => {
                tracing::warn!(
                    "a restart will know nothing of this daemon, and hanging threads are not seen: {error}"
                );
                (None, None)
            }
        };
        let now = clock::since_boot();
        let gone = past.as_ref().and_then(|past| now.checked_sub(past.alive)).unwrap_or(Duration::MAX);
        if let Some(board) = &board {
            board.alive(now);
        }
        Self {
            // What lies there is another one's where the board is.
            memory: board
                .as_ref()
                .map_or_else(Document::default, |_| remember::read(folder, &options.instance, gone)),
            board,
            past,
            resumed: BTreeSet::new(),
            untold: BTreeSet::new(),
            untold_groups: BTreeSet::new(),
            again: is_again(),
            rememberer: None,
            ours: BTreeSet::new(),
            begun: clock::now(),
            ready: false,
        }
    }

    /// Who goes on as master; returns the addresses of the last process that this configuration does not have.
    pub(super) fn resume(&mut self, setup: &Setup) -> Vec<AddressKey> {
        if let Some(past) = self.past.take() {
            let now = clock::since_boot();
            self.resumed = recall::masters(&past, &setup.instances, &setup.groups, now);
            if !self.resumed.is_empty() {
                let last = past.masters.iter().map(|(_, spoke)| *spoke).max().unwrap_or_default();
                let names: Vec<&str> = self.resumed.iter().map(String::as_str).collect();
                tracing::info!(
                    "going on as master of {}: this director was it, and last said so {} ms ago",
                    names.join(", "),
                    now.saturating_sub(last).as_millis()
                );
            }
        }
        self.untold = self.resumed.clone();
        let whole = |group: &&Group| group.members.iter().all(|member| self.resumed.contains(member));
        self.untold_groups = setup.groups.iter().filter(whole).map(|group| group.name.clone()).collect();
        self.own(setup);
        self.memory.addresses().filter(|key| !self.ours.contains(key)).collect()
    }

    /// The addresses of this configuration; those of earlier ones stay ours.
    pub(super) fn own(&mut self, setup: &Setup) {
        self.ours.extend(setup.instances.iter().flat_map(|one| one.addresses.keys().cloned()));
    }

    /// True for the first word of an instance that only goes on: for the world nothing has happened.
    pub(super) fn silent(&mut self, name: &str, cause: &Cause) -> bool {
        self.untold.remove(name) && *cause == Cause::Resumed
    }

    /// The same of a group.
    pub(super) fn silent_group(&mut self, name: &str) -> bool {
        self.untold_groups.remove(name)
    }

    /// From now on what happens is kept for the next process.
    pub(super) fn remember(&mut self, options: &Options, asker: Asker) {
        if self.board.is_some() {
            let folder = remember::folder(options.run_directory.as_deref());
            self.rememberer = Some(Rememberer::start(folder, &options.instance, asker));
        }
    }

    /// An orderly stop leaves nothing to go on with.
    pub(super) fn forget(&mut self, options: &Options) {
        if let Some(rememberer) = self.rememberer.take() {
            rememberer.forget(remember::folder(options.run_directory.as_deref()), &options.instance);
        }
    }

    /// The last word before another process goes on.
    pub(super) async fn remember_last(&mut self) {
        if let Some(rememberer) = self.rememberer.take() {
            rememberer.end().await;
        }
    }
}

impl Worker {
    /// Something may be different from what is remembered.
    pub(super) fn remember(&self) {
        if let Some(rememberer) = &self.restart.rememberer {
            rememberer.tell(|facts| {
                facts.trackers = self.trackers.values();
                facts.desired = Arc::clone(&self.ipvs.desired.borrow());
            });
        }
    }

    /// After a start or a reload: which addresses are ours.
    pub(super) fn remember_addresses(&self) {
        let fixed = self.net.fixed.borrow();
        let addresses =
            self.restart.ours.iter().cloned().chain(fixed.ours.iter().chain(fixed.want.keys()).cloned());
        let addresses: BTreeSet<AddressKey> = addresses.collect();
        if let Some(rememberer) = &self.restart.rememberer {
            rememberer.tell(|facts| {
                facts.addresses = Arc::new(addresses.into_iter().collect());
                facts.namespace.clone_from(&self.config.net_namespace);
            });
        }
        self.remember();
    }

    /// This process lives; and perhaps it is ready by now.
    pub(super) fn beat(&mut self) {
        if let Some(board) = &self.restart.board {
            board.alive(clock::since_boot());
        }
        self.tell_ready();
    }

    /// Once sockets are open and the first state is in the kernel, or cannot be.
    pub(super) fn tell_ready(&mut self) {
        if self.restart.ready {
            return;
        }
        let addresses = self.net.applied.borrow().generation > 0;
        let report = self.ipvs.report.borrow();
        let table =
            !report.errors.is_empty() || (self.desired.number > 0 && report.applied >= self.desired.number);
        drop(report);
        let late = clock::now().saturating_duration_since(self.restart.begun) > START_PATIENCE;
        if (addresses && table) || late {
            self.restart.ready = true;
            self.lifeline.say(Word::Ready);
        }
    }

    /// The supervisor could not do what a client asked for.
    pub(super) fn refused_upgrade(&mut self, why: &str) {
        tracing::error!("no upgrade: {why}");
        if let Some(reply) = self.upgrading.take() {
            let cure = "install a Tandem that runs on this machine under the same path, then ask again";
            let failure = crate::control::answer::Failure::new(409, "upgrade", why.to_owned(), cure);
            let _ = reply.send(crate::control::server::Reply::Now(failure.into()));
        }
    }
}
