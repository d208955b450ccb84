//! Tandem with FRR's bfdd, which is strict about RFC 5881 (TTL 255 over both families) and speaks RFC 5883 on its own
//! port.

use super::frr::Frr;
use super::*;

const FRR_PACE: &str = "  detect-multiplier 3\n  receive-interval 100\n  transmit-interval 100\n !";

/// (session of ours, peer as bfdd names us).
fn each_finds_the_others_death(lab: &Lab, name: &str, tandem: &str, frr: &str, peers: [(&str, &str); 2]) {
    let mut t = Director::start_as(lab, "d1", Kind::Tandem, tandem);
    let f = Frr::start(lab, "d2", frr);
    for (session, peer) in peers {
        wait_said(&t, 0, session, true);
        f.wait_state(0, peer, "up");
    }
    calm(&t, &peers.map(|(session, _)| session), s(3));
    let mark = f.mark();
    let killed = now();
    t.kill();
    for (session, peer) in peers {
        let took = f.wait_state(mark, peer, "down") - killed;
        measured(&format!("bfd_{name}_tandem_killed_{session}"), took, DETECTION, ms(200));
    }
    let mark = f.mark();
    let t = t.again(lab);
    for (session, peer) in peers {
        wait_said(&t, 0, session, true);
        f.wait_state(mark, peer, "up");
    }
    calm(&t, &peers.map(|(session, _)| session), s(1));
    let mark = t.mark();
    let killed = now();
    let mut f = f;
    f.kill();
    for (session, _) in peers {
        let took = wait_said(&t, mark, session, false) - killed;
        measured(&format!("bfd_{name}_frr_killed_{session}"), took, DETECTION, ms(200));
    }
}

#[test]
fn single_hop() {
    if tandem_only("FRR is the other side") || lab::frr::absent(&["zebra", "bfdd"]) {
        return;
    }
    let lab = two_hosts("bfdfhop");
    let ours = conf(&[
        session("four", "10.9.0.2", PACE),
        session("six", "fd09::2", &format!("{PACE}\n    hoplimit 255")),
    ]);
    let theirs = format!(" peer 10.9.0.1\n{FRR_PACE}\n peer fd09::1 local-address fd09::2\n{FRR_PACE}");
    each_finds_the_others_death(&lab, "hop", &ours, &theirs, [("four", "10.9.0.1"), ("six", "fd09::1")]);
}

#[test]
fn several_hops() {
    if tandem_only("FRR is the other side") || lab::frr::absent(&["zebra", "bfdd"]) {
        return;
    }
    let lab = routed("bfdfhops");
    let ours = conf(&[
        session("four", "10.9.2.1", &format!("{PACE}\n    multihop")),
        session(
            "six",
            "fd09:2::1",
            &format!("{PACE}\n    multihop\n    max_hops 2\n    source_ip fd09:1::1"),
        ),
    ]);
    let theirs = format!(
        " peer 10.9.1.1 multihop local-address 10.9.2.1\n{FRR_PACE}\n peer fd09:1::1 multihop local-address \
         fd09:2::1\n{FRR_PACE}"
    );
    each_finds_the_others_death(&lab, "hops", &ours, &theirs, [("four", "10.9.1.1"), ("six", "fd09:1::1")]);
}
