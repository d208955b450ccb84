//! Addresses that should be there: desired state, its difference from what is there, and what is ours.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

pub use super::wanted::Wanted;

/// What identifies an address in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressKey {
    /// Interface by name: it may come and go.
    pub interface: String,
    /// The local address.
    pub address: IpAddr,
    /// Prefix length; of a point-to-point address its peer's, the only one that the kernel keeps.
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
    /// Home address of mobile IPv6.
    pub home: bool,
    /// The kernel derives temporary addresses from it (IPv6).
    pub manage_temporary: bool,
    /// No route to its subnet comes with it.
    pub no_prefix_route: bool,
    /// A multicast address whose group the kernel joins.
    pub auto_join: bool,
    /// IPv6: duplicate address detection runs; without it the address answers at once.
    pub detect_duplicates: bool,
    /// Seconds until it is deprecated, 0 = at once: never chosen as a source. None = never.
    pub preferred: Option<u32>,
}

/// Addresses of one wish, in the order of their keys. A list, not a map: most routers have one address, a thousand
/// routers have a thousand lists, and the smallest map has room for eleven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(Box<[(AddressKey, AddressSpec)]>);

impl Addresses {
    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&AddressKey, &AddressSpec)> {
        self.0.iter().map(|(key, spec)| (key, spec))
    }

    /// Which addresses.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &AddressKey> {
        self.0.iter().map(|(key, _)| key)
    }

    /// How one of them should be there.
    pub fn get(&self, key: &AddressKey) -> Option<&AddressSpec> {
        let at = self.0.binary_search_by(|(here, _)| here.cmp(key)).ok()?;
        self.0.get(at).map(|(_, spec)| spec)
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The first of two equal keys counts.
impl FromIterator<(AddressKey, AddressSpec)> for Addresses {
    fn from_iter<I: IntoIterator<Item = (AddressKey, AddressSpec)>>(addresses: I) -> Self {
        let mut list: Vec<_> = addresses.into_iter().collect();
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
        list.dedup_by(|(later, _), (first, _)| later == first);
        Self(list.into_boxed_slice())
    }
}

/// IFA_PROTO of the addresses that we add, so that people and later runs can tell them: the number that route
/// netlink knows as keepalived's (RTPROT_KEEPALIVED), since we stand in its place.
pub const PROTOCOL: u8 = 18;

/// An address as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// rtnetlink scope.
    pub scope: u8,
    /// IFA_LABEL; the kernel gives the interface's name where nobody asked for one.
    pub label: Option<String>,
    /// IFA_BROADCAST.
    pub broadcast: Option<Ipv4Addr>,
    /// IFA_PROTO; 0 where unknown.
    pub protocol: u8,
    /// The other end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// Duplicate address detection still runs, or found a duplicate: the address does not answer.
    pub tentative: bool,
    /// Home address of mobile IPv6.
    pub home: bool,
    /// Temporary addresses are derived from it.
    pub manage_temporary: bool,
    /// It came without a route to its subnet.
    pub no_prefix_route: bool,
    /// Its multicast group is joined.
    pub auto_join: bool,
    /// Never chosen as a source.
    pub deprecated: bool,
}

impl Installed {
    /// True when it is as it should be. An unknown owner is no difference: what a crashed run or keepalived left
    /// behind is adopted. One that waits for duplicate address detection is not as it should be: ours never do.
    pub(super) fn fits(&self, key: &AddressKey, spec: &AddressSpec) -> bool {
        let label = match &spec.label {
            Some(label) => self.label.as_deref() == Some(label),
            None => self.label.as_deref().is_none_or(|l| l == key.interface),
        };
        // The kernel knows no scope of an IPv6 address but its own.
        let scope = key.address.is_ipv6() || self.scope == spec.scope;
        let peer = spec.peer.map(|(address, _)| address).filter(|peer| *peer != key.address);
        // A lifetime that runs out some day is no difference, before or after.
        let deprecated = match spec.preferred {
            None => !self.deprecated,
            Some(0) => self.deprecated,
            Some(_) => true,
        };
        label
            && scope
            && deprecated
            && self.broadcast == spec.broadcast
            && self.peer == peer
            && self.home == spec.home
            && self.manage_temporary == spec.manage_temporary
            && self.no_prefix_route == spec.no_prefix_route
            && self.auto_join == spec.auto_join
            && (!self.tentative || spec.detect_duplicates)
    }
}

/// One step towards the wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Take it away.
    Remove(AddressKey),
    /// Put it there.
    Add(AddressKey, AddressSpec),
}

impl Change {
    /// Which address.
    pub const fn key(&self) -> &AddressKey {
        match self {
            Self::Remove(key) | Self::Add(key, _) => key,
        }
    }
}

impl std::fmt::Display for AddressKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} on {}", self.address, self.prefix_len, self.interface)
    }
}

/// From what is there to what should be there, over the union of both; nothing outside [`Wanted::ours`] goes.
/// An address that is there in another form is removed first: the kernel has no way to change one in place.
pub fn diff(actual: &BTreeMap<AddressKey, Installed>, wanted: &Wanted) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, installed) in actual {
        let fits = wanted.want.get(key).is_some_and(|spec| installed.fits(key, spec));
        let ours = wanted.ours.contains(key) || wanted.want.contains_key(key);
        if ours && !fits {
            changes.push(Change::Remove(key.clone()));
        }
    }
    for (key, spec) in &wanted.want {
        if !actual.get(key).is_some_and(|installed| installed.fits(key, spec)) {
            changes.push(Change::Add(key.clone(), spec.clone()));
        }
    }
    changes
}

#[cfg(test)]
mod tests;
