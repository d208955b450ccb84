//! The house rules, read from the source: who may import whom, and that pure files stay pure. A breach fails
//! with the rule in its message.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may use. `config`, `net` and `ipvs` entries may be narrowed by `only`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("cli", &["core", "config", "control", "observe", "ipvs", "net", "clock"]),
    (
        "core",
        &[
            "vrrp", "check", "bfd", "channel", "ipvs", "net", "notify", "observe", "process", "config",
            "control", "metrics", "clock", "board", "realtime", "alarm",
        ],
    ),
    ("vrrp", &["config", "net", "process", "notify", "observe", "clock", "board", "realtime", "alarm"]),
    ("bfd", &["config", "clock"]),
    ("channel", &["clock"]),
    ("check", &["config", "ipvs", "net", "process", "notify", "observe", "pattern", "clock"]),
    ("ipvs", &["clock"]),
    ("net", &["clock"]),
    ("notify", &["process", "clock"]),
    ("process", &["clock"]),
    ("observe", &["clock"]),
    ("metrics", &["control", "clock"]),
    ("config", &["process", "pattern"]),
    ("pattern", &[]),
    ("control", &["config", "clock"]),
    ("board", &[]),
    ("realtime", &[]),
    ("alarm", &["clock"]),
    ("clock", &[]),
];

/// (room, used room, the only path below it): check knows the IPVS table and nothing that touches the kernel.
const ONLY: &[(&str, &str, &str)] = &[("check", "ipvs", "table")];

/// Files that decide: no clock, socket, thread, file or runtime in them.
const PURE: &[&str] = &[
    "core/recall.rs",
    "core/word.rs",
    "core/name.rs",
    "core/supervisor/beginning.rs",
    "core/timetable.rs",
    "core/checking.rs",
    "core/status/mod.rs",
    "core/status/instances.rs",
    "core/status/traffic.rs",
    "control/routes/status.rs",
    "control/routes/table.rs",
    "cli/door/text.rs",
    "cli/top/board.rs",
    "ipvs/counts.rs",
    "ipvs/codec/counts.rs",
    "core/journal.rs",
    "core/journal/events.rs",
    "core/supervisor/policy.rs",
    "check/recalled.rs",
    "vrrp/packet.rs",
    "vrrp/accept.rs",
    "vrrp/lateness.rs",
    "vrrp/machine.rs",
    "vrrp/machine/hearing.rs",
    "vrrp/machine/orders.rs",
    "vrrp/machine/rhythm.rs",
    "vrrp/machine/timers.rs",
    "vrrp/group.rs",
    "vrrp/pace.rs",
    "vrrp/probe.rs",
    "vrrp/question.rs",
    "vrrp/schedule.rs",
    "vrrp/priority.rs",
    "vrrp/trackers.rs",
    "vrrp/track/content.rs",
    "vrrp/track/debounce.rs",
    "vrrp/track/events.rs",
    "vrrp/track/link.rs",
    "vrrp/track/processes.rs",
    "vrrp/announce.rs",
    "vrrp/datagram.rs",
    "vrrp/auth/mod.rs",
    "vrrp/auth/ah.rs",
    "vrrp/auth/guard.rs",
    "vrrp/auth/keys.rs",
    "vrrp/auth/replay.rs",
    "vrrp/auth/steady.rs",
    "vrrp/auth/trailer.rs",
    "vrrp/frame.rs",
    "vrrp/addresses.rs",
    "vrrp/buffers.rs",
    "vrrp/socket/filter.rs",
    "vrrp/params.rs",
    "vrrp/routing.rs",
    "vrrp/report.rs",
    "vrrp/snapshot.rs",
    "vrrp/vmac.rs",
    "vrrp/firewall.rs",
    "vrrp/runner.rs",
    "vrrp/runner/history.rs",
    "vrrp/runner/orders.rs",
    "vrrp/runner/peers.rs",
    "vrrp/runner/outgoing.rs",
    "bfd/packet.rs",
    "bfd/accept.rs",
    "bfd/session.rs",
    "bfd/session/cause.rs",
    "bfd/params.rs",
    "bfd/report.rs",
    "check/schedule.rs",
    "check/health.rs",
    "check/connections.rs",
    "check/damping.rs",
    "check/ramp.rs",
    "check/tiers.rs",
    "check/farm/real.rs",
    "check/farm/drain.rs",
    "check/quorum.rs",
    "check/desired.rs",
    "check/params.rs",
    "check/places.rs",
    "check/params/http.rs",
    "check/params/inherit.rs",
    "check/params/probes.rs",
    "check/outside.rs",
    "check/checkers/certificate.rs",
    "check/checkers/dns_message.rs",
    "check/checkers/echo.rs",
    "check/checkers/grpc_message.rs",
    "check/checkers/http_answer.rs",
    "check/checkers/http_expect.rs",
    "check/checkers/proxy_header.rs",
    "check/checkers/smtp_dialogue.rs",
    "check/farm/told.rs",
    "check/common.rs",
    "check/counts.rs",
    "check/plan.rs",
    "check/planner.rs",
    "check/plan/kind.rs",
    "check/identity.rs",
    "check/members.rs",
    "check/marks.rs",
    "config/fwmarks.rs",
    "check/outcome.rs",
    "check/farm/mod.rs",
    "check/farm/reload.rs",
    "check/farm/probes.rs",
    "check/farm/report.rs",
    "check/farm/result.rs",
    "check/farm/share.rs",
    "check/farm/suspend.rs",
    "check/farm/tracked.rs",
    "ipvs/reconcile.rs",
    "ipvs/wire.rs",
    "ipvs/table.rs",
    "ipvs/diff.rs",
    "ipvs/codec.rs",
    "ipvs/codec/settings.rs",
    "ipvs/settings.rs",
    "ipvs/keeper.rs",
    "net/address.rs",
    "net/address_codec.rs",
    "net/attribute.rs",
    "net/plan.rs",
    "net/preview.rs",
    "net/route.rs",
    "net/route_codec.rs",
    "net/rule.rs",
    "net/rule_codec.rs",
    "net/wanted.rs",
    "net/codec.rs",
    "net/repair.rs",
    "net/known.rs",
    "net/link.rs",
    "net/device.rs",
    "net/device_codec.rs",
    "net/sysctl.rs",
    "net/firewall/mod.rs",
    "net/firewall/encode.rs",
    "net/firewall/expression.rs",
    "net/firewall/marks.rs",
    "net/firewall/read.rs",
    "net/firewall/wire.rs",
    "core/plan/mod.rs",
    "core/plan/addresses.rs",
    "core/plan/expect.rs",
    "core/plan/objects.rs",
    "core/plan/routing.rs",
    "core/plan/services.rs",
    "core/dump/mod.rs",
    "core/dump/instances.rs",
    "core/dump/places.rs",
    "core/dump/services.rs",
    "core/dump/settings.rs",
    "core/dump/watched.rs",
    "core/parts.rs",
    "core/reload.rs",
    "core/overrides.rs",
    "core/measured.rs",
    "core/servers.rs",
    "core/status/alike.rs",
    "core/status/pairing.rs",
    "core/status/profile.rs",
    "channel/compare.rs",
    "channel/judge.rs",
    "channel/message.rs",
    "channel/seal.rs",
    "channel/watch.rs",
    "control/answer.rs",
    "control/routes.rs",
    "control/routes/orders.rs",
    "control/view/mod.rs",
    "control/view/journal.rs",
    "control/view/pair.rs",
    "control/view/orders.rs",
    "control/view/status.rs",
    "core/outside.rs",
    "core/role.rs",
    "core/active.rs",
    "core/director/mod.rs",
    "core/director/here.rs",
    "core/pair/mod.rs",
    "core/pair/addresses.rs",
    "core/pair/channel.rs",
    "core/pair/election.rs",
    "core/pair/situation.rs",
    "core/pair/wire.rs",
    "core/pair/roles.rs",
    "core/pair/services.rs",
    "core/pair/trackers.rs",
    "core/pair/verdict.rs",
    "core/settings.rs",
    "core/telling.rs",
    "notify/backlog.rs",
    "notify/outbox.rs",
    "observe/bfd.rs",
    "observe/data.rs",
    "observe/instance.rs",
    "observe/json.rs",
    "observe/page.rs",
    "observe/services.rs",
    "observe/stats.rs",
    "metrics/mod.rs",
    "metrics/checks.rs",
    "metrics/daemon.rs",
    "metrics/pair.rs",
    "metrics/real.rs",
    "metrics/text.rs",
    "metrics/virtual_servers.rs",
    "metrics/vrrp.rs",
    "control/routes/watch.rs",
    "pattern.rs",
    "config/model.rs",
    "config/model/server.rs",
    "config/model/overrides.rs",
    "config/overrides.rs",
    "config/model/instance.rs",
    "config/model/rules.rs",
    "config/model/global.rs",
    "config/units.rs",
    "config/text/mod.rs",
    "config/text/address.rs",
    "config/text/encap.rs",
    "config/text/expect.rs",
    "config/text/hex.rs",
    "config/text/overrides.rs",
    "config/text/numbers.rs",
    "config/text/route.rs",
    "config/text/route_line.rs",
    "config/text/route_words.rs",
    "config/text/rule.rs",
    "config/marks.rs",
    "config/text/words.rs",
    "config/yaml.rs",
    "config/resolve/mod.rs",
    "config/resolve/instances.rs",
    "config/resolve/servers.rs",
    "config/resolve/groups.rs",
    "config/resolve/overrides.rs",
    "config/resolve/probes.rs",
    "config/resolve/certificates.rs",
    "config/resolve/sessions.rs",
    "config/resolve/pair.rs",
    "config/resolve/status.rs",
    "config/resolve/together.rs",
    "config/resolve/routing.rs",
    "config/resolve/strict.rs",
    "config/keepalived/keyword.rs",
    "config/keepalived/writer.rs",
];

const IMPURE_WORDS: &[&str] = &[
    "clock::",
    "tokio::",
    "socket2::",
    "std::thread",
    "std::fs",
    "TcpStream",
    "UdpSocket",
    "nix::",
    "libc::",
    "tracing::",
    "Instant::now",
    "SystemTime",
];

fn source_files(under: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The text without comments and without what follows `#[cfg(test)]` (tests may do as they like).
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn rooms_use_only_what_lies_below_them() {
    let mut files = Vec::new();
    source_files(&root(), &mut files);
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let mut breaches = Vec::new();
    for path in files {
        let below = path.strip_prefix(root()).unwrap().to_owned();
        let first = below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs");
        if first == "lib" || first == "main" {
            continue;
        }
        let Some((room, allowed)) = MAY_USE.iter().find(|(room, _)| *room == first) else {
            breaches
                .push(format!("src/{}: room `{first}` is not in the table of this test", below.display()));
            continue;
        };
        let code = code(&path);
        for (at, _) in code.match_indices("crate::") {
            let rest = &code[at + "crate::".len()..];
            let used: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if used == *room || !known.contains(used.as_str()) {
                continue;
            }
            if !allowed.contains(&used.as_str()) {
                breaches.push(format!("src/{}: `{room}` must not use `{used}`", below.display()));
            }
            for (_, _, only) in ONLY.iter().filter(|(r, u, _)| r == room && *u == used) {
                let inner = rest[used.len()..].trim_start_matches("::");
                if !inner.starts_with(only) {
                    breaches.push(format!(
                        "src/{}: `{room}` may use only `{used}::{only}`, not `{used}::{}`",
                        below.display(),
                        inner.lines().next().unwrap_or_default()
                    ));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "imports point down only:\n{}", breaches.join("\n"));
}

#[test]
fn deciders_are_pure() {
    let mut breaches = Vec::new();
    for file in PURE {
        let path = root().join(file);
        assert!(path.exists(), "src/{file} is listed as pure but does not exist: mend the list");
        let code = code(&path);
        for word in IMPURE_WORDS.iter().filter(|word| code.contains(**word)) {
            breaches.push(format!("src/{file} decides, so it must not contain `{word}`"));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn no_room_has_grown_into_two() {
    let mut files = Vec::new();
    source_files(&root(), &mut files);
    let too_long: Vec<String> = files
        .iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .filter_map(|path| {
            let lines = code(path).lines().count();
            (lines > 600).then(|| format!("{}: {lines} lines", path.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "past 600 lines a file wants to be two rooms:\n{}", too_long.join("\n"));
}
