//! Builds everything from a configuration, carries events between the rooms, reloads and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::alarm::Alarm;
use crate::bfd::report::SessionStates;
use crate::board::Thread;
use crate::check;
use crate::clock;
use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::model::Config;
use crate::config::rereader::Rereader;
use crate::control::server::Reply;
use crate::net::address::Wanted;
use crate::net::monitor;
use crate::net::space::Space;
use crate::process;
use crate::vrrp::params::{Faults, Host, Setup};
use crate::vrrp::report::{Report, STATES_ROOM};
use crate::vrrp::track::{self, Trackers};
use crate::vrrp::vmac::Plan;
use crate::vrrp::{addresses, driver};

use super::active::Active;
use super::bfd::Bfd;
use super::devices::Devices;
use super::door::Door;
use super::dumper::Dumper;
use super::error::Error;
use super::kept::Keeper;
use super::lastgood::or_last_good;
use super::lifeline::{self, Lifeline, Line, Order, Word};
use super::marking::Marking;
use super::options::Options;
use super::outside::outside;
use super::overlay::{self, Overlay};
use super::peering::Peering;
use super::status::Facts;
use super::teller::Teller;
use super::telling::Happening;
use super::{exit, fault, memory, scripts, secrets, supervisor, threads};
use chronicle::Chronicle;
use commands::kept_overrides;
use disk::Disk;
use ending::{End, FALLEN};
use orders::Ordering;
use programming::Wish;
use quorums::Quorums;
use restart::Restart;
use upkeep::Upkeep;

mod chronicle;
mod commands;
mod disk;
mod dumps;
mod ending;
mod life;
mod orders;
mod pair;
mod programming;
mod quorums;
mod reloading;
mod reports;
mod restart;
mod saving;
mod startup;
mod status;
mod timing;
mod upkeep;
mod watched;

/// How often the main thread looks at what has no event of its own: each look wakes an idle machine.
const PULSE: Duration = Duration::from_secs(20);
/// The same where something is awaited: BFD sessions that come up, a disk, the end of a thread.
const SOON: Duration = Duration::from_millis(500);

/// Runs the daemon until SIGTERM or SIGINT.
pub fn run(options: &Options) -> Result<(), Error> {
    memory::note_program();
    supervisor::take_name();
    let line = Line::take();
    let mut rereader = Rereader::default();
    let (loaded, bare) = overlay::load(options, &mut rereader);
    log_findings(&loaded.diagnostics);
    let (mut loaded, bare) = or_last_good(options, restart::is_again(), (loaded, bare));
    if !loaded.readable {
        return Err(Error::Unreadable(options.config.clone()));
    }
    startup::may_run(options, &loaded)?;
    // They are told: of a large file they take room.
    loaded.diagnostics = Vec::new();
    // Where the command line has named one, we are there.
    let named = options.pids.as_ref().and_then(|pids| pids.namespace.as_ref());
    if let Some(name) = loaded.config.net_namespace.as_ref().filter(|_| named.is_none()) {
        Space::own(name).enter()?;
    }
    let (options, home) = startup::named(options, &loaded.config);
    let options = &options;
    let lock = super::lock::Lock::take_soon(&home.lock)?;
    // Not before: whoever has the lock has what is remembered under this name.
    line.name(&options.instance);
    process::raise_descriptors();
    let mut restart = Restart::look(options, home);
    if let (Some(board), Some(bell)) = (&restart.board, lifeline::bell()) {
        board.hang(bell);
    }
    let runtime = threads::runtime_of(Thread::Main, restart.board.as_ref())?;
    // Before the pid file: whoever finds a pid there may send it a signal.
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    // The supervisor holds back the signals that it passes on, and so do we until somebody hears them.
    SigSet::empty().thread_set_mask().map_err(io::Error::from)?;
    let pid_files = startup::pid_files(options, &loaded.config, &line)?;
    (restart.line, restart.pid_files) = (Some(line), pid_files);
    let result = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let (config, bare) = restart.marked(loaded.config, bare);
            let (keeper, overlay) = kept_overrides(options, config, bare);
            let mut worker = Worker::start(options, keeper, overlay, rereader, signals, restart).await?;
            match worker.serve().await {
                Ok(End::Left) => worker.leave().await,
                Ok(End::Stopped) => worker.stop().await,
                // The vrrp thread has let the addresses go; all else stays for the next worker.
                Err(error) if worker.lifeline.is_held() => worker.fall(&error),
                Err(error) => {
                    worker.stop().await;
                    return Err(error);
                }
            }
            Ok(())
        })
    }));
    // A worker that falls goes at once: whatever it left behind, the next one takes over.
    let result = result.unwrap_or_else(|_| {
        tracing::error!(
            "the main thread failed: this is a defect of Tandem, please report it with the lines above"
        );
        exit::exit(FALLEN)
    });
    // Blocking leftovers (a stuck script's pipe) must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(100));
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
    wish: Wish,
    /// Services of `active_on`.
    active: Active,
    /// Nobody has looked yet whether the kernel's settings suit these services.
    unseen: bool,
    /// What the configuration in force is made of.
    overlay: Overlay,
    /// What a reload need not read again.
    rereader: Rereader,
    keeper: Arc<Keeper>,
    ordering: Ordering,
    quorums: Quorums,
    chronicle: Chronicle,
    door: Door,
    peering: Peering,
    dumper: Dumper,
    /// Threads have the names that the file asks for.
    named: bool,
    disk: Disk,
    signals: Signals,
    lifeline: Lifeline,
    restart: Restart,
    upkeep: Upkeep,
    /// What is told of the daemon itself.
    facts: Facts,
    /// The last answer of those that are dear.
    told: Arc<status::Shared>,
    /// Who asked for another program in our place.
    upgrading: Option<oneshot::Sender<Reply>>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    dumps: dumps::Asked,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            dumps: dumps::Asked::listen()?,
        })
    }
}

impl Worker {
    async fn start(
        options: &Options,
        keeper: Keeper,
        overlay: Overlay,
        rereader: Rereader,
        signals: Signals,
        mut restart: Restart,
    ) -> Result<Self, Error> {
        let config = overlay.config();
        process::set_policy(scripts::policy(&config.global_defs));
        threads::size_buffers(&config.global_defs);
        let lifeline = restart.line.take().map_or_else(Lifeline::default, Line::listen);
        if !restart.again {
            // It may take longer than a start may.
            lifeline.say(Word::Startup);
            scripts::run_around(scripts::Around::Startup, &config.global_defs).await;
        }
        lifeline.say(Word::Started);
        let links = Arc::new(monitor::first_dump().await?);
        let (mut trackers, tracker_changes) = Trackers::new(Arc::clone(&links));
        trackers.recall(restart.memory.words());
        if restart.again {
            trackers.go_on();
        }
        trackers.configure(track::Plan::of(&config, scripts::tracked(&config)), clock::now());
        let (wanted_out, wanted) = watch::channel(Arc::new(Wanted::default()));
        let (reports_out, reports) = mpsc::channel(STATES_ROOM);
        let (links_out, links_in) = watch::channel(Arc::clone(&links));
        let board = restart.board.clone();
        let space = Space::of_ipvs(config.net_namespace_ipvs.as_deref());
        let mut devices = Devices::start(links_in, board.as_ref(), space.clone())?;
        let mut marking = devices.marking();
        marking.configure(&config);
        let plan = devices.configure(&config).await;
        let needed = !plan.devices.is_empty() || !plan.sysctls.is_empty();
        let ordering = Ordering::kept(orders::keeper(options, overlay.base()), &config);
        let mut setup = setup(&config, plan);
        setup.orders = ordering.orders.in_force(&config);
        // Interfaces and filter before the first address. Nothing is waited for where neither is asked for.
        let links = if needed || devices.filters() {
            devices.settled().await;
            Arc::new(monitor::first_dump().await?)
        } else {
            links
        };
        // Before the threads that would wait for it.
        memory::give_back();
        // Not before all that takes its time: meanwhile somebody else may have become master.
        let left_behind = restart.resume(&setup);
        let outputs = driver::Outputs {
            wanted: wanted_out,
            reports: reports_out,
            swift: true,
            board: board.clone(),
            resuming: restart.resumed.clone(),
        };
        let vrrp = driver::spawn(setup, links, trackers.values(), outputs)?;
        let mut fixed = addresses::fixed(&config);
        fixed.ours.extend(left_behind);
        let net = threads::net(links_out, wanted, fixed, vrrp.mailbox.clone(), board.as_ref())?;
        trackers.follow(net.links.clone());
        // Files are read by now; sessions have not begun.
        let known = outside(&trackers.values(), &SessionStates::new(), clock::now());
        let recalled = std::mem::take(&mut restart.memory.verdicts);
        let (check, quorums) = threads::check(Arc::clone(&config), known, recalled, seed(), board.as_ref())?;
        let ipvs = threads::ipvs(board.as_ref(), space)?;
        let quorums = Quorums::start(&config, quorums);
        restart.remember(options, check.asker.clone());
        let (flush, inherited) = (config.global_defs.lvs_flush, restart.memory.services().collect());
        let teller = Teller::start(&config, net.generation.clone());
        restart.adopt(&teller);
        let mut bfd = Bfd::new();
        bfd.configure(&config)?;
        let active = Active::of(&config);
        let door = Door::open(options.control.as_deref(), &config.global_defs, board.as_ref());
        let chronicle = Chronicle::begin(&mut restart, &door);
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
            wish: Wish::new(flush, inherited),
            active,
            unseen: true,
            overlay,
            rereader,
            keeper: Arc::new(keeper),
            ordering,
            quorums,
            chronicle,
            door,
            peering: Peering::new(),
            dumper: Dumper::default(),
            named: false,
            disk: Disk::default(),
            signals,
            upkeep: Upkeep::new(options, restart.board.is_some() && supervisor::is_worker()),
            lifeline,
            restart,
            facts: Facts::new(&options.instance, options.config.clone(), clock::now()),
            told: Arc::default(),
            upgrading: None,
        })
    }

    /// Carries events until a signal ends it.
    async fn serve(&mut self) -> Result<End, Error> {
        self.program_settings();
        self.tell_carried();
        self.remember_addresses();
        self.look_after();
        self.keep_good();
        self.save(Arc::clone(self.overlay.base()), "at the start");
        self.tell_pair();
        let mut planned = false;
        let (mut alarm, mut pulsed) = (Alarm::new(), None);
        let mut strike = std::pin::pin!(fault::strike(Thread::Main));
        let vrrp = self.vrrp.mailbox.clone();
        let mut strike_vrrp =
            std::pin::pin!(fault::strike_other(Thread::Vrrp, move |what| vrrp.happen(what)));
        loop {
            let pulse = self.pulse_after(pulsed);
            tokio::select! {
                biased;
                _ = self.signals.terminate.recv() => {
                    tracing::info!("SIGTERM: stopping");
                    return Ok(End::Stopped);
                }
                _ = self.signals.interrupt.recv(), if !self.options.ignore_sigint => {
                    tracing::info!("SIGINT: stopping");
                    return Ok(End::Stopped);
                }
                () = &mut strike => {}
                () = &mut strike_vrrp => {}
                order = self.lifeline.order() => match order {
                    Order::Leave => {
                        self.upgraded();
                        return Ok(End::Left);
                    }
                    Order::Refused(why) => self.refused_upgrade(&why),
                    Order::Gone => {
                        tracing::error!("the supervisor is gone: stopping, so that the peer takes over");
                        return Ok(End::Stopped);
                    }
                },
                report = self.reports.recv() => {
                    let Some(report) = report else { return Err(Error::VrrpDied) };
                    self.take_report(&report);
                    self.program_settings();
                    self.program_active();
                }
                Some(report) = self.bfd.reports.recv() => {
                    log_bfd(&report);
                    self.chronicle.bfd(&report);
                }
                () = self.quorums.changed() => self.take_quorums(),
                () = self.ordering.over() => self.orders_over(),
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
                    drop(self.reload(None).await);
                    planned = false;
                }
                () = self.upkeep.timing.due() => {
                    self.timed_reload().await;
                    planned = false;
                }
                done = self.disk.done() => self.take_disk(done),
                () = threads::one_ends() => self.upkeep.stirred = true,
                Some(note) = self.peering.notes.recv() => self.take_note(note),
                Some(incoming) = self.peering.orders.recv() => self.take_push(incoming),
                () = alarm.at(pulse) => {
                    pulsed = Some(clock::now());
                    self.beat();
                    self.upkeep.settle(clock::now());
                    self.end_drains(clock::wall());
                    self.named = self.named || startup::name_threads(&self.config);
                    if let Some(thread) = self.dead_thread() {
                        return Err(Error::ThreadDied(thread.name()));
                    }
                    self.look_at_pair();
                    self.disk.tell_slow(&self.override_file(), clock::now());
                    self.keep_again(clock::now());
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
                what = self.signals.dumps.next() => self.dump(what),
                // Last: however many clients ask, all the rest has its turn.
                Some(ask) = self.door.asks.recv() => if let Some(end) = self.take_ask(ask).await {
                    return Ok(end);
                },
            }
        }
    }

    /// When to look next, after a look then.
    fn pulse_after(&self, last: Option<Instant>) -> Instant {
        let Some(last) = last else { return clock::now() };
        let idle = self.config.bfd_instance.is_empty()
            && self.named
            && self.restart.is_ready()
            && self.disk.is_calm()
            && self.upkeep.is_calm();
        let usual = last + if idle { PULSE } else { SOON };
        // By the wall clock, which somebody may set: looked at with each pulse.
        match self.next_drain_ends(clock::wall()) {
            Some(left) => usual.min(clock::now() + left),
            None => usual,
        }
    }

    fn configure_bfd(&mut self) {
        if let Err(error) = self.bfd.configure(&self.config) {
            tracing::error!("{error}; sessions of bfd_instance are down");
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
            self.chronicle.flip(&flip);
        }
        self.vrrp.mailbox.trackers(self.trackers.values());
        self.tell_check();
    }

    /// The check room has logged it with its reason; here people and programs are told.
    fn take_check(&mut self, event: &check::Event) {
        self.chronicle.check(event);
        self.teller.tell(Happening::Checked(event), &self.config, 0);
        self.remember();
    }

    /// What the net thread last did: errors, and which static objects are missing.
    fn take_applied(&mut self) {
        let missing = {
            let applied = self.net.applied.borrow_and_update();
            for error in &applied.errors {
                tracing::error!("addresses: {error}");
            }
            self.chronicle.addresses(&applied);
            applied.missing.clone()
        };
        self.tell_ready();
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
}

/// What the vrrp thread needs, with this machine's keys and interfaces.
fn setup(config: &Config, plan: Plan) -> Setup {
    Setup::of(config, &Host { secrets: secrets::load(config), placements: plan.placements })
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
