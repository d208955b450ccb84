//! Receive buffers of our netlink sockets, where the file asks for another size (`vrrp_netlink_cmd_rcv_bufs` and its kin).
//! One setting for the process, for every socket that is opened from then on; what the kernel does not grant is no error,
//! since a small buffer only means that a table is read once more.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Requests and their answers.
    Commands,
    /// News of the kernel.
    Monitor,
}

/// A size of a receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes.
    pub bytes: u32,
    /// Beyond the system's limit (`net.core.rmem_max`), which takes CAP_NET_ADMIN.
    pub force: bool,
}

impl Size {
    /// What the file says; `None` = nothing. keepalived forces only where it is told to.
    pub fn of(bytes: Option<u32>, force: Option<bool>) -> Option<Self> {
        bytes.map(|bytes| Self { bytes, force: force == Some(true) })
    }

    /// The larger of two wishes for one socket.
    pub fn larger(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).max_by_key(|size| size.bytes)
    }
}

/// By [`Use`]: bytes, and [`FORCE`]; 0 = nothing was asked for.
static SIZES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
const FORCE: u64 = 1 << 32;

/// Sets the size for sockets of this use that are opened from now on; `None` = their own default.
pub fn set(of: Use, size: Option<Size>) {
    let value = size.map_or(0, |size| u64::from(size.bytes) | if size.force { FORCE } else { 0 });
    SIZES[of as usize].store(value, Ordering::Relaxed);
}

/// Gives the socket its size, if one was asked for.
#[allow(unsafe_code)]
pub(super) fn apply(of: Use, socket: &impl AsRawFd) {
    let value = SIZES[of as usize].load(Ordering::Relaxed);
    let Ok(bytes) = usize::try_from(value & u64::from(u32::MAX)) else { return };
    if bytes == 0 {
        return;
    }
    // SAFETY: `socket` is borrowed for as long as this function runs, so its descriptor stays open.
    let socket = &unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
    let forced = value & FORCE != 0 && setsockopt(socket, RcvBufForce, &bytes).is_ok();
    if !forced {
        let _ = setsockopt(socket, RcvBuf, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket};

    #[test]
    fn a_socket_has_the_size_that_was_asked_for() {
        let open = || socket(AddressFamily::Unix, SockType::Datagram, SockFlag::empty(), None).unwrap();
        let size = |of| {
            let socket = open();
            apply(of, &socket);
            getsockopt(&socket, RcvBuf).unwrap()
        };
        let untouched = size(Use::Monitor);
        set(Use::Monitor, Size::of(Some(50_000), None));
        // The kernel doubles it, for its own needs.
        assert_eq!(size(Use::Monitor), 100_000);
        set(Use::Monitor, None);
        assert_eq!(size(Use::Monitor), untouched);
        let (small, large) = (Size::of(Some(1), Some(true)), Size::of(Some(2), None));
        assert_eq!(Size::larger(small, large), large);
        assert_eq!(Size::larger(small, None), small);
    }
}
