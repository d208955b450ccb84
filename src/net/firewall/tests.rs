use super::*;
use proptest::prelude::*;

fn rules() -> impl Strategy<Value = Rules> {
    let name = || prop::sample::select(vec!["vrrp.1", "vrrp.2", "eth0", "gone"]).prop_map(str::to_owned);
    let address = prop_oneof![
        (0..6u8).prop_map(|n| IpAddr::from([10, 0, 0, n])),
        (0..6u16).prop_map(|n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n])),
    ];
    let local = (0..4u16).prop_map(|n| Ipv6Addr::from([0xfe80, 0, 0, 0, 0, 0, 0, n]));
    (
        prop::collection::btree_map(name(), name(), 0..3),
        prop::collection::btree_set(address, 0..5),
        prop::collection::btree_set((local, name()), 0..4),
    )
        .prop_map(|(vmacs, blocked, blocked_on)| Rules {
            vmacs,
            blocked,
            blocked_on,
            ..Rules::default()
        })
}

/// Marks of one family: host by host, so that nothing overlaps.
fn marks(is_v6: bool) -> impl Strategy<Value = Rules> {
    let transport = prop::sample::select(vec![Transport::Tcp, Transport::Udp, Transport::Sctp]);
    prop::collection::btree_map((transport, 0..6u8), 1000..1003u32, 0..6).prop_map(move |marks| {
        let of = |host: u8| -> IpAddr {
            if is_v6 {
                Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 0, host.into()]).into()
            } else {
                [10, 0, 0, host].into()
            }
        };
        let span = |host| Span { addresses: (of(host), of(host)), ports: (0, u16::MAX) };
        let marks =
            marks.into_iter().map(|((transport, host), mark)| ((transport, span(host)), mark)).collect();
        Rules { marks, ..Rules::default() }
    })
}

fn of_content(content: Content) -> impl Strategy<Value = Ruleset> {
    let family = move |is_v6| match content {
        Content::Filter => rules().boxed(),
        Content::Marks => marks(is_v6).boxed(),
    };
    let families = (prop::option::of(family(false)), prop::option::of(family(true)));
    (any::<bool>(), any::<bool>(), -1..1i32, families).prop_map(
        move |(counters, by_index, priority, (ipv4, ipv6))| Ruleset {
            content,
            generation: 1,
            table: "tandem".to_owned(),
            priority,
            counters,
            by_index,
            ipv4,
            ipv6,
        },
    )
}

fn index(name: &str) -> Option<u32> {
    ["vrrp.1", "vrrp.2", "eth0"]
        .iter()
        .position(|known| *known == name)
        .and_then(|at| u32::try_from(at + 1).ok())
}

/// What a kernel would make of it.
fn carried_out(mut found: Option<Found>, steps: &[Step]) -> Option<Found> {
    for step in steps {
        match step {
            Step::Drop(..) => found = None,
            Step::Make(family, _, shape) => {
                let all = SetName::of(shape.content, *family).iter();
                let used = all.filter(|set| !matches!(set, SetName::Marks(of) if !shape.marks.contains(of)));
                let sets = used.map(|set| (*set, Elements::new())).collect();
                found = Some(Found { rules: encode::expected_rules(*family, shape), sets });
            }
            Step::Add(_, _, set, elements) => {
                let there = found.as_mut().unwrap().sets.get_mut(set).unwrap();
                for (key, value) in elements {
                    // A map's element with another value must be taken out first.
                    assert_eq!(there.insert(key.clone(), value.clone()), None);
                }
            }
            Step::Remove(_, _, set, elements) => {
                let there = found.as_mut().unwrap().sets.get_mut(set).unwrap();
                for key in elements.keys() {
                    assert!(there.remove(key).is_some());
                }
            }
        }
    }
    found
}

proptest! {
    #[test]
    fn any_table_becomes_any_other(
        (before, after) in prop_oneof![
            (of_content(Content::Filter), of_content(Content::Filter)),
            (of_content(Content::Marks), of_content(Content::Marks)),
        ],
        reports in any::<bool>(),
    ) {
        for family in Family::ALL {
            let (old, new) = (resolve(&before, family, true, index), resolve(&after, family, reports, index));
            let made = diff(family, "tandem", None, old.as_ref(), false);
            let there = carried_out(None, &made);
            let keeps = matches!((&old, &new), (Some(old), Some(new)) if old.shape == new.shape);
            let steps = diff(family, "tandem", there.as_ref(), new.as_ref(), keeps);
            if keeps {
                prop_assert!(!steps.iter().any(|step| matches!(step, Step::Make(..))), "counters would start anew");
            }
            let there = carried_out(there, &steps);
            let expected = new.as_ref().map(|table| Found {
                rules: encode::expected_rules(family, &table.shape),
                sets: table.sets.clone(),
            });
            prop_assert_eq!(&there, &expected);
            prop_assert_eq!(diff(family, "tandem", there.as_ref(), new.as_ref(), true), []);
        }
    }
}

#[test]
fn a_damaged_table_is_made_anew() {
    let wish = Ruleset {
        generation: 1,
        table: "tandem".to_owned(),
        ipv4: Some(Rules::default()),
        ..Ruleset::default()
    };
    let table = resolve(&wish, Family::Ip, true, index).unwrap();
    let steps = diff(Family::Ip, "tandem", None, Some(&table), true);
    let whole = carried_out(None, &steps).unwrap();
    let mut no_rule = whole.clone();
    no_rule.rules.pop();
    let mut strange_rule = whole.clone();
    strange_rule.rules.push(("in".to_owned(), String::new()));
    let mut no_set = whole.clone();
    no_set.sets.remove(&SetName::Blocked);
    assert_eq!(diff(Family::Ip, "tandem", Some(&whole), Some(&table), true), []);
    for damaged in [no_rule, strange_rule, no_set, Found::default()] {
        assert!(matches!(
            diff(Family::Ip, "tandem", Some(&damaged), Some(&table), true)[..],
            [Step::Make(..)]
        ));
    }
}
