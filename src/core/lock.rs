//! One Tandem for each network namespace: two with one configuration would fight over addresses and tables. The lock is
//! an abstract unix socket: it belongs to the namespace, needs no file, and goes with its process however that ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

use super::error::Error;

/// Held as long as the daemon runs.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, never used")] UnixListener);

impl Lock {
    /// Takes the lock of this instance name (empty for the only one).
    pub(super) fn take(instance: &str) -> Result<Self, Error> {
        let address = SocketAddr::from_abstract_name(format!("tandem/{instance}"))?;
        match UnixListener::bind_addr(&address) {
            Ok(listener) => Ok(Self(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Error::InNamespace {
                pid: holder(&address).map_or_else(|| "unknown".to_owned(), |p| p.to_string()),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

/// Who listens there.
fn holder(address: &SocketAddr) -> Option<i32> {
    let stream = UnixStream::connect_addr(address).ok()?;
    getsockopt(&stream, PeerCredentials).ok().map(|credentials| credentials.pid())
}
