//! What the kernel says of its interfaces, as one value.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Kernel index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Administratively up and with carrier (IFF_UP and IFF_RUNNING).
    pub up: bool,
    /// Administratively up (IFF_UP), whatever the carrier.
    pub admin_up: bool,
    /// A loopback device.
    pub loopback: bool,
    /// Hardware address, when it has six octets.
    pub mac: Option<[u8; 6]>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Its addresses, in the kernel's order (the first of a family is the primary one).
    pub addresses: Vec<LinkAddress>,
}

impl Link {
    /// The first address of that family that is no virtual address of ours: what adverts are sent from.
    /// For IPv6 the link-local address (RFC 9568 section 5.1.2.1).
    pub fn primary(&self, ipv6: bool, ours: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        self.addresses
            .iter()
            .filter(|a| a.address.is_ipv6() == ipv6 && !ours(a.address))
            .find(|a| match a.address {
                IpAddr::V4(_) => true,
                IpAddr::V6(v6) => v6.is_unicast_link_local() && !a.tentative,
            })
            .map(|a| a.address)
    }

    /// True when the interface carries this address.
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.address == address)
    }
}

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The local address (IFA_LOCAL, or IFA_ADDRESS without it).
    pub address: IpAddr,
    /// Prefix length.
    pub prefix_len: u8,
    /// rtnetlink scope: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// IFA_LABEL.
    pub label: Option<String>,
    /// IFA_BROADCAST.
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// IFA_PROTO; 0 where the kernel does not say (before Linux 5.18).
    pub protocol: u8,
    /// Duplicate address detection still runs, or found a duplicate.
    pub tentative: bool,
}

/// All interfaces, by name.
pub type Links = BTreeMap<String, Link>;
