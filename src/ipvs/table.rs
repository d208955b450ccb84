//! The kernel's virtual server tables as a value: services, destinations, their keys and flags.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// IP protocol of an address service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "names of IP protocols")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// Address family of a firewall-mark service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "names of address families")]
pub enum Family {
    V4,
    V6,
}

/// What identifies a service in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKey {
    /// Protocol, address and port (0 = any).
    Address {
        /// IP protocol.
        protocol: Protocol,
        /// Service address.
        address: IpAddr,
        /// Port; 0 = any (the kernel asks for persistence then).
        port: u16,
    },
    /// A firewall mark.
    Fwmark {
        /// Family of the marked packets.
        family: Family,
        /// The mark, never 0.
        mark: u32,
    },
}

impl ServiceKey {
    /// The family of the service's packets.
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address: IpAddr::V4(_), .. } => Family::V4,
            Self::Address { address: IpAddr::V6(_), .. } => Family::V6,
            Self::Fwmark { family, .. } => *family,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { protocol, address, port } => {
                let protocol = match protocol {
                    Protocol::Tcp => "TCP",
                    Protocol::Udp => "UDP",
                    Protocol::Sctp => "SCTP",
                };
                write!(f, "{protocol} {}", SocketAddr::new(*address, *port))
            }
            Self::Fwmark { family: Family::V4, mark } => write!(f, "FWM {mark}"),
            Self::Fwmark { family: Family::V6, mark } => write!(f, "FWM {mark} IPv6"),
        }
    }
}

/// Settings of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Scheduler by its kernel name (`wlc`).
    pub scheduler: String,
    /// Persistence; `None` = off.
    pub persistence: Option<Persistence>,
    /// One-packet scheduling.
    pub one_packet: bool,
    /// IP_VS_SVC_F_SCHED1..3, as bits 0..=2.
    pub scheduler_flags: u8,
}

/// How long, and by which part of its address, a client stays with its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Persistence {
    /// Seconds, at least 1.
    pub timeout: u32,
    /// Prefix length that clients are grouped by: 1..=32 or 1..=128. Only ever read, never desired: 0 = a mask that
    /// is no prefix (`ipvsadm -M 255.0.255.0`).
    pub granularity: u8,
}

/// What identifies a destination within its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationKey {
    /// Real server's address.
    pub address: IpAddr,
    /// Real server's port (0 in fwmark services).
    pub port: u16,
}

impl fmt::Display for DestinationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", SocketAddr::new(self.address, self.port))
    }
}

/// Forwarding method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forward {
    /// NAT.
    Masquerade,
    /// Direct routing.
    DirectRoute,
    /// IP-in-IP.
    Tunnel,
    /// What the kernel makes of a destination that is this host; never desired, only read.
    Local,
}

/// Settings of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Forwarding method.
    pub forward: Forward,
    /// 0 = takes no new connections.
    pub weight: u32,
    /// Upper connection threshold; 0 = none.
    pub upper_threshold: u32,
    /// Lower connection threshold; 0 = the kernel's own (3/4 of the upper).
    pub lower_threshold: u32,
}

/// A whole table: services with their destinations. Ordered, so that a diff is the same each time.
pub type Table = BTreeMap<ServiceKey, VirtualService>;

/// One service with its destinations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualService {
    /// Settings.
    pub service: Service,
    /// Destinations.
    pub destinations: BTreeMap<DestinationKey, Destination>,
}

/// The unspecified IPv4 address, which stands for "no address" in fwmark services.
pub const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scheduler)?;
        if let Some(Persistence { timeout, granularity }) = self.persistence {
            write!(f, ", persistent {timeout} s by /{granularity}")?;
        }
        if self.one_packet {
            f.write_str(", one-packet")?;
        }
        for bit in 0..3 {
            if self.scheduler_flags & (1 << bit) != 0 {
                write!(f, ", flag-{}", bit + 1)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Masquerade => "NAT",
            Self::DirectRoute => "DR",
            Self::Tunnel => "TUN",
            Self::Local => "Local",
        })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, weight {}", self.forward, self.weight)?;
        if self.upper_threshold != 0 || self.lower_threshold != 0 {
            write!(f, ", thresholds {} / {}", self.upper_threshold, self.lower_threshold)?;
        }
        Ok(())
    }
}
