use std::path::Path;

use super::*;
use crate::config::model::{Instance, SyncGroup};
use crate::config::resolve::Facts;

const MINUTE: Duration = Duration::from_secs(60);

fn config() -> Config {
    let mut text = String::new();
    for (n, name) in ["A", "B", "C"].iter().enumerate() {
        text += &format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {}\n virtual_ipaddress {{ 10.0.0.{n} }}\n}}\n",
            n + 1
        );
    }
    text += "vrrp_sync_group VG {\n group {\n B\n C\n }\n}\n";
    let loaded = crate::config::load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default());
    assert_eq!(loaded.config.vrrp_instance.len(), 3, "{:?}", loaded.diagnostics);
    loaded.config
}

fn order(kind: OrderKind, until: Option<Instant>) -> Order {
    Order { kind, by: "root(uid=0,pid=7)".to_owned(), at: Duration::from_secs(1_795_284_061), until }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn at() -> Now {
    Now { now: Instant::now(), wall: Duration::from_secs(1_795_284_100) }
}

#[test]
fn an_order_about_a_member_is_about_its_group() {
    let config = config();
    assert_eq!(meant(&config, Some("A")), names(&["A"]));
    assert_eq!(meant(&config, Some("C")), names(&["B", "C"]));
    assert_eq!(meant(&config, Some("VG")), names(&["B", "C"]));
    assert_eq!(meant(&config, None), names(&["A", "B", "C"]));
    assert!(meant(&config, Some("X")).is_empty());
}

#[test]
fn maintenance_goes_before_all_and_gives_the_others_back() {
    let config = config();
    let mut orders = Orders::default();
    assert!(orders.in_force(&config).is_empty());
    // Only one member has it, as where they became a group by a reload.
    orders.give(&names(&["C"]), order(OrderKind::TakeOver, None));
    let kinds = |orders: &Orders| -> Vec<(String, OrderKind)> {
        orders.in_force(&config).into_iter().map(|(name, order)| (name, order.kind)).collect()
    };
    let of_one = [("B".to_owned(), OrderKind::TakeOver), ("C".to_owned(), OrderKind::TakeOver)];
    assert_eq!(kinds(&orders), of_one);
    assert_eq!(orders.maintain(Some(order(OrderKind::Maintenance, None))), None);
    assert_eq!(kinds(&orders), ["A", "B", "C"].map(|name| (name.to_owned(), OrderKind::Maintenance)));
    assert!(orders.maintain(None).is_some());
    assert_eq!(kinds(&orders), of_one);
    assert_eq!(orders.number(), 3);
    assert_eq!(orders.take_back(&names(&["B", "C"])).len(), 1);
    assert!(orders.is_empty() && orders.take_back(&names(&["A"])).is_empty());
    assert_eq!(orders.number(), 4, "nothing was taken back");
}

/// Instances of these names, the first of them in a sync group.
fn grouped(all: &[String], members: usize) -> Config {
    let instance = |name: &String| Instance::new(name.clone(), 7);
    let group = SyncGroup::new("VG".to_owned(), all[..members].to_vec());
    Config {
        vrrp_instance: all.iter().map(instance).collect(),
        vrrp_sync_group: vec![group],
        ..Config::default()
    }
}

#[test]
fn thousands_of_instances_are_looked_up_once() {
    let all: Vec<String> = (0..4000).map(|n| format!("a_long_name_of_an_instance_{n}")).collect();
    let begun = Instant::now();
    for members in [0, all.len()] {
        let config = grouped(&all, members);
        let mut orders = Orders::default();
        assert!(orders.in_force(&config).is_empty());
        orders.give(&all[7..8], order(OrderKind::StepDown, None));
        assert_eq!(orders.in_force(&config).len(), if members == 0 { 1 } else { all.len() });
        assert_eq!(meant(&config, Some(&all[7])).len(), members.max(1));
        assert!(orders.news(None, &config).is_empty());
    }
    // What looks everybody up for everybody takes minutes.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn members_with_contrary_orders_hear_the_one_that_yields() {
    let all = names(&["A", "B", "C"]);
    let (apart, together) = (grouped(&all, 0), grouped(&all, 2));
    let mut orders = Orders::default();
    orders.give(&names(&["A", "C"]), order(OrderKind::TakeOver, None));
    orders.give(&names(&["B"]), order(OrderKind::StepDown, None));
    let kinds = |config: &Config| -> Vec<OrderKind> {
        orders.in_force(config).into_values().map(|order| order.kind).collect()
    };
    assert_eq!(kinds(&apart), [OrderKind::TakeOver, OrderKind::StepDown, OrderKind::TakeOver]);
    assert_eq!(kinds(&together), [OrderKind::StepDown, OrderKind::StepDown, OrderKind::TakeOver]);
    let news = orders.news(Some(&apart), &together);
    assert_eq!(news.len(), 1, "{news:?}");
    assert_eq!((news[0].subject.as_str(), news[0].cause), ("VG", "contrary_orders"));
    assert!(news[0].text.contains("B to step down and A to take over"), "{news:?}");
    assert_eq!(orders.news(None, &together), news, "at the start as well");
    assert!(orders.news(Some(&together), &together).is_empty(), "it is told once");
    assert!(orders.news(Some(&together), &apart).is_empty());
}

#[test]
fn an_order_whose_instance_is_gone_is_named_and_can_be_taken_back() {
    let (before, after) = (grouped(&names(&["A", "B"]), 0), grouped(&names(&["A", "B_new"]), 0));
    let mut orders = Orders::default();
    assert!(orders.news(None, &after).is_empty());
    orders.give(&names(&["A"]), order(OrderKind::TakeOver, None));
    orders.give(&names(&["B"]), order(OrderKind::StepDown, None));
    let causes = |before: Option<&Config>, config: &Config| -> Vec<(String, &str)> {
        orders.news(before, config).into_iter().map(|one| (one.subject, one.cause)).collect()
    };
    let gone = [("B".to_owned(), "order_without_instance")];
    assert!(causes(None, &before).is_empty());
    assert_eq!(causes(Some(&before), &after), gone);
    assert_eq!(causes(None, &after), gone);
    assert!(causes(Some(&after), &after).is_empty(), "it is told once");
    assert_eq!(causes(Some(&after), &before), [("B".to_owned(), "order_in_force_again")]);

    assert_eq!(orders.taken_back_by(&after, Some("B")), names(&["B"]));
    assert_eq!(orders.taken_back_by(&after, Some("B_new")), names(&["B_new"]));
    assert_eq!(orders.taken_back_by(&after, None), names(&["A", "B_new", "B"]));
    assert_eq!(orders.taken_back_by(&Config::default(), None), names(&["A", "B"]));
    assert!(orders.taken_back_by(&after, Some("X")).is_empty());
    assert!(meant(&after, Some("B")).is_empty(), "nobody gives it another one");
    assert_eq!(orders.take_back(&orders.clone().taken_back_by(&after, None)).len(), 2);
    assert!(orders.is_empty());
}

#[test]
fn orders_end_by_themselves() {
    let now = Instant::now();
    let mut orders = Orders::default();
    assert_eq!(orders.next_end(), None);
    orders.give(&names(&["A"]), order(OrderKind::StepDown, Some(now + MINUTE)));
    orders.give(&names(&["B"]), order(OrderKind::StepDown, None));
    orders.maintain(Some(order(OrderKind::Maintenance, Some(now + MINUTE * 2))));
    assert_eq!(orders.next_end(), Some(now + MINUTE));
    assert!(orders.expire(now + MINUTE - Duration::from_millis(1)).is_empty());
    let gone: Vec<String> = orders.expire(now + MINUTE).into_iter().map(|(name, _)| name).collect();
    assert_eq!(gone, ["A"]);
    let gone: Vec<String> = orders.expire(now + MINUTE * 3).into_iter().map(|(name, _)| name).collect();
    assert_eq!(gone, [""], "the maintenance");
    assert_eq!(orders.next_end(), None);
    assert!(!orders.is_empty(), "one that nobody takes back stays");
}

#[test]
fn what_is_written_down_comes_back_with_the_time_that_is_left() {
    let begun = at();
    let mut orders = Orders::default();
    let given = Order { at: begun.wall, ..order(OrderKind::StepDown, Some(begun.now + MINUTE)) };
    orders.give(&names(&["A"]), given);
    orders.give(&names(&["B"]), order(OrderKind::TakeOver, None));
    orders.maintain(Some(order(OrderKind::StrictMaintenance, None)));
    let text = orders.text(begun);
    let after = |wall: Duration| Now { now: begun.now + MINUTE * 100, wall };

    let later = after(begun.wall + MINUTE / 4);
    let (back, problem) = Orders::parse(&text, later);
    assert_eq!(problem, None);
    assert_eq!(back.of("A").and_then(|order| order.until), Some(later.now + MINUTE * 3 / 4));
    assert_eq!(back.of("B"), orders.of("B"));
    assert_eq!(back.maintenance(), orders.maintenance());

    let (back, _) = Orders::parse(&text, after(begun.wall + MINUTE));
    assert!(back.of("A").is_none() && back.of("B").is_some(), "over while nobody ran");
    // The clock was set back by a day.
    let earlier = after(begun.wall - Duration::from_secs(86_400));
    let (back, _) = Orders::parse(&text, earlier);
    assert_eq!(back.of("A").and_then(|order| order.until), Some(earlier.now + MINUTE));
}

#[test]
fn what_cannot_be_read_does_not_take_the_rest_along() {
    let good = r#"{"instance":"A","order":"step_down","by":"x","at_ms":5}"#;
    let bad = r#"{"instance":"B","order":"explode","by":"x","at_ms":5}"#;
    for (text, left, says) in [
        (format!("{{\"version\":1,\"orders\":[{bad},{good}]}}"), 1, Some("unknown variant `explode`")),
        (format!("{{\"version\":1,\"orders\":[{good}]"), 0, Some("EOF")),
        ("{\"version\":2}".to_owned(), 0, Some("it has version 2")),
        ("{\"version\":1}".to_owned(), 0, None),
    ] {
        let (orders, problem) = Orders::parse(text.as_bytes(), at());
        assert_eq!(orders.instances.len(), left, "{text}");
        assert_eq!(problem.is_some(), says.is_some(), "{problem:?}");
        assert!(problem.unwrap_or_default().contains(says.unwrap_or_default()));
    }
}
