//! Routes as one line. What is greedy comes last: `encap` takes every word it knows, `nexthop` ends the route.

use std::fmt;
use std::net::IpAddr;

use super::super::model::{Metric, Nexthop, Route, RouteMetrics, RouteType};
use super::numbers::{dsfield_text, word_of};
use super::route::{INSERTIONS, PREFERENCES, TYPES};
use super::{Short, flag, option};

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != RouteType::Unicast {
            write!(f, "{} ", word_of(&TYPES, &self.kind))?;
        }
        let to = &self.destination;
        let ipv6 = to.address.is_ipv6();
        // "default" only where the family can be seen in the rest of the line.
        if to.length == 0 && to.address.is_unspecified() && self.implied_ipv6().unwrap_or(false) == ipv6 {
            f.write_str("default")?;
        } else {
            write!(f, "{}", Short(to))?;
        }
        option(f, "from", self.from)?;
        option(f, "src", self.src)?;
        gateway(f, self.gateway, ipv6)?;
        option(f, "or", self.or_gateway)?;
        option(f, "as to", self.new_destination.as_ref())?;
        option(f, "dev", self.dev.as_ref())?;
        flag(f, "onlink", self.onlink)?;
        option(f, "table", self.table.as_ref())?;
        option(f, "vrf", self.vrf.as_ref())?;
        option(f, "metric", self.metric)?;
        option(f, "scope", self.scope)?;
        option(f, "protocol", self.protocol.as_ref())?;
        option(f, "tos", self.tos.as_ref().map(dsfield_text))?;
        option(f, "realms", self.realms.as_ref())?;
        self.metrics.fmt(f)?;
        option(f, "expires", self.expires)?;
        option(f, "pref", self.pref.map(|pref| word_of(&PREFERENCES, &pref)))?;
        let propagate = self.ttl_propagate.map(|on| if on { "enabled" } else { "disabled" });
        option(f, "ttl-propagate", propagate)?;
        if let Some(insertion) = &self.insertion {
            write!(f, " {}", word_of(&INSERTIONS, insertion))?;
        }
        flag(f, "no_track", self.no_track)?;
        option(f, "track_group", self.track_group.as_ref())?;
        option(f, "encap", self.encap.as_ref())?;
        self.nexthops.iter().try_for_each(|hop| nexthop(f, hop, ipv6))
    }
}

impl fmt::Display for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |metric: &Metric<u32>| format!("{metric}ms");
        option(f, "mtu", self.mtu.as_ref())?;
        option(f, "hoplimit", self.hoplimit)?;
        option(f, "advmss", self.advmss.as_ref())?;
        option(f, "rtt", self.rtt.as_ref().map(time))?;
        option(f, "rttvar", self.rttvar.as_ref().map(time))?;
        option(f, "rto_min", self.rto_min.as_ref().map(time))?;
        option(f, "reordering", self.reordering.as_ref())?;
        option(f, "window", self.window)?;
        option(f, "cwnd", self.cwnd.as_ref())?;
        option(f, "ssthresh", self.ssthresh.as_ref())?;
        option(f, "initcwnd", self.initcwnd)?;
        option(f, "initrwnd", self.initrwnd)?;
        flag(f, "features ecn", self.ecn)?;
        option(f, "quickack", self.quickack.map(u8::from))?;
        option(f, "congctl", self.congctl.as_ref())?;
        option(f, "fastopen_no_cookie", self.fastopen_no_cookie.map(u8::from))
    }
}

/// ` via [inet|inet6] IP`, the family where it is not the route's.
fn gateway(f: &mut fmt::Formatter<'_>, gateway: Option<IpAddr>, ipv6: bool) -> fmt::Result {
    match gateway {
        Some(IpAddr::V4(gateway)) if ipv6 => write!(f, " via inet {gateway}"),
        Some(IpAddr::V6(gateway)) if !ipv6 => write!(f, " via inet6 {gateway}"),
        same => option(f, "via", same),
    }
}

fn nexthop(f: &mut fmt::Formatter<'_>, hop: &Nexthop, ipv6: bool) -> fmt::Result {
    f.write_str(" nexthop")?;
    gateway(f, hop.gateway, ipv6)?;
    option(f, "dev", hop.dev.as_ref())?;
    option(f, "weight", hop.weight)?;
    flag(f, "onlink", hop.onlink)?;
    option(f, "realms", hop.realms.as_ref())?;
    option(f, "as to", hop.new_destination.as_ref())?;
    option(f, "encap", hop.encap.as_ref())
}
