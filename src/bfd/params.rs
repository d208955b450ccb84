//! From the configuration of one `bfd_instance` to what its session and its sockets need.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::model::{BfdInstance, Config};
use crate::config::units::Secs;

use super::accept::Path;
use super::session::Params;

/// TTL and hop limit of single-hop packets (RFC 5881 section 5).
const TTL: u8 = 255;
/// Hop limit that keepalived sends over IPv6 when the file names none, and that it asks for.
const KEEPALIVED_HOP_LIMIT: u8 = 64;
/// keepalived's `min_rx` and `min_tx`.
const INTERVAL: Duration = Duration::from_millis(10);
/// Least `min_rx` and `min_tx`.
const LEAST: Duration = Duration::from_millis(1);
/// keepalived's `idle_tx`; less is not allowed (RFC 5880 section 6.8.3).
const IDLE: Duration = Duration::from_secs(1);
/// keepalived's `multiplier`.
const MULTIPLIER: u8 = 5;

/// Everything that one session needs from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the instance.
    pub name: String,
    /// Who speaks to whom.
    pub path: Path,
    /// TTL or hop limit of packets sent.
    pub ttl: u8,
    /// Its pace.
    pub params: Params,
}

impl Settings {
    /// The settings of all instances.
    pub fn of_config(config: &Config) -> Vec<Self> {
        config.bfd_instance.iter().map(Self::of).collect()
    }

    /// The settings of one instance.
    ///
    /// TTLs, where the file says nothing: single hop IPv4 sends 255 and asks for 255, as the RFC and keepalived do.
    /// Single hop IPv6 sends 255, as RFC 5881 demands and keepalived accepts, but asks for 64 only, because that is
    /// what keepalived sends; `hoplimit 255` makes it strict. `max_hops` lowers what is asked for by so many; -1 asks
    /// for nothing. Multihop without `max_hops` asks for nothing either: RFC 5883 knows no least TTL, and keepalived's
    /// default of 0 would refuse whatever crossed a router.
    pub fn of(instance: &BfdInstance) -> Self {
        let multihop = instance.multihop == Some(true);
        let neighbour = instance.neighbor_ip;
        let expected = match (instance.ttl, neighbour) {
            (Some(ttl), _) => ttl.max(1),
            (None, IpAddr::V4(_)) => TTL,
            (None, IpAddr::V6(_)) => KEEPALIVED_HOP_LIMIT,
        };
        let hops = match instance.max_hops {
            Some(hops) => u8::try_from(hops).ok(),
            None if multihop => None,
            None => Some(0),
        };
        let interval = |value: Option<Secs>| value.map_or(INTERVAL, |time| time.0.max(LEAST));
        Self {
            name: instance.name.clone(),
            path: Path {
                neighbour,
                source: instance.source_ip,
                multihop,
                least_ttl: hops.map(|hops| expected.saturating_sub(hops)).filter(|least| *least > 0),
            },
            ttl: instance.ttl.unwrap_or(TTL).max(1),
            params: Params {
                min_tx: interval(instance.min_tx),
                min_rx: interval(instance.min_rx),
                idle_tx: instance.idle_tx.map_or(IDLE, |time| time.0.max(IDLE)),
                multiplier: instance.multiplier.unwrap_or(MULTIPLIER).max(1),
                passive: instance.passive,
            },
        }
    }

    /// True when a session with these settings may go on with those: the ends and the port are the same. Pace, TTL and
    /// hops may change in flight.
    pub fn same_session(&self, other: &Self) -> bool {
        let ends = |path: &Path| (path.neighbour, path.source, path.multihop);
        self.name == other.name && ends(&self.path) == ends(&other.path)
    }
}

/// True when changes of this instance are for VRRP: neither `vrrp` nor `checker` is written, or `vrrp` is.
pub const fn tells_vrrp(instance: &BfdInstance) -> bool {
    instance.vrrp || !instance.checker
}

/// True when changes of this instance are for the checkers: neither `vrrp` nor `checker` is written, or `checker` is.
pub const fn tells_checkers(instance: &BfdInstance) -> bool {
    instance.checker || !instance.vrrp
}

#[cfg(test)]
mod tests;
