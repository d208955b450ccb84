//! Reads what the kernel has of what a wish could name.

use std::collections::{BTreeMap, BTreeSet};

use super::link::Links;
use super::plan::Actual;
use super::route::{Route, Table};
use super::session::{Session, kind};
use super::wanted::Wanted;
use super::watch::protocols;
use super::{Error, address_codec, attribute, route_codec, rule_codec};

/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
const IFNAME: u16 = 3;
const LINKINFO: u16 = 18;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VRF_TABLE: u16 = 1;

/// All addresses; routes of the wish's protocols; rules and VRFs where the wish names any.
pub(super) fn actual(session: &mut Session, wish: &Wanted, links: &Links) -> Result<Actual, Error> {
    let names: BTreeMap<u32, &str> = links.values().map(|link| (link.index, link.name.as_str())).collect();
    let name = |index: u32| names.get(&index).copied();
    let each = |body: &[u8]| address_codec::installed(body, name);
    let addresses =
        session.dump(kind::GET_ADDRESS, &address_codec::QUESTION, "reading the addresses", each)?;
    let mut found = Actual { addresses: addresses.into_iter().collect(), ..Actual::default() };
    if !wish.has_routing() {
        return Ok(found);
    }
    let protocols = protocols(wish);
    let owned = |index: u32| name(index).map(str::to_owned);
    for ipv6 in families(wish) {
        for protocol in &protocols {
            let body = route_codec::question(ipv6, *protocol, 0);
            // A kernel without filters tells the routes of others, too.
            let each = |body: &[u8]| route_codec::route(body, owned).filter(|r| r.key.protocol == *protocol);
            let routes: Vec<Route> = session.dump(kind::GET_ROUTE, &body, "reading the routes", each)?;
            found.routes.extend(routes);
        }
    }
    for ipv6 in [false, true] {
        if wish.rules.iter().chain(&wish.our_rules).any(|rule| rule.ipv6 == ipv6) {
            let body = rule_codec::question(ipv6);
            found.rules.extend(session.dump(kind::GET_RULE, &body, "reading the rules", rule_codec::rule)?);
        }
    }
    let keys = wish.routes.iter().map(|route| &route.key).chain(&wish.our_routes);
    if keys.into_iter().any(|key| matches!(key.table, Table::Vrf(_))) {
        let read = session.dump(kind::GET_LINK, &[0; LINK_HEADER], "reading the VRFs", vrf)?;
        found.vrfs = read.into_iter().collect();
    }
    Ok(found)
}

/// The families of the routes that a wish names.
fn families(wish: &Wanted) -> BTreeSet<bool> {
    let keys = wish.routes.iter().map(|route| &route.key).chain(&wish.our_routes);
    keys.map(|key| key.destination.0.is_ipv6()).collect()
}

/// Name and table, if the interface is a VRF.
fn vrf(body: &[u8]) -> Option<(String, u32)> {
    let all = || attribute::Attributes::new(body.get(LINK_HEADER..).unwrap_or_default());
    let find = |bytes, wanted| {
        attribute::Attributes::new(bytes).find(|(number, _)| *number == wanted).map(|(_, value)| value)
    };
    let info = all().find(|(number, _)| *number == LINKINFO)?.1;
    if attribute::name_of(find(info, INFO_KIND)?) != "vrf" {
        return None;
    }
    let table = attribute::u32_of(find(find(info, INFO_DATA)?, VRF_TABLE)?)?;
    let name = all().find(|(number, _)| *number == IFNAME)?.1;
    Some((attribute::name_of(name), table))
}
