//! The loop takes a configuration over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::realtime::{self, Scheduling, Steps};
use crate::vrrp::machine::Rhythm;
use crate::vrrp::params::Setup;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::runner::{Runner, Turn};

use super::Driver;

impl Driver {
    /// A reload may schedule this thread anew. Other limits of `max_auto_priority` alone leave what was raised.
    pub(super) fn reschedule(&mut self, wish: &Scheduling, turn: &mut Turn) {
        let before = &self.setup.scheduling;
        if *wish == (Scheduling { most: wish.most, late: wish.late, ..before.clone() }) {
            return;
        }
        let outcome = realtime::change(realtime::this_thread(), before, wish);
        self.steps = Steps::new(wish, &outcome);
        turn.reports.push(Report { instance: String::new(), told: Told::Scheduled(outcome) });
    }

    /// Another configuration, or the first one: what runs goes on, what is new starts, what is gone steps down.
    pub(super) fn take_setup(&mut self, setup: Setup, hold: Duration, turn: &mut Turn) {
        self.setup = setup.clone();
        self.steps.limits(&setup.scheduling);
        for one in &setup.instances {
            self.ours.extend(one.addresses.keys().cloned());
            self.routing.inherit(&one.routing);
        }
        self.virtuals = self.ours.iter().map(|key| key.address).collect();
        self.paces.configure(setup.pacing);
        self.lateness.expect(setup.instances.iter().map(|one| one.advert_int).min().unwrap_or_default());
        self.tell_unknown_vrids = setup.tell_unknown_vrids;
        let mut old: BTreeMap<String, Runner> =
            std::mem::take(&mut self.runners).into_iter().map(|r| (r.name().to_owned(), r)).collect();
        let mut fresh = Vec::new();
        let (origin, count) = (self.origin, setup.instances.len());
        let rhythm = |number| Rhythm::of(origin, number, count);
        for (number, one) in setup.instances.into_iter().enumerate() {
            let runner = match old.remove(&one.name) {
                Some(mut runner) if runner.settings().same_router(&one) => {
                    runner.place(number, rhythm(number));
                    runner.reload(one, turn);
                    runner
                }
                before => {
                    // Another interface, VRID or version is another router: the old one steps down first.
                    if let Some(mut runner) = before {
                        runner.retire(turn);
                    }
                    fresh.push(number);
                    let mut runner = Runner::new(one);
                    runner.place(number, rhythm(number));
                    runner
                }
            };
            self.runners.push(runner);
        }
        for mut runner in old.into_values() {
            runner.delete(turn);
        }
        self.send_adverts(turn);
        self.deadlines.reset(self.runners.len());
        turn.touched = (0..self.runners.len()).collect();
        self.listeners.clear();
        for (number, runner) in self.runners.iter().enumerate() {
            let by_vrid = self.listeners.entry(Arc::clone(runner.socket())).or_default();
            by_vrid.entry(runner.settings().vrid).or_default().push(number);
        }
        self.claim_slots(turn);
        self.take_groups(setup.groups);
        self.open_sockets(turn);
        self.give_orders(turn);
        self.look_around(turn);
        for number in fresh {
            if let Some(runner) = self.runners.get_mut(number) {
                if self.resuming.contains(runner.name()) {
                    runner.resume(turn);
                } else {
                    runner.start(hold, turn);
                }
            }
        }
        self.settle_groups(turn);
        self.send_adverts(turn);
        // Settings of a running master may want other addresses without any event of its machine.
        turn.addresses_changed = true;
    }
}
