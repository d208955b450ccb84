//! All virtual servers with the state of their checkers: the deciders put together. Pure: results and `now` come in,
//! transitions and the table come out.

mod drain;
mod real;
mod reload;
mod report;
mod suspend;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::damping::Damping;
use super::desired::{self, RealNow};
use super::event::{Event, What};
use super::health::{Flip, Health, Seen};
use super::outcome::{Failure, Outcome, Weight};
use super::outside::Outside;
use super::plan::{CheckerPlan, Kind, Plan, VirtualPlan};
use super::quorum::{Change, Quorum, Serving};
use super::schedule::{CheckerId, Schedule};
use super::tiers::Tiers;
use crate::ipvs::table::Table;

/// Checks that share one limit of what may run at a time: programs are far dearer than connections, and a pile of
/// hanging programs must not hold up connections. Those that last ran into their time limit share a lane of their own:
/// where places are few, servers that hang wait for each other, and never does one that answers wait for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Every checker that connects: TCP_CHECK, HTTP_GET, SMTP_CHECK, DNS_CHECK, UDP_CHECK, PING_CHECK.
    Connections,
    /// The same, after a run without an answer in time.
    SlowConnections,
    /// MISC_CHECK.
    Programs,
    /// The same, after a run without a result in time.
    SlowPrograms,
}

/// All lanes.
pub const LANES: [Lane; 4] = [Lane::Connections, Lane::SlowConnections, Lane::Programs, Lane::SlowPrograms];

/// A check to start now.
#[derive(Clone, Debug)]
pub struct Job {
    /// Whom the result is for.
    pub id: CheckerId,
    /// What to do.
    pub plan: Arc<CheckerPlan>,
    /// Which url of an HTTP_GET.
    pub url: usize,
}

/// What a result or a reload led to.
#[derive(Debug, Default)]
pub struct Reaction {
    /// Transitions, in order.
    pub events: Vec<Event>,
    /// What is worth a log line beside them.
    pub notes: Vec<Note>,
    /// Checkers that a reload removed: their runs can be ended.
    pub gone: Vec<CheckerId>,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// For everybody (info), else for those who look for it (debug).
    pub loud: bool,
    /// The line.
    pub text: String,
}

/// The whole of check's state.
#[derive(Debug)]
pub struct Farm {
    seed: u64,
    next_id: u64,
    services: Vec<ServiceState>,
    /// Addresses of this host that virtual servers with `ha_suspend` look at.
    carried: BTreeSet<IpAddr>,
    /// Where each checker stands: service, real server, checker.
    places: HashMap<CheckerId, (usize, usize, usize)>,
    /// One a lane, in the order of [`LANES`].
    schedules: [Schedule; LANES.len()],
    /// When a real server is to be looked at without a result: service, real server.
    timers: BTreeSet<(Instant, usize, usize)>,
    /// When the first real server on its way out has to go.
    drain_until: Option<Instant>,
    /// What FILE_CHECK and BFD_CHECK go by.
    outside: Arc<Outside>,
    changed: bool,
    checks: u64,
    late_results: u64,
    failures: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct ServiceState {
    plan: VirtualPlan,
    quorum: Quorum,
    tiers: Tiers,
    reals: Vec<RealState>,
    /// Real servers that a reload took away and whose connections may end.
    draining: Vec<drain::Draining>,
}

#[derive(Debug)]
struct RealState {
    now: RealNow,
    checkers: Vec<CheckerState>,
    /// What the checkers say together; `now.up` is also false while it is held down.
    checked_up: bool,
    damping: Damping,
    /// When it came back, while its weight grows.
    back_since: Option<Instant>,
    /// When it is to be looked at without a result.
    timer: Option<Instant>,
    /// What the farm has noted of that.
    armed: Option<Instant>,
    last_failure: Option<(Failure, Instant)>,
    last_change: Option<Instant>,
}

#[derive(Debug)]
struct CheckerState {
    id: CheckerId,
    plan: Arc<CheckerPlan>,
    health: Health,
    /// When it is to run; `None` while it runs or is suspended.
    due: Option<Instant>,
    /// A run of it is under way.
    runs: bool,
    /// What its program last said about the weight.
    weight: Option<Weight>,
    /// How long the last run took.
    took: Option<Duration>,
    /// The last run had no result within its time.
    slow: bool,
}

impl CheckerState {
    /// Where its runs queue; `None` for one that is told and never run.
    fn lane(&self) -> Option<Lane> {
        match (&self.plan.kind, self.slow) {
            (Kind::Misc(_), false) => Some(Lane::Programs),
            (Kind::Misc(_), true) => Some(Lane::SlowPrograms),
            (Kind::File(_) | Kind::Bfd(_), _) => None,
            (_, false) => Some(Lane::Connections),
            (_, true) => Some(Lane::SlowConnections),
        }
    }
}

impl ServiceState {
    fn now(&self) -> impl Iterator<Item = &RealNow> {
        self.reals.iter().map(|real| &real.now)
    }

    /// Sum of the weights of the real servers that are up.
    fn sum(&self) -> u32 {
        desired::sum(&self.plan, self.now())
    }

    fn serving(&self) -> Serving {
        desired::serving(&self.plan, self.now(), self.quorum)
    }

    /// Weighs again: the event of a quorum that changed, a note of tiers that did.
    fn weigh(&mut self, reaction: &mut Reaction) {
        self.weigh_tiers(reaction);
        let sum = self.sum();
        let what = match self.quorum.weigh(self.plan.quorum, sum) {
            None => return,
            Some(Change::Gained) => What::QuorumUp,
            Some(Change::Lost) => What::QuorumDown,
        };
        let reason = report::weighed(self, sum, what);
        reaction.events.push(report::quorum_event(&self.plan, what, reason));
    }

    fn weigh_tiers(&mut self, reaction: &mut Reaction) {
        if self.plan.tier_count > 1 {
            let weights = desired::tier_weights(&self.plan, self.now());
            if self.tiers.weigh(self.plan.tiers, &weights) {
                reaction.notes.push(Note { loud: true, text: report::tiers_line(self, &weights) });
            }
        }
    }
}

impl Farm {
    /// A farm at the start of the daemon: see [`Farm::reload`] for what it answers with. The seed decides when the
    /// first checks start.
    pub fn start(plan: Plan, seed: u64, now: Instant) -> (Self, Reaction) {
        Self::start_with(plan, Arc::default(), seed, now)
    }

    /// The same with what is known outside at the start.
    pub fn start_with(plan: Plan, outside: Arc<Outside>, seed: u64, now: Instant) -> (Self, Reaction) {
        let mut farm = Self {
            seed,
            next_id: 0,
            services: Vec::new(),
            carried: BTreeSet::new(),
            places: HashMap::new(),
            schedules: Default::default(),
            timers: BTreeSet::new(),
            drain_until: None,
            outside,
            changed: true,
            checks: 0,
            late_results: 0,
            failures: BTreeMap::new(),
        };
        let reaction = farm.reload(plan, now);
        (farm, reaction)
    }

    /// The next check of that lane that is due, marked as running: exactly one [`Farm::observe`] must follow, unless
    /// a reload removes the checker.
    pub fn due(&mut self, lane: Lane, now: Instant) -> Option<Job> {
        loop {
            let id = self.schedule(lane).pop_due(now)?;
            let Some(checker) = self.checker(id) else { continue };
            checker.due = None;
            checker.runs = true;
            return Some(Job { id, plan: Arc::clone(&checker.plan), url: checker.health.url() });
        }
    }

    /// When the next check of that lane is due.
    pub fn deadline(&self, lane: Lane) -> Option<Instant> {
        self.schedules[lane as usize].next()
    }

    /// Takes the result of a check that ended at `now`. A result for a checker that is no more is counted and dropped.
    pub fn observe(&mut self, id: CheckerId, outcome: &Outcome, now: Instant) -> Reaction {
        let mut reaction = Reaction::default();
        let Some(&(s, r, c)) = self.places.get(&id) else {
            self.late_results += 1;
            return reaction;
        };
        self.checks += 1;
        let suspended = suspend::is_suspended(&self.services[s].plan, &self.carried);
        let service = &mut self.services[s];
        let plan = &service.plan.reals[r];
        let real = &mut service.reals[r];
        let checker = &mut real.checkers[c];

        checker.runs = false;
        if suspended && checker.lane().is_some() {
            // It began before the address went: what it found is of no use any more.
            self.late_results += 1;
            return reaction;
        }
        let url = checker.health.url();
        let seen = match &outcome.result {
            Ok(_) => Seen::Success,
            Err(Failure::Timeout(_)) => Seen::Timeout,
            Err(_) => Seen::Failure,
        };
        let observed = checker.health.observe(&checker.plan.rules, seen, now);
        checker.took = Some(outcome.took);
        checker.slow = seen == Seen::Timeout;
        checker.due = checker.lane().map(|lane| {
            self.schedules[lane as usize].add(observed.again, id);
            observed.again
        });
        match &outcome.result {
            Ok(success) => checker.weight = success.weight.or(checker.weight),
            Err(failure) => {
                *self.failures.entry(failure.name()).or_default() += 1;
                real.last_failure = Some((failure.clone(), now));
            }
        }

        let checker_plan = Arc::clone(&checker.plan);
        let words = || report::result_words(plan, &checker_plan, url, outcome, observed.tries);
        let before = real.now;
        let held = real.refresh(plan, now);
        let until = real.damping.held_until();
        if before.up != real.now.up {
            let what = if real.now.up { What::RealServerUp } else { What::RealServerDown };
            let reason = held.map_or_else(words, |hold| report::held_words(plan, hold, &words()));
            reaction.events.push(report::real_event(&service.plan, plan, what, reason));
        } else if observed.flip.is_some() || outcome.result.is_err() {
            let loud = observed.flip.is_some() || checker_plan.log_all_failures;
            let text = match (observed.flip, until) {
                (Some(_), Some(until)) => {
                    let left = until.saturating_duration_since(now);
                    report::held_line(&service.plan, plan, left, &words())
                }
                (flip, _) => report::checker_line(&service.plan, plan, &checker_plan, flip, &words()),
            };
            reaction.notes.push(Note { loud, text });
        }
        if before.weight != real.now.weight {
            let text =
                report::weight_line(&service.plan, plan, &checker_plan, before.weight, real.now.weight);
            reaction.notes.push(Note { loud: true, text });
        }
        if before != real.now {
            self.changed = true;
            service.weigh(&mut reaction);
        }
        self.arm(s, r);
        reaction
    }

    /// Whether [`Farm::changed_table`] has a table to give.
    pub const fn has_changed(&self) -> bool {
        self.changed
    }

    /// The whole table, if it may differ from what the last call gave (or on the first call).
    pub fn changed_table(&mut self) -> Option<Table> {
        std::mem::take(&mut self.changed).then(|| self.table())
    }

    /// The whole table.
    pub fn table(&self) -> Table {
        self.services
            .iter()
            .flat_map(|service| {
                let now: Vec<RealNow> = service.now().copied().collect();
                let (serving, tiers) = (service.serving(), service.tiers.serving(service.plan.tiers));
                service.plan.members.iter().map(move |member| {
                    let mut table = desired::service(&service.plan, member, &now, serving, &tiers);
                    drain::add(&service.draining, member, &mut table);
                    (member.key, table)
                })
            })
            .collect()
    }

    /// What an orderly stop tells: for virtual servers with `omega`, that every real server and the quorum are down.
    pub fn stop(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for service in self.services.iter().filter(|service| service.plan.omega) {
            for (plan, real) in service.plan.reals.iter().zip(&service.reals) {
                if real.now.up {
                    let reason = report::STOPPING.to_owned();
                    events.push(report::real_event(&service.plan, plan, What::RealServerDown, reason));
                }
            }
            if service.quorum.is_up() {
                let reason = report::STOPPING.to_owned();
                events.push(report::quorum_event(&service.plan, What::QuorumDown, reason));
            }
        }
        events
    }

    fn schedule(&mut self, lane: Lane) -> &mut Schedule {
        &mut self.schedules[lane as usize]
    }

    fn checker(&mut self, id: CheckerId) -> Option<&mut CheckerState> {
        let &(s, r, c) = self.places.get(&id)?;
        self.services.get_mut(s)?.reals.get_mut(r)?.checkers.get_mut(c)
    }
}

/// Whether a flip is good news.
const fn is_up(flip: Flip) -> bool {
    matches!(flip, Flip::Up)
}
