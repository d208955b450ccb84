//! Names that objects call one another by.

use std::collections::BTreeSet;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, Origin, Track, VirtualServer};
use crate::config::suggest::closest;

/// The names that exist, by kind.
struct Known {
    scripts: BTreeSet<String>,
    dropped_scripts: BTreeSet<String>,
    files: BTreeSet<String>,
    processes: BTreeSet<String>,
    bfds: BTreeSet<String>,
}

/// Names of a list of objects.
fn names<'a, T: 'a>(all: impl IntoIterator<Item = &'a T>, name: impl Fn(&T) -> &String) -> BTreeSet<String> {
    all.into_iter().map(|object| name(object).clone()).collect()
}

impl Resolver<'_> {
    /// Drops what is tracked and does not exist. keepalived.conf's reader has named those that are not defined above.
    pub(super) fn trackers(&mut self, config: &mut Config) {
        let known = Known {
            scripts: names(&config.vrrp_script, |s| &s.name),
            dropped_scripts: config
                .vrrp_script
                .iter()
                .filter(|s| s.script.argv.is_empty())
                .map(|s| s.name.clone())
                .collect(),
            files: names(&config.track_file, |f| &f.name),
            processes: names(&config.vrrp_track_process, |p| &p.name),
            bfds: names(&config.bfd_instance, |b| &b.name),
        };
        config.vrrp_script.retain(|script| !script.script.argv.is_empty());
        for instance in &mut config.vrrp_instance {
            let origin = instance.origin.clone();
            let mut seen = BTreeSet::new();
            let mut n = 0;
            instance.track_interface.retain(|track| {
                n += 1;
                let fresh = seen.insert(track.name.clone());
                if !fresh {
                    let problem = format!(
                        "vrrp_instance {}: track_interface names \"{}\" twice",
                        instance.name, track.name
                    );
                    let consequence = "the second one is passed over";
                    let fix = "remove one of them";
                    self.find(
                        Level::Warning,
                        &origin,
                        "track_interface",
                        "repeated",
                        problem,
                        consequence,
                        fix,
                    );
                    self.at(origin.element("track_interface", n - 1));
                }
                fresh
            });
        }
        self.bfd(config);
        let (instances, groups) = (&mut config.vrrp_instance, &mut config.vrrp_sync_group);
        for instance in instances {
            let who = format!("vrrp_instance {}", instance.name);
            let origin = instance.origin.clone();
            self.keep_known(
                &who,
                &origin,
                "track_script",
                "vrrp_script",
                &mut instance.track_script,
                &known.scripts,
            );
            instance.track_script.retain(|track| !known.dropped_scripts.contains(&track.name));
            self.keep_known(
                &who,
                &origin,
                "track_file",
                "track_file",
                &mut instance.track_file,
                &known.files,
            );
            let processes = &mut instance.track_process;
            self.keep_known(
                &who,
                &origin,
                "track_process",
                "vrrp_track_process",
                processes,
                &known.processes,
            );
            self.keep_known(&who, &origin, "track_bfd", "bfd_instance", &mut instance.track_bfd, &known.bfds);
        }
        for group in groups {
            let who = format!("vrrp_sync_group {}", group.name);
            let origin = group.origin.clone();
            self.keep_known(
                &who,
                &origin,
                "track_script",
                "vrrp_script",
                &mut group.track_script,
                &known.scripts,
            );
            group.track_script.retain(|track| !known.dropped_scripts.contains(&track.name));
            self.keep_known(&who, &origin, "track_file", "track_file", &mut group.track_file, &known.files);
            let processes = &mut group.track_process;
            self.keep_known(
                &who,
                &origin,
                "track_process",
                "vrrp_track_process",
                processes,
                &known.processes,
            );
            self.keep_known(&who, &origin, "track_bfd", "bfd_instance", &mut group.track_bfd, &known.bfds);
        }
        let instances = names(&config.vrrp_instance, |i| &i.name);
        // Those that were judged before name nothing that could be missing now.
        for server in config.virtual_server.iter_mut().filter(|server| !server.is_settled()) {
            let server: &mut VirtualServer = server;
            let who = super::shown(server);
            if let Some(name) = server.active_on.take_if(|name| !instances.contains(name)) {
                let problem = format!("{who}: active_on names \"{name}\", which does not exist");
                let fix = match closest(&name, instances.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("write vrrp_instance {name} {{ … }}"),
                };
                let consequence = "it is passed over: its services are there whoever is master";
                let origin = server.origin.clone();
                self.find(
                    Level::Warning,
                    &origin,
                    "active_on",
                    "unknown-instance",
                    problem,
                    consequence,
                    fix,
                );
            }
            for real in &mut server.real_server {
                let address = real.address;
                let origin = real.origin.clone();
                real.bfd_check.retain(|check| {
                    let good = known.bfds.contains(&check.name);
                    if !good {
                        let problem = format!(
                            "{who}: BFD_CHECK of {address} names bfd_instance {}, which does not exist",
                            check.name
                        );
                        let fix = format!("write bfd_instance {} {{ … }}", check.name);
                        self.find(
                            Level::Warning,
                            &origin,
                            "BFD_CHECK",
                            "unknown-tracker",
                            problem,
                            "the check is dropped",
                            fix,
                        );
                    }
                    good
                });
                real.file_check.retain(|check| {
                    let good = known.files.contains(&check.track_file);
                    if !good {
                        let problem = format!(
                            "{who}: FILE_CHECK of {address} names track_file {}, which does not exist",
                            check.track_file
                        );
                        let fix = format!("write track_file {} {{ … }}", check.track_file);
                        self.find(
                            Level::Warning,
                            &origin,
                            "FILE_CHECK",
                            "unknown-tracker",
                            problem,
                            "the check is dropped",
                            fix,
                        );
                    }
                    good
                });
            }
        }
    }

    /// BFD instances: both ends of one family, each neighbour once.
    fn bfd(&mut self, config: &mut Config) {
        let mut neighbours = BTreeSet::new();
        config.bfd_instance.retain(|bfd| {
            let object = format!("bfd_instance {}", bfd.name);
            if bfd.source_ip.is_some_and(|source| source.is_ipv6() != bfd.neighbor_ip.is_ipv6()) {
                let problem =
                    format!("{object}: source_ip and neighbor_ip are of different address families");
                let fix = "write both as IPv4 or both as IPv6";
                self.find(
                    Level::Error,
                    &bfd.origin,
                    "source_ip",
                    "other-family",
                    problem,
                    "it is dropped",
                    fix,
                );
                return false;
            }
            let fresh = neighbours.insert((bfd.neighbor_ip, bfd.source_ip));
            if !fresh {
                let problem = format!("{object}: the neighbour {} has a session already", bfd.neighbor_ip);
                let fix = "remove one of the two";
                let at = "neighbor_ip";
                self.find(
                    Level::Error,
                    &bfd.origin,
                    at,
                    "duplicate-neighbour",
                    problem,
                    "it is dropped",
                    fix,
                );
            }
            fresh
        });
    }

    fn keep_known(
        &mut self,
        who: &str,
        origin: &Origin,
        word: &str,
        keyword: &str,
        tracks: &mut Vec<Track>,
        known: &BTreeSet<String>,
    ) {
        let mut seen = BTreeSet::new();
        tracks.retain(|track| {
            if !known.contains(&track.name) {
                let problem = format!("{who}: {word} names \"{}\", which does not exist", track.name);
                let fix = match closest(&track.name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("write {keyword} {} {{ … }}", track.name),
                };
                self.find(Level::Warning, origin, word, "unknown-tracker", problem, "it is passed over", fix);
                return false;
            }
            if !seen.insert(track.name.clone()) {
                let problem = format!("{who}: {word} names \"{}\" twice", track.name);
                let consequence = "the second one is passed over";
                self.find(
                    Level::Warning,
                    origin,
                    word,
                    "repeated",
                    problem,
                    consequence,
                    "remove one of them",
                );
                return false;
            }
            true
        });
    }
}
