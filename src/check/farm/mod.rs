//! All virtual servers with the state of their checkers: the deciders put together. Pure: results and `now` come in,
//! transitions and the table come out.

mod drain;
mod hurry;
mod probes;
mod real;
mod reload;
mod report;
mod result;
mod share;
mod suspend;
mod told;
mod tracked;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use super::counts::{KindCounts, ServiceCounts};
use super::damping::Damping;
use super::desired::{self, RealNow};
use super::event::{Event, What};
use super::health::{Flip, Health};
use super::outcome::{Failure, Weight};
use super::outside::Outside;
use super::plan::{CheckerPlan, Plan, VirtualPlan};
use super::quorum::{Change, Quorum, Serving};
use super::recalled::Recalled;
use super::schedule::ProbeId;
use super::tiers::Tiers;
use crate::ipvs::table::Table;
use probes::{Place, Probe, Probes};

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
    /// Whose result it will be.
    pub id: ProbeId,
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
    /// Probes that a reload left without users: their runs can be ended.
    pub gone: Vec<ProbeId>,
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
    services: Vec<ServiceState>,
    /// Addresses of this host that virtual servers with `ha_suspend` look at.
    carried: BTreeSet<IpAddr>,
    /// What is run for their checkers.
    probes: Probes,
    /// When a real server is to be looked at without a result: service, real server.
    timers: BTreeSet<(Instant, usize, usize)>,
    /// When the first real server on its way out has to go.
    drain_until: Option<Instant>,
    /// What FILE_CHECK and BFD_CHECK go by.
    outside: Arc<Outside>,
    /// What the process before this one had found; only at the start.
    recalled: Recalled,
    changed: bool,
    checks: u64,
    late_results: u64,
    failures: BTreeMap<&'static str, u64>,
    /// By keepalived's word for the kind of checker.
    kinds: BTreeMap<&'static str, KindCounts>,
}

#[derive(Debug)]
struct ServiceState {
    plan: Arc<VirtualPlan>,
    quorum: Quorum,
    tiers: Tiers,
    reals: Vec<RealState>,
    /// Real servers that a reload took away and whose connections may end.
    draining: Vec<drain::Draining>,
    /// What its checks came to.
    counts: ServiceCounts,
}

#[derive(Debug)]
struct RealState {
    now: RealNow,
    checkers: SmallVec<[CheckerState; 1]>,
    /// What the checkers say together; `now.up` is also false while it is held down.
    checked_up: bool,
    /// In a box: most have never failed.
    past: Option<Box<Past>>,
}

/// What has happened to a real server so far.
#[derive(Debug, Default)]
struct Past {
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

/// One checker of one real server. What it makes of a result is its own affair, also where others share the probe.
#[derive(Debug)]
struct CheckerState {
    probe: ProbeId,
    health: Health,
    /// What its program last said about the weight.
    weight: Option<Weight>,
    /// It has had a result.
    known: bool,
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
        Self::start_again(plan, outside, Recalled::default(), seed, now)
    }

    /// The same with what an earlier process had found: its verdicts stand until checks say otherwise, by the rules of a
    /// running daemon, and nobody is told what he was told already.
    pub fn start_again(
        plan: Plan,
        outside: Arc<Outside>,
        recalled: Recalled,
        seed: u64,
        now: Instant,
    ) -> (Self, Reaction) {
        let mut farm = Self {
            seed,
            services: Vec::new(),
            carried: BTreeSet::new(),
            probes: Probes::default(),
            timers: BTreeSet::new(),
            drain_until: None,
            outside,
            recalled,
            changed: true,
            checks: 0,
            late_results: 0,
            failures: BTreeMap::new(),
            kinds: BTreeMap::new(),
        };
        let reaction = farm.reload(plan, now);
        farm.recalled = Recalled::default();
        (farm, reaction)
    }

    /// The next check of that lane that is due, marked as running: exactly one [`Farm::observe`] must follow, unless
    /// a reload removes the probe.
    pub fn due(&mut self, lane: Lane, now: Instant) -> Option<Job> {
        let (id, probe) = self.probes.pop_due(lane, now)?;
        // All who share it ask for their urls in step, but for those who were suspended.
        let user = probe.users.iter().find(|place| !is_suspended(&self.services, &self.carried, **place));
        let url = user.and_then(|place| checker_at(&self.services, *place)).map_or(0, |c| c.health.url());
        probe.ask_for(url);
        Some(Job { id, plan: Arc::clone(&probe.plan), url })
    }

    /// When the next check of that lane is due.
    pub fn deadline(&self, lane: Lane) -> Option<Instant> {
        self.probes.deadline(lane)
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
}

/// Whether the virtual server of a checker has its checks suspended.
fn is_suspended(services: &[ServiceState], carried: &BTreeSet<IpAddr>, place: Place) -> bool {
    services.get(place.service()).is_some_and(|service| suspend::is_suspended(&service.plan, carried))
}

fn checker_at(services: &[ServiceState], place: Place) -> Option<&CheckerState> {
    services.get(place.service())?.reals.get(place.real())?.checkers.get(place.checker())
}

/// Whether a flip is good news.
const fn is_up(flip: Flip) -> bool {
    matches!(flip, Flip::Up)
}
