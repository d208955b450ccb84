//! Words of health rules beyond keepalived's.

use std::time::Duration;

use crate::config::keepalived::form::{Choice, DAY, Seconds};
use crate::config::keepalived::keyword::{Form, Inspection};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{AdminState, FlapDamping, TierMode};
use crate::config::units::Secs;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

pub(super) const TIER_MODES: Choice<TierMode> =
    Choice(&[("take_over", TierMode::TakeOver), ("join", TierMode::Join)], "take_over is used");

pub(super) const ADMIN_STATES: Choice<AdminState> = Choice(
    &[("enabled", AdminState::Enabled), ("drain", AdminState::Drain), ("disabled", AdminState::Disabled)],
    "the line is passed over",
);

/// `FLIPS SECONDS [HOLD]`.
pub(super) struct Damping;

/// With one flip each going would hold a server: two is a going and a coming.
const FLIPS: std::ops::RangeInclusive<u32> = 2..=1000;
const TIMES: Seconds = Seconds(0.001, DAY);

fn time(text: &str) -> Option<Secs> {
    let secs = text.parse::<f64>().ok().filter(|secs| (TIMES.0..=TIMES.1).contains(secs))?;
    Duration::try_from_secs_f64(secs).ok().map(Secs)
}

fn holds(damping: FlapDamping) -> bool {
    let good = |secs: Secs| (TIMES.0..=TIMES.1).contains(&secs.0.as_secs_f64());
    FLIPS.contains(&damping.flips) && good(damping.within) && damping.hold.is_none_or(good)
}

impl Form for Damping {
    type Slot = Option<FlapDamping>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = 3;
        let flips = node.argument(0).and_then(|text| text.parse().ok()).filter(|n| FLIPS.contains(n));
        let within = node.argument(1).and_then(time);
        let hold = node.argument(2).map(time);
        match (flips, within, hold) {
            (Some(flips), Some(within), None) => *slot = Some(FlapDamping { flips, within, hold: None }),
            (Some(flips), Some(within), Some(Some(hold))) => {
                *slot = Some(FlapDamping { flips, within, hold: Some(hold) });
            }
            _ => r.bad(node, node.raw(), &self.says(), "the line is passed over"),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(damping) = slot {
            let mut words = vec![damping.flips.to_string(), damping.within.to_string()];
            words.extend(damping.hold.map(|hold| hold.to_string()));
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "FLIPS SECONDS [HOLD]: from 2 to 1000 flips, seconds up to 86400".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(damping) = slot.take_if(|damping| !holds(*damping)) {
            i.out_of_range(format!("{} {}", damping.flips, damping.within), self.says());
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let secs = |n| Secs(Duration::from_secs(n));
        *slot = Some(FlapDamping { flips: 4, within: secs(60), hold: s.flip().then_some(secs(90)) });
    }
}
