//! Words of health rules that cannot do what they seem to.

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Origin, RealServer, Scheduler, VirtualServer};

impl Resolver<'_> {
    /// Tiers, slow starts, sorry servers and drains without effect.
    pub(super) fn health(&mut self, server: &VirtualServer, name: &str) {
        self.tiers(server, name);
        let weighs = !matches!(server.lb_algo, Some(Scheduler::Rr | Scheduler::Lc));
        if !weighs {
            let by_real = server.real_server.iter().find(|real| real.slow_start.is_some());
            let origin = match by_real {
                Some(real) => Some(&real.origin),
                None => server.slow_start.map(|_| &server.origin),
            };
            if let Some(origin) = origin {
                let problem = format!("{name}: slow_start with a scheduler that makes no use of weights");
                let fix = "write lb_algo wrr or wlc, or remove slow_start";
                self.advise(
                    origin,
                    "slow_start",
                    problem,
                    "a server that comes back gets its whole share at once",
                    fix,
                );
            }
        }
        if server.drain_timeout.is_some() && !server.drain_on_removal {
            let problem = format!("{name}: drain_timeout without drain_on_removal");
            let consequence = "a real server that is removed goes at once, and its connections break";
            self.advise(&server.origin, "drain_timeout", problem, consequence, "write drain_on_removal");
        }
        for real in &server.real_server {
            if real.fall.is_some() && real.retry.is_some() {
                let problem = format!("{name}: real server {} has fall and retry", real.address);
                self.advise(
                    &real.origin,
                    "fall",
                    problem,
                    "fall counts: retry says the same",
                    "remove one of them",
                );
            }
        }
        if server.fall.is_some() && server.retry.is_some() {
            let problem = format!("{name} has fall and retry");
            self.advise(
                &server.origin,
                "fall",
                problem,
                "fall counts: retry says the same",
                "remove one of them",
            );
        }
    }

    fn tiers(&mut self, server: &VirtualServer, name: &str) {
        let serving = || server.real_server.iter().filter(|real| !real.sorry);
        let tier = |real: &RealServer| real.tier.unwrap_or(1);
        let first = serving().map(tier).min();
        let several = serving().any(|real| Some(tier(real)) != first);
        let words = [
            ("tier_min_weight", server.tier_min_weight.is_some()),
            ("tier_hysteresis", server.tier_hysteresis.is_some()),
            ("tier_mode", server.tier_mode.is_some()),
        ];
        if !several && let Some((word, _)) = words.into_iter().find(|(_, is_set)| *is_set) {
            let problem = format!("{name}: {word}, and all real servers are of one tier");
            let fix = "write tier 2 into the real servers that are to wait";
            self.advise(&server.origin, word, problem, "it does nothing", fix);
        }
        for real in server.real_server.iter().filter(|real| real.sorry && real.tier.is_some()) {
            let problem = format!("{name}: real server {} is a sorry server and has a tier", real.address);
            self.advise(&real.origin, "tier", problem, "the tier does nothing", "remove tier or sorry");
        }
        if first.is_none() {
            let problem = format!("{name}: all real servers are sorry servers");
            let fix = "write a real server without sorry";
            self.advise(&server.origin, "real_server", problem, "the quorum is never reached", fix);
        }
    }

    fn advise(&mut self, origin: &Origin, word: &'static str, problem: String, consequence: &str, fix: &str) {
        self.find(Level::Advice, origin, word, "no-effect", problem, consequence, fix);
    }
}
