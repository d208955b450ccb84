//! Hosts and LANs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::sched::{CloneFlags, setns};

static LABS: AtomicU32 = AtomicU32::new(0);

/// What a host shall be. Built by [`host`] and the methods, then given to [`Lab::build`].
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    nics: Vec<(String, String, String)>,
    sysctls: Vec<(String, String)>,
    lines: Vec<String>,
}

/// A host without any interface but `lo`.
pub fn host(name: &str) -> Host {
    Host { name: name.to_owned(), nics: Vec::new(), sysctls: Vec::new(), lines: Vec::new() }
}

impl Host {
    /// An interface on a LAN with an address (`10.9.0.1/24`).
    pub fn nic(mut self, interface: &str, lan: &str, address: &str) -> Self {
        self.nics.push((interface.to_owned(), lan.to_owned(), address.to_owned()));
        self
    }

    /// A kernel setting (`net/ipv4/ip_forward`), written before any address is there.
    pub fn sysctl(mut self, path: &str, value: &str) -> Self {
        self.sysctls.push((path.to_owned(), value.to_owned()));
        self
    }

    /// A line for `ip -batch` in this host, after its interfaces are up (`route add default via 10.9.0.254`).
    pub fn ip(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Prepares a real server of direct routing or tunnels: the virtual address on `lo`, silent about it on the LAN.
    pub fn real_server_of(self, vip: &str) -> Self {
        self.sysctl("net/ipv4/conf/all/arp_ignore", "1")
            .sysctl("net/ipv4/conf/all/arp_announce", "2")
            .ip(&format!("addr add {vip}/32 dev lo"))
    }
}

/// A lab. Everything in it ends with the value; logs are printed when that happens in a panic.
pub struct Lab {
    tag: String,
    work: PathBuf,
    spaces: BTreeMap<String, Arc<File>>,
    ports: BTreeMap<(String, String), String>,
    logs: Mutex<Vec<(String, PathBuf)>>,
}

fn batch(arguments: &[&str], lines: &str) {
    if lines.is_empty() {
        return;
    }
    let mut child = Command::new("ip")
        .args(arguments)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ip (package iproute2)");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("ip reads its batch");
    let out = child.wait_with_output().expect("ip ends");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ip {}: {said}\n{lines}", arguments.join(" "));
}

impl Lab {
    /// Builds hosts and LANs. Panics with the reason where that fails.
    pub fn build(name: &str, lans: &[&str], hosts: &[Host]) -> Self {
        super::need_root();
        let tag = format!("tdm{}-{}-{name}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let work = std::env::temp_dir().join("tandem-lab").join(&tag);
        fs::create_dir_all(&work).expect("a working directory");
        let mut lab =
            Self { tag, work, spaces: BTreeMap::new(), ports: BTreeMap::new(), logs: Mutex::new(Vec::new()) };
        lab.make(lans, hosts);
        lab
    }

    fn make(&mut self, lans: &[&str], hosts: &[Host]) {
        let names = || std::iter::once("net").chain(hosts.iter().map(|host| host.name.as_str()));
        let adds: String = names().map(|name| format!("netns add {}\n", self.space(name))).collect();
        batch(&[], &adds);
        for name in names() {
            let path = Path::new("/run/netns").join(self.space(name));
            let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            self.spaces.insert(name.to_owned(), Arc::new(file));
        }
        let mut wires = String::new();
        for lan in lans {
            // No learning delay and no snooping: a VRRP advert reaches every port from the first one on.
            wires += &format!("link add {lan} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n");
            wires += &format!("link set {lan} up\n");
        }
        for host in hosts {
            for (interface, lan, _) in &host.nics {
                let port = format!("p{}", self.ports.len());
                let space = self.space(&host.name);
                wires += &format!("link add {port} type veth peer name {interface} netns {space}\n");
                wires += &format!("link set {port} master {lan} up\n");
                self.ports.insert((host.name.clone(), interface.clone()), port);
            }
        }
        // IPv6 is switched off: its address detection sends packets that only disturb the pictures.
        self.set("net", "net/ipv6/conf/all/disable_ipv6", "1");
        batch(&["-n", &self.space("net")], &wires);
        for host in hosts {
            self.set(&host.name, "net/ipv6/conf/all/disable_ipv6", "1");
            for (path, value) in &host.sysctls {
                self.set(&host.name, path, value);
            }
            let mut lines = "link set lo up\n".to_owned();
            for (interface, _, address) in &host.nics {
                lines += &format!("addr add {address} dev {interface}\nlink set {interface} up\n");
            }
            lines.extend(host.lines.iter().map(|line| format!("{line}\n")));
            batch(&["-n", &self.space(&host.name)], &lines);
        }
    }

    /// Name of a host's network namespace.
    pub fn space(&self, host: &str) -> String {
        format!("{}-{host}", self.tag)
    }

    /// The namespace itself, for threads that stay in it.
    pub fn handle(&self, host: &str) -> Arc<File> {
        Arc::clone(self.spaces.get(host).unwrap_or_else(|| panic!("no host {host} in this lab")))
    }

    /// The lab's directory.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Writes a file into the lab's directory.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.work.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory");
        }
        fs::write(&path, text).expect("a file of the lab");
        path
    }

    /// A log file that is printed when the test fails.
    pub fn log(&self, title: &str) -> PathBuf {
        let mut logs = self.logs.lock().expect("logs");
        let path = self.work.join(format!("{}-{}.log", title.replace('/', "_"), logs.len()));
        logs.push((title.to_owned(), path.clone()));
        path
    }

    /// Runs `f` on a thread that is in the host's network namespace.
    pub fn inside<T: Send>(&self, host: &str, f: impl FnOnce() -> T + Send) -> T {
        let space = self.handle(host);
        thread::scope(|scope| {
            let entered = || {
                setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
                f()
            };
            scope.spawn(entered).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Writes a kernel setting of a host, where this kernel has it.
    pub fn set(&self, host: &str, path: &str, value: &str) {
        let path = Path::new("/proc/sys").join(path);
        self.inside(host, || {
            if path.exists() {
                fs::write(&path, value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        });
    }

    /// Runs `ip` in a host.
    pub fn ip(&self, host: &str, line: &str) {
        batch(&["-n", &self.space(host)], &format!("{line}\n"));
    }

    /// Runs a command in a host and returns what it printed. Panics when it fails.
    pub fn command(&self, host: &str, argv: &[&str]) -> String {
        let out = self.inside(host, || Command::new(argv[0]).args(&argv[1..]).stdin(Stdio::null()).output());
        let out = out.unwrap_or_else(|error| panic!("{}: {error}", argv[0]));
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{} in {host}: {} {said}", argv.join(" "), out.status);
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Pulls the cable of a host's interface, on the bridge's side: the host sees its carrier go.
    pub fn cut(&self, host: &str, interface: &str) {
        self.ip("net", &format!("link set {} down", self.port(host, interface)));
    }

    /// Takes the interface's port out of its bridge: nothing gets through, but the carrier stays.
    pub fn isolate(&self, host: &str, interface: &str) {
        self.ip("net", &format!("link set {} nomaster", self.port(host, interface)));
    }

    /// Plugs the cable in again.
    pub fn plug(&self, host: &str, interface: &str) {
        self.ip("net", &format!("link set {} up", self.port(host, interface)));
    }

    /// Puts the interface's port back into its bridge.
    pub fn rejoin(&self, host: &str, interface: &str, lan: &str) {
        self.ip("net", &format!("link set {} master {lan}", self.port(host, interface)));
    }

    fn port(&self, host: &str, interface: &str) -> &str {
        self.ports.get(&(host.to_owned(), interface.to_owned())).expect("an interface of this lab")
    }

    /// Every port of the bridges: (its name, host, interface).
    pub fn ports(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.ports.iter().map(|((host, nic), port)| (port.as_str(), host.as_str(), nic.as_str()))
    }

    fn print_logs(&self) {
        for (title, path) in self.logs.lock().expect("logs").iter() {
            let text = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let skip = text.lines().count().saturating_sub(150);
            println!("----- log of {title} ({skip} lines left out)");
            for line in text.lines().skip(skip) {
                println!("{line}");
            }
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            self.print_logs();
        }
        let dels: String =
            self.spaces.keys().map(|name| format!("netns del {}\n", self.space(name))).collect();
        // Force goes on after an error: whatever can be deleted shall be.
        let child = Command::new("ip").args(["-force", "-batch", "-"]).stdin(Stdio::piped()).spawn();
        if let Ok(mut child) = child {
            if let Some(mut pipe) = child.stdin.take() {
                let _ = pipe.write_all(dels.as_bytes());
            }
            let _ = child.wait();
        }
        if std::env::var_os("LAB_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.work);
        } else {
            println!("files are kept in {}", self.work.display());
        }
    }
}
