//! Times as the documents write them, as monitoring systems want them.

use std::time::SystemTime;

use crate::clock;

/// Seconds since 1970 of `2026-11-21T18:00:00.123Z`, with or without a fraction; `None` of anything else.
pub(super) fn unix(text: &str) -> Option<f64> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction: f64 = match fraction {
        "" => 0.0,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => format!("0.{digits}").parse().ok()?,
        _ => return None,
    };
    let at = clock::of_utc(&format!("{whole}Z"))?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(at.as_secs_f64() + fraction)
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
