//! Requests to the kernel and its answers, matched by sequence number, over any transport (the netlink socket, or the
//! model kernel of the tests).
//!
//! Netlink works through a datagram's messages within `send`: when that returns, every answer is in the receive
//! queue. So only the last message of a batch asks for an acknowledgement; errors of the others come with their own
//! sequence number, their success is silence. The kernel goes on after an error: a batch is no transaction.

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;

use crate::ipvs::codec;
use crate::ipvs::diff::Change;
use crate::ipvs::names::Refusal;
use crate::ipvs::table::{ServiceKey, Table, VirtualService};
use crate::ipvs::wire::{self, Attributes, Batch, DecodeError, Messages};

/// Most changes in one datagram: it runs as one system call, and its errors must fit into the receive queue.
pub const BATCH: usize = 64;
/// Readings that a busy table may interrupt before we give up until later.
const READINGS: usize = 5;
/// A dump's datagrams are at most 32 KiB.
const BUFFER: usize = 64 * 1024;

/// Carries datagrams to the kernel and back.
pub trait Transport {
    /// Sends one datagram. The kernel has worked through it when this returns.
    ///
    /// # Errors
    /// Those of send(2).
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Takes one datagram; returns its real length, which is more than the buffer's when it was cut. Does not wait:
    /// an answer that is not there will not come.
    ///
    /// # Errors
    /// Those of recv(2); `WouldBlock` when there is none.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Why nothing is known any more about requests under way: connect again, and read the table.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No IPVS in the kernel.
    #[error(
        "this kernel has no IPVS ({detail}): load it with `modprobe ip_vs` (in containers: on the host), or use a kernel with CONFIG_IP_VS"
    )]
    NoIpvs {
        /// What was tried.
        detail: String,
    },
    /// The network namespace that IPVS is in cannot be entered, in the words of whoever tried.
    #[error("{0}")]
    Elsewhere(String),
    /// The generic netlink family could not be looked up, for another reason than its absence.
    #[error("cannot look up the kernel's IPVS interface: {0}")]
    Lookup(String),
    /// A system call failed.
    #[error("cannot {operation} the IPVS netlink socket: {source}")]
    Socket {
        /// `open`, `write to`, `read from`.
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// No answer to a request that has one.
    #[error("the kernel did not answer when asked to {0}")]
    NoAnswer(&'static str),
    /// Answers were dropped.
    #[error("answers of the kernel were lost when asked to {0}")]
    Lost(&'static str),
    /// Bytes that make no sense.
    #[error("cannot understand the kernel's answer when asked to {operation}: {source}")]
    Decode {
        /// What was asked.
        operation: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
    /// Reading was refused.
    #[error("the kernel refused to {operation}: {} ({}){}", Errno::from_raw(*errno), errno, cure(*errno))]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// The error number, positive.
        errno: i32,
    },
    /// The table changed each time while it was read.
    #[error("the IPVS table changed during each of {READINGS} readings; it is read again later")]
    Restless,
}

fn cure(errno: i32) -> &'static str {
    match Errno::from_raw(errno) {
        Errno::EPERM | Errno::EACCES => ": run as root, or with CAP_NET_ADMIN",
        _ => "",
    }
}

mod counts;
mod settings;

pub use counts::Zeroed;

/// How a reading ended, apart from errors.
enum Reading {
    Whole,
    Interrupted,
    Abandoned,
}

/// One connection to the kernel's IPVS.
#[derive(Debug)]
pub struct Session<T> {
    transport: T,
    family: u16,
    sequence: u32,
    batch: Batch,
    buffer: Vec<u8>,
}

impl<T: Transport> Session<T> {
    /// Over a transport; `family` is the number of the generic netlink family.
    pub fn new(transport: T, family: u16) -> Self {
        Self { transport, family, sequence: 0, batch: Batch::new(), buffer: vec![0; BUFFER] }
    }

    /// Sends the changes in one datagram (so at most [`BATCH`] of them), in order. Returns those that were refused,
    /// with their index; the others are done.
    ///
    /// # Errors
    /// When it cannot be told what was done.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<(usize, Refusal)>, Error> {
        const OPERATION: &str = "change the IPVS table";
        let mut refusals = Vec::new();
        let Some(last) = changes.len().checked_sub(1) else { return Ok(refusals) };
        let first = self.sequence.wrapping_add(1);
        self.batch.clear();
        for change in changes {
            self.sequence = self.sequence.wrapping_add(1);
            codec::change(&mut self.batch, self.family, self.sequence, change);
        }
        self.batch.acknowledge_last();
        send(&mut self.transport, &self.batch)?;
        loop {
            let length = receive(&mut self.transport, &mut self.buffer, OPERATION)?;
            for message in Messages::new(&self.buffer[..length]) {
                let message = message.map_err(|source| Error::Decode { operation: OPERATION, source })?;
                if message.kind == wire::NLMSG_OVERRUN {
                    return Err(Error::Lost(OPERATION));
                }
                let index = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let Some(change) = changes.get(index).filter(|_| message.kind == wire::NLMSG_ERROR) else {
                    continue;
                };
                let errno = message
                    .error_number()
                    .map_err(|source| Error::Decode { operation: OPERATION, source })?;
                if errno != 0 {
                    refusals.push((index, Refusal { change: change.clone(), errno }));
                }
                if index == last {
                    return Ok(refusals);
                }
            }
        }
    }

    /// Reads the services named in `wanted` (`None`: all) with their destinations. `abandon` is asked before each
    /// service's destinations; once it says true the reading stops and gives `None`.
    ///
    /// # Errors
    /// When the table could not be read as a whole.
    pub fn read(
        &mut self,
        wanted: Option<&BTreeSet<ServiceKey>>,
        abandon: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Table>, Error> {
        for _ in 0..READINGS {
            let mut table = Table::new();
            match self.read_once(wanted, &mut table, abandon)? {
                Reading::Whole => return Ok(Some(table)),
                Reading::Abandoned => return Ok(None),
                Reading::Interrupted => {}
            }
        }
        Err(Error::Restless)
    }

    fn read_once(
        &mut self,
        wanted: Option<&BTreeSet<ServiceKey>>,
        table: &mut Table,
        abandon: &mut dyn FnMut() -> bool,
    ) -> Result<Reading, Error> {
        let services = self.dump("read the IPVS services", codec::dump_services, |attributes| {
            // A foreign service may be of a kind that we do not understand: only its key is looked at.
            if let Some(raw) = codec::service_key(attributes)?
                && wanted.is_none_or(|wanted| wanted.contains(&raw.key))
            {
                let service = raw.settings()?;
                table.insert(raw.key, VirtualService { service, destinations: [].into() });
            }
            Ok(())
        })?;
        if let Reading::Interrupted = services {
            return Ok(services);
        }
        for (key, entry) in table.iter_mut() {
            if abandon() {
                return Ok(Reading::Abandoned);
            }
            let destinations = self.dump(
                "read the destinations of an IPVS service",
                |batch, family, sequence| codec::dump_destinations(batch, family, sequence, key),
                |attributes| {
                    let (destination, settings) = codec::destination(attributes, key.family())?;
                    entry.destinations.insert(destination, settings);
                    Ok(())
                },
            )?;
            if let Reading::Interrupted = destinations {
                return Ok(destinations);
            }
        }
        Ok(Reading::Whole)
    }

    fn dump(
        &mut self,
        operation: &'static str,
        request: impl FnOnce(&mut Batch, u16, u32),
        mut each: impl FnMut(Attributes<'_>) -> Result<(), DecodeError>,
    ) -> Result<Reading, Error> {
        let decode = |source| Error::Decode { operation, source };
        self.sequence = self.sequence.wrapping_add(1);
        self.batch.clear();
        request(&mut self.batch, self.family, self.sequence);
        send(&mut self.transport, &self.batch)?;
        let mut reading = Reading::Whole;
        loop {
            let length = receive(&mut self.transport, &mut self.buffer, operation)?;
            for message in Messages::new(&self.buffer[..length]) {
                let message = message.map_err(decode)?;
                if message.kind == wire::NLMSG_OVERRUN {
                    return Err(Error::Lost(operation));
                }
                if message.sequence != self.sequence {
                    continue;
                }
                if message.flags & wire::NLM_F_DUMP_INTR != 0 {
                    reading = Reading::Interrupted;
                }
                match message.kind {
                    wire::NLMSG_DONE | wire::NLMSG_ERROR => {
                        return match message.error_number().map_err(decode)? {
                            0 => Ok(reading),
                            errno if errno == Errno::EINTR as i32 => Ok(Reading::Interrupted),
                            // No such family, any more: a dump of an existing one has no reason to say so.
                            errno if errno == Errno::ENOENT as i32 => {
                                Err(Error::NoIpvs { detail: "its module was unloaded".to_owned() })
                            }
                            errno => Err(Error::Refused { operation, errno }),
                        };
                    }
                    kind if kind == self.family => {
                        each(message.generic().map_err(decode)?.1).map_err(decode)?;
                    }
                    _ => {}
                }
            }
        }
    }
}

fn send(transport: &mut impl Transport, batch: &Batch) -> Result<(), Error> {
    loop {
        match transport.send(batch.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(|source| Error::Socket { operation: "write to", source }),
        }
    }
}

fn receive(
    transport: &mut impl Transport,
    buffer: &mut [u8],
    operation: &'static str,
) -> Result<usize, Error> {
    loop {
        return match transport.receive(buffer) {
            Ok(length) if length > buffer.len() => Err(Error::Lost(operation)),
            Ok(0) => Err(Error::NoAnswer(operation)),
            Ok(length) => Ok(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Error::NoAnswer(operation)),
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => Err(Error::Lost(operation)),
            Err(source) => Err(Error::Socket { operation: "read from", source }),
        };
    }
}

#[cfg(test)]
mod tests;
