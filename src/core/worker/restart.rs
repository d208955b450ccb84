//! What goes over a restart: what this process takes over from the last one, and what it keeps for the next.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::board::{Board, Past};
use crate::check::status::Asker;
use crate::clock;
use crate::config::fwmarks::{self, Marks};
use crate::config::model::Config;
use crate::core::journal::{Journal, book};
use crate::core::lifeline::{AGAIN, Line, Word};
use crate::core::options::Options;
use crate::core::pidfile::Held;
use crate::core::recall::{self, Document, Home};
use crate::core::remember::{self, Rememberer};
use crate::core::teller::Teller;
use crate::net::address::AddressKey;
use crate::vrrp::group::Group;
use crate::vrrp::machine::{Cause, StateName};
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
    /// In the place of a worker that left, or died behind the start script: that has run.
    pub(super) again: bool,
    rememberer: Option<Rememberer>,
    home: Home,
    /// To the supervisor, until somebody listens there.
    pub(super) line: Option<Line>,
    /// They go with the daemon.
    pub(super) pid_files: Held,
    /// What happened before, and where it is kept; nowhere, where another daemon of our name is.
    pub(super) journal: (Journal, Option<PathBuf>),
    /// Addresses of the instances.
    ours: BTreeSet<AddressKey>,
    begun: std::time::Instant,
    ready: bool,
}

impl Restart {
    /// Looks at what the last process left.
    pub(super) fn look(options: &Options, home: Home) -> Self {
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
        // What could not be written any more is as old as what could be.
        let gone =
            past.as_ref().and_then(|past| now.checked_sub(past.known_until())).unwrap_or(Duration::MAX);
        if let Some(board) = &board {
            board.alive(now);
        }
        Self {
            // What lies there is another one's where the board is.
            memory: board
                .as_ref()
                .map_or_else(Document::default, |_| remember::read(folder, &options.instance, gone)),
            journal: board.as_ref().map_or_else(Default::default, |_| {
                let path = book::file(folder, &options.instance);
                (book::read(&path), Some(path))
            }),
            board,
            past,
            resumed: BTreeSet::new(),
            untold: BTreeSet::new(),
            untold_groups: BTreeSet::new(),
            again: is_again(),
            rememberer: None,
            home,
            line: None,
            pid_files: Held::default(),
            ours: BTreeSet::new(),
            begun: clock::now(),
            ready: false,
        }
    }

    /// The supervisor, or systemd, knows that this process is ready.
    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }

    /// A configuration, and what it is without its overrides, with the marks that the last process had: a group that came
    /// meanwhile is not to move them.
    pub(super) fn marked(&self, mut config: Config, mut bare: Option<Config>) -> (Config, Option<Config>) {
        for config in std::iter::once(&mut config).chain(&mut bare) {
            fwmarks::assign_after(config, &self.memory.marks);
        }
        (config, bare)
    }

    /// Who goes on as master; returns the addresses of the last process that this configuration does not have.
    pub(super) fn resume(&mut self, setup: &Setup) -> Vec<AddressKey> {
        if let Some(past) = self.past.take() {
            let now = clock::since_boot();
            self.resumed = recall::masters(&past, &setup.instances, &setup.groups, now);
            if !self.resumed.is_empty() {
                let last = past.masters.iter().map(|master| master.spoke).max().unwrap_or_default();
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

    /// Who goes on as master is master from the first moment: until the vrrp thread has said so, too, nothing that follows
    /// the roles may move.
    pub(super) fn adopt(&self, teller: &Teller) {
        for name in &self.resumed {
            teller.adopt(name, StateName::Master);
        }
    }

    /// True for the first word of an instance that only goes on: for the world nothing has happened.
    pub(super) fn silent(&mut self, name: &str, cause: &Cause) -> bool {
        self.untold.remove(name) && *cause == Cause::Resumed
    }

    /// The same of a group. One whose first word is another did not go on: all that follows is told.
    pub(super) fn silent_group(&mut self, name: &str, to: StateName) -> bool {
        self.untold_groups.remove(name) && to == StateName::Master
    }

    /// From now on what happens is kept for the next process.
    pub(super) fn remember(&mut self, options: &Options, asker: Asker) {
        if let Some(board) = &self.board {
            let folder = remember::folder(options.run_directory.as_deref());
            self.rememberer = Some(Rememberer::start(folder, &options.instance, asker, Arc::clone(board)));
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

    /// After a start or a reload: which addresses and marks are ours.
    pub(super) fn remember_addresses(&self) {
        let fixed = self.net.fixed.borrow();
        let addresses =
            self.restart.ours.iter().cloned().chain(fixed.ours.iter().chain(fixed.want.keys()).cloned());
        let addresses: BTreeSet<AddressKey> = addresses.collect();
        if let Some(rememberer) = &self.restart.rememberer {
            rememberer.tell(|facts| {
                facts.addresses = Arc::new(addresses.into_iter().collect());
                facts.marks = Arc::new(Marks::of(&self.config));
                facts.home.clone_from(&self.restart.home);
            });
        }
        self.remember();
    }

    /// After a reload: pid files of parts that have something to do now.
    pub(super) fn follow_parts(&mut self) {
        for error in self.restart.pid_files.follow(&self.config) {
            tracing::error!("{error}");
        }
        self.restart.pid_files.paths().for_each(|path| self.lifeline.file(path));
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
            !report.errors.is_empty() || (self.wish.number() > 0 && report.applied >= self.wish.number());
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
        // Who asked for it stands in the event before.
        self.chronicle.refused("an upgrade was refused", why, None);
        if let Some(reply) = self.upgrading.take() {
            let cure = "install a Tandem that runs on this machine under the same path, then ask again";
            let failure = crate::control::answer::Failure::new(409, "upgrade", why.to_owned(), cure);
            let _ = reply.send(crate::control::server::Reply::Now(failure.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Instance, SyncDaemon, VirtualServer};
    use crate::core::active::Active;
    use crate::core::role;
    use crate::ipvs::table::{Destination, DestinationKey, Forward, Protocol, Service};
    use crate::ipvs::table::{ServiceKey, Table, VirtualService};
    use tokio::sync::watch;

    /// A process that goes on as master of these.
    fn resumed(name: &str, instances: &[&str]) -> Restart {
        let folder = format!("/dev/shm/tandem-restart-{name}-{}", std::process::id());
        let options = Options { run_directory: Some(folder.clone().into()), ..Options::of("x".into()) };
        let mut restart = Restart::look(&options, Home::default());
        restart.resumed = instances.iter().map(|name| (*name).to_owned()).collect();
        std::fs::remove_dir_all(folder).expect("its folder");
        restart
    }

    #[test]
    fn a_group_that_did_not_go_on_is_told_of() {
        let mut restart = resumed("group", &["VI_1", "VI_2"]);
        restart.untold_groups = ["G", "H"].map(str::to_owned).into();
        assert!(restart.silent_group("G", StateName::Master), "nothing has happened");
        assert!(!restart.silent_group("G", StateName::Master), "once");
        assert!(!restart.silent_group("H", StateName::Fault));
        assert!(!restart.silent_group("H", StateName::Master), "it became master anew");
    }

    #[tokio::test]
    async fn what_follows_the_roles_does_not_move_at_a_restart() {
        let mut config = Config::default();
        let sync = SyncDaemon { instance: Some("VI_1".to_owned()), ..SyncDaemon::on("eth0") };
        config.global_defs.lvs_sync_daemon = Some(sync);
        config.vrrp_instance = vec![Instance::new("VI_1".to_owned(), 51)];
        let server = VirtualServer {
            address: Some([10, 0, 0, 100].into()),
            port: Some(80),
            protocol: Some(crate::config::model::Protocol::Tcp),
            active_on: Some("VI_1".to_owned()),
            ..VirtualServer::default()
        };
        config.virtual_server = vec![server.into()];
        let key = ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, 100].into(), port: 80 };
        let weighs =
            Destination { forward: Forward::DirectRoute, weight: 1, upper_threshold: 0, lower_threshold: 0 };
        let there = DestinationKey { address: [10, 0, 0, 7].into(), port: 80 };
        let service =
            VirtualService { service: Service::plain("rr"), destinations: [(there, weighs)].into() };
        let whole: Table = [(key, service)].into();
        for (instances, goes_on) in [(&["VI_1"][..], true), (&[], false)] {
            let teller = Teller::start(&config, watch::channel(0).1);
            resumed("roles", instances).adopt(&teller);
            let daemons = role::ipvs_settings(&config, |name| teller.state(name)).daemons.expect("daemons");
            assert_eq!((daemons.master.is_some(), daemons.backup.is_some()), (goes_on, !goes_on));
            let is_master = |name: &str| teller.state(name) == StateName::Master;
            let table = Active::of(&config).table(&whole, is_master, |_| false);
            assert_eq!(table == whole, goes_on);
        }
    }
}
