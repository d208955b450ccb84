//! `keepalived.data`: instances, groups, scripts and what else is tracked, in keepalived's layout. Pure.

use std::net::IpAddr;
use std::time::Duration;

use super::instance::{Destination, Instance, State, Tracked};
use super::page::{Page, Setting, enabled, yes_no};
use super::stamp::Stamp;

/// Everything that the file shows.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// `global_defs`, as lines.
    pub settings: Vec<Setting>,
    /// The instances, in file order.
    pub instances: Vec<Instance>,
    /// The sync groups.
    pub groups: Vec<Group>,
    /// The `vrrp_script` blocks.
    pub scripts: Vec<Script>,
    /// The `track_file` blocks.
    pub files: Vec<File>,
    /// The `vrrp_track_process` blocks.
    pub processes: Vec<Process>,
    /// The `bfd_instance` blocks that instances track.
    pub sessions: Vec<Session>,
    /// The machine's interfaces that matter.
    pub interfaces: Vec<Interface>,
}

/// A sync group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Members in FAULT, and members that have not begun.
    pub faults: (usize, usize),
    /// Its members.
    pub members: Vec<String>,
    /// Mail is sent.
    pub smtp_alert: bool,
    /// Commands: label, and the command quoted word by word.
    pub notify: Vec<(&'static str, String)>,
}

/// A script.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Its command, quoted word by word.
    pub command: String,
    /// Time between runs, and the limit of a run (zero: none).
    pub interval: (Duration, Duration),
    /// Its own weight.
    pub weight: i16,
    /// Successes and failures in a row that count.
    pub rise_fall: (u32, u32),
    /// Its last word; `None` = it has not said anything.
    pub good: Option<bool>,
    /// What led to that, in words.
    pub why: String,
    /// Who tracks it, with what weight.
    pub tracked_by: Vec<(String, i16)>,
}

/// A tracked file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// The number in it.
    pub status: Option<i64>,
    /// Its own weight.
    pub weight: i16,
    /// Who tracks it.
    pub tracked_by: Vec<(String, i16)>,
}

/// A tracked process, which the second form of the JSON dump shows, too.
#[derive(Clone, Debug)]
pub struct Process {
    /// Name of the block.
    pub name: String,
    /// Path or name of the program.
    pub process: String,
    /// Its arguments.
    pub parameters: Vec<String>,
    /// How they are compared, in keepalived's word.
    pub param_match: Option<&'static str>,
    /// How many must run, and how many may.
    pub bounds: (u16, Option<u16>),
    /// The right number runs.
    pub have_quorum: bool,
    /// How many run, where that is known.
    pub current: Option<u64>,
    /// Its own weight.
    pub weight: i16,
    /// How long one may be gone, and how long one may be too many.
    pub delays: (Duration, Duration),
    /// The whole command line is compared.
    pub full_command: bool,
    /// Who tracks it.
    pub tracked_by: Vec<(String, i16)>,
}

/// A BFD session as instances see it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Its own weight.
    pub weight: i16,
    /// It is up.
    pub up: bool,
    /// Who tracks it.
    pub tracked_by: Vec<(String, i16)>,
}

/// An interface.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// First address of each family.
    pub addresses: (Option<IpAddr>, Option<IpAddr>),
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Administratively up, and with a carrier.
    pub up: (bool, bool),
    /// A loopback device.
    pub loopback: bool,
    /// MTU in bytes.
    pub mtu: u32,
    /// Who tracks it, or sends adverts on it (weight 0).
    pub tracked_by: Vec<(String, i16)>,
}

/// The file.
pub fn topology(all: &Topology) -> String {
    let mut page = Page::default();
    page.settings(&all.settings);
    page.heading("VRRP Topology");
    for instance in &all.instances {
        show(&mut page, instance);
    }
    section(&mut page, "VRRP Sync groups", &all.groups, group);
    section(&mut page, "VRRP Scripts", &all.scripts, script);
    section(&mut page, "VRRP Track files", &all.files, file);
    section(&mut page, "VRRP Track processes", &all.processes, process);
    section(&mut page, "VRRP Track BFDs", &all.sessions, session);
    section(&mut page, "Interfaces", &all.interfaces, interface);
    page.finish()
}

fn section<T>(page: &mut Page, title: &str, all: &[T], show: impl Fn(&mut Page, &T)) {
    if !all.is_empty() {
        page.heading(title);
        all.iter().for_each(|one| show(page, one));
    }
}

/// One instance. Order and labels are keepalived's; exporters read State, Wantstate, Interface, Gratuitous ARP delay,
/// Virtual Router ID, Last transition and the virtual addresses.
fn show(page: &mut Page, i: &Instance) {
    page.item(1, "VRRP Instance", &i.name);
    page.item(2, "VRRP Version", i.version);
    page.some(2, "Sync group", i.group.as_ref());
    if i.ipv6 {
        page.line(2, "Using Native IPv6");
    }
    page.item(2, "State", i.state);
    if let Some(master) = &i.master {
        page.item(2, "Master router", master.address);
        page.item(2, "Master priority", master.priority);
        if i.version == 3 {
            page.item(2, "Master advert int", format_args!("{:.2} sec", i.master_interval.as_secs_f64()));
        }
    }
    if matches!(i.destination, Destination::Unicast { .. }) {
        page.line(2, "Flags:");
        page.line(3, "Using unicast");
    } else {
        page.line(2, "Flags: none");
    }
    page.item(2, "Wantstate", i.wanted);
    page.item(2, "Number of config faults", 0);
    page.item(2, "Number of interface and track script faults", i.faults);
    page.item(2, "Number of track scripts init", i.pending);
    page.some(2, "Fault reason", i.fault.as_ref());
    page.some(2, "Last transition", i.last_transition.map(Stamp));
    page.some(2, "Last transition cause", i.cause.as_ref());
    page.some(2, "Read timeout", i.timer.map(Stamp));
    page.item(2, "Master down timer", format_args!("{} usecs", i.down_interval.as_micros()));
    if let Some(vmac) = &i.vmac {
        page.line(2, format_args!("Use VMAC, i/f name {vmac}, is_up = true, xmit_base = false"));
        page.item(2, "Interface", format_args!("{vmac}, vmac on {}", i.interface));
    } else {
        page.item(2, "Interface", &i.interface);
    }
    if let Some(source) = i.source {
        let note = if i.source_configured { " (from configuration)" } else { "" };
        page.item(2, "Using src_ip", format_args!("{source}{note}"));
    }
    if let Destination::Multicast { group, index } = &i.destination {
        match index.filter(|_| group.is_ipv6()) {
            Some(index) => page.line(2, format_args!("Multicast address {group}, ifindex {index}")),
            None => page.line(2, format_args!("Multicast address {group}")),
        }
    }
    timing(page, i);
    page.item(2, "Accept", enabled(i.accept));
    page.item(2, "Preempt", enabled(i.preempt));
    if !i.preempt_delay.is_zero() {
        page.item(2, "Preempt delay", format_args!("{} secs", i.preempt_delay.as_secs_f64()));
    }
    page.item(2, "Promote_secondaries", enabled(i.promote_secondaries));
    carried(page, i);
    watched(page, i);
    page.item(2, "Using smtp notification", yes_no(i.smtp_alert));
    page.item(2, "Notify deleted", if i.notify_deleted { "Deleted" } else { "Fault" });
    for notify in &i.notify {
        page.item(2, &format!("{} script", notify.label), &notify.command);
    }
    page.item(2, "Notify priority changes", i.notify_priority_changes);
}

/// Announcements, adverts and priorities.
fn timing(page: &mut Page, i: &Instance) {
    page.item(2, "Gratuitous ARP delay", i.garp.delay);
    page.item(2, "Gratuitous ARP repeat", i.garp.repeat);
    page.item(2, "Gratuitous ARP refresh", i.garp.refresh);
    page.item(2, "Gratuitous ARP refresh repeat", i.garp.refresh_repeat);
    page.item(2, "Gratuitous ARP lower priority delay", i.garp.lower_delay);
    page.item(2, "Gratuitous ARP lower priority repeat", i.garp.lower_repeat);
    page.item(2, "Down timer adverts", i.down_timer_adverts);
    page.item(2, "Send advert after receive lower priority advert", !i.lower_prio_no_advert);
    page.item(2, "Send advert after receive higher priority advert", i.higher_prio_send_advert);
    page.item(2, "Virtual Router ID", i.vrid);
    page.item(2, "Priority", i.base_priority);
    page.item(2, "Effective priority", i.priority);
    page.item(2, "Total priority", i.priority);
    if i.version == 2 {
        page.item(2, "Advert interval", format_args!("{} sec", i.interval.as_secs()));
    } else {
        page.item(2, "Advert interval", format_args!("{} milli-sec", i.interval.as_millis()));
        if i.master.is_some() {
            let interval = i.master_interval.as_millis();
            page.item(2, "Master advert interval", format_args!("{interval} milli-sec"));
        }
    }
}

/// Authentication, addresses, routes, rules, peers.
fn carried(page: &mut Page, i: &Instance) {
    use super::instance::{Auth, MASKED};
    match i.auth {
        Auth::None if i.version == 2 => page.item(2, "Authentication type", "none"),
        Auth::None => {}
        Auth::Pass => {
            page.item(2, "Authentication type", "SIMPLE_PASSWORD");
            page.item(2, "Password", MASKED);
        }
        Auth::Ah => {
            page.item(2, "Authentication type", "IPSEC_AH");
            page.item(2, "Password", MASKED);
        }
    }
    let set = if i.vips_set { " set" } else { "" };
    page.line(2, format_args!("Virtual IP ({}):", i.vips.len()));
    i.vips.iter().for_each(|vip| page.line(3, format_args!("{vip}{set}")));
    if !i.evips.is_empty() {
        page.line(2, "Virtual IP Excluded :");
        i.evips.iter().for_each(|vip| page.line(3, format_args!("{vip}{set}")));
    }
    if let Destination::Unicast { ttl, check_source, peers } = &i.destination {
        page.item(2, "Unicast TTL", ttl);
        page.line(2, format_args!("Check unicast src : {}", yes_no(*check_source)));
        page.line(2, "Unicast Peer :");
        for (peer, least, greatest) in peers {
            page.line(3, format_args!("{peer} min_ttl {least} max_ttl {greatest}"));
        }
    }
    lines(page, "Virtual Routes :", &i.routes);
    lines(page, "Virtual Rules :", &i.rules);
}

fn lines(page: &mut Page, title: &str, all: &[String]) {
    if !all.is_empty() {
        page.line(2, title);
        all.iter().for_each(|one| page.line(3, one));
    }
}

fn watched(page: &mut Page, i: &Instance) {
    let reverse = |tracked: &Tracked| if tracked.reverse { " reverse" } else { "" };
    let mut list = |title: &str, all: &[Tracked], before: &str| {
        if !all.is_empty() {
            page.line(2, title);
        }
        for one in all {
            page.line(3, format_args!("{}{before}weight {}{}", one.name, one.weight, reverse(one)));
        }
    };
    list("Tracked interfaces :", &i.track_interface, " ");
    list("Tracked scripts :", &i.track_script, " ");
    list("Tracked files :", &i.track_file, ", ");
    list("Tracked processes :", &i.track_process, " ");
    list("Tracked BFDs :", &i.track_bfd, ": ");
}

fn group(page: &mut Page, group: &Group) {
    page.item(1, "VRRP Sync Group", format_args!("{}, {}", group.name, group.state));
    page.line(2, format_args!("Num member fault {}, num member init {}", group.faults.0, group.faults.1));
    page.line(2, "VRRP member instances :");
    group.members.iter().for_each(|member| page.line(3, member));
    page.item(2, "Using smtp notification", yes_no(group.smtp_alert));
    for (label, command) in &group.notify {
        page.item(2, &format!("{label} script"), command);
    }
}

fn tracking(page: &mut Page, by: &[(String, i16)]) {
    page.line(2, "Tracking instances :");
    for (name, weight) in by {
        page.line(3, format_args!("{name}, weight {weight}"));
    }
}

fn script(page: &mut Page, script: &Script) {
    page.item(1, "VRRP Script", &script.name);
    page.item(2, "Command", &script.command);
    page.item(2, "Interval", format_args!("{} sec", script.interval.0.as_secs_f64()));
    page.item(2, "Timeout", format_args!("{} sec", script.interval.1.as_secs_f64()));
    page.item(2, "Weight", script.weight);
    page.item(2, "Rise", script.rise_fall.0);
    page.item(2, "Fall", script.rise_fall.1);
    page.item(2, "Insecure", "no");
    page.item(
        2,
        "Status",
        match script.good {
            Some(true) => "GOOD",
            Some(false) => "BAD",
            None => "INIT",
        },
    );
    if !script.why.is_empty() {
        page.item(2, "Last result", &script.why);
    }
    tracking(page, &script.tracked_by);
    page.item(2, "State", "idle");
}

fn file(page: &mut Page, file: &File) {
    page.item(1, "Track file", &file.name);
    page.item(2, "File", &file.path);
    page.item(2, "Status", file.status.unwrap_or(0));
    page.item(2, "Weight", file.weight);
    tracking(page, &file.tracked_by);
}

fn process(page: &mut Page, process: &Process) {
    page.item(1, "VRRP Track process", &process.name);
    page.item(2, "Process", &process.process);
    if !process.parameters.is_empty() {
        page.item(2, "Parameters", process.parameters.join(" "));
        page.some(2, "Param match", process.param_match);
    }
    page.item(2, "Min processes", process.bounds.0);
    page.some(2, "Max processes", process.bounds.1);
    page.some(2, "Current processes", process.current);
    page.item(2, "Have quorum", process.have_quorum);
    page.item(2, "Weight", process.weight);
    page.item(2, "Terminate delay", format_args!("{:.6}s", process.delays.0.as_secs_f64()));
    page.item(2, "Fork delay", format_args!("{:.6}s", process.delays.1.as_secs_f64()));
    page.item(2, "Full command", process.full_command);
    tracking(page, &process.tracked_by);
}

fn session(page: &mut Page, session: &Session) {
    page.item(1, "VRRP Track BFD", &session.name);
    page.item(2, "Weight", session.weight);
    page.line(2, if session.up { "Bfd is up" } else { "Bfd is down" });
    tracking(page, &session.tracked_by);
}

fn interface(page: &mut Page, interface: &Interface) {
    let address = |address: Option<IpAddr>| address.map_or("(none)".to_owned(), |a| a.to_string());
    page.item(1, "Name", &interface.name);
    page.item(2, "index", interface.index);
    page.item(2, "IPv4 address", address(interface.addresses.0));
    page.item(2, "IPv6 address", address(interface.addresses.1));
    if let Some(mac) = interface.mac {
        page.item(2, "MAC", mac.map(|byte| format!("{byte:02x}")).join(":"));
    }
    let (up, running) = interface.up;
    let kind = if interface.loopback { ", no broadcast, loopback, no multicast" } else { "" };
    page.item(
        2,
        "State",
        format_args!(
            "{}, {}{kind}",
            if up { "UP" } else { "not UP" },
            if running { "RUNNING" } else { "not RUNNING" }
        ),
    );
    page.item(2, "MTU", interface.mtu);
    page.item(2, "HW Type", if interface.loopback { "LOOPBACK" } else { "ETHERNET" });
    page.line(2, "Tracking VRRP instances :");
    for (name, weight) in &interface.tracked_by {
        page.line(3, format_args!("{name}, weight {weight}"));
    }
}
