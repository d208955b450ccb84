//! Somebody else has the address and sends no adverts: the master asks, tells it, and announces against it.

use super::*;

/// Frames of `host` that ask who has the VIP without saying who asks.
fn questions(pair: &Pair, host: &str, since: Instant) -> Vec<Instant> {
    let probe = |kind: &wire::Kind| {
        matches!(kind, wire::Kind::Arp { operation: 1, sender, target, .. }
            if sender.is_unspecified() && target.to_string() == VIP)
    };
    let frames = pair.wire.frames().into_iter();
    frames.filter(|f| f.host == host && f.at >= since && probe(&f.kind)).map(|f| f.at).collect()
}

#[test]
fn a_second_holder_is_found_told_and_answered() {
    let pair = Pair::new("holder");
    let since = now();
    let d1 = pair.start_as("d1", Kind::Tandem, &Conf::new("MASTER", 150));
    pair.master("d1");
    // Its own address answers nobody's questions: alone it is content.
    wait("the master asks", s(10), || questions(&pair, "d1", since).len() >= 2);
    assert!(!d1.said().contains("two holders"), "{}", d1.said());

    pair.lab.ip("client", &format!("address add {VIP}/32 dev eth0"));
    let there = now();
    wait("the second holder is told", s(25), || d1.said().contains("two holders"));
    let told = now();
    assert!(d1.said().contains(&format!("answers for {VIP}")), "{}", d1.said());
    wait("the addresses are announced anew", s(5), || {
        pair.wire.announcements("d1", VIP, told.checked_sub(s(1)).unwrap_or(there)).len() >= 5
    });

    pair.lab.ip("client", &format!("address del {VIP}/32 dev eth0"));
    wait("and that it is gone", s(30), || d1.said().contains("one holder again"));
    assert_eq!(d1.said().matches("two holders").count(), 1, "{}", d1.said());
}
