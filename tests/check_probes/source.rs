//! Where checks come from: address, interface, port, mark.

use std::time::Duration;

use tandem::check::checkers::{ping, tcp, udp};
use tandem::check::plan::{Kind, UdpPlan};
use tokio::net::{TcpListener, UdpSocket};

use crate::world::{self, OURS, THEIRS, alone, ends, one, run, with_other};

/// More than one lost ARP request costs.
const LIMIT: Duration = Duration::from_secs(5);

/// The same four numbers check after check: what the last connection left behind must not be in the way.
#[test]
fn one_source_port_again_and_again() {
    alone(|| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let words = "TCP_CHECK {\n bindto 127.0.0.9\n bind_port 4000\n }";
        let config = one(&format!("127.0.0.1 {}", address.port()), words);
        let Kind::Tcp(target) = world::kind(&config) else { panic!("no TCP_CHECK") };
        for _ in 0..20 {
            assert_eq!(ends(LIMIT, tcp::check(&target)).await, "ok");
            let (_stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.to_string(), "127.0.0.9:4000");
        }

        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut target = world::target(socket.local_addr().unwrap(), Duration::from_millis(50));
        target.bind_port = Some(4001);
        let plan = UdpPlan { target, payload: Some(vec![1, 2]), reply: None };
        for _ in 0..3 {
            assert_eq!(ends(LIMIT, udp::check(&plan, [0; 8])).await, "ok");
            let mut buffer = [0; 10];
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..length], peer.port()), (&[1, 2][..], 4001));
        }
    });
}

/// A rule that sends marked packets nowhere tells the marked ones.
#[test]
fn marks_are_on_the_packets() {
    with_other("mark", |other| async move {
        run("ip rule add fwmark 7 priority 10 unreachable");
        run("ip -6 rule add fwmark 7 priority 10 unreachable");
        other.ip("link set lo up");
        let address = format!("{THEIRS}:9").parse().unwrap();
        let plain = world::target(address, LIMIT);
        let marked = world::marked(7, &plain);
        let other_mark = world::marked(8, &plain);
        for target in [&plain, &other_mark] {
            assert_eq!(ends(LIMIT, tcp::check(target)).await, "refused: connection refused");
            assert_eq!(ends(LIMIT, ping::check(target, 1, 2)).await, "ok");
        }
        for ended in [ends(LIMIT, tcp::check(&marked)).await, ends(LIMIT, ping::check(&marked, 1, 2)).await] {
            assert_eq!(ended, "unreachable: network unreachable");
        }
    });
}

#[test]
fn sources_that_are_not_there_are_named() {
    with_other("source", |_other| async move {
        let target = world::target(format!("{THEIRS}:9").parse().unwrap(), LIMIT);
        let mut from = target.clone();
        from.bindto = Some("192.0.2.9".parse().unwrap());
        let mut by = target.clone();
        by.bind_if = Some("eth9".to_owned());
        let mut mixed = target.clone();
        mixed.bindto = Some("::1".parse().unwrap());
        let mut good = target;
        good.bindto = Some(OURS.parse().unwrap());
        good.bind_if = Some("eth0".to_owned());
        let plan = |target: &_| UdpPlan {
            target: tandem::check::plan::Target::clone(target),
            payload: None,
            reply: None,
        };
        for bad in [from, by, mixed] {
            for ended in [
                ends(LIMIT, tcp::check(&bad)).await,
                ends(LIMIT, ping::check(&bad, 1, 2)).await,
                ends(LIMIT, udp::check(&plan(&bad), [0; 8])).await,
            ] {
                assert!(ended.starts_with("source: cannot use the source that "), "{ended}");
            }
        }
        assert_eq!(ends(LIMIT, ping::check(&good, 1, 2)).await, "ok");
        // A link-local target needs its interface, and no more.
        let mut local = good;
        local.bindto = None;
        local.address = "[fe80::1]:9".parse().unwrap();
        run("ip address add fe80::1/64 dev lo nodad");
        local.bind_if = Some("lo".to_owned());
        assert_eq!(ends(LIMIT, ping::check(&local, 1, 2)).await, "ok");
        assert_eq!(ends(LIMIT, tcp::check(&local)).await, "refused: connection refused");
    });
}
