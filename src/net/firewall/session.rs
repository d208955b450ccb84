//! A netfilter netlink socket: transactions, dumps, the generation number. The kernel works a datagram through before
//! `send` returns, so that every answer is there when we read.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::sockopt::{RcvBufForce, SndBufForce};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt,
    socket,
};

use super::encode::{self, GETGEN, GETRULE, GETSETELEM, GETTABLE};
use super::wire::{Attributes, Batch, F_ACK, F_DUMP, F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, messages, nft};
use super::{Content, Family, Found, SetName, Step, read};

/// Room for the answers to a large transaction, bytes.
const RECEIVE_QUEUE: usize = 4 << 20;
/// A dump's datagrams are at most 32 KiB.
const BUFFER: usize = 64 << 10;
/// Readings that a busy table may interrupt.
const READINGS: usize = 5;

/// Why the filter could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel has no nftables.
    #[error(
        "this kernel has no nftables ({detail}), so that no_accept and nftables_ipvs cannot be kept: load it with `modprobe nf_tables` (in containers: on the host)"
    )]
    Absent {
        /// What the kernel said.
        detail: String,
    },
    /// The network namespace that the tables are in cannot be entered.
    #[error(transparent)]
    Elsewhere(#[from] crate::net::space::Error),
    /// A system call failed.
    #[error("cannot {operation} the netfilter netlink socket: {source}")]
    Socket {
        /// `open`, `write to`, `read from`.
        operation: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused a request; of a transaction nothing was done.
    #[error("nftables: {operation}: {source}")]
    Refused {
        /// What was asked for.
        operation: String,
        /// The errno.
        source: io::Error,
    },
    /// An answer is missing.
    #[error("nftables: {operation}: no answer from the kernel")]
    NoAnswer {
        /// What was asked for.
        operation: String,
    },
    /// The table changed at every reading.
    #[error("nftables: {operation}: the table changed at every attempt to read it")]
    Unsteady {
        /// What was asked for.
        operation: String,
    },
}

impl Error {
    /// The errno of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// An open socket, in the network namespace of the thread that opened it.
pub(super) struct Session {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Session {
    pub(super) fn open() -> Result<Self, Error> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkNetFilter;
        let socket =
            socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).map_err(|errno| match errno {
                nix::Error::EPROTONOSUPPORT | nix::Error::EAFNOSUPPORT => {
                    Error::Absent { detail: format!("socket: {errno}") }
                }
                _ => Error::Socket { operation: "open", source: errno.into() },
            })?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))
            .map_err(|errno| Error::Socket { operation: "open", source: errno.into() })?;
        // Without the right to it the queue stays at the system's limit: a large transaction is then refused visibly.
        let _ = setsockopt(&socket, RcvBufForce, &RECEIVE_QUEUE);
        Ok(Self { socket, sequence: 1, buffer: vec![0; BUFFER] })
    }

    /// All of these steps, or none.
    pub(super) fn commit(&mut self, steps: &[Step]) -> Result<(), Error> {
        let first = self.sequence;
        let (datagram, labels) = encode::transaction(steps, first);
        self.sequence = first.wrapping_add(u32::try_from(labels.len()).unwrap_or(u32::MAX));
        self.send(&datagram)?;
        let mut acknowledged = 0;
        let mut refused = None;
        self.receive_all(|message| {
            if message.kind != NLMSG_ERROR {
                return;
            }
            let which = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
            match (labels.get(which), message.errno()) {
                (Some(_), Some(0)) => acknowledged += 1,
                (Some(label), Some(errno)) => _ = refused.get_or_insert((label.clone(), errno)),
                _ => {}
            }
        })?;
        if let Some((operation, errno)) = refused {
            return Err(refusal(operation, errno));
        }
        // All but the two that frame the transaction ask for an answer.
        if acknowledged + 2 < labels.len() {
            return Err(Error::NoAnswer { operation: "the transaction".to_owned() });
        }
        Ok(())
    }

    /// A number that changes with every change of any table.
    pub(super) fn generation(&mut self) -> Result<u32, Error> {
        let mut generation = None;
        self.request(
            "reading the generation",
            GETGEN,
            0,
            Family::Ip,
            |_| {},
            |payload| {
                generation = read::generation(payload);
            },
        )?;
        generation.ok_or_else(|| Error::NoAnswer { operation: "reading the generation".to_owned() })
    }

    /// The table of this name, if there is one, with the sets of that content.
    pub(super) fn read(
        &mut self,
        content: Content,
        family: Family,
        name: &str,
    ) -> Result<Option<Found>, Error> {
        let table = |a: &mut Attributes<'_>| a.text(1, name);
        let operation = format!("reading table {family} {name}");
        match self.request(&operation, GETTABLE, 0, family, table, |_| {}) {
            Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(None),
            other => _ = other?,
        }
        let mut found = Found::default();
        self.dump(&operation, GETRULE, family, table, |parts| found.rules = read::rules(&parts))?;
        for set in SetName::of(content, family) {
            let body = |a: &mut Attributes<'_>| {
                a.text(1, name);
                a.text(2, set.text());
            };
            let operation = format!("reading {} of table {family} {name}", set.text());
            let result = self.dump(&operation, GETSETELEM, family, body, |parts| {
                _ = found.sets.insert(*set, read::elements(&parts));
            });
            match result {
                Err(error) if error.errno() == Some(libc::ENOENT) => {}
                other => other?,
            }
        }
        Ok(Some(found))
    }

    fn dump(
        &mut self,
        operation: &str,
        kind: u16,
        family: Family,
        body: impl Fn(&mut Attributes<'_>),
        done: impl FnOnce(Vec<Vec<u8>>),
    ) -> Result<(), Error> {
        for _ in 0..READINGS {
            let mut parts = Vec::new();
            let steady =
                self.request(operation, kind, F_DUMP, family, &body, |part| parts.push(part.to_vec()))?;
            if steady {
                done(parts);
                return Ok(());
            }
        }
        Err(Error::Unsteady { operation: operation.to_owned() })
    }

    /// One request and its answers; each answer's payload goes to `part`. False: the dump may have holes.
    fn request(
        &mut self,
        operation: &str,
        kind: u16,
        flags: u16,
        family: Family,
        body: impl FnOnce(&mut Attributes<'_>),
        mut part: impl FnMut(&[u8]),
    ) -> Result<bool, Error> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let mut batch = Batch::default();
        let flags = if flags == 0 { F_ACK } else { flags };
        batch.message(nft(kind), flags, sequence, encode::number(family), 0, body);
        self.send(&batch.bytes)?;
        let (mut end, mut steady) = (None, true);
        let mut answers = |message: super::wire::Message<'_>| {
            if message.sequence != sequence {
                return;
            }
            steady &= message.flags & F_DUMP_INTR == 0;
            match message.kind {
                NLMSG_ERROR | NLMSG_DONE => end = Some(message.errno().unwrap_or(0)),
                _ => part(message.payload),
            }
        };
        // A dump comes as we read: the kernel writes its next part when there is room again.
        self.receive_all(&mut answers)?;
        match end {
            Some(0) => Ok(steady),
            Some(errno) => Err(refusal(operation.to_owned(), errno)),
            None => Err(Error::NoAnswer { operation: operation.to_owned() }),
        }
    }

    fn send(&mut self, datagram: &[u8]) -> Result<(), Error> {
        // The kernel counts more than the bytes themselves.
        let _ = setsockopt(&self.socket, SndBufForce, &(datagram.len() * 2 + BUFFER));
        sendto(self.socket.as_raw_fd(), datagram, &NetlinkAddr::new(0, 0), MsgFlags::empty())
            .map(|_| ())
            .map_err(|errno| Error::Socket { operation: "write to", source: errno.into() })
    }

    /// Everything that is in the receive queue.
    fn receive_all(&mut self, mut each: impl FnMut(super::wire::Message<'_>)) -> Result<(), Error> {
        loop {
            let length = match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Ok(length) => length,
                Err(nix::Error::EAGAIN) => return Ok(()),
                Err(nix::Error::EINTR) => continue,
                Err(errno) => return Err(Error::Socket { operation: "read from", source: errno.into() }),
            };
            for message in messages(self.buffer.get(..length).unwrap_or_default()) {
                each(message);
            }
        }
    }
}

fn refusal(operation: String, errno: i32) -> Error {
    let source = io::Error::from_raw_os_error(errno);
    match errno {
        libc::EOPNOTSUPP | libc::EINVAL if operation.contains("generation") => {
            Error::Absent { detail: source.to_string() }
        }
        _ => Error::Refused { operation, source },
    }
}

/// True when the kernel lacks what sends multicast reports by the parent (`dup`): the rest works without.
pub(super) fn lacks_reports(error: &Error) -> bool {
    let Error::Refused { operation, .. } = error else { return false };
    operation.contains("multicast reports") && matches!(error.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP))
}
