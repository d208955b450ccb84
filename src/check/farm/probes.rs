//! What is run, when next, and for whom. Equal checkers share one probe: it runs once, and its result counts for all of
//! them, each with consequences of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::super::plan::{CheckerPlan, Kind};
use super::super::schedule::{ProbeId, Schedule};
use super::{LANES, Lane};

/// Where a checker stands: the indices of its service, its real server there, and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    service: u32,
    real: u32,
    checker: u32,
}

impl Place {
    pub(super) fn new(service: usize, real: usize, checker: usize) -> Self {
        // A configuration with so many of anything does not fit into memory.
        let index = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { service: index(service), real: index(real), checker: index(checker) }
    }

    pub(super) const fn service(self) -> usize {
        self.service as usize
    }

    pub(super) const fn real(self) -> usize {
        self.real as usize
    }

    pub(super) const fn checker(self) -> usize {
        self.checker as usize
    }
}

/// One probe.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) plan: Arc<CheckerPlan>,
    /// The checkers that its results count for, in the order of the file; empty only in the middle of a reload.
    pub(super) users: SmallVec<[Place; 1]>,
    /// When it is to run; `None` while it runs, while all of its users are suspended, and of one that is told.
    due: Option<Instant>,
    /// A run of it is under way.
    pub(super) runs: bool,
    /// Somebody wants another one right behind it.
    pub(super) again: bool,
    url: u32,
    /// How long the last run that counted took, microseconds; 0: there was none.
    pub(super) took_us: u32,
    /// The last run had no result within its time.
    pub(super) slow: bool,
}

impl Probe {
    /// Where its runs queue; `None` for one that is told and never run.
    pub(super) fn lane(&self) -> Option<Lane> {
        match (&self.plan.kind, self.slow) {
            (Kind::Misc(_), false) => Some(Lane::Programs),
            (Kind::Misc(_), true) => Some(Lane::SlowPrograms),
            (Kind::File(_) | Kind::Bfd(_), _) => None,
            (_, false) => Some(Lane::Connections),
            (_, true) => Some(Lane::SlowConnections),
        }
    }

    /// The url that this run asks for.
    pub(super) const fn url(&self) -> usize {
        self.url as usize
    }

    /// The next run asks for that url.
    pub(super) fn ask_for(&mut self, url: usize) {
        self.url = u32::try_from(url).unwrap_or(u32::MAX);
    }

    /// Others with an equal plan may use it.
    pub(super) fn is_shared(&self) -> bool {
        self.plan.share && self.lane().is_some()
    }
}

/// All probes, each in a slot, and the schedules of their runs.
#[derive(Debug, Default)]
pub(super) struct Probes {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// So many were made since the start.
    made: u64,
    /// One a lane, in the order of [`LANES`].
    schedules: [Schedule; LANES.len()],
}

#[derive(Debug)]
struct Slot {
    /// Grows with every probe that leaves: a result for one that left finds nobody.
    generation: u32,
    probe: Option<Probe>,
}

impl Probes {
    /// The number of the next one to be made, from 0.
    pub(super) const fn made(&self) -> u64 {
        self.made
    }

    pub(super) fn add(&mut self, plan: Arc<CheckerPlan>) -> ProbeId {
        self.made += 1;
        let probe = Probe {
            plan,
            users: SmallVec::new(),
            due: None,
            runs: false,
            again: false,
            url: 0,
            took_us: 0,
            slow: false,
        };
        if let Some(slot) = self.free.pop()
            && let Some(place) = self.slots.get_mut(slot as usize)
        {
            place.probe = Some(probe);
            return ProbeId { slot, generation: place.generation };
        }
        let slot = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.slots.push(Slot { generation: 0, probe: Some(probe) });
        ProbeId { slot, generation: 0 }
    }

    pub(super) fn get(&self, id: ProbeId) -> Option<&Probe> {
        let slot = self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.probe.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: ProbeId) -> Option<&mut Probe> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.probe.as_mut()
    }

    /// Room for so many, when the first ones come.
    pub(super) fn reserve(&mut self, count: usize) {
        if self.slots.is_empty() {
            self.slots.reserve_exact(count);
        }
    }

    /// All, in the order of their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ProbeId, &Probe)> {
        (0u32..).zip(&self.slots).filter_map(|(slot, place)| {
            let id = ProbeId { slot, generation: place.generation };
            place.probe.as_ref().map(|probe| (id, probe))
        })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Probe> {
        self.slots.iter_mut().filter_map(|slot| slot.probe.as_mut())
    }

    /// Lets go of all that nobody uses: who they were.
    pub(super) fn drop_unused(&mut self) -> Vec<ProbeId> {
        let unused: Vec<ProbeId> =
            self.iter().filter(|(_, probe)| probe.users.is_empty()).map(|(id, _)| id).collect();
        for id in &unused {
            self.schedule(*id, None);
            if let Some(slot) = self.slots.get_mut(id.slot as usize) {
                slot.probe = None;
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(id.slot);
            }
        }
        unused
    }

    /// When it is to run next; one that is told never is.
    pub(super) fn schedule(&mut self, id: ProbeId, at: Option<Instant>) {
        let Some((due, lane)) = self.get(id).and_then(|probe| Some((probe.due, probe.lane()?))) else {
            return;
        };
        let schedule = &mut self.schedules[lane as usize];
        if let Some(due) = due {
            schedule.remove(due, id);
        }
        if let Some(at) = at {
            schedule.add(at, id);
        }
        if let Some(probe) = self.get_mut(id) {
            probe.due = at;
        }
    }

    /// Whether a run of it is under way or planned.
    pub(super) fn is_awaited(&self, id: ProbeId) -> bool {
        self.get(id).is_some_and(|probe| probe.runs || probe.due.is_some())
    }

    /// The one of that lane that has been due for longest, now running.
    pub(super) fn pop_due(&mut self, lane: Lane, now: Instant) -> Option<(ProbeId, &mut Probe)> {
        let id = self.schedules[lane as usize].pop_due(now)?;
        let probe = self.get_mut(id)?;
        probe.due = None;
        probe.runs = true;
        Some((id, probe))
    }

    /// When the next one of that lane is due.
    pub(super) fn deadline(&self, lane: Lane) -> Option<Instant> {
        self.schedules[lane as usize].next()
    }

    /// Takes the result of a run: in which lane the next one queues depends on it.
    pub(super) fn ended(&mut self, id: ProbeId, took: Duration, slow: bool) {
        self.schedule(id, None);
        if let Some(probe) = self.get_mut(id) {
            probe.took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            probe.slow = slow;
        }
    }
}
