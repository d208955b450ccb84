//! `tandem plan` as a program, on real interfaces: each test in a network namespace of its own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CONF: &str = "vrrp_instance VI_1 {\n interface eth0\n state BACKUP\n virtual_router_id 51\n advert_int 1\n \
                    virtual_ipaddress {\n 10.0.0.100/24\n 10.0.0.101/32 brd 10.0.0.255\n }\n}\n";

/// A directory of this test with `good.conf`, in a network namespace of its own with an eth0.
fn place(name: &str) -> PathBuf {
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
        ip(words);
    }
    let place = std::env::temp_dir().join(format!("tandem-plan-{name}-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("good.conf"), CONF).unwrap();
    place
}

fn ip(words: &str) {
    let out = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Exit code, standard output, standard error.
fn plan(place: &Path, words: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.arg("plan").args(words.split_whitespace()).current_dir(place);
    let out = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn addresses_are_read_from_the_kernel() {
    let place = place("addresses");
    // An address of the same subnet that nobody named is nobody's business.
    ip("address add 10.0.0.77/32 dev eth0");
    let (code, out, err) = plan(&place, "good.conf");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("?+  address 10.0.0.100/24 on eth0: comes when"), "{out}");
    assert!(out.contains("now: nothing would change (2 more"), "{out}");
    assert!(out.contains("as MASTER: addresses +2; as BACKUP: none"), "{out}");
    assert!(!out.contains("10.0.0.77") && !out.contains('\x1b'), "{out}");

    ip("address add 10.0.0.101/32 dev eth0");
    let (code, out, _) = plan(&place, "good.conf");
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("MASTER: the kernel has 1 of its 2 addresses"), "{out}");
    assert!(out.contains("\n+   address 10.0.0.100/24 on eth0"), "{out}");
    assert!(out.contains("\n~   address 10.0.0.101/32 on eth0: brd none -> 10.0.0.255"), "{out}");

    let (code, out, _) = plan(&place, "--as backup good.conf --format json");
    assert_eq!(code, Some(1), "{out}");
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&lines[0]["kind"], &lines[0]["changes"]), (&"plan".into(), &true.into()));
    assert_eq!((&lines[1]["role"], &lines[1]["backup_removes"]), (&"BACKUP".into(), &1.into()));
    let removed = lines.iter().find(|line| line["action"] == "remove").unwrap();
    assert_eq!(removed["subject"], "10.0.0.101/32 on eth0");
    assert_eq!(removed["when"], "now");
    // Only looked: nothing came or went.
    let shown = Command::new("ip").args(["-o", "-4", "address", "show", "dev", "eth0"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout).lines().count(), 3);
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn what_tandem_has_done_is_nothing_to_do() {
    let place = place("running");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["run", "--config", "good.conf"])
        .current_dir(&place)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("MASTER with its addresses", || plan(&place, "good.conf").1.contains("all of its addresses"));
    let (code, out, err) = plan(&place, "good.conf");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("as a reload of the Tandem that runs here"), "{out}");
    assert!(out.contains("note: ") && out.contains("--from"), "{out}");

    let next = CONF.replace("10.0.0.100/24", "10.0.0.102/24").replace("BACKUP", "BACKUP\n priority 120");
    fs::write(place.join("next.conf"), next).unwrap();
    let (code, out, err) = plan(&place, "next.conf --from good.conf");
    assert_eq!(code, Some(1), "{out}{err}");
    for line in [
        "\n~   vrrp_instance VI_1: ",
        "\n        priority (not set) -> 120\n",
        "\n        virtual_ipaddress 10.0.0.100/24 -> (not set)\n",
        "\n+   address 10.0.0.102/24 on eth0: ",
        "\n-   address 10.0.0.100/24 on eth0: the file before named it",
    ] {
        assert!(out.contains(line), "{line:?} is missing:\n{out}");
    }
    // And the reload does just that.
    fs::rename(place.join("next.conf"), place.join("good.conf")).unwrap();
    kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGHUP).unwrap();
    let shown = || {
        let out = Command::new("ip").args(["-o", "-4", "address", "show", "dev", "eth0"]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    until("the planned addresses", || {
        shown().contains("10.0.0.102/24") && !shown().contains("10.0.0.100/24")
    });
    let (code, out, err) = plan(&place, "good.conf");
    assert_eq!(code, Some(0), "{out}{err}");
    kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), Signal::SIGTERM).unwrap();
    daemon.wait().unwrap();
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn exit_codes_are_as_documented() {
    let place = place("codes");
    let write = |name: &str, text: &str| fs::write(place.join(name), text).unwrap();
    assert_eq!(plan(&place, "").0, Some(64));
    assert_eq!(plan(&place, "good.conf --as king").0, Some(64));
    assert_eq!(plan(&place, "good.conf --files-only").0, Some(64));
    let (code, out, _) = plan(&place, "nowhere.conf");
    assert_eq!(code, Some(3));
    assert!(out.contains("nowhere.conf: error: the file cannot be read"), "{out}");
    assert_eq!(plan(&place, "good.conf --from nowhere.conf").0, Some(3));

    write("bad.conf", &(CONF.to_owned() + "vrrp_instance VI_2 {\n interface eth0\n}\n"));
    let (code, out, err) = plan(&place, "bad.conf");
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(out.contains(": error: ") && out.contains("what to write: "), "{out}");
    assert!(err.contains("--lenient"), "{err}");
    let (code, out, err) = plan(&place, "bad.conf --lenient");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("instance VI_1") && !out.contains("instance VI_2"), "{out}");
    assert!(err.contains(": error: "), "{err}");

    write("other.conf", &CONF.replace("51", "52"));
    let (code, out, _) = plan(&place, "other.conf --from good.conf --files-only");
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("virtual_router_id 51 -> 52") && !out.contains("instance VI_1 ("), "{out}");
    assert_eq!(plan(&place, "good.conf --from good.conf --files-only").0, Some(0));
    fs::remove_dir_all(place).unwrap();
}

/// The kernel has no IPVS, or tells it to root only: the rest is printed, and the exit code says that it is not all.
#[test]
fn a_table_that_cannot_be_read_is_said_with_its_cure() {
    let place = place("norights");
    let farm =
        "virtual_server 10.0.0.100 80 {\n protocol TCP\n real_server 10.1.0.1 80 {\n weight 1\n }\n}\n";
    fs::write(place.join("farm.conf"), CONF.to_owned() + farm).unwrap();
    // The program may lie below a directory that only root can enter: a copy for everybody.
    let program = place.join("tandem");
    fs::copy(env!("CARGO_BIN_EXE_tandem"), &program).unwrap();
    let nobody = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(words);
        let out = command.current_dir(&place).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    let (code, out, err) = nobody(&["plan", "farm.conf"]);
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(out.contains("?+  address 10.0.0.100/24 on eth0"), "{out}");
    assert!(out.contains("the plan is not whole"), "{out}");
    assert!(err.contains("modprobe ip_vs") || err.contains("run as root, or with CAP_NET_ADMIN"), "{err}");
    // Without virtual servers there is nothing to look for, and no rights are needed.
    let (code, out, err) = nobody(&["plan", "good.conf"]);
    assert_eq!(code, Some(0), "{out}{err}");
    fs::remove_dir_all(place).unwrap();
}

#[test]
fn routes_and_rules_are_read_from_the_kernel() {
    let place = place("routing");
    let routing = " virtual_routes {\n 10.7.0.0/16 via 10.0.0.254 dev eth0\n 10.8.0.0/16 dev eth9\n }\n virtual_rules {\n \
                   from 10.0.0.100 table 70 priority 1000\n }\n}\n";
    let instance = CONF.strip_suffix("}\n").unwrap().to_owned() + routing;
    let fixed = "static_routes {\n 10.6.0.0/16 via 10.0.0.254 dev eth0\n}\nstatic_rules {\n from 10.6.0.0/16 table 60 \
                 priority 900\n}\n";
    fs::write(place.join("good.conf"), format!("{fixed}{instance}")).unwrap();
    // Somebody else's, of another protocol: nobody's business.
    ip("route add 10.7.0.0/16 via 10.0.0.253 dev eth0 metric 5");
    ip("rule add from 10.0.0.100 table 70 priority 1001");

    let (code, out, err) = plan(&place, "good.conf");
    assert_eq!(code, Some(1), "{out}{err}");
    for line in [
        "\nstatic addresses, routes and rules\n",
        "\n+   route 10.6.0.0/16 (via 10.0.0.254 dev eth0): static, and the kernel does not have it",
        "\n+   rule 900 from 10.6.0.0/16 table 60: static",
        "\n?+  route 10.7.0.0/16 (via 10.0.0.254 dev eth0): comes when",
        "\n?+  rule 1000 from 10.0.0.100/32 table 70: comes when",
        "\n?+  route 10.8.0.0/16 (dev eth9): it waits for its interface",
        "now: routes +1; rules +1 (",
    ] {
        assert!(out.contains(line), "{line:?} is missing:\n{out}");
    }
    assert!(!out.contains("1001") && !out.contains("10.0.0.253"), "{out}");

    // Half of it there, one in another form: as MASTER the rest comes, as BACKUP it goes.
    ip("route add 10.6.0.0/16 via 10.0.0.254 dev eth0 proto 18");
    ip("rule add from 10.6.0.0/16 table 60 priority 900 protocol 18");
    ip("route add 10.7.0.0/16 via 10.0.0.252 dev eth0 proto 18");
    ip("rule add from 10.0.0.100 table 70 priority 1000 protocol 18");
    let (code, out, _) = plan(&place, "--as master good.conf");
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("\n~   route 10.7.0.0/16 (via 10.0.0.254 dev eth0): the kernel has it in another form"),
        "{out}"
    );
    assert!(out.contains("\n?+  route 10.8.0.0/16"), "{out}");
    assert!(!out.contains("rule 1000") && !out.contains("10.6.0.0"), "{out}");
    let (_, out, _) = plan(&place, "--as backup good.conf");
    assert!(out.contains("\n-   rule 1000 from 10.0.0.100/32 table 70: its instance is not MASTER"), "{out}");
    assert!(out.contains("\n-   route 10.7.0.0/16: its instance is not MASTER"), "{out}");

    // What only the old file named goes.
    fs::write(place.join("next.conf"), CONF).unwrap();
    let (_, out, _) = plan(&place, "--as master next.conf --from good.conf");
    for line in
        ["-   route 10.6.0.0/16: the file before named it", "-   rule 1000 from", "-   route 10.7.0.0/16"]
    {
        assert!(out.contains(line), "{line:?} is missing:\n{out}");
    }
    // Nothing was touched.
    let shown = Command::new("ip").args(["route", "show", "10.7.0.0/16"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout).lines().count(), 2);
    fs::remove_dir_all(place).unwrap();
}
