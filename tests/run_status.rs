//! How everything stands, asked of a running daemon: each answer is what `openapi.json` says of it, commands print and change
//! what they should, bad requests change nothing, and no crowd of clients costs an advert.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, reason = "a test is a driver")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

#[path = "run_status/adverts.rs"]
mod adverts;
#[path = "run_status/commands.rs"]
mod commands;
#[path = "run_status/interface.rs"]
mod interface;
#[path = "run_status/journal.rs"]
mod journal;
#[path = "run_status/orders.rs"]
mod orders;
#[path = "run_status/readers.rs"]
mod readers;
#[path = "run_status/schema.rs"]
mod schema;

/// What no answer may have in it.
const SECRETS: [&str; 3] = ["kanary-1", "kanary-2", "kanary-3"];

const CONF: &str = "global_defs {
 smtp_server 127.0.0.1
 smtp_login kanary-1
 smtp_password kanary-2
}
vrrp_script good {
 script \"/bin/true\"
 interval 1
 weight 20
}
vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 51
 version 3
 advert_int 0.1
 priority 150
 track_script { good }
 virtual_ipaddress { 10.0.0.100/24 }
}
vrrp_instance VI_2 {
 interface eth0
 virtual_router_id 52
 priority 100
 authentication { auth_type PASS
  auth_pass kanary-3 }
 virtual_ipaddress { 10.0.0.101/24 }
}
vrrp_sync_group G { group { VI_2 } }
virtual_server 10.0.0.100 80 {
 protocol TCP
 lb_kind NAT
 delay_loop 60
 real_server 127.0.0.1 8081 { weight 4
  TCP_CHECK { connect_timeout 1 } }
 real_server 127.0.0.2 8081 { weight 2
  TCP_CHECK { connect_timeout 1 } }
}
virtual_server 10.0.0.100 53 {
 protocol UDP
 lb_kind NAT
 real_server 127.0.0.3 53 { }
}
";

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A directory of this test, in a network namespace of its own with a cable from eth0 to peer.
fn place(name: &str, conf: &str) -> Place {
    assert!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root: run `make test` as root or with sudo"
    );
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for words in [
        "link set lo up",
        "link add eth0 type veth peer name peer",
        "link set peer up",
        "address add 10.0.0.1/24 dev eth0",
        "link set eth0 up",
    ] {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
    }
    let place = std::env::temp_dir().join(format!("tandem-status-{name}-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("t.conf"), conf).unwrap();
    Place(place)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Daemon {
    child: Option<Child>,
    socket: PathBuf,
}

impl Daemon {
    fn start(place: &Path) -> Self {
        Self::start_with(place, &["--no-supervisor"])
    }

    fn start_with(place: &Path, more: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            // By its whole path: what is kept in memory beside it is named after that, and other tests run.
            .args(["run", "--run-dir"])
            .arg(place.join("run"))
            .args(more)
            .args(["--config", "t.conf", "--control", "run/c.sock", "--state-dir", "state"])
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::OpenOptions::new().create(true).append(true).open(place.join("log")).unwrap())
            .spawn()
            .unwrap();
        let daemon = Self { child: Some(child), socket: place.join("run/c.sock") };
        until("it answers", || UnixStream::connect(&daemon.socket).is_ok());
        daemon
    }

    /// Status and document of an answer.
    fn ask(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.text(method, target, body);
        let document =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {target}: {error}: {text}"));
        (status, document)
    }

    fn text(&self, method: &str, target: &str, body: &str) -> (u16, String) {
        let (head, body) = self.whole(method, target, body);
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Head and body of an answer.
    fn whole(&self, method: &str, target: &str, body: &str) -> (String, String) {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        let length = body.len();
        write!(stream, "{method} {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn status(&self) -> Value {
        let (status, document) = self.ask("GET", "/v1/status", "");
        assert_eq!(status, 200, "{document}");
        document
    }

    fn end(mut self) {
        let pid = i32::try_from(self.child.as_ref().unwrap().id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        self.ended();
    }

    /// Waits until it has ended, and well.
    fn ended(&mut self) {
        assert_eq!(self.child.take().unwrap().wait().unwrap().code(), Some(0));
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
fn tandem(place: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(words)
        .args(["--control", "run/c.sock"])
        .current_dir(place)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

fn is_master(daemon: &Daemon) -> bool {
    daemon.status()["instances"].as_array().unwrap().iter().all(|one| one["state"] == "MASTER")
}

#[test]
fn commands_for_people() {
    let place = place("people", CONF);
    let place = place.0.as_path();
    let (code, said) = tandem(place, &["status"]);
    assert!(code == Some(1) && said.contains("no Tandem answers at run/c.sock"), "{said}");
    let daemon = Daemon::start(place);
    until("both are master, and both servers are down", || {
        is_master(&daemon) && tandem(place, &["status"]).1.matches("DOWN").count() == 2
    });
    let (code, said) = tandem(place, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    let line = |said: &str, begins: &str| {
        said.lines().find(|line| line.trim_start().starts_with(begins)).map(str::to_owned).unwrap_or_default()
    };
    assert!(line(&said, "tandem 0.").contains("t.conf ("), "{said}");
    let one = line(&said, "VI_1");
    assert!(one.contains("MASTER") && one.contains("170 = 150 +20 script good"), "{said}");
    assert!(one.contains("eth0 vrid 51") && one.contains("10.0.0.100/24"), "{said}");
    assert!(line(&said, "BACKUP -> MASTER").contains("no advert was heard"), "{said}");
    assert!(line(&said, "group G").contains("MASTER (VI_2)"), "{said}");
    assert!(line(&said, "127.0.0.1:8081").contains("0/4") && said.contains("connection refused"), "{said}");
    assert!(!said.contains('\x1b'), "no colours where nobody sees them");
    assert!(tandem(place, &["status", "--color", "always"]).1.contains("\x1b[32mMASTER\x1b[0m"));
    let (_, one) = tandem(place, &["status", "--service", "UDP 10.0.0.100:53"]);
    assert!(one.contains("\nUDP 10.0.0.100:53") && !one.contains("VI_1") && !one.contains("TCP"), "{one}");
    // Here is no IPVS: no figure is told without that.
    assert!(one.trim_start().starts_with("IPVS: "), "{one}");
    let (_, part) = tandem(place, &["status", "--part", "instances"]);
    assert!(part.contains("VI_2") && !part.contains("UDP"), "{part}");
    let (code, json) = tandem(place, &["status", "--json"]);
    assert!(code == Some(0) && serde_json::from_str::<Value>(&json).is_ok(), "{json}");
    assert_eq!(tandem(place, &["status", "--service", "FWM 9"]).0, Some(2));
    assert_eq!(tandem(place, &["status", "--part", "all"]).0, Some(64));

    // A server that has come back is found by a check at once, not after a minute.
    let _listens = TcpListener::bind("127.0.0.1:8081").unwrap();
    let begun = Instant::now();
    let (code, said) = tandem(place, &["check-now", "127.0.0.1"]);
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("127.0.0.1:8081  up") && said.contains("1 checks have run"), "{said}");
    assert!(!said.contains("127.0.0.2"), "{said}");
    let (code, said) = tandem(place, &["check-now", "--service", "TCP 10.0.0.100:80"]);
    assert!(code == Some(3) && said.contains("2 checks have run"), "{said}");
    let (code, said) = tandem(place, &["check-now", "--all"]);
    assert!(code == Some(3) && said.contains("1 real servers have no checks"), "{said}");
    // It counts as up, and is said to have no checks.
    let (code, said) = tandem(place, &["check-now", "--service", "UDP 10.0.0.100:53"]);
    assert!(
        code == Some(3) && said.contains("up, no checks") && said.contains("0 checks have run"),
        "{said}"
    );
    assert_eq!(tandem(place, &["check-now", "127.0.0.9"]).0, Some(2));
    assert_eq!(tandem(place, &["check-now"]).0, Some(64));

    let (code, yaml) = tandem(place, &["config"]);
    assert!(code == Some(0) && yaml.contains("vrrp_instance:") && yaml.contains("***"), "{yaml}");
    let (code, conf) = tandem(place, &["config", "--form", "keepalived"]);
    assert!(
        code == Some(0) && conf.contains("vrrp_instance VI_1 {") && conf.contains("auth_pass ***"),
        "{conf}"
    );
    for secret in SECRETS {
        assert!(!yaml.contains(secret) && !conf.contains(secret), "{secret}");
    }
    // What it shows is a configuration, but for the secrets.
    fs::write(place.join("shown.yaml"), &yaml).unwrap();
    let plan = |wanted: &str| {
        let (status, plan) = daemon.ask("GET", "/v1/plan", "");
        assert_eq!(status, 200);
        let text = plan.to_string();
        assert!(text.contains(wanted), "{text}");
    };
    plan("\"changes\":false");
    fs::write(place.join("t.conf"), CONF.replace("priority 100", "priority 90")).unwrap();
    plan("priority 100 -> 90");
    assert_eq!(daemon.status()["instances"][1]["base_priority"], 100, "a plan changes nothing");
    fs::write(place.join("t.conf"), CONF.replace("10.0.0.101", "10.0.0.999")).unwrap();
    plan("\"refused\":\"it has 1 errors");
    let (_, answer) = daemon.ask("POST", "/v1/reload", "");
    assert!(answer.to_string().contains("refused-file"), "{answer}");
    let (_, said) = tandem(place, &["status", "--part", "daemon"]);
    assert!(said.contains("the last reload was refused: it has 1 errors"), "{said}");
    assert!(said.contains("0 reloads, 1 refused"), "{said}");

    let before = daemon.status()["instances"][0]["counters"]["adverts_sent"].as_u64().unwrap();
    let (_, reset) = daemon.ask("POST", "/v1/statistics/reset", "");
    assert_eq!(reset["instances"], 2, "{reset}");
    // On a busy machine an answer that was dear is told again for a moment.
    until("they count from zero", || {
        daemon.status()["instances"][0]["counters"]["adverts_sent"].as_u64().unwrap() < before
    });
    daemon.end();
}

/// 100 clients at once, some that never read, and adverts ten times a second: each of them comes.
#[test]
fn a_crowd_costs_no_advert() {
    let mut conf = CONF.to_owned();
    for server in 0..20 {
        conf += &format!("virtual_server 10.0.1.{server} 80 {{\n protocol TCP\n lb_kind NAT\n");
        for real in 0..50 {
            conf += &format!(" real_server 10.2.{server}.{real} 80 {{ }}\n");
        }
        conf += "}\n";
    }
    let place = place("crowd", &conf);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("both are master", || is_master(&daemon));
    let watch = adverts::Watch::start(51);
    std::thread::sleep(Duration::from_secs(5));
    let alone = watch.gaps();
    let silent: Vec<UnixStream> =
        ["/v1/status", "/v1/events?since=0", "/metrics", "/v1/config", "/v1/status"]
            .into_iter()
            .map(|path| {
                let mut stream = UnixStream::connect(&daemon.socket).unwrap();
                write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
                stream
            })
            .collect();
    let begun = Instant::now();
    let told = Arc::new(Mutex::new((0, 0)));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            let (daemon, told) = (&daemon, Arc::clone(&told));
            scope.spawn(move || {
                while begun.elapsed() < Duration::from_secs(5) {
                    let (status, text) = daemon.text("GET", "/v1/status", "");
                    let mut told = told.lock().unwrap();
                    match status {
                        200 => {
                            assert!(text.len() > 100_000 && text.ends_with('}'));
                            told.0 += 1;
                        }
                        503 => told.1 += 1,
                        other => panic!("{other}: {text}"),
                    }
                }
            });
        }
    });
    let crowded = watch.gaps();
    drop(silent);
    let (answers, busy) = *told.lock().unwrap();
    println!("alone {alone}; 100 clients ({answers} answers, {busy} told to come again) {crowded}");
    assert!(answers > 20, "{answers} answers, {busy} told to come again");
    assert!(alone.adverts > 40 && crowded.adverts > 40, "{alone}; {crowded}");
    // The next advert, at 0.2 s, would be the first one after a missing one; a peer waits for 0.3 s and more.
    assert!(crowded.longest < Duration::from_millis(190), "{alone}; {crowded}");
    assert!(daemon.status()["instances"][0]["counters"]["released_master"] == 0);
    daemon.end();
}

/// `tandem top` on a terminal of its own: it draws, takes keys, and gives the terminal back at any end.
#[test]
fn top_gives_the_terminal_back() {
    let place = place("top", CONF);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("the checks have begun", || {
        daemon.status()["virtual_servers"][0]["real_servers"][0]["checkers"][0]["up"] == false
    });
    let (code, said) = tandem(place, &["top"]);
    assert!(code == Some(1) && said.contains("needs a terminal"), "{said}");
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP)] {
        let mut top = Top::start(place);
        until("it draws", || top.shown().contains("127.0.0.2:8081"));
        assert!(top.shown().contains("\x1b[?1049h"), "a screen of its own");
        top.press("/127.0.0.3\r");
        until("the search", || top.shown().contains("1 rows by conn/s  search: 127.0.0.3"));
        top.press("\x1b");
        until("all again", || top.shown().contains("3 rows by conn/s  (?"));
        match signal {
            None => top.press("q"),
            Some(signal) => top.signal(signal),
        }
        let (shown, code) = top.end();
        assert!(shown.trim_end().ends_with("\x1b[?1049l") || shown.contains("\x1b[?1049l"), "{shown:?}");
        assert_eq!(code, Some(signal.map_or(0, |signal| 128 + signal as i32)), "{signal:?}: {shown:?}");
        // The line discipline is what it was: `stty` behind it says so.
        assert!(shown.contains(" icanon") && shown.contains(" echo "), "{signal:?}: {shown:?}");
    }
    daemon.end();
}

struct Top {
    child: Child,
    shown: Arc<Mutex<String>>,
    reader: std::thread::JoinHandle<()>,
    pid_file: PathBuf,
}

impl Top {
    fn start(place: &Path) -> Self {
        let pid_file = place.join("top.pid");
        let _ = fs::remove_file(&pid_file);
        let command = format!(
            "stty rows 30 columns 120; sh -c 'echo $$ > top.pid; exec {} top --control run/c.sock'; code=$?; stty -a; exit $code",
            env!("CARGO_BIN_EXE_tandem")
        );
        let mut child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .current_dir(place)
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut out, into) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut buffer) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { child, shown, reader, pid_file }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn press(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(&self.pid_file).unwrap().trim().parse().unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    fn end(mut self) -> (String, Option<i32>) {
        let code = self.child.wait().unwrap().code();
        self.reader.join().unwrap();
        (self.shown.lock().unwrap().clone(), code)
    }
}
