//! `drain_on_removal`: a real server that a reload takes away, or that somebody disables, stays with weight 0 until its
//! connections are over, or its time is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::desired::{self, RealNow};
use super::super::members::Member;
use super::super::plan::{RealPlan, VirtualPlan};
use super::{Farm, Note, Reaction, ServiceState};
use crate::config::model::AdminState;
use crate::ipvs::table::{DestinationKey, ServiceKey, VirtualService};

/// From the wish for weight 0 until it is in the kernel for sure, and no new connection comes.
const SETTLING: Duration = Duration::from_secs(1);

/// A real server on its way out.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) plan: RealPlan,
    pub(super) until: Instant,
    /// Since when.
    pub(super) since: Instant,
    /// Its connections when they were last counted, active and inactive, over all services.
    pub(super) connections: Option<u64>,
}

/// The destinations that a service has without those on their way out: who is not among them has nothing to drain.
pub(super) fn present(service: &ServiceState) -> BTreeSet<DestinationKey> {
    let now: Vec<RealNow> = service.now().copied().collect();
    let Some(member) = service.plan.members.first() else { return BTreeSet::new() };
    let tiers = service.tiers.serving(service.plan.tiers);
    let table = desired::service(&service.plan, member, &now, service.serving(), &tiers);
    let there = |real: &&RealPlan| table.destinations.contains_key(&real.at(&member.key));
    service.plan.reals.iter().filter(there).map(|real| real.key).collect()
}

/// Puts those on their way out into a service; one that is in use otherwise stays as it is.
pub(super) fn add(draining: &[Draining], member: &Member, table: &mut VirtualService) {
    for one in draining {
        table.destinations.entry(one.plan.at(&member.key)).or_insert_with(|| desired::drained(&one.plan));
    }
}

/// Who is on the way out after a reload: those of before and those that it took away or disabled, as far as the file wants
/// it and they did not come back.
pub(super) fn after(
    plan: &VirtualPlan,
    before: Vec<Draining>,
    leaving: impl IntoIterator<Item = RealPlan>,
    now: Instant,
    reaction: &mut Reaction,
) -> Vec<Draining> {
    let Some(longest) = plan.drain else { return Vec::new() };
    let mut draining = before;
    let stays = |key| plan.reals.iter().find(|real| real.key == key);
    draining.retain(|one| stays(one.plan.key).is_none_or(|real| real.state == AdminState::Disabled));
    for real in leaving {
        let verb = if stays(real.key).is_some() { "disabled" } else { "removed" };
        let text = format!(
            "real server {} of {} is {verb}: weight 0 until its connections are over, {} s at most",
            real.name(),
            plan.name,
            longest.as_secs_f64()
        );
        reaction.notes.push(Note { loud: true, text });
        draining.push(Draining { plan: real, until: now + longest, since: now, connections: None });
    }
    draining
}

impl Farm {
    /// True while somebody is on the way out, whose connections are worth counting.
    pub const fn drains(&self) -> bool {
        self.drain_until.is_some()
    }

    /// Takes counts of connections, active and inactive together, from `now` or later. `None`: it is not known, and nothing
    /// follows from it. Who has none in all of its services goes, but for those whose weight 0 may not be in the kernel yet.
    pub fn count(
        &mut self,
        connections: impl Fn(ServiceKey, DestinationKey) -> Option<u32>,
        now: Instant,
    ) -> Reaction {
        let mut reaction = Reaction::default();
        for service in &mut self.services {
            let keys: Vec<ServiceKey> = service.plan.members.iter().map(|member| member.key).collect();
            for one in &mut service.draining {
                let counts = keys.iter().map(|key| connections(*key, one.plan.at(key)).map(u64::from));
                one.connections = counts.sum::<Option<u64>>();
                if one.connections == Some(0) && now >= one.since + SETTLING {
                    one.until = now;
                }
            }
        }
        self.drain_until = self.first_drained();
        self.drop_drained(now, &mut reaction);
        reaction
    }

    /// Lets those go whose time is over.
    pub(super) fn drop_drained(&mut self, now: Instant, reaction: &mut Reaction) {
        if self.drain_until.is_none_or(|until| until > now) {
            return;
        }
        for service in &mut self.services {
            for gone in service.draining.extract_if(.., |one| one.until <= now) {
                let why = match gone.connections {
                    Some(0) => "it has no connections".to_owned(),
                    Some(rest) => format!("its time is over, {rest} connections break"),
                    None => "its time is over".to_owned(),
                };
                let text =
                    format!("real server {} of {} is drained: {why}", gone.plan.name(), service.plan.name);
                reaction.notes.push(Note { loud: true, text });
            }
        }
        self.drain_until = self.first_drained();
        self.changed = true;
    }

    /// When the first one's time is over.
    pub(super) fn first_drained(&self) -> Option<Instant> {
        self.services.iter().flat_map(|service| &service.draining).map(|one| one.until).min()
    }
}
