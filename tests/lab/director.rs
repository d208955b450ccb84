//! The two directors' program: Tandem, or Debian's keepalived as the yardstick.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use super::process::Process;
use super::{Lab, patience};

/// Which program a director runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tandem,
    Keepalived,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tandem => "tandem",
            Self::Keepalived => "keepalived",
        })
    }
}

/// The program under test: Tandem, unless `LAB_DIRECTOR=keepalived`.
pub fn kind() -> Kind {
    match std::env::var("LAB_DIRECTOR").as_deref() {
        Ok("keepalived") => Kind::Keepalived,
        Ok("tandem") | Err(_) => Kind::Tandem,
        Ok(other) => panic!("LAB_DIRECTOR={other}: write tandem or keepalived"),
    }
}

/// The Tandem that is tested.
pub fn tandem() -> PathBuf {
    std::env::var_os("TANDEM_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tandem")), PathBuf::from)
}

/// True when only Tandem does what a test asks for and the yardstick runs; prints that the test is left out.
pub fn tandem_only(what: &str) -> bool {
    let other = kind() != Kind::Tandem;
    if other {
        println!("SKIPPED: {what}: keepalived is known to differ");
    }
    other
}

/// Puts files into a private `/etc` of the program: an overlay, or a copy where the kernel has none.
const PRIVATE_ETC: &str = r#"set -e
mount --make-rprivate /
cd "$1"; shift
mkdir -p room
mount -t tmpfs none room
mkdir room/upper room/work
mount -t overlay none -o lowerdir=/etc,upperdir=room/upper,workdir=room/work /etc 2>/dev/null || {
    cp -a /etc room/copy
    mount --bind room/copy /etc
}
cp -r etc/. /etc/
cd /
exec "$@""#;

/// Without the capability of real-time priority. On machines whose hypervisor holds one processor still for seconds (seen
/// on a build machine: up to 49 s, by the kernel's watchdog), the kernel moves common threads to another processor, but
/// real-time ones wait there: the scenes would measure the hypervisor.
pub const COMMON: [&str; 3] = ["setpriv", "--bounding-set=-sys_nice", "--"];

/// `LAB_REALTIME=1`: directors get real-time priority, as they would in earnest.
pub fn realtime() -> bool {
    std::env::var_os("LAB_REALTIME").is_some_and(|value| value == "1")
}

/// A director: a program in a host with its configuration file.
pub struct Director {
    pub process: Process,
    pub kind: Kind,
    pub host: String,
    config: PathBuf,
    etc: Vec<(String, String)>,
}

impl Director {
    /// Starts the program under test with this configuration text.
    pub fn start(lab: &Lab, host: &str, text: &str) -> Self {
        Self::start_as(lab, host, kind(), text)
    }

    /// Starts a certain program with this configuration text.
    pub fn start_as(lab: &Lab, host: &str, kind: Kind, text: &str) -> Self {
        let config = lab.file(&format!("{host}/director.conf"), text);
        Self::run(lab, host, kind, &config, &[])
    }

    /// Starts a program with a configuration file, perhaps with files in a private `/etc`:
    /// (path below /etc, text, executable). Their owner is root.
    pub fn run(lab: &Lab, host: &str, kind: Kind, config: &Path, etc: &[(&str, &str)]) -> Self {
        let room = lab.work().join(host);
        fs::create_dir_all(&room).expect("a directory");
        let path = |name: &str| room.join(name).display().to_string();
        let file = config.display().to_string();
        let mut argv: Vec<String> = Vec::new();
        if !etc.is_empty() {
            for (name, text) in etc {
                let path = lab.file(&format!("{host}/etc/{name}"), text);
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                fs::set_permissions(path, mode).expect("chmod");
            }
            let room = room.display().to_string();
            argv.extend(["unshare", "--mount", "sh", "-c", PRIVATE_ETC, "sh", &room].map(str::to_owned));
        }
        match kind {
            Kind::Tandem => {
                let program = tandem().display().to_string();
                argv.extend(COMMON.iter().filter(|_| !realtime()).map(|word| (*word).to_owned()));
                argv.extend([program, "run".into(), "--config".into(), file, "--pid".into(), path("pid")]);
                // Hosts of the lab share one file system.
                argv.extend(["--control".into(), path("control.sock"), "--state-dir".into(), path("state")]);
                argv.extend(["--run-dir".into(), path("run")]);
            }
            Kind::Keepalived => {
                // A killed one leaves them, and a new one believes them while the number lives again.
                for name in ["p", "r", "c", "b"] {
                    let _ = fs::remove_file(room.join(name));
                }
                argv.extend(["keepalived", "-n", "-l", "-D", "-f", &file].map(str::to_owned));
                for name in ["p", "r", "c", "b"] {
                    argv.extend([format!("-{name}"), path(name)]);
                }
            }
        }
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let notified = lab.work().join(format!("notify-{host}")).display().to_string();
        let fault = path("fault");
        let environment = [("TANDEM_NOTIFY_LOG", notified.as_str()), ("TANDEM_FAULT", fault.as_str())];
        let process = Process::start(lab, host, &format!("{kind} on {host}"), &argv, &environment);
        let etc = etc.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Self { process, kind, host: host.to_owned(), config: config.to_owned(), etc }
    }

    /// Starts the same program with the same file again, after this one has ended.
    pub fn again(&self, lab: &Lab) -> Self {
        let etc: Vec<_> = self.etc.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        if self.kind == Kind::Keepalived {
            // It takes the zombie of its killed child for a running daemon, for as long as nobody has reaped that.
            for name in ["p", "r", "c", "b"] {
                let _ = fs::remove_file(lab.work().join(&self.host).join(name));
            }
        }
        Self::run(lab, &self.host, self.kind, &self.config, &etc)
    }

    /// SIGKILL of everything: the program, its children, its scripts.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for the end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.process.stop(patience())
    }

    /// SIGTERM; does not wait.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Writes a new configuration and sends SIGHUP.
    pub fn reload(&self, text: &str) {
        fs::write(&self.config, text).expect("the configuration");
        self.process.signal(Signal::SIGHUP);
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// How long it has logged: a place for [`said_since`](Self::said_since).
    pub fn mark(&self) -> usize {
        self.said().len()
    }

    /// What it has logged since.
    pub fn said_since(&self, mark: usize) -> String {
        self.said().get(mark..).unwrap_or_default().to_owned()
    }
}
