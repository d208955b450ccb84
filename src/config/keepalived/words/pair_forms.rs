//! The argument form of the two ends of a pair's channel.

use crate::config::diagnostic::Level;
use crate::config::keepalived::keyword::Form;
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::PairPoint;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// `ADDRESS[%INTERFACE] [PORT]`.
pub(super) struct End;

impl Form for End {
    type Slot = Option<PairPoint>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(address) = r.word(node).map(str::to_owned) else { return };
        let port = r.argument(node, 1).map(str::to_owned);
        match PairPoint::of_words(&address, port.as_deref()) {
            Ok(point) => *slot = Some(point),
            Err((word, problem)) => {
                let consequence = "the directors do not compare their configurations";
                let fix = format!("write {}", self.says());
                r.find(Level::Error, node, word + 1, "bad-value", problem, consequence, fix);
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(point) = slot {
            let mut words = vec![point.address_word()];
            words.extend(point.port.map(|port| port.to_string()));
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "ADDRESS[%INTERFACE] [PORT]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(PairPoint { address: s.ip(), interface: None, port: s.flip().then_some(9651) });
    }
}
