//! One service's destinations for every state.

use super::super::plan::{RealRules, SorryPlan};
use super::super::quorum;
use super::super::tiers;
use super::*;
use crate::ipvs::table::{DestinationKey, Forward, Protocol, Service, ServiceKey};

const NO_TIERS: tiers::Rules = tiers::Rules { least: 0, hysteresis: 0, mode: tiers::Mode::TakeOver };

fn key(last: u8) -> DestinationKey {
    DestinationKey { address: [10, 0, 0, last].into(), port: 80 }
}

fn service_key(port: u16) -> ServiceKey {
    ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, 1].into(), port }
}

fn real(last: u8, inhibit: bool) -> RealPlan {
    RealPlan {
        key: key(last),
        port: Some(80),
        named: 80,
        rules: RealRules {
            forward: Forward::Masquerade,
            weight: 5,
            upper_threshold: 100,
            lower_threshold: 50,
            inhibit,
            tier: 0,
            sorry: false,
            state: AdminState::Enabled,
            slow_start: None,
            damping: None,
            notify_up: None,
            notify_down: None,
            smtp_alert: false,
        }
        .into(),
        checkers: Default::default(),
    }
}

fn plan(inhibit: bool, sorry: Option<(u8, bool)>) -> VirtualPlan {
    VirtualPlan {
        name: service_key(80).into(),
        number: 0,
        suspend: None,
        members: vec![Member { key: service_key(80), service: Service::plain("rr") }],
        quorum: quorum::Rules { quorum: 1, hysteresis: 0 },
        quorum_up: None,
        quorum_down: None,
        omega: false,
        smtp_alert: false,
        sorry: sorry.map(|(last, inhibit)| SorryPlan {
            key: key(last),
            port: None,
            forward: Forward::DirectRoute,
            inhibit,
        }),
        tier_count: 1,
        tiers: NO_TIERS,
        drain: None,
        reals: vec![real(3, inhibit), real(4, inhibit)],
    }
}

/// Destinations as (last octet, weight).
fn shown(plan: &VirtualPlan, up: [bool; 2], serving: Serving) -> Vec<(u8, u32)> {
    let now = up.map(|up| RealNow::full(up, 5));
    service(plan, &plan.members[0], &now, serving, &[])
        .destinations
        .iter()
        .map(|(key, destination)| {
            let std::net::IpAddr::V4(v4) = key.address else { panic!() };
            (v4.octets()[3], destination.weight)
        })
        .collect()
}

#[test]
fn every_state() {
    use Serving::{RealServers, SorryServer};
    let (plain, inhibit) = (plan(false, None), plan(true, None));
    assert_eq!(shown(&plain, [true, true], RealServers), [(3, 5), (4, 5)]);
    assert_eq!(shown(&plain, [true, false], RealServers), [(3, 5)]);
    assert_eq!(shown(&plain, [false, false], RealServers), []);
    assert_eq!(shown(&inhibit, [true, false], RealServers), [(3, 5), (4, 0)]);

    let sorry = plan(false, Some((9, false)));
    assert_eq!(shown(&sorry, [true, true], RealServers), [(3, 5), (4, 5)]);
    assert_eq!(shown(&sorry, [true, false], SorryServer), [(9, 1)]);
    let kept = plan(true, Some((9, true)));
    assert_eq!(shown(&kept, [true, false], RealServers), [(3, 5), (4, 0), (9, 0)]);
    assert_eq!(shown(&kept, [true, false], SorryServer), [(3, 0), (4, 0), (9, 1)]);
}

#[test]
fn a_sorry_server_that_is_a_real_server_has_one_entry() {
    use Serving::{RealServers, SorryServer};
    let both = plan(false, Some((4, true)));
    assert_eq!(shown(&both, [true, true], RealServers), [(3, 5), (4, 5)]);
    assert_eq!(shown(&both, [true, false], RealServers), [(3, 5)]);
    assert_eq!(shown(&both, [false, false], SorryServer), [(4, 1)]);
    let inhibited = plan(true, Some((4, false)));
    assert_eq!(shown(&inhibited, [true, false], RealServers), [(3, 5), (4, 0)]);
}

#[test]
fn settings_come_from_the_real_server() {
    let plan = plan(false, Some((9, true)));
    let table = service(&plan, &plan.members[0], &[RealNow::full(true, 7); 2], Serving::RealServers, &[]);
    assert_eq!(table.service, plan.members[0].service);
    let wanted =
        Destination { forward: Forward::Masquerade, weight: 7, upper_threshold: 100, lower_threshold: 50 };
    assert_eq!(table.destinations[&key(3)], wanted);
    let wanted =
        Destination { forward: Forward::DirectRoute, weight: 0, upper_threshold: 0, lower_threshold: 0 };
    assert_eq!(table.destinations[&key(9)], wanted);
}

/// Each service of a group has the same servers with the same weights, behind its own port where the method maps none.
#[test]
fn members_of_a_group_share_the_servers() {
    let mut plan = plan(false, None);
    plan.name = crate::check::Identity::Group { name: "web".to_owned(), protocol: Some(Protocol::Tcp) };
    plan.reals[1].port = Some(0);
    plan.members =
        [80, 81].map(|port| Member { key: service_key(port), service: Service::plain("rr") }).into();
    let now = [RealNow::full(true, 7); 2];
    let ports = |plan: &VirtualPlan, member: usize| -> Vec<u16> {
        let table = service(plan, &plan.members[member], &now, Serving::RealServers, &[]);
        table.destinations.keys().map(|key| key.port).collect()
    };
    assert_eq!([ports(&plan, 0), ports(&plan, 1)], [[80, 0], [80, 0]]);
    for real in &mut plan.reals {
        real.forward = Forward::DirectRoute;
    }
    assert_eq!([ports(&plan, 0), ports(&plan, 1)], [[80, 80], [81, 81]]);
}

/// Tiers that do not serve stay with weight 0: what they have may end.
#[test]
fn a_tier_that_does_not_serve_gets_nothing_new() {
    let mut plan = plan(false, None);
    plan.reals[1].tier = 1;
    plan.tier_count = 2;
    let weights = |up: [bool; 2], tiers: &[bool]| -> Vec<u32> {
        let now = up.map(|up| RealNow::full(up, 5));
        let table = service(&plan, &plan.members[0], &now, Serving::RealServers, tiers);
        table.destinations.values().map(|destination| destination.weight).collect()
    };
    assert_eq!(weights([true, true], &[true, false]), [5, 0]);
    assert_eq!(weights([false, true], &[false, true]), [5]);
    assert_eq!(weights([true, false], &[true, false]), [5]);
    assert_eq!(weights([true, true], &[true, true]), [5, 5]);
    let now = [RealNow::full(true, 5), RealNow::full(false, 5)];
    assert_eq!(
        tier_weights(&plan, &now),
        [Weights { configured: 5, healthy: 5 }, Weights { configured: 5, healthy: 0 }]
    );
}

#[test]
fn sorry_servers_with_checks_come_before_the_one_without() {
    let mut plan = plan(false, Some((9, false)));
    plan.reals[1].sorry = true;
    let lost = Quorum::start(plan.quorum, 0);
    let gained = Quorum::start(plan.quorum, 5);
    let now = |first, second| [RealNow::full(first, 5), RealNow::full(second, 5)];
    assert_eq!(serving(&plan, &now(false, true), lost), Serving::SorryPool);
    assert_eq!(serving(&plan, &now(false, false), lost), Serving::SorryServer);
    assert_eq!(serving(&plan, &now(true, true), gained), Serving::RealServers);
    assert_eq!(sum(&plan, &now(true, true)), 5);
    assert_eq!(sum(&plan, &now(false, true)), 0);
    assert_eq!(shown(&plan, [true, true], Serving::RealServers), [(3, 5)]);
    assert_eq!(shown(&plan, [true, true], Serving::SorryPool), [(4, 5)]);
    assert_eq!(shown(&plan, [true, true], Serving::SorryServer), [(9, 1)]);
    plan.sorry = None;
    assert_eq!(serving(&plan, &now(true, false), lost), Serving::RealServers);
}

#[test]
fn a_server_that_came_back_has_a_part_of_its_weight() {
    let plan = plan(false, None);
    let now = [RealNow { up: true, weight: 50, tenths: 3 }, RealNow::full(true, 50)];
    let table = service(&plan, &plan.members[0], &now, Serving::RealServers, &[]);
    let weights: Vec<u32> = table.destinations.values().map(|destination| destination.weight).collect();
    assert_eq!(weights, [15, 50]);
    // For the quorum it is whole.
    assert_eq!(sum(&plan, &now), 100);
}
