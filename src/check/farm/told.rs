//! Checkers that are told rather than run: FILE_CHECK, BFD_CHECK.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::outcome::Outcome;
use super::super::outside::Outside;
use super::super::plan::Kind;
use super::super::schedule::ProbeId;
use super::probes::Place;
use super::{Farm, Reaction, checker_at};

impl Farm {
    /// Files or sessions say something else. Only checkers for which that makes a difference react.
    pub fn hear(&mut self, outside: Arc<Outside>, now: Instant) -> Reaction {
        let before = std::mem::replace(&mut self.outside, outside);
        let mut reaction = Reaction::default();
        let all: Vec<ProbeId> = self.probes.iter().map(|(id, _)| id).collect();
        self.hear_where(&all, now, &mut reaction, |plan, outside| {
            before.result(plan) != outside.result(plan)
        });
        reaction
    }

    /// After a reload: checkers that are new hear what has been said before them.
    pub(super) fn hear_those(&mut self, probes: &[ProbeId], now: Instant, reaction: &mut Reaction) {
        self.hear_where(probes, now, reaction, |_, _| false);
    }

    fn hear_where(
        &mut self,
        probes: &[ProbeId],
        now: Instant,
        reaction: &mut Reaction,
        differs: impl Fn(&Kind, &Outside) -> bool,
    ) {
        let outside = Arc::clone(&self.outside);
        let mut results: Vec<(Option<Place>, ProbeId, Outcome)> = Vec::new();
        for id in probes {
            let Some(probe) = self.probes.get(*id) else { continue };
            let kind = &probe.plan.kind;
            let Some(result) = outside.result(kind) else { continue };
            // One that has heard nothing yet hears it also when it is old news.
            let deaf =
                |place: &Place| checker_at(&self.services, *place).is_some_and(|checker| !checker.known);
            if differs(kind, &outside) || probe.users.iter().any(deaf) {
                results.push((probe.users.first().copied(), *id, Outcome { result, took: Duration::ZERO }));
            }
        }
        // In the order of the file. Nobody shares what is told.
        results.sort_by_key(|(place, ..)| *place);
        for (_, id, outcome) in results {
            let told = self.observe(id, &outcome, now);
            reaction.events.extend(told.events);
            reaction.notes.extend(told.notes);
        }
    }
}
