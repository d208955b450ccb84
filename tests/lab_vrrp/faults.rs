//! The rest of the table of docs/faults.md: processes that are stopped, memory that is not there, a netlink socket that is
//! overrun, processes that cannot be started. Disks and clocks have files of their own.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use lab::rights::{USER, start_unprivileged};

use super::restart::{is_tandem, lines, no_trace, signal, two, worker};
use super::*;

#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/disks.rs"]
mod disks;

/// Longer than the peer's patience, and then some: what it is going to do it has done by then.
fn settle(pair: &Pair, out: &std::path::Path, since: Instant) {
    pause(s(4));
    no_trace(pair, out, since);
}

/// The longest silence of a director since a moment, as a line of the table; no takeover is part of it.
#[track_caller]
fn silence(name: &str, pair: &Pair, since: Instant, protocol: Duration, granted: Duration) {
    measured(&format!("{name}_longest_silence"), pair.longest_silence("d1", since), protocol, granted);
}

#[test]
fn a_worker_stopped_once_for_one_and_five_seconds() {
    let Some((pair, d1, _d2, out)) = two("fstop") else { return };
    let first = worker(&d1);
    for seconds in [1, 5] {
        let since = pair.wire.next_advert("d1", patience());
        signal(first, Signal::SIGSTOP);
        pause(s(seconds));
        signal(first, Signal::SIGCONT);
        settle(&pair, &out, since);
        // The supervisor waits for one second before it lets the worker on.
        silence(&format!("worker_stopped_{seconds}_s"), &pair, since, s(2), ms(500));
    }
    assert_eq!(worker(&d1), first, "nobody was replaced");
    assert!(d1.said().contains("was stopped by a signal, and goes on"), "{}", d1.said());
}

/// Somebody who stops it again and again: the first time it waits for a second, then it is let on at once. (Where it waited each
/// time, a stopper whose tenths of a second fell in with that left it no time at all.)
#[test]
fn a_worker_stopped_again_and_again_for_sixty_seconds() {
    let Some((pair, d1, _d2, out)) = two("fminute") else { return };
    let first = worker(&d1);
    let since = pair.wire.next_advert("d1", patience());
    let mut stops = 0;
    while since.elapsed() < s(60) {
        signal(first, Signal::SIGSTOP);
        stops += 1;
        pause(ms(100));
    }
    signal(first, Signal::SIGCONT);
    settle(&pair, &out, since);
    let told = d1.said().matches("was stopped by a signal").count();
    println!("MEASURED worker_stopped_60_s signals={stops} told={told}");
    assert!((2..=9).contains(&told), "each stop is counted, and told every ten seconds: {}", d1.said());
    silence("worker_stopped_60_s", &pair, since, s(2), ms(500));
    assert_eq!(worker(&d1), first, "it was never taken for one that hangs");
}

#[test]
fn a_stopped_supervisor_is_missed_by_nobody() {
    let Some((pair, d1, _d2, out)) = two("fsuper") else { return };
    let first = worker(&d1);
    let since = now();
    signal(d1.process.pid(), Signal::SIGSTOP);
    pause(s(5));
    signal(d1.process.pid(), Signal::SIGCONT);
    settle(&pair, &out, since);
    silence("supervisor_stopped_5_s", &pair, since, s(1), ms(500));
    assert_eq!(worker(&d1), first, "nobody is judged by the time in which the supervisor stood still");
    // And it does its work again.
    signal(first, Signal::SIGKILL);
    wait("another worker", patience(), || worker(&d1) != first);
    settle(&pair, &out, since);
}

/// Everything of a daemon, at one moment.
fn signal_all(family: &[i32], what: Signal) {
    for pid in family {
        signal(*pid, what);
    }
}

#[test]
fn the_whole_daemon_stopped_for_a_second() {
    let Some((pair, d1, _d2, out)) = two("fboth1") else { return };
    let family = [d1.process.pid(), worker(&d1)];
    let since = pair.wire.next_advert("d1", patience());
    signal_all(&family, Signal::SIGSTOP);
    pause(s(1));
    signal_all(&family, Signal::SIGCONT);
    settle(&pair, &out, since);
    silence("all_stopped_1_s", &pair, since, s(1), ms(500));
    assert_eq!(worker(&d1), family[1]);
}

/// Nobody is left who could let it on: the peer takes over, while the kernel here still has the address. Afterwards there
/// is one master again.
#[test]
fn the_whole_daemon_stopped_for_five_seconds() {
    let Some((pair, d1, _d2, _out)) = two("fboth5") else { return };
    let family = [d1.process.pid(), worker(&d1)];
    let took = pair.takeover("d1", "d2", || {
        signal_all(&family, Signal::SIGSTOP);
    });
    measured("all_stopped_5_s_takeover", took, down_interval(s(1), 100), ms(200));
    let (last, _) = pair.wire.last_advert("d1").expect("adverts");
    let taken = pair.watch.wait("d2", VIP, true, patience());
    pause((last + s(5)).saturating_duration_since(now()));
    let on = now();
    signal_all(&family, Signal::SIGCONT);
    let yielded = pair.watch.wait("d2", VIP, false, patience());
    pair.master("d1");
    let both = yielded.saturating_duration_since(taken);
    println!("MEASURED all_stopped_5_s_both_had_the_address_ms={}", both.as_millis());
    // It listens for one interval, hears the peer, and says with its next advert who it is.
    measured("all_stopped_5_s_both_after_it_goes_on", yielded.saturating_duration_since(on), s(2), ms(500));
    let since = now();
    pair.calm(since, s(4));
    assert!(pair.wire.adverts("d2", since).is_empty(), "one master");
    assert_eq!(worker(&d1), family[1], "nobody was replaced");
}

/// A web server of the client: each answer has as many bytes as it is told, and `ready` at their end.
fn web(lab: &Lab, length: &Arc<AtomicUsize>) {
    let (space, length) = (lab.handle("client"), Arc::clone(length));
    let (ready, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
        let listener = TcpListener::bind("10.9.0.200:8080").expect("port 8080");
        ready.send(()).expect("the test waits");
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let length = length.load(Ordering::Relaxed);
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", length + 5);
            // Whoever reads may die of it.
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&vec![b'x'; length]).and_then(|()| stream.write_all(b"ready"));
        }
    });
    started.recv().expect("a listener");
}

/// A service that is checked by what a page says.
const PAGE: &str = "virtual_server 10.9.0.100 80 {
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
    real_server 10.9.0.200 80 {
        HTTP_GET {
            url {
                path /
                regex ready
            }
            connect_port 8080
            connect_timeout 3
            retry 1
        }
    }
}
";

/// How much memory a process has for data, in bytes.
fn data_of(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).expect("VmData");
    line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).expect("a number") * 1024
}

/// Sets soft limits of a process, as its own user: nobody needs a capability for that.
fn limit(user: u32, pid: i32, what: &str) {
    let (user, pid) = (user.to_string(), pid.to_string());
    let status = std::process::Command::new("setpriv")
        .args(["--reuid", &user, "--regid", &user, "--clear-groups", "prlimit", "--pid", &pid, what])
        .status()
        .expect("setpriv and prlimit (package util-linux)");
    assert!(status.success(), "prlimit {what} of {pid}: {status}");
}

/// The limit is RLIMIT_DATA, set while it runs: no memory cgroup is needed for that, and all memory of the allocator counts,
/// where RLIMIT_AS leaves out what an arena has set aside.
#[test]
fn a_worker_whose_checks_get_no_memory() {
    if director::tandem_only("out of memory") {
        return;
    }
    let pair = Pair::new("fmemory");
    let length = Arc::new(AtomicUsize::new(100));
    web(&pair.lab, &length);
    let d1 = Director::start(&pair.lab, "d1", &(Conf::new("MASTER", 150).text() + PAGE));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    pair.wire.next_advert("d1", patience());
    let first = worker(&d1);
    limit(0, first, &format!("--data={}:", data_of(first) + (1 << 20)));
    // Checks of a small page go on.
    let since = now();
    pause(s(2));
    assert_eq!(worker(&d1), first, "{}", d1.said());
    length.store(12 << 20, Ordering::Relaxed);
    wait("another worker", patience(), || worker(&d1) != first);
    length.store(100, Ordering::Relaxed);
    pause(s(4));
    assert!(d1.said().contains("ended by signal 6"), "{}", d1.said());
    assert!(d1.said().contains("going on as master of VI_1"), "{}", d1.said());
    assert_eq!(pair.watch.changes_of("d1", VIP, since), [], "the address stayed");
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
    silence("no_memory", &pair, since, s(1), ms(500));
}

/// What the kernel could not tell: thousands of addresses come and go while the worker stands still, among them the removal
/// of the virtual one and the end of a tracked interface.
#[test]
fn a_netlink_socket_that_is_overrun() {
    if director::tandem_only("an overrun netlink socket") {
        return;
    }
    let hosts = [
        host("d1").nic("eth0", "lan", "10.9.0.1/24").nic("eth1", "other", "10.8.0.1/24"),
        host("d2").nic("eth0", "lan", "10.9.0.2/24"),
    ];
    let lab = Lab::build("foverrun", &["lan", "other"], &hosts);
    let (watch, wire) = (AddressWatch::start(&lab, &["d1", "d2"]), Wire::start(&lab));
    let pair = Pair { lab, watch, wire };
    let track = "track_interface {\n        eth1 weight -20\n    }";
    let small = "global_defs {\n    vrrp_netlink_monitor_rcv_bufs 65536\n}\n";
    let d1 = pair.start("d1", &Conf::new("MASTER", 150).head(small).line(track));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let since = pair.wire.next_advert("d1", patience());
    let mut flood = String::new();
    for word in ["add", "del"] {
        for n in 0..2000 {
            flood += &format!("addr {word} 10.50.{}.{}/32 dev lo\n", n / 250, n % 250 + 1);
        }
        if word == "add" {
            flood += &format!("addr del {VIP}/24 dev eth0\nlink set eth1 down\n");
        }
    }
    let first = worker(&d1);
    signal(first, Signal::SIGSTOP);
    pair.lab.ip("d1", flood.trim_end());
    signal(first, Signal::SIGCONT);
    let on = now();
    // The lab's own watch of this host was overrun, too.
    let shown = || pair.lab.command("d1", &["ip", "-4", "addr", "show", "dev", "eth0"]);
    wait("the address is put back", patience(), || shown().contains(&format!("inet {VIP}/24")));
    measured("overrun_address_put_back", on.elapsed(), Duration::ZERO, ms(1000));
    wait("the tracked interface is seen", patience(), || {
        pair.wire.adverts("d1", on).iter().any(|(_, priority)| *priority == 130)
    });
    println!("MEASURED overrun_interface_seen_ms={}", on.elapsed().as_millis());
    assert!(
        d1.said().contains("the kernel had more news than it could keep; reading all again"),
        "{}",
        d1.said()
    );
    pause(s(4));
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
    assert_eq!(worker(&d1), first, "{}", d1.said());
    silence("overrun", &pair, since, s(2), ms(500));
}

/// A daemon without root whose user may have no more processes: no script, no check program, no helper thread.
fn unprivileged(pair: &Pair) -> (process::Process, std::path::PathBuf) {
    let flag = pair.lab.file("healthy", "");
    let script = format!(
        "vrrp_script chk {{\n    script \"/bin/sh -c 'test -e {}'\"\n    interval 1\n    fall 1\n    rise 1\n}}",
        flag.display()
    );
    let program = "virtual_server 10.9.0.100 80 {
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
    real_server 10.9.0.200 80 {
        MISC_CHECK {
            misc_path /bin/true
            misc_timeout 2
        }
    }
}
";
    let conf =
        Conf::new("MASTER", 150).head(&script).line("track_script {\n        chk\n    }").text() + program;
    let conf = conf.replace("script_user root", "script_user nobody");
    (start_unprivileged(&pair.lab, "d1", &conf), flag)
}

/// Supervisor and worker.
fn both(daemon: &process::Process) -> Vec<i32> {
    let children = process::descendants(daemon.pid());
    let both: Vec<i32> = children.into_iter().filter(|pid| is_tandem(*pid)).chain([daemon.pid()]).collect();
    assert_eq!(both.len(), 2, "worker and supervisor");
    both
}

#[test]
fn no_process_can_be_started() {
    if director::tandem_only("a failing fork") {
        return;
    }
    let pair = Pair::new("ffork");
    let (d1, flag) = unprivileged(&pair);
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let since = pair.wire.next_advert("d1", patience());
    let family = both(&d1);
    for pid in &family {
        limit(USER, *pid, "--nproc=1:");
    }
    let named = "vrrp_script chk: /bin/sh could not be started: Resource temporarily unavailable";
    d1.wait_for(named, patience());
    d1.wait_for("says nothing, the server stays as it is", patience());
    // What needs a thread of its own has one: an override is taken and kept.
    let control = pair.lab.work().join("d1/own/control.sock").display().to_string();
    let tandem = director::tandem().display().to_string();
    let said = pair.lab.command("d1", &[&tandem, "weight", "10.9.0.200", "7", "--control", &control]);
    assert!(!said.contains("note:"), "{said}");
    assert!(pair.lab.work().join("d1/own/state/overrides.json").exists());
    pair.calm(since, s(8));
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
    assert_eq!(d1.said().matches("chk: /bin/sh could not be started").count(), 1, "told once: {}", d1.said());
    assert_eq!(both(&d1), family, "nobody died of it");
    silence("no_process", &pair, since, s(1), ms(300));
    // It is possible again, and what the script says counts again.
    for pid in &family {
        limit(USER, *pid, "--nproc=10000:");
    }
    d1.wait_for("vrrp_script chk runs again", patience());
    pair.calm(now(), s(2));
    std::fs::remove_file(&flag).expect("the flag");
    pair.master("d2");
}

/// Nor can another worker be started: the one master is the peer then.
#[test]
fn no_process_can_be_started_and_the_worker_dies() {
    if director::tandem_only("a failing fork") {
        return;
    }
    let pair = Pair::new("fforkdie");
    let (mut d1, _flag) = unprivileged(&pair);
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let family = both(&d1);
    limit(USER, d1.pid(), "--nproc=1:");
    let took = pair.takeover("d1", "d2", || {
        kill(Pid::from_raw(family[0]), Signal::SIGKILL).expect("a signal");
    });
    measured("no_other_worker_takeover", took, down_interval(s(1), 100), ms(200));
    pair.watch.wait_holders(VIP, &["d2"], patience());
    assert!(!d1.wait(patience()).success());
    assert!(d1.said().contains("no worker can be started"), "{}", d1.said());
    assert!(d1.said().contains("1 addresses were taken off this machine"), "{}", d1.said());
}

/// Its output goes where the daemon's goes; it and what it has started are ended after its time.
#[test]
fn a_script_that_floods_forks_and_never_ends() {
    let Some((pair, mut d1, _d2, out)) = two("fscript") else { return };
    let left = pair.lab.file("left", "");
    let script = pair.lab.file(
        "flood.sh",
        // Children in the background, and output without end.
        &format!(
            "sleep 1000 & sleep 1000 &\necho $$ >>{}\nwhile :; do echo flood; echo flood >&2; done\n",
            left.display()
        ),
    );
    let head = format!(
        "vrrp_script flood {{\n    script \"/bin/sh {}\"\n    interval 1\n    timeout 1\n    weight 10\n}}\n",
        script.display()
    );
    let track = "track_script {\n        flood\n    }";
    let since = now();
    // 150 stays: a script with a weight that fails gives nothing.
    let told = format!("notify \"/bin/sh {}\"", pair.lab.work().join("notify.sh").display());
    d1.reload(&Conf::new("MASTER", 150).head(&head).line(track).line(&told).text());
    wait("it has run twice", patience(), || lines(&left).len() >= 3);
    no_trace(&pair, &out, since);
    silence("flooding_script", &pair, since, s(1), ms(500));
    let groups: Vec<i32> = lines(&left).iter().filter_map(|line| line.parse().ok()).collect();
    d1.stop();
    wait("its children are gone", patience(), || {
        groups.iter().all(|group| kill(Pid::from_raw(-group), None).is_err())
    });
    println!("MEASURED flooding_script runs={} log_bytes={}", groups.len(), d1.said().len());
}

/// Two copies in one network namespace: the second ends and names the first; with a name and a folder of its own it runs.
#[test]
fn two_copies_at_once() {
    let Some((pair, d1, _d2, out)) = two("fcopies") else { return };
    let since = now();
    let room = pair.lab.work().join("d1");
    let tandem = director::tandem().display().to_string();
    let config = pair.lab.file(
        "other.conf",
        &Conf::new("BACKUP", 50).text().replace("router_id 51", "router_id 52").replace("0.100/", "0.101/"),
    );
    let config = config.display().to_string();
    let path = |name: &str| room.join(name).display().to_string();
    let start = |title: &str, folder: &str, more: &[&str]| {
        let (run, pid, control) =
            (path(folder), path(&format!("{folder}.pid")), path(&format!("{folder}.sock")));
        let mut argv = vec![tandem.as_str(), "run", "--config", &config, "--run-dir", &run];
        argv.extend(["--pid", &pid, "--control", &control]);
        argv.extend(more);
        process::Process::start(&pair.lab, "d1", title, &argv, &[])
    };
    // At one moment, with folders of their own: the namespace has room for one of a name.
    let mut second = start("second", "run2", &[]);
    let begun = now();
    let status = second.wait(patience());
    println!("MEASURED second_copy_ended_ms={}", begun.elapsed().as_millis());
    assert_eq!(status.code(), Some(1), "{}", second.said());
    let first = format!("another Tandem (pid {}) runs in this network namespace", d1.process.pid());
    assert!(second.said().contains(&first), "{}", second.said());
    // With a name of its own, but in the folder of the first: each has files of its own there.
    let third = start("third", "run", &["--instance", "three"]);
    wait("its address", patience(), || pair.watch.has("d1", "10.9.0.101"));
    let mut fourth = start("fourth", "run", &["--instance", "three"]);
    assert_eq!(fourth.wait(patience()).code(), Some(1), "{}", fourth.said());
    pause(s(4));
    drop(third);
    assert_eq!(pair.watch.changes_of("d1", VIP, since), [], "the first one's address stayed");
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
    assert_eq!(lines(&out).len(), 2, "nobody was told");
}
