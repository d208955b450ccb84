//! One mail to the relay: keepalived's message, carried by lettre, with STARTTLS and login where the file asks for them.

use std::path::PathBuf;
use std::time::Duration;

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::outbox::Mail;
use crate::clock;

/// Where mail goes and who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Name or address of the relay.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Name said in EHLO.
    pub helo: String,
    /// Time for each step of a delivery.
    pub timeout: Duration,
    /// Sender.
    pub from: String,
    /// Recipients, at least one.
    pub to: Vec<String>,
    /// `router_id`, in front of each subject.
    pub router_id: String,
    /// How the connection is protected.
    pub security: Security,
    /// Who we are to the relay; `None` = it asks for no login.
    pub login: Option<Login>,
}

/// Protection of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// None, as under keepalived.
    #[default]
    Plain,
    /// STARTTLS, and no mail without it. The relay's certificate must be good for its name.
    Starttls {
        /// PEM file with authorities to trust besides the system's.
        ca: Option<PathBuf>,
    },
}

/// A user of the relay.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password.
    pub password: Password,
}

/// The words of a password, or the file that holds them (read for each delivery, so that it can change).
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// As it is.
    Words(String),
    /// First line of this file.
    File(PathBuf),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a mail was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, no encryption, no login, or a refusal: the words say which.
    #[error("{relay}: {words}")]
    Relay {
        /// The relay.
        relay: String,
        /// What went wrong, with its causes.
        words: String,
    },
    /// The relay did not answer in time.
    #[error("{relay} did not take the mail within {} s", .limit.as_secs())]
    Timeout {
        /// The relay.
        relay: String,
        /// The limit.
        limit: Duration,
    },
    /// An address that no relay takes.
    #[error("\"{0}\" is no mail address: write user@host")]
    Address(String),
    /// A file of ours cannot be read.
    #[error("{} cannot be used: {words}; mend it or its permissions", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        words: String,
    },
}

/// The message with its headers, in keepalived's order (RFC 5322). Plain ASCII: a relay need not know more, so other
/// letters become `?`.
fn message(relay: &Relay, mail: &Mail) -> String {
    let one_line = |text: &str| text.replace(['\r', '\n'], " ");
    let mut text = format!(
        "Date: {}\r\nFrom: {}\r\nSubject: [{}] {}\r\nX-Mailer: Tandem\r\nTo: {}\r\n\r\n",
        date(mail.at().unwrap_or(0)),
        one_line(&relay.from),
        one_line(&relay.router_id),
        one_line(&mail.subject()),
        one_line(&relay.to.join(", ")),
    );
    for line in mail.body().lines() {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// RFC 5322 date in UTC.
fn date(secs: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = clock::civil(days);
    let weekday = usize::try_from(days % 7).ok().and_then(|n| DAYS.get(n)).copied().unwrap_or("Thu");
    let month = usize::try_from(month - 1).ok().and_then(|n| MONTHS.get(n)).copied().unwrap_or("Jan");
    format!(
        "{weekday}, {day:02} {month} {year} {:02}:{:02}:{:02} +0000",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// Delivers one mail. A recipient that is none, or that the relay refuses, does not keep the others from theirs.
pub async fn send(relay: &Relay, mail: &Mail) -> Result<(), Error> {
    let from = address(&relay.from)?;
    let mut to = Vec::with_capacity(relay.to.len());
    let mut bad = Error::Address(String::new());
    for name in &relay.to {
        match address(name) {
            Ok(address) => to.push(address),
            Err(error) => {
                tracing::warn!("mail to {name} not sent: {error}");
                bad = error;
            }
        }
    }
    if to.is_empty() {
        return Err(bad);
    }
    let text = message(relay, mail);
    let transport = transport(relay)?;
    let refused = match deliver(relay, &transport, &from, to.clone(), &text).await {
        Ok(()) => return Ok(()),
        Err(Failure { permanent: true, error }) if to.len() > 1 => error,
        Err(failure) => return Err(failure.error),
    };
    let mut last = Err(refused);
    for to in to {
        let name = to.to_string();
        match deliver(relay, &transport, &from, vec![to], &text).await {
            Ok(()) => last = Ok(()),
            Err(failure) => {
                tracing::warn!("mail to {name} not sent: {}", failure.error);
                if last.is_err() {
                    last = Err(failure.error);
                }
            }
        }
    }
    last
}

struct Failure {
    error: Error,
    /// The relay understood and said no.
    permanent: bool,
}

async fn deliver(
    relay: &Relay,
    transport: &AsyncSmtpTransport<Tokio1Executor>,
    from: &Address,
    to: Vec<Address>,
    text: &str,
) -> Result<(), Failure> {
    let failed = |error| Failure { error, permanent: false };
    let name = format!("{}:{}", relay.host, relay.port);
    let envelope = Envelope::new(Some(from.clone()), to)
        .map_err(|error| failed(Error::Relay { relay: name.clone(), words: error.to_string() }))?;
    // The library's limit is one for each step: a relay that answers a byte at a time has this many at most.
    let limit = relay.timeout * 4;
    match tokio::time::timeout(limit, transport.send_raw(&envelope, text.as_bytes())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let permanent = error.is_permanent();
            Err(Failure { error: Error::Relay { relay: name, words: words(&error) }, permanent })
        }
        Err(_) => Err(failed(Error::Timeout { relay: name, limit })),
    }
}

/// An error with its causes, each said once.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        source = cause.source();
    }
    words
}

fn address(text: &str) -> Result<Address, Error> {
    text.parse().map_err(|_| Error::Address(text.to_owned()))
}

fn transport(relay: &Relay) -> Result<AsyncSmtpTransport<Tokio1Executor>, Error> {
    let host = relay.host.trim_start_matches('[').trim_end_matches(']');
    let tls = match &relay.security {
        Security::Plain => Tls::None,
        Security::Starttls { ca } => {
            let mut parameters = TlsParameters::builder(host.to_owned());
            if let Some(path) = ca {
                let unusable = |words: String| Error::File { path: path.clone(), words };
                let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
                let authority = Certificate::from_pem(&pem).map_err(|error| unusable(words(&error)))?;
                parameters = parameters.add_root_certificate(authority);
            }
            let parameters = parameters
                .build()
                .map_err(|error| Error::Relay { relay: relay.host.clone(), words: words(&error) })?;
            Tls::Required(parameters)
        }
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(relay.port)
        .hello_name(ClientId::Domain(relay.helo.clone()))
        .timeout(Some(relay.timeout))
        .tls(tls);
    if let Some(login) = &relay.login {
        let password = match &login.password {
            Password::Words(words) => words.clone(),
            Password::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Error::File { path: path.clone(), words: error.to_string() })?;
                text.lines().next().unwrap_or_default().to_owned()
            }
        };
        builder = builder.credentials(Credentials::new(login.user.clone(), password));
    }
    Ok(builder.build())
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;
