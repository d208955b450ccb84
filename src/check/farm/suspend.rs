//! `ha_suspend`: checks run only while the address of their virtual server is on this host. A suspended real server stays
//! what it was, as in keepalived.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use super::super::plan::VirtualPlan;
use super::super::schedule::ProbeId;
use super::{Farm, Note, Reaction};

pub(super) fn is_suspended(plan: &VirtualPlan, carried: &BTreeSet<IpAddr>) -> bool {
    plan.suspend.is_some_and(|address| !carried.contains(&address))
}

impl Farm {
    /// Takes the addresses of this host, of which only those matter that a virtual server with `ha_suspend` has: checks
    /// whose address went are not started any more, checks whose address came are due at once.
    pub fn carry(&mut self, carried: BTreeSet<IpAddr>, now: Instant) -> Reaction {
        let mut reaction = Reaction::default();
        let mut woken = BTreeSet::new();
        for (s, service) in self.services.iter().enumerate() {
            let (was, is) =
                (is_suspended(&service.plan, &self.carried), is_suspended(&service.plan, &carried));
            if was != is {
                let verb =
                    if is { "are suspended: its address is not here" } else { "go on: its address is here" };
                let text = format!("checks of virtual server {} {verb}", service.plan.name);
                reaction.notes.push(Note { loud: true, text });
            }
            if was && !is {
                woken.insert(s);
            }
        }
        self.carried = carried;
        self.suspend(&woken, now);
        reaction
    }

    /// Brings the schedules in line with what is carried. `woken`: services whose checks are due at once, whoever else
    /// they share them with.
    pub(super) fn suspend(&mut self, woken: &BTreeSet<usize>, now: Instant) {
        let all: Vec<ProbeId> = self.probes.iter().map(|(id, _)| id).collect();
        self.suspend_those(&all, woken, now);
    }

    /// The same for these probes.
    pub(super) fn suspend_those(&mut self, probes: &[ProbeId], woken: &BTreeSet<usize>, now: Instant) {
        let mut changes = Vec::new();
        // One that is told has no runs to stop.
        let runs = probes.iter().filter_map(|id| Some((*id, self.probes.get(*id)?)));
        for (id, probe) in runs.filter(|(_, probe)| probe.lane().is_some()) {
            let goes_on =
                probe.users.iter().any(|place| !super::is_suspended(&self.services, &self.carried, *place));
            let wakes = || probe.users.iter().any(|place| woken.contains(&place.service()));
            if !goes_on {
                changes.push((id, None));
            } else if !probe.runs && (!self.probes.is_awaited(id) || wakes()) {
                changes.push((id, Some(now)));
            }
        }
        for (id, at) in changes {
            self.probes.schedule(id, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::outcome::{Outcome, Success};
    use super::super::super::plan::Plan;
    use super::super::Lane;
    use super::*;
    use crate::clock;
    use crate::config::model::{Config, Global, RealServer, TcpCheck, VirtualServer};

    fn vip() -> IpAddr {
        [10, 0, 0, 1].into()
    }

    fn config(ha_suspend: bool) -> Config {
        let mut real = RealServer::new([10, 1, 0, 1].into());
        real.tcp_check = vec![TcpCheck::default()];
        let server = VirtualServer {
            address: Some(vip()),
            port: Some(80),
            ha_suspend,
            real_server: vec![real],
            ..VirtualServer::default()
        };
        Config { virtual_server: vec![server.into()], ..Config::default() }
    }

    fn far(now: Instant) -> Instant {
        now + Duration::from_secs(3600)
    }

    #[test]
    fn checks_run_only_while_the_address_is_here() {
        let now = clock::now();
        let (mut farm, _) = Farm::start(Plan::new(&config(true)), 1, now);
        assert_eq!(farm.deadline(Lane::Connections), None);
        assert!(farm.status().services[0].suspended && farm.status().services[0].reals[0].assumed());
        // It is in service all the same, as at the start of keepalived.
        assert_eq!(farm.table().values().map(|service| service.destinations.len()).sum::<usize>(), 1);

        let reaction = farm.carry([vip()].into(), now);
        assert_eq!(reaction.notes.len(), 1);
        assert!(!farm.status().services[0].suspended);
        assert_eq!(farm.deadline(Lane::Connections), Some(now));
        let job = farm.due(Lane::Connections, now).unwrap();
        // The address goes while the check runs: its result counts for nothing, and nothing is due.
        farm.carry(BTreeSet::new(), now);
        let outcome = Outcome { result: Ok(Success::default()), took: Duration::ZERO };
        farm.observe(job.id, &outcome, now);
        assert!(farm.due(Lane::Connections, far(now)).is_none());

        farm.carry([vip()].into(), now);
        let job = farm.due(Lane::Connections, now).unwrap();
        // Gone and back while it runs: no second run beside it, and it goes on after its result.
        farm.carry(BTreeSet::new(), now);
        farm.carry([vip()].into(), now);
        assert!(farm.due(Lane::Connections, far(now)).is_none());
        farm.observe(job.id, &outcome, now);
        assert!(farm.due(Lane::Connections, far(now)).is_some());
    }

    #[test]
    fn a_reload_suspends_and_wakes() {
        let now = clock::now();
        let (mut farm, _) = Farm::start(Plan::new(&config(false)), 1, now);
        assert!(farm.deadline(Lane::Connections).is_some());
        farm.reload(Plan::new(&config(true)), now);
        assert_eq!(farm.deadline(Lane::Connections), None);
        farm.reload(Plan::new(&config(false)), now);
        assert!(farm.deadline(Lane::Connections).is_some());
    }

    #[test]
    fn beginnings_are_told_when_asked_for() {
        let now = clock::now();
        let told = |rs_init_notifies| {
            let global = Global { rs_init_notifies, ..Global::default() };
            let (_, reaction) =
                Farm::start(Plan::new(&Config { global_defs: global, ..config(false) }), 1, now);
            reaction.events.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(None).len(), 1);
        let events = told(Some(true));
        assert_eq!(events.len(), 2);
        assert_eq!(events[0], "real server 10.1.0.1:80 of UDP 10.0.0.1:80 is up: at start");
    }
}
