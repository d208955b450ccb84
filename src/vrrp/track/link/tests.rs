use std::path::Path;

use super::*;
use crate::config::resolve::Facts;

const SECOND: Duration = Duration::from_secs(1);

fn links(up: bool, admin_up: bool) -> Links {
    let link = Link {
        index: 2,
        name: "eth1".to_owned(),
        up,
        admin_up,
        loopback: false,
        mac: None,
        mtu: 1500,
        addresses: Vec::new(),
    };
    Links::from([("eth1".to_owned(), link)])
}

fn watch(plan: LinkPlan, links: &Links) -> Watch {
    let mut watch = Watch::default();
    watch.set(&LinkPlans::from([("eth1".to_owned(), plan)]), links);
    watch
}

fn flip(up: bool, why: &str) -> Vec<Flip> {
    vec![Flip { name: "eth1".to_owned(), up, why: why.to_owned() }]
}

#[test]
fn delays_let_a_bounce_pass() {
    let now = crate::clock::now();
    let (up, down) = (links(true, true), links(false, true));
    let mut watch = watch(LinkPlan { down_delay: SECOND * 3, up_delay: SECOND * 5, beat: None }, &up);
    assert_eq!(watch.look(&down, now), []);
    assert_eq!(watch.deadline(), Some(now + SECOND * 3));
    assert_eq!(watch.look(&up, now + SECOND), []);
    assert_eq!(watch.deadline(), None);
    assert_eq!(watch.look(&down, now + SECOND * 2), []);
    assert_eq!(watch.fire(&down, now + SECOND * 5), flip(false, "no carrier for 3 s"));
    assert_eq!(watch.look(&up, now + SECOND * 6), []);
    assert_eq!(watch.fire(&up, now + SECOND * 11), flip(true, "up with carrier for 5 s"));
    assert_eq!(watch.value("eth1"), Some(true));
    assert_eq!(watch.value("eth2"), None);
}

#[test]
fn a_new_interface_counts_as_it_is_at_once() {
    let plan = LinkPlan { down_delay: SECOND, up_delay: SECOND, beat: None };
    assert_eq!(watch(plan, &links(false, true)).value("eth1"), Some(false));
    assert_eq!(watch(plan, &links(true, true)).value("eth1"), Some(true));
    assert_eq!(watch(plan, &Links::new()).value("eth1"), Some(false));
}

#[test]
fn an_answer_goes_before_the_flags_but_not_before_set_down() {
    let now = crate::clock::now();
    let mut watch = watch(LinkPlan { beat: Some(None), ..LinkPlan::default() }, &links(true, true));
    watch.beat("eth1", Some(false));
    assert_eq!(watch.look(&links(true, true), now), flip(false, "no link beat"));
    watch.beat("eth1", Some(true));
    assert_eq!(watch.look(&links(false, true), now), flip(true, "link beat"));
    assert_eq!(watch.look(&links(false, false), now), flip(false, "set down"));
    watch.beat("eth1", None);
    assert_eq!(watch.look(&Links::new(), now), []);
    assert_eq!(watch.look(&links(true, true), now), flip(true, "up with carrier"));
}

#[test]
fn a_reload_keeps_what_is_known() {
    let now = crate::clock::now();
    let (up, down) = (links(true, true), links(false, true));
    let slow = LinkPlan { down_delay: SECOND * 3, ..LinkPlan::default() };
    let mut watch = watch(slow, &up);
    assert_eq!(watch.look(&down, now), []);
    watch.set(&LinkPlans::from([("eth1".to_owned(), slow)]), &down);
    assert_eq!(watch.value("eth1"), Some(true));
    assert_eq!(watch.fire(&down, now + SECOND * 3), flip(false, "no carrier for 3 s"));
    watch.set(&LinkPlans::new(), &down);
    assert_eq!(watch.value("eth1"), None);
}

fn plans(text: &str) -> LinkPlans {
    let loaded = crate::config::load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
    plans_of(&loaded.config)
}

#[test]
fn the_configuration_says_which_interfaces() {
    let instance = |more: &str| {
        format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {{\n 10.0.0.1\n }}\n \
             track_interface {{\n eth1\n }}\n {more}\n}}\n"
        )
    };
    assert_eq!(plans(&instance("")), LinkPlans::new());
    let asked = LinkPlan { beat: Some(None), ..LinkPlan::default() };
    let own = LinkPlans::from([("eth0".to_owned(), asked)]);
    assert_eq!(plans(&instance("linkbeat_use_polling")), own);
    let all = LinkPlans::from([("eth0".to_owned(), asked), ("eth1".to_owned(), asked)]);
    assert_eq!(plans(&format!("linkbeat_use_polling\n{}", instance(""))), all);
    let named = plans(&format!(
        "linkbeat_interfaces {{\n eth2 ETHTOOL\n}}\ninterface_up_down_delays {{\n eth1 3 5\n eth0 0.5\n}}\n{}",
        instance("")
    ));
    let expected = LinkPlans::from([
        ("eth0".to_owned(), LinkPlan { down_delay: SECOND / 2, ..LinkPlan::default() }),
        ("eth1".to_owned(), LinkPlan { down_delay: SECOND * 3, up_delay: SECOND * 5, beat: None }),
        ("eth2".to_owned(), LinkPlan { beat: Some(Some(LinkbeatMethod::Ethtool)), ..LinkPlan::default() }),
    ]);
    assert_eq!(named, expected);
}
