//! Scripts: whether they can run on this machine, and as whom.

use std::collections::BTreeSet;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Command, Config, Global, Origin};

impl Resolver<'_> {
    pub(super) fn scripts(&mut self, config: &mut Config) {
        let global = config.global_defs.clone();
        let mut seen = BTreeSet::new();
        let mut scripts = std::mem::take(&mut config.vrrp_script);
        scripts.retain_mut(|script| {
            let object = format!("vrrp_script {}", script.name);
            let origin = script.origin.clone();
            if !seen.insert(script.name.clone()) {
                let fix = "give it another name, or remove one";
                let problem = format!("{object} is there twice");
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
            if script.script.argv.is_empty() {
                let problem = format!("{object} has no command");
                self.find(Level::Error, &origin, "", "no-command", problem, "it is dropped", "write one");
                return false;
            }
            let Some((problem, fix)) = self.command_problem(&script.script, &global) else { return true };
            let consequence =
                "the script is dropped, and instances that track it go on without it, as under keepalived";
            let problem = format!("{object}: {problem}");
            self.find(Level::Warning, &origin, "script", "script-unusable", problem, consequence, fix);
            // Its name stays known until the trackers have been looked through.
            script.script.argv.clear();
            true
        });
        config.vrrp_script = scripts;
        let mut own = std::mem::take(&mut config.global_defs);
        let origin = own.origin.clone();
        for (word, slot) in [
            ("startup_script", &mut own.startup_script),
            ("shutdown_script", &mut own.shutdown_script),
            ("notify_fifo_script", &mut own.notify_fifo_script),
            ("vrrp_notify_fifo_script", &mut own.vrrp_notify_fifo_script),
            ("lvs_notify_fifo_script", &mut own.lvs_notify_fifo_script),
        ] {
            // keepalived's own test does not look at these: a code of its own keeps its exit status.
            let Some(command) = &*slot else { continue };
            let Some((problem, fix)) = self.command_problem(command, &global) else { continue };
            let problem = format!("{word}: {problem}");
            let consequence = "this script is dropped";
            self.find(Level::Warning, &origin, word, "global-script", problem, consequence, fix);
            *slot = None;
        }
        config.global_defs = own;
        self.security(config);
    }

    /// Scripts run as root without `enable_script_security`: keepalived's own test ends with a code of its own for it.
    fn security(&mut self, config: &Config) {
        let global = &config.global_defs;
        if global.enable_script_security {
            return;
        }
        let root = |command: &Command| {
            let user = command.user.as_ref().or(global.script_user.as_ref());
            user.is_none_or(|user| user.user == "root")
        };
        let tracked = config
            .vrrp_script
            .iter()
            .find(|s| root(&s.script))
            .map(|s| (&s.origin, "script", "tracked scripts"));
        let told = config.vrrp_instance.iter().find_map(|i| {
            let all = [&i.notify, &i.notify_master, &i.notify_backup, &i.notify_fault, &i.notify_stop];
            all.into_iter().flatten().any(root).then_some((&i.origin, "", "notify scripts"))
        });
        let checks = config.virtual_server.iter().flat_map(|v| &v.real_server).find_map(|real| {
            let misc = real
                .misc_check
                .iter()
                .find(|c| root(&c.misc_path))
                .map(|c| (&c.origin, "misc_path", "MISC_CHECK programs"));
            let notify = real.notify_up.iter().chain(&real.notify_down).any(root);
            misc.or_else(|| notify.then_some((&real.origin, "", "notify scripts")))
        });
        let quorum = config.virtual_server.iter().find_map(|v| {
            let any = v.quorum_up.iter().chain(&v.quorum_down).any(root);
            any.then_some((&v.origin, "quorum_up", "quorum scripts"))
        });
        let groups = config.vrrp_sync_group.iter().find_map(|g| {
            let all = [&g.notify, &g.notify_master, &g.notify_backup, &g.notify_fault, &g.notify_stop];
            all.into_iter().flatten().any(root).then_some((&g.origin, "", "notify scripts"))
        });
        let around =
            [("startup_script", &global.startup_script), ("shutdown_script", &global.shutdown_script)];
        let around = around.into_iter().find(|(_, slot)| slot.as_ref().is_some_and(root));
        let around = around.map(|(word, _)| (&global.origin, word, "startup and shutdown scripts"));
        for (origin, word, what) in
            [around, tracked.or(told).or(groups), checks.or(quorum)].into_iter().flatten()
        {
            let problem = format!("{what} run as root, and enable_script_security is not set");
            let consequence = "a script that others than root can change runs with all rights";
            let fix = "write enable_script_security and script_user USER in global_defs";
            let origin = origin.clone();
            self.find(Level::Advice, &origin, word, "script-security", problem, consequence, fix);
        }
    }

    /// What is wrong with a command on this machine, and the cure.
    pub(super) fn command_problem(&self, command: &Command, global: &Global) -> Option<(String, String)> {
        self.facts.command_problem(command, global.script_user.as_ref(), global.enable_script_security)
    }

    /// Drops a script that cannot run.
    pub(super) fn usable(
        &mut self,
        slot: &mut Option<Command>,
        global: &Global,
        origin: &Origin,
        word: &str,
        object: &str,
    ) {
        let problem = slot.as_ref().and_then(|command| self.command_problem(command, global));
        if let Some((problem, fix)) = problem {
            let problem = format!("{object}: {word}: {problem}");
            let consequence = "this script is dropped, as under keepalived";
            self.find(Level::Warning, origin, word, "script-unusable", problem, consequence, fix);
            *slot = None;
        }
    }
}
