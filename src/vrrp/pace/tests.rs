use proptest::prelude::*;

use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn address(number: usize) -> IpAddr {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    [10, 0, high, low].into()
}

fn bundle(interface: &str, count: usize) -> Bundle {
    Bundle { interface: interface.into(), addresses: (0..count).map(address).collect() }
}

fn firsts(paces: &mut Paces, instance: &Arc<str>, bundle: &Bundle, now: Instant) {
    for address in bundle.addresses.iter() {
        let announcement = Announcement {
            instance: Arc::clone(instance),
            interface: Arc::clone(&bundle.interface),
            address: *address,
        };
        paces.first(announcement, now);
    }
}

/// Lets time pass until nothing waits: (milliseconds since `now`, what left).
fn run(paces: &mut Paces, now: Instant, most: usize) -> Vec<(u64, Vec<Announcement>)> {
    let mut at = now;
    let mut all = Vec::new();
    while let Some(next) = paces.deadline(at) {
        at = at.max(next);
        let since = u64::try_from((at - now).as_millis()).unwrap();
        all.push((since, paces.due(at, most)));
        assert!(all.len() < 100_000, "it never ends");
    }
    all
}

fn arp(milliseconds: u64) -> Gaps {
    Gaps { arp: ms(milliseconds), neighbour: Duration::ZERO }
}

#[test]
fn a_small_burst_leaves_at_once() {
    let now = Instant::now();
    let (mut paces, name) = (Paces::default(), Arc::from("a"));
    let three = bundle("eth0", 3);
    firsts(&mut paces, &name, &three, now);
    paces.again(&name, &three, 4);
    let order: Vec<IpAddr> = paces.due(now, 128).iter().map(|a| a.address).collect();
    let round: Vec<IpAddr> = (0..3).map(address).collect();
    assert_eq!(order, round.repeat(5));
    assert_eq!(paces.deadline(now), None);
}

#[test]
fn five_thousand_are_known_in_time_and_then_repeated_gently() {
    let now = Instant::now();
    let (mut paces, name) = (Paces::default(), Arc::from("a"));
    let all = bundle("eth0", 5000);
    paces.again(&name, &all, 4);
    firsts(&mut paces, &name, &all, now);
    let steps = run(&mut paces, now, 128);
    let first: usize = steps.iter().filter(|(at, _)| *at < 45).map(|(_, due)| due.len()).sum();
    assert!(first >= 5000, "only {first} within 45 ms");
    assert!(steps.iter().all(|(_, due)| due.len() <= 128));
    assert!(steps.iter().filter(|(at, _)| *at > 45).all(|(_, due)| due.len() <= LEAST));
    let total: usize = steps.iter().map(|(_, due)| due.len()).sum();
    assert_eq!(total, 25_000);
    let mut apart = steps.windows(2).map(|two| two[1].0 - two[0].0);
    assert!(apart.all(|gap| gap == 1), "a millisecond between portions");
}

#[test]
fn a_gap_holds_for_each_interface_and_for_a_group_together() {
    let now = Instant::now();
    let name: Arc<str> = "a".into();
    let mut paces = Paces::default();
    paces.configure(Pacing {
        groups: vec![(vec!["eth1".to_owned(), "eth2".to_owned()], arp(30))],
        default: arp(10),
    });
    for (interface, count) in [("eth0", 2), ("eth1", 1), ("eth2", 1)] {
        firsts(&mut paces, &name, &bundle(interface, count), now);
    }
    let neighbour = Bundle { interface: "eth0".into(), addresses: ["fe80::1".parse().unwrap()].into() };
    paces.again(&name, &neighbour, 1);
    let at = |paces: &mut Paces, time: u64| -> Vec<String> {
        let mut names: Vec<String> =
            paces.due(now + ms(time), 100).into_iter().map(|a| a.interface.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(at(&mut paces, 0), ["eth0", "eth0", "eth1"], "one of each family, one of the group");
    assert_eq!(paces.deadline(now), Some(now + ms(10)));
    assert_eq!(at(&mut paces, 9), [""; 0]);
    assert_eq!(at(&mut paces, 10), ["eth0"]);
    assert_eq!(at(&mut paces, 30), ["eth2"]);
    assert_eq!(paces.deadline(now + ms(30)), None);
}

#[test]
fn a_gap_outlives_an_empty_queue() {
    let now = Instant::now();
    let (mut paces, name) = (Paces::default(), Arc::from("a"));
    paces.configure(Pacing { groups: Vec::new(), default: arp(10) });
    let one = bundle("eth0", 1);
    firsts(&mut paces, &name, &one, now);
    assert_eq!(paces.due(now, 9).len(), 1);
    firsts(&mut paces, &name, &one, now);
    assert_eq!(paces.due(now + ms(5), 9).len(), 0);
    assert_eq!(paces.due(now + ms(10), 9).len(), 1);
}

#[test]
fn who_leaves_is_not_heard_any_more() {
    let now = Instant::now();
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    let mut paces = Paces::default();
    for name in [&a, &b] {
        firsts(&mut paces, name, &bundle("eth0", 1), now);
        paces.again(name, &bundle("eth0", 1), 1);
    }
    paces.forget("a");
    let due = paces.due(now, 9);
    assert_eq!(due.len(), 2);
    assert!(due.iter().all(|one| &*one.instance == "b"));
}

#[test]
fn other_gaps_lose_nothing() {
    let now = Instant::now();
    let (mut paces, name) = (Paces::default(), Arc::from("a"));
    firsts(&mut paces, &name, &bundle("eth0", 3), now);
    paces.again(&name, &bundle("eth0", 3), 2);
    paces.configure(Pacing { groups: Vec::new(), default: arp(10) });
    let steps = run(&mut paces, now, 128);
    assert_eq!(steps.len(), 9);
    assert_eq!(steps.last().map(|(at, _)| *at), Some(80));
}

#[test]
fn an_occasion_each_moment_neither_fills_the_queue_nor_starves_the_last_address() {
    let now = Instant::now();
    let (mut paces, name) = (Paces::default(), Arc::from("a"));
    let all = bundle("eth0", 1000);
    let mut said = BTreeMap::new();
    for step in 0..400 {
        if step % 10 == 0 {
            paces.again(&name, &all, 5);
        }
        for one in paces.due(now + ms(step), 128) {
            *said.entry(one.address).or_insert(0) += 1;
        }
    }
    assert_eq!(said.len(), 1000);
    assert!(said.values().all(|count| (5..=8).contains(count)), "{said:?}");
    let left: usize = run(&mut paces, now + ms(400), 128).iter().map(|(_, due)| due.len()).sum();
    assert!(left <= 6000, "{left} still wait");
}

proptest! {
    /// Whatever happens, each first announcement leaves exactly once, all rounds in full, no portion is too large, and
    /// every interface has its turn.
    #[test]
    fn nothing_is_lost_or_doubled(
        shapes in prop::collection::vec((0usize..4, 1usize..200, 1u32..4), 1..6),
        most in 1usize..200,
        gap in prop::sample::select(vec![0u64, 0, 2]),
    ) {
        let now = Instant::now();
        let mut paces = Paces::default();
        paces.configure(Pacing { groups: vec![(vec!["eth3".to_owned()], arp(gap))], default: Gaps::default() });
        let mut wanted = 0;
        for (number, (interface, count, rounds)) in shapes.iter().enumerate() {
            let (name, bundle) = (Arc::from(format!("i{number}")), bundle(&format!("eth{interface}"), *count));
            firsts(&mut paces, &name, &bundle, now);
            paces.again(&name, &bundle, *rounds);
            wanted += count * (1 + usize::try_from(*rounds).unwrap());
        }
        let steps = run(&mut paces, now, most);
        prop_assert!(steps.iter().all(|(_, due)| due.len() <= most));
        let mut said = BTreeMap::new();
        for one in steps.iter().flat_map(|(_, due)| due) {
            *said.entry((one.instance.clone(), one.address)).or_insert(0u32) += 1;
        }
        prop_assert_eq!(said.values().sum::<u32>(), u32::try_from(wanted).unwrap());
        for ((name, _), count) in &said {
            let number: usize = name[1..].parse().unwrap();
            prop_assert_eq!(*count, 1 + shapes[number].2);
        }
    }
}
