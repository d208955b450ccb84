//! Hexadecimal bytes as UDP_CHECK writes them.
//!
//! keepalived's free format: digits in groups, two digits a byte; the last digit of a group with an odd number of them
//! is a byte of its own (`Ab12f 3 456` = AB 12 0F 03 45 06). In `require_reply`, X stands for a digit that does not count.

/// Why a text is no hexadecimal bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// A character that is no digit.
    #[error("\"{0}\" is no hexadecimal digit")]
    Digit(char),
    /// X where every digit counts.
    #[error("X stands for a digit in require_reply only")]
    Wildcard,
}

/// Bytes, of which some half bytes do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// Value of each byte; 0 where the mask is.
    bytes: Vec<u8>,
    /// The bits of each byte that count.
    masks: Vec<u8>,
}

impl Pattern {
    /// Reads the format of `require_reply`. An empty text is the pattern that fits everything.
    ///
    /// # Errors
    /// [`HexError::Digit`].
    pub fn parse(text: &str) -> Result<Self, HexError> {
        let mut pattern = Self::default();
        for group in text.split_ascii_whitespace() {
            let digits = group.chars().map(digit).collect::<Result<Vec<_>, _>>()?;
            for pair in digits.chunks(2) {
                // A lone digit is the lower half; the upper one is 0, and counts.
                let (high, low) = match *pair {
                    [high, low] => (high, low),
                    [low] => (Half { value: 0, mask: 0xF }, low),
                    _ => continue,
                };
                pattern.bytes.push(high.value << 4 | low.value);
                pattern.masks.push(high.mask << 4 | low.mask);
            }
        }
        Ok(pattern)
    }

    /// Number of bytes.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True for the pattern that fits everything.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Index of the first byte that does not fit. Compared as far as both reach (keepalived's rule).
    pub fn mismatch(&self, data: &[u8]) -> Option<usize> {
        let wanted = self.bytes.iter().zip(&self.masks);
        wanted.zip(data).position(|((byte, mask), got)| got & mask != *byte)
    }
}

/// Reads the format of `payload`.
///
/// # Errors
/// [`HexError`].
pub fn bytes(text: &str) -> Result<Vec<u8>, HexError> {
    let Pattern { bytes, masks } = Pattern::parse(text)?;
    if masks.iter().all(|mask| *mask == 0xFF) { Ok(bytes) } else { Err(HexError::Wildcard) }
}

/// One digit.
#[derive(Clone, Copy)]
struct Half {
    value: u8,
    mask: u8,
}

fn digit(c: char) -> Result<Half, HexError> {
    if matches!(c, 'x' | 'X') {
        return Ok(Half { value: 0, mask: 0 });
    }
    let value = c.to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(HexError::Digit(c))?;
    Ok(Half { value, mask: 0xF })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_manual_s_example() {
        let manual = bytes("Ab12f 3 456 546443123").unwrap();
        assert_eq!(manual, [0xAB, 0x12, 0x0F, 0x03, 0x45, 0x06, 0x54, 0x64, 0x43, 0x12, 0x03]);
    }

    #[test]
    fn what_is_read_and_what_is_refused() {
        for (text, read) in [
            ("", Ok(vec![])),
            (" \t ", Ok(vec![])),
            ("0", Ok(vec![0])),
            ("ff", Ok(vec![255])),
            ("DEAD beef", Ok(vec![0xDE, 0xAD, 0xBE, 0xEF])),
            ("0x12", Err(HexError::Wildcard)),
            ("1g", Err(HexError::Digit('g'))),
            ("12é", Err(HexError::Digit('é'))),
        ] {
            assert_eq!(bytes(text), read, "{text:?}");
        }
    }

    #[test]
    fn wildcards_and_lengths() {
        for (text, data, at) in [
            ("", &[1, 2, 3][..], None),
            ("12xx34", &[0x12, 0x99, 0x34], None),
            ("12xx34", &[0x12, 0x99, 0x35], Some(2)),
            ("1X", &[0x1F], None),
            ("1X", &[0x2F], Some(0)),
            ("X", &[0x0F], None),
            ("X", &[0x1F], Some(0)),
            // As far as both reach.
            ("1234", &[0x12], None),
            ("1234", &[], None),
            ("12", &[0x12, 0xFF], None),
            ("1234", &[0x13], Some(0)),
        ] {
            assert_eq!(Pattern::parse(text).unwrap().mismatch(data), at, "{text} {data:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_themselves(data: Vec<u8>) {
            let text: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(bytes(&text), Ok(data.clone()));
            prop_assert_eq!(Pattern::parse(&text).unwrap().mismatch(&data), None);
        }

        #[test]
        fn a_flipped_bit_is_found(data in proptest::collection::vec(any::<u8>(), 1..50), at: usize, bit in 0..8u8) {
            let text: String = data.iter().map(|byte| format!("{byte:02x} ")).collect();
            let at = at % data.len();
            let mut other = data;
            other[at] ^= 1 << bit;
            prop_assert_eq!(Pattern::parse(&text).unwrap().mismatch(&other), Some(at));
        }

        #[test]
        fn no_text_panics(text: String, data: Vec<u8>) {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = pattern.mismatch(&data);
            }
        }
    }
}
