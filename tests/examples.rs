//! The shipped examples: each loads without a word in both forms, both forms say the same, keepalived accepts the
//! `.conf`, and the files fit together (scripts, pairs). `lab_examples*.rs` run them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tandem::config::model::{Command as Program, Config};
use tandem::config::resolve::Facts;

const NAMES: [&str; 12] = [
    "director-is-real-server",
    "dual-master",
    "haproxy-pair",
    "lvs-dr-dual-master",
    "lvs-dr-pair",
    "lvs-nat",
    "lvs-tun",
    "nginx-active-passive",
    "nginx-active-passive-kill",
    "nopreempt-pair",
    "tomcat-wlc",
    "unicast-pair",
];
/// With words that keepalived does not have.
const OURS: [&str; 1] = ["director-is-real-server"];
const SCRIPTS: &str = "/etc/tandem/scripts/";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    NAMES.iter().map(|name| root().join("config/examples").join(name)).collect()
}

/// Loads a file that must be without any mistake.
fn load(path: &Path) -> Config {
    let loaded = tandem::config::load(path, &Facts::default());
    assert!(loaded.readable, "{} cannot be read", path.display());
    let words: Vec<String> = loaded.diagnostics.iter().map(|d| format!("{d:?}")).collect();
    assert!(words.is_empty(), "{}:\n{}", path.display(), words.join("\n"));
    loaded.config
}

fn skip(why: &str) {
    println!("SKIPPED: {why}");
}

fn installed(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"]
        .iter()
        .any(|d| Path::new(d).join(program).exists())
}

fn am_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn every_example_is_listed_here() {
    let found: BTreeSet<String> = fs::read_dir(root().join("config/examples"))
        .expect("config/examples")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(found, NAMES.iter().map(|&name| name.to_owned()).collect());
}

#[test]
fn both_forms_load_without_a_word_and_say_the_same() {
    for example in examples() {
        for n in [1, 2] {
            let conf = load(&example.join(format!("director-{n}.conf")));
            let yaml = load(&example.join(format!("director-{n}.yaml")));
            assert!(!conf.vrrp_instance.is_empty(), "{}: no instance", example.display());
            assert_eq!(
                conf,
                yaml,
                "{} director {n}: .conf (left) and .yaml (right) differ",
                example.display()
            );
        }
    }
}

/// What both directors of a pair must have in common, or they do not understand one another.
#[test]
fn the_two_directors_fit_together() {
    for example in examples() {
        let [a, b] = [1, 2].map(|n| load(&example.join(format!("director-{n}.conf"))));
        assert_ne!(a.global_defs.router_id, b.global_defs.router_id, "{}", example.display());
        assert_eq!(a.virtual_server, b.virtual_server, "{}: the services differ", example.display());
        assert_eq!(a.vrrp_script, b.vrrp_script, "{}: the scripts differ", example.display());
        assert_eq!(a.vrrp_instance.len(), b.vrrp_instance.len(), "{}", example.display());
        for (x, y) in a.vrrp_instance.iter().zip(&b.vrrp_instance) {
            let at = format!("{} {}", example.display(), x.name);
            assert_eq!(x.name, y.name, "{at}");
            assert_eq!(x.virtual_router_id, y.virtual_router_id, "{at}");
            assert_eq!(x.advert_int, y.advert_int, "{at}");
            assert_eq!(x.version, y.version, "{at}");
            assert_eq!(x.authentication, y.authentication, "{at}");
            assert_eq!(x.virtual_ipaddress, y.virtual_ipaddress, "{at}");
            assert_eq!(x.nopreempt, y.nopreempt, "{at}");
            assert_ne!(x.priority, y.priority, "{at}: equal priorities");
            assert!(
                x.authentication.as_ref().is_none_or(|a| a.auth_pass.0.len() <= 8),
                "{at}: password over 8 bytes"
            );
        }
    }
}

/// Every program that a file names is shipped beside it, executable, and nothing is shipped that none names.
#[test]
fn the_scripts_are_shipped() {
    for example in examples() {
        let config = load(&example.join("director-1.conf"));
        let named: BTreeSet<String> =
            programs(&config).into_iter().filter_map(|p| p.argv.first().cloned()).collect();
        let mut shipped = BTreeSet::new();
        if let Ok(entries) = fs::read_dir(example.join("scripts")) {
            for entry in entries {
                let entry = entry.expect("an entry");
                let mode = entry.metadata().expect("metadata").permissions().mode();
                assert_eq!(mode & 0o111, 0o111, "{} is not executable", entry.path().display());
                shipped.insert(format!("{SCRIPTS}{}", entry.file_name().into_string().expect("a name")));
            }
        }
        assert_eq!(named, shipped, "{}: named (left), shipped (right)", example.display());
    }
}

fn programs(config: &Config) -> Vec<&Program> {
    let mut all: Vec<&Program> = config.vrrp_script.iter().map(|s| &s.script).collect();
    for i in &config.vrrp_instance {
        all.extend(
            [&i.notify, &i.notify_master, &i.notify_backup, &i.notify_fault, &i.notify_stop]
                .into_iter()
                .flatten(),
        );
    }
    for v in &config.virtual_server {
        all.extend([&v.quorum_up, &v.quorum_down].into_iter().flatten());
        for r in &v.real_server {
            all.extend([&r.notify_up, &r.notify_down].into_iter().flatten());
            all.extend(r.misc_check.iter().map(|m| &m.misc_path));
        }
    }
    all
}

#[test]
fn every_example_explains_itself() {
    for example in examples() {
        let text = fs::read_to_string(example.join("README.md")).expect("README.md");
        for heading in ["## Files", "## What happens when a part dies", "## Sysctls"] {
            assert!(text.contains(heading), "{}: README.md has no \"{heading}\"", example.display());
        }
    }
}

/// Runs a shell command in a fresh network namespace that has eth0 and eth1, with the example's scripts at the paths that
/// the files name (in a private copy of /etc).
fn on_an_installed_machine(example: &Path, command: &str) -> std::process::Output {
    let name = example.file_name().and_then(|name| name.to_str()).expect("a name");
    let work = std::env::temp_dir().join(format!("tandem-examples-{}-{name}", std::process::id()));
    fs::create_dir_all(&work).expect("a working directory");
    let script = format!(
        "set -e
        mount --make-rprivate /
        mount -t sysfs none /sys
        mount -t tmpfs none {work}
        cp -a /etc {work}/etc
        mount --bind {work}/etc /etc
        mkdir -p {SCRIPTS}
        [ ! -d {example}/scripts ] || cp {example}/scripts/* {SCRIPTS}
        chown -R 0:0 /etc/tandem
        ip link add eth0 type veth peer name peer0
        ip link add eth1 type veth peer name peer1
        ip link set eth0 up; ip link set eth1 up
        cd {example}
        {command}",
        work = work.display(),
        example = example.display(),
    );
    let out = Command::new("unshare").args(["--net", "--mount", "sh", "-c", &script]).output();
    let _ = fs::remove_dir(&work);
    out.expect("unshare")
}

#[test]
fn keepalived_accepts_the_conf_files() {
    if !installed("keepalived") {
        return skip("keepalived is not installed");
    }
    if !am_root() {
        return skip("keepalived -t needs root for namespaces");
    }
    let mut refused = Vec::new();
    let ours = |example: &PathBuf| OURS.iter().any(|name| example.ends_with(name));
    for example in examples().into_iter().filter(|example| !ours(example)) {
        // keepalived says what it dislikes even when it accepts the file.
        let out = on_an_installed_machine(
            &example,
            "keepalived -t -l -f director-1.conf
             keepalived -t -l -f director-2.conf",
        );
        if !out.status.success() || !out.stderr.is_empty() {
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            refused.push(format!("{}: {}\n{said}", example.display(), out.status));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn tandem_check_finds_nothing_on_an_installed_machine() {
    if !am_root() {
        return skip("a machine of one's own needs root");
    }
    for example in examples() {
        // The settings that the examples' pages name are those of the file that is shipped for them.
        let check = format!(
            "sysctl --quiet --ignore --load={}
             {} check --strict director-?.conf director-?.yaml",
            root().join("deploy/sysctl.d/90-tandem.conf").display(),
            env!("CARGO_BIN_EXE_tandem"),
        );
        let out = on_an_installed_machine(&example, &check);
        let said = String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(0), "{}:\n{said}", example.display());
        assert_eq!(
            said.matches(": 0 errors, 0 warnings, 0 advice;").count(),
            4,
            "{}:\n{said}",
            example.display()
        );
    }
}

#[test]
fn shell_scripts_are_clean() {
    if !installed("shellcheck") {
        return skip("shellcheck is not installed");
    }
    let mut files =
        vec![root().join("deploy/real-server/tandem-real-server"), root().join("deploy/real-server/test.sh")];
    for example in examples() {
        if let Ok(entries) = fs::read_dir(example.join("scripts")) {
            files.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    let out = Command::new("shellcheck").args(&files).output().expect("shellcheck");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

/// The script that prepares DR and TUN real servers, in a namespace of its own.
#[test]
fn real_server_script() {
    if !am_root() {
        return skip("the real server script needs root");
    }
    let test = root().join("deploy/real-server/test.sh");
    let out = Command::new("unshare").arg("--net").arg("sh").arg(&test).output().expect("unshare");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    for line in said.lines().filter_map(|line| line.strip_prefix("SKIP ")) {
        skip(line);
    }
}
