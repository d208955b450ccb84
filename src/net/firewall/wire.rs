//! Framing of nfnetlink as plain bytes: a 16-byte netlink header, family, version, a resource number, attributes.
//! Numbers of nftables are big-endian, headers are not. Reading never panics and never trusts a length.

/// Message of the nftables subsystem.
pub(super) const fn nft(kind: u16) -> u16 {
    10 << 8 | kind
}
pub(super) const NLMSG_ERROR: u16 = 2;
pub(super) const NLMSG_DONE: u16 = 3;
pub(super) const BATCH_BEGIN: u16 = 16;
pub(super) const BATCH_END: u16 = 17;
pub(super) const F_REQUEST: u16 = 0x1;
pub(super) const F_ACK: u16 = 0x4;
pub(super) const F_DUMP_INTR: u16 = 0x10;
pub(super) const F_DUMP: u16 = 0x300;
pub(super) const F_CREATE: u16 = 0x400;
pub(super) const F_APPEND: u16 = 0x800;

const HEADER: usize = 16;
const NESTED: u16 = 0x8000;
const TYPE_MASK: u16 = 0x3fff;

/// Messages for one datagram.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
}

impl Batch {
    /// Appends a message.
    pub(super) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        family: u8,
        resource: u16,
        body: impl FnOnce(&mut Attributes<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | F_REQUEST).to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        body(&mut Attributes(&mut self.bytes));
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// Writes attributes.
pub(super) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    pub(super) fn bytes(&mut self, kind: u16, value: &[u8]) {
        let start = self.begin(kind);
        self.0.extend(value);
        self.end(start);
    }

    pub(super) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn text(&mut self, kind: u16, value: &str) {
        let start = self.begin(kind);
        self.0.extend(value.as_bytes());
        self.0.push(0);
        self.end(start);
    }

    pub(super) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Attributes<'_>)) {
        let start = self.begin(kind | NESTED);
        body(&mut Attributes(self.0));
        self.end(start);
    }

    fn begin(&mut self, kind: u16) -> usize {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        start
    }

    /// An attribute of 64 KiB or more cannot be said; callers send elements in portions.
    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    /// What follows the netlink header.
    pub(super) payload: &'a [u8],
}

impl Message<'_> {
    /// The errno of an error message; 0 = acknowledged.
    pub(super) fn errno(&self) -> Option<i32> {
        let bytes = self.payload.get(..4)?.try_into().ok()?;
        Some(i32::from_ne_bytes(bytes).saturating_abs())
    }
}

/// The messages of a datagram, up to the first that is cut off.
pub(super) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
        let whole = bytes.get(..length)?;
        let payload = whole.get(HEADER..)?;
        let number = |at: usize| Some(u16::from_ne_bytes(whole.get(at..at + 2)?.try_into().ok()?));
        let sequence = u32::from_ne_bytes(whole.get(8..12)?.try_into().ok()?);
        let message = Message { kind: number(4)?, flags: number(6)?, sequence, payload };
        bytes = bytes.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
        Some(message)
    })
}

/// Attributes as (type, value), up to the first that is cut off.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of this type.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A NUL-terminated text.
pub(super) fn text(value: &[u8]) -> String {
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}
