//! The thread that keeps the kernel's IPVS table as desired: it waits for a new desired table or for its own next
//! deadline, and lets the [`Reconciler`] do the rest. Blocking netlink, in the network namespace of the thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock;
use crate::ipvs::keeper::{Keeper, Kept};
use crate::ipvs::reconcile::{Reconciler, Turn};
use crate::ipvs::session::{Error, Session, Transport};
use crate::ipvs::settings::Settings;
use crate::ipvs::socket;
use crate::ipvs::table::{ServiceKey, Table};

/// Pause after a failed connection, doubled each time up to [`RECONNECT_LONGEST`].
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// Longest pause between two tries to connect.
const RECONNECT_LONGEST: Duration = Duration::from_secs(5);
/// How long the end waits for a last value that the kernel does not take.
const END_LIMIT: Duration = Duration::from_secs(2);
/// Most changes that one turn logs by name.
const LOG_LIMIT: usize = 20;

/// What should be in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Counts up with every new value.
    pub number: u64,
    /// The whole of our services: the value that whoever made it holds, too.
    pub table: Arc<Table>,
    /// Timeouts and sync daemons.
    pub settings: Settings,
    /// How many times services of others were to go so far (`lvs_flush` at start, `lvs_flush_on_stop` at the end):
    /// when it has grown, every service that is there is taken for ours, so what is not desired goes and what is
    /// desired keeps its connections.
    pub sweeps: u32,
    /// Services that an earlier process of ours left behind: ours to take away where they are not desired any more.
    pub inherited: Arc<[ServiceKey]>,
}

/// What is in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of the desired value that is completely in place; 0 = none yet.
    pub applied: u64,
    /// How many changes put back what somebody else had changed, since the start.
    pub drift_repaired: u64,
    /// What does not work at present, in sentences with the cure.
    pub errors: Vec<String>,
    /// Our services as last read from the kernel, with the changes that it acknowledged since.
    pub table: Arc<Table>,
}

/// Keeps the kernel at the desired table until its sender is dropped; returns once the last value is applied, or
/// after 2 seconds in which the kernel did not take it. Blocks: give it a thread of its own. Every service that any
/// desired value names is ours as a whole from then on; services of others are never touched. No socket is opened
/// before a service is desired. `busy` is told when the thread begins to work, at each turn, and when it waits.
pub fn run(desired: watch::Receiver<Arc<Desired>>, report: watch::Sender<Report>, busy: &dyn Fn(bool)) {
    run_over(desired, report, busy, socket::connect);
}

/// [`run`] in another network namespace: `enter` takes the thread there before its first socket, or says why it cannot. Then
/// it is tried again, as a kernel without IPVS is: the namespace may come later, and VRRP goes on meanwhile.
pub fn run_elsewhere(
    desired: watch::Receiver<Arc<Desired>>,
    report: watch::Sender<Report>,
    busy: &dyn Fn(bool),
    enter: &dyn Fn() -> Result<(), String>,
) {
    let (mut inside, mut fresh) = (false, true);
    run_over(desired, report, busy, |load| {
        if !inside {
            enter().map_err(Error::Elsewhere)?;
            inside = true;
        }
        // The first try in there loads the module, however many there were before.
        socket::connect(std::mem::take(&mut fresh) || load)
    });
}

/// [`run`] over sessions that `connect` opens; its argument: whether it may load the module.
fn run_over<T: Transport>(
    mut desired: watch::Receiver<Arc<Desired>>,
    report: watch::Sender<Report>,
    busy: &dyn Fn(bool),
    connect: impl FnMut(bool) -> Result<Session<T>, Error>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot build the timer of the IPVS thread: the IPVS table is not managed");
            report
                .send_modify(|report| report.errors = vec![format!("no timer for the IPVS thread: {error}")]);
            return;
        }
    };
    let mut driver = Driver::new(connect);
    loop {
        let value = desired.borrow_and_update().clone();
        // Also when the sender is gone by now: at the end, too, a long reading gives way to the last value.
        let superseded = driver.turn(&value, &mut || !Arc::ptr_eq(&desired.borrow(), &value));
        driver.publish(&report);
        if superseded {
            // Values may come faster than turns end: it goes on all the same.
            busy(true);
            continue;
        }
        let pause = driver.deadline().map(|deadline| deadline.saturating_duration_since(clock::now()));
        busy(false);
        let changed = runtime.block_on(async {
            match pause {
                Some(pause) => tokio::time::timeout(pause, desired.changed()).await,
                None => Ok(desired.changed().await),
            }
        });
        busy(true);
        if let Ok(Err(_closed)) = changed {
            break;
        }
    }
    let value = desired.borrow().clone();
    let limit = clock::now() + END_LIMIT;
    while driver.applied != value.number && driver.worth_waiting() && clock::now() < limit {
        // Made inside the runtime: a timer needs its context.
        runtime.block_on(async { tokio::time::sleep(RECONNECT_FIRST).await });
        driver.retry_now(clock::now());
        driver.turn(&value, &mut || false);
        driver.publish(&report);
    }
}

/// Reads the whole table, everybody's services, in the network namespace of this thread. Loads no module.
///
/// # Errors
/// [`Error::NoIpvs`] where the kernel has none, or why it could not be read.
pub fn read_all() -> Result<Table, Error> {
    Ok(socket::connect(false)?.read(None, &mut || false)?.unwrap_or_default())
}

struct Driver<T, C> {
    connect: C,
    reconciler: Reconciler,
    keeper: Keeper,
    swept: u32,
    inherited: bool,
    session: Option<Session<T>>,
    module_tried: bool,
    /// When to connect again, and the pause before that.
    reconnect: Option<(Instant, Duration)>,
    failure: Option<Error>,
    applied: u64,
    repaired: u64,
}

impl<T: Transport, C: FnMut(bool) -> Result<Session<T>, Error>> Driver<T, C> {
    fn new(connect: C) -> Self {
        Self {
            connect,
            reconciler: Reconciler::new(),
            keeper: Keeper::new(),
            swept: 0,
            inherited: false,
            session: None,
            module_tried: false,
            reconnect: None,
            failure: None,
            applied: 0,
            repaired: 0,
        }
    }

    /// One turn. True if it stopped early because of something newer.
    fn turn(&mut self, desired: &Desired, superseded: &mut dyn FnMut() -> bool) -> bool {
        if !desired.inherited.is_empty() && !std::mem::replace(&mut self.inherited, true) {
            self.reconciler.inherit(&desired.inherited);
        }
        self.reconciler.adopt(&desired.table);
        if self.reconciler.is_idle() && self.keeper.is_idle(&desired.settings) && self.swept >= desired.sweeps
        {
            self.applied = desired.number;
            return false;
        }
        let now = clock::now();
        if self.reconnect.is_some_and(|(at, _)| at > now) {
            return false;
        }
        match self.try_turn(desired, now, superseded) {
            Ok((turn, kept)) => {
                if let Some(failure) = self.failure.take() {
                    tracing::info!("IPVS works again, after: {failure}");
                }
                self.reconnect = None;
                self.note(&turn);
                self.note_kept(&kept);
                if turn.in_place && kept.in_place && self.applied != desired.number {
                    self.applied = desired.number;
                    tracing::debug!(number = desired.number, "IPVS table in place");
                }
                turn.superseded
            }
            Err(error) => {
                self.fail(error);
                false
            }
        }
    }

    fn try_turn(
        &mut self,
        desired: &Desired,
        now: Instant,
        superseded: &mut dyn FnMut() -> bool,
    ) -> Result<(Turn, Kept), Error> {
        let session = match &mut self.session {
            Some(session) => session,
            None => {
                let load = !std::mem::replace(&mut self.module_tried, true);
                let session = (self.connect)(load)?;
                // If somebody unloads the module it may be loaded again.
                self.module_tried = false;
                self.session.insert(session)
            }
        };
        if self.swept < desired.sweeps {
            let everybody = session.read(None, &mut || false)?.unwrap_or_default();
            self.reconciler.sweep(everybody);
            self.swept = desired.sweeps;
        }
        let turn = if self.reconciler.is_idle() {
            Turn { in_place: true, ..Turn::default() }
        } else {
            self.reconciler.turn(session, &desired.table, now, superseded)?
        };
        // Behind the table: it carries the traffic.
        let kept = if turn.superseded {
            Kept::default()
        } else {
            self.keeper.turn(session, &desired.settings, now)?
        };
        Ok((turn, kept))
    }

    fn fail(&mut self, error: Error) {
        self.session = None;
        self.reconciler.forget_connection();
        self.keeper.look_now();
        let pause = self.reconnect.map_or(RECONNECT_FIRST, |(_, pause)| (pause * 2).min(RECONNECT_LONGEST));
        self.reconnect = Some((clock::now() + pause, pause));
        // Once, not at every try. Of a kernel without IPVS the first words stay: only the first try loads the module.
        let absent = |error: &Error| matches!(error, Error::NoIpvs { .. });
        let known = self.failure.as_ref();
        if known.is_some_and(absent) && absent(&error) {
            return;
        }
        if known.map(ToString::to_string) != Some(error.to_string()) {
            tracing::error!("IPVS: {error}");
        }
        self.failure = Some(error);
    }

    fn note(&mut self, turn: &Turn) {
        self.repaired += u64::try_from(turn.repaired.len()).unwrap_or(u64::MAX);
        for change in turn.repaired.iter().take(LOG_LIMIT) {
            tracing::warn!("IPVS table was changed by somebody else, repaired: {change}");
        }
        if turn.repaired.len() > LOG_LIMIT {
            tracing::warn!(
                "IPVS table was changed by somebody else, repaired: {} more",
                turn.repaired.len() - LOG_LIMIT
            );
        }
        for refusal in &turn.refused {
            tracing::error!("IPVS: {refusal}");
        }
        if turn.applied.len() <= LOG_LIMIT {
            for change in &turn.applied {
                tracing::debug!("IPVS: {change}");
            }
        } else {
            tracing::debug!("IPVS: {} changes", turn.applied.len());
        }
    }

    fn note_kept(&self, kept: &Kept) {
        for order in &kept.repaired {
            tracing::warn!("IPVS was changed by somebody else, repaired: {order}");
        }
        for order in kept.applied.iter().filter(|order| !kept.repaired.contains(order)) {
            tracing::info!("IPVS: {order}");
        }
        for words in &kept.refused {
            tracing::error!("IPVS: {words}");
        }
    }

    fn publish(&self, report: &watch::Sender<Report>) {
        let errors: Vec<String> = self
            .failure
            .iter()
            .map(ToString::to_string)
            .chain(self.reconciler.errors())
            .chain(self.keeper.errors())
            .collect();
        report.send_if_modified(|report| {
            let same = report.applied == self.applied
                && report.drift_repaired == self.repaired
                && report.errors == errors
                && report.table == *self.reconciler.table();
            if !same {
                *report = Report {
                    applied: self.applied,
                    drift_repaired: self.repaired,
                    errors,
                    table: Arc::clone(self.reconciler.table()),
                };
            }
            !same
        });
    }

    /// When to turn next if nothing new is desired; `None` = never.
    fn deadline(&self) -> Option<Instant> {
        match self.reconnect {
            Some((at, _)) => Some(at),
            None if self.reconciler.is_idle() => self.keeper.deadline(),
            None => {
                let table = self.reconciler.deadline().unwrap_or_else(clock::now);
                Some(self.keeper.deadline().map_or(table, |settings| settings.min(table)))
            }
        }
    }

    fn retry_now(&mut self, now: Instant) {
        self.reconnect = self.reconnect.map(|(_, pause)| (now, pause));
        self.reconciler.retry_now(now);
        self.keeper.look_now();
    }

    /// At the end: false if another try cannot help.
    fn worth_waiting(&self) -> bool {
        !matches!(self.failure, Some(Error::NoIpvs { .. } | Error::Elsewhere(_)))
    }
}

#[cfg(test)]
mod tests;
