//! In what two directors differ: objects that one alone has, and the words of those that both have. Pure.

use std::collections::BTreeMap;
use std::fmt;

use super::message::{Object, Profile};

/// Words that a sentence names.
const NAMED: usize = 8;

/// Who has an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// Both, with differences.
    Both,
    /// This director alone.
    Here,
    /// The peer alone.
    There,
}

impl Has {
    /// A stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Here => "here",
            Self::There => "there",
        }
    }
}

/// One object that is not alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `vrrp_instance`, `virtual_server`, ..., `override`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Who has it.
    pub has: Has,
    /// The words that differ, where both have it.
    pub words: Vec<String>,
    /// What it says here, where that may be read.
    pub here: String,
    /// What it says there.
    pub there: String,
}

impl fmt::Display for Difference {
    /// `virtual_ipaddress, advert_int`, or who alone has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says = |text: &str| if text.is_empty() { String::new() } else { format!(" ({text})") };
        match self.has {
            Has::Here => write!(f, "only here{}", says(&self.here)),
            Has::There => write!(f, "only at the peer{}", says(&self.there)),
            Has::Both if !self.here.is_empty() || !self.there.is_empty() => {
                write!(f, "{} here, {} at the peer", self.here, self.there)
            }
            Has::Both => {
                let more = self.words.len().saturating_sub(NAMED);
                let words: Vec<&str> = self.words.iter().take(NAMED).map(String::as_str).collect();
                f.write_str(&words.join(", "))?;
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
        }
    }
}

/// What an object is found by.
pub type Key = (String, String);

/// The differences, in the order of our file, then in that of the peer's. Objects of the same kind and name count together.
pub fn compare(ours: &Profile, theirs: &Profile) -> Vec<Difference> {
    let (here, there) = (by_key(ours), by_key(theirs));
    let mut found = Vec::new();
    for key in keys(ours) {
        match there.get(&key) {
            None => found.push(alone(Has::Here, &key, &here)),
            Some(other) => found.extend(here.get(&key).and_then(|one| differs(key, one, other))),
        }
    }
    found.extend(
        keys(theirs)
            .into_iter()
            .filter(|key| !here.contains_key(key))
            .map(|key| alone(Has::There, &key, &there)),
    );
    found
}

type Found<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Object>>;

fn key(object: &Object) -> (&str, &str) {
    (object.kind.as_str(), object.name.as_str())
}

fn by_key(profile: &Profile) -> Found<'_> {
    let mut found = Found::new();
    for object in &profile.objects {
        found.entry(key(object)).or_default().push(object);
    }
    found
}

/// Each once, in the order of the first.
fn keys(profile: &Profile) -> Vec<(&str, &str)> {
    let mut seen = std::collections::BTreeSet::new();
    profile.objects.iter().map(key).filter(|key| seen.insert(*key)).collect()
}

fn says(objects: &[&Object]) -> String {
    let all: Vec<&str> =
        objects.iter().map(|object| object.says.as_str()).filter(|text| !text.is_empty()).collect();
    all.join("; ")
}

fn alone(has: Has, (kind, name): &(&str, &str), all: &Found<'_>) -> Difference {
    let text = all.get(&(*kind, *name)).map(|objects| says(objects)).unwrap_or_default();
    let (here, there) = if has == Has::Here { (text, String::new()) } else { (String::new(), text) };
    Difference { kind: (*kind).to_owned(), name: (*name).to_owned(), has, words: Vec::new(), here, there }
}

/// `None`: they are alike.
fn differs((kind, name): (&str, &str), here: &[&Object], there: &[&Object]) -> Option<Difference> {
    let of = |objects: &[&Object]| {
        let mut words: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (word, digest) in objects.iter().flat_map(|object| &object.words) {
            words.entry(word.clone()).or_default().push(digest.clone());
        }
        words
    };
    let (ours, theirs) = (of(here), of(there));
    let mut words: Vec<String> = ours
        .iter()
        .filter(|(word, digests)| theirs.get(*word) != Some(digests))
        .map(|(word, _)| word.clone())
        .collect();
    words.extend(theirs.into_keys().filter(|word| !ours.contains_key(word)));
    words.sort();
    if words.is_empty() && here.len() == there.len() {
        return None;
    }
    let (kind, name) = (kind.to_owned(), name.to_owned());
    Some(Difference { kind, name, has: Has::Both, words, here: says(here), there: says(there) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(kind: &str, name: &str, words: &[(&str, &str)]) -> Object {
        let words = words.iter().map(|(word, digest)| ((*word).to_owned(), (*digest).to_owned())).collect();
        Object { kind: kind.to_owned(), name: name.to_owned(), says: String::new(), words }
    }

    fn profile(objects: &[Object]) -> Profile {
        Profile { whole: String::new(), objects: objects.to_vec() }
    }

    fn said(ours: &[Object], theirs: &[Object]) -> Vec<String> {
        let all = compare(&profile(ours), &profile(theirs));
        all.iter().map(|one| format!("{} {}: {one}", one.kind, one.name)).collect()
    }

    #[test]
    fn what_differs_is_named() {
        let one = object("vrrp_instance", "VI_1", &[("virtual_router_id", "a"), ("advert_int", "b")]);
        let other = object(
            "vrrp_instance",
            "VI_1",
            &[("virtual_router_id", "a"), ("advert_int", "c"), ("version", "d")],
        );
        let web = object("virtual_server", "TCP 10.0.0.1:80", &[("real_server", "a")]);
        let drained = |text: &str| Object {
            says: text.to_owned(),
            ..object("override", "10.1.0.1:80", &[("drain", text)])
        };
        assert_eq!(said(std::slice::from_ref(&one), std::slice::from_ref(&one)), Vec::<String>::new());
        assert_eq!(
            said(std::slice::from_ref(&one), std::slice::from_ref(&other)),
            ["vrrp_instance VI_1: advert_int, version"]
        );
        assert_eq!(
            said(&[one.clone(), web.clone()], std::slice::from_ref(&one)),
            ["virtual_server TCP 10.0.0.1:80: only here"]
        );
        assert_eq!(
            said(&[], std::slice::from_ref(&web)),
            ["virtual_server TCP 10.0.0.1:80: only at the peer"]
        );
        assert_eq!(said(&[drained("drain")], &[]), ["override 10.1.0.1:80: only here (drain)"]);
        assert_eq!(
            said(&[drained("drain")], &[drained("weight 5")]),
            ["override 10.1.0.1:80: drain here, weight 5 at the peer"]
        );
        // Twice the same name, once there: they do not serve alike.
        assert_eq!(said(&[web.clone(), web.clone()], std::slice::from_ref(&web)).len(), 1);
        let many: Vec<(String, String)> = (0..12).map(|n| (format!("w{n:02}"), "x".to_owned())).collect();
        let many = Object { words: many.into_iter().collect(), ..object("vrrp_instance", "VI_1", &[]) };
        assert_eq!(
            said(&[many], &[object("vrrp_instance", "VI_1", &[])]),
            ["vrrp_instance VI_1: w00, w01, w02, w03, w04, w05, w06, w07 and 4 more"]
        );
    }

    fn objects() -> impl Strategy<Value = Vec<Object>> {
        let words = proptest::collection::btree_map("[a-c]", "[xy]", 0..3);
        let object = ("[kl]", "[mno]", words).prop_map(|(kind, name, words)| Object {
            kind,
            name,
            says: String::new(),
            words,
        });
        proptest::collection::vec(object, 0..6)
    }

    proptest! {
        /// Nothing differs from itself, and both sides see the same differences with the sides exchanged.
        #[test]
        fn both_sides_see_the_same(ours in objects(), theirs in objects()) {
            let (ours, theirs) = (profile(&ours), profile(&theirs));
            prop_assert!(compare(&ours, &ours).is_empty());
            let turned = |one: &Difference| {
                let has = match one.has { Has::Here => Has::There, Has::There => Has::Here, Has::Both => Has::Both };
                (one.kind.clone(), one.name.clone(), has.name(), one.words.clone())
            };
            let plain = |one: &Difference| (one.kind.clone(), one.name.clone(), one.has.name(), one.words.clone());
            let mut seen_here: Vec<_> = compare(&ours, &theirs).iter().map(plain).collect();
            let mut seen_there: Vec<_> = compare(&theirs, &ours).iter().map(turned).collect();
            seen_here.sort();
            seen_there.sort();
            prop_assert_eq!(seen_here, seen_there);
        }

        /// No difference is overlooked: where nothing is found, each name has the same words on both sides.
        #[test]
        fn where_nothing_differs_all_is_alike(mut ours in objects(), theirs in objects()) {
            if compare(&profile(&ours), &profile(&theirs)).is_empty() {
                prop_assert_eq!(ours.len(), theirs.len());
            }
            // One changed word of one object is found.
            let before = profile(&ours);
            if let Some(object) = ours.first_mut() {
                object.words.insert("d".to_owned(), "new".to_owned());
                let found = compare(&profile(&ours), &before);
                prop_assert_eq!(found.len(), 1);
                prop_assert_eq!(&found[0].words, &["d"]);
            }
        }
    }
}
