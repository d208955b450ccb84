//! `global_defs` and `vrrp_script`.

use crate::config::diagnostic::Level;
use crate::config::model::{Global, SmtpServer, VrrpScript, VrrpVersion};
use crate::config::units::Secs;

use super::reader::{Reader, Table};
use super::tree::Node;

/// Seconds that no keyword exceeds: a day.
pub(super) const DAY: f64 = 86_400.0;

pub(super) const GLOBAL: Table<Global> = &[
    ("router_id", |r, n, g| g.router_id = r.text(n).or(g.router_id.take())),
    ("notification_email", |_, n, g| {
        g.notification_email.extend(n.children().iter().flat_map(Node::texts).map(str::to_owned));
    }),
    ("notification_email_from", |r, n, g| g.notification_email_from = r.text(n)),
    ("smtp_server", |r, n, g| {
        if let Some(host) = r.text(n) {
            let port = n.argument(1).and_then(|p| p.parse().ok());
            g.smtp_server = Some(SmtpServer { host, port });
        }
    }),
    ("smtp_helo_name", |r, n, g| g.smtp_helo_name = r.text(n)),
    ("smtp_connect_timeout", |r, n, g| g.smtp_connect_timeout = r.secs(n, 0.0, DAY)),
    ("smtp_alert", |r, n, g| g.smtp_alert = r.switch(n)),
    ("smtp_alert_vrrp", |r, n, g| g.smtp_alert_vrrp = r.switch(n)),
    ("smtp_alert_checker", |r, n, g| g.smtp_alert_checker = r.switch(n)),
    ("script_user", |r, n, g| g.script_user = r.user(n)),
    ("enable_script_security", |r, n, g| g.enable_script_security = r.switch(n).unwrap_or(true)),
    ("checker_log_all_failures", |r, n, g| g.checker_log_all_failures = r.switch(n)),
    ("default_interface", |r, n, g| g.default_interface = r.text(n)),
    ("vrrp_version", |r, n, g| g.vrrp_version = version(r, n)),
    ("vrrp_mcast_group4", |r, n, g| g.vrrp_mcast_group4 = r.parsed(n, "an IPv4 multicast group")),
    ("vrrp_strict", |r, n, g| {
        g.vrrp_strict = r.switch(n);
        if g.vrrp_strict == Some(true) {
            r.find(
                Level::Warning,
                n,
                0,
                "not-acted-on",
                "accepted, not acted on yet: vrrp_strict",
                "instances run without strict rules: authentication and unicast stay, and the VIP answers",
                "remove the line: under keepalived it makes the VIP drop all traffic to local services",
            );
        }
    }),
    ("vrrp_skip_check_adv_addr", |r, n, g| g.vrrp_skip_check_adv_addr = r.switch(n)),
    ("vrrp_check_unicast_src", |r, n, g| g.vrrp_check_unicast_src = r.switch(n).unwrap_or(true)),
    ("vrrp_garp_master_delay", |r, n, g| g.vrrp_garp_master_delay = r.secs(n, 0.0, DAY)),
    ("vrrp_garp_master_repeat", |r, n, g| g.vrrp_garp_master_repeat = repeat(r, n)),
    ("vrrp_garp_master_refresh", |r, n, g| g.vrrp_garp_master_refresh = r.secs(n, 0.0, DAY)),
    ("vrrp_garp_master_refresh_repeat", |r, n, g| g.vrrp_garp_master_refresh_repeat = repeat(r, n)),
    ("vrrp_garp_lower_prio_delay", |r, n, g| g.vrrp_garp_lower_prio_delay = r.secs(n, 0.0, DAY)),
    ("vrrp_garp_lower_prio_repeat", |r, n, g| g.vrrp_garp_lower_prio_repeat = r.number(n, 0..=u32::MAX)),
    ("vrrp_garp_interval", |r, n, g| g.vrrp_garp_interval = spacing(r, n)),
    ("vrrp_gna_interval", |r, n, g| g.vrrp_gna_interval = spacing(r, n)),
    ("vrrp_min_garp", |r, n, g| {
        if r.switch(n) == Some(true) {
            g.vrrp_garp_master_repeat = Some(1);
            g.vrrp_garp_master_delay = Some(Secs::from_secs(0));
        }
    }),
    ("vrrp_down_timer_adverts", |r, n, g| g.vrrp_down_timer_adverts = r.number(n, 1..=100)),
];

/// A number of packets: at least one (keepalived makes 1 of 0).
pub(super) fn repeat(r: &mut Reader, n: &Node) -> Option<u32> {
    r.number(n, 0..=u32::MAX).map(|n| n.max(1))
}

/// `vrrp_garp_interval`: 0 stands in half of the copied samples; keepalived says an error and goes on without.
fn spacing(r: &mut Reader, n: &Node) -> Option<Secs> {
    if n.argument(0).is_some_and(|text| Secs::parse_decimal(text) == Some(Secs::from_secs(0))) {
        r.find(
            Level::Warning,
            n,
            1,
            "bad-value",
            format!("{} 0 means nothing", n.key()),
            "announcements are not spaced, as without the line",
            "remove the line",
        );
        return None;
    }
    r.secs(n, 0.000_001, DAY)
}

/// `vrrp_version` / `version`.
pub(super) fn version(r: &mut Reader, n: &Node) -> Option<VrrpVersion> {
    let number: u8 = r.number(n, 2..=3)?;
    VrrpVersion::try_from(number).ok()
}

/// A `vrrp_script` under construction: without a command it is dropped.
#[derive(Default)]
pub(super) struct ScriptDraft {
    command: Option<crate::config::model::Command>,
    user: Option<crate::config::model::ScriptUser>,
    interval: Option<Secs>,
    timeout: Option<Secs>,
    weight: Option<i16>,
    reverse: bool,
    rise: Option<u32>,
    fall: Option<u32>,
    init_fail: bool,
}

const SCRIPT: Table<ScriptDraft> = &[
    ("script", |r, n, s| s.command = r.quoted_command(n)),
    ("interval", |r, n, s| s.interval = r.secs(n, 0.0, DAY).map(at_least_one)),
    ("timeout", |r, n, s| s.timeout = r.secs(n, 0.0, DAY).filter(|t| !t.0.is_zero())),
    ("weight", |r, n, s| {
        s.weight = r.number::<i16>(n, -254..=254).map(|w| w.clamp(-253, 253));
        s.reverse = n.argument(1) == Some("reverse");
    }),
    ("rise", |r, n, s| s.rise = r.number(n, 1..=u32::MAX)),
    ("fall", |r, n, s| s.fall = r.number(n, 1..=u32::MAX)),
    ("user", |r, n, s| s.user = r.user(n)),
    ("init_fail", |_, _, s| s.init_fail = true),
];

/// keepalived makes 1 s of `interval 0`.
fn at_least_one(secs: Secs) -> Secs {
    if secs.0.is_zero() { Secs::from_secs(1) } else { secs }
}

/// `vrrp_script NAME { … }`.
pub(super) fn script(r: &mut Reader, node: &Node) -> Option<VrrpScript> {
    let name = r.text(node)?;
    let mut draft = ScriptDraft::default();
    r.block(node.children(), SCRIPT, &[], "vrrp_script", &mut draft);
    let Some(mut command) = draft.command else {
        r.find(
            Level::Error,
            node,
            1,
            "no-command",
            format!("vrrp_script \"{name}\" has no script"),
            "it is dropped, and whoever tracks it goes on without it",
            "write script \"/path/to/program\" into it",
        );
        return None;
    };
    command.user = draft.user;
    Some(VrrpScript {
        name,
        script: command,
        interval: draft.interval,
        timeout: draft.timeout,
        weight: draft.weight,
        reverse: draft.reverse,
        rise: draft.rise,
        fall: draft.fall,
        init_fail: draft.init_fail,
    })
}
