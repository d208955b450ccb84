use super::*;

fn plan(name: &str, parent: &str, mac: u8) -> DevicePlan {
    DevicePlan {
        name: name.to_owned(),
        parent: parent.to_owned(),
        kind: Kind::Macvlan,
        mac: Some([0, 0, 0x5e, 0, 1, mac]),
        ipv4: true,
        ipv6: false,
        link_local: false,
        address: None,
        group: None,
        announce_parent: false,
    }
}

fn wanted(plans: &[DevicePlan]) -> Wanted {
    let devices = plans.iter().map(|plan| (plan.name.clone(), plan.clone())).collect();
    Wanted { generation: 1, devices, ..Wanted::default() }
}

fn plain(index: u32) -> Found {
    Found { index, up: true, kind: FoundKind::Other(String::new()), ..Found::default() }
}

/// As the kernel has the plan when all is done.
fn done(plan: &DevicePlan, index: u32, parent: u32) -> Found {
    Found {
        index,
        parent: Some(parent),
        kind: FoundKind::Ours(plan.kind),
        mac: plan.mac,
        alias: Some(OWNER.to_owned()),
        up: true,
        no_link_local: true,
        ..Found::default()
    }
}

fn all(devices: &[(&str, Found)]) -> FoundAll {
    devices.iter().map(|(name, found)| ((*name).to_owned(), found.clone())).collect()
}

fn gone(name: &str, index: u32) -> Change {
    Change::Remove { name: name.to_owned(), index }
}

#[test]
fn what_is_there_and_what_becomes_of_it() {
    let p = plan("vrrp.51", "eth0", 51);
    let eth0 = ("eth0", plain(2));
    let here = done(&p, 3, 2);
    let unmarked = Found { alias: None, ..here.clone() };
    let down = Found { up: false, ..here.clone() };
    let other_mac = Found { mac: Some([2; 6]), alias: None, ..here.clone() };
    let ours_other_mac = Found { mac: Some([2; 6]), ..here.clone() };
    let elsewhere = Found { parent: Some(9), alias: None, ..here.clone() };
    let bridge = Found { kind: FoundKind::Other("macvlan".to_owned()), alias: None, ..here };
    // (the situation, the device there, the changes, taken by somebody else)
    let table: [(&str, Option<Found>, Vec<Change>, bool); 8] = [
        ("nothing there", None, vec![Change::Create(p.clone())], false),
        ("all done", Some(here), vec![], false),
        ("left by keepalived, without our mark", Some(unmarked), vec![Change::Finish(p.clone(), 3)], false),
        ("half made", Some(down), vec![Change::Finish(p.clone(), 3)], false),
        ("another hardware address, not ours", Some(other_mac), vec![], true),
        (
            "ours of another configuration",
            Some(ours_other_mac),
            vec![gone("vrrp.51", 3), Change::Create(p.clone())],
            false,
        ),
        ("on another parent", Some(elsewhere), vec![], true),
        ("in another mode", Some(bridge), vec![], true),
    ];
    for (situation, device, expected, taken) in table {
        let mut found = all(std::slice::from_ref(&eth0));
        found.extend(device.map(|device| ("vrrp.51".to_owned(), device)));
        let (changes, obstacles) = diff(&found, &wanted(std::slice::from_ref(&p)), &BTreeMap::new());
        assert_eq!(changes, expected, "{situation}");
        assert_eq!(obstacles.contains(&Obstacle::Taken { name: "vrrp.51".to_owned() }), taken, "{situation}");
    }
}

#[test]
fn what_is_not_wanted_goes_only_when_it_is_ours() {
    let p = plan("vrrp.51", "eth0", 51);
    let unmarked = Found { alias: None, ..done(&p, 3, 2) };
    let found =
        all(&[("eth0", plain(2)), ("vrrp.51", unmarked), ("vrrp.9", done(&plan("vrrp.9", "eth0", 9), 4, 2))]);
    let nothing = wanted(&[]);
    // The mark alone tells it after a crash.
    assert_eq!(diff(&found, &nothing, &BTreeMap::new()).0, [gone("vrrp.9", 4)]);
    let earlier = BTreeMap::from([("vrrp.51".to_owned(), p)]);
    assert_eq!(diff(&found, &nothing, &earlier).0, [gone("vrrp.51", 3), gone("vrrp.9", 4)]);
    // An interface that somebody marked like ours, but of a kind that we never make.
    let odd = Found { kind: FoundKind::Other("dummy".to_owned()), alias: Some(OWNER.to_owned()), ..plain(7) };
    assert_eq!(diff(&all(&[("dummy0", odd)]), &nothing, &BTreeMap::new()).0, []);
}

#[test]
fn a_device_waits_for_its_parent() {
    let (changes, obstacles) = diff(&all(&[]), &wanted(&[plan("vrrp.51", "eth0", 51)]), &BTreeMap::new());
    assert_eq!(changes, []);
    let words: Vec<_> = obstacles.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["vrrp.51 waits for eth0: there is no such interface"]);
}

#[test]
fn settings_as_keepalived_makes_them() {
    let four = plan("vrrp.51", "eth0", 51);
    let shown = |plan: &DevicePlan| -> Vec<String> {
        let all = plan.sysctls().into_iter().chain(plan.parent_sysctls());
        all.map(|(key, wish)| format!("{key} {wish:?}")).collect()
    };
    assert_eq!(
        shown(&four),
        [
            "net.ipv4.conf.vrrp/51.arp_ignore Exactly(1)",
            "net.ipv4.conf.vrrp/51.accept_local Exactly(1)",
            "net.ipv4.conf.vrrp/51.promote_secondaries Exactly(1)",
            "net.ipv4.conf.vrrp/51.rp_filter Exactly(0)",
            "net.ipv6.conf.vrrp/51.disable_ipv6 Exactly(1)",
            "net.ipv4.conf.eth0.arp_ignore Exactly(1)",
            "net.ipv4.conf.eth0.arp_filter Exactly(1)",
        ]
    );
    let six = DevicePlan { ipv4: false, ipv6: true, ..four };
    assert_eq!(shown(&six), Vec::<String>::new());
}
