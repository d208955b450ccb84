//! Random tables and changes for the property tests of this folder.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::ipvs::table::{
    Checksum, Destination, DestinationKey, Family, Forward, Persistence, Protocol, Service, ServiceKey,
    Table, VirtualService,
};

/// A few keys, so that two random tables meet often.
pub(crate) fn small_key() -> impl Strategy<Value = ServiceKey> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    prop_oneof![
        (protocol, 0u8..3, any::<bool>()).prop_map(|(protocol, last, v6)| ServiceKey::Address {
            protocol,
            address: address(v6, last),
            port: 80
        }),
        (1u32..3, any::<bool>()).prop_map(|(mark, v6)| ServiceKey::Fwmark {
            family: if v6 { Family::V6 } else { Family::V4 },
            mark
        }),
    ]
}

/// Any key at all.
pub(crate) fn any_key() -> impl Strategy<Value = ServiceKey> {
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    prop_oneof![
        (protocol, any_address(), any::<u16>()).prop_map(|(protocol, address, port)| ServiceKey::Address {
            protocol,
            address,
            port
        }),
        (1..=u32::MAX, any::<bool>()).prop_map(|(mark, v6)| ServiceKey::Fwmark {
            family: if v6 { Family::V6 } else { Family::V4 },
            mark
        }),
    ]
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
    ]
}

fn address(v6: bool, last: u8) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }
}

/// Settings of a service of `family`.
pub(crate) fn service(family: Family) -> impl Strategy<Value = Service> {
    let longest = if family == Family::V4 { 32u8 } else { 128 };
    let persistence = proptest::option::of(
        (1u32..100_000, 1..=longest).prop_map(|(timeout, granularity)| Persistence { timeout, granularity }),
    );
    let scheduler = prop_oneof![Just("wlc"), Just("rr"), Just("mh")];
    (scheduler, persistence, any::<bool>(), 0u8..8, any::<bool>()).prop_map(
        |(scheduler, persistence, one_packet, scheduler_flags, engine)| Service {
            scheduler: scheduler.to_owned(),
            persistence,
            one_packet,
            scheduler_flags,
            engine: engine.then(|| "sip".to_owned()),
        },
    )
}

/// A few destination keys.
pub(crate) fn small_destination_key() -> impl Strategy<Value = DestinationKey> {
    (any::<bool>(), 0u8..4, 80u16..82)
        .prop_map(|(v6, last, port)| DestinationKey { address: address(v6, last), port })
}

/// Any destination key.
pub(crate) fn any_destination_key() -> impl Strategy<Value = DestinationKey> {
    (any_address(), any::<u16>()).prop_map(|(address, port)| DestinationKey { address, port })
}

/// Settings of a destination as they are read from the kernel (`Local` too).
pub(crate) fn destination() -> impl Strategy<Value = Destination> {
    let checksum = || prop_oneof![Just(Checksum::None), Just(Checksum::Full), Just(Checksum::Remote)];
    let forward = prop_oneof![
        (1u16.., checksum()).prop_map(|(port, checksum)| Forward::Gue { port, checksum }),
        checksum().prop_map(|checksum| Forward::Gre { checksum }),
        Just(Forward::Masquerade),
        Just(Forward::DirectRoute),
        Just(Forward::Tunnel),
        Just(Forward::Local)
    ];
    (forward, 0u32..4, 0u32..3, 0u32..3).prop_map(|(forward, weight, lower_threshold, more)| Destination {
        forward,
        weight,
        upper_threshold: lower_threshold + more,
        lower_threshold,
    })
}

/// A table of a few services; as read (`Local` occurs) or, without `local`, as desired.
pub(crate) fn table(local: bool) -> impl Strategy<Value = Table> {
    let entry = small_key().prop_flat_map(move |key| {
        let destinations = proptest::collection::btree_map(small_destination_key(), destination(), 0..5);
        (Just(key), service(key.family()), destinations)
    });
    proptest::collection::vec(entry, 0..6).prop_map(move |entries| {
        entries
            .into_iter()
            .map(|(key, service, destinations)| {
                let destinations: BTreeMap<_, _> = destinations
                    .into_iter()
                    .map(|(key, mut settings)| {
                        if !local && settings.forward == Forward::Local {
                            settings.forward = Forward::DirectRoute;
                        }
                        (key, settings)
                    })
                    .collect();
                (key, VirtualService { service, destinations })
            })
            .collect()
    })
}
