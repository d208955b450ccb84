//! The program in keepalived's place: started by its name through a link, as Debian's unit starts it, with its signals, its
//! files and its exit codes, read by the rules of exporters that are in use. Each test has network and mount namespaces of its
//! own, so that `/run`, `/tmp` and `/etc/keepalived` are its alone.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

#[path = "lab_dropin/exporter.rs"]
mod exporter;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = "/run/bin/keepalived";
const CONF: &str = "/etc/keepalived/keepalived.conf";

fn config(priority: u8) -> String {
    format!(
        "global_defs {{\n router_id lab\n enable_script_security\n script_user root\n}}\n\
         vrrp_script ok {{\n script /bin/true\n interval 1\n}}\n\
         vrrp_instance VI_1 {{\n state MASTER\n interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 0.1\n \
         version 3\n track_script {{\n ok\n }}\n virtual_ipaddress {{\n 10.0.0.100/24\n 10.0.0.101/24 label eth0:x\n }}\n}}\n\
         vrrp_instance VI_2 {{\n interface eth0\n virtual_router_id 52\n priority 90\n advert_int 0.1\n version 3\n \
         virtual_ipaddress {{\n 10.0.0.102/24\n }}\n}}\n"
    )
}

fn sh(words: &str) {
    assert!(Command::new("sh").args(["-ec", words]).status().unwrap().success(), "{words}");
}

/// Namespaces of this test, with the program under its other name and a configuration where it is looked for.
fn place() {
    assert!(nix::unistd::geteuid().is_root(), "namespaces need root: run `make test` as root or with sudo");
    let link = std::env::current_dir().unwrap().join(env!("CARGO_BIN_EXE_tandem"));
    // Found before /tmp is another one.
    let program = fs::read(&link).unwrap();
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
    sh(
        "mount --make-rprivate / && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /tmp && mkdir -p /etc/keepalived \
        && mount -t tmpfs tmpfs /etc/keepalived && mkdir /run/bin",
    );
    sh(
        "ip link set lo up && ip link add eth0 type veth peer name peer && ip link set peer up && ip link set eth0 up \
        && ip addr add 10.0.0.1/24 dev eth0",
    );
    fs::write("/run/bin/tandem", program).unwrap();
    fs::set_permissions("/run/bin/tandem", fs::Permissions::from_mode(0o755)).unwrap();
    symlink("tandem", PROGRAM).unwrap();
    fs::write(CONF, config(150)).unwrap();
}

fn keepalived(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code, standard output, standard error.
fn ended(words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = keepalived(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pid_in(path: &str) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The process that a part's pid file names: the daemon itself, or a child of it.
fn worker(daemon: i32, path: &str) -> i32 {
    let pid = until(path, || pid_in(path));
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let parent: i32 = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(
        pid == daemon || parent == daemon,
        "{path} names {pid}, a child of {parent}, and the daemon is {daemon}"
    );
    pid
}

fn signal(pid: i32, number: i32) {
    if let Ok(signal) = Signal::try_from(number) {
        return kill(Pid::from_raw(pid), signal).unwrap();
    }
    // Real-time signals have no names here.
    sh(&format!("kill -{number} {pid}"));
}

/// Asks for a file, and reads it once it is another one than before.
fn dump(pid: i32, number: i32, path: &str) -> String {
    let before = fs::metadata(path).ok().map(|file| (file.ino(), file.mtime_nsec()));
    signal(pid, number);
    until(path, || {
        let now = fs::metadata(path).ok().map(|file| (file.ino(), file.mtime_nsec()));
        if now.is_some() && now != before { fs::read_to_string(path).ok() } else { None }
    })
}

fn stop(mut child: Child) -> Option<i32> {
    signal(i32::try_from(child.id()).unwrap(), 15);
    child.wait().unwrap().code()
}

#[test]
fn as_debian_s_unit_runs_it() {
    place();
    // ExecStart=/usr/sbin/keepalived --dont-fork $DAEMON_ARGS
    let log = fs::File::create("/run/log").unwrap();
    let mut command = keepalived(&["--dont-fork", "-l", "-D"]);
    let daemon = command.stderr(log).spawn().unwrap();
    let said = || fs::read_to_string("/run/log").unwrap();
    let pid = until("pid file", || pid_in("/run/keepalived.pid"));
    assert_eq!(pid, i32::try_from(daemon.id()).unwrap());
    worker(pid, "/run/vrrp.pid");
    assert!(pid_in("/run/checkers.pid").is_none(), "there are no virtual servers");
    assert_eq!(
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(),
        "keepalived\n",
        "as exporters look for it"
    );

    // USR1, until the instance is master: by the rules of exporters.
    let text = until("both are master", || {
        let text = dump(pid, 10, "/tmp/keepalived.data");
        let data = exporter::data(&text).unwrap();
        (data.len() == 2 && data.values().all(|one| one.state == Some(2))).then_some(text)
    });
    let data = exporter::data(&text).unwrap();
    let first = &data["VI_1"];
    assert_eq!(
        (first.interface.as_str(), first.vrid, first.garp_delay),
        ("eth0", Some(51), Some(5)),
        "{text}"
    );
    let vip = |address: &str| (address.to_owned(), "eth0".to_owned());
    assert_eq!(first.vips, [vip("10.0.0.100/24"), vip("10.0.0.101/24")]);
    assert_eq!(data["VI_2"].vips, [vip("10.0.0.102/24")]);
    until("the script has run", || {
        let scripts = exporter::scripts(&dump(pid, 10, "/tmp/keepalived.data"));
        (scripts["ok"] == ("GOOD".to_owned(), "idle".to_owned())).then_some(())
    });
    assert!(text.contains("   Last transition cause = "), "{text}");
    assert!(Path::new("/tmp/keepalived_parent.data").exists());
    assert_eq!(fs::metadata("/tmp/keepalived.data").unwrap().permissions().mode() & 0o777, 0o600);

    // USR2 and JSON tell the same.
    let stats = exporter::stats(&dump(pid, 12, "/tmp/keepalived.stats")).unwrap();
    for counter in exporter::COUNTERS {
        assert!(stats["VI_1"].contains_key(counter), "{counter} is missing");
    }
    assert_eq!(stats["VI_1"]["Became master"], 1);
    assert!(stats["VI_2"]["Advertisements/Sent"] > 0);
    let json = exporter::json(&dump(pid, 36, "/tmp/keepalived.json")).unwrap();
    let (state, sent, vips) = &json["VI_1"];
    assert_eq!((*state, vips[0].as_str()), (2, "10.0.0.100/24 dev eth0 scope global set"));
    assert!(*sent >= stats["VI_1"]["Advertisements/Sent"], "counters only grow");

    // Counters are written, and then begin anew.
    let last = exporter::stats(&dump(pid, 63, "/tmp/keepalived.stats")).unwrap();
    let anew = exporter::stats(&dump(pid, 12, "/tmp/keepalived.stats")).unwrap();
    assert_eq!((last["VI_1"]["Became master"], anew["VI_1"]["Became master"]), (1, 0));
    assert!(anew["VI_1"]["Advertisements/Sent"] < last["VI_1"]["Advertisements/Sent"]);

    // ExecReload=/bin/kill -HUP $MAINPID
    fs::write(CONF, config(140)).unwrap();
    signal(pid, 1);
    until("the new priority", || {
        let text = dump(pid, 10, "/tmp/keepalived.data");
        text.contains("   Priority = 140\n").then_some(())
    });
    let after = exporter::data(&fs::read_to_string("/tmp/keepalived.data").unwrap()).unwrap();
    assert_eq!(after["VI_1"].state, Some(2), "a reload costs no mastership");

    // A second one sees the first.
    let (code, _, words) = ended(&["--dont-fork", "-l", "-G"]);
    assert_eq!(code, Some(0), "as keepalived: {words}");
    assert!(words.contains("daemon is already running"), "{words}");
    assert_eq!(stop(daemon), Some(0), "{}", said());
    for path in ["/run/keepalived.pid", "/run/vrrp.pid"] {
        assert!(!Path::new(path).exists(), "{path} is left behind");
    }
    assert!(said().contains("BACKUP -> MASTER"), "{}", said());
    assert!(!said().contains("panicked"), "{}", said());
}

#[test]
fn in_the_background() {
    place();
    let (code, out, err) =
        ended(&["-G", "--log-file=/run/log", "-p", "/run/x/p", "-r", "/run/x/r", "-u", "022"]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    // Whoever started it may send signals at once.
    let pid = pid_in("/run/x/p").expect("the pid file is there when the prompt is back");
    worker(pid, "/run/x/r");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let session = stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap();
    assert_eq!(session, pid.to_string(), "a session of its own");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    for number in 0..3 {
        assert_eq!(fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap(), Path::new("/dev/null"));
    }
    let text = dump(pid, 10, "/tmp/keepalived.data");
    assert_eq!(exporter::data(&text).unwrap().len(), 2);
    assert_eq!(fs::metadata("/tmp/keepalived.data").unwrap().permissions().mode() & 0o777, 0o644);
    let (code, ..) = ended(&["-G", "-p", "/run/x/p"]);
    assert_eq!(code, Some(0), "a second one ends well and does nothing");
    assert_eq!(pid_in("/run/x/p"), Some(pid));
    signal(pid, 15);
    until("it has ended", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    assert!(!Path::new("/run/x/p").exists() && !Path::new("/run/x/r").exists());
    assert!(fs::read_to_string("/run/log").unwrap().contains("stopped"));

    // The exit code of what cannot run reaches the prompt: 6 is keepalived's for a missing file.
    assert_eq!(ended(&["-G", "-f", "/nowhere"]).0, Some(6));
    let (code, _, words) = ended(&["--nonsense"]);
    assert_eq!((code, words.trim()), (Some(1), "Unknown option --nonsense"));
    assert_eq!(ended(&["--signum=JSON"]).1, "36\n");
    assert_eq!(ended(&["--signum", "TDUMP"]).0, Some(1));
    // The version is the second word, behind a v, of the first line of several on standard error.
    let (code, _, words) = ended(&["-v"]);
    let mut version = words.lines().next().unwrap().split(' ').nth(1).unwrap().chars();
    assert_eq!((code, version.next(), version.as_str()), (Some(0), Some('v'), "2.2.7"));
    assert!(words.lines().count() > 1);
    assert_eq!(ended(&["-t"]).0, Some(0));
}

/// The new program goes on in the same process: the one that systemd and the pid file know. `copied`: keepalived is a file of
/// its own and no link.
fn upgraded(copied: bool) {
    place();
    if copied {
        sh("rm /run/bin/keepalived && cp /run/bin/tandem /run/bin/keepalived");
    }
    // A name of a file that means another one in another folder.
    fs::create_dir("/run/here").unwrap();
    let words = ["-G", "-gdaemon.log", "-p", "p", "-r", "r"];
    let started = keepalived(&words).current_dir("/run/here").output().unwrap();
    assert_eq!(started.status.code(), Some(0));
    let pid = pid_in("/run/here/p").expect("the pid file");
    let first = worker(pid, "/run/here/r");
    let has = || {
        let shown = Command::new("ip").args(["-o", "addr", "show", "dev", "eth0"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains(" 10.0.0.100/24 ")
    };
    until("it is master", || has().then_some(()));
    let sockets = || {
        let found = fs::read_dir("/run/tandem").unwrap().flatten().map(|entry| entry.path());
        found.filter(|path| path.extension().is_some_and(|e| e == "sock")).collect::<Vec<_>>()
    };
    let [socket] = &sockets()[..] else { panic!("{:?}", sockets()) };
    let mut command = Command::new("/run/bin/tandem");
    let out = command.arg("upgrade").arg("--control").arg(socket).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let log = || fs::read_to_string("/run/here/daemon.log").unwrap();
    assert_eq!(out.status.code(), Some(0), "{said}{}", log());
    assert_eq!(pid_in("/run/here/p"), Some(pid), "{}", log());
    let second = until("another worker", || pid_in("/run/here/r").filter(|now| *now != first));
    assert!(Path::new(&format!("/proc/{second}")).exists() && has(), "{}", log());
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/comm")).unwrap(), "keepalived\n", "{}", log());
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/"));
    signal(pid, 15);
    until("it has ended", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
    assert!(!has() && !Path::new("/run/here/p").exists(), "{}", log());
}

#[test]
fn an_upgrade_in_the_background_keeps_the_process() {
    upgraded(false);
}

#[test]
fn an_upgrade_of_a_copy_keeps_the_process() {
    upgraded(true);
}

#[test]
fn parts_names_and_folders() {
    place();
    let text = format!(
        "instance one\n{}\nvirtual_server 10.0.0.100 80 {{\n protocol TCP\n real_server 10.0.0.9 80 {{\n weight 1\n }}\n}}\n",
        config(150).replace(
            "router_id lab\n",
            "router_id lab\n data_use_instance on\n process_names on\n json_version 2\n"
        )
    );
    fs::write(CONF, text).unwrap();
    let daemon = keepalived(&["-n", "-G", "-g/run/log", "-C"]).spawn().unwrap();
    let pid = until("pid file", || pid_in("/run/keepalived/keepalived_one.pid"));
    worker(pid, "/run/keepalived/checkers_one.pid");
    assert!(pid_in("/run/keepalived/vrrp_one.pid").is_none(), "-C runs no instance");
    let check = dump(pid, 10, "/tmp/keepalived_check.one.data");
    assert!(check.contains(" VS VIP = 10.0.0.100, VPORT = 80\n"), "{check}");
    assert!(exporter::data(&fs::read_to_string("/tmp/keepalived.one.data").unwrap()).unwrap().is_empty());
    assert_eq!(stop(daemon), Some(0));

    let daemon = keepalived(&["-n", "-G", "-g/run/log", "-P"]).spawn().unwrap();
    let pid = until("pid file", || pid_in("/run/keepalived/keepalived_one.pid"));
    let worker = worker(pid, "/run/keepalived/vrrp_one.pid");
    assert!(pid_in("/run/keepalived/checkers_one.pid").is_none(), "-P runs no virtual server");
    let json = dump(pid, 36, "/tmp/keepalived.json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["vrrp"].as_array().map(Vec::len), Some(2), "{json}");
    until("threads have their names", || {
        let threads = fs::read_dir(format!("/proc/{worker}/task")).unwrap().flatten();
        let names: Vec<String> =
            threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok()).collect();
        let has = |name: &str| names.iter().any(|one| one.trim_end() == name);
        (has("keepalived_vrrp") && has("keepalived_lvs")).then_some(())
    });
    assert_eq!(stop(daemon), Some(0));
}

/// What comes while the daemon runs: a part that has something to do now, a signal without a meaning, a defect.
#[test]
fn a_reload_a_strange_signal_and_a_panic() {
    place();
    let mut command = keepalived(&["-G", "-g/run/log"]);
    assert!(command.env("TANDEM_FAULT", "/run/fault").status().unwrap().success());
    let pid = pid_in("/run/keepalived.pid").unwrap();
    let log = || fs::read_to_string("/run/log").unwrap();
    let first = worker(pid, "/run/vrrp.pid");
    assert!(!Path::new("/run/checkers.pid").exists());
    let server =
        "virtual_server 10.0.0.100 80 {\n protocol TCP\n real_server 10.0.0.9 80 {\n weight 1\n }\n}\n";
    fs::write(CONF, config(150) + server).unwrap();
    until("it runs", || log().contains(" runs /etc/keepalived").then_some(()));
    signal(pid, 1);
    until("a file for the first virtual server", || pid_in("/run/checkers.pid"));
    fs::write(CONF, config(150)).unwrap();
    signal(pid, 1);
    until("and none without", || (!Path::new("/run/checkers.pid").exists()).then_some(()));
    // SIGRTMAX, to both.
    signal(pid, 64);
    signal(first, 64);
    dump(pid, 10, "/tmp/keepalived.data");
    assert_eq!(worker(pid, "/run/vrrp.pid"), first, "{}", log());
    // Nobody reads standard error: the words and the place of a panic are in the log.
    fs::write("/run/fault", "panic check").unwrap();
    until("the defect is told", || log().contains("panicked at src/core/fault.rs").then_some(()));
    assert!(
        log().contains("thread 'check' panicked at") && log().contains(": as the test wishes"),
        "{}",
        log()
    );
    signal(pid, 15);
    until("it has ended", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
}

/// A worker in the place of another one does not begin from the beginning; and its supervisor sees the other one's end also
/// when whoever started it wanted to hear of no child.
#[test]
fn a_new_worker_goes_on() {
    place();
    fs::write("/run/start.sh", "echo started >>/run/started\n").unwrap();
    let begin = "global_defs {\n startup_script \"/bin/sh /run/start.sh\"\n";
    let file = "track_file f {\n file /run/f\n init_file 3 overwrite\n}\n";
    let text = config(150).replace("global_defs {\n", begin);
    let text = text.replace(" track_script {", " track_file {\n f weight 1\n }\n track_script {");
    fs::write(CONF, file.to_owned() + &text).unwrap();
    let words = format!("trap '' CHLD; exec {PROGRAM} -n -G -g/run/log");
    let daemon = Command::new("sh").args(["-c", &words]).spawn().unwrap();
    let log = || fs::read_to_string("/run/log").unwrap_or_default();
    let number = || fs::read_to_string("/run/f").unwrap_or_default().trim().to_owned();
    until("the file is made", || (number() == "3").then_some(()));
    until("it runs", || log().contains(" runs /etc/keepalived").then_some(()));
    let pid = i32::try_from(daemon.id()).unwrap();
    let first = worker(pid, "/run/vrrp.pid");
    fs::write("/run/f", "5\n").unwrap();
    signal(first, 9);
    until("another worker", || pid_in("/run/vrrp.pid").filter(|now| *now != first));
    until("it runs", || (log().matches(" runs /etc/keepalived").count() == 2).then_some(()));
    assert_eq!(number(), "5", "what was said meanwhile stands: {}", log());
    assert_eq!(fs::read_to_string("/run/started").unwrap(), "started\n", "{}", log());
    assert_eq!(stop(daemon), Some(0), "{}", log());
}

/// Files with an `instance` each: as under keepalived both run, and none takes the other's for its own.
#[test]
fn two_in_one_namespace() {
    place();
    let file = |name: &str| {
        let instance = |vrid: u8| {
            format!(
                "vrrp_instance VI {{\n interface eth0\n virtual_router_id {vrid}\n advert_int 0.1\n version 3\n \
                 virtual_ipaddress {{\n 10.0.0.{vrid}/24\n }}\n}}\n"
            )
        };
        let text = format!("instance {name}\n{}", instance(if name == "a" { 61 } else { 62 }));
        fs::write(format!("/run/{name}.conf"), text).unwrap();
        let words = ["-n", "-G", &format!("-g/run/log-{name}"), "-f", &format!("/run/{name}.conf")];
        keepalived(&words).spawn().unwrap()
    };
    let (first, second) = (file("a"), file("b"));
    let pid = |name: &str| pid_in(&format!("/run/keepalived/keepalived_{name}.pid"));
    let has = |vrid: u8| {
        let shown = Command::new("ip").args(["-o", "addr", "show", "dev", "eth0"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains(&format!(" 10.0.0.{vrid}/24 "))
    };
    until("both are master", || (has(61) && has(62)).then_some(()));
    assert_eq!(pid("a"), i32::try_from(first.id()).ok());
    assert_eq!(pid("b"), i32::try_from(second.id()).ok());
    for name in ["", "-a", "-b"] {
        let there = Path::new(&format!("/run/tandem/memory{name}.json")).exists();
        assert_eq!(there, !name.is_empty(), "each remembers its own: {name}");
    }
    assert!(
        Path::new("/run/tandem/control-a.sock").exists() && Path::new("/run/tandem/control-b.sock").exists()
    );
    // The worker of one hangs for good: its supervisor gives up, and the other one hears nothing of it.
    let log = |name: &str| fs::read_to_string(format!("/run/log-{name}")).unwrap();
    let other = worker(pid("b").unwrap(), "/run/keepalived/vrrp_b.pid");
    let daemon = pid("a").unwrap();
    until("it gives up", || {
        if !Path::new(&format!("/proc/{daemon}/fd/0")).exists() || log("a").contains("giving up") {
            return Some(());
        }
        if let Some(pid) = pid_in("/run/keepalived/vrrp_a.pid") {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        None
    });
    until("its address is gone", || (!has(61)).then_some(()));
    let files = ["keepalived_a.pid", "vrrp_a.pid"].map(|name| Path::new("/run/keepalived").join(name));
    until("nothing names a process that is no more", || {
        (!files.iter().any(|path| path.exists())).then_some(())
    });
    assert!(has(62), "{}", log("a"));
    assert_eq!(worker(pid("b").unwrap(), "/run/keepalived/vrrp_b.pid"), other, "{}", log("b"));
    drop(first);
    assert_eq!(stop(second), Some(0), "{}", log("b"));
    assert!(!has(62));
}

/// The rules hold for keepalived's own files.
#[test]
fn the_rules_read_keepalived_s_own_files() {
    let data = exporter::data(include_str!("captures/dumps/keepalived.data")).unwrap();
    assert_eq!(data.len(), 3);
    assert_eq!(data["VI_1"].vips.len(), 2);
    assert_eq!((data["VI_6"].state, data["VI_6"].vrid), (Some(2), Some(52)));
    let stats = exporter::stats(include_str!("captures/dumps/keepalived.stats")).unwrap();
    assert!(stats.values().all(|one| exporter::COUNTERS.iter().all(|counter| one.contains_key(*counter))));
    assert_eq!(exporter::json(include_str!("captures/dumps/keepalived.json")).unwrap().len(), 3);
    assert_eq!(exporter::scripts(include_str!("captures/dumps/keepalived.data"))["chk"].0, "GOOD");
}
