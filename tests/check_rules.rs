//! Health rules beyond keepalived's, on a virtual clock and without sockets: rise, timeouts, slow start, damping, tiers,
//! sorry servers with checks, drains, what people want of a server; and that no history makes another table than the present.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tandem::check::Event;
use tandem::check::farm::{Farm, Job, LANES, Reaction};
use tandem::check::outcome::{Failure, Outcome, Success};
use tandem::check::plan::{Kind, Plan};
use tandem::check::quorum::Serving;
use tandem::config;
use tandem::config::model::{
    AdminState, Config, FlapDamping, Protocol, RealServer, SorryServer, TcpCheck, TierMode, VirtualServer,
};
use tandem::config::resolve::Facts;
use tandem::config::units::Secs;
use tandem::control::routes::{Change, Order, ServerName};
use tandem::core::overrides::{Said, decide};
use tandem::ipvs::table::{DestinationKey, ServiceKey};

const LOOP: u64 = 4;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn real(last: u8, weight: u16) -> RealServer {
    let mut real = RealServer::new(address(last));
    real.weight = Some(weight);
    real.tcp_check.push(TcpCheck::default());
    real
}

fn tiered(last: u8, weight: u16, tier: u16) -> RealServer {
    let mut real = real(last, weight);
    real.tier = Some(tier);
    real
}

fn sorry(last: u8, weight: u16) -> RealServer {
    let mut real = real(last, weight);
    real.sorry = true;
    real
}

fn server(reals: Vec<RealServer>) -> VirtualServer {
    VirtualServer {
        address: Some(address(1)),
        port: Some(80),
        protocol: Some(Protocol::Tcp),
        delay_loop: Some(Secs::from_secs(LOOP)),
        real_server: reals,
        ..VirtualServer::default()
    }
}

fn plan(server: VirtualServer) -> Plan {
    Plan::new(&Config { virtual_server: vec![server.into()], ..Config::default() })
}

/// A farm whose checks take no time, in a world where each real server answers, refuses or is silent.
struct World {
    farm: Farm,
    now: Instant,
    events: Vec<Event>,
    notes: Vec<String>,
}

/// The answer of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Good,
    Refused,
    Silent,
    /// This machine could not ask.
    Unasked,
}

fn outcome(answer: Answer) -> Outcome {
    let result = match answer {
        Answer::Good => Ok(Success::default()),
        Answer::Refused => Err(Failure::Refused),
        Answer::Silent => Err(Failure::Timeout(seconds(5))),
        Answer::Unasked => Err(Failure::Source("that address is not on this machine".to_owned())),
    };
    Outcome { result, took: Duration::from_millis(1) }
}

/// Last octet of the server that a check goes to.
fn octet(job: &Job) -> u8 {
    match &job.plan.kind {
        Kind::Tcp(target) => match target.address.ip() {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(_) => 0,
        },
        _ => 0,
    }
}

impl World {
    fn new(plan: Plan) -> Self {
        let now = tandem::clock::now();
        let (farm, reaction) = Farm::start(plan, 1, now);
        let mut world = Self { farm, now, events: Vec::new(), notes: Vec::new() };
        world.take(reaction);
        world
    }

    fn take(&mut self, reaction: Reaction) {
        self.events.extend(reaction.events);
        self.notes.extend(reaction.notes.into_iter().map(|note| note.text));
    }

    /// Everything that comes due within that time, as the driver does it.
    fn run(&mut self, time: Duration, mut answer: impl FnMut(u8) -> Answer) {
        let end = self.now + time;
        loop {
            let checks = LANES.iter().filter_map(|lane| self.farm.deadline(*lane));
            let Some(at) = checks.chain(self.farm.wake()).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            if self.farm.wake().is_some_and(|at| at <= self.now) {
                let reaction = self.farm.tick(self.now);
                self.take(reaction);
                assert!(self.farm.wake().is_none_or(|at| at > self.now), "a tick leaves nothing that is due");
            }
            for lane in LANES {
                while let Some(job) = self.farm.due(lane, self.now) {
                    let outcome = outcome(answer(octet(&job)));
                    let reaction = self.farm.observe(job.id, &outcome, self.now);
                    self.take(reaction);
                }
            }
        }
        self.now = end;
    }

    /// So long with these servers alive and the others dead.
    fn alive(&mut self, secs: u64, alive: &[u8]) -> String {
        self.run(seconds(secs), |last| if alive.contains(&last) { Answer::Good } else { Answer::Refused });
        self.shown()
    }

    fn reload(&mut self, plan: Plan) -> String {
        let reaction = self.farm.reload(plan, self.now);
        self.take(reaction);
        self.shown()
    }

    /// The service's destinations, `last octet * weight`.
    fn shown(&self) -> String {
        let table = self.farm.table();
        let destinations = table.values().flat_map(|service| &service.destinations);
        let shown = destinations.map(|(key, destination)| {
            let text = key.address.to_string();
            format!("{}*{}", text.rsplit('.').next().unwrap_or_default(), destination.weight)
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.events).iter().map(ToString::to_string).collect()
    }
}

/// The words of a file, in the one form and the other, end in the same numbers.
/// keepalived logs a check that it could not even begin, and tries again: a farm whose checks come from an address of the
/// other director is not down.
#[test]
fn a_check_that_this_machine_cannot_run_says_nothing() {
    let mut world = World::new(plan(server(vec![real(3, 1), real(4, 1)])));
    world.run(seconds(3 * LOOP), |_| Answer::Unasked);
    assert_eq!(world.shown(), "3*1 4*1");
    assert!(world.notes.iter().any(|note| note.contains("says nothing, the server stays as it is")));
    // Down stays down as well, and what counts is counted.
    assert_eq!(world.alive(2 * LOOP, &[4]), "4*1");
    world.run(seconds(3 * LOOP), |last| if last == 4 { Answer::Good } else { Answer::Unasked });
    assert_eq!(world.shown(), "4*1");
    assert_eq!(world.alive(2 * LOOP, &[3, 4]), "3*1 4*1");
}

#[test]
fn words_are_inherited_from_the_nearest() {
    let text = "virtual_server 10.0.0.1 80 {
        protocol TCP\n delay_loop 10\n fall 5\n rise 3\n fast_interval 2\n timeout_retry 4\n slow_start 30
        flap_damping 4 60 90\n tier_min_weight 50\n tier_hysteresis 5\n tier_mode join
        drain_on_removal\n drain_timeout 20
        real_server 10.0.0.3 80 { TCP_CHECK { } }
        real_server 10.0.0.4 80 {
            rise 2\n retry 1\n slow_start 5\n tier 7
            TCP_CHECK { fall 1\n fast_interval 0.5\n timeout_retry 0 }
        }
        real_server 10.0.0.9 80 { sorry\n FILE_CHECK { track_file x } }
    }";
    let loaded = config::load_text(Path::new("a.conf"), text.as_bytes(), &Facts::default());
    let plan = Plan::new(&loaded.config);
    let service = &plan.services[0];
    let numbers = |n: usize| {
        let rules = &service.reals[n].checkers[0].rules;
        (rules.retry, rules.rise, rules.timeout_retry, rules.delay_before_retry, rules.delay_before_rise)
    };
    assert_eq!(numbers(0), (4, 3, Some(4), seconds(2), seconds(2)));
    let half = Duration::from_millis(500);
    assert_eq!(numbers(1), (0, 2, Some(0), half, half));
    let reals = &service.reals;
    assert_eq!([reals[0].slow_start, reals[1].slow_start], [Some(seconds(30)), Some(seconds(5))]);
    assert_eq!(reals[0].damping.map(|d| (d.flips, d.within, d.hold)), Some((4, seconds(60), seconds(90))));
    assert_eq!([reals[0].tier, reals[1].tier], [0, 1]);
    assert_eq!((service.tier_count, service.tiers.least, service.tiers.hysteresis), (2, 50, 5));
    assert_eq!((service.drain, reals[2].sorry), (Some(seconds(20)), true));
}

#[test]
fn rise_and_timeouts_through_the_farm() {
    let mut farm = server(vec![real(3, 1), real(4, 1)]);
    (farm.rise, farm.fast_interval) = (Some(3), Some(Secs::from_secs(1)));
    (farm.fall, farm.timeout_retry) = (Some(1), Some(3));
    let mut world = World::new(plan(farm));
    assert_eq!(world.alive(LOOP, &[3, 4]), "3*1 4*1");
    // Silence is endured for four tries, a second apart after the first; a refusal is not.
    let silent = |last| if last == 3 { Answer::Silent } else { Answer::Good };
    world.run(seconds(2), silent);
    assert_eq!(world.shown(), "3*1 4*1");
    world.run(seconds(2), silent);
    assert_eq!(world.shown(), "4*1");
    let down = world.told().pop().unwrap_or_default();
    assert!(down.ends_with("no answer within 5s (try 4 of 4)"), "{down}");
    // Back after three successes, the last two a second apart.
    let before = world.now;
    while world.shown() == "4*1" {
        world.run(Duration::from_millis(100), |_| Answer::Good);
    }
    let took = world.now - before;
    assert!((2..=LOOP + 3).contains(&took.as_secs()), "{took:?}");
    world.run(seconds(LOOP), |last| if last == 3 { Answer::Refused } else { Answer::Good });
    assert_eq!(world.shown(), "4*1");
}

#[test]
fn slow_start_gives_a_server_that_came_back_its_weight_bit_by_bit() {
    let mut farm = server(vec![real(3, 100), real(4, 100)]);
    (farm.slow_start, farm.quorum) = (Some(Secs::from_secs(100)), Some(200));
    let mut world = World::new(plan(farm.clone()));
    // Not at the start: there all begin alike.
    assert_eq!(world.alive(1, &[4]), "4*100");
    while world.shown() == "4*100" {
        world.alive(1, &[3, 4]);
    }
    assert_eq!(world.shown(), "3*10 4*100");
    // Its whole weight counts for the quorum.
    assert!(world.farm.status().services[0].quorum_up);
    assert_eq!(world.alive(20, &[3, 4]), "3*20 4*100");
    // A reload changes nothing of that.
    assert_eq!(world.reload(plan(farm.clone())), "3*20 4*100");
    assert_eq!(world.alive(40, &[3, 4]), "3*60 4*100");
    farm.slow_start = None;
    assert_eq!(world.reload(plan(farm)), "3*100 4*100");
    assert_eq!(world.alive(41, &[3, 4]), "3*100 4*100");
    assert_eq!(world.farm.wake(), None);
}

#[test]
fn a_server_that_flaps_is_held_down_and_says_so() {
    let mut farm = server(vec![real(3, 1), real(4, 1)]);
    farm.retry = None;
    let secs = Secs::from_secs;
    farm.flap_damping = Some(FlapDamping { flips: 4, within: secs(100), hold: Some(secs(50)) });
    let mut check = TcpCheck::default();
    check.pace.retry = Some(0);
    farm.real_server[0].tcp_check = vec![check];
    let mut world = World::new(plan(farm.clone()));
    let mut flip = false;
    for _ in 0..4 {
        world.run(seconds(LOOP), |last| if last == 3 && !flip { Answer::Refused } else { Answer::Good });
        flip = !flip;
    }
    // Down, up, down, and up again would be the fourth.
    assert_eq!(world.shown(), "4*1");
    let status = world.farm.status();
    let held = status.services[0].reals[0].held_until;
    assert!(held.is_some_and(|until| until > world.now && until <= world.now + seconds(50)));
    assert!(status.services[0].reals[0].checkers[0].up, "its checks are right, it is held all the same");
    assert!(world.notes.iter().any(|note| note.contains("flaps")), "{:?}", world.notes);
    // A reload does not let it go, unless the word is gone.
    assert_eq!(world.reload(plan(farm.clone())), "4*1");
    world.told();
    assert_eq!(world.alive(51, &[3, 4]), "3*1 4*1");
    assert_eq!(
        world.told(),
        [
            "real server 10.0.0.3:80 of TCP 10.0.0.1:80 is up: it was held down for flapping, and its time is over"
        ]
    );
    for n in 0..4 {
        world.run(seconds(LOOP), |last| if last == 3 && n % 2 == 0 { Answer::Refused } else { Answer::Good });
    }
    assert_eq!(world.shown(), "4*1");
    farm.flap_damping = None;
    assert_eq!(world.reload(plan(farm)), "3*1 4*1");
}

/// The fall that is one too many: told once, with both reasons.
#[test]
fn the_failure_that_begins_a_hold_tells_both_reasons() {
    let mut farm = server(vec![real(3, 1), real(4, 1)]);
    farm.flap_damping =
        Some(FlapDamping { flips: 3, within: Secs::from_secs(100), hold: Some(Secs::from_secs(50)) });
    let mut check = TcpCheck::default();
    check.pace.retry = Some(0);
    farm.real_server[0].tcp_check = vec![check];
    let mut world = World::new(plan(farm));
    for n in 0..3 {
        world.run(seconds(LOOP), |last| if last == 3 && n % 2 == 0 { Answer::Refused } else { Answer::Good });
    }
    let down = world.told().pop().unwrap_or_default();
    assert_eq!(
        down,
        "real server 10.0.0.3:80 of TCP 10.0.0.1:80 is down: connection refused (try 1 of 1); it flaps (3 times \
         within 100 s) and is held down for 50 s"
    );
    // Its checks recover while it is held: it comes when its time is over, and at once.
    assert_eq!(world.alive(40, &[3, 4]), "4*1");
    assert_eq!(world.alive(11, &[3, 4]), "3*1 4*1");
}

#[test]
fn tiers_take_over_or_join() {
    let mut farm = server(vec![real(3, 10), real(4, 10), tiered(5, 10, 2), tiered(6, 10, 30)]);
    (farm.tier_min_weight, farm.tier_hysteresis) = (Some(60), Some(0));
    let mut world = World::new(plan(farm.clone()));
    let all = [3, 4, 5, 6];
    assert_eq!(world.alive(12, &all), "3*10 4*10 5*0 6*0");
    assert_eq!(world.alive(12, &[4, 5, 6]), "4*0 5*10 6*0");
    assert_eq!(world.alive(12, &[4, 6]), "4*0 6*10");
    // Nobody has enough: whoever there is.
    assert_eq!(world.alive(12, &[4]), "4*10");
    assert!(
        world.notes.iter().any(|note| note.contains("tier 2 serves (weight 10 of 10)")),
        "{:?}",
        world.notes
    );
    assert_eq!(world.alive(12, &all), "3*10 4*10 5*0 6*0");
    farm.tier_mode = Some(TierMode::Join);
    let mut world = World::new(plan(farm));
    assert_eq!(world.alive(12, &[4, 5, 6]), "4*10 5*10 6*0");
    assert_eq!(world.farm.status().services[0].tiers, [true, true, false]);
}

#[test]
fn sorry_servers_with_checks_of_their_own() {
    let mut farm = server(vec![real(3, 1), sorry(7, 2), sorry(8, 3)]);
    farm.sorry_server = Some(SorryServer { address: address(9), port: None });
    let mut world = World::new(plan(farm.clone()));
    assert_eq!(world.alive(12, &[3, 7, 8]), "3*1");
    world.told();
    assert_eq!(world.alive(12, &[7, 8]), "7*2 8*3");
    assert!(world.told().iter().any(|event| event.ends_with("sorry servers serve")));
    assert_eq!(world.alive(12, &[8]), "8*3");
    assert_eq!(world.farm.status().services[0].serving, Serving::SorryPool);
    assert_eq!(world.alive(12, &[]), "9*1");
    assert_eq!(world.alive(12, &[3]), "3*1");
    farm.sorry_server_inhibit = true;
    assert_eq!(world.reload(plan(farm)), "3*1 7*0 8*0 9*0");
}

#[test]
fn a_removed_server_drains() {
    let with = |reals: Vec<RealServer>, drain: bool| {
        let mut farm = server(reals);
        (farm.drain_on_removal, farm.drain_timeout) = (drain, Some(Secs::from_secs(30)));
        plan(farm)
    };
    let both = || vec![real(3, 1), real(4, 1)];
    let mut world = World::new(with(both(), false));
    world.alive(12, &[3, 4]);
    assert_eq!(world.reload(with(vec![real(4, 1)], false)), "4*1");

    let mut world = World::new(with(both(), true));
    world.alive(12, &[3, 4]);
    assert_eq!(world.reload(with(vec![real(4, 1)], true)), "3*0 4*1");
    // Another reload does not begin its time anew.
    assert_eq!(world.alive(20, &[4]), "3*0 4*1");
    assert_eq!(world.reload(with(vec![real(4, 1)], true)), "3*0 4*1");
    assert!(world.farm.drains());
    assert_eq!(world.alive(11, &[4]), "4*1");
    assert!(!world.farm.drains() && world.farm.wake().is_none());

    // Idle before its time, and not before all counts are known to be 0.
    world.reload(with(both(), true));
    world.alive(12, &[3, 4]);
    world.reload(with(vec![real(4, 1)], true));
    let count = |world: &mut World, n: Option<u32>| {
        let reaction = world.farm.count(|_: ServiceKey, _: DestinationKey| n, world.now);
        world.take(reaction);
        world.shown()
    };
    // Of this moment a count says nothing: the kernel may not have its weight yet.
    assert_eq!(count(&mut world, Some(0)), "3*0 4*1");
    assert_eq!(world.alive(1, &[4]), "3*0 4*1");
    assert_eq!(count(&mut world, None), "3*0 4*1");
    assert_eq!(count(&mut world, Some(7)), "3*0 4*1");
    assert_eq!(world.farm.status().services[0].draining[0].connections, Some(7));
    assert_eq!(count(&mut world, Some(0)), "4*1");

    // Back before that: as if it had never been away, but unproven.
    world.reload(with(both(), true));
    world.alive(12, &[3, 4]);
    world.reload(with(vec![real(4, 1)], true));
    world.reload(with(both(), true));
    assert_eq!(world.alive(12, &[3, 4]), "3*1 4*1");

    // One that was down has nothing to drain; without the word all go at once.
    world.alive(12, &[4]);
    assert_eq!(world.reload(with(vec![real(4, 1)], true)), "4*1");
    world.reload(with(both(), true));
    world.alive(12, &[3, 4]);
    world.reload(with(vec![real(4, 1)], true));
    assert_eq!(world.reload(with(vec![real(4, 1)], false)), "4*1");
}

/// Drained and disabled servers: no weight, no part in the quorum, checks that go on.
#[test]
fn what_people_want_goes_before_what_checks_say() {
    use AdminState::{Disabled, Drain, Enabled};
    let with = |states: [AdminState; 2], drain: bool| {
        let mut farm = server(vec![real(3, 2), real(4, 1)]);
        for (real, state) in farm.real_server.iter_mut().zip(states) {
            real.admin_state = Some(state);
        }
        farm.sorry_server = Some(SorryServer { address: address(9), port: None });
        farm.drain_on_removal = drain;
        plan(farm)
    };
    let mut world = World::new(with([Enabled, Enabled], false));
    assert_eq!(world.alive(12, &[3, 4]), "3*2 4*1");
    assert_eq!(world.reload(with([Drain, Enabled], false)), "3*0 4*1");
    world.told();
    // The last one: the sorry server takes what is new, connections that are there go on.
    assert_eq!(world.reload(with([Drain, Drain], false)), "3*0 4*0 9*1");
    assert_eq!(world.told().len(), 1, "the quorum is lost");
    assert_eq!(world.alive(12, &[4]), "4*0 9*1");
    assert_eq!(world.reload(with([Drain, Enabled], false)), "4*1");
    assert_eq!(world.alive(12, &[3, 4]), "3*0 4*1");
    assert_eq!(world.reload(with([Enabled, Enabled], false)), "3*2 4*1");

    assert_eq!(world.reload(with([Disabled, Enabled], false)), "4*1");
    // It is known how it is when it comes back.
    assert_eq!(world.alive(12, &[4]), "4*1");
    assert_eq!(world.reload(with([Enabled, Enabled], false)), "4*1");
    assert_eq!(world.alive(12, &[3, 4]), "3*2 4*1");

    // Drained first where the file says so, as a removed one is; back before its time.
    assert_eq!(world.reload(with([Disabled, Enabled], true)), "3*0 4*1");
    assert!(world.notes.iter().any(|note| note.contains("is disabled: weight 0 until")), "{:?}", world.notes);
    assert_eq!(world.reload(with([Disabled, Enabled], true)), "3*0 4*1");
    assert_eq!(world.reload(with([Enabled, Enabled], true)), "3*2 4*1");
    assert_eq!(world.reload(with([Disabled, Enabled], true)), "3*0 4*1");
    world.alive(1, &[3, 4]);
    let reaction = world.farm.count(|_: ServiceKey, _: DestinationKey| Some(0), world.now);
    world.take(reaction);
    assert_eq!(world.shown(), "4*1");
}

/// A server that was disabled comes back as one that was down: little by little, where the file says so.
#[test]
fn a_server_that_is_enabled_again_starts_slowly() {
    let with = |state| {
        let mut first = real(3, 10);
        first.admin_state = Some(state);
        let mut farm = server(vec![first, real(4, 10)]);
        farm.slow_start = Some(Secs::from_secs(10));
        plan(farm)
    };
    let mut world = World::new(with(AdminState::Enabled));
    assert_eq!(world.alive(12, &[3, 4]), "3*10 4*10");
    world.reload(with(AdminState::Disabled));
    assert_eq!(world.reload(with(AdminState::Enabled)), "3*1 4*10");
    assert_eq!(world.alive(20, &[3, 4]), "3*10 4*10");
    world.reload(with(AdminState::Drain));
    assert_eq!(world.reload(with(AdminState::Enabled)), "3*10 4*10");
}

/// A farm with everything that has a memory but the bands of hysteresis, whose state is meant to depend on the past.
fn any_server() -> impl Strategy<Value = VirtualServer> {
    (
        prop::collection::btree_map(3u8..8, (1u16..4, 1u16..3, any::<bool>()), 1..5),
        (1u32..6, 0u8..=100, any::<bool>(), any::<bool>()),
        (1u32..4, prop::option::of(0u32..3), prop::option::of(1u64..20), prop::option::of(2u32..5)),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(reals, (quorum, least, join, line), (rise, timeout_retry, slow, flips), switches)| {
                let one = |(last, (weight, tier, sorry)): (u8, (u16, u16, bool))| {
                    let mut real = tiered(last, weight, tier);
                    real.sorry = sorry && last > 6;
                    real
                };
                let mut server = server(reals.into_iter().map(one).collect());
                let (alpha, inhibit, sorry_inhibit, drain) = switches;
                server.quorum = Some(quorum);
                server.tier_min_weight = Some(least);
                server.tier_hysteresis = Some(0);
                server.tier_mode = join.then_some(TierMode::Join);
                server.sorry_server = line.then_some(SorryServer { address: address(9), port: None });
                (server.rise, server.timeout_retry) = (Some(rise), timeout_retry);
                server.slow_start = slow.map(Secs::from_secs);
                server.flap_damping = flips.map(|flips| FlapDamping {
                    flips,
                    within: Secs::from_secs(30),
                    hold: Some(Secs::from_secs(5)),
                });
                (server.alpha, server.inhibit_on_failure) = (alpha, inhibit);
                (server.sorry_server_inhibit, server.drain_on_removal) = (sorry_inhibit, drain);
                server
            },
        )
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![Just(Answer::Good), Just(Answer::Refused), Just(Answer::Silent)]
}

fn any_change() -> impl Strategy<Value = Change> {
    let order = prop_oneof![
        (0u16..5).prop_map(Order::Weight),
        Just(Order::State(AdminState::Drain)),
        Just(Order::State(AdminState::Disabled)),
        Just(Order::Enable),
        prop::option::of(0u16..5).prop_map(|weight| Order::Add { weight, like: None }),
        Just(Order::Delete),
    ];
    (3u8..8, order).prop_map(|(last, order)| Change {
        service: None,
        server: ServerName::At((address(last), 80).into()),
        order,
        persist: false,
        pair: false,
        lasting: None,
    })
}

/// Longer than any hold, ramp, drain and round of retries above.
const SETTLED: Duration = seconds(400);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever answers and reloads came before, and whenever: once everything has had its time, the table is that of a
    /// fresh start in the same world.
    #[test]
    fn no_history_makes_another_table_than_the_present(
        first in any_server(),
        rounds in prop::collection::vec(
            (prop::option::of(any_server()), prop::collection::vec(any_answer(), 5), 0u64..20), 1..6),
        last in prop::collection::vec(any_answer(), 5),
    ) {
        let answer = |answers: &[Answer], last: u8| {
            answers.get(usize::from(last.wrapping_sub(3))).copied().unwrap_or(Answer::Good)
        };
        let mut current = first;
        let mut world = World::new(plan(current.clone()));
        for (next, answers, secs) in rounds {
            world.run(seconds(secs), |last| answer(&answers, last));
            if let Some(next) = next {
                current = next;
                world.reload(plan(current.clone()));
            }
        }
        world.run(SETTLED, |of| answer(&last, of));
        let mut fresh = World::new(plan(current));
        fresh.run(SETTLED, |of| answer(&last, of));
        prop_assert_eq!(world.farm.table(), fresh.farm.table());
        prop_assert_eq!(world.farm.wake(), None);
        let (had, has) = (world.farm.status(), fresh.farm.status());
        for (had, has) in had.services.iter().zip(&has.services) {
            prop_assert_eq!((had.quorum_up, had.serving, &had.tiers), (has.quorum_up, has.serving, &has.tiers));
        }
    }

    /// The same with commands between and after reloads: what counts is which overrides are in force, not how they came
    /// about; and a change that was refused has changed nothing.
    #[test]
    fn no_history_of_commands_makes_another_table_than_the_present(
        first in any_server(),
        rounds in prop::collection::vec(
            (
                prop::option::of(any_server()),
                prop::collection::vec(any_change(), 0..4),
                prop::collection::vec(any_answer(), 5),
                0u64..20,
            ),
            1..6),
        last in prop::collection::vec(any_answer(), 5),
    ) {
        let answer = |answers: &[Answer], last: u8| {
            answers.get(usize::from(last.wrapping_sub(3))).copied().unwrap_or(Answer::Good)
        };
        let config = |server: VirtualServer| Config { virtual_server: vec![server.into()], ..Config::default() };
        let mut base = config(first);
        let mut overrides = Vec::new();
        let effective = |base: &Config, overrides: &[_]| {
            let mut config = base.clone();
            let without = config::overrides::apply(&mut config, overrides).len();
            (Plan::new(&config), without)
        };
        let said = Said { by: "me".to_owned(), at: "now".to_owned(), until: None };
        let mut world = World::new(Plan::new(&base));
        for (next, changes, answers, secs) in rounds {
            if let Some(next) = next {
                base = config(next);
                world.reload(effective(&base, &overrides).0);
            }
            for change in changes {
                let before = effective(&base, &overrides);
                match decide(&base, &overrides, &change, &said) {
                    Ok(decided) => {
                        overrides = decided.overrides;
                        let after = effective(&base, &overrides);
                        prop_assert_eq!(&Plan::new(&decided.config), &after.0);
                        prop_assert!(after.1 <= before.1, "a command makes no other override idle");
                        world.reload(after.0);
                    }
                    Err(failure) => prop_assert!((400..500).contains(&failure.status)),
                }
            }
            world.run(seconds(secs), |last| answer(&answers, last));
        }
        world.run(SETTLED, |of| answer(&last, of));
        // As a restart finds them: as text.
        let kept: Vec<_> = overrides.iter().map(|one| one.to_string().parse().unwrap()).collect();
        prop_assert_eq!(&kept, &overrides);
        let mut fresh = World::new(effective(&base, &kept).0);
        fresh.run(SETTLED, |of| answer(&last, of));
        prop_assert_eq!(world.farm.table(), fresh.farm.table());
        prop_assert_eq!(world.farm.wake(), None);
    }
}
