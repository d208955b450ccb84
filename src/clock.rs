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

/// A number of days since 1970-01-01 as year, month (1..=12) and day.
pub const fn civil(days: u64) -> (u64, u64, u64) {
    // Eras of 400 years: the Gregorian calendar repeats after 146,097 days. Years begin in March here.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day)
}

/// A time as UTC, to the second: `2026-11-21T18:00:00Z`.
pub fn utc(at: SystemTime) -> String {
    let secs = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = civil(secs / 86_400);
    let of_day = secs % 86_400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_utc() {
        for (secs, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_284_061, "2026-11-21T18:01:01Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(secs)), wanted);
        }
    }
}
