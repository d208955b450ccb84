//! The loop takes orders of people.

use crate::vrrp::params::Orders;
use crate::vrrp::runner::Turn;

use super::Driver;

impl Driver {
    /// These orders are in force from now on, and no others.
    pub(super) fn take_orders(&mut self, orders: Orders, turn: &mut Turn) {
        self.setup.orders = orders;
        self.give_orders(turn);
        self.settle_groups(turn);
        self.send_adverts(turn);
    }

    /// Every instance gets its order, before anything else moves it.
    pub(super) fn give_orders(&mut self, turn: &mut Turn) {
        for runner in &mut self.runners {
            let order = self.setup.orders.get(runner.name()).cloned();
            runner.ordered(order.as_ref(), turn);
        }
    }

    /// The members of a sync group in one turn, so that none of them waits for another one's.
    pub(super) fn failback(&mut self, names: &[String], by: &str, turn: &mut Turn) {
        for runner in self.runners.iter_mut().filter(|runner| names.iter().any(|name| name == runner.name()))
        {
            runner.failback(by, turn);
        }
        self.settle_groups(turn);
        self.send_adverts(turn);
    }
}
