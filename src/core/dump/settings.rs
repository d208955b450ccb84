//! `global_defs`, as far as somebody reads it in a dump.

use crate::config::model::{Config, FlushOnStop, VrrpVersion};
use crate::observe::page::{Setting, enabled};

/// The lines of the section that every dump begins with.
pub fn settings(config: &Config) -> Vec<Setting> {
    let global = &config.global_defs;
    let or = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
    let unset = |value: Option<bool>| match value {
        None => "unset".to_owned(),
        Some(true) => "on".to_owned(),
        Some(false) => "off".to_owned(),
    };
    let mut lines: Vec<Setting> = vec![
        ("Network namespace", or(&config.net_namespace, "(default)")),
        ("Network namespace ipvs", or(&config.net_namespace_ipvs, "(main namespace)")),
    ];
    let mut some = |label: &'static str, value: Option<String>| {
        lines.extend(value.map(|value| (label, value)));
    };
    some("Instance name", config.instance.clone());
    some("Router ID", global.router_id.clone());
    some("Smtp server", global.smtp_server.as_ref().map(|server| server.host.clone()));
    some("Smtp HELO name", global.smtp_helo_name.clone());
    some("Email notification from", global.notification_email_from.clone());
    for address in &global.notification_email {
        some("Email notification", Some(address.clone()));
    }
    let flag = |on: bool| on.to_string();
    lines.extend([
        ("Default smtp_alert", unset(global.smtp_alert)),
        ("Default smtp_alert_vrrp", unset(global.smtp_alert_vrrp)),
        ("Default smtp_alert_checker", unset(global.smtp_alert_checker)),
        ("Checkers log all failures", flag(global.checker_log_all_failures == Some(true))),
        ("Dynamic interfaces", flag(global.dynamic_interfaces)),
        ("LVS flush", flag(global.lvs_flush)),
        (
            "LVS flush on stop",
            match global.lvs_flush_on_stop {
                None => "disabled",
                Some(FlushOnStop::All) => "full",
                Some(FlushOnStop::Vs) => "VS",
            }
            .to_owned(),
        ),
        ("VRRP notify priority changes", flag(global.vrrp_notify_priority_changes == Some(true))),
        ("Num adverts before down", global.vrrp_down_timer_adverts.unwrap_or(3).to_string()),
        (
            "VRRP default protocol version",
            if global.vrrp_version == Some(VrrpVersion::V3) { "3" } else { "2" }.to_owned(),
        ),
        ("VRRP check unicast_src", flag(global.vrrp_check_unicast_src)),
        ("VRRP skip check advert addresses", flag(global.vrrp_skip_check_adv_addr == Some(true))),
        ("VRRP strict mode", flag(global.vrrp_strict == Some(true))),
        ("VRRP realtime priority", global.vrrp_rt_priority.unwrap_or(0).to_string()),
        ("Script security", enabled(global.enable_script_security).to_owned()),
        ("umask", format!("0{:o}", global.umask.unwrap_or(0o177))),
    ]);
    lines
}
