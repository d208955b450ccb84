//! What must be true.

use super::field::{Preempt, ROUTERS};
use super::lab::reign::{overlaps, reigns};
use super::*;

/// What a pause or a mended link may still cost beyond its end: the first adverts come through, and are answered.
const AFTERMATH: Duration = Duration::from_millis(300);

/// Who is master of a virtual router: who has the address, and who has spoken within two intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    holders: Vec<String>,
    speakers: Vec<String>,
}

impl Field {
    /// How long it may take until all is settled once nothing changes: a start or a script's next run (1 s), what comes out
    /// of FAULT waits for a second, then the longest master-down time, and the addresses.
    fn limit(&self) -> Duration {
        grace(s(4)) + self.common.advert * 8
    }

    fn rule(&self, router: usize) -> Rule {
        let (vrid, _, address) = ROUTERS[router];
        let living = self.living();
        let mut holders = self.watch.holders(address);
        // What a killed one left behind is not its fault.
        holders.retain(|name| living.contains(name));
        let recent = now() - self.common.advert * 2 - grace(ms(100));
        let mut speakers: Vec<String> = reigns(&self.wire.frames(), vrid, self.common.advert * 3)
            .into_iter()
            .filter(|reign| reign.last >= recent && !reign.resigned)
            .map(|reign| reign.host)
            .collect();
        speakers.sort();
        speakers.dedup();
        Rule { holders, speakers }
    }

    /// What is wrong with the masters of one virtual router now.
    fn wrong(&self, router: usize) -> Option<String> {
        let rule = self.rule(router);
        let group = router < 2;
        let able: Vec<_> = self.machines.iter().filter(|machine| machine.able(group)).collect();
        let vrid = ROUTERS[router].0;
        if rule.holders != rule.speakers {
            return Some(format!("virtual router {vrid}: {rule:?}"));
        }
        if rule.holders.len() != able.len().min(1) {
            return Some(format!("virtual router {vrid}: {} could be master, {rule:?}", able.len()));
        }
        let best = able.iter().max_by_key(|machine| machine.effective(group))?;
        let preempt = self.common.preempt[usize::from(!group)];
        if preempt == Preempt::All && rule.holders != [best.name.clone()] {
            return Some(format!("virtual router {vrid}: {} is the best, {rule:?}", best.name));
        }
        None
    }

    fn wrongs(&self) -> Vec<String> {
        let mut all: Vec<String> = (0..ROUTERS.len()).filter_map(|router| self.wrong(router)).collect();
        if self.rule(0) != self.rule(1) {
            all.push("the sync group is torn".to_owned());
        }
        all
    }

    /// Waits until all is right, and asserts that it is so in time and stays so.
    #[track_caller]
    pub(crate) fn settled(&self, when: &str) {
        let start = now();
        let limit = self.limit();
        // Until every script has run again, it may only look so.
        pause(ms(1500));
        let mut right: Option<Instant> = None;
        while right.is_none_or(|since| since.elapsed() < self.common.advert * 6) {
            let wrongs = self.wrongs();
            assert!(
                wrongs.is_empty() || start.elapsed() < limit,
                "{when}, not within {limit:?}: {wrongs:#?}"
            );
            right = wrongs.is_empty().then(|| right.unwrap_or_else(now));
            pause(ms(20));
        }
        let took = right.map_or(Duration::ZERO, |since| since - start);
        self.say(&format!("{when}: settled after {:.3} s", took.as_secs_f64()));
    }

    /// No two were masters at once for longer than an advert and its answer take, as long as they could hear each other.
    #[track_caller]
    pub(crate) fn one_at_a_time(&self) {
        let granted = self.common.advert + grace(ms(150));
        let frames = self.wire.frames();
        let mut found = Vec::new();
        for (vrid, _, _) in ROUTERS {
            for overlap in overlaps(&reigns(&frames, vrid, self.common.advert * 3)) {
                let names = [&overlap.first.host, &overlap.second.host];
                let windows: Vec<(Instant, Instant)> = self
                    .disturbances
                    .iter()
                    .filter(|(name, _, _)| names.contains(&name))
                    .map(|(_, from, until)| (*from, *until + AFTERMATH))
                    .chain(
                        self.machines
                            .iter()
                            .filter(|m| names.contains(&&m.name))
                            .filter_map(|machine| Some((machine.disturbed?, now()))),
                    )
                    .collect();
                let longest = overlap.undisturbed(windows);
                if longest > granted {
                    found.push(format!(
                        "virtual router {vrid}: {} and {} from {:.3} to {:.3}, {longest:?} of it undisturbed",
                        names[0],
                        names[1],
                        self.at(overlap.from),
                        self.at(overlap.until)
                    ));
                }
            }
        }
        assert!(found.is_empty(), "two masters for longer than {granted:?}: {found:#?}");
    }
}
