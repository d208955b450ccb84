//! Adverts of a master that checks: five thousand connections a second, hanging pages, hanging scripts, and two busy loops.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::capture::{Capture, stamp};
use crate::lab::{Lab, host, ms, pause, s};
use crate::takeover::takeovers;
use crate::tools::{Who, contenders, jitter, longest, part, shown, single, start};

/// Processes that only burn, at the niceness of this one. They end with the value.
pub struct Busy(Vec<Child>);

impl Busy {
    pub fn start(count: usize) -> Self {
        // It looks now and then whether this process lives: an interrupted benchmark leaves nothing running.
        const LOOP: &str =
            "while kill -0 $PPID 2>/dev/null; do i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; done";
        let one = || Command::new("sh").args(["-c", LOOP]).stdin(Stdio::null()).spawn();
        Self((0..count).map(|_| one().expect("sh")).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The real servers: one port answers and counts, another never does.
struct Servers {
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
    _silent: TcpListener,
}

const ANSWERS: u16 = 8000;
const SILENT: u16 = 8001;

impl Servers {
    fn start(lab: &Lab) -> Self {
        let listen = |port: u16| {
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
            let any = std::net::SocketAddr::from(([0, 0, 0, 0], port));
            socket.bind(&any.into()).expect("a port");
            socket.listen(4096).expect("a listener");
            TcpListener::from(socket)
        };
        let (open, silent) = lab.inside("servers", || (listen(ANSWERS), listen(SILENT)));
        let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, until, space) = (Arc::clone(&answered), Arc::clone(&stop), lab.handle("servers"));
        let thread = thread::spawn(move || {
            setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
            for stream in open.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                drop(stream);
                if until.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        Self { answered, stop, thread: Some(thread), _silent: silent }
    }

    fn end(&mut self, lab: &Lab) {
        self.stop.store(true, Ordering::Relaxed);
        lab.inside("servers", || drop(TcpStream::connect(("127.0.0.1", ANSWERS))));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Fifty virtual servers of a hundred real servers that answer, eight of a hundred that hang.
fn checks() -> String {
    let mut text = String::new();
    for service in 0..58 {
        let hangs = service >= 50;
        text += &format!(
            "virtual_server 10.9.0.100 {} {{\n    delay_loop 1\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n",
            1000 + service
        );
        for server in 1..=100 {
            let port = if hangs { SILENT } else { ANSWERS };
            let check = if hangs {
                "HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_timeout 5\n }"
            } else {
                "TCP_CHECK {\n connect_timeout 5\n }"
            };
            text += &format!("    real_server 10.66.{service}.{server} {port} {{\n {check}\n }}\n");
        }
        text += "}\n";
    }
    text
}

fn scripts() -> (String, String) {
    let (mut defined, mut tracked) = (String::new(), "    track_script {\n".to_owned());
    for number in 0..40 {
        // A weight above 0 asks nothing of a script that never answers.
        defined += &format!(
            "vrrp_script hang_{number} {{\n    script \"/bin/sleep 100\"\n    interval 1\n    timeout 3\n    weight 1\n}}\n"
        );
        tracked += &format!("        hang_{number}\n");
    }
    (defined, tracked + "    }\n")
}

/// keepalived checks nothing where the kernel has no IPVS: its checker gives up at once, and starts again and again.
fn checks_run_in_keepalived() -> bool {
    std::path::Path::new("/proc/net/ip_vs").exists()
}

/// `PARTS=busy,scripts,checks`: what the load is made of, for the search of a cause.
fn part_of(name: &str) -> bool {
    std::env::var("PARTS").map_or(true, |parts| parts.split(',').any(|one| one == name))
}

/// Jitter's p99 and worst, longest gap, false takeovers, connections a second.
fn one(who: Who, advert: &str, interval: Duration, window: Duration) -> Option<[f64; 5]> {
    let servers =
        host("servers").nic("eth0", "lan", "10.9.0.250/24").ip("route add local 10.66.0.0/16 dev lo");
    let first = host("d1").nic("eth0", "lan", "10.9.0.1/24").ip("route add 10.66.0.0/16 via 10.9.0.250");
    let first =
        first.sysctl("net/ipv4/ip_local_port_range", "1024 65000").sysctl("net/ipv4/tcp_tw_reuse", "1");
    let second = host("d2").nic("eth0", "lan", "10.9.0.2/24");
    let lab = Lab::build("load", &["lan"], &[first, second, servers]);
    let capture = Capture::start(&lab);
    let mut servers = Servers::start(&lab);
    let (defined, tracked) = scripts();
    let mut master = single(150, 3, advert);
    master.lines = tracked;
    let begun = stamp();
    let mut text = who.globals("");
    if part_of("scripts") {
        text += &defined;
    } else {
        master.lines.clear();
    }
    text += &master.text();
    if part_of("checks") && (who != Who::Keepalived || checks_run_in_keepalived()) {
        text += &checks();
    }
    let first = start(&lab, "d1", who, &text);
    capture.first_advert("d1", begun, s(20))?;
    let second = start(&lab, "d2", who, &(who.globals("") + &single(100, 3, advert).text()));
    pause(s(3));
    let busy = Busy::start(if part_of("busy") { 2 } else { 0 });
    pause(ms(500));
    let (begun, before) = (stamp(), servers.answered.load(Ordering::Relaxed));
    pause(window);
    let checks = (servers.answered.load(Ordering::Relaxed) - before) as f64 / window.as_secs_f64();
    let adverts = capture.adverts("d1", begun);
    let false_ones = takeovers(&capture, begun);
    if std::env::var_os("LAB_KEEP").is_some() {
        println!("log: {}", first.log().display());
    }
    drop(busy);
    drop((first, second));
    servers.end(&lab);
    let jitter = jitter(&adverts, interval);
    Some([part(&jitter, 0.99), part(&jitter, 1.0), longest(&adverts), false_ones as f64, checks])
}

pub fn run(runs: usize, window: Duration) {
    println!(
        "\n### Load: 5,000 checks a second, 800 hanging HTTP checks, 40 hanging scripts, two busy loops, {} s\n",
        window.as_secs()
    );
    if !checks_run_in_keepalived() {
        println!(
            "This kernel has no ip_vs: keepalived runs no checks, and is loaded by scripts and loops alone.\n"
        );
    }
    println!("Median (worst) of the runs.\n");
    println!(
        "| adverts | program | jitter p99 ms | worst jitter ms | longest gap ms | false takeovers | checks a second |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (advert, interval) in [("0.1", ms(100)), ("0.01", ms(10))] {
        let all = [Who::Tandem, Who::TandemPlain, Who::Keepalived];
        let mut results: Vec<_> =
            contenders(&all).into_iter().map(|who| (who, vec![Vec::new(); 5])).collect();
        for _ in 0..runs {
            for (who, columns) in &mut results {
                match one(*who, advert, interval, window) {
                    Some(figures) => columns.iter_mut().zip(figures).for_each(|(c, figure)| c.push(figure)),
                    None => println!("{}: did not become master", who.name()),
                }
            }
        }
        for (who, columns) in results {
            let cells: Vec<String> =
                columns.iter().enumerate().map(|(at, c)| shown(c, if at < 3 { 2 } else { 0 })).collect();
            println!("| {advert} s | {} | {} |", who.name(), cells.join(" | "));
        }
    }
}
