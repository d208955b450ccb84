//! Framing of generic netlink, written and read as plain bytes: a library's builders cost twenty-five times as much
//! per message, and a table of thousands of services is programmed in one go.
//!
//! A message is a 16-byte netlink header, a 4-byte generic netlink header, then attributes: 2 bytes length (with
//! these 4 bytes, without padding), 2 bytes type, value, padding to 4. Numbers have the machine's byte order unless
//! an attribute says otherwise. Reading never panics and never trusts a length: every slice is checked, and nothing
//! depends on the alignment of the buffer.

/// Length of a netlink header.
pub const HEADER: usize = 16;
/// Length of a generic netlink header.
pub const GENERIC_HEADER: usize = 4;
/// Message type of an acknowledgement (error 0) or error.
pub const NLMSG_ERROR: u16 = 2;
/// Message type that ends a dump.
pub const NLMSG_DONE: u16 = 3;
/// Message type that says: messages were lost.
pub const NLMSG_OVERRUN: u16 = 4;
/// Flag: this is a request.
pub const NLM_F_REQUEST: u16 = 0x1;
/// Flag: acknowledge success too.
pub const NLM_F_ACK: u16 = 0x4;
/// Flag of a dump's messages: the table changed meanwhile, the dump may have holes.
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// Flags (`ROOT | MATCH`): dump the whole.
pub const NLM_F_DUMP: u16 = 0x300;

const ALIGN: usize = 4;
const ATTRIBUTE_HEADER: usize = 4;
const NESTED: u16 = 0x8000;
/// The two top bits of an attribute type are flags (nested, byte order).
const TYPE_MASK: u16 = 0x3fff;
/// Longest text that is written. The kernel's own limits are far below and it refuses what is longer.
const TEXT_LIMIT: usize = 255;

/// Why received bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
pub enum DecodeError {
    /// Fewer bytes than a header.
    #[error("a netlink message of {have} bytes ends inside its header of {HEADER}")]
    ShortHeader { have: usize },
    /// The length field lies.
    #[error("a netlink message claims {claimed} bytes, and {have} are there")]
    MessageLength { claimed: u32, have: usize },
    /// No room for the generic netlink header, the error number, …
    #[error("{what} of {expected} bytes is cut off after {have}")]
    ShortBody { what: &'static str, expected: usize, have: usize },
    /// Fewer bytes than an attribute header.
    #[error("an attribute header is cut off after {have} of {ATTRIBUTE_HEADER} bytes")]
    ShortAttribute { have: usize },
    /// The attribute's length field lies.
    #[error("attribute {attribute} claims {claimed} bytes, and {have} are there")]
    AttributeLength { attribute: u16, claimed: u16, have: usize },
    /// The value has not the size of its type.
    #[error("attribute {name} has {have} bytes instead of {expected}")]
    AttributeSize { name: &'static str, expected: usize, have: usize },
    /// A needed attribute is not there.
    #[error("attribute {name} is missing")]
    Missing { name: &'static str },
    /// Not a text: no terminating NUL, or no UTF-8.
    #[error("attribute {name} is not a NUL-terminated text")]
    Text { name: &'static str },
    /// A number without a meaning here.
    #[error("attribute {name} has the unknown value {value}")]
    Unknown { name: &'static str, value: u32 },
}

const fn align(length: usize) -> usize {
    length.saturating_add(ALIGN - 1) & !(ALIGN - 1)
}

/// One or more messages to be sent in one datagram.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    last: Option<usize>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all messages, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.last = None;
    }

    /// The datagram.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a generic netlink message (version 1) of `family` whose attributes `body` writes.
    pub fn message(
        &mut self,
        family: u16,
        flags: u16,
        sequence: u32,
        command: u8,
        body: impl FnOnce(&mut AttributeWriter<'_>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&family.to_ne_bytes());
        self.bytes.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        // Port id 0: the kernel's; it knows ours.
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&[command, 1, 0, 0]);
        body(&mut AttributeWriter { bytes: &mut self.bytes });
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.last = Some(start);
    }

    /// Asks for an acknowledgement of the last message: the barrier that tells that all before it are done.
    pub fn acknowledge_last(&mut self) {
        if let Some(start) = self.last {
            let at = start + 6;
            let flags = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]) | NLM_F_ACK;
            self.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
        }
    }
}

/// Writes attributes to the end of a message.
#[derive(Debug)]
pub struct AttributeWriter<'a> {
    bytes: &'a mut Vec<u8>,
}

impl AttributeWriter<'_> {
    /// An attribute with these bytes as its value; at most 65531.
    fn value(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&value[..usize::from(length) - ATTRIBUTE_HEADER]);
        // Message starts are aligned, so aligning the whole buffer aligns within the message.
        self.bytes.resize(align(self.bytes.len()), 0);
    }

    /// A 16-bit number in the machine's byte order.
    pub fn u16(&mut self, kind: u16, value: u16) {
        self.value(kind, &value.to_ne_bytes());
    }

    /// A 16-bit number in network byte order.
    pub fn be16(&mut self, kind: u16, value: u16) {
        self.value(kind, &value.to_be_bytes());
    }

    /// A 32-bit number in the machine's byte order.
    pub fn u32(&mut self, kind: u16, value: u32) {
        self.value(kind, &value.to_ne_bytes());
    }

    /// A 32-bit number in network byte order.
    pub fn be32(&mut self, kind: u16, value: u32) {
        self.value(kind, &value.to_be_bytes());
    }

    /// Bytes of a fixed size.
    pub fn array<const N: usize>(&mut self, kind: u16, value: [u8; N]) {
        self.value(kind, &value);
    }

    /// A text, with its terminating NUL; cut at 255 bytes, far above any name that the kernel takes.
    pub fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes()[..value.len().min(TEXT_LIMIT)].to_vec();
        bytes.push(0);
        self.value(kind, &bytes);
    }

    /// An attribute that holds attributes; together they must stay below 64 KiB.
    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut AttributeWriter<'_>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        body(&mut AttributeWriter { bytes: self.bytes });
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(&[a, b]) => u16::from_ne_bytes([a, b]),
        _ => 0,
    }
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_ne_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Message type: a family, or one of the `NLMSG_` numbers.
    pub kind: u16,
    /// `NLM_F_` flags.
    pub flags: u16,
    /// Sequence number: of the request that is answered.
    pub sequence: u32,
    /// What follows the netlink header.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The generic netlink command and the attributes behind it.
    ///
    /// # Errors
    /// [`DecodeError::ShortBody`].
    pub fn generic(&self) -> Result<(u8, Attributes<'a>), DecodeError> {
        match self.body {
            [command, _version, _, _, attributes @ ..] => Ok((*command, Attributes { rest: attributes })),
            short => Err(DecodeError::ShortBody {
                what: "a generic netlink header",
                expected: GENERIC_HEADER,
                have: short.len(),
            }),
        }
    }

    /// The error number of an [`NLMSG_ERROR`] or [`NLMSG_DONE`] message: 0 for success, else positive.
    ///
    /// # Errors
    /// [`DecodeError::ShortBody`]. An empty `NLMSG_DONE` is success: old kernels send it so.
    pub fn error_number(&self) -> Result<i32, DecodeError> {
        if self.kind == NLMSG_DONE && self.body.is_empty() {
            return Ok(0);
        }
        let Some(&[a, b, c, d]) = self.body.get(..4) else {
            return Err(DecodeError::ShortBody {
                what: "an error number",
                expected: 4,
                have: self.body.len(),
            });
        };
        // A positive value in NLMSG_DONE is a count of no meaning here.
        Ok(i32::from_ne_bytes([a, b, c, d]).min(0).saturating_neg())
    }
}

/// The messages of one datagram; after an error it ends.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Over one datagram.
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.rest);
        if bytes.is_empty() {
            return None;
        }
        if bytes.len() < HEADER {
            return Some(Err(DecodeError::ShortHeader { have: bytes.len() }));
        }
        let claimed = read_u32(bytes, 0);
        let length = usize::try_from(claimed).unwrap_or(usize::MAX);
        if length < HEADER || length > bytes.len() {
            return Some(Err(DecodeError::MessageLength { claimed, have: bytes.len() }));
        }
        self.rest = bytes.get(align(length)..).unwrap_or_default();
        Some(Ok(Message {
            kind: read_u16(bytes, 4),
            flags: read_u16(bytes, 6),
            sequence: read_u32(bytes, 8),
            body: &bytes[HEADER..length],
        }))
    }
}

/// Attributes of a message or of a nest, one after the other; after an error it ends.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Over the value of a nest.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.rest);
        if bytes.is_empty() {
            return None;
        }
        if bytes.len() < ATTRIBUTE_HEADER {
            return Some(Err(DecodeError::ShortAttribute { have: bytes.len() }));
        }
        let claimed = read_u16(bytes, 0);
        let kind = read_u16(bytes, 2) & TYPE_MASK;
        let length = usize::from(claimed);
        if length < ATTRIBUTE_HEADER || length > bytes.len() {
            return Some(Err(DecodeError::AttributeLength { attribute: kind, claimed, have: bytes.len() }));
        }
        self.rest = bytes.get(align(length)..).unwrap_or_default();
        Some(Ok(Attribute { kind, value: &bytes[ATTRIBUTE_HEADER..length] }))
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its type, without flags.
    pub kind: u16,
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    fn sized<const N: usize>(&self, name: &'static str) -> Result<[u8; N], DecodeError> {
        self.value.try_into().map_err(|_| DecodeError::AttributeSize {
            name,
            expected: N,
            have: self.value.len(),
        })
    }

    /// A 16-bit number in the machine's byte order. `name` is for the error.
    ///
    /// # Errors
    /// [`DecodeError::AttributeSize`].
    pub fn u16(&self, name: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_ne_bytes(self.sized(name)?))
    }

    /// A 16-bit number in network byte order.
    ///
    /// # Errors
    /// [`DecodeError::AttributeSize`].
    pub fn be16(&self, name: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.sized(name)?))
    }

    /// A 32-bit number in the machine's byte order.
    ///
    /// # Errors
    /// [`DecodeError::AttributeSize`].
    pub fn u32(&self, name: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_ne_bytes(self.sized(name)?))
    }

    /// The first `N` bytes of a value that may be longer.
    ///
    /// # Errors
    /// [`DecodeError::AttributeSize`] when there are fewer.
    pub fn prefix<const N: usize>(&self, name: &'static str) -> Result<[u8; N], DecodeError> {
        self.value.first_chunk().copied().ok_or(DecodeError::AttributeSize {
            name,
            expected: N,
            have: self.value.len(),
        })
    }

    /// A text up to its NUL.
    ///
    /// # Errors
    /// [`DecodeError::Text`] without a NUL, or when it is not UTF-8.
    pub fn text(&self, name: &'static str) -> Result<&'a str, DecodeError> {
        let end = self.value.iter().position(|byte| *byte == 0).ok_or(DecodeError::Text { name })?;
        std::str::from_utf8(&self.value[..end]).map_err(|_| DecodeError::Text { name })
    }

    /// The attributes within.
    pub const fn nested(&self) -> Attributes<'a> {
        Attributes { rest: self.value }
    }
}

#[cfg(test)]
mod tests;
