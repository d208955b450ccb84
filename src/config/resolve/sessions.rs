//! BFD sessions that tell only one side: `vrrp` or `checker` in a `bfd_instance`. Without either, and with both, both hear it.

use std::collections::BTreeSet;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{BfdInstance, Config, Origin, Track};

/// What becomes of a line about a session that is not for it, as keepalived was observed to do it.
const CONSEQUENCE: &str = "the line is dropped, as under keepalived";

impl Resolver<'_> {
    /// Drops what looks at sessions that are for the other side alone.
    pub(super) fn sessions(&mut self, config: &mut Config) {
        let of = |wanted: &dyn Fn(&BfdInstance) -> bool| -> BTreeSet<String> {
            config.bfd_instance.iter().filter(|one| wanted(one)).map(|one| one.name.clone()).collect()
        };
        let for_vrrp = of(&|one| one.vrrp && !one.checker);
        let for_checks = of(&|one| one.checker && !one.vrrp);
        if for_vrrp.is_empty() && for_checks.is_empty() {
            return;
        }
        for instance in &mut config.vrrp_instance {
            let who = format!("vrrp_instance {}", instance.name);
            let origin = instance.origin.clone();
            self.deaf_tracks(&who, &origin, &mut instance.track_bfd, &for_checks);
        }
        for group in &mut config.vrrp_sync_group {
            let who = format!("vrrp_sync_group {}", group.name);
            let origin = group.origin.clone();
            self.deaf_tracks(&who, &origin, &mut group.track_bfd, &for_checks);
        }
        for server in &mut config.virtual_server {
            let who = super::shown(server);
            for real in &mut server.real_server {
                let (address, origin) = (real.address, real.origin.clone());
                real.bfd_check.retain(|check| {
                    let deaf = for_vrrp.contains(&check.name);
                    if deaf {
                        let what = format!("BFD_CHECK of {address}");
                        self.not_for(&who, &origin, "BFD_CHECK", &what, &check.name, ["vrrp", "checker"]);
                    }
                    !deaf
                });
            }
        }
    }

    fn deaf_tracks(&mut self, who: &str, origin: &Origin, tracks: &mut Vec<Track>, deaf: &BTreeSet<String>) {
        tracks.retain(|track| {
            let is_deaf = deaf.contains(&track.name);
            if is_deaf {
                self.not_for(who, origin, "track_bfd", "track_bfd", &track.name, ["checker", "vrrp"]);
            }
            !is_deaf
        });
    }

    /// `words`: the one that the session has, and the one that it lacks.
    fn not_for(
        &mut self,
        who: &str,
        origin: &Origin,
        word: &'static str,
        what: &str,
        name: &str,
        [has, lacks]: [&str; 2],
    ) {
        let problem = format!("{who}: {what} names bfd_instance {name}, which has {has} and not {lacks}");
        let fix = format!("write {lacks} into it, or remove {has}");
        self.find(Level::Warning, origin, word, "unknown-tracker", problem, CONSEQUENCE, &fix);
    }
}
