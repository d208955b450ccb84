use proptest::prelude::*;

use super::super::strategy;
use super::*;
use crate::config::model::{Lifetime, Scope};

fn virtual_one(text: &str) -> (Option<VirtualAddress>, Vec<ElementError>) {
    VirtualAddress::parse_in(&text.split_whitespace().collect::<Vec<_>>(), Block::Virtual)
}

/// The canonical form, read without an error.
fn line(text: &str) -> String {
    let (address, errors) = virtual_one(text);
    assert_eq!(errors, [], "{text}");
    address.unwrap().to_string()
}

#[test]
fn what_people_write_is_understood() {
    for (written, canonical) in [
        ("192.168.7.130/32 brd 192.168.7.255 scope global", "192.168.7.130 brd 192.168.7.255 scope global"),
        ("192.168.60.150/24 noprefixroute", "192.168.60.150/24 noprefixroute"),
        ("10.0.20.113/25 no_track", "10.0.20.113/25 no_track"),
        ("224.0.0.223 dev eth2 autojoin", "224.0.0.223 dev eth2 autojoin"),
        ("fd00::2 preferred_lft forever dev eth1", "fd00::2 dev eth1 preferred_lft forever"),
        ("fd00::2:1/64 preferred_lft 4294967295", "fd00::2:1/64 preferred_lft forever"),
        ("fd00::2/64 -nodad mngtmpaddr home use_vmac", "fd00::2/64 home mngtmpaddr -nodad use_vmac"),
        (
            "1.2.3.4 scope host label eth0:a peer 1.2.3.3/30",
            "1.2.3.4 peer 1.2.3.3/30 scope host label eth0:a",
        ),
        ("10.0.0.1/24 broadcast + dev eth0", "10.0.0.1/24 brd + dev eth0"),
        ("10.0.0.1/24 scope 0xfd", "10.0.0.1/24 scope link"),
        ("0.0.0.0 dev eth3", "0.0.0.0 dev eth3"),
        ("10.0.0.1 dev dev label label", "10.0.0.1 dev dev label label"),
    ] {
        assert_eq!(line(written), canonical);
    }
    let address = virtual_one("fd00::3:1/64 preferred_lft 200 scope global").0.unwrap();
    assert_eq!((address.preferred_lft, address.scope), (Some(Lifetime::Seconds(200)), Some(Scope(0))));
}

#[test]
fn mistakes_are_named_word_by_word_and_the_rest_is_used() {
    for (written, word, part, rest) in [
        ("fd00::1/64 dev lo label lo:1", 3, "no label", "fd00::1/64 dev lo"),
        ("fd00::1/64 brd + dev lo", 1, "no broadcast", "fd00::1/64 dev lo"),
        ("10.0.0.1/24 brd fd00::1 dev lo", 2, "not an IPv4 address", "10.0.0.1/24 dev lo"),
        ("10.0.0.1/24 scope everywhere dev lo", 2, "no scope", "10.0.0.1/24 dev lo"),
        ("fd00::1 scope link dev lo", 2, "kernel finds", "fd00::1 dev lo"),
        ("10.0.0.1 brd 10.0.0.9 peer 10.0.0.2", 1, "peer has no broadcast", "10.0.0.1 peer 10.0.0.2"),
        ("10.0.0.1 brd - dev lo", 1, "no broadcast to compute in a /32", "10.0.0.1 dev lo"),
        ("10.0.0.1/24 scope 256", 2, "no scope", "10.0.0.1/24"),
        ("10.0.0.1 peer fd00::1 dev lo", 2, "other family", "10.0.0.1 dev lo"),
        ("10.0.0.1/24 peer 10.0.0.2/24", 0, "belongs to the peer", "10.0.0.1 peer 10.0.0.2/24"),
        ("10.0.0.1/40 dev lo", 0, "counts as /32: write /0 to /32", "10.0.0.1 dev lo"),
        ("10.0.0.1/255.255.240.0", 0, "write 10.0.0.1/20", "10.0.0.1"),
        ("10.0.0.1/255.0.255.0", 0, "write /0 to /32", "10.0.0.1"),
        ("10.0.0.1 label lo:12345678901234567", 2, "at most 15", "10.0.0.1"),
        ("10.0.0.1 preferred_lft soon dev lo", 2, "seconds or forever", "10.0.0.1 dev lo"),
        ("10.0.0.1 preferred_lft 4294967296", 2, "seconds or forever", "10.0.0.1"),
        ("10.0.0.1 dev", 1, "\"dev\" needs a value", "10.0.0.1"),
        ("10.0.0.1 dev lo dev eth0", 3, "named twice", "10.0.0.1 dev lo"),
        ("10.0.0.1 no-track dev lo", 1, "did you mean no_track?", "10.0.0.1 dev lo"),
        ("10.0.0.1 track_group g dev lo", 1, "for static_", "10.0.0.1 dev lo"),
        ("10.0.0.1 10.0.0.2", 1, "no option of an address", "10.0.0.1"),
    ] {
        let (address, errors) = virtual_one(written);
        assert_eq!(address.unwrap().to_string(), rest, "{written}");
        let [error] = errors.as_slice() else { panic!("{written}: {errors:?}") };
        assert_eq!(error.word, word, "{written}: {error}");
        assert!(error.problem.contains(part), "{written}: {error}");
    }
    for written in ["", "dev lo 10.0.0.1", "10.0.0.1-5", "default", "10.0.0"] {
        let (address, errors) = virtual_one(written);
        assert!(address.is_none() && errors.len() == 1 && errors[0].word == 0, "{written}: {errors:?}");
    }
}

#[test]
fn each_block_has_its_own_words() {
    let words = ["10.0.0.1", "use_vmac", "track_group", "g"];
    let (address, errors) = VirtualAddress::parse_in(&words, Block::Static);
    assert_eq!(address.unwrap().to_string(), "10.0.0.1 track_group g");
    assert_eq!(errors.iter().map(|e| e.word).collect::<Vec<_>>(), [1]);
    let both: VirtualAddress = words.join(" ").parse().unwrap();
    assert_eq!(both.misplaced(Block::Static), Some("use_vmac"));
    assert_eq!(both.misplaced(Block::Virtual), Some("track_group"));
    assert_eq!(VirtualAddress::plain(both.address).misplaced(Block::Virtual), None);
}

#[test]
fn what_nothing_acts_on_is_named() {
    let of = |text| virtual_one(text).0.unwrap().not_acted_on();
    assert_eq!(of("10.0.0.1 dev lo brd + scope link label lo:1 no_track"), [""; 0]);
    assert_eq!(of("10.0.0.1 peer 10.0.0.2"), [""; 0]);
    assert_eq!(of("fd00::1 home mngtmpaddr noprefixroute autojoin -nodad preferred_lft 5"), [""; 0]);
    assert_eq!(of("fd00::1 use_vmac"), ["use_vmac"]);
}

#[test]
fn in_yaml_it_is_the_same_text_and_every_mistake_is_told() {
    let address: VirtualAddress = serde_json::from_str("\"10.0.0.1/24 no_track dev eth0\"").unwrap();
    assert_eq!(serde_json::to_string(&address).unwrap(), "\"10.0.0.1/24 dev eth0 no_track\"");
    let error = "10.0.0.1 scope x label".parse::<VirtualAddress>().unwrap_err();
    assert!(error.contains("scope: \"x\"") && error.contains("; \"label\" needs a value"), "{error}");
}

proptest! {
    #[test]
    fn a_written_address_reads_back(va in strategy::virtual_address(), fixed in strategy::static_address()) {
        for (address, block) in [(va, Block::Virtual), (fixed, Block::Static)] {
            let text = address.to_string();
            let words: Vec<&str> = text.split_whitespace().collect();
            prop_assert_eq!(VirtualAddress::parse_in(&words, block), (Some(address.clone()), vec![]), "{}", text);
            let json = serde_json::to_string(&address).unwrap();
            prop_assert_eq!(serde_json::from_str::<VirtualAddress>(&json).unwrap(), address);
        }
    }
}
