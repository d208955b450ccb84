//! How other threads reach the bfd thread: commands in order, and an eventfd that wakes its poll. Nobody waits for an
//! answer; commands come from one place at human speed.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::params::Settings;

/// What the daemon asks of the bfd thread.
pub(super) enum Command {
    /// New settings of all sessions.
    Reload(Vec<Settings>),
    /// Say Down everywhere and end.
    Stop,
}

struct Shared {
    commands: Mutex<VecDeque<Command>>,
    wake: EventFd,
}

/// The sending side; cheap to clone.
#[derive(Clone)]
pub struct Mailbox(Arc<Shared>);

impl Mailbox {
    pub(super) fn new() -> nix::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self(Arc::new(Shared { commands: Mutex::default(), wake })))
    }

    /// Take these settings over: sessions between the same ends keep their state.
    pub fn reload(&self, settings: Vec<Settings>) {
        self.post(Command::Reload(settings));
    }

    /// Say Down everywhere and end the thread.
    pub fn stop(&self) {
        self.post(Command::Stop);
    }

    pub(super) fn take(&self) -> VecDeque<Command> {
        // Reading resets the counter; EAGAIN only says that nobody wrote.
        let _ = self.0.wake.read();
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }

    fn post(&self, command: Command) {
        self.lock().push_back(command);
        // The counter can only overflow after 2^64 unread wake-ups; any error leaves it readable.
        let _ = self.0.wake.write(1);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Command>> {
        // A poisoned lock holds whole commands all the same.
        self.0.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
