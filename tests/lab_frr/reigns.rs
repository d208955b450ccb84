//! The referee itself: what it reads from adverts.

use super::*;
use lab::reign::{Overlap, overlaps, reigns};
use lab::wire::{Frame, Kind};

/// Adverts of virtual router 1: (milliseconds, host, priority).
fn frames(adverts: &[(u64, &str, u8)]) -> Vec<Frame> {
    let start = now();
    let any = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let frame = |&(at, host, priority): &(u64, &str, u8)| Frame {
        at: start + ms(at),
        host: host.to_owned(),
        kind: Kind::Advert {
            version: 3,
            vrid: 1,
            priority,
            source: any,
            destination: any,
            ttl: 255,
            addresses: Vec::new(),
        },
    };
    adverts.iter().map(frame).collect()
}

#[test]
fn a_silence_or_a_resignation_ends_a_reign() {
    let seen =
        frames(&[(0, "a", 9), (100, "a", 9), (150, "a", 0), (160, "b", 5), (600, "b", 5), (610, "b", 5)]);
    let all = reigns(&seen, 1, ms(300));
    let told: Vec<_> = all.iter().map(|r| (r.host.as_str(), r.adverts, r.resigned)).collect();
    assert_eq!(told, [("a", 2, true), ("b", 1, false), ("b", 2, false)]);
    assert!(overlaps(&all).is_empty());
    assert!(reigns(&seen, 2, ms(300)).is_empty());
}

#[test]
fn two_who_speak_in_turns_overlap() {
    let seen = frames(&[(0, "a", 9), (50, "b", 5), (100, "a", 9), (150, "b", 5), (200, "a", 9)]);
    let found = overlaps(&reigns(&seen, 1, ms(300)));
    assert_eq!(found.iter().map(Overlap::length).collect::<Vec<_>>(), [ms(100)]);
    // One answers one: that is no overlap yet.
    let seen = frames(&[(0, "a", 9), (50, "b", 5), (100, "a", 9)]);
    assert!(overlaps(&reigns(&seen, 1, ms(300))).is_empty());
}

#[test]
fn what_happens_while_they_are_apart_does_not_count() {
    let seen =
        frames(&[(0, "a", 9), (0, "b", 5), (500, "a", 9), (500, "b", 5), (1000, "b", 5), (1000, "a", 9)]);
    let found = overlaps(&reigns(&seen, 1, ms(600)));
    let [overlap] = found.as_slice() else { panic!("{found:?}") };
    let at = |time: u64| overlap.from + ms(time);
    let table: [(&[(u64, u64)], u64); 7] = [
        (&[], 1000),
        (&[(0, 1000)], 0),
        (&[(0, 300)], 700),
        (&[(400, 500)], 500),
        (&[(800, 2000), (100, 200)], 600),
        (&[(100, 900), (200, 300)], 100),
        (&[(1000, 2000)], 1000),
    ];
    for (times, expected) in table {
        let windows = times.iter().map(|(from, until)| (at(*from), at(*until))).collect();
        assert_eq!(overlap.undisturbed(windows), ms(expected), "{times:?}");
    }
}
