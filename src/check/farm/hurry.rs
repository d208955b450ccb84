//! Checks at once, by order of a person.

use std::time::Instant;

use super::super::hurry::{Due, Which, delay};
use super::{Farm, suspend};

impl Farm {
    /// Lets the checks of these real servers be due now, thousands of them one after the other within a second or two. One
    /// that is under way began before the order: it is run once more behind that.
    pub fn hurry(&mut self, which: &Which, now: Instant) -> Due {
        let mut due = Due::default();
        for service in &self.services {
            let Some(wanted) = which.get(&service.plan.name.to_string()) else { continue };
            let suspended = suspend::is_suspended(&service.plan, &self.carried);
            for (plan, real) in service.plan.reals.iter().zip(&service.reals) {
                if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&plan.name())) {
                    continue;
                }
                let mut runs = false;
                for checker in real.checkers.iter().filter(|_| !suspended) {
                    // What is told (FILE_CHECK, BFD_CHECK) is never out of date.
                    let probe = self.probes.get(checker.probe).filter(|probe| probe.lane().is_some());
                    let Some(probe) = probe else { continue };
                    runs = true;
                    due.probes.insert(checker.probe, if probe.runs { 2 } else { 1 });
                }
                due.not_checked += u64::from(!runs);
            }
        }
        for (n, (id, results)) in due.probes.iter().enumerate() {
            if *results == 1 {
                self.probes.schedule(*id, Some(now + delay(n)));
            } else if let Some(probe) = self.probes.get_mut(*id) {
                probe.again = true;
            }
        }
        due
    }
}
