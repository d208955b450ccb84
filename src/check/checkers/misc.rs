//! MISC_CHECK: a program; exit 0 is success.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::check::outcome::{Failure, Success, Weight};
use crate::check::plan::MiscPlan;
use crate::config::model::ScriptUser;
use crate::process::{self, Left, Outcome, Program, RunAs};

/// The user that programs run as when nothing else is said, where it exists.
const DEFAULT_USER: &str = "keepalived_script";

/// What a program runs as; `None` = as ourselves.
type Identity = Result<Option<RunAs>, String>;
/// User and group as the file names them; `None` = the default user.
type Named = Option<(String, Option<String>)>;

/// Users by name, each looked up once; and what cannot be ended.
#[derive(Debug, Default)]
pub struct Users {
    known: HashMap<Named, Arc<OnceCell<Identity>>>,
    stuck: Stuck,
}

/// Programs, by their words, that were killed and are still there, with their process numbers.
#[derive(Clone, Debug, Default)]
struct Stuck(Arc<Mutex<HashMap<Vec<String>, i32>>>);

impl Stuck {
    fn all(&self) -> MutexGuard<'_, HashMap<Vec<String>, i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers it until it has gone after all.
    fn hold(&self, argv: Vec<String>, left: Left) {
        self.all().insert(argv.clone(), left.pid());
        let stuck = self.clone();
        tokio::spawn(async move {
            left.gone().await;
            stuck.all().remove(&argv);
        });
    }
}

impl Users {
    /// For another configuration: users may have changed, what is stuck has not.
    pub fn renewed(&self) -> Self {
        Self { known: HashMap::new(), stuck: self.stuck.clone() }
    }

    /// Makes one run ready. Its identity is the user that the file names, else `keepalived_script` where that exists
    /// and we may become it, else our own.
    pub fn request(&mut self, plan: &MiscPlan) -> Request {
        let key = plan.user.as_ref().map(|user| (user.user.clone(), user.group.clone()));
        let identity = Arc::clone(self.known.entry(key).or_default());
        Request { plan: plan.clone(), identity, stuck: self.stuck.clone() }
    }
}

/// One run, ready to start.
#[derive(Debug)]
pub struct Request {
    plan: MiscPlan,
    identity: Arc<OnceCell<Identity>>,
    stuck: Stuck,
}

impl Request {
    /// One run.
    ///
    /// # Errors
    /// The program's exit status where it means failure, its signal, its time limit, or why it did not start. One that does
    /// not end when it is killed has overrun its time, and is not started again before it is gone.
    pub async fn check(self) -> Result<Success, Failure> {
        let Self { plan, identity, stuck } = self;
        if let Some(pid) = stuck.all().get(&plan.argv) {
            return Err(Failure::Stuck(*pid));
        }
        let user = plan.user.clone();
        // On another thread: the user database may be a server that does not answer, and checks wait for nobody.
        let look_up = || async {
            let looked_up = tokio::task::spawn_blocking(move || look_up(user.as_ref())).await;
            looked_up.unwrap_or_else(|error| Err(error.to_string()))
        };
        let run_as = identity.get_or_init(look_up).await.clone().map_err(Failure::NotStarted)?;
        let program = Program { argv: plan.argv, run_as, timeout: Some(plan.timeout), env: Vec::new() };
        let (finished, left) = process::run_or_leave(&program, pending()).await;
        if let Some(left) = left {
            stuck.hold(program.argv, left);
        }
        verdict(finished.outcome, plan.dynamic, plan.timeout)
    }
}

fn look_up(user: Option<&ScriptUser>) -> Identity {
    match user {
        Some(user) => process::identity(&user.user, user.group.as_deref())
            .map(Some)
            .map_err(|error| format!("user {}: {error}", user.user)),
        // An unprivileged daemon cannot become anybody.
        None if nix::unistd::geteuid().is_root() => Ok(process::identity(DEFAULT_USER, None).ok()),
        None => Ok(None),
    }
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
        Outcome::NoProcess(why) => Err(Failure::NotRun(why)),
    }
}

#[cfg(test)]
#[path = "misc_tests.rs"]
mod tests;
