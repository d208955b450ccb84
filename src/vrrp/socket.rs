//! The raw sockets of the vrrp thread: one IP socket for each interface and family, shared by its instances, and one
//! packet socket for announcements. They carry bytes and judge nothing.

mod filter;
mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, Socket, Type};

use super::auth::ah;
use super::datagram::{Arrived, dissect};
pub(super) use send::Datagram;

/// DSCP CS6, internetwork control: what keepalived marks adverts with.
const DSCP_CS6: u8 = 48;
/// `linux/in6.h`; libc has it for some targets only.
const IPV6_MULTICAST_ALL: libc::c_int = 29;

/// Which socket: interface (empty = any, of unicast without interface), family and IP protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SocketKey {
    pub(super) interface: String,
    pub(super) ipv6: bool,
    /// 112 (VRRP, RFC 9568 section 5.1.1.4), or 51 (AH in front of it).
    pub(super) protocol: u8,
}

/// The IP socket of one interface.
#[derive(Debug)]
pub(super) struct AdvertSocket {
    socket: Socket,
    index: u32,
    key: SocketKey,
    groups: BTreeSet<IpAddr>,
    /// Size of its receive buffer as last asked for.
    room: usize,
    /// The virtual routers whose adverts the kernel lets through; `None` = all.
    vrids: Option<BTreeSet<u8>>,
    ip_id: u16,
}

impl AdvertSocket {
    /// Opens a raw socket bound to the interface. Needs CAP_NET_RAW.
    pub(super) fn open(key: &SocketKey, index: u32) -> io::Result<Self> {
        let domain = if key.ipv6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(key.protocol))))?;
        socket.set_nonblocking(true)?;
        if !key.interface.is_empty() {
            socket.bind_device(Some(key.interface.as_bytes()))?;
        }
        if key.ipv6 {
            set_multicast_all_v6(&socket)?;
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_hops_v6(255)?;
            socket.set_unicast_hops_v6(255)?;
            if index != 0 {
                socket.set_multicast_if_v6(index)?;
            }
            socket.set_tclass_v6(u32::from(DSCP_CS6) << 2)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
        } else {
            socket.set_header_included_v4(true)?;
            // Else every socket of the host gets every group that any of them joined.
            socket.set_multicast_all_v4(false)?;
            // Our own adverts are not for us.
            socket.set_multicast_loop_v4(false)?;
        }
        Ok(Self { socket, index, key: key.clone(), groups: BTreeSet::new(), room: 0, vrids: None, ip_id: 0 })
    }

    /// Kernel index of its interface.
    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    /// The size of the receive buffer, in bytes; beyond the system's limit where that is allowed.
    pub(super) fn receive_buffer(&mut self, bytes: usize) {
        if self.room == bytes {
            return;
        }
        self.room = bytes;
        // A smaller buffer than wished only matters in a flood, and the socket works.
        if setsockopt(&self.socket, sockopt::RcvBufForce, &bytes).is_err() {
            let _ = self.socket.set_recv_buffer_size(bytes);
        }
    }

    /// Lets the kernel drop the adverts of all other virtual routers; `None` = everything comes.
    pub(super) fn listen_to(&mut self, vrids: Option<BTreeSet<u8>>) {
        if self.vrids == vrids {
            return;
        }
        // Without it more comes than is needed, and nothing else changes.
        let _ = match &vrids {
            None => self.socket.detach_filter(),
            Some(vrids) => {
                let ahead = if self.key.protocol == ah::PROTOCOL { ah::HEADER as u32 } else { 0 };
                let program = filter::program(vrids, self.key.ipv6, ahead);
                let program: Vec<SockFilter> =
                    program.into_iter().map(|(code, yes, no, k)| SockFilter::new(code, yes, no, k)).collect();
                self.socket.attach_filter(&program)
            }
        };
        self.vrids = vrids;
    }

    /// Joins a group once.
    pub(super) fn join(&mut self, group: IpAddr) -> io::Result<()> {
        if self.groups.contains(&group) {
            return Ok(());
        }
        match group {
            IpAddr::V4(group) => {
                self.socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(self.index))?;
            }
            IpAddr::V6(group) => self.socket.join_multicast_v6(&group, self.index)?,
        }
        self.groups.insert(group);
        Ok(())
    }

    /// The next datagram, or `None` when there is none.
    pub(super) fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Arrived<'a>>> {
        if self.key.ipv6 {
            return self.receive_v6(buffer);
        }
        let mut reader = &self.socket;
        match io::Read::read(&mut reader, buffer) {
            Ok(length) => Ok(Some(dissect(buffer.get(..length).unwrap_or_default()))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive_v6<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Arrived<'a>>> {
        let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
        let (length, source, destination, ttl) = {
            let mut parts = [IoSliceMut::new(buffer)];
            let message = match recvmsg::<SockaddrIn6>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::empty(),
            ) {
                Ok(message) => message,
                Err(nix::Error::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let source = message.address.map_or(Ipv6Addr::UNSPECIFIED, |address| address.ip());
            let (mut destination, mut ttl) = (Ipv6Addr::UNSPECIFIED, 0);
            for item in message.cmsgs()? {
                match item {
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        destination = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    }
                    ControlMessageOwned::Ipv6HopLimit(hops) => ttl = u8::try_from(hops).unwrap_or(0),
                    _ => {}
                }
            }
            (message.bytes, source, destination, ttl)
        };
        let payload = buffer.get(..length).unwrap_or_default();
        Ok(Some(Arrived {
            payload,
            packet: &[],
            source: source.into(),
            destination: destination.into(),
            ttl,
        }))
    }
}

impl AsFd for AdvertSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Addresses that mean nothing without their interface.
fn is_of_one_link(address: Ipv6Addr) -> bool {
    let link_local_group = address.is_multicast() && address.octets()[1] & 0x0f <= 2;
    link_local_group || address.is_unicast_link_local()
}

/// IPV6_MULTICAST_ALL off: only groups that this socket itself has joined (Linux 4.20; older kernels do not know it,
/// and then hand over more, which the instances refuse by its VRID).
#[allow(clippy::unnecessary_wraps, reason = "an error on known kernels would be one")]
fn set_multicast_all_v6(socket: &Socket) -> io::Result<()> {
    let off: libc::c_int = 0;
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the pointer and the length describe `off`, which outlives the call.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            IPV6_MULTICAST_ALL,
            std::ptr::from_ref(&off).cast(),
            length,
        )
    };
    let error = (result < 0).then(io::Error::last_os_error);
    match error.and_then(|e| e.raw_os_error().map(|code| (code, e))) {
        Some((code, error)) if code != libc::ENOPROTOOPT => Err(error),
        _ => Ok(()),
    }
}

/// The sockets of all interfaces that instances use.
pub(super) type AdvertSockets = BTreeMap<SocketKey, AdvertSocket>;
/// The packet socket that announcements leave by, on any interface.
#[derive(Debug)]
pub(super) struct FrameSocket(Socket);

impl FrameSocket {
    /// Opens it; protocol 0, so that nothing is ever received. Needs CAP_NET_RAW.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Sends a whole Ethernet frame on that interface.
    #[allow(unsafe_code)]
    pub(super) fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: sockaddr_ll is plain old data; all zeros is a valid value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_ifindex = i32::try_from(index).unwrap_or(0);
        address.sll_halen = 6;
        for (to, from) in address.sll_addr.iter_mut().zip(frame.iter().take(6)) {
            *to = *from;
        }
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(0);
        // SAFETY: the pointers and lengths describe `frame` and `address`, which outlive the call.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                std::ptr::from_ref(&address).cast(),
                length,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
