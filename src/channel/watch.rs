//! What is known of the peer, since when, and what of that is worth a line in the journal: each change once. Pure; time is an
//! argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::compare::{Difference, Key, compare};
use super::message::{Answer, Profile, Said, Who};
use super::seal::Flaw;

/// So many tries in a row go unanswered before that is told: a peer that restarts is no news.
const PATIENCE: u32 = 3;
/// Differences that are told one by one.
const NAMED: usize = 20;

/// Why the peer was not heard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Our own key file.
    #[error("{0}")]
    Key(#[from] super::key::KeyError),
    /// Our own address, or an interface that a link-local address names.
    #[error("{0}")]
    Own(String),
    /// No connection.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("it does not answer within {0} s")]
    Silent(u64),
    /// The connection broke off.
    #[error("it hangs up without an answer: pair_peer there may be another address than this director's")]
    BrokeOff,
    /// Its bytes.
    #[error("{0}")]
    Flaw(#[from] Flaw),
    /// Its document.
    #[error("its answer is not understood: {0}")]
    Malformed(String),
    /// It answered that it will not.
    #[error("it refuses: {problem}")]
    Refused {
        /// A stable name.
        code: String,
        /// Why.
        problem: String,
    },
    /// It is us.
    #[error("pair_peer is this director itself")]
    Myself,
}

impl Problem {
    /// A stable name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Key(_) | Self::Own(_) => "closed",
            Self::Unreachable(_) => "unreachable",
            Self::Silent(_) => "silent",
            Self::BrokeOff => "broke_off",
            Self::Flaw(Flaw::NotAuthenticated) => "not_authenticated",
            Self::Flaw(Flaw::Version(_)) => "other_version",
            Self::Flaw(_) => "not_a_peer",
            Self::Malformed(_) => "malformed",
            Self::Refused { .. } => "refused",
            Self::Myself => "myself",
        }
    }

    /// It may be over in a moment.
    const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Silent(_) | Self::BrokeOff)
    }
}

/// A line for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// It is something to look after.
    pub warning: bool,
    /// A stable name: `differs`, `agrees`, `silent`, `heard`, ...
    pub cause: &'static str,
    /// The instance or the virtual server that it is about; empty for the peer as a whole.
    pub subject: String,
    /// In words.
    pub text: String,
}

/// What is known of the peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `pair_peer`.
    pub address: String,
    /// Since when it is watched.
    pub begun: Instant,
    /// Who it says it is.
    pub who: Option<Who>,
    /// It takes changes over the channel.
    pub accepts_changes: Option<bool>,
    /// Why it was not heard the last time, and since when that is so.
    pub problem: Option<(Problem, Instant)>,
    /// When it was last heard.
    pub heard: Option<Instant>,
    /// What differs, as last known, each with the time since when.
    pub differences: Vec<(Difference, Instant)>,
    /// Since when it has been as it is: alike or not.
    pub since: Instant,
    /// Requests of the peer that were answered.
    pub answered: u64,
    /// Requests that were refused, by the name of the reason.
    pub refused: BTreeMap<&'static str, u64>,
    ours: Arc<Profile>,
    theirs: Option<Arc<Profile>>,
    failures: u32,
    /// The problem that the journal tells of.
    told: Option<&'static str>,
    /// Strangers have been told of since the last good request.
    told_strangers: bool,
}

impl Peer {
    /// One of which nothing is known yet.
    pub fn new(address: String, now: Instant) -> Self {
        Self {
            address,
            begun: now,
            who: None,
            accepts_changes: None,
            problem: None,
            heard: None,
            differences: Vec::new(),
            since: now,
            answered: 0,
            refused: BTreeMap::new(),
            ours: Arc::default(),
            theirs: None,
            failures: 0,
            told: None,
            told_strangers: false,
        }
    }

    /// True when it has been compared, `None` before.
    pub fn agrees(&self) -> Option<bool> {
        self.theirs.as_ref().map(|_| self.differences.is_empty())
    }

    /// Digest of the peer's last profile.
    pub fn known(&self) -> Option<&str> {
        self.theirs.as_ref().map(|profile| profile.whole.as_str())
    }

    /// Its name and address, for people.
    pub fn title(&self) -> String {
        match self.who.as_ref().map(|who| who.name.as_str()).filter(|name| !name.is_empty()) {
            Some(name) => format!("{name} ({})", self.address),
            None => self.address.clone(),
        }
    }

    /// This director is configured otherwise from now on. `other_key`: what is known of the peer's says nothing any more.
    pub fn ours(&mut self, ours: Arc<Profile>, other_key: bool, now: Instant) -> Vec<Note> {
        self.ours = ours;
        if other_key {
            self.theirs = None;
            self.differences.clear();
            return Vec::new();
        }
        self.compared(now)
    }

    /// It has answered the question how it is configured.
    ///
    /// # Errors
    /// What it says cannot be meant.
    pub fn heard(&mut self, answer: Answer, now: Instant) -> Result<Vec<Note>, Problem> {
        let theirs = match answer.said {
            Said::Same if self.known() == Some(answer.whole.as_str()) => None,
            Said::Same => {
                // The next question names nothing that is known.
                self.theirs = None;
                return Err(Problem::Malformed("nothing has changed that was never told".to_owned()));
            }
            Said::Profile { objects } => {
                let profile = Profile::received(answer.whole, objects);
                let large = || Problem::Malformed("it is larger than any configuration".to_owned());
                Some(profile.ok_or_else(large)?)
            }
            Said::Refused { code, problem, .. } => return Err(Problem::Refused { code, problem }),
            Said::Changed { .. } => return Err(Problem::Malformed("nothing was to be changed".to_owned())),
        };
        self.who = Some(answer.from);
        self.accepts_changes = Some(answer.accepts_changes);
        self.heard = Some(now);
        self.failures = 0;
        let mut notes = Vec::new();
        self.problem = None;
        if self.told.take().is_some() {
            let text = format!("the peer {} is heard again", self.title());
            notes.push(Note { warning: false, cause: "heard", subject: String::new(), text });
        }
        if let Some(theirs) = theirs {
            self.theirs = Some(Arc::new(theirs));
            notes.extend(self.compared(now));
        }
        Ok(notes)
    }

    /// It was not heard.
    pub fn failed(&mut self, problem: Problem, now: Instant) -> Option<Note> {
        self.failures = self.failures.saturating_add(1);
        let name = problem.name();
        let since =
            self.problem.take().filter(|(before, _)| before.name() == name).map_or(now, |(_, since)| since);
        let tells = self.told != Some(name) && (self.failures >= PATIENCE || !problem.may_pass());
        let text = format!("the peer {} is not heard: {problem}", self.title());
        self.problem = Some((problem, since));
        if !tells {
            return None;
        }
        self.told = Some(name);
        Some(Note { warning: true, cause: name, subject: String::new(), text })
    }

    /// A request was answered. `mine`: the digest that it brought; true where that is news.
    pub fn was_asked(&mut self, mine: Option<&str>) -> bool {
        self.answered += 1;
        self.told_strangers = false;
        mine.is_some_and(|mine| self.known() != Some(mine))
    }

    /// A request was refused for a reason of this name. Whoever is not authenticated is told of once, until somebody is.
    pub fn refuse(&mut self, name: &'static str, from: &str) -> Option<Note> {
        *self.refused.entry(name).or_default() += 1;
        if name != "not_authenticated" || std::mem::replace(&mut self.told_strangers, true) {
            return None;
        }
        let text = format!(
            "a request from {from} is not authenticated: it is not signed with the key of pair_key_file, or it is a \
             recorded one; nothing was done"
        );
        Some(Note { warning: true, cause: "stranger", subject: String::new(), text })
    }

    fn compared(&mut self, now: Instant) -> Vec<Note> {
        let Some(theirs) = &self.theirs else { return Vec::new() };
        let found = compare(&self.ours, theirs);
        let first = self.heard.is_none() || self.since == self.begun;
        let key = |one: &Difference| -> Key { (one.kind.clone(), one.name.clone()) };
        let mut before: BTreeMap<Key, (Difference, Instant)> =
            self.differences.drain(..).map(|(one, since)| (key(&one), (one, since))).collect();
        let were = !before.is_empty();
        let title = self.title();
        let mut news = Vec::new();
        let mut now_known = Vec::with_capacity(found.len());
        for one in found {
            let since = match before.remove(&key(&one)) {
                Some((same, since)) if same == one => since,
                old => {
                    news.push(said(&one, &title));
                    old.map_or(now, |(_, since)| since)
                }
            };
            now_known.push((one, since));
        }
        for (_, (one, _)) in before {
            news.push(over(&one, &title));
        }
        self.differences = now_known;
        let are = !self.differences.is_empty();
        if were != are || first {
            self.since = now;
        }
        if were && !are {
            let text = format!("both directors are configured alike again, as {title}");
            news = vec![Note { warning: false, cause: "agrees", subject: String::new(), text }];
        }
        let more = news.len().saturating_sub(NAMED);
        if more > 0 {
            news.truncate(NAMED);
            let text = format!(
                "{more} more objects differ from the peer's, or do no more: `tandem status` names them"
            );
            news.push(Note { warning: true, cause: "differs", subject: String::new(), text });
        }
        news
    }
}

/// What is said of a difference.
fn said(one: &Difference, peer: &str) -> Note {
    let text = match one.kind.as_str() {
        "override" => format!("the override of {} is not that of the peer {peer}: {one}", one.name),
        kind => format!("{kind} {} differs from the peer's, {peer}: {one}", one.name),
    };
    Note { warning: true, cause: "differs", subject: subject(one), text }
}

fn over(one: &Difference, peer: &str) -> Note {
    let text = format!("{} {} is as the peer's again, {peer}", one.kind, one.name);
    Note { warning: false, cause: "agrees", subject: subject(one), text }
}

/// An override is about its real server's virtual server.
fn subject(one: &Difference) -> String {
    let name = one.name.as_str();
    match one.kind.as_str() {
        "override" => name.split_once(" of ").map_or(name, |(_, service)| service).to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
