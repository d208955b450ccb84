//! Addresses that should be there: desired state, its difference from what is there, and what is ours.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// What identifies an address in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressKey {
    /// Interface by name: it may come and go.
    pub interface: String,
    /// The local address.
    pub address: IpAddr,
    /// Prefix length.
    pub prefix_len: u8,
}

/// How it should be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSpec {
    /// IFA_BROADCAST.
    pub broadcast: Option<Ipv4Addr>,
    /// rtnetlink scope: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// IFA_LABEL, IPv4 only.
    pub label: Option<String>,
    /// Other end of a point-to-point address, with its prefix length.
    pub peer: Option<(IpAddr, u8)>,
}

/// The addresses that should be there now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Grows with each change of wish; the writer says which one is in place.
    pub generation: u64,
    /// Should be there.
    pub want: BTreeMap<AddressKey, AddressSpec>,
    /// Ours to remove when not wanted: every virtual address of the configuration, and of earlier ones in this
    /// process's life. Nothing outside this set is ever removed.
    pub ours: BTreeSet<AddressKey>,
}
