//! Times of the wall clock as dumps write them.

use std::fmt;
use std::time::Duration;

use crate::clock::civil;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time since 1970: seconds with six digits behind the point, and the same for people (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(pub Duration);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, micros) = (self.0.as_secs(), self.0.subsec_micros());
        let (days, of_day) = (secs / 86_400, secs % 86_400);
        let (year, month, day) = civil(days);
        let name = |names: &[&'static str], at: u64| {
            names.get(usize::try_from(at).unwrap_or(0)).copied().unwrap_or_default()
        };
        write!(
            f,
            "{secs}.{micros:06} ({} {} {day:2} {:02}:{:02}:{:02}.{micros:06} {year})",
            name(&DAYS, days % 7),
            name(&MONTHS, month - 1),
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_keepalived_wrote_it() {
        let stamp = Stamp(Duration::new(1_795_296_113, 781_483_000));
        assert_eq!(stamp.to_string(), "1795296113.781483 (Sat Nov 21 21:21:53.781483 2026)");
        assert_eq!(Stamp::default().to_string(), "0.000000 (Thu Jan  1 00:00:00.000000 1970)");
    }
}
