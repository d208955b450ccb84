//! The loop of the check thread: starts the checks that are due, feeds their results to the [`Farm`], publishes the
//! table. Decides nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::checkers::{Started, Tools};
use super::connections::{Connections, parse};
use super::event::Event;
use super::farm::{Farm, Job, LANES, Lane, Reaction};
use super::hurry::Orders;
use super::outcome::{Failure, Outcome};
use super::outside::Outside;
use super::places::Places;
use super::plan::Plan;
use super::planner::Planner;
use super::recalled::Recalled;
use super::schedule::ProbeId;
use super::status::{Asked, Next, Question};
use super::tracked;
use crate::clock;
use crate::config::model::Config;
use crate::ipvs::table::Table;
use crate::net::space::{Space, within};
use crate::process;

/// Checks started before results are looked at again: a thousand that are due at once hold up no answer.
const STARTS_A_TURN: usize = 128;
/// Connections of servers that drain are counted this often.
const COUNT_EVERY: Duration = Duration::from_secs(2);
/// Building tables, and the status, takes at most one part in so many of the time.
const SHARE: u32 = 10;
/// A table waits no longer than this, however large it is.
const LONGEST_REST: Duration = Duration::from_millis(50);
/// A rest below this is none: timers are no finer.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// How long no table is built after one that took so long. A small farm's never rests; where ten thousand servers are in
/// it and a thousand of them fail one after the other, a table for each would be all that the thread does.
fn rest(took: Duration) -> Duration {
    let rest = took.saturating_mul(SHARE - 1).min(LONGEST_REST);
    if rest < SHORTEST_REST { Duration::ZERO } else { rest }
}

/// Where check's findings go.
#[derive(Debug)]
pub struct Outputs {
    /// The whole table that should be in the kernel; latest wins. The first value is complete before any check has
    /// run: real servers are in, but for those with `alpha`.
    pub table: watch::Sender<Arc<Table>>,
    /// Transitions. When it is full, an event is dropped and counted: checks wait for nobody, and nothing is decided by
    /// them.
    pub events: mpsc::Sender<Event>,
    /// Quorums that somebody goes by, not later than the table.
    pub quorums: tracked::Teller,
    /// Who asks for what is known of every server.
    pub asked: Asked,
}

/// Runs checks until the sender of the configuration is dropped. Then the down programs of virtual servers with
/// `omega` are told as events, and the table is published empty.
///
/// A new configuration takes effect at once: checkers with equal parameters keep their state ([`Farm::reload`]). The seed
/// decides when first checks start within their spread.
pub async fn run(config: watch::Receiver<Arc<Config>>, seed: u64, out: Outputs) {
    // Nothing is known outside, and nothing will be: closed channels.
    let (_, outside) = watch::channel(Arc::default());
    let (_, carried) = watch::channel(Arc::default());
    run_with(config, outside, carried, Recalled::default(), seed, out).await;
}

/// The same with what FILE_CHECK and BFD_CHECK go by, and with the addresses of this host that `ha_suspend` looks at
/// (without them such checks do not run). Their senders may be dropped: the last word then stands. `recalled`: what an
/// earlier process had found.
pub async fn run_with(
    mut config: watch::Receiver<Arc<Config>>,
    mut outside: watch::Receiver<Arc<Outside>>,
    mut carried: watch::Receiver<Arc<BTreeSet<IpAddr>>>,
    recalled: Recalled,
    seed: u64,
    out: Outputs,
) {
    let mut planner = Planner::default();
    let plan = planner.plan(&config.borrow_and_update());
    let known = Arc::clone(&outside.borrow_and_update());
    let (mut heard, mut asked) = (true, true);
    let (farm, reaction) = Farm::start_again(plan, known, recalled, seed, clock::now());
    let mut driver = Driver {
        farm,
        tools: Tools::default(),
        out,
        runs: JoinSet::new(),
        running: Vec::new(),
        in_flight: [0; LANES.len()],
        places: Places::of(process::descriptors()),
        events: Vec::new(),
        lost_events: 0,
        table_after: None,
        published: false,
        questions: Vec::new(),
        orders: Orders::default(),
        answer_after: None,
        count_at: None,
    };
    let (mut counting, mut counting_since) = (None, clock::now());
    driver.react(reaction);
    carried.mark_changed();
    loop {
        let now = clock::now();
        driver.tick(now);
        driver.publish(now);
        driver.answer(now);
        if driver.start_due(now) {
            // Those that were started, and those that have an answer, come first.
            tokio::task::yield_now().await;
        }
        if driver.count_due(now) && counting.is_none() {
            counting_since = now;
            let space = Space::of_ipvs(config.borrow().net_namespace_ipvs.as_deref());
            counting = Some(tokio::task::spawn_blocking(move || count(space.as_ref())));
        }
        let wake = driver.deadline().map(tokio::time::Instant::from_std);
        tokio::select! {
            changed = config.changed() => {
                if changed.is_err() {
                    break;
                }
                let plan = planner.plan(&config.borrow_and_update());
                let known = Arc::clone(&outside.borrow_and_update());
                // First what new checkers will be asking for.
                driver.hear(known, clock::now());
                driver.reload(plan, clock::now());
            }
            changed = outside.changed(), if heard => match changed {
                Ok(()) => {
                    let known = Arc::clone(&outside.borrow_and_update());
                    driver.hear(known, clock::now());
                }
                Err(_) => heard = false,
            },
            Ok(()) = carried.changed() => {
                let now_here = (**carried.borrow_and_update()).clone();
                let reaction = driver.farm.carry(now_here, clock::now());
                driver.react(reaction);
            }
            Some(ended) = driver.runs.join_next() => {
                // All that is ready goes into one turn: a wave of failures makes one table, not hundreds.
                let now = clock::now();
                driver.ended(ended, now);
                while let Some(ended) = driver.runs.try_join_next() {
                    driver.ended(ended, now);
                }
            }
            counts = counted(&mut counting) => {
                counting = None;
                let count = |service, destination| counts.get(&(service, destination)).copied();
                let reaction = driver.farm.count(count, counting_since);
                driver.react(reaction);
            }
            () = driver.out.quorums.changed() => driver.tell_quorums(clock::now()),
            question = driver.out.asked.next(), if asked => match question {
                Some(Next::Question(question)) => driver.questions.push(question),
                Some(Next::Order(order)) if driver.orders.has_room() => {
                    let due = driver.farm.hurry(&order.which, clock::now());
                    driver.orders.add(due, order.told);
                }
                // Who gave it hears that it was dropped.
                Some(Next::Order(_)) => {}
                None => asked = false,
            },
            () = sleep_until(wake) => {}
        }
    }
    driver.stop();
}

/// The kernel's counts of connections; none where it has no IPVS.
fn count(space: Option<&Space>) -> Connections {
    // Of the reading thread's own network namespace.
    let text = within(space, || std::fs::read_to_string("/proc/thread-self/net/ip_vs"));
    text.ok().and_then(Result::ok).map_or_else(Connections::new, |text| parse(&text))
}

async fn counted(counting: &mut Option<tokio::task::JoinHandle<Connections>>) -> Connections {
    match counting {
        Some(counting) => counting.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

async fn sleep_until(wake: Option<tokio::time::Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

struct Driver {
    farm: Farm,
    tools: Tools,
    out: Outputs,
    runs: JoinSet<(ProbeId, Outcome)>,
    /// Those under way, each at the slot of its probe.
    running: Vec<Option<Running>>,
    in_flight: [usize; LANES.len()],
    places: Places,
    /// Transitions that are not told yet.
    events: Vec<Event>,
    lost_events: u64,
    /// No table is built before that time.
    table_after: Option<Instant>,
    /// The first table has been told.
    published: bool,
    /// Who wants to know everything.
    questions: Vec<Question>,
    /// Who wants checks at once.
    orders: Orders,
    /// No status is made before that time.
    answer_after: Option<Instant>,
    /// When to count the connections of servers that drain.
    count_at: Option<Instant>,
}

/// A run under way.
struct Running {
    id: ProbeId,
    lane: Lane,
    handle: AbortHandle,
}

impl Driver {
    const fn has_place(&self, lane: Lane) -> bool {
        self.in_flight[lane as usize] < self.places.limit(lane)
    }

    /// Starts what is due; true when there may be more than one turn's share.
    fn start_due(&mut self, now: Instant) -> bool {
        let mut more = false;
        for lane in LANES {
            let mut left = STARTS_A_TURN;
            while self.has_place(lane) {
                if left == 0 {
                    more = true;
                    break;
                }
                left -= 1;
                let Some(Job { id, plan, url }) = self.farm.due(lane, now) else { break };
                match self.tools.start(&plan, url) {
                    Started::Ended(outcome) => {
                        let reaction = self.farm.observe(id, &outcome, now);
                        self.react(reaction);
                        self.orders.ended(id);
                    }
                    Started::Running(run) => {
                        let handle = self.runs.spawn(async move { (id, run.await) });
                        self.note(Running { id, lane, handle });
                    }
                }
            }
        }
        more
    }

    fn note(&mut self, run: Running) {
        let slot = run.id.slot as usize;
        if self.running.len() <= slot {
            self.running.resize_with(slot + 1, || None);
        }
        self.in_flight[run.lane as usize] += 1;
        if let Some(place) = self.running.get_mut(slot) {
            *place = Some(run);
        }
    }

    /// The run of a probe is over, or is to be.
    fn release(&mut self, id: ProbeId) -> Option<Running> {
        let run = self.running.get_mut(id.slot as usize)?.take_if(|run| run.id == id)?;
        self.in_flight[run.lane as usize] = self.in_flight[run.lane as usize].saturating_sub(1);
        Some(run)
    }

    /// When to turn again without a result: a check that is due and may start, or a table or an answer that waits.
    fn deadline(&self) -> Option<Instant> {
        let checks = LANES
            .into_iter()
            .filter(|lane| self.has_place(*lane))
            .filter_map(|lane| self.farm.deadline(lane));
        let table = self.table_after.filter(|_| self.farm.has_changed());
        let answer = self.answer_after.filter(|_| !self.questions.is_empty());
        let others = [self.farm.wake(), self.count_at, self.out.quorums.again()];
        checks.chain(table).chain(answer).chain(others.into_iter().flatten()).min()
    }

    fn ended(&mut self, ended: Result<(ProbeId, Outcome), JoinError>, now: Instant) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            // Who ended it has noted that.
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                let broke = |run: &&Running| run.handle.id() == error.id();
                let Some(run) = self.running.iter().flatten().find(broke) else { return };
                let result = Err(Failure::Broken(error.to_string()));
                (run.id, Outcome { result, took: Duration::ZERO })
            }
        };
        self.release(id);
        let reaction = self.farm.observe(id, &outcome, now);
        self.react(reaction);
        self.orders.ended(id);
    }

    /// What time alone brings.
    fn tick(&mut self, now: Instant) {
        if self.farm.wake().is_some_and(|at| at <= now) {
            let reaction = self.farm.tick(now);
            self.react(reaction);
        }
    }

    /// True when it is time to count. First some time after a server began to drain: by then the kernel sends it nothing
    /// new.
    fn count_due(&mut self, now: Instant) -> bool {
        if !self.farm.drains() {
            self.count_at = None;
            return false;
        }
        let due = self.count_at.is_some_and(|at| at <= now);
        if due || self.count_at.is_none() {
            self.count_at = Some(now + COUNT_EVERY);
        }
        due
    }

    fn hear(&mut self, outside: Arc<Outside>, now: Instant) {
        let reaction = self.farm.hear(outside, now);
        self.react(reaction);
    }

    fn reload(&mut self, plan: Plan, now: Instant) {
        self.tools = self.tools.renewed();
        let reaction = self.farm.reload(plan, now);
        self.react(reaction);
    }

    fn react(&mut self, reaction: Reaction) {
        for id in reaction.gone {
            self.orders.gone(id);
            if let Some(run) = self.release(id) {
                run.handle.abort();
            }
        }
        for note in reaction.notes {
            if note.loud {
                tracing::info!("{}", note.text);
            } else {
                tracing::debug!("{}", note.text);
            }
        }
        self.events.extend(reaction.events);
    }

    fn tell(&mut self, event: Event) {
        let virtual_server = tracing::field::display(&event.virtual_server);
        tracing::info!(virtual_server, real_server = event.real_server.as_deref(), "{event}");
        if let Err(error) = self.out.events.try_send(event) {
            self.lost_events += 1;
            tracing::warn!("an event of the checks was dropped, its program does not run: {error}");
        }
    }

    fn publish(&mut self, now: Instant) {
        let rests = self.table_after.is_some_and(|after| now < after);
        if !rests && let Some(table) = self.farm.changed_table() {
            // The first one is told even when it is empty: from then on the table is ours to answer for.
            let first = !std::mem::replace(&mut self.published, true);
            self.out.table.send_if_modified(|last| {
                let differs = first || **last != table;
                if differs {
                    *last = Arc::new(table);
                }
                differs
            });
            self.tell_quorums(now);
            self.table_after = Some(now + rest(clock::now().saturating_duration_since(now)));
        }
        if self.out.quorums.again().is_some_and(|at| at <= now) {
            self.tell_quorums(now);
        }
        // After the table: a program that is told of a dead server finds it on its way out.
        if !self.farm.has_changed() {
            for event in std::mem::take(&mut self.events) {
                self.tell(event);
            }
        }
    }

    fn tell_quorums(&mut self, now: Instant) {
        let farm = &self.farm;
        self.out.quorums.tell(now, |names| farm.quorums(names));
    }

    /// Answers everybody who asked, by one and the same status.
    fn answer(&mut self, now: Instant) {
        if self.questions.is_empty() || self.answer_after.is_some_and(|after| now < after) {
            return;
        }
        let mut status = self.farm.status_with(&self.tools.certificates());
        status.in_flight = self.in_flight.iter().sum();
        status.lost_events = self.lost_events;
        let status = Arc::new(status);
        while let Some(question) = self.out.asked.waiting() {
            self.questions.push(question);
        }
        for question in self.questions.drain(..) {
            question.answer(Arc::clone(&status));
        }
        let took = clock::now().saturating_duration_since(now);
        self.answer_after = Some(now + took.saturating_mul(SHARE - 1));
    }

    fn stop(&mut self) {
        self.runs.abort_all();
        let mut events = std::mem::take(&mut self.events);
        events.extend(self.farm.stop());
        for event in events {
            self.tell(event);
        }
        self.out.table.send_replace(Arc::new(Table::new()));
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
