//! Priority tiers of one virtual server's real servers: the first tier serves while it has weight enough, then the next
//! takes over or joins.

/// What happens when a tier has too little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The next tier that has enough serves in its place.
    #[default]
    TakeOver,
    /// It serves beside it.
    Join,
}

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A tier has enough from this percentage of its configured weight on, 0..=100. 0: any weight is enough.
    pub least: u32,
    /// A tier that had too little has enough again from this many percent more on (at most 100 in all).
    pub hysteresis: u32,
    /// See [`Mode`].
    pub mode: Mode,
}

/// One tier at this moment: sums of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The file's.
    pub configured: u64,
    /// Of those that are up.
    pub healthy: u64,
}

impl Weights {
    fn reaches(self, percent: u32) -> bool {
        self.healthy > 0 && self.healthy * 100 >= self.configured * u64::from(percent.min(100))
    }
}

/// Which tiers have enough, first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiers {
    enough: Vec<bool>,
}

impl Tiers {
    /// Takes the weights of all tiers, first one first. A tier that was not there before begins with enough, if it has
    /// the least. True when another set of tiers serves than before.
    pub fn weigh(&mut self, rules: Rules, weights: &[Weights]) -> bool {
        let before = self.serving(rules);
        self.enough = weights
            .iter()
            .enumerate()
            .map(|(n, weights)| {
                let had = self.enough.get(n).copied().unwrap_or(true);
                let extra = if had { 0 } else { rules.hysteresis };
                weights.reaches(rules.least.saturating_add(extra))
            })
            .collect();
        self.serving(rules) != before
    }

    /// Which tiers serve. Where none has enough all do: what there is, is better than nothing.
    pub fn serving(&self, rules: Rules) -> Vec<bool> {
        let first = self.enough.iter().position(|enough| *enough);
        let serves = |n: usize| match (first, rules.mode) {
            (None, _) => true,
            (Some(first), Mode::TakeOver) => n == first,
            (Some(first), Mode::Join) => n <= first,
        };
        (0..self.enough.len()).map(serves).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights(healthy: &[u64]) -> Vec<Weights> {
        healthy.iter().map(|healthy| Weights { configured: 10, healthy: *healthy }).collect()
    }

    fn play(rules: Rules, steps: &[(&[u64], &[bool])]) {
        let mut tiers = Tiers::default();
        for (healthy, wanted) in steps {
            tiers.weigh(rules, &weights(healthy));
            assert_eq!(tiers.serving(rules), *wanted, "{healthy:?}");
        }
    }

    #[test]
    fn take_over() {
        play(
            Rules { least: 50, hysteresis: 20, mode: Mode::TakeOver },
            &[
                (&[10, 10, 10], &[true, false, false]),
                (&[5, 10, 10], &[true, false, false]),
                (&[4, 10, 10], &[false, true, false]),
                (&[6, 10, 10], &[false, true, false]),
                (&[6, 4, 10], &[false, false, true]),
                (&[6, 4, 4], &[true, true, true]),
                (&[7, 4, 4], &[true, false, false]),
                (&[0, 0, 0], &[true, true, true]),
                (&[0, 0, 1], &[true, true, true]),
            ],
        );
    }

    #[test]
    fn join() {
        play(
            Rules { least: 50, hysteresis: 0, mode: Mode::Join },
            &[
                (&[10, 10, 10], &[true, false, false]),
                (&[4, 10, 10], &[true, true, false]),
                (&[4, 4, 10], &[true, true, true]),
                (&[5, 4, 10], &[true, false, false]),
            ],
        );
    }

    #[test]
    fn without_a_percentage_the_last_server_of_a_tier_is_enough() {
        play(
            Rules { least: 0, hysteresis: 0, mode: Mode::TakeOver },
            &[(&[1, 10], &[true, false]), (&[0, 10], &[false, true]), (&[1, 10], &[true, false])],
        );
    }

    #[test]
    fn one_tier_always_serves() {
        play(
            Rules { least: 90, hysteresis: 5, mode: Mode::TakeOver },
            &[(&[10], &[true]), (&[0], &[true]), (&[1], &[true])],
        );
    }

    proptest! {
        #[test]
        fn laws(
            least in 0u32..=100, hysteresis in 0u32..=100, join in any::<bool>(),
            steps in prop::collection::vec(prop::collection::vec(0u64..=10, 3), 1..50),
        ) {
            let mode = if join { Mode::Join } else { Mode::TakeOver };
            let rules = Rules { least, hysteresis, mode };
            let mut tiers = Tiers::default();
            for healthy in steps {
                tiers.weigh(rules, &weights(&healthy));
                let serving = tiers.serving(rules);
                // Who is healthy is used as long as nobody has enough.
                let served: u64 = healthy.iter().zip(&serving).filter(|(_, s)| **s).map(|(h, _)| *h).sum();
                prop_assert!(served > 0 || healthy.iter().sum::<u64>() == 0);
                // The same again changes nothing: no flapping at rest.
                prop_assert!(!tiers.weigh(rules, &weights(&healthy)));
                // All of a first tier is enough, whatever was before.
                tiers.weigh(rules, &weights(&[10, healthy[1], healthy[2]]));
                prop_assert_eq!(tiers.serving(rules), vec![true, false, false]);
            }
        }
    }
}
