//! The system's log: datagrams to `/dev/log` in the form of RFC 3164, which syslog daemons and journald take alike.

use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::SystemTime;

use super::datagrams::{Datagrams, may_come};
use super::line::Line;
use super::places::Place;
use crate::clock;

/// The socket.
const SOCKET: &str = "/dev/log";
/// What every daemon takes in one datagram.
const LONGEST: usize = 8000;

/// A facility, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Facility(u8);

impl Facility {
    /// `daemon`, the default.
    pub(in crate::cli) const DAEMON: Self = Self(3);

    /// Its number (RFC 3164 section 4.1.1).
    pub(super) const fn number(self) -> u8 {
        self.0
    }
}

impl FromStr for Facility {
    type Err = String;

    /// 0-7, local0-7, user or daemon.
    fn from_str(text: &str) -> Result<Self, String> {
        let local = text.strip_prefix("local").unwrap_or(text);
        match (text, local.parse::<u8>()) {
            ("user", _) => Ok(Self(1)),
            ("daemon", _) => Ok(Self::DAEMON),
            (_, Ok(number @ 0..=7)) if local.len() == 1 => Ok(Self(16 + number)),
            _ => Err(format!("'{text}' is no log facility: write 0 to 7, local0 to local7, user or daemon")),
        }
    }
}

/// The system's log.
pub(super) struct Syslog {
    facility: Facility,
    name: &'static str,
    socket: Datagrams,
}

impl Syslog {
    pub(super) fn new(facility: Facility, name: &'static str) -> Self {
        Self::at(Path::new(SOCKET), facility, name)
    }

    fn at(path: &Path, facility: Facility, name: &'static str) -> Self {
        Self { facility, name, socket: Datagrams::to(path) }
    }
}

impl Place for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn may_come(&self, error: &io::Error) -> bool {
        may_come(error)
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = datagram(line, self.facility, self.name, local_time(line.at));
        if text.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        self.socket.send(|socket| socket.send(text.as_bytes()).map(drop))
    }
}

fn datagram(line: &Line, facility: Facility, name: &str, time: String) -> String {
    let priority = u16::from(facility.0) * 8 + u16::from(line.severity());
    format!("<{priority}>{time} {name}[{}]: {}", std::process::id(), line.words())
}

/// `Nov 21 18:01:01`, by the machine's own time zone: so RFC 3164 has it.
fn local_time(at: SystemTime) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let clock::Parts { month, day, hour, minute, second, .. } = clock::local(at);
    let month = MONTHS.get(month.saturating_sub(1) as usize).unwrap_or(&"Jan");
    format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use tracing::Level;

    use super::*;

    #[test]
    fn facilities_are_keepalived_s() {
        for (text, number) in [("0", 16), ("7", 23), ("local3", 19), ("user", 1), ("daemon", 3)] {
            assert_eq!(text.parse(), Ok(Facility(number)), "{text}");
        }
        for text in ["8", "local9", "", "kern", "local", "00"] {
            assert!(text.parse::<Facility>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_is_rfc_3164() {
        let line = Line::own(Level::ERROR, "gone\nwrong".to_owned());
        let text = datagram(&line, Facility(16), "keepalived", "Nov 21 18:01:01".to_owned());
        assert_eq!(text, format!("<131>Nov 21 18:01:01 keepalived[{}]: gone wrong", std::process::id()));
        assert_eq!(local_time(SystemTime::now()).len(), 15);
    }

    #[test]
    fn a_full_an_absent_and_a_new_socket() {
        let folder = std::env::temp_dir().join(format!("tandem-syslog-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        let line = Line::own(Level::INFO, "words".to_owned());
        let mut syslog = Syslog::at(&path, Facility::DAEMON, "tandem");
        assert!(syslog.write(&line).is_err(), "nobody listens");
        let first = UnixDatagram::bind(&path).unwrap();
        assert!(syslog.write(&line).is_err(), "not tried again at once");
        syslog.socket = Datagrams::to(&path);
        syslog.write(&line).unwrap();
        let mut buffer = [0; 200];
        let length = first.recv(&mut buffer).unwrap();
        assert!(String::from_utf8_lossy(&buffer[..length]).ends_with(": words"));
        let lost = (0..5000).find(|_| syslog.write(&line).is_err());
        assert!(lost.is_some(), "a socket that nobody empties must not hold the writer up for ever");
        let full = syslog.write(&line).unwrap_err();
        assert!(syslog.may_come(&full), "{full}");
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        syslog.write(&line).unwrap();
        assert!(second.recv(&mut buffer).unwrap() > 0, "the new daemon gets the next line");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
