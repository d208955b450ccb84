//! What the kernel says of our tables, as values.

use super::Elements;
use super::wire::{attributes, find, text};

/// `struct nfgenmsg`.
const HEADER: usize = 4;

fn body(payload: &[u8]) -> &[u8] {
    payload.get(HEADER..).unwrap_or_default()
}

/// NFTA_GEN_ID.
pub(super) fn generation(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(find(body(payload), 1)?.try_into().ok()?))
}

/// Chain and comment of each rule, sorted by chain, in order within it. A rule without comment has an empty one: it is
/// none of ours.
pub(super) fn rules(parts: &[Vec<u8>]) -> Vec<(String, String)> {
    let of = |part: &Vec<u8>| {
        let chain = find(body(part), 2).map(text)?;
        let comment = find(body(part), 7).and_then(comment).unwrap_or_default();
        Some((chain, comment))
    };
    let mut all: Vec<_> = parts.iter().filter_map(of).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The comment among a rule's user data: type, length, value, one after the other.
fn comment(mut data: &[u8]) -> Option<String> {
    loop {
        let (kind, length) = (*data.first()?, usize::from(*data.get(1)?));
        let value = data.get(2..2 + length)?;
        if kind == 0 {
            return Some(text(value));
        }
        data = data.get(2 + length..)?;
    }
}

/// The elements of a set in a dump's parts.
pub(super) fn elements(parts: &[Vec<u8>]) -> Elements {
    let mut all = Elements::new();
    for part in parts {
        let Some(list) = find(body(part), 3) else { continue };
        for (_, element) in attributes(list) {
            let datum = |kind| find(element, kind).and_then(|data| find(data, 1)).map(<[u8]>::to_vec);
            if let Some(mut key) = datum(1) {
                // The last key of a span stands behind its first one.
                key.extend(datum(10).unwrap_or_default());
                all.insert(key, datum(2).unwrap_or_default());
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::wire::{self, Batch};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rule_and_an_element_are_read() {
        let mut batch = Batch::default();
        batch.message(wire::nft(6), 0, 1, 2, 0, |a| {
            a.text(1, "tandem");
            a.text(2, "in");
            a.bytes(7, &[1, 1, 9, 0, 3, b'h', b'i', 0]);
        });
        batch.message(wire::nft(12), 0, 2, 2, 0, |a| {
            a.nest(3, |a| {
                a.nest(1, |a| {
                    a.nest(1, |a| a.bytes(1, &[10, 0, 0, 1]));
                    a.nest(2, |a| a.bytes(1, &[7]));
                });
            });
        });
        let parts: Vec<Vec<u8>> = wire::messages(&batch.bytes).map(|m| m.payload.to_vec()).collect();
        assert_eq!(rules(&parts[..1]), [("in".to_owned(), "hi".to_owned())]);
        assert_eq!(elements(&parts[1..]), Elements::from([(vec![10, 0, 0, 1], vec![7])]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let parts = [bytes.clone()];
            let _ = (rules(&parts), elements(&parts), generation(&bytes), comment(&bytes));
            for message in wire::messages(&bytes) {
                let _ = (message.errno(), attributes(message.payload).count());
            }
        }
    }
}
