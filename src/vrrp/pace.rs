//! Announcements on their way: one queue an interface, with the least time between two packets that `vrrp_garp_interval`,
//! `vrrp_gna_interval` and `garp_group` ask for. Pure: frames are taken when they are due, in portions, so that thousands
//! of them never stand between two adverts.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One packet to be sent: who announces which address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Name of the instance: what it has announced is dropped when it leaves MASTER.
    pub instance: Arc<str>,
    /// The virtual address.
    pub address: IpAddr,
}

/// Least times between two packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Between two gratuitous ARPs; zero = none.
    pub arp: Duration,
    /// Between two neighbour advertisements; zero = none.
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

/// Which queue: an interface alone, or the number of its group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Group(usize, bool),
    Interface(String, bool),
}

#[derive(Clone, Debug, Default)]
struct Queue {
    waiting: VecDeque<(String, Announcement)>,
    next_at: Option<Instant>,
}

/// All queues.
#[derive(Clone, Debug, Default)]
pub struct Paces {
    pacing: Pacing,
    lanes: BTreeMap<Lane, Queue>,
}

impl Paces {
    /// Other gaps after a reload; what waits goes on under them.
    pub fn configure(&mut self, pacing: Pacing) {
        if self.pacing == pacing {
            return;
        }
        self.pacing = pacing;
        for (_, queue) in std::mem::take(&mut self.lanes) {
            for (interface, announcement) in queue.waiting {
                self.push(&interface, announcement);
            }
        }
    }

    /// One packet more.
    pub fn push(&mut self, interface: &str, announcement: Announcement) {
        let ipv6 = announcement.address.is_ipv6();
        let group = self.pacing.groups.iter().position(|(names, _)| names.iter().any(|n| n == interface));
        let lane = match group {
            Some(number) => Lane::Group(number, ipv6),
            None => Lane::Interface(interface.to_owned(), ipv6),
        };
        self.lanes.entry(lane).or_default().waiting.push_back((interface.to_owned(), announcement));
    }

    /// An instance left MASTER: what it has not said yet must not be said.
    pub fn forget(&mut self, instance: &str) {
        for queue in self.lanes.values_mut() {
            queue.waiting.retain(|(_, announcement)| &*announcement.instance != instance);
        }
    }

    /// At most so many packets that may leave now, with their interfaces.
    pub fn due(&mut self, now: Instant, most: usize) -> Vec<(String, Announcement)> {
        let mut due = Vec::new();
        for (lane, queue) in &mut self.lanes {
            let gap = gap(&self.pacing, lane);
            while due.len() < most && queue.next_at.is_none_or(|at| at <= now) {
                let Some(next) = queue.waiting.pop_front() else { break };
                due.push(next);
                // Late packets are not made up for: a gap is a least one.
                queue.next_at = (!gap.is_zero()).then(|| now + gap);
            }
        }
        self.lanes.retain(|_, queue| !queue.waiting.is_empty() || queue.next_at.is_some_and(|at| at > now));
        due
    }

    /// When [`Self::due`] has something; a moment that has passed means at once.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.lanes.values().filter(|queue| !queue.waiting.is_empty());
        waiting.map(|queue| queue.next_at.unwrap_or(now)).min()
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
mod tests {
    use super::*;

    fn one(instance: &str, last: u8) -> Announcement {
        Announcement { instance: instance.into(), address: IpAddr::from([10, 0, 0, last]) }
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn without_a_gap_they_leave_in_order_and_in_portions() {
        let now = Instant::now();
        let mut paces = Paces::default();
        for last in 0..10 {
            paces.push("eth0", one("a", last));
        }
        let order: Vec<u8> = [paces.due(now, 4), paces.due(now, 4), paces.due(now, 4)]
            .concat()
            .iter()
            .map(|(_, a)| match a.address {
                IpAddr::V4(v4) => v4.octets()[3],
                IpAddr::V6(_) => 255,
            })
            .collect();
        assert_eq!(order, (0..10).collect::<Vec<u8>>());
        assert_eq!(paces.deadline(now), None);
    }

    #[test]
    fn a_gap_holds_for_each_interface_and_for_a_group_together() {
        let now = Instant::now();
        let gaps = Gaps { arp: ms(10), neighbour: Duration::ZERO };
        let mut paces = Paces::default();
        paces.configure(Pacing {
            groups: vec![(vec!["eth1".to_owned(), "eth2".to_owned()], Gaps { arp: ms(30), ..gaps })],
            default: gaps,
        });
        for interface in ["eth0", "eth0", "eth1", "eth2"] {
            paces.push(interface, one("a", 1));
        }
        paces.push("eth0", Announcement { instance: "a".into(), address: "fe80::1".parse().unwrap() });
        let at = |paces: &mut Paces, time: u64| -> Vec<String> {
            paces.due(now + ms(time), 100).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(at(&mut paces, 0), ["eth1", "eth0", "eth0"], "one of each family, one of the group");
        assert_eq!(paces.deadline(now), Some(now + ms(10)));
        assert_eq!(at(&mut paces, 9), [""; 0]);
        assert_eq!(at(&mut paces, 10), ["eth0"]);
        assert_eq!(at(&mut paces, 30), ["eth2"]);
        assert_eq!(paces.deadline(now + ms(30)), None);
    }

    #[test]
    fn a_gap_outlives_an_empty_queue() {
        let now = Instant::now();
        let mut paces = Paces::default();
        paces.configure(Pacing { groups: Vec::new(), default: Gaps { arp: ms(10), neighbour: ms(10) } });
        paces.push("eth0", one("a", 1));
        assert_eq!(paces.due(now, 9).len(), 1);
        paces.push("eth0", one("a", 2));
        assert_eq!(paces.due(now + ms(5), 9).len(), 0);
        assert_eq!(paces.due(now + ms(10), 9).len(), 1);
    }

    #[test]
    fn who_leaves_is_not_heard_any_more() {
        let now = Instant::now();
        let mut paces = Paces::default();
        paces.push("eth0", one("a", 1));
        paces.push("eth0", one("b", 2));
        paces.forget("a");
        let due = paces.due(now, 9);
        assert_eq!(due.len(), 1);
        assert_eq!(&*due[0].1.instance, "b");
    }
}
