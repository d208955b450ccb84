//! Timers for what happens every few seconds or seldom. The runtime's own timers are kept in wheels of 64 slots: a long one wakes
//! its thread at each wheel that it passes through, two or three times in all. These are the kernel's: they wake it once.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock;

/// A time of zero would take the timer off.
const LEAST: Duration = Duration::from_nanos(1);

/// tokio asks for the number of a descriptor, nix's value knows it. Others may set it meanwhile.
#[derive(Clone, Debug)]
struct Descriptor(Arc<TimerFd>);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// One timer of the kernel's, waited for on a runtime.
#[derive(Debug)]
pub struct Alarm {
    /// `None` = there was no descriptor left: the runtime's own timers do it.
    timer: Option<AsyncFd<Descriptor>>,
    /// What it is set to.
    set: Option<Instant>,
}

impl Alarm {
    /// Call it on a runtime.
    pub fn new() -> Self {
        Self { timer: descriptor().and_then(registered).ok(), set: None }
    }

    /// Waits until then. To be dropped meanwhile does no harm; the next call may name another time.
    pub async fn at(&mut self, at: Instant) {
        let Some(timer) = &self.timer else { return tokio::time::sleep_until(at.into()).await };
        loop {
            let left = at.saturating_duration_since(clock::now());
            if left.is_zero() {
                return;
            }
            if self.set != Some(at) {
                self.set = None;
                if set(&timer.get_ref().0, left).is_err() {
                    return tokio::time::sleep_until(at.into()).await;
                }
                self.set = Some(at);
            }
            let Ok(mut ready) = timer.readable().await else {
                return tokio::time::sleep_until(at.into()).await;
            };
            // How often it went off is nobody's concern; an earlier setting may have done so too.
            let _ = timer.get_ref().0.wait();
            ready.clear_ready();
            self.set = None;
        }
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new()
    }
}

/// Something that is due each so often, from now on. What was missed is not made up for.
#[derive(Debug)]
pub struct Ticks {
    alarm: Alarm,
    next: Instant,
    period: Duration,
}

impl Ticks {
    /// The first one is due at once. Call it on a runtime.
    pub fn new(period: Duration) -> Self {
        Self { alarm: Alarm::new(), next: clock::now(), period }
    }

    /// The next one. To be dropped meanwhile does no harm.
    pub async fn tick(&mut self) {
        self.alarm.at(self.next).await;
        self.next = after(self.next, self.period, clock::now());
    }
}

/// The first time after `now` that is a whole number of periods after `last`. Pure.
fn after(last: Instant, period: Duration, now: Instant) -> Instant {
    let period = period.max(LEAST);
    let late = now.saturating_duration_since(last).as_nanos();
    let missed = late / period.as_nanos();
    let behind = Duration::from_nanos(u64::try_from(late % period.as_nanos()).unwrap_or(0));
    // From `now` on where that is later: the sum of many periods may be no number any more.
    if missed == 0 { last + period } else { now + (period - behind) }
}

/// A timer that goes off while a thread does not sleep for long, and leaves one alone that does: it is taken off before each sleep
/// that follows on a time without events, and set again after it.
#[derive(Debug)]
pub struct Awake {
    timer: Arc<TimerFd>,
    every: Duration,
    state: std::sync::Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// It is set.
    set: bool,
    /// How often the thread was woken since it was set.
    woken: u32,
    /// Nothing but the timer has woken it: it may sleep.
    quiet: bool,
}

impl Awake {
    /// Goes off after each so long.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new(every: Duration) -> io::Result<Self> {
        Ok(Self { timer: descriptor()?.0, every, state: std::sync::Mutex::default() })
    }

    /// The thread goes to sleep.
    pub fn parks(&self) {
        self.change(|state| {
            if std::mem::take(&mut state.quiet) && self.timer.unset().is_ok() {
                state.set = false;
            }
        });
    }

    /// The thread has something to do.
    pub fn wakes(&self) {
        self.change(|state| {
            state.woken = state.woken.saturating_add(1);
            if !state.set {
                self.set(state);
            }
        });
    }

    /// Calls that each time that it goes off. On the runtime of that thread.
    pub async fn each(&self, mut call: impl FnMut()) {
        let descriptor = Descriptor(Arc::clone(&self.timer));
        let Ok(timer) = registered(descriptor) else {
            loop {
                tokio::time::sleep(self.every).await;
                call();
            }
        };
        self.change(|state| self.set(state));
        while let Ok(mut ready) = timer.readable().await {
            let _ = self.timer.wait();
            ready.clear_ready();
            call();
            self.change(|state| {
                // Should the thread not sleep now, the timer has to go off again.
                let quiet = state.woken <= 1;
                self.set(state);
                state.quiet = quiet;
            });
        }
    }

    fn set(&self, state: &mut State) {
        *state = State { set: set(&self.timer, self.every).is_ok(), woken: 0, quiet: false };
    }

    /// Nobody else waits for it: all of it happens on one thread.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

fn descriptor() -> io::Result<Descriptor> {
    let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
    Ok(Descriptor(Arc::new(TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?)))
}

fn registered(timer: Descriptor) -> io::Result<AsyncFd<Descriptor>> {
    // SAFETY: its number is that of a timer which it keeps open as long as it lives itself.
    #[expect(unsafe_code, reason = "tokio cannot see that the descriptor stays the same")]
    Ok(unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?)
}

fn set(timer: &TimerFd, left: Duration) -> io::Result<()> {
    let once = Expiration::OneShot(TimeSpec::from_duration(left.max(LEAST)));
    Ok(timer.set(once, TimerSetTimeFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let start = clock::now();
        for (late, next) in [(0, 5), (4, 5), (5, 10), (12, 15), (3_600_000_001, 3_600_000_005)] {
            assert_eq!(after(start, ms(5), start + ms(late)), start + ms(next), "{late} ms late");
        }
        assert!(after(start, Duration::ZERO, start) > start);
    }

    #[test]
    fn an_alarm_goes_off_in_time_and_can_be_set_anew() {
        runtime().block_on(async {
            let mut alarm = Alarm::new();
            let start = clock::now();
            // Given up, and set to something earlier.
            assert!(tokio::time::timeout(ms(10), alarm.at(start + ms(3_600_000))).await.is_err());
            alarm.at(start + ms(40)).await;
            assert!(start.elapsed() >= ms(40));
            // Given up, gone off meanwhile, set to something later.
            assert!(tokio::time::timeout(ms(5), alarm.at(start + ms(60))).await.is_err());
            std::thread::park_timeout(ms(40));
            alarm.at(start + ms(150)).await;
            assert!(start.elapsed() >= ms(150) && start.elapsed() < ms(10_000));
            // Gone by already.
            alarm.at(start).await;
        });
    }

    #[test]
    fn ticks_come_at_once_and_then_each_period() {
        runtime().block_on(async {
            let start = clock::now();
            let mut ticks = Ticks::new(ms(30));
            for _ in 0..4 {
                ticks.tick().await;
            }
            assert!(start.elapsed() >= ms(90) && start.elapsed() < ms(10_000));
        });
    }

    #[test]
    fn a_thread_that_sleeps_is_left_alone_and_one_that_works_is_not() {
        let awake = Arc::new(Awake::new(ms(20)).unwrap());
        let (parks, wakes, told) = (Arc::clone(&awake), Arc::clone(&awake), Arc::new(AtomicU32::new(0)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || parks.parks())
            .on_thread_unpark(move || wakes.wakes())
            .build()
            .unwrap();
        let count = Arc::clone(&told);
        runtime.spawn(async move { awake.each(|| _ = count.fetch_add(1, Ordering::Relaxed)).await });
        let rounds = |count: u32| told.load(Ordering::Relaxed) - count;
        runtime.block_on(async {
            let mut alarm = Alarm::new();
            alarm.at(clock::now() + ms(400)).await;
            let asleep = rounds(0);
            assert!((1..=3).contains(&asleep), "{asleep} in a sleep");
            // It works without a pause.
            let end = clock::now() + ms(300);
            while clock::now() < end {
                tokio::task::yield_now().await;
            }
            let worked = rounds(asleep);
            assert!(worked >= 5, "{worked} while it worked");
            // It has something to do now and then.
            let before = rounds(0);
            for _ in 0..60 {
                alarm.at(clock::now() + ms(5)).await;
            }
            let now_and_then = rounds(before);
            assert!(now_and_then >= 5, "{now_and_then} while something happened");
        });
    }
}
