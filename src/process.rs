//! Runs a user's program: identity, process group, time limit, result.
//!
//! keepalived's script rules: the words are executed directly, never through a shell; the child leads a process
//! group of its own, is told to end when the daemon dies, inherits no descriptor but standard output and error,
//! and finds neither IFS nor LD_PRELOAD nor LD_LIBRARY_PATH in its environment.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Gid, Group, Pid, Uid, User, getgrouplist, setgid, setgroups, setuid};
use tokio::process::{Child, Command};

use crate::clock;

/// Between SIGTERM and SIGKILL for a program that overran its time.
const GRACE: Duration = Duration::from_secs(2);
/// Variables that would let the daemon's environment steer a program (keepalived 2.4 removes the same).
const REMOVED: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// Whom a program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// User name, for messages and supplementary groups.
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
    /// It overran its time and was ended with its whole group.
    TimedOut,
    /// It could not be started; says why and what to do.
    NotStarted(String),
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
    let started = clock::now();
    let finished = |outcome| Finished { outcome, took: clock::now().saturating_duration_since(started) };
    let (mut child, group) = match start(program) {
        Ok(child) => child,
        Err(why) => return finished(Outcome::NotStarted(why)),
    };
    let ended = match program.timeout {
        None => Some(child.wait().await),
        Some(limit) => tokio::time::timeout(limit, child.wait()).await.ok(),
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
            let _ = tokio::time::timeout(GRACE, child.wait()).await;
            group.signal(Signal::SIGKILL);
            let _ = child.wait().await;
            group.leader_gone();
            Outcome::TimedOut
        }
    };
    finished(outcome)
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exit(code),
        (None, Some(signal)) => Outcome::Signal(signal),
        (None, None) => Outcome::Exit(-1),
    }
}

/// The process group of a child; ended when dropped before the leader was seen to end.
struct ProcessGroup {
    id: Option<Pid>,
    alive: std::cell::Cell<bool>,
}

impl ProcessGroup {
    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // ESRCH: everybody has gone already.
            let _ = killpg(id, signal);
        }
    }

    fn leader_gone(&self) {
        self.alive.set(false);
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.alive.get() {
            self.signal(Signal::SIGKILL);
        }
    }
}

fn start(program: &Program) -> Result<(Child, ProcessGroup), String> {
    let (name, arguments) = program.argv.split_first().ok_or("there is no program to run")?;
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    for variable in REMOVED {
        command.env_remove(variable);
    }
    command.envs(program.env.iter().map(|(k, v)| (k, v)));
    let identity = program.run_as.as_ref().filter(|who| !is_us(who)).map(Identity::of);
    let parent = nix::unistd::getpid();
    // SAFETY: the closure runs in the forked child before exec; it makes system calls and nothing else: the groups
    // were looked up before the fork, so that it neither allocates nor takes a lock.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || become_child(identity.as_ref(), parent));
    }
    let child = command.spawn().map_err(|error| not_started(name, &error))?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    Ok((child, ProcessGroup { id, alive: std::cell::Cell::new(true) }))
}

fn is_us(who: &RunAs) -> bool {
    nix::unistd::geteuid().as_raw() == who.uid && nix::unistd::getegid().as_raw() == who.gid
}

/// In the child: die with the daemon, and be nobody but the user (groups first, then group, then user).
fn become_child(identity: Option<&Identity>, parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    // The daemon may have died before the line above.
    if nix::unistd::getppid() != parent {
        return Err(io::ErrorKind::Interrupted.into());
    }
    // Descriptors that the daemon itself was given (a shell's, a test runner's) are not the script's. Those that
    // exec closes anyway stay open until then: the parent reads exec's outcome through one of them.
    // SAFETY: the call only sets flags on descriptors of this process.
    #[allow(unsafe_code)]
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed());
    }
    let Some(who) = identity else { return Ok(()) };
    setgroups(&who.groups)?;
    setgid(who.gid)?;
    setuid(who.uid)?;
    Ok(())
}

/// An identity with everything looked up.
struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Identity {
    fn of(who: &RunAs) -> Self {
        let gid = Gid::from_raw(who.gid);
        let groups = std::ffi::CString::new(who.user.as_bytes())
            .ok()
            .and_then(|name| getgrouplist(&name, gid).ok())
            .unwrap_or_else(|| vec![gid]);
        Self { uid: Uid::from_raw(who.uid), gid, groups }
    }
}

fn not_started(name: &str, error: &io::Error) -> String {
    let cure = match error.kind() {
        io::ErrorKind::NotFound => "install it, or mend its path or its #! line",
        io::ErrorKind::PermissionDenied => "make it executable (chmod +x) for the user that it runs as",
        _ => "see the system's words",
    };
    format!("{name} could not be started: {error}; {cure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, timeout: Option<Duration>) -> Program {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        Program { argv, run_as: None, timeout, env: vec![("TANDEM_TEST".to_owned(), "yes".to_owned())] }
    }

    #[tokio::test]
    async fn exit_status_signal_and_environment_come_back() {
        assert_eq!(run(&sh("exit 7", None)).await.outcome, Outcome::Exit(7));
        assert_eq!(run(&sh("kill -9 $$", None)).await.outcome, Outcome::Signal(9));
        assert_eq!(run(&sh("test \"$TANDEM_TEST\" = yes", None)).await.outcome, Outcome::Exit(0));
    }

    #[tokio::test]
    async fn the_whole_group_of_a_program_over_its_time_is_ended() {
        let marker = std::env::temp_dir().join(format!("tandem-group-{}", std::process::id()));
        let _ = std::fs::remove_file(&marker);
        // The grandchild outlives its parent's SIGTERM unless the group gets it, too.
        let script = format!("(sleep 1; touch {}) & wait", marker.display());
        let finished = run(&sh(&script, Some(Duration::from_millis(100)))).await;
        assert_eq!(finished.outcome, Outcome::TimedOut);
        assert!(finished.took < Duration::from_millis(900), "{:?}", finished.took);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!marker.exists(), "the grandchild lived on");
    }

    #[tokio::test]
    async fn what_cannot_start_says_how_to_mend_it() {
        let program = Program { argv: vec!["/no/such/script".to_owned()], ..sh("", None) };
        let Outcome::NotStarted(why) = run(&program).await.outcome else { panic!("it started") };
        assert!(why.contains("/no/such/script") && why.contains("install it"), "{why}");
    }

    #[tokio::test]
    async fn another_user_is_really_another_user() {
        if !nix::unistd::geteuid().is_root() {
            panic!("this test needs root: run it as make test does");
        }
        let nobody = identity("nobody", None).unwrap();
        let program = Program { run_as: Some(nobody.clone()), ..sh("test $(id -u) = $WANTED", None) };
        let env = vec![("WANTED".to_owned(), nobody.uid.to_string())];
        assert_eq!(run(&Program { env, ..program }).await.outcome, Outcome::Exit(0));
        assert!(matches!(identity("no-such-user-here", None), Err(Error::NoUser(_))));
    }

    #[tokio::test]
    async fn descriptors_of_the_daemon_do_not_leak() {
        let finished = run(&sh("test $(ls /proc/self/fd | wc -l) -le 4", None)).await;
        assert_eq!(finished.outcome, Outcome::Exit(0));
    }
}
