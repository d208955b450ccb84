//! One wish: the addresses, routes and rules that should be there now, and what of them is ours to take away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::address::{AddressKey, AddressSpec};
use super::route::{Route, RouteKey};
use super::rule::Rule;

/// What should be there now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Grows with each change of wish; the writer says which one is in place.
    pub generation: u64,
    /// Addresses that should be there.
    pub want: BTreeMap<AddressKey, AddressSpec>,
    /// Addresses that are ours to remove when not wanted: every one of the configuration, and of earlier ones in this
    /// process's life. Nothing outside this set is ever removed.
    pub ours: BTreeSet<AddressKey>,
    /// Routes that should be there, in the order in which they can be added.
    pub routes: Vec<Route>,
    /// Keys of routes that are ours to remove when not wanted.
    pub our_routes: BTreeSet<RouteKey>,
    /// Rules that should be there.
    pub rules: BTreeSet<Rule>,
    /// Rules that are ours to remove when not wanted.
    pub our_rules: BTreeSet<Rule>,
    /// `no_track`: put there once, and not put back when somebody takes it away.
    pub untracked: BTreeSet<Id>,
    /// `track_group`: the group that is in fault while this is not there.
    pub groups: BTreeMap<Id, String>,
    /// Interfaces whose secondary addresses outlive the first one of their subnet (`promote_secondaries`).
    pub promote: BTreeSet<String>,
}

/// One thing that a wish may name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// An address.
    Address(AddressKey),
    /// Routes of one key; nearly always one.
    Route(RouteKey),
    /// A rule.
    Rule(Rule),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(key) => key.fmt(f),
            Self::Route(key) => key.fmt(f),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

impl Wanted {
    /// True when there is nothing in it, wished or ours.
    pub fn is_empty(&self) -> bool {
        self.want.is_empty() && self.ours.is_empty() && self.promote.is_empty() && !self.has_routing()
    }

    /// True when routes or rules are wished or ours.
    pub fn has_routing(&self) -> bool {
        !(self.routes.is_empty()
            && self.our_routes.is_empty()
            && self.rules.is_empty()
            && self.our_rules.is_empty())
    }

    /// Everything wished becomes ours.
    pub fn own(&mut self) {
        self.ours.extend(self.want.keys().cloned());
        self.our_routes.extend(self.routes.iter().map(|route| route.key.clone()));
        self.our_rules.extend(self.rules.iter().cloned());
    }

    /// Takes over what was ours in another wish.
    pub fn inherit(&mut self, before: &Self) {
        self.ours.extend(before.ours.iter().cloned());
        self.our_routes.extend(before.our_routes.iter().cloned());
        self.our_rules.extend(before.our_rules.iter().cloned());
    }

    /// The wishes of another one beside these: the first word on an address counts. Its generation is not looked at.
    pub fn join(&mut self, other: &Self) {
        for (key, spec) in &other.want {
            self.want.entry(key.clone()).or_insert_with(|| spec.clone());
        }
        for route in &other.routes {
            if !self.routes.contains(route) {
                self.routes.push(route.clone());
            }
        }
        self.rules.extend(other.rules.iter().cloned());
        self.untracked.extend(other.untracked.iter().cloned());
        self.groups.extend(other.groups.iter().map(|(id, group)| (id.clone(), group.clone())));
        self.promote.extend(other.promote.iter().cloned());
        self.inherit(other);
    }

    /// The same with nothing wished: what is left when all should go.
    #[must_use]
    pub fn without_wishes(&self, generation: u64) -> Self {
        let mut left = Self { generation, ..Self::default() };
        left.inherit(self);
        left
    }

    /// Everything wished.
    pub fn ids(&self) -> BTreeSet<Id> {
        let addresses = self.want.keys().cloned().map(Id::Address);
        let routes = self.routes.iter().map(|route| Id::Route(route.key.clone()));
        addresses.chain(routes).chain(self.rules.iter().cloned().map(Id::Rule)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::rule::Action;

    #[test]
    fn joined_wishes_keep_what_is_ours_of_both() {
        let key = |host: u8| AddressKey {
            interface: "eth0".to_owned(),
            address: [10, 0, 0, host].into(),
            prefix_len: 32,
        };
        let rule = Rule::all(false, 7, Action::Table(7));
        let mut one = Wanted { generation: 5, ..Wanted::default() };
        one.want.insert(key(1), AddressSpec::default());
        one.own();
        let mut other = Wanted { generation: 9, rules: BTreeSet::from([rule.clone()]), ..Wanted::default() };
        other.want.insert(key(1), AddressSpec { scope: 253, ..AddressSpec::default() });
        other.want.insert(key(2), AddressSpec::default());
        other.own();
        one.join(&other);
        assert_eq!((one.generation, one.want[&key(1)].scope), (5, 0));
        assert_eq!(one.ours, BTreeSet::from([key(1), key(2)]));
        assert_eq!(one.ids().len(), 3);
        let left = one.without_wishes(6);
        assert!(left.want.is_empty() && left.rules.is_empty() && !left.is_empty());
        assert_eq!(left.our_rules, BTreeSet::from([rule]));
    }
}
