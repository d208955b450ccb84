//! `track_virtual_server`: what it names must be there when everything else has been judged, or the instance would wait for
//! a word that never comes. For the same reason it is not suspended (`ha_suspend`): without the address its checks would not
//! run, and without their word the address would not come back, on no director.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, Origin, ServiceName, Shared, Track, VirtualServer};
use crate::config::suggest::closest;

/// A virtual server's place in the file, and its name.
type Known = (usize, ServiceName);

impl Resolver<'_> {
    /// Drops what names no virtual server, or the same one once more. What is tracked is not suspended.
    pub(super) fn tracked_services(&mut self, config: &mut Config) {
        let groups = &config.virtual_server_group;
        let named = config.virtual_server.iter().map(|server| ServiceName::of(server, groups)).enumerate();
        let known: Vec<Known> = named.filter_map(|(n, name)| Some((n, name?))).collect();
        // Who is the first to track each of them.
        let mut tracked = BTreeMap::new();
        for instance in &mut config.vrrp_instance {
            let who = format!("vrrp_instance {}", instance.name);
            let origin = instance.origin.clone();
            let kept = self.keep_services(&who, &origin, &mut instance.track_virtual_server, &known);
            for n in kept {
                tracked.entry(n).or_insert_with(|| who.clone());
            }
        }
        for group in &mut config.vrrp_sync_group {
            let who = format!("vrrp_sync_group {}", group.name);
            let origin = group.origin.clone();
            let kept = self.keep_services(&who, &origin, &mut group.track_virtual_server, &known);
            for n in kept {
                tracked.entry(n).or_insert_with(|| who.clone());
            }
        }
        for (n, name) in &known {
            if let Some((server, who)) = config.virtual_server.get_mut(*n).zip(tracked.get(n)) {
                self.keep_awake(server, name, who);
            }
        }
    }

    /// A quorum that somebody goes by must be known with and without the address.
    fn keep_awake(&mut self, server: &mut Shared<VirtualServer>, name: &ServiceName, who: &str) {
        // Where it has no address the word means nothing.
        if !server.ha_suspend || server.address.is_none() || server.fwmark.is_some() {
            return;
        }
        let origin = server.origin();
        server.ha_suspend = false;
        let problem = format!(
            "virtual_server {name}: ha_suspend, but {who} tracks it: without its address its checks would not run, and \
             without their word the address would not come back"
        );
        let consequence = "ha_suspend is passed over: its checks run on every director";
        let fix = "remove ha_suspend, or the track_virtual_server";
        self.find(Level::Warning, &origin, "ha_suspend", "suspended-tracker", problem, consequence, fix);
    }

    /// Which ones are tracked, by their places in the file.
    fn keep_services(
        &mut self,
        who: &str,
        origin: &Origin,
        tracks: &mut Vec<Track>,
        known: &[Known],
    ) -> Vec<usize> {
        const WORD: &str = "track_virtual_server";
        let mut seen = BTreeSet::new();
        tracks.retain(|track| {
            let named = track.name.parse::<ServiceName>();
            let meant = named.as_ref().ok().and_then(|named| {
                let exact = known.iter().find(|(_, own)| own == named);
                exact.or_else(|| known.iter().find(|(_, own)| named.may_mean(own)))
            });
            let Some((meant, _)) = meant else {
                let problem = match named {
                    Ok(_) => format!("{who}: {WORD} names \"{}\", which does not exist", track.name),
                    Err(why) => format!("{who}: {WORD} \"{}\": {why}", track.name),
                };
                let names: Vec<String> = known.iter().map(|(_, own)| own.to_string()).collect();
                let fix = match closest(&track.name, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "name a virtual_server as TCP ADDRESS:PORT, FWM N or group NAME".to_owned(),
                };
                self.find(Level::Warning, origin, WORD, "unknown-tracker", problem, "it is passed over", fix);
                return false;
            };
            if !seen.insert(*meant) {
                let problem = format!("{who}: {WORD} names \"{}\" twice", track.name);
                let consequence = "the second one is passed over";
                self.find(
                    Level::Warning,
                    origin,
                    WORD,
                    "repeated",
                    problem,
                    consequence,
                    "remove one of them",
                );
                return false;
            }
            true
        });
        seen.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::resolve::Facts;
    use crate::config::{Loaded, load_text};

    const HEAD: &str = "virtual_server_group web {\n 10.0.0.9 80\n}\n\
        virtual_server group web {\n protocol TCP\n real_server 10.1.0.1 80 { weight 1 }\n}\n\
        virtual_server fwmark 7 {\n real_server 10.1.0.1 80 { weight 1 }\n}\n\
        virtual_server 192.0.2.1 80 {\n protocol TCP\n real_server 10.1.0.1 80 { weight 1 }\n}\n";

    fn loaded(lines: &str) -> Loaded {
        let text = format!(
            "{HEAD}vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{ 192.0.2.1 }}\n{lines}\n}}\n"
        );
        load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default())
    }

    fn tracked(lines: &str) -> Vec<String> {
        let tracks = &loaded(lines).config.vrrp_instance[0].track_virtual_server;
        tracks.iter().map(|t| format!("{} {:?} {:?}", t.name, t.weight, t.reverse)).collect()
    }

    #[test]
    fn every_way_to_name_one() {
        assert_eq!(
            tracked(
                "track_virtual_server TCP 192.0.2.1:80 weight -30\ntrack_virtual_server fwmark 7 reverse"
            ),
            ["TCP 192.0.2.1:80 Some(-30) None", "FWM 7 None Some(true)"]
        );
        assert_eq!(
            tracked("track_virtual_server {\n 192.0.2.1 80 TCP\n \"group web\" weight 5\n}"),
            ["TCP 192.0.2.1:80 None None", "group web Some(5) None"]
        );
    }

    #[test]
    fn what_is_not_there_is_not_waited_for() {
        let lines = "track_virtual_server TCP 192.0.2.1:81\ntrack_virtual_server 192.0.2.1 80\n\
                     track_virtual_server TCP 192.0.2.1:80";
        assert_eq!(tracked(lines), ["192.0.2.1:80 None None"]);
        let findings: Vec<String> = loaded(lines)
            .diagnostics
            .iter()
            .filter(|finding| finding.problem.contains("track_virtual_server"))
            .map(|finding| format!("{} {} {}", finding.code, finding.problem, finding.fix))
            .collect();
        assert_eq!(findings.len(), 2, "{findings:#?}");
        assert!(findings[0].starts_with(
            "unknown-tracker vrrp_instance VI_1: track_virtual_server names \"TCP 192.0.2.1:81\""
        ));
        assert!(findings[0].contains("did you mean TCP 192.0.2.1:80?"), "{findings:#?}");
        assert!(findings[1].starts_with("repeated"), "the same one by another name: {findings:#?}");
    }

    #[test]
    fn what_is_tracked_is_not_suspended() {
        let all = HEAD.replace("protocol TCP\n", "protocol TCP\n ha_suspend\n");
        // (who tracks what, which of "group web" and the address stay suspended, who is named)
        let table = [
            ("", "", [true, true], None),
            ("track_virtual_server group web", "", [true, true], None),
            ("track_virtual_server 192.0.2.1 80", "", [true, false], Some("vrrp_instance VI_1")),
            (
                "",
                "track_virtual_server TCP 192.0.2.1:80 weight -9",
                [true, false],
                Some("vrrp_sync_group VG"),
            ),
        ];
        for (own, of_group, suspended, who) in table {
            let text = format!(
                "{all}vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{ 192.0.2.1 }}\n\
                 {own}\n}}\nvrrp_sync_group VG {{\n group {{\n VI_1\n }}\n{of_group}\n}}\n"
            );
            let loaded = load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default());
            let servers = &loaded.config.virtual_server;
            assert_eq!([servers[0].ha_suspend, servers[2].ha_suspend], suspended, "{own}{of_group}");
            let found: Vec<_> =
                loaded.diagnostics.iter().filter(|finding| finding.code == "suspended-tracker").collect();
            assert_eq!(found.len(), usize::from(who.is_some()), "{found:#?}");
            let Some((finding, who)) = found.first().zip(who) else { continue };
            assert!(finding.problem.contains(who), "{finding}");
            assert!(finding.problem.contains("virtual_server TCP 192.0.2.1:80"), "{finding}");
            let lines: Vec<&str> = text.lines().collect();
            let line = finding.place.as_ref().map(|at| at.line as usize).expect("a place");
            assert_eq!((lines[line - 1], lines[line - 3]), (" ha_suspend", "virtual_server 192.0.2.1 80 {"));
        }
    }

    #[test]
    fn a_line_that_names_nothing_is_an_error() {
        let loaded = loaded("track_virtual_server nobody weight 5");
        let found = loaded.diagnostics.iter().find(|finding| finding.problem.contains("nobody"));
        assert_eq!(found.map(|finding| finding.code), Some("unknown-tracker"));
    }
}
