//! What a virtual server is called: the same over reloads, and in all that is told of it. Its services in the kernel may
//! be many ([`super::members`]), or change while it stays what it is.

use std::fmt;

use crate::ipvs::table::{Protocol, ServiceKey};

/// The identity of a virtual server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// One service of the kernel.
    Service(ServiceKey),
    /// A `virtual_server_group`: the same group may be balanced once for each protocol.
    Group {
        /// Its name.
        name: String,
        /// Protocol of its addresses; `None` of firewall marks alone.
        protocol: Option<Protocol>,
    },
}

impl Identity {
    /// The protocol; marks have none.
    pub const fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Service(ServiceKey::Address { protocol, .. }) => Some(*protocol),
            Self::Group { protocol, .. } => *protocol,
            Self::Service(ServiceKey::Fwmark { .. }) => None,
        }
    }
}

impl From<ServiceKey> for Identity {
    fn from(key: ServiceKey) -> Self {
        Self::Service(key)
    }
}

impl fmt::Display for Identity {
    /// `TCP 10.0.0.1:80`, `FWM 5` or `group web TCP`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => key.fmt(f),
            Self::Group { name, protocol } => {
                let protocol = match protocol {
                    None => "",
                    Some(Protocol::Tcp) => " TCP",
                    Some(Protocol::Udp) => " UDP",
                    Some(Protocol::Sctp) => " SCTP",
                };
                write!(f, "group {name}{protocol}")
            }
        }
    }
}
