//! What is asked of a server's certificate, and in which words it is refused. Pure: what OpenSSL found comes in.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::check::outcome::Failure;
use crate::check::plan::{Authority, TlsPlan};

const DAY: i64 = 86_400;
/// A certificate that ends soon is spoken of again after this time.
const PAUSE: Duration = Duration::from_secs(86_400);
/// The most servers whose warnings are remembered; one more is warned of again, at worst with each check.
const MOST: usize = 100_000;

/// A certificate as a server showed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Its subject: `CN=www.example.org`.
    pub subject: String,
    /// The names it is good for, as it lists them; the first few.
    pub names: Vec<String>,
    /// When it ends, seconds since 1970.
    pub ends: i64,
    /// The same for people.
    pub ends_at: String,
}

/// Why OpenSSL would not trust it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distrust {
    /// OpenSSL's number for it (X509_V_ERR_...).
    pub code: i32,
    /// Its words.
    pub words: String,
}

/// OpenSSL's numbers, of which a cure is known.
mod code {
    pub(super) const NOT_YET_VALID: i32 = 9;
    pub(super) const HAS_EXPIRED: i32 = 10;
    pub(super) const HOSTNAME_MISMATCH: i32 = 62;
    pub(super) const IP_ADDRESS_MISMATCH: i32 = 64;
    /// No way from the certificate to an authority.
    pub(super) const NO_ISSUER: [i32; 5] = [2, 18, 19, 20, 21];
}

/// The reason for which a certificate is refused: who it is, what is wrong, what to do.
pub fn refused(shown: &Shown, distrust: &Distrust, authority: &Authority, wanted: &str) -> Failure {
    let Shown { subject, names, ends_at, .. } = shown;
    let why = match distrust.code {
        code::HAS_EXPIRED => format!("ended at {ends_at}: renew it"),
        code::NOT_YET_VALID => "is not valid yet: set the clocks of both machines right".to_owned(),
        code::HOSTNAME_MISMATCH | code::IP_ADDRESS_MISMATCH => {
            let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
            format!("names {names}, not {wanted}: write tls_verify_name with a name that it has, or renew it")
        }
        other if code::NO_ISSUER.contains(&other) => {
            let cure = match authority {
                Authority::System => "write tls_verify FILE with its authority".to_owned(),
                Authority::File(file) => format!("put its authority into {file}"),
            };
            format!("is of no authority that we know ({}): {cure}", distrust.words)
        }
        _ => format!("is refused: {}", distrust.words),
    };
    Failure::Untrusted(format!("certificate of {subject} {why}"))
}

/// What its end means.
///
/// # Errors
/// [`Failure::Expiry`] when it ends too soon. `Ok(Some)`: a warning in words.
pub fn expiry(shown: &Shown, rules: &TlsPlan, now: i64) -> Result<Option<String>, Failure> {
    let left = shown.ends.saturating_sub(now);
    let within = |days: u32| left <= i64::from(days) * DAY;
    let words = |word: &str, days: u32| {
        let Shown { subject, ends_at, .. } = shown;
        let (whole, verb) =
            (left.unsigned_abs() / DAY.unsigned_abs(), if left > 0 { "ends" } else { "ended" });
        let whole = if whole == 1 { "1 day".to_owned() } else { format!("{whole} days") };
        let when = if left > 0 { format!("in {whole}") } else { format!("{whole} ago") };
        format!("certificate of {subject} {verb} at {ends_at}, {when} ({word} {days}): renew it")
    };
    match (rules.expiry, rules.expiry_warn) {
        (Some(days), _) if within(days) => Err(Failure::Expiry(words("tls_expiry", days))),
        (_, Some(days)) if within(days) => Ok(Some(words("tls_expiry_warn", days))),
        _ => Ok(None),
    }
}

/// Of which servers was warned, when, and how.
#[derive(Debug, Default)]
pub struct Warned {
    last: HashMap<SocketAddr, (Instant, String)>,
}

impl Warned {
    /// What a check found. True when it is time to speak of that server's certificate: the first time, and once a day.
    pub fn is_due(&mut self, server: SocketAddr, warning: Option<String>, now: Instant) -> bool {
        let Some(warning) = warning else {
            self.last.remove(&server);
            return false;
        };
        let room = self.last.len() < MOST;
        match self.last.get_mut(&server) {
            Some((last, words)) if now.saturating_duration_since(*last) < PAUSE => {
                *words = warning;
                return false;
            }
            Some(known) => *known = (now, warning),
            None if room => _ = self.last.insert(server, (now, warning)),
            None => {}
        }
        true
    }

    /// What is to be said of the certificates now, by the address that is checked.
    pub fn warnings(&self) -> BTreeMap<SocketAddr, String> {
        self.last.iter().map(|(server, (_, words))| (*server, words.clone())).collect()
    }
}

/// The name that a server was asked by, and when the certificate ends that it showed for it.
type Named = (Option<Box<str>>, i64);

/// When the certificates end that servers have shown.
#[derive(Debug, Default)]
pub struct Ends {
    /// By the address that is checked: a server shows each name that it is asked by (SNI) a certificate of its own. Both come
    /// from the file, so there are no more than it has checkers.
    shown: HashMap<SocketAddr, Vec<Named>>,
}

impl Ends {
    /// What a check found: the end in seconds since 1970.
    pub fn note(&mut self, server: SocketAddr, name: Option<&str>, ends: i64) {
        if self.shown.len() >= MOST && !self.shown.contains_key(&server) {
            return;
        }
        let of = self.shown.entry(server).or_default();
        match of.iter_mut().find(|(other, _)| other.as_deref() == name) {
            Some((_, known)) => *known = ends,
            None => of.push((name.map(Box::from), ends)),
        }
    }

    /// Of each address the first end.
    pub fn first(&self) -> BTreeMap<SocketAddr, i64> {
        let first = |of: &[Named]| of.iter().map(|(_, ends)| *ends).min();
        self.shown.iter().filter_map(|(server, of)| Some((*server, first(of)?))).collect()
    }
}

/// What is remembered of the certificates that servers have shown since the start or the last reload.
#[derive(Debug, Default)]
pub struct Remembered {
    /// Of which servers was warned.
    pub warned: Warned,
    /// When they end.
    pub ends: Ends,
}

/// What is told of certificates, by the address that is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What is to be said of servers whose checks go well (`tls_expiry_warn`).
    pub warnings: BTreeMap<SocketAddr, String>,
    /// When the first of the certificates ends that it shows, seconds since 1970.
    pub ends: BTreeMap<SocketAddr, i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn shown(ends: i64) -> Shown {
        Shown {
            subject: "CN=a".to_owned(),
            names: vec!["a".to_owned(), "b".to_owned()],
            ends,
            ends_at: "then".to_owned(),
        }
    }

    #[test]
    fn ends() {
        // Fails within, warns within, seconds left, what comes of it.
        let table: &[(Option<u32>, Option<u32>, i64, &str)] = &[
            (None, None, -DAY, ""),
            (Some(0), None, 1, ""),
            (Some(0), None, 0, "! certificate of CN=a ended at then, 0 days ago (tls_expiry 0): renew it"),
            (
                Some(0),
                None,
                -3 * DAY,
                "! certificate of CN=a ended at then, 3 days ago (tls_expiry 0): renew it",
            ),
            (Some(14), None, 14 * DAY + 1, ""),
            (
                Some(14),
                None,
                14 * DAY,
                "! certificate of CN=a ends at then, in 14 days (tls_expiry 14): renew it",
            ),
            (
                Some(14),
                Some(30),
                DAY,
                "! certificate of CN=a ends at then, in 1 day (tls_expiry 14): renew it",
            ),
            (
                Some(14),
                Some(30),
                20 * DAY,
                "certificate of CN=a ends at then, in 20 days (tls_expiry_warn 30): renew it",
            ),
            (
                None,
                Some(30),
                -DAY,
                "certificate of CN=a ended at then, 1 day ago (tls_expiry_warn 30): renew it",
            ),
            (None, Some(30), 31 * DAY, ""),
            (Some(u32::MAX), None, i64::MAX, ""),
        ];
        for &(expiry_days, expiry_warn, left, wanted) in table {
            let rules = TlsPlan { expiry: expiry_days, expiry_warn, ..TlsPlan::default() };
            let got = match expiry(&shown(NOW.saturating_add(left)), &rules, NOW) {
                Ok(words) => words.unwrap_or_default(),
                Err(failure) => format!("! {failure}"),
            };
            assert_eq!(got, wanted, "{expiry_days:?} {expiry_warn:?} {left}");
        }
    }

    #[test]
    fn refusals_name_the_cure() {
        let file = Authority::File("/etc/ca.pem".to_owned());
        for (code, authority, wanted) in [
            (10, &Authority::System, "certificate of CN=a ended at then: renew it"),
            (9, &file, "certificate of CN=a is not valid yet: set the clocks of both machines right"),
            (
                62,
                &file,
                "certificate of CN=a names a, b, not www: write tls_verify_name with a name that it has, or renew it",
            ),
            (
                18,
                &file,
                "certificate of CN=a is of no authority that we know (odd): put its authority into /etc/ca.pem",
            ),
            (
                20,
                &Authority::System,
                "certificate of CN=a is of no authority that we know (odd): write tls_verify FILE with its authority",
            ),
            (7, &file, "certificate of CN=a is refused: odd"),
        ] {
            let distrust = Distrust { code, words: "odd".to_owned() };
            assert_eq!(refused(&shown(NOW), &distrust, authority, "www").to_string(), wanted);
        }
    }

    #[test]
    fn the_first_end_of_an_address() {
        let mut ends = Ends::default();
        let (a, b) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 1)));
        ends.note(a, None, NOW);
        ends.note(a, Some("one.example"), NOW - DAY);
        ends.note(a, Some("two.example"), NOW + DAY);
        ends.note(b, None, -DAY);
        assert_eq!(ends.first(), BTreeMap::from([(a, NOW - DAY), (b, -DAY)]));
        // Renewed: what it showed before counts no more, what it shows for another name does.
        ends.note(a, Some("one.example"), NOW + 90 * DAY);
        assert_eq!(ends.first()[&a], NOW);
        ends.note(a, None, NOW + 90 * DAY);
        assert_eq!(ends.first()[&a], NOW + DAY);
    }

    #[test]
    fn once_a_day() {
        let (mut warned, begin) = (Warned::default(), Instant::now());
        let (a, b) = (SocketAddr::from(([10, 0, 0, 1], 1)), SocketAddr::from(([10, 0, 0, 2], 1)));
        let mut is_due = |server, at| warned.is_due(server, Some(format!("at {at:?}")), begin + at);
        assert!(is_due(a, Duration::ZERO) && is_due(b, Duration::ZERO));
        assert!(!is_due(a, PAUSE - Duration::from_secs(1)));
        assert!(is_due(a, PAUSE) && !is_due(a, PAUSE));
        assert_eq!(warned.warnings()[&a], format!("at {PAUSE:?}"));
        // Renewed; the next one that ends soon is spoken of at once.
        assert!(!warned.is_due(a, None, begin + PAUSE) && !warned.warnings().contains_key(&a));
        assert!(warned.is_due(a, Some(String::new()), begin + PAUSE));
    }
}
