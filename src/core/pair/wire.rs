//! Which instances belong together, and whether each accepts what the other sends.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::diagnostic::Level;
use crate::config::model::{AuthType, Instance, VrrpVersion};
use crate::vrrp::accept::{Datagram, Discard, accept};
use crate::vrrp::auth::ah::AUTH_TYPE;
use crate::vrrp::auth::guard::Policy;
use crate::vrrp::packet::{Advert, AuthField};
use crate::vrrp::params::{Destination, Settings};

use super::{Findings, Matched, Side, Who, addresses, listed};

/// What happens when neither counts the other's adverts.
const SPLIT: &str = "neither counts the other's adverts: both become master of the same addresses";

/// Settings of the whole file.
pub(super) fn globals(sides: [&Side<'_>; 2], findings: &mut Findings) {
    let [a, b] = sides.map(|side| &side.config.global_defs);
    if a.vrrp_strict.unwrap_or(false) != b.vrrp_strict.unwrap_or(false) {
        let who = if a.vrrp_strict.unwrap_or(false) { Who::A } else { Who::B };
        findings.add(
            Level::Warning,
            "pair-strict",
            format!("vrrp_strict is set on {who} alone"),
            "under keepalived that director sends no password, preempts without delay, and drops what is \
             addressed to its virtual addresses: services answer on one director and not on the other",
            "write it on both or, mostly better, on neither",
        );
    }
    if a.router_id.is_some() && a.router_id == b.router_id {
        findings.add(
            Level::Advice,
            "pair-router-id",
            format!("both directors are called {} (router_id)", a.router_id.as_deref().unwrap_or_default()),
            "alert mails do not tell which of them they come from",
            "give each its own router_id; it is part of no packet",
        );
    }
}

/// Instances of one VRID and family belong together, whatever their names.
pub(super) fn matches<'a>(sides: [&'a Side<'a>; 2], findings: &mut Findings) -> Vec<Matched<'a>> {
    let [a, b] = sides.map(|side| &side.config.vrrp_instance);
    let mut free: Vec<usize> = (0..b.len()).collect();
    let mut matched = Vec::new();
    let mut lonely: Vec<(Who, &Instance)> = Vec::new();
    for (at, instance) in a.iter().enumerate() {
        let candidates = free.iter().copied().filter(|other| same_router(instance, &b[*other]));
        // One VRID may be there on several interfaces: the closest one is meant.
        let Some(other) = candidates.max_by_key(|other| likeness(instance, &b[*other])) else {
            lonely.push((Who::A, instance));
            continue;
        };
        free.retain(|index| *index != other);
        let (name_a, name_b) = (&instance.name, &b[other].name);
        let vrid = instance.virtual_router_id;
        let title = if name_a == name_b {
            format!("{name_a} (VRID {vrid})")
        } else {
            findings.add(
                Level::Advice,
                "pair-name",
                format!("VRID {vrid} is called {name_a} on A and {name_b} on B"),
                "it works, but logs, mails and notify scripts speak of two things",
                "give it one name",
            );
            format!("{name_a}/{name_b} (VRID {vrid})")
        };
        matched.push(Matched { sides, at: [at, other], title });
    }
    lonely.extend(free.into_iter().map(|index| (Who::B, &b[index])));
    for (who, instance) in lonely {
        alone(who, instance, sides, findings);
    }
    matched
}

/// An instance that the other director does not have.
fn alone(who: Who, instance: &Instance, sides: [&Side<'_>; 2], findings: &mut Findings) {
    let [own, other] = [who, who.other()].map(|who| &sides[who.index()].config.vrrp_instance);
    let vrid = instance.virtual_router_id;
    let title = format!("{} (VRID {vrid})", instance.name);
    let twin = other.iter().find(|twin| {
        twin.virtual_router_id != vrid && carried(twin).any(|address| carried(instance).any(|x| x == address))
    });
    if let Some(twin) = twin {
        // Where both are alone it is said once, from the side of A.
        if who == Who::A || own.iter().any(|x| same_router(x, twin)) {
            findings.add(
                Level::Error,
                "pair-vrid",
                format!(
                    "{title} on {who} and {} (VRID {}) on {} carry the same address under different VRIDs",
                    twin.name,
                    twin.virtual_router_id,
                    who.other()
                ),
                "two virtual routers with a master each: both directors have the address at the same time",
                "write the same virtual_router_id on both",
            );
        }
        return;
    }
    findings.add(
        Level::Error,
        "pair-missing-instance",
        format!("{title} is on {who} alone: {} has no instance of that VRID", who.other()),
        format!("nobody takes {} over when {who} fails", addresses::words(carried(instance))),
        format!("write the instance on {} too, with a different priority", who.other()),
    );
}

/// The addresses that move with an instance.
fn carried(instance: &Instance) -> impl Iterator<Item = IpAddr> + '_ {
    instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded).map(|va| va.address.address)
}

fn same_router(a: &Instance, b: &Instance) -> bool {
    a.virtual_router_id == b.virtual_router_id && is_ipv6(a) == is_ipv6(b)
}

fn is_ipv6(instance: &Instance) -> bool {
    instance.is_ipv6()
}

/// How much speaks for two instances of one VRID being one virtual router.
fn likeness(a: &Instance, b: &Instance) -> usize {
    let theirs: BTreeSet<IpAddr> = carried(b).collect();
    let shared = carried(a).filter(|address| theirs.contains(address)).count();
    shared * 4 + usize::from(a.interface == b.interface) * 2 + usize::from(a.name == b.name)
}

/// Compares what two instances put on the wire and expect there; `[A hears B, B hears A]`.
pub(super) fn compare(pair: &Matched<'_>, findings: &mut Findings) -> [bool; 2] {
    let before = findings.errors();
    version_and_interval(pair, findings);
    authentication(pair, findings);
    transport(pair, findings);
    addresses::sources(pair, findings);
    let hearing = Who::BOTH.map(|who| hears(pair, who));
    for (who, heard) in Who::BOTH.iter().zip(&hearing) {
        // Something that no comparison above explains: then the rule itself has the word.
        if let Err(Some(discard)) = heard
            && findings.errors() == before
        {
            findings.add(
                Level::Error,
                "pair-deaf",
                format!("{}: {who} discards the adverts of {}: {discard}", pair.title, who.other()),
                "both may become master of the same addresses",
                "make the two instances agree",
            );
        }
    }
    addresses::carried(pair, findings);
    hearing.map(|heard| heard.is_ok())
}

/// Would this one's machine be told of the other one's advert? Asked of the code that does it. `Err(None)`: it never
/// arrives at all.
fn hears(pair: &Matched<'_>, who: Who) -> Result<(), Option<Discard>> {
    let (listener, speaker) = (pair.settings(who), pair.settings(who.other()));
    let own = pair.address(who);
    let arrives = match (&listener.destination, &speaker.destination) {
        (Destination::Multicast(ours), Destination::Multicast(theirs)) => ours == theirs,
        (Destination::Unicast { .. }, Destination::Unicast { peers, .. }) => {
            own.is_none_or(|own| peers.iter().any(|peer| peer.address == own))
        }
        // A unicast instance joins no group; and what is sent to one host is not to be relied on by the rest.
        (Destination::Multicast(_), Destination::Unicast { .. })
        | (Destination::Unicast { .. }, Destination::Multicast(_)) => false,
    };
    if !arrives {
        return Err(None);
    }
    let source = pair.address(who.other()).unwrap_or_else(|| placeholder(listener));
    let destination = own.unwrap_or_else(|| any_address(listener.ipv6, 255));
    let advert = Advert {
        version: speaker.version,
        vrid: speaker.vrid,
        priority: speaker.base_priority,
        interval: speaker.advert_int,
        auth: match (&speaker.policy, speaker.password) {
            (Policy::Ah(_), _) => AuthField::Unknown(AUTH_TYPE),
            (_, Some(password)) => AuthField::Pass(password.0),
            (_, None) => AuthField::None,
        },
        addresses: speaker.advertised.clone(),
    };
    let payload = advert.encode(source, destination);
    let datagram = Datagram { payload: &payload, source, destination, ttl: ttl(listener, source) };
    accept(&listener.rules(own), &datagram).map(drop).map_err(Some)
}

/// An address that a file does not tell is taken to be right: one of the listener's peers, or any.
fn placeholder(listener: &Settings) -> IpAddr {
    match &listener.destination {
        Destination::Unicast { peers, .. } => peers.first().map(|peer| peer.address),
        Destination::Multicast(_) => None,
    }
    .unwrap_or_else(|| any_address(listener.ipv6, 1))
}

/// An address for documentation (RFC 5737, RFC 3849).
fn any_address(ipv6: bool, last: u8) -> IpAddr {
    if ipv6 {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into()
    } else {
        Ipv4Addr::new(192, 0, 2, last).into()
    }
}

/// How many routers lie between the two is in no file: the TTL is taken to be right.
fn ttl(listener: &Settings, source: IpAddr) -> u8 {
    match &listener.destination {
        Destination::Unicast { peers, .. } => {
            peers.iter().find(|peer| peer.address == source).and_then(|peer| peer.max_ttl).unwrap_or(u8::MAX)
        }
        Destination::Multicast(_) => u8::MAX,
    }
}

fn version_and_interval(pair: &Matched<'_>, findings: &mut Findings) {
    let [a, b] = Who::BOTH.map(|who| pair.settings(who));
    let title = &pair.title;
    if a.version != b.version {
        let (x, y) = (u8::from(a.version), u8::from(b.version));
        findings.add(
            Level::Error,
            "pair-version",
            format!("{title}: A speaks VRRP version {x}, B version {y}"),
            SPLIT,
            "write the same version (vrrp_version in global_defs, or version in the instance) on both",
        );
        return;
    }
    if a.advert_int != b.advert_int {
        let (x, y) = (a.advert_int.as_secs_f64(), b.advert_int.as_secs_f64());
        let problem = format!("{title}: advert_int is {x} s on A and {y} s on B");
        match a.version {
            VrrpVersion::V2 => findings.add(
                Level::Error,
                "pair-advert-int",
                format!("{problem}, and version 2 refuses another interval than its own"),
                SPLIT,
                "write the same advert_int on both, or use version 3",
            ),
            VrrpVersion::V3 => {
                let (fast, slow) = if a.advert_int < b.advert_int { (a, b) } else { (b, a) };
                let who = if a.advert_int < b.advert_int { Who::A } else { Who::B };
                let fix = "write the same advert_int on both";
                if fast.advert_int * u32::from(fast.down_timer_adverts.max(1)) < slow.advert_int {
                    findings.add(
                        Level::Warning,
                        "pair-advert-int",
                        problem,
                        format!(
                            "{who} gives up listening before the first advert of {} can arrive: whenever {who} \
                             starts, both are master for a moment, and nopreempt does not hold",
                            who.other()
                        ),
                        fix,
                    );
                } else {
                    findings.add(
                        Level::Advice,
                        "pair-advert-int",
                        problem,
                        "a version 3 backup adopts its master's interval, so how long a takeover takes depends on \
                         who was master",
                        fix,
                    );
                }
            }
        }
    }
    if a.down_timer_adverts != b.down_timer_adverts {
        let (x, y) = (a.down_timer_adverts, b.down_timer_adverts);
        findings.add(
            Level::Advice,
            "pair-down-timer",
            format!("{title}: down_timer_adverts is {x} on A and {y} on B"),
            "how long a takeover takes depends on who takes over",
            "write the same on both",
        );
    }
}

/// Passwords are compared, and never printed.
fn authentication(pair: &Matched<'_>, findings: &mut Findings) {
    let [a, b] = Who::BOTH.map(|who| pair.settings(who));
    if a.version != VrrpVersion::V2 || b.version != VrrpVersion::V2 {
        return;
    }
    let kind = |who| pair.instance(who).authentication.as_ref().map(|auth| auth.auth_type);
    let word = |kind| match kind {
        None => "none",
        Some(AuthType::Pass) => "PASS",
        Some(AuthType::Ah) => "AH",
    };
    let (kind_a, kind_b) = (kind(Who::A), kind(Who::B));
    if kind_a != kind_b {
        findings.add(
            Level::Error,
            "pair-auth-type",
            format!("{}: authentication is {} on A and {} on B", pair.title, word(kind_a), word(kind_b)),
            SPLIT,
            "write the same authentication block on both, or none on either",
        );
    } else if a.password != b.password {
        findings.add(
            Level::Error,
            "pair-password",
            format!("{}: auth_pass differs (its first 8 bytes count)", pair.title),
            SPLIT,
            "write the same auth_pass on both",
        );
    }
}

fn transport(pair: &Matched<'_>, findings: &mut Findings) {
    let title = &pair.title;
    match Who::BOTH.map(|who| &pair.settings(who).destination) {
        [Destination::Multicast(a), Destination::Multicast(b)] if a != b => findings.add(
            Level::Error,
            "pair-mcast-group",
            format!("{title}: the multicast group is {a} on A and {b} on B"),
            SPLIT,
            "write the same vrrp_mcast_group4 on both, or none",
        ),
        [Destination::Multicast(_), Destination::Multicast(_)] => {}
        [Destination::Unicast { check_source: a, .. }, Destination::Unicast { check_source: b, .. }] => {
            for who in Who::BOTH {
                peers(pair, who, findings);
            }
            if a != b {
                let (with, without) = if *a { (Who::A, Who::B) } else { (Who::B, Who::A) };
                findings.add(
                    Level::Advice,
                    "pair-check-source",
                    format!("{title}: {with} refuses adverts of strangers, {without} does not"),
                    format!("a third router with this VRID can take the addresses from {without} alone"),
                    "write check_unicast_src on both",
                );
            }
        }
        [Destination::Multicast(_), Destination::Unicast { .. }]
        | [Destination::Unicast { .. }, Destination::Multicast(_)] => {
            let unicast = |who| matches!(pair.settings(who).destination, Destination::Unicast { .. });
            let (one, other) = if unicast(Who::A) { (Who::A, Who::B) } else { (Who::B, Who::A) };
            findings.add(
                Level::Error,
                "pair-transport",
                format!("{title}: {one} sends to its unicast_peer, {other} to the multicast group"),
                SPLIT,
                format!("write unicast_src_ip and unicast_peer on {other} too, or on neither"),
            );
        }
    }
}

/// Whether a unicast instance sends to where the other one is.
fn peers(pair: &Matched<'_>, who: Who, findings: &mut Findings) {
    let Destination::Unicast { peers, .. } = &pair.settings(who).destination else { return };
    let (title, other) = (&pair.title, who.other());
    match pair.settings(other).source {
        Some(address) if !peers.iter().any(|peer| peer.address == address) => {
            let list: Vec<String> = peers.iter().map(|peer| peer.address.to_string()).collect();
            findings.add(
                Level::Error,
                "pair-peer",
                format!("{title}: unicast_peer of {who} is {}, but {other} is {address}", listed(&list)),
                format!("{other} never hears {who}: it becomes master although {who} lives"),
                format!("write {address} in unicast_peer of {who}"),
            );
        }
        None => findings.add(
            Level::Advice,
            "pair-no-source",
            format!("{title}: {other} names no unicast_src_ip"),
            format!("whether the unicast_peer of {who} is really {other} cannot be told from the files"),
            format!("write unicast_src_ip on {other}: the address that is in unicast_peer of {who}"),
        ),
        Some(_) => {}
    }
    if let Some(own) = pair.settings(who).source
        && peers.iter().any(|peer| peer.address == own)
        && pair.settings(other).source != Some(own)
    {
        findings.add(
            Level::Warning,
            "pair-own-peer",
            format!("{title}: {own} in unicast_peer of {who} is {who} itself"),
            "it sends its adverts to itself; mostly that is the other director's file, copied and not adapted",
            format!("remove {own} from unicast_peer of {who}"),
        );
    }
}
