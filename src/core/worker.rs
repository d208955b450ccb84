//! Builds everything from a configuration, carries events between the rooms, reloads and stops.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::check;
use crate::clock;
use crate::config;
use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::model::{Config, Instance};
use crate::config::resolve::Facts;
use crate::ipvs::kernel::Desired;
use crate::net::address::Wanted;
use crate::net::monitor;
use crate::notify::{Job, Notifier};
use crate::process::Program;
use crate::vrrp::driver;
use crate::vrrp::params::Settings;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::track::{self, Trackers};

use crate::notify::mail::{Alert, Mailer};

use super::error::Error;
use super::options::Options;
use super::reload::judge;
use super::{alerts, scripts, threads};

/// How long each part may take to leave at stop: keepalived's `child_wait_time`.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long stop scripts may take: keepalived gives them about one second.
const STOP_SCRIPTS: Duration = Duration::from_secs(1);

/// Runs the daemon until SIGTERM or SIGINT.
pub fn run(options: &Options) -> Result<(), Error> {
    let loaded = config::load(&options.config, &Facts::of_this_machine());
    log_findings(&loaded.diagnostics);
    if !loaded.readable {
        return Err(Error::Unreadable(options.config.clone()));
    }
    let lock = super::lock::Lock::take(&options.instance)?;
    let pid_file = options.pid_file.as_deref().map(super::pidfile::PidFile::take).transpose()?;
    let runtime = threads::runtime()?;
    let result = runtime.block_on(async {
        let mut worker = Worker::start(options, Arc::new(loaded.config)).await?;
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
    /// The configuration before the last reload: names of removed instances are found there.
    before: Arc<Config>,
    vrrp: driver::Handle,
    reports: mpsc::Receiver<Report>,
    net: threads::Net,
    check: threads::Check,
    ipvs: threads::Ipvs,
    trackers: Trackers,
    tracker_changes: mpsc::Receiver<track::Change>,
    notifier: Notifier,
    mailer: Mailer,
    table_number: u64,
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
    async fn start(options: &Options, config: Arc<Config>) -> Result<Self, Error> {
        let signals = Signals::listen()?;
        let links = Arc::new(monitor::first_dump().await?);
        let (mut trackers, tracker_changes) = Trackers::new(Arc::clone(&links));
        trackers.configure(track::Plan::of(&config, scripts::tracked(&config)), clock::now());
        let (wanted_out, wanted) = watch::channel(Arc::new(Wanted::default()));
        let (reports_out, reports) = mpsc::channel(threads::EVENTS);
        let outputs = driver::Outputs { wanted: wanted_out, reports: reports_out };
        let settings = Settings::of_config(&config);
        let vrrp = driver::spawn(settings, Arc::clone(&links), trackers.values(), outputs)?;
        let net = threads::net(links, wanted, vrrp.mailbox.clone())?;
        trackers.follow(net.links.clone());
        let check = threads::check(Arc::clone(&config), seed())?;
        let ipvs = threads::ipvs()?;
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
            notifier: Notifier::new(net.generation.clone()),
            mailer: Mailer::start(),
            net,
            check,
            ipvs,
            trackers,
            tracker_changes,
            table_number: 0,
            signals,
        })
    }

    /// Carries events until a signal ends it.
    async fn serve(&mut self) -> Result<(), Error> {
        let mut pulse = tokio::time::interval(Duration::from_millis(500));
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
                Some(report) = self.reports.recv() => self.take_report(&report),
                Some(change) = self.tracker_changes.recv() => self.take_tracker(change),
                Some(event) = self.check.events.recv() => self.take_check(&event),
                Ok(()) = self.check.table.changed() => self.program_table(),
                Ok(()) = self.ipvs.report.changed() => self.log_ipvs(),
                Ok(()) = self.net.applied.changed() => self.log_addresses(),
                _ = self.signals.hangup.recv() => self.reload(),
                _ = pulse.tick() => if self.vrrp.ended() {
                    return Err(Error::VrrpDied);
                },
            }
        }
    }

    fn take_report(&self, report: &Report) {
        let name = report.instance.as_str();
        let (priority, generation) = match &report.told {
            Told::Transition { transition, generation } => {
                tracing::info!("vrrp {name}: {}", report.told);
                if let Some(instance) = self.instance(name) {
                    let programs = scripts::notify(
                        instance,
                        transition.to,
                        transition.priority,
                        &self.config.global_defs,
                    );
                    let why = format!("{name} is {}", transition.to);
                    self.notify(name, *generation, programs, why);
                    let cause = transition.cause.to_string();
                    let global = &self.config.global_defs;
                    self.mail(alerts::transition(instance, transition.to, &cause, global, clock::wall()));
                }
                return;
            }
            Told::Deleted { generation, priority } => (*priority, *generation),
            Told::LowerPriorityHeard { priority } => {
                tracing::warn!("vrrp {name}: {}", report.told);
                if let Some(instance) = self.instance(name) {
                    let programs = scripts::notify_lower(instance, *priority, &self.config.global_defs);
                    self.notify(name, 0, programs, format!("{name} heard a lower master"));
                }
                return;
            }
            Told::Discarded { .. }
            | Told::AddressListDiffers { .. }
            | Told::SendFailed { .. }
            | Told::SocketFailed { .. }
            | Told::ReportsDropped { .. } => {
                tracing::warn!("vrrp {name}: {}", report.told);
                return;
            }
        };
        tracing::info!("vrrp {name}: {}", report.told);
        let gone = self.before.vrrp_instance.iter().find(|i| i.name == name);
        if let Some(instance) = gone {
            let programs = scripts::notify_deleted(instance, priority, &self.before.global_defs);
            self.notify(name, generation, programs, format!("{name} is gone"));
        }
    }

    fn instance(&self, name: &str) -> Option<&Instance> {
        self.config.vrrp_instance.iter().find(|i| i.name == name)
    }

    fn notify(&self, queue: &str, after: u64, programs: Vec<Program>, why: String) {
        if !programs.is_empty() {
            self.notifier.push(Job { queue: queue.to_owned(), after, programs, why });
        }
    }

    fn take_tracker(&mut self, change: track::Change) {
        if let Some(flip) = self.trackers.take(change) {
            tracing::info!("{flip}");
            self.vrrp.mailbox.trackers(self.trackers.values());
        }
    }

    /// The check room has logged it with its reason; here the user's program is run and the mail sent.
    fn take_check(&self, event: &check::Event) {
        self.mail(alerts::server(event, clock::wall()));
        let Some(command) = &event.command else { return };
        let programs = scripts::program(command, &[], &self.config.global_defs, None);
        self.notify(&event.subject, 0, programs.into_iter().collect(), event.to_string());
    }

    fn mail(&self, alert: Option<Alert>) {
        let relay = || alerts::relay(&self.config.global_defs, &alerts::host_name());
        if let Some((alert, relay)) = alert.and_then(|alert| Some((alert, relay()?))) {
            self.mailer.push(relay, alert);
        }
    }

    fn program_table(&mut self) {
        let table = (**self.check.table.borrow_and_update()).clone();
        self.table_number += 1;
        self.ipvs.desired.send_replace(Arc::new(Desired { number: self.table_number, table }));
    }

    fn log_ipvs(&mut self) {
        for error in &self.ipvs.report.borrow_and_update().errors {
            tracing::error!("ipvs: {error}");
        }
    }

    fn log_addresses(&mut self) {
        for error in &self.net.applied.borrow_and_update().errors {
            tracing::error!("addresses: {error}");
        }
    }

    /// A good file is taken over, only its differences; a bad one changes nothing and says why.
    fn reload(&mut self) {
        let path = &self.options.config;
        tracing::info!("SIGHUP: reading {} again", path.display());
        let loaded = config::load(path, &Facts::of_this_machine());
        log_findings(&loaded.diagnostics);
        let difference = match judge(&self.config, &loaded) {
            Ok(difference) => difference,
            Err(refusal) => {
                tracing::error!(
                    "reload of {} refused: {refusal}; the configuration in force goes on unchanged",
                    path.display()
                );
                return;
            }
        };
        self.before = std::mem::replace(&mut self.config, Arc::new(loaded.config));
        self.trackers.configure(track::Plan::of(&self.config, scripts::tracked(&self.config)), clock::now());
        self.vrrp.mailbox.trackers(self.trackers.values());
        self.vrrp.mailbox.reload(Settings::of_config(&self.config));
        self.check.configure(Arc::clone(&self.config));
        tracing::info!("reloaded {}: {difference}", path.display());
    }

    /// Addresses first, so that the peer takes over; then the table; then what scripts have to say.
    async fn stop(mut self) {
        self.trackers.configure(track::Plan::default(), clock::now());
        self.vrrp.mailbox.stop();
        if !wait_for(|| self.vrrp.ended()).await {
            tracing::error!("the vrrp thread does not end");
        }
        while let Ok(report) = self.reports.try_recv() {
            self.take_report(&report);
        }
        self.check.end();
        let _ = wait_for(|| self.check.thread.is_finished()).await;
        let mut last = Vec::new();
        while let Ok(event) = self.check.events.try_recv() {
            last.push(event);
        }
        for event in &last {
            self.take_check(event);
        }
        self.table_number += 1;
        let empty = Desired { number: self.table_number, ..Desired::default() };
        self.ipvs.desired.send_replace(Arc::new(empty));
        drop(self.ipvs.desired);
        leave("ipvs", self.ipvs.thread).await;
        leave("net", self.net.thread).await;
        self.notifier.finish(STOP_SCRIPTS).await;
        tracing::info!("stopped");
    }
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
