//! What goes wrong on real machines: others that delete, bridges, subnets that vanish with their first address.

use std::time::{Duration, Instant};

use tandem::net::address::{AddressKey, AddressSpec, Wanted};

use crate::lab::{in_a_namespace, ip, key, shown, start};

fn plain(address: &str, prefix_len: u8) -> (AddressKey, AddressSpec) {
    (key(address, prefix_len), AddressSpec::default())
}

fn count(words: &str, part: &str) -> usize {
    shown(words).lines().filter(|line| line.contains(part)).count()
}

#[test]
fn a_namespace_whose_loopback_is_down_has_no_address_and_that_is_no_error() {
    in_a_namespace(|| async {
        for device in ["lo", "eth0", "peer"] {
            ip(&format!("link set {device} down"));
            ip(&format!("address flush dev {device}"));
        }
        assert_eq!(shown("-o address show"), "");
        let mut run = start().await;
        run.wish(1, &[plain("10.0.0.100", 24)], &[]).await;
        assert!(shown("address show dev eth0").contains("10.0.0.100/24"));
    });
}

#[test]
fn a_port_that_leaves_its_bridge_is_still_an_interface() {
    in_a_namespace(|| async {
        let mut run = start().await;
        ip("link add br0 type bridge");
        ip("link set eth0 master br0");
        run.links("the bridge", |l| l.contains_key("br0")).await;
        ip("link set eth0 nomaster");
        ip("link del br0");
        run.links("no bridge", |l| !l.contains_key("br0")).await;
        let links = run.links.borrow().clone();
        let eth0 = links.get("eth0").expect("eth0 is still there");
        assert!(eth0.up && eth0.has("10.0.0.1".parse().unwrap()), "{eth0:?}");
    });
}

#[test]
fn many_addresses_flushed_at_once_all_come_back_at_once() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let want: Vec<_> = (1..=30).map(|n| plain(&format!("10.3.0.{n}"), 32)).collect();
        run.wish(1, &want, &[]).await;
        run.links("all of them", |l| l["eth0"].addresses.len() >= 31).await;
        let begun = Instant::now();
        ip("-4 address flush dev eth0");
        let back = async {
            while count("-o -4 address show dev eth0", "10.3.0.") < 30 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1), back).await.expect("all back within a second");
        println!("MEASURED thirty_put_back_ms={:.1}", begun.elapsed().as_secs_f64() * 1000.0);
    });
}

#[test]
fn somebody_who_keeps_deleting_is_answered_each_second_at_least() {
    in_a_namespace(|| async {
        let mut run = start().await;
        run.wish(1, &[plain("10.0.0.100", 32)], &[]).await;
        for round in 1..=13u64 {
            ip("address del 10.0.0.100/32 dev eth0");
            let repaired = run.applied.wait_for(|a| a.repaired >= round);
            let begun = Instant::now();
            tokio::time::timeout(Duration::from_millis(1500), repaired)
                .await
                .unwrap_or_else(|_| panic!("round {round}: not put back"))
                .unwrap();
            if round > 10 {
                assert!(begun.elapsed() > Duration::from_millis(500), "round {round}: not held back");
            }
        }
    });
}

#[test]
fn an_address_that_goes_takes_no_other_of_ours_with_it() {
    in_a_namespace(|| async {
        std::fs::write("/proc/sys/net/ipv4/conf/eth0/promote_secondaries", "0").unwrap();
        std::fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "0").unwrap();
        let mut run = start().await;
        let (first, second) = (plain("10.5.0.100", 24), plain("10.5.0.101", 24));
        run.wish(1, &[first.clone(), second.clone()], &[]).await;
        // The kernel deletes a subnet's secondary addresses with its primary one.
        run.wish(2, &[second], &[first.0]).await;
        let text = shown("-4 address show dev eth0");
        assert!(text.contains("10.5.0.101/24") && !text.contains("10.5.0.100/24"), "{text}");
        assert_eq!(run.applied.borrow().repaired, 0, "our own doing is no repair");
    });
}

#[test]
fn an_interface_made_anew_is_no_repair() {
    in_a_namespace(|| async {
        let mut run = start().await;
        run.wish(1, &[plain("10.0.0.100", 32)], &[]).await;
        ip("link del eth0");
        run.links("no interface", |l| !l.contains_key("eth0")).await;
        ip("link add eth0 type veth peer name peer");
        run.links("its address", |l| {
            l.get("eth0").is_some_and(|eth0| eth0.has("10.0.0.100".parse().unwrap()))
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let applied = run.applied.borrow().clone();
        assert_eq!((applied.repaired, applied.errors), (0, Vec::new()));
    });
}

#[test]
fn a_point_to_point_address_comes_and_goes() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let spec = AddressSpec { peer: Some(("10.6.0.2".parse().unwrap(), 24)), ..AddressSpec::default() };
        let with_peer = (key("10.6.0.1", 24), spec);
        run.wish(1, std::slice::from_ref(&with_peer), &[]).await;
        assert!(shown("address show dev eth0").contains("inet 10.6.0.1 peer 10.6.0.2/24"));
        let other = AddressSpec { peer: Some(("10.6.0.9".parse().unwrap(), 24)), ..AddressSpec::default() };
        run.wish(2, &[(with_peer.0.clone(), other)], &[]).await;
        let text = shown("address show dev eth0");
        assert!(text.contains("inet 10.6.0.1 peer 10.6.0.9/24") && !text.contains("10.6.0.2"), "{text}");
        run.wish(3, &[], &[with_peer.0]).await;
        assert!(!shown("address show dev eth0").contains("10.6.0."));
    });
}

#[test]
fn a_duplicate_that_the_kernel_found_is_replaced_by_one_that_answers() {
    in_a_namespace(|| async {
        ip("-6 address add 2001:db8::100/64 dev peer nodad");
        ip("-6 address add 2001:db8::100/64 dev eth0");
        let found = async {
            while !shown("-6 address show dev eth0").contains("dadfailed") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), found).await.expect("a duplicate");
        let mut run = start().await;
        run.wish(1, &[plain("2001:db8::100", 64)], &[]).await;
        let text = shown("-6 address show dev eth0");
        assert!(text.contains("2001:db8::100/64") && !text.contains("dadfailed"), "{text}");
    });
}

#[test]
fn a_refusal_carries_the_kernels_words_and_is_tried_again() {
    in_a_namespace(|| async {
        let off = "/proc/sys/net/ipv6/conf/eth0/disable_ipv6";
        std::fs::write(off, "1").unwrap();
        let mut run = start().await;
        let wanted = plain("2001:db8::100", 64);
        let want = [wanted.clone()].into();
        let ours = [wanted.0].into();
        let wish = Wanted { generation: 1, want, ours, ..Wanted::default() };
        run.wanted.send_replace(std::sync::Arc::new(wish));
        let refused = run.applied.wait_for(|a| !a.errors.is_empty());
        let refused = tokio::time::timeout(Duration::from_secs(2), refused).await.expect("refused").unwrap();
        assert!(
            refused.errors[0].starts_with("adding 2001:db8::100/64 on eth0: ")
                && refused.errors[0].contains("IPv6 is disabled on this device"),
            "{:?}",
            refused.errors
        );
        drop(refused);
        std::fs::write(off, "0").unwrap();
        let healed = run.applied.wait_for(|a| a.errors.is_empty());
        tokio::time::timeout(Duration::from_secs(7), healed).await.expect("tried again").unwrap();
        assert!(shown("-6 address show dev eth0").contains("2001:db8::100/64"));
    });
}

#[test]
fn a_newer_wish_does_not_wait_for_a_thousand_addresses() {
    in_a_namespace(|| async {
        let mut run = start().await;
        let want: Vec<_> =
            (0..2000u32).map(|n| plain(&format!("10.9.{}.{}", n / 250, n % 250 + 1), 32)).collect();
        let keys: Vec<_> = want.iter().map(|(key, _)| key.clone()).collect();
        let map = want.into_iter().collect();
        let wish =
            Wanted { generation: 1, want: map, ours: keys.iter().cloned().collect(), ..Wanted::default() };
        run.wanted.send_replace(std::sync::Arc::new(wish));
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(run.applied.borrow().generation, 0, "the kernel is too fast for this test");
        let took = run.wish(2, &[], &keys).await;
        println!("MEASURED wish_withdrawn_ms={:.1}", took.as_secs_f64() * 1000.0);
        assert_eq!(count("-o -4 address show dev eth0", "10.9."), 0);
        let most = run.links.borrow()["eth0"].addresses.len();
        assert!(most < 1500, "all were added first: {most}");
    });
}

#[test]
fn the_same_address_of_somebody_else_with_another_prefix_stays() {
    in_a_namespace(|| async {
        ip("address add 10.7.0.100/24 dev eth0");
        let mut run = start().await;
        let ours = plain("10.7.0.100", 32);
        run.wish(1, std::slice::from_ref(&ours), &[]).await;
        assert_eq!(count("-o -4 address show dev eth0", "10.7.0.100"), 2);
        run.wish(2, &[], &[ours.0]).await;
        let text = shown("-o -4 address show dev eth0");
        assert!(text.contains("10.7.0.100/24") && !text.contains("10.7.0.100/32"), "{text}");
    });
}
