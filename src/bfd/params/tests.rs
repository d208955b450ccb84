use super::*;

fn instance(neighbour: &str) -> BfdInstance {
    BfdInstance::new("peer".to_owned(), neighbour.parse().unwrap())
}

#[test]
fn defaults_are_those_of_keepalived() {
    let ms = Duration::from_millis;
    let settings = Settings::of(&instance("10.0.0.2"));
    assert_eq!(
        settings.params,
        Params { min_tx: ms(10), min_rx: ms(10), idle_tx: ms(1000), multiplier: 5, passive: false }
    );
    assert_eq!((settings.ttl, settings.path.least_ttl, settings.path.multihop), (255, Some(255), false));
}

#[test]
fn ttl_sent_and_asked_for() {
    // (neighbour, ttl, max_hops, multihop) -> (sent, least)
    let table = [
        (("10.0.0.2", None, None, false), (255, Some(255))),
        (("10.0.0.2", None, Some(0), false), (255, Some(255))),
        (("10.0.0.2", None, Some(3), false), (255, Some(252))),
        (("10.0.0.2", Some(64), Some(4), false), (64, Some(60))),
        (("10.0.0.2", Some(4), Some(4), false), (4, None)),
        (("10.0.0.2", None, Some(-1), false), (255, None)),
        (("10.0.0.2", None, Some(255), false), (255, None)),
        (("10.0.0.2", None, None, true), (255, None)),
        (("10.0.0.2", None, Some(2), true), (255, Some(253))),
        (("fd00::2", None, None, false), (255, Some(64))),
        (("fd00::2", Some(255), None, false), (255, Some(255))),
        (("fd00::2", Some(64), Some(2), false), (64, Some(62))),
        (("fd00::2", None, None, true), (255, None)),
    ];
    for ((neighbour, ttl, max_hops, multihop), expected) in table {
        let mut one = instance(neighbour);
        one.ttl = ttl;
        one.max_hops = max_hops;
        one.multihop = Some(multihop);
        let settings = Settings::of(&one);
        assert_eq!(
            (settings.ttl, settings.path.least_ttl),
            expected,
            "{neighbour} {ttl:?} {max_hops:?} {multihop}"
        );
    }
}

#[test]
fn what_would_break_the_machine_is_put_right() {
    let mut one = instance("10.0.0.2");
    one.min_rx = Some(Secs::default());
    one.min_tx = Some(Secs::default());
    one.idle_tx = Some(Secs(Duration::from_millis(5)));
    one.multiplier = Some(0);
    let params = Settings::of(&one).params;
    assert_eq!((params.min_rx, params.min_tx), (Duration::from_millis(1), Duration::from_millis(1)));
    assert_eq!((params.idle_tx, params.multiplier), (Duration::from_secs(1), 1));
}

#[test]
fn only_other_ends_make_another_session() {
    let first = Settings::of(&instance("10.0.0.2"));
    let with = |change: &dyn Fn(&mut BfdInstance)| {
        let mut other = instance("10.0.0.2");
        change(&mut other);
        first.same_session(&Settings::of(&other))
    };
    assert!(with(&|_| ()));
    assert!(with(&|o| o.min_rx = Some(Secs::from_secs(1))));
    assert!(with(&|o| o.max_hops = Some(5)));
    assert!(with(&|o| o.passive = true));
    assert!(!with(&|o| o.source_ip = Some("10.0.0.1".parse().unwrap())));
    assert!(!with(&|o| o.neighbor_ip = "10.0.0.3".parse().unwrap()));
    assert!(!with(&|o| o.multihop = Some(true)));
    assert!(!with(&|o| o.name = "other".to_owned()));
}

#[test]
fn who_is_told() {
    let told = |vrrp, checker| {
        let mut one = instance("10.0.0.2");
        one.vrrp = vrrp;
        one.checker = checker;
        (tells_vrrp(&one), tells_checkers(&one))
    };
    assert_eq!(told(false, false), (true, true));
    assert_eq!(told(true, false), (true, false));
    assert_eq!(told(false, true), (false, true));
    assert_eq!(told(true, true), (true, true));
}
