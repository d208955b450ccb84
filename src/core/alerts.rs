//! Which events are mailed, and with which subject: keepalived's rules (on for real servers, off for the rest unless
//! asked for; nothing without both a relay and a recipient).

use std::time::{Duration, SystemTime};

use crate::check;
use crate::config::model::{Global, Instance};
use crate::notify::mail::{Alert, Relay};
use crate::vrrp::machine::StateName;

/// The relay that `global_defs` names; `None` without a server or without recipients.
pub fn relay(global: &Global, host_name: &str) -> Option<Relay> {
    let server = global.smtp_server.as_ref()?;
    if global.notification_email.is_empty() {
        return None;
    }
    Some(Relay {
        host: server.host.clone(),
        port: server.port.unwrap_or(25),
        helo: global.smtp_helo_name.clone().unwrap_or_else(|| host_name.to_owned()),
        timeout: global
            .smtp_connect_timeout
            .map_or(Duration::from_secs(30), |s| s.0.max(Duration::from_secs(1))),
        from: global.notification_email_from.clone().unwrap_or_else(|| format!("root@{host_name}")),
        to: global.notification_email.clone(),
        router_id: global.router_id.clone().unwrap_or_else(|| host_name.to_owned()),
    })
}

/// The alert of a transition; off unless `smtp_alert`, `smtp_alert_vrrp` or the global `smtp_alert` says on.
pub fn transition(
    instance: &Instance,
    to: StateName,
    cause: &str,
    global: &Global,
    at: SystemTime,
) -> Option<Alert> {
    let on = instance.smtp_alert.or(global.smtp_alert_vrrp).or(global.smtp_alert).unwrap_or(false);
    let state = match to {
        StateName::Master => "MASTER",
        StateName::Backup => "BACKUP",
        StateName::Fault => "FAULT",
        StateName::Stopped | StateName::Init => return None,
    };
    on.then(|| Alert {
        subject: format!("VRRP Instance {} - Entering {state} state", instance.name),
        body: format!("=> VRRP Instance is now in {state} state <=\n{cause}\n"),
        at,
    })
}

/// The alert of a real server or quorum; the check room has read `smtp_alert` with keepalived's defaults (on for
/// real servers, off for quorums).
pub fn server(event: &check::Event, at: SystemTime) -> Option<Alert> {
    let state = if event.what.is_up() { "UP" } else { "DOWN" };
    let mut subject = event.subject.clone();
    if let Some(first) = subject.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    event.smtp_alert.then(|| Alert {
        subject: format!("{subject} - {state}"),
        body: format!("=> {event} <=\n"),
        at,
    })
}

/// The name of this machine, for mails that name nobody else.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "director".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::SmtpServer;

    #[test]
    fn mail_needs_a_server_and_a_recipient() {
        let mut global = Global::default();
        assert!(relay(&global, "d1").is_none());
        global.smtp_server = Some(SmtpServer { host: "192.0.2.1".to_owned(), port: None });
        assert!(relay(&global, "d1").is_none());
        global.notification_email = vec!["a@example.com".to_owned()];
        let relay = relay(&global, "d1").unwrap();
        assert_eq!((relay.port, relay.router_id.as_str(), relay.from.as_str()), (25, "d1", "root@d1"));
    }
}
