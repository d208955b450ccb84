//! Routes, rules and static objects of a pair: they follow the mastership, or stay whatever it is.

use super::*;

const ROUTES: &str = "virtual_routes {
        10.20.0.0/24 via 10.9.0.200 dev eth0
        10.21.0.0/24 dev eth0 src 10.9.0.100 table 77
        blackhole 10.22.0.0/24
    }
    virtual_rules {
        from 10.9.0.100 table 77 priority 300
    }";
const FIXED: &str = "static_ipaddress {
    10.8.0.1/24 dev eth0
}
static_routes {
    10.30.0.0/24 via 10.8.0.9 dev eth0
}
static_rules {
    from 10.8.0.1 table 78 priority 400
}";

/// What a host has of ours: `ip route` and `ip rule` name the protocol.
fn owned(pair: &Pair, host: &str) -> Vec<String> {
    let routes = pair.lab.command(host, &["ip", "route", "show", "table", "all", "proto", "keepalived"]);
    let rules = pair.lab.command(host, &["ip", "rule"]);
    let rules = rules.lines().filter(|line| line.contains("keepalived"));
    let mut all: Vec<String> = routes.lines().chain(rules).map(|line| line.trim().to_owned()).collect();
    all.sort();
    all
}

fn has(pair: &Pair, host: &str, begins: &str) -> bool {
    owned(pair, host).iter().any(|line| line.starts_with(begins))
}

#[test]
fn routes_and_rules_follow_the_mastership_and_static_ones_stay() {
    let pair = Pair::new("routing");
    let of = |state, priority| Conf::new(state, priority).head(FIXED).line(ROUTES);
    let mut d1 = pair.start("d1", &of("MASTER", 150));
    let mut d2 = pair.start("d2", &of("BACKUP", 100));
    pair.master("d1");
    let virtual_ones =
        ["10.20.0.0/24 via", "10.21.0.0/24 dev eth0 table 77", "blackhole 10.22.0.0/24", "300:"];
    let fixed = ["10.30.0.0/24 via", "400:"];
    wait("d1 has all", patience(), || virtual_ones.iter().chain(&fixed).all(|what| has(&pair, "d1", what)));
    wait("d2 has the static ones", patience(), || fixed.iter().all(|what| has(&pair, "d2", what)));
    assert_eq!(owned(&pair, "d2").len(), fixed.len(), "{:?}", owned(&pair, "d2"));
    d1.stop();
    pair.master("d2");
    wait("d2 has all", patience(), || virtual_ones.iter().chain(&fixed).all(|what| has(&pair, "d2", what)));
    wait("d1 left nothing behind", patience(), || owned(&pair, "d1").is_empty());
    d2.stop();
    wait("d2 left nothing behind", patience(), || owned(&pair, "d2").is_empty());
}

#[test]
fn a_route_that_somebody_deletes_is_back_and_the_master_stays() {
    if director::tandem_only("a route deleted by hand") {
        return;
    }
    let pair = Pair::new("putback");
    let d1 = pair.start("d1", &Conf::new("MASTER", 150).line(ROUTES));
    pair.master("d1");
    wait("its rule", patience(), || has(&pair, "d1", "300:"));
    let mark = d1.mark();
    pair.lab.ip("d1", "route del 10.20.0.0/24");
    wait("the route is back", patience(), || has(&pair, "d1", "10.20.0.0/24 via"));
    pair.lab.ip("d1", "rule del priority 300");
    wait("the rule is back", patience(), || has(&pair, "d1", "300:"));
    wait("it is said", patience(), || d1.said_since(mark).contains("route 10.20.0.0/24 was removed"));
    assert!(!d1.said_since(mark).contains("BACKUP"), "{}", d1.said_since(mark));
}

#[test]
fn the_interface_of_an_address_is_needed_unless_it_is_not_tracked() {
    let pair = Pair::new("needed");
    pair.lab.ip("d1", "link add vip0 type veth peer name vip1");
    pair.lab.ip("d1", "link set vip1 up");
    pair.lab.ip("d1", "link set vip0 up");
    pair.lab.ip("d2", "link add vip0 type veth peer name vip1");
    pair.lab.ip("d2", "link set vip1 up");
    pair.lab.ip("d2", "link set vip0 up");
    let of = |state, priority| Conf::new(state, priority).address("10.7.0.100/24 dev vip0");
    let _d1 = pair.start("d1", &of("MASTER", 150));
    let _d2 = pair.start("d2", &of("BACKUP", 100));
    pair.master("d1");
    pair.lab.ip("d1", "link set vip0 down");
    pair.master("d2");
    pair.lab.ip("d1", "link set vip0 up");
    pair.master("d1");
}
