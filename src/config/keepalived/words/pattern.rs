//! What stands beside `regex` of a url.

use crate::config::diagnostic::Level;
use crate::config::keepalived::keyword::{Form, Inspection};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::RegexStack;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// keepalived's names of PCRE2's options.
const OPTIONS: &[&str] = &[
    "allow_empty_class",
    "alt_bsux",
    "alt_circumflex",
    "alt_verbnames",
    "auto_callout",
    "caseless",
    "dollar_endonly",
    "dotall",
    "dupnames",
    "extended",
    "firstline",
    "match_unset_backref",
    "multiline",
    "never_backslash_c",
    "never_ucp",
    "never_utf",
    "no_auto_capture",
    "no_auto_possess",
    "no_dotstar_anchor",
    "no_start_optimize",
    "ucp",
    "ungreedy",
    "use_offset_limit",
    "utf",
];

/// `regex_options`. keepalived passes over what it does not know, and says nothing.
pub(super) struct Options;

impl Form for Options {
    type Slot = Vec<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        if node.argument(0).is_none() {
            r.missing(node);
        }
        for (index, word) in node.arguments().into_iter().enumerate() {
            if OPTIONS.contains(&word) {
                slot.push(word.to_owned());
            } else {
                let problem = format!("\"{word}\" is no option of a regex");
                let fix = format!("write some of {}", OPTIONS.join(" "));
                r.find(Level::Warning, node, index + 1, "bad-value", problem, "it is passed over", fix);
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if !slot.is_empty() {
            w.line(word, slot);
        }
    }

    fn says(&self) -> String {
        OPTIONS.join("|")
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        slot.retain(|word| {
            let known = OPTIONS.contains(&word.as_str());
            if !known {
                i.out_of_range(word, self.says());
            }
            known
        });
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = OPTIONS.iter().skip(s.below(24) as usize).map(|word| (*word).to_owned()).collect();
    }
}

/// `START MAX`.
pub(super) struct Stack;

impl Form for Stack {
    type Slot = Option<RegexStack>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let number = |n: usize| node.argument(n).and_then(|text| text.parse().ok());
        r.used = 2;
        match (number(0), number(1)) {
            (Some(start), Some(max)) if start <= max => *slot = Some(RegexStack { start, max }),
            _ => r.bad(node, node.raw(), "START and MAX, two numbers of bytes", "the line is passed over"),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(stack) = slot {
            w.line(word, &[stack.start.to_string(), stack.max.to_string()]);
        }
    }

    fn says(&self) -> String {
        "START MAX".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(RegexStack { start: 100, max: 200 });
    }
}
