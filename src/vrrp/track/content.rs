//! What the text of a `track_file` says. Pure.

/// Why a text says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// keepalived's rule: what it had said before stands.
    #[error("its number is beyond -2147483648..=2147483647: it is passed over, write a smaller one")]
    OutOfRange,
}

/// The number at the beginning of a text, read as strtol(3) with base 0 does: white space, a sign, `0x` for
/// hexadecimal, a leading `0` for octal; what follows the number is passed over. A text without a number says 0.
///
/// # Errors
/// When the number does not fit into 32 bits.
pub fn number(text: &[u8]) -> Result<i64, Unread> {
    let mut rest = text.trim_ascii_start();
    let negative = match rest.split_first() {
        Some((b'-', tail)) => {
            rest = tail;
            true
        }
        Some((b'+', tail)) => {
            rest = tail;
            false
        }
        _ => false,
    };
    let base = match rest {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => {
            rest = &rest[2..];
            16
        }
        [b'0', ..] => 8,
        _ => 10,
    };
    let mut value: i64 = 0;
    for digit in rest.iter().map_while(|byte| char::from(*byte).to_digit(base)) {
        value = value.saturating_mul(i64::from(base)).saturating_add(i64::from(digit));
    }
    let value = if negative { -value } else { value };
    match i32::try_from(value) {
        Ok(value) => Ok(value.into()),
        Err(_) => Err(Unread::OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_keepalived_reads_them() {
        // Observed of keepalived 2.2.7.
        for (text, says) in [
            ("5\n", Ok(5)),
            ("-254", Ok(-254)),
            ("0x10", Ok(16)),
            ("010", Ok(8)),
            ("12abc", Ok(12)),
            ("abc", Ok(0)),
            ("", Ok(0)),
            (" 7 ", Ok(7)),
            ("+9", Ok(9)),
            ("99999999999", Err(Unread::OutOfRange)),
            ("-99999999999999999999999", Err(Unread::OutOfRange)),
            // strtol(3).
            ("0x", Ok(0)),
            ("08", Ok(0)),
            ("-", Ok(0)),
            ("--5", Ok(0)),
            ("- 5", Ok(0)),
            ("\t\n-0X1f", Ok(-31)),
            ("2147483647", Ok(2_147_483_647)),
            ("-2147483648", Ok(-2_147_483_648)),
            ("2147483648", Err(Unread::OutOfRange)),
        ] {
            assert_eq!(number(text.as_bytes()), says, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_number_is_itself(value: i32, tail in "[ \n]?[a-z ]{0,5}") {
            prop_assert_eq!(number(format!("{value}{tail}").as_bytes()), Ok(value.into()));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = number(&bytes);
        }
    }
}
