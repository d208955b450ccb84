//! Checkers that are told rather than run: FILE_CHECK, BFD_CHECK.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::outcome::Outcome;
use super::super::outside::Outside;
use super::super::plan::Kind;
use super::super::schedule::ProbeId;
use super::{Farm, Reaction, share};

impl Farm {
    /// Files or sessions say something else. Only checkers for which that makes a difference react.
    pub fn hear(&mut self, outside: Arc<Outside>, now: Instant) -> Reaction {
        let before = std::mem::replace(&mut self.outside, outside);
        let mut reaction = Reaction::default();
        self.hear_where(now, &mut reaction, |plan, outside| before.result(plan) != outside.result(plan));
        reaction
    }

    /// After a reload: checkers that are new hear what has been said before them.
    pub(super) fn hear_all(&mut self, now: Instant, reaction: &mut Reaction) {
        self.hear_where(now, reaction, |_, _| false);
    }

    fn hear_where(
        &mut self,
        now: Instant,
        reaction: &mut Reaction,
        differs: impl Fn(&Kind, &Outside) -> bool,
    ) {
        let outside = Arc::clone(&self.outside);
        let mut results: Vec<(ProbeId, Outcome)> = Vec::new();
        for (_, checker) in share::checkers(&self.services) {
            let Some(probe) = self.probes.get(checker.probe) else { continue };
            let kind = &probe.plan.kind;
            let Some(result) = outside.result(kind) else { continue };
            // One that has heard nothing yet hears it also when it is old news.
            if differs(kind, &outside) || !checker.known {
                results.push((checker.probe, Outcome { result, took: Duration::ZERO }));
            }
        }
        for (id, outcome) in results {
            let told = self.observe(id, &outcome, now);
            reaction.events.extend(told.events);
            reaction.notes.extend(told.notes);
        }
    }
}
