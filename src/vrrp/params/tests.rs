//! `garp_extra_if` as Debian's keepalived 2.2.7 was seen to do it: each period one packet of the first address of each
//! interface that is not the instance's own.

use std::path::Path;

use super::*;
use crate::config::resolve::Facts;
use crate::net::device::FoundAll;
use crate::vrrp::vmac;

fn extra(global: &str, lines: &str) -> Vec<String> {
    let text = format!(
        "global_defs {{\n{global}\n}}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 51\n{lines}\n \
         virtual_ipaddress {{\n 10.9.0.100/24\n 10.8.0.100/24 dev eth1\n 10.8.0.103/24 dev eth1\n }}\n \
         virtual_ipaddress_excluded {{\n 2001:db8::1/64 dev eth1\n 10.7.0.1/24 dev eth2\n }}\n}}\n"
    );
    let loaded = crate::config::load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
    let placements = vmac::plan(&loaded.config, &FoundAll::default()).placements;
    let host = Host { placements, ..Host::default() };
    let settings = Settings::of(&loaded.config.vrrp_instance[0], &loaded.config, &host);
    let mut shown: Vec<String> =
        settings.extra.iter().map(|key| format!("{} {}", key.interface, key.address)).collect();
    if !settings.garp.extra.is_zero() {
        shown.insert(0, settings.garp.extra.as_secs().to_string());
    }
    shown
}

#[test]
fn one_address_of_each_further_interface() {
    let none: [&str; 0] = [];
    assert_eq!(extra("", ""), none);
    assert_eq!(extra("", "garp_extra_if 100"), ["100"], "without all only those of VMACs");
    assert_eq!(extra("", "garp_extra_if all 2"), ["2", "eth1 10.8.0.100", "eth2 10.7.0.1"]);
    assert_eq!(extra("vrrp_garp_extra_if all 7", ""), ["7", "eth1 10.8.0.100", "eth2 10.7.0.1"]);
    assert_eq!(extra("vrrp_garp_extra_if all 7", "garp_extra_if 0"), none, "0 switches it off");
}

#[test]
fn with_hardware_addresses_of_their_own_those_and_not_the_instances() {
    let on_eth1 = extra("", "use_vmac\n use_vmac_addr\n garp_extra_if 2");
    assert_eq!(on_eth1[0], "2");
    let addresses: Vec<&str> = on_eth1[1..].iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(addresses, ["10.8.0.100", "2001:db8::1", "10.7.0.1"], "{on_eth1:?}");
    assert_eq!(extra("", "use_vmac\n garp_extra_if 2"), ["2"]);
}
