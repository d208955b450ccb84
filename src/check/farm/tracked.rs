//! What is known of the quorums that somebody goes by.

use super::super::tracked::{Names, QuorumNow, Quorums};
use super::{Farm, ServiceState};

impl Farm {
    /// What is known of these quorums, and whether that is all that can be known: see [`Quorums`]. What has no virtual
    /// server is left out.
    pub fn quorums(&self, names: &Names) -> (Quorums, bool) {
        let (mut known, mut all) = (Quorums::new(), true);
        let named = self.services.iter().map(|service| (service.plan.name.to_string(), service));
        for (name, service) in named.filter(|(name, _)| names.contains(name)) {
            let (quorum, up) = (service.plan.quorum.quorum, service.quorum.is_up());
            if up || has_spoken(service) {
                known.insert(name, QuorumNow { up, weight: service.sum(), quorum });
            } else {
                all = false;
            }
        }
        (known, all)
    }
}

/// Every check that counts for the quorum has had a result.
fn has_spoken(service: &ServiceState) -> bool {
    let mut reals = service.plan.reals.iter().zip(&service.reals).filter(|(plan, _)| !plan.sorry);
    reals.all(|(_, real)| real.checkers.iter().all(|checker| checker.known))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::outcome::{Failure, Outcome};
    use super::super::super::plan::Plan;
    use super::super::Lane;
    use super::*;
    use crate::clock;
    use crate::config::model::{Config, Protocol, RealServer, TcpCheck, VirtualServer};

    const NAME: &str = "TCP 10.0.0.1:80";

    fn config(alpha: bool, reals: u8) -> Config {
        let real = |n| {
            let mut real = RealServer::new([10, 1, 0, n].into());
            real.tcp_check = vec![TcpCheck::default()];
            real
        };
        let mut sorry = real(99);
        sorry.sorry = true;
        let server = VirtualServer {
            address: Some([10, 0, 0, 1].into()),
            port: Some(80),
            protocol: Some(Protocol::Tcp),
            alpha,
            quorum: Some(reals.into()),
            real_server: (1..=reals).map(real).chain([sorry]).collect(),
            ..VirtualServer::default()
        };
        Config { virtual_server: vec![server.into()], ..Config::default() }
    }

    fn told(farm: &Farm) -> (Option<(bool, u32)>, bool) {
        let (known, all) = farm.quorums(&[NAME.to_owned(), "TCP 10.0.0.2:80".to_owned()].into());
        assert!(known.keys().all(|name| name == NAME), "what is not there is not known: {known:?}");
        (known.get(NAME).map(|now| (now.up, now.weight)), all)
    }

    #[test]
    fn a_quorum_is_lost_when_every_check_has_said_so() {
        let now = clock::now();
        let (trusting, _) = Farm::start(Plan::new(&config(false, 2)), 1, now);
        assert_eq!(told(&trusting), (Some((true, 2)), true), "up until a check says otherwise");
        let (mut farm, _) = Farm::start(Plan::new(&config(true, 2)), 1, now);
        let (mut left, mut at) = (2, now);
        while left > 0 {
            assert_eq!(told(&farm), (None, false), "{left} checks have not spoken");
            at += Duration::from_millis(100);
            assert!(at < now + Duration::from_secs(600), "no check is due");
            let Some(job) = farm.due(Lane::Connections, at) else { continue };
            let target = job.plan.kind.target().expect("it connects").address;
            // Sorry servers serve while it is lost: they have no say in it.
            left -= usize::from(target.ip() != std::net::IpAddr::from([10, 1, 0, 99]));
            let outcome = Outcome { result: Err(Failure::Refused), took: Duration::ZERO };
            farm.observe(job.id, &outcome, at);
        }
        assert_eq!(told(&farm), (Some((false, 0)), true));
    }
}
