//! The raw sockets of the vrrp thread: one IP socket an interface, shared by its instances, and one packet
//! socket for announcements. They carry bytes and judge nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use pnet_packet::ip::IpNextHeaderProtocol;
use pnet_packet::ipv4::MutableIpv4Packet;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

pub(super) use super::datagram::Arrived;
use super::datagram::dissect;

/// IP protocol number of VRRP (RFC 9568 section 5.1.1.4).
const VRRP: u8 = 112;
/// TTL of adverts (RFC 9568 section 5.1.1.3).
const TTL: u8 = 255;
/// DSCP CS6, internetwork control: what keepalived marks adverts with.
const DSCP_CS6: u8 = 48;
const IPV4_HEADER: usize = 20;

/// The IP socket of one interface.
#[derive(Debug)]
pub(super) struct AdvertSocket {
    socket: Socket,
    index: u32,
    groups: BTreeSet<Ipv4Addr>,
    ip_id: u16,
}

impl AdvertSocket {
    /// Opens a raw socket bound to the interface. Needs CAP_NET_RAW.
    pub(super) fn open(name: &str, index: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(i32::from(VRRP))))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.set_header_included_v4(true)?;
        // Else every socket of the host gets every group that any of them joined.
        socket.set_multicast_all_v4(false)?;
        // Our own adverts are not for us.
        socket.set_multicast_loop_v4(false)?;
        socket.set_multicast_ttl_v4(u32::from(TTL))?;
        Ok(Self { socket, index, groups: BTreeSet::new(), ip_id: 0 })
    }

    /// Kernel index of its interface.
    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    /// Joins a group once.
    pub(super) fn join(&mut self, group: Ipv4Addr) -> io::Result<()> {
        if self.groups.contains(&group) {
            return Ok(());
        }
        self.socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(self.index))?;
        self.groups.insert(group);
        Ok(())
    }

    /// Sends one advert with an IP header of our own: TTL 255, CS6, that very source.
    pub(super) fn send(&mut self, payload: &[u8], source: Ipv4Addr, destination: Ipv4Addr) -> io::Result<()> {
        self.ip_id = self.ip_id.wrapping_add(1);
        let total = IPV4_HEADER + payload.len();
        let too_long =
            || io::Error::new(io::ErrorKind::InvalidInput, "an advert does not fit into an IP packet");
        let length = u16::try_from(total).map_err(|_| too_long())?;
        let mut bytes = vec![0; total];
        let mut packet = MutableIpv4Packet::new(&mut bytes).ok_or_else(too_long)?;
        packet.set_version(4);
        packet.set_header_length(5);
        packet.set_dscp(DSCP_CS6);
        packet.set_total_length(length);
        packet.set_identification(self.ip_id);
        packet.set_ttl(TTL);
        packet.set_next_level_protocol(IpNextHeaderProtocol(VRRP));
        packet.set_source(source);
        packet.set_destination(destination);
        packet.set_payload(payload);
        // The kernel fills in the header checksum.
        self.socket.send_to(&bytes, &SocketAddrV4::new(destination, 0).into()).map(|_| ())
    }

    /// The next datagram, or `None` when there is none.
    pub(super) fn receive<'a>(&self, buffer: &'a mut [MaybeUninit<u8>]) -> io::Result<Option<Arrived<'a>>> {
        let length = match self.socket.recv(buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        // SAFETY: recv initialised the first `length` bytes of the buffer.
        #[allow(unsafe_code)]
        let bytes: &'a [u8] = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), length) };
        Ok(Some(dissect(bytes)))
    }
}

impl AsFd for AdvertSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sockets of all interfaces that instances use, by interface name.
pub(super) type AdvertSockets = BTreeMap<String, AdvertSocket>;

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
