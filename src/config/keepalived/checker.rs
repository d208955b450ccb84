//! `TCP_CHECK`, `HTTP_GET`, `MISC_CHECK`.

use crate::config::diagnostic::Level;
use crate::config::model::{
    Command, Connection, HttpGet, HttpProtocol, MiscCheck, Pace, ScriptUser, StatusRange, TcpCheck, Url,
};
use crate::config::units::Secs;

use super::global::DAY;
use super::reader::{Reader, Set, Table};
use super::tree::Node;

/// Anything that has a pace.
trait Paced {
    fn pace(&mut self) -> &mut Pace;
}

/// Anything that connects.
trait Connects {
    fn connection(&mut self) -> &mut Connection;
}

impl Paced for TcpCheck {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }
}

impl Connects for TcpCheck {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Paced for HttpGet {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }
}

impl Connects for HttpGet {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

#[derive(Default)]
struct MiscDraft {
    command: Option<Command>,
    user: Option<ScriptUser>,
    timeout: Option<Secs>,
    dynamic: bool,
    pace: Pace,
}

impl Paced for MiscDraft {
    fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }
}

fn paced<T: Paced>(word: &str) -> Option<Set<T>> {
    Some(match word {
        "delay_loop" => |r, n, t| t.pace().delay_loop = r.secs(n, 0.000_001, DAY),
        "retry" => |r, n, t| t.pace().retry = r.number(n, 0..=u32::MAX),
        "delay_before_retry" => |r, n, t| t.pace().delay_before_retry = r.secs(n, 0.0, DAY),
        "warmup" => |r, n, t| t.pace().warmup = r.secs(n, 0.0, DAY),
        "alpha" => |r, n, t| t.pace().alpha = r.switch(n),
        "log_all_failures" => |r, n, t| t.pace().log_all_failures = r.switch(n),
        _ => return None,
    })
}

fn connects<T: Connects>(word: &str) -> Option<Set<T>> {
    Some(match word {
        "connect_ip" => |r, n, t| t.connection().connect_ip = r.address(n),
        "connect_port" => |r, n, t| t.connection().connect_port = r.number(n, 1..=65_535),
        "bindto" => |r, n, t| t.connection().bindto = r.address(n),
        "bind_if" => |r, n, t| t.connection().bind_if = r.text(n),
        "connect_timeout" => |r, n, t| t.connection().connect_timeout = r.secs(n, 0.000_001, DAY),
        _ => return None,
    })
}

const PACE_WORDS: [&str; 6] =
    ["delay_loop", "retry", "delay_before_retry", "warmup", "alpha", "log_all_failures"];
const CONNECTION_WORDS: [&str; 5] = ["connect_ip", "connect_port", "bindto", "bind_if", "connect_timeout"];
const CONNECTION_LATER: [&str; 2] = ["bind_port", "fwmark"];

/// `TCP_CHECK { … }`.
pub(super) fn tcp_check(r: &mut Reader, node: &Node) -> TcpCheck {
    let mut check = TcpCheck::default();
    for child in node.children() {
        let key = child.key();
        if let Some(set) = paced(key).or_else(|| connects(key)) {
            set(r, child, &mut check);
        } else if CONNECTION_LATER.contains(&key) {
            r.not_yet(child);
        } else if key == "nb_get_retry" {
            let problem = "nb_get_retry means nothing in TCP_CHECK";
            let consequence = "the line is passed over: retry stays as it is, as under keepalived";
            r.find(Level::Warning, child, 0, "unknown-keyword", problem, consequence, "write retry");
        } else {
            r.unknown(child, PACE_WORDS.into_iter().chain(CONNECTION_WORDS), "TCP_CHECK");
        }
    }
    check
}

const HTTP: Table<HttpGet> = &[
    ("url", |r, n, h| h.url.extend(url(r, n))),
    ("virtualhost", |r, n, h| h.virtualhost = r.text(n)),
    ("http_protocol", |r, n, h| {
        h.http_protocol = match n.argument(0) {
            Some("1.0") => Some(HttpProtocol::V1_0),
            Some("1.0C" | "1.0c") => Some(HttpProtocol::V1_0Close),
            Some("1.1") => Some(HttpProtocol::V1_1),
            other => {
                let other = other.unwrap_or_default().to_owned();
                r.bad(n, &other, "1.0, 1.0C or 1.1", "1.0 is used");
                None
            }
        };
    }),
    ("fast_recovery", |r, n, h| h.fast_recovery = r.switch(n).unwrap_or(true)),
    ("nb_get_retry", |r, n, h| h.pace.retry = r.number(n, 0..=u32::MAX)),
];
const HTTP_LATER: [&str; 3] = ["enable_sni", "sni_name", "tls_compliant"];

/// `HTTP_GET { … }`; dropped without a url.
pub(super) fn http_get(r: &mut Reader, node: &Node) -> Option<HttpGet> {
    let mut check = HttpGet::default();
    for child in node.children() {
        let key = child.key();
        let own = HTTP.iter().find(|(word, _)| *word == key).map(|(_, set)| *set);
        if let Some(set) = own.or_else(|| paced(key)).or_else(|| connects(key)) {
            set(r, child, &mut check);
        } else if CONNECTION_LATER.contains(&key) || HTTP_LATER.contains(&key) {
            r.not_yet(child);
        } else {
            let known = HTTP.iter().map(|(word, _)| *word).chain(PACE_WORDS).chain(CONNECTION_WORDS);
            r.unknown(child, known, "HTTP_GET");
        }
    }
    if check.url.is_empty() {
        let consequence = "the check is dropped: the real server counts as up without it";
        let fix = "write url { path / } into it";
        r.find(Level::Error, node, 0, "no-url", "HTTP_GET has no url with a path", consequence, fix);
        return None;
    }
    Some(check)
}

#[derive(Default)]
struct UrlDraft {
    path: Option<String>,
    digest: Option<String>,
    status: Vec<StatusRange>,
    virtualhost: Option<String>,
}

const URL: Table<UrlDraft> = &[
    ("path", |r, n, u| u.path = r.text(n)),
    ("digest", |r, n, u| {
        let Some(text) = r.text(n) else { return };
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            u.digest = Some(text.to_ascii_lowercase());
        } else {
            r.bad(n, &text, "the 32 hexadecimal digits of an MD5 sum", "the digest is passed over");
        }
    }),
    ("status_code", |r, n, u| {
        for (index, word) in n.arguments().into_iter().enumerate() {
            match word.parse() {
                Ok(range) => u.status.push(range),
                Err(problem) => {
                    let problem: String = problem;
                    r.find(Level::Warning, n, index + 1, "bad-value", problem, "it is passed over", "");
                }
            }
        }
    }),
    ("virtualhost", |r, n, u| u.virtualhost = r.text(n)),
];
const URL_LATER: &[&str] = &[
    "regex",
    "regex_no_match",
    "regex_options",
    "regex_min_offset",
    "regex_max_offset",
    "regex_stack",
    "tls_compliant",
    "sni_name",
];

fn url(r: &mut Reader, node: &Node) -> Option<Url> {
    let mut draft = UrlDraft::default();
    r.block(node.children(), URL, URL_LATER, "url", &mut draft);
    let Some(path) = draft.path else {
        let fix = "write path / into it";
        r.find(Level::Error, node, 0, "no-path", "this url has no path", "the url is dropped", fix);
        return None;
    };
    Some(Url { path, digest: draft.digest, status_code: draft.status, virtualhost: draft.virtualhost })
}

const MISC: Table<MiscDraft> = &[
    ("misc_path", |r, n, m| m.command = r.quoted_command(n)),
    ("misc_timeout", |r, n, m| m.timeout = r.secs(n, 0.000_001, DAY)),
    ("misc_dynamic", |_, _, m| m.dynamic = true),
    ("user", |r, n, m| m.user = r.user(n)),
];

/// `MISC_CHECK { … }`; dropped without a command.
pub(super) fn misc_check(r: &mut Reader, node: &Node) -> Option<MiscCheck> {
    let mut draft = MiscDraft::default();
    for child in node.children() {
        let key = child.key();
        let own = MISC.iter().find(|(word, _)| *word == key).map(|(_, set)| *set);
        if let Some(set) = own.or_else(|| paced(key)) {
            set(r, child, &mut draft);
        } else {
            r.unknown(child, MISC.iter().map(|(word, _)| *word).chain(PACE_WORDS), "MISC_CHECK");
        }
    }
    let Some(mut command) = draft.command else {
        let consequence = "the check is dropped: the real server counts as up without it";
        let fix = "write misc_path \"/path/to/program\" into it";
        r.find(Level::Error, node, 0, "no-command", "MISC_CHECK has no misc_path", consequence, fix);
        return None;
    };
    command.user = draft.user;
    Some(MiscCheck {
        misc_path: command,
        misc_timeout: draft.timeout,
        misc_dynamic: draft.dynamic,
        pace: draft.pace,
    })
}
