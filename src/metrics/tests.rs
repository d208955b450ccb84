//! What the text is, whoever reads it: every family once and whole, every series once, no label that breaks its line.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::control::view::{
    CountersView, DaemonView, IpvsView, LagView, OverrideView, PairDifferenceView, PairView, PeerView,
    RealServerView, TrackerView, TrafficView, VirtualServerView,
};
use crate::control::view::{GroupView, InstanceView};

/// Series with their values, after everything that the formats demand has been looked at.
fn read(text: &str, form: MetricsForm) -> BTreeMap<String, f64> {
    let open = form == MetricsForm::OpenMetrics;
    assert_eq!(text.ends_with("\n# EOF\n"), open);
    let mut series = BTreeMap::new();
    let mut closed: BTreeSet<String> = BTreeSet::new();
    let (mut family, mut kind, mut unit) = (String::new(), String::new(), String::new());
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').unwrap();
            let (name, said) = rest.split_once(' ').unwrap();
            if word == "TYPE" {
                assert!(closed.insert(name.to_owned()), "{name} stands in two places");
                (family, kind, unit) = (name.to_owned(), said.to_owned(), String::new());
            } else {
                assert_eq!(name, family, "{line}");
            }
            if word == "UNIT" {
                said.clone_into(&mut unit);
                assert!(open && name.ends_with(&format!("_{said}")), "{line}");
            }
            continue;
        }
        let (name_and_labels, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = name_and_labels.split('{').next().unwrap();
        let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} is not of {family}"));
        let allowed: &[&str] = match kind.as_str() {
            "counter" if open => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            "gauge" | "stateset" | "counter" => &[""],
            other => panic!("kind {other}"),
        };
        assert!(allowed.contains(&suffix), "{line}: {kind}");
        assert!(kind != "counter" || name.ends_with("_total"), "{line}");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(kind != "counter" || value >= 0.0, "{line}");
        assert!(series.insert(name_and_labels.to_owned(), value).is_none(), "{line} stands there twice");
    }
    series
}

fn both(seen: &Seen, detail: Detail) -> BTreeMap<String, f64> {
    let open = read(&render(seen, MetricsForm::OpenMetrics, detail), MetricsForm::OpenMetrics);
    let plain = read(&render(seen, MetricsForm::Prometheus, detail), MetricsForm::Prometheus);
    assert_eq!(open, plain, "both forms say the same");
    open
}

fn pair() -> PairView {
    let difference = |kind: &str, name: &str, has: &str| PairDifferenceView {
        kind: kind.to_owned(),
        name: name.to_owned(),
        has: has.to_owned(),
        ..PairDifferenceView::default()
    };
    PairView {
        peer: "10.0.0.2:9651".to_owned(),
        state: "differs".to_owned(),
        heard_ago: Some(2.5),
        agrees: Some(false),
        differences: vec![
            difference("vrrp_instance", "VI_1", "both"),
            difference("vrrp_instance", "VI_9", "there"),
            difference("virtual_server", "TCP 192.0.2.9:80", "there"),
            difference("override", "10.0.0.3:80 of TCP 192.0.2.1:80", "here"),
        ],
        requests_answered: 7,
        requests_refused: BTreeMap::from([("not_authenticated".to_owned(), 2)]),
        ..PairView::default()
    }
}

#[test]
fn the_other_director() {
    let series = both(&seen(), Detail::RealServers);
    let agrees = |kind: &str, name: &str| {
        series.get(&format!("tandem_peer_config_agrees{{kind=\"{kind}\",name=\"{name}\"}}")).copied()
    };
    assert_eq!(agrees("vrrp_instance", "VI_1"), Some(0.0));
    assert_eq!(agrees("vrrp_instance", "VI_9"), Some(0.0));
    assert_eq!(agrees("vrrp_sync_group", "G"), Some(1.0));
    assert_eq!(agrees("virtual_server", "TCP 192.0.2.1:80"), Some(1.0));
    assert_eq!(agrees("virtual_server", "TCP 192.0.2.9:80"), Some(0.0));
    assert_eq!(agrees("override", "10.0.0.3:80 of TCP 192.0.2.1:80"), None);
    for (name, value) in [
        ("tandem_peer_up", 1.0),
        ("tandem_peer_agrees", 0.0),
        ("tandem_peer_last_heard_age_seconds", 2.5),
        ("tandem_peer_state{tandem_peer_state=\"differs\"}", 1.0),
        ("tandem_peer_state{tandem_peer_state=\"silent\"}", 0.0),
        ("tandem_peer_differences{kind=\"vrrp_instance\"}", 2.0),
        ("tandem_peer_differences{kind=\"override\"}", 1.0),
        ("tandem_peer_requests_total{result=\"answered\"}", 7.0),
        ("tandem_peer_requests_total{result=\"not_authenticated\"}", 2.0),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name}");
    }
    // More differences than are named: what is not named may be any of them.
    let mut more = seen();
    more.status.pair.as_mut().unwrap().more_differences = 3;
    let series = both(&more, Detail::RealServers);
    assert!(!series.keys().any(|name| name.contains("config_agrees") && name.contains("192.0.2.1:80")));
    assert_eq!(series["tandem_peer_differences{kind=\"not_named\"}"], 3.0);
    // Nothing where the file names nobody.
    more.status.pair = None;
    assert!(!both(&more, Detail::RealServers).keys().any(|name| name.starts_with("tandem_peer")));
}

fn seen() -> Seen {
    let real = |name: &str, up, admin: &str| RealServerView {
        name: name.to_owned(),
        admin_state: admin.to_owned(),
        up,
        weight: u32::from(up == Some(true)) * 10,
        weight_configured: Some(10),
        connections: Some(9),
        active: Some(4),
        traffic: Some(TrafficView { connections: 77, bytes_out: 1 << 60, ..TrafficView::default() }),
        ..RealServerView::default()
    };
    let drained = RealServerView {
        overridden: Some(OverrideView {
            change: "drain".to_owned(),
            at: Some("2026-11-21T18:00:00Z".to_owned()),
            ..OverrideView::default()
        }),
        warning: Some("certificate ends".to_owned()),
        certificate_ends: Some("2026-12-01T18:00:00.000Z".to_owned()),
        ..real("10.0.0.3:80", Some(true), "drain")
    };
    let status = StatusView {
        at: "2026-11-21T18:10:00.500Z".to_owned(),
        daemon: DaemonView {
            tandem: "0.1.0".to_owned(),
            host: "director-1".to_owned(),
            running: 600.5,
            config_digest: "abc".to_owned(),
            reloads: 3,
            reloads_refused: 1,
            lag: Some(LagView { worst: 0.5, worst_lately: 0.001, late: 2 }),
            ..DaemonView::default()
        },
        instances: vec![InstanceView {
            name: "VI_1".to_owned(),
            state: "MASTER".to_owned(),
            vrid: 51,
            version: 3,
            priority: 140,
            base_priority: 150,
            in_state: 60.5,
            master_since: None,
            trackers: vec![TrackerView {
                kind: "script".to_owned(),
                name: "chk".to_owned(),
                value: "down".to_owned(),
                contribution: -10,
                ..TrackerView::default()
            }],
            peers: vec![
                PeerView { address: "10.0.0.2".to_owned(), priority: 100, ago: 0.25, adverts: 5 },
                PeerView { address: "10.0.0.9".to_owned(), priority: 90, ago: 99.0, adverts: 1 },
            ],
            counters: CountersView { adverts_sent: 60, adverts_received: 6, ..CountersView::default() },
            refused: BTreeMap::from([("checksum".to_owned(), 9)]),
            transitions: BTreeMap::from([("master_down".to_owned(), 2)]),
            ..InstanceView::default()
        }],
        groups: vec![GroupView { name: "G".to_owned(), state: "MASTER".to_owned(), members: Vec::new() }],
        virtual_servers: vec![VirtualServerView {
            name: "TCP 192.0.2.1:80".to_owned(),
            quorum_up: true,
            quorum: 1,
            weight: 10,
            serving: "real_servers".to_owned(),
            real_servers: vec![
                real("10.0.0.1:80", Some(true), "enabled"),
                real("10.0.0.2:80", Some(false), "enabled"),
                drained,
                real("10.0.0.4:80", None, "enabled"),
                // A command has deleted one that stands there again: only the first counts.
                real("10.0.0.1:80", None, "deleted"),
            ],
            traffic: Some(TrafficView { connections: 100, ..TrafficView::default() }),
            ..VirtualServerView::default()
        }],
        bfd: Vec::new(),
        ipvs: IpvsView { in_order: true, repaired: 4, services: 1, ..IpvsView::default() },
        pair: Some(pair()),
    };
    let took = Spread { bounds: &[1_000, 10_000], cumulative: vec![5, 6, 7], sum: 0.75 };
    let kind = KindChecks {
        kind: "TCP_CHECK",
        succeeded: 6,
        failed: BTreeMap::from([("refused", 1)]),
        took: took.clone(),
    };
    let service = ServiceChecks { succeeded: 6, failed: 1, took };
    let services = BTreeMap::from([("TCP 192.0.2.1:80".to_owned(), service)]);
    let checks = Checks { kinds: vec![kind], services, in_flight: 2, late_results: 0, lost_events: 0 };
    Seen { status, checks: Some(checks), pair_digest: Some("def".to_owned()) }
}

#[test]
fn what_is_told() {
    let series = both(&seen(), Detail::RealServers);
    let vs = "virtual_server=\"TCP 192.0.2.1:80\"";
    for (name, value) in [
        ("tandem_up", 1.0),
        ("tandem_build_info{version=\"0.1.0\"}", 1.0),
        ("tandem_pair_config_info{digest=\"def\"}", 1.0),
        ("tandem_start_time_seconds", 1_795_284_000.0),
        ("tandem_reloads_total{result=\"refused\"}", 1.0),
        ("tandem_vrrp_wakeup_delay_worst_seconds", 0.5),
        ("tandem_vrrp_late_wakeups_total", 2.0),
        ("tandem_ipvs_drift_repaired_total", 4.0),
        ("tandem_vrrp_state{vrrp_instance=\"VI_1\",tandem_vrrp_state=\"MASTER\"}", 1.0),
        ("tandem_vrrp_state{vrrp_instance=\"VI_1\",tandem_vrrp_state=\"FAULT\"}", 0.0),
        ("tandem_vrrp_state_since_seconds{vrrp_instance=\"VI_1\"}", 1_795_284_540.0),
        ("tandem_vrrp_priority{vrrp_instance=\"VI_1\"}", 140.0),
        ("tandem_vrrp_base_priority{vrrp_instance=\"VI_1\"}", 150.0),
        ("tandem_vrrp_transitions_total{vrrp_instance=\"VI_1\",cause=\"master_down\"}", 2.0),
        ("tandem_vrrp_adverts_discarded_total{vrrp_instance=\"VI_1\",reason=\"checksum\"}", 9.0),
        ("tandem_vrrp_last_advert_age_seconds{vrrp_instance=\"VI_1\"}", 0.25),
        ("tandem_vrrp_peer_priority{vrrp_instance=\"VI_1\",peer=\"10.0.0.2\"}", 100.0),
        ("tandem_vrrp_state_changes_total{vrrp_instance=\"VI_1\"}", 2.0),
        ("tandem_vrrp_tracker_value{vrrp_instance=\"VI_1\",kind=\"script\",tracker=\"chk\"}", 0.0),
        ("tandem_vrrp_tracker_contribution{vrrp_instance=\"VI_1\",kind=\"script\",tracker=\"chk\"}", -10.0),
        ("tandem_vrrp_group_state{vrrp_group=\"G\",tandem_vrrp_group_state=\"MASTER\"}", 1.0),
        ("tandem_check_results_total{kind=\"TCP_CHECK\",result=\"success\"}", 6.0),
        ("tandem_check_results_total{kind=\"TCP_CHECK\",result=\"refused\"}", 1.0),
        ("tandem_check_duration_seconds_bucket{kind=\"TCP_CHECK\",le=\"0.01\"}", 6.0),
        ("tandem_check_duration_seconds_bucket{kind=\"TCP_CHECK\",le=\"+Inf\"}", 7.0),
        ("tandem_check_duration_seconds_sum{kind=\"TCP_CHECK\"}", 0.75),
    ] {
        assert_eq!(series.get(name), Some(&value), "{name}");
    }
    let of = |name: &str, more: &str| series.get(&format!("tandem_{name}{{{vs}{more}}}")).copied();
    for (name, more, value) in [
        ("virtual_server_quorum_up", "", Some(1.0)),
        ("virtual_server_connections_total", "", Some(100.0)),
        ("virtual_server_real_servers", ",state=\"up\"", Some(1.0)),
        ("virtual_server_real_servers", ",state=\"down\"", Some(1.0)),
        ("virtual_server_real_servers", ",state=\"drain\"", Some(1.0)),
        ("virtual_server_check_results_total", ",result=\"failure\"", Some(1.0)),
        ("virtual_server_check_duration_seconds_count", "", Some(7.0)),
        ("real_server_up", ",real_server=\"10.0.0.1:80\"", Some(1.0)),
        ("real_server_up", ",real_server=\"10.0.0.2:80\"", Some(0.0)),
        ("real_server_up", ",real_server=\"10.0.0.4:80\"", None),
        ("real_server_weight", ",real_server=\"10.0.0.2:80\"", Some(0.0)),
        ("real_server_active_connections", ",real_server=\"10.0.0.2:80\"", Some(4.0)),
        ("real_server_inactive_connections", ",real_server=\"10.0.0.2:80\"", Some(5.0)),
        // More than a float holds exactly: the digits are those that the kernel counted.
        (
            "real_server_outgoing_bytes_total",
            ",real_server=\"10.0.0.2:80\"",
            Some(1_152_921_504_606_846_976.0),
        ),
        ("real_server_warning", ",real_server=\"10.0.0.3:80\"", Some(1.0)),
        ("real_server_warning", ",real_server=\"10.0.0.1:80\"", None),
        (
            "real_server_certificate_expiry_timestamp_seconds",
            ",real_server=\"10.0.0.3:80\"",
            Some(1_796_148_000.0),
        ),
        ("real_server_certificate_expiry_timestamp_seconds", ",real_server=\"10.0.0.1:80\"", None),
        ("real_server_out_of_service", ",real_server=\"10.0.0.3:80\",admin_state=\"drain\"", Some(1.0)),
        (
            "real_server_override_since_seconds",
            ",real_server=\"10.0.0.3:80\",change=\"drain\",persisted=\"false\"",
            Some(1_795_284_000.0),
        ),
    ] {
        assert_eq!(of(name, more), value, "{name} {more}");
    }
}

/// Whoever is heard once, or sets a weight each minute, makes no series for ever.
#[test]
fn no_series_for_every_figure() {
    let mut seen = seen();
    let reals = &mut seen.status.virtual_servers[0].real_servers;
    let change = |change: &str| {
        Some(OverrideView { change: change.to_owned(), persisted: true, ..OverrideView::default() })
    };
    reals[0].overridden = change("weight 17 drain");
    reals[1].overridden = change("add like 10.0.0.1:80 weight 4");
    reals[2].overridden = change("delete");
    let series = both(&seen, Detail::RealServers);
    let vs = "virtual_server=\"TCP 192.0.2.1:80\"";
    for (real, kind, weight) in [
        ("10.0.0.1:80", "drain weight", Some(17.0)),
        ("10.0.0.2:80", "add weight", Some(4.0)),
        ("10.0.0.3:80", "delete", None),
    ] {
        let name = format!(
            "tandem_real_server_override_since_seconds{{{vs},real_server=\"{real}\",change=\"{kind}\",persisted=\"true\"}}"
        );
        assert!(series.contains_key(&name), "{name}");
        let name = format!("tandem_real_server_override_weight{{{vs},real_server=\"{real}\"}}");
        assert_eq!(series.get(&name).copied(), weight, "{name}");
    }
    assert!(!series.keys().any(|name| name.contains("10.0.0.9")), "it was last heard 99 s ago");
}

/// Of what is not known nothing is said: no zero, and no counter that falls and comes back.
#[test]
fn a_check_thread_that_is_silent() {
    let mut seen = seen();
    seen.checks = None;
    let one = &mut seen.status.virtual_servers[0];
    (one.quorum_up, one.quorum, one.weight, one.serving) = (false, 0, 0, "unknown".to_owned());
    for real in &mut one.real_servers {
        (real.up, real.weight) = (None, 0);
    }
    let series = both(&seen, Detail::RealServers);
    for told in [
        "tandem_virtual_server_quorum_up",
        "tandem_virtual_server_quorum{",
        "tandem_virtual_server_weight",
        "tandem_check_",
        "tandem_virtual_server_check_",
        "tandem_real_server_up",
        "tandem_real_server_weight",
    ] {
        assert!(!series.keys().any(|name| name.starts_with(told)), "{told} is not known");
    }
    // What the kernel says is known all the same.
    assert!(series.keys().any(|name| name.starts_with("tandem_real_server_connections_total")));
    assert!(series.keys().any(|name| name.starts_with("tandem_real_server_configured_weight")));
    assert!(!series.keys().any(|name| name.contains("owner=\"other\"")), "nobody has looked");
}

#[test]
fn suspended_checks_say_so() {
    let mut seen = seen();
    let one = &mut seen.status.virtual_servers[0];
    one.suspended = true;
    one.real_servers.iter_mut().for_each(|real| real.up = None);
    let series = both(&seen, Detail::RealServers);
    let of = |name: &str, more: &str| {
        series
            .get(&format!("tandem_virtual_server_{name}{{virtual_server=\"TCP 192.0.2.1:80\"{more}}}"))
            .copied()
    };
    assert_eq!(of("suspended", ""), Some(1.0));
    assert_eq!(
        (of("real_servers", ",state=\"down\""), of("real_servers", ",state=\"up\"")),
        (Some(0.0), Some(0.0))
    );
    assert_eq!(of("quorum_up", ""), Some(1.0), "the table is what it was");
}

#[test]
fn less_on_request() {
    let all = both(&seen(), Detail::RealServers);
    let services = both(&seen(), Detail::VirtualServers);
    let daemon = both(&seen(), Detail::Daemon);
    assert!(daemon.len() < services.len() && services.len() < all.len());
    assert!(!services.keys().any(|name| name.contains("real_server=")));
    assert!(
        !daemon.keys().any(|name| name.contains("virtual_server") && !name.contains("peer_differences"))
            && daemon.contains_key("tandem_up")
    );
    assert!(daemon.keys().any(|name| name.starts_with("tandem_check_duration_seconds")));
    // The same numbers, whoever asks for more.
    assert!(daemon.iter().all(|(name, value)| all.get(name) == Some(value)));
}

#[test]
fn a_daemon_that_knows_nothing_yet() {
    let series = both(&Seen::default(), Detail::RealServers);
    assert_eq!(series.get("tandem_up"), Some(&1.0));
}

proptest! {
    /// Names are the operators' own; some come from peers.
    #[test]
    fn no_name_breaks_the_text(names in prop::collection::vec("(\\PC|[\"\\\\\n{},= #]){0,12}", 1..6)) {
        let mut seen = seen();
        let instance = seen.status.instances[0].clone();
        let service = seen.status.virtual_servers[0].clone();
        for name in &names {
            let trackers = names.iter().map(|name| TrackerView { name: name.clone(), ..TrackerView::default() });
            seen.status.instances.push(InstanceView {
                name: name.clone(),
                state: name.clone(),
                trackers: trackers.collect(),
                ..instance.clone()
            });
            let reals = names.iter().map(|name| RealServerView { name: name.clone(), ..RealServerView::default() });
            seen.status.virtual_servers.push(VirtualServerView {
                name: name.clone(),
                serving: name.clone(),
                real_servers: reals.collect(),
                ..service.clone()
            });
        }
        seen.status.daemon.host = names.concat();
        both(&seen, Detail::RealServers);
    }
}
