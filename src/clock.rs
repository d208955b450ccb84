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
