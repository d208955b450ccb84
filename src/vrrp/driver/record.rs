//! What the next process must know of this one, kept on the board: who is master, and when each last advertised.

use crate::board::Thread;
use crate::clock;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::runner::Turn;

use super::Driver;

impl Driver {
    /// The place of every runner, after another configuration.
    pub(super) fn claim_slots(&mut self, turn: &mut Turn) {
        let Some(board) = &self.out.board else { return };
        let names: Vec<String> = self.runners.iter().map(|runner| runner.settings().router_name()).collect();
        match board.claim(names.iter().map(String::as_str)) {
            Ok(slots) => self.slots = slots,
            Err(error) => {
                self.slots.clear();
                let why = format!("{error}: free memory or make /run larger");
                turn.reports.push(Report { instance: String::new(), told: Told::Unremembered { why } });
            }
        }
    }

    /// Those that something happened to.
    pub(super) fn note_masters(&self, turn: &Turn) {
        let Some(board) = &self.out.board else { return };
        for number in &turn.touched {
            if let (Some(runner), Some(Some(slot))) = (self.runners.get(*number), self.slots.get(*number)) {
                board.set_master(*slot, runner.wants_addresses());
            }
        }
    }

    /// An advert of this runner has been sent.
    pub(super) fn note_spoken(&self, number: usize) {
        let (Some(board), Some(runner)) = (&self.out.board, self.runners.get(number)) else { return };
        if let Some(Some(slot)) = self.slots.get(number) {
            board.spoke(*slot, clock::since_boot(), runner.settings().patience());
        }
    }

    /// The end, however it came: the peer is to be the only master.
    pub(super) fn forget_masters(&self) {
        if let Some(board) = &self.out.board {
            for slot in self.slots.iter().flatten() {
                board.set_master(*slot, false);
            }
            board.idle(Thread::Vrrp);
        }
    }
}
