//! The part of a plan about routes, rules, and what is there as long as the daemon runs (static addresses, too).

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Entry, Kind, Net, Plan, Question, Role, When};
use crate::config::model::Config;
use crate::net::preview::{self, Change};
use crate::net::route::{Hop, Route};
use crate::net::wanted::{Id, Wanted};
use crate::vrrp::addresses::fixed;
use crate::vrrp::params::{Host, Settings};

/// Whose a thing is, in the order of the text: `None` = static.
type Owner = Option<String>;

/// One file's wishes.
struct Wishes {
    fixed: Wanted,
    instances: Vec<(String, Wanted)>,
}

impl Wishes {
    fn of(config: &Config) -> Self {
        let settings = Settings::of_config(config, &Host::default());
        Self {
            fixed: fixed(config),
            instances: settings.into_iter().map(|one| (one.name, one.routing)).collect(),
        }
    }

    /// Everything that the file names.
    fn all(&self) -> Wanted {
        let mut all = self.fixed.clone();
        self.instances.iter().for_each(|(_, wish)| all.join(wish));
        all
    }

    /// What is there while these instances are master.
    fn while_master(&self, master: impl Fn(&str) -> bool) -> Wanted {
        let mut now = self.fixed.clone();
        for (name, wish) in &self.instances {
            if master(name) {
                now.join(wish);
            } else {
                now.inherit(wish);
            }
        }
        now
    }

    /// Each thing with its owner; the first one counts.
    fn owners(&self, net: &Net) -> BTreeMap<Id, Owner> {
        let mut owners = BTreeMap::new();
        let all = std::iter::once((None, &self.fixed))
            .chain(self.instances.iter().map(|(name, wish)| (Some(name.clone()), wish)));
        for (owner, wish) in all {
            for id in wish.ids() {
                owners.entry(preview::numbered(&id, &net.actual())).or_insert_with(|| owner.clone());
            }
        }
        owners
    }
}

/// What the kernel has to be asked for: every static address, route and rule of a file.
pub(super) fn named(config: &Config) -> Wanted {
    Wishes::of(config).all()
}

/// Adds what changes of routes, rules and static addresses. The instances of the plan are there already.
pub(super) fn plan(question: &Question<'_>, net: &Net, plan: &mut Plan) {
    let file = Wishes::of(question.file);
    let before = question.before.map(Wishes::of);
    let masters: BTreeSet<&str> =
        plan.instances.iter().filter(|one| one.role == Role::Master).map(|one| one.name.as_str()).collect();
    let actual = net.actual();
    let with_before = |mut wish: Wanted| {
        if let Some(before) = &before {
            wish.inherit(&before.all());
        }
        wish
    };
    let wish = with_before(file.while_master(|name| masters.contains(name)));
    let now = preview::changes(&actual, &wish, &net.links);
    let everybody = with_before(file.all());
    let later = preview::changes(&actual, &everybody, &net.links);
    let owners = file.owners(net);
    let old_owners = before.as_ref().map(|before| before.owners(net)).unwrap_or_default();
    let mut entries = Vec::new();
    // In the order of the file: static things first, then the instances.
    for id in now.keys().chain(later.keys()).collect::<BTreeSet<_>>() {
        let owner = owners.get(id);
        let ours = owner.or_else(|| old_owners.get(id));
        let Some(of) = ours else { continue };
        let first = now.get(id).map(|change| (*change, When::Now));
        let then = later.get(id).map(|change| (*change, When::AsMaster));
        let Some((change, when)) = first.or(then) else { continue };
        let words = Words { net, everybody: &everybody, in_file: owner.is_some() };
        entries.push(words.entry(id, of.clone(), change, when));
        // What goes now may come back.
        if change == Change::Remove && owner.is_some() {
            entries.push(words.entry(id, of.clone(), Change::Add, When::AsMaster));
        }
    }
    entries.sort_by_key(|entry| entry.of.is_some());
    plan.entries.extend(entries);
}

struct Words<'a> {
    net: &'a Net,
    everybody: &'a Wanted,
    in_file: bool,
}

impl Words<'_> {
    fn entry(&self, id: &Id, of: Owner, change: Change, when: When) -> Entry {
        let waits = change == Change::Wait;
        let cause = match (change, when, &of) {
            (Change::Wait, ..) => "it waits for its interface or VRF, which is not there".to_owned(),
            (Change::Add, When::AsMaster, _) => "comes when this machine becomes MASTER".to_owned(),
            (Change::Add, _, None) => "static, and the kernel does not have it".to_owned(),
            (Change::Add, _, Some(_)) => "the kernel does not have it".to_owned(),
            (Change::Change, ..) => "the kernel has it in another form; it goes for a moment".to_owned(),
            (Change::Remove, ..) if self.in_file => "its instance is not MASTER".to_owned(),
            (Change::Remove, ..) => "the file before named it, this one does not".to_owned(),
        };
        Entry {
            kind: match id {
                Id::Address(_) => Kind::Address,
                Id::Route(_) => Kind::Route,
                Id::Rule(_) => Kind::Rule,
            },
            action: match change {
                Change::Add | Change::Wait => Action::Add,
                Change::Change => Action::Change,
                Change::Remove => Action::Remove,
            },
            when: if waits && when == When::Now { When::OnceInterface } else { when },
            subject: subject(id),
            of,
            detail: self.detail(id).filter(|_| change != Change::Remove).unwrap_or_default(),
            settings: Vec::new(),
            cause,
        }
    }

    /// The ways of a route.
    fn detail(&self, id: &Id) -> Option<String> {
        let actual = self.net.actual();
        let is_it = |route: &&Route| preview::numbered(&Id::Route(route.key.clone()), &actual) == *id;
        let route = self.everybody.routes.iter().find(is_it)?;
        let hops: Vec<String> = route.spec.hops.iter().map(hop).filter(|words| !words.is_empty()).collect();
        Some(hops.join(" or "))
    }
}

/// Its name without the word for its kind, which stands before it.
fn subject(id: &Id) -> String {
    let text = id.to_string();
    let plain = text.strip_prefix("route ").or_else(|| text.strip_prefix("rule ")).map(str::to_owned);
    plain.unwrap_or(text)
}

fn hop(hop: &Hop) -> String {
    let gateway = hop.gateway.map(|gateway| format!("via {gateway}"));
    let dev = hop.dev.as_ref().map(|dev| format!("dev {dev}"));
    gateway.into_iter().chain(dev).collect::<Vec<_>>().join(" ")
}
