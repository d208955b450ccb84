//! What `GET /v1/status` costs with thousands of real servers: how soon the answer is there, and what it does to adverts.
//! In a network namespace of its own; needs root. It prints tables and judges nothing. `COUNT=n` real servers (10000),
//! `WINDOW=seconds` that adverts are watched for, unpolled and polled each second (20), `TANDEM_BIN=PATH` another program.
//!
//! The answer's time is from the request's first byte to the answer's last, at the client. The kernel's counts are in it where
//! this kernel has `ip_vs`; the line says whether.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    unreachable_pub,
    missing_docs,
    reason = "a benchmark is a driver"
)]

#[path = "../tests/run_status/adverts.rs"]
mod adverts;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

struct Daemon(Child, PathBuf);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_dir_all(&self.1);
    }
}

fn conf(count: u64) -> String {
    let mut conf = "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.1\n priority \
                    150\n virtual_ipaddress { 10.0.0.100/24 }\n}\n"
        .to_owned();
    // A hundred to a virtual server; nothing listens there, which is known at once.
    for n in 0..count {
        let (server, real) = (n / 100, n % 100);
        if real == 0 {
            let (high, low) = (server / 250, server % 250 + 1);
            write!(
                conf,
                "virtual_server 10.1.{high}.{low} 80 {{\n protocol TCP\n lb_kind NAT\n delay_loop 60\n"
            )
            .unwrap();
        }
        let (high, low) = (n / 250 % 250 + 1, n % 250 + 1);
        write!(
            conf,
            " real_server 127.{}.{high}.{low} 80 {{\n  TCP_CHECK {{ connect_timeout 1 }}\n }}\n",
            n / 62_500 + 1
        )
        .unwrap();
        if real == 99 || n + 1 == count {
            conf += "}\n";
        }
    }
    conf
}

/// How long the answer took, and its text.
fn ask(socket: &Path, target: &str) -> (Duration, String) {
    let begun = Instant::now();
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{}", answer.lines().next().unwrap_or_default());
    (begun.elapsed(), answer)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn row(what: &str, mut times: Vec<Duration>, bytes: usize) {
    times.sort();
    let at = |part: usize| ms(times[(times.len() - 1) * part / 100]);
    println!(
        "{what:<42} {:>8.1} {:>8.1} {:>8.1}   {:>8} KB   ({} answers)",
        at(0),
        at(50),
        at(100),
        bytes / 1024,
        times.len()
    );
}

fn main() {
    assert!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    let (count, window) = (number("COUNT", 10_000), Duration::from_secs(number("WINDOW", 20).clamp(2, 600)));
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    for words in [
        "link set lo up",
        "link add eth0 type veth peer name peer",
        "link set peer up",
        "address add 10.0.0.1/24 dev eth0",
        "link set eth0 up",
    ] {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "ip {words}");
    }
    let place = std::env::temp_dir().join(format!("tandem-bench-status-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("t.conf"), conf(count)).unwrap();
    let program = std::env::var("TANDEM_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tandem").to_owned());
    let child = Command::new(&program)
        .args(["run", "--no-supervisor", "--run-dir", "run", "--config", "t.conf", "--control", "run/c.sock"])
        .args(["--state-dir", "state"])
        .current_dir(&place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(place.join("log")).unwrap())
        .spawn()
        .unwrap();
    let socket = place.join("run/c.sock");
    let _daemon = Daemon(child, place);
    let begun = Instant::now();
    let down = || {
        UnixStream::connect(&socket).is_ok()
            && ask(&socket, "/v1/status").1.matches("\"up\":false").count() >= usize::try_from(count).unwrap()
    };
    while !down() {
        assert!(begun.elapsed() < Duration::from_secs(120), "the checks have no results");
        std::thread::sleep(Duration::from_millis(500));
    }
    let (_, text) = ask(&socket, "/v1/status");
    let counted = if text.contains("\"traffic\":{") { "with" } else { "without (no ip_vs here)" };
    println!(
        "{program}: {count} real servers, {} virtual servers, {counted} the kernel's counts",
        count.div_ceil(100)
    );
    println!("{:<42} {:>8} {:>8} {:>8}", "ms", "least", "median", "most");
    for target in
        ["/v1/status", "/v1/status?part=virtual_servers", "/v1/status?part=instances", "/v1/real-servers"]
    {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..10 {
            // Not one answer for two.
            std::thread::sleep(Duration::from_millis(700));
            let (took, text) = ask(&socket, target);
            times.push(took);
            bytes = text.len();
        }
        row(target, times, bytes);
    }
    let watch = adverts::Watch::start(51);
    std::thread::sleep(window);
    println!("\nadverts of 0.1 s, {} s each\n  nobody asks:        {}", window.as_secs(), watch.gaps());
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < window {
        times.push(ask(&socket, "/v1/status").0);
        std::thread::sleep(Duration::from_secs(1).saturating_sub(times[times.len() - 1]));
    }
    println!("  asked each second:  {}", watch.gaps());
    row("  (those answers)", times, text.len());
}
