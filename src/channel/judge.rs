//! What is said to a request that is the peer's. Pure: what is to be done is handed to whoever may do it.

use super::key::Keys;
use super::message::{Answer, Ask, Profile, Push, Request, Said, Who, clean};

/// Who is asked.
#[derive(Clone, Debug)]
pub struct Me {
    /// How we call ourselves.
    pub who: Who,
    /// `pair_accept_changes`.
    pub accepts_changes: bool,
    /// How we are configured.
    pub profile: std::sync::Arc<Profile>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This is said; the peer's own digest came along.
    Compared {
        /// The answer.
        said: Said,
        /// Digest of how the peer is configured.
        mine: String,
    },
    /// This is to be done, for that peer.
    Change(Push, Who),
    /// It is refused, and counted by this name.
    Refused(&'static str, Said),
}

/// Judges the document of a request.
pub fn judge(document: &[u8], me: &Me) -> Verdict {
    let request: Request = match serde_json::from_slice(document) {
        Ok(request) => request,
        Err(error) => {
            let problem = format!("the request is not understood: {}", clean(&error.to_string()));
            return refused("malformed", "malformed", &problem, "run the same version on both directors");
        }
    };
    if request.from.id == me.who.id {
        let problem = "this is our own request, sent back to us";
        return refused("reflected", "reflected", problem, "look at pair_peer: it is the other director");
    }
    match request.ask {
        Ask::Compare { mine, known } => {
            let said = if known.as_ref() == Some(&me.profile.whole) {
                Said::Same
            } else {
                Said::Profile { objects: me.profile.objects.clone() }
            };
            Verdict::Compared { said, mine }
        }
        Ask::Change(_) if !me.accepts_changes => {
            let problem = format!("{} takes no changes from its peer", me.who.name);
            refused(
                "not_accepted",
                "not-accepted",
                &problem,
                "write pair_accept_changes into global_defs there, and reload it",
            )
        }
        Ask::Change(push) => Verdict::Change(push, request.from.cleaned()),
    }
}

/// What is said to a request that is not signed by our key, or is a recorded one.
pub fn stranger() -> Said {
    let problem = "not authenticated: it is not signed with this director's key, or it is a recorded one";
    said("not-authenticated", problem, "write the same key into pair_key_file on both directors")
}

/// The whole answer. To a stranger nothing is told of us but that.
pub fn answer(me: &Me, said: Said, to_peer: bool) -> Answer {
    if to_peer {
        let whole = me.profile.whole.clone();
        return Answer { from: me.who.clone(), accepts_changes: me.accepts_changes, whole, said };
    }
    Answer { from: Who::default(), accepts_changes: false, whole: String::new(), said }
}

/// A refusal.
pub fn said(code: &str, problem: &str, cure: &str) -> Said {
    Said::Refused { code: code.to_owned(), problem: problem.to_owned(), cure: cure.to_owned() }
}

fn refused(name: &'static str, code: &str, problem: &str, cure: &str) -> Verdict {
    Verdict::Refused(name, said(code, problem, cure))
}

/// A number for a process, of random bytes. It is no secret.
pub fn number(keys: &Keys, random: &[u8]) -> String {
    keys.digest(random)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::message::By;
    use super::*;

    fn me(accepts_changes: bool) -> Me {
        let who = Who { id: "1".to_owned(), name: "lb1".to_owned(), tandem: "0.1.0".to_owned() };
        let profile = Profile { whole: "w".to_owned(), objects: Vec::new() };
        Me { who, accepts_changes, profile: Arc::new(profile) }
    }

    fn judged(accepts: bool, from: &str, ask: Ask) -> Verdict {
        let from = Who { id: from.to_owned(), name: "lb\n2".to_owned(), ..Who::default() };
        judge(&serde_json::to_vec(&Request { from, ask }).unwrap(), &me(accepts))
    }

    #[test]
    fn what_becomes_of_requests() {
        let compare =
            |known: Option<&str>| Ask::Compare { mine: "m".to_owned(), known: known.map(str::to_owned) };
        let compared = |said| Verdict::Compared { said, mine: "m".to_owned() };
        assert_eq!(judged(false, "2", compare(Some("w"))), compared(Said::Same));
        assert_eq!(judged(false, "2", compare(Some("v"))), compared(Said::Profile { objects: Vec::new() }));
        assert_eq!(judged(false, "2", compare(None)), compared(Said::Profile { objects: Vec::new() }));
        let push =
            || Push { by: By { uid: 0, user: Some("root".to_owned()), pid: Some(7) }, ..Push::default() };
        let name = |verdict: Verdict| match verdict {
            Verdict::Refused(name, Said::Refused { .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(judged(false, "2", Ask::Change(push()))), "not_accepted");
        let Verdict::Change(got, from) = judged(true, "2", Ask::Change(push())) else { panic!("a change") };
        assert_eq!((got, from.name.as_str()), (push(), "lb?2"));
        // Our own words in another connection.
        assert_eq!(name(judged(true, "1", Ask::Change(push()))), "reflected");
        assert_eq!(name(judged(true, "1", compare(None))), "reflected");
        for bytes in
            [b"".as_slice(), b"{}", b"[]", b"\xff\xff", b"{\"from\":{},\"ask\":{\"kind\":\"dance\"}}"]
        {
            assert_eq!(name(judge(bytes, &me(true))), "malformed");
        }
    }

    #[test]
    fn a_stranger_learns_nothing() {
        let text = serde_json::to_string(&answer(&me(true), stranger(), false)).unwrap();
        assert!(
            !text.contains("lb1") && !text.contains("0.1.0") && text.contains("\"whole\":\"\""),
            "{text}"
        );
    }
}
