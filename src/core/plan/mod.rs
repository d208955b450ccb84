//! What would change on this machine if a file were applied now: configuration and a snapshot of the kernel in, a list of
//! entries out. It asks the deciders that the daemon itself works by (the addresses of a role, the table of the checks,
//! both diffs), so that it says what a start or a reload would do. Nothing here carries anything out.

mod addresses;
mod expect;
mod objects;
mod routing;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;

use super::settings::Setting;
use crate::config::model::Config;
use crate::ipvs::table::Table;
use crate::net::address::{AddressKey, Installed};
use crate::net::link::Links;
use crate::net::preview::Actual;
use crate::net::route::Route;
use crate::net::rule::Rule;
use crate::net::wanted::Wanted;

/// The kernel as it was found; `None` = it could not be read, and nothing is planned for that part.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    /// Interfaces and their addresses.
    pub net: Option<Net>,
    /// Everybody's IPVS services.
    pub table: Option<Table>,
}

/// Interfaces, addresses, routes and rules.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// The interfaces.
    pub links: Links,
    /// The addresses.
    pub installed: BTreeMap<AddressKey, Installed>,
    /// Routes of the protocols that the files name.
    pub routes: Vec<Route>,
    /// The rules, where the files name any.
    pub rules: BTreeSet<Rule>,
    /// Tables of the VRFs, where the files name any.
    pub vrfs: BTreeMap<String, u32>,
}

impl Net {
    /// As the writer sees it.
    fn actual(&self) -> Actual {
        Actual {
            addresses: self.installed.clone(),
            routes: self.routes.clone(),
            rules: self.rules.clone(),
            vrfs: self.vrfs.clone(),
        }
    }
}

/// What the kernel has to be asked for to plan these files.
pub fn named(files: &[&Config]) -> Wanted {
    let mut all = Wanted::default();
    files.iter().for_each(|file| all.join(&routing::named(file)));
    all
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The file to apply.
    pub file: &'a Config,
    /// The file that was applied before, where it is known.
    pub before: Option<&'a Config>,
    /// The role that every instance is taken to have.
    pub role: Option<Role>,
    /// A Tandem runs in this network namespace.
    pub running: bool,
    /// For the schedule of the checks, which the plan does not look at.
    pub now: Instant,
}

/// How the file would be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// `tandem run`: nothing is remembered, real servers count as up.
    Start,
    /// SIGHUP to a Tandem that runs: what the kernel shows is taken for the state of the checks.
    Reload,
}

/// Role of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Carries its addresses.
    Master,
    /// Carries none.
    Backup,
    /// Carries none, and cannot become master.
    Fault,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Master => "MASTER",
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
        })
    }
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An object of the file; only where the file before is known.
    Object,
    /// An address.
    Address,
    /// A route.
    Route,
    /// A routing rule.
    Rule,
    /// An IPVS service.
    Service,
    /// A destination of an IPVS service.
    Destination,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It comes.
    Add,
    /// It stays, with other settings.
    Change,
    /// It goes.
    Remove,
    /// It is there, it is not ours, and it stays.
    Leave,
}

/// When it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// With the file.
    Now,
    /// When the instance becomes master.
    AsMaster,
    /// When the real server's checks have succeeded.
    OnceHealthy,
    /// When its interface exists.
    OnceInterface,
}

/// One thing that would change, or that somebody may fear for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// What happens to it.
    pub action: Action,
    /// When.
    pub when: When,
    /// Its name: `10.0.0.100/24 on eth0`, `TCP 10.0.0.1:80`.
    pub subject: String,
    /// The instance or service that it belongs to.
    pub of: Option<String>,
    /// Its settings as it comes, or as it is left alone; empty where there are none to tell.
    pub detail: String,
    /// The settings that change.
    pub settings: Vec<Setting>,
    /// Why.
    pub cause: String,
}

/// One instance: what the kernel shows of it, and what a change of its role would bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceNow {
    /// Its name.
    pub name: String,
    /// Interface of its adverts.
    pub interface: String,
    /// VRID.
    pub vrid: u8,
    /// Its addresses that are there.
    pub present: usize,
    /// All of its addresses.
    pub addresses: usize,
    /// The role that the plan is made for.
    pub role: Role,
    /// Why this one.
    pub because: String,
    /// Addresses that MASTER would add.
    pub master_adds: usize,
    /// Addresses that MASTER would put into another form.
    pub master_changes: usize,
    /// Addresses that BACKUP would remove.
    pub backup_removes: usize,
}

/// The whole plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How the file would be applied.
    pub basis: Basis,
    /// The instances of the file, in its order.
    pub instances: Vec<InstanceNow>,
    /// What would change: objects, then addresses by instance, then static addresses, routes and
    /// rules, those of instances, then services each with its destinations.
    pub entries: Vec<Entry>,
    /// What a person should know beside that.
    pub notes: Vec<String>,
}

impl Plan {
    /// Makes the plan.
    pub fn new(question: &Question<'_>, kernel: &Kernel) -> Self {
        let reload = question.running || question.before.is_some();
        let basis = if reload { Basis::Reload } else { Basis::Start };
        let mut plan = Self { basis, instances: Vec::new(), entries: Vec::new(), notes: Vec::new() };
        if let Some(before) = question.before {
            plan.entries.extend(objects::entries(before, question.file));
        } else if question.running {
            plan.notes.push(
                "addresses and services of the file that Tandem runs by now go when this file lacks them; name that \
                 file with --from to see them"
                    .to_owned(),
            );
        }
        if let Some(net) = &kernel.net {
            addresses::plan(question, basis, net, &mut plan);
            routing::plan(question, net, &mut plan);
        }
        if let Some(table) = &kernel.table {
            let entries = services::entries(question, basis, table, &plan.instances, kernel.net.as_ref());
            plan.entries.extend(entries);
        }
        plan
    }

    /// True when applying the file would change something now, as far as was looked.
    pub fn changes_something(&self) -> bool {
        self.entries.iter().any(Entry::is_change_now)
    }

    /// How many entries there are of a kind, action and time.
    pub fn count(&self, kind: Kind, action: Action, when: When) -> usize {
        self.entries.iter().filter(|e| e.kind == kind && e.action == action && e.when == when).count()
    }
}

impl Entry {
    /// True for what happens with the file itself.
    pub fn is_change_now(&self) -> bool {
        self.when == When::Now && self.action != Action::Leave
    }
}

#[cfg(test)]
mod tests;
