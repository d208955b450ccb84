//! What IPVS knows beside its table: connection timeouts and the connection synchronisation daemons.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// How long IPVS keeps connections, seconds; `None` = not ours to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Established TCP connections.
    pub tcp: Option<u32>,
    /// TCP connections after a FIN.
    pub tcp_fin: Option<u32>,
    /// UDP.
    pub udp: Option<u32>,
}

impl Timeouts {
    /// True if nothing is said.
    pub const fn is_empty(&self) -> bool {
        self.tcp.is_none() && self.tcp_fin.is_none() && self.udp.is_none()
    }

    const fn list(&self) -> [Option<u32>; 3] {
        [self.tcp, self.tcp_fin, self.udp]
    }

    const fn of([tcp, tcp_fin, udp]: [Option<u32>; 3]) -> Self {
        Self { tcp, tcp_fin, udp }
    }

    /// What must be set so that these hold, where `actual` holds: `None` = nothing.
    pub fn missing_from(&self, actual: &Self) -> Option<Self> {
        let (wanted, there) = (self.list(), actual.list());
        let differs = |n: usize| wanted[n].filter(|_| wanted[n] != there[n]);
        let missing = Self::of([differs(0), differs(1), differs(2)]);
        (!missing.is_empty()).then_some(missing)
    }

    /// These, and where they say nothing the `other` ones.
    pub fn or(&self, other: &Self) -> Self {
        let (first, second) = (self.list(), other.list());
        Self::of([first[0].or(second[0]), first[1].or(second[1]), first[2].or(second[2])])
    }

    /// Those of these that `other` speaks of as well.
    pub fn only(&self, other: &Self) -> Self {
        let (these, named) = (self.list(), other.list());
        let both = |n: usize| these[n].filter(|_| named[n].is_some());
        Self::of([both(0), both(1), both(2)])
    }
}

impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        for (name, value) in ["tcp", "tcpfin", "udp"].into_iter().zip(self.list()) {
            words.extend(value.map(|seconds| format!("{name} {seconds} s")));
        }
        f.write_str(&words.join(", "))
    }
}

/// Which end of the synchronisation a daemon is. One of each may run in a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sends connections.
    Master,
    /// Takes them.
    Backup,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Master, Self::Backup];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// A synchronisation daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// Interface of the multicast messages.
    pub interface: String,
    /// Only daemons of one id speak with each other; 0..=255.
    pub id: u8,
    /// Longest message, bytes; `None` = the kernel's choice, by the MTU.
    pub max_length: Option<u16>,
    /// Multicast group.
    pub group: IpAddr,
    /// UDP port.
    pub port: u16,
    /// TTL or hop limit of the messages.
    pub ttl: u8,
}

impl Daemon {
    /// The group that the kernel takes unasked.
    pub const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 81));
    /// The port that the kernel takes unasked.
    pub const PORT: u16 = 8848;
    /// The TTL that the kernel takes unasked.
    pub const TTL: u8 = 1;

    /// True if the running daemon `actual` is what this asks for.
    fn is(&self, actual: &Self) -> bool {
        *self == Self { max_length: self.max_length.and(actual.max_length), ..actual.clone() }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, id, max_length, group, port, ttl } = self;
        write!(f, "on {interface}, id {id}, group {group}, port {port}, ttl {ttl}")?;
        max_length.map_or(Ok(()), |bytes| write!(f, ", maxlen {bytes}"))
    }
}

/// The daemons that should run or do run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Daemons {
    /// The sending one.
    pub master: Option<Daemon>,
    /// The receiving one.
    pub backup: Option<Daemon>,
}

impl Daemons {
    /// The one of a role.
    pub const fn get(&self, role: Role) -> Option<&Daemon> {
        match role {
            Role::Master => self.master.as_ref(),
            Role::Backup => self.backup.as_ref(),
        }
    }

    /// The place of a role's daemon.
    pub const fn slot(&mut self, role: Role) -> &mut Option<Daemon> {
        match role {
            Role::Master => &mut self.master,
            Role::Backup => &mut self.backup,
        }
    }
}

/// What should hold beside the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Timeouts.
    pub timeouts: Timeouts,
    /// The daemons; `None` = they are none of ours.
    pub daemons: Option<Daemons>,
}

impl Settings {
    /// True if nothing is asked for.
    pub const fn is_empty(&self) -> bool {
        self.timeouts.is_empty() && self.daemons.is_none()
    }
}

/// What the kernel says of the same things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// All three of them.
    pub timeouts: Timeouts,
    /// Those that run.
    pub daemons: Daemons,
}

/// One step from the actual to the desired settings: one netlink message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Set those that are named.
    SetTimeouts(Timeouts),
    /// Start a daemon.
    Start(Role, Daemon),
    /// Stop a daemon.
    Stop(Role),
}

impl Order {
    /// Does to `actual` what the kernel does when it accepts the order.
    pub fn apply(&self, actual: &mut Actual) {
        match self {
            Self::SetTimeouts(timeouts) => actual.timeouts = timeouts.or(&actual.timeouts),
            Self::Start(role, daemon) => *actual.daemons.slot(*role) = Some(daemon.clone()),
            Self::Stop(role) => *actual.daemons.slot(*role) = None,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetTimeouts(timeouts) => write!(f, "set the timeouts {timeouts}"),
            Self::Start(role, daemon) => write!(f, "start the {role} sync daemon {daemon}"),
            Self::Stop(role) => write!(f, "stop the {role} sync daemon"),
        }
    }
}

/// The orders that lead from `actual` to `desired`; applied in order they do. A daemon with other values is stopped and
/// started: the kernel knows no change of one that runs. `made` tells what the kernel made of an earlier order: it
/// corrects some values without a word, and what it made is right as long as the same is asked for.
pub fn diff(actual: &Actual, desired: &Settings, made: &[(Role, Daemon, Daemon)]) -> Vec<Order> {
    let mut orders: Vec<Order> =
        desired.timeouts.missing_from(&actual.timeouts).map(Order::SetTimeouts).into_iter().collect();
    let Some(daemons) = &desired.daemons else { return orders };
    for role in Role::ALL {
        let (there, wanted) = (actual.daemons.get(role), daemons.get(role));
        let right = match (there, wanted) {
            (Some(there), Some(wanted)) => {
                wanted.is(there)
                    || made.iter().any(|(r, asked, got)| (*r, asked, got) == (role, wanted, there))
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if right {
            continue;
        }
        orders.extend(there.map(|_| Order::Stop(role)));
        orders.extend(wanted.map(|wanted| Order::Start(role, wanted.clone())));
    }
    // Stops first: a role that moves from one daemon to the other frees its socket before that is taken.
    orders.sort_by_key(|order| match order {
        Order::SetTimeouts(_) => 0,
        Order::Stop(_) => 1,
        Order::Start(..) => 2,
    });
    orders
}

#[cfg(test)]
mod tests;
