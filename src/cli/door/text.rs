//! The status as people read it. Pure.

use crate::cli::paint::{Cell, Style, ago, short, table};
use crate::control::view::{
    InstanceView, PairView, PeerView, RealServerView, StatusView, TrackerView, TrafficView, VirtualServerView,
};

/// Differences from the other director that are told one by one.
const DIFFERENCES: usize = 20;
/// Addresses and peers of an instance that a line names.
const NAMED: usize = 3;

/// All of it. `summary`: that of everything, where `problems` alone are shown.
pub(super) fn all(view: &StatusView, summary: &str, problems: bool, colours: bool) -> Vec<String> {
    let mut lines = daemon(view, colours);
    if !summary.is_empty() {
        lines.push(summary.to_owned());
    }
    for part in [instances(view, colours), virtual_servers(view, problems, colours)] {
        if !part.is_empty() {
            lines.push(String::new());
            lines.extend(part);
        }
    }
    lines
}

/// The daemon itself, and what is wrong with the whole.
pub(super) fn daemon(view: &StatusView, colours: bool) -> Vec<String> {
    let daemon = &view.daemon;
    let name = match daemon.instance.as_str() {
        "" => "tandem".to_owned(),
        name => format!("tandem {name}"),
    };
    let mut words =
        vec![format!("{} on {}", daemon.tandem, daemon.host), format!("runs for {}", ago(daemon.running))];
    words.push(format!("pid {}", daemon.pid));
    words.push(format!("{} ({})", daemon.config, daemon.config_digest));
    match (daemon.reloads, daemon.reloads_refused) {
        (0, 0) => {}
        (taken, 0) => words.push(format!("{taken} reloads")),
        (taken, refused) => words.push(format!("{taken} reloads, {refused} refused")),
    }
    if let Some(lag) = &daemon.lag {
        words.push(format!(
            "wakes {:.1} ms late at worst, lately {:.1} ms",
            lag.worst * 1e3,
            lag.worst_lately * 1e3
        ));
    }
    let mut lines = vec![format!("{} {}", Style::Strong.paint(&name, colours), words.join(", "))];
    let mut say = |style: Style, text: String| lines.push(format!("  {}", style.paint(&text, colours)));
    if let Some(order) = &daemon.maintenance {
        let left = order.seconds_left.map(|left| format!(", {} left", ago(left))).unwrap_or_default();
        say(Style::Warn, format!("maintenance since {} by {}{left}", order.at, order.by));
    }
    if let Some(problem) = &daemon.reload_problem {
        say(Style::Bad, format!("the last reload was refused: {problem}"));
    }
    lines.extend(missing(view, colours));
    lines
}

/// What is not known, and what the kernel's table has otherwise than it should: no figures are read without it.
pub(super) fn missing(view: &StatusView, colours: bool) -> Vec<String> {
    let (mut lines, ipvs) = (Vec::new(), &view.ipvs);
    let mut say = |style: Style, text: String| lines.push(format!("  {}", style.paint(&text, colours)));
    for silent in &view.daemon.silent {
        say(Style::Bad, format!("{silent}: what it knows is missing here"));
    }
    for error in &ipvs.errors {
        say(Style::Bad, format!("IPVS: {error}"));
    }
    // Why not is said above, where it is known.
    if ipvs.applied < ipvs.wanted && ipvs.errors.is_empty() {
        let (has, wanted) = (ipvs.applied, ipvs.wanted);
        say(Style::Warn, format!("IPVS: the kernel has table {has}, table {wanted} is not in it yet"));
    }
    if ipvs.repaired > 0 {
        let count = ipvs.repaired;
        say(
            Style::Warn,
            format!("IPVS: {count} entries that somebody else had changed were put right since the start"),
        );
    }
    if let Some(count) = ipvs.foreign_services.filter(|count| *count > 0) {
        say(
            Style::Faint,
            format!("IPVS: {count} services of somebody else are in the table, and stay as they are"),
        );
    }
    if let Some(pair) = &view.pair {
        for (style, text) in paired(pair) {
            say(style, text);
        }
    }
    lines
}

/// The other director: whether it is configured alike, and in what it is not.
fn paired(pair: &PairView) -> Vec<(Style, String)> {
    let who = pair.name.as_ref().map_or_else(|| pair.peer.clone(), |name| format!("{name} ({})", pair.peer));
    let heard = pair.heard_ago.map(|secs| format!(", heard {} ago", ago(secs))).unwrap_or_default();
    let since = ago(pair.in_state);
    let (style, text) = match (pair.state.as_str(), &pair.problem) {
        ("agrees", _) => (Style::Good, format!("pair: configured as {who} for {since}{heard}")),
        ("differs", _) => (Style::Bad, format!("pair: DIFFERS from {who} for {since}{heard}")),
        ("waiting", _) => (Style::Warn, format!("pair: {who} is not asked yet")),
        (_, problem) => {
            let why = problem.as_deref().unwrap_or(&pair.state);
            let known = match pair.agrees {
                Some(true) => "; alike when it was",
                Some(false) => "; different when it was",
                None => "",
            };
            (Style::Bad, format!("pair: {who} NOT HEARD for {since}{heard}{known}: {why}"))
        }
    };
    let mut lines = vec![(style, text)];
    let shown = pair.differences.iter().take(DIFFERENCES);
    lines.extend(shown.map(|one| (Style::Warn, format!("  {} {}: {}", one.kind, one.name, one.text))));
    let rest = pair.differences.len().saturating_sub(DIFFERENCES) as u64 + pair.more_differences;
    if rest > 0 {
        lines.push((Style::Warn, format!("  and {rest} more (--json names them)")));
    }
    lines
}

/// `2 of 12 virtual servers without quorum, 7 of 400 real servers down, 3 taken out by hand`; empty without any.
pub(in crate::cli) fn summary(view: &StatusView, colours: bool) -> String {
    let servers = &view.virtual_servers;
    if servers.is_empty() {
        return String::new();
    }
    let reals = || servers.iter().flat_map(|server| &server.real_servers);
    let (lost, down) =
        (servers.iter().filter(|server| lost(server)).count(), reals().filter(|real| is_down(real)).count());
    let mut words = vec![
        format!("{lost} of {} virtual servers without quorum", servers.len()),
        format!("{down} of {} real servers down", reals().count()),
    ];
    for (count, of) in [
        (reals().filter(|real| real.admin_state != "enabled").count(), "taken out by hand"),
        (reals().filter(|real| real.unchecked.is_some()).count(), "not checked"),
        (reals().filter(|real| real.warning.is_some()).count(), "with a warning"),
        (
            servers.iter().filter(|server| server.serving == "unknown").count(),
            "virtual servers of which nothing is known",
        ),
    ] {
        if count > 0 {
            words.push(format!("{count} {of}"));
        }
    }
    let style = if lost + down > 0 { Style::Bad } else { Style::Good };
    style.paint(&words.join(", "), colours)
}

/// Its quorum is lost, as far as this director looks.
pub(in crate::cli) fn lost(server: &VirtualServerView) -> bool {
    !server.quorum_up && server.serving != "unknown" && !server.suspended
}

fn is_down(real: &RealServerView) -> bool {
    real.admin_state == "enabled" && real.up == Some(false)
}

fn is_problem(real: &RealServerView) -> bool {
    is_down(real) || real.warning.is_some() || real.overridden.is_some()
}

/// What needs attention alone: `--problems`. Of virtual servers all real servers are left: the rest of them is counted.
pub(super) fn problems(mut view: StatusView) -> StatusView {
    let well = |one: &InstanceView| {
        matches!(one.state.as_str(), "MASTER" | "BACKUP")
            && one.order.is_none()
            && one.fault.is_none()
            && one.trackers.iter().all(|tracker| tracker.value != "down")
    };
    view.instances.retain(|one| !well(one));
    view.groups.retain(|group| !matches!(group.state.as_str(), "MASTER" | "BACKUP"));
    view.bfd.retain(|session| !session.up);
    view.virtual_servers.retain(|server| {
        lost(server)
            || server.serving == "unknown"
            || server.real_servers.iter().any(is_problem)
            || !server.draining.is_empty()
    });
    view
}

/// A table of the instances, each with the sentence of its last transition.
pub(super) fn instances(view: &StatusView, colours: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if !view.instances.is_empty() {
        let rows: Vec<Vec<Cell>> = view.instances.iter().map(row).collect();
        let head = ["instance", "state", "for", "priority", "on", "addresses", "heard"];
        let mut table = table("", &head, &rows, colours).into_iter();
        lines.extend(table.next());
        for (line, instance) in table.zip(&view.instances) {
            lines.push(line);
            lines.extend(notes(instance, colours));
        }
    }
    for group in &view.groups {
        let state = state(&group.state).paint(&group.state, colours);
        lines.push(format!("group {}: {state} ({})", group.name, group.members.join(", ")));
    }
    for session in &view.bfd {
        let (word, style) = if session.up { ("up", Style::Good) } else { ("DOWN", Style::Bad) };
        let since = session.changed_ago.map(|secs| format!(" for {}", ago(secs))).unwrap_or_default();
        lines.push(format!("bfd {}: {}{since}", session.name, style.paint(word, colours)));
    }
    lines
}

fn state(state: &str) -> Style {
    match state {
        "MASTER" => Style::Good,
        "FAULT" => Style::Bad,
        "INIT" => Style::Warn,
        _ => Style::Plain,
    }
}

fn row(one: &InstanceView) -> Vec<Cell> {
    let waits = if one.wants_master && one.state != "MASTER" { ", waits for its group" } else { "" };
    vec![
        Cell::new(&one.name, Style::Strong),
        Cell::new(format!("{}{waits}", one.state), state(&one.state)),
        Cell::plain(ago(one.in_state)),
        Cell::plain(priority(one)),
        Cell::plain(format!("{} vrid {}", one.interface, one.vrid)),
        Cell::plain(some(&one.addresses.iter().map(|text| address(text)).collect::<Vec<_>>())),
        Cell::plain(heard(one)),
    ]
}

/// The address of a line of the file.
fn address(line: &str) -> String {
    line.split(' ').next().unwrap_or_default().to_owned()
}

fn some(all: &[String]) -> String {
    let more = all.len().saturating_sub(NAMED);
    let mut words: Vec<String> = all.iter().take(NAMED).cloned().collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    words.join(", ")
}

fn peer(peer: &PeerView) -> String {
    format!("{} priority {}, {} ago", peer.address, peer.priority, ago(peer.ago))
}

/// Who was heard. A backup sends nothing: what a master heard before it was one is no sign of its peer.
fn heard(one: &InstanceView) -> String {
    let peers = some(&one.peers.iter().map(peer).collect::<Vec<_>>());
    let stale = one.state == "MASTER" && one.peers.iter().all(|peer| peer.ago > one.down_interval);
    if stale && !peers.is_empty() { format!("no other master (before: {peers})") } else { peers }
}

/// `150 = 100 +50 script chk_nginx`, `1 by order (140 = 150 -10 script chk)`.
fn priority(one: &InstanceView) -> String {
    if one.order.is_none() || one.own_priority == one.priority {
        return sum(one, one.priority);
    }
    format!("{} by order ({})", one.priority, sum(one, one.own_priority))
}

fn sum(one: &InstanceView, priority: u8) -> String {
    let moving: Vec<&TrackerView> = one.trackers.iter().filter(|tracker| tracker.contribution != 0).collect();
    if moving.is_empty() || one.base_priority == u8::MAX {
        return priority.to_string();
    }
    let terms: Vec<String> =
        moving.iter().map(|one| format!("{:+} {} {}", one.contribution, one.kind, one.name)).collect();
    let sum = i64::from(one.base_priority) + moving.iter().map(|one| one.contribution).sum::<i64>();
    let held = match sum {
        sum if one.state == "FAULT" || sum == i64::from(priority) => String::new(),
        sum => format!(" (of {sum})"),
    };
    format!("{priority} = {} {}{held}", one.base_priority, terms.join(" "))
}

fn notes(one: &InstanceView, colours: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(last) = &one.last {
        let text = format!("{} -> {} {} ago: {}", last.from, last.to, ago(last.ago), last.why);
        notes.push(Style::Faint.paint(&text, colours));
        if let Some(since) = &one.master_since
            && last.cause == "resumed"
        {
            let text = format!("MASTER since {since}: its peers have not noticed the restart");
            notes.push(Style::Faint.paint(&text, colours));
        }
    }
    if let Some(fault) = &one.fault {
        notes.push(Style::Bad.paint(&format!("fault: {fault}"), colours));
    }
    if let Some(order) = &one.order {
        let left = order.seconds_left.map(|left| format!(", {} left", ago(left))).unwrap_or_default();
        let text = format!("ordered: {} by {} at {}{left}", order.order, order.by, order.at);
        notes.push(Style::Warn.paint(&text, colours));
    }
    // What is down and does not show in the sum.
    for tracker in &one.trackers {
        if tracker.value == "unknown" || tracker.weight == 0 && tracker.value == "down" && one.fault.is_none()
        {
            let why = if tracker.why.is_empty() { String::new() } else { format!(" ({})", tracker.why) };
            let text = format!("{} {} is {}{why}", tracker.kind, tracker.name, tracker.value);
            notes.push(Style::Warn.paint(&text, colours));
        }
    }
    notes.into_iter().map(|note| format!("    {note}")).collect()
}

/// The virtual servers, each with its real servers, or with those that need attention.
pub(super) fn virtual_servers(view: &StatusView, problems: bool, colours: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for server in &view.virtual_servers {
        lines.push(heading(server, colours));
        let shown = server.real_servers.iter().filter(|real| !problems || is_problem(real));
        let mut rows: Vec<Vec<Cell>> = shown.map(real).collect();
        rows.extend(server.draining.iter().map(|one| {
            let left = format!("leaves in {} at most", ago(one.seconds_left));
            let connections = one.connections.map(|count| count.to_string());
            let mut row = vec![Cell::plain(&one.name), Cell::new("leaving", Style::Warn), Cell::plain("0/-")];
            row.extend([None, connections, None, None, None].map(Cell::figure));
            row.push(Cell::plain(left));
            row
        }));
        if rows.is_empty() && problems {
            continue;
        }
        let head = ["real server", "health", "weight", "active", "all", "conn/s", "B/s in", "B/s out", ""];
        lines.extend(table("  ", &head, &rows, colours));
    }
    lines
}

fn heading(server: &VirtualServerView, colours: bool) -> String {
    let (word, style) = match (server.serving.as_str(), server.quorum_up) {
        ("unknown", _) => ("nothing is known of its checks", Style::Warn),
        (_, true) if server.suspended => ("not checked here, its address is elsewhere", Style::Plain),
        (_, false) if server.suspended => {
            ("not checked here, its address is elsewhere; NO QUORUM when it last was", Style::Warn)
        }
        ("sorry_server", _) => ("NO QUORUM, the sorry server serves", Style::Bad),
        ("sorry_pool", _) => ("NO QUORUM, sorry servers serve", Style::Bad),
        (_, false) => ("NO QUORUM", Style::Bad),
        (_, true) => ("quorum", Style::Good),
    };
    let traffic = server.traffic.as_ref().map(rates).unwrap_or_default();
    let active = server.active_on.as_ref().map(|name| format!(", active on {name}")).unwrap_or_default();
    let down = match server.real_servers.iter().filter(|real| is_down(real)).count() {
        0 => String::new(),
        count => format!(", {count} of {} down", server.real_servers.len()),
    };
    let (name, word) = (Style::Strong.paint(&server.name, colours), style.paint(word, colours));
    if server.serving == "unknown" {
        return format!("{name} ({word}{active}){traffic}");
    }
    format!("{name} ({word}: {} of {}{down}{active}){traffic}", server.weight, server.quorum)
}

fn rates(traffic: &TrafficView) -> String {
    format!(
        "  {} conn/s, {} B/s in, {} B/s out",
        short(traffic.connection_rate),
        short(traffic.byte_rate_in),
        short(traffic.byte_rate_out)
    )
}

/// Health of a real server in a word or two.
pub(in crate::cli) fn health(real: &RealServerView) -> (String, Style) {
    let since = real.changed_ago.map(|secs| format!(" {}", ago(secs))).unwrap_or_default();
    match (real.admin_state.as_str(), real.up) {
        ("deleted", _) => ("deleted".to_owned(), Style::Warn),
        (admin, None) => {
            let (word, style) = unchecked(real);
            let out =
                if matches!(admin, "drain" | "disabled") { format!("{admin}, ") } else { String::new() };
            (format!("{out}{word}"), if out.is_empty() { style } else { Style::Warn })
        }
        (_, Some(false)) => (format!("DOWN{since}"), Style::Bad),
        ("drain" | "disabled", Some(true)) => (format!("{}, up{since}", real.admin_state), Style::Warn),
        (_, Some(true)) => (format!("up{since}"), Style::Good),
    }
}

/// What is said of one that no check has spoken of.
pub(super) fn unchecked(real: &RealServerView) -> (&'static str, Style) {
    match real.unchecked.as_deref() {
        Some("no_checks") => ("up, no checks", Style::Plain),
        Some("no_result") => ("up, not checked yet", Style::Warn),
        Some("suspended") => ("not checked here", Style::Faint),
        _ => ("unknown", Style::Warn),
    }
}

fn real(one: &RealServerView) -> Vec<Cell> {
    let (health, style) = health(one);
    let configured = one.weight_configured.map_or_else(|| "-".to_owned(), |weight| weight.to_string());
    let mut row = vec![
        Cell::plain(&one.name),
        Cell::new(health, style),
        Cell::plain(format!("{}/{configured}", one.weight)),
    ];
    let rate = |of: fn(&TrafficView) -> u64| one.traffic.as_ref().map(|traffic| short(of(traffic)));
    row.extend([
        Cell::figure(one.active.map(short)),
        Cell::figure(one.connections.map(short)),
        Cell::figure(rate(|traffic| traffic.connection_rate)),
        Cell::figure(rate(|traffic| traffic.byte_rate_in)),
        Cell::figure(rate(|traffic| traffic.byte_rate_out)),
    ]);
    row.push(Cell::plain(remarks(one)));
    row
}

/// Why it is out, what is to be said of it, and who has made it different.
pub(in crate::cli) fn remarks(one: &RealServerView) -> String {
    let failure = one.last_failure.as_ref().filter(|_| one.up == Some(false));
    let failure = failure.map(|failure| format!("{} ({} ago)", failure.reason, ago(failure.ago)));
    let overridden = one.overridden.as_ref().map(|over| {
        let by = over.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let until = over.until.as_ref().map(|end| format!(" until {end}")).unwrap_or_default();
        format!("* {}{until}{by}", over.change)
    });
    failure.into_iter().chain(one.warning.clone()).chain(overridden).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
