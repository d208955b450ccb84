//! `reload`, `upgrade` and `leave`: what a person or a unit file asks of the daemon itself.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Daemon, Outcome, complain, finish, say};
use crate::clock;
use crate::control::client::Error;
use crate::control::view::{About, Done};

/// How long the new process may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// Words of `tandem reload` and `tandem upgrade`.
#[derive(clap::Args, Debug)]
pub struct Life {
    #[command(flatten)]
    daemon: Daemon,
}

/// Words of `tandem leave`.
#[derive(clap::Args, Debug)]
pub struct Leave {
    /// Only while systemd restarts this unit; else nothing is done. For `ExecStop`.
    #[arg(long, value_name = "UNIT")]
    if_restarting: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

/// `tandem reload`: waits, and says what has changed, or why nothing has.
pub fn reload(args: &Life) -> i32 {
    finish(done(&args.daemon, "/v1/reload"))
}

/// `tandem leave`.
pub fn leave(args: &Leave) -> i32 {
    if let Some(unit) = &args.if_restarting
        && !restarts(unit)
    {
        return 0;
    }
    finish(done(&args.daemon, "/v1/leave"))
}

/// `tandem upgrade`: waits until the new process answers.
pub fn upgrade(args: &Life) -> i32 {
    finish(upgraded(&args.daemon))
}

fn upgraded(daemon: &Daemon) -> Result<Outcome, Error> {
    let Some((before, _)) = daemon.ask::<About>("GET", "/v1", &Value::Null)? else {
        return Ok(Outcome::Refused);
    };
    if !matches!(done(daemon, "/v1/upgrade")?, Outcome::Done) {
        return Ok(Outcome::Refused);
    }
    let limit = clock::now() + PATIENCE;
    loop {
        std::thread::park_timeout(Duration::from_millis(50));
        // Nobody answers between the two.
        let after = daemon.ask::<About>("GET", "/v1", &Value::Null);
        if let Ok(Some((after, _))) = &after
            && after.pid != before.pid
        {
            let (new, old) = ((&after.tandem, after.pid), (&before.tandem, before.pid));
            say(&format!("Tandem {} (pid {}) goes on for {} (pid {})", new.0, new.1, old.0, old.1));
            return Ok(Outcome::Done);
        }
        if clock::now() >= limit {
            complain(&format!("no new process answers within {} s: see the log", PATIENCE.as_secs()));
            return after.map(|_| Outcome::Waits);
        }
    }
}

fn done(daemon: &Daemon, path: &str) -> Result<Outcome, Error> {
    let Some((done, text)) = daemon.ask::<Done>("POST", path, &Value::Null)? else {
        return Ok(Outcome::Refused);
    };
    if daemon.json {
        say(&text);
    } else {
        done.findings.iter().for_each(|finding| say(finding));
        say(&done.done);
    }
    Ok(Outcome::Done)
}

/// True while systemd has a job that restarts this unit: what stops now starts again at once.
fn restarts(unit: &str) -> bool {
    let mut command = Command::new("systemctl");
    command
        .args(["list-jobs", "--no-legend", "--plain", "--full"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command.output().is_ok_and(|output| is_restarted(&String::from_utf8_lossy(&output.stdout), unit))
}

/// Looks for it among the jobs: number, unit, type, state.
fn is_restarted(jobs: &str, unit: &str) -> bool {
    jobs.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [_, of, kind, ..] if *of == unit && matches!(*kind, "restart" | "try-restart"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_told_from_a_stop() {
        let jobs = "171 tandem.service restart running\n172 other.service stop waiting\n";
        assert!(is_restarted(jobs, "tandem.service"));
        assert!(!is_restarted(jobs, "other.service") && !is_restarted("", "tandem.service"));
    }
}
