//! From the table that is to the table that should be, in an order that never makes a hole.
//!
//! Rules: within a service additions come before removals, so that at every moment it has at least the destinations
//! that both tables have, and one that takes connections if both tables have one. A service is deleted in one
//! message, never destination by destination, and nothing is emptied and filled again: the kernel walks removed
//! destinations for two minutes, and established connections would lose their server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::ipvs::table::{Destination, DestinationKey, Forward, Service, ServiceKey, Table, VirtualService};

/// One step from the actual to the desired table: one netlink message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are the key and the settings of the thing that the variant names")]
pub enum Change {
    /// Create a service, without destinations.
    NewService { key: ServiceKey, service: Service },
    /// Change a service's settings; its connections and destinations stay.
    SetService { key: ServiceKey, service: Service },
    /// Delete a service and all of its destinations.
    DeleteService { key: ServiceKey },
    /// Add a destination to a service.
    NewDestination { key: ServiceKey, destination: DestinationKey, settings: Destination },
    /// Change a destination's settings; its connections stay.
    SetDestination { key: ServiceKey, destination: DestinationKey, settings: Destination },
    /// Remove a destination from a service.
    DeleteDestination { key: ServiceKey, destination: DestinationKey },
}

/// What a change is about: a service, or one destination of it.
pub type Subject = (ServiceKey, Option<DestinationKey>);

impl Change {
    /// The service that is changed or whose destination is changed.
    pub const fn service(&self) -> &ServiceKey {
        match self {
            Self::NewService { key, .. }
            | Self::SetService { key, .. }
            | Self::DeleteService { key }
            | Self::NewDestination { key, .. }
            | Self::SetDestination { key, .. }
            | Self::DeleteDestination { key, .. } => key,
        }
    }

    /// What the change is about.
    pub const fn subject(&self) -> Subject {
        match self {
            Self::NewService { key, .. } | Self::SetService { key, .. } | Self::DeleteService { key } => {
                (*key, None)
            }
            Self::NewDestination { key, destination, .. }
            | Self::SetDestination { key, destination, .. }
            | Self::DeleteDestination { key, destination } => (*key, Some(*destination)),
        }
    }

    /// Does to `table` what the kernel does when it accepts the change. A change whose service or destination is
    /// not there does nothing.
    pub fn apply(&self, table: &mut Table) {
        match self {
            Self::NewService { key, service } => {
                table.entry(*key).or_insert_with(|| VirtualService {
                    service: service.clone(),
                    destinations: BTreeMap::new(),
                });
            }
            Self::SetService { key, service } => {
                if let Some(entry) = table.get_mut(key) {
                    entry.service = service.clone();
                }
            }
            Self::DeleteService { key } => {
                table.remove(key);
            }
            Self::NewDestination { key, destination, settings } => {
                if let Some(entry) = table.get_mut(key) {
                    entry.destinations.entry(*destination).or_insert(*settings);
                }
            }
            Self::SetDestination { key, destination, settings } => {
                if let Some(entry) = table.get_mut(key)
                    && let Some(old) = entry.destinations.get_mut(destination)
                {
                    *old = *settings;
                }
            }
            Self::DeleteDestination { key, destination } => {
                if let Some(entry) = table.get_mut(key) {
                    entry.destinations.remove(destination);
                }
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewService { key, service } => write!(f, "add service {key} ({service})"),
            Self::SetService { key, service } => write!(f, "set service {key} ({service})"),
            Self::DeleteService { key } => write!(f, "delete service {key}"),
            Self::NewDestination { key, destination, settings } => {
                write!(f, "add {key} -> {destination} ({settings})")
            }
            Self::SetDestination { key, destination, settings } => {
                write!(f, "set {key} -> {destination} ({settings})")
            }
            Self::DeleteDestination { key, destination } => write!(f, "delete {key} -> {destination}"),
        }
    }
}

/// True if the kernel's `actual` destination is what `desired` asks for. A destination that the kernel reports as
/// [`Forward::Local`] (the real server is this host) is right whatever forwarding method was asked for: asking again
/// would change nothing, for ever.
pub fn same_destination(actual: &Destination, desired: &Destination) -> bool {
    actual == desired
        || (actual.forward == Forward::Local
            && Destination { forward: Forward::Local, ..*desired } == *actual)
}

/// The changes that lead from `actual` to `desired`, over the services named in `ours`; every other service of both
/// tables is left alone. Applied in order they give `desired` on `ours`; every prefix is safe to stop at.
pub fn diff(actual: &Table, desired: &Table, ours: &BTreeSet<ServiceKey>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, wanted) in desired.iter().filter(|(key, _)| ours.contains(key)) {
        match actual.get(key) {
            None => {
                changes.push(Change::NewService { key: *key, service: wanted.service.clone() });
                changes.extend(wanted.destinations.iter().map(|(destination, settings)| {
                    Change::NewDestination { key: *key, destination: *destination, settings: *settings }
                }));
            }
            Some(present) => service_changes(*key, present, wanted, &mut changes),
        }
    }
    // Last: a service that moved to another key is there before the old one goes.
    changes.extend(
        actual
            .keys()
            .filter(|key| ours.contains(key) && !desired.contains_key(key))
            .map(|key| Change::DeleteService { key: *key }),
    );
    changes
}

fn service_changes(
    key: ServiceKey,
    actual: &VirtualService,
    wanted: &VirtualService,
    changes: &mut Vec<Change>,
) {
    if actual.service != wanted.service {
        changes.push(Change::SetService { key, service: wanted.service.clone() });
    }
    let mut later = Vec::new();
    for (&destination, &settings) in &wanted.destinations {
        match actual.destinations.get(&destination) {
            None => changes.push(Change::NewDestination { key, destination, settings }),
            Some(present) if same_destination(present, &settings) => {}
            Some(present) => later.push((settings.weight <= present.weight, destination, settings)),
        }
    }
    // Raised weights before lowered ones: when one server takes over from another that is set to 0, there is always
    // one that takes connections.
    later.sort_by_key(|(lowered, ..)| *lowered);
    changes.extend(later.into_iter().map(|(_, destination, settings)| Change::SetDestination {
        key,
        destination,
        settings,
    }));
    changes.extend(
        actual
            .destinations
            .keys()
            .filter(|destination| !wanted.destinations.contains_key(destination))
            .map(|&destination| Change::DeleteDestination { key, destination }),
    );
}

#[cfg(test)]
mod tests;
