//! A child: how it is started, what it may inherit, how its process group is ended.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, geteuid, getgrouplist};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::policy::{self, Policy};
use super::spawn::{Identity, Order, Started, spawn};
use super::{Outcome, Program, RunAs, script, script_check};

/// Variables that would let the daemon's environment steer a program (keepalived 2.4 removes the same), and those that
/// speak of the daemon itself: a program that tells systemd something would speak for us.
const REMOVED: [&str; 9] = [
    "IFS",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "TANDEM_LIFELINE",
    "TANDEM_AGAIN",
    "TANDEM_BELL",
];
/// Between two looks whether a process, or a group that was told to end, has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The process group of a child; killed when dropped before the leader was seen to end.
pub(super) struct ProcessGroup {
    id: Option<Pid>,
    alive: bool,
}

impl ProcessGroup {
    /// Signals every process of the group.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // ESRCH: everybody has gone already.
            let _ = killpg(id, signal);
        }
    }

    /// The leader has been waited for: a dropped value leaves the rest of the group alone.
    pub(super) fn leader_gone(&mut self) {
        self.alive = false;
    }

    /// The leader ended at SIGTERM: what it left behind has until `limit` to clean up, then it is killed. Nobody waits
    /// for that.
    pub(super) fn linger(mut self, limit: Duration) {
        tokio::spawn(async move {
            if tokio::time::timeout(limit, self.gone()).await.is_ok() {
                self.leader_gone();
            }
        });
    }

    /// Returns when no process of the group is left, not even one that nobody has waited for: as long as there is one
    /// the group's number belongs to nobody else.
    async fn gone(&self) {
        while self.id.is_some_and(|id| killpg(id, None) != Err(Errno::ESRCH)) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.alive {
            self.signal(Signal::SIGKILL);
        }
    }
}

/// A program that was started, to be waited for. Dropped before its end it is killed, and waited for behind the scenes.
pub(super) struct Child {
    pid: Pid,
    /// Readable when the program has ended; `None` on kernels without, where one has to ask.
    ended: Option<AsyncFd<OwnedFd>>,
    /// How it ended, once it has been waited for: from then on the number is somebody else's.
    status: Option<ExitStatus>,
}

impl Child {
    fn new(started: Started) -> Self {
        // SAFETY: the descriptor is moved in, and nobody else knows it: it stays open, and the same, until the value goes.
        #[allow(unsafe_code)]
        let readable = |fd| unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.ok();
        Self { pid: started.pid, ended: started.pidfd.and_then(readable), status: None }
    }

    /// Its number, as long as it has not been waited for.
    pub(super) const fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits for the end. A dropped wait loses nothing.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.look()? {
                return Ok(status);
            }
            match &self.ended {
                Some(ended) => ended.readable().await?.clear_ready(),
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// How it ended, if it has.
    fn look(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let mut status = 0;
            // SAFETY: the pointer is to a valid value; the number is that of a child that nobody has waited for.
            #[allow(unsafe_code)]
            let pid = unsafe { libc::waitpid(self.pid.as_raw(), &raw mut status, libc::WNOHANG) };
            if Errno::result(pid)? != 0 {
                self.status = Some(ExitStatus::from_raw(status));
            }
        }
        Ok(self.status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !matches!(self.look(), Ok(None)) {
            return;
        }
        let _ = kill(self.pid, Signal::SIGKILL);
        // Without a runtime the daemon is about to end, and init waits for what it leaves.
        if let Ok(runtime) = Handle::try_current() {
            let pid = self.pid;
            runtime.spawn(async move {
                while waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
                    tokio::time::sleep(LOOK).await;
                }
            });
        }
    }
}

/// Why a program was not started: a sentence with the file and the cure in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    why: String,
    /// The machine is short of something that every program needs: it says nothing of this one.
    shortage: bool,
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, shortage: false }
    }
}

impl From<Refusal> for Outcome {
    fn from(Refusal { why, shortage }: Refusal) -> Self {
        if shortage { Self::NoProcess(why) } else { Self::NotStarted(why) }
    }
}

/// True for what a program cannot help: no process (RLIMIT_NPROC, pids.max), no memory, no descriptor.
const fn is_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE)
}

/// Starts a program. Called within a runtime.
pub(super) fn start(program: &Program) -> Result<(Child, ProcessGroup), Refusal> {
    start_under(program, policy::current())
}

/// The same under a certain policy.
pub(super) fn start_under(program: &Program, policy: Policy) -> Result<(Child, ProcessGroup), Refusal> {
    let name = program.argv.first().ok_or_else(|| "there is no program to run".to_owned())?;
    let order = order(program, name, policy)?;
    let started = spawn(&order).map_err(|errno| Refusal {
        why: not_started(name, program.run_as.as_ref(), &io::Error::from(errno)),
        shortage: is_shortage(errno),
    })?;
    let group = ProcessGroup { id: Some(started.pid), alive: true };
    Ok((Child::new(started), group))
}

/// Everything that the child needs, looked up and written out before there is a child.
fn order(program: &Program, name: &str, policy: Policy) -> Result<Order, String> {
    let text = |words: &[u8]| {
        CString::new(words)
            .map_err(|_| format!("{name} could not be started: a word holds a NUL byte; remove it"))
    };
    let env = environment(&program.env);
    // A script learns the path that is executed, so `$0` is the real file, as under keepalived. A binary keeps the name
    // it was called by: programs with several names (busybox) and virtual environments go by it.
    let real =
        (policy.resolve_links && name.contains('/')).then(|| std::fs::canonicalize(name).ok()).flatten();
    let files = match real {
        Some(real) => vec![real],
        None => script::candidates(name, env.get(OsStr::new("PATH")).map(OsString::as_os_str)),
    };
    let assignment = |(variable, value): (&OsString, &OsString)| {
        text(&[variable.as_bytes(), b"=", value.as_bytes()].concat())
    };
    Ok(Order {
        files: files.iter().map(|file| text(file.as_os_str().as_bytes())).collect::<Result<_, _>>()?,
        argv: program.argv.iter().map(|word| text(word.as_bytes())).collect::<Result<_, _>>()?,
        env: env.iter().map(assignment).collect::<Result<_, _>>()?,
        identity: match program.run_as.as_ref().filter(|who| !is_us(who)) {
            Some(who) => Some(become_user(who, policy.supplementary_groups)?),
            None => None,
        },
        umask: policy.umask.map(|mask| mask.bits()),
    })
}

/// The daemon's environment without what must not be passed on, and the program's own on top.
fn environment(own: &[(String, String)]) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for variable in REMOVED {
        env.remove(OsStr::new(variable));
    }
    env.extend(own.iter().map(|(variable, value)| (variable.into(), value.into())));
    env
}

/// An unprivileged daemon that runs a program as itself has nothing to change, and may not. Root changes even to
/// root: the supplementary groups of whoever started the daemon are not the script's.
fn is_us(who: &RunAs) -> bool {
    !geteuid().is_root() && geteuid().as_raw() == who.uid && nix::unistd::getegid().as_raw() == who.gid
}

fn become_user(who: &RunAs, supplementary: bool) -> Result<Identity, String> {
    let gid = Gid::from_raw(who.gid);
    let mut groups = vec![gid];
    if supplementary {
        let name = CString::new(who.user.as_str()).map_err(|_| "a user name holds a NUL byte")?;
        groups = getgrouplist(&name, gid).map_err(|error| {
            format!("the groups of user {} cannot be looked up: {error}; mend /etc/group", who.user)
        })?;
    }
    Ok(Identity { uid: who.uid, gid: who.gid, groups: groups.into_iter().map(Gid::as_raw).collect() })
}

fn not_started(name: &str, run_as: Option<&RunAs>, error: &io::Error) -> String {
    let cure = match (error.raw_os_error(), run_as) {
        (Some(libc::EPERM), Some(who)) => {
            format!("the daemon may not become user {}: run it as root, or name no user", who.user)
        }
        (Some(libc::EAGAIN | libc::ENOMEM), _) => {
            "the machine or the user has too many processes or no memory: see ulimit -u and pids.max".to_owned()
        }
        (Some(libc::E2BIG), _) => "its arguments are too long".to_owned(),
        _ => match script_check(name, run_as, false) {
            Err(problem) => format!("{problem}: {}", problem.cure()),
            Ok(()) if error.kind() == io::ErrorKind::NotFound => {
                "the program that its #! line names is missing: mend that line or install it".to_owned()
            }
            Ok(()) if error.kind() == io::ErrorKind::PermissionDenied => {
                "its file system or a security module forbids to execute it: see mount (noexec) and the audit log"
                    .to_owned()
            }
            Ok(()) => "see the system's words".to_owned(),
        },
    };
    format!("{name} could not be started: {error}; {cure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_says_nothing_of_the_program() {
        for (errno, shortage) in [
            (Errno::EAGAIN, true),
            (Errno::ENOMEM, true),
            (Errno::EMFILE, true),
            (Errno::ENFILE, true),
            (Errno::ENOENT, false),
            (Errno::EACCES, false),
            (Errno::EPERM, false),
            (Errno::E2BIG, false),
        ] {
            let outcome = Outcome::from(Refusal { why: "x".to_owned(), shortage: is_shortage(errno) });
            assert_eq!(outcome == Outcome::NoProcess("x".to_owned()), shortage, "{errno}");
        }
        assert_eq!(Outcome::from(Refusal::from("x".to_owned())), Outcome::NotStarted("x".to_owned()));
    }
}
