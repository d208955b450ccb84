//! What is said of a real server beside its block: by a command while the daemon runs, or by a line of a file.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Config, IpFamily, Method, Protocol, RealServer, Shared, VirtualServer, VirtualServerGroup};

/// `admin_state` of a real server: what people want of it, whatever its checks say. Beyond keepalived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// It serves while its checks say so.
    #[default]
    Enabled,
    /// Weight 0: its connections go on, new ones go elsewhere. It does not count for the quorum.
    Drain,
    /// Out of the table; its checks go on. It does not count for the quorum.
    Disabled,
}

impl AdminState {
    /// The word of the file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Drain => "drain",
            Self::Disabled => "disabled",
        }
    }
}

/// A virtual server as the log, the status and overrides name it: `TCP 192.0.2.1:80`, `FWM 5`, `FWM 5 IPv6`,
/// `group web TCP`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceName {
    /// An address; port 0 = any.
    Address {
        /// `None`: whichever there is.
        protocol: Option<Protocol>,
        /// Address and port.
        at: SocketAddr,
    },
    /// A firewall mark.
    Fwmark {
        /// The mark.
        mark: u32,
        /// `None`: IPv4, unless there is only the other.
        family: Option<IpFamily>,
    },
    /// A `virtual_server_group`.
    Group {
        /// Its name, without blanks.
        name: String,
        /// `None`: whichever there is, or a group of marks alone.
        protocol: Option<Protocol>,
    },
}

impl ServiceName {
    /// What a virtual server is called. `None` without address, mark and group.
    pub fn of(server: &VirtualServer, groups: &[VirtualServerGroup]) -> Option<Self> {
        let protocol = Some(server.protocol.unwrap_or(Protocol::Udp));
        if let Some(name) = &server.group {
            let found = groups.iter().find(|group| group.name == *name);
            let has_addresses =
                found.is_none_or(|group| group.entries.iter().any(|entry| entry.fwmark.is_none()));
            return Some(Self::Group { name: name.clone(), protocol: protocol.filter(|_| has_addresses) });
        }
        if let Some(mark) = server.fwmark {
            return Some(Self::Fwmark {
                mark,
                family: mark_family(server).filter(|f| *f == IpFamily::Inet6),
            });
        }
        let at = SocketAddr::new(server.address?, server.port.unwrap_or(0));
        Some(Self::Address { protocol, at })
    }

    /// True when this name may mean that virtual server, whose own name is `own`.
    pub(crate) fn may_mean(&self, own: &Self) -> bool {
        match (self, own) {
            (Self::Address { protocol, at }, Self::Address { protocol: theirs, at: there }) => {
                at == there && (protocol.is_none() || protocol == theirs)
            }
            (Self::Fwmark { mark, family }, Self::Fwmark { mark: theirs, family: other }) => {
                mark == theirs && family.is_none_or(|f| f == other.unwrap_or(IpFamily::Inet))
            }
            (Self::Group { name, protocol }, Self::Group { name: theirs, protocol: other }) => {
                name == theirs && (protocol.is_none() || protocol == other)
            }
            _ => false,
        }
    }

    /// The virtual servers of a configuration that it may mean, by their numbers; one alone where one has exactly this
    /// name.
    pub fn find(&self, config: &Config) -> Vec<usize> {
        let own = |server: &Shared<VirtualServer>| Self::of(server, &config.virtual_server_group);
        let named = || config.virtual_server.iter().map(own).enumerate();
        let exact = named().find(|(_, name)| name.as_ref() == Some(self));
        match exact {
            Some((n, _)) => vec![n],
            None => named()
                .filter(|(_, name)| name.as_ref().is_some_and(|name| self.may_mean(name)))
                .map(|(n, _)| n)
                .collect(),
        }
    }
}

/// The family of a mark: its virtual server's word, or its first real server's.
fn mark_family(server: &VirtualServer) -> Option<IpFamily> {
    server.ip_family.or_else(|| {
        let first = server.real_server.first()?;
        Some(if first.address.is_ipv6() { IpFamily::Inet6 } else { IpFamily::Inet })
    })
}

/// What an override does to the list of real servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OverrideKind {
    /// It changes a real server of the file.
    #[default]
    Change,
    /// It adds one.
    Add {
        /// The real server whose settings and checkers it has; `None` = the first one that is no sorry server.
        like: Option<SocketAddr>,
    },
    /// It takes one away.
    Delete,
}

/// `real_server_override`: one real server, other than its block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealServerOverride {
    /// Its virtual server.
    pub service: ServiceName,
    /// The real server: address and port as the file names it, the service's port where it names none.
    pub server: SocketAddr,
    /// Change, add or delete.
    pub kind: OverrideKind,
    /// Its weight, 0..=65535.
    pub weight: Option<u16>,
    /// What is wanted of it.
    pub state: Option<AdminState>,
    /// When that ends by itself, UTC: `2026-11-21T19:00:00Z`. Only of what commands say: a line of a file stays.
    pub until: Option<String>,
    /// Who said so, one word: `root(uid=0,pid=4711)`.
    pub by: Option<String>,
    /// When, UTC: `2026-11-21T18:00:00Z`.
    pub at: Option<String>,
}

impl RealServerOverride {
    /// One that changes nothing yet.
    pub const fn new(service: ServiceName, server: SocketAddr) -> Self {
        let (kind, weight, state, until) = (OverrideKind::Change, None, None, None);
        Self { service, server, kind, weight, state, until, by: None, at: None }
    }

    /// True when nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.kind == OverrideKind::Change && self.weight.is_none() && self.state.is_none()
    }
}

impl VirtualServer {
    /// Where a real server of it is: the file's port, else the service's. DR and TUN map no ports, whatever the file
    /// says.
    pub fn at(&self, real: &RealServer) -> SocketAddr {
        let own =
            real.port.filter(|port| *port != 0 && !(self.has_one_port() && self.method(real) != Method::Nat));
        let service = if self.address.is_some() { self.port.unwrap_or(0) } else { 0 };
        SocketAddr::new(real.address, own.unwrap_or(service))
    }

    /// It has one port, or with a mark none: a group has those of its entries.
    pub(in crate::config) const fn has_one_port(&self) -> bool {
        self.group.is_none() && (self.address.is_some() || self.fwmark.is_some())
    }

    /// The number of the real server at that address and port.
    pub fn find(&self, server: SocketAddr) -> Option<usize> {
        self.real_server.iter().position(|real| self.at(real) == server)
    }

    /// The method of one of its real servers.
    pub(in crate::config) fn method(&self, real: &RealServer) -> Method {
        real.lvs_method.or(self.lb_kind).unwrap_or(Method::Nat)
    }

    /// The address family of its clients, where it is known from its block.
    pub(in crate::config) fn is_ipv6(&self) -> Option<bool> {
        let by_word = self.ip_family.map(|family| family == IpFamily::Inet6);
        self.address.map(|address: IpAddr| address.is_ipv6()).or(by_word)
    }
}
