//! Checkers with equal plans share a probe; who comes later hears what it has found already.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::super::health::{Flip, Health};
use super::super::outcome::Weight;
use super::super::plan::CheckerPlan;
use super::super::schedule::ProbeId;
use super::probes::{Place, Probes};
use super::result::Effect;
use super::{Farm, Reaction, ServiceState, checker_at, is_suspended, report};

/// What the results of a probe have made of one of its users.
#[derive(Clone, Debug)]
struct Verdict {
    health: Health,
    weight: Option<Weight>,
}

/// Who shares with whom, during one reload.
#[derive(Debug, Default)]
pub(super) struct Shares {
    by_plan: HashMap<Arc<CheckerPlan>, ProbeId>,
    verdicts: HashMap<ProbeId, Verdict>,
    /// New users of probes that have a verdict.
    joined: Vec<(Place, ProbeId)>,
}

impl Shares {
    /// What can be shared before a reload. A probe without a user whose checks go on has no verdict of now.
    pub(super) fn before(farm: &Farm) -> Self {
        let mut shares = Self::default();
        for (id, probe) in farm.probes.iter().filter(|(_, probe)| probe.is_shared()) {
            shares.by_plan.insert(Arc::clone(&probe.plan), id);
            let proven = |place: &&Place| {
                !is_suspended(&farm.services, &farm.carried, **place)
                    && checker_at(&farm.services, **place)
                        .is_some_and(|checker| checker.known && checker.health.is_proven())
            };
            let user = probe.users.iter().find(proven);
            if let Some(checker) = user.and_then(|place| checker_at(&farm.services, *place)) {
                let verdict = Verdict { health: checker.health.clone(), weight: checker.weight };
                shares.verdicts.insert(id, verdict);
            }
        }
        shares
    }

    /// The probe for a new checker, and whether it was made for it.
    pub(super) fn probe(&mut self, plan: &Arc<CheckerPlan>, probes: &mut Probes) -> (ProbeId, bool) {
        if let Some(id) = self.by_plan.get(plan) {
            return (*id, false);
        }
        let id = probes.add(Arc::clone(plan));
        if probes.get(id).is_some_and(super::Probe::is_shared) {
            self.by_plan.insert(Arc::clone(plan), id);
        }
        (id, true)
    }

    /// Notes a new user of a probe that was there before it.
    pub(super) fn join(&mut self, place: Place, id: ProbeId) {
        if self.verdicts.contains_key(&id) {
            self.joined.push((place, id));
        }
    }
}

impl Farm {
    /// Lets new users hear what is known already, as if it had just been found for them.
    pub(super) fn hear_shared(&mut self, shares: Shares, now: Instant, reaction: &mut Reaction) {
        for (place, id) in shares.joined {
            let Some(verdict) = shares.verdicts.get(&id) else { continue };
            // Without an address here it stays what it was, as it would with a probe of its own.
            if !is_suspended(&self.services, &self.carried, place) {
                self.adopt(place, id, verdict, now, reaction);
            }
        }
    }

    fn adopt(&mut self, place: Place, id: ProbeId, verdict: &Verdict, now: Instant, reaction: &mut Reaction) {
        let Some(plan) = self.probes.get(id).map(|probe| Arc::clone(&probe.plan)) else { return };
        let checker = self
            .services
            .get_mut(place.service())
            .and_then(|service| service.reals.get_mut(place.real()))
            .and_then(|real| real.checkers.get_mut(place.checker()));
        let Some(checker) = checker else { return };
        let flip = match (checker.health.is_up(), verdict.health.is_up()) {
            (false, true) => Some(Flip::Up),
            (true, false) => Some(Flip::Down),
            (true, true) | (false, false) => None,
        };
        let moved = checker.weight != verdict.weight;
        checker.health = verdict.health.clone();
        checker.weight = verdict.weight;
        checker.known = true;
        if flip.is_some() || moved {
            let effect = Effect { flip, failed: false };
            self.follow(place, &plan, &effect, |_| report::shared_words(&plan, flip), now, reaction);
        }
    }

    /// Finds the users of all probes again, after a reload: everybody may stand elsewhere.
    pub(super) fn place_users(&mut self) {
        for probe in self.probes.iter_mut() {
            probe.users.clear();
        }
        for (place, checker) in checkers(&self.services) {
            use_at(&mut self.probes, checker.probe, place);
        }
        for service in &mut self.services {
            keep_once(&self.probes, service);
        }
    }

    /// Before a reload that leaves everybody where they are: takes these services out. The probes that they had.
    pub(super) fn leave(&mut self, changed: &[usize]) -> Vec<ProbeId> {
        let mut probes = Vec::new();
        for s in changed {
            let Some(service) = self.services.get(*s) else { continue };
            for (r, real) in service.reals.iter().enumerate() {
                if let Some(at) = real.past.as_ref().and_then(|past| past.armed) {
                    self.timers.remove(&(at, *s, r));
                }
                probes.extend(real.checkers.iter().map(|checker| checker.probe));
            }
        }
        probes
    }

    /// After such a reload: finds the users of what these services have, and had. All of these probes.
    pub(super) fn place_again(&mut self, changed: &[usize], mut probes: Vec<ProbeId>) -> Vec<ProbeId> {
        let places = |s: usize| {
            let reals = self.services.get(s).map_or(&[][..], |service| &service.reals);
            reals.iter().enumerate().flat_map(move |(r, real)| {
                let checkers = real.checkers.iter().enumerate();
                checkers.map(move |(c, checker)| (Place::new(s, r, c), checker.probe))
            })
        };
        let new: Vec<(Place, ProbeId)> = changed.iter().copied().flat_map(places).collect();
        for id in &probes {
            if let Some(probe) = self.probes.get_mut(*id) {
                probe.users.retain(|place| changed.binary_search(&place.service()).is_err());
            }
        }
        for (place, id) in new {
            if let Some(probe) = self.probes.get_mut(id) {
                let at = probe.users.partition_point(|user| *user < place);
                probe.users.insert(at, place);
            }
            probes.push(id);
        }
        for s in changed {
            if let Some(service) = self.services.get_mut(*s) {
                keep_once(&self.probes, service);
            }
        }
        probes.sort_unstable();
        probes.dedup();
        probes
    }
}

/// Notes a user of a probe. Those behind it are noted later.
fn use_at(probes: &mut Probes, id: ProbeId, place: Place) {
    let Some(probe) = probes.get_mut(id) else { return };
    probe.users.push(place);
}

/// What a reload brought again is kept once.
fn keep_once(probes: &Probes, service: &mut ServiceState) {
    let mut doubles = Vec::new();
    for (r, (plan, real)) in service.plan.reals.iter().zip(&service.reals).enumerate() {
        for (c, (known, checker)) in plan.checkers.iter().zip(&real.checkers).enumerate() {
            let kept = probes.get(checker.probe).map(|probe| &probe.plan);
            if let Some(kept) = kept.filter(|kept| !Arc::ptr_eq(kept, known)) {
                doubles.push((r, c, Arc::clone(kept)));
            }
        }
    }
    if doubles.is_empty() {
        return;
    }
    let plan = Arc::make_mut(&mut service.plan);
    for (r, c, kept) in doubles {
        if let Some(known) = plan.reals.get_mut(r).and_then(|real| real.checkers.get_mut(c)) {
            *known = kept;
        }
    }
}

/// All checkers with their places, in the order of the file.
pub(super) fn checkers(services: &[ServiceState]) -> impl Iterator<Item = (Place, &super::CheckerState)> {
    services.iter().enumerate().flat_map(|(s, service)| {
        service.reals.iter().enumerate().flat_map(move |(r, real)| {
            real.checkers.iter().enumerate().map(move |(c, checker)| (Place::new(s, r, c), checker))
        })
    })
}
