//! Runs a user's program. Stand-in with the agreed signatures, until the real one is merged from branch `net`.

use std::time::Duration;

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// User name.
    pub user: String,
}

/// Why an identity is none.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user.
    #[error("no such user: {0}")]
    NoUser(String),
}

/// Looks a user up.
///
/// # Errors
/// [`Error::NoUser`].
pub fn identity(user: &str, _group: Option<&str>) -> Result<RunAs, Error> {
    let found = nix::unistd::User::from_name(user).ok().flatten();
    let found = found.ok_or_else(|| Error::NoUser(user.to_owned()))?;
    Ok(RunAs { uid: found.uid.as_raw(), gid: found.gid.as_raw(), user: user.to_owned() })
}

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its words.
    pub argv: Vec<String>,
    /// Whom it runs as.
    pub run_as: Option<RunAs>,
    /// Longest run.
    pub timeout: Option<Duration>,
    /// More environment.
    pub env: Vec<(String, String)>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit status.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// Over its time.
    TimedOut,
    /// Not started.
    NotStarted(String),
}

/// A program that ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Runs it.
pub async fn run(program: &Program) -> Finished {
    use std::os::unix::process::ExitStatusExt;
    let began = crate::clock::now();
    let Some((first, rest)) = program.argv.split_first() else {
        return Finished { outcome: Outcome::NotStarted("no program".to_owned()), took: Duration::ZERO };
    };
    if let Some(user) = &program.run_as {
        // Rather not at all than as ourselves.
        let why = format!("cannot run as {} yet", user.user);
        return Finished { outcome: Outcome::NotStarted(why), took: Duration::ZERO };
    }
    let ended = tokio::process::Command::new(first).args(rest).kill_on_drop(true).spawn();
    let outcome = match ended {
        Err(error) => Outcome::NotStarted(error.to_string()),
        Ok(mut child) => {
            let limit = program.timeout.unwrap_or(Duration::from_secs(3600));
            match tokio::time::timeout(limit, child.wait()).await {
                Err(_) => Outcome::TimedOut,
                Ok(Err(error)) => Outcome::NotStarted(error.to_string()),
                Ok(Ok(status)) => {
                    status.code().map_or_else(|| Outcome::Signal(status.signal().unwrap_or(0)), Outcome::Exit)
                }
            }
        }
    };
    Finished { outcome, took: crate::clock::now().saturating_duration_since(began) }
}
