//! What is on the LAN: VRRP adverts and ARP, seen where they enter the bridge, with the host that sent them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::{Lab, now, wait};

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A VRRP advert.
    Advert {
        version: u8,
        vrid: u8,
        priority: u8,
        source: IpAddr,
        destination: IpAddr,
        ttl: u8,
        addresses: Vec<IpAddr>,
    },
    /// An ARP packet. It is gratuitous when sender and target are the same address.
    Arp { operation: u16, sender: Ipv4Addr, target: Ipv4Addr, source: [u8; 6], destination: [u8; 6] },
}

/// A frame with the host that sent it.
#[derive(Clone, Debug)]
pub struct Frame {
    pub at: Instant,
    pub host: String,
    pub kind: Kind,
}

/// Records a lab's LANs. Ends when dropped.
pub struct Wire {
    frames: Arc<Mutex<Vec<Frame>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let four: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    Some(four.into())
}

fn ipv6(bytes: &[u8]) -> Option<IpAddr> {
    let sixteen: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

fn read(frame: &[u8]) -> Option<Kind> {
    let body = frame.get(14..)?;
    match (frame[12], frame[13]) {
        (0x08, 0x06) => Some(Kind::Arp {
            operation: u16::from_be_bytes([*body.get(6)?, *body.get(7)?]),
            sender: ipv4(body.get(14..)?)?,
            target: ipv4(body.get(24..)?)?,
            source: body.get(8..14)?.try_into().ok()?,
            destination: frame.get(..6)?.try_into().ok()?,
        }),
        (0x08, 0x00) if *body.get(9)? == 112 => {
            let head = usize::from(*body.first()? & 15) * 4;
            let advert = body.get(head..)?;
            let count = usize::from(*advert.get(3)?);
            Some(Kind::Advert {
                version: *advert.first()? >> 4,
                vrid: *advert.get(1)?,
                priority: *advert.get(2)?,
                source: ipv4(body.get(12..)?)?.into(),
                destination: ipv4(body.get(16..)?)?.into(),
                ttl: *body.get(8)?,
                addresses: advert.get(8..8 + 4 * count)?.chunks(4).filter_map(ipv4).map(IpAddr::V4).collect(),
            })
        }
        (0x86, 0xdd) if *body.get(6)? == 112 => {
            let advert = body.get(40..)?;
            let count = usize::from(*advert.get(3)?);
            Some(Kind::Advert {
                version: *advert.first()? >> 4,
                vrid: *advert.get(1)?,
                priority: *advert.get(2)?,
                source: ipv6(body.get(8..)?)?,
                destination: ipv6(body.get(24..)?)?,
                ttl: *body.get(7)?,
                addresses: advert.get(8..8 + 16 * count)?.chunks(16).filter_map(ipv6).collect(),
            })
        }
        _ => None,
    }
}

impl Wire {
    /// Records from now on.
    pub fn start(lab: &Lab) -> Self {
        let frames = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let names: Vec<(String, String)> =
            lab.ports().map(|(port, host, _)| (port.to_owned(), host.to_owned())).collect();
        let (space, ready) = (lab.handle("net"), Arc::new(std::sync::Barrier::new(2)));
        let (into, until, begun) = (Arc::clone(&frames), Arc::clone(&stop), Arc::clone(&ready));
        let thread = thread::spawn(move || {
            setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
            let hosts: BTreeMap<usize, String> = names
                .into_iter()
                .map(|(port, host)| (if_nametoindex(port.as_str()).expect("a port") as usize, host))
                .collect();
            let flags = SockFlag::SOCK_CLOEXEC;
            let fd = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)
                .expect("a packet socket");
            setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000)).expect("a timeout");
            // Room for a burst while this thread waits for a processor.
            let _ = setsockopt(&fd, sockopt::RcvBufForce, &(8 << 20));
            // Each frame is seen at every port that it passes; where it came in says who sent it. The others are left
            // to the kernel: a flood costs this thread a fourth. (Load the packet's type; 0 for outgoing, else all.)
            let incoming =
                [(0x28, 0, 0, 0xffff_f004), (0x15, 0, 1, 4), (0x06, 0, 0, 0), (0x06, 0, 0, 0xffff)];
            let incoming =
                incoming.map(|(code, yes, no, value)| socket2::SockFilter::new(code, yes, no, value));
            socket2::SockRef::from(&fd).attach_filter(&incoming).expect("a filter");
            begun.wait();
            let mut buffer = [0; 2048];
            while !until.load(Ordering::Relaxed) {
                let Ok((length, Some(from))) = recvfrom::<LinkAddr>(fd.as_raw_fd(), &mut buffer) else {
                    continue;
                };
                if from.pkttype() == libc::PACKET_OUTGOING {
                    continue;
                }
                let Some(host) = hosts.get(&from.ifindex()) else { continue };
                if let Some(kind) = buffer.get(..length).and_then(read) {
                    into.lock().expect("frames").push(Frame { at: now(), host: host.clone(), kind });
                }
            }
        });
        ready.wait();
        Self { frames, stop, thread: Some(thread) }
    }

    /// Every frame so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.frames.lock().expect("frames").clone()
    }

    /// Adverts of a host since a moment: (when, priority).
    pub fn adverts(&self, host: &str, since: Instant) -> Vec<(Instant, u8)> {
        let mut found = Vec::new();
        for frame in self.frames.lock().expect("frames").iter().filter(|f| f.host == host && f.at >= since) {
            if let Kind::Advert { priority, .. } = frame.kind {
                found.push((frame.at, priority));
            }
        }
        found
    }

    /// The last advert of a host so far.
    pub fn last_advert(&self, host: &str) -> Option<(Instant, u8)> {
        let frames = self.frames.lock().expect("frames");
        frames.iter().rev().filter(|frame| frame.host == host).find_map(|frame| match frame.kind {
            Kind::Advert { priority, .. } => Some((frame.at, priority)),
            Kind::Arp { .. } => None,
        })
    }

    /// Waits for the next advert of a host from now on.
    #[track_caller]
    pub fn next_advert(&self, host: &str, limit: Duration) -> Instant {
        let since = now();
        wait(&format!("an advert of {host}"), limit, || !self.adverts(host, since).is_empty());
        self.adverts(host, since)[0].0
    }

    /// Gratuitous ARPs of a host for an address since a moment.
    pub fn announcements(&self, host: &str, address: &str, since: Instant) -> Vec<Frame> {
        let address: Ipv4Addr = address.parse().expect("an IPv4 address");
        let frames = self.frames();
        let mine = frames.into_iter().filter(|frame| frame.host == host && frame.at >= since);
        mine.filter(|frame| match frame.kind {
            Kind::Arp { sender, target, .. } => sender == address && target == address,
            Kind::Advert { .. } => false,
        })
        .collect()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
