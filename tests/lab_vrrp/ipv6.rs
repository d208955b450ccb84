//! Adverts over IPv6, between Tandem and keepalived in both roles.

use super::*;

const VIP6: &str = "2001:db8::100";

fn hosts() -> [Host; 2] {
    // Without duplicate address detection, which would only make the scenes two seconds longer.
    let director = |name, v4, v6: &str| {
        host(name)
            .sysctl("net/ipv6/conf/all/disable_ipv6", "0")
            .sysctl("net/ipv6/conf/default/disable_ipv6", "0")
            .sysctl("net/ipv6/conf/all/accept_dad", "0")
            .sysctl("net/ipv6/conf/default/accept_dad", "0")
            .nic("eth0", "lan", v4)
            .ip(&format!("addr add {v6}/64 dev eth0 nodad"))
    };
    [director("d1", "10.9.0.1/24", "2001:db8::1"), director("d2", "10.9.0.2/24", "2001:db8::2")]
}

fn conf(priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI_6 {{\n    interface eth0\n    virtual_router_id 66\n    version 3\n    priority {priority}\n    \
         advert_int 0.2\n    {more}\n    virtual_ipaddress {{\n        fe80::100/64\n        {VIP6}/64\n    }}\n}}\n"
    )
}

fn pair(name: &str, first: Kind, second: Kind, more: fn(usize) -> String) {
    if director::kind() == Kind::Keepalived {
        println!("SKIPPED: a mixed pair needs Tandem");
        return;
    }
    let lab = Lab::build(name, &["lan"], &hosts());
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let wire = Wire::start(&lab);
    let mut d1 = Director::start_as(&lab, "d1", first, &conf(150, &more(0)));
    let mut d2 = Director::start_as(&lab, "d2", second, &conf(100, &more(1)));
    watch.wait_holders(VIP6, &["d1"], patience());
    assert!(watch.has("d1", "fe80::100"));
    // The backup has its link-local address, and has heard the master.
    pause(s(3));
    for (way, orderly) in [("sigkill", false), ("sigterm", true)] {
        wire.next_advert("d1", patience());
        if orderly {
            d1.terminate();
        } else {
            d1.kill();
        }
        let taken = watch.wait("d2", VIP6, true, patience());
        let (heard, _) = wire.last_advert("d1").expect("adverts");
        let protocol = if orderly { skew(ms(200), 100) } else { down_interval(ms(200), 100) };
        let took = taken.saturating_duration_since(heard);
        measured(&format!("ipv6_{first}_to_{second}_{way}"), took, protocol, ms(100));
        if orderly {
            d1.stop();
        }
        d1 = d1.again(&lab);
        watch.wait_holders(VIP6, &["d1"], patience());
    }
    let adverts = wire.frames().into_iter().filter(|frame| frame.host == "d1").filter_map(|f| match f.kind {
        wire::Kind::Advert { version, source, destination, ttl, addresses, .. } => {
            Some((version, source.to_string(), destination.to_string(), ttl, addresses.len()))
        }
        wire::Kind::Arp { .. } => None,
    });
    let unicast = !more(0).is_empty();
    for (version, source, destination, ttl, addresses) in adverts {
        assert_eq!((version, ttl, addresses), (3, 255, 2));
        match unicast {
            true => assert_eq!((source.as_str(), destination.as_str()), ("2001:db8::1", "2001:db8::2")),
            false => {
                assert!(source.starts_with("fe80::") && destination == "ff02::12", "{source} {destination}");
            }
        }
    }
    assert!(d1.stop().success() && d2.stop().success());
    watch.wait_holders(VIP6, &[], patience());
}

fn multicast(_: usize) -> String {
    String::new()
}

fn unicast(which: usize) -> String {
    let (own, other) = if which == 0 { (1, 2) } else { (2, 1) };
    format!("unicast_src_ip 2001:db8::{own}\n    unicast_peer {{\n        2001:db8::{other}\n    }}")
}

#[test]
fn tandem_alone() {
    pair("six", Kind::Tandem, Kind::Tandem, multicast);
}

#[test]
fn tandem_high_keepalived_low() {
    pair("sixtk", Kind::Tandem, Kind::Keepalived, multicast);
}

#[test]
fn keepalived_high_tandem_low() {
    pair("sixkt", Kind::Keepalived, Kind::Tandem, multicast);
}

#[test]
fn unicast_mixed() {
    pair("sixuni", Kind::Tandem, Kind::Keepalived, unicast);
}
