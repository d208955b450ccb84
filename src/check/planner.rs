//! Plans of one configuration after the other: what has not changed is planned once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::identity::Identity;
use super::params::{Pools, virtual_plan};
use super::plan::{CheckerPlan, Plan, VirtualPlan};
use crate::config::model::{Config, VirtualServer};
use crate::ipvs::table::ServiceKey;

/// A virtual server with its plan as if it were alone; `None`: it cannot be run.
type Known = (Arc<VirtualServer>, Option<Arc<VirtualPlan>>);

/// Makes plans. A virtual server that is the same object as before, while nothing else has changed than other virtual
/// servers, is not looked at; whatever comes out equal to what was there before is the same object.
#[derive(Debug, Default)]
pub struct Planner {
    /// The virtual servers of the last configuration.
    known: Vec<Known>,
    /// All other objects of it.
    others: Config,
}

impl Planner {
    /// As [`Plan::new`].
    pub fn plan(&mut self, config: &Config) -> Plan {
        let others = config.others();
        let same_others = others == self.others;
        self.others = others;
        let known = std::mem::take(&mut self.known);
        let mut before = Before { known: &known, by_object: None, by_name: None };
        let (mut interned, pools) = (HashSet::new(), Pools::default());
        self.known = Vec::with_capacity(config.virtual_server.len());
        for (n, server) in config.virtual_server.iter().enumerate() {
            let object = server.object();
            let planned = before.object(n, object).filter(|_| same_others);
            let plan = planned.cloned().unwrap_or_else(|| {
                let mut plan = virtual_plan(config, server, &pools)?;
                let last = before.name(n, &plan.name);
                if let Some(last) = last.filter(|last| ***last == plan) {
                    return Some(Arc::clone(last));
                }
                if let Some(last) = last {
                    keep_checkers(&mut plan, last);
                }
                intern(&mut plan, &mut interned);
                Some(Arc::new(plan))
            });
            self.known.push((Arc::clone(object), plan));
        }
        let services = together(self.known.iter().filter_map(|(_, plan)| plan.clone()));
        Plan { services, init_notifies: config.global_defs.rs_init_notifies.unwrap_or(false) }
    }
}

impl Plan {
    /// Resolves a configuration. Objects that cannot be run are left out: a virtual server without address and mark,
    /// without real servers, or with the name of an earlier one; a service of the kernel that an earlier virtual server
    /// has; a real server with the key of an earlier one.
    pub fn new(config: &Config) -> Self {
        Planner::default().plan(config)
    }
}

/// What was planned before. Most stand where they stood: who looks elsewhere takes a map.
struct Before<'k> {
    known: &'k [Known],
    by_object: Option<HashMap<*const VirtualServer, usize>>,
    by_name: Option<HashMap<&'k Identity, usize>>,
}

impl<'k> Before<'k> {
    /// The plan of that object.
    fn object(&mut self, n: usize, object: &Arc<VirtualServer>) -> Option<&'k Option<Arc<VirtualPlan>>> {
        let known = self.known;
        if let Some((_, plan)) = known.get(n).filter(|(known, _)| Arc::ptr_eq(known, object)) {
            return Some(plan);
        }
        let all = || known.iter().enumerate().map(|(n, (object, _))| (Arc::as_ptr(object), n)).collect();
        let at = self.by_object.get_or_insert_with(all).get(&Arc::as_ptr(object))?;
        known.get(*at).map(|(_, plan)| plan)
    }

    /// The plan of that name.
    fn name(&mut self, n: usize, name: &Identity) -> Option<&'k Arc<VirtualPlan>> {
        let plan = |n: usize| self.known.get(n)?.1.as_ref();
        if let Some(plan) = plan(n).filter(|plan| plan.name == *name) {
            return Some(plan);
        }
        let named = |n: usize| Some((&plan(n)?.name, n));
        let by_name = self.by_name.get_or_insert_with(|| (0..self.known.len()).filter_map(named).collect());
        by_name.get(name).and_then(|at| plan(*at))
    }
}

/// Keeps the checkers that a virtual server has had: equal ones are there once.
fn keep_checkers(plan: &mut VirtualPlan, last: &VirtualPlan) {
    for real in &mut plan.reals {
        let Some(known) = last.reals.iter().find(|known| known.key == real.key) else { continue };
        for checker in &mut real.checkers {
            if let Some(equal) = known.checkers.iter().find(|known| *known == checker) {
                *checker = Arc::clone(equal);
            }
        }
    }
}

/// What virtual servers leave each other: the first one has a name and a service of the kernel.
fn together(plans: impl Iterator<Item = Arc<VirtualPlan>>) -> Vec<Arc<VirtualPlan>> {
    let (mut names, mut keys) = (HashSet::new(), HashSet::new());
    let mut numbers = BTreeMap::new();
    plans
        .filter(|plan| names.insert(plan.name.clone()))
        .filter_map(|mut plan| {
            if let Identity::Group { name, .. } = &plan.name {
                let number = numbers.entry(name.clone()).or_insert(0);
                let mine = std::mem::replace(number, *number + 1);
                if plan.number != mine {
                    Arc::make_mut(&mut plan).number = mine;
                }
            }
            let taken: Vec<ServiceKey> =
                plan.members.iter().map(|member| member.key).filter(|key| !keys.insert(*key)).collect();
            if !taken.is_empty() {
                Arc::make_mut(&mut plan).members.retain(|member| !taken.contains(&member.key));
            }
            (!plan.members.is_empty()).then_some(plan)
        })
        .collect()
}

/// Keeps each of several equal checkers once.
fn intern(service: &mut VirtualPlan, known: &mut HashSet<Arc<CheckerPlan>>) {
    for checker in service.reals.iter_mut().flat_map(|real| &mut real.checkers) {
        match known.get(&**checker) {
            Some(equal) => *checker = Arc::clone(equal),
            None => {
                known.insert(Arc::clone(checker));
            }
        }
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
