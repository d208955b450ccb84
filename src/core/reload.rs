//! What a reload changes, for the log and for whoever asks: by name, from two whole configurations. What is equal
//! in both keeps its state; nothing here carries anything out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;

use serde::Serialize;

use super::settings::{Setting, differences};
use crate::config::Loaded;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, Protocol, VirtualServer};

/// Names of what comes, goes and changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the new configuration only.
    pub added: Vec<String>,
    /// In both, with other settings.
    pub changed: Vec<Changed>,
    /// In the old configuration only.
    pub removed: Vec<String>,
    /// What differs in `global_defs`.
    pub global: Option<Changed>,
}

/// One object with other settings than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which object: `vrrp_instance VI_1`.
    pub object: String,
    /// In what it differs.
    pub settings: Vec<Setting>,
}

impl Changed {
    /// `None` when they are equal.
    fn between<T: PartialEq + Serialize>(object: String, old: &T, new: &T) -> Option<Self> {
        (old != new).then(|| Self { object, settings: differences(old, new) })
    }
}

/// Most settings of one object that the log's line names.
const NAMED: usize = 4;

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        let named: Vec<String> = self.settings.iter().take(NAMED).map(ToString::to_string).collect();
        match (named.is_empty(), self.settings.len().saturating_sub(NAMED)) {
            (true, _) => Ok(()),
            (false, 0) => write!(f, " ({})", named.join(", ")),
            (false, more) => write!(f, " ({}, {more} more)", named.join(", ")),
        }
    }
}

impl Difference {
    /// Compares two configurations object by object.
    pub fn between(old: &Config, new: &Config) -> Self {
        let global = Changed::between("global_defs".to_owned(), &old.global_defs, &new.global_defs);
        let mut difference = Self { global, ..Self::default() };
        let (before, after) = (&old.vrrp_script, &new.vrrp_script);
        difference.compare("vrrp_script", before, after, |s| &s.name, |s| s.name.clone());
        let (before, after) = (&old.vrrp_instance, &new.vrrp_instance);
        difference.compare("vrrp_instance", before, after, |i| &i.name, |i| i.name.clone());
        let (before, after) = (&old.virtual_server_group, &new.virtual_server_group);
        difference.compare("virtual_server_group", before, after, |group| &group.name, |g| g.name.clone());
        let (before, after) = (&old.virtual_server, &new.virtual_server);
        difference.compare("virtual_server", before, after, |s| service_key(s), |s| service_name(s));
        difference
    }

    /// True when a reload would change nothing.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty() && self.global.is_none()
    }

    /// `key` is what `name` says, without its words: names are made for what differs only. Of several with the same key
    /// the first one stands for all.
    fn compare<'a, T: PartialEq + Serialize, K: Eq + Hash>(
        &mut self,
        kind: &str,
        old: &'a [T],
        new: &'a [T],
        key: impl Fn(&'a T) -> K,
        name: impl Fn(&T) -> String,
    ) {
        let index = |list: &'a [T]| {
            let mut found = HashMap::with_capacity(list.len());
            for item in list {
                if let Entry::Vacant(place) = found.entry(key(item)) {
                    place.insert(item);
                }
            }
            found
        };
        let (before, after) = (index(old), index(new));
        for item in new {
            match before.get(&key(item)) {
                None => self.added.push(format!("{kind} {}", name(item))),
                Some(known) if *known == item => {}
                Some(known) => {
                    self.changed.extend(Changed::between(format!("{kind} {}", name(item)), *known, item));
                }
            }
        }
        let gone = old.iter().filter(|item| !after.contains_key(&key(item)));
        self.removed.extend(gone.map(|item| format!("{kind} {}", name(item))));
    }
}

impl Difference {
    /// Which objects come, go and change, without what of them: values of settings are nobody's but the administrator's.
    pub fn objects(&self) -> String {
        self.told(|changed| changed.object.clone())
    }

    fn told(&self, words: impl Fn(&Changed) -> String) -> String {
        if self.is_empty() {
            return "nothing changed".to_owned();
        }
        let mut parts = Vec::new();
        if let Some(global) = &self.global {
            parts.push(format!("changed: {}", words(global)));
        }
        let changed: Vec<String> = self.changed.iter().map(words).collect();
        for (what, names) in [("added", &self.added), ("changed", &changed), ("removed", &self.removed)] {
            if !names.is_empty() {
                parts.push(format!("{what}: {}", names.join(", ")));
            }
        }
        parts.join("; ")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(Changed::to_string))
    }
}

/// Why a new file is not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read, or is YAML that cannot be understood as a whole.
    #[error("it cannot be read")]
    Unreadable,
    /// Something in it would be dropped.
    #[error("it has {0} errors, listed above")]
    Errors(usize),
    /// It configures nothing, and something runs: a truncated file must not take everything down.
    #[error("it configures nothing, although something runs; stop Tandem if that is what you want")]
    Empty,
    /// It names another network namespace: sockets do not move.
    #[error("it has another {0}: stop Tandem and start it again to move there")]
    OtherNamespace(&'static str),
}

/// What a reload of this file would change, or why it changes nothing.
///
/// # Errors
/// The first reason to keep the configuration in force.
pub fn judge(running: &Config, loaded: &Loaded) -> Result<Difference, Refusal> {
    if !loaded.readable {
        return Err(Refusal::Unreadable);
    }
    let errors = loaded.diagnostics.iter().filter(|d| d.level == Level::Error).count();
    if errors > 0 {
        return Err(Refusal::Errors(errors));
    }
    let idle = |config: &Config| config.vrrp_instance.is_empty() && config.virtual_server.is_empty();
    if idle(&loaded.config) && !idle(running) {
        return Err(Refusal::Empty);
    }
    if running.net_namespace != loaded.config.net_namespace {
        return Err(Refusal::OtherNamespace("net_namespace"));
    }
    if running.net_namespace_ipvs != loaded.config.net_namespace_ipvs {
        return Err(Refusal::OtherNamespace("net_namespace_ipvs"));
    }
    Ok(Difference::between(running, &loaded.config))
}

/// What a virtual server is compared by: the parts of its [`service_name`].
#[derive(PartialEq, Eq, Hash)]
enum ServiceKey<'a> {
    Address(IpAddr, u16, Protocol),
    Mark(u32),
    Group(&'a str, Protocol),
    Nothing,
}

fn service_key(server: &VirtualServer) -> ServiceKey<'_> {
    let protocol = server.protocol.unwrap_or(Protocol::Udp);
    match (server.address, server.fwmark, &server.group) {
        (Some(address), ..) => ServiceKey::Address(address, server.port.unwrap_or(0), protocol),
        (None, Some(mark), _) => ServiceKey::Mark(mark),
        (None, None, Some(group)) => ServiceKey::Group(group, protocol),
        (None, None, None) => ServiceKey::Nothing,
    }
}

/// A virtual server as its file names it.
pub fn service_name(server: &VirtualServer) -> String {
    let protocol = server.protocol.map_or("UDP", |p| match p {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    });
    match (server.address, server.fwmark, &server.group) {
        (Some(address), ..) => format!("{address} {} {protocol}", server.port.unwrap_or(0)),
        (None, Some(mark), _) => format!("fwmark {mark}"),
        (None, None, Some(group)) => format!("group {group} {protocol}"),
        (None, None, None) => "without address".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str, weight: u16) -> VirtualServer {
        VirtualServer {
            address: Some(address.parse().unwrap()),
            port: Some(80),
            weight: Some(weight),
            ..VirtualServer::default()
        }
    }

    #[test]
    fn equal_configurations_differ_in_nothing() {
        let config = Config { virtual_server: vec![server("10.0.0.1", 1).into()], ..Config::default() };
        let difference = Difference::between(&config, &config.clone());
        assert!(difference.is_empty());
        assert_eq!(difference.to_string(), "nothing changed");
    }

    #[test]
    fn a_file_that_would_take_everything_down_is_refused() {
        let running = Config { virtual_server: vec![server("10.0.0.1", 1).into()], ..Config::default() };
        let empty = Loaded { config: Config::default(), diagnostics: Vec::new(), readable: true };
        assert_eq!(judge(&running, &empty), Err(Refusal::Empty));
        assert_eq!(judge(&Config::default(), &empty), Ok(Difference::default()));
        let gone = Loaded { readable: false, ..empty };
        assert_eq!(judge(&running, &gone), Err(Refusal::Unreadable));
    }

    #[test]
    fn the_line_of_the_log_stays_short() {
        let object = "vrrp_instance A".to_owned();
        let settings = (0..6).map(|n| Setting::new(&format!("s{n}"), 0, n)).collect();
        let changed = Changed { object, settings };
        assert_eq!(
            changed.to_string(),
            "vrrp_instance A (s0 0 -> 0, s1 0 -> 1, s2 0 -> 2, s3 0 -> 3, 2 more)"
        );
    }

    #[test]
    fn names_what_comes_goes_and_changes() {
        let old = Config {
            virtual_server: vec![server("10.0.0.1", 1).into(), server("10.0.0.2", 1).into()],
            ..Config::default()
        };
        let new = Config {
            virtual_server: vec![server("10.0.0.3", 1).into(), server("10.0.0.2", 7).into()],
            ..Config::default()
        };
        let difference = Difference::between(&old, &new);
        assert_eq!(
            difference.to_string(),
            "added: virtual_server 10.0.0.3 80 UDP; changed: virtual_server 10.0.0.2 80 UDP (weight 1 -> \
             7); removed: virtual_server 10.0.0.1 80 UDP"
        );
        assert_eq!(
            difference.objects(),
            "added: virtual_server 10.0.0.3 80 UDP; changed: virtual_server 10.0.0.2 80 UDP; removed: \
             virtual_server 10.0.0.1 80 UDP"
        );
    }
}
