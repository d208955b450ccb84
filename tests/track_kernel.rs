//! The trackers on a real kernel: files under inotify, processes, interfaces with delays and link beats, scripts across a
//! reload.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use tandem::config;
use tandem::config::resolve::Facts;
use tandem::net::link::Links;
use tandem::net::monitor;
use tandem::process::Program;
use tandem::vrrp::track::{Change, Plan, ScriptPlan, Trackers};
use tandem::vrrp::trackers::{TrackerKind, Value};
use tokio::sync::{mpsc, watch};

const INSTANCE: &str =
    "vrrp_instance A {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {\n 10.0.0.1\n }\n";
const PATIENCE: Duration = Duration::from_secs(10);

/// An empty directory that goes with the test.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tandem-track-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Running {
    trackers: Trackers,
    changes: mpsc::Receiver<Change>,
}

fn plan(text: &str) -> Plan {
    let loaded = config::load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
    Plan::of(&loaded.config, Vec::new())
}

impl Running {
    fn start(plan: Plan) -> Self {
        let (mut trackers, changes) = Trackers::new(Arc::new(Links::new()));
        trackers.configure(plan, Instant::now());
        Self { trackers, changes }
    }

    fn value(&self, kind: TrackerKind, name: &str) -> Value {
        self.trackers.values().get(kind, name).unwrap().value
    }

    /// Waits until a tracker says this; returns why and how long it took.
    #[track_caller]
    fn says(
        &mut self,
        kind: TrackerKind,
        name: &str,
        value: Value,
    ) -> impl Future<Output = (String, Duration)> {
        let at = std::panic::Location::caller();
        async move {
            let begun = Instant::now();
            loop {
                let values = self.trackers.values();
                let said = values.get(kind, name).unwrap();
                if said.value == value {
                    return (said.why.clone(), begun.elapsed());
                }
                let change =
                    tokio::time::timeout(PATIENCE.saturating_sub(begun.elapsed()), self.changes.recv());
                let change = change.await.unwrap_or_else(|_| panic!("{at}: {name} still says {said:?}"));
                self.trackers.take(change.unwrap());
            }
        }
    }

    /// For this long nothing changes.
    async fn calm(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(change) =
            tokio::time::timeout(end.saturating_duration_since(Instant::now()), self.changes.recv()).await
        {
            let flip = self.trackers.take(change.unwrap());
            assert_eq!(flip, None);
        }
    }
}

fn block_on(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body);
}

fn file_plan(room: &Path, path: &str, more: &str) -> Plan {
    let path = room.join(path);
    plan(&format!(
        "track_file f {{\n file {}\n weight 1\n {more}\n}}\n{INSTANCE} track_file {{\n f\n }}\n}}\n",
        path.display()
    ))
}

#[test]
fn a_file_is_written_replaced_removed_and_comes_late() {
    let room = Room::new("file");
    block_on(async {
        let file = room.0.join("late/er/f");
        let mut run = Running::start(file_plan(&room.0, "late/er/f", ""));
        assert_eq!(run.value(TrackerKind::File, "f"), Value::Number(0));
        // The thread has its watch when the first change arrives; before that it reads once.
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "5\n").unwrap();
        run.says(TrackerKind::File, "f", Value::Number(5)).await;
        fs::write(&file, "-254").unwrap();
        let (why, took) = run.says(TrackerKind::File, "f", Value::Number(-254)).await;
        println!("MEASURED track_file_ms={:.2}", took.as_secs_f64() * 1000.0);
        assert!(why.contains("late/er/f"), "{why}");
        let other = file.with_file_name("new");
        fs::write(&other, "0x10").unwrap();
        fs::rename(&other, &file).unwrap();
        run.says(TrackerKind::File, "f", Value::Number(16)).await;
        // Beyond the range: what it said before stands.
        fs::write(&file, "99999999999").unwrap();
        run.calm(Duration::from_millis(300)).await;
        fs::write(&file, "garbage").unwrap();
        run.says(TrackerKind::File, "f", Value::Number(0)).await;
        fs::write(&file, "7").unwrap();
        run.says(TrackerKind::File, "f", Value::Number(7)).await;
        fs::remove_file(&file).unwrap();
        let (why, _) = run.says(TrackerKind::File, "f", Value::Number(0)).await;
        assert!(why.contains("cannot be read"), "{why}");
        fs::write(&file, "8").unwrap();
        run.says(TrackerKind::File, "f", Value::Number(8)).await;
        // Its directory goes, and another comes in its place.
        fs::rename(room.0.join("late"), room.0.join("gone")).unwrap();
        run.says(TrackerKind::File, "f", Value::Number(0)).await;
        fs::rename(room.0.join("gone"), room.0.join("late")).unwrap();
        run.says(TrackerKind::File, "f", Value::Number(8)).await;
        fs::write(&file, "9").unwrap();
        run.says(TrackerKind::File, "f", Value::Number(9)).await;
    });
}

#[test]
fn a_link_is_followed_and_another_target_noticed() {
    let room = Room::new("symlink");
    block_on(async {
        for (directory, number) in [("one", "1"), ("two", "2")] {
            fs::create_dir(room.0.join(directory)).unwrap();
            fs::write(room.0.join(directory).join("f"), number).unwrap();
        }
        std::os::unix::fs::symlink("one", room.0.join("data")).unwrap();
        std::os::unix::fs::symlink("data/f", room.0.join("f")).unwrap();
        let mut run = Running::start(file_plan(&room.0, "f", ""));
        assert_eq!(run.value(TrackerKind::File, "f"), Value::Number(1));
        fs::write(room.0.join("one/f"), "11").unwrap();
        run.says(TrackerKind::File, "f", Value::Number(11)).await;
        std::os::unix::fs::symlink("two", room.0.join("next")).unwrap();
        fs::rename(room.0.join("next"), room.0.join("data")).unwrap();
        run.says(TrackerKind::File, "f", Value::Number(2)).await;
        fs::write(room.0.join("two/f"), "22").unwrap();
        run.says(TrackerKind::File, "f", Value::Number(22)).await;
    });
}

#[test]
fn init_file_creates_and_overwrites() {
    let room = Room::new("init");
    block_on(async {
        let text = || fs::read_to_string(room.0.join("f")).unwrap();
        let run = Running::start(file_plan(&room.0, "f", "init_file -7"));
        assert_eq!((run.value(TrackerKind::File, "f"), text().trim()), (Value::Number(-7), "-7"));
        let run = Running::start(file_plan(&room.0, "f", "init_file 3"));
        assert_eq!((run.value(TrackerKind::File, "f"), text().trim()), (Value::Number(-7), "-7"));
        let run = Running::start(file_plan(&room.0, "f", "init_file 3 overwrite"));
        assert_eq!((run.value(TrackerKind::File, "f"), text().trim()), (Value::Number(3), "3"));
    });
}

/// A worker that takes the place of another: what the file has said since the start counts.
#[test]
fn init_file_overwrites_nothing_where_a_process_only_goes_on() {
    let room = Room::new("goeson");
    block_on(async {
        let overwritten = || file_plan(&room.0, "f", "init_file 3 overwrite");
        drop(Running::start(overwritten()));
        fs::write(room.0.join("f"), "9\n").unwrap();
        let (mut trackers, changes) = Trackers::new(Arc::new(Links::new()));
        trackers.go_on();
        trackers.configure(overwritten(), Instant::now());
        let mut run = Running { trackers, changes };
        assert_eq!(run.value(TrackerKind::File, "f"), Value::Number(9));
        // A reload is as ever.
        run.trackers.configure(file_plan(&room.0, "f", "init_file 4 overwrite"), Instant::now());
        assert_eq!(run.value(TrackerKind::File, "f"), Value::Number(4));
    });
}

/// A process of a name that nobody else has.
fn process(program: &Path) -> Child {
    Command::new(program).arg("1000").spawn().unwrap()
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Processes come and go, however the kernel lets us know: with its events, or in another namespace by reading /proc.
async fn processes(name: &str) {
    let room = Room::new(name);
    let program = room.0.join(name);
    fs::copy("/bin/sleep", &program).unwrap();
    let blocks = format!(
        "vrrp_track_process one {{\n process {name}\n}}\n\
         vrrp_track_process two {{\n process {} 1000\n quorum 2\n terminate_delay 2\n}}\n\
         vrrp_track_process none {{\n process {name}\n quorum_max 0\n}}\n\
         {INSTANCE} track_process {{\n one\n two\n none\n }}\n}}\n",
        program.display()
    );
    let mut run = Running::start(plan(&blocks));
    assert_eq!(run.value(TrackerKind::Process, "one"), Value::Down);
    assert_eq!(run.value(TrackerKind::Process, "none"), Value::Up);
    let first = process(&program);
    let (why, took) = run.says(TrackerKind::Process, "one", Value::Up).await;
    println!("MEASURED track_process_ms={:.2} ({name})", took.as_secs_f64() * 1000.0);
    assert_eq!(why, "1 process runs");
    run.says(TrackerKind::Process, "none", Value::Down).await;
    assert_eq!(run.value(TrackerKind::Process, "two"), Value::Down);
    let second = process(&program);
    run.says(TrackerKind::Process, "two", Value::Up).await;
    let begun = Instant::now();
    end(second);
    run.says(TrackerKind::Process, "two", Value::Down).await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "terminate_delay: {:?}", begun.elapsed());
    assert_eq!(run.value(TrackerKind::Process, "one"), Value::Up);
    end(first);
    let (why, _) = run.says(TrackerKind::Process, "one", Value::Down).await;
    assert_eq!(why, "no process runs, at least 1 should");
    run.says(TrackerKind::Process, "none", Value::Up).await;
}

#[test]
fn processes_come_and_go_here() {
    block_on(processes("tandem-t-here"));
}

#[test]
fn processes_come_and_go_in_a_namespace_without_events() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    block_on(processes("tandem-t-space"));
}

fn ip(words: &str) {
    let out = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn interfaces_with_delays_and_link_beats() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for name in ["eth1", "eth2", "eth3"] {
        ip(&format!("link add {name} type veth peer name p{name}"));
        ip(&format!("link set p{name} up"));
        ip(&format!("link set {name} up"));
    }
    block_on(async {
        let first = Arc::new(monitor::first_dump().await.unwrap());
        let (links_out, links) = watch::channel(Arc::clone(&first));
        tokio::spawn(monitor::run(links_out));
        let (mut trackers, changes) = Trackers::new(first);
        let text = "interface_up_down_delays {\n eth1 2 1\n}\n\
                    linkbeat_interfaces {\n eth2 ETHTOOL\n eth3 IOCTL\n}\n";
        trackers.configure(plan(text), Instant::now());
        trackers.follow(links);
        let mut run = Running { trackers, changes };
        for name in ["eth1", "eth2", "eth3"] {
            // The kernel itself may take a moment to see the carrier.
            run.says(TrackerKind::Interface, name, Value::Up).await;
            ip(&format!("link set p{name} down"));
        }
        let (begun, kind) = (Instant::now(), TrackerKind::Interface);
        run.says(kind, "eth2", Value::Down).await;
        run.says(kind, "eth3", Value::Down).await;
        let beats = begun.elapsed();
        let (why, _) = run.says(kind, "eth1", Value::Down).await;
        assert!(begun.elapsed() >= Duration::from_secs(2), "too soon: {:?}", begun.elapsed());
        assert!(beats < Duration::from_secs(3), "too late: {beats:?}");
        assert_eq!(why, "no carrier for 2 s");
        // A bounce is nothing.
        ip("link set peth1 up");
        tokio::time::sleep(Duration::from_millis(300)).await;
        ip("link set peth1 down");
        run.calm(Duration::from_millis(1500)).await;
        for name in ["eth1", "eth2", "eth3"] {
            ip(&format!("link set p{name} up"));
            run.says(kind, name, Value::Up).await;
        }
        ip("link del eth2");
        let (why, _) = run.says(kind, "eth2", Value::Down).await;
        assert_eq!(why, "it does not exist");
    });
}

fn script(room: &Path, argument: &str, interval: Duration) -> Plan {
    let line = format!("echo run >> {}/{argument}; test -e {}/good", room.display(), room.display());
    let program = Program {
        argv: ["/bin/sh", "-c", &line].map(str::to_owned).to_vec(),
        run_as: None,
        timeout: Some(Duration::from_secs(5)),
        env: Vec::new(),
    };
    let script = ScriptPlan { name: "s".to_owned(), program, interval, rise: 1, fall: 1, init_fail: false };
    Plan { scripts: vec![script], ..Plan::default() }
}

#[test]
fn a_script_keeps_what_it_knows_when_only_its_times_change() {
    let room = Room::new("script");
    block_on(async {
        let kind = TrackerKind::Script;
        let mut run = Running::start(script(&room.0, "a", Duration::from_millis(100)));
        assert_eq!(run.value(kind, "s"), Value::Unknown);
        let (why, _) = run.says(kind, "s", Value::Down).await;
        assert_eq!(why, "exit status 1");
        fs::write(room.0.join("good"), "").unwrap();
        run.says(kind, "s", Value::Up).await;
        run.trackers.configure(script(&room.0, "a", Duration::from_millis(200)), Instant::now());
        assert_eq!(run.value(kind, "s"), Value::Up, "the same command");
        run.calm(Duration::from_millis(500)).await;
        run.trackers.configure(script(&room.0, "b", Duration::from_millis(200)), Instant::now());
        assert_eq!(run.value(kind, "s"), Value::Unknown, "another command");
        run.says(kind, "s", Value::Up).await;
        run.trackers.configure(Plan::default(), Instant::now());
        assert!(run.trackers.values().get(kind, "s").is_none());
        let runs = || fs::read_to_string(room.0.join("b")).unwrap().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = runs();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(runs(), before, "what nobody tracks does not run");
    });
}

#[test]
fn sessions_are_down_until_they_are_up() {
    block_on(async {
        let text =
            format!("bfd_instance b {{\n neighbor_ip 10.0.0.9\n}}\n{INSTANCE} track_bfd {{\n b\n }}\n}}\n");
        let mut run = Running::start(plan(&text));
        assert_eq!(run.value(TrackerKind::Bfd, "b"), Value::Down);
        let sessions = |up| [("b".to_owned(), up), ("stranger".to_owned(), true)].into();
        let flips = run.trackers.set_bfd(&sessions(true), Instant::now());
        assert_eq!(
            flips.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["bfd b is up: the session is up"]
        );
        assert_eq!(run.trackers.set_bfd(&sessions(true), Instant::now()), []);
        run.trackers.configure(plan(&text), Instant::now());
        assert_eq!(run.value(TrackerKind::Bfd, "b"), Value::Up);
        run.trackers.set_bfd(&sessions(false), Instant::now());
        assert_eq!(run.value(TrackerKind::Bfd, "b"), Value::Down);
    });
}
