//! Exact bytes, lying lengths, random bytes.

use proptest::prelude::*;

use super::*;

/// As little-endian machines have it; written out so that the layout is visible.
#[cfg(target_endian = "little")]
#[test]
fn a_message_byte_by_byte() {
    let mut batch = Batch::new();
    batch.message(0x1c, NLM_F_DUMP, 7, 4, |message| {
        message.nest(1, |nest| {
            nest.u16(1, 2);
            nest.be16(4, 80);
            nest.text(6, "wlc");
        });
        message.u32(5, 0x0102_0304);
    });
    batch.acknowledge_last();
    #[rustfmt::skip]
    let expected = [
        56, 0, 0, 0,      // length of the whole message
        0x1c, 0,          // type: the family
        0x05, 0x03,       // flags: DUMP | ACK | REQUEST
        7, 0, 0, 0,       // sequence number
        0, 0, 0, 0,       // port id: the kernel
        4, 1, 0, 0,       // command, version 1, reserved
        28, 0, 1, 0x80,   // nest of 28 bytes, type 1 | NESTED
        6, 0, 1, 0,       // 2 bytes of value, type 1
        2, 0, 0, 0,       // 2, padding
        6, 0, 4, 0,       // 2 bytes of value, type 4
        0, 80, 0, 0,      // 80 in network byte order, padding
        8, 0, 6, 0,       // 4 bytes of value, type 6
        b'w', b'l', b'c', 0,
        8, 0, 5, 0,
        4, 3, 2, 1,
    ];
    assert_eq!(batch.as_bytes(), expected);
}

fn two_messages() -> Vec<u8> {
    let mut batch = Batch::new();
    batch.message(20, 0, 1, 1, |message| message.text(6, "abc de"));
    batch.message(21, NLM_F_DUMP_INTR, 2, 5, |message| message.u32(9, 77));
    batch.as_bytes().to_vec()
}

#[test]
fn what_is_written_is_read() {
    let bytes = two_messages();
    let messages: Vec<_> = Messages::new(&bytes).collect::<Result<_, _>>().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].kind, messages[0].flags, messages[0].sequence), (20, NLM_F_REQUEST, 1));
    assert_eq!(messages[1].flags, NLM_F_REQUEST | NLM_F_DUMP_INTR);
    let (command, mut attributes) = messages[0].generic().unwrap();
    let attribute = attributes.next().unwrap().unwrap();
    assert_eq!((command, attribute.kind, attribute.text("X")), (1, 6, Ok("abc de")));
    assert!(attributes.next().is_none());
    let (_, mut attributes) = messages[1].generic().unwrap();
    assert_eq!(attributes.next().unwrap().unwrap().u32("X"), Ok(77));
}

#[test]
fn nothing_depends_on_the_alignment_of_the_buffer() {
    let bytes = two_messages();
    for shift in 0..8 {
        let mut shifted = vec![0xff; shift];
        shifted.extend_from_slice(&bytes);
        let read: Vec<_> = Messages::new(&shifted[shift..]).map(|message| message.unwrap()).collect();
        assert_eq!(read, Messages::new(&bytes).map(|message| message.unwrap()).collect::<Vec<_>>());
    }
}

#[test]
fn cut_messages_and_lying_lengths_are_named() {
    let bytes = two_messages();
    let first = |bytes: &[u8]| Messages::new(bytes).next().map(|message| message.map(|message| message.kind));
    assert_eq!(first(&[]), None);
    assert_eq!(first(&bytes[..15]), Some(Err(DecodeError::ShortHeader { have: 15 })));
    assert_eq!(first(&bytes[..20]), Some(Err(DecodeError::MessageLength { claimed: 32, have: 20 })));
    for claimed in [0u32, 15, u32::MAX] {
        let mut lying = bytes.clone();
        lying[..4].copy_from_slice(&claimed.to_ne_bytes());
        let mut messages = Messages::new(&lying);
        let expected = DecodeError::MessageLength { claimed, have: bytes.len() };
        assert_eq!(messages.next(), Some(Err(expected)));
        assert_eq!(messages.next(), None, "an error ends it");
    }
    // A message may end without the padding of its last attribute; the next one then starts aligned.
    let mut odd = 17u32.to_ne_bytes().to_vec();
    odd.extend_from_slice(&[0; 13]);
    assert_eq!(Messages::new(&odd).map(|message| message.unwrap().body.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn cut_attributes_and_lying_lengths_are_named() {
    let first = |bytes: &[u8]| Attributes::new(bytes).next().map(|a| a.map(|a| (a.kind, a.value.len())));
    let attribute = |length: u16, kind: u16, value: &[u8]| {
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes()[..], value].concat()
    };
    assert_eq!(first(&attribute(8, 0x8001, &[1, 2, 3, 4])), Some(Ok((1, 4))));
    assert_eq!(first(&attribute(7, 1, &[1, 2, 3])), Some(Ok((1, 3))));
    assert_eq!(first(&[1, 2, 3]), Some(Err(DecodeError::ShortAttribute { have: 3 })));
    for claimed in [0, 3, 9, u16::MAX] {
        assert_eq!(
            first(&attribute(claimed, 5, &[1, 2, 3, 4])),
            Some(Err(DecodeError::AttributeLength { attribute: 5, claimed, have: 8 }))
        );
    }
    let attribute = Attribute { kind: 1, value: &[1, 2, 3] };
    assert_eq!(attribute.u16("A"), Err(DecodeError::AttributeSize { name: "A", expected: 2, have: 3 }));
    assert_eq!(attribute.u32("A"), Err(DecodeError::AttributeSize { name: "A", expected: 4, have: 3 }));
    assert_eq!(attribute.prefix::<2>("A"), Ok([1, 2]));
    assert_eq!(attribute.text("A"), Err(DecodeError::Text { name: "A" }));
    assert_eq!(Attribute { kind: 1, value: &[0xff, 0] }.text("A"), Err(DecodeError::Text { name: "A" }));
    assert_eq!(
        DecodeError::AttributeLength { attribute: 5, claimed: 9, have: 8 }.to_string(),
        "attribute 5 claims 9 bytes, and 8 are there"
    );
}

#[test]
fn error_numbers() {
    let number = |kind, body: &[u8]| Message { kind, flags: 0, sequence: 0, body }.error_number();
    assert_eq!(number(NLMSG_ERROR, &0i32.to_ne_bytes()), Ok(0));
    assert_eq!(number(NLMSG_ERROR, &(-17i32).to_ne_bytes()), Ok(17));
    assert_eq!(number(NLMSG_ERROR, &i32::MIN.to_ne_bytes()), Ok(i32::MAX));
    assert_eq!(number(NLMSG_DONE, &[]), Ok(0));
    assert_eq!(number(NLMSG_DONE, &5i32.to_ne_bytes()), Ok(0));
    assert!(number(NLMSG_ERROR, &[1, 2, 3]).is_err());
}

#[test]
fn texts_are_cut_far_above_the_kernels_limits() {
    let mut batch = Batch::new();
    batch.message(20, 0, 1, 1, |message| message.text(6, &"x".repeat(100_000)));
    let message = Messages::new(batch.as_bytes()).next().unwrap().unwrap();
    let attribute = message.generic().unwrap().1.next().unwrap().unwrap();
    assert_eq!(attribute.text("A").unwrap().len(), TEXT_LIMIT);
}

proptest! {
    /// Random bytes, and good bytes with a few spoiled, never panic and always end.
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), spoil in any::<bool>()) {
        let mut datagram = bytes.clone();
        if spoil {
            datagram = two_messages();
            for pair in bytes.chunks_exact(2) {
                let at = usize::from(pair[0]) % datagram.len();
                datagram[at] = pair[1];
            }
        }
        let mut count = 0;
        for message in Messages::new(&datagram).flatten() {
            count += 1;
            let _ = message.error_number();
            let Ok((_, attributes)) = message.generic() else { continue };
            for attribute in attributes.flatten() {
                count += attribute.nested().count();
                let _ = (attribute.u16("A"), attribute.u32("A"), attribute.be16("A"), attribute.text("A"));
            }
        }
        prop_assert!(count <= datagram.len());
    }
}
