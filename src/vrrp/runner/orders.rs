//! What a person orders an instance to do, on its way to the machine.

use std::sync::Arc;

use crate::vrrp::machine::{Event, Order};

use super::{Runner, Turn};

impl Runner {
    /// The order that is in force from now on; the same one again is no event.
    pub(in crate::vrrp) fn ordered(&mut self, order: Option<&Arc<Order>>, turn: &mut Turn) {
        if self.machine.order() != order {
            self.feed(Event::Order(order.cloned()), turn);
        }
    }

    /// Master again, once, where its priority is enough.
    pub(in crate::vrrp) fn failback(&mut self, by: &str, turn: &mut Turn) {
        self.feed(Event::Failback { by: by.to_owned() }, turn);
    }
}
