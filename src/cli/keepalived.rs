//! What the program does under the name `keepalived`: the daemon and its configuration test, with keepalived's options,
//! signals, files and exit codes.

mod daemon;
mod options;

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::resolve::Facts;
use crate::config::{self, Loaded};

use super::log::Facility;
use super::report::{Paint, findings};
use options::Line;

/// keepalived's exit codes of `-t` (Debian's 2.2.7; its manual page is off by one).
const GOOD: i32 = 0;
const FATAL: i32 = 2;
const ERRORS: i32 = 5;
const SECURITY: i32 = 6;
/// A wrong command line.
const WRONG: i32 = 1;

/// Findings that keepalived would not have: they leave its exit code alone.
const OURS: &[&str] = &[
    "not-acted-on",
    "unquoted-arguments",
    "surplus-words",
    "surplus-mask",
    "repeated",
    "no-effect",
    "no-relay",
    "unused-group",
    "vip-not-carried",
    "drops-traffic",
    "weight-nopreempt",
    "weight-without-effect",
    "quorum-never-back",
    "shared-address",
    "dr-other-subnet",
    "alpha-without-check",
    "include-missing",
    "undefined-variable",
    "global-script",
    "half-a-login",
    "password-in-the-clear",
];

/// True when the program was started as keepalived.
pub(super) fn is_called(program: &str) -> bool {
    program.rsplit('/').next() == Some("keepalived")
}

/// Runs as keepalived; returns its exit code.
pub(super) fn run(arguments: impl Iterator<Item = String>) -> i32 {
    let mut arguments = arguments.peekable();
    if arguments.next_if(|first| first == "--genhash" || first == "-T").is_some() {
        return super::genhash::alone(arguments);
    }
    let line = match options::read(arguments) {
        Ok(line) => line,
        Err(problem) => {
            eprintln!("{problem}");
            return WRONG;
        }
    };
    if line.help {
        eprint!("{}", options::help());
        return GOOD;
    }
    if line.version {
        // Exporters read the version from the second word: files and signals are as that one's.
        eprintln!("Keepalived v2.2.7 (its files, signals and options)");
        eprintln!("Tandem {} in its place", env!("CARGO_PKG_VERSION"));
        return GOOD;
    }
    if let Some(name) = &line.signum {
        return match signal_number(name) {
            Some(number) => {
                println!("{number}");
                GOOD
            }
            None => {
                eprintln!("Unknown sigfunc {name}");
                WRONG
            }
        };
    }
    if let Some(problem) = line.facility.as_ref().and_then(|text| text.parse::<Facility>().err()) {
        eprintln!("{problem}; daemon is taken");
    }
    match &line.test {
        Some(log) => test(&line, log.as_deref()),
        None => daemon::run(&line),
    }
}

/// Numbers of the signals that have a meaning.
fn signal_number(name: &str) -> Option<i32> {
    Some(match name {
        "STOP" => libc::SIGTERM,
        "RELOAD" => libc::SIGHUP,
        "DATA" => libc::SIGUSR1,
        "STATS" => libc::SIGUSR2,
        "STATS_CLEAR" => libc::SIGRTMAX() - 1,
        "JSON" => libc::SIGRTMIN() + 2,
        _ => return None,
    })
}

/// The configuration test.
fn test(line: &Line, log: Option<&Path>) -> i32 {
    let mut facts = Facts { strict_includes: line.strict_includes, ..Facts::of_this_machine() };
    if line.config_id.is_some() {
        facts.config_id.clone_from(&line.config_id);
    }
    let loaded = config::load(&line.file, &facts);
    match log {
        None => {
            line.remarks.iter().for_each(|remark| eprintln!("{remark}"));
            eprint!("{}", findings(&line.file, &loaded.diagnostics, Paint::of_stderr()));
        }
        Some(path) => {
            let text = findings(&line.file, &loaded.diagnostics, Paint::none());
            if let Err(error) = std::fs::write(path, text) {
                eprintln!("cannot write {}: {error}", path.display());
                return WRONG;
            }
        }
    }
    exit_code(&loaded)
}

/// keepalived's exit code for what was found. A missing file is fatal here (keepalived takes it for an empty one).
pub fn exit_code(loaded: &Loaded) -> i32 {
    if !loaded.readable {
        return FATAL;
    }
    let theirs = |finding: &&Diagnostic| !OURS.contains(&finding.code);
    let codes: BTreeSet<&str> =
        loaded.diagnostics.iter().filter(theirs).map(|finding| finding.code).collect();
    let unset = |finding: &Diagnostic| finding.code == "missing-value" && finding.level == Level::Error;
    if loaded.diagnostics.iter().any(unset) {
        FATAL
    } else if codes.contains("script-security") {
        SECURITY
    } else if codes.is_empty() {
        GOOD
    } else {
        ERRORS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_keepalived_s() {
        // As Debian's 2.2.7 prints them.
        for (name, number) in
            [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("STATS_CLEAR", 63), ("JSON", 36)]
        {
            assert_eq!(signal_number(name), Some(number), "{name}");
        }
        assert_eq!((signal_number("TDUMP"), signal_number("data")), (None, None));
    }

    #[test]
    fn codes_are_keepalived_s() {
        let load = |text: &str| {
            exit_code(&config::load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default()))
        };
        assert_eq!(load(""), GOOD);
        assert_eq!(load("nonsense 1\n"), ERRORS);
        assert_eq!(load("vrrp_script\n"), FATAL);
        let instance =
            "vrrp_instance A { interface eth0\nvirtual_router_id 7\nvirtual_ipaddress { 10.0.0.1 }\n";
        assert_eq!(load(&format!("{instance}}}")), GOOD);
        assert_eq!(load(&format!("{instance}notify /bin/true\n}}")), SECURITY);
    }
}
