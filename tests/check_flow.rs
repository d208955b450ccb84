//! Results in, tables and events out: the pure part of check as a whole, on a virtual clock and without sockets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tandem::check::farm::{Farm, Job, LANES, Lane, Reaction};
use tandem::check::outcome::{Failure, Outcome, Success, Weight};
use tandem::check::plan::{Kind, Plan};
use tandem::check::quorum::Serving;
use tandem::check::{Event, What};
use tandem::config::model::{
    Command, Config, MiscCheck, Protocol, RealServer, SorryServer, TcpCheck, VirtualServer,
};
use tandem::config::units::Secs;
use tandem::ipvs::table::Table;

const LOOP: u64 = 4;

fn command(word: &str) -> Option<Command> {
    Some(Command { argv: vec![word.to_owned()], user: None })
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

/// A real server 10.0.0.`last`:80 with that weight and one TCP_CHECK.
fn real(last: u8, weight: u16) -> RealServer {
    let mut real = bare(last, weight);
    real.tcp_check.push(TcpCheck::default());
    real
}

fn bare(last: u8, weight: u16) -> RealServer {
    let text = format!("{{\"address\": \"10.0.0.{last}\", \"port\": 80, \"weight\": {weight}}}");
    let mut real: RealServer = serde_json::from_str(&text).expect("a real server");
    real.notify_up = command("rs_up");
    real.notify_down = command("rs_down");
    real
}

fn misc() -> MiscCheck {
    let mut check = MiscCheck::new(Command { argv: vec!["/bin/load".to_owned()], user: None });
    check.misc_dynamic = true;
    check
}

fn server(reals: Vec<RealServer>) -> VirtualServer {
    VirtualServer {
        address: Some(address(1)),
        port: Some(80),
        protocol: Some(Protocol::Tcp),
        delay_loop: Some(Secs::from_secs(LOOP)),
        quorum_up: command("q_up"),
        quorum_down: command("q_down"),
        real_server: reals,
        ..VirtualServer::default()
    }
}

fn config(servers: Vec<VirtualServer>) -> Config {
    Config { virtual_server: servers.into_iter().map(Into::into).collect(), ..Config::default() }
}

fn plan(server: VirtualServer) -> Plan {
    Plan::new(&config(vec![server]))
}

/// A farm whose checks take no time, in a world where real servers are alive or dead.
struct World {
    farm: Farm,
    began: Instant,
    now: Instant,
    events: Vec<Event>,
    notes: Vec<String>,
}

fn good() -> Outcome {
    Outcome { result: Ok(Success::default()), took: Duration::from_millis(1) }
}

fn bad() -> Outcome {
    Outcome { result: Err(Failure::Refused), took: Duration::from_millis(1) }
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
        let mut world = Self { farm, began: now, now, events: Vec::new(), notes: Vec::new() };
        world.take(reaction);
        world
    }

    fn take(&mut self, reaction: Reaction) {
        self.events.extend(reaction.events);
        self.notes.extend(reaction.notes.into_iter().map(|note| note.text));
    }

    /// Runs every check that comes due within that time.
    fn run(&mut self, time: Duration, mut outcome: impl FnMut(&Job, Duration) -> Outcome) {
        let end = self.now + time;
        while let Some(at) = LANES.iter().filter_map(|lane| self.farm.deadline(*lane)).min() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            for lane in LANES {
                while let Some(job) = self.farm.due(lane, self.now) {
                    let outcome = outcome(&job, self.now - self.began);
                    let reaction = self.farm.observe(job.id, &outcome, self.now);
                    self.take(reaction);
                }
            }
        }
        self.now = end;
    }

    /// One loop and all retries with these servers alive.
    fn settle(&mut self, alive: &[u8]) {
        self.run(
            Duration::from_secs(3 * LOOP),
            |job, _| {
                if alive.contains(&octet(job)) { good() } else { bad() }
            },
        );
    }

    fn reload(&mut self, plan: Plan) {
        let reaction = self.farm.reload(plan, self.now);
        self.take(reaction);
    }

    /// The first service's destinations, `last octet * weight`.
    fn shown(&self) -> String {
        shown(&self.farm.table())
    }

    /// The events since the last call: what, the program, the reason.
    fn told(&mut self) -> Vec<(What, String)> {
        let line = |event: Event| {
            let program = event.command.map(|command| command.argv.join(" "));
            (event.what, program.unwrap_or_default())
        };
        std::mem::take(&mut self.events).into_iter().map(line).collect()
    }
}

fn shown(table: &Table) -> String {
    let Some(service) = table.values().next() else { return "no service".to_owned() };
    let shown: Vec<String> = service
        .destinations
        .iter()
        .map(|(key, destination)| {
            let text = key.address.to_string();
            let last = text.rsplit('.').next().unwrap_or_default();
            format!("{last}*{}", destination.weight)
        })
        .collect();
    shown.join(" ")
}

fn told(list: &[(What, &str)]) -> Vec<(What, String)> {
    list.iter().map(|(what, program)| (*what, (*program).to_owned())).collect()
}

#[test]
fn all_are_in_before_any_check_and_a_dead_one_leaves_at_its_first() {
    let mut world = World::new(plan(server(vec![real(3, 1), real(4, 2)])));
    assert_eq!(world.shown(), "3*1 4*2");
    assert_eq!(world.told(), told(&[(What::QuorumUp, "q_up")]));
    world.run(Duration::from_secs(1), |job, _| if octet(job) == 3 { bad() } else { good() });
    assert_eq!(world.shown(), "4*2");
    let event = world.events[0].to_string();
    assert_eq!(event, "real server 10.0.0.3:80 of TCP 10.0.0.1:80 is down: connection refused (try 1 of 1)");
    assert_eq!(world.told(), told(&[(What::RealServerDown, "rs_down")]));
    world.settle(&[3, 4]);
    assert_eq!(world.shown(), "3*1 4*2");
    assert_eq!(world.told(), told(&[(What::RealServerUp, "rs_up")]));
}

#[test]
fn alpha_is_out_until_proven() {
    let mut farm = server(vec![real(3, 1), real(4, 1)]);
    farm.alpha = true;
    farm.real_server[1].inhibit_on_failure = Some(true);
    let mut world = World::new(plan(farm));
    assert_eq!(world.shown(), "4*0");
    assert_eq!(world.told(), told(&[(What::QuorumDown, "q_down")]));
    world.settle(&[3]);
    assert_eq!(world.shown(), "3*1 4*0");
    assert_eq!(world.told(), told(&[(What::RealServerUp, "rs_up"), (What::QuorumUp, "q_up")]));
}

/// keepalived, measured: `retry 3`, `delay_before_retry 1`, `delay_loop 4`: four bad answers 1 s apart, then out;
/// while down each 4 s; one success and it is back.
#[test]
fn a_server_that_dies_leaves_after_its_retries() {
    let mut farm = server(vec![real(3, 1)]);
    farm.retry = Some(3);
    let mut world = World::new(plan(farm));
    let second = Duration::from_secs(1);
    let mut asked = Vec::new();
    let mut out = None;
    for _ in 0..40_000 {
        world.run(Duration::from_millis(1), |_, at| {
            asked.push((at.as_millis() as u64, at));
            if at < 9 * second || at > 22 * second { good() } else { bad() }
        });
        if out.is_none() && world.shown().is_empty() {
            out = Some(world.now - world.began);
        }
    }
    let first = asked[0].1;
    assert!(first < Duration::from_millis(2), "{first:?}");
    // Good at 0, 4, 8; bad at 12, 13, 14, 15 (out), 19; good at 23, 27, ...
    let seconds: Vec<u64> = asked.iter().map(|(_, at)| (*at - first).as_secs()).collect();
    assert_eq!(seconds, [0, 4, 8, 12, 13, 14, 15, 19, 23, 27, 31, 35, 39]);
    assert_eq!(out.map(|out| out.as_secs()), Some(15));
    assert_eq!(world.shown(), "3*1");
    let words: Vec<String> = world.events.iter().map(|event| event.reason.clone()).collect();
    assert_eq!(
        words,
        [
            "at start, weight 1 for quorum 1",
            "connection refused (try 4 of 4)",
            "weight 0 for quorum 1",
            "TCP_CHECK succeeded",
            "weight 1 for quorum 1"
        ]
    );
}

/// keepalived, measured: quorum 3, hysteresis 1, weights 2 1 1, sorry server.
#[test]
fn quorum_with_hysteresis_and_sorry_server() {
    let mut farm = server(vec![real(3, 2), real(4, 1), real(5, 1)]);
    farm.quorum = Some(3);
    farm.hysteresis = Some(1);
    farm.sorry_server = Some(SorryServer { address: address(9), port: None });
    let mut world = World::new(plan(farm.clone()));
    assert_eq!(world.told(), told(&[(What::QuorumUp, "q_up")]));
    for (alive, table, quorum) in [
        (&[3, 4][..], "3*2 4*1", None),
        (&[3], "3*2", None),
        (&[], "9*1", Some((What::QuorumDown, "q_down"))),
        (&[3, 4], "9*1", None),
        (&[3, 4, 5], "3*2 4*1 5*1", Some((What::QuorumUp, "q_up"))),
        (&[4], "9*1", Some((What::QuorumDown, "q_down"))),
    ] {
        world.settle(alive);
        assert_eq!(world.shown(), table, "alive {alive:?}");
        let quorums: Vec<_> = world
            .told()
            .into_iter()
            .filter(|(what, _)| matches!(what, What::QuorumUp | What::QuorumDown))
            .collect();
        assert_eq!(quorums, told(quorum.as_slice()), "alive {alive:?}");
    }
    let status = world.farm.status();
    assert_eq!((status.services[0].quorum_up, status.services[0].weight), (false, 1));
    assert_eq!(status.services[0].serving, Serving::SorryServer);

    // Without a sorry server the rest goes on.
    farm.sorry_server = None;
    let mut world = World::new(plan(farm));
    world.settle(&[4]);
    assert_eq!(world.shown(), "4*1");
    assert!(world.told().contains(&(What::QuorumDown, "q_down".to_owned())));
}

#[test]
fn inhibited_servers_stay_with_weight_0() {
    let mut farm = server(vec![real(3, 2), real(4, 1)]);
    farm.inhibit_on_failure = true;
    farm.sorry_server = Some(SorryServer { address: address(9), port: None });
    farm.sorry_server_inhibit = true;
    let mut world = World::new(plan(farm));
    assert_eq!(world.shown(), "3*2 4*1 9*0");
    world.settle(&[3]);
    assert_eq!(world.shown(), "3*2 4*0 9*0");
    world.settle(&[]);
    assert_eq!(world.shown(), "3*0 4*0 9*1");
}

#[test]
fn several_checkers_must_all_be_up() {
    let mut both = real(3, 1);
    let mut second = TcpCheck::default();
    second.connection.connect_ip = Some(address(33));
    both.tcp_check.push(second);
    let mut world = World::new(plan(server(vec![both])));
    for (alive, table) in [(&[3, 33][..], "3*1"), (&[3], ""), (&[], ""), (&[33], ""), (&[3, 33], "3*1")] {
        world.settle(alive);
        assert_eq!(world.shown(), table, "alive {alive:?}");
    }
    let flips: Vec<What> = world.told().iter().map(|(what, _)| *what).collect();
    assert_eq!(
        flips,
        [What::QuorumUp, What::RealServerDown, What::QuorumDown, What::RealServerUp, What::QuorumUp]
    );
    assert!(
        world.notes.iter().any(|note| note.contains("another checker keeps it down")),
        "{:?}",
        world.notes
    );
}

fn weight_of(exit: u32) -> Outcome {
    let weight = if exit == 0 { Weight::Configured } else { Weight::Exactly(exit - 2) };
    Outcome { result: Ok(Success { weight: Some(weight) }), took: Duration::ZERO }
}

#[test]
fn misc_dynamic_sets_the_weight() {
    let mut dynamic = bare(3, 10);
    dynamic.misc_check.push(misc());
    let mut world = World::new(plan(server(vec![dynamic])));
    for (exit, table) in [(2, "3*0"), (12, "3*10"), (30, "3*28"), (255, "3*253"), (0, "3*10")] {
        world.run(Duration::from_secs(LOOP), |_, _| weight_of(exit));
        assert_eq!(world.shown(), table, "exit {exit}");
    }
    // Weight 0 counts nothing towards the quorum; the real server itself stays up.
    let flips: Vec<What> = world.told().iter().map(|(what, _)| *what).collect();
    assert_eq!(flips, [What::QuorumUp, What::QuorumDown, What::QuorumUp]);
    let failed = Outcome { result: Err(Failure::ExitCode(1)), took: Duration::ZERO };
    world.run(Duration::from_secs(LOOP), |_, _| failed.clone());
    assert_eq!(world.shown(), "");
}

#[test]
fn several_dynamic_programs_add_up() {
    let mut dynamic = bare(3, 10);
    dynamic.misc_check = vec![misc(), misc()];
    dynamic.misc_check[1].misc_path.argv = vec!["/bin/other".to_owned()];
    let mut world = World::new(plan(server(vec![dynamic])));
    let answer = |one: u32, other: u32| {
        move |job: &Job, _: Duration| match &job.plan.kind {
            Kind::Misc(misc) if misc.argv[0] == "/bin/load" => weight_of(one),
            _ => weight_of(other),
        }
    };
    // 10 + (4 − 10) + (8 − 10), then never below 0.
    world.run(Duration::from_secs(LOOP), answer(6, 10));
    assert_eq!(world.shown(), "3*2");
    world.run(Duration::from_secs(LOOP), answer(2, 2));
    assert_eq!(world.shown(), "3*0");
    world.run(Duration::from_secs(LOOP), answer(0, 255));
    assert_eq!(world.shown(), "3*253");
}

#[test]
fn a_reload_keeps_what_is_equal() {
    let mut world = World::new(plan(server(vec![real(3, 1), real(4, 1)])));
    world.settle(&[3]);
    world.told();
    // 4 stays down, 5 is new and must prove itself; weights change at once; nobody is told anything.
    world.reload(plan(server(vec![real(3, 7), real(4, 1), real(5, 1)])));
    assert_eq!(world.shown(), "3*7");
    assert_eq!(world.told(), []);
    world.settle(&[3, 5]);
    assert_eq!(world.shown(), "3*7 5*1");
    assert_eq!(world.told(), told(&[(What::RealServerUp, "rs_up")]));

    // Changed checkers take over their server's state, with all retries.
    let mut slower = server(vec![real(3, 7), real(4, 1), real(5, 1)]);
    slower.delay_loop = Some(Secs::from_secs(2 * LOOP));
    world.reload(plan(slower));
    assert_eq!(world.shown(), "3*7 5*1");
    world.run(Duration::from_millis(500), |_, _| bad());
    assert_eq!(world.shown(), "3*7 5*1");
    world.settle(&[]);
    assert_eq!(world.shown(), "");

    // A server without its checkers is up, and that is told.
    world.told();
    world.reload(plan(server(vec![bare(3, 7)])));
    assert_eq!(world.shown(), "3*7");
    assert_eq!(world.told(), told(&[(What::RealServerUp, "rs_up"), (What::QuorumUp, "q_up")]));

    // Without its service everything is gone.
    world.reload(Plan::default());
    assert_eq!(world.farm.table(), Table::new());
}

#[test]
fn a_new_service_starts_like_the_daemon() {
    let mut world = World::new(plan(server(vec![real(3, 1)])));
    world.settle(&[3]);
    let mut other = server(vec![real(4, 1)]);
    other.port = Some(443);
    world.reload(Plan::new(&config(vec![other, server(vec![real(3, 1)])])));
    assert_eq!(world.farm.table().values().map(|s| s.destinations.len()).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn a_late_result_finds_nobody() {
    let mut world = World::new(plan(server(vec![real(3, 1)])));
    let at = LANES.iter().filter_map(|lane| world.farm.deadline(*lane)).min().expect("a check");
    let job = world.farm.due(LANES[0], at).expect("a check that is due");
    let mut changed = server(vec![real(3, 1)]);
    changed.real_server[0].tcp_check[0].connection.connect_port = Some(81);
    let reaction = world.farm.reload(plan(changed), at);
    assert_eq!(reaction.gone, [job.id]);
    world.farm.observe(job.id, &bad(), at);
    assert_eq!(world.shown(), "3*1");
    assert_eq!(world.farm.status().late_results, 1);
    // The new one is checked.
    world.settle(&[]);
    assert_eq!(world.shown(), "");
}

#[test]
fn a_run_under_way_counts_when_its_checker_is_kept() {
    let mut world = World::new(plan(server(vec![real(3, 1)])));
    let at = LANES.iter().filter_map(|lane| world.farm.deadline(*lane)).min().expect("a check");
    let job = world.farm.due(LANES[0], at).expect("a check that is due");
    world.reload(plan(server(vec![real(3, 5)])));
    world.farm.observe(job.id, &bad(), at);
    assert_eq!(world.shown(), "");
    assert_eq!(world.farm.status().failures, BTreeMap::from([("refused", 1)]));
}

#[test]
fn who_gave_no_answer_in_time_waits_in_the_slow_lane_until_it_answers() {
    let mut world = World::new(plan(server(vec![real(3, 1)])));
    let late = Err(Failure::Timeout(Duration::from_secs(5)));
    let late = Outcome { result: late, took: Duration::from_secs(5) };
    let lanes = [(late, Lane::SlowConnections), (bad(), Lane::Connections), (good(), Lane::Connections)];
    let mut lane = Lane::Connections;
    for (outcome, next) in lanes {
        let at = world.farm.deadline(lane).expect("it waits in that lane alone");
        let others = LANES.iter().filter(|other| **other != lane);
        assert!(others.clone().all(|other| world.farm.deadline(*other).is_none()), "{lane:?}");
        let job = world.farm.due(lane, at).expect("due");
        world.farm.observe(job.id, &outcome, at);
        lane = next;
    }
    assert!(world.farm.deadline(Lane::Connections).is_some());
    // A reload that takes a slow one away leaves nothing in its lane.
    let at = world.farm.deadline(Lane::Connections).expect("due");
    let job = world.farm.due(Lane::Connections, at).expect("due");
    let late = Err(Failure::Timeout(Duration::from_secs(5)));
    world.farm.observe(job.id, &Outcome { result: late, took: Duration::from_secs(5) }, at);
    world.reload(plan(server(vec![real(4, 1)])));
    assert_eq!(world.farm.deadline(Lane::SlowConnections), None);
}

#[test]
fn omega_tells_at_stop() {
    let mut farm = server(vec![real(3, 1), real(4, 1)]);
    let mut quiet = World::new(plan(farm.clone()));
    quiet.settle(&[3]);
    assert_eq!(quiet.farm.stop(), []);
    farm.omega = true;
    let mut world = World::new(plan(farm));
    world.settle(&[3]);
    let stop: Vec<_> = world.farm.stop().iter().map(|e| (e.what, e.subject.clone())).collect();
    assert_eq!(
        stop,
        [
            (What::RealServerDown, "real server 10.0.0.3:80 of TCP 10.0.0.1:80".to_owned()),
            (What::QuorumDown, "virtual server TCP 10.0.0.1:80".to_owned())
        ]
    );
}

/// A farm of up to five servers with weights, quorum and a sorry server.
fn any_server() -> impl Strategy<Value = VirtualServer> {
    (
        prop::collection::btree_map(3u8..8, 0u16..4, 1..5),
        1u32..6,
        0u32..3,
        any::<bool>(),
        any::<(bool, bool, bool)>(),
        1u64..4,
    )
        .prop_map(|(reals, quorum, hysteresis, sorry, (alpha, inhibit, sorry_inhibit), delay_loop)| {
            let mut server = server(reals.into_iter().map(|(last, weight)| real(last, weight)).collect());
            server.quorum = Some(quorum);
            server.hysteresis = Some(hysteresis);
            server.sorry_server = sorry.then_some(SorryServer { address: address(9), port: None });
            server.alpha = alpha;
            server.inhibit_on_failure = inhibit;
            server.sorry_server_inhibit = sorry_inhibit;
            server.delay_loop = Some(Secs::from_secs(delay_loop));
            server
        })
}

proptest! {
    /// Whatever happened before, reloads included: when every check has run twice, the real servers in the table are
    /// those that answer, and each check is still scheduled.
    #[test]
    fn any_history_ends_in_the_truth(
        first in any_server(),
        rounds in prop::collection::vec((prop::option::of(any_server()), any::<[bool; 5]>()), 1..6),
        dead in any::<[bool; 5]>(),
    ) {
        let alive = |dead: [bool; 5]| (3u8..8).filter(move |last| !dead[usize::from(*last - 3)]);
        let mut current = first;
        let mut world = World::new(plan(current.clone()));
        let mut last = BTreeMap::new();
        for (next, dead) in rounds {
            let alive: Vec<u8> = alive(dead).collect();
            world.run(Duration::from_secs(3), |job, _| if alive.contains(&octet(job)) { good() } else { bad() });
            alternate(&mut world, &mut last);
            if let Some(next) = next {
                current = next;
                // One that was away comes back as a new one.
                last.retain(|subject, _| {
                    subject.starts_with("virtual")
                        || current.real_server.iter().any(|r| subject.contains(&format!("{}:80 of", r.address)))
                });
                world.reload(plan(current.clone()));
                alternate(&mut world, &mut last);
            }
        }
        let alive: Vec<u8> = alive(dead).collect();
        world.settle(&alive);
        let status = world.farm.status();
        let service = &status.services[0];
        for (real, written) in service.reals.iter().zip(&current.real_server) {
            let IpAddr::V4(v4) = written.address else { panic!() };
            prop_assert_eq!(real.up, alive.contains(&v4.octets()[3]));
        }
        // Who serves has the traffic, and nobody else.
        let table = world.farm.table();
        let weighty: Vec<String> = table
            .values()
            .flat_map(|s| &s.destinations)
            .filter(|(_, destination)| destination.weight > 0)
            .map(|(key, _)| key.to_string())
            .collect();
        let wanted: Vec<String> = match service.serving {
            Serving::SorryServer => vec!["10.0.0.9:80".to_owned()],
            Serving::SorryPool => Vec::new(),
            Serving::RealServers => {
                service.reals.iter().filter(|r| r.up && r.weight > 0).map(|r| r.key.to_string()).collect()
            }
        };
        prop_assert_eq!(weighty, wanted);
        prop_assert!(service.serving == Serving::RealServers || current.sorry_server.is_some());
        alternate(&mut world, &mut last);
    }
}

/// Ups and downs of every subject alternate.
fn alternate(world: &mut World, last: &mut BTreeMap<String, What>) {
    for event in world.events.drain(..) {
        if let Some(before) = last.insert(event.subject.clone(), event.what) {
            assert_ne!(before.is_up(), event.what.is_up(), "{event}");
        }
    }
}
