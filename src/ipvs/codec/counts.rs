//! The counters of dumped services and destinations (`IPVS_STATS_ATTR_*`).

use super::{address, address_bytes, dest, family_of, find_nest, outer, svc};
use crate::ipvs::counts::{DestinationCounts, Traffic};
use crate::ipvs::table::{DestinationKey, Family};
use crate::ipvs::wire::{Attribute, Attributes, DecodeError};

/// A number of four bytes (`IPVS_*_ATTR_STATS`) or of eight (`IPVS_*_ATTR_STATS64`, since Linux 4.1).
fn number(attribute: &Attribute<'_>) -> Result<u64, DecodeError> {
    if let Ok(four) = <[u8; 4]>::try_from(attribute.value) {
        return Ok(u32::from_ne_bytes(four).into());
    }
    attribute.prefix("STATS").map(u64::from_ne_bytes)
}

/// What a nest of counters says. Unknown ones are passed over, missing ones are 0.
fn traffic(nest: Attributes<'_>) -> Result<Traffic, DecodeError> {
    let mut traffic = Traffic::default();
    for attribute in nest {
        let attribute = attribute?;
        let place = match attribute.kind {
            1 => &mut traffic.connections,
            2 => &mut traffic.packets_in,
            3 => &mut traffic.packets_out,
            4 => &mut traffic.bytes_in,
            5 => &mut traffic.bytes_out,
            6 => &mut traffic.connection_rate,
            7 => &mut traffic.packet_rate_in,
            8 => &mut traffic.packet_rate_out,
            9 => &mut traffic.byte_rate_in,
            10 => &mut traffic.byte_rate_out,
            // Padding.
            _ => continue,
        };
        *place = number(&attribute)?;
    }
    Ok(traffic)
}

/// The counters of a dumped service: the wide ones where the kernel has them, whatever the order.
///
/// # Errors
/// What is wrong with the bytes.
pub fn service(attributes: Attributes<'_>) -> Result<Traffic, DecodeError> {
    let (mut narrow, mut wide) = (None, None);
    for attribute in find_nest(attributes, outer::SERVICE, "SERVICE")? {
        let attribute = attribute?;
        match attribute.kind {
            svc::STATS => narrow = Some(traffic(attribute.nested())?),
            svc::STATS64 => wide = Some(traffic(attribute.nested())?),
            _ => {}
        }
    }
    Ok(wide.or(narrow).unwrap_or_default())
}

/// The counters of a dumped destination of a service of `family`.
///
/// # Errors
/// What is wrong with the bytes.
pub fn destination(
    attributes: Attributes<'_>,
    family: Family,
) -> Result<(DestinationKey, DestinationCounts), DecodeError> {
    let (mut bytes, mut port, mut own_family) = (None, None, None);
    let (mut narrow, mut wide) = (None, None);
    let mut counts = DestinationCounts::default();
    for attribute in find_nest(attributes, outer::DEST, "DEST")? {
        let attribute = attribute?;
        match attribute.kind {
            dest::ADDR => bytes = Some(address_bytes(&attribute, "DEST_ADDR")?),
            dest::PORT => port = Some(attribute.be16("DEST_PORT")?),
            dest::ADDR_FAMILY => {
                own_family = Some(family_of(attribute.u16("DEST_ADDR_FAMILY")?, "DEST_ADDR_FAMILY")?);
            }
            dest::ACTIVE_CONNS => counts.active = attribute.u32("DEST_ACTIVE_CONNS")?.into(),
            dest::INACT_CONNS => counts.inactive = attribute.u32("DEST_INACT_CONNS")?.into(),
            dest::STATS => narrow = Some(traffic(attribute.nested())?),
            dest::STATS64 => wide = Some(traffic(attribute.nested())?),
            _ => {}
        }
    }
    counts.traffic = wide.or(narrow).unwrap_or_default();
    let key = DestinationKey {
        address: address(bytes, own_family.unwrap_or(family), "DEST_ADDR")?,
        port: port.ok_or(DecodeError::Missing { name: "DEST_PORT" })?,
    };
    Ok((key, counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::wire::{AttributeWriter, Batch, Messages};

    /// A message as the kernel dumps it: `body` writes its attributes.
    fn read<T>(
        body: impl FnOnce(&mut AttributeWriter<'_>),
        decode: impl Fn(Attributes<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut batch = Batch::new();
        batch.message(30, 0, 1, 1, body);
        let message = Messages::new(batch.as_bytes()).next().expect("a message")?;
        decode(message.generic()?.1)
    }

    fn narrow(nest: &mut AttributeWriter<'_>) {
        nest.u32(1, 7);
        nest.array(4, 9u64.to_ne_bytes());
    }

    fn wide(nest: &mut AttributeWriter<'_>) {
        for kind in 1..=10u16 {
            nest.array(kind, (u64::from(kind) << 33).to_ne_bytes());
        }
        nest.array(11, [0; 0]);
        nest.array(99, [1; 3]);
    }

    #[test]
    fn wide_counters_win_over_narrow_ones() {
        let both = |message: &mut AttributeWriter<'_>| {
            message.nest(outer::SERVICE, |service| {
                service.nest(svc::STATS64, wide);
                service.nest(svc::STATS, narrow);
            });
        };
        let traffic = read(both, service).unwrap();
        let all = [
            traffic.connections,
            traffic.packets_in,
            traffic.packets_out,
            traffic.bytes_in,
            traffic.bytes_out,
            traffic.connection_rate,
            traffic.packet_rate_in,
            traffic.packet_rate_out,
            traffic.byte_rate_in,
            traffic.byte_rate_out,
        ];
        assert_eq!(all.map(|n| n >> 33), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let old = |message: &mut AttributeWriter<'_>| {
            message.nest(outer::SERVICE, |service| service.nest(svc::STATS, narrow));
        };
        let traffic = read(old, service).unwrap();
        assert_eq!((traffic.connections, traffic.bytes_in), (7, 9));
    }

    #[test]
    fn connections_of_a_destination() {
        let body = |message: &mut AttributeWriter<'_>| {
            message.nest(outer::DEST, |nest| {
                nest.array(dest::ADDR, [10, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                nest.be16(dest::PORT, 8080);
                nest.u16(dest::ADDR_FAMILY, 2);
                nest.u32(dest::ACTIVE_CONNS, 5);
                nest.u32(dest::INACT_CONNS, 6);
                nest.nest(dest::STATS64, wide);
            });
        };
        let (key, counts) = read(body, |attributes| destination(attributes, Family::V4)).unwrap();
        assert_eq!((key.to_string().as_str(), counts.active, counts.inactive), ("10.0.0.3:8080", 5, 6));
        assert_eq!(counts.traffic.connections, 1 << 33);
        let cut = |message: &mut AttributeWriter<'_>| {
            message.nest(outer::DEST, |nest| nest.nest(dest::STATS64, |stats| stats.array(1, [1, 2, 3])));
        };
        assert!(read(cut, |attributes| destination(attributes, Family::V4)).is_err());
    }
}
