//! Whole networks of routers on a virtual clock: two to seven machines on one LAN with loss, delay, duplicates,
//! reordering, partitions, paused and killed hosts, faults, reloads and priorities that change, with one instance each or a sync group of
//! two or three. Real bytes go
//! over the wire: encode, accept, handle.
//!
//! Each seed is one run. `SIM_SEED=n` replays one with its story; `SIM_SEEDS=n` sets how many there are.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests may unwrap and take a base instant"
)]

#[path = "vrrp_sim/lan.rs"]
mod lan;
#[path = "vrrp_sim/pcg.rs"]
mod pcg;

use std::sync::Arc;
use std::time::Duration;

use lan::{Lan, ms};
use pcg::Pcg;
use tandem::config::model::VrrpVersion;
use tandem::vrrp::accept::UnicastRules;
use tandem::vrrp::machine::{Event, Order, OrderKind, Params};
use tandem::vrrp::priority::Effective;

/// Runs without `SIM_SEEDS`.
const SEEDS: u64 = 10_000;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The tests that share the seeds, so that more than one processor works on them.
const SHARES: u64 = 4;

/// The seeds of one share: those that leave this remainder.
fn share(remainder: u64) {
    if let Some(seed) = from_environment("SIM_SEED") {
        if seed % SHARES == remainder {
            run(seed, true);
        }
        return;
    }
    for seed in (remainder..from_environment("SIM_SEEDS").unwrap_or(SEEDS)).step_by(SHARES as usize) {
        let outcome = std::panic::catch_unwind(|| run(seed, false));
        assert!(outcome.is_ok(), "seed {seed} failed (above): SIM_SEED={seed} tells its story");
    }
}

#[test]
fn routers_agree_on_the_right_master_whatever_happened_before_1() {
    share(0);
}

#[test]
fn routers_agree_on_the_right_master_whatever_happened_before_2() {
    share(1);
}

#[test]
fn routers_agree_on_the_right_master_whatever_happened_before_3() {
    share(2);
}

#[test]
fn routers_agree_on_the_right_master_whatever_happened_before_4() {
    share(3);
}

/// What all routers of a run have in common.
struct Plan {
    version: VrrpVersion,
    preempt: bool,
    /// Each router has its own mind about preemption; `preempt` is then false.
    mixed: bool,
    preempt_delay: Duration,
    unicast: bool,
    /// Instances of each router; more than one are a sync group.
    instances: usize,
    intervals: Vec<Duration>,
}

impl Plan {
    fn random(rng: &mut Pcg) -> Self {
        let version = if rng.chance(50) { VrrpVersion::V2 } else { VrrpVersion::V3 };
        // Version 2 knows one interval for all; version 3 lets each router have its own.
        let intervals = match version {
            VrrpVersion::V2 => vec![*rng.pick(&[ms(1000), ms(2000)])],
            VrrpVersion::V3 => vec![ms(300), ms(500), ms(1000), ms(2000)],
        };
        let preempt = rng.chance(75);
        let mixed = !preempt && rng.chance(50);
        let preempt_delay = if preempt && rng.chance(20) { ms(rng.below(5000)) } else { Duration::ZERO };
        let instances = *rng.pick(&[1, 1, 1, 2, 3]);
        Self { version, preempt, mixed, preempt_delay, unicast: rng.chance(20), instances, intervals }
    }

    fn params(&self, rng: &mut Pcg) -> Params {
        Params {
            version: self.version,
            base_priority: priority(rng),
            state_master: self.preempt && self.preempt_delay.is_zero() && rng.chance(30),
            advert_int: *rng.pick(&self.intervals),
            preempt: self.preempt || (self.mixed && rng.chance(50)),
            preempt_delay: self.preempt_delay,
            down_timer_adverts: *rng.pick(&[3, 3, 3, 2, 5]),
            grouped: false,
            lower_prio_no_advert: false,
            higher_prio_send_advert: rng.chance(20),
            owner_ignore_adverts: false,
            timer_expired_backup: None,
            own: None,
        }
    }

    /// The settings of a router's instances: one priority for all (members of a group that rank differently on two
    /// machines never agree), intervals of their own.
    fn router(&self, rng: &mut Pcg) -> Vec<Params> {
        let first = self.params(rng);
        let other = |rng: &mut Pcg| Params { advert_int: *rng.pick(&self.intervals), ..first.clone() };
        let mut all: Vec<Params> = (1..self.instances).map(|_| other(rng)).collect();
        all.push(first);
        all
    }

    /// The longest interval of any router.
    fn longest(&self) -> Duration {
        self.intervals.iter().copied().max().unwrap_or(ms(1000))
    }

    /// The longest master-down time of any router: five intervals, and a skew below one interval or one second.
    fn down(&self) -> Duration {
        self.longest() * 5 + self.longest().max(ms(1000))
    }

    /// Until when all is settled, once nothing changes any more: the longest master-down time plus one advert.
    /// A preemption delay may begin after a first takeover, and then a whole down timer still follows.
    fn settled(&self) -> Duration {
        let plain = self.down() + self.longest() + ms(100);
        if self.preempt_delay.is_zero() { plain } else { plain * 2 + self.preempt_delay }
    }
}

/// Few values, so that equal priorities are common; sometimes the owner.
fn priority(rng: &mut Pcg) -> u8 {
    *rng.pick(&[1, 50, 100, 100, 100, 150, 150, 200, 254, 255])
}

/// One run: chaos, quiet in whatever partitions there are, one network again, and the loss of the master.
fn run(seed: u64, loud: bool) {
    let mut rng = Pcg::new(seed);
    let plan = Plan::random(&mut rng);
    let mut lan = Lan::new(rng.fork(), plan.version, loud);
    for _ in 0..2 + rng.below(6) {
        let all = plan.router(&mut rng);
        let unicast = plan.unicast.then(UnicastRules::default);
        lan.add(all, unicast.as_ref());
    }
    let (routers, instances) = (lan.len(), plan.instances);
    lan.say(&format!("seed {seed}: {routers} routers of {instances} instances, {:?}", plan.version));
    chaos(&mut rng, &plan, &mut lan);
    for index in 0..lan.len() {
        repair(&mut rng, &mut lan, index);
    }

    lan.quiet();
    lan.run_for(plan.settled());
    check(&plan, &mut lan, "in each partition");

    let masters = lan.masters();
    let best = masters.iter().copied().max_by_key(|index| lan.rank(*index));
    lan.heal();
    // Masters that meet settle it with the next advert, and its answer.
    lan.run_for(plan.longest() + ms(100));
    check(&plan, &mut lan, "after healing");
    if plan.preempt && plan.preempt_delay.is_zero() {
        let last = lan.masters().first().copied();
        // Members of a group that follow resign with priority 0, and of three masters that meet two may: a backup of the
        // winner's priority and a higher address, whose skew is next to nothing, may then go before it hears the winner.
        let better = plan.instances > 1 && last.map(|last| lan.rank(last)) > best.map(|best| lan.rank(best));
        assert!(last == best || better, "of the masters that met {best:?} is the best, and {last:?} is left");
    }

    stand_still(&mut rng, &plan, &mut lan);
    orders(&mut rng, &plan, &mut lan);
    lose_the_master(&mut rng, &plan, &mut lan);
}

/// All machines stand still together, as guests of one host do, for so long that every timer is an interval late: nobody
/// takes over from anybody afterwards. (Of a shorter time a backup may notice too little.)
fn stand_still(rng: &mut Pcg, plan: &Plan, lan: &mut Lan) {
    // Owners wait for nobody, and two of them are a mistake that this is not about.
    if lan.able().iter().any(|index| lan.rank(*index).0 == 255) {
        return;
    }
    let (before, time) = (lan.transitions(), plan.down() + plan.longest() + ms(rng.below(20_000)));
    for index in 0..lan.len() {
        // They do not wake in the same moment.
        lan.pause(index, time + ms(rng.below(40)));
    }
    lan.run_for(time + plan.settled());
    assert_eq!(lan.transitions(), before, "all stood still for {time:?}, and somebody changed his mind");
}

/// What people order of a settled network: the master steps down, another one takes over, all orders are taken back.
fn orders(rng: &mut Pcg, plan: &Plan, lan: &mut Lan) {
    for index in 0..lan.len() {
        lan.tell(index, None, &Event::Order(None));
    }
    lan.run_for(plan.settled());
    check(plan, lan, "without orders");
    let Some(&master) = lan.masters().first() else { return };
    let others: Vec<usize> = lan.able().into_iter().filter(|index| *index != master).collect();
    // A peer of priority 1, too, is there first: it waits for a skew, and the one that stepped down for its whole timer.
    lan.tell(master, None, &order(rng, OrderKind::StepDown));
    assert!(lan.masters().is_empty(), "it stepped down");
    // The peers have a skew to wait, and members of a group the longest of theirs.
    let limit = if others.is_empty() { plan.down() } else { plan.longest().max(ms(1000)) } + ms(20);
    let took = lan.until_master(limit).unwrap_or_else(|| panic!("no master {limit:?} after a step-down"));
    let next = lan.masters();
    assert_eq!(
        next == [master],
        others.is_empty(),
        "after {took:?}: it yields to any peer, but not to nobody"
    );
    lan.run_for(plan.settled());
    check(plan, lan, "with one that was ordered to step down");
    assert_eq!(lan.masters() == [master], others.is_empty());

    let taker = *rng.pick(&lan.able());
    let before = lan.masters().first().map(|master| lan.rank(*master).0).unwrap_or_default();
    let own = lan.masters() == [taker];
    lan.tell(taker, None, &order(rng, OrderKind::TakeOver));
    if before < 254 || own {
        assert!(lan.masters().contains(&taker), "master at once, over a priority of {before}");
        lan.run_for(plan.longest() + ms(100));
        if before < 254 {
            assert_eq!(lan.masters(), [taker], "and alone with its first advert");
        }
    }
    lan.run_for(plan.settled());
    check(plan, lan, "with one that was ordered to take over");

    for index in 0..lan.len() {
        lan.tell(index, None, &Event::Order(None));
    }
    lan.run_for(plan.settled());
    check(plan, lan, "with all orders taken back");
    let Some(&master) = lan.masters().first() else { return };
    let own = lan.rank(master).0;
    let above: Vec<usize> = lan.able().into_iter().filter(|index| lan.rank(*index).0 > own).collect();
    // Where nobody preempts, a person may.
    if !plan.preempt && !above.is_empty() {
        let best = *rng.pick(&above);
        lan.tell(best, None, &Event::Failback { by: "somebody".to_owned() });
        lan.run_for(plan.longest() + ms(100));
        assert_eq!(lan.masters(), [best], "given back to a priority above {own}");
        lan.run_for(plan.settled());
        check(plan, lan, "after a failback");
    }
}

/// An order of this kind, or of one that is as good.
fn order(rng: &mut Pcg, kind: OrderKind) -> Event {
    let kind = match kind {
        OrderKind::StepDown if rng.chance(50) => OrderKind::Maintenance,
        kind => kind,
    };
    Event::Order(Some(Arc::new(Order { kind, by: "somebody".to_owned(), at: Duration::ZERO, until: None })))
}

/// Twenty seconds and more of everything that can go wrong.
fn chaos(rng: &mut Pcg, plan: &Plan, lan: &mut Lan) {
    lan.trouble(rng.below(40), rng.below(30), ms(rng.below(1500)));
    for _ in 0..5 + rng.below(15) {
        lan.run_for(ms(rng.below(4000)));
        let index = rng.below(lan.len() as u64) as usize;
        let one = Some(rng.below(3) as usize);
        match rng.below(14) {
            0 => lan.partition(),
            1 => lan.heal(),
            2 | 3 => lan.pause(index, ms(rng.below(12_000))),
            4 => lan.tell(index, None, &Event::Stop),
            5 => lan.kill(index),
            6 => lan.restart(index),
            7 => lan.tell(index, None, &Event::Effective(Effective::Priority(priority(rng)))),
            8 => lan.tell(index, one, &Event::Effective(Effective::Fault("script x failed".to_owned()))),
            9 => lan.tell(index, one, &Event::Own(None)),
            10 => lan.tell(index, None, &Event::Own(Some(lan.address(index)))),
            11 => {
                let kinds = [
                    OrderKind::StepDown,
                    OrderKind::TakeOver,
                    OrderKind::Maintenance,
                    OrderKind::StrictMaintenance,
                ];
                let kind = *rng.pick(&kinds);
                lan.tell(index, None, &order(rng, kind));
            }
            12 if rng.chance(50) => lan.tell(index, None, &Event::Order(None)),
            12 => lan.tell(index, None, &Event::Failback { by: "somebody".to_owned() }),
            _ => {
                let params = Params { grouped: lan.instances(index) > 1, ..plan.params(rng) };
                lan.tell(index, None, &Event::Params(params));
            }
        }
    }
}

/// Most of what is broken works again in the end, so that there is somebody to elect.
fn repair(rng: &mut Pcg, lan: &mut Lan, index: usize) {
    if rng.chance(75) {
        lan.restart(index);
    }
    if rng.chance(75) {
        lan.tell(index, None, &Event::Own(Some(lan.address(index))));
        lan.tell(index, None, &Event::Effective(Effective::Priority(priority(rng))));
    }
}

/// Exactly one master in each partition that has a router able to be one, the right one where preemption is on,
/// and nothing moves any more.
fn check(plan: &Plan, lan: &mut Lan, when: &str) {
    let before = lan.transitions();
    lan.assert_single(plan.preempt, when);
    // The watch goes on at every event for some intervals more.
    let end = plan.longest() * 3;
    let mut passed = Duration::ZERO;
    while passed < end {
        lan.run_for(plan.longest() / 4);
        passed += plan.longest() / 4;
        lan.assert_single(plan.preempt, when);
    }
    assert_eq!(lan.transitions(), before, "{when}: a settled network changed its mind");
}

/// The master dies or stops; the next one is there in time, and not before.
fn lose_the_master(rng: &mut Pcg, plan: &Plan, lan: &mut Lan) {
    let Some(&master) = lan.masters().first() else { return };
    let stops = rng.chance(50);
    let others = lan.able().into_iter().filter(|index| *index != master).count();
    if stops {
        lan.tell(master, None, &Event::Stop);
        assert!(lan.stopped(master));
    } else {
        lan.kill(master);
    }
    if others == 0 {
        return;
    }
    // Priority 0 leaves the skew alone; silence the whole down timer. A tolerated lower master does not come
    // into it: every backup heard the same last word.
    let skew_alone = plan.longest().max(ms(1000));
    let limit = if stops { skew_alone } else { plan.down() } + ms(20);
    let took = lan.until_master(limit).unwrap_or_else(|| panic!("no master {limit:?} after the last one"));
    if !stops {
        let least = plan.intervals.iter().copied().min().unwrap_or_default();
        assert!(took > least, "taken over after {took:?}, before a second advert could be missed");
    }
    lan.say(&format!("taken over after {took:?}"));
    lan.run_for(plan.settled());
    check(plan, lan, "after the loss of the master");
}
