//! One virtual server: the sum of its weights against its quorum, and who serves.

/// What the file says about one virtual server's quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Sum of weights to be up. At least 1.
    pub quorum: u32,
    /// Band around the quorum. Below `quorum`.
    pub hysteresis: u32,
}

impl Rules {
    /// keepalived's corrections: a quorum above the sum of the configured weights is cut to it, and is never 0; the
    /// hysteresis is cut to below the quorum.
    pub fn corrected(quorum: u32, hysteresis: u32, sum_of_weights: u32) -> Self {
        let quorum = quorum.min(sum_of_weights).max(1);
        Self { quorum, hysteresis: hysteresis.min(quorum - 1) }
    }

    const fn is_gained_by(self, sum: u32) -> bool {
        sum >= self.quorum.saturating_add(self.hysteresis)
    }

    const fn is_lost_by(self, sum: u32) -> bool {
        sum == 0 || sum < self.quorum.saturating_sub(self.hysteresis)
    }
}

/// A change of the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is reached.
    Gained,
    /// It is lost.
    Lost,
}

/// Who takes the traffic of a virtual server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// The real servers that are up; also while the quorum is lost and there is no sorry server.
    RealServers,
    /// The sorry servers with checks of their own that are up.
    SorryPool,
    /// The sorry server alone.
    SorryServer,
}

/// The state of one quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    up: bool,
}

impl Quorum {
    /// The state at start: up only from quorum + hysteresis on.
    pub const fn start(rules: Rules, sum: u32) -> Self {
        Self { up: rules.is_gained_by(sum) }
    }

    /// The state that an earlier process left; what has changed since is told by the next [`Quorum::weigh`].
    pub const fn resumed(up: bool) -> Self {
        Self { up }
    }

    /// True while the quorum is reached.
    pub const fn is_up(self) -> bool {
        self.up
    }

    /// Takes the new sum of the weights of the real servers that are up. Lost below quorum − hysteresis or at 0, gained
    /// from quorum + hysteresis on; in between it stays as it is.
    pub fn weigh(&mut self, rules: Rules, sum: u32) -> Option<Change> {
        if self.up && rules.is_lost_by(sum) {
            self.up = false;
            Some(Change::Lost)
        } else if !self.up && rules.is_gained_by(sum) {
            self.up = true;
            Some(Change::Gained)
        } else {
            None
        }
    }

    /// Who serves.
    pub const fn serving(self, has_sorry_server: bool) -> Serving {
        if !self.up && has_sorry_server { Serving::SorryServer } else { Serving::RealServers }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// keepalived, measured: quorum 3, hysteresis 1, weights 2 1 1, with a sorry server.
    #[test]
    fn quorum_3_hysteresis_1_weights_2_1_1() {
        let rules = Rules::corrected(3, 1, 4);
        let mut quorum = Quorum::start(rules, 4);
        assert!(quorum.is_up());
        for (sum, change, serving) in [
            (3, None, Serving::RealServers),
            (2, None, Serving::RealServers),
            (0, Some(Change::Lost), Serving::SorryServer),
            (3, None, Serving::SorryServer),
            (4, Some(Change::Gained), Serving::RealServers),
            (1, Some(Change::Lost), Serving::SorryServer),
        ] {
            assert_eq!(quorum.weigh(rules, sum), change, "sum {sum}");
            assert_eq!(quorum.serving(true), serving, "sum {sum}");
            assert_eq!(quorum.serving(false), Serving::RealServers);
        }
    }

    #[test]
    fn starts_up_only_from_quorum_plus_hysteresis() {
        let rules = Rules::corrected(3, 1, 4);
        assert!(!Quorum::start(rules, 3).is_up());
        assert!(Quorum::start(rules, 4).is_up());
        assert!(!Quorum::start(Rules::corrected(1, 0, 1), 0).is_up());
    }

    #[test]
    fn out_of_range_numbers_are_corrected() {
        assert_eq!(Rules::corrected(9, 0, 4), Rules { quorum: 4, hysteresis: 0 });
        assert_eq!(Rules::corrected(2, 5, 4), Rules { quorum: 2, hysteresis: 1 });
        assert_eq!(Rules::corrected(0, 0, 0), Rules { quorum: 1, hysteresis: 0 });
    }

    proptest! {
        #[test]
        fn never_up_with_nobody_and_never_flips_inside_the_band(
            quorum in 0u32..20, hysteresis in 0u32..20, total in 0u32..30, sums in prop::collection::vec(0u32..30, 0..40),
        ) {
            let rules = Rules::corrected(quorum, hysteresis, total);
            let mut state = Quorum::start(rules, total);
            for sum in sums {
                let before = state;
                let change = state.weigh(rules, sum);
                prop_assert_eq!(change.is_some(), before != state);
                prop_assert!(!(sum == 0 && state.is_up()));
                if sum > 0 && sum >= rules.quorum - rules.hysteresis && sum < rules.quorum + rules.hysteresis {
                    prop_assert_eq!(before, state);
                }
                // The same sum again changes nothing.
                prop_assert_eq!(state.weigh(rules, sum), None);
            }
        }
    }
}
