//! Connections outlive reloads and a crash of the daemon: a slow download, byte by byte as it was sent, and a
//! persistent client that keeps its real server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::sched::{CloneFlags, setns};

use super::*;

/// Bytes of the download from one place on: each depends on where it stands.
fn byte(at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// What the real servers know of downloads.
#[derive(Default)]
struct Sent {
    end: AtomicBool,
    bytes: AtomicU64,
    by: Mutex<Vec<&'static str>>,
}

/// A real server in process: to the line `name` it says its name, to `load` it sends until it is told to end.
fn serve(lab: &Lab, name: &'static str, sent: &Arc<Sent>) {
    let (space, sent) = (lab.handle(name), Arc::clone(sent));
    let (ready, started) = std::sync::mpsc::channel();
    thread::spawn(move || {
        setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
        let listener = TcpListener::bind("0.0.0.0:8080").expect("port 8080");
        ready.send(()).expect("the test waits");
        for stream in listener.incoming().flatten() {
            let sent = Arc::clone(&sent);
            thread::spawn(move || answer(stream, name, &sent));
        }
    });
    started.recv().expect("a listener");
}

fn answer(mut stream: TcpStream, name: &'static str, sent: &Sent) {
    let mut line = String::new();
    let _ = BufReader::new(&stream).read_line(&mut line);
    match line.trim() {
        "name" => _ = stream.write_all(name.as_bytes()),
        "load" => {
            sent.by.lock().expect("names").push(name);
            let mut at = 0;
            while !sent.end.load(Ordering::Relaxed) {
                let part: Vec<u8> = (at..at + 1024).map(byte).collect();
                if stream.write_all(&part).is_err() {
                    return;
                }
                at += 1024;
                sent.bytes.store(at, Ordering::Relaxed);
                pause(ms(50));
            }
        }
        _ => {}
    }
}

/// Who answers a new connection of the client.
fn who(lab: &Lab, target: &str) -> Option<String> {
    let target: SocketAddr = target.parse().expect("ADDRESS:PORT");
    lab.inside("client", || {
        let mut stream = TcpStream::connect_timeout(&target, s(2) * slow()).ok()?;
        stream.set_read_timeout(Some(s(2) * slow())).ok()?;
        stream.write_all(b"name\n").ok()?;
        let mut name = String::new();
        stream.read_to_string(&mut name).ok()?;
        (!name.is_empty()).then_some(name)
    })
}

/// A download of the client: how much of it has come, and at its end whether every byte was right.
struct Download {
    received: Arc<AtomicU64>,
    thread: JoinHandle<Result<u64, String>>,
}

impl Download {
    fn start(lab: &Lab, target: &str) -> Self {
        let target: SocketAddr = target.parse().expect("ADDRESS:PORT");
        let received = Arc::new(AtomicU64::new(0));
        let (space, count) = (lab.handle("client"), Arc::clone(&received));
        let thread = thread::spawn(move || {
            setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
            let mut stream = TcpStream::connect(target).map_err(|error| error.to_string())?;
            stream.set_read_timeout(Some(s(60))).map_err(|error| error.to_string())?;
            stream.write_all(b"load\n").map_err(|error| error.to_string())?;
            let mut buffer = [0; 4096];
            loop {
                let at = count.load(Ordering::Relaxed);
                match stream.read(&mut buffer).map_err(|error| format!("after {at} bytes: {error}"))? {
                    0 => return Ok(at),
                    length => {
                        if (at..).zip(&buffer[..length]).any(|(at, got)| byte(at) != *got) {
                            return Err(format!("another byte than was sent, after {at} bytes"));
                        }
                        count.store(at + length as u64, Ordering::Relaxed);
                    }
                }
            }
        });
        Self { received, thread }
    }

    /// Waits until more of it has come than now.
    #[track_caller]
    fn goes_on(&self, when: &str) {
        let before = self.received.load(Ordering::Relaxed);
        wait(&format!("the download goes on {when}"), s(20) * slow(), || {
            assert!(!self.thread.is_finished(), "the download ended {when}");
            self.received.load(Ordering::Relaxed) > before + 8 * 1024
        });
    }
}

fn conf(weights: [u32; 2], more: &str) -> String {
    let service = |port: u16, extra: &str| {
        let real = |n: usize| {
            format!(
                "    real_server 192.168.7.1{} 8080 {{\n        weight {}\n        {TCP}\n    }}\n",
                n + 1,
                weights[n]
            )
        };
        format!(
            "virtual_server {VIP} {port} {{
    delay_loop 2
    lb_algo rr
    lb_kind NAT
    protocol TCP
    {extra}
{}{}}}\n",
            real(0),
            real(1)
        )
    };
    service(80, "") + &service(81, "persistence_timeout 300") + more
}

/// Without VRRP: the addresses are the host's own, so that a stop of the daemon leaves them.
#[test]
fn connections_outlive_reloads_and_a_crash() {
    need_ipvs();
    let mut hosts = vec![
        host("client").nic("eth0", "front", "10.0.0.200/24"),
        host("d1")
            .nic("eth0", "front", "10.0.0.1/24")
            .nic("eth1", "back", "192.168.7.254/24")
            .ip(&format!("addr add {VIP}/32 dev eth0"))
            .sysctl("net/ipv4/ip_forward", "1"),
    ];
    for n in 1..=2 {
        let server = host(&format!("rs{n}")).nic("eth0", "back", &format!("192.168.7.1{n}/24"));
        hosts.push(server.ip("route add default via 192.168.7.254"));
    }
    let lab = Lab::build("survive", &["front", "back"], &hosts);
    let sent = Arc::new(Sent::default());
    serve(&lab, "rs1", &sent);
    serve(&lab, "rs2", &sent);
    let mut d1 = Director::start(&lab, "d1", &conf([1, 1], ""));
    let both = ["192.168.7.11:8080", "192.168.7.12:8080"];
    let table = TableWatch::start(&lab, "d1");
    let whole =
        |table: &Table| ["TCP 10.0.0.100:80", "TCP 10.0.0.100:81"].iter().all(|name| table.is(name, &both));
    table.wait("both services", patience(), whole);

    let began = now();
    let download = Download::start(&lab, "10.0.0.100:80");
    download.goes_on("at start");
    let mine = who(&lab, "10.0.0.100:81").expect("an answer");
    let check = |when: &str| {
        download.goes_on(when);
        for _ in 0..3 {
            assert_eq!(who(&lab, "10.0.0.100:81").as_ref(), Some(&mine), "persistence {when}");
        }
    };
    check("before anything happened");

    // Other servers come and go.
    let other = conf([1, 1], "").replace("10.0.0.100", "10.0.0.101");
    d1.reload(&conf([1, 1], &other));
    table.wait("the other service", patience(), |table| table.is("TCP 10.0.0.101:80", &both));
    check("after a reload that adds services");
    d1.reload(&conf([5, 7], ""));
    let weighed = |table: &Table| {
        let weights: Vec<i32> = table.of("TCP 10.0.0.100:80").iter().map(|(.., weight)| *weight).collect();
        weights == [5, 7] && table.of("TCP 10.0.0.101:80").is_empty()
    };
    table.wait("the other weights", patience(), weighed);
    check("after a reload that changes its server's weight");

    // A crash: the table stays, and is taken over without a touch.
    let mark = now();
    d1.kill();
    check("while no daemon runs");
    let mut d1 = d1.again(&lab);
    wait("the new daemon says so", patience(), || d1.said().contains("virtual servers"));
    pause(s(2) * slow());
    check("after the crash and the start behind it");
    if d1.kind == Kind::Tandem {
        let changes: Vec<_> = table.all().into_iter().filter(|(at, _)| *at > mark).collect();
        assert!(changes.is_empty(), "the table was touched: {changes:#?}");
    }

    // A long one.
    pause(s(20).saturating_sub(began.elapsed()));
    check("to its end");
    sent.end.store(true, Ordering::Relaxed);
    let received = download.thread.join().expect("the client").expect("every byte as it was sent");
    assert_eq!(received, sent.bytes.load(Ordering::Relaxed));
    assert_eq!(sent.by.lock().expect("names").len(), 1, "one connection to one server");

    // An orderly stop takes the services away, as keepalived does. What is open then may end: without any service the
    // kernel takes IPVS out of the packets' way, and the director itself refuses them. The start serves again.
    assert!(d1.stop().success());
    table.wait("nothing is left", patience(), |table| table.0.is_empty());
    let stopped = now();
    let _d1 = d1.again(&lab);
    table.wait("both services again", patience(), whole);
    wait("answers after stop and start", patience(), || who(&lab, "10.0.0.100:80").is_some());
    println!("MEASURED survival_gap_of_stop_and_start_ms={}", stopped.elapsed().as_millis());
}
