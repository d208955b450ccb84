use super::*;
use crate::config::model::Instance;
use crate::net::device::FoundAll;
use crate::vrrp::vmac;

fn instance(words: serde_json::Value) -> Instance {
    let mut all = serde_json::json!({
        "name": "V1", "interface": "eth0", "virtual_router_id": 51, "virtual_ipaddress": ["10.9.0.100/24"],
    });
    all.as_object_mut().unwrap().extend(words.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

#[test]
fn who_accepts() {
    let json = serde_json::from_str::<serde_json::Value>;
    // (words of the instance, without and with the global vrrp_strict); version 2 unless said. The first column and the
    // second but for the priorities were seen of keepalived 2.2.7.
    let table = [
        ("{}", true, false),
        (r#"{"accept": true}"#, true, false),
        (r#"{"accept": false}"#, false, false),
        (r#"{"version": 3}"#, true, false),
        (r#"{"version": 3, "accept": true}"#, true, true),
        (r#"{"version": 3, "accept": false}"#, false, false),
        (r#"{"strict_mode": false}"#, true, true),
        (r#"{"strict_mode": true}"#, false, false),
        (r#"{"priority": 255, "accept": false}"#, true, true),
        (r#"{"state": "MASTER"}"#, true, true),
        (r#"{"state": "MASTER", "priority": 150}"#, true, false),
        (r#"{"virtual_ipaddress": ["fe80::1/64"], "version": 2, "accept": true}"#, true, true),
    ];
    for (words, plain, strict) in table {
        let instance = instance(json(words).unwrap());
        let mut global = Global::default();
        assert_eq!(instance.accepts(&global), plain, "{words}");
        global.vrrp_strict = Some(true);
        assert_eq!(instance.accepts(&global), strict, "{words}, vrrp_strict");
    }
}

fn config(instances: Vec<Instance>) -> Config {
    Config { vrrp_instance: instances, ..Config::default() }
}

fn filter(config: &Config, masters: &[&str]) -> Ruleset {
    let plan = vmac::plan(config, &FoundAll::new());
    ruleset(config, &plan, &masters.iter().copied().collect(), 1)
}

#[test]
fn nothing_is_filtered_where_nothing_asks_for_it() {
    let rules = filter(&config(vec![instance(serde_json::json!({}))]), &["V1"]);
    assert_eq!((rules.ipv4, rules.ipv6), (None, None));
}

#[test]
fn a_masters_addresses_are_blocked_and_a_backups_are_not() {
    let four = instance(serde_json::json!({"use_vmac": {}, "accept": false,
        "virtual_ipaddress_excluded": ["2001:db8::9/64"]}));
    let six = instance(
        serde_json::json!({"name": "V2", "virtual_router_id": 52, "accept": false, "use_vmac": {"name": "v6"},
        "virtual_ipaddress": ["fe80::52/64", "2001:db8::7/64"]}),
    );
    let open = instance(
        serde_json::json!({"name": "V3", "virtual_router_id": 53, "virtual_ipaddress": ["10.9.0.103/24"]}),
    );
    let config = config(vec![four, six, open]);
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };

    let rules = filter(&config, &["V1", "V3"]);
    let (ipv4, ipv6) = (rules.ipv4.unwrap(), rules.ipv6.unwrap());
    assert_eq!(ipv4.vmacs, [("vrrp.51".to_owned(), "eth0".to_owned())].into());
    assert_eq!(ipv6.vmacs, [("v6".to_owned(), "eth0".to_owned())].into());
    assert_eq!(ipv4.blocked, [address("10.9.0.100")].into());
    assert_eq!(ipv6.blocked, [address("2001:db8::9")].into());
    assert_eq!(ipv6.blocked_on, BTreeSet::new());

    let ipv6 = filter(&config, &["V2"]).ipv6.unwrap();
    assert_eq!(ipv6.blocked, [address("2001:db8::7")].into());
    assert_eq!(ipv6.blocked_on, [("fe80::52".parse().unwrap(), "v6".to_owned())].into());

    // As backup the tables stay as they are made, with empty sets.
    let rules = filter(&config, &[]);
    assert!(rules.ipv4.unwrap().blocked.is_empty() && rules.ipv6.unwrap().blocked.is_empty());
}

#[test]
fn names_and_switches() {
    let mut config = config(vec![instance(serde_json::json!({"accept": false}))]);
    let rules = filter(&config, &[]);
    assert_eq!(
        (rules.table.as_str(), rules.priority, rules.counters, rules.by_index),
        ("tandem", -1, false, false)
    );
    let global = &mut config.global_defs;
    global.nftables = Some("mytab".to_owned());
    global.nftables_priority = Some(-7);
    global.nftables_counters = true;
    global.nftables_ifindex = true;
    let rules = filter(&config, &[]);
    assert_eq!(
        (rules.table.as_str(), rules.priority, rules.counters, rules.by_index),
        ("mytab", -7, true, true)
    );
    assert_eq!(note(&config.global_defs), None);
    config.global_defs.vrrp_iptables = Some(Vec::new());
    assert_eq!(
        note(&config.global_defs).as_deref(),
        Some(
            "vrrp_iptables: the addresses are protected by nftables table mytab instead, no chain or set of iptables is \
             touched; write `nftables mytab` in its place"
        )
    );
}
