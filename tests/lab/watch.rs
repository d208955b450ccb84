//! Who has which address, and since when: follows the kernel's own messages, so that nothing is missed between polls.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::{Lab, now, wait};

/// An address came to a host or left it.
#[derive(Clone, Debug)]
pub struct Change {
    pub at: Instant,
    pub host: String,
    pub address: IpAddr,
    pub present: bool,
}

#[derive(Default)]
struct Seen {
    now: BTreeSet<(String, IpAddr)>,
    changes: Vec<Change>,
}

/// Follows the addresses of some hosts. Ends when dropped.
pub struct AddressWatch {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The addresses of one netlink read: (address, present).
fn addresses(mut bytes: &[u8]) -> Vec<(IpAddr, bool)> {
    let mut found = Vec::new();
    let word = |bytes: &[u8], at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    while bytes.len() >= 24 {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let kind = word(bytes, 4);
        if length < 24 || length > bytes.len() {
            break;
        }
        let mut attributes = &bytes[24..length];
        let mut address = None;
        while attributes.len() >= 4 {
            let size = usize::from(word(attributes, 0));
            if size < 4 || size > attributes.len() {
                break;
            }
            if word(attributes, 2) == libc::IFA_LOCAL && size == 8 {
                let v4 = Ipv4Addr::new(attributes[4], attributes[5], attributes[6], attributes[7]);
                address = Some(v4.into());
            }
            if word(attributes, 2) == libc::IFA_ADDRESS && size == 20 {
                let octets: [u8; 16] = attributes[4..20].try_into().expect("sixteen");
                address = Some(Ipv6Addr::from(octets).into());
            }
            attributes = attributes.get(size.next_multiple_of(4)..).unwrap_or_default();
        }
        if let (Some(address), libc::RTM_NEWADDR | libc::RTM_DELADDR) = (address, kind) {
            found.push((address, kind == libc::RTM_NEWADDR));
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The calling thread's namespace: its addresses now.
fn held() -> Vec<IpAddr> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let of = |one: nix::ifaddrs::InterfaceAddress| {
        let address = one.address?;
        let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()))
    };
    all.filter_map(of).collect()
}

impl Seen {
    fn note(&mut self, host: &str, address: IpAddr, present: bool) {
        let key = (host.to_owned(), address);
        let news = if present { self.now.insert(key) } else { self.now.remove(&key) };
        if news {
            self.changes.push(Change { at: now(), host: host.to_owned(), address, present });
        }
    }
}

impl AddressWatch {
    /// Follows these hosts.
    pub fn start(lab: &Lab, hosts: &[&str]) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let ready = Arc::new(std::sync::Barrier::new(hosts.len() + 1));
        let follow = |host: &&str| {
            let (space, host) = (lab.handle(host), (*host).to_owned());
            let (seen, stop, ready) = (Arc::clone(&seen), Arc::clone(&stop), Arc::clone(&ready));
            thread::spawn(move || {
                setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
                let flags = SockFlag::SOCK_CLOEXEC;
                let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)
                    .expect("a netlink socket");
                let groups =
                    u32::try_from(libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR).expect("a group");
                bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).expect("bind");
                setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000)).expect("a timeout");
                for address in held() {
                    seen.lock().expect("seen").note(&host, address, true);
                }
                ready.wait();
                let mut buffer = vec![0; 65536];
                while !stop.load(Ordering::Relaxed) {
                    let Ok(length) = recv(fd.as_raw_fd(), &mut buffer, nix::sys::socket::MsgFlags::empty())
                    else {
                        continue;
                    };
                    for (address, present) in addresses(&buffer[..length]) {
                        seen.lock().expect("seen").note(&host, address, present);
                    }
                }
            })
        };
        let threads = hosts.iter().map(follow).collect();
        ready.wait();
        Self { seen, stop, threads }
    }

    /// True when the host has the address now.
    pub fn has(&self, host: &str, address: &str) -> bool {
        self.seen.lock().expect("seen").now.contains(&(host.to_owned(), parse(address)))
    }

    /// The hosts that have the address now.
    pub fn holders(&self, address: &str) -> Vec<String> {
        let address = parse(address);
        let seen = self.seen.lock().expect("seen");
        seen.now.iter().filter(|(_, held)| *held == address).map(|(host, _)| host.clone()).collect()
    }

    /// Every change so far.
    pub fn changes(&self) -> Vec<Change> {
        self.seen.lock().expect("seen").changes.clone()
    }

    /// The changes of one address on one host since a moment: (when, present).
    pub fn changes_of(&self, host: &str, address: &str, since: Instant) -> Vec<(Instant, bool)> {
        let address = parse(address);
        let changes = self.changes();
        let mine = changes.iter().filter(|c| c.host == host && c.address == address && c.at >= since);
        mine.map(|c| (c.at, c.present)).collect()
    }

    /// Waits until the host has (or no longer has) the address; since when that is so.
    #[track_caller]
    pub fn wait(&self, host: &str, address: &str, present: bool, limit: Duration) -> Instant {
        let word = if present { "has" } else { "does not have" };
        wait(&format!("{host} {word} {address}"), limit, || self.has(host, address) == present);
        let mut last = None;
        for (at, to) in self.changes_of(host, address, now() - Duration::from_secs(3600)) {
            if to == present {
                last = Some(at);
            }
        }
        last.unwrap_or_else(now)
    }

    /// Waits until exactly these hosts have the address.
    #[track_caller]
    pub fn wait_holders(&self, address: &str, hosts: &[&str], limit: Duration) {
        let start = now();
        while self.holders(address) != hosts {
            assert!(
                start.elapsed() < limit,
                "not within {limit:?}: {address} held by {hosts:?}; it is held by {:?}",
                self.holders(address)
            );
            super::pause(super::ms(3));
        }
    }
}

fn parse(address: &str) -> IpAddr {
    address.parse().expect("an IP address")
}

impl Drop for AddressWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Calls `each` for every address of one netlink read: (address, present). For the benchmarks.
pub fn each_address(bytes: &[u8], mut each: impl FnMut(IpAddr, bool)) {
    for (address, present) in addresses(bytes) {
        each(address, present);
    }
}
