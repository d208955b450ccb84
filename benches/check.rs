//! What checks cost: a farm on the loopback, made by the benchmark itself, under the driver as the daemon runs it.
//! `make bench-check` prints processor time of the check thread for 10,000 checks, the rate that is really reached, the
//! memory, and how soon a failure of a tenth of all servers is in the table. The rows before say what the same checks cost
//! without any check: a loop that connects (and asks), and does nothing else. What is above that is Tandem's.
//!
//! keepalived stands beside it only where the kernel has `ip_vs`, without which it runs no check: the figures of both
//! in one place come from the machine of tests/lab/vm.sh.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unsafe_code,
    reason = "a benchmark is a driver: it reads clocks and sleeps"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tandem::check::driver::{self, Outputs};
use tandem::check::status;
use tandem::check::tracked;
use tandem::config::diagnostic::Level;
use tandem::config::rereader::Rereader;
use tandem::config::resolve::Facts;
use tandem::ipvs::table::Table;
use tokio::sync::{mpsc, watch};

/// Seconds of steady checks that are measured.
const WINDOW: u64 = 5;
/// Connections of the loop without checks.
const BARE: usize = 10_000;
/// Every tenth server listens on the second port.
const PORTS: [u16; 2] = [18_480, 18_481];

/// What the checks know now.
fn ask(asker: &status::Asker) -> Arc<status::Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(asker.ask()).unwrap()
}

fn main() {
    // A fresh limit of descriptors, as the daemon takes it.
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 200_000, 200_000);
    if !Path::new("/proc/net/ip_vs").exists() {
        println!("no ip_vs in this kernel: keepalived runs no check here, Tandem stands alone");
    }
    let only = std::env::var("ONLY").unwrap_or_default();
    if only.is_empty() {
        // Each in a process of its own: what one leaves behind is not the other's memory.
        for name in ["TCP_CHECK", "HTTP_GET"] {
            let own = std::env::current_exe().unwrap();
            assert!(std::process::Command::new(own).env("ONLY", name).status().unwrap().success());
        }
        return;
    }
    let count: usize = std::env::var("COUNT").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let listeners: Vec<Server> = PORTS.iter().map(|port| Server::start(*port)).collect();
    println!(
        "{:<10} {:>7} {:>10} {:>16} {:>10} {:>10} {:>12} {:>12} {:>12} {:>12}",
        "check",
        "servers",
        "checks/s",
        "CPU s per 10,000",
        "PSS MB",
        "under way",
        "half out ms",
        "all out ms",
        "half in ms",
        "all in ms"
    );
    for (name, asks) in [("TCP_CHECK", false), ("HTTP_GET", true)] {
        if name.contains(&only) {
            let port = listeners[0].port;
            let spent = std::thread::spawn(move || bare(port, asks)).join().unwrap();
            println!("{:<10} {:>7} {:>10} {spent:>16.3}", "bare loop", "-", "-");
        }
    }
    for (name, words) in
        [("TCP_CHECK", "TCP_CHECK {\nretry 0\n}"), ("HTTP_GET", "HTTP_GET {\nretry 0\nurl {\npath /\n}\n}")]
    {
        if name.contains(&only) {
            measure(name, words, count, &listeners);
        }
    }
}

/// Answers every request on its port, until it is told to refuse.
struct Server {
    port: u16,
    open: Arc<AtomicBool>,
}

impl Server {
    fn start(port: u16) -> Self {
        let open = Arc::new(AtomicBool::new(true));
        let wanted = Arc::clone(&open);
        // There before anybody asks.
        let mut first = Some(listen(port));
        std::thread::spawn(move || {
            loop {
                if !wanted.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let listener = first.take().unwrap_or_else(|| listen(port));
                while wanted.load(Ordering::Relaxed) {
                    match listener.accept() {
                        Ok((mut socket, _)) => {
                            // One thread serves all: what a TCP_CHECK connects is closed before anything is read, and a
                            // request is on its way, however long a busy machine takes for it.
                            let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
                            let mut buffer = [0; 1024];
                            if socket.read(&mut buffer).is_ok_and(|read| read > 0) {
                                let _ =
                                    socket.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
                            }
                        }
                        Err(_) => std::thread::sleep(Duration::from_micros(200)),
                    }
                }
            }
        });
        Self { port, open }
    }
}

fn listen(port: u16) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([0, 0, 0, 0], port)).into()).unwrap();
    socket.listen(8192).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

/// Virtual servers of a hundred real servers each.
fn file(count: usize, check: &str, listeners: &[Server]) -> String {
    let mut text = String::new();
    for n in 0..count {
        if n % 100 == 0 {
            let end = if n == 0 { "" } else { "}\n" };
            let _ = write!(
                text,
                "{end}virtual_server 192.0.{}.{} 80 {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\ndelay_loop 1\n",
                n / 100 / 250,
                n / 100 % 250 + 1
            );
        }
        let port = listeners[usize::from(n % 10 == 0)].port;
        let _ = writeln!(text, "real_server 127.1.{}.{} {port} {{\n{check}\n}}", n / 250, n % 250 + 1);
    }
    text.push_str("}\n");
    text
}

/// Nanoseconds that a thread has run.
fn ran(thread: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// What the daemon does when it has read its file, and when it has its first table.
fn give_back() {
    // SAFETY: it takes a number, and is safe to call from any thread.
    unsafe { libc::malloc_trim(0) };
}

fn pss() -> f64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// CPU seconds of 10,000 connections (with a request and its answer), one by one, at no more than 10,000 a second.
fn bare(port: u16, asks: bool) -> f64 {
    let before = own();
    for n in 0..BARE {
        let host = u8::try_from(n % 250 + 1).unwrap();
        let mut stream = TcpStream::connect(SocketAddr::from(([127, 1, 0, host], port))).unwrap();
        if asks {
            stream.write_all(b"GET / HTTP/1.0\r\nUser-Agent: bare\r\nHost: 127.1.0.1\r\n\r\n").unwrap();
            let mut buffer = [0; 1024];
            // A server that is too slow cuts: that, too, is a check that ended.
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        }
        drop(stream);
        if n % 20 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    (own() - before) as f64 / 1e9 / BARE as f64 * 10_000.0
}

/// Nanoseconds that this thread has run.
fn own() -> u64 {
    ran(nix::unistd::gettid().as_raw())
}

fn measure(name: &str, check: &str, count: usize, listeners: &[Server]) {
    let text = file(count, check, listeners);
    // As the daemon reads it, and keeps what it needs for the next reading.
    let mut rereader = Rereader::default();
    let loaded = rereader.load_text(Path::new("bench.conf"), text.as_bytes(), &Facts::default());
    drop(text);
    // What is not taken as it stands measures something else.
    let findings = loaded.diagnostics.iter().filter(|finding| finding.level != Level::Advice);
    for finding in findings.take(3) {
        println!("{finding}");
    }
    let (config, configs) = watch::channel(Arc::new(loaded.config));
    give_back();
    let (table_out, mut table) = watch::channel::<Arc<Table>>(Arc::default());
    let (asker, asked) = status::asker();
    let (events_out, mut events) = mpsc::channel(100_000);
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(nix::unistd::gettid().as_raw()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Nobody goes by its quorums.
        let (_, quorums) = tracked::channel();
        let out = Outputs { table: table_out, events: events_out, quorums, asked };
        runtime.block_on(driver::run(configs, 7, out));
    });
    let id = told.recv().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    give_back();
    std::thread::sleep(Duration::from_secs(2));

    // Before anybody asks: a status of all servers is as large as a part of the rest.
    let memory = pss();
    let under_way = ask(&asker).in_flight;
    let checks = || ask(&asker).checks;
    let (from, began, cpu) = (checks(), Instant::now(), ran(id));
    std::thread::sleep(Duration::from_secs(WINDOW));
    let done = checks() - from;
    let (spent, took) = (ran(id) - cpu, began.elapsed());

    let mut turn = |open: bool| {
        listeners[1].open.store(open, Ordering::Relaxed);
        let (began, all) = (Instant::now(), count / 10);
        let (mut half, mut whole) = (None, None);
        while whole.is_none() && began.elapsed() < Duration::from_secs(20) {
            let out = {
                let table = table.borrow_and_update();
                let there: usize = table.values().map(|service| service.destinations.len()).sum();
                count - there
            };
            let changed = if open { all.saturating_sub(out) } else { out };
            let now = began.elapsed();
            if changed >= all / 2 {
                half.get_or_insert(now);
            }
            if changed >= all {
                whole = Some(now);
            }
            while events.try_recv().is_ok() {}
            std::thread::sleep(Duration::from_millis(2));
        }
        let shown =
            |at: Option<Duration>| at.map_or_else(|| "never".to_owned(), |at| at.as_millis().to_string());
        (shown(half), shown(whole))
    };
    let (half_out, all_out) = turn(false);
    std::thread::sleep(Duration::from_secs(1));
    let (half_in, all_in) = turn(true);
    println!(
        "{name:<10} {count:>7} {:>10.0} {:>16.3} {memory:>10.1} {under_way:>10} {half_out:>12} {all_out:>12} {half_in:>12} {all_in:>12}",
        done as f64 / took.as_secs_f64(),
        spent as f64 / 1e9 / (done.max(1) as f64) * 10_000.0,
    );
    let failures = ask(&asker).failures.clone();
    println!("{:<10} failures by name, those of the turned-off tenth included: {failures:?}", "");
    drop(config);
    thread.join().unwrap();
}
