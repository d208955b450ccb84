//! The PROXY header that a connection begins with (the PROXY protocol, versions 1 and 2): servers behind a proxy that
//! demand one answer nobody who comes without.

use std::net::{IpAddr, SocketAddr};

use crate::config::model::SendProxy;

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, LOCAL: the proxy's own connection.
const LOCAL: u8 = 0x20;
/// Version 2, PROXY: on somebody's behalf.
const PROXY: u8 = 0x21;
/// TCP over IPv4.
const TCP4: u8 = 0x11;
/// TCP over IPv6.
const TCP6: u8 = 0x21;

/// The header of a connection between those two: 16 to 107 bytes.
pub fn encode(proxy: SendProxy, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    match proxy {
        SendProxy::V1Local => b"PROXY UNKNOWN\r\n".to_vec(),
        SendProxy::V1 => {
            let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
            let (from_port, to_port) = (from.port(), to.port());
            format!("PROXY {family} {} {} {from_port} {to_port}\r\n", from.ip(), to.ip()).into_bytes()
        }
        SendProxy::V2Local => {
            let mut bytes = SIGNATURE.to_vec();
            bytes.extend([LOCAL, 0, 0, 0]);
            bytes
        }
        SendProxy::V2 => {
            let mut bytes = SIGNATURE.to_vec();
            bytes.push(PROXY);
            let addresses = match (from.ip(), to.ip()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    bytes.extend([TCP4, 0, 12]);
                    [from.octets(), to.octets()].concat()
                }
                // Both ends of a connection are of one family; were they not, this form would still hold them.
                (from, to) => {
                    bytes.extend([TCP6, 0, 36]);
                    [wide(from), wide(to)].concat()
                }
            };
            bytes.extend(addresses);
            bytes.extend(from.port().to_be_bytes());
            bytes.extend(to.port().to_be_bytes());
            bytes
        }
    }
}

fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(proxy: SendProxy, from: &str, to: &str) -> Vec<u8> {
        encode(proxy, from.parse().unwrap(), to.parse().unwrap())
    }

    /// The examples of the protocol's description, and its lengths.
    #[test]
    fn headers_are_those_of_the_protocol() {
        let (v4, v4_to) = ("192.168.0.1:56324", "192.168.0.11:443");
        let (v6, v6_to) = ("[2001:db8::1]:1000", "[2001:db8::2]:443");
        assert_eq!(header(SendProxy::V1, v4, v4_to), b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
        assert_eq!(header(SendProxy::V1, v6, v6_to), b"PROXY TCP6 2001:db8::1 2001:db8::2 1000 443\r\n");
        assert_eq!(header(SendProxy::V1Local, v4, v4_to), b"PROXY UNKNOWN\r\n");
        let sign = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a";
        assert_eq!(header(SendProxy::V2Local, v6, v6_to), [&sign[..], b"\x20\x00\x00\x00"].concat());
        let wanted =
            [&sign[..], b"\x21\x11\x00\x0c\xc0\xa8\x00\x01\xc0\xa8\x00\x0b\xdc\x04\x01\xbb"].concat();
        assert_eq!(header(SendProxy::V2, v4, v4_to), wanted);
        let long = header(SendProxy::V2, v6, v6_to);
        assert_eq!((long.len(), &long[12..16]), (52, &b"\x21\x21\x00\x24"[..]));
        assert_eq!(&long[48..], b"\x03\xe8\x01\xbb");
    }
}
