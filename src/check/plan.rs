//! What check works by: services, real servers and checkers with every value resolved.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::damping;
use super::health;
use super::identity::Identity;
use super::members::{self, Member};
use super::quorum;
use super::tiers;
use crate::config::model::{
    AdminState, Command, DnsType, HttpProtocol, ScriptUser, Secret, SendProxy, StatusRange,
};
use crate::config::text::hex::Pattern;
use crate::ipvs::table::{DestinationKey, Forward, ServiceKey};

/// Everything that check works by, virtual servers in file order, their names and the keys of their members unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The virtual servers; what a reload leaves as it is is the same object before and after.
    pub services: Vec<Arc<VirtualPlan>>,
    /// `rs_init_notifies`: tell how each real server begins.
    pub init_notifies: bool,
}

/// One virtual server.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualPlan {
    /// What it is called, everywhere.
    pub name: Identity,
    /// How many virtual servers of the same group stand before it in the file.
    pub number: usize,
    /// Its services in the kernel, never empty.
    pub members: Vec<Member>,
    /// `ha_suspend`: its checks run only while this address is on this host.
    pub suspend: Option<IpAddr>,
    /// Its quorum.
    pub quorum: quorum::Rules,
    /// Run when the quorum is gained.
    pub quorum_up: Option<Command>,
    /// Run when the quorum is lost.
    pub quorum_down: Option<Command>,
    /// Run the down programs at stop.
    pub omega: bool,
    /// Mail when the quorum changes.
    pub smtp_alert: bool,
    /// Stands in while the quorum is lost, where no sorry server with checks of its own is up.
    pub sorry: Option<SorryPlan>,
    /// How many priority tiers the real servers have; at least 1.
    pub tier_count: usize,
    /// When the next one serves.
    pub tiers: tiers::Rules,
    /// `drain_on_removal`: a real server that a reload takes away stays with weight 0 for so long, or until it has no
    /// connections.
    pub drain: Option<Duration>,
    /// The farm, keys unique, never empty.
    pub reals: Vec<RealPlan>,
}

/// A sorry server. Its weight is 1, it is never checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SorryPlan {
    /// Its key in the virtual server.
    pub key: DestinationKey,
    /// The port of its destinations, as a real server's.
    pub port: Option<u16>,
    /// How packets reach it.
    pub forward: Forward,
    /// In the table with weight 0 while it is not in use.
    pub inhibit: bool,
}

/// One real server.
#[derive(Clone, Debug, PartialEq)]
pub struct RealPlan {
    /// Its key in the virtual server. With DR and TUN the port is the service's (0 with a mark), whatever the file says;
    /// in a group it is the one of the file, 0 where it names none ([`RealPlan::at`] has the kernel's).
    pub key: DestinationKey,
    /// The port of its destinations, where the method maps ports: `None` = the service's, 0 = the packet's own.
    pub port: Option<u16>,
    /// `address:port` as the file names it, the service's port where it names none.
    pub name: String,
    /// How packets reach it.
    pub forward: Forward,
    /// Configured weight, 0..=65535.
    pub weight: u32,
    /// Upper connection threshold; 0 = none.
    pub upper_threshold: u32,
    /// Lower connection threshold.
    pub lower_threshold: u32,
    /// Weight 0 rather than removal while it is down.
    pub inhibit: bool,
    /// Its tier, 0 = the first one.
    pub tier: usize,
    /// It serves only while the quorum is lost, and does not count for it.
    pub sorry: bool,
    /// What people want of it, whatever its checks say.
    pub state: AdminState,
    /// Its weight grows over this time when it comes back.
    pub slow_start: Option<Duration>,
    /// It is held down when it flaps.
    pub damping: Option<damping::Rules>,
    /// Run when it comes up.
    pub notify_up: Option<Command>,
    /// Run when it goes down.
    pub notify_down: Option<Command>,
    /// Mail when it goes or comes.
    pub smtp_alert: bool,
    /// Its checkers; none = always up.
    pub checkers: Vec<Arc<CheckerPlan>>,
}

impl SorryPlan {
    /// Its key in one of the services.
    pub fn at(&self, service: &ServiceKey) -> DestinationKey {
        members::destination_key(service, self.forward, self.key.address, self.port)
    }
}

impl RealPlan {
    /// Its key in one of the services.
    pub fn at(&self, service: &ServiceKey) -> DestinationKey {
        members::destination_key(service, self.forward, self.key.address, self.port)
    }
}

/// One checker. Equal plans keep their state over a reload, and share one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckerPlan {
    /// What it does.
    pub kind: Kind,
    /// Its numbers.
    pub rules: health::Rules,
    /// Greatest random delay of the first check, when the file asks for one.
    pub warmup: Option<Duration>,
    /// Down until the first success.
    pub alpha: bool,
    /// Log every failure, not only transitions.
    pub log_all_failures: bool,
    /// Its runs count for all checkers with an equal plan.
    pub share: bool,
}

/// By what tells most checkers of a configuration apart. Whatever else there is to a plan, equal ones agree in this.
impl Hash for CheckerPlan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.name().hash(state);
        self.kind.target().map(|target| target.address).hash(state);
        match &self.kind {
            Kind::Http(http) => {
                for url in &http.urls {
                    (&url.path, &url.host).hash(state);
                }
            }
            Kind::Misc(misc) => misc.argv.hash(state),
            Kind::File(file) => file.name.hash(state),
            Kind::Bfd(name) => name.hash(state),
            Kind::Grpc(grpc) => grpc.service.hash(state),
            Kind::Tcp(_) | Kind::Ping(_) | Kind::Smtp(_) | Kind::Dns(_) | Kind::Udp(_) => {}
        }
    }
}

/// What a checker does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP_CHECK.
    Tcp(Target),
    /// HTTP_GET and SSL_GET.
    Http(HttpPlan),
    /// SMTP_CHECK.
    Smtp(SmtpPlan),
    /// DNS_CHECK.
    Dns(DnsPlan),
    /// UDP_CHECK.
    Udp(UdpPlan),
    /// GRPC_CHECK.
    Grpc(GrpcPlan),
    /// PING_CHECK; the port is of no use.
    Ping(Target),
    /// MISC_CHECK.
    Misc(MiscPlan),
    /// FILE_CHECK: never run, told by [`super::outside`].
    File(FilePlan),
    /// BFD_CHECK, by the name of its session: never run, told by [`super::outside`].
    Bfd(String),
}

impl Kind {
    /// keepalived's word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "TCP_CHECK",
            Self::Http(HttpPlan { tls: None, .. }) => "HTTP_GET",
            Self::Http(HttpPlan { tls: Some(_), .. }) => "SSL_GET",
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

    /// Certificates that end soon are spoken of (`tls_expiry_warn`).
    pub fn warns(&self) -> bool {
        let tls = match self {
            Self::Http(http) => http.tls.as_ref(),
            Self::Grpc(grpc) => grpc.tls.as_ref(),
            _ => None,
        };
        tls.is_some_and(|tls| tls.expiry_warn.is_some())
    }

    /// Where it connects to, when it does.
    pub const fn target(&self) -> Option<&Target> {
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

/// Where a check connects to, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `connect_ip`:`connect_port`, else the real server. Port 0: the file names none anywhere.
    pub address: SocketAddr,
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
    pub tls: Option<TlsPlan>,
    /// Protocol version of the request line.
    pub protocol: HttpProtocol,
    /// The pages, never empty.
    pub urls: Vec<UrlPlan>,
}

/// One page of an HTTP_GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPlan {
    /// Path with query; starts with `/`.
    pub path: String,
    /// Host header: the virtualhost of the url, the checker, the real server or the virtual server, else
    /// `address:port` of the target.
    pub host: String,
    /// MD5 that the body must have, lower-case hexadecimal.
    pub digest: Option<String>,
    /// Accepted status codes, never empty.
    pub status: Vec<StatusRange>,
    /// What the body must have in it, or must not.
    pub regex: Option<RegexPlan>,
    /// SSL_GET: the name said in the handshake (SNI); `None` = nothing.
    pub server_name: Option<String>,
    /// The name, or the address, that a certificate must have where it is verified.
    pub certified: String,
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
