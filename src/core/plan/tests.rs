//! Tables of plans: a file and a kernel in, lines out.

use std::net::IpAddr;
use std::path::Path;

use super::*;
use crate::check::farm::Farm;
use crate::check::plan::Plan as CheckPlan;
use crate::config::resolve::Facts;
use crate::ipvs::table::{
    Destination, DestinationKey, Forward, Persistence, Protocol, Service, ServiceKey, VirtualService,
};
use crate::net::link::Link;

fn config(text: &str) -> Config {
    let loaded = crate::config::load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
    let errors: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(!errors.iter().any(|e| e.contains(": error:")), "{errors:#?}");
    loaded.config
}

/// An instance with these lines of `virtual_ipaddress`, and further lines.
fn instance(name: &str, vrid: u8, addresses: &[&str], more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n state BACKUP\n virtual_router_id {vrid}\n {more}\n \
         virtual_ipaddress {{\n {}\n }}\n}}\n",
        addresses.join("\n ")
    )
}

fn link(name: &str, index: u32, up: bool) -> (String, Link) {
    let link = Link {
        index,
        name: name.to_owned(),
        up,
        admin_up: true,
        loopback: false,
        mac: None,
        mtu: 1500,
        addresses: Vec::new(),
    };
    (name.to_owned(), link)
}

/// A machine with eth0 and these addresses, `ADDRESS/LENGTH INTERFACE`.
fn machine(addresses: &[&str]) -> Kernel {
    let installed = addresses
        .iter()
        .map(|text| {
            let (prefix, interface) = text.split_once(' ').unwrap();
            let (address, length) = prefix.split_once('/').unwrap();
            let key = AddressKey {
                interface: interface.to_owned(),
                address: address.parse().unwrap(),
                prefix_len: length.parse().unwrap(),
            };
            (key, Installed { label: Some(interface.to_owned()), ..Installed::default() })
        })
        .collect();
    Kernel {
        net: Some(Net { links: [link("eth0", 2, true)].into(), installed, ..Net::default() }),
        table: Some(Table::new()),
    }
}

#[derive(Clone, Copy, Default)]
struct Ask<'a> {
    before: Option<&'a Config>,
    role: Option<Role>,
    running: bool,
}

fn plan(ask: Ask<'_>, file: &Config, kernel: &Kernel) -> Plan {
    let Ask { before, role, running } = ask;
    Plan::new(&Question { file, before, role, running, now: Instant::now() }, kernel)
}

/// Entries as short lines: `now + 10.0.0.1/24 on eth0`.
fn lines(plan: &Plan) -> Vec<String> {
    let when = |when| match when {
        When::Now => "now",
        When::AsMaster => "master",
        When::OnceHealthy => "healthy",
        When::OnceInterface => "interface",
    };
    let action = |action| match action {
        Action::Add => '+',
        Action::Change => '~',
        Action::Remove => '-',
        Action::Leave => '=',
    };
    let line = |e: &Entry| {
        let settings: Vec<String> = e.settings.iter().map(ToString::to_string).collect();
        let text = format!("{} {} {} {}", when(e.when), action(e.action), e.subject, settings.join(", "));
        text.trim_end().to_owned()
    };
    plan.entries.iter().filter(|e| e.kind != Kind::Object).map(line).collect()
}

fn roles(plan: &Plan) -> Vec<String> {
    plan.instances
        .iter()
        .map(|i| {
            format!("{} {} +{} ~{} -{}", i.name, i.role, i.master_adds, i.master_changes, i.backup_removes)
        })
        .collect()
}

#[test]
fn the_role_is_what_the_kernel_shows() {
    let file = config(&instance("A", 51, &["10.0.0.100/24", "10.0.0.101/24"], ""));
    // Nothing there: BACKUP, and what MASTER would bring.
    let none = plan(Ask::default(), &file, &machine(&["10.0.0.1/24 eth0"]));
    assert_eq!(lines(&none), ["master + 10.0.0.100/24 on eth0", "master + 10.0.0.101/24 on eth0"]);
    assert_eq!(roles(&none), ["A BACKUP +2 ~0 -0"]);
    assert!(!none.changes_something());
    // Some: completed. Others on the interface are not claimed.
    let some = plan(Ask::default(), &file, &machine(&["10.0.0.100/24 eth0", "10.0.0.77/32 eth0"]));
    assert_eq!(lines(&some), ["now + 10.0.0.101/24 on eth0"]);
    assert_eq!(roles(&some), ["A MASTER +1 ~0 -1"]);
    assert!(some.changes_something());
    // All: nothing to do.
    let all = plan(Ask::default(), &file, &machine(&["10.0.0.100/24 eth0", "10.0.0.101/24 eth0"]));
    assert_eq!(lines(&all), [""; 0]);
    assert_eq!(roles(&all), ["A MASTER +0 ~0 -2"]);
    assert!(!all.changes_something());
    assert!(all.notes[0].contains("a start begins as BACKUP"), "{:?}", all.notes);
}

#[test]
fn a_role_can_be_asked_for() {
    let file = config(&instance("A", 51, &["10.0.0.100/24", "10.0.0.101/24"], ""));
    let kernel = machine(&["10.0.0.100/24 eth0"]);
    let master = plan(Ask { role: Some(Role::Master), ..Ask::default() }, &file, &machine(&[]));
    assert_eq!(lines(&master), ["now + 10.0.0.100/24 on eth0", "now + 10.0.0.101/24 on eth0"]);
    let backup = plan(Ask { role: Some(Role::Backup), ..Ask::default() }, &file, &kernel);
    assert_eq!(
        lines(&backup),
        ["now - 10.0.0.100/24 on eth0", "master + 10.0.0.100/24 on eth0", "master + 10.0.0.101/24 on eth0"]
    );
}

#[test]
fn an_address_in_another_form_is_changed_with_its_settings() {
    let file = config(&instance("A", 51, &["10.0.0.100/24 brd + label eth0:v scope link"], ""));
    let plan = plan(Ask::default(), &file, &machine(&["10.0.0.100/24 eth0"]));
    assert_eq!(
        lines(&plan),
        ["now ~ 10.0.0.100/24 on eth0 label eth0 -> eth0:v, scope global -> link, brd none -> 10.0.0.255"]
    );
    assert_eq!(roles(&plan), ["A MASTER +0 ~1 -1"]);
}

#[test]
fn look_alikes_are_left_alone_and_said_so() {
    let file = config(&instance("A", 51, &["10.0.0.100/24"], ""));
    let plan = plan(Ask::default(), &file, &machine(&["10.0.0.100/32 eth0", "10.0.0.100/24 eth1"]));
    assert_eq!(
        lines(&plan),
        ["master + 10.0.0.100/24 on eth0", "now = 10.0.0.100/32 on eth0", "now = 10.0.0.100/24 on eth1"]
    );
    assert!(!plan.changes_something());
}

#[test]
fn an_interface_that_is_down_means_fault() {
    let file = config(&instance("A", 51, &["10.0.0.100/24"], ""));
    let mut kernel = machine(&["10.0.0.100/24 eth0"]);
    kernel.net.as_mut().unwrap().links = [link("eth0", 2, false)].into();
    let fault = plan(Ask::default(), &file, &kernel);
    assert_eq!(roles(&fault), ["A FAULT +0 ~0 -1"]);
    assert_eq!(lines(&fault), ["now - 10.0.0.100/24 on eth0", "master + 10.0.0.100/24 on eth0"]);
    assert_eq!(fault.instances[0].because, "interface eth0 is down (no carrier)");
}

#[test]
fn addresses_of_an_interface_that_is_not_there_wait() {
    let file = config(&instance("A", 51, &["10.0.0.100/24", "10.0.9.100/24 dev late0 no_track"], ""));
    let kernel = machine(&["10.0.0.100/24 eth0"]);
    let plan = plan(Ask::default(), &file, &kernel);
    assert_eq!(lines(&plan), ["interface + 10.0.9.100/24 on late0"]);
    assert!(!plan.changes_something());
}

#[test]
fn a_tracked_address_needs_its_interface() {
    let file = config(&instance("A", 51, &["10.0.0.100/24", "10.0.9.100/24 dev late0"], ""));
    let plan = plan(Ask::default(), &file, &machine(&["10.0.0.100/24 eth0"]));
    assert_eq!(plan.instances[0].because, "interface late0 is down (it does not exist)");
}

#[test]
fn the_owner_is_master_at_once() {
    let file = config(&instance("A", 51, &["10.0.0.100/24"], "priority 255"));
    let plan = plan(Ask::default(), &file, &machine(&[]));
    assert_eq!(lines(&plan), ["now + 10.0.0.100/24 on eth0"]);
    assert_eq!(plan.notes, Vec::<String>::new());
}

#[test]
fn with_the_file_before_the_master_keeps_its_role_and_loses_what_is_gone() {
    let before = config(&instance("A", 51, &["10.0.0.100/24", "10.0.0.101/24"], ""));
    let file = config(&instance("A", 51, &["10.0.0.100/24", "10.0.0.102/24"], "priority 120"));
    let kernel = machine(&["10.0.0.100/24 eth0", "10.0.0.101/24 eth0"]);
    let asked = Ask { before: Some(&before), ..Ask::default() };
    let with = plan(asked, &file, &kernel);
    assert_eq!(with.basis, Basis::Reload);
    assert_eq!(roles(&with), ["A MASTER +1 ~0 -1"]);
    assert_eq!(lines(&with), ["now + 10.0.0.102/24 on eth0", "now - 10.0.0.101/24 on eth0"]);
    let objects: Vec<&Entry> = with.entries.iter().filter(|e| e.kind == Kind::Object).collect();
    let settings: Vec<String> = objects[0].settings.iter().map(ToString::to_string).collect();
    assert_eq!(
        settings,
        [
            "priority (not set) -> 120",
            "virtual_ipaddress 10.0.0.101/24 -> (not set)",
            "virtual_ipaddress (not set) -> 10.0.0.102/24"
        ]
    );
    // Without it nothing is known of 10.0.0.101, and a daemon that runs is a reason to say so.
    let without = plan(Ask { running: true, ..Ask::default() }, &file, &kernel);
    assert_eq!(lines(&without), ["now + 10.0.0.102/24 on eth0"]);
    assert!(without.notes[0].contains("--from"), "{:?}", without.notes);
}

#[test]
fn another_router_and_a_removed_one_leave_their_addresses() {
    let text = instance("A", 51, &["10.0.0.100/24"], "") + &instance("B", 52, &["10.0.0.110/24"], "");
    let before = config(&text);
    let file = config(&instance("A", 61, &["10.0.0.100/24"], ""));
    let kernel = machine(&["10.0.0.100/24 eth0", "10.0.0.110/24 eth0"]);
    let plan = plan(Ask { before: Some(&before), ..Ask::default() }, &file, &kernel);
    assert_eq!(roles(&plan), ["A BACKUP +0 ~0 -1"]);
    assert_eq!(
        lines(&plan),
        ["now - 10.0.0.100/24 on eth0", "master + 10.0.0.100/24 on eth0", "now - 10.0.0.110/24 on eth0"]
    );
    let objects: Vec<&Entry> = plan.entries.iter().filter(|e| e.kind == Kind::Object).collect();
    assert!(objects[0].cause.contains("another router"), "{objects:?}");
    assert_eq!((objects[1].action, objects[1].subject.as_str()), (Action::Remove, "vrrp_instance B"));
}

#[test]
fn an_address_that_moves_between_instances_of_this_master_stays() {
    let before =
        config(&(instance("A", 51, &["10.0.0.100/24"], "") + &instance("B", 52, &["10.0.0.9/24"], "")));
    let file = config(
        &(instance("A", 51, &["10.0.0.9/24", "10.0.0.100/24"], "")
            + &instance("C", 53, &["10.0.0.8/24"], "")),
    );
    let kernel = machine(&["10.0.0.100/24 eth0", "10.0.0.9/24 eth0"]);
    let plan = plan(Ask { before: Some(&before), ..Ask::default() }, &file, &kernel);
    assert_eq!(lines(&plan), ["master + 10.0.0.8/24 on eth0"]);
}

// ---- services

const KEY: &str = "10.0.0.100:80";

fn key(text: &str) -> ServiceKey {
    let socket: std::net::SocketAddr = text.parse().unwrap();
    ServiceKey::Address { protocol: Protocol::Tcp, address: socket.ip(), port: socket.port() }
}

fn service(scheduler: &str, reals: &[(&str, u32)]) -> VirtualService {
    let destinations = reals
        .iter()
        .map(|(address, weight)| {
            let key = DestinationKey { address: address.parse::<IpAddr>().unwrap(), port: 80 };
            let settings = Destination {
                forward: Forward::DirectRoute,
                weight: *weight,
                upper_threshold: 0,
                lower_threshold: 0,
            };
            (key, settings)
        })
        .collect();
    let service = Service::plain(scheduler);
    VirtualService { service, destinations }
}

/// A virtual server with these lines, and real servers `ADDRESS WEIGHT LINES`.
fn farm(lines: &str, reals: &[(&str, u32, &str)]) -> Config {
    let reals: Vec<String> = reals
        .iter()
        .map(|(address, weight, lines)| {
            format!("real_server {address} 80 {{\n weight {weight}\n {lines}\n }}\n")
        })
        .collect();
    config(&format!(
        "virtual_server 10.0.0.100 80 {{\n protocol TCP\n lb_kind DR\n lb_algo wlc\n {lines}\n {}\n}}\n",
        reals.join("")
    ))
}

const CHECK: &str = "TCP_CHECK {\n connect_timeout 1\n }";

fn with_table(services: &[(&str, VirtualService)]) -> Kernel {
    let table = services.iter().map(|(name, service)| (key(name), service.clone())).collect();
    Kernel { table: Some(table), ..machine(&[]) }
}

#[test]
fn services_and_destinations_are_compared_setting_by_setting() {
    let file = farm("persistence_timeout 50", &[("10.1.0.1", 3, CHECK), ("10.1.0.2", 1, CHECK)]);
    let kernel = with_table(&[
        (KEY, service("rr", &[("10.1.0.1", 1), ("10.1.0.9", 1)])),
        ("10.0.0.200:80", service("wlc", &[("10.1.0.1", 1)])),
    ]);
    let plan = plan(Ask::default(), &file, &kernel);
    assert_eq!(
        lines(&plan),
        [
            "now ~ TCP 10.0.0.100:80 scheduler rr -> wlc, persistence off -> 50 s by /32",
            "now ~ 10.1.0.1:80 weight 1 -> 3",
            "now + 10.1.0.2:80",
            "now - 10.1.0.9:80",
            "now = TCP 10.0.0.200:80",
        ]
    );
    assert!(plan.entries[2].cause.contains("a start counts it as up"), "{:?}", plan.entries[2]);
    assert_eq!(plan.entries[2].of.as_deref(), Some("TCP 10.0.0.100:80"));
    assert_eq!(plan.entries[4].detail, "wlc; 1 destination");
}

#[test]
fn a_table_that_is_right_changes_nothing() {
    let file = farm("", &[("10.1.0.1", 3, CHECK)]);
    let mut here = service("wlc", &[("10.1.0.1", 3)]);
    here.destinations.values_mut().for_each(|there| there.forward = Forward::Local);
    for found in [service("wlc", &[("10.1.0.1", 3)]), here] {
        let plan = plan(Ask::default(), &file, &with_table(&[(KEY, found)]));
        assert_eq!(lines(&plan), [""; 0]);
        assert!(!plan.changes_something());
    }
}

#[test]
fn alpha_keeps_real_servers_out_until_their_checks_succeed() {
    let file = farm("alpha", &[("10.1.0.1", 3, CHECK)]);
    let fresh = plan(Ask::default(), &file, &with_table(&[]));
    assert_eq!(lines(&fresh), ["now + TCP 10.0.0.100:80", "healthy + 10.1.0.1:80"]);
    let left_over = plan(Ask::default(), &file, &with_table(&[(KEY, service("wlc", &[("10.1.0.1", 3)]))]));
    assert_eq!(lines(&left_over), ["now - 10.1.0.1:80", "healthy + 10.1.0.1:80"]);
}

#[test]
fn a_start_expects_the_table_that_the_checks_publish_first() {
    for file in [
        farm("", &[("10.1.0.1", 3, CHECK), ("10.1.0.2", 0, "")]),
        farm("alpha\n sorry_server 10.1.0.9 80", &[("10.1.0.1", 3, CHECK)]),
        farm(
            "quorum 4\n hysteresis 1\n inhibit_on_failure",
            &[("10.1.0.1", 3, CHECK), ("10.1.0.2", 3, "alpha")],
        ),
    ] {
        let checks = CheckPlan::new(&file);
        let first = Farm::start(checks.clone(), 7, Instant::now()).0.table();
        let expected = expect::tables(&checks, None, Basis::Start, &Table::new(), Instant::now());
        assert_eq!(expected.at_once, first);
        // And a plan against that table has nothing to do now.
        let kernel = Kernel { table: Some(first), ..machine(&[]) };
        assert!(!plan(Ask::default(), &file, &kernel).changes_something());
    }
}

#[test]
fn a_reload_does_not_bring_back_what_the_checks_have_taken_out() {
    let file = farm("sorry_server 10.1.0.9 80", &[("10.1.0.1", 3, CHECK), ("10.1.0.2", 3, "")]);
    let asked = Ask { before: Some(&file), ..Ask::default() };
    let one_down = with_table(&[(KEY, service("wlc", &[("10.1.0.2", 3)]))]);
    assert_eq!(lines(&plan(asked, &file, &one_down)), ["healthy + 10.1.0.1:80"]);
    // Without a checker it cannot be down: somebody else removed it.
    let removed = with_table(&[(KEY, service("wlc", &[("10.1.0.1", 3)]))]);
    assert_eq!(lines(&plan(asked, &file, &removed)), ["now + 10.1.0.2:80"]);
    // A daemon that runs by a file that nobody named: the same.
    let running = Ask { running: true, ..Ask::default() };
    assert_eq!(lines(&plan(running, &file, &one_down)), ["healthy + 10.1.0.1:80"]);
    // A start has no memory.
    assert_eq!(lines(&plan(Ask::default(), &file, &one_down)), ["now + 10.1.0.1:80"]);
}

#[test]
fn the_sorry_server_stays_while_the_farm_is_down() {
    let file = farm("sorry_server 10.1.0.9 80", &[("10.1.0.1", 3, CHECK)]);
    let sorry = with_table(&[(KEY, service("wlc", &[("10.1.0.9", 1)]))]);
    let reload = plan(Ask { before: Some(&file), ..Ask::default() }, &file, &sorry);
    assert_eq!(lines(&reload), ["healthy + 10.1.0.1:80", "healthy - 10.1.0.9:80"]);
    assert_eq!(lines(&plan(Ask::default(), &file, &sorry)), ["now + 10.1.0.1:80", "now - 10.1.0.9:80"]);
}

#[test]
fn an_inhibited_real_server_keeps_its_weight_of_0() {
    let file = farm("inhibit_on_failure", &[("10.1.0.1", 3, CHECK), ("10.1.0.2", 3, CHECK)]);
    let kernel = with_table(&[(KEY, service("wlc", &[("10.1.0.1", 0), ("10.1.0.2", 3)]))]);
    let plan = plan(Ask { before: Some(&file), ..Ask::default() }, &file, &kernel);
    assert_eq!(lines(&plan), ["healthy ~ 10.1.0.1:80 weight 0 -> 3"]);
}

#[test]
fn a_weight_that_a_program_sets_is_no_difference() {
    let check = "MISC_CHECK {\n misc_path /bin/true\n misc_dynamic\n }";
    let file = farm("", &[("10.1.0.1", 3, check)]);
    let kernel = with_table(&[(KEY, service("wlc", &[("10.1.0.1", 40)]))]);
    let reload = plan(Ask { before: Some(&file), ..Ask::default() }, &file, &kernel);
    assert_eq!(lines(&reload), [""; 0]);
    assert_eq!(lines(&plan(Ask::default(), &file, &kernel)), ["now ~ 10.1.0.1:80 weight 40 -> 3"]);
}

#[test]
fn with_the_file_before_new_real_servers_wait_and_removed_services_go() {
    let before = farm("", &[("10.1.0.1", 3, CHECK)]);
    let file = farm("", &[("10.1.0.1", 5, CHECK), ("10.1.0.2", 1, CHECK)]);
    let kernel = with_table(&[(KEY, service("wlc", &[("10.1.0.1", 3)]))]);
    let grown = plan(Ask { before: Some(&before), ..Ask::default() }, &file, &kernel);
    assert_eq!(lines(&grown), ["now ~ 10.1.0.1:80 weight 3 -> 5", "healthy + 10.1.0.2:80"]);
    let empty = config(&instance("A", 51, &["10.0.0.9/24"], ""));
    let gone = plan(Ask { before: Some(&before), ..Ask::default() }, &empty, &kernel);
    assert_eq!(lines(&gone), ["master + 10.0.0.9/24 on eth0", "now - TCP 10.0.0.100:80"]);
    // Nobody said that it was ours.
    assert_eq!(
        lines(&plan(Ask::default(), &empty, &kernel)),
        ["master + 10.0.0.9/24 on eth0", "now = TCP 10.0.0.100:80"]
    );
}

#[test]
fn a_backup_that_is_a_real_server_keeps_only_itself() {
    let mut file = config(&instance("A", 51, &["10.0.0.100/32"], ""));
    file.virtual_server = farm("", &[("10.0.0.1", 1, ""), ("10.0.0.2", 1, "")]).virtual_server;
    file.virtual_server[0].active_on = Some("A".to_owned());
    let table = with_table(&[(KEY, service("wlc", &[("10.0.0.1", 1), ("10.0.0.2", 1)]))]).table;
    let backup = Kernel { table: table.clone(), ..machine(&["10.0.0.1/24 eth0"]) };
    let plan_of = |kernel: &Kernel| plan(Ask::default(), &file, kernel);
    let services = |plan: &Plan| lines(plan).into_iter().filter(|l| l.contains(":80")).collect::<Vec<_>>();
    let planned = plan_of(&backup);
    assert_eq!(services(&planned), ["now - 10.0.0.2:80", "master + 10.0.0.2:80"]);
    let why: Vec<&str> = planned.entries.iter().rev().take(2).map(|e| e.cause.as_str()).collect();
    assert_eq!(why, ["comes when this machine becomes MASTER", "active_on A, which is not MASTER here"]);
    let master = Kernel { table: table.clone(), ..machine(&["10.0.0.1/24 eth0", "10.0.0.100/32 eth0"]) };
    assert_eq!(services(&plan_of(&master)), [""; 0]);
    // A machine that is none of them has nothing to take in.
    let other = Kernel { table, ..machine(&["10.0.0.9/24 eth0"]) };
    let all = [
        "now - TCP 10.0.0.100:80",
        "master + TCP 10.0.0.100:80",
        "master + 10.0.0.1:80",
        "master + 10.0.0.2:80",
    ];
    assert_eq!(services(&plan_of(&other)), all);
}

#[test]
fn what_could_not_be_read_is_not_planned() {
    let file = farm("", &[("10.1.0.1", 3, CHECK)]);
    assert_eq!(plan(Ask::default(), &file, &Kernel::default()).entries, []);
}

#[test]
fn persistence_and_flags_have_words() {
    let file =
        farm("persistence_timeout 50\n persistence_granularity 255.255.255.0", &[("10.1.0.1", 3, CHECK)]);
    let mut found = service("wlc", &[("10.1.0.1", 3)]);
    found.service.persistence = Some(Persistence { timeout: 60, granularity: 32 });
    found.service.scheduler_flags = 0b101;
    found.service.one_packet = true;
    let plan = plan(Ask::default(), &file, &with_table(&[(KEY, found)]));
    assert_eq!(
        lines(&plan),
        ["now ~ TCP 10.0.0.100:80 persistence 60 s by /32 -> 50 s by /24, one-packet on -> off, \
          flags flag-1 flag-3 -> none"]
    );
}
