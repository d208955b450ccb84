//! From the configuration's commands to programs that can run: who runs them, and what words they get. Pure but
//! for the look-up of users.

use std::time::Duration;

use nix::sys::stat::Mode;

use super::supervisor;
use super::telling::Run;
use crate::config::model::{Command, Config, Global, ScriptUser, VrrpScript};
use crate::notify::fifo::UMASK;
use crate::process::{self, Outcome, Policy, Program, RunAs};
use crate::vrrp::track::ScriptPlan;
use crate::vrrp::trackers::{TrackerKind, tracked_names};

/// keepalived's rule: the user beside the command, else `script_user`, else `keepalived_script` if there is such
/// a user, else whoever the daemon runs as.
pub fn run_as(command: &Command, global: &Global) -> Result<Option<RunAs>, process::Error> {
    owner(command.user.as_ref(), global)
}

/// The same rule for a user who may be named anywhere, as beside a pipe.
pub fn owner(named: Option<&ScriptUser>, global: &Global) -> Result<Option<RunAs>, process::Error> {
    match named.or(global.script_user.as_ref()) {
        Some(named) => process::identity(&named.user, named.group.as_deref()).map(Some),
        None => Ok(process::identity("keepalived_script", None).ok()),
    }
}

/// A program of these words; `None` with a log line when its user does not exist (keepalived drops it, too).
pub fn program(
    command: &Command,
    extra: &[&str],
    global: &Global,
    timeout: Option<Duration>,
) -> Option<Program> {
    let run_as = match run_as(command, global) {
        Ok(run_as) => run_as,
        Err(error) => {
            tracing::error!("{} is not run: {error}", command.argv.join(" "));
            return None;
        }
    };
    let argv =
        command.argv.iter().map(String::as_str).chain(extra.iter().copied()).map(str::to_owned).collect();
    // Lets a script stop the director that it belongs to, whatever its name.
    let env = vec![("TANDEM_PID".to_owned(), supervisor::daemon_pid().to_string())];
    Some(Program { argv, run_as, timeout, env })
}

/// A program of an event, with the event's variables.
pub fn told(run: &Run, env: &[(String, String)], global: &Global) -> Option<Program> {
    let extra: Vec<&str> = run.extra.iter().map(String::as_str).collect();
    let mut program = program(&run.command, &extra, global, None)?;
    program.env.extend_from_slice(env);
    Some(program)
}

/// How all programs are started under these settings; keepalived's mask is 0177 where the file names none.
pub fn policy(global: &Global) -> Policy {
    Policy {
        umask: Some(Mode::from_bits_truncate(mask(global))),
        supplementary_groups: global.set_supplementary_groups.unwrap_or(false),
        resolve_links: !global.use_symlink_paths.unwrap_or(false),
    }
}

/// The mask of files that we and our programs create.
pub fn mask(global: &Global) -> u32 {
    global.umask.map_or(UMASK, u32::from)
}

/// Which of the two programs around the daemon's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// `startup_script`, before anything else is started.
    Startup,
    /// `shutdown_script`, after everything else has ended.
    Shutdown,
}

/// Runs `startup_script` or `shutdown_script` to its end, or to its time limit (10 s). Its failure is logged and
/// changes nothing, as under keepalived.
pub async fn run_around(around: Around, global: &Global) {
    let (word, command, limit) = match around {
        Around::Startup => ("startup_script", &global.startup_script, global.startup_script_timeout),
        Around::Shutdown => ("shutdown_script", &global.shutdown_script, global.shutdown_script_timeout),
    };
    let Some(command) = command else { return };
    let limit = limit.map_or(Duration::from_secs(10), |secs| secs.0);
    let Some(program) = program(command, &[], global, Some(limit)) else { return };
    let finished = process::run(&program).await;
    let words = program.argv.join(" ");
    let secs = finished.took.as_secs_f64();
    match finished.outcome {
        Outcome::Exit(0) => tracing::info!("{word}: {words} done in {secs:.2} s"),
        Outcome::Exit(status) => tracing::error!("{word}: {words} ended with status {status}; going on"),
        Outcome::Signal(signal) => tracing::error!("{word}: {words} was ended by signal {signal}; going on"),
        Outcome::TimedOut => {
            tracing::error!("{word}: {words} did not end within {} s: ended; going on", limit.as_secs_f64());
        }
        Outcome::NotStarted(why) | Outcome::NoProcess(why) => tracing::error!("{word}: {why}; going on"),
    }
}

/// The `vrrp_script`s that some instance or group tracks.
pub fn tracked(config: &Config) -> Vec<ScriptPlan> {
    let names = tracked_names(TrackerKind::Script, config);
    let used = |script: &&VrrpScript| names.contains(script.name.as_str());
    config
        .vrrp_script
        .iter()
        .filter(used)
        .filter_map(|script| {
            let interval = script.interval.map_or(Duration::from_secs(1), |s| s.0);
            let timeout = script.timeout.map_or(interval, |s| s.0);
            Some(ScriptPlan {
                name: script.name.clone(),
                program: program(&script.script, &[], &config.global_defs, Some(timeout))?,
                interval,
                rise: script.rise.unwrap_or(1),
                fall: script.fall.unwrap_or(1),
                init_fail: script.init_fail,
            })
        })
        .collect()
}
