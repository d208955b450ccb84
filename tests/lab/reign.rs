//! Who ruled which virtual router, and when: read from the adverts on the wire, so that it is the same for every program.

use std::time::{Duration, Instant};

use super::wire::{Frame, Kind};

/// A time in which one host spoke as the master of one virtual router.
#[derive(Clone, Debug)]
pub struct Reign {
    /// The speaker.
    pub host: String,
    /// Of this virtual router.
    pub vrid: u8,
    /// Its first advert.
    pub from: Instant,
    /// Its last advert with a priority.
    pub last: Instant,
    /// The priority of that one.
    pub priority: u8,
    /// How many adverts with a priority.
    pub adverts: usize,
    /// It ended with priority 0.
    pub resigned: bool,
}

/// The reigns of one virtual router, in the order of their beginnings. A host that says nothing for longer than `silence`
/// begins a new one.
pub fn reigns(frames: &[Frame], vrid: u8, silence: Duration) -> Vec<Reign> {
    let mut all: Vec<Reign> = Vec::new();
    for frame in frames {
        let Kind::Advert { vrid: of, priority, .. } = frame.kind else { continue };
        if of != vrid {
            continue;
        }
        let mine = all.iter_mut().rev().find(|reign| reign.host == frame.host);
        let mine = mine.filter(|reign| !reign.resigned && frame.at - reign.last <= silence);
        match (mine, priority) {
            (Some(reign), 0) => reign.resigned = true,
            (Some(reign), _) => {
                (reign.last, reign.priority) = (frame.at, priority);
                reign.adverts += 1;
            }
            (None, 0) => {}
            (None, _) => all.push(Reign {
                host: frame.host.clone(),
                vrid,
                from: frame.at,
                last: frame.at,
                priority,
                adverts: 1,
                resigned: false,
            }),
        }
    }
    all
}

/// Two hosts that were master at once: from when until when both spoke.
#[derive(Clone, Debug)]
pub struct Overlap {
    pub first: Reign,
    pub second: Reign,
    pub from: Instant,
    pub until: Instant,
}

impl Overlap {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.until - self.from
    }

    /// The longest stretch of it outside all of these times, in which the two could not hear each other.
    pub fn undisturbed(&self, mut times: Vec<(Instant, Instant)>) -> Duration {
        times.sort();
        let (mut at, mut longest) = (self.from, Duration::ZERO);
        for (from, until) in times.into_iter().chain([(self.until, self.until)]) {
            longest = longest.max(from.min(self.until).saturating_duration_since(at));
            at = at.max(until);
        }
        longest
    }
}

/// Every time in which two hosts spoke as masters of one virtual router.
pub fn overlaps(reigns: &[Reign]) -> Vec<Overlap> {
    let mut all = Vec::new();
    for (place, first) in reigns.iter().enumerate() {
        for second in reigns.iter().skip(place + 1).filter(|other| other.host != first.host) {
            let (from, until) = (first.from.max(second.from), first.last.min(second.last));
            if from < until {
                all.push(Overlap { first: first.clone(), second: second.clone(), from, until });
            }
        }
    }
    all
}
