//! Quorums that instances track (`track_virtual_server`): names the virtual servers to the check room, and carries its word to
//! the trackers. Both ways the latest wins and nothing is lost: an instance that missed the word would keep an address with
//! no server behind it, or stay in FAULT, without end.
//!
//! What the check room does not know yet is unknown, and an instance waits for it in INIT as for a script's first result: a
//! quorum that is reached is known at once, one that is not when every check of the virtual server has had its first result.
//! So a director whose checks have not run neither begins with a FAULT nor takes addresses for a service that is down.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Worker;
use crate::check::tracked;
use crate::clock;
use crate::config::model::{Config, ServiceName};
use crate::vrrp::track::Quorum;
use crate::vrrp::trackers::{TrackerKind, tracked_names};

/// Names of trackers with the names of their virtual servers.
type Names = BTreeMap<String, String>;

/// Who is asked for, and what is said of them.
pub(super) struct Quorums {
    names: Names,
    follower: tracked::Follower,
}

impl Quorums {
    /// Asks for what this configuration tracks.
    pub(super) fn start(config: &Config, follower: tracked::Follower) -> Self {
        let mut quorums = Self { names: Names::new(), follower };
        quorums.configure(config);
        quorums
    }

    /// Another configuration.
    pub(super) fn configure(&mut self, config: &Config) {
        self.names = names(config);
        let wanted: tracked::Names = self.names.values().cloned().collect();
        self.follower.names.send_if_modified(|asked| {
            let differs = **asked != wanted;
            if differs {
                *asked = Arc::new(wanted);
            }
            differs
        });
        // What is known already is known to new trackers, too.
        self.follower.said.mark_changed();
    }

    /// Waits until something else is said; for ever when nobody is left to say it.
    pub(super) async fn changed(&mut self) {
        if self.follower.said.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What is said now, by the names of the trackers.
    fn said(&mut self) -> BTreeMap<String, Quorum> {
        words(&self.names, &self.follower.said.borrow_and_update())
    }
}

/// The virtual servers that somebody tracks.
fn names(config: &Config) -> Names {
    let tracked = tracked_names(TrackerKind::Quorum, config);
    if tracked.is_empty() {
        return Names::new();
    }
    let groups = &config.virtual_server_group;
    let own: BTreeMap<ServiceName, String> = config
        .virtual_server
        .iter()
        .filter_map(|server| ServiceName::of(server, groups))
        .map(|name| (name.clone(), name.to_string()))
        .collect();
    let meant = |name: &str| {
        let named = name.parse::<ServiceName>().ok()?;
        if let Some(exact) = own.get(&named) {
            return Some(exact.clone());
        }
        let server = config.virtual_server.get(*named.find(config).first()?)?;
        Some(ServiceName::of(server, groups)?.to_string())
    };
    tracked.into_iter().filter_map(|name| Some((name.to_owned(), meant(name)?))).collect()
}

/// The check room's word as the trackers'.
fn words(names: &Names, said: &tracked::Quorums) -> BTreeMap<String, Quorum> {
    let word = |service: &String| {
        let now = said.get(service)?;
        Some(Quorum { up: now.up, why: format!("weight {} for quorum {}", now.weight, now.quorum) })
    };
    names.iter().filter_map(|(name, service)| Some((name.clone(), word(service)?))).collect()
}

impl Worker {
    /// What became of the quorums that somebody tracks.
    pub(super) fn take_quorums(&mut self) {
        let flips = self.trackers.set_quorums(&self.quorums.said(), clock::now());
        if flips.is_empty() {
            return;
        }
        for flip in flips {
            tracing::info!("{flip}");
            self.chronicle.flip(&flip);
        }
        self.vrrp.mailbox.trackers(self.trackers.values());
    }
}

#[cfg(test)]
mod tests;
