//! Sync groups and virtual server groups.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, SyncGroup};
use crate::config::suggest::closest;

impl Resolver<'_> {
    pub(super) fn groups(&mut self, config: &mut Config) {
        let instances: BTreeSet<String> = config.vrrp_instance.iter().map(|i| i.name.clone()).collect();
        let mut member_of: BTreeMap<String, String> = BTreeMap::new();
        let mut names = BTreeSet::new();
        let mut groups = std::mem::take(&mut config.vrrp_sync_group);
        groups.retain_mut(|group| {
            let object = format!("vrrp_sync_group {}", group.name);
            let origin = group.origin.clone();
            if !names.insert(group.name.clone()) {
                let problem = format!("{object} is there twice");
                let fix = "give it another name";
                self.find(
                    Level::Error,
                    &origin,
                    "",
                    "duplicate-name",
                    problem,
                    "the second one is dropped",
                    fix,
                );
                return false;
            }
            let group_name = group.name.clone();
            group.group.retain(|member| {
                if !instances.contains(member) {
                    let problem = format!("{object} names the instance \"{member}\", which does not exist");
                    let fix = match closest(member, instances.iter().map(String::as_str)) {
                        Some(near) => format!("did you mean {near}?"),
                        None => format!("write vrrp_instance {member} {{ … }}, or remove the name"),
                    };
                    self.find(
                        Level::Warning,
                        &origin,
                        "group",
                        "unknown-instance",
                        problem,
                        "it is passed over",
                        fix,
                    );
                    return false;
                }
                if let Some(other) = member_of.insert(member.clone(), group_name.clone()) {
                    let problem = format!("{object} names {member}, which is in {other} already");
                    let consequence = "it stays in the first one";
                    let fix = "an instance can be in one group only";
                    self.find(Level::Warning, &origin, "group", "two-groups", problem, consequence, fix);
                    member_of.insert(member.clone(), other);
                    return false;
                }
                true
            });
            match group.group.len() {
                0 => {
                    let problem = format!("{object} has no members");
                    let fix = "write group { INSTANCE … } into it";
                    self.find(Level::Error, &origin, "", "empty-group", problem, "it is dropped", fix);
                    return false;
                }
                1 => {
                    let problem = format!("{object} has one member only");
                    let fix = "add the other instances, or remove the group";
                    self.find(
                        Level::Warning,
                        &origin,
                        "group",
                        "single-member",
                        problem,
                        "it changes nothing",
                        fix,
                    );
                }
                _ => {}
            }
            let owners = config
                .vrrp_instance
                .iter()
                .filter(|i| group.group.contains(&i.name) && i.priority == Some(255))
                .count();
            if owners > 0 && owners < group.group.len() {
                let problem =
                    format!("{object}: some members own their addresses (priority 255), and some do not");
                let consequence = "they cannot change state together";
                let fix = "give all members priority 255, or none";
                self.find(Level::Warning, &origin, "group", "mixed-owners", problem, consequence, fix);
            }
            for track in &group.track_interface {
                self.interface(
                    &object,
                    &track.name,
                    &origin,
                    "track_interface",
                    "it counts as down until it is there",
                );
            }
            for track in &group.track_interface {
                for member in config.vrrp_instance.iter().filter(|i| group.group.contains(&i.name)) {
                    // The own interface counts as tracked by the instance.
                    let own = member.interface == track.name && !member.dont_track_primary;
                    if own || member.track_interface.iter().any(|own| own.name == track.name) {
                        let problem = format!(
                            "{object} and its member {} both track the interface {}",
                            member.name, track.name
                        );
                        let fix = "remove it from one of them";
                        let consequence = "it counts once, for the group";
                        let place = member.origin.clone();
                        self.find(
                            Level::Warning,
                            &place,
                            "track_interface",
                            "tracked-twice",
                            problem,
                            consequence,
                            fix,
                        );
                    }
                }
            }
            if !group.sync_group_tracking_weight {
                self.member_weights(config, group, &object);
            }
            let own = config.global_defs.clone();
            let mut slots = [
                ("notify_master", std::mem::take(&mut group.notify_master)),
                ("notify_backup", std::mem::take(&mut group.notify_backup)),
                ("notify_fault", std::mem::take(&mut group.notify_fault)),
                ("notify_stop", std::mem::take(&mut group.notify_stop)),
                ("notify", std::mem::take(&mut group.notify)),
            ];
            for (word, slot) in &mut slots {
                self.usable(slot, &own, &origin, word, &object);
            }
            let [master, backup, fault, stop, any] = slots.map(|(_, slot)| slot);
            group.notify_master = master;
            group.notify_backup = backup;
            group.notify_fault = fault;
            group.notify_stop = stop;
            group.notify = any;
            true
        });
        config.vrrp_sync_group = groups;
        self.track_groups(config, &instances);
        self.server_groups(config);
    }

    /// Weighted trackers of members, which a group takes away (reference section 9).
    fn member_weights(&mut self, config: &Config, group: &SyncGroup, object: &str) {
        for member in config.vrrp_instance.iter().filter(|i| group.group.contains(&i.name)) {
            let script =
                |name: &str| config.vrrp_script.iter().find(|s| s.name == name).and_then(|s| s.weight);
            let scripts =
                member.track_script.iter().filter(|t| t.weight.or(script(&t.name)).unwrap_or(0) != 0);
            let interfaces = member.track_interface.iter().filter(|t| t.weight.unwrap_or(0) != 0);
            let named =
                scripts.map(|t| ("track_script", t)).chain(interfaces.map(|t| ("track_interface", t)));
            for (word, track) in named {
                let problem = format!(
                    "vrrp_instance {}: the weight of {} means nothing in {object}",
                    member.name, track.name
                );
                let consequence = "under keepalived the tracker is passed over";
                let fix = "write sync_group_tracking_weight in the group, or track without a weight";
                self.find(Level::Warning, &member.origin, word, "sync-weight", problem, consequence, fix);
            }
        }
    }

    fn track_groups(&mut self, config: &mut Config, instances: &BTreeSet<String>) {
        for group in &mut config.track_group {
            let origin = group.origin.clone();
            let object = format!("track_group {}", group.name);
            group.group.retain(|member| {
                let known = instances.contains(member);
                if !known {
                    let problem = format!("{object} names the instance \"{member}\", which does not exist");
                    let fix = "mend the name, or remove it";
                    self.find(
                        Level::Warning,
                        &origin,
                        "group",
                        "unknown-instance",
                        problem,
                        "it is passed over",
                        fix,
                    );
                }
                known
            });
        }
    }

    fn server_groups(&mut self, config: &mut Config) {
        let mut names = BTreeSet::new();
        let used: BTreeSet<&String> = config.virtual_server.iter().filter_map(|v| v.group.as_ref()).collect();
        let mut doubles = Vec::new();
        for (at, group) in config.virtual_server_group.iter().enumerate() {
            let object = format!("virtual_server_group {}", group.name);
            let origin = group.origin.clone();
            if !names.insert(group.name.clone()) {
                let problem = format!("{object} is there twice");
                let fix = "give it another name";
                self.find(
                    Level::Error,
                    &origin,
                    "",
                    "duplicate-name",
                    problem,
                    "the second one is dropped",
                    fix,
                );
                doubles.push(at);
            } else if group.entries.is_empty() {
                let problem = format!("{object} is empty");
                let fix = "write addresses or fwmarks into it";
                self.find(Level::Warning, &origin, "", "empty-group", problem, "it serves nothing", fix);
            } else if !used.contains(&group.name) {
                let problem = format!("no virtual_server uses {object}");
                let fix = format!("write virtual_server group {} {{ … }}, or remove it", group.name);
                self.find(Level::Advice, &origin, "", "unused-group", problem, "it serves nothing", fix);
            }
        }
        let mut at = 0;
        config.virtual_server_group.retain(|_| {
            at += 1;
            !doubles.contains(&(at - 1))
        });
    }
}
