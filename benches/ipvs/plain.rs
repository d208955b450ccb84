//! A plain writer of batched netlink, the yardstick of the first load: no table, no difference, no reading back. Services
//! and real servers of [`super::text`], 64 messages a datagram, the last one acknowledged.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};

use crate::SERVERS;

const BATCH: usize = 64;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
/// IPVS_CMD_*.
const NEW_SERVICE: u8 = 1;
const NEW_DEST: u8 = 5;
const GET_DEST: u8 = 8;

/// Fills the table of this thread's network namespace.
pub fn fill(count: usize) {
    let socket = open();
    let family = family(&socket);
    let mut batch = Vec::new();
    let mut waiting = 0;
    for n in 0..count {
        for server in 0..=SERVERS {
            let last = batch.len();
            let command = if server == 0 { NEW_SERVICE } else { NEW_DEST };
            message(&mut batch, family, command, |b| {
                nest(b, 1, |b| {
                    service_attributes(b, n);
                    if server == 0 {
                        attribute(b, 6, b"rr\0");
                        attribute(b, 7, &[0, 0, 0, 0, 255, 255, 255, 255]);
                        attribute(b, 8, &0u32.to_ne_bytes());
                        attribute(b, 9, &[255; 4]);
                    }
                });
                if server > 0 {
                    nest(b, 2, |b| {
                        attribute(b, 1, &padded([172, 16, (n % 250) as u8, server as u8]));
                        attribute(b, 2, &8080u16.to_be_bytes());
                        attribute(b, 3, &0u32.to_ne_bytes());
                        attribute(b, 4, &1u32.to_ne_bytes());
                        attribute(b, 5, &0u32.to_ne_bytes());
                        attribute(b, 6, &0u32.to_ne_bytes());
                        attribute(b, 11, &2u16.to_ne_bytes());
                    });
                }
            });
            waiting += 1;
            if waiting == BATCH || (n + 1 == count && server == SERVERS) {
                batch[last + 6..last + 8].copy_from_slice(&(REQUEST | ACK).to_ne_bytes());
                sendto(socket.as_raw_fd(), &batch, &NetlinkAddr::new(0, 0), MsgFlags::empty()).unwrap();
                let mut answer = [0; 4096];
                let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
                let errno = i32::from_ne_bytes(answer[16..20].try_into().unwrap());
                assert!(length >= 20 && errno == 0, "the kernel says {errno}");
                batch.clear();
                waiting = 0;
            }
        }
    }
}

/// The address of service `n` of [`crate::text`].
fn service(n: usize) -> [u8; 4] {
    [10, (n / 50_000 + 1) as u8, (n / 200 % 250) as u8, (n % 200 + 1) as u8]
}

fn service_attributes(b: &mut Vec<u8>, n: usize) {
    attribute(b, 1, &2u16.to_ne_bytes());
    attribute(b, 2, &6u16.to_ne_bytes());
    attribute(b, 3, &padded(service(n)));
    attribute(b, 4, &80u16.to_be_bytes());
}

/// A question that costs little: the weights of one service's real servers.
pub struct Asker {
    socket: OwnedFd,
    family: u16,
}

impl Asker {
    /// For the network namespace of this thread.
    pub fn new() -> Self {
        let socket = open();
        let family = family(&socket);
        Self { socket, family }
    }

    /// By the last byte of their addresses; empty when there is no such service.
    pub fn weights(&self, n: usize) -> Vec<(u8, u32)> {
        let mut request = Vec::new();
        message(&mut request, self.family, GET_DEST, |b| nest(b, 1, |b| service_attributes(b, n)));
        request[6..8].copy_from_slice(&(REQUEST | DUMP).to_ne_bytes());
        sendto(self.socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty()).unwrap();
        let mut weights = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap();
            let mut rest = &buffer[..length];
            while rest.len() >= 16 {
                let size = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
                let kind = u16::from_ne_bytes([rest[4], rest[5]]);
                if kind == 2 || kind == 3 {
                    return weights;
                }
                let entry = find(&rest[20..size], 2);
                let address = find(entry, 1).get(3).copied().unwrap_or(0);
                let weight = find(entry, 4).try_into().map(u32::from_ne_bytes).unwrap_or(0);
                weights.push((address, weight));
                rest = &rest[size.next_multiple_of(4).min(rest.len())..];
            }
        }
    }
}

fn find(mut attributes: &[u8], kind: u16) -> &[u8] {
    while attributes.len() >= 4 {
        let size = usize::from(u16::from_ne_bytes([attributes[0], attributes[1]]));
        if u16::from_ne_bytes([attributes[2], attributes[3]]) & 0x3fff == kind {
            return &attributes[4..size];
        }
        attributes = &attributes[size.next_multiple_of(4).min(attributes.len())..];
    }
    &[]
}

fn open() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkGeneric).unwrap();
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0)).unwrap();
    socket
}

fn padded(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address);
    bytes
}

fn message(b: &mut Vec<u8>, family: u16, command: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = b.len();
    b.extend([0; 4]);
    b.extend(family.to_ne_bytes());
    b.extend(REQUEST.to_ne_bytes());
    b.extend([0; 8]);
    b.extend([command, 1, 0, 0]);
    body(b);
    let length = (b.len() - start) as u32;
    b[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

fn attribute(b: &mut Vec<u8>, kind: u16, value: &[u8]) {
    b.extend((value.len() as u16 + 4).to_ne_bytes());
    b.extend(kind.to_ne_bytes());
    b.extend(value);
    b.resize(b.len().next_multiple_of(4), 0);
}

fn nest(b: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = b.len();
    b.extend([0; 4]);
    body(b);
    let length = (b.len() - start) as u16;
    b[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    b[start + 2..start + 4].copy_from_slice(&(kind | 0x8000).to_ne_bytes());
}

/// The number of the IPVS family: CTRL_CMD_GETFAMILY by name.
fn family(socket: &OwnedFd) -> u16 {
    let mut request = Vec::new();
    message(&mut request, 0x10, 3, |b| attribute(b, 2, b"IPVS\0"));
    sendto(socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty()).unwrap();
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
    find(&answer[20..length], 1).try_into().map(u16::from_ne_bytes).expect("no family IPVS")
}
