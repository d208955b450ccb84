//! The steps from what is there to a wish, in order: on the way out rules, routes, addresses; on the way in addresses,
//! routes, rules, so that a packet never finds a rule without its table or a route without its source address.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{self, AddressKey, Installed};
use super::link::Links;
use super::route::{self, Insertion, Route, RouteKey, Table};
use super::rule::{self, Rule};
use super::session::{Request, flag, kind};
use super::wanted::{Id, Wanted};
use super::{address_codec, route_codec, rule_codec};

/// What the kernel has of what a wish could name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// All addresses.
    pub addresses: BTreeMap<AddressKey, Installed>,
    /// Routes of the protocols that the wish names.
    pub routes: Vec<Route>,
    /// All rules, where the wish names any.
    pub rules: BTreeSet<Rule>,
    /// Tables of the VRF devices, where the wish names any.
    pub vrfs: BTreeMap<String, u32>,
}

/// One request with what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What it changes.
    pub(super) id: Id,
    /// Put there, or taken away.
    pub(super) add: bool,
    /// The request.
    pub(super) request: Request,
    /// Its interface is down: that the kernel refuses it is no error.
    pub(super) down: bool,
}

impl Step {
    /// In words.
    pub(super) fn operation(&self) -> String {
        format!("{} {}", if self.add { "adding" } else { "removing" }, self.id)
    }
}

/// What is to be done, and the interfaces that have to be there first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In this order.
    pub(super) steps: Vec<Step>,
    /// Named, and not there.
    pub(super) missing: BTreeSet<String>,
}

/// The steps to a wish.
pub(super) fn plan(actual: &Actual, wish: &Wanted, links: &Links) -> Plan {
    let mut plan = Plan::default();
    let index = |name: &str| links.get(name).map(|link| link.index);
    let rules = rule::diff(&actual.rules, &wish.rules, &wish.our_rules);
    for change in &rules {
        if let rule::Change::Remove(rule) = change {
            plan.step(Id::Rule(rule.clone()), false, kind::DELETE_RULE, 0, rule_codec::request(rule));
        }
    }
    let (wanted, ours) = routes(actual, wish, &mut plan.missing);
    let routes = route::diff(&actual.routes, &wanted, &ours);
    for change in &routes {
        if let route::Change::Remove(route) = change {
            let body = route_codec::removal(route, index);
            plan.step(Id::Route(route.key.clone()), false, kind::DELETE_ROUTE, 0, body);
        }
    }
    plan.missing
        .extend(wish.want.keys().filter(|k| index(&k.interface).is_none()).map(|k| k.interface.clone()));
    for change in address::diff(&actual.addresses, wish) {
        let Some(index) = index(&change.key().interface) else { continue };
        match change {
            address::Change::Remove(key) => {
                let peer = actual.addresses.get(&key).and_then(|there| there.peer);
                let body = address_codec::removal(&key, peer, index);
                plan.step(Id::Address(key), false, kind::DELETE_ADDRESS, 0, body);
            }
            address::Change::Add(key, spec) => {
                let body = address_codec::addition(&key, &spec, index);
                plan.step(Id::Address(key), true, kind::NEW_ADDRESS, flag::CREATE | flag::EXCLUSIVE, body);
            }
        }
    }
    for change in routes {
        let route::Change::Add(route) = change else { continue };
        let flags = flag::CREATE
            | match route.spec.insertion {
                Insertion::Add => flag::EXCLUSIVE,
                Insertion::Prepend => 0,
                Insertion::Append => flag::APPEND,
            };
        match route_codec::addition(&route, index) {
            Ok(body) => {
                plan.step(Id::Route(route.key.clone()), true, kind::NEW_ROUTE, flags, body);
                let named = route.spec.hops.iter().filter_map(|hop| links.get(hop.dev.as_deref()?));
                if let Some(step) = plan.steps.last_mut() {
                    step.down = named.into_iter().any(|link| !link.up);
                }
            }
            Err(missing) => _ = plan.missing.insert(missing.to_owned()),
        }
    }
    for change in rules {
        if let rule::Change::Add(rule) = change {
            let body = rule_codec::request(&rule);
            plan.step(Id::Rule(rule), true, kind::NEW_RULE, flag::CREATE | flag::EXCLUSIVE, body);
        }
    }
    plan
}

impl Plan {
    fn step(&mut self, id: Id, add: bool, kind: u16, flags: u16, body: Vec<u8>) {
        self.steps.push(Step { id, add, request: Request { kind, flags, body }, down: false });
    }
}

/// Wish and own keys with the tables of the VRFs that are there.
fn routes(
    actual: &Actual,
    wish: &Wanted,
    missing: &mut BTreeSet<String>,
) -> (Vec<Route>, BTreeSet<RouteKey>) {
    let mut resolve = |key: &RouteKey, say: bool| {
        let table = match &key.table {
            Table::Number(number) => *number,
            Table::Vrf(name) => match actual.vrfs.get(name) {
                Some(number) => *number,
                None => {
                    if say {
                        missing.insert(name.clone());
                    }
                    return None;
                }
            },
        };
        Some(RouteKey { table: Table::Number(table), ..key.clone() })
    };
    let mut wanted = Vec::with_capacity(wish.routes.len());
    for route in &wish.routes {
        if let Some(key) = resolve(&route.key, true) {
            wanted.push(Route { key, spec: route.spec.clone() });
        }
    }
    let ours = wish.our_routes.iter().filter_map(|key| resolve(key, false)).collect();
    (wanted, ours)
}

/// What of the wish is there, as it should be or not.
pub(super) fn is_there(id: &Id, actual: &Actual) -> bool {
    match id {
        Id::Address(key) => actual.addresses.contains_key(key),
        Id::Rule(rule) => actual.rules.contains(rule),
        Id::Route(key) => {
            let table = match &key.table {
                Table::Number(number) => Some(*number),
                Table::Vrf(name) => actual.vrfs.get(name).copied(),
            };
            let Some(table) = table else { return false };
            let key = RouteKey { table: Table::Number(table), ..key.clone() };
            actual.routes.iter().any(|route| route.key == key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::address::AddressSpec;
    use crate::net::link::Link;
    use crate::net::route::{Hop, RouteSpec};
    use crate::net::rule::Action;

    fn links() -> Links {
        let link = Link {
            index: 3,
            name: "eth0".to_owned(),
            up: true,
            admin_up: true,
            loopback: false,
            mac: None,
            mtu: 1500,
            addresses: Vec::new(),
        };
        Links::from([("eth0".to_owned(), link)])
    }

    fn wish(table: Table, dev: &str) -> Wanted {
        let key = RouteKey {
            table,
            destination: ([10, 1, 0, 0].into(), 16),
            source: None,
            tos: 0,
            metric: 0,
            protocol: 18,
        };
        let hop = Hop { dev: Some(dev.to_owned()), weight: 1, ..Hop::default() };
        let address = AddressKey { interface: dev.to_owned(), address: [10, 0, 0, 1].into(), prefix_len: 24 };
        let mut wish = Wanted {
            generation: 1,
            want: [(address, AddressSpec::default())].into(),
            routes: vec![Route { key, spec: RouteSpec { hops: vec![hop], ..RouteSpec::default() } }],
            rules: [Rule::all(false, 7, Action::Table(7))].into(),
            ..Wanted::default()
        };
        wish.own();
        wish
    }

    fn kinds(plan: &Plan) -> Vec<u16> {
        plan.steps.iter().map(|step| step.request.kind).collect()
    }

    #[test]
    fn addresses_routes_rules_on_the_way_in_and_back_on_the_way_out() {
        let wish = wish(Table::Number(7), "eth0");
        let there = Actual::default();
        let forth = plan(&there, &wish, &links());
        assert_eq!(kinds(&forth), [kind::NEW_ADDRESS, kind::NEW_ROUTE, kind::NEW_RULE]);
        let full = Actual {
            addresses: wish.want.keys().map(|key| (key.clone(), Installed::default())).collect(),
            routes: wish.routes.clone(),
            rules: wish.rules.clone(),
            vrfs: BTreeMap::new(),
        };
        assert_eq!(plan(&full, &wish, &links()), Plan::default());
        let back = plan(&full, &wish.without_wishes(2), &links());
        assert_eq!(kinds(&back), [kind::DELETE_RULE, kind::DELETE_ROUTE, kind::DELETE_ADDRESS]);
        assert!(wish.ids().iter().all(|id| is_there(id, &full) && !is_there(id, &there)));
    }

    #[test]
    fn what_has_no_interface_or_vrf_waits_and_is_named() {
        let plan_of = |wish: &Wanted, there: &Actual| plan(there, wish, &links());
        let lost = plan_of(&wish(Table::Number(7), "eth7"), &Actual::default());
        assert_eq!((kinds(&lost), lost.missing), (vec![kind::NEW_RULE], BTreeSet::from(["eth7".to_owned()])));
        let red = wish(Table::Vrf("red".to_owned()), "eth0");
        let lost = plan_of(&red, &Actual::default());
        assert_eq!(lost.missing, BTreeSet::from(["red".to_owned()]));
        let there = Actual { vrfs: [("red".to_owned(), 900)].into(), ..Actual::default() };
        let found = plan_of(&red, &there);
        assert_eq!(kinds(&found), [kind::NEW_ADDRESS, kind::NEW_ROUTE, kind::NEW_RULE]);
        assert!(found.missing.is_empty());
    }
}
