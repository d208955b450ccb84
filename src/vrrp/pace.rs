//! Announcements on their way: one queue an interface and family. Pure: packets are taken when they are due, in portions,
//! so that thousands of them never stand between two adverts.
//!
//! Where the file names a gap (`vrrp_garp_interval`, `vrrp_gna_interval`, `garp_group`), one packet leaves each gap.
//! Where it names none, thousands at once would overflow the queues of neighbours and switches (Linux keeps 1,000 frames
//! a processor), and a thread with real-time priority that sends without a pause starves the kernel's own work on
//! them. So they leave in portions, a millisecond apart: `LEAST` packets, which is everything that a small
//! configuration has to say, and more only as far as addresses that nobody has heard of yet must be announced within
//! `SOON`. What is said again waits behind what is said for the first time.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::address::AddressKey;

/// Time between two portions.
const STEP: Duration = Duration::from_millis(1);
/// Packets in a portion of one queue at least.
const LEAST: usize = 16;
/// Within this an address is announced for the first time, as long as [`Paces::due`] may take enough packets. The rest
/// of the 50 ms that five thousand addresses may take belongs to whoever finds that they are there.
const SOON: Duration = Duration::from_millis(25);

/// The addresses of one family that an instance has on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Interface that they are announced on.
    pub interface: Arc<str>,
    /// The addresses, in the kernel's order of keys; never empty.
    pub addresses: Arc<[IpAddr]>,
}

/// Addresses sorted into bundles.
pub fn bundles<'a>(keys: impl Iterator<Item = &'a AddressKey>) -> Vec<Bundle> {
    let mut sorted: BTreeMap<(&str, bool), Vec<IpAddr>> = BTreeMap::new();
    for key in keys {
        sorted.entry((&key.interface, key.address.is_ipv6())).or_default().push(key.address);
    }
    let bundle = |((interface, _), addresses): ((&str, bool), Vec<IpAddr>)| Bundle {
        interface: interface.into(),
        addresses: addresses.into(),
    };
    sorted.into_iter().map(bundle).collect()
}

/// One packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Name of the instance: what it has announced is dropped when it leaves MASTER.
    pub instance: Arc<str>,
    /// Where it leaves.
    pub interface: Arc<str>,
    /// The virtual address.
    pub address: IpAddr,
}

/// Least times between two packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Between two gratuitous ARPs; zero = in portions.
    pub arp: Duration,
    /// Between two neighbour advertisements; zero = in portions.
    pub neighbour: Duration,
}

/// The gaps of all interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pacing {
    /// `garp_group`: interfaces with gaps of their own. Those of one group share one queue.
    pub groups: Vec<(Vec<String>, Gaps)>,
    /// All others.
    pub default: Gaps,
}

/// Which queue: an interface alone, or the number of its group; and whether it is IPv6.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Group(usize, bool),
    Interface(Arc<str>, bool),
}

/// Addresses that are announced again.
#[derive(Clone, Debug)]
struct Round {
    instance: Arc<str>,
    bundle: Bundle,
    /// The next one of the bundle.
    at: usize,
    /// Rounds through the bundle, the one under way included.
    left: u32,
}

#[derive(Clone, Debug, Default)]
struct Queue {
    /// Not announced yet, and since when.
    first: VecDeque<(Instant, Announcement)>,
    again: VecDeque<Round>,
    next_at: Option<Instant>,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.again.is_empty()
    }

    /// How many packets may leave now, where no gap is asked for.
    fn portion(&self, now: Instant) -> usize {
        let Some((since, _)) = self.first.front() else { return LEAST };
        let left = (*since + SOON).saturating_duration_since(now);
        let steps = usize::try_from(left.as_micros() / STEP.as_micros()).unwrap_or(1).max(1);
        self.first.len().div_ceil(steps).max(LEAST)
    }

    fn next(&mut self) -> Option<Announcement> {
        if let Some((_, announcement)) = self.first.pop_front() {
            return Some(announcement);
        }
        let mut round = self.again.pop_front()?;
        let address = round.bundle.addresses.get(round.at).copied()?;
        let next = Announcement {
            instance: Arc::clone(&round.instance),
            interface: Arc::clone(&round.bundle.interface),
            address,
        };
        round.at += 1;
        if round.at < round.bundle.addresses.len() {
            self.again.push_front(round);
        } else if round.left > 1 {
            // The others first: nobody waits for all rounds of one.
            self.again.push_back(Round { at: 0, left: round.left - 1, ..round });
        }
        Some(next)
    }
}

/// All queues.
#[derive(Clone, Debug, Default)]
pub struct Paces {
    pacing: Pacing,
    lanes: BTreeMap<Lane, Queue>,
    /// Who was served last: the next one begins, so that a long queue keeps nobody waiting for ever.
    served: Option<Lane>,
    /// Nothing leaves before this: the last portion was as large as one may be.
    rest_until: Option<Instant>,
}

impl Paces {
    /// Other gaps after a reload; what waits goes on under them.
    pub fn configure(&mut self, pacing: Pacing) {
        if self.pacing == pacing {
            return;
        }
        self.pacing = pacing;
        for (_, queue) in std::mem::take(&mut self.lanes) {
            for (since, announcement) in queue.first {
                self.first(announcement, since);
            }
            for round in queue.again {
                self.lane(&round.bundle).again.push_back(round);
            }
        }
    }

    /// An address that nobody has heard of yet.
    pub fn first(&mut self, announcement: Announcement, now: Instant) {
        let lane = self.lane_of(&announcement.interface, announcement.address.is_ipv6());
        self.lanes.entry(lane).or_default().first.push_back((now, announcement));
    }

    /// Each address of the bundle so many times more. What is not yet said of an earlier call with the very same bundle counts: the
    /// same occasion again and again cannot make the queue grow, and each address still has its turn.
    pub fn again(&mut self, instance: &Arc<str>, bundle: &Bundle, rounds: u32) {
        if rounds == 0 || bundle.addresses.is_empty() {
            return;
        }
        let queue = self.lane(bundle);
        let same = |round: &&mut Round| Arc::ptr_eq(&round.bundle.addresses, &bundle.addresses);
        match queue.again.iter_mut().find(same) {
            Some(round) => {
                let begun = u32::from(round.at > 0);
                round.left = round.left.max(rounds.saturating_add(begun));
            }
            None => queue.again.push_back(Round {
                instance: Arc::clone(instance),
                bundle: bundle.clone(),
                at: 0,
                left: rounds,
            }),
        }
    }

    /// An instance left MASTER: what it has not said yet must not be said.
    pub fn forget(&mut self, instance: &str) {
        for queue in self.lanes.values_mut() {
            queue.first.retain(|(_, announcement)| &*announcement.instance != instance);
            queue.again.retain(|round| &*round.instance != instance);
        }
    }

    /// The packets that may leave now, at most so many.
    pub fn due(&mut self, now: Instant, most: usize) -> Vec<Announcement> {
        let mut due = Vec::new();
        if self.rest_until.is_some_and(|at| now < at) {
            return due;
        }
        self.rest_until = None;
        let behind = |lane: &&Lane| self.served.as_ref().is_some_and(|served| *lane > served);
        let (mut lanes, rest): (Vec<Lane>, Vec<Lane>) = self
            .lanes
            .iter()
            .filter(|(_, queue)| !queue.is_empty())
            .map(|(lane, _)| lane.clone())
            .partition(|lane| behind(&lane));
        lanes.extend(rest);
        for lane in lanes {
            if due.len() >= most {
                self.rest_until = Some(now + STEP);
                break;
            }
            let gap = gap(&self.pacing, &lane);
            let Some(queue) = self.lanes.get_mut(&lane) else { continue };
            if queue.next_at.is_some_and(|at| at > now) {
                continue;
            }
            let wished = if gap.is_zero() { queue.portion(now) } else { 1 };
            let room = most - due.len();
            due.extend(std::iter::from_fn(|| queue.next()).take(wished.min(room)));
            // Late packets are not made up for: a gap is a least one.
            queue.next_at = Some(now + if gap.is_zero() { STEP } else { gap });
            self.served = Some(lane);
        }
        self.lanes.retain(|_, queue| !queue.is_empty() || queue.next_at.is_some_and(|at| at > now));
        due
    }

    /// When [`Self::due`] has something; a moment that has passed means at once.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.lanes.values().filter(|queue| !queue.is_empty());
        let next = waiting.map(|queue| queue.next_at.unwrap_or(now)).min()?;
        Some(self.rest_until.map_or(next, |rest| rest.max(next)))
    }

    fn lane(&mut self, bundle: &Bundle) -> &mut Queue {
        let ipv6 = bundle.addresses.first().is_some_and(IpAddr::is_ipv6);
        let lane = self.lane_of(&bundle.interface, ipv6);
        self.lanes.entry(lane).or_default()
    }

    fn lane_of(&self, interface: &Arc<str>, ipv6: bool) -> Lane {
        let group =
            self.pacing.groups.iter().position(|(names, _)| names.iter().any(|n| n.as_str() == &**interface));
        match group {
            Some(number) => Lane::Group(number, ipv6),
            None => Lane::Interface(Arc::clone(interface), ipv6),
        }
    }
}

fn gap(pacing: &Pacing, lane: &Lane) -> Duration {
    let (gaps, ipv6) = match lane {
        Lane::Group(number, ipv6) => {
            (pacing.groups.get(*number).map_or(pacing.default, |(_, gaps)| *gaps), *ipv6)
        }
        Lane::Interface(_, ipv6) => (pacing.default, *ipv6),
    };
    if ipv6 { gaps.neighbour } else { gaps.arp }
}

#[cfg(test)]
mod tests;
