//! What an instance has done so far, and how it stands, for status output. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::vrrp::machine::{StateName, Transition};
use crate::vrrp::snapshot::Snapshot;
use crate::vrrp::status::{Counters, InstanceStatus, Passed};

use super::peers::Peers;
use super::{Runner, Turn};

/// Kept under this name of refusal, but no refusal: the advert counts.
const ACCEPTED: &str = "address_list_differs";

/// Counters and the last transition.
#[derive(Clone, Debug, Default)]
pub(in crate::vrrp) struct History {
    counters: Counters,
    /// Transitions by the name of their cause.
    causes: BTreeMap<&'static str, u64>,
    last: Option<Arc<Passed>>,
    peers: Peers,
}

impl History {
    /// An advert was accepted.
    pub(super) fn accepted(&mut self, priority: u8, other_addresses: bool) {
        self.counters.received += 1;
        self.counters.zero_received += u64::from(priority == 0);
        self.counters.address_lists += u64::from(other_addresses);
    }

    /// From whom it was.
    pub(super) fn heard(&mut self, source: IpAddr, priority: u8, now: Instant) {
        self.peers.heard(source, priority, now);
    }

    /// An advert was made; without a source address there was none.
    pub(super) fn sent(&mut self, priority: u8, really: bool) {
        self.counters.sent += u64::from(really);
        self.counters.zero_sent += u64::from(really && priority == 0);
    }

    /// A transition.
    pub(super) fn passed(&mut self, transition: &Transition, snapshot: &Snapshot, turn: &Turn) {
        self.counters.became_master += u64::from(transition.to == StateName::Master);
        self.counters.released_master += u64::from(transition.from == StateName::Master);
        *self.causes.entry(transition.cause.name()).or_default() += 1;
        self.last = Some(Arc::new(Passed {
            transition: transition.clone(),
            snapshot: snapshot.clone(),
            at: turn.now,
            since_1970: turn.since_1970,
        }));
    }
}

impl Runner {
    /// How it stands.
    pub(in crate::vrrp) fn status(&self, now: Instant) -> InstanceStatus {
        let refused = self.refusals.iter().filter(|(name, _)| **name != ACCEPTED);
        InstanceStatus {
            settings: Arc::clone(&self.settings),
            state: self.machine.state(),
            wants_master: self.machine.wants_master(),
            own: self.own,
            priority: self.machine.priority(),
            own_priority: self.machine.own_priority(),
            order: self.machine.order().cloned(),
            fault: self.machine.own_fault(),
            trackers: Arc::clone(&self.trackers),
            peers: self.history.peers.list(),
            last_advert: self.heard.map(|heard| heard.now(now)),
            master_interval: self.machine.master_interval(),
            down_interval: self.machine.down_interval(),
            timer: self.machine.deadline().map(|(at, timer)| (timer, at)),
            wants_addresses: self.wants,
            last: self.history.last.clone(),
            counters: self.history.counters,
            transitions: self.history.causes.clone(),
            refused: refused.map(|(name, refusals)| (*name, refusals.total)).collect(),
            socket_error: self.socket_error.clone(),
        }
    }

    /// Counting begins anew; what was not told yet is still told.
    pub(in crate::vrrp) fn clear_counters(&mut self) {
        self.history.counters = Counters::default();
        self.history.causes.clear();
        for refusals in self.refusals.values_mut() {
            refusals.total = 0;
        }
    }

    /// What is to be taken along when the thread builds everything anew.
    pub(in crate::vrrp) const fn history(&self) -> &History {
        &self.history
    }

    /// Goes on counting from there. What has been counted since is added; a transition since is the last one.
    pub(in crate::vrrp) fn remember(&mut self, before: History) {
        let now = &mut self.history;
        now.last = now.last.take().or(before.last);
        now.peers.remember(before.peers);
        for (cause, count) in before.causes {
            *now.causes.entry(cause).or_default() += count;
        }
        let (to, from) = (&mut now.counters, before.counters);
        to.received += from.received;
        to.sent += from.sent;
        to.became_master += from.became_master;
        to.released_master += from.released_master;
        to.zero_received += from.zero_received;
        to.zero_sent += from.zero_sent;
        to.address_lists += from.address_lists;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vrrp::machine::Cause;

    #[test]
    fn what_happens_is_counted_once() {
        let mut history = History::default();
        history.accepted(100, false);
        history.accepted(0, true);
        history.sent(100, true);
        history.sent(0, true);
        history.sent(0, false);
        let turn = Turn::new(Instant::now(), Duration::from_secs(7));
        for (from, to) in [(StateName::Backup, StateName::Master), (StateName::Master, StateName::Fault)] {
            let transition = Transition { from, to, cause: Cause::Started, priority: 100 };
            history.passed(&transition, &Snapshot::default(), &turn);
        }
        let expected = Counters {
            received: 2,
            sent: 2,
            became_master: 1,
            released_master: 1,
            zero_received: 1,
            zero_sent: 1,
            address_lists: 1,
        };
        assert_eq!(history.counters, expected);
        assert_eq!(history.causes, BTreeMap::from([("started", 2)]));
        let last = history.last.expect("a transition");
        assert_eq!((last.transition.to, last.since_1970), (StateName::Fault, Duration::from_secs(7)));
    }
}
