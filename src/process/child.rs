//! A child: how it is started, what it may inherit, how its process group is ended.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, geteuid, getpid, getppid, setgid, setgroups, setuid};
use tokio::process::{Child, Command};

use super::policy::{self, Policy};
use super::{Program, RunAs, script_check};

/// Variables that would let the daemon's environment steer a program (keepalived 2.4 removes the same).
const REMOVED: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];
/// Between two looks whether a group that was told to end has ended.
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

/// Starts a program; an error is a sentence with the file and the cure in it.
pub(super) fn start(program: &Program) -> Result<(Child, ProcessGroup), String> {
    start_under(program, policy::current())
}

/// The same under a certain policy.
pub(super) fn start_under(program: &Program, policy: Policy) -> Result<(Child, ProcessGroup), String> {
    let (name, arguments) = program.argv.split_first().ok_or("there is no program to run")?;
    // A script learns the path that is executed, so `$0` is the real file, as under keepalived. A binary keeps the name
    // it was called by: programs with several names (busybox) and virtual environments go by it.
    let real =
        (policy.resolve_links && name.contains('/')).then(|| std::fs::canonicalize(name).ok()).flatten();
    let mut command = match &real {
        Some(real) => Command::new(real),
        None => Command::new(name),
    };
    command.arg0(name);
    command.args(arguments).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    for variable in REMOVED {
        command.env_remove(variable);
    }
    command.envs(program.env.iter().map(|(k, v)| (k, v)));
    let identity = match program.run_as.as_ref().filter(|who| !is_us(who)) {
        Some(who) => Some(Identity::of(who, policy.supplementary_groups)?),
        None => None,
    };
    let umask = policy.umask;
    let parent = getpid();
    // SAFETY: the closure runs in the forked child before exec; it makes system calls and nothing else: its data
    // were made before the fork, so that it neither allocates nor takes a lock.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || become_child(identity.as_ref(), umask, parent));
    }
    let child = command.spawn().map_err(|error| not_started(name, program.run_as.as_ref(), &error))?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    Ok((child, ProcessGroup { id, alive: true }))
}

/// An unprivileged daemon that runs a program as itself has nothing to change, and may not. Root changes even to
/// root: the supplementary groups of whoever started the daemon are not the script's.
fn is_us(who: &RunAs) -> bool {
    !geteuid().is_root() && geteuid().as_raw() == who.uid && nix::unistd::getegid().as_raw() == who.gid
}

struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Identity {
    fn of(who: &RunAs, supplementary: bool) -> Result<Self, String> {
        let gid = Gid::from_raw(who.gid);
        let mut groups = vec![gid];
        if supplementary {
            let name =
                std::ffi::CString::new(who.user.as_str()).map_err(|_| "a user name holds a NUL byte")?;
            groups = nix::unistd::getgrouplist(&name, gid).map_err(|error| {
                format!("the groups of user {} cannot be looked up: {error}; mend /etc/group", who.user)
            })?;
        }
        Ok(Self { uid: Uid::from_raw(who.uid), gid, groups })
    }
}

/// In the child: be nobody but the user (groups first, then group, then user), and die with the daemon.
fn become_child(identity: Option<&Identity>, umask: Option<Mode>, parent: Pid) -> io::Result<()> {
    // Descriptors that the daemon itself was given (a shell's, a test runner's) are not the script's. Those that
    // exec closes anyway stay open until then: the parent reads exec's outcome through one of them.
    // SAFETY: the call only sets flags on descriptors of this process.
    #[allow(unsafe_code)]
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed());
    }
    if let Some(mask) = umask {
        nix::sys::stat::umask(mask);
    }
    if let Some(who) = identity {
        // Capabilities of root go with the uid; ambient ones, which a service manager may have given to an
        // unprivileged daemon, would outlive exec.
        // SAFETY: the call changes this process's ambient capabilities and touches no memory.
        #[allow(unsafe_code)]
        unsafe {
            let none: libc::c_ulong = 0;
            let clear = libc::c_ulong::from(libc::PR_CAP_AMBIENT_CLEAR_ALL.cast_unsigned());
            libc::prctl(libc::PR_CAP_AMBIENT, clear, none, none, none);
        }
        setgroups(&who.groups)?;
        setgid(who.gid)?;
        setuid(who.uid)?;
    }
    // Only now: the kernel forgets this wish when a process changes its user or group.
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
    // The daemon may have died before the line above.
    if getppid() != parent {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(())
}

fn not_started(name: &str, run_as: Option<&RunAs>, error: &io::Error) -> String {
    let cure = match (error.raw_os_error(), run_as) {
        (Some(libc::EPERM), Some(who)) => {
            format!("the daemon may not become user {}: run it as root, or name no user", who.user)
        }
        (Some(libc::EAGAIN | libc::ENOMEM), _) => {
            "the machine or the user has too many processes or no memory".to_owned()
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
