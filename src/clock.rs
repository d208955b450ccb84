//! The one place that reads a clock. Drivers stamp `now` once a turn and hand it on; deciders never come here
//! (the layering test and `.clippy.toml` see to that).

use std::time::{Instant, SystemTime};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock: for records that people read, never for timers.
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// Time since the machine started, suspended times included.
pub fn since_boot() -> std::time::Duration {
    let read = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    // The clock exists since Linux 2.6.39; without it there is simply no delay after boot.
    read.map_or(std::time::Duration::MAX, |time| {
        std::time::Duration::new(
            u64::try_from(time.tv_sec()).unwrap_or(0),
            u32::try_from(time.tv_nsec()).unwrap_or(0),
        )
    })
}
