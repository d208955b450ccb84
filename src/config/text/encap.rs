//! `encap ip|ip6|mpls|ila …` of routes and nexthops.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::super::model::{Encap, IpEncap};
use super::numbers::{any_base, decimal, dsfield_text, labels, labels_text};
use super::option;
use super::words::{Read, Words};

impl Words<'_> {
    /// What follows `encap`. Anything wrong in it is fatal: without it the packets would leave unwrapped.
    pub(super) fn encap(&mut self, here: usize) -> Option<Encap> {
        let Some((at, kind)) = self.value(here) else {
            self.unusable = true;
            return None;
        };
        let mut found = None;
        match kind {
            "ip" => found = self.ip_encap::<Ipv4Addr>(at, "an IPv4 address").map(Encap::Ip),
            "ip6" => found = self.ip_encap::<Ipv6Addr>(at, "an IPv6 address").map(Encap::Ip6),
            "mpls" => {
                self.must(at, &mut found, |text| labels(text).map(Encap::Mpls));
            }
            "ila" => {
                self.must(at, &mut found, |text| locator(text).map(Encap::Ila));
            }
            _ => self.fatal(at, format!("encap: \"{kind}\" is not known: write ip, ip6, mpls or ila")),
        }
        found
    }

    fn ip_encap<A: FromStr>(&mut self, kind: usize, address: &str) -> Option<IpEncap<A>> {
        let mut encap = IpEncap { id: None, dst: None, src: None, tos: None, ttl: None, flags: None };
        let read = |text: &str| text.parse::<A>().map_err(|_| format!("\"{text}\" is not {address}"));
        let mut good = true;
        while let Some("id" | "dst" | "src" | "tos" | "tc" | "ttl" | "hoplimit" | "flags") = self.peek() {
            let Some((here, option)) = self.next() else { break };
            good &= match option {
                "id" => self.must(here, &mut encap.id, decimal(0, u64::MAX)),
                "dst" => self.must(here, &mut encap.dst, read),
                "src" => self.must(here, &mut encap.src, read),
                "tos" | "tc" => self.must(here, &mut encap.tos, str::parse),
                "ttl" | "hoplimit" => self.must(here, &mut encap.ttl, decimal(0, u8::MAX.into())),
                _ => self.must(here, &mut encap.flags, decimal(0, u16::MAX.into())),
            };
        }
        if good && encap.id.is_none() && encap.dst.is_none() {
            self.fatal(kind, "the encapsulation has neither dst nor id: write the end of the tunnel");
            return None;
        }
        good.then_some(encap)
    }
}

/// Four groups of four hexadecimal digits.
fn locator(text: &str) -> Read<[u16; 4]> {
    let group = |group: &str| {
        let digits = group.strip_prefix("0x").unwrap_or(group);
        any_base(&format!("0x{digits}")).and_then(|n| u16::try_from(n).ok())
    };
    let groups: Option<Vec<u16>> = text.trim().split(':').map(group).collect();
    groups
        .and_then(|groups| <[u16; 4]>::try_from(groups).ok())
        .ok_or_else(|| format!("\"{text}\" is no locator: write four groups as in 2001:db8:0:1"))
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(encap) => {
                f.write_str("ip")?;
                outer(f, encap, "tos", "ttl")
            }
            Self::Ip6(encap) => {
                f.write_str("ip6")?;
                outer(f, encap, "tc", "hoplimit")
            }
            Self::Mpls(labels) => write!(f, "mpls {}", labels_text(labels)),
            Self::Ila([a, b, c, d]) => write!(f, "ila {a:x}:{b:x}:{c:x}:{d:x}"),
        }
    }
}

fn outer<A: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    encap: &IpEncap<A>,
    tos: &str,
    ttl: &str,
) -> fmt::Result {
    option(f, "id", encap.id)?;
    option(f, "dst", encap.dst.as_ref())?;
    option(f, "src", encap.src.as_ref())?;
    option(f, tos, encap.tos.as_ref().map(dsfield_text))?;
    option(f, ttl, encap.ttl)?;
    option(f, "flags", encap.flags)
}
