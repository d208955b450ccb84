use std::path::Path;

use super::*;
use crate::config::resolve::Facts;
use crate::vrrp::priority::{Effective, effective};

const TRACKERS: &str = "
vrrp_script s { 
 script /bin/true
 weight -10
}
vrrp_script s0 { 
 script /bin/true
}
track_file f { 
 file /run/f
}
track_file f0 { 
 file /run/f0
 weight 0 reverse
}
vrrp_track_process p { 
 process nginx
 weight 5
}
bfd_instance b { 
 neighbor_ip 10.0.0.9
}
";

fn config(group: &str, lines: &str) -> Config {
    let text = format!(
        "{TRACKERS}\n{group}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 7\n {lines}\n}}\n\
         vrrp_instance B {{\n interface eth0\n virtual_router_id 8\n virtual_ipaddress {{\n 10.0.0.2\n }}\n}}\n"
    );
    crate::config::load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default()).config
}

/// `script s -10, interface eth1 0 reverse`.
fn shown(config: &Config, name: &str) -> String {
    let instance = config.vrrp_instance.iter().find(|instance| instance.name == name).unwrap();
    let shown = |spec: TrackerSpec| {
        let reverse = if spec.reverse { " reverse" } else { "" };
        format!("{} {} {}{reverse}", spec.kind, spec.name, spec.weight)
    };
    trackers_of(instance, config).into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

const ALL: &str = "virtual_ipaddress {
 10.0.0.1
 10.0.0.3 dev eth3
 10.0.0.4 dev eth4 no_track
 10.0.0.5 dev eth0
}
virtual_ipaddress_excluded {
 10.0.0.6 dev eth6
 10.0.0.7 dev eth3
}
track_script {
 s
 s0 weight 20 reverse
}
track_interface {
 eth1
 eth2 weight -30
}
track_file {
 f
 f0 weight 3 noreverse
}
track_process {
 p weight 0
}
track_bfd {
 b
}";

#[test]
fn the_place_of_use_goes_before_the_block() {
    assert_eq!(
        shown(&config("", ALL), "A"),
        "script s -10, script s0 20 reverse, interface eth1 0, interface eth2 -30, track_file f 1, \
         track_file f0 3, process p 0, bfd b 0, interface eth3 0, interface eth6 0"
    );
    assert_eq!(shown(&config("", ALL), "B"), "");
}

#[test]
fn a_group_takes_its_members_weights_and_gives_its_own_trackers() {
    let group = |more: &str| format!("vrrp_sync_group G {{\n group {{\n A\n B\n }}\n {more}\n}}\n");
    let tracks = "track_script {\n s\n }\n track_interface {\n eth9 weight 4\n }\n track_file {\n f0\n }";
    let plain = config(&group(tracks), ALL);
    let of_the_group = "track_file f0 0 reverse";
    assert_eq!(
        shown(&plain, "A"),
        format!(
            "interface eth1 0, process p 0, bfd b 0, script s -10, interface eth9 4, {of_the_group}, \
             interface eth3 0, interface eth6 0"
        )
    );
    assert_eq!(shown(&plain, "B"), format!("script s -10, interface eth9 4, {of_the_group}"));
    let weighted = config(&group(&format!("{tracks}\n sync_group_tracking_weight")), ALL);
    assert_eq!(
        shown(&weighted, "A"),
        "script s -10, script s0 20 reverse, interface eth1 0, interface eth2 -30, track_file f 1, \
         track_file f0 3, process p 0, bfd b 0, interface eth9 4, interface eth3 0, interface eth6 0"
    );
}

#[test]
fn what_a_group_tracks_is_tracked() {
    let group = "vrrp_sync_group G {\n group {\n A\n B\n }\n track_script {\n s0\n }\n}\n";
    let config = config(group, "virtual_ipaddress {\n 10.0.0.1\n }\n track_script {\n s\n }");
    let names: Vec<_> = tracked_names(TrackerKind::Script, &config).into_iter().collect();
    assert_eq!(names, ["s", "s0"]);
    assert!(tracked_names(TrackerKind::File, &config).is_empty());
}

#[test]
fn what_nobody_watches_has_a_value_all_the_same() {
    let (links, values) = (Links::new(), TrackerValues::new());
    let now = |kind| {
        let spec = TrackerSpec { kind, ..TrackerSpec::interface("x") };
        (spec.now(&links, &values).value, spec.now(&links, &values).why)
    };
    assert_eq!(now(TrackerKind::Interface), (Value::Down, "it does not exist".to_owned()));
    assert_eq!(now(TrackerKind::File).0, Value::Number(0));
    assert_eq!(now(TrackerKind::Bfd).0, Value::Down);
    assert_eq!(now(TrackerKind::Script).0, Value::Unknown);
    assert_eq!(now(TrackerKind::Process).0, Value::Unknown);
}

#[test]
fn a_word_on_an_interface_goes_before_the_flags() {
    let link = Link {
        index: 2,
        name: "eth1".to_owned(),
        up: false,
        admin_up: true,
        loopback: false,
        mac: None,
        mtu: 1500,
        addresses: Vec::new(),
    };
    let links = Links::from([("eth1".to_owned(), link)]);
    let spec = TrackerSpec::interface("eth1");
    let mut values = TrackerValues::new();
    assert_eq!(
        effective(100, &[spec.now(&links, &values)]),
        Effective::Fault("interface eth1 is down (no carrier)".to_owned())
    );
    let since = crate::clock::now();
    assert!(values.set(TrackerKind::Interface, "eth1", Said::new(Value::Up, "", since)));
    assert_eq!(effective(100, &[spec.now(&links, &values)]), Effective::Priority(100));
}

#[test]
fn the_same_value_again_keeps_its_time() {
    let begun = crate::clock::now();
    let later = begun + std::time::Duration::from_secs(9);
    let mut values = TrackerValues::new();
    assert!(values.set(TrackerKind::Script, "s", Said::new(Value::Down, "exit status 1", begun)));
    assert!(!values.set(TrackerKind::Script, "s", Said::new(Value::Down, "exit status 2", later)));
    let said = values.get(TrackerKind::Script, "s").unwrap();
    assert_eq!((said.since, said.why.as_str()), (Some(begun), "exit status 2"));
    assert!(values.set(TrackerKind::Script, "s", Said::new(Value::Up, "exit status 0", later)));
    assert_eq!(values.get(TrackerKind::Script, "s").unwrap().since, Some(later));
    assert!(values.get(TrackerKind::Process, "s").is_none(), "kinds have names of their own");
    values.retain(TrackerKind::Script, |_| false);
    assert_eq!(values.all(TrackerKind::Script).count(), 0);
}

#[test]
fn a_virtual_server_counts_by_its_quorum_and_is_waited_for() {
    let server = "virtual_server 192.0.2.1 80 {\n protocol TCP\n real_server 10.1.0.1 80 {\n }\n}";
    let group = format!(
        "{server}\nvrrp_sync_group G {{\n group {{\n B\n }}\n track_virtual_server TCP 192.0.2.1:80\n}}"
    );
    let lines = "virtual_ipaddress {\n 10.0.0.1\n }\n track_virtual_server 192.0.2.1 80 TCP weight -60";
    let config = config(&group, lines);
    assert_eq!(shown(&config, "A"), "virtual server TCP 192.0.2.1:80 -60");
    assert_eq!(shown(&config, "B"), "virtual server TCP 192.0.2.1:80 0", "of its group");
    assert_eq!(
        tracked_names(TrackerKind::Quorum, &config).into_iter().collect::<Vec<_>>(),
        ["TCP 192.0.2.1:80"]
    );
    let spec = trackers_of(&config.vrrp_instance[0], &config).remove(0);
    let mut values = TrackerValues::new();
    let effective = |values: &TrackerValues| effective(150, &[spec.now(&Links::new(), values)]);
    assert!(matches!(effective(&values), Effective::Pending(_)), "nothing is known yet");
    for (value, priority) in [(Value::Up, 150), (Value::Down, 90)] {
        values.set(TrackerKind::Quorum, &spec.name, Said { value, ..Said::default() });
        assert_eq!(effective(&values), Effective::Priority(priority));
    }
}
