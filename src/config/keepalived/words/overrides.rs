//! `real_server_override`: one line each.

use crate::config::diagnostic::Level;
use crate::config::keepalived::keyword::Form;
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{RealServerOverride, ServiceName};
use crate::config::text::overrides::OVERRIDE_SAYS;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// One override a line.
pub(super) struct Overrides;

impl Form for Overrides {
    type Slot = Vec<RealServerOverride>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        match RealServerOverride::parse(&node.arguments()) {
            Ok(read) => {
                r.elements.push(node.place(0));
                slot.push(read);
            }
            Err(error) => {
                let fix = format!("the form is {OVERRIDE_SAYS}");
                let consequence = "the line is passed over: the real server is what its block says";
                r.find(Level::Error, node, error.word + 1, "bad-override", error.problem, consequence, fix);
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for one in slot {
            if let ServiceName::Group { name, .. } = &one.service
                && name.contains(|c: char| c.is_whitespace() || "\"'#!{}".contains(c))
            {
                w.impossible.push(format!("an override of the group {name:?}"));
            }
            w.line(word, &[one.to_string()]);
        }
    }

    fn says(&self) -> String {
        OVERRIDE_SAYS.to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        for _ in 0..=s.below(3) {
            let mut one = RealServerOverride::new(
                ServiceName::Address { protocol: None, at: (s.ip(), 80).into() },
                (s.ip(), 8080).into(),
            );
            one.weight = Some(5);
            slot.push(one);
        }
    }
}
