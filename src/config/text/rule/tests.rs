use proptest::prelude::*;

use super::super::strategy;
use super::*;

fn read(text: &str) -> (Option<Rule>, Vec<ElementError>) {
    Rule::parse_in(&text.split_whitespace().collect::<Vec<_>>(), Block::Virtual)
}

#[test]
fn what_people_write_is_understood() {
    for (written, canonical) in [
        (
            "from 192.168.60.150 iif lo fwmark 0x10 lookup 123 preference 1000",
            "from 192.168.60.150 fwmark 0x10 iif lo preference 1000 table 123",
        ),
        ("inet6 fwmark 5 table 28", "fwmark 0x5 table 28 inet6"),
        (
            "from 192.168.28.0/24 to 192.168.29.0/26 table default iif eth3 oif eth0 tos 22 fwmark 24/12 \
             preference 39 realms 30/20 preference 10000",
            "from 192.168.28.0/24 to 192.168.29.0/26 tos 0x16 fwmark 0x18/0xc iif eth3 oif eth0 realms 30/20 \
             preference 10000 table default",
        ),
        (
            "to 1:2:3:4:5:6:7:0/112 from 7:6:5:4:3:2::/96 table 6908 uidrange 10000-19999 order 10 ipproto tcp",
            "from 7:6:5:4:3:2::/96 to 1:2:3:4:5:6:7:0/112 uidrange 10000-19999 ipproto tcp preference 10 table 6908",
        ),
        ("from 1.2.10.0/24 l3mdev priority 9999", "from 1.2.10.0/24 preference 9999 l3mdev"),
        (
            "from 1.2.11.0/25 priority 5000 tunnel-id 400 goto 5023",
            "from 1.2.11.0/25 tunnel-id 400 preference 5000 goto 5023",
        ),
        (
            "from 1.2.11.0/25 sup_pl 13 sup_group default table 53",
            "from 1.2.11.0/25 suppress_prefixlength 13 suppress_ifgroup default table 53",
        ),
        ("from default to 192.168.31.0/26 table 5 dev eth1", "to 192.168.31.0/26 iif eth1 table 5"),
        ("from 0.0.0.0/0 to all table 5", "from 0.0.0.0/0 table 5"),
        ("not ipproto 17 sport 53 dport 1-1023 table 5", "not ipproto 17 sport 53-53 dport 1-1023 table 5"),
        ("from 10.0.0.0/24 preference 100 type blackhole", "from 10.0.0.0/24 preference 100 blackhole"),
        (
            "unreachable preference 7 protocol bird no_track",
            "preference 7 protocol bird unreachable no_track",
        ),
        ("from fd00::/64 inet6 prohibit", "from fd00::/64 prohibit"),
        ("nop", "nop"),
    ] {
        let (rule, errors) = read(written);
        assert_eq!(errors, [], "{written}");
        assert_eq!(rule.unwrap().to_string(), canonical);
    }
}

#[test]
fn an_option_that_is_wrong_is_named_and_the_rule_used() {
    for (written, word, part, rest) in [
        ("table 5 protocol 256", 3, "protocol", "table 5"),
        ("table 5 realms x/256", 3, "FROM/TO", "table 5"),
        ("table 5 no-track", 2, "did you mean no_track?", "table 5"),
        ("table 5 track_group g", 2, "for static_", "table 5"),
        ("from 10.0.0.0/33 table 5", 1, "counts as /32", "from 10.0.0.0 table 5"),
        ("from fd00::/64 realms 5 nop", 2, "for IPv4", "from fd00::/64 nop"),
        ("nop realms 5", 1, "rules with a table", "nop"),
        ("sup_pl 3 goto 5 preference 1", 0, "rules with a table", "preference 1 goto 5"),
    ] {
        let (rule, errors) = read(written);
        assert_eq!(rule.map(|r| r.to_string()).as_deref(), Some(rest), "{written}: {errors:?}");
        let [error] = errors.as_slice() else { panic!("{written}: {errors:?}") };
        assert_eq!(error.word, word, "{written}: {error}");
        assert!(error.problem.contains(part), "{written}: {error}");
    }
}

#[test]
fn a_rule_that_would_take_other_packets_is_dropped() {
    for (written, word, part) in [
        ("", 0, "does nothing"),
        ("from 10.0.0.0/24 preference 100", 0, "does nothing"),
        ("from x table 5", 1, "write IP/LENGTH or all"),
        ("from", 0, "needs a value"),
        ("10.0.0.0/24 table 5", 0, "no option of a rule"),
        ("form 10.0.0.0/24 table 5", 0, "did you mean from?"),
        ("from 10.0.0.0/24 to fd00::/64 table 5", 2, "two families"),
        ("from 10.0.0.0/24 table 5 inet6", 4, "other family"),
        ("table 0", 1, "no table 0"),
        ("table 5x", 1, "table"),
        ("table 5 prohibit", 2, "two actions"),
        ("table 5 l3mdev", 2, "two actions"),
        ("type throw", 1, "no action of a rule"),
        ("goto 200", 0, "needs a preference"),
        ("goto 200 preference 200", 0, "does not lead further down"),
        ("table 5 preference x", 3, "write 0 to"),
        ("table 5 tos 300", 3, "tos"),
        ("table 5 fwmark 5/", 3, "no mark"),
        ("table 5 fwmark 4294967296", 3, "no mark"),
        ("table 5 uidrange 6", 3, "FIRST-LAST"),
        ("table 5 uidrange 6-5", 3, "FIRST-LAST"),
        ("table 5 dport 0", 3, "within 1 to 65535"),
        ("table 5 dport http", 3, "one number"),
        ("table 5 ipproto 256", 3, "ipproto"),
        ("table 5 sup_pl 129", 3, "write 0 to 128"),
        ("table 5 sup_group 2147483648", 3, "below 2147483648"),
        ("table 5 tunnel-id x", 3, "tunnel-id"),
    ] {
        let (rule, errors) = read(written);
        assert_eq!(rule, None, "{written}");
        assert!(errors.iter().any(|e| e.word == word && e.problem.contains(part)), "{written}: {errors:?}");
    }
}

#[test]
fn oddities_are_remarked_and_do_not_spoil_the_rule() {
    let remarks = |text| {
        let found = read(text).0.unwrap().remarks();
        found.iter().map(|remark| remark.problem.clone()).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(remarks("table 5 preference 1"), "");
    assert_eq!(remarks("table 5 preference 1 protocol 5 no_track"), "");
    assert!(remarks("table 5").contains("no preference"));
    assert!(remarks("table 5 preference 1 protocol 5").contains("protocol 5 is not used"));
}

#[test]
fn track_group_is_of_static_rules() {
    let fixed: Rule = "table 5 track_group g".parse().unwrap();
    assert_eq!(
        (fixed.misplaced(Block::Virtual), fixed.misplaced(Block::Static)),
        (Some("track_group"), None)
    );
}

proptest! {
    #[test]
    fn a_written_rule_reads_back(rule in strategy::rule()) {
        let text = rule.to_string();
        prop_assert_eq!(read(&text), (Some(rule.clone()), vec![]), "{}", text);
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
    }

    #[test]
    fn any_words_are_read_without_a_panic(
        words in prop::collection::vec(prop::sample::select(OPTIONS), 0..12),
        extra in prop::collection::vec("[a-z0-9/.:é-]{0,8}", 12),
    ) {
        let mixed: Vec<&str> = words.iter().copied().zip(&extra).flat_map(|(w, e)| [w, e.as_str()]).collect();
        let (rule, errors) = Rule::parse_in(&mixed, Block::Static);
        prop_assert!(rule.is_some() || !errors.is_empty());
        prop_assert!(errors.iter().all(|e| e.word < mixed.len().max(1)));
    }
}
