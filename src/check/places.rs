//! How many checks may be under way at a time. A check that hangs costs one descriptor and nothing else, so descriptors
//! are what bounds connections: thousands of servers that do not answer hold up nobody. Pure.

use super::farm::Lane;

/// Descriptors that checks leave to everything else (adverts, netlink, scripts, the log): this part of all, and at
/// least so many, as far as there are any.
const RESERVED_PART: u64 = 4;
const RESERVED: u64 = 256;
/// Programs of one lane that may run at a time: each is a process.
const PROGRAMS: usize = 64;

/// Places by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    connections: usize,
    slow_connections: usize,
}

impl Places {
    /// The places of a process that may have so many descriptors. Servers that hang have half of them for themselves.
    pub fn of(descriptors: u64) -> Self {
        let reserved = (descriptors / RESERVED_PART).max(RESERVED.min(descriptors / 2));
        let half = (descriptors - reserved) / 2;
        let half = usize::try_from(half).unwrap_or(usize::MAX).max(1);
        Self { connections: half, slow_connections: half }
    }

    /// Checks of that lane that may be under way.
    pub const fn limit(&self, lane: Lane) -> usize {
        match lane {
            Lane::Connections => self.connections,
            Lane::SlowConnections => self.slow_connections,
            Lane::Programs | Lane::SlowPrograms => PROGRAMS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_decide_and_a_reserve_stays() {
        let table =
            [(0, 1), (4, 1), (100, 25), (1024, 384), (4096, 1536), (20_000, 7500), (1 << 20, 393_216)];
        for (descriptors, each) in table {
            let places = Places::of(descriptors);
            assert_eq!(places.limit(Lane::Connections), each, "{descriptors}");
            assert_eq!(places.limit(Lane::SlowConnections), each, "{descriptors}");
            let both = 2 * each as u64;
            assert!(descriptors < 10 || both + (descriptors / 4) <= descriptors, "{descriptors}");
        }
    }

    #[test]
    fn ten_thousand_servers_that_hang_have_a_place_each_under_a_services_usual_limit() {
        let places = Places::of(524_288);
        assert!(places.limit(Lane::Connections) > 10_000 && places.limit(Lane::SlowConnections) > 10_000);
        assert_eq!((places.limit(Lane::Programs), places.limit(Lane::SlowPrograms)), (64, 64));
    }
}
