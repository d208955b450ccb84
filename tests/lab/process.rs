//! Programs in hosts.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Lab, now, pause, wait};

/// A program in a host, with its log. Killed with all its children when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

/// Descendants of a process, children first, by a walk through /proc.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // "pid (name) state ppid ...": a name can hold blanks and parentheses.
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        if let Some(parent) = after.split_whitespace().nth(1).and_then(|text| text.parse::<i32>().ok()) {
            parents.push((child, parent));
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    found.remove(0);
    found
}

impl Process {
    /// Starts a program in a host; what it says goes to a log of the lab called `title`.
    pub fn start(lab: &Lab, host: &str, title: &str, argv: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = lab.log(title);
        let file = File::create(&log).expect("a log");
        let copy = file.try_clone().expect("a log");
        // The child belongs to the namespace of the thread that starts it.
        let spawned = lab.inside(host, || {
            Command::new(argv[0])
                .args(&argv[1..])
                .envs(environment.iter().copied())
                .stdin(Stdio::null())
                .stdout(copy)
                .stderr(file)
                .spawn()
        });
        let child = spawned.unwrap_or_else(|error| panic!("{}: {error}", argv.join(" ")));
        Self { child, log, ended: None }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid")
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            let _ = kill(Pid::from_raw(self.pid()), signal);
        }
    }

    /// SIGKILL to the program and all that it started, at one moment: nobody is left to clean up or to restart anything.
    pub fn kill(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let family = descendants(self.pid());
        // The parent is stopped first, so that it notices nothing.
        self.signal(Signal::SIGSTOP);
        for pid in &family {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGSTOP);
        }
        for pid in family.iter().chain([&self.pid()]) {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        self.ended = self.child.wait().ok();
    }

    /// SIGTERM, then waits for the end. Panics when that takes longer than `limit`.
    #[track_caller]
    pub fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(limit)
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = now();
        while self.running() {
            assert!(start.elapsed() < limit, "pid {} did not end within {limit:?}", self.pid());
            pause(Duration::from_millis(2));
        }
        self.ended.unwrap_or_else(|| ExitStatus::from_raw(0))
    }

    /// True until it has ended.
    pub fn running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_none()
    }

    /// True while it runs; a zombie does not. For those who only have a look.
    pub fn lives(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        let state = stat.rsplit_once(')').map_or("", |(_, rest)| rest.trim_start());
        self.ended.is_none() && !state.is_empty() && !state.starts_with('Z')
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Where its log is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until its log holds `text`.
    #[track_caller]
    pub fn wait_for(&self, text: &str, limit: Duration) {
        wait(&format!("`{text}` in {}", self.log.display()), limit, || self.said().contains(text));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
