//! Totals that only go up. A virtual server may be several services in the kernel (a group), which come and go with reloads,
//! and a reading may miss one of them: the sum of what stands there now goes down then, and a monitoring system takes that for
//! a beginning from zero and adds the whole of it once more. So what each of them has counted since the last look is entered
//! in a book, and the book is told. Reads no clock.
//!
//! One service alone needs no book: that its entry was made anew is a beginning from zero.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::check::status::{ServiceStatus, Status};
use crate::ipvs::counts::{Counts, Traffic};
use crate::ipvs::table::ServiceKey;

/// The books of all virtual servers that are, or were, more than one service.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    /// The last reading that was entered.
    number: u64,
    zeroed: u64,
    services: HashMap<String, Service>,
}

/// One virtual server.
#[derive(Debug, Default)]
struct Service {
    members: Vec<ServiceKey>,
    whole: Account,
    reals: HashMap<String, Account>,
}

/// The books while a reading is entered.
#[derive(Debug)]
pub(super) struct Open<'a> {
    books: MutexGuard<'a, Books>,
    fresh: bool,
}

/// Those of one virtual server.
#[derive(Debug)]
pub(super) struct Own<'a> {
    service: &'a mut Service,
    fresh: bool,
}

/// One total, and what each service was seen to have when it was last there.
#[derive(Debug, Default)]
pub(super) struct Account {
    total: Totals,
    seen: BTreeMap<ServiceKey, Totals>,
}

/// What only goes up: connections, packets in and out, bytes in and out.
type Totals = [u64; 5];

impl Ledger {
    /// For this reading. One that is older than the last that was entered (two who ask at a time) changes nothing.
    pub(super) fn open(&self, counts: &Counts) -> Open<'_> {
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = counts.number >= books.number;
        if fresh {
            if counts.zeroed != books.zeroed {
                // A person has set all to zero, and wants to read it.
                books.services.clear();
            }
            (books.number, books.zeroed) = (counts.number, counts.zeroed);
        }
        Open { books, fresh }
    }
}

impl Open<'_> {
    /// Forgets virtual servers that are no more.
    pub(super) fn keep_only(&mut self, status: &Status) {
        if !self.books.services.is_empty() {
            let names: HashSet<String> =
                status.services.iter().map(|service| service.name.to_string()).collect();
            self.books.services.retain(|name, _| names.contains(name));
        }
    }

    /// The book of a virtual server; `None`: it needs none.
    pub(super) fn of(&mut self, name: &str, status: &ServiceStatus) -> Option<Own<'_>> {
        if !self.books.services.contains_key(name) {
            if status.members.len() < 2 {
                return None;
            }
            self.books.services.insert(name.to_owned(), Service::default());
        }
        let service = self.books.services.get_mut(name)?;
        if self.fresh && service.members != status.members {
            service.members.clone_from(&status.members);
            // One that comes back begins from zero.
            let there: HashSet<&ServiceKey> = status.members.iter().collect();
            for account in service.reals.values_mut().chain([&mut service.whole]) {
                account.seen.retain(|key, _| there.contains(key));
            }
        }
        if service.reals.len() > status.reals.len() {
            let there: HashSet<&str> = status.reals.iter().map(|real| real.name.as_str()).collect();
            service.reals.retain(|name, _| there.contains(name.as_str()));
        }
        Some(Own { service, fresh: self.fresh })
    }
}

impl Own<'_> {
    /// The virtual server's own total, and whether something is entered.
    pub(super) const fn whole(&mut self) -> (&mut Account, bool) {
        (&mut self.service.whole, self.fresh)
    }

    /// That of a real server.
    pub(super) fn real(&mut self, name: &str) -> (&mut Account, bool) {
        (self.service.reals.entry(name.to_owned()).or_default(), self.fresh)
    }
}

impl Account {
    /// Enters what a service has now: what is less than before was made anew, and counts whole.
    pub(super) fn enter(&mut self, key: ServiceKey, now: &Traffic) {
        let now = totals(now);
        let before = self.seen.insert(key, now).unwrap_or_default();
        for ((total, now), before) in self.total.iter_mut().zip(now).zip(before) {
            *total = total.saturating_add(now.checked_sub(before).unwrap_or(now));
        }
    }

    /// The total with the rates of this sum.
    pub(super) const fn instead_of(&self, sum: Traffic) -> Traffic {
        let [connections, packets_in, packets_out, bytes_in, bytes_out] = self.total;
        Traffic { connections, packets_in, packets_out, bytes_in, bytes_out, ..sum }
    }
}

const fn totals(traffic: &Traffic) -> Totals {
    [traffic.connections, traffic.packets_in, traffic.packets_out, traffic.bytes_in, traffic.bytes_out]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ipvs::table::Family;

    fn key(mark: u32) -> ServiceKey {
        ServiceKey::Fwmark { family: Family::V4, mark }
    }

    fn traffic(bytes_in: u64) -> Traffic {
        Traffic { connections: bytes_in / 10, bytes_in, byte_rate_in: 3, ..Traffic::default() }
    }

    fn service(marks: &[u32]) -> ServiceStatus {
        let config = "virtual_server_group g {\n fwmark 1\n fwmark 2\n}\nvirtual_server group g {\n real_server 10.1.0.1 80 \
                      { }\n}\n";
        let config =
            crate::config::load_text("x.conf".as_ref(), config.as_bytes(), &Default::default()).config;
        let plan = crate::check::plan::Plan::new(&config);
        let status = crate::check::farm::Farm::start(plan, 1, crate::clock::now()).0.status();
        let mut service = status.services.into_iter().next().unwrap();
        service.members = marks.iter().map(|mark| key(*mark)).collect();
        service
    }

    /// What is told after these readings: what stands in the kernel's table by mark.
    fn told(ledger: &Ledger, counts: &Counts, members: &[u32], there: &[(u32, u64)]) -> Option<u64> {
        let mut open = ledger.open(counts);
        let service = service(members);
        let own = open.of("g", &service);
        let sum = there.iter().map(|(_, bytes)| bytes).sum();
        let Some(mut own) = own else { return (!there.is_empty()).then_some(sum) };
        let (account, fresh) = own.whole();
        if fresh {
            there.iter().for_each(|(mark, bytes)| account.enter(key(*mark), &traffic(*bytes)));
        }
        let told = account.instead_of(traffic(sum));
        assert_eq!(told.byte_rate_in, 3, "rates are those of now");
        Some(told.bytes_in)
    }

    #[test]
    fn a_member_that_goes_takes_nothing_with_it() {
        let (ledger, mut number) = (Ledger::default(), 0);
        let mut next = |members: &[u32], there: &[(u32, u64)]| {
            number += 1;
            told(&ledger, &Counts { number, ..Counts::default() }, members, there)
        };
        assert_eq!(next(&[1, 2], &[(1, 2_000), (2, 10)]), Some(2_010));
        // A reading that misses the larger one, and the next, which has it again.
        assert_eq!(next(&[1, 2], &[(2, 15)]), Some(2_015));
        assert_eq!(next(&[1, 2], &[(1, 2_100), (2, 15)]), Some(2_115));
        // A reload takes it out, and a later one brings it back.
        assert_eq!(next(&[2], &[(2, 20)]), Some(2_120));
        assert_eq!(next(&[1, 2], &[(1, 5), (2, 20)]), Some(2_125));
        // An entry that was made anew.
        assert_eq!(next(&[1, 2], &[(1, 1), (2, 20)]), Some(2_126));
    }

    #[test]
    fn one_service_needs_no_book_and_zero_is_zero() {
        let ledger = Ledger::default();
        let reading = |number, zeroed| Counts { number, zeroed, ..Counts::default() };
        assert_eq!(told(&ledger, &reading(1, 0), &[1], &[(1, 70)]), Some(70));
        assert_eq!(told(&ledger, &reading(2, 0), &[1], &[(1, 7)]), Some(7));
        assert_eq!(told(&ledger, &reading(3, 0), &[1, 2], &[(1, 8), (2, 1)]), Some(9));
        // Who asked first may be served last.
        assert_eq!(told(&ledger, &reading(2, 0), &[1, 2], &[(1, 7)]), Some(9));
        assert_eq!(told(&ledger, &reading(4, 1), &[1, 2], &[(1, 2), (2, 0)]), Some(2));
    }

    proptest! {
        /// Whatever is missing and whatever begins anew: never less than before.
        #[test]
        fn totals_only_go_up(readings in prop::collection::vec(prop::collection::btree_map(1u32..4, 0u64..1000, 0..3), 1..20)) {
            let ledger = Ledger::default();
            let mut last = 0;
            for (number, there) in (1..).zip(readings) {
                let there: Vec<(u32, u64)> = there.into_iter().collect();
                let counts = Counts { number, ..Counts::default() };
                let now = told(&ledger, &counts, &[1, 2, 3], &there).unwrap();
                prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
