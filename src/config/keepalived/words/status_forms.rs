//! Argument forms of who may read the status over the network.

use std::marker::PhantomData;
use std::net::SocketAddr;

use crate::config::diagnostic::Level;
use crate::config::keepalived::form::Parsed;
use crate::config::keepalived::keyword::Form;
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::units::Prefix;

#[cfg(test)]
use crate::config::keepalived::form::Sample;
#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// `ADDRESS:PORT`.
pub(super) const LISTEN: Parsed<SocketAddr> =
    Parsed("an address and a port: 192.0.2.1:9650 or [2001:db8::1]:9650", PhantomData);

#[cfg(test)]
impl Sample for SocketAddr {
    fn sample(s: &mut Sampler) -> Self {
        Self::new(s.ip(), 9650)
    }
}

/// Subnets on the line itself. The word may be repeated.
pub(super) struct Subnets;

impl Form for Subnets {
    type Slot = Vec<Prefix>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        if node.argument(0).is_none() {
            r.missing(node);
        }
        for (at, word) in node.arguments().into_iter().enumerate() {
            match word.parse() {
                Ok(prefix) => slot.push(prefix),
                Err(problem) => {
                    let problem: String = problem;
                    let consequence = "nobody is let in by it";
                    let fix = format!("write {}", self.says());
                    r.find(Level::Error, node, at + 1, "bad-address", problem, consequence, fix);
                }
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if !slot.is_empty() {
            let words: Vec<String> = slot.iter().map(ToString::to_string).collect();
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "ADDRESS[/LENGTH] …".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = (0..=s.below(2)).map(|_| Prefix::host(s.ip())).collect();
    }
}
