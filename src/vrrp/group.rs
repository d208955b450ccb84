//! Sync groups: instances that are master together or not at all (keepalived.conf, `vrrp_sync_group`).
//!
//! [`orders`] compares what the members are with what they should be and says which events to feed; the caller feeds
//! them and asks again until there are none. The rules:
//!
//! - A member that must not take part holds all others in FAULT, with its reason; they recover with it.
//! - A member whose timer has run out waits until every other member's has, too; then all become master in the same
//!   turn. Two groups of several members on two machines thus never share out the instances between them.
//! - A member that yields takes the others along: they leave with an advert of priority 0, so that whoever takes over
//!   has all members within a skew time.

use crate::vrrp::machine::{Event, Machine, StateName};

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Names of its members, in the order of the file.
    pub members: Vec<String>,
}

/// A member as the group sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: StateName,
    /// Its timer has run out.
    pub wants_master: bool,
    /// It hears a master that it does not replace.
    pub hears_master: bool,
    /// What forbids it to take part, whatever the others are.
    pub own_fault: Option<String>,
    /// Whose fault it was told of.
    pub sibling_fault: Option<String>,
}

impl Member {
    /// What a machine shows to its group.
    pub fn of(name: &str, machine: &Machine) -> Self {
        Self {
            name: name.to_owned(),
            state: machine.state(),
            wants_master: machine.wants_master(),
            hears_master: machine.hears_master(),
            own_fault: machine.own_fault(),
            sibling_fault: machine.sibling_fault().map(str::to_owned),
        }
    }
}

/// The state of a whole group, for scripts and status: FAULT as soon as one member is, MASTER while one is (the others
/// follow in the same turn, or are new and still listen), INIT while none has begun.
pub fn state(members: &[Member]) -> StateName {
    let order = [StateName::Fault, StateName::Master, StateName::Backup, StateName::Init];
    let any = |state: &StateName| members.iter().any(|member| member.state == *state);
    order.into_iter().find(any).unwrap_or(StateName::Stopped)
}

/// Who keeps a group from being master while another member already wants to: name and state of each. Empty when nobody
/// wants, or nothing is missing.
pub fn stuck(members: &[Member]) -> Vec<(&str, StateName)> {
    if !members.iter().any(|member| member.wants_master) {
        return Vec::new();
    }
    let holding = |member: &&Member| !member.wants_master && member.state != StateName::Master;
    members.iter().filter(holding).map(|member| (member.name.as_str(), member.state)).collect()
}

/// What to feed now: index of the member and its event, in order. Empty when the group is settled.
pub fn orders(group: &str, members: &[Member]) -> Vec<(usize, Event)> {
    let mut orders = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let should = fault_of_others(group, members, index);
        if member.sibling_fault != should && member.state != StateName::Stopped {
            orders.push((index, Event::Sibling(should)));
        }
    }
    if !orders.is_empty() {
        return orders;
    }
    // Yielding goes before claiming: where one is out, nobody else may be in. A member that is new and still listens
    // is neither.
    if let Some(out) = members.iter().find(|member| member.hears_master && !member.wants_master) {
        let follow = Event::Follow { group: group.to_owned(), member: out.name.clone() };
        let masters = members.iter().enumerate().filter(|(_, member)| member.state == StateName::Master);
        return masters.map(|(index, _)| (index, follow.clone())).collect();
    }
    if members.iter().any(|member| member.state != StateName::Master && !member.wants_master) {
        return Vec::new();
    }
    let wants = members.iter().enumerate().filter(|(_, member)| member.wants_master);
    wants.map(|(index, _)| (index, Event::Promote { group: group.to_owned() })).collect()
}

/// The first other member's own fault, in words for this member.
fn fault_of_others(group: &str, members: &[Member], index: usize) -> Option<String> {
    let others = members.iter().enumerate().filter(|(other, _)| *other != index);
    others
        .filter_map(|(_, other)| Some((other, other.own_fault.as_ref()?)))
        .find(|(other, _)| other.state != StateName::Stopped)
        .map(|(other, fault)| format!("sync group {group}: {} is in FAULT: {fault}", other.name))
}

#[cfg(test)]
mod tests;
