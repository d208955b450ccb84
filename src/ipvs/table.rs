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
    /// Persistence engine by its kernel name (`sip`); `None` = clients are told apart by address.
    pub engine: Option<String>,
}

impl Service {
    /// A service with this scheduler and nothing else.
    pub fn plain(scheduler: impl Into<String>) -> Self {
        Self {
            scheduler: scheduler.into(),
            persistence: None,
            one_packet: false,
            scheduler_flags: 0,
            engine: None,
        }
    }
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
    /// Generic UDP encapsulation.
    Gue {
        /// UDP port that the real server listens at; the kernel refuses 0.
        port: u16,
        /// Checksum of the UDP header.
        checksum: Checksum,
    },
    /// GRE.
    Gre {
        /// Checksum of the GRE header.
        checksum: Checksum,
    },
    /// What the kernel makes of a destination that is this host; never desired, only read.
    Local,
}

/// `IP_VS_TUNNEL_ENCAP_FLAG_*`: checksums of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksum {
    /// None.
    #[default]
    None,
    /// Computed.
    Full,
    /// Remote checksum offload: the receiver computes it (GUE).
    Remote,
}

impl Forward {
    /// True for the tunnels: the real server may have the other address family.
    pub const fn is_tunnel(self) -> bool {
        matches!(self, Self::Tunnel | Self::Gue { .. } | Self::Gre { .. })
    }
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
        if let Some(engine) = &self.engine {
            write!(f, ", engine {engine}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Masquerade => f.write_str("NAT"),
            Self::DirectRoute => f.write_str("DR"),
            Self::Tunnel => f.write_str("TUN"),
            Self::Gue { port, checksum } => write!(f, "TUN gue port {port}{checksum}"),
            Self::Gre { checksum } => write!(f, "TUN gre{checksum}"),
            Self::Local => f.write_str("Local"),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "",
            Self::Full => " csum",
            Self::Remote => " remcsum",
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
