//! What one run of a checker gave: success, or a named failure.

use std::fmt;
use std::time::Duration;

use super::checkers::dns_message::rcode_word;
use crate::config::model::StatusRange;
use crate::config::units::Secs;

/// One run of a checker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Success or the reason of the failure.
    pub result: Result<Success, Failure>,
    /// From the start of the run to its result.
    pub took: Duration,
}

/// A check that went well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Success {
    /// What a `misc_dynamic` program or a file says about the weight; `None` from every other checker.
    pub weight: Option<Weight>,
}

/// The weight that a `misc_dynamic` program or a file asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Exit 0: the configured weight.
    Configured,
    /// Exit 2..=255: exit code minus 2, so 0..=253.
    Exactly(u32),
    /// FILE_CHECK: the configured weight and this much more.
    Moved(i64),
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The port answered with a reset at connect, or with ICMP.
    #[error("connection refused")]
    Refused,
    /// Nobody listens at the port, and the check's own source port was the same one: it met itself.
    #[error("nobody listens there: the connection came back to itself")]
    MetItself,
    /// No complete answer within the time limit.
    #[error("no answer within {}s", Secs(*.0))]
    Timeout(Duration),
    /// The network said that the address cannot be reached.
    #[error("{0} unreachable")]
    Unreachable(Unreachable),
    /// The connection was reset, or closed before the answer was complete.
    #[error("connection cut: {0}")]
    Cut(String),
    /// The source address or interface of the check cannot be used on this machine.
    #[error("cannot use the source that bindto, bind_if or bind_port names: {0}")]
    Source(String),
    /// The check has no port: the file gives none for the service, the real server or the checker.
    #[error("no port to connect to: write connect_port")]
    NoPort,
    /// This machine could not even ask: it has run out of descriptors, ports or memory, or its own packet filter forbids it.
    #[error("the check could not be run: {0}")]
    NotRun(String),
    /// Another error of the operating system.
    #[error("{0}")]
    Io(String),
    /// The kernel does not allow the check.
    #[error("we may not {0}")]
    NotPermitted(&'static str),
    /// What came is no answer of the protocol.
    #[error("{0}")]
    Garbled(String),
    /// An SMTP reply with another code.
    #[error("{to} was answered with {got}, wanted {wanted}")]
    BadReply {
        /// What was answered.
        to: &'static str,
        /// The reply's code.
        got: u16,
        /// The code of success.
        wanted: u16,
    },
    /// A DNS answer with an rcode other than 0.
    #[error("DNS answer with rcode {0} ({word})", word = rcode_word(*.0))]
    BadRcode(u8),
    /// A UDP reply that is too short or too long.
    #[error("reply of {got} bytes, wanted {min} to {max}", got = Length(*.got, *.max))]
    BadLength {
        /// Its length; `None` = more than the greatest.
        got: Option<usize>,
        /// `min_reply_length`.
        min: u16,
        /// `max_reply_length`.
        max: u16,
    },
    /// A UDP reply that differs from `require_reply`.
    #[error("reply differs from require_reply at byte {at}")]
    BadBytes {
        /// Index of the first byte that differs, from 0.
        at: usize,
    },
    /// A `track_file` says a number that takes the server out.
    #[error("the file says {0}")]
    FileSays(i64),
    /// A BFD session is not up.
    #[error("the session is down")]
    SessionDown,
    /// The answer is no HTTP.
    #[error("not an HTTP answer: {0}")]
    Protocol(String),
    /// The request cannot be built from the file's words.
    #[error("cannot ask for this: {0}")]
    BadRequest(String),
    /// An HTTP status outside the accepted ranges.
    #[error("status {got}, wanted {}", Ranges(.wanted))]
    BadStatus {
        /// The answer's status.
        got: u16,
        /// The accepted ranges.
        wanted: Vec<StatusRange>,
    },
    /// The MD5 of the body differs.
    #[error("body has MD5 {got}, wanted {wanted}")]
    BadDigest {
        /// MD5 of the body, 32 lower-case hexadecimal digits.
        got: String,
        /// The file's digest.
        wanted: String,
    },
    /// A pattern is not in the part of a long body that it is looked for in.
    #[error("regex does not match in the first {0} bytes of the body, and no more are searched")]
    BodyTooLong(usize),
    /// The pattern is not in the body.
    #[error("regex {0} does not match the body")]
    NoMatch(String),
    /// The pattern of `regex_no_match` is in the body.
    #[error("regex {0} matches the body, and must not (regex_no_match)")]
    BadMatch(String),
    /// A header of `expect_header` or `expect_header_regex` is missing or another one.
    #[error("{0}")]
    BadHeader(String),
    /// The body is no JSON, or has not what `expect_json` says.
    #[error("{0}")]
    BadJson(String),
    /// `tls_verify`: the certificate is of no authority that we trust, of another name, or out of its time.
    #[error("{0}")]
    Untrusted(String),
    /// `tls_expiry`: the certificate ends too soon.
    #[error("{0}")]
    Expiry(String),
    /// A gRPC server refused the question.
    #[error("{0}")]
    GrpcStatus(String),
    /// A gRPC server says that the service does not serve.
    #[error("{0}")]
    NotServing(String),
    /// TLS failed, in the handshake or later.
    #[error("TLS: {0}")]
    Tls(String),
    /// `tls_compliant`: the connection ended without the farewell of TLS.
    #[error("TLS: closed without close_notify (tls_compliant)")]
    NoCloseNotify,
    /// A file of the `SSL` block cannot be used.
    #[error("cannot use {0}")]
    Certificate(String),
    /// A program ended with this exit status.
    #[error("program ended with status {0}")]
    ExitCode(i32),
    /// A program was ended by a signal.
    #[error("program was ended by signal {0}")]
    Signal(i32),
    /// The program of an earlier run was killed and is still there.
    #[error(
        "program {0} of an earlier run cannot be ended: see what it waits for (/proc/{0}/stack), it is not started again before that"
    )]
    Stuck(i32),
    /// A program could not be started.
    #[error("program did not start: {0}")]
    NotStarted(String),
    /// The checker itself broke: a fault of Tandem.
    #[error("the checker broke (please report): {0}")]
    Broken(String),
}

/// What cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// EHOSTUNREACH.
    Host,
    /// ENETUNREACH, ENETDOWN.
    Network,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Network => "network",
        })
    }
}

impl Failure {
    /// The check did not get as far as to its server, for reasons of this machine, so that it says nothing about that one. As
    /// keepalived, which logs such a check and tries again: an address that is on the other director only, or a shortage
    /// of descriptors here, must not take a farm down.
    pub const fn says_nothing(&self) -> bool {
        matches!(self, Self::NotRun(_) | Self::Source(_) | Self::NotPermitted(_))
    }

    /// Name for counters, snake_case; the variants' details are left out.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::MetItself => "met_itself",
            Self::Timeout(_) => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::Cut(_) => "cut",
            Self::Source(_) => "source",
            Self::NoPort => "no_port",
            Self::NotRun(_) => "not_run",
            Self::Io(_) => "io",
            Self::NotPermitted(_) => "not_permitted",
            Self::Garbled(_) => "garbled",
            Self::BadReply { .. } => "bad_reply",
            Self::BadRcode(_) => "bad_rcode",
            Self::BadLength { .. } => "bad_length",
            Self::BadBytes { .. } => "bad_bytes",
            Self::FileSays(_) => "file_says",
            Self::SessionDown => "session_down",
            Self::Protocol(_) => "protocol",
            Self::BadRequest(_) => "bad_request",
            Self::BadStatus { .. } => "bad_status",
            Self::BadDigest { .. } => "bad_digest",
            Self::BodyTooLong(_) => "body_too_long",
            Self::NoMatch(_) => "no_match",
            Self::BadMatch(_) => "bad_match",
            Self::BadHeader(_) => "bad_header",
            Self::BadJson(_) => "bad_json",
            Self::Untrusted(_) => "untrusted",
            Self::Expiry(_) => "certificate_ends",
            Self::GrpcStatus(_) => "grpc_status",
            Self::NotServing(_) => "not_serving",
            Self::Tls(_) => "tls",
            Self::NoCloseNotify => "no_close_notify",
            Self::Certificate(_) => "certificate",
            Self::ExitCode(_) => "exit_code",
            Self::Signal(_) => "signal",
            Self::Stuck(_) => "stuck",
            Self::NotStarted(_) => "not_started",
            Self::Broken(_) => "broken",
        }
    }
}

/// A length in words: `12`, `more than 255`.
struct Length(Option<usize>, u16);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(got) => write!(f, "{got}"),
            None => write!(f, "more than {}", self.1),
        }
    }
}

/// Status ranges as the file writes them: `200-299 301`.
struct Ranges<'a>(&'a [StatusRange]);

impl fmt::Display for Ranges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, range) in self.0.iter().enumerate() {
            let blank = if n == 0 { "" } else { " " };
            if range.from == range.to {
                write!(f, "{blank}{}", range.from)?;
            } else {
                write!(f, "{blank}{}-{}", range.from, range.to)?;
            }
        }
        Ok(())
    }
}
