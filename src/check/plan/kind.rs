//! What checkers do, protocol by protocol, with every value resolved.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::super::common::Common;
use crate::config::model::{DnsType, HttpProtocol, ScriptUser, Secret, SendProxy, StatusRange};
use crate::config::text::hex::Pattern;

/// What a checker does. Of ten thousand plans most are of the first kind: the others are in boxes, so that they do not
/// decide how large that one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP_CHECK.
    Tcp(Target),
    /// HTTP_GET and SSL_GET.
    Http(Box<HttpPlan>),
    /// SMTP_CHECK.
    Smtp(Box<SmtpPlan>),
    /// DNS_CHECK.
    Dns(Box<DnsPlan>),
    /// UDP_CHECK.
    Udp(Box<UdpPlan>),
    /// GRPC_CHECK.
    Grpc(Box<GrpcPlan>),
    /// PING_CHECK; the port is of no use.
    Ping(Target),
    /// MISC_CHECK.
    Misc(Box<MiscPlan>),
    /// FILE_CHECK: never run, told by [`crate::check::outside`].
    File(Box<FilePlan>),
    /// BFD_CHECK, by the name of its session: never run, told by [`crate::check::outside`].
    Bfd(String),
}

impl Kind {
    /// keepalived's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "TCP_CHECK",
            Self::Http(http) => {
                if http.tls.is_none() {
                    "HTTP_GET"
                } else {
                    "SSL_GET"
                }
            }
            Self::Smtp(_) => "SMTP_CHECK",
            Self::Dns(_) => "DNS_CHECK",
            Self::Udp(_) => "UDP_CHECK",
            Self::Grpc(_) => "GRPC_CHECK",
            Self::Ping(_) => "PING_CHECK",
            Self::Misc(_) => "MISC_CHECK",
            Self::File(_) => "FILE_CHECK",
            Self::Bfd(_) => "BFD_CHECK",
        }
    }

    /// It speaks TLS with its server, which shows it a certificate.
    pub fn is_by_tls(&self) -> bool {
        match self {
            Self::Http(http) => http.tls.is_some(),
            Self::Grpc(grpc) => grpc.tls.is_some(),
            _ => false,
        }
    }

    /// Certificates that end soon are spoken of (`tls_expiry_warn`).
    pub fn warns(&self) -> bool {
        match self {
            Self::Http(http) => http.tls.as_ref().is_some_and(|tls| tls.expiry_warn.is_some()),
            Self::Grpc(grpc) => grpc.tls.as_ref().is_some_and(|tls| tls.expiry_warn.is_some()),
            _ => false,
        }
    }

    /// Where it connects to, when it does.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Tcp(target) | Self::Ping(target) => Some(target),
            Self::Http(http) => Some(&http.target),
            Self::Smtp(smtp) => Some(&smtp.target),
            Self::Dns(dns) => Some(&dns.target),
            Self::Udp(udp) => Some(&udp.target),
            Self::Grpc(grpc) => Some(&grpc.target),
            Self::Misc(_) | Self::File(_) | Self::Bfd(_) => None,
        }
    }
}

/// Where a check connects to, and the way there, which reads as if it were its own, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `connect_ip`:`connect_port`, else the real server. Port 0: the file names none anywhere.
    pub address: SocketAddr,
    /// What most targets of a file have alike.
    pub way: Common<Way>,
}

/// From where a check connects, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Source address.
    pub bindto: Option<IpAddr>,
    /// Source interface.
    pub bind_if: Option<String>,
    /// Source port; with PING_CHECK the identifier of its echoes.
    pub bind_port: Option<u16>,
    /// Firewall mark of the check's packets (SO_MARK).
    pub fwmark: Option<u32>,
    /// The PROXY header that a TCP connection begins with.
    pub proxy: Option<SendProxy>,
    /// `connect_timeout`: for the whole exchange, not the connect alone.
    pub timeout: Duration,
}

impl Target {
    /// A target that is reached from wherever the system says, within that time.
    pub fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self { address, way: Way { timeout, ..Way::default() }.into() }
    }
}

impl Deref for Target {
    type Target = Way;

    fn deref(&self) -> &Way {
        &self.way
    }
}

impl DerefMut for Target {
    fn deref_mut(&mut self) -> &mut Way {
        &mut self.way
    }
}

impl Way {
    /// The file says where the check comes from.
    pub const fn names_source(&self) -> bool {
        self.bindto.is_some() || self.bind_if.is_some() || self.bind_port.is_some()
    }
}

/// One HTTP_GET or SSL_GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPlan {
    /// Where to.
    pub target: Target,
    /// SSL_GET: what we show to the server, and what is asked of its certificate.
    pub tls: Option<Common<TlsPlan>>,
    /// Protocol version of the request line.
    pub protocol: HttpProtocol,
    /// The pages, never empty. Most servers are asked for the same.
    pub urls: Common<Vec<UrlPlan>>,
}

impl HttpPlan {
    /// The Host header of a request: the virtual host, else `address:port` of the target.
    pub fn host<'a>(&self, url: &'a UrlPlan) -> Cow<'a, str> {
        url.host
            .as_ref()
            .map_or_else(|| Cow::Owned(self.target.address.to_string()), |host| Cow::Borrowed(host.as_str()))
    }

    /// The name, or the address, that a certificate must have where it is verified.
    pub fn certified<'a>(&self, url: &'a UrlPlan) -> Cow<'a, str> {
        let name = url.certified.as_ref();
        name.map_or_else(
            || Cow::Owned(self.target.address.ip().to_string()),
            |name| Cow::Borrowed(name.as_str()),
        )
    }
}

/// One page of an HTTP_GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPlan {
    /// Path with query; starts with `/`.
    pub path: String,
    /// The virtualhost of the url, the checker, the real server or the virtual server ([`HttpPlan::host`]).
    pub host: Option<String>,
    /// MD5 that the body must have, lower-case hexadecimal.
    pub digest: Option<String>,
    /// Accepted status codes, never empty.
    pub status: Vec<StatusRange>,
    /// What the body must have in it, or must not.
    pub regex: Option<RegexPlan>,
    /// SSL_GET: the name said in the handshake (SNI); `None` = nothing.
    pub server_name: Option<String>,
    /// SSL_GET: the name that the file gives a certificate, wherever it does ([`HttpPlan::certified`]).
    pub certified: Option<String>,
    /// SSL_GET: an end without the farewell of TLS is a failure.
    pub tls_compliant: bool,
    /// Headers that the answer must have.
    pub headers: Vec<HeaderPlan>,
    /// What the body must have, as JSON.
    pub json: Vec<JsonPlan>,
}

/// One header that an answer must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPlan {
    /// Its name, in any case.
    pub name: String,
    /// Its value.
    pub value: HeaderValue,
}

/// The value of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// Whatever it is.
    Any,
    /// Exactly this, blanks around it left out.
    Is(String),
    /// What this pattern matches.
    Matches(RegexPlan),
}

/// One value that a body must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPlan {
    /// The path as the file writes it.
    pub name: String,
    /// Its steps: keys, and indexes from 0.
    pub path: Vec<String>,
    /// The value; `None`: any.
    pub value: Option<String>,
}

/// `regex` and its kin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegexPlan {
    /// The pattern, PCRE2's.
    pub pattern: String,
    /// keepalived's names of PCRE2's options.
    pub options: Vec<String>,
    /// A match is the failure (`regex_no_match`).
    pub absent: bool,
    /// The match begins at this byte or later.
    pub min: usize,
    /// The match begins before this byte.
    pub max: Option<usize>,
    /// Least and greatest size of the matcher's stack, bytes.
    pub stack: Option<(usize, usize)>,
}

impl RegexPlan {
    /// A pattern without options, found anywhere.
    pub fn of(pattern: &str) -> Self {
        Self {
            pattern: pattern.to_owned(),
            options: Vec::new(),
            absent: false,
            min: 0,
            max: None,
            stack: None,
        }
    }
}

/// TLS of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPlan {
    /// What we show.
    pub client: ClientCertificate,
    /// Whose signature the server's certificate must have; `None`: anybody's.
    pub verify: Option<Authority>,
    /// It must not end within so many days.
    pub expiry: Option<u32>,
    /// The log warns when it ends within so many days.
    pub expiry_warn: Option<u32>,
}

impl TlsPlan {
    /// Something is asked of the server's certificate.
    pub const fn asks(&self) -> bool {
        self.verify.is_some() || self.expiry.is_some() || self.expiry_warn.is_some()
    }
}

/// Who may have signed a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The machine's authorities.
    System,
    /// Those of a PEM file.
    File(String),
}

/// What SSL_GET shows to servers that ask (the `SSL` block): names of PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Certificates of authorities, to complete our own chain by.
    pub ca: Option<String>,
    /// Our certificate, and those above it.
    pub certificate: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// Password of the key.
    pub password: Option<Secret>,
}

/// One GRPC_CHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcPlan {
    /// Where to.
    pub target: Target,
    /// By TLS rather than in the clear.
    pub tls: Option<TlsPlan>,
    /// With TLS: the name said in the handshake (SNI); `None` = nothing.
    pub server_name: Option<String>,
    /// With TLS: the name, or the address, that the certificate must have where it is verified.
    pub certified: String,
    /// Authority of the request, as the Host header of a page.
    pub authority: String,
    /// The service that is asked about; empty: the whole server.
    pub service: String,
}

/// One MISC_CHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiscPlan {
    /// The program's words.
    pub argv: Vec<String>,
    /// Whom it runs as, when the file says so (beside the program or as `script_user`).
    pub user: Option<ScriptUser>,
    /// Longest run.
    pub timeout: Duration,
    /// The exit status sets the weight.
    pub dynamic: bool,
}

/// One SMTP_CHECK of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpPlan {
    /// Where to.
    pub target: Target,
    /// The name said in HELO.
    pub helo: String,
}

/// One DNS_CHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPlan {
    /// Where to.
    pub target: Target,
    /// Record type that is asked for.
    pub kind: DnsType,
    /// Name that is asked for, as the file writes it.
    pub name: String,
}

/// One UDP_CHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpPlan {
    /// Where to.
    pub target: Target,
    /// What is sent; `None` = 8 random bytes.
    pub payload: Option<Vec<u8>>,
    /// What must come back; `None` = nothing need come.
    pub reply: Option<ReplyPlan>,
}

/// `require_reply`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyPlan {
    /// The bytes that the reply must have, as far as both reach; empty = any.
    pub pattern: Pattern,
    /// Least length, bytes.
    pub min: u16,
    /// Greatest length, bytes.
    pub max: u16,
}

/// One FILE_CHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlan {
    /// Name of the `track_file`.
    pub name: String,
    /// What the number is multiplied by; 0: a number other than 0 takes the server out.
    pub weight: i64,
    /// Swapped sense: the product counts the other way, or 0 takes the server out.
    pub reverse: bool,
}
