use super::*;
use crate::net::device::{Found, FoundKind};

/// A configuration of instances in serde's form, with VRID 51 upwards.
fn config(instances: serde_json::Value) -> Config {
    let mut config = Config::default();
    for (at, mut words) in instances.as_array().unwrap().clone().into_iter().enumerate() {
        let object = words.as_object_mut().unwrap();
        object.entry("name").or_insert(format!("V{}", at + 1).into());
        object.entry("interface").or_insert("eth0".into());
        object.entry("virtual_router_id").or_insert((51 + at).into());
        config.vrrp_instance.push(serde_json::from_value(words).unwrap());
    }
    config
}

fn plain(found: &mut FoundAll, name: &str, index: u32) {
    let device = Found { index, up: true, kind: FoundKind::Other(String::new()), ..Found::default() };
    found.insert(name.to_owned(), device);
}

fn machine() -> FoundAll {
    let mut found = FoundAll::new();
    plain(&mut found, "eth0", 2);
    plain(&mut found, "eth1", 3);
    found
}

/// `name@parent mac [4][6][l]` of each device.
fn devices(plan: &Plan) -> Vec<String> {
    let shown = |plan: &DevicePlan| {
        let mac = plan.mac.map(|mac| mac.map(|octet| format!("{octet:02x}")).join(":")).unwrap_or_default();
        let flag = |on: bool, text: &'static str| if on { text } else { "" };
        format!(
            "{}@{} {mac} {}{}{}",
            plan.name,
            plan.parent,
            flag(plan.ipv4, "4"),
            flag(plan.ipv6, "6"),
            flag(plan.link_local, "l")
        )
    };
    plan.devices.values().map(shown).collect()
}

/// `adverts on, from, addresses` of an instance.
fn where_to(plan: &Plan, instance: &str) -> String {
    let placement = &plan.placements[instance];
    format!("{} from {}: {}", placement.adverts_on, placement.source_from, placement.addresses.join(" "))
}

#[test]
fn devices_and_places_are_those_of_keepalived() {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    // (instances, devices, places of the first one), each observed with keepalived 2.2.7 but for strict.
    let table: [(&str, &[&str], &str); 10] = [
        (
            r#"[{"use_vmac": {}, "virtual_ipaddress": ["10.9.0.100/24"]}]"#,
            &["vrrp.51@eth0 00:00:5e:00:01:33 4"],
            "vrrp.51 from eth0: vrrp.51",
        ),
        (
            r#"[{"use_vmac": {}, "vmac_xmit_base": true, "virtual_ipaddress": ["10.9.0.100/24"]}]"#,
            &["vrrp.51@eth0 00:00:5e:00:01:33 4"],
            "eth0 from eth0: vrrp.51",
        ),
        (
            r#"[{"use_vmac": {}, "unicast_peer": [{"address": "10.9.0.3"}], "virtual_ipaddress": ["10.9.0.100/24"]}]"#,
            &["vrrp.51@eth0 00:00:5e:00:01:33 4"],
            "eth0 from eth0: vrrp.51",
        ),
        (
            r#"[{"use_vmac": {"name": "v6mac"}, "virtual_ipaddress": ["fe80::100/64", "2001:db8::1/64"]}]"#,
            &["v6mac@eth0 00:00:5e:00:02:33 6l"],
            "v6mac from eth0: v6mac v6mac",
        ),
        (
            r#"[{"use_vmac_addr": true, "virtual_ipaddress": ["10.9.0.110/24", "10.8.0.11/24 dev eth1"]}]"#,
            &["vrrp.51@eth1 00:00:5e:00:01:33 4"],
            "eth0 from eth0: eth0 vrrp.51",
        ),
        (
            r#"[{"virtual_ipaddress": ["10.9.0.100/24 use_vmac", "10.9.1.100/24 dev eth1 use_vmac", "10.9.2.100/24"]}]"#,
            &["vrrp.51@eth0 00:00:5e:00:01:33 4", "vrrp1.51@eth1 00:00:5e:00:01:33 4"],
            "eth0 from eth0: vrrp.51 vrrp1.51 eth0",
        ),
        (
            r#"[{"use_vmac": {"name": "vip0", "mac": "02:01:02:03:04:05"}, "virtual_ipaddress": ["10.9.0.100/24"],
                 "virtual_ipaddress_excluded": ["2001:db8::7/64", "10.9.3.1/24 dev eth1"]}]"#,
            &["vip0@eth0 02:01:02:03:04:05 4"],
            "vip0 from eth0: vip0 eth0 eth1",
        ),
        (
            r#"[{"use_vmac": {"mac": "00:11:22:33:44"}, "virtual_ipaddress": ["10.9.5.100/24"]}]"#,
            &["vrrp.51@eth0 00:11:22:33:44:33 4"],
            "vrrp.51 from eth0: vrrp.51",
        ),
        (
            r#"[{"use_vmac": {}, "virtual_ipaddress": ["10.9.0.100/24"]},
                {"use_vmac": {}, "virtual_router_id": 51, "virtual_ipaddress": ["2001:db8::7/64"]},
                {"use_vmac": {}, "virtual_router_id": 51, "interface": "eth1", "virtual_ipaddress": ["10.8.0.1/24"]},
                {"use_vmac": {}, "virtual_router_id": 51, "interface": "eth1", "virtual_ipaddress": ["2001:db9::1/64"]}]"#,
            &[
                "vrrp.51@eth0 00:00:5e:00:01:33 4",
                "vrrp1.51@eth1 00:00:5e:00:01:33 4",
                "vrrp2.51@eth1 00:00:5e:00:02:33 6l",
                "vrrp6.51@eth0 00:00:5e:00:02:33 6l",
            ],
            "vrrp.51 from eth0: vrrp.51",
        ),
        (
            r#"[{"use_vmac": {"mac": "02:01:02:03:04:05"}, "vmac_xmit_base": true, "strict_mode": true,
                 "virtual_ipaddress": ["10.9.0.100/24"]}]"#,
            &["vrrp.51@eth0 00:00:5e:00:01:33 4"],
            "vrrp.51 from eth0: vrrp.51",
        ),
    ];
    for (text, expected, place) in table {
        let plan = plan(&config(json(text)), &machine());
        assert_eq!(devices(&plan), expected, "{text}");
        assert_eq!(where_to(&plan, "V1"), place, "{text}");
        assert_eq!(plan.problems, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn names_that_others_have_are_left_to_them() {
    let config = config(serde_json::json!([
        {"use_vmac": {}, "virtual_ipaddress": ["10.9.0.100/24"]},
        {"use_vmac": {"name": "eth1"}, "virtual_ipaddress": ["10.9.0.101/24"]},
    ]));
    let mut found = machine();
    plain(&mut found, "vrrp.51", 9);
    let first = plan(&config, &found);
    assert_eq!(devices(&first), ["vrrp.52@eth0 00:00:5e:00:01:34 4", "vrrp1.51@eth0 00:00:5e:00:01:33 4"]);
    assert_eq!(
        first.problems,
        ["vrrp_instance V2: there is an interface eth1 already that is not its VMAC: another name is taken"]
    );
    // The same one, left by a killed run: taken over under its name.
    let left = Found {
        index: 9,
        parent: Some(2),
        kind: FoundKind::Ours(Kind::Macvlan),
        mac: Some([0, 0, 0x5e, 0, 1, 51]),
        ..Found::default()
    };
    found.insert("vrrp.51".to_owned(), left);
    assert!(plan(&config, &found).devices.contains_key("vrrp.51"));
}

#[test]
fn prefixes_of_names_and_addresses() {
    let mut config = config(
        serde_json::json!([{"use_vmac": {}, "virtual_router_id": 255, "virtual_ipaddress": ["10.9.0.100/24"]}]),
    );
    for (name, mac, expected) in [
        (None, Some("02:aa:bb:cc"), "vrrp.255@eth0 02:aa:bb:cc:01:ff 4"),
        (Some("vm"), Some("02:aa:bb:cc:dd"), "vm.255@eth0 02:aa:bb:cc:dd:ff 4"),
        (Some("twelve-chars"), None, "twelve-char.255@eth0 00:00:5e:00:01:ff 4"),
    ] {
        config.global_defs.vmac_prefix = name.map(str::to_owned);
        config.global_defs.vmac_addr_prefix = mac.map(str::to_owned);
        let plan = plan(&config, &machine());
        assert_eq!(devices(&plan), [expected]);
        assert!(plan.devices.keys().all(|name| name.len() <= LONGEST_NAME));
    }
}

#[test]
fn an_ipvlan_has_its_own_source() {
    let config = config(serde_json::json!([
        {"use_ipvlan": {"name": "ipv0", "address": "10.9.0.9/24", "mode": "private"}, "virtual_ipaddress": ["10.9.0.100/24"]},
        {"use_ipvlan": {}, "virtual_ipaddress": ["10.9.0.101/24"]},
    ]));
    let plan = plan(&config, &machine());
    assert_eq!(where_to(&plan, "V1"), "ipv0 from eth0: ipv0");
    assert_eq!(plan.placements["V1"].source, Some("10.9.0.9".parse().unwrap()));
    assert_eq!(plan.placements["V1"].mac, None);
    assert_eq!(plan.devices["ipv0"].kind, Kind::Ipvlan(IpvlanFlag::Private));
    assert_eq!(
        plan.problems,
        [
            "vrrp_instance V2: use_ipvlan needs an address for IPv4, the source of its adverts: write `use_ipvlan ADDRESS`"
        ]
    );
}

#[test]
fn groups_and_promotion() {
    let config = config(serde_json::json!([
        {"use_vmac": {"group": "7"}, "promote_secondaries": true, "virtual_ipaddress": ["10.9.0.100/24"]},
        {"use_vmac": {"group": "lan"}, "virtual_ipaddress": ["10.9.0.101/24"]},
    ]));
    let plan = plan(&config, &machine());
    assert_eq!(plan.devices["vrrp.51"].group, Some(7));
    assert_eq!(plan.devices["vrrp.52"].group, None);
    assert_eq!(plan.problems.len(), 1);
    assert!(plan.sysctls.is_empty(), "promote_secondaries is the address writer's");
}

#[test]
fn placed_addresses_name_their_interface() {
    let config = config(serde_json::json!([
        {"use_vmac": {}, "virtual_ipaddress": ["10.9.0.100/24"], "virtual_ipaddress_excluded": ["10.8.0.1/24 dev eth1"]},
    ]));
    let plan = plan(&config, &machine());
    let instance = placed(&config.vrrp_instance[0], &plan.placements["V1"]);
    let wanted = super::super::addresses::wanted_addresses(&instance, "lan0");
    assert_eq!(
        wanted.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.8.0.1/24 on eth1", "10.9.0.100/24 on vrrp.51"]
    );
}
