//! What clients ask of the daemon itself: reload, upgrade, leave.

use crate::config::Loaded;
use crate::config::model::Config;
use crate::control::answer::{Answer, Failure};
use crate::control::routes::{Life, Request};
use crate::control::server::{Ask, Reply};
use crate::control::view::Done;
use crate::core::lifeline::Word;
use crate::core::overlay;
use crate::net::space::Space;

use super::Worker;
use super::ending::End;

impl Worker {
    /// What a client asks, if it still wants to know. `Some`: that is the end of this process.
    pub(super) async fn take_ask(&mut self, ask: Ask) -> Option<End> {
        // It may have waited behind a long reload, and given up.
        let Some(ask) = ask.wanted() else {
            tracing::info!("a client has gone before its turn came: what it asked for is not done");
            return None;
        };
        match ask.request {
            Request::Life(order) => self.life(order, ask).await,
            _ => {
                self.command(ask);
                None
            }
        }
    }

    /// Does it; `Some`: that is the end of this process.
    async fn life(&mut self, order: Life, ask: Ask) -> Option<End> {
        let Ask { caller, reply, .. } = ask;
        if matches!(order, Life::Upgrade | Life::Leave)
            && let Some(why) = self.hinders(order)
        {
            let path = self.options.config.display();
            let problem = format!("{path}: {why}; this process goes on");
            tracing::error!("{caller} asks to leave everything for another process: refused: {problem}");
            self.chronicle.refused(refusal(order), &problem, Some(caller.to_string()));
            let cure = format!("mend it (tandem check {path} says more), then ask again");
            let _ = reply.send(Reply::Now(Failure::new(409, "no-successor", problem, cure).into()));
            return None;
        }
        match order {
            Life::Reload => {
                tracing::info!("{caller} asks for a reload");
                let answer = match self.reload(Some(&caller.to_string())).await {
                    Ok(done) => Answer::of(&done),
                    Err(failure) => failure.into(),
                };
                let _ = reply.send(Reply::Now(answer));
                None
            }
            Life::Upgrade if !self.lifeline.is_held() => {
                let problem = "this daemon runs without its supervisor, which would start the new program";
                let cure = "stop it and start it again without --no-supervisor";
                self.chronicle.refused(refusal(order), problem, Some(caller.to_string()));
                let _ = reply.send(Reply::Now(Failure::new(409, "no-supervisor", problem, cure).into()));
                None
            }
            Life::Upgrade => {
                tracing::info!("{caller} asks for an upgrade");
                self.chronicle.command(
                    "",
                    "upgrade",
                    "the installed program is to go on in this one's place",
                    &caller,
                );
                // The answer is that of the supervisor: a refusal, or our end.
                self.upgrading = Some(reply);
                self.lifeline.say(Word::Upgrade);
                None
            }
            Life::Leave => {
                tracing::info!("{caller} asks to leave everything as it is");
                self.chronicle.command("", "leave", "everything is to be left as it is", &caller);
                self.lifeline.say(Word::Stopping);
                let done = Done { done: "leaving everything as it is".to_owned(), ..Done::default() };
                let _ = reply.send(Reply::Now(Answer::of(&done)));
                Some(End::Left)
            }
        }
    }

    /// Why whoever begins in our place could not go on, by the file as it is now: nobody would hold the addresses then, and
    /// they would be here. Its text is read again: what has not changed since the last time costs nothing.
    fn hinders(&mut self, order: Life) -> Option<&'static str> {
        let (loaded, _) = overlay::load(&self.options, &mut self.rereader);
        let named = self.options.pids.as_ref().and_then(|pids| pids.namespace.as_ref());
        let namespace = named.or(loaded.config.net_namespace.as_ref());
        if namespace.is_some_and(|name| !Space::own(name).is_there()) {
            return Some("its network namespace has no name any more, and nobody could enter it");
        }
        hindrance(&loaded, self.options.strict_includes, order == Life::Leave)
    }

    /// The supervisor has another program ready: whoever asked for it hears so.
    pub(super) fn upgraded(&mut self) {
        if let Some(reply) = self.upgrading.take() {
            let done = Done { done: "another program goes on".to_owned(), ..Done::default() };
            let _ = reply.send(Reply::Now(Answer::of(&done)));
        }
    }
}

/// What is refused, as a sentence of the journal.
const fn refusal(order: Life) -> &'static str {
    match order {
        Life::Upgrade => "an upgrade was refused",
        Life::Leave => "leaving everything as it is was refused",
        Life::Reload => "a reload was refused",
    }
}

/// Why nobody could go on with this file. `strict`: every included file must be there. `by_unit`: a unit asks first whether
/// there is anything to run.
fn hindrance(loaded: &Loaded, strict: bool, by_unit: bool) -> Option<&'static str> {
    if !loaded.readable {
        return Some("it cannot be read any more, and the next start would be refused");
    }
    if strict && loaded.diagnostics.iter().any(|finding| finding.code == "include-missing") {
        return Some("an included file is missing, and the next start would be refused (--all-config)");
    }
    (by_unit && is_idle(&loaded.config))
        .then_some("it has nothing to run any more, and there may be no next start")
}

/// Nothing in it would be in the kernel: a stop in order loses nothing.
fn is_idle(config: &Config) -> bool {
    config.vrrp_instance.is_empty()
        && config.virtual_server.is_empty()
        && config.static_ipaddress.is_empty()
        && config.static_routes.is_empty()
        && config.static_rules.is_empty()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load_text;
    use crate::config::resolve::Facts;

    #[test]
    fn only_for_somebody_who_can_go_on_everything_is_left() {
        let instance =
            "vrrp_instance A { interface eth0\nvirtual_router_id 7\nvirtual_ipaddress { 10.0.0.1 }\n}\n";
        let missing = format!("include /nowhere/at/all.conf\n{instance}");
        // (name, text, strict, at `tandem leave`, at `tandem upgrade`)
        let table = [
            ("x.conf", instance, true, true, true),
            // As at a start: what is wrong in a keepalived.conf is left out.
            ("x.conf", &format!("nonsense 1\n{instance}"), true, true, true),
            ("x.conf", &missing, false, true, true),
            ("x.conf", &missing, true, false, false),
            ("x.conf", "! comments\n# only\n", false, false, true),
            ("x.conf", "global_defs {\n router_id x\n}\n", false, false, true),
            ("x.yaml", "vrrp_instance: 7\n", false, false, false),
        ];
        for (name, text, strict, leave, upgrade) in table {
            let facts = Facts { strict_includes: strict, ..Facts::default() };
            let loaded = load_text(Path::new(name), text.as_bytes(), &facts);
            assert_eq!(hindrance(&loaded, strict, true).is_none(), leave, "leave: {text}");
            assert_eq!(hindrance(&loaded, strict, false).is_none(), upgrade, "upgrade: {text}");
        }
    }
}
