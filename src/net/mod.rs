//! Links, addresses, routes and rules of this machine, over rtnetlink: what is there ([`monitor`]), what should be there
//! ([`wanted`]), and who makes it so ([`writer`], [`swift`]); interfaces and settings of our own
//! ([`device`], [`sysctl`], [`device_writer`]), the packet filter ([`firewall`]); and network namespaces ([`space`]).

use std::io;

pub mod address;
mod address_codec;
mod attribute;
pub mod buffers;
mod codec;
pub mod device;
mod device_codec;
pub mod device_writer;
pub mod firewall;
mod known;
pub mod link;
pub mod monitor;
mod plan;
pub mod preview;
mod promote;
mod read;
mod repair;
mod request;
pub mod route;
mod route_codec;
pub mod rule;
mod rule_codec;
mod session;
pub mod space;
pub mod swift;
pub mod sysctl;
pub mod sysctl_writer;
pub mod wanted;
pub mod watch;
pub mod writer;

/// What went wrong between us and the kernel's route netlink.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No socket.
    #[error("cannot open a route netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// The kernel refused a request.
    #[error("{operation}: {source}{}", explained(.extended))]
    Refused {
        /// What was asked for, in words.
        operation: String,
        /// The errno.
        source: io::Error,
        /// The kernel's own explanation (extended ack), if it gave one.
        extended: Option<String>,
    },
    /// No answer in time: it is taken to be lost.
    #[error("{operation}: no answer from the kernel within {} s", .limit.as_secs())]
    Late {
        /// What was asked for, in words.
        operation: String,
        /// How long it was waited for.
        limit: std::time::Duration,
    },
    /// The kernel's table changed at every reading, so that no reading is whole.
    #[error("{operation}: the table changed at every attempt to read it")]
    Unsteady {
        /// What was asked for, in words.
        operation: String,
    },
    /// The connection died before the kernel answered: nothing is known of the request.
    #[error("{operation}: the netlink connection ended before the kernel answered")]
    NoAnswer {
        /// What was asked for, in words.
        operation: String,
    },
}

impl Error {
    /// The errno of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            Self::Socket(_) | Self::NoAnswer { .. } | Self::Late { .. } | Self::Unsteady { .. } => None,
        }
    }
}

fn explained(extended: &Option<String>) -> String {
    extended.as_ref().map_or_else(String::new, |text| format!(" ({text})"))
}
