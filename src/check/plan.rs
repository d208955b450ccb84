//! What check works by: services, real servers and checkers with every value resolved.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::health;
use super::identity::Identity;
use super::members::{self, Member};
use super::quorum;
use crate::config::model::{Command, HttpProtocol, ScriptUser, StatusRange};
use crate::ipvs::table::{DestinationKey, Forward, ServiceKey};

/// Everything that check works by, virtual servers in file order, their names and the keys of their members unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The virtual servers.
    pub services: Vec<VirtualPlan>,
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
    /// Stands in while the quorum is lost.
    pub sorry: Option<SorryPlan>,
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

/// One checker. Equal plans keep their state over a reload.
#[derive(Clone, Debug, PartialEq)]
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
}

/// What a checker does.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// TCP_CHECK.
    Tcp(Target),
    /// HTTP_GET.
    Http(HttpPlan),
    /// MISC_CHECK.
    Misc(MiscPlan),
}

impl Kind {
    /// keepalived's word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "TCP_CHECK",
            Self::Http(_) => "HTTP_GET",
            Self::Misc(_) => "MISC_CHECK",
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
    /// `connect_timeout`: for the whole exchange, not the connect alone.
    pub timeout: Duration,
}

impl Target {
    /// The file says where the check comes from.
    pub const fn names_source(&self) -> bool {
        self.bindto.is_some() || self.bind_if.is_some()
    }
}

/// One HTTP_GET.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpPlan {
    /// Where to.
    pub target: Target,
    /// Protocol version of the request line.
    pub protocol: HttpProtocol,
    /// The pages, never empty.
    pub urls: Vec<UrlPlan>,
}

/// One page of an HTTP_GET.
#[derive(Clone, Debug, PartialEq)]
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
}

/// One MISC_CHECK.
#[derive(Clone, Debug, PartialEq)]
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
