//! Routes, rules, address options and static objects on a real kernel, from the words of a file to what `ip` shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tandem::config::{self, facts::Facts, model::Config};
use tandem::net::link::Links;
use tandem::net::wanted::Wanted;
use tandem::net::watch::Culprits;
use tandem::net::writer::{Applied, Inputs};
use tandem::net::{monitor, writer};
use tandem::vrrp::addresses;
use tokio::sync::watch;

use crate::lab::{in_a_namespace, ip, shown};

/// The parts of the net thread with both wishes.
struct Net {
    wanted: watch::Sender<Arc<Wanted>>,
    fixed: watch::Sender<Arc<Wanted>>,
    links: watch::Receiver<Arc<Links>>,
    applied: watch::Receiver<Applied>,
    writer: tokio::task::JoinHandle<()>,
    generation: u64,
}

async fn start(fixed: Wanted) -> Net {
    let first = monitor::first_dump().await.unwrap();
    let (links_out, mut links) = watch::channel(Arc::new(first));
    let (wanted_out, wanted) = watch::channel(Arc::new(Wanted::default()));
    let (fixed_out, fixed) = watch::channel(Arc::new(fixed));
    let (applied_out, applied) = watch::channel(Applied::default());
    let culprits = Culprits::default();
    let noted = culprits.clone();
    tokio::spawn(async move { monitor::run_with(links_out, &noted).await });
    let inputs = Inputs { wanted, fixed, links: links.clone(), culprits };
    // What waits for an interface is no error; here it shall be one.
    let up = links.wait_for(|links| links["eth0"].up);
    tokio::time::timeout(Duration::from_secs(5), up).await.expect("eth0 is up").unwrap();
    let writer = tokio::spawn(writer::run_with(inputs, applied_out));
    Net { wanted: wanted_out, fixed: fixed_out, links, applied, writer, generation: 0 }
}

impl Net {
    /// Publishes a wish and waits for it; the errors.
    async fn wish(&mut self, wish: &Wanted) -> Vec<String> {
        self.generation += 1;
        let generation = self.generation;
        self.wanted.send_replace(Arc::new(Wanted { generation, ..wish.clone() }));
        let done = self.applied.wait_for(|a| a.generation == generation);
        tokio::time::timeout(Duration::from_secs(5), done)
            .await
            .expect("applied in time")
            .unwrap()
            .errors
            .clone()
    }

    async fn applied(&mut self, what: &str, right: impl Fn(&Applied) -> bool) {
        let seen = self.applied.wait_for(|applied| right(applied));
        tokio::time::timeout(Duration::from_secs(5), seen)
            .await
            .unwrap_or_else(|_| panic!("not so: {what}"))
            .unwrap();
    }
}

fn load(text: &str) -> Config {
    let facts = Facts { look_at_files: true, ..Facts::default() };
    let loaded = config::load_text(Path::new("t.conf"), text.as_bytes(), &facts);
    let errors: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.level == config::diagnostic::Level::Error)
        .map(ToString::to_string)
        .collect();
    assert_eq!(errors, [""; 0]);
    loaded.config
}

/// The wish of a master with these blocks.
fn master(blocks: &str) -> Wanted {
    let config = load(&format!("vrrp_instance A {{\n interface eth0\n virtual_router_id 7\n{blocks}\n}}\n"));
    let instance = &config.vrrp_instance[0];
    let mut wish = addresses::wanted_routing(instance, "");
    wish.want = addresses::wanted_addresses(instance, "")
        .iter()
        .map(|(key, spec)| (key.clone(), spec.clone()))
        .collect();
    wish.own();
    wish
}

async fn until(what: &str, right: impl Fn() -> bool) {
    for _ in 0..500 {
        if right() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not so: {what}\n{}\n{}", shown("-d route show table all"), shown("rule"));
}

/// The line of a listing that begins so.
fn line(listing: &str, begins: &str) -> String {
    let text = shown(listing);
    let found = text.lines().find(|line| line.trim_start().starts_with(begins));
    found.unwrap_or_else(|| panic!("no {begins} in\n{text}")).trim().to_owned()
}

#[test]
fn every_route_of_a_master_is_there_and_goes_again() {
    in_a_namespace(|| async {
        ip("address add fd00:9::1/64 dev eth0 nodad");
        ip("route add 10.21.0.0/24 via 10.0.0.9 metric 9");
        let mut net = start(Wanted::default()).await;
        let wish = master(
            "virtual_ipaddress {\n 10.9.0.100/24\n }\n virtual_ipaddress_excluded {\n fd00:9::100/64\n }\n\
             virtual_routes {\n\
             10.20.0.0/24 dev eth0 src 10.9.0.100\n\
             10.21.0.0/24 via 10.9.0.7 dev eth0\n\
             10.22.0.0/24 dev eth0 table 7000 metric 5 tos 0x10 mtu lock 1400 rtt 300ms rttvar 250ms rto_min 40ms \
             advmss 1300 hoplimit 9 initcwnd 11 initrwnd 12 window 5000 cwnd lock 20 ssthresh 30 reordering 4 \
             features ecn quickack 1 fastopen_no_cookie 1\n\
             blackhole 10.23.0.0/24\n unreachable 10.23.1.0/24\n prohibit 10.23.2.0/24\n throw 10.23.3.0/24\n\
             10.24.0.0/24 nexthop via 10.9.0.7 dev eth0 weight 2 nexthop via 10.9.0.8 dev eth0 onlink\n\
             local 10.25.0.0/24 dev eth0\n broadcast 10.25.1.0/24 dev eth0\n\
             10.26.0.0/24 via 172.16.0.1 dev eth0 onlink protocol 77 no_track\n\
             10.27.0.0/24 via inet6 fd00:9::7 dev eth0\n\
             10.28.0.0/24 dev eth0 scope link realms 3/5 append\n\
             default via 10.9.0.1 dev eth0 table 7001\n\
             fd00:20::/64 dev eth0 pref high\n\
             fd00:21::/64 via fd00:9::7 dev eth0 metric 7 expires 300\n\
             fd00:22::/64 nexthop via fd00:9::7 dev eth0 nexthop via fd00:9::8 dev eth0 weight 3\n\
             blackhole fd00:23::/64\n }",
        );
        assert_eq!(wish.routes.len(), 18);
        assert_eq!(net.wish(&wish).await, [""; 0]);
        let own = "-d route show table all proto keepalived";
        for (begins, part) in [
            ("unicast 10.20.0.0/24", "dev eth0 table main scope global src 10.9.0.100"),
            ("unicast 10.21.0.0/24", "via 10.9.0.7 dev eth0"),
            ("unicast 10.22.0.0/24", "tos 0x10 "),
            ("unicast 10.22.0.0/24", "table 7000"),
            ("unicast 10.22.0.0/24", "metric 5 mtu lock 1400 window 5000"),
            ("unicast 10.22.0.0/24", "rtt 300ms rttvar 250ms"),
            ("unicast 10.22.0.0/24", "cwnd lock 20"),
            ("unicast 10.22.0.0/24", "rto_min 40ms"),
            ("blackhole 10.23.0.0/24", "table main"),
            ("unreachable 10.23.1.0/24", "table main"),
            ("prohibit 10.23.2.0/24", "table main"),
            ("throw 10.23.3.0/24", "table main"),
            ("local 10.25.0.0/24", "scope host"),
            ("broadcast 10.25.1.0/24", "scope link"),
            ("unicast 10.27.0.0/24", "via inet6 fd00:9::7 dev eth0"),
            ("unicast 10.28.0.0/24", "scope link realms 3/5"),
            ("unicast default", "via 10.9.0.1 dev eth0 table 7001"),
        ] {
            let found = line(own, begins);
            assert!(found.contains(part), "{part} in {found}");
        }
        assert!(shown(own).contains("nexthop via 10.9.0.7 dev eth0 weight 2"));
        assert!(line("route show proto 77", "10.26.0.0/24").contains("via 172.16.0.1 dev eth0 onlink"));
        let six = "-6 -d route show table all proto keepalived";
        assert!(line(six, "unicast fd00:20::/64").contains("metric 1024 pref high"));
        let expiring = line(six, "unicast fd00:21::/64");
        assert!(expiring.contains("metric 7 expires"), "{expiring}");
        assert!(shown(six).contains("nexthop via fd00:9::8 dev eth0 weight 3"));
        assert!(line(six, "blackhole fd00:23::/64").contains("metric 1024"));
        // Once more: nothing differs, nothing is done.
        let before = shown("-d route show table all");
        assert_eq!(net.wish(&wish).await, [""; 0]);
        assert_eq!(shown("-d route show table all"), before);
        assert_eq!(net.applied.borrow().repaired, 0);
        assert_eq!(net.wish(&wish.without_wishes(0)).await, [""; 0]);
        assert_eq!(shown("route show table all proto keepalived"), "");
        assert_eq!(shown("-6 route show table all proto keepalived"), "");
        assert_eq!(shown("route show proto 77"), "");
        assert!(line("route show", "10.21.0.0/24").contains("via 10.0.0.9"), "that of somebody else stays");
    });
}

#[test]
fn every_rule_of_a_master_is_there_and_goes_again() {
    in_a_namespace(|| async {
        ip("rule add from 10.9.0.100 lookup 77 pref 16000");
        let before = (shown("rule"), shown("-6 rule"));
        let mut net = start(Wanted::default()).await;
        let wish = master(
            "virtual_ipaddress {\n 10.9.0.100/24\n }\n virtual_rules {\n\
             from 10.9.0.100 table 77\n\
             to 10.9.0.101 table 78\n\
             fwmark 5 table 79 inet6\n\
             not from 10.9.1.0/24 tos 0x10 fwmark 6/0xff iif eth0 oif nowhere ipproto tcp sport 1-1023 dport 80-80 \
             uidrange 5-9 tunnel-id 7 realms 3/5 suppress_prefixlength 0 suppress_ifgroup 9 preference 100 table 80\n\
             from 10.9.2.0/24 preference 101 goto 200\n\
             from 10.9.2.0/24 preference 200 blackhole\n\
             from 10.9.3.0/24 preference 201 unreachable\n\
             from 10.9.3.0/24 preference 202 prohibit\n\
             from 10.9.4.0/24 preference 203 nop\n\
             from all preference 204 l3mdev\n\
             from 10.9.5.0/24 preference 205 table main protocol 77 no_track\n\
             from fd00::/64 preference 206 table 81\n }",
        );
        assert_eq!(wish.rules.len(), 12);
        assert_eq!(net.wish(&wish).await, [""; 0]);
        let full = line("-d rule", "100:");
        for part in [
            "not from 10.9.1.0/24",
            "fwmark 0x6/0xff",
            "iif eth0",
            "oif nowhere",
            "ipproto tcp",
            "sport 1-1023",
            "dport 80",
            "uidrange 5-9",
            "tun_id 7",
            "realms 3/5",
            "suppress_prefixlength 0",
            "suppress_ifgroup 9",
            "lookup 80",
            "proto keepalived",
        ] {
            assert!(full.contains(part), "{part} in {full}");
        }
        assert!(line("rule", "16384:").contains("from 10.9.0.100 lookup 77"));
        assert!(line("rule", "16383:").contains("to 10.9.0.101 lookup 78"));
        assert!(line("-6 rule", "16384:").contains("fwmark 0x5 lookup 79"));
        assert!(line("rule", "101:").contains("goto 200"));
        assert!(line("rule", "205:").contains("proto 77"));
        assert_eq!(net.wish(&wish).await, [""; 0]);
        assert_eq!(net.applied.borrow().repaired, 0);
        assert_eq!(net.wish(&wish.without_wishes(0)).await, [""; 0]);
        assert_eq!((shown("rule"), shown("-6 rule")), before);
    });
}

#[test]
fn what_somebody_takes_away_is_put_back_but_not_what_is_untracked() {
    in_a_namespace(|| async {
        let mut net = start(Wanted::default()).await;
        let wish = master(
            "virtual_ipaddress {\n 10.9.0.100/24\n 10.9.0.101/24 no_track\n }\n\
             virtual_routes {\n 10.20.0.0/24 dev eth0\n 10.21.0.0/24 dev eth0 no_track\n }\n\
             virtual_rules {\n from 10.9.0.100 table 77 preference 100\n\
             from 10.9.0.101 table 77 preference 101 no_track\n }",
        );
        assert_eq!(net.wish(&wish).await, [""; 0]);
        ip("address del 10.9.0.101/24 dev eth0");
        ip("route del 10.21.0.0/24");
        ip("rule del pref 101");
        ip("route del 10.20.0.0/24");
        until("the route is back", || shown("route").contains("10.20.0.0/24")).await;
        ip("rule del pref 100");
        until("the rule is back", || shown("rule").contains("100:")).await;
        ip("address add 10.9.0.102/24 dev eth0");
        ip("address del 10.9.0.100/24 dev eth0");
        until("the address is back", || shown("address").contains("10.9.0.100/24")).await;
        net.applied("three repairs", |a| a.repaired >= 3).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!shown("address").contains("10.9.0.101"));
        assert!(!shown("route").contains("10.21.0.0/24"));
        assert!(!shown("rule").contains("101:"));
        assert!(shown("rule").contains("100:") && shown("route").contains("10.20.0.0/24"));
        // A new start of the wish: they come again.
        assert_eq!(net.wish(&wish.without_wishes(0)).await, [""; 0]);
        assert_eq!(net.wish(&wish).await, [""; 0]);
        assert!(shown("address").contains("10.9.0.101") && shown("rule").contains("101:"));
    });
}

#[test]
fn an_interface_that_flaps_gets_its_routes_back() {
    in_a_namespace(|| async {
        let mut net = start(Wanted::default()).await;
        let wish = master(
            "virtual_ipaddress {\n 10.9.0.100/24\n }\n virtual_routes {\n\
             10.20.0.0/24 via 10.9.0.7 dev eth0\n fd00:20::/64 dev eth0\n }",
        );
        assert_eq!(net.wish(&wish).await, [""; 0]);
        let there = || shown("route").contains("10.20.0.0/24") && shown("-6 route").contains("fd00:20::/64");
        assert!(there());
        ip("link set eth0 down");
        let gone = net.links.wait_for(|links| !links["eth0"].up);
        tokio::time::timeout(Duration::from_secs(5), gone).await.expect("down").unwrap();
        until("gone", || !shown("route").contains("10.20.0.0/24")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(net.applied.borrow().errors, [""; 0], "it waits for its interface");
        ip("link set eth0 up");
        until("back", there).await;
    });
}

#[test]
fn address_options_reach_the_kernel() {
    in_a_namespace(|| async {
        let mut net = start(Wanted::default()).await;
        let wish = master(
            "virtual_ipaddress {\n 10.6.0.99/32\n }\n virtual_ipaddress_excluded {\n fd00:9::1\n fd00:9::2 preferred_lft forever\n fd00:9::3/64 home noprefixroute\n\
             fd00:9::4/64 mngtmpaddr preferred_lft 300\n fd00:9::5/64 -nodad\n 10.9.0.100/24 noprefixroute\n 224.0.0.77 autojoin\n }",
        );
        assert_eq!(net.wish(&wish).await, [""; 0]);
        let six = "-6 -o address show dev eth0";
        let of = |address: &str| {
            let text = shown(six);
            let found = text
                .lines()
                .find(|line| line.contains(address))
                .unwrap_or_else(|| panic!("{address} in {text}"));
            found.to_owned()
        };
        assert!(of("fd00:9::1/128").contains("deprecated"));
        assert!(!of("fd00:9::2/128").contains("deprecated"));
        assert!(of("fd00:9::3/64").contains("home") && of("fd00:9::3/64").contains("noprefixroute"));
        assert!(of("fd00:9::4/64").contains("mngtmpaddr"), "{}", of("fd00:9::4/64"));
        assert!(!of("fd00:9::5/64").contains("nodad"));
        assert!(shown("address").contains("10.9.0.100/24 scope global noprefixroute"));
        assert!(!shown("route").contains("10.9.0.0/24"));
        assert!(
            line("-o address", "").len() > 1
                && shown("address").contains("224.0.0.77/32 scope global autojoin")
        );
        assert_eq!(net.wish(&wish).await, [""; 0]);
        assert_eq!(net.applied.borrow().repaired, 0, "all is as it was wished");
        assert_eq!(net.wish(&wish.without_wishes(0)).await, [""; 0]);
        assert!(!shown("address").contains("fd00:9::") && !shown("address").contains("10.9.0.100"));
    });
}

#[test]
fn static_objects_stay_whatever_the_role_and_their_groups_know_what_is_missing() {
    in_a_namespace(|| async {
        let config = load(
            "track_group g {\n group {\n A\n }\n }\n track_group h {\n group {\n A\n }\n }\n\
             static_ipaddress {\n 10.8.0.1/24 dev eth0 track_group g\n 10.7.0.1/24 dev late0 track_group h\n }\n\
             static_routes {\n 10.30.0.0/24 via 10.8.0.7 dev eth0 track_group g\n }\n\
             static_rules {\n from 10.8.0.1 table 77 preference 300\n }\n\
             vrrp_instance A {\n interface eth0\n virtual_router_id 7\n promote_secondaries\n\
             virtual_ipaddress {\n 10.9.0.100/24\n }\n }\n",
        );
        let sysctl = "/proc/sys/net/ipv4/conf/eth0/promote_secondaries";
        let before = std::fs::read_to_string(sysctl).unwrap();
        let mut net = start(addresses::fixed(&config)).await;
        let there = || {
            shown("address").contains("10.8.0.1/24")
                && shown("route").contains("10.30.0.0/24")
                && shown("rule").contains("300:")
        };
        until("static objects before any wish", there).await;
        assert_eq!(std::fs::read_to_string(sysctl).unwrap().trim(), "1");
        let late = BTreeSet::from(["10.7.0.1/24 on late0".to_owned()]);
        net.applied("h misses an address", |a| a.missing.len() == 1 && a.missing.get("h") == Some(&late))
            .await;
        ip("link add late0 type veth peer name late1");
        ip("link set late0 up");
        net.applied("nothing is missing", |a| a.missing.is_empty()).await;
        ip("link del late0");
        net.applied("missing again", |a| a.missing.contains_key("h")).await;
        let wish = master("virtual_ipaddress {\n 10.9.0.100/24\n }");
        assert_eq!(net.wish(&wish).await, [""; 0]);
        assert_eq!(net.wish(&wish.without_wishes(0)).await, [""; 0]);
        assert!(there(), "a backup has them, too");
        ip("address del 10.8.0.1/24 dev eth0");
        until("put back with its route", there).await;
        let Net { wanted, fixed, writer, .. } = net;
        drop(wanted);
        tokio::time::timeout(Duration::from_secs(5), writer).await.expect("ends").unwrap();
        drop(fixed);
        assert!(!shown("address").contains("10.8.0.1") && !shown("rule").contains("300:"));
        assert!(!shown("route").contains("10.30.0.0/24"));
        assert_eq!(std::fs::read_to_string(sysctl).unwrap(), before);
    });
}

#[test]
fn what_the_kernel_cannot_do_is_told_in_its_words() {
    in_a_namespace(|| async {
        let mut net = start(Wanted::default()).await;
        let wish = master(
            "virtual_ipaddress {\n 10.9.0.100/24\n }\n virtual_routes {\n\
             10.20.0.0/24 via 172.16.0.1 dev eth0\n 10.21.0.0/24 dev eth0\n\
             10.22.0.0/24 via 10.9.0.7 dev eth0 encap ip id 7 dst 10.1.1.1 ttl 9\n }",
        );
        let errors = net.wish(&wish).await;
        assert!(
            errors
                .iter()
                .any(|e| e.starts_with("adding route 10.20.0.0/24: ") && e.contains("invalid gateway")),
            "{errors:?}"
        );
        assert!(shown("route").contains("10.21.0.0/24"), "one that is refused hinders no other");
        let encap = shown("route show 10.22.0.0/24");
        let refused = errors.iter().any(|e| e.starts_with("adding route 10.22.0.0/24: "));
        println!("MEASURED encap_ip={}", if refused { "refused" } else { "accepted" });
        assert!(refused || encap.contains("encap ip id 7"), "{encap} {errors:?}");
        for kind in ["mpls 100/200", "ila 1:2:3:4", "ip6 dst fd00::1"] {
            let more = format!(
                "virtual_ipaddress {{\n 10.9.0.100/24\n }}\n virtual_routes {{\n\
                 10.23.0.0/24 via 10.9.0.7 dev eth0 encap {kind}\n }}"
            );
            let errors = net.wish(&master(&more)).await;
            println!("MEASURED encap {kind}: {errors:?} {}", shown("route show 10.23.0.0/24").trim());
        }
    });
}
