//! What the two directors say to each other: documents in JSON. Fields that are not known are passed over, so that a newer
//! Tandem may say more. What a peer names is cleaned before anybody sees it: it is the peer's text, not ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Objects that a profile may have.
pub const OBJECTS: usize = 100_000;
/// Words that an object may have: one for each real server.
const WORDS: usize = 20_000;
/// Longest name, text or reason that is kept, letters.
const LONGEST: usize = 512;

/// Who speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Who {
    /// A number that each process draws: what comes back to its author is known by it.
    pub id: String,
    /// The machine's name.
    pub name: String,
    /// Version of its program.
    pub tandem: String,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Who asks.
    pub from: Who,
    /// For what.
    pub ask: Ask,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// How are you configured?
    Compare {
        /// Digest of how we are.
        mine: String,
        /// Digest of the last profile that we have of you: if it is still yours, it need not be sent again.
        known: Option<String>,
    },
    /// Do this to a real server.
    Change(Push),
}

/// A drain, a weight, or the end of both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Push {
    /// The virtual server, by its whole name.
    pub service: String,
    /// Address and port.
    pub server: String,
    /// `weight`, `drain`, `disable` or `enable`.
    pub order: String,
    /// 0 to 65535, with `weight` only.
    pub weight: Option<u16>,
    /// It ends by itself after so long, with `drain` and `disable` only.
    pub for_seconds: Option<u64>,
    /// Who wants it there.
    pub by: By,
}

/// Somebody on the other machine, as its kernel says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct By {
    /// User id.
    pub uid: u32,
    /// Its name there.
    pub user: Option<String>,
    /// Process id there.
    pub pid: Option<i32>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who answers.
    pub from: Who,
    /// It takes changes over this channel (`pair_accept_changes`).
    pub accepts_changes: bool,
    /// Digest of how it is configured.
    pub whole: String,
    /// What it says.
    pub said: Said,
}

/// What is said to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Said {
    /// Nothing has changed since you last asked.
    Same,
    /// So I am configured.
    Profile {
        /// Object by object.
        objects: Vec<Object>,
    },
    /// It is done.
    Changed {
        /// What is different now, in words: `enabled -> drain`.
        change: String,
        /// What a person should know.
        notes: Vec<String>,
    },
    /// No.
    Refused {
        /// A stable name: `not-accepted`.
        code: String,
        /// Why.
        problem: String,
        /// What to do.
        cure: String,
    },
}

/// One object of a configuration, in what both must have alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Object {
    /// The word of its block (`vrrp_instance`, `virtual_server`), or `override`.
    pub kind: String,
    /// Its name, the same on both.
    pub name: String,
    /// What it says, where that may be read; empty where only digests are told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub says: String,
    /// Its words with a digest each.
    pub words: BTreeMap<String, String>,
}

/// How a director is configured, in what both must have alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Digest of the whole.
    pub whole: String,
    /// In the order of the file.
    pub objects: Vec<Object>,
}

impl Profile {
    /// One of these objects. `digest`: made with the key.
    pub fn new(objects: Vec<Object>, digest: &dyn Fn(&[u8]) -> String) -> Self {
        // A list of texts: it cannot fail.
        let whole = digest(&serde_json::to_vec(&objects).unwrap_or_default());
        Self { whole, objects }
    }

    /// One that a peer has sent, fit to be shown. `None`: it is larger than any configuration.
    pub fn received(whole: String, mut objects: Vec<Object>) -> Option<Self> {
        if objects.len() > OBJECTS || objects.iter().any(|object| object.words.len() > WORDS) {
            return None;
        }
        for object in &mut objects {
            for text in [&mut object.kind, &mut object.name, &mut object.says] {
                *text = clean(text);
            }
            if object.words.keys().any(|word| clean(word) != *word) {
                object.words = std::mem::take(&mut object.words)
                    .into_iter()
                    .map(|(word, digest)| (clean(&word), digest))
                    .collect();
            }
        }
        Some(Self { whole: clean(&whole), objects })
    }
}

impl Answer {
    /// The same, fit to be shown.
    #[must_use]
    pub fn cleaned(mut self) -> Self {
        self.from = self.from.cleaned();
        self.whole = clean(&self.whole);
        match &mut self.said {
            Said::Changed { change, notes } => {
                *change = clean(change);
                notes.truncate(WORDS);
                notes.iter_mut().for_each(|note| *note = clean(note));
            }
            Said::Refused { code, problem, cure } => {
                for text in [code, problem, cure] {
                    *text = clean(text);
                }
            }
            // These are taken in by `Profile::received`.
            Said::Same | Said::Profile { .. } => {}
        }
        self
    }
}

impl Who {
    /// The same, fit to be shown.
    #[must_use]
    pub fn cleaned(self) -> Self {
        Self { id: clean(&self.id), name: clean(&self.name), tandem: clean(&self.tandem) }
    }
}

/// A text of a peer without what a terminal, a log or a page could take for more than text, and not without end.
pub fn clean(text: &str) -> String {
    text.chars().take(LONGEST).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let from = Who { id: "7".to_owned(), name: "lb1".to_owned(), tandem: "0.1.0".to_owned() };
        let request = Request { from, ask: Ask::Compare { mine: "a".to_owned(), known: None } };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(
            text,
            "{\"from\":{\"id\":\"7\",\"name\":\"lb1\",\"tandem\":\"0.1.0\"},\"ask\":{\"kind\":\"compare\",\"mine\":\"a\",\
             \"known\":null}}"
        );
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        // A newer one says more.
        let newer = text.replace("\"mine\"", "\"mood\":\"good\",\"mine\"");
        assert_eq!(serde_json::from_str::<Request>(&newer).unwrap(), request);
        assert!(serde_json::from_str::<Request>(&text.replace("compare", "dance")).is_err());
        let push = "{\"from\":{},\"ask\":{\"kind\":\"change\",\"service\":\"TCP 10.0.0.1:80\",\"server\":\"10.1.0.1:80\",\
                    \"order\":\"weight\",\"weight\":5,\"by\":{\"uid\":0,\"user\":\"root\",\"pid\":9}}}";
        let Ask::Change(push) = serde_json::from_str::<Request>(push).unwrap().ask else {
            panic!("a change")
        };
        assert_eq!((push.weight, push.by.user.as_deref()), (Some(5), Some("root")));
    }

    #[test]
    fn what_a_peer_says_is_only_text() {
        let object = |name: &str, word: &str| Object {
            name: name.to_owned(),
            words: BTreeMap::from([(word.to_owned(), "d".to_owned())]),
            ..Object::default()
        };
        let sent = vec![object("\x1b[2Jx", "a\nb"), object(&"long".repeat(1000), "fine")];
        let profile = Profile::received("w".to_owned(), sent).unwrap();
        assert_eq!(profile.objects[0].name, "?[2Jx");
        assert_eq!(profile.objects[0].words.keys().next().map(String::as_str), Some("a?b"));
        assert_eq!(profile.objects[1].name.chars().count(), LONGEST);
        assert_eq!(Profile::received("w".to_owned(), vec![Object::default(); OBJECTS + 1]), None);
    }
}
