//! `tandem run` as a program: exit codes, messages, pid file, one daemon for each network namespace.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CONF: &str =
    "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress { 10.0.0.100/24 }\n}\n";

/// A directory of this test, in a network namespace of its own with an eth0.
fn place(name: &str) -> PathBuf {
    assert!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root: run `make test` as root or with sudo"
    );
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for words in
        ["link set lo up", "link add eth0 type veth peer name peer", "link set peer up", "link set eth0 up"]
    {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success());
    }
    let place = std::env::temp_dir().join(format!("tandem-run-{name}-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("good.conf"), CONF).unwrap();
    place
}

fn tandem(place: &PathBuf, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(words);
    if words.first() == Some(&"run") && !words.contains(&"--run-dir") {
        // Nothing of this machine's own is touched.
        command.args(["--run-dir", "run", "--state-dir", "state"]);
    }
    command.current_dir(place).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn ended(place: &PathBuf, words: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = tandem(place, words).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn stop(mut child: Child) -> (Option<i32>, String) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let mut said = String::new();
    // `None`: the test has it go elsewhere.
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said).unwrap();
    }
    (child.wait().unwrap().code(), said)
}

#[test]
fn exit_codes_are_as_documented() {
    let place = place("codes");
    let (code, said) = ended(&place, &["run", "--config", "nowhere.conf"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("nowhere.conf: error: the file cannot be read"), "{said}");
    fs::write(place.join("bad.yaml"), "vrrp_instance: 7\n").unwrap();
    assert_eq!(ended(&place, &["run", "--config", "bad.yaml"]).0, Some(3));
    assert_eq!(ended(&place, &["run", "--nonsense"]).0, Some(64));
    assert_eq!(ended(&place, &["nonsense"]).0, Some(64));
    assert_eq!(ended(&place, &["check", "good.conf"]).0, Some(0));
    assert_eq!(ended(&place, &["check", "nowhere.conf"]).0, Some(3));
    let (code, said) = ended(&place, &["--version"]);
    assert_eq!((code, said.trim()), (Some(0), concat!("tandem ", env!("CARGO_PKG_VERSION"))));
    fs::remove_dir_all(place).unwrap();
}

/// What NAT needs of the kernel is told with its line, or set while the daemon runs and put back.
#[test]
fn kernel_settings_of_a_director_are_told_or_set() {
    const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
    let place = place("director");
    let server =
        "virtual_server 10.0.0.100 80 {\n lb_kind NAT\n protocol TCP\n real_server 10.9.0.1 80 {\n }\n}\n";
    let on = "global_defs {\n director_sysctl on\n}\n";
    fs::write(place.join("told.conf"), format!("{CONF}{server}")).unwrap();
    fs::write(place.join("set.conf"), format!("{on}{CONF}{server}")).unwrap();
    fs::write(FORWARD, "0").unwrap();
    let (code, said) = ended(&place, &["check", "told.conf"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("warning: net.ipv4.ip_forward is 0 on this machine"), "{said}");
    assert!(said.contains("write \"net.ipv4.ip_forward = 1\" into"), "{said}");
    assert!(!ended(&place, &["check", "set.conf"]).1.contains("ip_forward"));
    assert!(!ended(&place, &["check", "--text-only", "told.conf"]).1.contains("ip_forward"));

    let forward = || fs::read_to_string(FORWARD).unwrap().trim().to_owned();
    let log = place.join("log");
    let said = || fs::read_to_string(&log).unwrap();
    let mut command = tandem(&place, &["run", "--config", "set.conf", "--pid", "set.pid"]);
    let daemon = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    until("it is set", || forward() == "1");
    fs::write(place.join("set.conf"), format!("{CONF}{server}")).unwrap();
    until("the pid file", || place.join("set.pid").exists());
    // The settings are judged from then on that IPVS was tried, which takes a run of modprobe.
    std::thread::sleep(Duration::from_millis(1500));
    kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGHUP).unwrap();
    until("it is put back when the word leaves the file", || forward() == "0");
    // The first look waits for the module of IPVS, however long the kernel takes over that.
    until("the log tells of it", || said().contains("net.ipv4.ip_forward is"));
    fs::write(place.join("set.conf"), format!("{on}{CONF}{server}")).unwrap();
    kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGHUP).unwrap();
    until("it is set again", || forward() == "1");
    let (code, _) = stop(daemon);
    let said = said();
    assert_eq!((code, forward().as_str()), (Some(0), "0"), "{said}");
    // With the word gone, and only then.
    assert_eq!(said.matches("net.ipv4.ip_forward is").count(), 1, "{said}");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn one_daemon_for_each_namespace() {
    let place = place("lock");
    let pid_file = place.join("tandem.pid");
    // A stale pid file does not hinder.
    fs::write(&pid_file, "1\n").unwrap();
    let first = tandem(&place, &["run", "--config", "good.conf", "--pid", "tandem.pid"]).spawn().unwrap();
    let pid = first.id().to_string();
    until("the pid file", || fs::read_to_string(&pid_file).is_ok_and(|text| text.trim() == pid));
    let (code, said) = ended(&place, &["run", "--config", "good.conf"]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("another Tandem (pid {pid}) runs in this network namespace")), "{said}");
    let (code, said) =
        ended(&place, &["run", "--config", "good.conf", "--instance", "two", "--pid", "tandem.pid"]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("names the running process {pid}")), "{said}");
    let second = tandem(&place, &["run", "--config", "good.conf", "--instance", "two", "--pid", "two.pid"])
        .spawn()
        .unwrap();
    until("the second pid file", || place.join("two.pid").exists());
    for child in [second, first] {
        let (code, said) = stop(child);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("SIGTERM: stopping") && said.contains("stopped"), "{said}");
    }
    assert!(!pid_file.exists() && !place.join("two.pid").exists(), "pid files go with their daemons");
    fs::remove_dir_all(place).unwrap();
}

/// A worker that dies before the start script has ended did not run it: the next one does. One that dies later did.
#[test]
fn the_start_script_runs_to_its_end_once() {
    let place = place("startup");
    let out = place.join("out");
    let lines = || fs::read_to_string(&out).unwrap_or_default();
    // The first one takes its worker along.
    fs::write(
        place.join("start.sh"),
        format!(
            "echo begins >> {0}\n[ $(wc -l < {0}) = 1 ] && kill -9 $PPID && exit\necho ends >> {0}\n",
            out.display()
        ),
    )
    .unwrap();
    let script = format!("startup_script \"/bin/sh {}/start.sh\"", place.display());
    fs::write(place.join("s.conf"), format!("global_defs {{\n script_user root\n {script}\n}}\n{CONF}"))
        .unwrap();
    let log = place.join("log");
    let daemon = tandem(&place, &["run", "--config", "s.conf", "--run-dir", "run", "--state-dir", "state"])
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&log).unwrap();
    until("the script's end", || lines().matches("ends").count() == 1);
    until("a worker that runs", || said().matches(" runs s.conf").count() == 1);
    assert_eq!(lines(), "begins\nbegins\nends\n", "{}", said());
    let worker = children(daemon.id()).pop().expect("a worker");
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    until("another worker", || said().matches(" runs s.conf").count() == 2);
    assert_eq!(stop(daemon).0, Some(0));
    assert_eq!(lines(), "begins\nbegins\nends\n", "it goes on for one that has run it: {}", said());
    fs::remove_dir_all(place).unwrap();
}

/// Whoever starts us may ignore the ends of children, which is inherited: a dead worker is seen all the same.
#[test]
fn a_dead_worker_is_seen_whatever_was_inherited() {
    let place = place("ignored");
    let log = place.join("log");
    let words = ["run", "--config", "good.conf", "--run-dir", "run", "--state-dir", "state"];
    let daemon = Command::new("env")
        .args(["--ignore-signal=CHLD", env!("CARGO_BIN_EXE_tandem")])
        .args(words)
        .current_dir(&place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let runs = || fs::read_to_string(&log).unwrap().matches(" runs good.conf").count();
    until("a worker", || runs() == 1);
    let worker = children(daemon.id()).pop().expect("a worker");
    kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    until("another worker", || runs() == 2);
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("ended by signal 9"), "{said}");
    assert_eq!(stop(daemon).0, Some(0));
    fs::remove_dir_all(place).unwrap();
}

/// The children of a process.
fn children(of: u32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Logs for programs: each line is an object; and a file of logs in the place of standard error.
#[test]
fn a_log_file_of_json() {
    let place = place("json");
    let words = [
        "run",
        "--config",
        "good.conf",
        "--pid",
        "pid",
        "--log-format",
        "json",
        "--log-file",
        "log",
        "-l",
        "debug",
    ];
    let daemon = tandem(&place, &words).spawn().unwrap();
    until("the pid file", || place.join("pid").exists());
    let log = place.join("log");
    let read = || fs::read_to_string(&log).unwrap_or_default();
    until("it runs", || read().contains("good.conf"));
    fs::rename(&log, place.join("log.1")).unwrap();
    kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGHUP).unwrap();
    until("a new file in its place", || read().contains("SIGHUP"));
    let (code, said) = stop(daemon);
    assert_eq!((code, said.as_str()), (Some(0), ""), "nothing on standard error");
    let all = fs::read_to_string(place.join("log.1")).unwrap() + &read();
    for line in all.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["time", "level", "message"] {
            assert!(object[key].is_string(), "{key}: {line}");
        }
    }
    assert!(all.contains(r#""message":"stopped""#), "{all}");
    let (code, said) = ended(&place, &["run", "--config", "good.conf", "--log-file", "nowhere/log"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot log"), "{said}");
    fs::remove_dir_all(place).unwrap();
}

/// Where the kernel has no IPVS the log says so once, with the cure, and the rest runs.
#[test]
fn a_kernel_without_ipvs_is_told_of_with_its_cure() {
    let there = || std::path::Path::new("/proc/net/ip_vs").exists();
    if there() || Command::new("modprobe").arg("ip_vs").output().is_ok_and(|o| o.status.success()) {
        println!("SKIPPED: this kernel has ip_vs, so its absence cannot be tried");
        return;
    }
    let place = place("noipvs");
    assert!(
        Command::new("ip").args(["address", "add", "10.0.0.1/24", "dev", "eth0"]).status().unwrap().success()
    );
    let server = "virtual_server 10.0.0.100 80 {\n protocol TCP\n real_server 10.9.0.1 80 {\n }\n}\n";
    fs::write(place.join("vs.conf"), format!("{CONF}{server}")).unwrap();
    let daemon = tandem(&place, &["run", "--config", "vs.conf", "--pid", "vs.pid"]).spawn().unwrap();
    until("the pid file", || place.join("vs.pid").exists());
    // The address comes in spite of it; tries to connect go on meanwhile.
    let address = || {
        let shown = Command::new("ip").args(["-o", "address", "show", "dev", "eth0"]).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).contains("10.0.0.100/24")
    };
    until("the address", address);
    let (code, said) = stop(daemon);
    assert_eq!(code, Some(0), "{said}");
    let told = said.matches("IPVS: this kernel has no IPVS (").count();
    assert_eq!(told, 1, "{said}");
    assert!(
        said.contains(
            "load it with `modprobe ip_vs` (in containers: on the host), or use a kernel with CONFIG_IP_VS"
        ),
        "{said}"
    );
}

/// A network namespace of `ip netns` that goes with the value.
struct Space(String);

impl Space {
    fn name(part: &str) -> String {
        format!("tdm{}-{part}", std::process::id())
    }

    fn add(name: &str) -> Self {
        assert!(Command::new("ip").args(["netns", "add", name]).status().unwrap().success());
        Self(name.to_owned())
    }

    fn shell(&self, script: &str) -> String {
        let output =
            Command::new("ip").args(["netns", "exec", &self.0, "sh", "-c", script]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// `net_namespace_ipvs`: packets are forwarded there, so that its settings count, and ours are left alone. VRRP does not wait
/// for a namespace that is not there yet.
#[test]
fn kernel_settings_are_those_of_the_namespace_that_ipvs_is_in() {
    const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
    let place = place("elsewhere");
    let name = Space::name("ipvs");
    let conf = |global: &str| {
        let server = "virtual_server 10.0.0.100 80 {\n lb_kind NAT\n protocol TCP\n real_server 10.9.0.1 80 {\n }\n}\n";
        format!("net_namespace_ipvs {name}\nglobal_defs {{\n{global}\n}}\n{CONF}{server}")
    };
    fs::write(place.join("a.conf"), conf("director_sysctl on")).unwrap();
    fs::write(FORWARD, "0").unwrap();
    let log = place.join("log");
    let said = || fs::read_to_string(&log).unwrap();
    let mut command = tandem(&place, &["run", "--config", "a.conf", "--pid", "a.pid", "--run-dir", "run"]);
    let daemon = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    until("the log says that it is missing", || {
        said().contains(&format!("IPVS: net_namespace_ipvs {name}: /run/netns/{name} cannot be entered"))
    });
    until("VRRP runs", || said().contains("vrrp VI_1: INIT -> "));
    // What a new one begins with; the daemon may be there before us.
    let begins = Space::add(&Space::name("new")).shell(&format!("cat {FORWARD}"));
    let space = Space::add(&name);
    let there = || space.shell(&format!("cat {FORWARD}"));
    until("it is set there", || there() == "1");
    assert_eq!(fs::read_to_string(FORWARD).unwrap().trim(), "0", "ours is left alone");
    // Another namespace is no matter of a reload.
    fs::write(place.join("a.conf"), CONF).unwrap();
    kill(pid, Signal::SIGHUP).unwrap();
    until("it is refused", || said().contains("refused: it has another net_namespace_ipvs"));
    fs::write(place.join("a.conf"), conf("")).unwrap();
    kill(pid, Signal::SIGHUP).unwrap();
    until("it is put back", || there() == begins);
    until("it is told", || said().contains("net.ipv4.ip_forward is 0 on this machine"));
    fs::write(place.join("a.conf"), conf("director_sysctl on")).unwrap();
    kill(pid, Signal::SIGHUP).unwrap();
    until("it is set again", || there() == "1");
    let (code, _) = stop(daemon);
    assert_eq!((code, there()), (Some(0), begins), "{}", said());
    fs::remove_dir_all(place).unwrap();
}

/// Nice value and processors of a thread of a process, by its name.
fn thread(pid: u32, name: &str) -> Option<(i32, String)> {
    fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().find_map(|task| {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
        if read("comm")?.trim() != name {
            return None;
        }
        // The 19th field, counted behind the name in parentheses.
        let nice = read("stat")?.rsplit(')').next()?.split_whitespace().nth(16)?.parse().ok()?;
        let status = read("status")?;
        let processors = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        Some((nice, processors.trim().to_owned()))
    })
}

/// keepalived's words for its processes are for threads here, and reloads change them; memory is locked for all or for none.
#[test]
fn words_of_scheduling_are_for_single_threads() {
    let place = place("threads");
    let conf = |global: &str| {
        format!(
            "global_defs {{\n vrrp_priority 1\n{global}\n}}\n{CONF}bfd_instance b {{\n neighbor_ip 10.0.0.9\n}}\n\
             virtual_server 10.0.0.100 80 {{\n protocol TCP\n real_server 10.9.0.1 80 {{\n }}\n}}\n"
        )
    };
    let first = "checker_priority 7\n checker_cpu_affinity 0\n bfd_priority 9\n bfd_no_swap";
    fs::write(place.join("a.conf"), conf(first)).unwrap();
    let words = ["run", "--config", "a.conf", "--pid", "a.pid", "--run-dir", "run", "--no-supervisor"];
    let daemon = tandem(&place, &words).spawn().unwrap();
    let pid = daemon.id();
    let all = thread(std::process::id(), fs::read_to_string("/proc/self/comm").unwrap().trim());
    // The test runner may be nice itself.
    let (usual, all) = all.expect("our own main thread");
    let locked = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("VmLck:") && !line.ends_with("\t       0 kB"))
    };
    until("the vrrp thread", || thread(pid, "vrrp").is_some_and(|(nice, _)| nice == 1));
    until("the check thread", || thread(pid, "check") == Some((7, "0".to_owned())));
    until("the bfd thread", || thread(pid, "bfd") == Some((9, all.clone())));
    until("memory is locked", locked);
    let others = ["vrrp", "net", "ipvs"].map(|name| thread(pid, name).expect("a thread"));
    assert_eq!(others.each_ref().map(|(nice, _)| *nice), [1, usual, usual]);
    assert!(others.iter().all(|(_, processors)| *processors == all), "{others:?}");
    fs::write(place.join("a.conf"), conf("checker_priority 3")).unwrap();
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGHUP).unwrap();
    until("the check thread after a reload", || thread(pid, "check") == Some((3, all.clone())));
    until("the bfd thread after a reload", || thread(pid, "bfd") == Some((usual, all.clone())));
    until("memory is not locked any more", || !locked());
    let (code, said) = stop(daemon);
    assert_eq!(code, Some(0), "{said}");
    fs::remove_dir_all(place).unwrap();
}

/// `reload_time_file`, and what `config_save_dir` keeps of it.
#[test]
fn a_reload_by_the_clock_and_what_is_kept_of_it() {
    let place = place("clock");
    let (when, saved, log) = (place.join("when"), place.join("saved"), place.join("log"));
    let global = format!(
        "global_defs {{\n reload_time_file {}\n config_save_dir {}\n}}\n",
        when.display(),
        saved.display()
    );
    fs::write(place.join("a.conf"), format!("{global}{CONF}")).unwrap();
    let words = ["run", "--config", "a.conf", "--pid", "a.pid", "--run-dir", "run", "--no-supervisor"];
    let daemon = tandem(&place, &words).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let said = || fs::read_to_string(&log).unwrap();
    until("it runs", || said().contains("vrrp VI_1: INIT -> "));
    let pid = daemon.id();
    let copy =
        |number: u32| fs::read_to_string(saved.join(format!("a.conf.{pid}.{number}"))).unwrap_or_default();
    until("the first copy", || copy(0).contains("vrrp_instance VI_1"));
    fs::write(
        place.join("a.conf"),
        format!("{global}{}", CONF.replace("virtual_router_id 51", "virtual_router_id 51\n priority 120")),
    )
    .unwrap();
    fs::write(&when, "soon\n").unwrap();
    until("what is no time is told", || said().contains("\"soon\" is no time: write HH:MM:SS"));
    let at = Command::new("date").args(["-u", "-d", "+2 seconds", "+%F %TZ"]).output().unwrap().stdout;
    let begun = Instant::now();
    fs::write(&when, at).unwrap();
    until("the reload", || said().contains("reloaded a.conf") || said().contains("a.conf: changed"));
    assert!(begun.elapsed() >= Duration::from_millis(900), "before its time");
    assert!(said().contains("it is time") && said().contains("priority (not set) -> 120"), "{}", said());
    assert!(!when.exists(), "it has said what it had to say");
    until("the second copy", || copy(1).contains("priority 120"));
    assert!(copy(1).starts_with("# a.conf as it was understood at ") && !copy(0).contains("priority 120"));
    for state in ["pre", "post"] {
        let path = saved.join(format!("keepalived_vrrp.{pid}.1.{state}"));
        until("how things stood", || fs::read_to_string(&path).is_ok_and(|text| text.contains("VI_1")));
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&saved).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700, "there are passwords in it");
    let (code, _) = stop(daemon);
    assert_eq!(code, Some(0), "{}", said());
    fs::remove_dir_all(place).unwrap();
}
