//! What the loop waits for, and how it reads what came.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::epoll::{EpollEvent, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};

use crate::board::Thread;
use crate::clock;
use crate::vrrp::auth::guard::peek_vrid;
use crate::vrrp::runner::Turn;
use crate::vrrp::socket::SocketKey;

use super::{Driver, LARGEST_DATAGRAM, MAILBOX, READS_A_TURN, TIMER};

/// Events taken from epoll at once; what is left comes with the next turn.
const EVENTS: usize = 64;

/// What there is to do.
#[derive(Default)]
pub(super) struct Ready {
    /// Something is in the mailbox.
    pub(super) mail: bool,
    /// Sockets with datagrams.
    pub(super) sockets: Vec<Arc<SocketKey>>,
}

impl Driver {
    /// Sleeps until a datagram, the mailbox or the next deadline. The deadline is a timer of the kernel's, not epoll's own
    /// timeout: that one counts whole milliseconds.
    pub(super) fn wait(&mut self) -> Ready {
        let now = clock::now();
        let next = [self.deadlines.next(), self.paces.deadline(now)].into_iter().flatten().min();
        let timeout = match next {
            Some(at) if at <= now => EpollTimeout::ZERO,
            Some(at) => self.arm(at, now),
            None => {
                let _ = self.timer.unset();
                self.armed = None;
                EpollTimeout::NONE
            }
        };
        let mut events = [EpollEvent::empty(); EVENTS];
        // EINTR and the like only mean another turn, which reads everything anew.
        if let Some(board) = &self.out.board {
            board.idle(Thread::Vrrp);
        }
        let count = self.epoll.wait(&mut events, timeout).unwrap_or(0);
        if let Some(board) = &self.out.board {
            board.busy(Thread::Vrrp, clock::since_boot());
        }
        let mut ready = Ready::default();
        for token in events.iter().take(count).map(EpollEvent::data) {
            match token {
                // Setting it anew takes the expiry away; that is done before the next sleep.
                TIMER => self.armed = None,
                MAILBOX => ready.mail = true,
                _ => ready.sockets.extend(self.tokens.get(&token).cloned()),
            }
        }
        ready
    }

    /// Sets the timer, unless it goes off early enough as it is: each advert that a backup hears moves a deadline away, and
    /// to wake once too often costs less than to set the timer each time.
    fn arm(&mut self, at: Instant, now: Instant) -> EpollTimeout {
        if self.armed.is_some_and(|armed| armed <= at) {
            return EpollTimeout::NONE;
        }
        let left = at.saturating_duration_since(now);
        let once = Expiration::OneShot(TimeSpec::from_duration(left));
        match self.timer.set(once, TimerSetTimeFlags::empty()) {
            Ok(()) => {
                self.armed = Some(at);
                EpollTimeout::NONE
            }
            // Should the timer ever refuse, epoll's own timeout is still there.
            Err(_) => EpollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(EpollTimeout::MAX),
        }
    }

    /// Datagrams of one socket, a portion at a time.
    pub(super) fn read_socket(&mut self, key: &SocketKey, turn: &mut Turn) {
        let mut buffer = [0u8; LARGEST_DATAGRAM];
        for _ in 0..READS_A_TURN {
            let Some(socket) = self.sockets.get(key) else { break };
            // An error: the device went away. The link monitor will say so, and the socket is closed then.
            let Ok(Some(arrived)) = socket.receive(&mut buffer) else { break };
            let vrid = peek_vrid(key.protocol, arrived.payload);
            let of_socket = self.listeners.get(key);
            // What is too short to name a VRID is counted once, by whoever comes first.
            let numbers = match (of_socket, vrid) {
                (Some(by_vrid), Some(vrid)) => by_vrid.get(&vrid).map_or(&[][..], Vec::as_slice),
                (Some(by_vrid), None) => {
                    by_vrid.values().next().and_then(|list| list.get(..1)).unwrap_or(&[])
                }
                (None, _) => &[],
            };
            if let (true, true, Some(vrid)) = (numbers.is_empty(), self.tell_unknown_vrids, vrid) {
                let source = arrived.source;
                self.unknown_vrid(&key.interface, vrid, source, turn);
                continue;
            }
            for number in numbers {
                if let Some(runner) = self.runners.get_mut(*number) {
                    runner.advert(&arrived, turn);
                }
            }
            if !turn.adverts.is_empty() {
                self.send_adverts(turn);
            }
        }
    }
}
