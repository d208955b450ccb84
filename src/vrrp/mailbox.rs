//! How other threads reach the vrrp thread: "wanted" and "is so" values where the latest wins, commands in
//! order, and an eventfd that wakes its poll. Nobody waits for an answer, and nothing here can grow without
//! bound: the slots are overwritten, and commands come from one place at human speed.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::net::address::AddressKey;
use crate::net::link::Links;

use super::params::{Faults, Setup, TrackerValues};

/// What came in since the last look.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) links: Option<Arc<Links>>,
    pub(super) trackers: Option<Arc<TrackerValues>>,
    /// Instances that must not take part, for reasons of other rooms.
    pub(super) faults: Option<Arc<Faults>>,
    /// Generation of addresses that is in place.
    pub(super) applied: Option<u64>,
    /// Addresses that were put in place just now.
    pub(super) placed: Vec<AddressKey>,
    pub(super) commands: VecDeque<Command>,
}

/// What the daemon asks of the vrrp thread.
pub(super) enum Command {
    /// New settings of all instances and groups.
    Reload(Box<Setup>),
    /// Step down everywhere and end.
    Stop,
    /// Fail inside: for the test of what comes then.
    #[cfg(test)]
    Fail,
}

struct Shared {
    inbox: Mutex<Inbox>,
    wake: EventFd,
}

/// The sending side; cheap to clone.
#[derive(Clone)]
pub struct Mailbox(Arc<Shared>);

impl Mailbox {
    pub(super) fn new() -> nix::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self(Arc::new(Shared { inbox: Mutex::default(), wake })))
    }

    /// The interfaces as they are now.
    pub fn links(&self, links: Arc<Links>) {
        self.post(|inbox| inbox.links = Some(links));
    }

    /// The script results as they are now.
    pub fn trackers(&self, values: Arc<TrackerValues>) {
        self.post(|inbox| inbox.trackers = Some(values));
    }

    /// The instances that must not take part now, with the reasons; all others may.
    pub fn faults(&self, faults: Arc<Faults>) {
        self.post(|inbox| inbox.faults = Some(faults));
    }

    /// This generation of wanted addresses is in place.
    pub fn applied(&self, generation: u64) {
        self.post(|inbox| inbox.applied = Some(generation));
    }

    /// These addresses are there.
    pub(super) fn placed(&self, mut keys: Vec<AddressKey>) {
        self.post(|inbox| inbox.placed.append(&mut keys));
    }

    /// Take these settings over: instances of the same name keep their state.
    pub fn reload(&self, setup: Setup) {
        self.post(|inbox| inbox.commands.push_back(Command::Reload(Box::new(setup))));
    }

    /// Step down (priority-0 adverts), want no address, end the thread.
    pub fn stop(&self) {
        self.post(|inbox| inbox.commands.push_back(Command::Stop));
    }

    #[cfg(test)]
    pub(super) fn fail(&self) {
        self.post(|inbox| inbox.commands.push_back(Command::Fail));
    }

    pub(super) fn take(&self) -> Inbox {
        // Reading resets the counter; EAGAIN only says that nobody wrote.
        let _ = self.0.wake.read();
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }

    fn post(&self, put: impl FnOnce(&mut Inbox)) {
        put(&mut self.lock());
        // The counter can only overflow after 2^64 unread wake-ups; any error leaves it readable.
        let _ = self.0.wake.write(1);
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // A poisoned lock holds whole values all the same: each slot is written in one assignment.
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
