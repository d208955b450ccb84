//! Who takes over, and how fast.

use super::*;

#[test]
fn killed_master_is_replaced_and_preempts_when_back() {
    let pair = Pair::new("kill");
    let start = now();
    let (high, low) = (Conf::new("MASTER", 150), Conf::new("BACKUP", 100));
    let mut d1 = pair.start("d1", &high);
    let _d2 = pair.start("d2", &low);
    let up = pair.watch.wait("d1", VIP, true, patience());
    measured("election", up - start, down_interval(s(1), 150), ms(400));
    pair.master("d1");

    // The process is gone, the machine is not: its address stays, as a crash leaves it. Nobody may wait for it.
    let took = pair.takeover("d1", "d2", || d1.kill());
    measured("takeover_sigkill", took, down_interval(s(1), 100), ms(100));
    assert!(took > s(3), "a backup that takes over after {took:?} did not wait for three adverts");

    let back = now();
    let _d1 = d1.again(&pair.lab);
    let lost = {
        wait("the first one preempts", patience(), || {
            pair.wire.adverts("d1", back).iter().any(|(_, p)| *p == 150)
        });
        pair.watch.wait("d2", VIP, false, patience())
    };
    let sent = pair.wire.adverts("d1", back)[0].0;
    measured("failback_preempt", sent - back, down_interval(s(1), 150), ms(500));
    measured("yield_to_higher", lost.saturating_duration_since(sent), Duration::ZERO, ms(100));
    pair.master("d1");
}

#[test]
fn stopped_master_says_goodbye() {
    let pair = Pair::new("term");
    let mut d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let since = now();
    let took = pair.takeover("d1", "d2", || d1.terminate());
    let adverts = pair.wire.adverts("d1", since);
    assert_eq!(
        adverts.iter().filter(|(_, priority)| *priority == 0).count(),
        1,
        "one priority 0: {adverts:?}"
    );
    assert_eq!(adverts.last().map(|(_, priority)| *priority), Some(0), "the last word is 0: {adverts:?}");
    measured("takeover_sigterm", took, skew(s(1), 100), ms(100));
    let status = d1.stop();
    assert!(status.success(), "ended with {status}");
    pair.watch.wait_holders(VIP, &["d2"], patience());
    if d1.kind == Kind::Tandem {
        let gone = pair.watch.changes_of("d1", VIP, since);
        assert_eq!(gone.len(), 1, "the address goes once: {gone:?}");
    }
}

#[test]
fn cable_of_the_master_pulled() {
    let pair = Pair::new("cable");
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let cut = now();
    let took = pair.takeover("d1", "d2", || pair.lab.cut("d1", "eth0"));
    measured("takeover_cable", took, down_interval(s(1), 100), ms(100));
    let gone = pair.watch.wait("d1", VIP, false, patience());
    measured("fault_drops_address", gone.saturating_duration_since(cut), s(1), ms(300));
    pair.master("d2");
    pair.lab.plug("d1", "eth0");
    pair.master("d1");
}

#[test]
fn nopreempt_keeps_the_sitting_master() {
    let pair = Pair::new("nopreempt");
    let conf = |priority| Conf::new("BACKUP", priority).line("nopreempt");
    let mut d1 = pair.start("d1", &conf(150));
    pair.master("d1");
    let _d2 = pair.start("d2", &conf(100));
    pause(s(1));
    pair.takeover("d1", "d2", || {
        d1.stop();
    });
    pair.master("d2");
    let since = now();
    let _d1 = d1.again(&pair.lab);
    pair.calm(since, s(6));
    assert!(pair.wire.adverts("d1", since).is_empty(), "a nopreempt backup is silent");
}

#[test]
fn unicast_pair() {
    let pair = Pair::new("unicast");
    let conf = |state, priority, own: u8, peer: u8| {
        Conf::new(state, priority)
            .line(&format!("unicast_src_ip 10.9.0.{own}"))
            .line(&format!("unicast_peer {{\n        10.9.0.{peer}\n    }}"))
    };
    let mut d1 = pair.start("d1", &conf("MASTER", 150, 1, 2));
    let _d2 = pair.start("d2", &conf("BACKUP", 100, 2, 1));
    pair.master("d1");
    let took = pair.takeover("d1", "d2", || d1.kill());
    measured("takeover_unicast", took, down_interval(s(1), 100), ms(100));
    let multicast = pair.wire.frames().iter().any(
        |frame| matches!(frame.kind, wire::Kind::Advert { destination, .. } if destination.is_multicast()),
    );
    assert!(!multicast, "a unicast pair sends no multicast");
}

#[test]
fn version_3_with_fast_adverts() {
    let pair = Pair::new("v3");
    let conf = |state, priority| Conf::new(state, priority).advert("0.2").line("version 3");
    let mut d1 = pair.start("d1", &conf("MASTER", 150));
    let _d2 = pair.start("d2", &conf("BACKUP", 100));
    pair.master("d1");
    pause(s(2));
    let versions = pair.wire.frames().into_iter().filter_map(|frame| match frame.kind {
        wire::Kind::Advert { version, .. } => Some(version),
        wire::Kind::Arp { .. } => None,
    });
    assert!(versions.into_iter().all(|version| version == 3));
    let took = pair.takeover("d1", "d2", || d1.kill());
    measured("takeover_v3_200ms", took, down_interval(ms(200), 100), ms(100));
}

#[test]
fn gratuitous_arps_come_in_two_bursts() {
    let pair = Pair::new("garp");
    let since = now();
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let up = pair.watch.wait("d1", VIP, true, patience());
    pause((up + ms(6500)).saturating_duration_since(now()));
    let frames = pair.wire.announcements("d1", VIP, since);
    let offsets: Vec<_> =
        frames.iter().map(|frame| frame.at.saturating_duration_since(up).as_millis()).collect();
    let first: Vec<_> = offsets.iter().filter(|at| **at < 1000).collect();
    let second: Vec<_> = offsets.iter().filter(|at| **at >= 1000).collect();
    assert_eq!((first.len(), second.len()), (5, 5), "ms after the address came: {offsets:?}");
    assert!(second.iter().all(|at| (4800..5400).contains(*at)), "five after 5 s: {offsets:?}");
    let requests = frames.iter().all(|frame| {
        matches!(frame.kind, wire::Kind::Arp { operation: 1, destination, .. } if destination == [255; 6])
    });
    assert!(requests, "broadcast requests: {frames:?}");
    let first_arp = frames[0].at.saturating_duration_since(up);
    measured("first_garp_after_address", first_arp, Duration::ZERO, ms(100));
}

#[test]
fn client_follows_by_gratuitous_arp() {
    let pair = Pair::new("client");
    let _servers = Nginx::start_all(&pair.lab, ["d1", "d2"], 80);
    let mut d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let traffic = Traffic::start(&pair.lab, "client", &format!("{VIP}:80"), ms(10), ms(150));
    pause(s(1));
    let since = now();
    pair.takeover("d1", "d2", || d1.terminate());
    pause(s(2));
    measured("outage_sigterm", traffic.outage(since, now()), skew(s(1), 100), ms(250));
    assert_eq!(traffic.servers(now() - s(1), now()).into_keys().collect::<Vec<_>>(), ["d2"]);
    d1.stop();
}
