//! FRR's daemons in hosts: their files and sockets lie in a room of their own below the lab, so that several run side by
//! side. They are started by configuration files alone.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::process::Process;
use super::{Lab, patience, wait};

/// Where Debian's package has them.
const PROGRAMS: &str = "/usr/lib/frr";

/// True when this machine lacks one of these programs; then it prints that the test is left out.
pub fn absent(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|name| !Path::new(PROGRAMS).join(name).exists());
    if let Some(name) = missing {
        println!("SKIPPED: no {PROGRAMS}/{name}: run tests/lab/setup.sh (package frr)");
    }
    missing.is_some()
}

/// The directory of one host's daemons.
pub struct Room {
    path: PathBuf,
    host: String,
}

impl Room {
    /// Made for, and owned by, user frr, as which the daemons run.
    pub fn new(lab: &Lab, host: &str) -> Self {
        let user = nix::unistd::User::from_name("frr").expect("users").expect("user frr (package frr)");
        let path = lab.work().join(format!("{host}-frr"));
        fs::create_dir_all(&path).expect("a directory");
        chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("chown");
        Self { path, host: host.to_owned() }
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Starts zebra, from which the others learn of interfaces and addresses, and waits until it listens.
    pub fn zebra(&self, lab: &Lab) -> Process {
        // A killed one leaves its socket behind.
        let _ = fs::remove_file(self.path("zserv"));
        let zebra = self.daemon(lab, "zebra", "", &[]);
        wait("zebra's socket", patience(), || Path::new(&self.path("zserv")).exists());
        zebra
    }

    /// Starts a daemon with this configuration.
    pub fn daemon(&self, lab: &Lab, name: &str, conf: &str, more: &[&str]) -> Process {
        let file = self.path(&format!("{name}.conf"));
        fs::write(&file, conf).expect("a file");
        let (program, pid) = (format!("{PROGRAMS}/{name}"), self.path(&format!("{name}.pid")));
        let (zserv, sockets) = (self.path("zserv"), self.path.display().to_string());
        let mut argv = vec![program.as_str(), "-f", &file, "-i", &pid, "-z", &zserv];
        argv.extend(["--vty_socket", &sockets, "-A", "127.0.0.1", "-P", "0"]);
        argv.extend(more);
        Process::start(lab, &self.host, &format!("{name} on {}", self.host), &argv, &[])
    }
}

/// vrrpd in a host, with its zebra. Its addresses stay on its macvlan devices all the time: as a backup it takes those
/// devices down.
pub struct Vrrpd {
    room: Room,
    vrrpd: Process,
    zebra: Process,
    conf: String,
}

impl Vrrpd {
    /// Starts both. `instance`: the lines below `interface eth0`.
    pub fn start(lab: &Lab, host: &str, instance: &str) -> Self {
        let room = Room::new(lab, host);
        let log = lab.log(&format!("vrrpd-core-{host}"));
        // vrrpd writes it as its own user.
        fs::write(&log, "").expect("a log");
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&room.path).expect("a directory"));
        chown(&log, Some(owner), None).expect("chown");
        let conf = format!(
            "log timestamp precision 6\nlog file {} debugging\ndebug vrrp protocol\ninterface eth0\n{instance}\n",
            log.display()
        );
        Self::run(lab, room, conf)
    }

    fn run(lab: &Lab, room: Room, conf: String) -> Self {
        let zebra = room.zebra(lab);
        let vrrpd = room.daemon(lab, "vrrpd", &conf, &[]);
        Self { room, vrrpd, zebra, conf }
    }

    /// Starts both again after their end.
    pub fn again(&self, lab: &Lab) -> Self {
        Self::run(lab, Room::new(lab, &self.room.host), self.conf.clone())
    }

    /// SIGKILL of both: the macvlan devices stay as they are.
    pub fn kill(&mut self) {
        self.vrrpd.kill();
        self.zebra.kill();
    }

    /// SIGTERM of vrrpd, which then says priority 0.
    pub fn terminate(&self) {
        self.vrrpd.signal(Signal::SIGTERM);
    }

    /// True while vrrpd runs.
    pub fn lives(&self) -> bool {
        self.vrrpd.lives()
    }

    /// SIGTERM, and waits for the end of both.
    #[track_caller]
    pub fn stop(&mut self) {
        self.vrrpd.stop(patience());
        self.zebra.stop(patience());
    }
}
