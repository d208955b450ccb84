//! Runs a user's program: identity, process group, time limit, result.
//!
//! keepalived's script rules: the words are executed directly, never through a shell (only a file without a `#!` line
//! is the shell's to read, as execvp(3) has it); the child leads a process
//! group of its own, is told to end when the daemon dies, inherits no descriptor but standard output and error, has
//! no supplementary group (unless the [`Policy`] says so) and, as another user, no capability, gets the policy's file
//! mask, and finds neither IFS nor LD_PRELOAD nor LD_LIBRARY_PATH in its environment.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{Group, User};

use crate::clock;

mod child;
mod limits;
mod policy;
mod script;
mod spawn;

pub use limits::{descriptors, raise_descriptors};
pub use policy::{Policy, set_policy, umask};
pub use script::{Problem, script_check};

/// Between SIGTERM and SIGKILL for a program that overran its time.
const GRACE: Duration = Duration::from_secs(2);

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// User name, for messages. Supplementary groups are dropped, as keepalived does.
    pub user: String,
}

/// Why a program cannot be given an identity.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user.
    #[error("there is no user \"{0}\": create it (useradd --system {0}) or name another")]
    NoUser(String),
    /// No such group.
    #[error("there is no group \"{0}\": create it (groupadd --system {0}) or name another")]
    NoGroup(String),
    /// The user data base did not answer.
    #[error("cannot look up \"{name}\": {source}")]
    LookUp {
        /// User or group.
        name: String,
        /// Why.
        source: nix::Error,
    },
}

impl Error {
    /// The same as two sentences: what is wrong, and what to do.
    pub fn problem_and_cure(&self) -> (String, String) {
        let text = self.to_string();
        match (self, text.split_once(": ")) {
            (Self::NoUser(_) | Self::NoGroup(_), Some((problem, cure))) => {
                (problem.to_owned(), cure.to_owned())
            }
            _ => (text, "mend /etc/nsswitch.conf, or name another".to_owned()),
        }
    }
}

/// Looks up a user and, when named, a group; else the user's own group.
pub fn identity(user: &str, group: Option<&str>) -> Result<RunAs, Error> {
    let failed = |name: &str| {
        let name = name.to_owned();
        move |source| Error::LookUp { name, source }
    };
    let found = User::from_name(user).map_err(failed(user))?;
    let found = found.ok_or_else(|| Error::NoUser(user.to_owned()))?;
    let gid = match group {
        None => found.gid,
        Some(name) => {
            let group = Group::from_name(name).map_err(failed(name))?;
            group.ok_or_else(|| Error::NoGroup(name.to_owned()))?.gid
        }
    };
    Ok(RunAs { uid: found.uid.as_raw(), gid: gid.as_raw(), user: user.to_owned() })
}

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program, found through PATH unless it has a slash, and its arguments.
    pub argv: Vec<String>,
    /// `None` = as the daemon.
    pub run_as: Option<RunAs>,
    /// Longest run; `None` = no limit.
    pub timeout: Option<Duration>,
    /// Variables on top of the daemon's environment.
    pub env: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It overran its time, or was wanted no longer, and was ended with its whole group.
    TimedOut,
    /// It could not be started; says why and what to do.
    NotStarted(String),
    /// The system had no process, no memory or no descriptor for it, so that nothing is known of the program itself. Says
    /// why and what to do. keepalived 2.2.7 logs "Failed fork process" then, and leaves the tracker as it is.
    NoProcess(String),
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// Wall-clock time of the run.
    pub took: Duration,
}

/// Runs a program to its end. A dropped future ends the program's whole process group.
///
/// The child is told to end when the thread that starts it ends (PR_SET_PDEATHSIG), so call this on a thread that
/// lives as long as the daemon.
pub async fn run(program: &Program) -> Finished {
    run_until(program, std::future::pending()).await
}

/// Runs a program to its end, or until `enough`: then, as after its time limit, its whole process group gets SIGTERM,
/// and SIGKILL two seconds later; the outcome is [`Outcome::TimedOut`]. A dropped future kills the group at once.
pub async fn run_until(program: &Program, enough: impl Future<Output = ()>) -> Finished {
    match run_or_leave(program, enough).await {
        (finished, None) => finished,
        (_, Some(left)) => left.gone().await,
    }
}

/// A program that was killed and is still there: it waits for a disk, or a debugger holds it.
pub struct Left {
    child: child::Child,
    group: child::ProcessGroup,
    started: Instant,
}

impl Left {
    /// Its number.
    pub const fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// Returns when it has gone after all. Dropped before that, somebody else waits for it.
    pub async fn gone(mut self) -> Finished {
        let _ = self.child.wait().await;
        self.group.leader_gone();
        let took = clock::now().saturating_duration_since(self.started);
        Finished { outcome: Outcome::TimedOut, took }
    }
}

/// The same, but what does not end when it is killed is not waited for: it comes back beside the outcome, two seconds later.
pub async fn run_or_leave(program: &Program, enough: impl Future<Output = ()>) -> (Finished, Option<Left>) {
    let started = clock::now();
    let finished = |outcome| Finished { outcome, took: clock::now().saturating_duration_since(started) };
    let (mut child, mut group) = match child::start(program) {
        Ok(child) => child,
        Err(refusal) => return (finished(refusal.into()), None),
    };
    let limit = async {
        match program.timeout {
            None => std::future::pending().await,
            Some(limit) => tokio::time::sleep(limit).await,
        }
    };
    let ended = tokio::select! {
        biased;
        ended = child.wait() => Some(ended),
        () = limit => None,
        () = enough => None,
    };
    let outcome = match ended {
        Some(Ok(status)) => {
            group.leader_gone();
            outcome(status)
        }
        Some(Err(error)) => {
            Outcome::NotStarted(format!("cannot wait for {}: {error}", program.argv.join(" ")))
        }
        None => {
            group.signal(Signal::SIGTERM);
            if tokio::time::timeout(GRACE, child.wait()).await.is_ok() {
                group.linger(GRACE);
            } else {
                group.signal(Signal::SIGKILL);
                if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                    return (finished(Outcome::TimedOut), Some(Left { child, group, started }));
                }
                group.leader_gone();
            }
            Outcome::TimedOut
        }
    };
    (finished(outcome), None)
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exit(code),
        (None, Some(signal)) => Outcome::Signal(signal),
        (None, None) => Outcome::Exit(-1),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod spawn_tests;
