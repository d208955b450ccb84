//! The sockets that answers to our [questions](super::question) come in by. They wake nobody: the vrrp thread reads them
//! when it has the next question to ask, so that a LAN full of neighbours costs it nothing.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::question::{arp_answer, neighbour_answer};

const ETH_P_ARP: u16 = 0x0806;
const ADVERTISEMENT: usize = 136;
/// Received at most so many in one go.
const AT_ONCE: usize = 64;
/// A frame or message with room to spare.
const LONGEST: usize = 512;

/// ARP replies to nobody (0.0.0.0), whole frames.
const FILTER: [(u16, u8, u8, u32); 6] = [
    // Half word at 20, the operation: 2, reply.
    (0x28, 0, 0, 20),
    (0x15, 0, 3, 2),
    // Word at 38, the target's address: 0.0.0.0.
    (0x20, 0, 0, 38),
    (0x15, 0, 1, 0),
    (0x06, 0, 0, 0xffff),
    (0x06, 0, 0, 0),
];

/// Both families' sockets.
#[derive(Debug)]
pub(super) struct Answers {
    arp: Socket,
    /// `None` where the kernel has no IPv6.
    neighbour: Option<Socket>,
}

impl Answers {
    /// Opens them. Needs CAP_NET_RAW.
    pub(super) fn open() -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(ETH_P_ARP.to_be()));
        let arp = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
        arp.set_nonblocking(true)?;
        arp.attach_filter(&FILTER.map(|(code, yes, no, value)| SockFilter::new(code, yes, no, value)))?;
        Ok(Self { arp, neighbour: neighbour().ok() })
    }

    /// What came in since the last time: addresses that somebody holds, and the hardware address of who says so.
    pub(super) fn receive(&self) -> Vec<(IpAddr, [u8; 6])> {
        let mut found = Vec::new();
        let mut buffer = [0; LONGEST];
        for (socket, read) in [
            (Some(&self.arp), arp_answer as fn(&[u8]) -> Option<(IpAddr, [u8; 6])>),
            (self.neighbour.as_ref(), neighbour_answer),
        ] {
            let Some(mut socket) = socket else { continue };
            for _ in 0..AT_ONCE {
                // Nothing there, or an error that the next question meets again: no answer.
                let Ok(length) = io::Read::read(&mut socket, &mut buffer) else { break };
                found.extend(buffer.get(..length).and_then(read));
            }
        }
        found
    }
}

/// A socket for neighbour advertisements alone.
#[allow(unsafe_code)]
fn neighbour() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
    socket.set_nonblocking(true)?;
    // struct icmp6_filter: a set bit keeps a type out.
    let mut filter = [u32::MAX; 8];
    if let Some(word) = filter.get_mut(ADVERTISEMENT / 32) {
        *word &= !(1 << (ADVERTISEMENT % 32));
    }
    let length = libc::socklen_t::try_from(size_of_val(&filter)).unwrap_or(32);
    // SAFETY: the pointer and the length describe `filter`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_ICMPV6,
            ICMP6_FILTER,
            std::ptr::from_ref(&filter).cast(),
            length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// `linux/icmpv6.h`.
const ICMP6_FILTER: libc::c_int = 1;
