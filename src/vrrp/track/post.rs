//! A letter box of a watching thread: the latest wish wins, and reading it wakes the thread's poll.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

struct Shared<T> {
    slot: Mutex<Slot<T>>,
    wake: EventFd,
}

struct Slot<T> {
    wish: Option<T>,
    closed: bool,
}

/// The watching side.
pub(super) struct LetterBox<T>(Arc<Shared<T>>);

/// The wishing side; dropped, it tells the thread to end.
pub(super) struct Post<T>(Arc<Shared<T>>);

/// What a look into the box shows.
pub(super) enum Letter<T> {
    /// Nothing new.
    None,
    /// This is wished for now.
    Wish(T),
    /// Nobody wishes for anything any more.
    Closed,
}

/// A new pair of ends.
pub(super) fn pair<T>() -> nix::Result<(Post<T>, LetterBox<T>)> {
    let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let shared = Arc::new(Shared { slot: Mutex::new(Slot { wish: None, closed: false }), wake });
    Ok((Post(Arc::clone(&shared)), LetterBox(shared)))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        // A poisoned lock holds whole values all the same: each is written in one assignment.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Post<T> {
    pub(super) fn wish(&self, wish: T) {
        self.0.lock().wish = Some(wish);
        // The counter can only overflow after 2^64 unread wake-ups; any error leaves it readable.
        let _ = self.0.wake.write(1);
    }
}

impl<T> Drop for Post<T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        let _ = self.0.wake.write(1);
    }
}

impl<T> LetterBox<T> {
    pub(super) fn look(&self) -> Letter<T> {
        // Reading resets the counter; EAGAIN only says that nobody wrote.
        let _ = self.0.wake.read();
        let mut slot = self.0.lock();
        match (slot.closed, slot.wish.take()) {
            (true, _) => Letter::Closed,
            (false, Some(wish)) => Letter::Wish(wish),
            (false, None) => Letter::None,
        }
    }

    pub(super) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }
}
