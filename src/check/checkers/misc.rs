//! MISC_CHECK: a program; exit 0 is success.

use std::collections::HashMap;
use std::time::Duration;

use crate::check::outcome::{Failure, Success, Weight};
use crate::check::params::MiscPlan;
use crate::config::model::ScriptUser;
use crate::process::{self, Outcome, Program, RunAs};

/// The user that programs run as when nothing else is said, where it exists.
const DEFAULT_USER: &str = "keepalived_script";

/// Users by name, looked up once.
#[derive(Debug, Default)]
pub struct Users {
    known: HashMap<Named, Result<Option<RunAs>, String>>,
}

/// User and group as the file names them; `None` = the default user.
type Named = Option<(String, Option<String>)>;

impl Users {
    /// The program of a check, with its identity: the user that the file names, else `keepalived_script` where it
    /// exists and we may become it, else our own.
    ///
    /// # Errors
    /// [`Failure::NotStarted`] when the file names a user that does not exist.
    pub fn program(&mut self, plan: &MiscPlan) -> Result<Program, Failure> {
        let key = plan.user.as_ref().map(|user| (user.user.clone(), user.group.clone()));
        let run_as = self.known.entry(key).or_insert_with(|| look_up(plan.user.as_ref()));
        Ok(Program {
            argv: plan.argv.clone(),
            run_as: run_as.clone().map_err(Failure::NotStarted)?,
            timeout: Some(plan.timeout),
            env: Vec::new(),
        })
    }
}

fn look_up(user: Option<&ScriptUser>) -> Result<Option<RunAs>, String> {
    match user {
        Some(user) => process::identity(&user.user, user.group.as_deref())
            .map(Some)
            .map_err(|error| format!("user {}: {error}", user.user)),
        // An unprivileged daemon cannot become anybody.
        None if nix::unistd::geteuid().is_root() => Ok(process::identity(DEFAULT_USER, None).ok()),
        None => Ok(None),
    }
}

/// One run.
///
/// # Errors
/// The program's exit status where it means failure, its signal, its time limit, or why it did not start.
pub async fn check(program: &Program, dynamic: bool, limit: Duration) -> Result<Success, Failure> {
    verdict(process::run(program).await.outcome, dynamic, limit)
}

/// keepalived's reading of an exit status. With `misc_dynamic` 0 is the configured weight, 1 failure, 2..=255 success
/// with weight (status − 2); else everything but 0 is failure.
fn verdict(outcome: Outcome, dynamic: bool, limit: Duration) -> Result<Success, Failure> {
    match outcome {
        Outcome::Exit(0) => Ok(Success { weight: dynamic.then_some(Weight::Configured) }),
        Outcome::Exit(code) => match u32::try_from(code).ok().and_then(|code| code.checked_sub(2)) {
            Some(weight) if dynamic && weight <= 253 => Ok(Success { weight: Some(Weight::Exactly(weight)) }),
            _ => Err(Failure::ExitCode(code)),
        },
        Outcome::Signal(signal) => Err(Failure::Signal(signal)),
        Outcome::TimedOut => Err(Failure::Timeout(limit)),
        Outcome::NotStarted(why) => Err(Failure::NotStarted(why)),
    }
}

#[cfg(test)]
#[path = "misc_tests.rs"]
mod tests;
