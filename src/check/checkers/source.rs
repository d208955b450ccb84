//! Sockets of checks, bound to where the file says that they come from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::io_failure;
use crate::check::outcome::Failure;
use crate::check::plan::Target;

/// A TCP socket, not connected yet.
///
/// # Errors
/// [`Failure::NoPort`], [`Failure::Source`] and errors of the operating system.
pub fn tcp(target: &Target) -> Result<Socket, Failure> {
    need_port(target)?;
    let made = || {
        let socket = socket(target, Type::STREAM, None)?;
        if target.bind_port.is_some() {
            // The same four numbers again at the next check: neither the port nor the connection may linger.
            socket.set_reuse_address(true)?;
            socket.set_linger(Some(std::time::Duration::ZERO))?;
        }
        bind(&socket, target, target.bind_port)?;
        Ok(socket)
    };
    made().map_err(|error| failure(target, &error))
}

/// A UDP socket, connected, that is told of every ICMP error.
///
/// # Errors
/// As [`tcp`], and what the kernel knows at once about the way to the target.
pub fn udp(target: &Target) -> Result<UdpSocket, Failure> {
    need_port(target)?;
    let made = || socket(target, Type::DGRAM, None);
    let socket = made().map_err(|error| failure(target, &error))?;
    if target.bind_port.is_some() {
        // A run that is ended by a reload may still hold it.
        socket.set_reuse_address(true).map_err(|error| failure(target, &error))?;
    }
    bind(&socket, target, target.bind_port).map_err(|error| failure(target, &error))?;
    datagrams(socket, target)
}

/// A socket for ICMP echoes, connected, and whether it is a raw one. Datagram sockets are for those whom
/// `ping_group_range` names, and the kernel gives each its own answers; else a raw one, which needs CAP_NET_RAW.
///
/// # Errors
/// [`Failure::NotPermitted`] when the kernel allows neither; else as [`udp`].
pub fn icmp(target: &Target) -> Result<(UdpSocket, bool), Failure> {
    let protocol = if target.address.is_ipv6() { Protocol::ICMPV6 } else { Protocol::ICMPV4 };
    let (socket, raw) = match socket(target, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, false),
        Err(first) if is_forbidden(&first) => match socket(target, Type::RAW, Some(protocol)) {
            Ok(socket) => (socket, true),
            Err(second) if is_forbidden(&second) => {
                return Err(Failure::NotPermitted(
                    "send pings: give CAP_NET_RAW, or set net.ipv4.ping_group_range to a range with our group",
                ));
            }
            Err(second) => return Err(failure(target, &second)),
        },
        Err(error) => return Err(failure(target, &error)),
    };
    // The port of such a socket is the identifier of its echoes; a raw one has none.
    let port = if raw { None } else { target.bind_port };
    bind(&socket, target, port).map_err(|error| failure(target, &error))?;
    Ok((datagrams(socket, target)?, raw))
}

/// Receives a datagram, or the ICMP error that came in its place: the kernel wakes us for that with an error and no
/// readiness to read, which a plain `recv` would sleep through.
///
/// # Errors
/// The ICMP error, and other errors of the operating system.
pub async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    let interest = Interest::READABLE.add(Interest::ERROR);
    let recv = || Ok(recv(socket.as_raw_fd(), buffer, MsgFlags::empty())?);
    socket.async_io(interest, recv).await
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::EPROTONOSUPPORT))
}

fn need_port(target: &Target) -> Result<(), Failure> {
    if target.address.port() == 0 { Err(Failure::NoPort) } else { Ok(()) }
}

fn socket(target: &Target, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target.address), kind.nonblocking().cloexec(), protocol)?;
    if let Some(interface) = &target.bind_if {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if let Some(mark) = target.fwmark {
        socket.set_mark(mark)?;
    }
    Ok(socket)
}

fn bind(socket: &Socket, target: &Target, port: Option<u16>) -> io::Result<()> {
    if target.bindto.is_none() && port.is_none() {
        return Ok(());
    }
    let any = if target.address.is_ipv6() {
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    };
    if target.bindto.is_some_and(|from| from.is_ipv6() != target.address.is_ipv6()) {
        // Told here: a raw socket would take the other family's address for none.
        return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT));
    }
    socket.bind(&SocketAddr::new(target.bindto.unwrap_or(any), port.unwrap_or(0)).into())
}

/// Connects and asks for every ICMP error: without that a datagram socket hears of refused ports alone.
fn datagrams(socket: Socket, target: &Target) -> Result<UdpSocket, Failure> {
    let asked = if target.address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true)
    } else {
        setsockopt(&socket, sockopt::Ipv4RecvErr, &true)
    };
    let connect = || {
        asked?;
        socket.connect(&target.address.into())
    };
    connect().map_err(|error| io_failure(&error, target.timeout, target.names_source()))?;
    // Sockets of ICMP send and receive by the same calls.
    UdpSocket::from_std(StdUdpSocket::from(socket)).map_err(|error| failure(target, &error))
}

/// Running out of descriptors and the like is not the source's fault.
fn failure(target: &Target, error: &io::Error) -> Failure {
    if error.raw_os_error() == Some(libc::EPERM) && target.fwmark.is_some() {
        return Failure::NotPermitted("mark packets (fwmark): give CAP_NET_ADMIN");
    }
    match io_failure(error, target.timeout, target.names_source()) {
        Failure::Io(text) if target.names_source() => Failure::Source(text),
        Failure::Io(text) => Failure::NotRun(text),
        other => other,
    }
}
