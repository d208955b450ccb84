//! What the program does under the name `keepalived`: its configuration test, with its options and exit codes. The
//! daemon's own options under that name are not there yet.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::resolve::Facts;
use crate::config::{self, Loaded};

use super::report::{Paint, findings};

/// keepalived's exit codes of `-t` (Debian's 2.2.7; its manual page is off by one).
const GOOD: i32 = 0;
const FATAL: i32 = 2;
const ERRORS: i32 = 5;
const SECURITY: i32 = 6;

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

/// keepalived's options, as far as the test needs them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    file: PathBuf,
    test: bool,
    config_id: Option<String>,
    version: bool,
}

/// Reads keepalived's options; an unknown one is returned as the error.
fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options =
        Options { file: PathBuf::from("/etc/keepalived/keepalived.conf"), ..Options::default() };
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let (name, attached) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ if !argument.starts_with("--") && argument.chars().count() > 2 => {
                let at = argument.char_indices().nth(2).map_or(argument.len(), |(at, _)| at);
                (argument[..at].to_owned(), Some(argument[at..].to_owned()))
            }
            _ => (argument, None),
        };
        let mut value =
            || attached.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "-f" | "--use-file" => options.file = PathBuf::from(value()?),
            "-i" | "--config-id" => options.config_id = Some(value()?),
            "-t" | "--config-test" => options.test = true,
            "-v" | "--version" => options.version = true,
            "-u" | "--umask" | "-S" | "--log-facility" | "-p" | "--pid" | "-r" | "--vrrp_pid" | "-c"
            | "--checkers_pid" | "-b" | "--bfd_pid" | "-s" | "--namespace" => {
                value()?;
            }
            "-l"
            | "--log-console"
            | "-D"
            | "--log-detail"
            | "-n"
            | "--dont-fork"
            | "-P"
            | "--vrrp"
            | "-C"
            | "--check"
            | "-B"
            | "--no_bfd"
            | "--all"
            | "-e"
            | "--all-config"
            | "-G"
            | "--no-syslog"
            | "-d"
            | "--dump-conf"
            | "-R"
            | "--dont-respawn"
            | "-a"
            | "--address-monitoring" => {
                // Flags may stand together: -nlD.
                if let Some(more) = attached.filter(|_| !name.starts_with("--")) {
                    let rest: Vec<String> = more.chars().map(|flag| format!("-{flag}")).collect();
                    let inner = self::options(rest.into_iter())?;
                    options.test |= inner.test;
                    options.version |= inner.version;
                }
            }
            other => return Err(format!("{other} is no option of keepalived")),
        }
    }
    Ok(options)
}

/// Runs as keepalived; returns its exit code.
pub(super) fn run(arguments: impl Iterator<Item = String>) -> i32 {
    let mut arguments = arguments.peekable();
    if arguments.next_if(|first| first == "--genhash" || first == "-T").is_some() {
        return super::genhash::alone(arguments);
    }
    let options = match options(arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return 64;
        }
    };
    if options.version {
        eprintln!("Tandem {} (as keepalived)", env!("CARGO_PKG_VERSION"));
        return GOOD;
    }
    if !options.test {
        eprintln!(
            "under the name keepalived only the test (-t, with -f FILE) is there yet: run the daemon as tandem run \
             --config {}",
            options.file.display()
        );
        return 64;
    }
    let mut facts = Facts::of_this_machine();
    if options.config_id.is_some() {
        facts.config_id = options.config_id;
    }
    let loaded = config::load(&options.file, &facts);
    eprint!("{}", findings(&options.file, &loaded.diagnostics, Paint::of_stderr()));
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

    fn read(text: &str) -> Result<Options, String> {
        options(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_keepalived_s() {
        let good = Options { file: "/x".into(), test: true, config_id: Some("a".to_owned()), version: false };
        for text in
            ["-t -f /x -i a", "-tf/x -ia", "--config-test --use-file=/x --config-id=a", "-nlD -t -f /x -i a"]
        {
            if text.starts_with("-tf") {
                // keepalived's -t may carry the name of a log file: nothing can be attached but that.
                continue;
            }
            assert_eq!(read(text).as_ref(), Ok(&good), "{text}");
        }
        assert!(read("-t --nonsense").is_err());
        assert!(read("-f").is_err());
        assert_eq!(read("-lt -f /x").map(|o| o.test), Ok(true));
    }

    #[test]
    fn codes_are_keepalived_s() {
        let load = |text: &str| {
            exit_code(&config::load_text(std::path::Path::new("x.conf"), text.as_bytes(), &Facts::default()))
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
