//! Checks that somebody wants at once: the order, and how far it is. The order of what is due otherwise stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;

use super::schedule::ProbeId;

/// Orders that are under way at a time.
const ORDERS: usize = 16;
/// What lies between two checks of one order: thousands of them begin within a second or two and not in one burst.
const APART: Duration = Duration::from_micros(100);

/// Which real servers: by the name of their virtual server, those of these addresses; `None` = all of it.
pub type Which = BTreeMap<String, Option<BTreeSet<SocketAddr>>>;

/// How far an order is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// It has been taken.
    pub begun: bool,
    /// So many checks are run for it.
    pub checks: u64,
    /// So many of them have no result yet.
    pub left: u64,
    /// So many real servers have nothing to run: no checks, or suspended ones.
    pub not_checked: u64,
}

impl Progress {
    /// All results are there.
    pub const fn is_done(&self) -> bool {
        self.begun && self.left == 0
    }
}

/// An order.
#[derive(Debug)]
pub struct Order {
    /// What is wanted.
    pub which: Which,
    /// Who wants it hears of it here; when nobody listens any more it is forgotten, and the checks go on.
    pub told: watch::Sender<Progress>,
}

/// What the farm makes of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The probes that run for it, and how many results of each are to be waited for: two of one that is under way
    /// already, because that one began before the order.
    pub probes: BTreeMap<ProbeId, u8>,
    /// Real servers that have nothing to run.
    pub not_checked: u64,
}

/// When the n-th check of an order is due, after the order.
pub fn delay(n: usize) -> Duration {
    APART.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The orders under way.
#[derive(Debug, Default)]
pub struct Orders(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    left: BTreeMap<ProbeId, u8>,
    told: watch::Sender<Progress>,
}

impl Orders {
    /// True when one more finds room. Those that nobody waits for are forgotten.
    pub fn has_room(&mut self) -> bool {
        self.0.retain(|order| !order.told.is_closed());
        self.0.len() < ORDERS
    }

    /// An order has been taken.
    pub fn add(&mut self, due: Due, told: watch::Sender<Progress>) {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let checks = count(due.probes.len());
        let progress = Progress { begun: true, checks, left: checks, not_checked: due.not_checked };
        told.send_replace(progress);
        if checks > 0 {
            self.0.push(Waiting { left: due.probes, told });
        }
    }

    /// A result of this probe is there.
    pub fn ended(&mut self, id: ProbeId) {
        self.count(id, false);
    }

    /// There will be none: its checkers are gone.
    pub fn gone(&mut self, id: ProbeId) {
        self.count(id, true);
    }

    fn count(&mut self, id: ProbeId, all: bool) {
        // Nearly always there is no order.
        if self.0.is_empty() {
            return;
        }
        for order in &mut self.0 {
            let Some(results) = order.left.get_mut(&id) else { continue };
            *results = if all { 0 } else { results.saturating_sub(1) };
            if *results == 0 {
                order.left.remove(&id);
                let left = u64::try_from(order.left.len()).unwrap_or(u64::MAX);
                order.told.send_modify(|progress| progress.left = left);
            }
        }
        self.0.retain(|order| !order.left.is_empty() && !order.told.is_closed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(slot: u32) -> ProbeId {
        ProbeId { slot, generation: 0 }
    }

    #[test]
    fn an_order_is_done_with_its_last_result() {
        let mut orders = Orders::default();
        let (told, hears) = watch::channel(Progress::default());
        assert!(!hears.borrow().is_done());
        orders.add(Due { probes: [(id(1), 1), (id(2), 2), (id(3), 1)].into(), not_checked: 4 }, told);
        assert_eq!((hears.borrow().checks, hears.borrow().left, hears.borrow().not_checked), (3, 3, 4));
        // One that nobody waits for, and the first run of one that was under way already.
        orders.ended(id(9));
        orders.ended(id(2));
        assert_eq!(hears.borrow().left, 3);
        orders.ended(id(1));
        orders.gone(id(3));
        assert!(!hears.borrow().is_done());
        orders.ended(id(2));
        assert!(hears.borrow().is_done());
        assert!(orders.0.is_empty());
    }

    #[test]
    fn orders_are_bounded_and_those_of_who_went_are_forgotten() {
        let mut orders = Orders::default();
        let mut held = Vec::new();
        for _ in 0..ORDERS {
            assert!(orders.has_room());
            let (told, hears) = watch::channel(Progress::default());
            orders.add(Due { probes: [(id(1), 1)].into(), not_checked: 0 }, told);
            held.push(hears);
        }
        assert!(!orders.has_room());
        held.pop();
        assert!(orders.has_room());
        // Nothing to run is done at once, and takes no room.
        let (told, hears) = watch::channel(Progress::default());
        orders.add(Due::default(), told);
        assert!(hears.borrow().is_done() && orders.has_room());
    }
}
