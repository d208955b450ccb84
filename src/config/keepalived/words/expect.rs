//! What a url may expect beyond keepalived's words, and the PROXY header.

use crate::config::diagnostic::Level;
use crate::config::keepalived::keyword::{Form, Inspection};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{ExpectJson, SendProxy};
use crate::config::text::expect;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// `"Name: value"`, one a line; with `pattern` a value must stand there.
pub(super) struct Headers {
    pub(super) pattern: bool,
}

impl Headers {
    fn holds(&self, text: &str) -> bool {
        expect::header(text).is_some_and(|(_, value)| value.is_some() || !self.pattern)
    }
}

impl Form for Headers {
    type Slot = Vec<String>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        // Without quotes a name and its value are two words, or more.
        r.used = usize::MAX;
        let text = node.arguments().join(" ");
        if text.is_empty() {
            r.missing(node);
        } else if self.holds(&text) {
            slot.push(text);
        } else {
            let problem = format!("\"{text}\" is no header");
            let fix = format!("write {}", self.says());
            r.find(Level::Error, node, 1, "bad-value", problem, "the line is passed over", fix);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for text in slot {
            let text = w.quote(text);
            w.line(word, &[text]);
        }
    }

    fn says(&self) -> String {
        if self.pattern { "\"Name: pattern\"" } else { "\"Name: value\", or Name" }.to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        slot.retain(|text| {
            let good = self.holds(text);
            if !good {
                i.out_of_range(text, self.says());
            }
            good
        });
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        slot.extend(["X-State: ready", "Server: a b.*c"].map(str::to_owned));
        if s.flip() && !self.pattern {
            slot.push("X-Alive".to_owned());
        }
    }
}

/// `PATH [VALUE]`, one a line.
pub(super) struct Json;

impl Json {
    const SAYS: &str = "PATH [VALUE]: the path as a.b.0 or /a/b/0";
}

impl Form for Json {
    type Slot = Vec<ExpectJson>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(path) = r.text(node) else { return };
        let value = r.argument(node, 1).map(str::to_owned);
        if expect::json_path(&path).is_some() {
            slot.push(ExpectJson { path, value });
        } else {
            let problem = format!("\"{path}\" is no path into JSON");
            let fix = format!("write {}", Self::SAYS);
            r.find(Level::Error, node, 1, "bad-value", problem, "the line is passed over", fix);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for expected in slot {
            let mut words = vec![w.quote(&expected.path)];
            words.extend(expected.value.as_ref().map(|value| w.quote(value)));
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        Self::SAYS.to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        slot.retain(|expected| {
            let good = expect::json_path(&expected.path).is_some();
            if !good {
                i.out_of_range(&expected.path, Self::SAYS);
            }
            good
        });
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let value = s.flip().then(|| s.text());
        slot.push(ExpectJson { path: "a.0".to_owned(), value });
        slot.push(ExpectJson { path: "/a.b/~0".to_owned(), value: Some("true".to_owned()) });
    }
}

/// `[v1|v2] [local]`.
pub(super) struct Proxy;

const PROXIES: [(SendProxy, &[&str]); 4] = [
    (SendProxy::V1, &["v1"]),
    (SendProxy::V1Local, &["v1", "local"]),
    (SendProxy::V2, &["v2"]),
    (SendProxy::V2Local, &["v2", "local"]),
];

impl Form for Proxy {
    type Slot = Option<SendProxy>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        let words = node.arguments();
        let known = PROXIES.iter().find(|(_, known)| **known == words[..]);
        *slot = match (known, words.as_slice()) {
            (Some((proxy, _)), _) => Some(*proxy),
            (None, []) => Some(SendProxy::V1),
            (None, ["local"]) => Some(SendProxy::V1Local),
            (None, _) => {
                r.bad(node, &words.join(" "), &self.says(), "the line is passed over");
                return;
            }
        };
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some((_, words)) = PROXIES.iter().find(|(proxy, _)| Some(*proxy) == *slot) {
            w.line(word, words);
        }
    }

    fn says(&self) -> String {
        "[v1|v2] [local]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = s.pick(&PROXIES).map(|(proxy, _)| proxy);
    }
}
