//! Times as the document has them.

use std::time::Duration;

use crate::clock::civil;

/// A time as UTC, to the millisecond: `2026-11-21T18:00:00.123Z`.
pub fn stamp(since_1970: Duration) -> String {
    let secs = since_1970.as_secs();
    let (year, month, day) = civil(secs / 86_400);
    let of_day = secs % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let millis = since_1970.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}
