//! `reload_time_file`: when is the reload that a file asks for? Pure: text and the time now in, a time or a reason out. Who
//! watches the file and the clock is the worker.
//!
//! keepalived's forms, precisely: `HH:MM:SS`, `YY-MM-DD HH:MM:SS` and `YYYY-MM-DD HH:MM:SS`, each perhaps with a `Z` (UTC) at
//! its end, in the first line, without any other blank. Without a date it is the next time that the clock shows it.

/// Longer than any line that means something.
pub const LONGEST: usize = 64;

/// A day: year, month 1..=12, day of the month from 1 on. A day past the end of its month is one of the next.
pub type Day = (i64, u32, u32);

/// How a time zone counts.
pub trait Zone {
    /// Its day at that many seconds since 1970.
    fn day(&self, at: u64) -> Day;

    /// Seconds since 1970 of a day's time (hour, minute, second). `None` before 1970. Of a time that the clock skips or
    /// shows twice one that is near.
    fn at(&self, day: Day, time: (u32, u32, u32)) -> Option<u64>;
}

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appointment {
    /// A reload at that many seconds since 1970, after now.
    At(u64),
    /// It had a date, and is over.
    Over(u64),
}

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Neither of the forms.
    #[error(
        "\"{0}\" is no time: write HH:MM:SS or YYYY-MM-DD HH:MM:SS, a Z behind it for UTC, and no other blank"
    )]
    Form(String),
    /// A form with a number that no calendar or clock has.
    #[error("\"{0}\" is a time that no calendar or clock has")]
    NoSuchTime(String),
}

/// When the reload is, by the file's text; `None`: the file is empty, and says nothing yet. `now` in seconds since 1970.
///
/// # Errors
/// [`Problem`].
pub fn appointment(text: &[u8], now: u64, local: &dyn Zone) -> Result<Option<Appointment>, Problem> {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let shown = || {
        let shown = String::from_utf8_lossy(line.get(..LONGEST).unwrap_or(line)).into_owned();
        shown.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>()
    };
    let said = parse(line).ok_or_else(|| Problem::Form(shown()))?;
    if !said.is_possible() {
        return Err(Problem::NoSuchTime(shown()));
    }
    let zone: &dyn Zone = if said.utc { &Utc } else { local };
    let of = |day: Day| zone.at(day, said.time).ok_or_else(|| Problem::NoSuchTime(shown()));
    let at = match said.day {
        Some(day) => of(day)?,
        None => {
            let (year, month, day) = zone.day(now);
            let today = of((year, month, day))?;
            if today > now { today } else { of((year, month, day + 1))? }
        }
    };
    Ok(Some(if at > now { Appointment::At(at) } else { Appointment::Over(at) }))
}

/// As it is written.
struct Said {
    day: Option<Day>,
    time: (u32, u32, u32),
    utc: bool,
}

impl Said {
    fn is_possible(&self) -> bool {
        let (hour, minute, second) = self.time;
        let of_day = hour < 24 && minute < 60 && second < 60;
        of_day
            && self.day.is_none_or(|(year, month, day)| {
                (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day)
            })
    }
}

fn parse(line: &[u8]) -> Option<Said> {
    let (line, utc) = match line {
        [rest @ .., b'Z'] => (rest, true),
        rest => (rest, false),
    };
    let (day, time) = match line.len() {
        8 => (None, line),
        17 | 19 => {
            let (day, rest) = line.split_at(line.len() - 9);
            let [year, month, day] = numbers(day, b'-')?;
            // Two digits are of this century.
            let year = i64::from(if line.len() == 17 { 2000 + year } else { year });
            (Some((year, month, day)), rest.strip_prefix(b" ")?)
        }
        _ => return None,
    };
    let [hour, minute, second] = numbers(time, b':')?;
    Some(Said { day, time: (hour, minute, second), utc })
}

/// Three numbers, the last two of two digits, the first of two or four: the length was looked at before.
fn numbers(text: &[u8], between: u8) -> Option<[u32; 3]> {
    let mut parts = text.split(|byte| *byte == between);
    let mut next = |widths: &[usize]| {
        let part = parts.next().filter(|part| widths.contains(&part.len()))?;
        let digits = part.iter().all(u8::is_ascii_digit);
        digits.then(|| part.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    };
    let numbers = [next(&[2, 4])?, next(&[2])?, next(&[2])?];
    parts.next().is_none().then_some(numbers)
}

const fn days_in(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The zone of `Z`.
struct Utc;

const DAY: i64 = 86_400;

/// Days since 1970-01-01 in the Gregorian calendar; years begin in March here, so that the odd day is the last one.
const fn days(year: i64, month: u32, day: u32) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month as i64 + 2) / 5 + day as i64 - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Zone for Utc {
    fn day(&self, at: u64) -> Day {
        let since = i64::try_from(at).unwrap_or(i64::MAX) / DAY;
        // A year has at least 365 days: at most a few steps back from there.
        let mut year = 1970 + since / 365;
        while days(year, 1, 1) > since {
            year -= 1;
        }
        let mut month = 1;
        while month < 12 && days(year, month + 1, 1) <= since {
            month += 1;
        }
        (year, month, u32::try_from(since - days(year, month, 1) + 1).unwrap_or(1))
    }

    fn at(&self, (year, month, day): Day, (hour, minute, second): (u32, u32, u32)) -> Option<u64> {
        let of_day = i64::from(hour * 3600 + minute * 60 + second);
        u64::try_from(days(year, month, day) * DAY + of_day).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two hours before UTC, without summer time.
    struct Early;

    impl Zone for Early {
        fn day(&self, at: u64) -> Day {
            Utc.day(at + 7200)
        }

        fn at(&self, day: Day, time: (u32, u32, u32)) -> Option<u64> {
            Utc.at(day, time)?.checked_sub(7200)
        }
    }

    /// 2026-11-21 18:01:01 UTC.
    const NOW: u64 = 1_795_284_061;

    fn read(text: &str) -> Result<Option<Appointment>, Problem> {
        appointment(text.as_bytes(), NOW, &Early)
    }

    #[test]
    fn the_forms_are_keepalived_s() {
        let at = |seconds: i64| Ok(Some(Appointment::At(NOW.checked_add_signed(seconds).unwrap())));
        let over = |seconds: i64| Ok(Some(Appointment::Over(NOW.checked_add_signed(seconds).unwrap())));
        for (text, wanted) in [
            ("18:01:02Z", at(1)),
            // The same second is the one of tomorrow: a reload that is done is not done again.
            ("18:01:01Z", at(86_400)),
            ("18:01:00Z\n", at(86_399)),
            ("20:01:02", at(1)),
            ("20:01:01", at(86_400)),
            // Tomorrow there, in an hour here.
            ("00:01:01", at(4 * 3600)),
            ("2026-11-21 18:01:02Z", at(1)),
            ("26-11-21 18:01:02Z", at(1)),
            ("2026-11-21 20:01:02\nwhatever stands below\n", at(1)),
            ("2026-11-21 18:01:01Z", over(0)),
            ("2025-11-21 18:01:01Z", over(-365 * 86_400)),
            ("2027-01-01 00:00:00Z", at(1_798_761_600 - 1_795_284_061)),
            ("2028-02-29 00:00:00Z", at(1_835_395_200 - 1_795_284_061)),
            ("", Ok(None)),
        ] {
            assert_eq!(read(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn everything_else_is_named() {
        for text in [
            "\n",
            " 18:01:01",
            "18:01:01 ",
            "18:01:01\r\n",
            "18:01",
            "8:01:01",
            "18:01:01z",
            "18:01:01ZZ",
            "2026-11-21  18:01:01",
            "2026-11-21T18:01:01",
            "2026/11/21 18:01:01",
            "126-11-21 18:01:01",
            "tomorrow",
            "18.01.01",
            "+8:01:01",
            "18:01:01Z 2026-11-21",
            "206-111-21 18:01:01",
            "２:01:01",
        ] {
            assert!(matches!(read(text), Err(Problem::Form(_))), "{text:?}: {:?}", read(text));
        }
        for text in [
            "24:00:00",
            "00:60:00",
            "00:00:60Z",
            "2026-02-29 00:00:00",
            "2026-13-01 00:00:00",
            "2026-00-01 00:00:00",
            "2026-01-00 00:00:00",
            "2026-04-31 00:00:00Z",
            "2100-02-29 00:00:00",
            "1960-01-01 00:00:00Z",
        ] {
            assert!(matches!(read(text), Err(Problem::NoSuchTime(_))), "{text:?}: {:?}", read(text));
        }
        let error = appointment(b"\x1b[31m\xff", NOW, &Utc).unwrap_err().to_string();
        assert!(error.starts_with("\"?[31m\u{fffd}\" is no time: write HH:MM:SS or"), "{error}");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (at, wanted) in [
            (0, (1970, 1, 1)),
            (951_782_400, (2000, 2, 29)),
            (NOW, (2026, 11, 21)),
            (4_107_542_399, (2100, 2, 28)),
            (1_798_761_599, (2026, 12, 31)),
        ] {
            assert_eq!(Utc.day(at), wanted);
            assert_eq!(Utc.at(wanted, (0, 0, 0)), Some(at / 86_400 * 86_400));
        }
        // The day after the last of a month.
        assert_eq!(Utc.at((2026, 12, 32), (0, 0, 0)), Utc.at((2027, 1, 1), (0, 0, 0)));
    }
}
