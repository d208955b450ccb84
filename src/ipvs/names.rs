//! What the kernel means by a refusal. IPVS answers with bare error numbers and sets no explaining text, so the words
//! and the cure are ours.

use std::fmt;

use nix::errno::Errno;

use crate::ipvs::diff::Change;
use crate::ipvs::settings::Order;

/// A change that the kernel refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked.
    pub change: Change,
    /// The error number, positive.
    pub errno: i32,
}

/// What a refusal says about us and the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The kernel's table is not what we thought: somebody else was there. Read it again.
    Stale,
    /// The change itself does not work, now or at all. Try it again later.
    Refused,
}

impl Refusal {
    fn is(&self, errno: Errno) -> bool {
        Errno::from_raw(self.errno) == errno
    }

    /// Whether the table must be read again, or the change be tried again later.
    pub fn meaning(&self) -> Meaning {
        match (&self.change, Errno::from_raw(self.errno)) {
            (Change::NewService { .. } | Change::NewDestination { .. }, Errno::EEXIST) => Meaning::Stale,
            // The service is not there (any more).
            (_, Errno::ESRCH) => Meaning::Stale,
            // For a service ENOENT is about its scheduler; for a destination about itself.
            (Change::SetDestination { .. } | Change::DeleteDestination { .. }, Errno::ENOENT) => {
                Meaning::Stale
            }
            _ => Meaning::Refused,
        }
    }

    /// What to do about it, where that is known.
    fn cure(&self) -> Option<String> {
        match (&self.change, Errno::from_raw(self.errno)) {
            (
                Change::NewService { service, .. } | Change::SetService { service, .. },
                Errno::ENOENT,
            ) if service.engine.is_none() => Some(format!(
                "the kernel has no scheduler `{0}`: load its module with `modprobe ip_vs_{0}`, or choose another lb_algo",
                service.scheduler
            )),
            (
                Change::NewService { service, .. } | Change::SetService { service, .. },
                Errno::ENOENT,
            ) => Some(format!(
                "the kernel lacks the scheduler `{0}` or the persistence engine `{1}`: load their modules with \
                 `modprobe ip_vs_{0} && modprobe ip_vs_pe_{1}`",
                service.scheduler,
                service.engine.as_deref().unwrap_or_default()
            )),
            (Change::NewService { key, .. } | Change::SetService { key, .. }, Errno::EINVAL) => Some(match key {
                crate::ipvs::table::ServiceKey::Address { port: 0, .. } => {
                    "a service for any port (0) needs persistence_timeout".to_owned()
                }
                _ => "scheduler, flags or persistence_granularity do not fit this service".to_owned(),
            }),
            (_, Errno::EAFNOSUPPORT) => {
                Some("this kernel's IPVS has no IPv6 (CONFIG_IP_VS_IPV6)".to_owned())
            }
            (
                Change::NewDestination { settings, .. } | Change::SetDestination { settings, .. },
                Errno::EINVAL,
            ) if matches!(settings.forward, crate::ipvs::table::Forward::Gue { port: 0, .. }) => {
                Some("a gue tunnel needs its port: write lvs_method TUN type gue port N".to_owned())
            }
            (Change::NewDestination { key, destination, .. } | Change::SetDestination { key, destination, .. }, Errno::EINVAL) => {
                let mixed = match key.family() {
                    crate::ipvs::table::Family::V4 => destination.address.is_ipv6(),
                    crate::ipvs::table::Family::V6 => destination.address.is_ipv4(),
                };
                Some(if mixed {
                    "a real server of the other address family needs lb_kind TUN, and no sync daemon".to_owned()
                } else {
                    "the real server's address must be a unicast address (no broadcast, multicast or link-local one)"
                        .to_owned()
                })
            }
            (_, Errno::ERANGE) => Some(
                "the weight must be at most 2147483647, and the lower connection threshold not above the upper".to_owned(),
            ),
            (_, Errno::EPERM | Errno::EACCES) => Some("run as root, or with CAP_NET_ADMIN".to_owned()),
            (_, Errno::ENOMEM | Errno::ENOBUFS) => {
                Some("the kernel is out of memory; it is tried again".to_owned())
            }
            (_, Errno::EEXIST | Errno::ESRCH | Errno::ENOENT) => {
                Some("something else changes this service at the same time".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = Errno::from_raw(self.errno);
        write!(f, "the kernel refused to {}: {errno:?}", self.change)?;
        match self.cure() {
            Some(cure) => write!(f, ": {cure}"),
            None if self.is(Errno::UnknownErrno) => write!(f, ": error number {}", self.errno),
            None => write!(f, ": {}", errno.desc()),
        }
    }
}

/// What the kernel's refusal of an order beside the table means, with its cure. `errno` is positive.
pub fn refused_order(order: &Order, errno: i32) -> String {
    let errno = Errno::from_raw(errno);
    let cure = match (order, errno) {
        (Order::Start(_, daemon), Errno::ENODEV) => {
            format!("there is no interface {0}: make it, or mend lvs_sync_daemon {0}", daemon.interface)
        }
        (Order::Start(_, daemon), Errno::EINVAL) => format!(
            "real servers of the other address family (IPv6 service, IPv4 tunnel) exclude a sync daemon, and {} must \
             have an MTU that a message fits into",
            daemon.interface
        ),
        (Order::Start(_, daemon), Errno::EADDRNOTAVAIL | Errno::ENETUNREACH) => {
            format!("{} has no address, or is down: it is tried again", daemon.interface)
        }
        (Order::SetTimeouts(_), Errno::EINVAL) => "a timeout is too long for this kernel".to_owned(),
        (_, Errno::EPERM | Errno::EACCES) => "run as root, or with CAP_NET_ADMIN".to_owned(),
        (_, errno) => errno.desc().to_owned(),
    };
    format!("the kernel refused to {order}: {errno:?}: {cure}")
}

#[cfg(test)]
mod tests;
