//! Exact bytes as linux/ip_vs.h lays them out, round trips, random bytes.

use proptest::prelude::*;

use super::*;
use crate::ipvs::strategies::{any_destination_key, any_key, destination as any_destination, service};
use crate::ipvs::wire::Messages;

fn encoded(what: &Change) -> Vec<u8> {
    let mut batch = Batch::new();
    change(&mut batch, 30, 9, what);
    batch.as_bytes().to_vec()
}

fn key() -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, 1].into(), port: 8080 }
}

#[cfg(target_endian = "little")]
#[rustfmt::skip]
const SERVICE_KEY: [u8; 44] = [
    6, 0, 1, 0,   2, 0, 0, 0,                          // AF: AF_INET
    6, 0, 2, 0,   6, 0, 0, 0,                          // PROTOCOL: 6, host order
    20, 0, 3, 0,  10, 0, 0, 1,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0, // ADDR: union nf_inet_addr
    6, 0, 4, 0,   0x1f, 0x90, 0, 0,                    // PORT: 8080, network order
];

#[cfg(target_endian = "little")]
#[test]
fn a_new_service_byte_by_byte() {
    let settings = Service {
        scheduler: "wlc".to_owned(),
        persistence: Some(Persistence { timeout: 360, granularity: 24 }),
        one_packet: false,
        scheduler_flags: 0b10,
        engine: None,
    };
    let bytes = encoded(&Change::NewService { key: key(), service: settings });
    #[rustfmt::skip]
    let rest = [
        8, 0, 6, 0,   b'w', b'l', b'c', 0,             // SCHED_NAME
        12, 0, 7, 0,  0x11, 0, 0, 0,  0x3d, 0, 0, 0,   // FLAGS: PERSISTENT | SCHED2, mask without HASHED
        8, 0, 8, 0,   0x68, 1, 0, 0,                   // TIMEOUT: 360
        8, 0, 9, 0,   255, 255, 255, 0,                // NETMASK: network order
    ];
    let body = [&[84, 0, 1, 0x80][..], &SERVICE_KEY, &rest].concat();
    assert_eq!(bytes[..20], [104, 0, 0, 0, 30, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]);
    assert_eq!(bytes[20..], body);
}

#[cfg(target_endian = "little")]
#[test]
fn a_destination_byte_by_byte() {
    let destination = DestinationKey { address: [10, 1, 0, 2].into(), port: 80 };
    let settings =
        Destination { forward: Forward::DirectRoute, weight: 5, upper_threshold: 100, lower_threshold: 40 };
    #[rustfmt::skip]
    let identity = [
        20, 0, 1, 0,  10, 1, 0, 2,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0, // ADDR
        6, 0, 2, 0,   0, 80, 0, 0,                     // PORT
        6, 0, 11, 0,  2, 0, 0, 0,                      // ADDR_FAMILY
    ];
    #[rustfmt::skip]
    let values = [
        8, 0, 3, 0,   3, 0, 0, 0,                      // FWD_METHOD: IP_VS_CONN_F_DROUTE
        8, 0, 4, 0,   5, 0, 0, 0,                      // WEIGHT
        8, 0, 5, 0,   100, 0, 0, 0,                    // U_THRESH
        8, 0, 6, 0,   40, 0, 0, 0,                     // L_THRESH
    ];
    let service = [&[48, 0, 1, 0x80][..], &SERVICE_KEY].concat();
    let new = encoded(&Change::NewDestination { key: key(), destination, settings });
    assert_eq!(new[16], command::NEW_DEST);
    assert_eq!(new[20..], [&service[..], &[72, 0, 2, 0x80], &identity, &values].concat());
    let set = encoded(&Change::SetDestination { key: key(), destination, settings });
    assert_eq!((set[16], &set[17..]), (command::SET_DEST, &new[17..]));
    let delete = encoded(&Change::DeleteDestination { key: key(), destination });
    assert_eq!(delete[16], command::DEL_DEST);
    assert_eq!(delete[20..], [&service[..], &[40, 0, 2, 0x80], &identity].concat());
    let whole = encoded(&Change::DeleteService { key: key() });
    assert_eq!((whole[16], &whole[20..]), (command::DEL_SERVICE, &service[..]));
}

#[cfg(target_endian = "little")]
#[test]
fn the_two_dumps_byte_by_byte() {
    let mut batch = Batch::new();
    dump_services(&mut batch, 30, 1);
    assert_eq!(batch.as_bytes(), [20, 0, 0, 0, 30, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0]);
    batch.clear();
    dump_destinations(&mut batch, 30, 2, &ServiceKey::Fwmark { family: Family::V6, mark: 0x0a0b });
    #[rustfmt::skip]
    assert_eq!(batch.as_bytes(), [
        40, 0, 0, 0, 30, 0, 1, 3, 2, 0, 0, 0, 0, 0, 0, 0, 8, 1, 0, 0,
        20, 0, 1, 0x80,
        6, 0, 1, 0,  10, 0, 0, 0,                      // AF: AF_INET6
        8, 0, 5, 0,  0x0b, 0x0a, 0, 0,                 // FWMARK
    ]);
}

#[test]
fn netmasks() {
    assert_eq!(
        [0, 1, 8, 24, 32].map(|n| prefix_of(u32::MAX.checked_shl(32 - n).unwrap_or(0))),
        [0, 1, 8, 24, 32]
    );
    // No prefix: 255.0.255.0, 0.0.0.255.
    assert_eq!([0xff00_ff00, 0xff].map(prefix_of), [0, 0]);
}

/// The answer that the kernel gives about what a request made: the same attributes, less the NESTED flag, plus
/// statistics that nobody reads here.
fn answered(what: &Change) -> Vec<u8> {
    let mut batch = Batch::new();
    change(&mut batch, 30, 9, what);
    batch.message(30, 0, 10, 1, |message| message.nest(1, |nest| nest.u32(10, 0)));
    batch.as_bytes().to_vec()
}

fn attributes(bytes: &[u8]) -> Attributes<'_> {
    Messages::new(bytes).next().unwrap().unwrap().generic().unwrap().1
}

proptest! {
    #[test]
    fn services_round_trip(
        (key, service) in any_key().prop_flat_map(|key| (Just(key), service(key.family()))),
    ) {
        let bytes = answered(&Change::NewService { key, service: service.clone() });
        let raw = service_key(attributes(&bytes)).unwrap().unwrap();
        prop_assert_eq!(raw.key, key);
        prop_assert_eq!(raw.settings().unwrap(), service);
    }

    #[test]
    fn destinations_round_trip(
        key in any_key(),
        destination in any_destination_key(),
        settings in any_destination(),
    ) {
        let bytes = answered(&Change::SetDestination { key, destination, settings });
        prop_assert_eq!(super::destination(attributes(&bytes), key.family()), Ok((destination, settings)));
    }

    /// Spoiled answers are errors or other values, never panics.
    #[test]
    fn decoding_never_panics(
        key in any_key(),
        settings in any_destination(),
        destination in any_destination_key(),
        random in proptest::collection::vec(any::<u8>(), 0..120),
        cut in 0usize..200,
    ) {
        let mut bytes = encoded(&Change::NewDestination { key, destination, settings });
        bytes.drain(..20);
        for pair in random.chunks_exact(2).take(4) {
            let at = usize::from(pair[0]) % bytes.len();
            bytes[at] = pair[1];
        }
        bytes.truncate(cut);
        for bytes in [&bytes, &random] {
            let _ = super::destination(Attributes::new(bytes), key.family());
            if let Ok(Some(raw)) = service_key(Attributes::new(bytes)) {
                let _ = raw.settings();
            }
        }
    }
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let read = |body: &dyn Fn(&mut AttributeWriter<'_>)| {
        let mut batch = Batch::new();
        batch.message(30, 0, 1, 1, body);
        let bytes = batch.as_bytes().to_vec();
        service_key(attributes(&bytes)).map(|raw| raw.map(|raw| raw.settings()))
    };
    assert_eq!(read(&|_| {}), Err(DecodeError::Missing { name: "SERVICE" }));
    assert_eq!(read(&|m| m.nest(1, |_| {})), Err(DecodeError::Missing { name: "SVC_AF" }));
    assert_eq!(read(&|m| m.nest(1, |n| n.u16(1, 7))), Err(DecodeError::Unknown { name: "SVC_AF", value: 7 }));
    // A protocol that tables do not know: somebody else's service.
    assert_eq!(
        read(&|m| m.nest(1, |n| {
            n.u16(1, 2);
            n.u16(2, 47);
        })),
        Ok(None)
    );
    // An address of 4 bytes is one, of 5 is none.
    for (bytes, good) in [(vec![1, 2, 3, 4], true), (vec![1, 2, 3, 4, 5], false)] {
        let attribute = crate::ipvs::wire::Attribute { kind: 3, value: &bytes };
        assert_eq!(address_bytes(&attribute, "A").is_ok(), good);
    }
}
