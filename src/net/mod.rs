//! Links and addresses of this machine, over rtnetlink: what is there ([`monitor`]), what should be there
//! ([`address`]), and who makes it so ([`writer`]).

use std::io;

pub mod address;
mod limit;
pub mod link;
pub mod monitor;
mod request;
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
            Self::Socket(_) | Self::NoAnswer { .. } => None,
        }
    }
}

fn explained(extended: &Option<String>) -> String {
    extended.as_ref().map_or_else(String::new, |text| format!(" ({text})"))
}
