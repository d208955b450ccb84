//! Times as the documents write them, as monitoring systems want them.

/// Seconds since 1970 of `2026-11-21T18:00:00.123Z`, with or without a fraction; `None` of anything else.
pub(super) fn unix(text: &str) -> Option<f64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (time.next()?.parse::<i64>().ok()?, time.next()?.parse::<i64>().ok()?);
    let second: f64 = time.next()?.parse().ok()?;
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&second);
    if !sound {
        return None;
    }
    // Days of the civil calendar, with the year beginning in March so that a leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let whole = u32::try_from(days).ok()?;
    let minutes = u32::try_from(hour * 60 + minute).ok()?;
    Some(f64::from(whole) * 86_400.0 + f64::from(minutes) * 60.0 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600.0)),
            ("2000-03-01T00:00:00Z", Some(951_868_800.0)),
            ("2026-11-21T18:00:00.5Z", Some(1_795_284_000.5)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400.0)),
            ("2026-13-21T18:00:00Z", None),
            ("2026-11-21 18:00:00Z", None),
            ("2026-11-21T18:00:00", None),
            ("", None),
            ("T:Z", None),
            ("99999999999999999999-1-1T0:0:0Z", None),
        ] {
            assert_eq!(unix(text), wanted, "{text}");
        }
    }
}
