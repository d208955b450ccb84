//! Against a real kernel: how fast, how much, and with somebody else at the same table.

use std::time::{Duration, Instant};

use tandem::ipvs::kernel::read_all;
use tandem::ipvs::table::{Forward, Protocol, Table};

use super::ipvs_lab::{Running, address, in_namespace, ipvsadm, server, service, wait_saved, with};

use Forward::{DirectRoute, Tunnel};

#[test]
fn a_small_change_is_in_the_kernel_within_milliseconds() {
    in_namespace(|| {
        let key = address(Protocol::Tcp, "10.0.0.1:80");
        let table = |weight| {
            Table::from([(
                key,
                with(
                    service("wlc"),
                    [server("10.1.0.1", 80, DirectRoute, weight), server("10.1.0.2", 80, DirectRoute, 1)],
                ),
            )])
        };
        let mut running = Running::start();
        let started = Instant::now();
        running.apply(&table(0));
        let first = started.elapsed();
        let mut times: Vec<_> = (1..=50)
            .map(|weight| {
                let started = Instant::now();
                running.apply(&table(weight));
                started.elapsed()
            })
            .collect();
        times.sort();
        println!("first {first:?}, change: median {:?}, worst {:?}", times[25], times[49]);
        assert!(times[25] < Duration::from_millis(50), "{times:?}");
        running.stop();
    });
}

#[test]
fn a_thousand_services_come_change_and_go() {
    in_namespace(|| {
        let table = |weight| -> Table {
            (0..1000u16)
                .map(|index| {
                    let [high, low] = index.to_be_bytes();
                    let key = address(Protocol::Tcp, &format!("10.0.{high}.{low}:80"));
                    let servers = [
                        server("10.1.0.1", 80, DirectRoute, weight),
                        server("10.1.0.2", 80, DirectRoute, weight),
                    ];
                    (key, with(service("wlc"), servers))
                })
                .collect()
        };
        let mut running = Running::start();
        for (what, table) in [("add", table(1)), ("set", table(2)), ("delete", Table::new())] {
            let started = Instant::now();
            let report = running.apply(&table);
            println!("{what}: {:?}", started.elapsed());
            assert_eq!(*report.table, table);
            let started = Instant::now();
            assert_eq!(read_all().unwrap(), table);
            println!("read: {:?}", started.elapsed());
        }
        running.stop();
    });
}

#[test]
fn a_service_with_two_thousand_destinations() {
    in_namespace(|| {
        let key = address(Protocol::Tcp, "10.0.0.1:80");
        let table = |count: u16| -> Table {
            let destinations = (0..count).map(|index| {
                let [high, low] = index.to_be_bytes();
                server(&format!("10.1.{high}.{low}"), 80, DirectRoute, 1)
            });
            let mut entry = with(service("wlc"), []);
            entry.destinations = destinations.collect();
            Table::from([(key, entry)])
        };
        let mut running = Running::start();
        for count in [2000, 1000, 1500] {
            running.apply(&table(count));
            // Many datagrams long: nothing is lost or doubled.
            assert_eq!(read_all().unwrap(), table(count));
        }
        running.stop();
    });
}

#[test]
fn two_who_fight_over_a_service_end_with_what_is_desired() {
    in_namespace(|| {
        let key = address(Protocol::Tcp, "10.0.0.1:80");
        let foreign = "-A -f 7 -s fo\n-a -f 7 -r 10.1.0.1:0 -g -w 1";
        ipvsadm(foreign);
        let table = |round: u32| {
            let other =
                server("10.1.0.2", 80, if round.is_multiple_of(2) { DirectRoute } else { Tunnel }, round);
            let mut table = Table::from([(
                key,
                with(service("wlc"), [server("10.1.0.1", 80, DirectRoute, round), other]),
            )]);
            if round.is_multiple_of(3) {
                table.clear();
            }
            table
        };
        let mut running = Running::start();
        for round in 1..=40 {
            running.want(&table(round));
            let damage = [
                "-D -t 10.0.0.1:80",
                "-A -t 10.0.0.1:80 -s rr",
                "-d -t 10.0.0.1:80 -r 10.1.0.1:80",
                "-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 77",
                "-a -t 10.0.0.1:80 -r 10.1.0.9:80 -m -w 78",
            ][round as usize % 5];
            // Refused or not, as it comes.
            let _ = std::process::Command::new("ipvsadm").args(damage.split(' ')).output().unwrap();
        }
        let report = running.apply(&table(40));
        println!("{} repaired", report.drift_repaired);
        wait_saved(&format!(
            "{foreign}
             -A -t 10.0.0.1:80 -s wlc
             -a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 40
             -a -t 10.0.0.1:80 -r 10.1.0.2:80 -g -w 40"
        ));
        assert_eq!(*running.wait(|report| report.errors.is_empty()).table, table(40));
        running.stop();
    });
}
