//! `nftables_ipvs`: which firewall mark stands for the addresses of a `virtual_server group`. One mark for each virtual
//! server in file order, from `nftables_ipvs_start_fwmark` (1000) on, as in keepalived.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::{Config, Protocol, VirtualServer, VirtualServerGroup};

/// First mark where the file names none.
const FIRST: u32 = 1000;

/// What a virtual server is known by over a reload: its group, its protocol, and how many such stand before it.
type Name = (String, Protocol, usize);

/// Which marks a configuration has handed out, in a form that outlives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Where they begin; 0 = nowhere, there are none.
    start: u32,
    handed_out: Vec<(Name, u32)>,
}

impl Marks {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let marks = config.virtual_server.iter().zip(names(config));
        let handed_out = marks.filter_map(|(server, name)| Some((name?, server.auto_fwmark?))).collect();
        Self { start: start(config), handed_out }
    }
}

/// Where the marks of a configuration begin.
fn start(config: &Config) -> u32 {
    config.global_defs.nftables_ipvs_start_fwmark.unwrap_or(FIRST).max(1)
}

/// Hands out the marks ([`VirtualServer::auto_fwmark`]). A virtual server that `before` has too keeps the mark that it
/// had there, so that its connections stay; a mark that the file names itself, or that a removed virtual server had in
/// `before`, is not handed out. Without `nftables_ipvs` there are none.
pub fn assign(config: &mut Config, before: Option<&Config>) {
    assign_after(config, &before.map(Marks::of).unwrap_or_default());
}

/// The same after a configuration that is gone, with the process that had it.
pub fn assign_after(config: &mut Config, before: &Marks) {
    let numbered = names(config);
    let wished = config.global_defs.nftables_ipvs.is_some();
    let start = start(config);
    let same_start = before.start == start;
    let known: BTreeMap<&Name, u32> =
        before.handed_out.iter().filter(|_| same_start).map(|(name, mark)| (name, *mark)).collect();
    let in_groups = config.virtual_server_group.iter().flat_map(|group| &group.entries);
    let written: BTreeSet<u32> = in_groups
        .filter_map(|entry| entry.fwmark)
        .chain(config.virtual_server.iter().filter_map(|server| server.fwmark))
        .collect();
    let mut taken: BTreeSet<u32> = known.values().copied().chain(written.iter().copied()).collect();
    let mut next = start;
    for (server, name) in config.virtual_server.iter_mut().zip(numbered) {
        let mark = name.filter(|_| wished).and_then(|name| {
            if let Some(mark) = known.get(&name).filter(|mark| !written.contains(mark)) {
                return Some(*mark);
            }
            while taken.contains(&next) {
                next = next.checked_add(1)?;
            }
            taken.insert(next);
            Some(next)
        });
        // Not without need: what others share is copied when it is changed.
        if server.auto_fwmark != mark {
            server.auto_fwmark = mark;
        }
    }
}

/// Each virtual server's name; `None` where it is no group of addresses alone. (A group with a mark of its own beside
/// addresses stays one service for each of them, as in keepalived.)
fn names(config: &Config) -> Vec<Option<Name>> {
    let groups: BTreeMap<&str, &VirtualServerGroup> =
        config.virtual_server_group.iter().rev().map(|group| (group.name.as_str(), group)).collect();
    let mut seen: BTreeMap<(&str, Protocol), usize> = BTreeMap::new();
    let mut name = |server: &VirtualServer| {
        let group = groups.get(server.group.as_deref()?)?;
        if group.entries.is_empty() || group.entries.iter().any(|entry| entry.address.is_none()) {
            return None;
        }
        let protocol = server.protocol.unwrap_or(Protocol::Udp);
        let number = seen.entry((&group.name, protocol)).or_default();
        let name = (group.name.clone(), protocol, *number);
        *number += 1;
        Some(name)
    };
    config.virtual_server.iter().map(|server| name(server)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::GroupEntry;

    fn group(name: &str, fwmark: Option<u32>) -> VirtualServerGroup {
        let address = fwmark.is_none().then(|| [10, 0, 0, 1].into());
        let entry = GroupEntry { address, to: None, length: None, port: Some(80), fwmark, family: None };
        VirtualServerGroup { entries: vec![entry], ..VirtualServerGroup::new(name.to_owned()) }
    }

    fn server(group: &str, protocol: Protocol) -> VirtualServer {
        let (group, protocol) = (Some(group.to_owned()), Some(protocol));
        VirtualServer { group, protocol, ..VirtualServer::default() }
    }

    fn config(start: Option<u32>, servers: &[(&str, Protocol)], before: Option<&Config>) -> Config {
        let mut config = Config::default();
        config.global_defs.nftables_ipvs = Some("keepalived_ipvs".to_owned());
        config.global_defs.nftables_ipvs_start_fwmark = start;
        config.virtual_server_group =
            vec![group("a", None), group("b", None), group("c", None), group("mark", Some(1001))];
        config.virtual_server =
            servers.iter().map(|(name, protocol)| server(name, *protocol).into()).collect();
        assign(&mut config, before);
        config
    }

    fn marks(config: &Config) -> Vec<Option<u32>> {
        config.virtual_server.iter().map(|server| server.auto_fwmark).collect()
    }

    use Protocol::{Tcp, Udp};

    #[test]
    fn one_for_each_virtual_server_in_file_order_past_the_marks_of_the_file() {
        let all = [("a", Tcp), ("mark", Tcp), ("a", Udp), ("b", Tcp), ("nobody", Tcp)];
        assert_eq!(marks(&config(None, &all, None)), [Some(1000), None, Some(1002), Some(1003), None]);
        assert_eq!(marks(&config(Some(7), &all, None)), [Some(7), None, Some(8), Some(9), None]);
        let mut off = config(None, &all, None);
        off.global_defs.nftables_ipvs = None;
        assign(&mut off, None);
        assert_eq!(marks(&off), [None; 5]);
    }

    #[test]
    fn a_reload_keeps_them_and_gives_no_freed_one_away_at_once() {
        let old = config(None, &[("a", Tcp), ("b", Tcp)], None);
        let new = config(None, &[("c", Tcp), ("b", Tcp), ("a", Udp)], Some(&old));
        assert_eq!(marks(&new), [Some(1003), Some(1002), Some(1004)]);
        let next = config(None, &[("a", Tcp), ("b", Tcp)], Some(&new));
        assert_eq!(marks(&next), [Some(1000), Some(1002)]);
        // The same where all that is left of it is what was written down.
        let kept = serde_json::from_str::<Marks>(&serde_json::to_string(&Marks::of(&new)).unwrap()).unwrap();
        let mut next = config(None, &[("a", Tcp), ("b", Tcp)], None);
        assign_after(&mut next, &kept);
        assert_eq!(marks(&next), [Some(1000), Some(1002)]);
        // Another start is another choice.
        assert_eq!(marks(&config(Some(5), &[("b", Tcp)], Some(&new))), [Some(5)]);
    }
}
