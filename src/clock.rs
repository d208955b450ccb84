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
    whole(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()) + "Z"
}

/// A time since 1970 as UTC, to the millisecond: `2026-11-21T18:00:00.123Z`.
pub fn utc_millis(since_1970: std::time::Duration) -> String {
    format!("{}.{:03}Z", whole(since_1970.as_secs()), since_1970.subsec_millis())
}

fn whole(secs: u64) -> String {
    let (year, month, day) = civil(secs / 86_400);
    let of_day = secs % 86_400;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// The time of a text of [`utc`]'s form; `None` = it has another one, or there is no such time.
pub fn of_utc(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // As above, the other way round: years begin in March, eras of 400 years repeat.
    let (shifted, of_year) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (shifted / 400, shifted % 400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100
        + (153 * of_year + 2) / 5
        + day.checked_sub(1)?;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    let at = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))?;
    // A 31st of February is none.
    (utc(at) == text).then_some(at)
}

/// A time as the machine's own time zone has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Year.
    pub year: i64,
    /// Month, 1..=12.
    pub month: u32,
    /// Day of the month, from 1 on.
    pub day: u32,
    /// Hour, 0..=23.
    pub hour: u32,
    /// Minute, 0..=59.
    pub minute: u32,
    /// Second, 0..=60.
    pub second: u32,
}

/// A time in the machine's own time zone (`TZ`, else `/etc/localtime`).
pub fn local(at: SystemTime) -> Parts {
    let secs = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let secs = libc::time_t::try_from(secs).unwrap_or(0);
    // SAFETY: an all-zero `tm` is a value of its type (its pointer may be null), and both pointers live through the call.
    // localtime_r reads the environment's TZ; nothing here ever changes the environment.
    #[allow(unsafe_code)]
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const secs, &raw mut tm);
        tm
    };
    let number = |value: libc::c_int| u32::try_from(value).unwrap_or(0);
    Parts {
        year: i64::from(tm.tm_year) + 1900,
        month: number(tm.tm_mon) + 1,
        day: number(tm.tm_mday),
        hour: number(tm.tm_hour),
        minute: number(tm.tm_min),
        second: number(tm.tm_sec),
    }
}

/// Seconds since 1970 of a time in the machine's own time zone; `None` before 1970, or where the C library knows none. A day
/// past the end of its month is one of the next.
pub fn of_local(parts: &Parts) -> Option<u64> {
    let number = |value: u32| libc::c_int::try_from(value).ok();
    // SAFETY: as in `local`.
    #[allow(unsafe_code)]
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    tm.tm_year = libc::c_int::try_from(parts.year - 1900).ok()?;
    tm.tm_mon = number(parts.month)? - 1;
    tm.tm_mday = number(parts.day)?;
    tm.tm_hour = number(parts.hour)?;
    tm.tm_min = number(parts.minute)?;
    tm.tm_sec = number(parts.second)?;
    // The C library finds out whether it is summer time then.
    tm.tm_isdst = -1;
    // SAFETY: the pointer is to a whole value that outlives the call.
    #[allow(unsafe_code)]
    let secs = unsafe { libc::mktime(&raw mut tm) };
    u64::try_from(secs).ok()
}

/// The wall clock, since 1970.
pub fn since_1970() -> std::time::Duration {
    wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
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
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
            assert_eq!((utc(at).as_str(), of_utc(wanted)), (wanted, Some(at)));
        }
        for day in 0..60_000 {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(day * 86_400 + day % 86_400);
            assert_eq!(of_utc(&utc(at)), Some(at), "day {day}");
        }
        for none in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-21 18:01:01Z",
            "2026-11-21T18:01:01",
            "é026-11-21T18:01:0Z",
        ] {
            assert_eq!(of_utc(none), None, "{none}");
        }
        assert_eq!(utc_millis(Duration::from_millis(1_795_284_061_007)), "2026-11-21T18:01:01.007Z");
    }
}
