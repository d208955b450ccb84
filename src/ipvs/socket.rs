//! The netlink socket, the number of the IPVS family, and the module that brings it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use neli::consts::genl::{CtrlAttr, CtrlCmd};
use neli::consts::nl::{GenlId, NlmF};
use neli::consts::socket::{Msg, NlFamily};
use neli::genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, NlattrBuilder};
use neli::nl::{NlPayload, Nlmsghdr, NlmsghdrBuilder};
use neli::socket::NlSocket;
use neli::socket::synchronous::NlSocketHandle;
use neli::types::GenlBuffer;
use neli::utils::Groups;
use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};

use crate::ipvs::codec::FAMILY_NAME;
use crate::ipvs::session::{Error, Session, Transport};

/// Receive queue: room for the errors of a whole batch. The kernel caps it at `net.core.rmem_max`.
const RECEIVE_QUEUE: usize = 1 << 20;

/// What the file asks for instead: bytes, and [`FORCE`]; 0 = nothing.
static ASKED: AtomicU64 = AtomicU64::new(0);
const FORCE: u64 = 1 << 32;

/// `lvs_netlink_cmd_rcv_bufs`: the receive queue of sockets that are opened from now on, bytes; 0 = ours. `force`: beyond the
/// system's limit. What the kernel does not grant is no error here; where answers are lost, that is one.
pub fn set_receive_queue(bytes: u32, force: bool) {
    ASKED.store(u64::from(bytes) | if force { FORCE } else { 0 }, Ordering::Relaxed);
}

/// neli's sockets know only their number.
#[allow(unsafe_code)]
fn borrowed(socket: &NlSocket) -> BorrowedFd<'_> {
    // SAFETY: the result lives no longer than the borrow of `socket`, whose descriptor is open for as long.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

fn give_receive_queue(socket: &NlSocket) {
    let asked = ASKED.load(Ordering::Relaxed);
    let bytes = usize::try_from(asked & u64::from(u32::MAX)).unwrap_or(0);
    if bytes == 0 {
        return;
    }
    let socket = &borrowed(socket);
    let forced = asked & FORCE != 0 && setsockopt(socket, RcvBufForce, &bytes).is_ok();
    if !forced {
        let _ = setsockopt(socket, RcvBuf, &bytes);
    }
}

/// A generic netlink socket. It belongs to the network namespace of the thread that opened it.
pub struct Netlink(NlSocket);

impl Netlink {
    /// Opens the socket.
    ///
    /// # Errors
    /// Those of socket(2) and bind(2).
    pub fn open() -> io::Result<Self> {
        let socket = NlSocket::connect(NlFamily::Generic, None, Groups::empty())?;
        socket.set_recv_buffer_size(RECEIVE_QUEUE)?;
        give_receive_queue(&socket);
        socket.nonblock()?;
        Ok(Self(socket))
    }
}

impl Transport for Netlink {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.0.send(datagram, Msg::empty()).map(|_| ())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // TRUNC: the real length is returned, so that a cut datagram is noticed.
        self.0.recv(buffer, Msg::TRUNC).map(|(length, _)| length)
    }
}

/// Opens a session with the kernel's IPVS in the network namespace of this thread. With `load_module`, and when the
/// kernel has no IPVS yet, runs `modprobe ip_vs` and looks again.
///
/// # Errors
/// [`Error::NoIpvs`] with its cure, or what else went wrong.
pub fn connect(load_module: bool) -> Result<Session<Netlink>, Error> {
    let family = match find_family(FAMILY_NAME)? {
        Some(family) => family,
        None if load_module => {
            let outcome = modprobe();
            find_family(FAMILY_NAME)?.ok_or(Error::NoIpvs { detail: outcome })?
        }
        None => return Err(Error::NoIpvs { detail: "generic netlink has no family IPVS".to_owned() }),
    };
    let socket = Netlink::open().map_err(|source| Error::Socket { operation: "open", source })?;
    Ok(Session::new(socket, family))
}

/// Asks the generic netlink controller for the number of the family; `None` when there is no such family.
fn find_family(name: &str) -> Result<Option<u16>, Error> {
    let lookup = |error: &dyn std::fmt::Display| Error::Lookup(error.to_string());
    let socket =
        NlSocketHandle::connect(NlFamily::Generic, None, Groups::empty()).map_err(|error| lookup(&error))?;
    let name = NlattrBuilder::default()
        .nla_type(AttrTypeBuilder::default().nla_type(CtrlAttr::FamilyName).build().map_err(|e| lookup(&e))?)
        .nla_payload(name)
        .build()
        .map_err(|error| lookup(&error))?;
    let body = GenlmsghdrBuilder::default()
        .cmd(CtrlCmd::Getfamily)
        .version(2)
        .attrs([name].into_iter().collect::<GenlBuffer<_, _>>())
        .build()
        .map_err(|error| lookup(&error))?;
    let request = NlmsghdrBuilder::default()
        .nl_type(GenlId::Ctrl)
        .nl_flags(NlmF::REQUEST)
        .nl_payload(NlPayload::Payload(body))
        .build()
        .map_err(|error| lookup(&error))?;
    socket.send(&request).map_err(|error| lookup(&error))?;
    let (answers, _) =
        socket.recv::<GenlId, Genlmsghdr<CtrlCmd, CtrlAttr>>().map_err(|error| lookup(&error))?;
    for answer in answers {
        let answer: Nlmsghdr<GenlId, Genlmsghdr<CtrlCmd, CtrlAttr>> =
            answer.map_err(|error| lookup(&error))?;
        match answer.nl_payload() {
            NlPayload::Payload(body) => {
                return body
                    .attrs()
                    .get_attr_handle()
                    .get_attr_payload_as::<u16>(CtrlAttr::FamilyId)
                    .map(Some)
                    .map_err(|error| lookup(&error));
            }
            NlPayload::Err(error) if *error.error() == -(Errno::ENOENT as i32) => return Ok(None),
            NlPayload::Err(error) => return Err(lookup(&Errno::from_raw(error.error().saturating_neg()))),
            _ => {}
        }
    }
    Err(Error::NoAnswer("look up the IPVS family"))
}

/// Runs `modprobe ip_vs`; returns what came of it, in words.
fn modprobe() -> String {
    // A daemon's PATH may lack the directory of system programs.
    for program in ["modprobe", "/sbin/modprobe"] {
        match Command::new(program).arg("ip_vs").stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => {
                return "`modprobe ip_vs` succeeded, and there is still no family IPVS".to_owned();
            }
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stderr);
                return format!("`modprobe ip_vs` failed: {}", text.trim().replace('\n', "; "));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return format!("`modprobe ip_vs` could not be run: {error}"),
        }
    }
    "and there is no program `modprobe` here to load it with".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The controller itself is a family of every kernel, with a fixed number.
    #[test]
    fn families_are_found_by_name() {
        assert_eq!(find_family("nlctrl").unwrap(), Some(0x10));
        assert_eq!(find_family("no-such-thing").unwrap(), None);
    }

    #[test]
    fn a_socket_has_the_queue_that_was_asked_for() {
        set_receive_queue(50_000, false);
        let socket = Netlink::open().unwrap();
        set_receive_queue(0, false);
        // The kernel doubles it, for its own needs.
        let size = nix::sys::socket::getsockopt(&borrowed(&socket.0), RcvBuf).unwrap();
        assert_eq!(size, 100_000);
    }

    #[test]
    fn a_socket_without_an_answer_does_not_wait() {
        let error = Netlink::open().unwrap().receive(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
