//! The monitor and the address writer on a real kernel, each test in a network namespace of its own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::net::address::{AddressKey, AddressSpec, PROTOCOL, Wanted};

#[path = "net_kernel/lab.rs"]
mod lab;
#[path = "net_kernel/routing.rs"]
mod routing;
#[path = "net_kernel/swift.rs"]
mod swift;
#[path = "net_kernel/trouble.rs"]
mod trouble;

use lab::{in_a_namespace, ip, key, shown, start};

#[test]
fn the_monitor_sees_what_happens() {
    in_a_namespace(|| async {
        let mut run = start().await;
        run.links("eth0 with its address", |l| l["eth0"].up && l["eth0"].has("10.0.0.1".parse().unwrap()))
            .await;
        assert!(run.links.borrow()["lo"].loopback);
        assert!(run.links.borrow()["eth0"].mac.is_some());
        ip("address add 10.0.0.7/32 dev eth0 label eth0:x");
        run.links("a new address", |l| {
            l["eth0"].addresses.iter().any(|a| a.label.as_deref() == Some("eth0:x"))
        })
        .await;
        ip("address del 10.0.0.7/32 dev eth0");
        run.links("it is gone", |l| !l["eth0"].has("10.0.0.7".parse().unwrap())).await;
        ip("link set peer down");
        run.links("no carrier", |l| !l["eth0"].up).await;
        ip("link set peer up");
        run.links("carrier", |l| l["eth0"].up).await;
        ip("link del eth0");
        run.links("no interface", |l| !l.contains_key("eth0")).await;
        ip("link add eth0 type veth peer name peer");
        run.links("made anew", |l| l.contains_key("eth0")).await;
    });
}

#[test]
fn addresses_come_as_wished_and_go_again() {
    in_a_namespace(|| async {
        let mut run = start().await;
        ip("address add 10.0.0.50/24 dev eth0");
        let labelled = AddressSpec {
            label: Some("eth0:v".to_owned()),
            broadcast: Some("10.0.0.255".parse().unwrap()),
            ..AddressSpec::default()
        };
        let linked = AddressSpec { scope: 253, ..AddressSpec::default() };
        let want = [
            (key("10.0.0.100", 24), AddressSpec::default()),
            (key("10.0.0.101", 32), labelled),
            (key("10.0.0.102", 32), linked),
            (key("2001:db8::100", 64), AddressSpec::default()),
        ];
        let took = run.wish(1, &want, &[]).await;
        println!("MEASURED four_addresses_ms={:.2}", took.as_secs_f64() * 1000.0);
        let text = shown("-details address show dev eth0");
        assert!(
            text.contains("inet 10.0.0.100/24 scope global secondary proto 18 eth0")
                || text.contains("inet 10.0.0.100/24 scope global secondary eth0"),
            "{text}"
        );
        assert!(text.contains("inet 10.0.0.101/32 brd 10.0.0.255 scope global"), "{text}");
        assert!(text.contains("eth0:v"), "{text}");
        assert!(text.contains("inet 10.0.0.102/32 scope link"), "{text}");
        assert!(text.contains("inet6 2001:db8::100/64 scope global nodad"), "{text}");
        let found =
            run.links.wait_for(|l| l["eth0"].has("10.0.0.100".parse().unwrap())).await.unwrap().clone();
        let protocol =
            found["eth0"].addresses.iter().find(|a| a.address.to_string() == "10.0.0.100").unwrap().protocol;
        assert!(protocol == PROTOCOL || protocol == 0, "{protocol}");

        let ours: Vec<_> = want.iter().map(|(k, _)| k.clone()).collect();
        let took = run.wish(2, &[], &ours).await;
        println!("MEASURED four_addresses_removed_ms={:.2}", took.as_secs_f64() * 1000.0);
        let text = shown("address show dev eth0");
        assert!(!text.contains("10.0.0.10") && !text.contains("2001:db8"), "{text}");
        assert!(
            text.contains("10.0.0.1/24") && text.contains("10.0.0.50/24"),
            "others are left alone: {text}"
        );
    });
}

#[test]
fn what_somebody_deletes_is_put_back_at_once() {
    in_a_namespace(|| async {
        let mut run = start().await;
        run.wish(1, &[(key("10.0.0.100", 32), AddressSpec::default())], &[]).await;
        run.links("the address", |l| l["eth0"].has("10.0.0.100".parse().unwrap())).await;
        let begun = Instant::now();
        ip("address del 10.0.0.100/32 dev eth0");
        let repaired = run.applied.wait_for(|a| a.repaired == 1);
        tokio::time::timeout(Duration::from_secs(2), repaired).await.expect("repaired").unwrap();
        println!("MEASURED address_put_back_ms={:.2}", begun.elapsed().as_secs_f64() * 1000.0);
        assert!(shown("address show dev eth0").contains("10.0.0.100/32"));
    });
}

#[test]
fn whoever_keeps_deleting_does_not_win() {
    in_a_namespace(|| async {
        let mut run = start().await;
        run.wish(1, &[(key("10.0.0.100", 32), AddressSpec::default())], &[]).await;
        // Asked of the kernel: what is put back at once may never be seen missing.
        let there = async || {
            while !shown("address show dev eth0").contains("10.0.0.100/32") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        for _ in 0..16 {
            tokio::time::timeout(Duration::from_secs(5), there()).await.expect("put back");
            ip("address del 10.0.0.100/32 dev eth0");
        }
        tokio::time::timeout(Duration::from_secs(5), there()).await.expect("put back at last");
    });
}

#[test]
fn an_interface_that_comes_later_gets_its_addresses() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let later = AddressKey { interface: "late0".to_owned(), ..key("10.1.0.100", 24) };
        run.wish(1, &[(later, AddressSpec::default())], &[]).await;
        ip("link add late0 type veth peer name late1");
        let there = async {
            while !shown("address show dev late0").contains("10.1.0.100/24") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3), there).await.expect("the address on the new interface");
    });
}

#[test]
fn a_leftover_is_removed_and_the_last_wish_is_applied_at_the_end() {
    in_a_namespace(|| async {
        ip("address add 10.0.0.100/24 dev eth0");
        let mut run = start().await;
        run.wish(1, &[], &[key("10.0.0.100", 24)]).await;
        assert!(!shown("address show dev eth0").contains("10.0.0.100"));
        let want = BTreeMap::from([(key("10.0.0.100", 24), AddressSpec::default())]);
        let ours = BTreeSet::from([key("10.0.0.100", 24)]);
        run.wanted.send_replace(Arc::new(Wanted { generation: 2, want, ours, ..Wanted::default() }));
        drop(run.wanted);
        tokio::time::timeout(Duration::from_secs(2), run.writer).await.expect("the writer ends").unwrap();
        assert!(shown("address show dev eth0").contains("10.0.0.100/24"));
    });
}

#[test]
fn a_thousand_addresses() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let want: Vec<_> = (0..1000u32)
            .map(|n| (key(&format!("10.9.{}.{}", n / 250, n % 250 + 1), 32), AddressSpec::default()))
            .collect();
        let took = run.wish(1, &want, &[]).await;
        println!("MEASURED thousand_addresses_ms={:.1}", took.as_secs_f64() * 1000.0);
        assert_eq!(shown("-o -4 address show dev eth0").lines().count(), 1001);
    });
}

#[test]
fn how_long_an_address_takes() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let ours = key("10.0.0.100", 24);
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for round in 0..100u64 {
            added.push(run.wish(2 * round + 1, &[(ours.clone(), AddressSpec::default())], &[]).await);
            removed.push(run.wish(2 * round + 2, &[], std::slice::from_ref(&ours)).await);
        }
        assert_eq!(run.applied.borrow().repaired, 0);
        for (what, mut times) in [("add", added), ("remove", removed)] {
            times.sort();
            let ms = |at: usize| times[at].as_secs_f64() * 1000.0;
            println!("MEASURED address_{what}_ms median={:.2} p90={:.2} worst={:.2}", ms(50), ms(90), ms(99));
            assert!(times[50] < Duration::from_millis(50), "{what}: {:?}", times[50]);
        }
    });
}
