//! The kernel's counts of connections, as `/proc/net/ip_vs` lists them: what a real server that drains still has.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ipvs::table::{DestinationKey, Family, Protocol, ServiceKey};

/// Active and inactive connections of each destination.
pub type Connections = BTreeMap<(ServiceKey, DestinationKey), u32>;

/// Reads the kernel's list. Lines that are none of its services and destinations are passed over, so that a list of
/// another form leaves everything unknown. A firewall mark stands for both families: the list does not tell them apart,
/// the addresses of the destinations do.
pub fn parse(text: &str) -> Connections {
    let mut connections = Connections::new();
    let mut services: Vec<ServiceKey> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("->") => {
                let at = words.next().and_then(endpoint);
                // Forwarding method, weight, active, inactive.
                let counts: Vec<&str> = words.skip(2).collect();
                if let (Some((address, port)), [active, inactive]) = (at, counts.as_slice())
                    && let (Ok(active), Ok(inactive)) = (active.parse::<u32>(), inactive.parse::<u32>())
                {
                    let key = DestinationKey { address, port };
                    let count = active.saturating_add(inactive);
                    connections.extend(services.iter().map(|service| ((*service, key), count)));
                }
            }
            Some(kind) => services = words.next().map_or_else(Vec::new, |at| service(kind, at)),
            None => {}
        }
    }
    connections
}

fn service(kind: &str, at: &str) -> Vec<ServiceKey> {
    let protocol = match kind {
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        "FWM" => {
            let Ok(mark) = u32::from_str_radix(at, 16) else { return Vec::new() };
            return [Family::V4, Family::V6].map(|family| ServiceKey::Fwmark { family, mark }).to_vec();
        }
        _ => return Vec::new(),
    };
    let key = endpoint(at).map(|(address, port)| ServiceKey::Address { protocol, address, port });
    key.into_iter().collect()
}

/// `0A000001:0050` or `[2001:0db8:0000:0000:0000:0000:0000:0001]:0050`.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => IpAddr::V6(v6.parse::<Ipv6Addr>().ok()?),
        None => IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?)),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = "IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A000001:0050 wlc persistent 360 FFFFFFFF
  -> 0A000004:1F90      Masq    1      7          2
  -> 0A000003:0050      Route   0      0          0
UDP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0035 rr
  -> [2001:0db8:0000:0000:0000:0000:0000:0003]:0035      Tunnel  1      0          5
FWM  00000005 rr
  -> 0A000009:0000      Route   1      3          0
";

    #[test]
    fn the_kernel_s_list() {
        let connections = parse(LIST);
        let shown: Vec<String> =
            connections.iter().map(|((service, key), count)| format!("{service} {key} {count}")).collect();
        assert_eq!(shown.len(), 5, "{shown:?}");
        for wanted in [
            "TCP 10.0.0.1:80 10.0.0.4:8080 9",
            "TCP 10.0.0.1:80 10.0.0.3:80 0",
            "UDP [2001:db8::1]:53 [2001:db8::3]:53 5",
        ] {
            assert!(shown.iter().any(|shown| shown == wanted), "{wanted}: {shown:?}");
        }
        let mark = |family| {
            let key = DestinationKey { address: [10, 0, 0, 9].into(), port: 0 };
            connections.get(&(ServiceKey::Fwmark { family, mark: 5 }, key)).copied()
        };
        assert_eq!([mark(Family::V4), mark(Family::V6)], [Some(3), Some(3)]);
    }

    #[test]
    fn another_form_leaves_everything_unknown() {
        for text in [
            "",
            "IP Virtual Server version 9\n",
            "TCP  0A000001:0050 rr\n  -> 0A000003:0050 Masq 1 x 0\n",
            "TCP  0A000001:0050 rr\n  -> 0A000003:0050 Masq 1 0\n",
            "TCP  0A000001 rr\n  -> 0A000003:0050 Masq 1 0 0\n",
            "XYZ  0A000001:0050 rr\n  -> 0A000003:0050 Masq 1 0 0\n",
        ] {
            assert_eq!(parse(text), Connections::new(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in "(.|\n|TCP |FWM |-> |[0-9A-F]{8}:0050 | 1 0 0\n){0,40}") {
            parse(&text);
        }
    }
}
