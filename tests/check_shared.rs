//! Equal checks of several virtual servers: one probe, and consequences for each. On a virtual clock and without sockets.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tandem::check::farm::{Farm, Job, LANES, Reaction};
use tandem::check::outcome::{Failure, Outcome, Success, Weight};
use tandem::check::plan::{Kind, Plan};
use tandem::config;
use tandem::config::diagnostic::Level;
use tandem::config::model::{
    Command, Config, HttpGet, MiscCheck, Pace, Protocol, RealServer, SorryServer, TcpCheck, Url,
    VirtualServer,
};
use tandem::config::resolve::Facts;
use tandem::config::units::Secs;

const LOOP: Duration = Duration::from_secs(4);
/// Longer than any round of retries, and than `rise` takes.
const SETTLED: Duration = Duration::from_secs(60);

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn bare(last: u8, weight: u16) -> RealServer {
    let mut real = RealServer::new(address(last));
    (real.port, real.weight) = (Some(80), Some(weight));
    real
}

fn real(last: u8, weight: u16) -> RealServer {
    let mut real = bare(last, weight);
    real.tcp_check.push(TcpCheck::default());
    real
}

/// The same with a program that says a weight.
fn dynamic(last: u8, weight: u16) -> RealServer {
    let mut real = bare(last, weight);
    let mut check = MiscCheck::new(Command { argv: vec![format!("/bin/load-{last}")], user: None });
    check.misc_dynamic = true;
    real.misc_check.push(check);
    real
}

/// A check of two pages.
fn pages() -> HttpGet {
    let url = ["/a", "/b"].map(|path| Url::new(path.to_owned()));
    HttpGet { url: url.into(), ..HttpGet::default() }
}

/// Virtual server 10.9.0.`last`:80.
fn server(last: u8, reals: Vec<RealServer>) -> VirtualServer {
    VirtualServer {
        address: Some([10, 9, 0, last].into()),
        port: Some(80),
        protocol: Some(Protocol::Tcp),
        delay_loop: Some(Secs(LOOP)),
        real_server: reals,
        ..VirtualServer::default()
    }
}

fn plan(servers: &[VirtualServer]) -> Plan {
    Plan::new(&Config {
        virtual_server: servers.iter().cloned().map(Into::into).collect(),
        ..Config::default()
    })
}

/// What a check of a server finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Good,
    Refused,
    Silent,
    /// A program says this weight; a connection succeeds.
    Weighs(u32),
}

fn outcome(job: &Job, answer: Answer) -> Outcome {
    let is_program = matches!(job.plan.kind, Kind::Misc(_));
    let result = match answer {
        Answer::Good => Ok(Success { weight: is_program.then_some(Weight::Configured) }),
        Answer::Weighs(weight) => Ok(Success { weight: is_program.then_some(Weight::Exactly(weight)) }),
        Answer::Refused => Err(Failure::Refused),
        Answer::Silent => Err(Failure::Timeout(Duration::from_secs(5))),
    };
    Outcome { result, took: Duration::from_millis(1) }
}

/// Last octet of the server that a check is about.
fn octet(job: &Job) -> u8 {
    match &job.plan.kind {
        Kind::Tcp(target) => target.address.ip().to_string(),
        Kind::Http(http) => http.target.address.ip().to_string(),
        Kind::Misc(misc) => misc.argv[0].clone(),
        other => panic!("{other:?}"),
    }
    .rsplit(['.', '-'])
    .next()
    .unwrap()
    .parse()
    .unwrap()
}

/// A farm whose checks take no time.
struct World {
    farm: Farm,
    now: Instant,
    told: Vec<String>,
    notes: Vec<String>,
    runs: usize,
}

impl World {
    fn new(servers: &[VirtualServer]) -> Self {
        let now = tandem::clock::now();
        let (farm, reaction) = Farm::start(plan(servers), 1, now);
        let mut world = Self { farm, now, told: Vec::new(), notes: Vec::new(), runs: 0 };
        world.take(reaction);
        world
    }

    fn take(&mut self, reaction: Reaction) {
        self.told.extend(reaction.events.iter().map(ToString::to_string));
        self.notes.extend(reaction.notes.into_iter().map(|note| note.text));
    }

    fn run(&mut self, time: Duration, answer: impl Fn(u8) -> Answer) {
        let end = self.now + time;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            for lane in LANES {
                while let Some(job) = self.farm.due(lane, self.now) {
                    self.runs += 1;
                    let reaction = self.farm.observe(job.id, &outcome(&job, answer(octet(&job))), self.now);
                    self.take(reaction);
                }
            }
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        LANES.iter().filter_map(|lane| self.farm.deadline(*lane)).min()
    }

    fn alive(&mut self, alive: &[u8]) -> String {
        self.run(SETTLED, |last| if alive.contains(&last) { Answer::Good } else { Answer::Refused });
        self.shown()
    }

    fn reload(&mut self, servers: &[VirtualServer]) -> String {
        let reaction = self.farm.reload(plan(servers), self.now);
        self.take(reaction);
        self.shown()
    }

    fn carry(&mut self, carried: impl IntoIterator<Item = u8>) {
        let carried = carried.into_iter().map(|last| IpAddr::from([10, 9, 0, last])).collect();
        let reaction = self.farm.carry(carried, self.now);
        self.take(reaction);
    }

    /// A service after the other, its destinations as `last octet * weight`.
    fn shown(&self) -> String {
        let table = self.farm.table();
        let services = table.values().map(|service| {
            let shown = service.destinations.iter().map(|(key, destination)| {
                let text = key.address.to_string();
                format!("{}*{}", text.rsplit('.').next().unwrap_or_default(), destination.weight)
            });
            shown.collect::<Vec<_>>().join(" ")
        });
        services.collect::<Vec<_>>().join(" | ")
    }

    /// Users of the first checker of each real server.
    fn users(&self) -> Vec<usize> {
        let status = self.farm.status();
        status.services.iter().flat_map(|s| &s.reals).flat_map(|r| &r.checkers).map(|c| c.users).collect()
    }
}

#[test]
fn equal_checks_run_once_and_count_for_all() {
    let servers = [server(1, vec![real(3, 1), real(4, 1)]), server(2, vec![real(3, 5)])];
    let mut world = World::new(&servers);
    assert_eq!(world.users(), [2, 1, 2]);
    assert_eq!(world.alive(&[3, 4]), "3*1 4*1 | 3*5");
    let rounds = world.runs;
    world.told.clear();
    assert_eq!(world.alive(&[4]), "4*1 | ");
    assert_eq!(
        world.told,
        [
            "real server 10.0.0.3:80 of TCP 10.9.0.1:80 is down: connection refused (try 2 of 2)",
            "real server 10.0.0.3:80 of TCP 10.9.0.2:80 is down: connection refused (try 2 of 2)",
            "virtual server TCP 10.9.0.2:80 lost its quorum: weight 0 for quorum 1",
        ]
    );
    let status = world.farm.status();
    assert_eq!(status.checks, world.runs as u64);
    // A failure of one run is one failure.
    assert!(status.failures["refused"] <= (world.runs - rounds) as u64 / 2 + 2, "{:?}", status.failures);
    assert_eq!(world.alive(&[3, 4]), "3*1 4*1 | 3*5");

    let alone: Vec<VirtualServer> =
        servers.iter().map(|server| VirtualServer { share: Some(false), ..server.clone() }).collect();
    let mut alone = World::new(&alone);
    alone.alive(&[3, 4]);
    assert_eq!(alone.users(), [1, 1, 1]);
    // Two probes rather than three, as often as each comes round.
    assert!(alone.runs * 2 >= rounds * 3 - 3, "{} and {rounds}", alone.runs);
}

#[test]
fn what_differs_is_not_shared() {
    let paced = |pace: Pace| {
        let mut real = bare(3, 1);
        real.tcp_check.push(TcpCheck { pace, ..TcpCheck::default() });
        real
    };
    let with = |real: &RealServer, change: fn(&mut RealServer)| {
        let mut real = real.clone();
        change(&mut real);
        real
    };
    let plain = paced(Pace::default());
    for other in [
        paced(Pace { share: Some(false), ..Pace::default() }),
        paced(Pace { retry: Some(2), ..Pace::default() }),
        paced(Pace { alpha: Some(true), ..Pace::default() }),
        with(&plain, |real| real.share = Some(false)),
        with(&plain, |real| real.connect_timeout = Some(Secs::from_secs(1))),
        with(&plain, |real| real.port = Some(81)),
        dynamic(3, 1),
    ] {
        let world = World::new(&[server(1, vec![plain.clone()]), server(2, vec![other.clone()])]);
        assert_eq!(world.users(), [1, 1], "{other:?}");
    }
    // Neither do two that both want their own.
    let own = paced(Pace { share: Some(false), ..Pace::default() });
    assert_eq!(World::new(&[server(1, vec![own.clone()]), server(2, vec![own])]).users(), [1, 1]);
}

#[test]
fn the_words_of_a_file() {
    let text = |global: &str, service: &str, real: &str, check: &str| {
        let mut text = format!("global_defs {{\n{global}\n}}\n");
        for last in [1, 2] {
            text.push_str(&format!(
                "virtual_server 10.9.0.{last} 80 {{\nprotocol TCP\n{service}\nreal_server 10.0.0.3 80 {{\n{real}\n\
                 TCP_CHECK {{\n{check}\n}}\n}}\n}}\n"
            ));
        }
        text
    };
    for (global, service, real, check, users) in [
        ("", "", "", "", 2),
        ("checker_share off", "", "", "", 1),
        ("checker_share off", "share", "", "", 2),
        ("", "share off", "", "", 1),
        ("", "share off", "share on", "", 2),
        ("", "", "share off", "", 1),
        ("", "", "share off", "share", 2),
        ("", "", "", "share off", 1),
    ] {
        let text = text(global, service, real, check);
        let loaded = config::load_text(Path::new("a.conf"), text.as_bytes(), &Facts::default());
        assert!(loaded.diagnostics.iter().all(|d| d.level == Level::Advice), "{:?}", loaded.diagnostics);
        let world = World::new(
            &loaded.config.virtual_server.iter().map(|server| (**server).clone()).collect::<Vec<_>>(),
        );
        if global.is_empty() {
            assert_eq!(world.users(), [users; 2], "{text}");
        }
        let shared = Plan::new(&loaded.config).services[0].reals[0].checkers[0].share;
        assert_eq!(shared, users == 2, "{text}");
    }
}

#[test]
fn who_comes_hears_what_is_known() {
    let first = server(1, vec![real(3, 1), real(4, 1)]);
    let mut world = World::new(&[first.clone(), server(2, vec![real(5, 1)])]);
    assert_eq!(world.alive(&[3, 5]), "3*1 | 5*1");
    let runs = world.runs;
    world.told.clear();

    // A new virtual server would begin with both; it is known that one of them is dead. A new real server of a known
    // virtual server would wait for its first success; it is known that it lives.
    let servers = [first, server(2, vec![real(5, 1), real(3, 2)]), server(3, vec![real(3, 7), real(4, 7)])];
    assert_eq!(world.reload(&servers), "3*1 | 3*2 5*1 | 3*7");
    assert_eq!(world.runs, runs);
    assert_eq!(
        world.told,
        [
            "virtual server TCP 10.9.0.3:80 has its quorum: at start, weight 14 for quorum 1",
            "real server 10.0.0.3:80 of TCP 10.9.0.2:80 is up: TCP_CHECK succeeds, as is known already from an equal check",
            "real server 10.0.0.4:80 of TCP 10.9.0.3:80 is down: TCP_CHECK fails, as is known already from an equal check",
        ]
    );
    assert_eq!(world.alive(&[3, 4, 5]), "3*1 4*1 | 3*2 5*1 | 3*7 4*7");

    // Who goes leaves it to the others; the last one ends it.
    let gone = |world: &mut World, servers: &[VirtualServer]| {
        let reaction = world.farm.reload(plan(servers), world.now);
        reaction.gone.len()
    };
    assert_eq!(gone(&mut world, &servers[1..]), 0);
    assert_eq!(world.users(), [1, 2, 2, 1]);
    assert_eq!(world.alive(&[3, 5]), "3*2 5*1 | 3*7");
    assert_eq!(gone(&mut world, &servers[1..2]), 1);
    assert_eq!(world.alive(&[3, 5]), "3*2 5*1");
    assert_eq!(gone(&mut world, &[]), 2);
    assert_eq!(world.next(), None);
}

#[test]
fn a_run_under_way_counts_for_who_comes_meanwhile() {
    let both = [server(1, vec![real(3, 1)]), server(2, vec![real(3, 2)])];
    let mut world = World::new(&both[..1]);
    let at = world.next().unwrap();
    let job = world.farm.due(LANES[0], at).unwrap();
    world.reload(&both);
    let reaction = world.farm.observe(job.id, &outcome(&job, Answer::Refused), at);
    assert_eq!((reaction.events.len(), world.shown().as_str()), (4, " | "));
}

#[test]
fn a_changed_checker_that_finds_an_equal_one_hears_it() {
    let slow = |last, weight| {
        let mut real = real(last, weight);
        real.delay_loop = Some(Secs::from_secs(3600));
        real
    };
    let mut world = World::new(&[server(1, vec![real(3, 1)]), server(2, vec![slow(3, 2)])]);
    world.run(Duration::from_secs(5), |_| Answer::Good);
    assert_eq!(world.alive(&[]), " | 3*2");
    assert_eq!(world.reload(&[server(1, vec![real(3, 1)]), server(2, vec![real(3, 2)])]), " | ");
}

#[test]
fn each_has_its_own_weight() {
    let mut world = World::new(&[server(1, vec![dynamic(3, 10)]), server(2, vec![dynamic(3, 20)])]);
    assert_eq!(world.users(), [2, 2]);
    world.run(SETTLED, |_| Answer::Good);
    assert_eq!(world.shown(), "3*10 | 3*20");
    world.run(SETTLED, |_| Answer::Weighs(50));
    assert_eq!(world.shown(), "3*50 | 3*50");
    // A new one hears the weight, too.
    let three =
        [server(1, vec![dynamic(3, 10)]), server(2, vec![dynamic(3, 20)]), server(3, vec![dynamic(3, 30)])];
    assert_eq!(world.reload(&three), "3*50 | 3*50 | 3*50");
    world.run(SETTLED, |_| Answer::Good);
    assert_eq!(world.shown(), "3*10 | 3*20 | 3*30");
}

#[test]
fn who_is_suspended_stays_what_it_was_and_is_looked_at_when_it_wakes() {
    let suspended = |last, reals| VirtualServer { ha_suspend: true, ..server(last, reals) };
    let servers = [suspended(1, vec![real(3, 1)]), server(2, vec![real(3, 2)])];
    let mut world = World::new(&servers);
    assert_eq!(world.alive(&[]), "3*1 | ");
    // It hears nothing either when it is new.
    let more = [servers[0].clone(), servers[1].clone(), suspended(3, vec![real(3, 3)])];
    assert_eq!(world.reload(&more), "3*1 |  | 3*3");

    world.run(LOOP / 2, |_| Answer::Refused);
    world.carry([1]);
    assert_eq!(world.next(), Some(world.now));
    world.run(Duration::ZERO, |_| Answer::Refused);
    assert_eq!(world.shown(), " |  | 3*3");
    assert_eq!(world.alive(&[3]), "3*1 | 3*2 | 3*3");
    // The last one that goes on keeps the probe alive; without any it rests.
    world.reload(&servers[..1]);
    assert!(world.next().is_some());
    world.carry([]);
    assert_eq!(world.next(), None);
}

/// Last octet, weight, what else it has (1 a program, 2 two pages), retries.
type AnyReal = (u8, u16, u8, u32);

/// Quorum, rise, alpha, inhibit_on_failure, whether there is a sorry server.
type AnyRules = (u32, u32, bool, bool, bool);

/// Pages are asked for in turn, and the turn is that of all who go on; one that wakes goes on with them.
#[test]
fn pages_are_asked_for_in_step() {
    let paged = |weight| {
        let mut real = bare(3, weight);
        real.http_get.push(pages());
        real
    };
    let wakes = VirtualServer { ha_suspend: true, ..server(1, vec![paged(1)]) };
    let mut world = World::new(&[wakes, server(2, vec![paged(2)])]);
    let mut urls = Vec::new();
    for n in 0..6 {
        if n == 3 {
            world.carry([1]);
        }
        world.now = world.next().unwrap();
        let job = world.farm.due(LANES[0], world.now).unwrap();
        urls.push(job.url);
        let reaction = world.farm.observe(job.id, &outcome(&job, Answer::Good), world.now);
        world.take(reaction);
    }
    assert_eq!(urls, [0, 1, 0, 0, 1, 0]);
    // Who comes later goes on where the others are.
    world.reload(&[server(1, vec![paged(1)]), server(2, vec![paged(2)]), server(3, vec![paged(3)])]);
    let at = world.next().unwrap();
    assert_eq!(world.farm.due(LANES[0], at).unwrap().url, 1);
    assert_eq!(world.users(), [3, 3, 3]);
}

fn any_real() -> impl Strategy<Value = AnyReal> {
    (3u8..7, 0u16..4, 0u8..3, 0u32..2)
}

/// Two or three virtual servers whose real servers, of which there are four, are mostly the same.
fn any_servers(suspend: bool) -> impl Strategy<Value = Vec<VirtualServer>> {
    let one = (
        prop::collection::vec(any_real(), 1..5),
        (1u32..5, 1u32..3, any::<bool>(), any::<bool>(), any::<bool>()),
        any::<bool>(),
    );
    prop::collection::btree_map(1u8..4, one, 1..4).prop_map(move |servers| {
        let one = |(last, (reals, rules, ha_suspend)): (u8, (Vec<AnyReal>, AnyRules, bool))| {
            let mut seen = BTreeSet::new();
            let reals = reals.into_iter().filter(|(last, ..)| seen.insert(*last));
            let reals = reals.map(|(last, weight, more, retry)| {
                let mut real = real(last, weight);
                real.tcp_check[0].pace.retry = Some(retry);
                match more {
                    1 => real.misc_check = dynamic(last, weight).misc_check.clone(),
                    2 => real.http_get.push(pages()),
                    _ => {}
                }
                real
            });
            let mut server = server(last, reals.collect());
            let (quorum, rise, alpha, inhibit, sorry) = rules;
            (server.quorum, server.rise) = (Some(quorum), Some(rise));
            (server.alpha, server.inhibit_on_failure) = (alpha, inhibit);
            server.sorry_server = sorry.then_some(SorryServer { address: address(9), port: None });
            server.ha_suspend = suspend && ha_suspend;
            server
        };
        servers.into_iter().map(one).collect()
    })
}

fn any_answers() -> impl Strategy<Value = Vec<Answer>> {
    let one = prop_oneof![
        3 => Just(Answer::Good),
        2 => Just(Answer::Refused),
        1 => Just(Answer::Silent),
        1 => (0u32..20).prop_map(Answer::Weighs),
    ];
    prop::collection::vec(one, 4)
}

fn by(answers: &[Answer]) -> impl Fn(u8) -> Answer + use<'_> {
    |last| answers[usize::from(last - 3)]
}

fn alone(servers: &[VirtualServer]) -> Vec<VirtualServer> {
    servers.iter().map(|server| VirtualServer { share: Some(false), ..server.clone() }).collect()
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Answers(Vec<Answer>),
    Reload(Vec<VirtualServer>),
    Carry(BTreeSet<u8>),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any_answers().prop_map(Step::Answers),
        2 => any_servers(true).prop_map(Step::Reload),
        1 => prop::collection::btree_set(1u8..4, 0..4).prop_map(Step::Carry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Who shares and who does not end in the same tables, whatever happens, as long as what a check finds depends on its
    /// target alone; and who shares never runs more.
    #[test]
    fn sharing_makes_no_other_table(
        first in any_servers(true), answers in any_answers(), steps in prop::collection::vec(any_step(), 1..8),
    ) {
        // They do not begin at the same moment: one more of each of the twelve checks in each stretch of time.
        let slack = 12 * steps.len();
        let (mut shared, mut own) = (World::new(&first), World::new(&alone(&first)));
        let mut answers = answers;
        for step in steps {
            match step {
                Step::Answers(next) => answers = next,
                Step::Reload(next) => {
                    shared.reload(&next);
                    own.reload(&alone(&next));
                }
                Step::Carry(carried) => {
                    shared.carry(carried.iter().copied());
                    own.carry(carried);
                }
            }
            shared.run(SETTLED, by(&answers));
            own.run(SETTLED, by(&answers));
            prop_assert_eq!(shared.farm.table(), own.farm.table());
        }
        prop_assert!(shared.runs <= own.runs + slack, "{} and {}", shared.runs, own.runs);
    }

    /// Whatever answers and reloads came before, and at whatever moment: once everything is settled, the table is that of
    /// a fresh start in the same world.
    #[test]
    fn no_history_makes_another_table_than_the_present(
        first in any_servers(false),
        rounds in prop::collection::vec(
            (prop::option::of(any_servers(false)), any_answers(), 0u64..9000), 1..8),
        last in any_answers(),
    ) {
        let mut current = first;
        let mut world = World::new(&current);
        for (next, answers, millis) in rounds {
            world.run(Duration::from_millis(millis), by(&answers));
            if let Some(next) = next {
                current = next;
                world.reload(&current);
            }
        }
        world.run(SETTLED, by(&last));
        let mut fresh = World::new(&current);
        fresh.run(SETTLED, by(&last));
        prop_assert_eq!(world.farm.table(), fresh.farm.table());
        let (had, has) = (world.farm.status(), fresh.farm.status());
        for (had, has) in had.services.iter().zip(&has.services) {
            prop_assert_eq!((had.quorum_up, had.serving, had.weight), (has.quorum_up, has.serving, has.weight));
        }
    }
}
