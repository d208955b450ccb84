//! Asks the rooms, and has the document made of their answers: on a thread of whoever wants to know, never on one that
//! others wait for. A room that does not answer in time is named in the document, and all else is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Digests, Ledger, Seen, alike, pairing, view};
use crate::bfd::report::SessionStates;
use crate::channel::watch::Peer;
use crate::check::status::{Asker, Status};
use crate::clock;
use crate::config::model::Config;
use crate::control::answer::Failure;
use crate::control::routes::{Part, Want};
use crate::control::view::{DaemonView, LagView, OrderView, StatusView};
use crate::core::servers::Picture;
use crate::ipvs::counter::Counter;
use crate::ipvs::kernel::Report;
use crate::net::space::{Space, within};
use crate::vrrp::mailbox::Mailbox;

/// How long a room may take over its answer.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the worker keeps of itself for those who ask.
#[derive(Clone, Debug)]
pub struct Facts {
    started: Instant,
    instance: String,
    config: PathBuf,
    reloads: u64,
    reloads_refused: u64,
    problem: Option<String>,
    digests: Arc<Digests>,
    pair_digests: Arc<Digests>,
    maintenance: Option<OrderView>,
    /// What the kernel counts, one reading for all.
    pub counter: Arc<Counter>,
    /// What that came to where several services of the kernel are one virtual server.
    ledger: Arc<Ledger>,
}

impl Facts {
    /// Those of a process that has begun just now.
    pub fn new(instance: &str, config: PathBuf, now: Instant) -> Self {
        Self {
            started: now,
            instance: instance.to_owned(),
            config,
            reloads: 0,
            reloads_refused: 0,
            problem: None,
            digests: Arc::default(),
            pair_digests: Arc::new(Digests::by(alike::digest)),
            maintenance: None,
            counter: Arc::default(),
            ledger: Arc::default(),
        }
    }

    /// The same with the order of a person about the whole daemon.
    #[must_use]
    pub fn under(mut self, maintenance: Option<OrderView>) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// Digest of what both directors of a pair must have alike.
    pub fn pair_digest(&self, config: &Arc<Config>) -> String {
        self.pair_digests.of(config)
    }

    /// A reload is over: taken, or refused for this reason.
    pub fn reloaded(&mut self, refused: Option<&str>) {
        match refused {
            None => self.reloads += 1,
            Some(_) => self.reloads_refused += 1,
        }
        // The errors of the file stand below the first line.
        self.problem = refused.and_then(|why| why.lines().next()).map(str::to_owned);
    }

    fn daemon(&self, picture: &Picture) -> DaemonView {
        DaemonView {
            tandem: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            instance: self.instance.clone(),
            host: nix::unistd::gethostname()
                .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned()),
            running: picture.now.saturating_duration_since(self.started).as_secs_f64(),
            config: self.config.display().to_string(),
            config_digest: self.digests.of(&picture.config),
            reloads: self.reloads,
            reloads_refused: self.reloads_refused,
            reload_problem: self.problem.clone(),
            maintenance: self.maintenance.clone(),
            lag: None,
            silent: Vec::new(),
        }
    }
}

/// All that is needed to ask; cheap to make.
#[derive(Clone)]
pub struct Maker {
    /// The configuration with its overrides; what the checks know is asked for.
    pub picture: Picture,
    /// The vrrp thread.
    pub vrrp: Mailbox,
    /// The check thread.
    pub check: Asker,
    /// How BFD sessions stand.
    pub sessions: Arc<SessionStates>,
    /// What the ipvs thread last told.
    pub report: Report,
    /// Number of the last table that it was given.
    pub wanted: u64,
    /// What the worker keeps of itself.
    pub facts: Facts,
    /// What is known of the other director; `None`: the file names none.
    pub peer: Option<Arc<Peer>>,
    /// Since when instances are MASTER, as the journal has it.
    pub masters_since: BTreeMap<String, String>,
}

impl Maker {
    /// What is not as it should be with the daemon or the kernel's table, in sentences without a last full stop. Asks nobody.
    pub fn troubles(&self) -> Vec<String> {
        let refused = self.facts.problem.iter().map(|why| format!("The last reload was refused: {why}"));
        let order = self.facts.maintenance.iter();
        let order = order.map(|order| format!("Maintenance is on since {} by {}", order.at, order.by));
        let kernel =
            self.report.errors.iter().map(|error| format!("The kernel's table is not in order: {error}"));
        let behind = (self.report.errors.is_empty() && self.report.applied != self.wanted).then(|| {
            let (has, wanted) = (self.report.applied, self.wanted);
            format!("The kernel has table {has}, and table {wanted} is not in it yet")
        });
        refused.chain(order).chain(kernel).chain(behind).collect()
    }

    /// Asks, and makes the document. Blocks for some seconds at most.
    ///
    /// # Errors
    /// The virtual server that is wanted is not there.
    pub fn make(self, want: &Want) -> Result<StatusView, Failure> {
        self.make_with_checks(want).map(|(view, _)| view)
    }

    /// The same, with what the checks know beside it; `None`: their thread did not answer, and nothing may be said of them.
    ///
    /// # Errors
    /// The virtual server that is wanted is not there.
    pub fn make_with_checks(mut self, want: &Want) -> Result<(StatusView, Option<Arc<Status>>), Failure> {
        if let Some(name) = &want.service
            && name.find(&self.picture.config).is_empty()
        {
            let problem = format!("there is no virtual server {name}");
            let cure = "name one as GET /v1/real-servers without ?service= shows it";
            return Err(Failure::new(404, "no-virtual-server", problem, cure));
        }
        let mut silent = Vec::new();
        // The daemon's own part tells of the vrrp thread's lag, so it is always asked.
        let vrrp = match self.vrrp.status(false, PATIENCE) {
            Ok(status) => Some(status),
            Err(why) => {
                silent.push(why.to_string());
                None
            }
        };
        let (mut counts, mut told) = (None, true);
        if want.wants(Part::VirtualServers) {
            if !self.picture.config.virtual_server.is_empty() {
                match asked_check(&self.check, PATIENCE) {
                    Some(status) => self.picture.status = status,
                    None => {
                        told = false;
                        silent.push("the check thread does not answer".to_owned());
                    }
                }
            }
            // Nothing is asked of a kernel that has nothing of ours: that might load the module.
            let ours = Arc::clone(&self.report.table);
            if !ours.is_empty() {
                let space = Space::of_ipvs(self.picture.config.net_namespace_ipvs.as_deref());
                let read = || self.facts.counter.read(&|key| ours.contains_key(key));
                counts = within(space.as_ref(), read).ok().and_then(Result::ok);
            }
        }
        self.picture.now = clock::now();
        let mut daemon = self.facts.daemon(&self.picture);
        daemon.lag = vrrp.as_ref().map(|status| LagView {
            worst: status.lag.worst.as_secs_f64(),
            worst_lately: status.lag.worst_of_last_minute.as_secs_f64(),
            late: status.lag.late,
        });
        daemon.silent = silent;
        let since_1970 = clock::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seen = Seen {
            picture: self.picture,
            vrrp,
            sessions: self.sessions,
            report: self.report,
            wanted: self.wanted,
            counts,
            ledger: Arc::clone(&self.facts.ledger),
            daemon,
            since_1970,
        };
        let mut view = view(&seen, want);
        for one in view.instances.iter_mut().filter(|one| one.state == "MASTER") {
            one.master_since = self.masters_since.remove(&one.name);
        }
        view.pair = self.peer.map(|peer| pairing::view(&peer, seen.picture.now));
        Ok((view, told.then(|| Arc::clone(&seen.picture.status))))
    }
}

/// What the checks know; `None`: their thread does not answer within that time. Blocks.
pub fn asked_check(check: &Asker, patience: Duration) -> Option<Arc<Status>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(patience, check.ask()).await.ok().flatten() })
}
