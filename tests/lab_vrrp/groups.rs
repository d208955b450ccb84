//! Sync groups: a NAT director's two sides, one LAN of which fails; also beside keepalived.

use super::*;

const INSIDE: &str = "10.8.0.100";

fn hosts() -> [Host; 3] {
    let director = |name, outside, inside| host(name).nic("eth0", "lan", outside).nic("eth1", "back", inside);
    [
        director("d1", "10.9.0.1/24", "10.8.0.1/24"),
        director("d2", "10.9.0.2/24", "10.8.0.2/24"),
        host("client").nic("eth0", "lan", "10.9.0.200/24"),
    ]
}

fn conf(priority: u8) -> String {
    let instance = |name, interface, vrid, vip| {
        format!(
            "vrrp_instance {name} {{\n    interface {interface}\n    virtual_router_id {vrid}\n    priority {priority}\n    \
             advert_int 1\n    virtual_ipaddress {{\n        {vip}/24\n    }}\n}}\n"
        )
    };
    format!(
        "vrrp_sync_group VG {{\n    group {{\n        OUT\n        IN\n    }}\n}}\n{}{}",
        instance("OUT", "eth0", 51, VIP),
        instance("IN", "eth1", 52, INSIDE)
    )
}

fn both_at(watch: &AddressWatch, host: &str) {
    watch.wait_holders(VIP, &[host], patience());
    watch.wait_holders(INSIDE, &[host], patience());
}

fn scene(name: &str, first: Kind, second: Kind) {
    let lab = Lab::build(name, &["lan", "back"], &hosts());
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let mut d1 = Director::start_as(&lab, "d1", first, &conf(150));
    let mut d2 = Director::start_as(&lab, "d2", second, &conf(100));
    both_at(&watch, "d1");
    // One side is cut: both addresses move, and both come back.
    let cut = now();
    lab.ip("d1", "link set eth1 down");
    both_at(&watch, "d2");
    measured(
        &format!("group_{first}_to_{second}_one_side_cut"),
        now() - cut,
        down_interval(s(1), 100),
        ms(200),
    );
    lab.ip("d1", "link set eth1 up");
    both_at(&watch, "d1");
    d1.terminate();
    both_at(&watch, "d2");
    d1.stop();
    d2.stop();
}

#[test]
fn one_side_fails_and_both_addresses_move() {
    scene("group", director::kind(), director::kind());
}

#[test]
fn beside_keepalived_in_both_roles() {
    if director::kind() == Kind::Keepalived {
        println!("SKIPPED: a mixed pair needs Tandem");
        return;
    }
    scene("grouptk", Kind::Tandem, Kind::Keepalived);
    scene("groupkt", Kind::Keepalived, Kind::Tandem);
}
