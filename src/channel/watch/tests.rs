//! Each change is told once, with its words; what passes by itself is not told at once.

use std::time::Duration;

use super::super::message::Object;
use super::*;

fn object(name: &str, vrid: &str) -> Object {
    let words = BTreeMap::from([("virtual_router_id".to_owned(), vrid.to_owned())]);
    Object { kind: "vrrp_instance".to_owned(), name: name.to_owned(), says: String::new(), words }
}

fn profile(whole: &str, objects: &[Object]) -> Arc<Profile> {
    Arc::new(Profile { whole: whole.to_owned(), objects: objects.to_vec() })
}

fn answer(whole: &str, objects: Option<&[Object]>) -> Answer {
    let from = Who { id: "2".to_owned(), name: "lb2".to_owned(), tandem: "0.1.0".to_owned() };
    let said = objects.map_or(Said::Same, |objects| Said::Profile { objects: objects.to_vec() });
    Answer { from, accepts_changes: true, whole: whole.to_owned(), said }
}

fn texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.text.as_str()).collect()
}

#[test]
fn a_change_is_told_once_with_its_words() {
    let t = Instant::now();
    let at = |secs| t + Duration::from_secs(secs);
    let mut peer = Peer::new("10.0.0.2".to_owned(), t);
    let mine = [object("VI_1", "a"), object("VI_2", "a")];
    assert!(peer.ours(profile("w", &mine), false, t).is_empty());
    assert_eq!(peer.agrees(), None);
    assert_eq!(peer.heard(answer("w", Some(&mine)), at(1)), Ok(Vec::new()));
    assert_eq!((peer.agrees(), peer.known(), peer.since), (Some(true), Some("w"), at(1)));
    assert_eq!(peer.heard(answer("w", None), at(11)), Ok(Vec::new()));
    let edited = [object("VI_1", "b"), object("VI_2", "a")];
    let notes = peer.heard(answer("x", Some(&edited)), at(21)).unwrap();
    assert_eq!(
        texts(&notes),
        ["vrrp_instance VI_1 differs from the peer's, lb2 (10.0.0.2): virtual_router_id"]
    );
    assert_eq!((notes[0].warning, notes[0].cause, notes[0].subject.as_str()), (true, "differs", "VI_1"));
    assert_eq!(peer.heard(answer("x", None), at(31)), Ok(Vec::new()));
    assert_eq!((peer.since, peer.differences[0].1), (at(21), at(21)));
    // Another one more: the first goes on since when it was.
    let notes = peer.heard(answer("y", Some(&edited[..1])), at(41)).unwrap();
    assert_eq!(texts(&notes), ["vrrp_instance VI_2 differs from the peer's, lb2 (10.0.0.2): only here"]);
    assert_eq!((peer.differences[0].1, peer.differences[1].1, peer.since), (at(21), at(41), at(21)));
    // We are edited likewise.
    let notes = peer.ours(profile("y", &edited[..1]), false, at(51));
    assert_eq!(texts(&notes), ["both directors are configured alike again, as lb2 (10.0.0.2)"]);
    assert_eq!((peer.agrees(), peer.since), (Some(true), at(51)));
}

#[test]
fn what_passes_is_told_when_it_does_not() {
    let t = Instant::now();
    let mut peer = Peer::new("10.0.0.2".to_owned(), t);
    let refused = || Problem::Unreachable("connection refused".to_owned());
    assert_eq!(peer.failed(refused(), t), None);
    assert_eq!(peer.failed(Problem::Silent(5), t), None);
    let later = t + Duration::from_secs(9);
    assert_eq!(
        peer.failed(refused(), later).map(|note| note.text),
        Some("the peer 10.0.0.2 is not heard: no connection: connection refused".to_owned())
    );
    assert_eq!(peer.failed(refused(), later), None);
    assert_eq!(peer.problem.as_ref().map(|(_, since)| *since), Some(later));
    let wrong = peer.failed(Problem::Flaw(Flaw::NotAuthenticated), later).unwrap();
    assert_eq!((wrong.warning, wrong.cause), (true, "not_authenticated"));
    assert_eq!(peer.failed(Problem::Flaw(Flaw::NotAuthenticated), later), None);
    let notes = peer.heard(answer("w", Some(&[])), later).unwrap();
    assert_eq!(texts(&notes), ["the peer lb2 (10.0.0.2) is heard again"]);
    assert_eq!(peer.problem, None);
    // One lost try and back is no news.
    assert_eq!(peer.failed(refused(), later), None);
    assert_eq!(peer.heard(answer("w", None), later), Ok(Vec::new()));
    assert_eq!(
        peer.failed(Problem::Flaw(Flaw::Version(2)), later).map(|note| note.text),
        Some("the peer lb2 (10.0.0.2) is not heard: the peer speaks version 2 of the pair's protocol, this director \
              version 1".to_owned())
    );
}

#[test]
fn a_thousand_differences_are_not_a_thousand_lines() {
    let t = Instant::now();
    let mut peer = Peer::new("10.0.0.2".to_owned(), t);
    let all: Vec<Object> = (0..1000).map(|n| object(&format!("VI_{n}"), "a")).collect();
    peer.ours(profile("w", &all), false, t);
    let notes = peer.heard(answer("x", Some(&[])), t).unwrap();
    assert_eq!(notes.len(), NAMED + 1);
    assert!(notes[NAMED].text.starts_with("980 more objects"), "{}", notes[NAMED].text);
    assert_eq!(peer.differences.len(), 1000);
}

#[test]
fn what_cannot_be_meant_changes_nothing() {
    let t = Instant::now();
    let mut peer = Peer::new("10.0.0.2".to_owned(), t);
    assert!(matches!(peer.heard(answer("w", None), t), Err(Problem::Malformed(_))));
    let said =
        Said::Refused { code: "not-authenticated".to_owned(), problem: "no".to_owned(), cure: String::new() };
    let refused = peer.heard(Answer { said, ..answer("w", None) }, t).unwrap_err();
    assert_eq!(refused.name(), "refused");
    assert_eq!((peer.agrees(), peer.heard), (None, None));
    // Another key: digests of the old one say nothing.
    peer.heard(answer("w", Some(&[])), t).unwrap();
    peer.ours(profile("v", &[object("VI_1", "z")]), true, t);
    assert_eq!((peer.agrees(), peer.known(), peer.differences.len()), (None, None, 0));
}

#[test]
fn strangers_are_told_once_until_somebody_is_known() {
    let t = Instant::now();
    let mut peer = Peer::new("10.0.0.2".to_owned(), t);
    assert!(peer.refuse("not_authenticated", "10.0.0.9").is_some());
    assert!(peer.refuse("not_authenticated", "10.0.0.9").is_none());
    assert!(peer.refuse("malformed", "10.0.0.9").is_none());
    assert_eq!(peer.refused.get("not_authenticated"), Some(&2));
    assert!(peer.was_asked(Some("new")), "its digest is news");
    assert!(peer.refuse("not_authenticated", "10.0.0.9").is_some());
    peer.heard(answer("w", Some(&[])), t).unwrap();
    assert!(!peer.was_asked(Some("w")));
    assert!(!peer.was_asked(None));
}
