//! A host on the LAN that sends whatever it likes, many thousand times a second: nothing changes, adverts go on in time.
//!
//! Only what the rules refuse is sent. A well-formed advert of higher priority is no attack that VRRP without
//! authentication could tell from a director.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use socket2::{Domain, Protocol, Socket, Type};
use tandem::config::model::VrrpVersion;
use tandem::vrrp::packet::{Advert, AuthField};

use super::*;

/// Packets a second.
const RATE: u32 = 20_000;
/// Packets that are made beforehand, and sent again and again.
const STOCK: usize = 4000;
/// Packets of one system call.
const TOGETHER: usize = 32;
/// How long.
const TIME: Duration = Duration::from_secs(4);
/// The attacker's own address.
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 200);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// Everything that the pair must not believe.
const KINDS: [&str; 10] = [
    "random bytes",
    "random bytes behind the right VRID",
    "wrong checksum",
    "foreign VRID",
    "TTL 254",
    "other version",
    "wrong password or authentication type",
    "wrong interval (version 2)",
    "wrong length",
    "wrong message type",
];

/// What the pair speaks.
#[derive(Clone, Copy)]
struct Own {
    version: VrrpVersion,
    password: Option<[u8; 8]>,
}

/// Payload and TTL of one hostile packet.
fn hostile(kind: usize, own: Own, random: &mut TestRng) -> (Vec<u8>, u8) {
    let byte = |random: &mut TestRng| (random.next_u32() & 0xff) as u8;
    let good = Advert {
        version: own.version,
        vrid: 51,
        // 255: whoever believed it would hand over at once; 0: would take over at once.
        priority: if random.next_u32().is_multiple_of(2) { 255 } else { 0 },
        interval: match own.version {
            VrrpVersion::V2 => s(1),
            VrrpVersion::V3 => ms(100),
        },
        auth: own.password.map_or(AuthField::None, AuthField::Pass),
        addresses: vec![IpAddr::V4(VIP.parse().expect("an address"))],
    };
    let encode = |advert: &Advert| advert.encode(SOURCE.into(), GROUP.into());
    let payload = match kind {
        0 | 1 => {
            let length = random.next_u32() % 120;
            let mut bytes: Vec<u8> = (0..length).map(|_| byte(random)).collect();
            if kind == 1 {
                bytes.resize(bytes.len().max(20), 0);
                bytes[..2]
                    .copy_from_slice(&[if random.next_u32().is_multiple_of(2) { 0x21 } else { 0x31 }, 51]);
            }
            bytes
        }
        2 => {
            let mut bytes = encode(&good);
            bytes[6] ^= 1 + byte(random) % 200;
            bytes
        }
        3 => encode(&Advert { vrid: 52 + byte(random) % 100, ..good }),
        5 => match own.version {
            VrrpVersion::V2 => encode(&Advert { version: VrrpVersion::V3, auth: AuthField::None, ..good }),
            VrrpVersion::V3 => encode(&Advert { version: VrrpVersion::V2, ..good }),
        },
        6 if own.version == VrrpVersion::V2 => {
            let auth = match random.next_u32() % 3 {
                0 => AuthField::None,
                1 => AuthField::Unknown(2),
                _ => AuthField::Pass([byte(random); 8]),
            };
            encode(&Advert { auth, ..good })
        }
        7 if own.version == VrrpVersion::V2 => encode(&Advert { interval: s(2), ..good }),
        // These two have no meaning in version 3: the other version with a password, and with another interval.
        6 | 7 => encode(&Advert {
            version: VrrpVersion::V2,
            interval: s(1 + u64::from(byte(random))),
            auth: AuthField::Pass([byte(random); 8]),
            ..good
        }),
        8 => {
            let mut bytes = encode(&good);
            let length = bytes.len();
            match random.next_u32() % 3 {
                0 => bytes.truncate(length - 1 - random.next_u32() as usize % (length - 1)),
                1 => bytes.resize(length + 1 + random.next_u32() as usize % 40, 0),
                _ => bytes[3] = 2 + byte(random) % 250,
            }
            bytes
        }
        9 => {
            let mut bytes = encode(&good);
            bytes[0] = bytes[0] & 0xf0 | (2 + byte(random) % 14);
            bytes
        }
        _ => encode(&good),
    };
    (payload, if kind == 4 { 254 } else { 255 })
}

/// A socket for whole IP packets, on the LAN.
fn raw_socket() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).expect("a raw socket");
    socket.bind_device(Some(b"eth0")).expect("bind");
    socket
}

fn group() -> socket2::SockAddr {
    std::net::SocketAddrV4::new(GROUP, 0).into()
}

/// Sends them at the rate, in bursts of a millisecond; returns how many of each kind left. They are made beforehand, and many
/// leave by one system call: the attacker must not be what limits the attack.
fn attack(lab: &Lab, own: Own, time: Duration) -> [u32; KINDS.len()] {
    lab.inside("client", || {
        let socket = raw_socket();
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let stock: Vec<(usize, Vec<u8>)> = (0..STOCK)
            .map(|_| {
                let kind = random.next_u32() as usize % KINDS.len();
                let (payload, ttl) = hostile(kind, own, &mut random);
                (kind, packet(&payload, ttl))
            })
            .collect();
        let mut next = stock.iter().cycle();
        let mut headers = MultiHeaders::preallocate(TOGETHER, None);
        let to = [Some(SockaddrIn::from(std::net::SocketAddrV4::new(GROUP, 0))); TOGETHER];
        let mut sent = [0; KINDS.len()];
        let start = now();
        let mut total = 0_u32;
        while start.elapsed() < time {
            let due = (start.elapsed().as_secs_f64() * f64::from(RATE)) as u32;
            // After a long wait for a processor the lost time is not made up for: the rate is a limit.
            let mut burst = (due - total).min(RATE / 20) as usize;
            while burst > 0 {
                let packets: Vec<_> = next.by_ref().take(burst.min(TOGETHER)).collect();
                burst -= packets.len();
                let parts: Vec<_> = packets.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
                let left = sendmmsg(socket.as_raw_fd(), &mut headers, &parts, to, [], MsgFlags::empty());
                for (kind, _) in packets.iter().take(left.map_or(0, Iterator::count)) {
                    sent[*kind] += 1;
                }
            }
            total = due;
            pause(ms(1));
        }
        sent
    })
}

/// Seconds that a process has run so far, by the scheduler's own count.
fn ran(pid: i32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e9
}

/// An IPv4 packet; the kernel writes its checksum and identification.
fn packet(payload: &[u8], ttl: u8) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("a short packet").to_be_bytes();
    let mut bytes = vec![0x45, 0xc0, length[0], length[1], 0, 0, 0, 0, ttl, 112, 0, 0];
    bytes.extend(SOURCE.octets());
    bytes.extend(GROUP.octets());
    bytes.extend(payload);
    bytes
}

/// Runs a pair under attack. `interval` is its advert interval.
fn under_attack(name: &str, edit: impl Fn(Conf) -> Conf, own: Own, interval: Duration) {
    let pair = Pair::new(name);
    let d1 = pair.start("d1", &edit(Conf::new("MASTER", 150)));
    let d2 = pair.start("d2", &edit(Conf::new("BACKUP", 100)));
    pair.master("d1");
    pause(interval * 3);
    let quiet = now();
    pause(TIME);
    let before = pair.longest_silence("d1", quiet);
    let since = now();
    let marks = [d1.mark(), d2.mark()];
    let ran_before = [&d1, &d2].map(|director| ran(director.process.pid()));
    let sent = attack(&pair.lab, own, TIME);
    let took = since.elapsed();
    let ran_after = [&d1, &d2].map(|director| ran(director.process.pid()));
    let silence = pair.longest_silence("d1", since);
    let total: u32 = sent.iter().sum();
    let adverts = pair.wire.adverts("d1", since).len();
    let seen = pair.wire.adverts("client", since).len();
    let rate = f64::from(total) / took.as_secs_f64();
    println!(
        "hostile packets: {total} in {took:.1?}, {rate:.0} a second; {seen} that look like adverts were on the wire"
    );
    for (kind, count) in KINDS.iter().zip(sent) {
        println!("  {count:6} {kind}");
    }
    let lines: Vec<usize> =
        [&d1, &d2].iter().zip(marks).map(|(d, mark)| d.said_since(mark).lines().count()).collect();
    println!("adverts of d1 meanwhile: {adverts}; longest silence {silence:?}, before the attack {before:?}");
    let shares = [0, 1].map(|n| (ran_after[n] - ran_before[n]) / took.as_secs_f64() * 100.0);
    println!("processor meanwhile: master {:.1} %, backup {:.1} %", shares[0], shares[1]);
    println!("log lines meanwhile: {lines:?}");
    for director in [&d1, &d2] {
        assert!(director.said().contains("refused"), "the flood never came to {}", director.host);
    }
    // A quarter of the rate is still an attack; less is none.
    assert!(total > RATE / 4 * TIME.as_secs() as u32 / slow(), "the attacker was too slow: {total} packets");
    assert!(sent.iter().all(|count| *count > 0), "{sent:?}");
    pair.calm(since, TIME + interval * 5);
    assert!(pair.wire.adverts("d2", since).is_empty(), "the backup stays silent");
    assert!(pair.wire.adverts("d1", since).iter().all(|(_, priority)| *priority == 150));
    // A backup takes over after three intervals: two are a grace of one.
    measured(&format!("hostile_{name}_silence"), silence, interval, interval.min(ms(100)));
    assert!(lines.iter().all(|lines| *lines < 200), "a flood must not flood the log: {lines:?} lines");
    // The same sender with nothing wrong in its advert is believed: what was refused was refused for what was wrong.
    pair.lab.inside("client", || {
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut good = || {
            std::iter::repeat_with(|| hostile(usize::MAX, own, &mut random).0).find(|bytes| bytes[2] == 255)
        };
        raw_socket().send_to(&packet(&good().expect("a good advert"), 255), &group()).expect("sent");
    });
    pair.watch.wait("d1", VIP, false, patience());
}

#[test]
fn version_3_at_a_tenth_of_a_second() {
    let edit = |conf: Conf| conf.line("version 3").advert("0.1");
    let own = Own { version: VrrpVersion::V3, password: None };
    under_attack("hostile3", edit, own, ms(100));
}

#[test]
fn version_2_with_a_password() {
    let edit =
        |conf: Conf| conf.line("authentication {\n        auth_type PASS\n        auth_pass lab-pass\n    }");
    let own = Own { version: VrrpVersion::V2, password: Some(*b"lab-pass") };
    under_attack("hostile2", edit, own, s(1));
}
