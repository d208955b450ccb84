//! Aligned columns for people.

use super::text::unchecked;
use crate::control::view::{OverrideView, Overrides, RealServerView, Servers};

/// Rows under a head, each column as wide as its widest cell.
fn aligned(indent: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count());
        cells.chain(head.get(n).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = indent.to_owned();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count().min(*width)));
        }
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// A duration in the largest unit that leaves a number above 1.
fn ago(secs: f64) -> String {
    match secs {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

fn said(one: &OverrideView) -> String {
    let who = match (&one.by, &one.at) {
        (Some(by), Some(at)) => format!(" by {by} at {at}"),
        (Some(by), None) => format!(" by {by}"),
        (None, Some(at)) => format!(" at {at}"),
        (None, None) => String::new(),
    };
    let file = if one.persisted { " (file)" } else { "" };
    let until = one.until.as_ref().map(|end| format!(" until {end}")).unwrap_or_default();
    format!("{}{until}{who}{file}", one.change)
}

fn real(real: &RealServerView) -> Vec<String> {
    let health = match (real.admin_state.as_str(), real.up) {
        ("deleted", _) => "-".to_owned(),
        (_, None) => unchecked(real).0.to_owned(),
        (_, Some(up)) => {
            let since = real.changed_ago.map(|secs| format!(" {}", ago(secs))).unwrap_or_default();
            format!("{}{since}", if up { "up" } else { "down" })
        }
    };
    let configured = real.weight_configured.map_or_else(|| "-".to_owned(), |weight| weight.to_string());
    let connections = real.connections.map(|count| format!("{count} connections"));
    let failure = real
        .last_failure
        .as_ref()
        .filter(|_| real.up == Some(false))
        .map(|failure| format!("{} ({} ago)", failure.reason, ago(failure.ago)));
    let failure = failure.or_else(|| real.warning.clone());
    let overridden = real.overridden.as_ref().map(|one| format!("override: {}", said(one)));
    vec![
        real.name.clone(),
        real.admin_state.clone(),
        health,
        format!("{}/{configured}", real.weight),
        connections.into_iter().chain(failure).chain(overridden).collect::<Vec<_>>().join("; "),
    ]
}

/// The virtual servers, each with its real servers.
pub(super) fn servers(servers: &Servers) -> String {
    let mut text = String::new();
    for server in &servers.virtual_servers {
        let quorum = match (server.quorum_up, server.suspended) {
            _ if server.serving == "unknown" => "quorum not known",
            (true, false) => "quorum",
            (true, true) => "quorum when it was last checked here",
            (false, false) => "NO QUORUM",
            (false, true) => "NO QUORUM when it was last checked here",
        };
        let serving = match server.serving.as_str() {
            "sorry_server" => ", the sorry server serves".to_owned(),
            "sorry_pool" => ", sorry servers serve".to_owned(),
            "unknown" => ", checks have not begun".to_owned(),
            _ => String::new(),
        };
        text += &format!("{} ({quorum}: {} of {}{serving})\n", server.name, server.weight, server.quorum);
        let mut rows: Vec<Vec<String>> = server.real_servers.iter().map(real).collect();
        rows.extend(server.draining.iter().map(|one| {
            let connections =
                one.connections.map_or_else(|| "?".to_owned(), |connections| connections.to_string());
            let left = format!("{connections} connections, gone in {} at most", ago(one.seconds_left));
            vec![one.name.clone(), "leaving".to_owned(), "-".to_owned(), "0/-".to_owned(), left]
        }));
        text += &aligned("  ", &["real server", "wanted", "checks", "weight", ""], &rows);
    }
    if servers.virtual_servers.is_empty() {
        text += "no virtual servers\n";
    }
    text
}

/// The overrides.
pub(super) fn overrides(overrides: &Overrides) -> String {
    if overrides.overrides.is_empty() {
        return "no overrides: every real server is as its block says\n".to_owned();
    }
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |one: &OverrideView| {
        vec![
            one.real_server.clone(),
            one.virtual_server.clone(),
            one.change.clone(),
            if one.persisted { "file" } else { "command" }.to_owned(),
            dash(&one.by),
            dash(&one.at),
            dash(&one.until),
            one.without_effect.as_ref().map(|why| format!("no effect: {why}")).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = overrides.overrides.iter().map(row).collect();
    aligned("", &["real server", "virtual server", "change", "from", "by", "at", "until", ""], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::{DrainingView, LastFailure, VirtualServerView};

    #[test]
    fn columns_are_aligned() {
        let drain = OverrideView {
            change: "drain".to_owned(),
            by: Some("root(uid=0,pid=7)".to_owned()),
            at: Some("2026-11-21T18:00:00Z".to_owned()),
            ..OverrideView::default()
        };
        let one = RealServerView {
            name: "10.1.0.1:80".to_owned(),
            admin_state: "drain".to_owned(),
            up: Some(true),
            weight_configured: Some(10),
            connections: Some(12),
            warning: Some("certificate of CN=a ends soon".to_owned()),
            overridden: Some(drain),
            ..RealServerView::default()
        };
        let two = RealServerView {
            name: "10.1.0.12:8080".to_owned(),
            admin_state: "enabled".to_owned(),
            up: Some(false),
            weight_configured: Some(1),
            last_failure: Some(LastFailure { reason: "connection refused".to_owned(), ago: 3.0 }),
            changed_ago: Some(7300.0),
            ..RealServerView::default()
        };
        let leaving =
            DrainingView { name: "10.1.0.3:80".to_owned(), seconds_left: 290.0, connections: Some(2) };
        let server = VirtualServerView {
            name: "TCP 192.0.2.1:80".to_owned(),
            quorum: 1,
            serving: "sorry_server".to_owned(),
            real_servers: vec![one, two],
            draining: vec![leaving],
            ..VirtualServerView::default()
        };
        let text = servers(&Servers { virtual_servers: vec![server] });
        assert_eq!(
            text,
            "TCP 192.0.2.1:80 (NO QUORUM: 0 of 1, the sorry server serves)
  real server     wanted   checks    weight
  10.1.0.1:80     drain    up        0/10    12 connections; certificate of CN=a ends soon; override: drain by root(uid=0,pid=7) at 2026-11-21T18:00:00Z
  10.1.0.12:8080  enabled  down 2 h  0/1     connection refused (3 s ago)
  10.1.0.3:80     leaving  -         0/-     2 connections, gone in 5 min at most
"
        );
    }

    #[test]
    fn no_overrides_is_a_sentence() {
        assert!(overrides(&Overrides::default()).starts_with("no overrides"));
    }
}
