//! A small lab for the shipped examples: hosts are network namespaces, LANs are bridges in one more namespace.
//! Directors run with a private `/etc` that holds the example's scripts, as an installed machine would have them.
//!
//! `TANDEM_TEST_DIRECTOR=keepalived` runs the examples with keepalived as the directors: it shows that a failure is not
//! the example's or the lab's.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this module")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// One lab; everything in it ends with the value.
pub struct Lab {
    tag: String,
    work: PathBuf,
    hosts: Vec<String>,
    ports: u32,
}

/// A program that runs in a host. Ended hard when dropped.
pub struct Process {
    child: Child,
}

/// Why nothing can be tried here, printed; the caller returns.
pub fn skip(why: &str) {
    println!("SKIPPED: {why}");
}

/// The place of an example.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples").join(name)
}

/// Polls until `done`; panics with `what` when that takes longer than `limit`. Returns how long it took.
pub fn wait(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let start = now();
    while !done() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        pause();
    }
    let took = start.elapsed();
    println!("{took:>8.1?}  {what}");
    took
}

/// Watches for this long that `holds` stays true; panics with `what` otherwise.
pub fn steady(what: &str, long: Duration, mut holds: impl FnMut() -> bool) {
    let start = now();
    while start.elapsed() < long {
        assert!(holds(), "after {:?} no longer: {what}", start.elapsed());
        pause();
    }
    println!("{long:>8.1?}  stays: {what}");
}

/// Long enough for every election and every check of the examples, in an emulated machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[allow(clippy::disallowed_methods, reason = "a lab test is a driver")]
fn now() -> Instant {
    Instant::now()
}

/// Between two looks.
#[allow(clippy::disallowed_methods, reason = "what the lab looks at raises no event")]
fn pause() {
    thread::sleep(Duration::from_millis(50));
}

fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {}: {} {said}", args.join(" "), out.status);
}

impl Lab {
    /// An empty lab, or `None` (with the reason printed) where this machine cannot hold one.
    pub fn new(name: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            skip("a lab needs root");
            return None;
        }
        let tag = format!("tex{}{name}", std::process::id());
        let work = std::env::temp_dir().join(&tag);
        fs::create_dir_all(&work).expect("a working directory");
        let mut lab = Self { tag, work, hosts: Vec::new(), ports: 0 };
        lab.host("net");
        Some(lab)
    }

    /// Namespace of a host.
    fn space(&self, host: &str) -> String {
        format!("{}-{host}", self.tag)
    }

    /// A new host, with `lo` up.
    pub fn host(&mut self, host: &str) {
        let space = self.space(host);
        run("ip", &["netns", "add", &space]);
        self.hosts.push(host.to_owned());
        run("ip", &["-n", &space, "link", "set", "lo", "up"]);
    }

    /// A new LAN.
    pub fn lan(&self, lan: &str) {
        let net = self.space("net");
        let bridge = ["type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0"];
        run("ip", &[&["-n", &net, "link", "add", lan][..], &bridge].concat());
        run("ip", &["-n", &net, "link", "set", lan, "up"]);
    }

    /// Joins `interface` of a host to a LAN, with an address (`10.0.0.1/24`).
    pub fn plug(&mut self, host: &str, interface: &str, lan: &str, address: &str) {
        let (net, space) = (self.space("net"), self.space(host));
        self.ports += 1;
        let port = format!("port{}", self.ports);
        run(
            "ip",
            &["-n", &net, "link", "add", &port, "type", "veth", "peer", "name", interface, "netns", &space],
        );
        run("ip", &["-n", &net, "link", "set", &port, "master", lan, "up"]);
        run("ip", &["-n", &space, "addr", "add", address, "dev", interface]);
        run("ip", &["-n", &space, "link", "set", interface, "up"]);
    }

    /// A host on one LAN by eth0.
    pub fn host_on(&mut self, host: &str, lan: &str, address: &str) {
        self.host(host);
        self.plug(host, "eth0", lan, address);
    }

    /// `ip …` in a host.
    pub fn ip(&self, host: &str, words: &str) {
        let space = self.space(host);
        let mut args = vec!["-n", space.as_str()];
        args.extend(words.split_whitespace());
        run("ip", &args);
    }

    /// Runs a command in a host to its end; its output.
    pub fn command(&self, host: &str, words: &[&str]) -> String {
        let out = Command::new("ip")
            .args(["netns", "exec", &self.space(host)])
            .args(words)
            .output()
            .expect("ip netns");
        assert!(out.status.success(), "{words:?} in {host}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Sets a sysctl below /proc/sys, `net/ipv4/ip_forward`.
    pub fn sysctl(&self, host: &str, name: &str, value: &str) {
        self.inside(host, || fs::write(Path::new("/proc/sys").join(name), value))
            .unwrap_or_else(|e| panic!("{name} in {host}: {e}"));
    }

    /// Calls `f` on a thread that is in the host's network namespace.
    fn inside<T: Send>(&self, host: &str, f: impl FnOnce() -> T + Send) -> T {
        let space = File::open(Path::new("/run/netns").join(self.space(host))).expect("the namespace");
        thread::scope(|scope| {
            let entered = move || {
                setns(&space, CloneFlags::CLONE_NEWNET).expect("setns");
                f()
            };
            scope.spawn(entered).join().expect("the thread")
        })
    }

    /// True when the host has this address as a local one.
    pub fn has(&self, host: &str, address: &str) -> bool {
        let table = self
            .inside(host, || fs::read_to_string("/proc/thread-self/net/fib_trie"))
            .expect("the host's addresses");
        let leaf = format!("|-- {address}");
        let mut lines = table.lines().map(str::trim).peekable();
        while let Some(line) = lines.next() {
            if line == leaf && lines.peek().is_some_and(|next| next.contains("host LOCAL")) {
                return true;
            }
        }
        false
    }

    /// Asks for `/` by HTTP from a host, perhaps from one of its addresses; the page's last line.
    pub fn get(&self, host: &str, source: Option<&str>, target: &str) -> Option<String> {
        let target: SocketAddr = target.parse().expect("ADDRESS:PORT");
        let source: Option<IpAddr> = source.map(|s| s.parse().expect("an address"));
        self.inside(host, || ask(source, target).ok())
    }

    /// Starts a program in a host.
    pub fn spawn(&self, host: &str, argv: &[&str]) -> Process {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.work.join(format!("{host}.log")))
            .expect("a log");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(host)]).args(argv);
        command.env("TANDEM_NOTIFY_LOG", self.notified(host)).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log).process_group(0);
        Process { child: command.spawn().expect("ip netns exec") }
    }

    /// nginx in a host; `/` answers with the host's name, `/health` with 200.
    pub fn nginx(&self, host: &str, port: u16) -> Process {
        let dir = self.work.join(format!("nginx-{host}"));
        fs::create_dir_all(&dir).expect("a directory");
        let d = dir.display();
        let text = format!(
            "daemon off; master_process off; pid {d}/pid; error_log stderr;
            events {{ worker_connections 64; }}
            http {{
                access_log off;
                client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f;
                uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
                server {{ listen {port}; location / {{ return 200 \"{host}\\n\"; }} }}
            }}"
        );
        fs::write(dir.join("nginx.conf"), text).expect("nginx.conf");
        let conf = format!("{d}/nginx.conf");
        let process = self.spawn(host, &["nginx", "-e", "stderr", "-c", &conf]);
        let target = format!("127.0.0.1:{port}");
        wait(&format!("nginx in {host}"), PATIENCE, || {
            self.get(host, None, &target).as_deref() == Some(host)
        });
        process
    }

    /// A director: number 1 with the example's `.conf`, number 2 with its `.yaml` (keepalived: `.conf` both). `systemctl` is a
    /// stub that only leaves a mark: see `restarts`.
    pub fn director(&self, host: &str, example: &Path, number: u32) -> Process {
        let keepalived = directors_are_keepalived();
        let extension = if number == 2 && !keepalived { "yaml" } else { "conf" };
        let config = example.join(format!("director-{number}.{extension}"));
        let mine = self.work.join(format!("director-{host}"));
        fs::create_dir_all(&mine).expect("a directory");
        let stub =
            format!("#!/bin/sh\necho \"$*\" >>{}\n", self.work.join(format!("restarts-{host}")).display());
        fs::write(mine.join("systemctl"), stub).expect("the stub");
        // The copy of /etc is an overlay, or a real copy where the kernel has none.
        let prepare = format!(
            "set -e
            mount --make-rprivate /
            cd {mine}
            mkdir -p etc
            mount -t tmpfs none etc
            mkdir etc/upper etc/work
            mount -t overlay none -o lowerdir=/etc,upperdir=etc/upper,workdir=etc/work /etc 2>/dev/null || {{
                cp -a /etc etc/copy
                mount --bind etc/copy /etc
            }}
            mkdir -p /etc/tandem/scripts
            cp {example}/scripts/* /etc/tandem/scripts/ 2>/dev/null || true
            chown -R 0:0 /etc/tandem
            chmod 755 systemctl
            [ ! -e /usr/bin/systemctl ] || mount --bind systemctl /usr/bin/systemctl
            cd /
            exec \"$@\"",
            mine = mine.display(),
            example = example.display(),
        );
        let config = config.display().to_string();
        let pids: Vec<String> = ["p", "r", "c"].iter().map(|n| mine.join(n).display().to_string()).collect();
        for pid in &pids {
            // A killed keepalived leaves them; a number that was given out again would stop the next start.
            let _ = fs::remove_file(pid);
        }
        let mut argv = vec!["unshare", "--mount", "sh", "-c", &prepare, "sh"];
        if keepalived {
            argv.extend([
                "keepalived",
                "-n",
                "-l",
                "-D",
                "-f",
                &config,
                "-p",
                &pids[0],
                "-r",
                &pids[1],
                "-c",
                &pids[2],
            ]);
        } else {
            // As in lab/director.rs: a processor that is held still must not hold the director.
            argv.extend(["setpriv", "--bounding-set=-sys_nice", "--"]);
            argv.extend([env!("CARGO_BIN_EXE_tandem"), "run", "--config", &config]);
        }
        self.spawn(host, &argv)
    }

    /// How often a script in this host asked systemctl for something.
    pub fn restarts(&self, host: &str) -> usize {
        fs::read_to_string(self.work.join(format!("restarts-{host}"))).map_or(0, |text| text.lines().count())
    }

    /// Where a host keeps what must not be shared with the others.
    pub fn state(&self, host: &str) -> PathBuf {
        self.work.join(format!("state-{host}"))
    }

    fn notified(&self, host: &str) -> PathBuf {
        self.work.join(format!("notify-{host}.log"))
    }

    /// What `notify.sh` wrote, without time and host name.
    pub fn notices(&self, host: &str) -> Vec<String> {
        let text = fs::read_to_string(self.notified(host)).unwrap_or_default();
        text.lines().filter_map(|line| line.splitn(3, ' ').nth(2)).map(str::to_owned).collect()
    }

    /// The host's IPVS table as `ipvsadm -Ln` prints it, destinations only: `(ADDRESS:PORT, method, weight)`.
    pub fn destinations(&self, host: &str, service: &str) -> Vec<(String, String, u32)> {
        let mut found = Vec::new();
        let mut within = false;
        for line in self.command(host, &["ipvsadm", "-Ln"]).lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["TCP" | "UDP", address, ..] => within = *address == service,
                ["->", address, method, weight, ..] if within => {
                    if let Ok(weight) = weight.parse() {
                        found.push(((*address).to_owned(), (*method).to_owned(), weight));
                    }
                }
                _ => {}
            }
        }
        found.sort();
        found
    }
}

/// True when the examples shall be tried with keepalived.
pub fn directors_are_keepalived() -> bool {
    std::env::var("TANDEM_TEST_DIRECTOR").is_ok_and(|value| value == "keepalived")
}

fn ask(source: Option<IpAddr>, target: SocketAddr) -> std::io::Result<String> {
    let limit = Duration::from_secs(2);
    let socket = socket2::Socket::new(socket2::Domain::for_address(target), socket2::Type::STREAM, None)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&target.into(), limit)?;
    let mut stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(limit))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {target}\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page.lines().last().unwrap_or_default().to_owned())
}

impl Process {
    /// Sends a signal to the program and all that it started in its process group.
    fn signal_group(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }

    /// SIGKILL, as a crash.
    pub fn kill(mut self) {
        self.signal_group(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// SIGTERM to the program alone, and its exit code once it has ended.
    pub fn stop(mut self) -> Option<i32> {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        self.child.wait().ok().and_then(|status| status.code())
    }

    /// The exit code once it has ended by itself: `Some(None)` for a signal.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.child.try_wait().ok().flatten().map(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal_group(Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            for host in &self.hosts {
                for log in [format!("{host}.log"), format!("notify-{host}.log")] {
                    if let Ok(text) = fs::read_to_string(self.work.join(&log)) {
                        println!("---- {log}\n{text}");
                    }
                }
            }
        }
        for host in &self.hosts {
            let _ = Command::new("ip").args(["netns", "del", &self.space(host)]).output();
        }
        let _ = fs::remove_dir_all(&self.work);
    }
}
