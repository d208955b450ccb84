//! From the configuration's commands to programs that can run: who runs them, and what words they get. Pure but
//! for the look-up of users.

use std::time::Duration;

use crate::config::model::{Command, Config, Global, Instance, VrrpScript};
use crate::process::{self, Program, RunAs};
use crate::vrrp::machine::StateName;
use crate::vrrp::track::ScriptPlan;
use crate::vrrp::trackers::{TrackerKind, tracked_names};

/// keepalived's rule: the user beside the command, else `script_user`, else `keepalived_script` if there is such
/// a user, else whoever the daemon runs as.
pub fn run_as(command: &Command, global: &Global) -> Result<Option<RunAs>, process::Error> {
    match command.user.as_ref().or(global.script_user.as_ref()) {
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
    let env = vec![("TANDEM_PID".to_owned(), std::process::id().to_string())];
    Some(Program { argv, run_as, timeout, env })
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

/// What an instance tells the world of a state: the specific script with exactly its words, the generic one with
/// `INSTANCE name STATE priority` behind them.
pub fn notify(instance: &Instance, state: StateName, priority: u8, global: &Global) -> Vec<Program> {
    let (specific, word) = match state {
        StateName::Master => (&instance.notify_master, "MASTER"),
        StateName::Backup => (&instance.notify_backup, "BACKUP"),
        StateName::Fault => (&instance.notify_fault, "FAULT"),
        StateName::Stopped => (&instance.notify_stop, "STOP"),
        StateName::Init => return Vec::new(),
    };
    both(instance, specific.as_ref(), word, priority, global)
}

/// The scripts of an instance that a reload removed: `notify_deleted`, else `notify_fault` as keepalived does.
pub fn notify_deleted(instance: &Instance, priority: u8, global: &Global) -> Vec<Program> {
    match &instance.notify_deleted {
        Some(script) => both(instance, Some(script), "DELETED", priority, global),
        None => both(instance, instance.notify_fault.as_ref(), "FAULT", priority, global),
    }
}

/// The scripts of a master that heard a lower one.
pub fn notify_lower(instance: &Instance, priority: u8, global: &Global) -> Vec<Program> {
    both(instance, instance.notify_master_rx_lower_pri.as_ref(), "MASTER_RX_LOWER_PRI", priority, global)
}

fn both(
    instance: &Instance,
    specific: Option<&Command>,
    word: &str,
    priority: u8,
    global: &Global,
) -> Vec<Program> {
    let priority = priority.to_string();
    let extra = ["INSTANCE", instance.name.as_str(), word, priority.as_str()];
    let specific = specific.and_then(|command| program(command, &[], global, None));
    let generic = instance.notify.as_ref().and_then(|command| program(command, &extra, global, None));
    specific.into_iter().chain(generic).collect()
}
