//! What is on the bridges, stamped by the kernel when a frame enters them: a busy machine delays the reader, not the
//! figures. Times are nanoseconds of CLOCK_REALTIME, in which the kernel stamps.

use std::collections::HashMap;
use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
    bind, recv, recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

use crate::lab::{Lab, ms, now, pause};

/// What a frame is, as far as the figures need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Advert { vrid: u8, priority: u8 },
    Announce(Ipv4Addr),
    EchoReply,
}

/// A frame and the port of the bridge at which it came in.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub at: i64,
    pub port: usize,
    pub what: What,
}

/// Now, in the kernel's stamps.
pub fn stamp() -> i64 {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).expect("a clock");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

/// Records a lab's LANs. Ends when dropped.
pub struct Capture {
    events: Arc<Mutex<Vec<Event>>>,
    hosts: Vec<String>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Incoming ARP, VRRP and ICMP; the rest stays in the kernel, so that a flood of checks costs this reader nothing.
const FILTER: [(u16, u8, u8, u32); 10] = [
    (0x28, 0, 0, 0xffff_f004),
    (0x15, 6, 0, 4),
    (0x28, 0, 0, 12),
    (0x15, 5, 0, 0x0806),
    (0x15, 0, 3, 0x0800),
    (0x30, 0, 0, 23),
    (0x15, 2, 0, 112),
    (0x15, 1, 0, 1),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xffff),
];

fn read(frame: &[u8]) -> Option<What> {
    let body = frame.get(14..)?;
    if (frame[12], frame[13]) == (0x08, 0x06) {
        let (sender, target) = (body.get(14..18)?, body.get(24..28)?);
        let four: [u8; 4] = sender.try_into().ok()?;
        return (sender == target).then(|| What::Announce(four.into()));
    }
    let inner = body.get(usize::from(*body.first()? & 15) * 4..)?;
    match *body.get(9)? {
        112 => Some(What::Advert { vrid: *inner.get(1)?, priority: *inner.get(2)? }),
        1 if *inner.first()? == 0 => Some(What::EchoReply),
        _ => None,
    }
}

impl Capture {
    /// Records from now on.
    pub fn start(lab: &Lab) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let ports: Vec<(String, String)> =
            lab.ports().map(|(port, host, _)| (port.to_owned(), host.to_owned())).collect();
        let hosts = ports.iter().map(|(_, host)| host.clone()).collect();
        let (space, ready) = (lab.handle("net"), Arc::new(Barrier::new(2)));
        let (into, until, begun) = (Arc::clone(&events), Arc::clone(&stop), Arc::clone(&ready));
        let thread = thread::spawn(move || {
            setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
            let index = |port: &str| i32::try_from(if_nametoindex(port).expect("a port")).expect("an index");
            let known: HashMap<i32, usize> =
                ports.iter().enumerate().map(|(n, (port, _))| (index(port), n)).collect();
            let fd =
                socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                    .expect("a packet socket");
            setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000)).expect("a timeout");
            setsockopt(&fd, sockopt::ReceiveTimestampns, &true).expect("stamps");
            let _ = setsockopt(&fd, sockopt::RcvBufForce, &(64 << 20));
            let filter = FILTER.map(|(code, yes, no, value)| socket2::SockFilter::new(code, yes, no, value));
            socket2::SockRef::from(&fd).attach_filter(&filter).expect("a filter");
            begun.wait();
            let mut buffer = [0; 2048];
            let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
            while !until.load(Ordering::Relaxed) {
                let mut parts = [IoSliceMut::new(&mut buffer)];
                let got =
                    recvmsg::<LinkAddr>(fd.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
                let Ok(message) = got else { continue };
                let at = message.cmsgs().into_iter().flatten().find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampns(time) => {
                        Some(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
                    }
                    _ => None,
                });
                let port =
                    message.address.and_then(|from| known.get(&i32::try_from(from.ifindex()).ok()?).copied());
                let length = message.bytes;
                let (Some(at), Some(port)) = (at, port) else { continue };
                if let Some(what) = buffer.get(..length).and_then(read) {
                    into.lock().expect("events").push(Event { at, port, what });
                }
            }
        });
        ready.wait();
        Self { events, hosts, stop, thread: Some(thread) }
    }

    /// What a host has sent since a moment, by time.
    pub fn of(&self, host: &str, since: i64) -> Vec<Event> {
        let events = self.events.lock().expect("events");
        let mine = events.iter().filter(|event| event.at >= since && self.hosts[event.port] == host);
        let mut found: Vec<Event> = mine.copied().collect();
        found.sort_by_key(|event| event.at);
        found
    }

    /// Moments of a host's adverts since a moment; those of priority 0 apart.
    pub fn adverts(&self, host: &str, since: i64) -> Vec<i64> {
        self.of(host, since)
            .iter()
            .filter(|event| matches!(event.what, What::Advert { priority: 1.., .. }))
            .map(|event| event.at)
            .collect()
    }

    /// The first advert of a host since a moment; waits for it.
    pub fn first_advert(&self, host: &str, since: i64, limit: Duration) -> Option<i64> {
        let begun = now();
        loop {
            if let Some(first) = self.adverts(host, since).first() {
                return Some(*first);
            }
            if begun.elapsed() > limit {
                return None;
            }
            pause(ms(2));
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Follows one host's IPv4 addresses with room for thousands of messages at once. Ends when dropped.
pub struct Follow {
    seen: Arc<Mutex<Addresses>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Addresses that came (and are there), and when the last one went.
#[derive(Clone, Default)]
pub struct Addresses {
    pub present: HashMap<Ipv4Addr, i64>,
    pub last_gone: i64,
}

impl Follow {
    /// Follows from now on; addresses that are there already are not counted.
    pub fn start(lab: &Lab, host: &str) -> Self {
        let seen = Arc::new(Mutex::new(Addresses::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (space, ready) = (lab.handle(host), Arc::new(Barrier::new(2)));
        let (into, until, begun) = (Arc::clone(&seen), Arc::clone(&stop), Arc::clone(&ready));
        let thread = thread::spawn(move || {
            setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
            let flags = SockFlag::SOCK_CLOEXEC;
            let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)
                .expect("a netlink socket");
            let _ = setsockopt(&fd, sockopt::RcvBufForce, &(64 << 20));
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, libc::RTMGRP_IPV4_IFADDR.unsigned_abs()))
                .expect("bind");
            setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000)).expect("a timeout");
            begun.wait();
            let mut buffer = vec![0; 65536];
            while !until.load(Ordering::Relaxed) {
                let Ok(length) = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) else { continue };
                let at = stamp();
                let mut seen = into.lock().expect("addresses");
                crate::lab::watch::each_address(&buffer[..length], |address, present| {
                    let std::net::IpAddr::V4(address) = address else { return };
                    if present {
                        seen.present.entry(address).or_insert(at);
                    } else {
                        seen.present.remove(&address);
                        seen.last_gone = at;
                    }
                });
            }
        });
        ready.wait();
        Self { seen, stop, thread: Some(thread) }
    }

    /// What was seen.
    pub fn now(&self) -> Addresses {
        self.seen.lock().expect("addresses").clone()
    }

    /// How many are there.
    pub fn count(&self) -> usize {
        self.seen.lock().expect("addresses").present.len()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
