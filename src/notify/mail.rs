//! Mail alerts over plain SMTP, with keepalived's subjects. The dialogue is pure (reply in, words out); the driver
//! only carries it. One mail at a time, from a bounded queue: a dead relay delays mail and nothing else.

use std::io;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// Alerts that may wait; the next one is dropped and logged.
const QUEUE: usize = 256;
/// Longest reply line that is read (RFC 5321 section 4.5.3.1.5 asks for 512).
const LONGEST_LINE: usize = 4096;

/// Where mail goes and who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Name or address of the relay.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Name said in HELO.
    pub helo: String,
    /// Time for the whole delivery.
    pub timeout: Duration,
    /// Sender.
    pub from: String,
    /// Recipients, at least one.
    pub to: Vec<String>,
    /// `router_id`, in front of each subject.
    pub router_id: String,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Without the `[router_id]` in front.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// When it happened.
    pub at: SystemTime,
}

/// Why a mail was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke.
    #[error("{relay}: {source}")]
    Io {
        /// The relay.
        relay: String,
        /// The system's words.
        source: io::Error,
    },
    /// The relay said no.
    #[error("{relay} refused {step}: {reply}")]
    Refused {
        /// The relay.
        relay: String,
        /// What we had said.
        step: &'static str,
        /// What it answered.
        reply: String,
    },
    /// Nothing within the time limit.
    #[error("{relay} did not take the mail within {} s", .limit.as_secs())]
    Timeout {
        /// The relay.
        relay: String,
        /// The limit.
        limit: Duration,
    },
}

/// What comes next in the dialogue.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Say(String),
    Done,
    Refused(&'static str),
}

/// The SMTP dialogue (RFC 5321 section 3) of one mail. Pure.
struct Dialogue<'a> {
    relay: &'a Relay,
    message: String,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    Helo,
    From,
    /// Recipients named so far.
    To(usize),
    Data,
    Body,
    Quit,
}

impl<'a> Dialogue<'a> {
    fn new(relay: &'a Relay, alert: &Alert) -> Self {
        Self { relay, message: message(relay, alert), step: Step::Greeting }
    }

    /// Takes the last line of a reply.
    fn reply(&mut self, line: &str) -> Next {
        let class = line.bytes().next();
        let (good, name) = match self.step {
            Step::Greeting => (class == Some(b'2'), "the connection"),
            Step::Helo => (class == Some(b'2'), "HELO"),
            Step::From => (class == Some(b'2'), "MAIL FROM"),
            Step::To(_) => (class == Some(b'2'), "RCPT TO"),
            Step::Data => (class == Some(b'3'), "DATA"),
            Step::Body => (class == Some(b'2'), "the message"),
            Step::Quit => (true, "QUIT"),
        };
        if !good {
            return Next::Refused(name);
        }
        let (next, words) = match self.step {
            Step::Greeting => (Step::Helo, format!("HELO {}\r\n", self.relay.helo)),
            Step::Helo => (Step::From, format!("MAIL FROM:<{}>\r\n", self.relay.from)),
            Step::From => (Step::To(1), self.recipient(0)),
            Step::To(n) if n < self.relay.to.len() => (Step::To(n + 1), self.recipient(n)),
            Step::To(_) => (Step::Data, "DATA\r\n".to_owned()),
            Step::Data => (Step::Body, std::mem::take(&mut self.message)),
            Step::Body => (Step::Quit, "QUIT\r\n".to_owned()),
            Step::Quit => return Next::Done,
        };
        self.step = next;
        Next::Say(words)
    }

    fn recipient(&self, n: usize) -> String {
        format!("RCPT TO:<{}>\r\n", self.relay.to.get(n).map_or("", String::as_str))
    }
}

/// The message with its headers, dot-stuffed and ended (RFC 5321 section 4.5.2, RFC 5322).
fn message(relay: &Relay, alert: &Alert) -> String {
    let one_line = |text: &str| text.replace(['\r', '\n'], " ");
    let mut text = format!(
        "Date: {}\r\nFrom: {}\r\nSubject: [{}] {}\r\nX-Mailer: Tandem\r\nTo: {}\r\n\r\n",
        date(alert.at),
        one_line(&relay.from),
        one_line(&relay.router_id),
        one_line(&alert.subject),
        one_line(&relay.to.join(", ")),
    );
    for line in alert.body.lines() {
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str(".\r\n");
    text
}

/// RFC 5322 date in UTC.
fn date(at: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let secs = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    // Days to a civil date, era of 400 years by era (the Gregorian calendar repeats after 146,097 days).
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let weekday = usize::try_from(days % 7).ok().and_then(|n| DAYS.get(n)).copied().unwrap_or("Thu");
    let month = usize::try_from(month - 1).ok().and_then(|n| MONTHS.get(n)).copied().unwrap_or("Jan");
    format!(
        "{weekday}, {day:02} {month} {year} {:02}:{:02}:{:02} +0000",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// Delivers one alert.
pub async fn send(relay: &Relay, alert: &Alert) -> Result<(), Error> {
    let name = format!("{}:{}", relay.host, relay.port);
    match tokio::time::timeout(relay.timeout, converse(relay, alert, &name)).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout { relay: name, limit: relay.timeout }),
    }
}

async fn converse(relay: &Relay, alert: &Alert, name: &str) -> Result<(), Error> {
    let io = |source| Error::Io { relay: name.to_owned(), source };
    let stream = TcpStream::connect((relay.host.as_str(), relay.port)).await.map_err(io)?;
    let mut stream = BufReader::new(stream);
    let mut dialogue = Dialogue::new(relay, alert);
    let mut line = String::new();
    loop {
        line.clear();
        let mut limited = tokio::io::AsyncReadExt::take(&mut stream, LONGEST_LINE as u64);
        if limited.read_line(&mut line).await.map_err(io)? == 0 {
            if dialogue.step == Step::Quit {
                return Ok(());
            }
            return Err(io(io::ErrorKind::UnexpectedEof.into()));
        }
        // "250-…" is followed by another line of the same reply.
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        match dialogue.reply(&line) {
            Next::Done => return Ok(()),
            Next::Say(words) => stream.write_all(words.as_bytes()).await.map_err(io)?,
            Next::Refused(step) => {
                return Err(Error::Refused { relay: name.to_owned(), step, reply: line.trim().to_owned() });
            }
        }
    }
}

/// The queue of alerts; cheap to keep where no relay is configured.
#[derive(Debug)]
pub struct Mailer(mpsc::Sender<(Relay, Alert)>);

impl Mailer {
    /// Starts the task that delivers. Must be called on a runtime.
    pub fn start() -> Self {
        let (queue, mut alerts) = mpsc::channel::<(Relay, Alert)>(QUEUE);
        tokio::spawn(async move {
            while let Some((relay, alert)) = alerts.recv().await {
                match send(&relay, &alert).await {
                    Ok(()) => tracing::info!("mail sent: {}", alert.subject),
                    Err(error) => tracing::warn!("mail not sent ({}): {error}", alert.subject),
                }
            }
        });
        Self(queue)
    }

    /// Queues an alert; never waits.
    pub fn push(&self, relay: Relay, alert: Alert) {
        if let Err(error) = self.0.try_send((relay, alert)) {
            let (_, alert) = error.into_inner();
            tracing::warn!("mail dropped, {QUEUE} are waiting: {}", alert.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    fn relay(port: u16) -> Relay {
        Relay {
            host: "127.0.0.1".to_owned(),
            port,
            helo: "director-1".to_owned(),
            timeout: Duration::from_secs(5),
            from: "lvs@example.com".to_owned(),
            to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
            router_id: "LVS1".to_owned(),
        }
    }

    fn alert() -> Alert {
        Alert {
            subject: "VRRP Instance VI_1 - Entering MASTER state".to_owned(),
            body: "first\n.second".to_owned(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_219_200),
        }
    }

    #[test]
    fn dates_are_right() {
        assert_eq!(date(SystemTime::UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(date(alert().at), "Sat, 21 Nov 2026 00:00:00 +0000");
        let leap = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_164_800);
        assert_eq!(date(leap), "Thu, 29 Feb 2024 00:00:00 +0000");
    }

    #[test]
    fn the_dialogue_names_every_recipient_and_stuffs_dots() {
        let relay = relay(25);
        let mut dialogue = Dialogue::new(&relay, &alert());
        let mut said = Vec::new();
        for reply in ["220 hi", "250 ok", "250 ok", "250 ok", "250 ok", "354 go", "250 taken"] {
            match dialogue.reply(reply) {
                Next::Say(words) => said.push(words),
                other => panic!("{other:?} after {reply}"),
            }
        }
        assert_eq!(dialogue.reply("221 bye"), Next::Done);
        assert_eq!(said[2], "RCPT TO:<a@example.com>\r\n");
        assert_eq!(said[3], "RCPT TO:<b@example.com>\r\n");
        assert!(said[5].contains("Subject: [LVS1] VRRP Instance VI_1 - Entering MASTER state\r\n"));
        assert!(said[5].ends_with("\r\n\r\nfirst\r\n..second\r\n.\r\n"));
    }

    #[test]
    fn a_refusal_names_the_step() {
        let relay = relay(25);
        let mut dialogue = Dialogue::new(&relay, &alert());
        assert!(matches!(dialogue.reply("220 hi"), Next::Say(_)));
        assert_eq!(dialogue.reply("550 go away"), Next::Refused("HELO"));
    }

    #[tokio::test]
    async fn a_real_server_gets_the_mail() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220-two\r\n220 lines\r\n").await.unwrap();
            let mut heard = Vec::new();
            let mut chunk = [0; 1024];
            for reply in [
                "250 ok\r\n",
                "250 ok\r\n",
                "250 ok\r\n",
                "250 ok\r\n",
                "354 go\r\n",
                "250 ok\r\n",
                "221 bye\r\n",
            ] {
                let n = stream.read(&mut chunk).await.unwrap();
                heard.extend_from_slice(&chunk[..n]);
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
            String::from_utf8(heard).unwrap()
        });
        send(&relay(port), &alert()).await.unwrap();
        let heard = server.await.unwrap();
        assert!(heard.starts_with("HELO director-1\r\nMAIL FROM:<lvs@example.com>\r\n"), "{heard}");
        assert!(heard.ends_with("QUIT\r\n"), "{heard}");
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_with_the_relay_in_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = send(&relay(port), &alert()).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("127.0.0.1:{port}: ")), "{error}");
    }
}
