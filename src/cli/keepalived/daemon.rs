//! The daemon under the name keepalived: what its command line asks of the process, before any thread begins.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid};

use super::options::Line;
use crate::cli::log::{self, Facility, Format, Logs};
use crate::cli::run::daemon;
use crate::core::door::default_path;
use crate::core::error::Error;
use crate::core::name::Name;
use crate::core::options::Options;
use crate::core::parts::Parts;
use crate::core::remember::folder;
use crate::core::{release, supervisor};

/// keepalived's exit codes: 0 also when it runs already, 6 without a configuration, 1 else.
const NO_CONFIG: i32 = 6;
const FAILED: i32 = 1;

/// Runs the daemon; returns the exit code.
pub(super) fn run(line: &Line) -> i32 {
    supervisor::hear_of_children();
    match prepare(line) {
        Ok(()) => {}
        Err(problem) => {
            eprintln!("keepalived: {problem}");
            // Whatever an earlier one has left for this one.
            release::abandoned(&options(line, None), None);
            return FAILED;
        }
    }
    // The folder is left below.
    let line = in_this_folder(line);
    if line.foreground || supervisor::is_worker() {
        hold_signals(&line);
        return serve(&line, None);
    }
    supervisor::start_workers_here();
    if supervisor::goes_on() {
        // The program before this one has left the terminal, in this same process: systemd and the pid file know its number.
        hold_signals(&line);
        let _ = chdir("/");
        return serve(&line, None);
    }
    match leave() {
        Ok(Side::Daemon(started)) => {
            // Not before: whoever waits for the daemon can be interrupted.
            hold_signals(&line);
            serve(&line, Some(started))
        }
        Ok(Side::Starter(code)) => code,
        Err(error) => {
            eprintln!("keepalived: cannot leave the terminal: {error}; see --dont-fork");
            FAILED
        }
    }
}

/// Before any thread begins: they are the supervisor's.
fn hold_signals(line: &Line) {
    if line.respawn && !supervisor::is_worker() {
        supervisor::hold_signals();
    }
}

/// All files by names that mean the same in any folder: supervisor and worker are in different ones.
fn in_this_folder(line: &Line) -> Line {
    let mut line = line.clone();
    let pids = &mut line.pids;
    let named = [&mut line.log_file, &mut pids.main, &mut pids.vrrp, &mut pids.checkers, &mut pids.bfd];
    for path in named.into_iter().flatten().chain([&mut line.file]) {
        if let Ok(absolute) = std::path::absolute(&path) {
            *path = absolute;
        }
    }
    line
}

/// Namespace, core dumps.
fn prepare(line: &Line) -> Result<(), String> {
    if let Some(name) = &line.pids.namespace {
        let path = Path::new("/run/netns").join(name);
        let namespace = File::open(&path)
            .map_err(|error| format!("there is no network namespace {name} ({}: {error})", path.display()))?;
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)
            .map_err(|error| format!("cannot enter network namespace {name}: {error}"))?;
    }
    if let Some(pattern) = &line.core_pattern {
        std::fs::write("/proc/sys/kernel/core_pattern", pattern)
            .map_err(|error| format!("cannot set the pattern of core dumps: {error}"))?;
    }
    if line.core_dump {
        let all = RLIM_INFINITY;
        setrlimit(Resource::RLIMIT_CORE, all, all)
            .map_err(|error| format!("cannot allow core dumps: {error}"))?;
    }
    Ok(())
}

/// Which of the two processes this is.
enum Side {
    /// The daemon; it says here that it runs.
    Daemon(File),
    /// The one that was started: the daemon runs, or has ended with that code.
    Starter(i32),
}

/// Goes on in a process of its own, away from the terminal. Whoever started us gets its prompt back when the pid file is
/// there, or the daemon's exit code.
fn leave() -> io::Result<Side> {
    // No script of ours inherits it.
    let (said, saying): (OwnedFd, OwnedFd) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: no thread has begun yet (logging and the runtimes begin in the daemon alone), so the child may do anything.
    #[allow(unsafe_code)]
    let side = unsafe { fork() }?;
    match side {
        ForkResult::Parent { child } => {
            drop(saying);
            let mut byte = [0];
            if File::from(said).read(&mut byte)? == 1 {
                return Ok(Side::Starter(0));
            }
            Ok(Side::Starter(match waitpid(child, None)? {
                WaitStatus::Exited(_, code) => code,
                _ => FAILED,
            }))
        }
        ForkResult::Child => {
            drop(said);
            setsid()?;
            chdir("/")?;
            let nothing = File::options().read(true).write(true).open("/dev/null")?;
            dup2_stdin(&nothing)?;
            dup2_stdout(&nothing)?;
            dup2_stderr(&nothing)?;
            Ok(Side::Daemon(File::from(saying)))
        }
    }
}

fn serve(line: &Line, started: Option<File>) -> i32 {
    let logs = logs(line);
    // A director does its work also where a log file has no place.
    let _logging = log::start(&logs).unwrap_or_else(|error| {
        let logging = log::start(&Logs { file: None, ..logs }).unwrap_or_default();
        tracing::error!("cannot log to {:?}: {error}", line.log_file.as_deref().unwrap_or(Path::new("")));
        logging
    });
    for remark in &line.remarks {
        tracing::warn!("{remark}");
    }
    let result = daemon(&options(line, started));
    let code = match &result {
        Ok(code) => *code,
        Err(Error::AlreadyRunning { .. } | Error::InNamespace { .. }) => {
            tracing::info!("daemon is already running");
            0
        }
        Err(Error::Unreadable(_)) => NO_CONFIG,
        Err(_) => FAILED,
    };
    if let Err(error) = result.map_err(anyhow::Error::from) {
        tracing::error!("{error:#}");
    }
    code
}

/// keepalived logs to syslog, and with `-l` to the terminal as well.
fn logs(line: &Line) -> Logs {
    let facility = line.facility.as_deref().and_then(|text| text.parse().ok()).unwrap_or(Facility::DAEMON);
    Logs {
        level: if line.detail > 1 { tracing::Level::DEBUG } else { tracing::Level::INFO },
        format: Format::Text,
        console: line.console,
        file: line.log_file.clone(),
        syslog: (!line.no_syslog).then_some((facility, "keepalived")),
        journal: false,
        name: "keepalived",
    }
}

fn options(line: &Line, started: Option<File>) -> Options {
    let instance = instance_of(line);
    Options {
        control: Some(default_path(folder(None), &instance)),
        instance,
        pids: Some(line.pids.clone()),
        keep_addresses: line.keep_vrrp,
        keep_table: line.keep_ipvs,
        supervise: line.respawn,
        parts: parts(line),
        config_id: line.config_id.clone(),
        strict_includes: line.strict_includes,
        umask: line.umask,
        dump_config: line.dump_config,
        ignore_sigint: line.ignore_sigint,
        started: started.map(Arc::new),
        ..Options::of(line.file.clone())
    }
}

/// Several keepaliveds in one network namespace have pid files of their own, and nothing else need tell them apart: so the
/// name of a daemon is that of its pid file, unless it is the usual one. Its file may say more.
fn instance_of(line: &Line) -> String {
    let path = line.pids.main.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    path.map_or_else(String::new, |path| Name::of_pid_file(&path.to_string_lossy()))
}

/// `-P` and `-C` name what runs; neither of them means everything.
fn parts(line: &Line) -> Parts {
    let named = (line.vrrp || line.check) && !line.all;
    Parts { vrrp: line.vrrp || !named, check: line.check || !named, bfd: !line.no_bfd }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        super::super::options::read(text.split_whitespace().map(str::to_owned)).unwrap()
    }

    #[test]
    fn parts_are_keepalived_s() {
        for (text, vrrp, check, bfd) in [
            ("", true, true, true),
            ("-P", true, false, true),
            ("-C -B", false, true, false),
            ("-PC", true, true, true),
            ("-P --all", true, true, true),
        ] {
            assert_eq!(parts(&line(text)), Parts { vrrp, check, bfd }, "{text}");
        }
    }

    #[test]
    fn another_pid_file_is_another_daemon() {
        for (text, name) in [
            ("", ""),
            ("-p /run/keepalived.pid", ""),
            ("-p /run/keepalived-udp-3.pid", "keepalived-udp-3"),
            ("-p /run/ka.blue", "ka.blue"),
        ] {
            assert_eq!(instance_of(&line(text)), name, "{text}");
        }
    }

    #[test]
    fn names_mean_the_same_in_any_folder() {
        let line = in_this_folder(&line("-f k.conf -p run/a.pid -r r -c c -b ../b -gdaemon.log"));
        let here = std::env::current_dir().unwrap();
        let pids = &line.pids;
        for (path, name) in [
            (Some(&line.file), "k.conf"),
            (pids.main.as_ref(), "run/a.pid"),
            (pids.vrrp.as_ref(), "r"),
            (pids.checkers.as_ref(), "c"),
            (pids.bfd.as_ref(), "../b"),
            (line.log_file.as_ref(), "daemon.log"),
        ] {
            assert_eq!(path, Some(&here.join(name)));
        }
    }

    #[test]
    fn options_reach_the_daemon() {
        let all = options(&line("-V -I -R -d -e -u 022 -i x -P --ignore-sigint -f /x"), None);
        assert!(all.keep_addresses && all.keep_table && !all.supervise && all.dump_config);
        assert!(all.strict_includes && all.ignore_sigint);
        assert_eq!((all.umask, all.config_id.as_deref()), (Some(0o22), Some("x")));
        let none = options(&line(""), None);
        assert!(!none.keep_addresses && !none.keep_table && none.supervise);
        assert_eq!(none.config, Path::new("/etc/keepalived/keepalived.conf"));
        assert!(logs(&line("")).syslog.is_some() && !logs(&line("")).console);
        assert!(logs(&line("-lG")).syslog.is_none() && logs(&line("-lG")).console);
        assert_eq!(logs(&line("-DD")).level, tracing::Level::DEBUG);
    }
}
