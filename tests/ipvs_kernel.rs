//! The IPVS thread against a real kernel, compared with what the real `ipvsadm` says. Needs root and ip_vs: where the
//! running kernel has none these tests fail, and say so; the Makefile runs them in the lab's virtual machine.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "tests take the time and may unwrap"
)]

mod ipvs_lab;
#[path = "ipvs_lab/load.rs"]
mod load;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use ipvs_lab::{
    Running, address, command, fwmark, in_namespace, ipvsadm, saved, server, service, sorted, wait_saved,
    with,
};
use tandem::ipvs::counter::Counter;
use tandem::ipvs::diff::diff;
use tandem::ipvs::kernel::read_all;
use tandem::ipvs::table::{Family, Forward, Persistence, Protocol, Service, Table};

use Forward::{DirectRoute, Masquerade, Tunnel};

const SCHEDULERS: [&str; 13] =
    ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "fo", "ovf", "mh"];

fn persistent(scheduler: &str, timeout: u32, granularity: u8) -> Service {
    Service { persistence: Some(Persistence { timeout, granularity }), ..service(scheduler) }
}

/// Nothing would be changed if this table were desired now.
fn assert_right(desired: &Table) {
    let actual = read_all().expect("reading");
    let ours = actual.keys().chain(desired.keys()).copied().collect();
    let changes: Vec<_> = diff(&actual, desired, &ours).iter().map(ToString::to_string).collect();
    assert_eq!(changes, Vec::<String>::new());
}

#[test]
fn every_scheduler_with_every_forwarding_method() {
    in_namespace(|| {
        let mut table = Table::new();
        let mut expected = String::new();
        for (port, scheduler) in (8000u16..).zip(SCHEDULERS) {
            let servers = [
                server("10.1.0.1", 80, Masquerade, 1),
                server("10.1.0.2", port, DirectRoute, 0),
                server("10.1.0.3", port, Tunnel, 65535),
            ];
            table.insert(
                address(Protocol::Tcp, &format!("10.0.0.1:{port}")),
                with(service(scheduler), servers),
            );
            expected += &format!(
                "-A -t 10.0.0.1:{port} -s {scheduler}
                 -a -t 10.0.0.1:{port} -r 10.1.0.1:80 -m -w 1
                 -a -t 10.0.0.1:{port} -r 10.1.0.2:{port} -g -w 0
                 -a -t 10.0.0.1:{port} -r 10.1.0.3:{port} -i -w 65535\n"
            );
        }
        let mut running = Running::start();
        let report = running.apply(&table);
        assert_eq!(saved(), sorted(&expected));
        assert_eq!((report.errors, report.drift_repaired), (vec![], 0));
        assert_eq!(*report.table, table);
        assert_right(&table);

        // Turned round: every service gets the next scheduler, every weight and method changes.
        let mut turned = table.clone();
        for (index, entry) in turned.values_mut().enumerate() {
            entry.service.scheduler = SCHEDULERS[(index + 1) % SCHEDULERS.len()].to_owned();
            for settings in entry.destinations.values_mut() {
                settings.weight += 1;
                settings.forward = if settings.forward == Masquerade { DirectRoute } else { Masquerade };
            }
        }
        running.apply(&turned);
        let mut expected = String::new();
        for (index, port) in (8000u16..).take(SCHEDULERS.len()).enumerate() {
            let scheduler = SCHEDULERS[(index + 1) % SCHEDULERS.len()];
            expected += &format!(
                "-A -t 10.0.0.1:{port} -s {scheduler}
                 -a -t 10.0.0.1:{port} -r 10.1.0.1:80 -g -w 2
                 -a -t 10.0.0.1:{port} -r 10.1.0.2:{port} -m -w 1
                 -a -t 10.0.0.1:{port} -r 10.1.0.3:{port} -m -w 65536\n"
            );
        }
        assert_eq!(saved(), sorted(&expected));

        running.apply(&Table::new());
        assert_eq!(saved(), [""; 0]);
        running.stop();
    });
}

/// One service of each kind: protocols, families, marks, persistence, flags, thresholds.
fn kinds() -> (Table, &'static str) {
    let mut limited = server("10.1.0.2", 53, DirectRoute, 3);
    limited.1.upper_threshold = 100;
    limited.1.lower_threshold = 40;
    let table = BTreeMap::from([
        (
            address(Protocol::Tcp, "10.0.0.1:443"),
            with(persistent("wlc", 360, 24), [server("10.1.0.1", 443, DirectRoute, 1)]),
        ),
        (
            address(Protocol::Udp, "10.0.0.1:53"),
            with(Service { one_packet: true, ..service("rr") }, [limited]),
        ),
        (
            address(Protocol::Sctp, "10.0.0.1:3868"),
            with(
                Service { scheduler_flags: 0b11, ..service("sh") },
                [server("10.1.0.1", 3868, Masquerade, 1)],
            ),
        ),
        (
            address(Protocol::Tcp, "10.0.0.2:0"),
            with(persistent("wrr", 50, 32), [server("10.1.0.1", 0, DirectRoute, 1)]),
        ),
        (
            address(Protocol::Tcp, "[2001:db8::1]:80"),
            with(
                persistent("mh", 1, 64),
                [server("2001:db8:1::1", 80, DirectRoute, 1), server("10.1.0.9", 80, Tunnel, 2)],
            ),
        ),
        (fwmark(Family::V4, 1), with(service("nq"), [server("10.1.0.1", 0, DirectRoute, 1)])),
        (fwmark(Family::V6, 2), with(service("lc"), [server("2001:db8:1::2", 0, Tunnel, 7)])),
    ]);
    let words = "
        -A -t 10.0.0.1:443 -s wlc -p 360 -M 255.255.255.0
        -a -t 10.0.0.1:443 -r 10.1.0.1:443 -g -w 1
        -A -u 10.0.0.1:53 -s rr -o
        -a -u 10.0.0.1:53 -r 10.1.0.2:53 -g -w 3 -x 100 -y 40
        -A --sctp-service 10.0.0.1:3868 -s sh -b sh-fallback,sh-port
        -a --sctp-service 10.0.0.1:3868 -r 10.1.0.1:3868 -m -w 1
        -A -t 10.0.0.2:0 -s wrr -p 50
        -a -t 10.0.0.2:0 -r 10.1.0.1:0 -g -w 1
        -A -t [2001:db8::1]:80 -s mh -p 1 -M 64
        -a -t [2001:db8::1]:80 -r [2001:db8:1::1]:80 -g -w 1
        -a -t [2001:db8::1]:80 -r 10.1.0.9:80 -i -w 2
        -A -f 1 -s nq
        -a -f 1 -r 10.1.0.1:0 -g -w 1
        -A -f 2 -6 -s lc
        -a -f 2 -6 -r [2001:db8:1::2]:0 -i -w 7";
    (table, words)
}

#[test]
fn every_kind_of_service_as_ipvsadm_lists_it() {
    in_namespace(|| {
        let (table, words) = kinds();
        let mut running = Running::start();
        let report = running.apply(&table);
        assert_eq!(*report.table, table);
        assert_right(&table);
        assert_eq!(saved(), sorted(&words.replace(" -x 100 -y 40", "")));
        let thresholds = command("ipvsadm", &["-L", "-n", "--thresholds", "-u", "10.0.0.1:53"]);
        let line = thresholds.lines().find(|line| line.contains("-> 10.1.0.2:53")).expect("the server");
        assert_eq!(line.split_whitespace().skip(2).take(2).collect::<Vec<_>>(), ["100", "40"]);
        running.stop();
    });
}

#[test]
fn a_table_that_ipvsadm_made_is_read_as_what_it_is() {
    in_namespace(|| {
        let (table, words) = kinds();
        ipvsadm(words);
        assert_right(&table);
    });
}

/// A client's connection through a service to a server, all on this host.
fn connection() -> (TcpListener, TcpStream, TcpStream) {
    command("ip", &["address", "add", "10.0.0.1/32", "dev", "lo"]);
    command("ip", &["address", "add", "10.1.0.1/32", "dev", "lo"]);
    command("ip", &["address", "add", "10.1.0.2/32", "dev", "lo"]);
    let listener = TcpListener::bind("10.1.0.1:80").unwrap();
    let client = TcpStream::connect("10.0.0.1:80").unwrap();
    let (server, _) = listener.accept().unwrap();
    (listener, client, server)
}

fn assert_alive(client: &mut TcpStream, server: &mut TcpStream) {
    client.write_all(b"ping").unwrap();
    server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
}

fn connections() -> Vec<String> {
    sorted(&command("ipvsadm", &["-L", "-n", "-c"]))
        .into_iter()
        .filter(|line| line.contains("ESTABLISHED"))
        // Without the time that is left.
        .map(|line| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn adoption_and_edits_keep_connections_and_counters() {
    in_namespace(|| {
        ipvsadm(
            "-A -t 10.0.0.1:80 -s wlc
             -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1",
        );
        let (_listener, mut client, mut server_end) = connection();
        let before = connections();
        assert_eq!(before.len(), 1, "{before:?}");
        let counted = || {
            let text = command("ipvsadm", &["-L", "-n", "--stats", "--exact", "-t", "10.0.0.1:80"]);
            let line =
                text.lines().find(|line| line.contains("-> 10.1.0.1:80")).expect("the server").to_owned();
            line.split_whitespace().nth(2).unwrap().parse::<u64>().unwrap()
        };
        // The kernel sums its counters up every 2 s.
        let deadline = Instant::now() + ipvs_lab::LIMIT;
        while counted() == 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(counted(), 1);

        // Adopted: no change at all.
        let key = address(Protocol::Tcp, "10.0.0.1:80");
        let mut table = Table::from([(key, with(service("wlc"), [server("10.1.0.1", 80, Masquerade, 1)]))]);
        assert_right(&table);
        let mut running = Running::start();
        running.apply(&table);
        assert_eq!(connections(), before);
        assert_eq!(counted(), 1);

        // Edited in place: scheduler, persistence, weight, another server.
        let entry = table.get_mut(&key).unwrap();
        entry.service = persistent("rr", 300, 32);
        entry.destinations =
            [server("10.1.0.1", 80, Masquerade, 0), server("10.1.0.2", 80, Masquerade, 5)].into();
        running.apply(&table);
        assert_eq!(
            saved(),
            sorted(
                "-A -t 10.0.0.1:80 -s rr -p 300
                 -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0
                 -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 5"
            )
        );
        assert_eq!(connections(), before);
        assert_eq!(counted(), 1);
        assert_alive(&mut client, &mut server_end);

        // A dead process leaves the table; the next one adopts it.
        running.stop();
        let mut running = Running::start();
        running.apply(&table);
        assert_eq!((connections(), counted()), (before, 1));
        assert_alive(&mut client, &mut server_end);
        running.stop();
    });
}

#[test]
fn counts_are_what_ipvsadm_says_and_are_zeroed() {
    in_namespace(|| {
        ipvsadm("-A -u 10.0.0.9:53 -s rr");
        let one = address(Protocol::Tcp, "10.0.0.1:80");
        let other = fwmark(Family::V4, 5);
        let table = Table::from([
            // What arrives by DR is still for 10.0.0.1, where nobody listens.
            (one, with(service("wlc"), [server("10.1.0.1", 80, Masquerade, 1)])),
            (other, with(service("rr"), [server("10.1.0.2", 0, DirectRoute, 1)])),
        ]);
        let mut running = Running::start();
        running.apply(&table);
        let (_listener, mut client, mut server_end) = connection();
        assert_alive(&mut client, &mut server_end);
        let read = || Counter::default().read(&|key| table.contains_key(key)).expect("reading");
        let counts = read();
        assert_eq!((counts.services.len(), counts.foreign), (2, 1));
        let (key, real) = counts.services[&one].destinations.iter().next().expect("a destination");
        assert_eq!((key.to_string().as_str(), real.active, real.inactive), ("10.1.0.1:80", 1, 0));
        // The same numbers as another program reads: connections, packets, bytes, from clients and to them. The kernel sums
        // them up every 2 s.
        let theirs = || {
            let said = command("ipvsadm", &["-L", "-n", "--stats", "--exact", "-t", "10.0.0.1:80"]);
            ["TCP", "->"].map(|begins| {
                let line =
                    said.lines().rfind(|line| line.trim_start().starts_with(begins)).expect("its line");
                line.split_whitespace().skip(2).map(|word| word.parse().unwrap()).collect::<Vec<u64>>()
            })
        };
        let ours = || {
            let service = read().services[&one].clone();
            let real = service.destinations.values().next().expect("a destination").traffic;
            [service.traffic, real]
                .map(|t| vec![t.connections, t.packets_in, t.packets_out, t.bytes_in, t.bytes_out])
        };
        let deadline = Instant::now() + ipvs_lab::LIMIT;
        while (ours()[1][0] == 0 || ours() != theirs()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(200));
        }
        let [service, real] = ours();
        assert_eq!([&service, &real], theirs().each_ref());
        assert!(real[0] == 1 && real[1] > 2 && real[3] > 100, "{real:?}");
        assert!(counts.services[&other].traffic.connections == 0);

        let not_there = address(Protocol::Tcp, "10.0.0.8:80");
        let zeroed = Counter::default().zero(&[one, other, not_there]).expect("zeroing");
        assert!(zeroed.services == 2 && zeroed.problem.is_none(), "{zeroed:?}");
        let real = *read().services[&one].destinations.values().next().expect("a destination");
        assert_eq!((real.active, real.traffic.connections, real.traffic.bytes_in), (1, 0, 0));
        assert_alive(&mut client, &mut server_end);
        running.stop();
    });
}

#[test]
fn services_of_others_are_never_touched() {
    in_namespace(|| {
        let foreign = "
            -A -t 10.0.0.1:81 -s rr -p 70
            -a -t 10.0.0.1:81 -r 10.1.0.1:80 -m -w 9
            -A -u 10.0.0.1:80 -s sh
            -A -f 7 -s fo
            -a -f 7 -r 10.1.0.1:0 -g -w 1";
        ipvsadm(foreign);
        let ours = Table::from([(
            address(Protocol::Tcp, "10.0.0.1:80"),
            with(service("wlc"), [server("10.1.0.1", 80, DirectRoute, 1)]),
        )]);
        let mut running = Running::start();
        let report = running.apply(&ours);
        assert_eq!(*report.table, ours);
        let both = format!(
            "{foreign}
             -A -t 10.0.0.1:80 -s wlc
             -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1"
        );
        assert_eq!(saved(), sorted(&both));
        running.apply(&Table::new());
        assert_eq!(saved(), sorted(foreign));
        running.stop();
        assert_eq!(saved(), sorted(foreign));
    });
}

#[test]
fn what_others_change_in_ours_is_put_back_and_counted() {
    in_namespace(|| {
        let table = Table::from([
            (
                address(Protocol::Tcp, "10.0.0.1:80"),
                with(
                    service("wlc"),
                    [server("10.1.0.1", 80, DirectRoute, 1), server("10.1.0.2", 80, DirectRoute, 2)],
                ),
            ),
            (fwmark(Family::V4, 5), with(service("rr"), [server("10.1.0.1", 0, DirectRoute, 1)])),
        ]);
        let words = "
            -A -t 10.0.0.1:80 -s wlc
            -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 1
            -a -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 2
            -A -f 5 -s rr
            -a -f 5 -r 10.1.0.1:0 -g -w 1";
        let mut running = Running::start();
        running.apply(&table);
        wait_saved(words);
        let mut repaired = 0;
        for (damage, changes) in [
            ("-C", 5),
            ("-d -t 10.0.0.1:80 -r 10.1.0.1:80", 1),
            ("-e -t 10.0.0.1:80 -r 10.1.0.2:80 -i -w 9", 1),
            ("-E -t 10.0.0.1:80 -s nq -p 77", 1),
            ("-a -f 5 -r 10.1.0.66:0 -g -w 1", 1),
            ("-D -f 5", 2),
        ] {
            ipvsadm(damage);
            let started = Instant::now();
            repaired += changes;
            let report = running.wait(|report| report.drift_repaired >= repaired);
            println!("{damage}: repaired after {:?}", started.elapsed());
            assert_eq!(report.drift_repaired, repaired, "{damage}");
            assert_eq!(saved(), sorted(words), "{damage}");
        }
        running.stop();
    });
}

#[test]
fn what_the_kernel_refuses_is_named_and_the_rest_is_applied() {
    in_namespace(|| {
        let good = address(Protocol::Tcp, "10.0.0.2:80");
        let bad = address(Protocol::Tcp, "10.0.0.1:80");
        let mut table = Table::from([
            (bad, with(service("nosuch"), [server("10.1.0.1", 80, DirectRoute, 1)])),
            (
                good,
                with(
                    service("wlc"),
                    [server("10.1.0.1", 80, DirectRoute, 1), server("224.0.0.1", 80, DirectRoute, 1)],
                ),
            ),
        ]);
        let mut running = Running::start();
        running.want(&table);
        let report = running.wait(|report| report.errors.len() == 2);
        assert_eq!(
            report.errors,
            [
                "the kernel refused to add service TCP 10.0.0.1:80 (nosuch): ENOENT: the kernel has no scheduler \
                 `nosuch`: load its module with `modprobe ip_vs_nosuch`, or choose another lb_algo",
                "the kernel refused to add TCP 10.0.0.2:80 -> 224.0.0.1:80 (DR, weight 1): EINVAL: the real \
                 server's address must be a unicast address (no broadcast, multicast or link-local one)",
            ]
        );
        assert_eq!(report.applied, 0);
        assert_eq!(saved(), sorted("-A -t 10.0.0.2:80 -s wlc\n-a -t 10.0.0.2:80 -r 10.1.0.1:80 -g -w 1"));
        table.get_mut(&bad).unwrap().service.scheduler = "rr".to_owned();
        table.get_mut(&good).unwrap().destinations.retain(|key, _| !key.address.is_multicast());
        let report = running.apply(&table);
        assert_eq!(report.errors, [""; 0]);
        assert_eq!(*report.table, table);
        running.stop();
    });
}
