//! No secret of a file comes out of any command, at any level of the log: each secret is a word that stands nowhere
//! else, and everything that is printed is searched for it. `tandem convert` is the exception: its output is the file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Words that must not come out, those of the file before a change included.
const CANARIES: [&str; 8] =
    ["kanary-1", "kanary-2", "kanary-3", "kanary-4", "kanary-5", "6b616e61", "kanary-7", "kanary-8"];

/// A file with a secret in every word that takes one.
fn file(pass: &str, relay: &str, key: &str, extra: &str) -> String {
    format!(
        "global_defs {{\n router_id test\n smtp_server 127.0.0.1\n smtp_login me\n smtp_password {relay}\n \
         smtp_starttls off\n notification_email {{\n a@example.org\n }}\n smtp_alert\n}}\n\
         vrrp_instance V1 {{\n interface eth0\n virtual_router_id 51\n advert_int 1\n {extra}\n authentication {{\n \
         auth_type PASS\n auth_pass {pass}\n }}\n virtual_ipaddress {{\n 10.0.0.100/24\n }}\n}}\n\
         vrrp_instance V2 {{\n interface eth0\n virtual_router_id 52\n version 3\n auth_hmac {{\n key 1 {key}\n \
         }}\n virtual_ipaddress {{\n 10.0.0.101/24\n }}\n}}\n\
         vrrp_instance V3 {{\n interface eth0\n virtual_router_id 53\n authentication {{\n auth_type AH\n auth_pass \
         kanary-7\n }}\n virtual_ipaddress {{\n 10.0.0.102/24\n }}\n}}\n"
    )
}

/// Everything that a command prints, one way or the other.
fn printed(place: &Path, words: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    let out = command.args(words.split_whitespace()).current_dir(place).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = text(&out.stdout) + &text(&out.stderr);
    assert!(!all.is_empty(), "{words}: nothing printed");
    all
}

fn searched(what: &str, text: &str) {
    for word in CANARIES {
        let line = text.lines().find(|line| line.contains(word));
        assert_eq!(line, None, "{what} shows {word}");
    }
}

fn ip(words: &str) {
    let out = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn no_command_and_no_log_shows_a_secret() {
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
    let place = std::env::temp_dir().join(format!("tandem-secrets-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    let write = |name: &str, text: &str| fs::write(place.join(name), text).unwrap();
    let hex = "hex:6b616e612d3600000000000000000000000000000000000000000000000000ff";
    let good = file("kanary-1", "kanary-2", hex, "");
    let other = file("kanary-3", "kanary-4", "kanary-5-that-is-32-characters-long-ok", "priority 120");
    // Too long, a key that is none, an unknown word beside them, one brace too many.
    let bad = file("kanary-8-and-too-long", "kanary-2 kanary-3", "kanary-5", "auth_pas kanary-4") + "}\n";
    write("good.conf", &good);
    write("other.conf", &other);
    write("bad.conf", &bad);
    // The YAML form holds them, as it must: it is the file.
    let yaml = printed(&place, "convert good.conf");
    assert!(yaml.contains("kanary-1") && yaml.contains("kanary-2"), "{yaml}");
    write("good.yaml", &yaml);
    for words in [
        "check good.conf",
        "check --format json other.conf",
        "check bad.conf",
        "check --format json bad.conf",
        "check good.yaml",
        "check --pair good.conf other.conf",
        "check --pair good.conf bad.conf",
        "plan good.conf",
        "plan other.conf --from good.conf",
        "plan other.conf --from good.conf --format json",
        "plan bad.conf --from good.conf --lenient",
        "plan good.yaml --from other.conf --files-only",
    ] {
        searched(words, &printed(&place, words));
    }

    // The daemon at its most talkative: start, a reload with other secrets, a refused one, stop.
    let log = fs::File::create(place.join("log")).unwrap();
    write("run.conf", &good);
    let mut daemon = daemon_of(&place, log);
    let pid = Pid::from_raw(i32::try_from(daemon.id()).unwrap());
    let said = |what: &str| {
        for _ in 0..400 {
            let text = fs::read_to_string(place.join("log")).unwrap();
            if text.contains(what) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the log never says {what:?}:\n{}", fs::read_to_string(place.join("log")).unwrap());
    };
    said("V1: BACKUP -> MASTER");
    write("run.conf", &other);
    kill(pid, Signal::SIGHUP).unwrap();
    said("reloaded run.conf");
    write("run.conf", &bad);
    kill(pid, Signal::SIGHUP).unwrap();
    said("refused");
    kill(pid, Signal::SIGTERM).unwrap();
    assert!(daemon.wait().unwrap().success());
    searched("the log", &fs::read_to_string(place.join("log")).unwrap());
    fs::remove_dir_all(place).unwrap();
}

fn daemon_of(place: &Path, log: fs::File) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["run", "--config", "run.conf", "--log-level", "trace"])
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
