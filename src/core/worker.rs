//! Builds everything from a configuration, carries events between the rooms, reloads and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::bfd::report::SessionStates;
use crate::check;
use crate::clock;
use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::model::{Config, FlushOnStop};
use crate::ipvs::kernel::Desired;
use crate::ipvs::table::Table;
use crate::net::address::Wanted;
use crate::net::monitor;
use crate::process;
use crate::vrrp::machine::{Note, StateName};
use crate::vrrp::params::{Faults, Host, Setup};
use crate::vrrp::report::{Report, Told};
use crate::vrrp::snapshot::sentence;
use crate::vrrp::track::{self, Trackers};
use crate::vrrp::vmac::Plan;
use crate::vrrp::{addresses, driver};

use super::active::{self, Active};
use super::bfd::Bfd;
use super::devices::Devices;
use super::door::Door;
use super::error::Error;
use super::kept::Keeper;
use super::marking::Marking;
use super::options::Options;
use super::outside::outside;
use super::overlay::{self, Overlay};
use super::teller::Teller;
use super::telling::Happening;
use super::{director, memory, role, scripts, secrets, threads};
use commands::kept_overrides;

mod commands;
mod reloading;

/// How long each part may take to leave at stop: keepalived's `child_wait_time`.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long stop scripts may take: keepalived gives them about one second.
const STOP_SCRIPTS: Duration = Duration::from_secs(1);

/// Runs the daemon until SIGTERM or SIGINT.
pub fn run(options: &Options) -> Result<(), Error> {
    let (mut loaded, bare) = overlay::load(&options.config);
    log_findings(&std::mem::take(&mut loaded.diagnostics));
    if !loaded.readable {
        return Err(Error::Unreadable(options.config.clone()));
    }
    let lock = super::lock::Lock::take(&options.instance)?;
    process::raise_descriptors();
    let runtime = threads::runtime()?;
    // Before the pid file: whoever finds a pid there may send it a signal.
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let pid_file = options.pid_file.as_deref().map(super::pidfile::PidFile::take).transpose()?;
    let result = runtime.block_on(async {
        let (keeper, overlay) = kept_overrides(options, loaded.config, bare);
        let mut worker = Worker::start(options, keeper, overlay, signals).await?;
        let result = worker.serve().await;
        worker.stop().await;
        result
    });
    // Blocking leftovers (a stuck script's pipe) must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    drop(pid_file);
    drop(lock);
    result
}

struct Worker {
    options: Options,
    config: Arc<Config>,
    /// Instances before the last reload: what is told of removed ones is found there.
    before: Arc<Config>,
    vrrp: driver::Handle,
    reports: mpsc::Receiver<Report>,
    net: threads::Net,
    check: threads::Check,
    ipvs: threads::Ipvs,
    bfd: Bfd,
    devices: Devices,
    marking: Marking,
    trackers: Trackers,
    tracker_changes: mpsc::Receiver<track::Change>,
    teller: Teller,
    /// Static objects that are missing, by `track_group`.
    missing: BTreeMap<String, BTreeSet<String>>,
    /// What the ipvs thread is asked for.
    desired: Desired,
    /// Services of `active_on`.
    active: Active,
    /// Nobody has looked yet whether the kernel's settings suit these services.
    unseen: bool,
    /// What the configuration in force is made of.
    overlay: Overlay,
    keeper: Arc<Keeper>,
    door: Door,
    signals: Signals,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

impl Worker {
    async fn start(
        options: &Options,
        keeper: Keeper,
        overlay: Overlay,
        signals: Signals,
    ) -> Result<Self, Error> {
        let config = overlay.config();
        process::set_policy(scripts::policy(&config.global_defs));
        threads::size_buffers(&config.global_defs);
        scripts::run_around(scripts::Around::Startup, &config.global_defs).await;
        let links = Arc::new(monitor::first_dump().await?);
        let (mut trackers, tracker_changes) = Trackers::new(Arc::clone(&links));
        trackers.configure(track::Plan::of(&config, scripts::tracked(&config)), clock::now());
        let (wanted_out, wanted) = watch::channel(Arc::new(Wanted::default()));
        let (reports_out, reports) = mpsc::channel(threads::EVENTS);
        let outputs = driver::Outputs { wanted: wanted_out, reports: reports_out, swift: true };
        let (links_out, links_in) = watch::channel(Arc::clone(&links));
        let mut devices = Devices::start(links_in)?;
        let mut marking = devices.marking();
        marking.configure(&config);
        let plan = devices.configure(&config).await;
        let needed = !plan.devices.is_empty() || !plan.sysctls.is_empty();
        let setup = setup(&config, plan);
        // Interfaces and filter before the first address. Nothing is waited for where neither is asked for.
        let links = if needed || devices.filters() {
            devices.settled().await;
            Arc::new(monitor::first_dump().await?)
        } else {
            links
        };
        // Before the threads that would wait for it.
        memory::give_back();
        let vrrp = driver::spawn(setup, links, trackers.values(), outputs)?;
        let net = threads::net(links_out, wanted, addresses::fixed(&config), vrrp.mailbox.clone())?;
        trackers.follow(net.links.clone());
        // Files are read by now; sessions have not begun.
        let known = outside(&trackers.values(), &SessionStates::new(), clock::now());
        let check = threads::check(Arc::clone(&config), known, seed())?;
        let ipvs = threads::ipvs()?;
        let sweeps = u32::from(config.global_defs.lvs_flush);
        let teller = Teller::start(&config, net.generation.clone());
        let mut bfd = Bfd::new();
        bfd.configure(&config)?;
        let active = Active::of(&config);
        let door = Door::open(options.control.as_deref(), config.global_defs.control_group.as_deref());
        tracing::info!(
            "Tandem {} runs {}: {} VRRP instances, {} virtual servers",
            env!("CARGO_PKG_VERSION"),
            options.config.display(),
            config.vrrp_instance.len(),
            config.virtual_server.len(),
        );
        Ok(Self {
            options: options.clone(),
            before: Arc::clone(&config),
            config,
            vrrp,
            reports,
            teller,
            net,
            check,
            ipvs,
            bfd,
            devices,
            marking,
            trackers,
            tracker_changes,
            missing: BTreeMap::new(),
            desired: Desired { sweeps, ..Desired::default() },
            active,
            unseen: true,
            overlay,
            keeper: Arc::new(keeper),
            door,
            signals,
        })
    }

    /// Carries events until a signal ends it.
    async fn serve(&mut self) -> Result<(), Error> {
        self.program_settings();
        self.tell_carried();
        let mut pulse = tokio::time::interval(Duration::from_millis(500));
        let mut planned = false;
        loop {
            tokio::select! {
                biased;
                _ = self.signals.terminate.recv() => {
                    tracing::info!("SIGTERM: stopping");
                    return Ok(());
                }
                _ = self.signals.interrupt.recv() => {
                    tracing::info!("SIGINT: stopping");
                    return Ok(());
                }
                Some(report) = self.reports.recv() => {
                    self.take_report(&report);
                    self.program_settings();
                    self.program_active();
                }
                Some(report) = self.bfd.reports.recv() => log_bfd(&report),
                Some(change) = self.tracker_changes.recv() => self.take_tracker(change),
                Ok(()) = self.bfd.states.changed() => self.take_bfd(),
                Some(event) = self.check.events.recv() => self.take_check(&event),
                Ok(()) = self.check.table.changed() => {
                    self.program_table();
                    if !std::mem::replace(&mut planned, true) {
                        // What planning the checks of a large file has left behind.
                        memory::give_back();
                    }
                }
                Ok(()) = self.net.links.changed() => {
                    self.tell_carried();
                    self.program_active();
                }
                Ok(()) = self.ipvs.report.changed() => self.take_ipvs(),
                Ok(()) = self.net.applied.changed() => self.take_applied(),
                Ok(()) = self.devices.marked.changed() => {
                    for error in &self.devices.marked.borrow_and_update().errors {
                        tracing::error!("nftables_ipvs: {error}");
                    }
                }
                _ = self.signals.hangup.recv() => {
                    self.reload().await;
                    planned = false;
                }
                _ = pulse.tick() => {
                    if !self.config.bfd_instance.is_empty() {
                        // A session that has not come up for long enough counts as down.
                        self.tell_check();
                    }
                    if self.vrrp.ended() {
                        return Err(Error::VrrpDied);
                    }
                    if self.bfd.died() {
                        tracing::error!("the bfd thread ended unexpectedly: its sessions are down; starting it again");
                        self.configure_bfd();
                    }
                }
                // Last: however many clients ask, all the rest has its turn.
                Some(ask) = self.door.asks.recv() => self.command(ask),
            }
        }
    }

    fn configure_bfd(&mut self) {
        if let Err(error) = self.bfd.configure(&self.config) {
            tracing::error!("{error}; sessions of bfd_instance are down");
        }
    }

    fn take_report(&self, report: &Report) {
        let name = report.instance.as_str();
        match &report.told {
            Told::Transition { transition, snapshot, generation } => {
                tracing::info!("vrrp {name}: {}", report.told);
                let cause = sentence(&transition.cause, snapshot);
                let happening = Happening::Instance {
                    name,
                    state: transition.to,
                    previous: transition.from,
                    cause: &cause,
                    priority: transition.priority,
                };
                self.teller.tell(happening, &self.config, *generation);
            }
            Told::Deleted { generation, priority } => {
                tracing::info!("vrrp {name}: {}", report.told);
                let previous = self.teller.state(name);
                let happening = Happening::Deleted { name, previous, priority: *priority };
                self.teller.tell(happening, &self.before, *generation);
            }
            Told::LowerPriorityHeard { priority } => {
                tracing::warn!("vrrp {name}: {}", report.told);
                let happening = Happening::LowerPriorityHeard { name, priority: *priority };
                self.teller.tell(happening, &self.config, 0);
            }
            Told::Scheduled(outcome) if outcome.refused.is_empty() => tracing::info!("{outcome}"),
            Told::Scheduled(outcome) => tracing::warn!("{outcome}"),
            Told::Raised(raised) => tracing::warn!("{raised}"),
            Told::Failed { .. } => tracing::error!("{}", report.told),
            Told::Group { from, to, cause, generation } => {
                tracing::info!("vrrp {name}: {}", report.told);
                let happening = Happening::Group { name, state: *to, previous: *from, cause };
                self.teller.tell(happening, &self.config, *generation);
            }
            Told::Note(Note::PriorityChanged { to, .. }) => {
                tracing::info!("vrrp {name}: {}", report.told);
                let state = self.teller.state(name);
                let happening = Happening::PriorityChanged { name, state, priority: *to };
                self.teller.tell(happening, &self.config, 0);
            }
            Told::GroupWaits { .. } | Told::Note(Note::HoldOver | Note::WantsMaster) => {
                tracing::info!("vrrp {name}: {}", report.told);
            }
            Told::OneHolderAgain { .. } => tracing::info!("vrrp {name}: {}", report.told),
            Told::Note(_)
            | Told::TwoHolders { .. }
            | Told::UnknownVrid { .. }
            | Told::Discarded { .. }
            | Told::AddressListDiffers { .. }
            | Told::SendFailed { .. }
            | Told::SocketFailed { .. }
            | Told::Late(_)
            | Told::ReportsDropped { .. } => tracing::warn!("vrrp {name}: {}", report.told),
        }
    }

    fn take_tracker(&mut self, change: track::Change) {
        if let Some(flip) = self.trackers.take(change) {
            tracing::info!("{flip}");
            self.vrrp.mailbox.trackers(self.trackers.values());
            self.tell_check();
        }
    }

    /// What FILE_CHECK and BFD_CHECK go by, where it has changed.
    fn tell_check(&self) {
        let sessions = Arc::clone(&self.bfd.states.borrow());
        let values = self.trackers.values();
        self.check.tell(outside(&values, &sessions, clock::now()));
    }

    /// Sessions that trackers look at.
    fn take_bfd(&mut self) {
        let up = self.bfd.states.borrow_and_update().iter().map(|(name, at)| (name.clone(), at.up)).collect();
        for flip in self.trackers.set_bfd(&up, clock::now()) {
            tracing::info!("{flip}");
        }
        self.vrrp.mailbox.trackers(self.trackers.values());
        self.tell_check();
    }

    /// The check room has logged it with its reason; here people and programs are told.
    fn take_check(&self, event: &check::Event) {
        self.teller.tell(Happening::Checked(event), &self.config, 0);
    }

    fn program_table(&mut self) {
        let whole = Arc::clone(&self.check.table.borrow_and_update());
        self.desired.table = if self.active.is_empty() { whole } else { Arc::new(self.active_table(&whole)) };
        self.program();
    }

    /// Services of `active_on`, after an instance or the machine's addresses have changed.
    fn program_active(&mut self) {
        if self.active.is_empty() {
            return;
        }
        let whole = Arc::clone(&self.check.table.borrow());
        let table = self.active_table(&whole);
        if *self.desired.table != table {
            self.desired.table = Arc::new(table);
            self.program();
        }
    }

    fn active_table(&self, whole: &Table) -> Table {
        let links = self.net.links.borrow();
        let is_master = |name: &str| self.teller.state(name) == StateName::Master;
        self.active.table(whole, is_master, |address| active::is_here(&links, address))
    }

    /// Timeouts and sync daemons, by the states of the instances.
    fn program_settings(&mut self) {
        let settings = role::ipvs_settings(&self.config, |name| self.teller.state(name));
        if self.desired.settings != settings {
            self.desired.settings = settings;
            self.program();
        }
    }

    /// Which addresses of `ha_suspend` are on this host.
    fn tell_carried(&mut self) {
        let here = role::carried(&self.config, &self.net.links.borrow_and_update());
        self.check.carried.send_if_modified(|known| {
            let differs = **known != here;
            if differs {
                *known = Arc::new(here);
            }
            differs
        });
    }

    fn program(&mut self) {
        self.desired.number += 1;
        self.ipvs.desired.send_replace(Arc::new(self.desired.clone()));
    }

    fn take_ipvs(&mut self) {
        // Its errors are logged by the thread itself, once each.
        self.marking.follow(&self.config, &self.ipvs.report.borrow_and_update().table);
        // Not before: settings of IPVS exist only once its module is loaded.
        if std::mem::take(&mut self.unseen) {
            self.judge_machine();
        }
    }

    /// Do the kernel's settings suit a director of these services?
    fn judge_machine(&mut self) {
        log_findings(&director::judge(&self.config, &director::look::look(&self.config)));
        if self.config.global_defs.director_sysctl == Some(true) {
            self.devices.again();
        }
    }

    /// What the net thread last did: errors, and which static objects are missing.
    fn take_applied(&mut self) {
        let missing = {
            let applied = self.net.applied.borrow_and_update();
            for error in &applied.errors {
                tracing::error!("addresses: {error}");
            }
            applied.missing.clone()
        };
        if self.missing != missing {
            self.missing = missing;
            self.tell_faults();
        }
    }

    /// Instances of a `track_group` are in FAULT while one of its static objects is missing.
    fn tell_faults(&self) {
        let mut faults = Faults::new();
        for group in &self.config.track_group {
            let Some(element) = self.missing.get(&group.name).and_then(|missing| missing.first()) else {
                continue;
            };
            let reason = format!("track_group {}: {element} is missing", group.name);
            for instance in &group.group {
                faults.entry(instance.clone()).or_insert_with(|| reason.clone());
            }
        }
        self.vrrp.mailbox.faults(Arc::new(faults));
    }

    /// Addresses first, so that the peer takes over; then the table; then what scripts have to say.
    async fn stop(mut self) {
        // Before all that a disk or a client could hold up: until then the peer does not take over.
        self.vrrp.mailbox.stop();
        self.door.close();
        let kept = self.keep_last();
        self.trackers.configure(track::Plan::default(), clock::now());
        if !wait_for(|| self.vrrp.ended()).await {
            tracing::error!("the vrrp thread does not end");
        }
        while let Ok(report) = self.reports.try_recv() {
            self.take_report(&report);
        }
        let bfd = self.bfd.end();
        self.check.end();
        let _ = wait_for(|| self.check.thread.is_finished()).await;
        let mut last = Vec::new();
        while let Ok(event) = self.check.events.try_recv() {
            last.push(event);
        }
        for event in &last {
            self.take_check(event);
        }
        // Our services go in one message each whatever is said: that is lvs_flush_on_stop VS. Without it everybody's.
        let flushes = self.config.global_defs.lvs_flush_on_stop == Some(FlushOnStop::All);
        let sweeps = self.desired.sweeps + u32::from(flushes);
        self.marking.end();
        self.desired = Desired { number: self.desired.number, sweeps, ..Desired::default() };
        self.program();
        drop(self.ipvs.desired);
        if let Some(thread) = bfd {
            leave("bfd", thread).await;
        }
        while let Ok(report) = self.bfd.reports.try_recv() {
            log_bfd(&report);
        }
        leave("ipvs", self.ipvs.thread).await;
        leave("net", self.net.thread).await;
        leave("devices", self.devices.end()).await;
        self.teller.finish(STOP_SCRIPTS).await;
        scripts::run_around(scripts::Around::Shutdown, &self.config.global_defs).await;
        if !wait_for(|| kept.is_finished()).await {
            tracing::error!(
                "the disk does not take the overrides: the next start may not know the last of them"
            );
        }
        tracing::info!("stopped");
    }
}

/// What the vrrp thread needs, with this machine's keys and interfaces.
fn setup(config: &Config, plan: Plan) -> Setup {
    Setup::of(config, &Host { secrets: secrets::load(config), placements: plan.placements })
}

async fn leave(name: &str, thread: JoinHandle<()>) {
    if !wait_for(|| thread.is_finished()).await {
        tracing::error!("the {name} thread does not end within {} s: left behind", STOP_PATIENCE.as_secs());
    } else if thread.join().is_err() {
        tracing::error!("the {name} thread ended by a panic");
    }
}

/// Waits until something is so, or the patience is over.
async fn wait_for(done: impl Fn() -> bool) -> bool {
    let deadline = clock::now() + STOP_PATIENCE;
    while !done() {
        if clock::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

fn log_bfd(report: &crate::bfd::report::Report) {
    let subject =
        if report.session.is_empty() { "bfd".to_owned() } else { format!("bfd {}", report.session) };
    let told = &report.told;
    match told {
        crate::bfd::report::Told::Transition(_) => tracing::info!("{subject}: {told}"),
        _ if told.is_warning() => tracing::warn!("{subject}: {told}"),
        _ => tracing::debug!("{subject}: {told}"),
    }
}

fn log_findings(diagnostics: &[Diagnostic]) {
    for finding in diagnostics {
        match finding.level {
            Level::Error => tracing::error!("{finding}"),
            Level::Warning => tracing::warn!("{finding}"),
            Level::Advice => tracing::info!("{finding}"),
        }
    }
}

/// Spreads first checks; drawn once, from the clock.
fn seed() -> u64 {
    let since = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = u64::from(since.subsec_nanos()) ^ u64::from(std::process::id());
    tracing::debug!("seed of the check schedule: {seed}");
    seed
}
