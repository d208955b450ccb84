//! What a wish would change, without changing it: the writer's own plan, thing by thing. Pure.

use std::collections::BTreeMap;

use super::link::Links;
use super::plan::{is_there, plan};
use super::route::{RouteKey, Table};
use super::wanted::{Id, Wanted};

pub use super::plan::Actual;

/// What would happen to one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It comes.
    Add,
    /// It is there in another form: it goes and comes again.
    Change,
    /// It goes.
    Remove,
    /// It cannot come yet: an interface or VRF that it needs is not there.
    Wait,
}

/// What the writer would do to reach this wish. Tables of VRFs that are there are told by their numbers, as
/// [`numbered`] has them.
pub fn changes(there: &Actual, wish: &Wanted, links: &Links) -> BTreeMap<Id, Change> {
    let mut changes: BTreeMap<Id, Change> = BTreeMap::new();
    for step in plan(there, wish, links).steps {
        let change = if step.add { Change::Add } else { Change::Remove };
        changes.entry(step.id).and_modify(|known| *known = Change::Change).or_insert(change);
    }
    for id in wish.ids() {
        let id = numbered(&id, there);
        let waits = !is_there(&id, there) && !changes.contains_key(&id);
        if waits {
            changes.insert(id, Change::Wait);
        }
    }
    changes
}

/// The same with the number of its VRF's table, where that VRF is there.
pub fn numbered(id: &Id, there: &Actual) -> Id {
    match id {
        Id::Route(key @ RouteKey { table: Table::Vrf(name), .. }) => match there.vrfs.get(name) {
            Some(number) => Id::Route(RouteKey { table: Table::Number(*number), ..key.clone() }),
            None => id.clone(),
        },
        Id::Route(_) | Id::Address(_) | Id::Rule(_) => id.clone(),
    }
}
