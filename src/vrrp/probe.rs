//! Does anybody else hold our addresses? A master asks now and then, one address at a time, as a host does that wants
//! to take an address (RFC 5227 section 2.1.1, an ARP request from 0.0.0.0; RFC 4862 section 5.4.2, a neighbour
//! solicitation from ::), so that nobody's table changes by the question. Who answers is a second holder, also when
//! no advert of its ever arrives: a director behind a filter, one whose daemon was killed and left its addresses, a
//! real server that does not keep silent about the virtual address on its `lo`.
//!
//! One answer may be a director on its way out: only the second one, to another question about the same address, counts.
//! Pure: the driver sends the questions and hands in the answers of others.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::Bundle;

/// Between two questions of an instance.
const PACE: Duration = Duration::from_secs(10);
/// The same while there is a suspicion, for [`HOT`] questions.
const HOT_PACE: Duration = Duration::from_secs(1);
/// Questions at the faster pace.
const HOT: u32 = 3;
/// A new master leaves the old one this long to take its addresses away.
const GRACE: Duration = Duration::from_secs(2);
/// Questions without an answer after which the other one holds the address no more.
const SILENT: u32 = 2;
/// Announcements against a second holder that stays are repeated this often.
const HEAL_EVERY: Duration = Duration::from_secs(60);

/// A question: who has this address?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Interface to ask on.
    pub interface: Arc<str>,
    /// The virtual address.
    pub address: IpAddr,
}

/// What the answers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Somebody else holds an address, for certain: tell, and announce all of them.
    TwoHolders {
        /// The address.
        address: IpAddr,
        /// Hardware address of the other one.
        mac: [u8; 6],
    },
    /// It still does: announce again.
    Still,
    /// It does not any more.
    OneAgain {
        /// The address.
        address: IpAddr,
        /// Hardware address of the other one.
        mac: [u8; 6],
        /// From its first answer until now.
        lasted: Duration,
        /// Answers of its.
        answers: u64,
    },
}

/// The other one.
#[derive(Clone, Debug)]
struct Holder {
    question: Question,
    mac: [u8; 6],
    since: Instant,
    answers: u64,
    /// Questions in a row that it did not answer.
    silent: u32,
    /// Once it is told: when to announce anew.
    heal_at: Option<Instant>,
}

/// The questions of one instance. Quiet until [`Probe::begin`].
#[derive(Clone, Debug, Default)]
pub struct Probe {
    next_at: Option<Instant>,
    hot: u32,
    /// Number of the next address.
    cursor: usize,
    /// Asked, and not answered yet.
    open: Option<Question>,
    holder: Option<Holder>,
}

impl Probe {
    /// The instance became master.
    pub fn begin(&mut self, now: Instant) {
        *self = Self { next_at: Some(now + GRACE), hot: HOT, cursor: self.cursor, ..Self::default() };
    }

    /// Another master was heard, or is gone: ask at once.
    pub fn suspect(&mut self, now: Instant) {
        if let Some(at) = &mut self.next_at {
            // Each advert of a rival raises the suspicion anew; the pace stays.
            if self.hot == 0 {
                *at = now;
            }
            self.hot = HOT;
        }
    }

    /// No longer master.
    pub fn stop(&mut self) {
        *self = Self { cursor: self.cursor, ..Self::default() };
    }

    /// True when [`Probe::due`] has something.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_at.is_some_and(|at| now >= at)
    }

    /// The question that is due, and what the silence since the last one says.
    pub fn due(&mut self, addresses: &[Bundle], now: Instant) -> (Option<Question>, Option<Finding>) {
        if !self.is_due(now) {
            return (None, None);
        }
        let finding = self.silence(now);
        let question = match &self.holder {
            Some(holder) => Some(holder.question.clone()),
            None => self.next_address(addresses),
        };
        let unsure = self.holder.as_ref().is_some_and(|holder| holder.heal_at.is_none() || holder.silent > 0);
        let pace = if self.hot > 0 || unsure { HOT_PACE } else { PACE };
        self.hot = self.hot.saturating_sub(1);
        self.next_at = Some(now + pace);
        self.open.clone_from(&question);
        (question, finding)
    }

    /// Somebody with this hardware address, which is none of ours, says that it holds the address.
    pub fn answer(&mut self, address: IpAddr, mac: [u8; 6], now: Instant) -> Option<Finding> {
        // One answer a question: a host may have two interfaces on the link.
        let question = self.open.take_if(|question| question.address == address)?;
        let holder = self.holder.get_or_insert(Holder {
            question,
            mac,
            since: now,
            answers: 0,
            silent: 0,
            heal_at: None,
        });
        holder.mac = mac;
        holder.answers += 1;
        holder.silent = 0;
        if holder.answers == 1 {
            self.next_at = Some(now + HOT_PACE);
            return None;
        }
        let told = holder.heal_at.is_some();
        if holder.heal_at.is_some_and(|at| now < at) {
            return None;
        }
        holder.heal_at = Some(now + HEAL_EVERY);
        Some(if told { Finding::Still } else { Finding::TwoHolders { address, mac } })
    }

    /// The last question has had its time.
    fn silence(&mut self, now: Instant) -> Option<Finding> {
        self.open.take()?;
        let holder = self.holder.as_mut()?;
        holder.silent += 1;
        if holder.silent < SILENT {
            return None;
        }
        let Holder { question, mac, since, answers, heal_at, .. } = self.holder.take()?;
        heal_at?;
        let lasted = now.saturating_duration_since(since);
        Some(Finding::OneAgain { address: question.address, mac, lasted, answers })
    }

    fn next_address(&mut self, addresses: &[Bundle]) -> Option<Question> {
        let count: usize = addresses.iter().map(|bundle| bundle.addresses.len()).sum();
        let mut at = self.cursor.checked_rem(count)?;
        self.cursor = at + 1;
        for bundle in addresses {
            if let Some(address) = bundle.addresses.get(at) {
                return Some(Question { interface: Arc::clone(&bundle.interface), address: *address });
            }
            at -= bundle.addresses.len();
        }
        None
    }
}

#[cfg(test)]
mod tests;
