//! The proof of adverts, and the time that it goes by.

use std::time::Duration;

use crate::vrrp::auth::AuthError;
use crate::vrrp::auth::guard::{Incoming, Message};
use crate::vrrp::report::Told;

use super::{Runner, Turn};

impl Runner {
    /// The time since 1970 that signed adverts go by.
    pub(super) fn signed_time(&mut self, turn: &mut Turn) -> Duration {
        if !self.guard.goes_by_time() {
            return turn.since_1970;
        }
        if let Some(by) = self.steady.stepped(turn.now, turn.since_1970) {
            self.tell(Told::ClockStepped { by }, turn);
        }
        self.steady.time(turn.now, turn.since_1970)
    }

    /// Judges the proof of what came in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open<'a>(
        &mut self,
        incoming: &Incoming<'a>,
        turn: &mut Turn,
    ) -> Result<Message<'a>, AuthError> {
        let time = self.signed_time(turn);
        let opened = self.guard.open(incoming, time);
        let stale = matches!(opened, Err(AuthError::Stale { .. }));
        // Our own, sent back by somebody, say nothing of anybody's clock.
        if !stale
            || time == turn.since_1970
            || self.own == Some(incoming.source)
            || !self.guard.is_signed(incoming)
        {
            return opened;
        }
        self.steady.follow(turn.now, turn.since_1970);
        self.tell(Told::ClockFollowed { source: incoming.source }, turn);
        self.guard.open(incoming, turn.since_1970)
    }
}
