//! What is opened is what was sealed, by the same key, in the same exchange, in the same direction; nothing else is.

use proptest::prelude::*;

use super::*;

fn head<const N: usize>(bytes: &[u8]) -> (&[u8; N], &[u8]) {
    bytes.split_first_chunk::<N>().expect("a head")
}

fn opened<'a>(keys: &Keys, asked: &Nonce, bytes: &'a [u8]) -> Result<Received<'a>, Flaw> {
    let (head, rest) = head::<REQUEST_HEAD>(bytes);
    open_request(keys, asked, head, rest)
}

#[test]
fn one_exchange() {
    let keys = Keys::of("k");
    let greeting = greeting(&[1; 32]);
    let asked = read_greeting(&greeting).unwrap();
    let (bytes, bound) = request(&keys, &asked, &[2; 32], b"how do you do").unwrap();
    let received = opened(&keys, &asked, &bytes).unwrap();
    assert_eq!(received.document, Ok(b"how do you do".as_slice()));
    assert_eq!(received.bound, bound);
    let answer = answer(&keys, &received.bound, b"fine").unwrap();
    let (first, rest) = head::<ANSWER_HEAD>(&answer);
    assert_eq!(answer_rest(first), Ok(rest.len()));
    assert_eq!(open_answer(&keys, &bound, first, rest), Ok(b"fine".as_slice()));
    // Recorded, and sent into another connection.
    let again = opened(&keys, &[3; 32], &bytes).unwrap();
    assert_eq!(again.document, Err(Flaw::NotAuthenticated));
    // An answer to another request of the same words.
    let (_, other) = request(&keys, &asked, &[4; 32], b"how do you do").unwrap();
    assert_eq!(open_answer(&keys, &other, first, rest), Err(Flaw::NotAuthenticated));
    // Another key: that it answers at all is bound to what it was asked.
    let strange = Keys::of("another");
    assert_eq!(opened(&strange, &asked, &bytes).unwrap().document, Err(Flaw::NotAuthenticated));
    assert_eq!(open_answer(&strange, &bound, first, rest), Err(Flaw::NotAuthenticated));
}

#[test]
fn what_is_none_of_ours() {
    let mut bytes = greeting(&[1; 32]);
    bytes[7] = 2;
    assert_eq!(read_greeting(&bytes), Err(Flaw::Version(2)));
    bytes[0] = b'S';
    assert_eq!(read_greeting(&bytes), Err(Flaw::NotAPeer));
    let http = *b"HTTP/1.1 400 Bad Request\r\nContent-Type: ";
    assert_eq!(read_greeting(&http), Err(Flaw::NotAPeer));
    let mut head = [0; ANSWER_HEAD];
    head[..8].copy_from_slice(b"TDMPAIR\x01");
    head[8..].copy_from_slice(&(1_u32 << 30).to_be_bytes());
    assert_eq!(answer_rest(&head), Err(Flaw::TooLong(1 << 30)));
    let keys = Keys::of("k");
    let long = vec![0; REQUEST_LIMIT + 1];
    assert_eq!(request(&keys, &[1; 32], &[2; 32], &long).unwrap_err(), Flaw::TooLong(long.len()));
}

proptest! {
    #[test]
    fn any_document_comes_through_and_any_other_bit_is_noticed(
        document in proptest::collection::vec(any::<u8>(), 0..300),
        asked: [u8; 32],
        asks: [u8; 32],
        at: prop::sample::Index,
        bit in 0_u8..8,
    ) {
        let keys = Keys::of("k");
        let (mut bytes, bound) = request(&keys, &asked, &asks, &document).unwrap();
        prop_assert_eq!(opened(&keys, &asked, &bytes).unwrap().document, Ok(document.as_slice()));
        let mut sealed = answer(&keys, &bound, &document).unwrap();
        let (first, rest) = head::<ANSWER_HEAD>(&sealed);
        prop_assert_eq!(open_answer(&keys, &bound, first, rest), Ok(document.as_slice()));
        let at_request = at.index(bytes.len());
        bytes[at_request] ^= 1 << bit;
        let bent = opened(&keys, &asked, &bytes);
        prop_assert!(bent.is_err() || bent.unwrap().document.is_err());
        let at_answer = at.index(sealed.len());
        sealed[at_answer] ^= 1 << bit;
        let (first, rest) = head::<ANSWER_HEAD>(&sealed);
        prop_assert!(open_answer(&keys, &bound, first, rest).is_err());
    }

    /// No answer passes for a request, whatever stands in it.
    #[test]
    fn directions_are_kept_apart(document in proptest::collection::vec(any::<u8>(), 0..200), n: [u8; 32]) {
        let keys = Keys::of("k");
        let (_, bound) = request(&keys, &n, &n, b"x").unwrap();
        let sealed = answer(&keys, &bound, &document).unwrap();
        if let Some((first, rest)) = sealed.split_first_chunk::<REQUEST_HEAD>() {
            let received = open_request(&keys, &n, first, rest);
            prop_assert!(received.is_err() || received.unwrap().document.is_err());
        }
    }

    #[test]
    fn bytes_of_anybody(bytes in proptest::collection::vec(any::<u8>(), 44..400)) {
        let keys = Keys::of("k");
        if let Ok(received) = opened(&keys, &[0; 32], &bytes) {
            prop_assert!(received.document.is_err());
        }
    }
}
