//! Whole programs: memory over reloads, and SIGHUP down to the kernel.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::plain::Asker;
use crate::{CHECK, median, millis, text};

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Tandem,
    Keepalived,
}

/// A program with its files, in the network namespace of the thread that started it.
pub struct Daemon {
    pub child: Child,
    room: PathBuf,
}

impl Daemon {
    /// Starts it with this file.
    pub fn start(who: Who, text: &str) -> Self {
        let room = std::env::temp_dir().join(format!("tandem-bench-ipvs-{}-{who:?}", std::process::id()));
        let _ = fs::remove_dir_all(&room);
        fs::create_dir_all(&room).unwrap();
        fs::write(room.join("conf"), text).unwrap();
        let path = |name: &str| room.join(name).display().to_string();
        let mut command = match who {
            Who::Tandem => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
                command.args(["run", "--config", &path("conf"), "--instance", "bench"]);
                command
            }
            Who::Keepalived => {
                let mut command = Command::new("keepalived");
                command.args(["-n", "-l", "-C", "-f", &path("conf"), "-p", &path("p"), "-c", &path("c")]);
                command
            }
        };
        let log = File::create(room.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: command.spawn().unwrap(), room }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Another file, and SIGHUP.
    pub fn reload(&self, text: &str) {
        fs::write(self.room.join("conf"), text).unwrap();
        kill(self.pid(), Signal::SIGHUP).unwrap();
    }

    /// Times that its log has this.
    pub fn said(&self, words: &str) -> usize {
        fs::read_to_string(self.room.join("log")).unwrap_or_default().matches(words).count()
    }

    /// Resident memory of the program and its children, bytes.
    pub fn resident(&self) -> u64 {
        let of = |pid: i32| -> u64 {
            let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        family(self.pid().as_raw()).into_iter().map(of).sum()
    }

    /// Processor time of the program and its children so far, seconds.
    pub fn cpu(&self) -> f64 {
        let of = |pid: i32| -> f64 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            // utime, stime, cutime, cstime, in hundredths of a second.
            after.split_whitespace().skip(11).take(4).filter_map(|text| text.parse::<f64>().ok()).sum::<f64>()
                / 100.0
        };
        family(self.pid().as_raw()).into_iter().map(of).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for pid in family(self.pid().as_raw()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.room);
    }
}

/// A process and its children.
fn family(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<i32> = children.split_whitespace().filter_map(|text| text.parse().ok()).collect();
    std::iter::once(pid).chain(children.into_iter().flat_map(family)).collect()
}

/// Runs on a thread in a fresh network namespace.
pub fn in_namespace<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("root");
            let _ = Command::new("ip").args(["link", "set", "lo", "up"]).status();
            body()
        });
        inside.join().unwrap()
    })
}

/// Polls until it is so; the time that took.
pub fn wait(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

const LIMIT: Duration = Duration::from_secs(300);

/// Resident memory of Tandem over so many reloads, each with another weight.
pub fn memory(count: usize, reloads: usize) {
    in_namespace(|| {
        let daemon = Daemon::start(Who::Tandem, &text(count, CHECK, 1));
        wait("it runs", LIMIT, || daemon.said("virtual servers") > 0);
        std::thread::sleep(Duration::from_secs(3));
        let mut sizes = vec![daemon.resident()];
        let mut times = Vec::new();
        for n in 0..reloads {
            let text = text(count, CHECK, 2 + u32::try_from(n % 50).unwrap());
            daemon.reload(&text);
            times.push(millis(wait("reloaded", LIMIT, || {
                daemon.said(": reloaded ") + daemon.said(" reloaded ") > n
            })));
            if (n + 1) % 10 == 0 {
                sizes.push(daemon.resident());
            }
        }
        std::thread::sleep(Duration::from_secs(2));
        sizes.push(daemon.resident());
        let sizes: Vec<String> = sizes.iter().map(|size| format!("{:.1}", *size as f64 / 1e6)).collect();
        println!(
            "\nmemory, resident MB after start, after each 10 of {reloads} reloads, at the end: {}",
            sizes.join(" ")
        );
        println!("    SIGHUP to the line in the log, ms: {:.0}", median(times));
    });
}

/// SIGHUP with one weight changed, until the kernel has it; and the netlink messages of one more of these, by strace.
pub fn hup(count: usize, runs: usize) {
    println!("\nhup: SIGHUP with one of {} weights changed", count * crate::SERVERS);
    for who in [Who::Tandem, Who::Keepalived] {
        in_namespace(|| {
            let daemon = Daemon::start(who, &text(count, CHECK, 1));
            setns(File::open("/proc/thread-self/ns/net").unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            wait("the family", LIMIT, || fs::exists("/proc/thread-self/net/ip_vs").unwrap_or(false));
            let asker = Asker::new();
            wait("the table", LIMIT, || asker.weights(count - 1).len() == crate::SERVERS);
            std::thread::sleep(Duration::from_secs(2));
            let has = |weight| asker.weights(count / 2).contains(&(1, weight));
            let (mut times, mut cpu) = (Vec::new(), Vec::new());
            for run in 0..runs {
                let weight = 2 + u32::try_from(run).unwrap();
                let text = text(count, CHECK, weight);
                let before = daemon.cpu();
                daemon.reload(&text);
                times.push(millis(wait("the weight", LIMIT, || has(weight))));
                std::thread::sleep(Duration::from_millis(300));
                cpu.push((daemon.cpu() - before) * 1000.0);
            }
            println!(
                "    {who:<11?} in the kernel after {:>8.0} ms, processor {:>8.0} ms",
                median(times),
                median(cpu)
            );
            println!("    {:<11} edits in the kernel: {}", "", edits(&daemon, count, &asker));
        });
    }
}

/// Messages that change something, of one reload.
fn edits(daemon: &Daemon, count: usize, asker: &Asker) -> String {
    let trace = daemon.room.join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-q", "-e", "trace=sendto,sendmsg,setsockopt", "-o", &trace.display().to_string()]);
    for pid in family(daemon.pid().as_raw()) {
        command.args(["-p", &pid.to_string()]);
    }
    let Ok(mut strace) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return "no strace".to_owned();
    };
    std::thread::sleep(Duration::from_secs(3));
    daemon.reload(&text(count, CHECK, 99));
    wait("the weight", LIMIT, || asker.weights(count / 2).contains(&(1, 99)));
    std::thread::sleep(Duration::from_secs(1));
    let _ = kill(Pid::from_raw(i32::try_from(strace.id()).unwrap()), Signal::SIGINT);
    let _ = strace.wait();
    let text = fs::read_to_string(&trace).unwrap_or_default();
    // The last message of a datagram that changes something asks for an acknowledgement; a question does not.
    let changes =
        |line: &&str| line.contains("NLM_F_ACK") && !line.contains("DUMP") && !line.contains("0x300");
    let messages: usize = text.lines().filter(changes).map(|line| line.matches("nlmsg_len=").count()).sum();
    let options = text.lines().filter(|line| line.contains("setsockopt") && line.contains("SOL_IP")).count();
    format!("{messages} by netlink, {options} by setsockopt")
}
