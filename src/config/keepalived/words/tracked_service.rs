//! `track_virtual_server`: one line each, without braces. keepalived passes over a line that it does not know, but reads what
//! stands in the block of an unknown word as words of its own.

use std::net::{IpAddr, SocketAddr};

use crate::config::diagnostic::Level;
use crate::config::keepalived::forms::track_options;
use crate::config::keepalived::keyword::{Form, Inspection};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{ServiceName, Track};
use crate::config::text::ElementError;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// The largest weight.
const MOST: i16 = 253;

/// One virtual server a line; a block of such lines is read as well.
pub(super) struct TrackedServices;

/// The name at the front of a line, and how many words it has: as the log writes it (`TCP 192.0.2.1:80`, `FWM 5`,
/// `group web`, in quotes or not), or as the block of a virtual server begins (`192.0.2.1 80 TCP`).
fn name(words: &[&str]) -> Result<(ServiceName, usize), ElementError> {
    if let Some(first) = words.first().filter(|word| word.contains(char::is_whitespace)) {
        let parts: Vec<&str> = first.split_whitespace().collect();
        return name(&parts).map(|(name, _)| (name, 1));
    }
    let address = words.first().and_then(|word| word.parse::<IpAddr>().ok());
    let port = words.get(1).and_then(|word| word.parse::<u16>().ok());
    let (Some(address), Some(port)) = (address, port) else { return ServiceName::parse(words) };
    let at = SocketAddr::new(address, port).to_string();
    if let Some(protocol) = words.get(2)
        && let Ok((name, 2)) = ServiceName::parse(&[protocol, &at])
    {
        return Ok((name, 3));
    }
    ServiceName::parse(&[&at]).map(|(name, _)| (name, 2))
}

impl TrackedServices {
    /// `words` begin at this word of the line.
    fn one(r: &mut Reader, node: &Node<'_>, words: &[&str], from: usize, slot: &mut Vec<Track>) {
        match name(words) {
            Ok((name, used)) => {
                let mut track = Track { name: name.to_string(), weight: None, reverse: None };
                track_options(r, node, words.get(used..).unwrap_or_default(), from + used, MOST, &mut track);
                r.elements.push(node.place(from));
                slot.push(track);
            }
            Err(error) => {
                let fix = format!("the form is track_virtual_server {}", Self.says());
                let consequence = "the line is passed over";
                r.find(
                    Level::Error,
                    node,
                    error.word + from,
                    "unknown-tracker",
                    error.problem,
                    consequence,
                    fix,
                );
            }
        }
    }
}

impl Form for TrackedServices {
    type Slot = Vec<Track>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let words = node.arguments();
        if !words.is_empty() {
            Self::one(r, node, &words, 1, slot);
        }
        for child in node.children() {
            let words: Vec<&str> = std::iter::once(child.key()).chain(child.arguments()).collect();
            Self::one(r, &child, &words, 0, slot);
        }
        r.used = usize::MAX;
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for track in slot {
            let plain = |c: char| !c.is_control() && !"\"'#!{}".contains(c);
            let parses = track.name.parse::<ServiceName>().is_ok_and(|name| name.to_string() == track.name);
            if !parses || !track.name.chars().all(plain) {
                w.impossible.push(format!("{word} {:?}", track.name));
            }
            let mut text = track.name.clone();
            if let Some(weight) = track.weight {
                text += &format!(" weight {weight}");
            }
            match track.reverse {
                Some(true) => text += " reverse",
                Some(false) => text += " noreverse",
                None => {}
            }
            w.line(word, &[text]);
        }
    }

    fn says(&self) -> String {
        format!(
            "SERVICE [weight -{MOST}..{MOST}] [reverse|noreverse], with SERVICE TCP ADDRESS:PORT, ADDRESS PORT TCP, FWM N or \
             group NAME"
        )
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        for track in slot {
            if let Some(weight) = track.weight.take_if(|w| !(-MOST..=MOST).contains(w)) {
                i.out_of_range(
                    format!("{} weight {weight}", track.name),
                    format!("a weight from -{MOST} to {MOST}"),
                );
            }
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let name = match s.below(3) {
            0 => format!("TCP {}", SocketAddr::new(s.ip(), 80)),
            1 => "FWM 5".to_owned(),
            _ => "group web".to_owned(),
        };
        let weight = s.flip().then(|| i16::try_from(s.number(-253, 253)).unwrap_or(0));
        let reverse = if s.flip() { None } else { Some(s.flip()) };
        slot.push(Track { name, weight, reverse });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_logs_and_blocks_write_them() {
        for (words, wanted, used) in [
            ("TCP 192.0.2.1:80 weight 5", "TCP 192.0.2.1:80", 2),
            ("192.0.2.1:80", "192.0.2.1:80", 1),
            ("192.0.2.1 80 TCP reverse", "TCP 192.0.2.1:80", 3),
            ("192.0.2.1 80 weight 5", "192.0.2.1:80", 2),
            ("2001:db8::1 53 udp", "UDP [2001:db8::1]:53", 3),
            ("fwmark 7", "FWM 7", 2),
            ("group web weight 5", "group web", 2),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let (name, n) = name(&words).unwrap_or_else(|error| panic!("{words:?}: {}", error.problem));
            assert_eq!((name.to_string().as_str(), n), (wanted, used), "{words:?}");
        }
        assert_eq!(name(&["TCP 192.0.2.1:80", "weight"]).unwrap().1, 1, "in quotes it is one word");
        for words in [&[][..], &["TCP"], &["nobody"], &["fwmark", "x"], &["group"]] {
            assert!(name(words).is_err(), "{words:?}");
        }
    }
}
