//! How often an address, route or rule that somebody else takes away is put back: at once, but not in an endless quarrel.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::wanted::Id;

/// So many repairs of one address within the window are made at once.
const AT_ONCE: usize = 10;
/// The window.
const WINDOW: Duration = Duration::from_secs(10);
/// Beyond that one repair in this time.
const PACE: Duration = Duration::from_secs(1);

/// What was put back: when lately, and how often in all.
#[derive(Debug, Default)]
struct History {
    lately: VecDeque<Instant>,
    total: u64,
}

/// The latest repairs of each address. The limit is each address's own: a flush of a whole interface is one repair
/// of each, and one address that two programs quarrel about delays no other.
#[derive(Debug, Default)]
pub(super) struct Repairs(BTreeMap<Id, History>);

impl Repairs {
    /// May it be put back now? Else when.
    pub(super) fn check(&self, key: &Id, now: Instant) -> Result<(), Instant> {
        let Some(History { lately: at, .. }) = self.0.get(key) else { return Ok(()) };
        let lately = at.iter().filter(|t| now.saturating_duration_since(**t) < WINDOW).count();
        match at.back() {
            Some(last) if lately >= AT_ONCE && now < *last + PACE => Err(*last + PACE),
            _ => Ok(()),
        }
    }

    /// It was put back.
    pub(super) fn done(&mut self, key: &Id, now: Instant) {
        let history = self.0.entry(key.clone()).or_default();
        history.total += 1;
        history.lately.push_back(now);
        if history.lately.len() > AT_ONCE {
            history.lately.pop_front();
        }
    }

    /// How often it was put back since it is wished.
    pub(super) fn total(&self, key: &Id) -> u64 {
        self.0.get(key).map_or(0, |history| history.total)
    }

    /// Forgets the addresses that nobody asks about any more.
    pub(super) fn keep(&mut self, still: impl Fn(&Id) -> bool) {
        self.0.retain(|key, _| still(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::AddressKey;

    fn key(host: u8) -> Id {
        let key =
            AddressKey { interface: "eth0".to_owned(), address: [10, 0, 0, host].into(), prefix_len: 32 };
        Id::Address(key)
    }

    /// When repairs happen if somebody deletes the address the moment it is back.
    fn quarrel(seconds: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut repairs = Repairs::default();
        let mut at = Vec::new();
        for ms in 0..seconds * 1000 {
            let now = start + Duration::from_millis(ms);
            if repairs.check(&key(1), now).is_ok() {
                repairs.done(&key(1), now);
                at.push(ms);
            }
        }
        at
    }

    #[test]
    fn ten_at_once_then_one_a_second_and_never_a_longer_gap() {
        let at = quarrel(30);
        assert_eq!(at[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        for pair in at[9..].windows(2) {
            assert!(pair[1] - pair[0] <= 1000, "a gap: {pair:?}");
        }
        assert!(at.len() <= 10 + 30 + 10, "{} in 30 s", at.len());
    }

    #[test]
    fn the_answer_names_the_moment() {
        let now = Instant::now();
        let mut repairs = Repairs::default();
        for _ in 0..10 {
            assert_eq!(repairs.check(&key(1), now), Ok(()));
            repairs.done(&key(1), now);
        }
        let then = repairs.check(&key(1), now).unwrap_err();
        assert_eq!(then, now + PACE);
        assert_eq!(repairs.check(&key(1), then), Ok(()));
        assert_eq!(repairs.check(&key(2), now), Ok(()), "another address is not held back");
        repairs.keep(|_| false);
        assert_eq!(repairs.check(&key(1), now), Ok(()));
    }
}
