//! A timer that both processes hold. The worker winds it up while its vrrp thread goes on; when it rings, nobody has for as long as
//! that thread may be busy with one thing, and the supervisor looks. So that one sleeps as long as all is well, and yet sees a
//! thread that hangs as soon as it may be judged.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// It is wound up this often at most: a system call that a busy thread need not make at each turn.
const EVERY: Duration = Duration::from_millis(500);

/// The timer.
#[derive(Debug)]
pub struct Bell {
    timer: TimerFd,
    /// It rings after so long.
    after: Duration,
    /// When it was last wound up, since boot, in microseconds.
    wound: AtomicU64,
}

impl Bell {
    /// A bell that another process inherits, and nobody else: by [`number`](Self::number).
    ///
    /// # Errors
    /// No descriptor left.
    pub fn cast(after: Duration) -> io::Result<Self> {
        // Time goes on while the machine sleeps, as the peer's does.
        let timer =
            TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        Ok(Self { timer, after, wound: AtomicU64::new(0) })
    }

    /// What the other process finds it by. From now on a child inherits it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn number(&self) -> io::Result<RawFd> {
        fcntl(&self.timer, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(self.timer.as_fd().as_raw_fd())
    }

    /// The one that was inherited by that number; `None` = there is no such thing. Call it once, and name a descriptor that
    /// nobody else in this process knows of.
    pub fn inherited(number: RawFd, after: Duration) -> Option<Self> {
        if number <= 2 {
            return None;
        }
        // Somebody else's variable may name anything.
        let what = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        if what.to_str() != Some("anon_inode:[timerfd]") {
            return None;
        }
        // SAFETY: it is open, it is a timer, and it was made for us: nobody else in this process knows of it.
        #[expect(unsafe_code, reason = "an inherited descriptor")]
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
        // SAFETY: as above; the number is given away here.
        #[expect(unsafe_code, reason = "an inherited descriptor")]
        let timer = unsafe { TimerFd::from_owned_fd(fd) };
        Some(Self { timer, after, wound: AtomicU64::new(0) })
    }

    /// Somebody goes on, at that time since boot.
    pub fn wind(&self, now: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let wound = self.wound.load(Ordering::Relaxed);
        if wound != 0 && micros(now).saturating_sub(wound) < micros(EVERY) {
            return;
        }
        self.wound.store(micros(now).max(1), Ordering::Relaxed);
        let once = Expiration::OneShot(TimeSpec::from_duration(self.after));
        // It takes any time; and who cannot be woken looks now and then.
        let _ = self.timer.set(once, TimerSetTimeFlags::empty());
    }

    /// It has been heard.
    pub fn silence(&self) {
        let _ = self.timer.wait();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn rings_within(bell: &Bell, time: u16) -> bool {
        poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], PollTimeout::from(time)).unwrap() == 1
    }

    #[test]
    fn it_rings_once_nobody_winds_it_up() {
        let bell = Bell::cast(ms(120)).unwrap();
        let other = nix::unistd::dup(&bell).unwrap();
        let wound = Bell::inherited(std::os::fd::IntoRawFd::into_raw_fd(other), ms(120)).unwrap();
        assert!(!rings_within(&bell, 200), "nobody has wound it up yet");
        for turn in 0..4 {
            wound.wind(ms(10_000) + EVERY * turn);
            assert!(!rings_within(&bell, 60));
        }
        assert!(rings_within(&bell, 10_000));
        bell.silence();
        assert!(!rings_within(&bell, 200), "once");
        // Within the half second it is left as it is.
        wound.wind(ms(10_000) + EVERY * 3 + ms(1));
        assert!(!rings_within(&bell, 200));
    }

    #[test]
    fn what_is_no_bell_is_not_taken_for_one() {
        let file = std::fs::File::open("/dev/null").unwrap();
        for number in [-1, 0, 2, file.as_raw_fd(), 100_000] {
            assert!(Bell::inherited(number, ms(1)).is_none(), "{number}");
        }
        drop(file);
    }
}
