//! Blocks whose elements are one line each: addresses, routes, rules.

use crate::config::diagnostic::Level;
use crate::config::model::{Block, Route, Rule, VirtualAddress};
use crate::config::text::{ElementError, Remark};

use crate::config::keepalived::keyword::{Form, Inspection};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// What an element's type can do.
trait Element: Sized + PartialEq + ToString {
    fn parse(words: &[&str], block: Block) -> (Option<Self>, Vec<ElementError>);
    fn remarks(&self) -> Vec<Remark>;
    fn not_acted_on(&self) -> Vec<&'static str>;
    #[cfg(test)]
    fn sample(s: &mut Sampler, block: Block) -> Self;
}

macro_rules! element_form {
    ($form:ident, $type:ty, $block:expr, $what:literal, $says:literal) => {
        /// One element a line.
        pub(super) struct $form;

        impl Form for $form {
            type Slot = Vec<$type>;
            const MANY: bool = true;

            fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
                r.used = 0;
                for child in node.children() {
                    // Elements are words without quotes in the other form.
                    let words: Vec<&str> =
                        child.texts().into_iter().flat_map(str::split_ascii_whitespace).collect();
                    let (element, errors) = <$type as Element>::parse(&words, $block);
                    for error in errors {
                        let (level, code, consequence) = match &element {
                            None => {
                                (Level::Error, concat!("bad-", $what), concat!("this ", $what, " is dropped"))
                            }
                            Some(_) => {
                                (Level::Warning, "bad-option", concat!("the ", $what, " is used without it"))
                            }
                        };
                        let fix = concat!("the form is ", $says);
                        let code = error.code.unwrap_or(code);
                        r.find(level, &child, error.word, code, error.problem, consequence, fix);
                    }
                    for remark in element.iter().flat_map(Element::remarks) {
                        let consequence = concat!("the ", $what, " is used all the same");
                        r.find(Level::Warning, &child, 0, remark.code, remark.problem, consequence, "");
                    }
                    for word in element.iter().flat_map(Element::not_acted_on) {
                        // Virtual addresses cannot have it at all, which is said where objects are looked at.
                        if word == "track_group" && !node.key().starts_with("static_") {
                            continue;
                        }
                        let at = words.iter().position(|w| *w == word).unwrap_or(0);
                        let problem = format!("accepted, not acted on yet: {word} of this {}", $what);
                        let consequence = concat!("the ", $what, " is used without it");
                        r.find(Level::Warning, &child, at, "not-acted-on", problem, consequence, "");
                    }
                    if element.is_some() {
                        r.elements.push(child.place(0));
                    }
                    slot.extend(element);
                }
            }

            fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
                if slot.is_empty() {
                    return;
                }
                w.open::<&str>(word, &[]);
                for element in slot {
                    w.element(&element.to_string());
                }
                w.close();
            }

            fn says(&self) -> String {
                concat!("{ ", $says, " … }").to_owned()
            }

            fn inspect(&self, _: &mut Self::Slot, _: &mut Inspection) {}

            #[cfg(test)]
            fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
                for _ in 0..=s.below(3) {
                    slot.push(<$type as Element>::sample(s, $block));
                }
            }
        }
    };
}

macro_rules! both_blocks {
    ($form:ident, $fixed:ident, $type:ty, $what:literal, $says:literal) => {
        element_form!($form, $type, Block::Virtual, $what, $says);
        element_form!($fixed, $type, Block::Static, $what, $says);
    };
}

both_blocks!(
    Addresses,
    StaticAddresses,
    VirtualAddress,
    "address",
    "IP[/LENGTH] [dev IF] [label L] [brd +|-|IP] [scope S]"
);
both_blocks!(
    Routes,
    StaticRoutes,
    Route,
    "route",
    "[TYPE] DESTINATION [via GATEWAY] [dev IF] [src IP] [metric N] [table T]"
);
both_blocks!(Rules, StaticRules, Rule, "rule", "[from PREFIX] [to PREFIX] [fwmark N] table T [priority N]");

/// One value of a strategy, by the sampler's seed.
#[cfg(test)]
fn drawn<T: std::fmt::Debug>(s: &mut Sampler, strategy: &proptest::strategy::BoxedStrategy<T>) -> T {
    use proptest::strategy::{Strategy as _, ValueTree as _};
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&s.next().to_ne_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let tree = strategy.new_tree(&mut TestRunner::new_with_rng(Config::default(), rng));
    tree.unwrap_or_else(|reason| unreachable!("{reason}")).current()
}

impl Element for VirtualAddress {
    fn parse(words: &[&str], block: Block) -> (Option<Self>, Vec<ElementError>) {
        Self::parse_in(words, block)
    }
    fn remarks(&self) -> Vec<Remark> {
        Vec::new()
    }
    fn not_acted_on(&self) -> Vec<&'static str> {
        Self::not_acted_on(self)
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, block: Block) -> Self {
        match block {
            Block::Virtual => drawn(s, &crate::config::text::strategy::virtual_address()),
            Block::Static => drawn(s, &crate::config::text::strategy::static_address()),
        }
    }
}

impl Element for Route {
    fn parse(words: &[&str], block: Block) -> (Option<Self>, Vec<ElementError>) {
        Self::parse_in(words, block)
    }
    fn remarks(&self) -> Vec<Remark> {
        Self::remarks(self)
    }
    fn not_acted_on(&self) -> Vec<&'static str> {
        Vec::new()
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, block: Block) -> Self {
        let track_group = (block == Block::Static && s.flip()).then(|| "group".to_owned());
        Self { track_group, ..drawn(s, &crate::config::text::strategy::route()) }
    }
}

impl Element for Rule {
    fn parse(words: &[&str], block: Block) -> (Option<Self>, Vec<ElementError>) {
        Self::parse_in(words, block)
    }
    fn remarks(&self) -> Vec<Remark> {
        Self::remarks(self)
    }
    fn not_acted_on(&self) -> Vec<&'static str> {
        Vec::new()
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler, block: Block) -> Self {
        let track_group = (block == Block::Static && s.flip()).then(|| "group".to_owned());
        Self { track_group, ..drawn(s, &crate::config::text::strategy::rule()) }
    }
}
