//! Reading over the network: nobody opens a door to everybody by accident.

use std::path::Path;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::Config;

impl Resolver<'_> {
    /// `status_listen` with what guards it. What would let everybody in does not listen.
    pub(super) fn status(&mut self, config: &mut Config) {
        let global = &mut config.global_defs;
        let origin = global.origin.clone();
        let guards = [
            ("status_token_file", global.status_token_file.is_some()),
            ("status_allow", !global.status_allow.is_empty()),
        ];
        let Some(at) = global.status_listen else {
            // One whose subnets were all refused is no door either: the word that is left says so.
            for (word, _) in guards.into_iter().filter(|(_, there)| *there) {
                let problem = format!("{word} without status_listen");
                let (consequence, fix) =
                    ("nobody comes in over the network", "write status_listen ADDRESS:PORT");
                self.find(Level::Advice, &origin, word, "no-status-listen", problem, consequence, fix);
            }
            return;
        };
        if at.port() == 0 {
            global.status_listen = None;
            let problem = format!("status_listen {at} has no port");
            let (consequence, fix) = ("nobody comes in over the network", "write one from 1 to 65535");
            self.find(Level::Error, &origin, "status_listen", "bad-value", problem, consequence, fix);
            return;
        }
        // A guard of which nothing is left guards nothing: whoever wrote it wanted it, beside another one too.
        let broken = guards.into_iter().find(|(word, there)| !there && origin.has(word));
        if let Some((word, _)) = broken {
            global.status_listen = None;
            let problem =
                format!("status_listen {at} is guarded by {word}, and nothing of that can be understood");
            let (consequence, fix) =
                ("nobody comes in over the network", format!("mend {word}, or remove it"));
            self.find(Level::Error, &origin, "status_listen", "status-open", problem, consequence, fix);
            return;
        }
        let (token, allow) = (global.status_token_file.clone(), &global.status_allow);
        if token.is_none() && allow.is_empty() && !at.ip().is_loopback() {
            let problem = format!("status_listen {at} would let everybody read");
            let fix = "write status_token_file FILE or status_allow SUBNET, or listen at 127.0.0.1";
            global.status_listen = None;
            let consequence = "nobody comes in over the network";
            self.find(Level::Error, &origin, "status_listen", "status-open", problem, consequence, fix);
            return;
        }
        if token.is_none()
            && let Some(all) = allow.iter().find(|prefix| prefix.length == 0)
        {
            let problem = format!("status_allow {all} without status_token_file");
            let (consequence, fix) =
                ("everybody may read", "name the subnets of those who watch, or write a token file");
            self.find(Level::Warning, &origin, "status_allow", "status-open", problem, consequence, fix);
        }
        let bad =
            token.as_deref().and_then(|path| Some((path, self.facts.token_problem(Path::new(path), 16)?)));
        if let Some((path, (problem, fix))) = bad {
            let problem = format!("status_token_file {path}: {problem}");
            let consequence = "nobody comes in over the network until that is mended";
            self.find(
                Level::Warning,
                &origin,
                "status_token_file",
                "bad-token-file",
                problem,
                consequence,
                fix,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;
    use crate::config::resolve::Facts;

    #[test]
    fn doors_to_everybody_stay_shut() {
        for (words, listens, codes) in [
            ("", false, &[][..]),
            ("status_listen 127.0.0.1:9650", true, &[]),
            ("status_listen [::1]:9650", true, &[]),
            ("status_listen 0.0.0.0:9650", false, &["status-open"]),
            ("status_listen 192.0.2.1:9650", false, &["status-open"]),
            ("status_listen 192.0.2.1:9650\n status_allow 192.0.2.0/24 2001:db8::/32", true, &[]),
            ("status_listen [::]:9650\n status_allow ::/0", true, &["status-open"]),
            ("status_listen [::]:9650\n status_allow ::/0\n status_token_file /x", true, &[]),
            ("status_listen 0.0.0.0:9650\n status_token_file /x", true, &[]),
            // A guard that cannot be understood guards nothing, whatever else does.
            ("status_listen 0.0.0.0:9650\n status_allow all", false, &["status-open", "bad-address"]),
            ("status_listen 127.0.0.1:9650\n status_allow all", false, &["status-open", "bad-address"]),
            (
                "status_listen 0.0.0.0:9650\n status_token_file /x\n status_allow 10.0.0.0/33",
                false,
                &["status-open", "bad-address"],
            ),
            (
                "status_listen 0.0.0.0:9650\n status_token_file\n status_allow 192.0.2.0/24",
                false,
                &["status-open", "missing-value"],
            ),
            (
                "status_listen 0.0.0.0:9650\n status_token_file /x\n status_allow",
                false,
                &["status-open", "missing-value"],
            ),
            // Who is still named is let in, and nobody else.
            (
                "status_listen 0.0.0.0:9650\n status_token_file /x\n status_allow 10.0.0.0/33 192.0.2.0/24",
                true,
                &["bad-address"],
            ),
            ("status_listen 127.0.0.1:0", false, &["bad-value"]),
            ("status_listen 127.0.0.1", false, &["bad-value"]),
            ("status_token_file /x", false, &["no-status-listen"]),
        ] {
            let text = format!("global_defs {{\n router_id x\n {words}\n}}\n");
            let loaded = load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
            let said: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
            assert_eq!(said, codes, "{words}: {:?}", loaded.diagnostics);
            assert_eq!(loaded.config.global_defs.status_listen.is_some(), listens, "{words}");
        }
    }
}
