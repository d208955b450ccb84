//! Adverts out: those that are due together leave by one system call.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn6, sendmsg};

use super::{AdvertSocket, DSCP_CS6, is_of_one_link};

/// Most adverts of one system call.
const TOGETHER: usize = 32;
const IPV4_HEADER: usize = 20;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::vrrp) struct Datagram<'a> {
    /// What follows the IP header; or the whole IPv4 packet.
    pub(in crate::vrrp) payload: &'a [u8],
    pub(in crate::vrrp) whole: bool,
    pub(in crate::vrrp) source: IpAddr,
    pub(in crate::vrrp) destination: IpAddr,
    pub(in crate::vrrp) ttl: u8,
}

impl AdvertSocket {
    /// Sends adverts in this order, each with its very source and TTL, marked CS6. One that fails keeps no other one
    /// back: `failed` hears of it, by its place in the list.
    pub(in crate::vrrp) fn send(
        &mut self,
        packets: &[Datagram<'_>],
        mut failed: impl FnMut(usize, io::Error),
    ) {
        if self.key.ipv6 {
            for (number, packet) in packets.iter().enumerate() {
                if let Err(error) = self.send_v6(packet) {
                    failed(number, error);
                }
            }
            return;
        }
        let mut done = 0;
        while let Some(rest) = packets.get(done..).filter(|rest| !rest.is_empty()) {
            match self.send_v4(rest) {
                Ok(sent) => done += sent.max(1),
                // The call fails for its first packet only.
                Err(error) => {
                    failed(done, error);
                    done += 1;
                }
            }
        }
    }

    /// Sends as many of them as one call takes, at least one unless it fails.
    fn send_v4(&mut self, packets: &[Datagram<'_>]) -> io::Result<usize> {
        // All zeros is a message without address and content.
        #[allow(unsafe_code)]
        // SAFETY: these are plain C structures of numbers and pointers, for which zero is a valid value.
        let (mut messages, mut addresses): (
            [libc::mmsghdr; TOGETHER],
            [libc::sockaddr_in; TOGETHER],
        ) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut headers = [[0; IPV4_HEADER]; TOGETHER];
        let mut parts: [_; TOGETHER] = std::array::from_fn(|_| [IoSlice::new(&[]), IoSlice::new(&[])]);
        let mut count = 0;
        let slots = addresses.iter_mut().zip(&mut headers).zip(&mut parts);
        for (packet, ((address, header), parts)) in packets.iter().zip(slots) {
            let filled = fill(packet, self.key.protocol, self.ip_id.wrapping_add(1), header);
            let header: &[u8] = header;
            let destination = match filled {
                Ok(destination) => destination,
                // The packets before it go first.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            };
            self.ip_id = self.ip_id.wrapping_add(1);
            address.sin_family = libc::AF_INET as libc::sa_family_t;
            address.sin_addr.s_addr = u32::from_ne_bytes(destination.octets());
            *parts = [IoSlice::new(if packet.whole { &[] } else { header }), IoSlice::new(packet.payload)];
            count += 1;
        }
        for ((message, address), parts) in messages.iter_mut().zip(&mut addresses).zip(&mut parts).take(count)
        {
            message.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
            message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            // IoSlice has the layout of an iovec (its documentation promises it).
            message.msg_hdr.msg_iov = parts.as_mut_ptr().cast();
            message.msg_hdr.msg_iovlen = parts.len() as _;
        }
        let most = libc::c_uint::try_from(count).unwrap_or(0);
        #[allow(unsafe_code)]
        // SAFETY: the first `count` messages point to addresses, parts and, by these, headers and payloads that all outlive
        // the call; the kernel writes nothing but `msg_len`.
        let sent = unsafe { libc::sendmmsg(self.socket.as_raw_fd(), messages.as_mut_ptr(), most, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn send_v6(&self, packet: &Datagram<'_>) -> io::Result<()> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination) else {
            return Err(mixed());
        };
        let scope = if is_of_one_link(destination) { self.index } else { 0 };
        let to = SockaddrIn6::from(std::net::SocketAddrV6::new(destination, 0, 0, scope));
        let info = libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
            ipi6_ifindex: if is_of_one_link(source) { self.index } else { 0 },
        };
        let hops = i32::from(packet.ttl);
        let control = [ControlMessage::Ipv6PacketInfo(&info), ControlMessage::Ipv6HopLimit(&hops)];
        let payload = [IoSlice::new(packet.payload)];
        sendmsg(self.socket.as_raw_fd(), &payload, &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }
}

/// Fills in the IPv4 header (the kernel adds the checksum) unless the packet has one, and says where it goes.
fn fill(
    packet: &Datagram<'_>,
    protocol: u8,
    identification: u16,
    header: &mut [u8; IPV4_HEADER],
) -> io::Result<Ipv4Addr> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.source, packet.destination) else {
        return Err(mixed());
    };
    if packet.whole {
        return Ok(destination);
    }
    let length = u16::try_from(IPV4_HEADER + packet.payload.len()).map_err(|_| too_long())?;
    let ([l0, l1], [i0, i1]) = (length.to_be_bytes(), identification.to_be_bytes());
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    *header = [
        0x45,
        DSCP_CS6 << 2,
        l0,
        l1,
        i0,
        i1,
        0,
        0,
        packet.ttl,
        protocol,
        0,
        0,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ];
    Ok(destination)
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "an advert does not fit into an IP packet")
}

fn mixed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "source and destination are of different families")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn packet(payload: &[u8]) -> Datagram<'_> {
        Datagram {
            payload,
            whole: false,
            source: Ipv4Addr::new(10, 0, 0, 1).into(),
            destination: Ipv4Addr::new(224, 0, 0, 18).into(),
            ttl: 255,
        }
    }

    #[test]
    fn the_header_is_that_of_an_advert() {
        let mut header = [0xee; IPV4_HEADER];
        let to = fill(&packet(&[1; 12]), 112, 0x1234, &mut header).unwrap();
        assert_eq!(to, Ipv4Addr::new(224, 0, 0, 18));
        assert_eq!(header[..12], [0x45, 0xc0, 0, 32, 0x12, 0x34, 0, 0, 255, 112, 0, 0]);
        assert_eq!(header[12..], [10, 0, 0, 1, 224, 0, 0, 18]);
    }

    #[test]
    fn what_cannot_be_sent_is_said() {
        let long = vec![0; 70_000];
        assert!(fill(&packet(&long), 112, 1, &mut [0; IPV4_HEADER]).is_err());
        let other = Datagram { source: Ipv6Addr::LOCALHOST.into(), ..packet(&[]) };
        assert!(fill(&other, 112, 1, &mut [0; IPV4_HEADER]).is_err());
    }

    /// As root, on the loopback interface, where only this test's protocol 253 (RFC 3692) is seen.
    #[test]
    fn all_arrive_in_order_and_one_that_fails_keeps_none_back() {
        let key = super::super::SocketKey { interface: "lo".to_owned(), ipv6: false, protocol: 253 };
        let mut socket = AdvertSocket::open(&key, 1).expect("a raw socket, as root");
        let payloads: Vec<[u8; 2]> = (0..100_u8).map(|number| [number, 7]).collect();
        let home = Ipv4Addr::LOCALHOST.into();
        let mut packets: Vec<Datagram<'_>> = payloads
            .iter()
            .map(|payload| Datagram { source: home, destination: home, ..packet(payload) })
            .collect();
        let long = vec![0; 70_000];
        for place in [0, 40, 41, 99] {
            packets[place].payload = &long;
        }
        let mut failed = Vec::new();
        socket.send(&packets, |number, _| failed.push(number));
        assert_eq!(failed, [0, 40, 41, 99]);
        let mut buffer = [0; 100];
        let mut arrived = Vec::new();
        while let Some(one) = socket.receive(&mut buffer).unwrap() {
            assert_eq!((one.source, one.ttl), (home, 255));
            arrived.extend(one.payload.first().copied());
        }
        let expected: Vec<u8> = (0..100).filter(|number| !failed.contains(&usize::from(*number))).collect();
        assert_eq!(arrived, expected);
    }
}
