//! Two directors' configurations against each other, before they are deployed: will exactly one of them be master,
//! which failure moves the addresses and how fast, and do both balance the same.
//!
//! Pure: two models in, a [`PairReport`] out. [`election`] follows the machine's rules to their end,
//! [`situation`] asks it what if, [`trackers`] knows what can fail, `wire`, `addresses`, `roles` and `services` compare
//! what the files say, and `verdict` judges the answers.

mod addresses;
mod channel;
pub mod election;
mod roles;
mod services;
pub mod situation;
pub mod trackers;
mod verdict;
mod wire;

use std::fmt;
use std::net::IpAddr;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::model::{Config, Instance, SyncGroup};
use crate::vrrp::params::{Destination, Host, Settings};

use election::Holder;
use situation::Row;
use trackers::Spec;

/// One of the two directors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The first file.
    A,
    /// The second file.
    B,
}

impl Who {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// What was found out about a pair.
#[derive(Clone, Debug, Default)]
pub struct PairReport {
    /// What is wrong or surprising, the worst first.
    pub findings: Vec<Diagnostic>,
    /// The instances that both files have, in the order of A.
    pub instances: Vec<PairedInstance>,
    /// Virtual servers that both files have.
    pub services: usize,
}

/// One virtual router of the pair.
#[derive(Clone, Debug)]
pub struct PairedInstance {
    /// `VI_1 (VRID 51)`, or both names where they differ.
    pub title: String,
    /// Its VRID.
    pub vrid: u8,
    /// Names of the instance at A and at B.
    pub names: [String; 2],
    /// Its addresses on either side, advertised or not.
    pub addresses: Vec<IpAddr>,
    /// Who is master when nothing is wrong.
    pub home: Holder,
    /// Which of the two goes on as backup when it comes back: `nopreempt` as it really applies.
    pub keeps_away: [bool; 2],
    /// What if; the first row is the healthy pair.
    pub table: Vec<Row>,
}

impl PairReport {
    /// The worst finding.
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.level).max()
    }

    /// The instances whose master is this one when nothing is wrong.
    pub fn at_home(&self, who: Who) -> Vec<&PairedInstance> {
        self.instances.iter().filter(|instance| instance.home == Holder::One(who)).collect()
    }
}

/// One file with what follows from it.
struct Side<'a> {
    who: Who,
    config: &'a Config,
    /// Of each instance, in file order.
    settings: Vec<Settings>,
}

impl<'a> Side<'a> {
    fn new(who: Who, config: &'a Config) -> Self {
        Self { who, config, settings: Settings::of_config(config, &Host::default()) }
    }

    /// The sync group that an instance is in.
    fn group_of(&self, name: &str) -> Option<&'a SyncGroup> {
        self.config.vrrp_sync_group.iter().find(|group| group.group.iter().any(|member| member == name))
    }

    /// An instance with what it watches, and the other members of its group: the FAULT of one is the FAULT of all.
    fn members(&self, at: usize) -> Vec<Member<'_>> {
        let name = &self.settings[at].name;
        let group = self.group_of(name).map_or(&[][..], |group| &group.group);
        let mates = (0..self.settings.len())
            .filter(|other| *other != at && group.contains(&self.settings[*other].name));
        let member = |at: usize| {
            let settings = &self.settings[at];
            Member { settings, trackers: &settings.trackers }
        };
        std::iter::once(at).chain(mates).map(member).collect()
    }
}

/// An instance with what it watches.
#[derive(Clone, Copy)]
struct Member<'a> {
    settings: &'a Settings,
    trackers: &'a [Spec],
}

/// An instance that both have.
struct Matched<'a> {
    sides: [&'a Side<'a>; 2],
    at: [usize; 2],
    title: String,
}

impl Matched<'_> {
    fn side(&self, who: Who) -> &Side<'_> {
        self.sides[who.index()]
    }

    fn settings(&self, who: Who) -> &Settings {
        &self.side(who).settings[self.at[who.index()]]
    }

    /// What the instance watches besides its own interface, with what its sync group adds and takes away.
    fn trackers(&self, who: Who) -> &[Spec] {
        &self.settings(who).trackers
    }

    /// The instance and the other members of its group, on that side.
    fn members(&self, who: Who) -> Vec<Member<'_>> {
        self.side(who).members(self.at[who.index()])
    }

    /// True when both directors hold the two together in a sync group.
    fn moves_with(&self, other: &Self) -> bool {
        self.at != other.at
            && Who::BOTH.iter().all(|who| {
                let name = &other.settings(*who).name;
                self.members(*who).iter().any(|member| member.settings.name == *name)
            })
    }

    fn instance(&self, who: Who) -> &Instance {
        &self.side(who).config.vrrp_instance[self.at[who.index()]]
    }

    /// The source of a router's adverts, as far as the files tell: its own word, or the only peer of the other one.
    fn address(&self, who: Who) -> Option<IpAddr> {
        self.settings(who).source.or_else(|| match &self.settings(who.other()).destination {
            Destination::Unicast { peers, .. } if peers.len() == 1 => peers.first().map(|peer| peer.address),
            Destination::Unicast { .. } | Destination::Multicast(_) => None,
        })
    }
}

/// Collects findings.
#[derive(Default)]
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn add(
        &mut self,
        level: Level,
        code: &'static str,
        problem: impl Into<String>,
        consequence: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let (problem, consequence, fix) = (problem.into(), consequence.into(), fix.into());
        self.0.push(Diagnostic { level, place: None, code, problem, consequence, fix });
    }

    fn errors(&self) -> usize {
        self.0.iter().filter(|finding| finding.level == Level::Error).count()
    }
}

/// Compares two directors.
pub fn compare(a: &Config, b: &Config) -> PairReport {
    let side_a = Side::new(Who::A, a);
    let side_b = Side::new(Who::B, b);
    let sides = [&side_a, &side_b];
    let mut findings = Findings::default();
    wire::globals(sides, &mut findings);
    channel::compare(sides, &mut findings);
    let matched = wire::matches(sides, &mut findings);
    let mut instances = Vec::new();
    // What a group does takes the hearing of all its members.
    let heard: Vec<(Findings, [bool; 2])> = matched
        .iter()
        .map(|pair| {
            let mut own = Findings::default();
            let hears = wire::compare(pair, &mut own);
            (own, hears)
        })
        .collect();
    let hearing: Vec<[bool; 2]> = heard.iter().map(|(_, hears)| *hears).collect();
    for (at, (own, _)) in heard.into_iter().enumerate() {
        let pair = &matched[at];
        let explained = own.errors() > 0;
        findings.0.extend(own.0);
        let table = situation::table(&matched, &hearing, at);
        let Some(healthy) = table.first() else { continue };
        let home = healthy.outcome.holder;
        roles::compare(pair, healthy, &mut findings);
        verdict::judge(pair, &table, explained, &mut findings);
        let addresses = Who::BOTH
            .iter()
            .flat_map(|who| {
                let instance = pair.instance(*who);
                instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded)
            })
            .fold(Vec::new(), |mut all, address| {
                if !all.contains(&address.address.address) {
                    all.push(address.address.address);
                }
                all
            });
        instances.push(PairedInstance {
            title: pair.title.clone(),
            vrid: pair.settings(Who::A).vrid,
            names: Who::BOTH.map(|who| pair.settings(who).name.clone()),
            addresses,
            home,
            keeps_away: Who::BOTH.map(|who| !pair.settings(who).machine_params(None).may_preempt()),
            table,
        });
    }
    roles::groups(sides, &instances, &mut findings);
    let services = services::compare(sides, &mut findings);
    let mut findings = findings.0;
    // The worst first; findings of one level stay in their order.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    PairReport { findings, instances, services }
}

/// `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
