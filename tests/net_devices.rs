//! Interfaces of our own and their settings on a real kernel, each test in a network namespace of its own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tandem::net::device::{DevicePlan, IpvlanFlag, Kind, Wanted};
use tandem::net::device_writer::{self, Applied};
use tandem::net::monitor;
use tandem::net::sysctl::{Key, Memory, Wish};
use tokio::sync::watch;

#[path = "net_kernel/lab.rs"]
#[allow(dead_code, reason = "shared with the address tests")]
mod lab;

use lab::{in_a_namespace, ip, shown};

fn plan(name: &str, ipv6: bool) -> DevicePlan {
    DevicePlan {
        name: name.to_owned(),
        parent: "eth0".to_owned(),
        kind: Kind::Macvlan,
        mac: Some([0, 0, 0x5e, 0, if ipv6 { 2 } else { 1 }, 51]),
        ipv4: !ipv6,
        ipv6,
        link_local: ipv6,
        address: None,
        group: None,
        announce_parent: false,
    }
}

fn wish(generation: u64, plans: &[DevicePlan]) -> Arc<Wanted> {
    let devices = plans.iter().map(|plan| (plan.name.clone(), plan.clone())).collect();
    Arc::new(Wanted { generation, devices, ..Wanted::default() })
}

struct Running {
    wanted: watch::Sender<Arc<Wanted>>,
    applied: watch::Receiver<Applied>,
    task: tokio::task::JoinHandle<()>,
}

async fn start(memory: Memory) -> Running {
    let (links_out, links) = watch::channel(Arc::new(monitor::first_dump().await.unwrap()));
    tokio::spawn(monitor::run(links_out));
    let (wanted, wishes) = watch::channel(Arc::new(Wanted::default()));
    let (applied_out, applied) = watch::channel(Applied::default());
    let task = tokio::spawn(device_writer::run(wishes, links, applied_out, memory));
    Running { wanted, applied, task }
}

impl Running {
    async fn wish(&mut self, generation: u64, plans: &[DevicePlan]) -> Applied {
        self.wanted.send_replace(wish(generation, plans));
        let done = self.applied.wait_for(|a| a.generation == generation);
        let applied =
            tokio::time::timeout(Duration::from_secs(5), done).await.expect("applied").unwrap().clone();
        assert_eq!(applied.errors, Vec::<String>::new());
        applied
    }
}

fn value(key: &Key) -> String {
    std::fs::read_to_string(key.path()).unwrap().trim().to_owned()
}

fn v4(interface: &str, name: &str) -> String {
    value(&Key::v4(interface, name))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within two seconds: {what}");
}

/// The kernel says `state UP` a moment after the interface is up.
async fn settled(name: &str) {
    until("state UP", || as_ip_shows_it(name).contains("state UP")).await;
}

/// What `ip -details link` says of interfaces that keepalived makes, without what differs from run to run.
fn as_ip_shows_it(name: &str) -> String {
    let text = shown(&format!("-details link show dev {name}"));
    let text = text.split("numtxqueues").next().unwrap();
    let words: Vec<_> = text.split_whitespace().skip(1).collect();
    words.join(" ")
}

#[test]
fn a_vmac_is_as_keepalived_makes_it() {
    in_a_namespace(|| async {
        ip("address add fe80::2/64 dev eth0 nodad");
        let mut run = start(Memory::default()).await;
        let applied = run.wish(1, &[plan("vrrp.51", false), plan("vrrp6.51", true)]).await;
        assert_eq!(applied.warnings, Vec::<String>::new());
        // From `ip -d link` under keepalived 2.2.7, `use_vmac`, in a namespace on this kind of kernel.
        let golden = |name: &str, mac: &str| {
            format!(
                "{name}@eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group \
                 default qlen 1000 link/ether {mac} brd ff:ff:ff:ff:ff:ff promiscuity 0"
            )
        };
        for (name, mac) in [("vrrp.51", "00:00:5e:00:01:33"), ("vrrp6.51", "00:00:5e:00:02:33")] {
            settled(name).await;
            let is = as_ip_shows_it(name);
            assert!(is.starts_with(&golden(name, mac)), "{is}");
            assert!(is.contains("macvlan mode private") && is.contains("addrgenmode none"), "{is}");
        }
        let expected =
            [("arp_ignore", "1"), ("accept_local", "1"), ("promote_secondaries", "1"), ("rp_filter", "0")];
        for (name, is) in expected {
            assert_eq!(v4("vrrp.51", name), is, "{name}");
        }
        assert_eq!(value(&Key::v6("vrrp.51", "disable_ipv6")), "1");
        assert_eq!(value(&Key::v6("vrrp6.51", "disable_ipv6")), "0");
        assert_eq!((v4("eth0", "arp_ignore"), v4("eth0", "arp_filter")), ("1".to_owned(), "1".to_owned()));
        let six = shown("-details -6 address show dev vrrp6.51");
        assert!(six.contains("inet6 fe80::2/64 scope link nodad deprecated"), "{six}");
        assert!(!shown("-6 address show dev vrrp.51").contains("inet6"));
        // Again: nothing to do, and the same interfaces.
        let before = shown("-oneline link");
        run.wish(2, &[plan("vrrp.51", false), plan("vrrp6.51", true)]).await;
        assert_eq!(shown("-oneline link"), before);

        // Stop.
        run.wanted.send_replace(wish(3, &[]));
        drop(run.wanted);
        run.task.await.unwrap();
        assert!(!shown("link").contains("vrrp"), "{}", shown("link"));
        assert_eq!((v4("eth0", "arp_ignore"), v4("eth0", "arp_filter")), ("0".to_owned(), "0".to_owned()));
        assert_eq!(run.applied.borrow().memory, Memory::default());
    });
}

#[test]
fn rp_filter_of_all_gives_way_and_comes_back_after_a_crash() {
    in_a_namespace(|| async {
        let set = |key: Key, value: &str| std::fs::write(key.path(), value).unwrap();
        set(Key::v4("all", "rp_filter"), "1");
        set(Key::v4("peer", "rp_filter"), "2");
        set(Key::v4("eth0", "rp_filter"), "0");
        let mut run = start(Memory::default()).await;
        let memory = run.wish(1, &[plan("vrrp.51", false)]).await.memory;
        let all = |names: [&str; 4]| names.map(|name| v4(name, "rp_filter"));
        let names = ["all", "eth0", "peer", "vrrp.51"];
        assert_eq!(all(names), ["0", "1", "2", "0"]);
        settled("vrrp.51").await;
        // Killed: the interface and the settings stay.
        run.task.abort();
        let _ = run.task.await;
        let mut run = start(memory).await;
        let index = shown("-oneline link show dev vrrp.51");
        run.wish(1, &[plan("vrrp.51", false)]).await;
        assert_eq!(shown("-oneline link show dev vrrp.51"), index, "it is taken over, not made anew");
        assert_eq!(all(names), ["0", "1", "2", "0"]);
        run.wanted.send_replace(wish(2, &[]));
        drop(run.wanted);
        run.task.await.unwrap();
        assert_eq!(all(["all", "eth0", "peer", "lo"]), ["1", "0", "2", "0"]);
    });
}

#[test]
fn it_comes_back_with_its_parent() {
    in_a_namespace(|| async {
        let mut run = start(Memory::default()).await;
        run.wish(1, &[plan("vrrp.51", false)]).await;
        ip("link del eth0");
        until("the device goes with its parent", || !shown("link").contains("vrrp.51")).await;
        let waits = run.applied.wait_for(|a| a.warnings.iter().any(|w| w.contains("waits for eth0")));
        tokio::time::timeout(Duration::from_secs(2), waits).await.expect("it is said").unwrap();
        ip("link add eth0 type veth peer name peer");
        until("it is there again", || shown("link").contains("vrrp.51@eth0")).await;
        ip("link set peer up");
        ip("link set eth0 up");
        until("and up", || as_ip_shows_it("vrrp.51").contains("<BROADCAST,MULTICAST,UP,LOWER_UP>")).await;
        until("with the parent's settings", || v4("eth0", "arp_ignore") == "1").await;
        let well = run.applied.wait_for(|a| a.warnings.is_empty() && a.errors.is_empty());
        tokio::time::timeout(Duration::from_secs(2), well).await.expect("all is well").unwrap();
    });
}

#[test]
fn one_deleted_by_hand_is_made_again_and_a_foreign_one_is_left_alone() {
    in_a_namespace(|| async {
        ip("link add vrrp.9 link eth0 type macvlan mode bridge");
        let mut run = start(Memory::default()).await;
        let applied = run.wish(1, &[plan("vrrp.51", false), plan("vrrp.9", false)]).await;
        assert_eq!(
            applied.warnings,
            [
                "there is an interface vrrp.9 that is not ours: it is left alone; remove it, or name another in use_vmac"
            ]
        );
        ip("link del vrrp.51");
        until("it is made again", || shown("link").contains("vrrp.51@eth0")).await;
        run.wish(2, &[]).await;
        assert!(shown("-details link show dev vrrp.9").contains("macvlan mode bridge"));
        assert!(!shown("link").contains("vrrp.51"));
    });
}

#[test]
fn settings_that_are_wished_by_themselves() {
    in_a_namespace(|| async {
        let run = start(Memory::default()).await;
        let key = Key::v4("eth0", "promote_secondaries");
        std::fs::write(key.path(), "0").unwrap();
        let sysctls = BTreeMap::from([(key.clone(), Wish::Exactly(1))]);
        let wanted = Wanted { generation: 1, sysctls, ..Wanted::default() };
        run.wanted.send_replace(Arc::new(wanted));
        until("it is set", || value(&key) == "1").await;
        run.wanted.send_replace(wish(2, &[]));
        until("it is put back", || value(&key) == "0").await;
    });
}

#[test]
fn the_groups_of_the_local_network_are_not_reported_while_that_is_wished() {
    in_a_namespace(|| async {
        let key = Key::v4("", "igmp_link_local_mcast_reports");
        let mut run = start(Memory::default()).await;
        let sysctls = [(key.clone(), Wish::Exactly(0))].into();
        run.wanted.send_replace(Arc::new(Wanted { generation: 1, sysctls, ..Wanted::default() }));
        until("no reports", || value(&key) == "0").await;
        run.wish(2, &[]).await;
        assert_eq!(value(&key), "1");
    });
}

#[test]
fn listeners_hear_of_the_parent_when_that_is_wished() {
    in_a_namespace(|| async {
        let mut run = start(Memory::default()).await;
        // The kernel tells late (up to a second) what became of eth0 itself, and of its first device.
        settled("eth0").await;
        run.wish(1, &[plan("vrrp.51", false)]).await;
        run.wish(2, &[]).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        // Messages about eth0 while a VMAC is made on it.
        let mut heard = Vec::new();
        for (generation, announce_parent) in [(3, false), (5, true)] {
            let mut monitor = std::process::Command::new("ip")
                .args(["-oneline", "monitor", "link"])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let plan = DevicePlan { announce_parent, ..plan("vrrp.51", false) };
            run.wish(generation, &[plan]).await;
            settled("vrrp.51").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            monitor.kill().unwrap();
            let out = monitor.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            heard.push(
                text.lines().filter(|line| line.contains(": eth0@") || line.contains(": eth0:")).count(),
            );
            run.wish(generation + 1, &[]).await;
        }
        assert!(heard[1] > heard[0], "messages about eth0 without and with the word: {heard:?}");
    });
}

#[test]
fn an_ipvlan_has_its_address_from_the_start() {
    in_a_namespace(|| async {
        let probe = std::process::Command::new("ip")
            .args("link add probe link eth0 type ipvlan mode l2".split_whitespace())
            .output()
            .unwrap();
        if !probe.status.success() {
            println!(
                "SKIPPED: this kernel has no ipvlan ({})",
                String::from_utf8_lossy(&probe.stderr).trim()
            );
            return;
        }
        ip("link del probe");
        let four = DevicePlan {
            kind: Kind::Ipvlan(IpvlanFlag::Private),
            mac: None,
            address: Some(("10.0.0.9".parse().unwrap(), 24)),
            ..plan("ipv0", false)
        };
        let six = DevicePlan {
            kind: Kind::Ipvlan(IpvlanFlag::Private),
            mac: None,
            link_local: false,
            ..plan("ipv6", true)
        };
        let mut run = start(Memory::default()).await;
        run.wish(1, &[four.clone(), six.clone()]).await;
        let shows = as_ip_shows_it("ipv0");
        assert!(shows.contains("ipvlan mode l2 private"), "{shows}");
        assert!(shown("address show dev ipv0").contains("inet 10.0.0.9/24"));
        until("a link-local address of its own", || shown("-6 address show dev ipv6").contains("inet6 fe80"))
            .await;
        let before = shown("-oneline link");
        run.wish(2, &[four, six]).await;
        assert_eq!(shown("-oneline link"), before, "it is found as it was made");
        run.wish(3, &[]).await;
        assert!(!shown("link").contains("ipv"), "{}", shown("link"));
    });
}

#[test]
fn a_link_local_address_that_its_parent_gets_later_is_copied() {
    in_a_namespace(|| async {
        ip("link set eth0 addrgenmode none");
        ip("-6 address flush dev eth0");
        let mut run = start(Memory::default()).await;
        run.wish(1, &[plan("vrrp6.51", true)]).await;
        assert!(!shown("-6 address show dev vrrp6.51").contains("fe80"));
        ip("address add fe80::3/64 dev eth0 nodad");
        until("the copy", || shown("-6 address show dev vrrp6.51").contains("inet6 fe80::3/64")).await;
    });
}

#[test]
fn a_read_only_proc_sys_is_one_warning() {
    in_a_namespace(|| async {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        for words in ["--make-rprivate /", "--bind /proc/sys /proc/sys", "-o remount,ro,bind /proc/sys"] {
            let status = std::process::Command::new("mount").args(words.split(' ')).status().unwrap();
            assert!(status.success(), "mount {words}");
        }
        let mut run = start(Memory::default()).await;
        let applied = run.wish(1, &[plan("vrrp.51", false)]).await;
        assert!(shown("link show up").contains("vrrp.51@eth0"));
        assert_eq!(applied.memory, Memory::default());
        let of_the_parent = "/proc/sys/net is read-only here, so that these settings stay as they are: \
                             net.ipv4.conf.eth0.arp_filter=1 net.ipv4.conf.eth0.arp_ignore=1; set them on the host";
        assert!(applied.warnings.iter().any(|w| w.starts_with(of_the_parent)), "{:?}", applied.warnings);
    });
}
