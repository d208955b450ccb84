//! FRR's bfdd, with the zebra that it learns addresses from.

use std::fs;
use std::os::unix::fs::chown;

use super::*;

/// bfdd in a host. Its log tells every change.
pub(crate) struct Frr {
    bfdd: process::Process,
    _zebra: process::Process,
    log: std::path::PathBuf,
}

impl Frr {
    /// Starts both with these lines below `bfd`.
    pub(crate) fn start(lab: &Lab, host: &str, peers: &str) -> Self {
        for path in ["/usr/lib/frr/zebra", "/usr/lib/frr/bfdd"] {
            assert!(std::path::Path::new(path).exists(), "no {path}: run tests/lab/setup.sh (package frr)");
        }
        // The daemons run as user frr, and the way to their files has to be open to it.
        let user = nix::unistd::User::from_name("frr").expect("users").expect("user frr (package frr)");
        let room = lab.work().join(format!("{host}-frr"));
        fs::create_dir_all(&room).expect("a directory");
        chown(&room, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("chown");
        let path = |name: &str| room.join(name).display().to_string();
        let log = room.join("bfdd.log");
        let text = format!("log file {} debugging\ndebug bfd peer\nbfd\n{peers}\n", log.display());
        fs::write(room.join("bfdd.conf"), text).expect("a file");
        fs::write(room.join("zebra.conf"), "").expect("a file");
        let start = |name: &str, more: &[&str]| {
            let program = format!("/usr/lib/frr/{name}");
            let (conf, pid, zserv) =
                (path(&format!("{name}.conf")), path(&format!("{name}.pid")), path("zserv"));
            let sockets = room.display().to_string();
            let mut argv = vec![program.as_str(), "-f", &conf, "-i", &pid, "-z", &zserv];
            argv.extend(["--vty_socket", &sockets, "-A", "127.0.0.1", "-P", "0"]);
            argv.extend(more);
            process::Process::start(lab, host, &format!("{name} on {host}"), &argv, &[])
        };
        let zebra = start("zebra", &[]);
        wait("zebra's socket", patience(), || room.join("zserv").exists());
        let bfdd = start("bfdd", &["--bfdctl", &path("ctl")]);
        Self { bfdd, _zebra: zebra, log }
    }

    /// How long its log is.
    pub(crate) fn mark(&self) -> usize {
        self.said().len()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until the session with this peer changes to `state`; the time when that was seen.
    #[track_caller]
    pub(crate) fn wait_state(&self, mark: usize, peer: &str, state: &str) -> Instant {
        let ending = format!("-> {state}");
        let change = |line: &&str| line.contains(&format!("peer:{peer} ")) && line.contains(&ending);
        wait(&format!("bfdd: {peer} {state}"), patience(), || {
            self.said().get(mark..).unwrap_or_default().lines().any(|line| change(&line))
        });
        now()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.bfdd.kill();
    }
}
