//! Expressions of nftables rules, as attributes: what is loaded into a register, compared and looked up.

use super::SetName;
use super::wire::Attributes;

/// First register; each is 16 bytes, so that a key of two parts fills both.
pub(super) const FIRST: u32 = 1;
pub(super) const SECOND: u32 = 2;
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;
pub(super) const META_L4PROTO: u32 = 16;
pub(super) const EQUAL: u32 = 0;
pub(super) const NOT_ABOVE: u32 = 3;
pub(super) const NOT_BELOW: u32 = 5;

pub(super) fn expression(a: &mut Attributes<'_>, name: &str, body: impl FnOnce(&mut Attributes<'_>)) {
    a.nest(1, |a| {
        a.text(1, name);
        a.nest(2, body);
    });
}

/// Bytes of the packet into a register.
pub(super) fn payload(a: &mut Attributes<'_>, base: u32, (offset, length): (u32, u32), register: u32) {
    expression(a, "payload", |a| {
        for (kind, value) in [(1, register), (2, base), (3, offset), (4, length)] {
            a.number(kind, value);
        }
    });
}

pub(super) fn meta(a: &mut Attributes<'_>, key: u32, register: u32) {
    expression(a, "meta", |a| {
        a.number(1, register);
        a.number(2, key);
    });
}

/// The first register against one byte.
pub(super) fn compare(a: &mut Attributes<'_>, how: u32, value: u8) {
    expression(a, "cmp", |a| {
        a.number(1, FIRST);
        a.number(2, how);
        a.nest(3, |a| a.bytes(1, &[value]));
    });
}

pub(super) fn lookup(a: &mut Attributes<'_>, set: SetName, register: u32, into: Option<u32>) {
    expression(a, "lookup", |a| {
        a.text(1, set.text());
        a.number(2, register);
        if let Some(into) = into {
            a.number(3, into);
        }
    });
}
