//! Commands to the running daemon, as programs: weight, drain, enable, reload and restart. What becomes of the kernel's table
//! is another test's; here the table cannot be programmed, and nothing else suffers from that.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const CONF: &str = "virtual_server 10.0.0.1 80 {
 protocol TCP
 lb_kind NAT
 delay_loop 60
 real_server 127.0.0.1 8080 { weight 4 }
 real_server 127.0.0.2 8080 { weight 2 }
}
";

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A directory of this test, in a network namespace of its own.
fn place(name: &str) -> Place {
    assert!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root: run `make test` as root or with sudo"
    );
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
    let place = std::env::temp_dir().join(format!("tandem-commands-{name}-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("t.conf"), CONF).unwrap();
    Place(place)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Daemon {
    child: Option<Child>,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    fn start(place: &Path) -> Self {
        Self::start_with(place, &["--state-dir", "state"])
    }

    fn start_with(place: &Path, more: &[&str]) -> Self {
        let log = place.join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            // One process: a crash is one of everything.
            .args(["run", "--no-supervisor", "--run-dir", "run"])
            .args(["--config", "t.conf", "--control", "run/c.sock"])
            .args(more)
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::OpenOptions::new().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let daemon = Self { child: Some(child), socket: place.join("run/c.sock"), log };
        until("it answers", || UnixStream::connect(&daemon.socket).is_ok());
        daemon
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.as_ref().unwrap().id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn reload(&self) {
        let reloads = || self.log().matches("reloaded").count();
        let before = reloads();
        self.signal(Signal::SIGHUP);
        until("the reload", || reloads() > before);
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.child.take().unwrap().wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A command with its exit code and all that it said.
fn tandem(place: &Path, words: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(words.split(' '))
        .args(["--control", "run/c.sock"])
        .current_dir(place)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

/// State and weights of the real servers: `127.0.0.1:8080 drain 0/4`.
fn shown(place: &Path) -> Vec<String> {
    let (code, said) = tandem(place, "servers --json");
    assert_eq!(code, Some(0), "{said}");
    let servers: Value = serde_json::from_str(&said).unwrap();
    let reals = servers["virtual_servers"][0]["real_servers"].as_array().unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    reals
        .iter()
        .map(|real| {
            let words = ["name", "admin_state"].map(|word| text(&real[word]));
            format!("{} {}/{}", words.join(" "), real["weight"], real["weight_configured"])
        })
        .collect()
}

fn settles(place: &Path, wanted: &[&str]) {
    until(&format!("{wanted:?}"), || shown(place) == wanted);
}

#[test]
fn overrides_outlive_reload_restart_and_a_crash() {
    let place = place("life");
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    settles(place, &["127.0.0.1:8080 enabled 4/4", "127.0.0.2:8080 enabled 2/2"]);

    let (code, said) = tandem(place, "weight 127.0.0.1 9");
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "real server 127.0.0.1:8080 of TCP 10.0.0.1:80: weight 4 -> 9\n")
    );
    assert_eq!(tandem(place, "drain 127.0.0.2:8080 --service 10.0.0.1:80").0, Some(0));
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 drain 0/2"]);
    let line = "real server 127.0.0.1:8080 of TCP 10.0.0.1:80: weight 4 -> 9 by root(uid=0,pid=";
    assert!(daemon.log().contains(line), "{}", daemon.log());

    let (code, said) = tandem(place, "overrides");
    assert!(code == Some(0) && said.lines().count() == 3, "{said}");
    assert!(said.contains("weight 9") && said.contains("root(uid=0,pid=") && said.contains("T"), "{said}");

    // A reload that changes the file below it, a restart, and a crash.
    fs::write(place.join("t.conf"), CONF.replace("weight 2", "weight 3")).unwrap();
    daemon.reload();
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 drain 0/3"]);
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    assert!(!place.join("run/c.sock").exists());
    let daemon = Daemon::start(place);
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 drain 0/3"]);
    assert!(daemon.log().contains("overridden by earlier commands: 1 drain, 1 weight"), "{}", daemon.log());
    assert_eq!(daemon.end(Signal::SIGKILL), None);
    assert!(place.join("run/c.sock").exists(), "a crash leaves its socket");
    let daemon = Daemon::start(place);
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 drain 0/3"]);

    for words in ["enable 127.0.0.1", "enable 127.0.0.2"] {
        assert_eq!(tandem(place, words).0, Some(0));
    }
    settles(place, &["127.0.0.1:8080 enabled 4/4", "127.0.0.2:8080 enabled 3/3"]);
    assert!(tandem(place, "overrides").1.starts_with("no overrides"));

    assert_eq!(tandem(place, "add 127.0.0.3:8080 --weight 7").0, Some(0));
    assert_eq!(tandem(place, "delete 127.0.0.1").0, Some(0));
    settles(
        place,
        &["127.0.0.2:8080 enabled 3/3", "127.0.0.3:8080 enabled 7/null", "127.0.0.1:8080 deleted 0/4"],
    );
    // The file loses what an override is about: it stays, and says so.
    fs::write(place.join("t.conf"), CONF.replace("127.0.0.1", "127.0.0.9")).unwrap();
    daemon.reload();
    let (_, said) = tandem(place, "overrides");
    assert!(said.contains("no effect: TCP 10.0.0.1:80 has no real server 127.0.0.1:8080"), "{said}");
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

#[test]
fn what_is_refused_changes_nothing_and_says_what_to_do() {
    let place = place("refused");
    let place = place.0.as_path();
    let (code, said) = tandem(place, "drain 127.0.0.1");
    assert!(code == Some(1) && said.contains("no Tandem answers at run/c.sock"), "{said}");
    fs::write(place.join("t.conf"), CONF.to_owned() + &CONF.replace("10.0.0.1", "10.0.0.2")).unwrap();
    let daemon = Daemon::start(place);
    let (code, said) = tandem(place, "drain 127.0.0.1");
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(
        said,
        "refused: 127.0.0.1 may be one of 2 real servers\n    127.0.0.1:8080 of TCP 10.0.0.1:80\n    127.0.0.1:8080 of TCP \
         10.0.0.2:80\n    what to do: name its port, and its virtual server (--service, or in the path)\n"
    );
    for words in ["drain 127.0.0.7", "weight 127.0.0.1 9 --service 10.9.9.9:80", "add 127.0.0.4"] {
        assert_eq!(tandem(place, words).0, Some(2), "{words}");
    }
    for words in ["drain nobody", "weight 127.0.0.1 70000", "weight 127.0.0.1"] {
        assert_eq!(tandem(place, words).0, Some(64), "{words}");
    }
    assert!(tandem(place, "overrides").1.starts_with("no overrides"));
    assert!(!place.join("state").exists(), "nothing was kept");

    // A second daemon does not take the door away, and says so; it runs all the same.
    let second = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args([
            "run",
            "--config",
            "t.conf",
            "--instance",
            "two",
            "--control",
            "run/c.sock",
            "--pid",
            "two.pid",
        ])
        .args(["--state-dir", "state"])
        .current_dir(place)
        .stderr(fs::File::create(place.join("two.log")).unwrap())
        .spawn()
        .unwrap();
    let second = Daemon { child: Some(second), socket: PathBuf::new(), log: place.join("two.log") };
    until("it says so", || second.log().contains("another daemon listens at run/c.sock"));
    until("it runs", || second.log().contains("virtual servers"));
    assert_eq!(second.end(Signal::SIGTERM), Some(0));
    assert!(tandem(place, "servers").1.contains("TCP 10.0.0.2:80"));
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

#[test]
fn a_change_that_persists_is_configuration() {
    let place = place("persist");
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    let (code, said) = tandem(place, "weight 127.0.0.1 9 --persist");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("written into overrides.conf") && said.contains("\"include overrides.conf\""),
        "{said}"
    );
    fs::write(place.join("t.conf"), format!("{CONF}include overrides.conf\n")).unwrap();
    let (code, said) = tandem(place, "drain 127.0.0.1 --persist");
    assert!(code == Some(0) && !said.contains("note:"), "{said}");
    settles(place, &["127.0.0.1:8080 drain 0/9", "127.0.0.2:8080 enabled 2/2"]);
    let kept = fs::read_to_string(place.join("state/overrides.json")).unwrap();
    assert!(!kept.contains("127.0.0.1"), "{kept}");
    daemon.reload();
    settles(place, &["127.0.0.1:8080 drain 0/9", "127.0.0.2:8080 enabled 2/2"]);
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    let daemon = Daemon::start(place);
    settles(place, &["127.0.0.1:8080 drain 0/9", "127.0.0.2:8080 enabled 2/2"]);
    let (_, said) = tandem(place, "overrides");
    assert!(said.contains("weight 9 drain") && said.contains(" file "), "{said}");
    // Taken back for now, and for good.
    assert_eq!(tandem(place, "enable 127.0.0.1").0, Some(0));
    settles(place, &["127.0.0.1:8080 enabled 9/9", "127.0.0.2:8080 enabled 2/2"]);
    let (code, said) = tandem(place, "enable 127.0.0.1 --persist");
    assert!(code == Some(0) && said.contains(": weight 9 -> 4\n"), "{said}");
    settles(place, &["127.0.0.1:8080 enabled 4/4", "127.0.0.2:8080 enabled 2/2"]);
    // Also what a line has taken away.
    assert_eq!(tandem(place, "delete 127.0.0.1 --persist").0, Some(0));
    daemon.reload();
    settles(place, &["127.0.0.2:8080 enabled 2/2"]);
    let (code, said) = tandem(place, "enable 127.0.0.1");
    assert!(code == Some(2) && said.contains("--persist"), "{said}");
    let (code, said) = tandem(place, "enable 127.0.0.1 --persist");
    assert!(code == Some(0) && said.contains(": added, weight 4, enabled\n"), "{said}");
    settles(place, &["127.0.0.1:8080 enabled 4/4", "127.0.0.2:8080 enabled 2/2"]);
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

/// A disk that does not answer: a file that is a pipe nobody writes into. Other commands, reloads among them, do not wait
/// for it, and who does is told when it takes too long. What was said last counts when it answers after all.
#[test]
fn a_disk_that_hangs_holds_up_nothing() {
    let place = place("hang");
    let place = place.0.as_path();
    fs::write(place.join("t.conf"), format!("{CONF}include overrides.conf\n")).unwrap();
    let file = place.join("overrides.conf");
    fs::write(&file, "").unwrap();
    let daemon = Daemon::start(place);
    assert_eq!(tandem(place, "weight 127.0.0.2 5 --persist").0, Some(0));
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let ask = |words: &'static str| {
        let place = place.to_owned();
        std::thread::spawn(move || tandem(&place, words))
    };
    let first = ask("weight 127.0.0.1 9 --persist");
    std::thread::sleep(Duration::from_millis(300));
    let second = ask("drain 127.0.0.2 --persist");
    std::thread::sleep(Duration::from_millis(300));
    assert!(!first.is_finished() && !second.is_finished());
    settles(place, &["127.0.0.1:8080 enabled 4/4", "127.0.0.2:8080 enabled 5/5"]);
    assert_eq!(tandem(place, "disable 127.0.0.1").0, Some(0));
    settles(place, &["127.0.0.1:8080 disabled 0/4", "127.0.0.2:8080 enabled 5/5"]);
    let (code, said) = first.join().unwrap();
    assert!(code == Some(1) || code == Some(2), "{code:?} {said}");
    assert!(
        said.contains("has not answered for 10 s: the change has no effect before it does")
            && said.contains("without --persist a change waits for no disk"),
        "{said}"
    );
    let (code, said) = second.join().unwrap();
    assert!(code != Some(0) && said.contains("nothing has changed"), "{said}");
    // The disk is back: each of the two that read the file gets its text.
    until("the change after all", || {
        if fs::metadata(&file).unwrap().is_file() {
            return true;
        }
        let opened = fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&file);
        if let Ok(mut pipe) = opened {
            let _ = pipe.write_all(text.as_bytes());
        }
        false
    });
    settles(place, &["127.0.0.1:8080 disabled 0/9", "127.0.0.2:8080 enabled 5/5"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("127.0.0.1:8080 weight 9") && !text.contains("drain by"), "{text}");
    daemon.reload();
    assert_eq!(tandem(place, "enable 127.0.0.1").0, Some(0));
    settles(place, &["127.0.0.1:8080 enabled 9/9", "127.0.0.2:8080 enabled 5/5"]);
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

/// The disk with the daemon's own file of overrides hangs: what was said is in force, and the client is told that a restart
/// may forget it.
#[test]
fn a_state_directory_that_hangs_is_told() {
    let place = place("frozen");
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    assert_eq!(tandem(place, "weight 127.0.0.2 5").0, Some(0));
    let frozen = Frozen::new(&place.join("state"));
    let waits = {
        let place = place.to_owned();
        std::thread::spawn(move || tandem(&place, "drain 127.0.0.1"))
    };
    settles(place, &["127.0.0.1:8080 drain 0/4", "127.0.0.2:8080 enabled 5/2"]);
    let (code, said) = waits.join().unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("the disk has not kept it for 10 s: it is in force, a restart may forget it"),
        "{said}"
    );
    assert!(!fs::read_to_string(place.join("t.conf")).unwrap().is_empty());
    drop(frozen);
    until("it is kept", || fs::read_to_string(place.join("state/overrides.json")).unwrap().contains("drain"));
    assert_eq!(tandem(place, "enable 127.0.0.1").0, Some(0));
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

/// A reload names another folder: the overrides are there at once, and a restart finds them.
#[test]
fn overrides_move_along_with_their_folder() {
    let place = place("moved");
    let place = place.0.as_path();
    let conf = |folder: &str| {
        let folder = place.join(folder);
        let text = format!("global_defs {{\n state_directory {}\n}}\n{CONF}", folder.display());
        fs::write(place.join("t.conf"), text).unwrap();
    };
    conf("one");
    let daemon = Daemon::start_with(place, &[]);
    assert_eq!(tandem(place, "weight 127.0.0.1 9").0, Some(0));
    let there = |folder: &str| fs::read_to_string(place.join(folder).join("overrides.json"));
    assert!(there("one").unwrap().contains("weight 9"));
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    // No command comes between this start and the reload.
    let daemon = Daemon::start_with(place, &[]);
    conf("two");
    daemon.reload();
    until("they are in the new folder", || there("two").is_ok_and(|text| text.contains("weight 9")));
    until("and no longer in the old one", || there("one").is_err());
    assert_eq!(tandem(place, "drain 127.0.0.2").0, Some(0));
    assert!(there("two").unwrap().contains("drain"));
    assert_eq!(daemon.end(Signal::SIGKILL), None);
    let daemon = Daemon::start_with(place, &[]);
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 drain 0/2"]);
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

/// A folder whose files nobody can open until this is dropped: the kernel asks a judge who does not answer.
struct Frozen(#[allow(dead_code, reason = "closing it is the answer")] nix::sys::fanotify::Fanotify);

impl Frozen {
    fn new(folder: &Path) -> Self {
        use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};
        let flags = InitFlags::FAN_CLOEXEC | InitFlags::FAN_CLASS_CONTENT;
        let judge = Fanotify::init(flags, EventFFlags::O_RDONLY).expect("a kernel with fanotify permissions");
        let events = MaskFlags::FAN_OPEN_PERM | MaskFlags::FAN_EVENT_ON_CHILD;
        judge.mark(MarkFlags::FAN_MARK_ADD, events, nix::fcntl::AT_FDCWD, Some(folder)).unwrap();
        Self(judge)
    }
}

/// Half a request, a head without end, a client that sends nothing: the daemon goes on answering others.
#[test]
fn clients_that_mean_no_good_cost_the_daemon_nothing() {
    let place = place("hostile");
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    let mut hostile = Vec::new();
    for n in 0..100 {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        let text: &[u8] = match n % 3 {
            0 => {
                b"POST /v1/real-servers/-/127.0.0.1/drain HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{"
            }
            1 => b"GET /v1/real-servers HTTP/1.1\r\nx: ",
            _ => b"GET /v1/real-servers HTTP/1.1\r\nhost: x\r\n\r\n",
        };
        stream.write_all(text).unwrap();
        hostile.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(tandem(place, "servers").0, Some(0));
    }
    // A document that stays half is told so, and has changed nothing.
    let mut answer = String::new();
    hostile[0].set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    hostile[0].read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(tandem(place, "overrides").1.starts_with("no overrides"));
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

/// `--for`: what was said for a time ends by itself, in this process or in the next one, and leaves the rest as it is.
#[test]
fn a_drain_ends_by_itself() {
    let place = place("for");
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    settles(place, &["127.0.0.1:8080 enabled 4/4", "127.0.0.2:8080 enabled 2/2"]);
    assert_eq!(tandem(place, "weight 127.0.0.1 9").0, Some(0));
    let (code, said) = tandem(place, "drain 127.0.0.1 --for 2s");
    assert!(code == Some(0) && said.contains("it ends by itself at 20"), "{said}");
    settles(place, &["127.0.0.1:8080 drain 0/4", "127.0.0.2:8080 enabled 2/2"]);
    let (_, said) = tandem(place, "overrides");
    assert!(said.contains("drain") && said.contains("until"), "{said}");
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 enabled 2/2"]);
    assert!(daemon.log().contains("the time is over that root(uid=0,pid="), "{}", daemon.log());
    let (_, said) = tandem(place, "history --kind command");
    assert!(said.contains("drain -> enabled") && said.contains("tandem(uid=0)"), "{said}");

    // Over while nobody was there.
    assert_eq!(tandem(place, "disable 127.0.0.2 --for 1s").0, Some(0));
    let kept = || fs::read_to_string(place.join("state/overrides.json")).unwrap_or_default();
    until("it is kept", || kept().contains("disabled until 20"));
    assert_eq!(daemon.end(Signal::SIGKILL), None);
    std::thread::sleep(Duration::from_millis(1500));
    let daemon = Daemon::start(place);
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 enabled 2/2"]);
    until("it is forgotten", || !kept().contains("disabled"));

    // What cannot end by itself says so, and nothing is changed.
    for (path, body) in [
        ("weight", "{\"weight\": 3, \"for_seconds\": 5}"),
        ("enable", "{\"for_seconds\": 5}"),
        ("drain", "{\"for_seconds\": 0}"),
        ("drain", "{\"for_seconds\": 5, \"persist\": true}"),
    ] {
        let mut stream = UnixStream::connect(place.join("run/c.sock")).unwrap();
        let length = body.len();
        let target = format!("/v1/real-servers/-/127.0.0.1:8080/{path}");
        write!(stream, "POST {target} HTTP/1.1\r\nhost: tandem\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 400") && answer.contains("for-seconds"),
            "{path} {body}: {answer}"
        );
    }
    settles(place, &["127.0.0.1:8080 enabled 9/4", "127.0.0.2:8080 enabled 2/2"]);
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}
