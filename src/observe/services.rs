//! `keepalived_check.data`: virtual servers, real servers and their checkers, in keepalived's layout. Pure.

use std::net::IpAddr;
use std::time::Duration;

use super::page::{Page, Setting, enabled, on_off, yes_no};

/// What a virtual server is called by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Address and port.
    Address(IpAddr, u16),
    /// Firewall mark.
    Fwmark(u32),
    /// A `virtual_server_group`, and the port of its real servers.
    Group(String, u16),
}

/// A virtual server.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a line of its own")]
pub struct Service {
    /// Its name.
    pub name: Name,
    /// Its real servers are IPv6.
    pub ipv6: bool,
    /// Time that a connection may take.
    pub connect_timeout: Duration,
    /// Time between checks.
    pub delay_loop: Duration,
    /// The scheduler's name.
    pub scheduler: &'static str,
    /// `-b flag-1` to `flag-3` of the scheduler.
    pub flags: [bool; 3],
    /// One packet scheduling.
    pub ops: bool,
    /// Seconds of persistence.
    pub persistence: Option<u32>,
    /// `TCP`, `UDP`, `SCTP` or `none`.
    pub protocol: &'static str,
    /// Real servers are down until they were checked.
    pub alpha: bool,
    /// Down scripts run at stop.
    pub omega: bool,
    /// Failed servers stay with weight 0.
    pub inhibit: bool,
    /// Quorum and hysteresis.
    pub quorum: (u32, u32),
    /// Commands: label, and the command quoted word by word.
    pub notify: Vec<(&'static str, String)>,
    /// Mail is sent.
    pub smtp_alert: bool,
    /// `NAT`, `DR`, `TUN`.
    pub method: &'static str,
    /// The sorry server: address and port, its method, whether it stays with weight 0.
    pub sorry: Option<(IpAddr, u16, &'static str, bool)>,
    /// The quorum is reached.
    pub quorum_up: bool,
    /// Real servers.
    pub reals: Vec<Real>,
}

/// A real server.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a line of its own")]
pub struct Real {
    /// Address and port.
    pub address: (IpAddr, u16),
    /// Configured weight, and the one in force.
    pub weight: (u32, u32),
    /// `NAT`, `DR`, `TUN`.
    pub method: &'static str,
    /// Down until it was checked.
    pub alpha: bool,
    /// Time that a connection may take.
    pub connect_timeout: Duration,
    /// `lthreshold` and `uthreshold`.
    pub limits: (u32, u32),
    /// Time between checks.
    pub delay_loop: Duration,
    /// Stays with weight 0 when it fails.
    pub inhibit: bool,
    /// Mail is sent.
    pub smtp_alert: bool,
    /// It is up.
    pub alive: bool,
    /// It is in the kernel's table.
    pub set: bool,
    /// The last failure, in words.
    pub last_failure: Option<String>,
    /// Its checkers.
    pub checkers: Vec<Checker>,
}

/// A checker.
#[derive(Clone, Debug)]
pub struct Checker {
    /// keepalived's word for its kind.
    pub kind: &'static str,
    /// It is up.
    pub up: bool,
    /// It had a result.
    pub has_run: bool,
    /// How long the last run took, microseconds.
    pub took_us: u64,
}

/// `[address]:protocol:port`, as keepalived names servers.
fn trio(address: IpAddr, protocol: &str, port: u16) -> String {
    format!("[{address}]:{}:{port}", protocol.to_ascii_lowercase())
}

impl Service {
    fn short(&self) -> String {
        match &self.name {
            Name::Address(address, port) => trio(*address, self.protocol, *port),
            Name::Fwmark(mark) => format!("FWM {mark}"),
            Name::Group(name, port) => format!("[{name}]:{}:{port}", self.protocol.to_ascii_lowercase()),
        }
    }
}

/// The file.
pub fn topology(settings: &[Setting], services: &[Service]) -> String {
    let mut page = Page::default();
    page.settings(settings);
    if services.is_empty() {
        return page.finish();
    }
    page.heading("LVS Topology");
    for service in services {
        show(&mut page, service);
    }
    page.heading("Health checkers");
    for service in services {
        for real in &service.reals {
            let (address, port) = real.address;
            for checker in &real.checkers {
                page.line(
                    1,
                    format_args!("{} -> {}", service.short(), trio(address, service.protocol, port)),
                );
                page.item(2, "Enabled", "yes");
                page.item(2, "Up", yes_no(checker.up));
                page.item(2, "Has run", yes_no(checker.has_run));
                page.item(2, "Current weight", real.weight.1);
                page.item(2, "Alpha", yes_no(real.alpha));
                page.item(2, "Delay loop", format_args!("{} us", real.delay_loop.as_micros()));
                page.item(2, "Last run", format_args!("{} us", checker.took_us));
                page.item(2, "Keepalive method", checker.kind);
            }
        }
    }
    page.finish()
}

fn seconds(time: Duration) -> String {
    format!("{:.6}", time.as_secs_f64())
}

fn show(page: &mut Page, s: &Service) {
    page.line(1, "------< Virtual server >------");
    match &s.name {
        Name::Address(address, port) => {
            page.item(1, "VS VIP", format_args!("{address}, VPORT = {port}"));
        }
        Name::Fwmark(mark) => page.item(1, "VS FWMARK", mark),
        Name::Group(name, _) => page.item(1, "VS GROUP", name),
    }
    page.item(2, "Address family", if s.ipv6 { "inet6" } else { "inet" });
    page.item(2, "connection timeout", seconds(s.connect_timeout));
    page.item(2, "delay_loop", seconds(s.delay_loop));
    page.item(2, "lvs_sched", s.scheduler);
    page.item(2, "Hashed", "disabled");
    for (number, flag) in s.flags.into_iter().enumerate() {
        page.item(2, &format!("flag-{}", number + 1), enabled(flag));
    }
    page.item(2, "One packet scheduling", enabled(s.ops));
    page.some(2, "persistence timeout", s.persistence);
    page.item(2, "protocol", s.protocol);
    page.line(2, format_args!("alpha is {}", on_off(s.alpha)));
    page.line(2, format_args!("omega is {}", on_off(s.omega)));
    page.line(2, format_args!("Inhibit on failure is {}", on_off(s.inhibit)));
    page.item(2, "quorum", format_args!("{}, hysteresis = {}", s.quorum.0, s.quorum.1));
    for (label, command) in &s.notify {
        page.item(2, &format!("{label} notify script"), command);
    }
    page.item(2, "Using smtp notification", yes_no(s.smtp_alert));
    page.item(2, "default forwarding method", s.method);
    if let Some((address, port, method, inhibit)) = s.sorry {
        page.item(2, "sorry server", trio(address, s.protocol, port));
        page.item(3, "forwarding method", method);
        page.line(3, format_args!("Inhibit on failure is {}", on_off(inhibit)));
    }
    page.item(2, "alive", 1);
    page.item(2, "quorum_state_up", u8::from(s.quorum_up));
    for real in &s.reals {
        server(page, real);
    }
}

fn server(page: &mut Page, r: &Real) {
    page.line(2, "------< Real server >------");
    let (address, port) = r.address;
    let (configured, effective) = r.weight;
    page.item(
        2,
        "RIP",
        format_args!("{address}, RPORT = {port}, WEIGHT = {configured} EFF WEIGHT = {effective}"),
    );
    page.item(2, "forwarding method", r.method);
    page.line(2, format_args!("Alpha is {}", on_off(r.alpha)));
    page.item(2, "connection timeout", seconds(r.connect_timeout));
    page.item(2, "connection limit range", format_args!("{} -> {}", r.limits.0, r.limits.1));
    page.item(2, "Delay loop", seconds(r.delay_loop));
    page.line(2, format_args!("Inhibit on failure is {}", on_off(r.inhibit)));
    page.item(2, "Using smtp notification", yes_no(r.smtp_alert));
    page.item(2, "initial weight", configured);
    page.item(2, "effective weight", effective);
    page.item(2, "alive", u8::from(r.alive));
    page.item(2, "num failed checkers", r.checkers.iter().filter(|checker| !checker.up).count());
    page.item(2, "RS set", u8::from(r.set));
    page.some(2, "last failure", r.last_failure.as_ref());
}
