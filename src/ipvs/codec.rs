//! IPVS in generic netlink: changes to requests, dumped messages to services and destinations. Numbers and layout are
//! those of `linux/ip_vs.h` (family "IPVS", version 1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ipvs::diff::Change;
use crate::ipvs::table::{
    Checksum, Destination, DestinationKey, Family, Forward, Persistence, Protocol, Service, ServiceKey,
};
use crate::ipvs::wire::{AttributeWriter, Attributes, Batch, DecodeError, NLM_F_DUMP};

pub mod counts;
pub mod settings;

/// Name of the generic netlink family.
pub const FAMILY_NAME: &str = "IPVS";

/// `IPVS_CMD_*`.
#[allow(missing_docs, reason = "the kernel's names")]
pub mod command {
    pub const NEW_SERVICE: u8 = 1;
    pub const SET_SERVICE: u8 = 2;
    pub const DEL_SERVICE: u8 = 3;
    pub const GET_SERVICE: u8 = 4;
    pub const NEW_DEST: u8 = 5;
    pub const SET_DEST: u8 = 6;
    pub const DEL_DEST: u8 = 7;
    pub const GET_DEST: u8 = 8;
    pub const NEW_DAEMON: u8 = 9;
    pub const DEL_DAEMON: u8 = 10;
    pub const GET_DAEMON: u8 = 11;
    pub const SET_CONFIG: u8 = 12;
    pub const GET_CONFIG: u8 = 13;
    pub const ZERO: u8 = 16;
    pub const FLUSH: u8 = 17;
}

/// `IPVS_CMD_ATTR_*`: the outermost attributes.
#[allow(missing_docs, reason = "the kernel's names")]
pub mod outer {
    pub const SERVICE: u16 = 1;
    pub const DEST: u16 = 2;
    pub const DAEMON: u16 = 3;
    pub const TIMEOUT_TCP: u16 = 4;
    pub const TIMEOUT_TCP_FIN: u16 = 5;
    pub const TIMEOUT_UDP: u16 = 6;
}

/// `IPVS_SVC_ATTR_*`.
mod svc {
    pub(super) const AF: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const ADDR: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const FWMARK: u16 = 5;
    pub(super) const SCHED_NAME: u16 = 6;
    pub(super) const FLAGS: u16 = 7;
    pub(super) const TIMEOUT: u16 = 8;
    pub(super) const NETMASK: u16 = 9;
    pub(super) const STATS: u16 = 10;
    pub(super) const PE_NAME: u16 = 11;
    pub(super) const STATS64: u16 = 12;
}

/// `IPVS_DEST_ATTR_*`.
mod dest {
    pub(super) const ADDR: u16 = 1;
    pub(super) const PORT: u16 = 2;
    pub(super) const FWD_METHOD: u16 = 3;
    pub(super) const WEIGHT: u16 = 4;
    pub(super) const U_THRESH: u16 = 5;
    pub(super) const L_THRESH: u16 = 6;
    pub(super) const ACTIVE_CONNS: u16 = 7;
    pub(super) const INACT_CONNS: u16 = 8;
    pub(super) const STATS: u16 = 10;
    pub(super) const ADDR_FAMILY: u16 = 11;
    pub(super) const STATS64: u16 = 12;
    pub(super) const TUN_TYPE: u16 = 13;
    pub(super) const TUN_PORT: u16 = 14;
    pub(super) const TUN_FLAGS: u16 = 15;
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

const IPPROTO_TCP: u16 = 6;
const IPPROTO_UDP: u16 = 17;
const IPPROTO_SCTP: u16 = 132;

/// `IP_VS_SVC_F_*`.
const F_PERSISTENT: u32 = 0x1;
const F_ONE_PACKET: u32 = 0x4;
/// `IP_VS_SVC_F_SCHED1`; 2 and 3 follow.
const F_SCHED_SHIFT: u32 = 3;
const F_SCHED: u32 = 0x38;
/// The flags that we decide about. The rest (hashed) is the kernel's, and stays out of the mask.
const F_OURS: u32 = F_PERSISTENT | F_ONE_PACKET | F_SCHED;

/// `IP_VS_CONN_F_FWD_MASK` and its values.
const FORWARD_MASK: u32 = 0x7;
const FORWARD_TUNNEL: u32 = 2;
const FORWARD: [(u32, Forward); 4] = [
    (0, Forward::Masquerade),
    (1, Forward::Local),
    (FORWARD_TUNNEL, Forward::Tunnel),
    (3, Forward::DirectRoute),
];

/// `IP_VS_CONN_F_TUNNEL_TYPE_*`.
const TUNNEL_IPIP: u8 = 0;
const TUNNEL_GUE: u8 = 1;
const TUNNEL_GRE: u8 = 2;
/// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
const CHECKSUM: u16 = 1;
const CHECKSUM_REMOTE: u16 = 2;

/// Appends the request of `change` to `batch`. It asks for no acknowledgement of its own
/// ([`Batch::acknowledge_last`]).
pub fn change(batch: &mut Batch, family: u16, sequence: u32, change: &Change) {
    let (command, key) = match change {
        Change::NewService { key, .. } => (command::NEW_SERVICE, key),
        Change::SetService { key, .. } => (command::SET_SERVICE, key),
        Change::DeleteService { key } => (command::DEL_SERVICE, key),
        Change::NewDestination { key, .. } => (command::NEW_DEST, key),
        Change::SetDestination { key, .. } => (command::SET_DEST, key),
        Change::DeleteDestination { key, .. } => (command::DEL_DEST, key),
    };
    batch.message(family, 0, sequence, command, |message| {
        message.nest(outer::SERVICE, |nest| {
            write_key(nest, key);
            if let Change::NewService { service, .. } | Change::SetService { service, .. } = change {
                write_service(nest, key.family(), service);
            }
        });
        match change {
            Change::NewDestination { destination, settings, .. }
            | Change::SetDestination { destination, settings, .. } => message.nest(outer::DEST, |nest| {
                write_destination_key(nest, destination);
                write_destination(nest, settings);
            }),
            Change::DeleteDestination { destination, .. } => {
                message.nest(outer::DEST, |nest| write_destination_key(nest, destination));
            }
            Change::NewService { .. } | Change::SetService { .. } | Change::DeleteService { .. } => {}
        }
    });
}

/// Appends a dump of all services.
pub fn dump_services(batch: &mut Batch, family: u16, sequence: u32) {
    batch.message(family, NLM_F_DUMP, sequence, command::GET_SERVICE, |_| {});
}

/// Appends a dump of the destinations of the service `key`; a service that is not there has none.
pub fn dump_destinations(batch: &mut Batch, family: u16, sequence: u32, key: &ServiceKey) {
    batch.message(family, NLM_F_DUMP, sequence, command::GET_DEST, |message| {
        message.nest(outer::SERVICE, |nest| write_key(nest, key));
    });
}

/// Appends the request that sets the counters of a service and its destinations to zero, to be acknowledged.
pub fn zero(batch: &mut Batch, family: u16, sequence: u32, key: &ServiceKey) {
    batch.message(family, 0, sequence, command::ZERO, |message| {
        message.nest(outer::SERVICE, |nest| write_key(nest, key));
    });
    batch.acknowledge_last();
}

const fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    }
}

/// `union nf_inet_addr`: 16 bytes, an IPv4 address in the first four.
fn union_address(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
        IpAddr::V6(address) => address.octets(),
    }
}

fn write_key(nest: &mut AttributeWriter<'_>, key: &ServiceKey) {
    nest.u16(svc::AF, family_number(key.family()));
    match key {
        ServiceKey::Address { protocol, address, port } => {
            let number = match protocol {
                Protocol::Tcp => IPPROTO_TCP,
                Protocol::Udp => IPPROTO_UDP,
                Protocol::Sctp => IPPROTO_SCTP,
            };
            nest.u16(svc::PROTOCOL, number);
            nest.array(svc::ADDR, union_address(*address));
            nest.be16(svc::PORT, *port);
        }
        ServiceKey::Fwmark { mark, .. } => nest.u32(svc::FWMARK, *mark),
    }
}

fn write_service(nest: &mut AttributeWriter<'_>, family: Family, service: &Service) {
    nest.text(svc::SCHED_NAME, &service.scheduler);
    let mut flags = (u32::from(service.scheduler_flags) << F_SCHED_SHIFT) & F_SCHED;
    if service.persistence.is_some() {
        flags |= F_PERSISTENT;
    }
    if service.one_packet {
        flags |= F_ONE_PACKET;
    }
    // struct ip_vs_flags: value, then mask, both in the machine's byte order.
    let mut value = [0; 8];
    value[..4].copy_from_slice(&flags.to_ne_bytes());
    value[4..].copy_from_slice(&F_OURS.to_ne_bytes());
    nest.array(svc::FLAGS, value);
    nest.u32(svc::TIMEOUT, service.persistence.map_or(0, |persistence| persistence.timeout));
    let granularity = service.persistence.map(|persistence| persistence.granularity);
    match family {
        // A mask in network byte order for IPv4, a plain prefix length for IPv6.
        Family::V4 => {
            let prefix = u32::from(granularity.unwrap_or(32).min(32));
            nest.be32(svc::NETMASK, u32::MAX.checked_shl(32 - prefix).unwrap_or(0));
        }
        Family::V6 => nest.u32(svc::NETMASK, u32::from(granularity.unwrap_or(128))),
    }
    // Left out, a set takes the engine away.
    if let Some(engine) = &service.engine {
        nest.text(svc::PE_NAME, engine);
    }
}

fn write_destination_key(nest: &mut AttributeWriter<'_>, key: &DestinationKey) {
    nest.array(dest::ADDR, union_address(key.address));
    nest.be16(dest::PORT, key.port);
    // Its own family: a tunnelled server may have the other one.
    nest.u16(dest::ADDR_FAMILY, if key.address.is_ipv4() { AF_INET } else { AF_INET6 });
}

fn write_destination(nest: &mut AttributeWriter<'_>, settings: &Destination) {
    let method = if settings.forward.is_tunnel() { Forward::Tunnel } else { settings.forward };
    let forward = FORWARD.iter().find(|(_, forward)| *forward == method).map_or(0, |(value, _)| *value);
    nest.u32(dest::FWD_METHOD, forward);
    nest.u32(dest::WEIGHT, settings.weight);
    nest.u32(dest::U_THRESH, settings.upper_threshold);
    nest.u32(dest::L_THRESH, settings.lower_threshold);
    // Plain ipip is what the kernel takes without these, and all that kernels before 5.3 know.
    match settings.forward {
        Forward::Gue { port, checksum } => write_tunnel(nest, TUNNEL_GUE, port, checksum),
        Forward::Gre { checksum } => write_tunnel(nest, TUNNEL_GRE, 0, checksum),
        Forward::Masquerade | Forward::DirectRoute | Forward::Tunnel | Forward::Local => {}
    }
}

fn write_tunnel(nest: &mut AttributeWriter<'_>, kind: u8, port: u16, checksum: Checksum) {
    nest.array(dest::TUN_TYPE, [kind]);
    nest.be16(dest::TUN_PORT, port);
    let flags = match checksum {
        Checksum::None => 0,
        Checksum::Full => CHECKSUM,
        Checksum::Remote => CHECKSUM_REMOTE,
    };
    nest.u16(dest::TUN_FLAGS, flags);
}

fn tunnel(kind: u8, port: u16, flags: u16) -> Result<Forward, DecodeError> {
    let checksum = match flags {
        flags if flags & CHECKSUM_REMOTE != 0 => Checksum::Remote,
        flags if flags & CHECKSUM != 0 => Checksum::Full,
        _ => Checksum::None,
    };
    match kind {
        TUNNEL_IPIP => Ok(Forward::Tunnel),
        TUNNEL_GUE => Ok(Forward::Gue { port, checksum }),
        TUNNEL_GRE => Ok(Forward::Gre { checksum }),
        other => Err(DecodeError::Unknown { name: "DEST_TUN_TYPE", value: other.into() }),
    }
}

fn family_of(number: u16, name: &'static str) -> Result<Family, DecodeError> {
    match number {
        AF_INET => Ok(Family::V4),
        AF_INET6 => Ok(Family::V6),
        other => Err(DecodeError::Unknown { name, value: other.into() }),
    }
}

fn address(bytes: Option<[u8; 16]>, family: Family, name: &'static str) -> Result<IpAddr, DecodeError> {
    let bytes = bytes.ok_or(DecodeError::Missing { name })?;
    let [a, b, c, d, ..] = bytes;
    Ok(match family {
        Family::V4 => Ipv4Addr::new(a, b, c, d).into(),
        Family::V6 => Ipv6Addr::from(bytes).into(),
    })
}

/// Address bytes: 16, or 4 for IPv4; the rest is filled with zeros.
fn address_bytes(
    attribute: &crate::ipvs::wire::Attribute<'_>,
    name: &'static str,
) -> Result<[u8; 16], DecodeError> {
    if let Ok(four) = <[u8; 4]>::try_from(attribute.value) {
        return Ok(union_address(Ipv4Addr::from(four).into()));
    }
    attribute.prefix(name)
}

fn find_nest<'a>(
    attributes: Attributes<'a>,
    kind: u16,
    name: &'static str,
) -> Result<Attributes<'a>, DecodeError> {
    for attribute in attributes {
        let attribute = attribute?;
        if attribute.kind == kind {
            return Ok(attribute.nested());
        }
    }
    Err(DecodeError::Missing { name })
}

/// A dumped service, its settings not yet read.
#[derive(Clone, Debug)]
pub struct RawService<'a> {
    /// What identifies it.
    pub key: ServiceKey,
    nest: Attributes<'a>,
}

/// Reads which service a dumped message is about. `None`: a kind of service that tables do not know (another IP
/// protocol), so certainly none of ours.
///
/// # Errors
/// What is wrong with the bytes.
pub fn service_key(attributes: Attributes<'_>) -> Result<Option<RawService<'_>>, DecodeError> {
    let nest = find_nest(attributes, outer::SERVICE, "SERVICE")?;
    let (mut family, mut protocol, mut bytes, mut port, mut mark) = (None, None, None, None, None);
    for attribute in nest.clone() {
        let attribute = attribute?;
        match attribute.kind {
            svc::AF => family = Some(family_of(attribute.u16("SVC_AF")?, "SVC_AF")?),
            svc::PROTOCOL => protocol = Some(attribute.u16("SVC_PROTOCOL")?),
            svc::ADDR => bytes = Some(address_bytes(&attribute, "SVC_ADDR")?),
            svc::PORT => port = Some(attribute.be16("SVC_PORT")?),
            svc::FWMARK => mark = Some(attribute.u32("SVC_FWMARK")?),
            _ => {}
        }
    }
    let family = family.ok_or(DecodeError::Missing { name: "SVC_AF" })?;
    if let Some(mark) = mark.filter(|mark| *mark != 0) {
        return Ok(Some(RawService { key: ServiceKey::Fwmark { family, mark }, nest }));
    }
    let protocol = match protocol.ok_or(DecodeError::Missing { name: "SVC_PROTOCOL" })? {
        IPPROTO_TCP => Protocol::Tcp,
        IPPROTO_UDP => Protocol::Udp,
        IPPROTO_SCTP => Protocol::Sctp,
        _ => return Ok(None),
    };
    let address = address(bytes, family, "SVC_ADDR")?;
    let port = port.ok_or(DecodeError::Missing { name: "SVC_PORT" })?;
    Ok(Some(RawService { key: ServiceKey::Address { protocol, address, port }, nest }))
}

/// Prefix length of an IPv4 netmask; 0 when it is none.
fn prefix_of(mask: u32) -> u8 {
    let ones = mask.leading_ones();
    if ones + mask.trailing_zeros() >= 32 { u8::try_from(ones).unwrap_or(0) } else { 0 }
}

impl RawService<'_> {
    /// The service's settings.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn settings(&self) -> Result<Service, DecodeError> {
        let (mut scheduler, mut flags, mut timeout, mut mask) = (None, None, None, None);
        let mut engine = None;
        for attribute in self.nest.clone() {
            let attribute = attribute?;
            match attribute.kind {
                svc::SCHED_NAME => scheduler = Some(attribute.text("SVC_SCHED_NAME")?),
                // struct ip_vs_flags; the mask behind the value means nothing in an answer.
                svc::FLAGS => flags = Some(u32::from_ne_bytes(attribute.prefix("SVC_FLAGS")?)),
                svc::TIMEOUT => timeout = Some(attribute.u32("SVC_TIMEOUT")?),
                svc::NETMASK => mask = Some(attribute.u32("SVC_NETMASK")?),
                svc::PE_NAME => engine = Some(attribute.text("SVC_PE_NAME")?),
                _ => {}
            }
        }
        let flags = flags.ok_or(DecodeError::Missing { name: "SVC_FLAGS" })?;
        let timeout = timeout.ok_or(DecodeError::Missing { name: "SVC_TIMEOUT" })?;
        let mask = mask.ok_or(DecodeError::Missing { name: "SVC_NETMASK" })?;
        let granularity = match self.key.family() {
            Family::V4 => prefix_of(u32::from_be(mask)),
            Family::V6 => u8::try_from(mask).unwrap_or(0),
        };
        Ok(Service {
            scheduler: scheduler.ok_or(DecodeError::Missing { name: "SVC_SCHED_NAME" })?.to_owned(),
            persistence: (flags & F_PERSISTENT != 0).then_some(Persistence { timeout, granularity }),
            one_packet: flags & F_ONE_PACKET != 0,
            scheduler_flags: u8::try_from((flags & F_SCHED) >> F_SCHED_SHIFT).unwrap_or(0),
            engine: engine.filter(|name| !name.is_empty()).map(str::to_owned),
        })
    }
}

/// Reads a dumped destination of a service of `family` (kernels before 3.18 do not name the destination's own).
///
/// # Errors
/// What is wrong with the bytes.
pub fn destination(
    attributes: Attributes<'_>,
    family: Family,
) -> Result<(DestinationKey, Destination), DecodeError> {
    let (mut bytes, mut port, mut own_family, mut forward) = (None, None, None, None);
    let (mut weight, mut upper, mut lower) = (None, None, None);
    let (mut tunnel_kind, mut tunnel_port, mut tunnel_flags) = (TUNNEL_IPIP, 0, 0);
    for attribute in find_nest(attributes, outer::DEST, "DEST")? {
        let attribute = attribute?;
        match attribute.kind {
            dest::ADDR => bytes = Some(address_bytes(&attribute, "DEST_ADDR")?),
            dest::PORT => port = Some(attribute.be16("DEST_PORT")?),
            dest::ADDR_FAMILY => {
                own_family = Some(family_of(attribute.u16("DEST_ADDR_FAMILY")?, "DEST_ADDR_FAMILY")?);
            }
            dest::FWD_METHOD => forward = Some(attribute.u32("DEST_FWD_METHOD")? & FORWARD_MASK),
            dest::WEIGHT => weight = Some(attribute.u32("DEST_WEIGHT")?),
            dest::U_THRESH => upper = Some(attribute.u32("DEST_U_THRESH")?),
            dest::L_THRESH => lower = Some(attribute.u32("DEST_L_THRESH")?),
            dest::TUN_TYPE => [tunnel_kind] = attribute.prefix("DEST_TUN_TYPE")?,
            dest::TUN_PORT => tunnel_port = attribute.be16("DEST_TUN_PORT")?,
            dest::TUN_FLAGS => tunnel_flags = attribute.u16("DEST_TUN_FLAGS")?,
            _ => {}
        }
    }
    let forward = forward.ok_or(DecodeError::Missing { name: "DEST_FWD_METHOD" })?;
    let forward = FORWARD
        .iter()
        .find(|(value, _)| *value == forward)
        .map(|(_, forward)| *forward)
        .ok_or(DecodeError::Unknown { name: "DEST_FWD_METHOD", value: forward })?;
    let forward = match forward {
        Forward::Tunnel => tunnel(tunnel_kind, tunnel_port, tunnel_flags)?,
        other => other,
    };
    let key = DestinationKey {
        address: address(bytes, own_family.unwrap_or(family), "DEST_ADDR")?,
        port: port.ok_or(DecodeError::Missing { name: "DEST_PORT" })?,
    };
    let settings = Destination {
        forward,
        weight: weight.ok_or(DecodeError::Missing { name: "DEST_WEIGHT" })?,
        upper_threshold: upper.ok_or(DecodeError::Missing { name: "DEST_U_THRESH" })?,
        lower_threshold: lower.ok_or(DecodeError::Missing { name: "DEST_L_THRESH" })?,
    };
    Ok((key, settings))
}

#[cfg(test)]
mod tests;
