//! The UDP sockets of the bfd thread: one a port and family to listen on, one a session to send from (RFC 5881
//! section 4: its source port stays the same). They carry bytes and judge nothing.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::accept::Datagram;

/// UDP port of single-hop sessions (RFC 5881 section 4).
const SINGLE_HOP: u16 = 3784;
/// UDP port of multihop sessions (RFC 5883 section 5).
const MULTIHOP: u16 = 4784;
/// The first source port allowed (RFC 5881 section 4); the last one is 65535.
const FIRST_SOURCE_PORT: u16 = 49152;
const SOURCE_PORTS: u16 = u16::MAX - FIRST_SOURCE_PORT + 1;
/// Source ports that are tried before the session has to wait for its next packet.
const PORT_TRIES: u16 = 256;
/// DSCP CS6, internetwork control, as the upper six bits of the traffic class.
const CLASS: u32 = 48 << 2;

/// Where a listener listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) ipv6: bool,
    pub(super) multihop: bool,
}

impl Port {
    pub(super) const fn number(self) -> u16 {
        if self.multihop { MULTIHOP } else { SINGLE_HOP }
    }
}

const fn unspecified(ipv6: bool) -> IpAddr {
    if ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
}

fn udp(ipv6: bool) -> io::Result<Socket> {
    let socket =
        Socket::new(Domain::for_address((unspecified(ipv6), 0).into()), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if ipv6 {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// A socket that packets arrive on.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    port: Port,
}

impl Listener {
    pub(super) fn open(port: Port) -> io::Result<Self> {
        let socket = udp(port.ipv6)?;
        if port.ipv6 {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
        }
        socket.bind(&SocketAddr::new(unspecified(port.ipv6), port.number()).into())?;
        Ok(Self { socket, port })
    }

    /// The next datagram, or `None` when there is none. Without a TTL or a destination (the kernel always gives both)
    /// it comes with TTL 0 and the unspecified address, and is refused and counted.
    pub(super) fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Datagram<'a>>> {
        let mut control = cmsg_space!(libc::in6_pktinfo, i32);
        let (length, source, ttl, destination) = {
            let mut parts = [IoSliceMut::new(buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = match recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                flags,
            ) {
                Ok(message) => message,
                Err(nix::Error::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let mut ttl = 0;
            let mut destination = unspecified(self.port.ipv6);
            for part in message.cmsgs()? {
                match part {
                    ControlMessageOwned::Ipv4Ttl(value) | ControlMessageOwned::Ipv6HopLimit(value) => {
                        ttl = u8::try_from(value).unwrap_or(0);
                    }
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        destination = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into();
                    }
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        destination = Ipv6Addr::from(info.ipi6_addr.s6_addr).into();
                    }
                    _ => {}
                }
            }
            (message.bytes, message.address.and_then(address), ttl, destination)
        };
        let payload = buffer.get(..length).unwrap_or_default();
        let source = source.unwrap_or(unspecified(self.port.ipv6));
        Ok(Some(Datagram { payload, source, destination, ttl, multihop: self.port.multihop }))
    }
}

fn address(storage: SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The socket that one session sends from. It is opened with the first packet that finds the source address there: a
/// virtual address may come later.
#[derive(Debug)]
pub(super) struct Sender {
    socket: Option<Socket>,
    neighbour: SocketAddr,
    source: Option<IpAddr>,
    ttl: u8,
    first_port: u16,
}

impl Sender {
    /// `random` chooses the source port.
    pub(super) fn new(
        neighbour: IpAddr,
        multihop: bool,
        source: Option<IpAddr>,
        ttl: u8,
        random: u16,
    ) -> Self {
        let port = Port { ipv6: neighbour.is_ipv6(), multihop };
        Self {
            socket: None,
            neighbour: SocketAddr::new(neighbour, port.number()),
            source,
            ttl,
            first_port: random % SOURCE_PORTS,
        }
    }

    /// Another TTL from the next packet on.
    pub(super) fn set_ttl(&mut self, ttl: u8) -> io::Result<()> {
        self.ttl = ttl;
        self.socket.as_ref().map_or(Ok(()), |socket| self.apply_ttl(socket))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => self.open()?,
        };
        let result = socket.send_to(bytes, &self.neighbour.into()).map(|_| ());
        self.socket = Some(socket);
        result
    }

    fn apply_ttl(&self, socket: &Socket) -> io::Result<()> {
        if self.neighbour.is_ipv6() {
            socket.set_unicast_hops_v6(u32::from(self.ttl))
        } else {
            socket.set_ttl_v4(u32::from(self.ttl))
        }
    }

    fn open(&self) -> io::Result<Socket> {
        let ipv6 = self.neighbour.is_ipv6();
        let socket = udp(ipv6)?;
        self.apply_ttl(&socket)?;
        // Only a hint to routers and queues: a kernel that refuses it changes nothing that matters.
        let _ = if ipv6 { socket.set_tclass_v6(CLASS) } else { socket.set_tos_v4(CLASS) };
        // Nothing is ever read from it: what strangers send to it shall not pile up.
        let _ = socket.set_recv_buffer_size(0);
        let source = self.source.unwrap_or(unspecified(ipv6));
        let mut result = Err(io::ErrorKind::AddrInUse.into());
        for step in 0..PORT_TRIES {
            let port =
                FIRST_SOURCE_PORT + (u32::from(self.first_port) + u32::from(step)) as u16 % SOURCE_PORTS;
            result = socket.bind(&SocketAddr::new(source, port).into());
            if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
                break;
            }
        }
        result.map(|()| socket)
    }
}
