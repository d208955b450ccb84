//! Numbers that only grow: what was heard once is not believed again.

use std::net::IpAddr;

/// Senders that are remembered apart from configured peers: more masters than that at one time are no election.
const STRANGERS: usize = 8;

/// True when `next` lies behind `last` on the circle of 64-bit numbers (RFC 1982).
pub fn is_newer(next: u64, last: u64) -> bool {
    next.wrapping_sub(last).cast_signed() > 0
}

/// The last number of each sender.
///
/// Only senders whose digest was right get in, and the digest covers their address: no stranger can push one out.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    peers: Vec<IpAddr>,
    /// Least recently heard first.
    marks: Vec<(IpAddr, u64)>,
}

impl Marks {
    /// For these unicast peers, whose marks are never dropped; with none for multicast.
    pub fn new(peers: Vec<IpAddr>) -> Self {
        Self { peers, marks: Vec::new() }
    }

    /// Takes other peers. Marks stay; those of former peers are a stranger's from now on.
    pub fn set_peers(&mut self, peers: Vec<IpAddr>) {
        self.peers = peers;
    }

    /// The last number that was accepted from a sender.
    pub fn last(&self, sender: IpAddr) -> Option<u64> {
        self.marks.iter().find(|(address, _)| *address == sender).map(|(_, mark)| *mark)
    }

    /// Notes an accepted number. Of senders that are no peers the least recently heard one makes room.
    pub fn note(&mut self, sender: IpAddr, number: u64) {
        self.marks.retain(|(address, _)| *address != sender);
        let peers = &self.peers;
        let is_stranger = |(address, _): &(IpAddr, u64)| !peers.contains(address);
        let strangers = self.marks.iter().filter(|mark| is_stranger(mark)).count();
        let room = STRANGERS - usize::from(!peers.contains(&sender));
        let mut too_many = strangers.saturating_sub(room);
        self.marks.retain(|mark| {
            let goes = too_many > 0 && is_stranger(mark);
            too_many -= usize::from(goes);
            !goes
        });
        self.marks.push((sender, number));
    }
}

/// Numbers this near to the greatest one may be followed by those this near to zero.
const WRAP: u32 = 0x1_0000;

/// The counter of `auth_type AH`: one for all directors of a virtual router, as keepalived has it (observed with
/// 2.2.7). It is the greatest number that this instance sent or believed; whoever sends next adds one, so a backup
/// that takes over continues where the dead master stopped.
///
/// What follows from that rule:
/// - A director that starts must not be master before it has heard the others, or its first numbers are too low for
///   them: keepalived turns `state MASTER` into BACKUP when AH is configured (an owner, priority 255, excepted).
/// - A number counts as soon as its digest is right, also when the advert is refused for another reason or loses
///   the election: of two masters after a split the one with the lower counter is not believed, but it hears the
///   other, continues that counter with its next advert, and the election goes on.
///
/// Beyond keepalived: the first number of an instance that heard nobody is its clock in seconds, which is greater
/// than all numbers of an earlier life at one advert a second: a restarted owner is believed at once. And after the
/// greatest number comes 1, where keepalived stays at the greatest number and believes nobody ever after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    last: Option<u32>,
}

impl Counter {
    /// The greatest number so far; `None` before the first.
    pub fn last(self) -> Option<u32> {
        self.last
    }

    /// The number of the next advert that is sent. `now` is the time since 1970 in seconds.
    pub fn next(&mut self, now: u64) -> u32 {
        // 0 is never sent: receivers of other implementations begin at it, and want more.
        let next = match self.last {
            Some(last) => last.checked_add(1).unwrap_or(1),
            None => u32::try_from(now).unwrap_or(1).max(1),
        };
        self.last = Some(next);
        next
    }

    /// True when a number that was received is new.
    pub fn is_new(self, number: u32) -> bool {
        match self.last {
            None => true,
            Some(last) => number > last || (last > u32::MAX - WRAP && number < WRAP),
        }
    }

    /// Notes a number whose digest was right.
    pub fn heard(&mut self, number: u32) {
        if self.is_new(number) {
            self.last = Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn serial_numbers_as_the_rfc_has_them() {
        let half = 1 << 63;
        for (next, last, newer) in [
            (1, 0, true),
            (0, 0, false),
            (0, 1, false),
            (0, u64::MAX, true),
            (u64::MAX, 0, false),
            (half - 1, 0, true),
            (half, 0, false),
            (half + 1, 0, false),
        ] {
            assert_eq!(is_newer(next, last), newer, "{next:#x} after {last:#x}");
        }
    }

    #[test]
    fn the_counter_is_continued_by_whoever_is_master() {
        // The recording ka_v2_ah_handover: 1..=5, then the other director says 6.
        let (mut one, mut two) = (Counter { last: Some(0) }, Counter::default());
        for number in 1..=5 {
            assert_eq!(one.next(9999), number);
            assert!(two.is_new(number));
            two.heard(number);
        }
        assert_eq!(two.next(9999), 6);
        // 1 comes back and hears first, so it goes on with 7.
        let mut one = Counter::default();
        assert!(one.is_new(6));
        one.heard(6);
        assert_eq!(one.next(9999), 7);
    }

    #[test]
    fn numbers_that_are_not_new() {
        // (last, number, new?): what keepalived 2.2.7 believes, and in the last lines what it does not.
        for (last, number, new) in [
            (Some(103), 50, false),
            (Some(103), 103, false),
            (Some(103), 104, true),
            (Some(104), 1000, true),
            (Some(5007), 1, false),
            (None, 0, true),
            (None, 77, true),
            (Some(u32::MAX), u32::MAX, false),
            (Some(u32::MAX), 1, true),
            (Some(u32::MAX - 1), 3, true),
            (Some(u32::MAX), WRAP, false),
            (Some(u32::MAX - WRAP), 1, false),
            (Some(1 << 31), 1, false),
        ] {
            assert_eq!(Counter { last }.is_new(number), new, "{number} after {last:?}");
        }
    }

    #[test]
    fn nobody_heard_the_clock_is_the_first_number() {
        let mut counter = Counter::default();
        assert_eq!(counter.next(1_800_000_000), 1_800_000_000);
        assert_eq!(counter.next(5), 1_800_000_001);
        assert_eq!(Counter::default().next(0), 1);
        assert_eq!(Counter::default().next(u64::MAX), 1);
        assert_eq!(Counter { last: Some(u32::MAX) }.next(7), 1);
    }

    #[test]
    fn the_least_recently_heard_stranger_makes_room_and_a_peer_never_does() {
        let mut marks = Marks::new(vec![ip(200)]);
        marks.note(ip(200), 1);
        for last in 0..8 {
            marks.note(ip(last), 10);
        }
        marks.note(ip(0), 11);
        marks.note(ip(100), 12);
        assert_eq!(marks.last(ip(1)), None);
        assert_eq!(
            (marks.last(ip(0)), marks.last(ip(100)), marks.last(ip(200))),
            (Some(11), Some(12), Some(1))
        );
    }

    proptest! {
        #[test]
        fn a_sent_number_is_new_to_whoever_heard_the_others(start in any::<u32>(), sends in 1..50_usize) {
            let (mut sender, mut receiver) = (Counter { last: Some(start) }, Counter { last: Some(start) });
            for _ in 0..sends {
                let number = sender.next(0);
                prop_assert!(receiver.is_new(number));
                receiver.heard(number);
                prop_assert!(!receiver.is_new(number));
                prop_assert_eq!(receiver, sender);
            }
        }

        #[test]
        fn nothing_is_new_twice(numbers in prop::collection::vec(any::<u32>(), 1..60)) {
            let mut counter = Counter::default();
            for number in numbers {
                counter.heard(number);
                prop_assert!(!counter.is_new(number) || counter.last().is_some_and(|l| l > u32::MAX - WRAP));
            }
        }

        #[test]
        fn of_two_numbers_at_most_one_is_newer(a in any::<u64>(), b in any::<u64>()) {
            prop_assert!(!(is_newer(a, b) && is_newer(b, a)));
        }
    }
}
