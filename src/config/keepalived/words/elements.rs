//! Blocks whose elements are one line each: addresses, routes, rules.

use crate::config::diagnostic::Level;
use crate::config::model::{Route, Rule, VirtualAddress};
use crate::config::text::ElementError;

use crate::config::keepalived::keyword::{Form, Inspection};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// What an element's type can do.
trait Element: Sized + PartialEq + ToString {
    fn parse(words: &[&str]) -> (Option<Self>, Vec<ElementError>);
    fn not_acted_on(&self) -> Vec<&'static str>;
    #[cfg(test)]
    fn sample(s: &mut Sampler) -> Self;
}

macro_rules! element_form {
    ($form:ident, $type:ty, $what:literal, $says:literal) => {
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
                    let (element, errors) = <$type as Element>::parse(&words);
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
                    slot.push(<$type as Element>::sample(s));
                }
            }
        }
    };
}

element_form!(Addresses, VirtualAddress, "address", "IP[/LENGTH] [dev IF] [label L] [brd +|-|IP] [scope S]");
element_form!(
    Routes,
    Route,
    "route",
    "[TYPE] DESTINATION [via GATEWAY] [dev IF] [src IP] [metric N] [table T]"
);
element_form!(Rules, Rule, "rule", "[from PREFIX] [to PREFIX] [fwmark N] table T [priority N]");

impl Element for VirtualAddress {
    fn parse(words: &[&str]) -> (Option<Self>, Vec<ElementError>) {
        Self::parse_words(words)
    }
    fn not_acted_on(&self) -> Vec<&'static str> {
        Self::not_acted_on(self)
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler) -> Self {
        let mut address = Self::plain(crate::config::units::Prefix::host(s.ip()));
        address.dev = s.flip().then(|| s.interface());
        address.no_track = s.flip();
        address.home = s.flip();
        address.preferred_lft = s.flip().then_some(crate::config::model::Lifetime::Forever);
        if address.address.address.is_ipv4() {
            address.label = s.flip().then(|| "eth0:7".to_owned());
            address.broadcast = s.flip().then_some(crate::config::model::Broadcast::Plus);
        }
        address
    }
}

impl Element for Route {
    fn parse(words: &[&str]) -> (Option<Self>, Vec<ElementError>) {
        Self::parse_words(words)
    }
    fn not_acted_on(&self) -> Vec<&'static str> {
        Vec::new()
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler) -> Self {
        crate::config::text::route::sample(s.next())
    }
}

impl Element for Rule {
    fn parse(words: &[&str]) -> (Option<Self>, Vec<ElementError>) {
        Self::parse_words(words)
    }
    fn not_acted_on(&self) -> Vec<&'static str> {
        Vec::new()
    }
    #[cfg(test)]
    fn sample(s: &mut Sampler) -> Self {
        crate::config::text::rule::sample(s.next())
    }
}
