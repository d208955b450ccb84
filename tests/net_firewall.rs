//! The packet filter on a real kernel, each test in a network namespace of its own. Needs nf_tables in the kernel,
//! tcpdump, nsenter and ping; `nft` is not used but for damage.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::net::firewall::marks::{Span, Transport};
use tandem::net::firewall::writer::{self, Applied};
use tandem::net::firewall::{Content, Rules, Ruleset};
use tandem::net::monitor;
use tokio::sync::watch;

#[path = "net_kernel/lab.rs"]
#[allow(dead_code, reason = "shared with the address tests")]
mod lab;

use lab::{in_a_namespace, ip, shown};

struct Running {
    wanted: watch::Sender<Arc<Ruleset>>,
    applied: watch::Receiver<Applied>,
    task: tokio::task::JoinHandle<()>,
}

async fn start() -> Running {
    let (links_out, links) = watch::channel(Arc::new(monitor::first_dump().await.unwrap()));
    tokio::spawn(monitor::run(links_out));
    let (wanted, wishes) = watch::channel(Arc::new(Ruleset::default()));
    let (applied_out, applied) = watch::channel(Applied::default());
    let task = tokio::spawn(writer::run(wishes, links, applied_out));
    Running { wanted, applied, task }
}

impl Running {
    async fn wish(&mut self, ruleset: Ruleset) -> Duration {
        let generation = ruleset.generation;
        let begun = Instant::now();
        self.wanted.send_replace(Arc::new(ruleset));
        let done = self.applied.wait_for(|a| a.generation == generation || !a.errors.is_empty());
        let applied = tokio::time::timeout(Duration::from_secs(10), done).await.expect("applied").unwrap();
        assert_eq!(applied.errors, Vec::<String>::new());
        begun.elapsed()
    }
}

fn blocking(generation: u64, addresses: &[&str]) -> Ruleset {
    let all: BTreeSet<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let rules = |ipv6: bool| Rules {
        blocked: all.iter().filter(|a| a.is_ipv6() == ipv6).copied().collect(),
        ..Rules::default()
    };
    Ruleset {
        generation,
        table: "tandem".to_owned(),
        priority: -1,
        counters: true,
        ipv4: Some(rules(false)),
        ipv6: Some(rules(true)),
        ..Ruleset::default()
    }
}

/// A datagram to this address of our own arrives.
fn answers(address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let receiver = UdpSocket::bind((address, 0)).unwrap();
    receiver.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let sender = UdpSocket::bind(any.replace("127.0.0.1", "0.0.0.0").replace("::1", "::")).unwrap();
    // An output rule shows itself as a refusal of the send.
    let _ = sender.send_to(b"x", receiver.local_addr().unwrap());
    receiver.recv(&mut [0; 8]).is_ok()
}

fn addresses() {
    for address in ["10.0.0.100/32", "10.0.0.101/32", "2001:db8::100/128", "2001:db8::101/128"] {
        ip(&format!("address add {address} dev eth0 {}", if address.contains(':') { "nodad" } else { "" }));
    }
}

#[test]
fn blocked_addresses_are_silent_and_others_are_not() {
    in_a_namespace(|| async {
        addresses();
        let mut run = start().await;
        assert!(answers("10.0.0.100") && answers("2001:db8::100"), "without a filter");
        let took = run.wish(blocking(1, &["10.0.0.100", "2001:db8::100"])).await;
        println!("MEASURED firewall_first_ms={:.2}", took.as_secs_f64() * 1000.0);
        assert!(!answers("10.0.0.100") && !answers("2001:db8::100"));
        assert!(answers("10.0.0.101") && answers("2001:db8::101") && answers("10.0.0.1"));
        // Backup: the addresses leave the sets, the tables stay.
        run.wish(blocking(2, &["10.0.0.101"])).await;
        assert!(answers("10.0.0.100") && !answers("10.0.0.101") && answers("2001:db8::100"));
        // Another shape.
        run.wish(Ruleset { priority: -7, counters: false, by_index: true, ..blocking(3, &["10.0.0.100"]) })
            .await;
        assert!(!answers("10.0.0.100") && answers("10.0.0.101"));
        // Another name.
        run.wish(Ruleset { table: "other".to_owned(), ..blocking(4, &["10.0.0.101"]) }).await;
        assert!(answers("10.0.0.100") && !answers("10.0.0.101"));
        // Stop.
        run.wanted.send_replace(Arc::new(Ruleset { ipv4: None, ipv6: None, ..blocking(5, &[]) }));
        drop(run.wanted);
        run.task.await.unwrap();
        assert!(answers("10.0.0.100") && answers("10.0.0.101"));
    });
}

#[test]
fn the_next_run_takes_over_what_a_killed_one_left() {
    in_a_namespace(|| async {
        addresses();
        let mut run = start().await;
        run.wish(blocking(1, &["10.0.0.100"])).await;
        run.task.abort();
        let _ = run.task.await;
        assert!(!answers("10.0.0.100"), "a crash opens nothing");
        let mut run = start().await;
        run.wish(blocking(1, &["10.0.0.101"])).await;
        assert!(answers("10.0.0.100") && !answers("10.0.0.101"));
    });
}

#[test]
fn what_others_destroy_is_put_back() {
    in_a_namespace(|| async {
        addresses();
        let mut run = start().await;
        run.wish(blocking(1, &["10.0.0.100"])).await;
        // Another writer with the same table name is as good a vandal as `nft flush ruleset`.
        let mut vandal = start().await;
        vandal.wish(blocking(1, &[])).await;
        vandal.task.abort();
        assert!(answers("10.0.0.100"));
        let repaired = run.applied.wait_for(|a| a.repaired == 1);
        tokio::time::timeout(Duration::from_secs(5), repaired).await.expect("repaired").unwrap();
        assert!(!answers("10.0.0.100"));
    });
}

#[test]
fn ten_thousand_addresses_are_one_transaction() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let many = |from: u32| -> Rules {
            let blocked = (from..from + 10_000).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into()).collect();
            Rules { blocked, ..Rules::default() }
        };
        let wish = |generation, from| Ruleset { ipv4: Some(many(from)), ..blocking(generation, &[]) };
        let first = run.wish(wish(1, 500)).await;
        let second = run.wish(wish(2, 501)).await;
        println!(
            "MEASURED firewall_10000_ms={:.1} firewall_one_of_10000_ms={:.1}",
            first.as_secs_f64() * 1000.0,
            second.as_secs_f64() * 1000.0
        );
    });
}

/// A second host: a process in a network namespace of its own that has `peer`, the other end of eth0.
struct Host(Child);

impl Host {
    fn new() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "60"]).spawn().unwrap();
        let pid = child.id();
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        while std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|theirs| theirs == own) {
            std::thread::sleep(Duration::from_millis(5));
        }
        ip(&format!("link set peer netns {pid}"));
        let host = Self(child);
        host.run("ip link set peer up");
        host.run("ip address add 10.0.0.2/24 dev peer");
        host.run("ip address add 2001:db8::2/64 dev peer nodad");
        host
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).args(words.split_whitespace());
        command
    }

    fn run(&self, words: &str) -> bool {
        self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    fn shown(&self, words: &str) -> String {
        String::from_utf8(self.command(words).output().unwrap().stdout).unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_blocked_ipv6_address_is_still_resolved() {
    in_a_namespace(|| async {
        let host = Host::new();
        ip("address add 2001:db8::100/64 dev eth0 nodad");
        ip("address add fe80::100/64 dev eth0 nodad");
        let mut run = start().await;
        assert!(host.run("ping -6 -c 1 -W 2 2001:db8::100"), "without a filter");
        assert!(host.run("ping -6 -c 1 -W 2 fe80::100%peer"), "without a filter");
        host.run("ip -6 neigh flush dev peer");
        let mut wish = blocking(1, &["2001:db8::100"]);
        let local = ("fe80::100".parse().unwrap(), "eth0".to_owned());
        wish.ipv6.as_mut().unwrap().blocked_on.insert(local);
        for (generation, by_index) in [(1, false), (2, true)] {
            run.wish(Ruleset { generation, by_index, ..wish.clone() }).await;
            assert!(!host.run("ping -6 -c 1 -W 1 2001:db8::100"), "by index: {by_index}");
            assert!(!host.run("ping -6 -c 1 -W 1 fe80::100%peer"), "by index: {by_index}");
            let neighbours = host.shown("ip -6 neigh show");
            for address in ["2001:db8::100", "fe80::100"] {
                let line = neighbours.lines().find(|line| line.starts_with(address));
                assert!(line.is_some_and(|line| line.contains("lladdr")), "{address}: {neighbours}");
            }
        }
        // Another interface's link-local address of the same text is not meant.
        let mut elsewhere = blocking(3, &[]);
        elsewhere.ipv6.as_mut().unwrap().blocked_on.insert(("fe80::100".parse().unwrap(), "lo".to_owned()));
        run.wish(elsewhere).await;
        assert!(host.run("ping -6 -c 1 -W 2 fe80::100%peer"));
    });
}

/// What the other end of eth0 sees while vmac0 joins a group of each family.
async fn reports(host: &Host, group: u8) -> String {
    let capture = host
        .command("tcpdump -l -e -n -i peer igmp or (ip6[6]==0 and ip6[48]==143)")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let index: u32 = shown("-oneline link show dev vmac0").split(':').next().unwrap().parse().unwrap();
    let four = socket2::Socket::from(UdpSocket::bind("0.0.0.0:0").unwrap());
    let on = socket2::InterfaceIndexOrAddress::Index(index);
    four.join_multicast_v4_n(&Ipv4Addr::new(239, 0, 0, group), &on).unwrap();
    let six = UdpSocket::bind("[::]:0").unwrap();
    six.join_multicast_v6(&format!("ff05::{group}").parse().unwrap(), index).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let pid = nix::unistd::Pid::from_raw(capture.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    String::from_utf8(capture.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn multicast_reports_of_a_vmac_leave_by_its_parent() {
    in_a_namespace(|| async {
        let host = Host::new();
        ip("link add vmac0 link eth0 address 00:00:5e:00:01:33 type macvlan mode private");
        ip("link set vmac0 up");
        let parent = shown("-oneline link show dev eth0");
        let parent = parent.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let kinds = |text: &str, source: &str| {
            let lines = || text.lines().filter(|line| line.contains(&format!("{source} >")));
            (lines().any(|line| line.contains("igmp")), lines().any(|line| line.contains("ICMP6")))
        };
        let seen = reports(&host, 1).await;
        assert_eq!(kinds(&seen, "00:00:5e:00:01:33"), (true, true), "without a filter: {seen}");
        let mut run = start().await;
        let quiet = || {
            let vmacs = BTreeMap::from([("vmac0".to_owned(), "eth0".to_owned())]);
            Some(Rules { vmacs, ..Rules::default() })
        };
        for (generation, by_index) in [(1, false), (2, true)] {
            run.wish(Ruleset { by_index, ipv4: quiet(), ipv6: quiet(), ..blocking(generation, &[]) }).await;
            let seen = reports(&host, u8::try_from(generation).unwrap() + 1).await;
            assert_eq!(kinds(&seen, "00:00:5e:00:01:33"), (false, false), "by index {by_index}: {seen}");
            assert_eq!(kinds(&seen, &parent), (true, true), "by index {by_index}, {parent}: {seen}");
        }
        assert_eq!(run.applied.borrow().warnings, Vec::<String>::new());
    });
}

/// What `nft` shows of all tables, without counts and comments, line by line.
fn listed() -> Vec<String> {
    let output = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split(" comment ").next().unwrap_or_default().trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// First and last address, first and last port, mark.
type Marked<'a> = (Transport, [&'a str; 2], (u16, u16), u32);

fn marking(generation: u64, marks: &[Marked<'_>]) -> Ruleset {
    let mut families: [Option<Rules>; 2] = [None, None];
    for (transport, [first, last], ports, mark) in marks {
        let addresses: (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
        let rules = families[usize::from(addresses.0.is_ipv6())].get_or_insert_with(Rules::default);
        rules.marks.insert((*transport, Span { addresses, ports: *ports }), *mark);
    }
    let [ipv4, ipv6] = families;
    Ruleset {
        content: Content::Marks,
        generation,
        table: "keepalived_ipvs".to_owned(),
        priority: -1,
        ipv4,
        ipv6,
        ..Ruleset::default()
    }
}

/// The listing is what keepalived 2.2.7 was seen to make of the same groups, but for the order.
#[test]
fn marks_are_maps_that_nft_shows_as_those_of_keepalived() {
    use Transport::{Tcp, Udp};
    in_a_namespace(|| async {
        let mut run = start().await;
        let both = |mark| {
            [
                (Tcp, ["10.0.0.1", "10.0.0.9"], (80, 80), mark),
                (Tcp, ["10.0.1.0", "10.0.1.255"], (443, 443), mark),
                (Udp, ["10.0.0.1", "10.0.0.9"], (80, 80), 1002),
                (Tcp, ["2001:db8::10", "2001:db8::1f"], (0, u16::MAX), 1003),
            ]
        };
        run.wish(marking(1, &both(1000))).await;
        let expected = "table ip keepalived_ipvs {
            map tcp_map {
            type ipv4_addr . inet_service : mark
            flags interval
            elements = { 10.0.0.1-10.0.0.9 . 80 : 0x000003e8,
            10.0.1.0/24 . 443 : 0x000003e8 }
            }
            map udp_map {
            type ipv4_addr . inet_service : mark
            flags interval
            elements = { 10.0.0.1-10.0.0.9 . 80 : 0x000003ea }
            }
            chain in {
            type filter hook input priority filter - 1; policy accept;
            meta mark set ip daddr . tcp dport map @tcp_map return
            meta mark set ip daddr . udp dport map @udp_map return
            }
            }
            table ip6 keepalived_ipvs {
            map tcp_map {
            type ipv6_addr . inet_service : mark
            flags interval
            elements = { 2001:db8::10/124 . 0-65535 : 0x000003eb }
            }
            chain in {
            type filter hook input priority filter - 1; policy accept;
            meta mark set ip6 daddr . tcp dport map @tcp_map return
            }
            }";
        let lines: Vec<&str> = expected.lines().map(str::trim).collect();
        assert_eq!(listed(), lines);
        // The same spans with another mark, in one transaction; then fewer, then none.
        run.wish(marking(2, &both(1007))).await;
        assert_eq!(listed().iter().filter(|line| line.contains("0x000003ef")).count(), 2);
        run.wish(marking(3, &both(1007)[..1])).await;
        assert_eq!(
            listed().iter().filter(|line| line.contains("map {") || line.contains("_map {")).count(),
            1
        );
        run.wish(marking(4, &[])).await;
        assert_eq!(listed(), Vec::<String>::new());
        run.wanted.send_replace(Arc::new(marking(5, &both(1000))));
        run.wanted.send_replace(Arc::new(Ruleset {
            content: Content::Marks,
            generation: 6,
            ..Ruleset::default()
        }));
        drop(run.wanted);
        run.task.await.unwrap();
        assert_eq!(listed(), Vec::<String>::new());
    });
}

#[test]
fn ten_thousand_spans_are_one_transaction() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let addresses: Vec<String> =
            (0..10_000).map(|n| format!("10.{}.{}.{}", n / 5000, n / 250 % 20, n % 250)).collect();
        let marks: Vec<Marked<'_>> =
            addresses.iter().map(|a| (Transport::Tcp, [a.as_str(), a.as_str()], (80, 80), 1000)).collect();
        let first = run.wish(marking(1, &marks)).await;
        println!("MEASURED marks_10000_first_ms={:.1}", first.as_secs_f64() * 1000.0);
        assert_eq!(listed().iter().map(|line| line.matches("0x000003e8").count()).sum::<usize>(), 10_000);
    });
}
