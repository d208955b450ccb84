//! Timeouts and synchronisation daemons in generic netlink.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{command, outer};
use crate::ipvs::settings::{Daemon, Order, Role, Timeouts};
use crate::ipvs::wire::{Attributes, Batch, DecodeError, NLM_F_DUMP};

/// `IPVS_DAEMON_ATTR_*`.
mod daemon {
    pub(super) const STATE: u16 = 1;
    pub(super) const MCAST_IFN: u16 = 2;
    pub(super) const SYNC_ID: u16 = 3;
    pub(super) const SYNC_MAXLEN: u16 = 4;
    pub(super) const MCAST_GROUP: u16 = 5;
    pub(super) const MCAST_GROUP6: u16 = 6;
    pub(super) const MCAST_PORT: u16 = 7;
    pub(super) const MCAST_TTL: u16 = 8;
}

/// `IP_VS_STATE_MASTER` and `IP_VS_STATE_BACKUP`.
const STATE_MASTER: u32 = 1;
const STATE_BACKUP: u32 = 2;

const fn state(role: Role) -> u32 {
    match role {
        Role::Master => STATE_MASTER,
        Role::Backup => STATE_BACKUP,
    }
}

/// Appends the request of `order`, which asks for an acknowledgement.
pub fn order(batch: &mut Batch, family: u16, sequence: u32, order: &Order) {
    match order {
        Order::SetTimeouts(timeouts) => {
            batch.message(family, 0, sequence, command::SET_CONFIG, |message| {
                for (kind, value) in [
                    (outer::TIMEOUT_TCP, timeouts.tcp),
                    (outer::TIMEOUT_TCP_FIN, timeouts.tcp_fin),
                    (outer::TIMEOUT_UDP, timeouts.udp),
                ] {
                    if let Some(seconds) = value {
                        message.u32(kind, seconds);
                    }
                }
            });
        }
        Order::Start(role, wanted) => {
            batch.message(family, 0, sequence, command::NEW_DAEMON, |message| {
                message.nest(outer::DAEMON, |nest| {
                    nest.u32(daemon::STATE, state(*role));
                    nest.text(daemon::MCAST_IFN, &wanted.interface);
                    nest.u32(daemon::SYNC_ID, u32::from(wanted.id));
                    if let Some(bytes) = wanted.max_length {
                        nest.u16(daemon::SYNC_MAXLEN, bytes);
                    }
                    match wanted.group {
                        IpAddr::V4(group) => nest.array(daemon::MCAST_GROUP, group.octets()),
                        IpAddr::V6(group) => nest.array(daemon::MCAST_GROUP6, group.octets()),
                    }
                    // This port, unlike all others here, has the machine's byte order.
                    nest.u16(daemon::MCAST_PORT, wanted.port);
                    nest.array(daemon::MCAST_TTL, [wanted.ttl]);
                });
            });
        }
        Order::Stop(role) => {
            batch.message(family, 0, sequence, command::DEL_DAEMON, |message| {
                message.nest(outer::DAEMON, |nest| {
                    nest.u32(daemon::STATE, state(*role));
                    // Required by some kernels, read by none.
                    nest.text(daemon::MCAST_IFN, "");
                    nest.u32(daemon::SYNC_ID, 0);
                });
            });
        }
    }
    batch.acknowledge_last();
}

/// Appends a dump of the daemons.
pub fn dump_daemons(batch: &mut Batch, family: u16, sequence: u32) {
    batch.message(family, NLM_F_DUMP, sequence, command::GET_DAEMON, |_| {});
}

/// Appends a request for the timeouts, which asks for an acknowledgement behind its answer.
pub fn get_timeouts(batch: &mut Batch, family: u16, sequence: u32) {
    batch.message(family, 0, sequence, command::GET_CONFIG, |_| {});
    batch.acknowledge_last();
}

/// Reads the answer to [`get_timeouts`].
///
/// # Errors
/// What is wrong with the bytes.
pub fn timeouts(attributes: Attributes<'_>) -> Result<Timeouts, DecodeError> {
    let mut timeouts = Timeouts::default();
    for attribute in attributes {
        let attribute = attribute?;
        match attribute.kind {
            outer::TIMEOUT_TCP => timeouts.tcp = Some(attribute.u32("TIMEOUT_TCP")?),
            outer::TIMEOUT_TCP_FIN => timeouts.tcp_fin = Some(attribute.u32("TIMEOUT_TCP_FIN")?),
            outer::TIMEOUT_UDP => timeouts.udp = Some(attribute.u32("TIMEOUT_UDP")?),
            _ => {}
        }
    }
    Ok(timeouts)
}

/// Reads a dumped daemon. What kernels before 4.3 do not say has its default.
///
/// # Errors
/// What is wrong with the bytes.
pub fn daemon(attributes: Attributes<'_>) -> Result<(Role, Daemon), DecodeError> {
    let (mut role, mut interface, mut id) = (None, None, 0);
    let (mut max_length, mut group, mut port, mut ttl) = (None, Daemon::GROUP, Daemon::PORT, Daemon::TTL);
    for attribute in super::find_nest(attributes, outer::DAEMON, "DAEMON")? {
        let attribute = attribute?;
        match attribute.kind {
            daemon::STATE => {
                role = match attribute.u32("DAEMON_STATE")? {
                    STATE_MASTER => Some(Role::Master),
                    STATE_BACKUP => Some(Role::Backup),
                    value => return Err(DecodeError::Unknown { name: "DAEMON_STATE", value }),
                };
            }
            daemon::MCAST_IFN => interface = Some(attribute.text("DAEMON_MCAST_IFN")?.to_owned()),
            daemon::SYNC_ID => {
                let value = attribute.u32("DAEMON_SYNC_ID")?;
                // The kernel keeps the low eight bits.
                id = u8::try_from(value & 0xff).unwrap_or(0);
            }
            daemon::SYNC_MAXLEN => max_length = Some(attribute.u16("DAEMON_SYNC_MAXLEN")?),
            daemon::MCAST_GROUP => {
                group = Ipv4Addr::from(attribute.prefix::<4>("DAEMON_MCAST_GROUP")?).into();
            }
            daemon::MCAST_GROUP6 => {
                group = Ipv6Addr::from(attribute.prefix::<16>("DAEMON_MCAST_GROUP6")?).into();
            }
            daemon::MCAST_PORT => port = attribute.u16("DAEMON_MCAST_PORT")?,
            daemon::MCAST_TTL => [ttl] = attribute.prefix("DAEMON_MCAST_TTL")?,
            _ => {}
        }
    }
    let role = role.ok_or(DecodeError::Missing { name: "DAEMON_STATE" })?;
    let interface = interface.ok_or(DecodeError::Missing { name: "DAEMON_MCAST_IFN" })?;
    Ok((role, Daemon { interface, id, max_length, group, port, ttl }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ipvs::wire::Messages;

    fn attributes(bytes: &[u8]) -> Attributes<'_> {
        Messages::new(bytes).next().unwrap().unwrap().generic().unwrap().1
    }

    proptest! {
        #[test]
        fn daemons_round_trip(
            is_master in any::<bool>(),
            interface in "[a-z]{1,15}",
            id in any::<u8>(),
            max_length in proptest::option::of(any::<u16>()),
            v6 in proptest::option::of(any::<u128>()),
            port in any::<u16>(),
            ttl in any::<u8>(),
        ) {
            let role = if is_master { Role::Master } else { Role::Backup };
            let group = v6.map_or(Daemon::GROUP, |bits| IpAddr::V6(bits.into()));
            let wanted = Daemon { interface, id, max_length, group, port, ttl };
            let mut batch = Batch::new();
            order(&mut batch, 30, 1, &Order::Start(role, wanted.clone()));
            prop_assert_eq!(daemon(attributes(batch.as_bytes())), Ok((role, wanted)));
        }

        #[test]
        fn timeouts_round_trip(tcp in any::<Option<u32>>(), tcp_fin in any::<Option<u32>>(), udp in any::<Option<u32>>()) {
            let wanted = Timeouts { tcp, tcp_fin, udp };
            let mut batch = Batch::new();
            order(&mut batch, 30, 1, &Order::SetTimeouts(wanted));
            prop_assert_eq!(timeouts(attributes(batch.as_bytes())), Ok(wanted));
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = daemon(Attributes::new(&bytes));
            let _ = timeouts(Attributes::new(&bytes));
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_daemon_byte_by_byte() {
        let wanted = Daemon {
            interface: "eth0".to_owned(),
            id: 5,
            max_length: Some(1400),
            group: Daemon::GROUP,
            port: 8848,
            ttl: 1,
        };
        let mut batch = Batch::new();
        order(&mut batch, 30, 9, &Order::Start(Role::Backup, wanted));
        #[rustfmt::skip]
        assert_eq!(batch.as_bytes()[16..], [
            9, 1, 0, 0,                                    // IPVS_CMD_NEW_DAEMON
            64, 0, 3, 0x80,
            8, 0, 1, 0,  2, 0, 0, 0,                       // STATE: BACKUP
            9, 0, 2, 0,  b'e', b't', b'h', b'0', 0, 0, 0, 0, // MCAST_IFN
            8, 0, 3, 0,  5, 0, 0, 0,                       // SYNC_ID
            6, 0, 4, 0,  0x78, 5, 0, 0,                    // SYNC_MAXLEN
            8, 0, 5, 0,  224, 0, 0, 81,                    // MCAST_GROUP
            6, 0, 7, 0,  0x90, 0x22, 0, 0,                 // MCAST_PORT, host order
            5, 0, 8, 0,  1, 0, 0, 0,                       // MCAST_TTL
        ]);
    }
}
