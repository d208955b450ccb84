//! One address, a client that pings each millisecond, the master killed and its cable taken; then a soak at the shortest
//! interval beside two busy loops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, Socket, Type};

use crate::capture::{Capture, What, stamp};
use crate::lab::process::Process;
use crate::lab::{Lab, down_interval, host, ms, now, pause, s};
use crate::load::Busy;
use crate::tools::{Who, contenders, jitter, longest, millis, nanos, part, shown, single, start};

pub fn pair(name: &str) -> Lab {
    let hosts = [
        host("d1").nic("eth0", "lan", "10.9.0.1/24"),
        host("d2").nic("eth0", "lan", "10.9.0.2/24"),
        host("client").nic("eth0", "lan", "10.9.0.200/24"),
    ];
    Lab::build(name, &["lan"], &hosts)
}

/// Both directors, the first one master.
pub fn started(lab: &Lab, capture: &Capture, who: Who, version: u8, advert: &str) -> (Process, Process) {
    let text = |priority| who.globals("") + &single(priority, version, advert).text();
    let begun = stamp();
    let first = start(lab, "d1", who, &text(150));
    capture.first_advert("d1", begun, s(15)).expect("the first director becomes master");
    let second = start(lab, "d2", who, &text(100));
    pause(ms(1500));
    (first, second)
}

/// Echo requests to the address, one each millisecond, until told to stop.
fn ping(lab: &Lab, stop: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let (space, stop) = (lab.handle("client"), Arc::clone(stop));
    thread::spawn(move || {
        setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).expect("a raw socket");
        let target: SocketAddr = "10.9.0.100:0".parse().expect("an address");
        // Type 8, code 0, identifier and sequence 0: the checksum is the complement of 0x0800.
        let request = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
        let mut due = now();
        while !stop.load(Ordering::Relaxed) {
            let _ = socket.send_to(&request, &target.into());
            due += ms(1);
            pause(due.saturating_duration_since(now()));
        }
    })
}

/// (the new master's first advert, its first echo reply) after the old one's last advert, beyond Master_Down_Interval;
/// milliseconds.
fn one(who: Who, version: u8, advert: &str, interval: Duration) -> Option<(f64, f64)> {
    let lab = pair("takeover");
    let capture = Capture::start(&lab);
    let (mut first, _second) = started(&lab, &capture, who, version, advert);
    let stop = Arc::new(AtomicBool::new(false));
    let pinger = ping(&lab, &stop);
    pause(ms(500));
    capture.first_advert("d1", stamp(), s(5))?;
    first.kill();
    // The killed process leaves the address, and the kernel would go on answering for it.
    lab.isolate("d1", "eth0");
    let last = *capture.adverts("d1", 0).last()?;
    let taken = capture.first_advert("d2", last, s(15));
    pause(ms(100));
    stop.store(true, Ordering::Relaxed);
    let _ = pinger.join();
    let taken = taken?;
    let replies = capture.of("d2", last);
    let reply = replies.iter().find(|event| event.what == What::EchoReply)?.at;
    let down = last + nanos(down_interval(interval, 100));
    Some((millis(taken - down), millis(reply - down)))
}

pub fn run(runs: usize) {
    println!("\n### Takeover, one address\n");
    println!(
        "Milliseconds beyond Master_Down_Interval after the old master's last advert: median (worst).\n"
    );
    println!("| adverts | program | first advert | first ping answered |\n| --- | --- | --- | --- |");
    let shapes = [(2, "1", s(1)), (3, "0.1", ms(100)), (3, "0.01", ms(10))];
    for (version, advert, interval) in shapes {
        let mut results: Vec<_> = contenders(&[Who::Tandem, Who::Keepalived])
            .into_iter()
            .map(|who| (who, Vec::new(), Vec::new()))
            .collect();
        for _ in 0..runs {
            for (who, adverts, replies) in &mut results {
                match one(*who, version, advert, interval) {
                    Some((advert, reply)) => {
                        adverts.push(advert);
                        replies.push(reply);
                    }
                    None => println!("| version {version}, {advert} s | {} | NO TAKEOVER | |", who.name()),
                }
            }
        }
        for (who, adverts, replies) in results {
            println!(
                "| version {version}, {advert} s | {} | {} | {} |",
                who.name(),
                shown(&adverts, 2),
                shown(&replies, 2)
            );
        }
    }
}

/// Adverts of 0.01 s beside two busy loops of normal niceness.
pub fn soak(time: Duration) {
    println!("\n### Soak: adverts of 0.01 s beside two busy loops, {} s each\n", time.as_secs());
    println!("| program | false takeovers | jitter p99 ms | worst ms | longest gap ms |");
    println!("| --- | --- | --- | --- | --- |");
    for who in contenders(&[Who::Tandem, Who::Keepalived]) {
        let lab = pair("soak");
        let capture = Capture::start(&lab);
        let pair = started(&lab, &capture, who, 3, "0.01");
        let busy = Busy::start(2);
        pause(ms(200));
        let begun = stamp();
        pause(time);
        let (adverts, false_ones) = (capture.adverts("d1", begun), takeovers(&capture, begun));
        drop(busy);
        drop(pair);
        let jitter = jitter(&adverts, ms(10));
        println!(
            "| {} | {false_ones} | {:.2} | {:.2} | {:.2} |",
            who.name(),
            part(&jitter, 0.99),
            part(&jitter, 1.0),
            longest(&adverts)
        );
    }
}

/// How often the second director began to advertise since a moment: runs of its adverts that are apart by 50 ms or more,
/// or separated by one of the first's.
pub fn takeovers(capture: &Capture, since: i64) -> usize {
    let mut all: Vec<(i64, bool)> = capture.adverts("d1", since).into_iter().map(|at| (at, false)).collect();
    all.extend(capture.adverts("d2", since).into_iter().map(|at| (at, true)));
    all.sort_unstable();
    let mut last: Option<(i64, bool)> = None;
    let mut found = 0;
    for (at, second) in all {
        if second && last.is_none_or(|(_, was)| !was) {
            found += 1;
        }
        last = Some((at, second));
    }
    found
}
