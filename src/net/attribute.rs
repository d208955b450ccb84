//! Attributes of route netlink messages (`struct rtattr`), written and read. Routes and rules are framed here and not
//! by the library: a route of somebody else's that carries an attribute nobody knows must not spoil the reading.

use std::net::IpAddr;

/// Length of an attribute's header.
const HEADER: usize = 4;
/// The bits of the type that are its number; the rest are NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const NUMBER: u16 = 0x3fff;
/// NLA_F_NESTED.
const NESTED: u16 = 0x8000;

/// A message's body: its fixed header, then attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body(Vec<u8>);

/// Where an attribute began that is still open.
pub(super) struct Open(usize);

impl Body {
    /// A body that begins with this fixed header.
    pub(super) fn new(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    /// The bytes as they are.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, taken out.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// One attribute.
    pub(super) fn put(&mut self, number: u16, value: &[u8]) {
        let open = self.open_as(number);
        self.0.extend_from_slice(value);
        self.close(&open);
    }

    /// A byte.
    pub(super) fn put_u8(&mut self, number: u16, value: u8) {
        self.put(number, &[value]);
    }

    /// 16 bits in the machine's order.
    pub(super) fn put_u16(&mut self, number: u16, value: u16) {
        self.put(number, &value.to_ne_bytes());
    }

    /// 32 bits in the machine's order.
    pub(super) fn put_u32(&mut self, number: u16, value: u32) {
        self.put(number, &value.to_ne_bytes());
    }

    /// An address, in network order.
    pub(super) fn put_ip(&mut self, number: u16, value: IpAddr) {
        match value {
            IpAddr::V4(v4) => self.put(number, &v4.octets()),
            IpAddr::V6(v6) => self.put(number, &v6.octets()),
        }
    }

    /// A name, with the zero that ends it.
    pub(super) fn put_name(&mut self, number: u16, name: &str) {
        let open = self.open_as(number);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.close(&open);
    }

    /// Begins an attribute of attributes.
    pub(super) fn open(&mut self, number: u16) -> Open {
        self.open_as(number | NESTED)
    }

    /// Begins an attribute whose value is no list of attributes, or is not marked as one.
    pub(super) fn open_as(&mut self, number: u16) -> Open {
        let open = Open(self.0.len());
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&number.to_ne_bytes());
        open
    }

    /// Bytes within an open attribute.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Ends it. An attribute longer than its length field can say is cut to nothing: no option of ours is that long.
    pub(super) fn close(&mut self, open: &Open) {
        match u16::try_from(self.0.len() - open.0) {
            Ok(length) => {
                if let Some(field) = self.0.get_mut(open.0..open.0 + 2) {
                    field.copy_from_slice(&length.to_ne_bytes());
                }
                let padded = self.0.len().next_multiple_of(4);
                self.0.resize(padded, 0);
            }
            Err(_) => self.0.truncate(open.0),
        }
    }

    /// Begins a `struct rtnexthop`, whose length field counts like that of an attribute.
    pub(super) fn open_hop(&mut self, flags: u8, weight: u8, index: u32) -> Open {
        let open = Open(self.0.len());
        self.0.extend_from_slice(&[0, 0, flags, weight]);
        self.0.extend_from_slice(&index.to_ne_bytes());
        open
    }
}

/// The attributes of a message in their order; ends at the first that is cut.
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(self.0.get(..2)?.try_into().ok()?));
        let number = u16::from_ne_bytes(self.0.get(2..HEADER)?.try_into().ok()?);
        let value = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((number & NUMBER, value))
    }
}

/// 32 bits in the machine's order.
pub(super) fn u32_of(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.get(..4)?.try_into().ok()?))
}

/// 16 bits in the machine's order.
pub(super) fn u16_of(value: &[u8]) -> Option<u16> {
    Some(u16::from_ne_bytes(value.get(..2)?.try_into().ok()?))
}

/// An address: its family is its length.
pub(super) fn ip_of(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
        _ => None,
    }
}

/// A name up to its zero.
pub(super) fn name_of(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nested_attributes_read_back() {
        let mut body = Body::new(&[1, 2, 3, 4]);
        body.put_u8(5, 7);
        let outer = body.open(9);
        body.put_u32(1, 0x0102_0304);
        body.put_name(2, "eth0");
        body.close(&outer);
        body.put_ip(3, IpAddr::from([10, 0, 0, 1]));
        let found: Vec<(u16, &[u8])> = Attributes::new(&body.bytes()[4..]).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], (5, [7].as_slice()));
        assert_eq!(ip_of(found[2].1), Some(IpAddr::from([10, 0, 0, 1])));
        let inner: Vec<(u16, &[u8])> = Attributes::new(found[1].1).collect();
        assert_eq!(u32_of(inner[0].1), Some(0x0102_0304));
        assert_eq!(name_of(inner[1].1), "eth0");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_go_on_for_ever(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Attributes::new(&bytes).count() <= bytes.len() / HEADER);
        }
    }
}
