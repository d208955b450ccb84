use super::*;
use crate::config;
use crate::config::resolve::Facts;

const FILE: &str = "virtual_server 10.0.0.1 80 {
 protocol TCP
 lb_kind NAT
 real_server 10.1.0.1 80 { weight 4\n TCP_CHECK { } }
 real_server 10.1.0.2 80 { admin_state drain }
 real_server 10.1.0.2 81 { }
}
virtual_server 10.0.0.1 53 {
 protocol UDP
 lb_kind NAT
 real_server 10.1.0.1 53 { }
 real_server 10.1.0.3 53 { }
}
";

fn base() -> Config {
    config::load_text("x.conf".as_ref(), FILE.as_bytes(), &Facts::default()).config
}

/// `SERVER ORDER [SERVICE]`, as a person would say it.
fn change(text: &str) -> Change {
    let (order, rest) = text.split_once(' ').unwrap();
    let (server, service) = rest.split_once(" of ").map_or((rest, None), |(a, b)| (a, Some(b)));
    let (server, argument) = server.split_once(' ').map_or((server, None), |(a, b)| (a, Some(b)));
    let order = match order {
        "weight" => Order::Weight(argument.unwrap().parse().unwrap()),
        "drain" => Order::State(AdminState::Drain),
        "disable" => Order::State(AdminState::Disabled),
        "enable" => Order::Enable,
        "add" => Order::Add { weight: None, like: argument.map(|like| like.parse().unwrap()) },
        "delete" => Order::Delete,
        other => panic!("{other}"),
    };
    Change {
        service: service.map(|name| name.parse().unwrap()),
        server: server.parse().unwrap(),
        order,
        persist: false,
        pair: false,
        lasting: None,
    }
}

/// Says these things one after the other; the overrides and what was answered last.
fn said(changes: &[&str]) -> (Vec<String>, String) {
    let (base, mut overrides, mut answer) = (base(), Vec::new(), String::new());
    for text in changes {
        let me = Said { by: "me".to_owned(), at: "now".to_owned(), until: None };
        match decide(&base, &overrides, &change(text), &me) {
            Ok(decided) => {
                answer = decided.words;
                overrides = decided.overrides;
            }
            Err(failure) => {
                answer = format!("{}: {}", failure.code, failure.problem);
                let more: Vec<String> = failure.candidates;
                answer += &more.iter().map(|one| format!("; {one}")).collect::<String>();
            }
        }
    }
    let shown = |one: &RealServerOverride| {
        assert_eq!((one.by.as_deref(), one.at.as_deref()), (Some("me"), Some("now")));
        format!("{} {}", one.server, change_words(one))
    };
    (overrides.iter().map(shown).collect(), answer)
}

#[test]
fn one_word_after_the_other() {
    let tcp1 = "10.1.0.1:80";
    for (changes, overrides, answer) in [
        (&["weight 10.1.0.1:80 9"][..], vec![format!("{tcp1} weight 9")], "weight 4 -> 9"),
        (
            &["weight 10.1.0.1:80 9", "drain 10.1.0.1:80"],
            vec![format!("{tcp1} weight 9 drain")],
            "enabled -> drain",
        ),
        (
            &["weight 10.1.0.1:80 9", "drain 10.1.0.1:80", "enable 10.1.0.1:80"],
            vec![],
            "drain -> enabled, weight 9 -> 4",
        ),
        (&["drain 10.1.0.1:80", "drain 10.1.0.1:80"], vec![format!("{tcp1} drain")], "as it was"),
        (&["enable 10.1.0.1:80"], vec![], "as it was"),
        // What the file drains is enabled by a word of its own, and drained again by taking that back.
        (&["enable 10.1.0.2:80"], vec!["10.1.0.2:80 enabled".to_owned()], "drain -> enabled"),
        (
            &["enable 10.1.0.2:80", "drain 10.1.0.2:80"],
            vec!["10.1.0.2:80 drain".to_owned()],
            "enabled -> drain",
        ),
        (&["delete 10.1.0.1:80"], vec![format!("{tcp1} delete")], "deleted"),
        (&["weight 10.1.0.1:80 9", "delete 10.1.0.1:80"], vec![format!("{tcp1} delete")], "deleted"),
        // What was added like one that is deleted stays.
        (
            &["weight 10.1.0.1:80 9", "add 10.1.0.9:80 10.1.0.1 of 10.0.0.1:80", "delete 10.1.0.1:80"],
            vec!["10.1.0.9:80 add like 10.1.0.1:80".to_owned(), format!("{tcp1} delete")],
            "deleted",
        ),
        (&["delete 10.1.0.1:80", "enable 10.1.0.1:80"], vec![], "added, weight 4, enabled"),
        (
            &["delete 10.1.0.1:80", "drain 10.1.0.1:80"],
            vec![format!("{tcp1} delete")],
            "deleted: real server 10.1.0.1:80 of TCP 10.0.0.1:80 is deleted by a command",
        ),
        (&["add 10.1.0.9:80 of 10.0.0.1:80"], vec!["10.1.0.9:80 add".to_owned()], "added, weight 4, enabled"),
        (
            &["add 10.1.0.9:80 10.1.0.2:81 of 10.0.0.1:80", "drain 10.1.0.9", "enable 10.1.0.9"],
            vec!["10.1.0.9:80 add like 10.1.0.2:81".to_owned()],
            "drain -> enabled",
        ),
        (&["add 10.1.0.9:80 of 10.0.0.1:80", "delete 10.1.0.9"], vec![], "deleted"),
        (&["delete 10.1.0.1:80", "add 10.1.0.1:80 of 10.0.0.1:80"], vec![], "added, weight 4, enabled"),
        // A second add does not undo a drain.
        (
            &["add 10.1.0.9:80 of 10.0.0.1:80", "drain 10.1.0.9", "add 10.1.0.9:80 of 10.0.0.1:80"],
            vec!["10.1.0.9:80 add drain".to_owned()],
            "already-there: TCP 10.0.0.1:80 has a real server 10.1.0.9:80 already",
        ),
        // An address alone, where it is enough: also within one virtual server.
        (&["drain 10.1.0.3"], vec!["10.1.0.3:53 drain".to_owned()], "enabled -> drain"),
        (&["drain 10.1.0.1 of TCP 10.0.0.1:80"], vec![format!("{tcp1} drain")], "enabled -> drain"),
    ] {
        let (found, told) = said(changes);
        assert_eq!((found, told.as_str()), (overrides, answer), "{changes:?}");
    }
}

#[test]
fn what_is_refused_names_what_may_be_meant() {
    for (changes, wanted) in [
        (
            &["drain 10.1.0.1"][..],
            "ambiguous: 10.1.0.1 may be one of 2 real servers; 10.1.0.1:80 of TCP 10.0.0.1:80; 10.1.0.1:53 of UDP \
             10.0.0.1:53",
        ),
        (
            &["drain 10.1.0.2"],
            "ambiguous: 10.1.0.2 may be one of 2 real servers; 10.1.0.2:80 of TCP 10.0.0.1:80; 10.1.0.2:81 of TCP \
             10.0.0.1:80",
        ),
        (
            &["drain 10.1.0.3:80"],
            "no-real-server: there is no real server 10.1.0.3:80; 10.1.0.3:53 of UDP 10.0.0.1:53",
        ),
        (
            &["drain 10.1.0.1:80 of TCP 10.0.0.9:80"],
            "no-virtual-server: there is no virtual server TCP 10.0.0.9:80; TCP 10.0.0.1:80; UDP 10.0.0.1:53",
        ),
        (&["add 10.1.0.9:80"], "ambiguous: to which virtual server?; TCP 10.0.0.1:80; UDP 10.0.0.1:53"),
        (&["add 10.1.0.9 of 10.0.0.1:80"], "real-server: 10.1.0.9 has no port"),
        (
            &["add 10.1.0.1:80 of 10.0.0.1:80"],
            "already-there: TCP 10.0.0.1:80 has a real server 10.1.0.1:80 already",
        ),
        (
            &["delete 10.1.0.1:53", "delete 10.1.0.3:53"],
            "only-one: 10.1.0.3:53 is the only real server of UDP 10.0.0.1:53: without it the whole virtual server \
             would go",
        ),
        (
            &["add 10.1.0.8:80 of 10.0.0.1:80", "add 10.1.0.9:80 10.1.0.8 of 10.0.0.1:80", "delete 10.1.0.8"],
            "in-use: real server 10.1.0.9:80 was added like 10.1.0.8:80",
        ),
        (
            &[
                "add 10.1.0.9:53 of UDP 10.0.0.1:53",
                "delete 10.1.0.1:53",
                "delete 10.1.0.3:53",
                "delete 10.1.0.9:53",
            ],
            "only-one: 10.1.0.3:53 is the only real server of UDP 10.0.0.1:53: without it the whole virtual server \
             would go",
        ),
        (
            &["add 10.1.0.9:0 of 10.0.0.1:80"],
            "cannot-add: 10.1.0.9:0 names no port, and TCP 10.0.0.1:80 has one",
        ),
    ] {
        assert_eq!(said(changes).1, wanted, "{changes:?}");
    }
}

/// The file changes below the overrides: they are kept, and can be taken back.
#[test]
fn overrides_whose_target_is_gone() {
    let other = config::load_text(
        "x.conf".as_ref(),
        b"virtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 10.1.0.2 80 { }\n real_server 10.1.0.3 80 { }\n}",
        &Facts::default(),
    );
    let old: Vec<RealServerOverride> = vec![
        "TCP 10.0.0.1:80 10.1.0.1:80 drain".parse().unwrap(),
        "UDP 10.0.0.1:53 10.1.0.1:53 delete".parse().unwrap(),
    ];
    let decided = decide(&other.config, &old, &change("drain 10.1.0.2"), &Said::default()).unwrap();
    assert_eq!(decided.overrides.len(), 3);
    for (text, left) in [("enable 10.1.0.1:80", 1), ("delete 10.1.0.1:80", 1), ("enable 10.1.0.1:53", 1)] {
        let decided = decide(&other.config, &old, &change(text), &Said::default()).unwrap();
        assert_eq!(decided.overrides.len(), left, "{text}");
        assert_eq!(decided.words, "nothing is left of it");
    }
    let refused = decide(&other.config, &old, &change("weight 10.1.0.1:80 3"), &Said::default());
    assert_eq!(refused.unwrap_err().status, 404);
}

fn lines(texts: &[&str]) -> Vec<RealServerOverride> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// `add`, and then the file has it: all that is said of it goes on, and it can be told other things.
#[test]
fn what_the_file_adopts_obeys_its_commands() {
    let base = base();
    let added = lines(&["TCP 10.0.0.1:80 10.1.0.1:80 add weight 9 drain"]);
    let mut config = base.clone();
    assert_eq!(apply(&mut config, &added), []);
    assert_eq!(config.virtual_server[0].real_server[0].admin_state, Some(AdminState::Drain));
    for (text, left, words) in [
        ("enable 10.1.0.1:80", vec![], "drain -> enabled, weight 9 -> 4"),
        ("weight 10.1.0.1:80 5", vec!["add weight 5 drain"], "weight 9 -> 5"),
        ("disable 10.1.0.1:80", vec!["add weight 9 disabled"], "drain -> disabled"),
        ("delete 10.1.0.1:80", vec!["delete"], "deleted"),
    ] {
        let decided = decide(&base, &added, &change(text), &Said::default()).unwrap();
        let shown: Vec<String> = decided.overrides.iter().map(change_words).collect();
        assert_eq!(
            (shown, decided.words.as_str()),
            (left.iter().map(|s| (*s).to_owned()).collect(), words),
            "{text}"
        );
    }
    // What was added to something that has gone can be forgotten, also by the name of that.
    let gone =
        lines(&["TCP 10.0.0.9:80 10.1.0.7:80 add", "TCP 10.0.0.1:80 10.1.0.8:80 add like 10.1.0.77:80"]);
    for text in [
        "enable 10.1.0.7:80",
        "enable 10.1.0.7:80 of 10.0.0.9:80",
        "enable 10.1.0.8:80",
        "delete 10.1.0.8:80",
    ] {
        let decided = decide(&base, &gone, &change(text), &Said::default()).unwrap();
        assert_eq!(decided.overrides.len(), 1, "{text}");
    }
    let refused = decide(&base, &gone, &change("drain 10.1.0.7:80 of 10.0.0.9:80"), &Said::default());
    assert_eq!(refused.unwrap_err().code, "no-virtual-server");
}

/// A delete whose server has gone from the file is no reason not to add one.
#[test]
fn an_idle_delete_hinders_no_add() {
    let old = lines(&["TCP 10.0.0.1:80 10.1.0.9:80 delete"]);
    let decided = decide(&base(), &old, &change("add 10.1.0.9:80 of 10.0.0.1:80"), &Said::default()).unwrap();
    assert_eq!(decided.words, "added, weight 4, enabled");
    assert_eq!(decided.config.virtual_server[0].real_server.len(), 4);
}

#[test]
fn what_a_line_takes_away_comes_back_with_persist() {
    let text = format!("{FILE}real_server_override TCP 10.0.0.1:80 10.1.0.1:80 delete\n");
    let base = config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default()).config;
    let mut enable = change("enable 10.1.0.1:80");
    let refused = decide(&base, &[], &enable, &Said::default()).unwrap_err();
    assert_eq!((refused.status, refused.code), (409, "persisted"));
    assert!(refused.cure.contains("--persist"), "{}", refused.cure);
    enable.persist = true;
    let decided = decide(&base, &[], &enable, &Said::default()).unwrap();
    assert_eq!(decided.server, "10.1.0.1:80".parse().unwrap());
    let refused = decide(&base, &[], &change("delete 10.1.0.1:80"), &Said::default()).unwrap_err();
    assert_eq!(refused.status, 404, "it is deleted already");
}

#[test]
fn overrides_have_a_bound() {
    let one = |n: usize| RealServerOverride {
        state: Some(AdminState::Drain),
        ..RealServerOverride::new(
            "TCP 10.9.0.1:80".parse().unwrap(),
            SocketAddr::new([10, 8, 0, 1].into(), u16::try_from(n).unwrap()),
        )
    };
    let mut old: Vec<RealServerOverride> = (0..MOST).map(one).collect();
    let refused = decide(&base(), &old, &change("drain 10.1.0.1:80"), &Said::default()).unwrap_err();
    assert_eq!((refused.status, refused.code), (409, "too-many"));
    // Those that are there can be changed.
    old[0] = lines(&["TCP 10.0.0.1:80 10.1.0.1:80 weight 9"]).remove(0);
    decide(&base(), &old, &change("drain 10.1.0.1:80"), &Said::default()).unwrap();
    decide(&base(), &old[1..], &change("drain 10.1.0.1:80"), &Said::default()).unwrap();
}

#[test]
fn one_override_over_another() {
    let joined = |below: &str, above: &str| {
        let read =
            |text: &str| format!("10.0.0.1:80 10.1.0.1:80 {text}").parse::<RealServerOverride>().unwrap();
        let below = (!below.is_empty()).then(|| read(below));
        over(below, &read(above)).map(|one| change_words(&one))
    };
    for (below, above, wanted) in [
        ("", "drain", Some("drain")),
        ("weight 5", "drain", Some("weight 5 drain")),
        ("weight 5 drain", "weight 6 enabled", Some("weight 6 enabled")),
        ("weight 5", "delete", Some("delete")),
        ("delete", "drain", Some("drain")),
        ("add weight 5", "drain", Some("add weight 5 drain")),
        ("add weight 5", "delete", None),
        ("drain", "add", Some("add")),
        ("add weight 5", "add drain", Some("add weight 5 drain")),
    ] {
        assert_eq!(joined(below, above), wanted.map(str::to_owned), "{below} | {above}");
    }
}

#[test]
fn a_drain_ends_by_itself_and_nothing_else_does() {
    let base = base();
    let (one, two) = ("TCP 10.0.0.1:80 10.1.0.1:80", "TCP 10.0.0.1:80 10.1.0.2:80");
    let say = |old: &[RealServerOverride], text: &str, until: Option<&str>| {
        let me = Said { by: "me".to_owned(), at: "now".to_owned(), until: until.map(str::to_owned) };
        decide(&base, old, &change(text), &me).unwrap().overrides
    };
    let shown = |all: &[RealServerOverride]| -> Vec<String> {
        all.iter().map(|one| one.to_string().replace(" by me at now", "")).collect()
    };
    let at = |second: u32| format!("2026-11-21T19:00:{second:02}Z");
    let all = say(&[], "weight 10.1.0.1:80 9", None);
    let all = say(&all, "drain 10.1.0.1:80", Some(&at(10)));
    let all = say(&all, "disable 10.1.0.2:80", Some(&at(20)));
    assert_eq!(
        shown(&all),
        [format!("{one} weight 9 drain until {}", at(10)), format!("{two} disabled until {}", at(20))]
    );
    assert_eq!(next_end(&all), Some(at(10).as_str()));
    assert!(ended(&base, &all, &at(9)).is_none());
    // Another word on it leaves the time as it is; the same one without a time makes it last, and so does enable end it.
    assert_eq!(
        shown(&say(&all, "weight 10.1.0.1:80 8", None))[0],
        format!("{one} weight 8 drain until {}", at(10))
    );
    assert_eq!(shown(&say(&all, "drain 10.1.0.1:80", None))[0], format!("{one} weight 9 drain"));
    assert_eq!(next_end(&say(&all, "enable 10.1.0.1:80", None)), Some(at(20).as_str()));

    let (over, decided) = ended(&base, &all, &at(30)).unwrap();
    assert_eq!(over.until, Some(at(10)), "one after the other");
    assert_eq!(shown(&decided.overrides)[0], format!("{one} weight 9"));
    assert!(decided.words.contains("enabled"), "{}", decided.words);
    let (_, decided) = ended(&base, &decided.overrides, &at(30)).unwrap();
    assert_eq!(shown(&decided.overrides), [format!("{one} weight 9")]);
    assert!(ended(&base, &decided.overrides, &at(59)).is_none());
}
