//! Interfaces of our own on top of others (a macvlan with the virtual router's hardware address, an ipvlan): what
//! should be there, what is there, the difference. Pure.
//!
//! Which interface is ours, also after a crash: one that carries the name, the kind, the parent and the hardware
//! address of a plan, or our mark ([`OWNER`] in IFLA_IFALIAS). Nothing else is ever changed or removed.
//!
//! What Debian's keepalived 2.2.7 was seen to make of `use_vmac` (IPv4 unless said), and we too:
//!
//! | what | value |
//! | --- | --- |
//! | kind, name | macvlan `mode private`, `vrrp.VRID`; taken: IPv6 tries `vrrp6.VRID`, then `vrrp1.VRID`, `vrrp2.VRID` … |
//! | hardware address | 00:00:5e:00:01:VRID, IPv6 00:00:5e:00:02:VRID; five given octets get the VRID as the sixth |
//! | from, until | from the start, up, in every state; gone at stop. After SIGKILL it stays and is taken over |
//! | IPv6 | addrgenmode none; IPv4 only: `disable_ipv6` 1; IPv6: the parent's link-local address, nodad, deprecated |
//! | sysctls of it | `arp_ignore` 1, `accept_local` 1, `promote_secondaries` 1, `rp_filter` 0; IPv6: none |
//! | sysctls of the parent | `arp_ignore` 1, `arp_filter` 1 (keepalived leaves them so at stop; we put them back) |
//! | `all.rp_filter` above 0 | every interface gets the larger of its own and that, `all` 0; put back at stop |
//! | `group G` | 2.2.7 sets none; we do |
//! | `use_ipvlan [ADDRESS]` | ipvlan mode l2, `bridge` unless said, up, with that address; no settings but `disable_ipv6` 1 without IPv6; IPv6 without an address: a link-local one of its own |
//! | adverts | by the macvlan from the parent's address; `vmac_xmit_base`, unicast: by the parent |

use std::collections::{BTreeMap, BTreeSet};

use super::sysctl;

/// IFLA_IFALIAS of what we made: `ip link` shows it.
pub const OWNER: &str = "tandem";

/// What kind of interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A macvlan in private mode: those on one parent do not see one another.
    Macvlan,
    /// An ipvlan in mode L2: it has its parent's hardware address.
    Ipvlan(IpvlanFlag),
}

/// How ipvlans of one parent see one another; the kernel wants it the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IpvlanFlag {
    /// They do.
    Bridge,
    /// They do not.
    Private,
    /// By way of the switch.
    Vepa,
}

/// One interface that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePlan {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// Interface that it sits on.
    pub parent: String,
    /// Kind.
    pub kind: Kind,
    /// Hardware address; `None` for an ipvlan, which has its parent's.
    pub mac: Option<[u8; 6]>,
    /// IPv4 adverts or addresses go there.
    pub ipv4: bool,
    /// IPv6 adverts or addresses go there; without, IPv6 is off on it.
    pub ipv6: bool,
    /// It gets a copy of its parent's link-local address, never chosen as a source by itself: what IPv6 adverts
    /// are sent from.
    pub link_local: bool,
    /// Address of its own from the start (`use_ipvlan ADDRESS`).
    pub address: Option<(std::net::IpAddr, u8)>,
    /// Interface group.
    pub group: Option<u32>,
    /// Once it is up, tell everybody who listens that its parent changed (`netlink_notify_msg`): the parent is
    /// promiscuous now where it cannot filter addresses (a bridge), and the kernel itself sends no message of that.
    pub announce_parent: bool,
}

impl DevicePlan {
    /// The kernel makes a link-local address by itself: on an ipvlan without an address of its own there is nothing
    /// else that IPv6 adverts could be sent from, and a copy of its parent's would take the parent's packets away.
    pub fn makes_link_local(&self) -> bool {
        matches!(self.kind, Kind::Ipvlan(_)) && self.ipv6 && self.address.is_none()
    }

    /// Its own sysctls, set between its creation and its going up.
    pub fn sysctls(&self) -> Vec<(sysctl::Key, sysctl::Wish)> {
        let mut all = Vec::new();
        if self.ipv4 && self.kind == Kind::Macvlan {
            for (name, value) in
                [("arp_ignore", 1), ("accept_local", 1), ("promote_secondaries", 1), ("rp_filter", 0)]
            {
                all.push((sysctl::Key::v4(&self.name, name), sysctl::Wish::Exactly(value)));
            }
        }
        if !self.ipv6 {
            all.push((sysctl::Key::v6(&self.name, "disable_ipv6"), sysctl::Wish::Exactly(1)));
        }
        all
    }

    /// What the parent needs so that it does not answer ARP for the addresses of this one.
    pub fn parent_sysctls(&self) -> Vec<(sysctl::Key, sysctl::Wish)> {
        if !self.ipv4 || self.kind != Kind::Macvlan {
            return Vec::new();
        }
        ["arp_ignore", "arp_filter"]
            .map(|name| (sysctl::Key::v4(&self.parent, name), sysctl::Wish::Exactly(1)))
            .to_vec()
    }
}

/// The interfaces that should be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Grows with each change of wish.
    pub generation: u64,
    /// By name.
    pub devices: BTreeMap<String, DevicePlan>,
    /// Settings beyond those that the devices bring along (`promote_secondaries` of an instance).
    pub sysctls: BTreeMap<sysctl::Key, sysctl::Wish>,
}

impl Wanted {
    /// All settings of interfaces that are not ours: they are remembered and put back.
    pub fn foreign_sysctls(&self) -> BTreeMap<sysctl::Key, sysctl::Wish> {
        let parents = self.devices.values().flat_map(DevicePlan::parent_sysctls);
        parents.chain(self.sysctls.iter().map(|(key, wish)| (key.clone(), *wish))).collect()
    }

    /// True when `all.rp_filter` must give way to settings of single interfaces: the kernel takes the larger of both,
    /// and a macvlan that answers for its parent's subnet needs 0.
    pub fn loosens_rp_filter(&self) -> bool {
        self.devices.values().any(|plan| plan.ipv4 && plan.kind == Kind::Macvlan)
    }
}

/// What kind an interface is found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FoundKind {
    /// One of the kinds that we make.
    Ours(Kind),
    /// A kind of ours in another mode, or another kind by its name in the kernel; empty for a plain one.
    Other(String),
    /// Not said.
    #[default]
    Unknown,
}

/// An interface as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Index.
    pub index: u32,
    /// Index of the interface that it sits on (IFLA_LINK).
    pub parent: Option<u32>,
    /// Kind.
    pub kind: FoundKind,
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// IFLA_IFALIAS.
    pub alias: Option<String>,
    /// IFF_UP.
    pub up: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// IPv6 makes no link-local address by itself.
    pub no_link_local: bool,
    /// Interface group.
    pub group: u32,
}

/// All interfaces, by name.
pub type FoundAll = BTreeMap<String, Found>;

/// True when the interface found under the plan's name is the planned one: kind, parent and hardware address.
pub fn is_planned(plan: &DevicePlan, found: &Found, all: &FoundAll) -> bool {
    let parent = all.get(&plan.parent).map(|parent| parent.index);
    found.kind == FoundKind::Ours(plan.kind)
        && parent.is_some()
        && found.parent == parent
        && plan.mac.is_none_or(|mac| found.mac == Some(mac))
}

/// One step. The driver carries them out in this order, and reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Take it away: ours, and not wanted, or not as planned.
    Remove {
        /// Name, for messages.
        name: String,
        /// Index: names may have moved.
        index: u32,
    },
    /// Make it, down.
    Create(DevicePlan),
    /// Mark it, set its group, no link-local address of its own, its sysctls, up.
    Finish(DevicePlan, u32),
}

/// What stands in the way of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Obstacle {
    /// The parent does not exist (yet).
    NoParent {
        /// Name of the device.
        name: String,
        /// Its parent.
        parent: String,
    },
    /// Somebody else's interface has that name.
    Taken {
        /// Name.
        name: String,
    },
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoParent { name, parent } => {
                write!(f, "{name} waits for {parent}: there is no such interface")
            }
            Self::Taken { name } => write!(
                f,
                "there is an interface {name} that is not ours: it is left alone; remove it, or name another in use_vmac"
            ),
        }
    }
}

/// From what is there to what should be there. `earlier` are plans of earlier wishes in this process's life: what
/// still looks like one of these is ours to remove.
pub fn diff(
    found: &FoundAll,
    wanted: &Wanted,
    earlier: &BTreeMap<String, DevicePlan>,
) -> (Vec<Change>, BTreeSet<Obstacle>) {
    let (mut changes, mut creations) = (Vec::new(), Vec::new());
    let mut obstacles = BTreeSet::new();
    for (name, device) in found {
        let marked = device.alias.as_deref() == Some(OWNER) && matches!(device.kind, FoundKind::Ours(_));
        let known = earlier.get(name).is_some_and(|plan| is_planned(plan, device, found));
        let fits = wanted.devices.get(name).is_some_and(|plan| is_planned(plan, device, found));
        if (marked || known) && !fits {
            changes.push(Change::Remove { name: name.clone(), index: device.index });
        }
    }
    let removed = |name: &str| {
        changes.iter().any(|change| matches!(change, Change::Remove { name: gone, .. } if gone == name))
    };
    for (name, plan) in &wanted.devices {
        if !found.contains_key(&plan.parent) || removed(&plan.parent) {
            obstacles.insert(Obstacle::NoParent { name: name.clone(), parent: plan.parent.clone() });
            continue;
        }
        match found.get(name) {
            Some(device) if !removed(name) => {
                if !is_planned(plan, device, found) {
                    obstacles.insert(Obstacle::Taken { name: name.clone() });
                } else if !is_finished(plan, device) {
                    creations.push(Change::Finish(plan.clone(), device.index));
                }
            }
            _ => creations.push(Change::Create(plan.clone())),
        }
    }
    changes.append(&mut creations);
    (changes, obstacles)
}

fn is_finished(plan: &DevicePlan, found: &Found) -> bool {
    found.up
        && (found.no_link_local || plan.makes_link_local())
        && found.alias.as_deref() == Some(OWNER)
        && plan.group.is_none_or(|group| found.group == group)
}

#[cfg(test)]
mod tests;
