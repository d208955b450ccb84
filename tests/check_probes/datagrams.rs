//! DNS_CHECK and UDP_CHECK against real services and against datagrams of every bad kind.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tandem::check::checkers::{dns, udp};
use tandem::check::plan::{DnsPlan, Kind, UdpPlan};
use tandem::config::model::DnsType;
use tokio::net::UdpSocket;

use crate::world::{self, Program, Running, alone, ends, one, with_other};

const LIMIT: Duration = Duration::from_millis(400);

fn dnsmasq() -> Program {
    let words = "--keep-in-foreground --conf-file=/dev/null --pid-file --no-resolv --no-hosts --port=5353 --user=root \
                 --listen-address=127.0.0.1 --bind-interfaces --host-record=www.example,192.0.2.7 --local=/example/";
    let child = Command::new("dnsmasq").args(words.split_whitespace()).stderr(Stdio::null()).spawn();
    Program(child.expect("dnsmasq (package dnsmasq-base)"))
}

/// Answers every datagram with what `answer` makes of it.
async fn server(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for datagram in answer(&buffer[..length]) {
                let _ = socket.send_to(&datagram, from).await;
            }
        }
    });
    address
}

#[test]
fn a_real_name_server_comes_goes_and_returns() {
    alone(|| async {
        let check = "DNS_CHECK {\n type A\n name www.example\n retry 1\n alpha\n }";
        let mut running = Running::start(one("127.0.0.1 5353", check), Default::default());
        running.weights(&[]).await;
        let server = dnsmasq();
        running.weights(&[1]).await;
        assert_eq!(running.event().await, "up: DNS_CHECK succeeded");
        drop(server);
        running.weights(&[]).await;
        assert_eq!(running.event().await, "down: DNS_CHECK www.example A: connection refused (try 2 of 2)");
        let _again = dnsmasq();
        running.weights(&[1]).await;

        // The same server: records that are not there are an answer, names that are not there are none.
        let ask = async |name: &str, kind| {
            let target = world::target("127.0.0.1:5353".parse().unwrap(), LIMIT * 5);
            ends(LIMIT * 5, dns::check(&DnsPlan { target, kind, name: name.to_owned() }, 4711)).await
        };
        assert_eq!(ask("www.example.", DnsType::A).await, "ok");
        assert_eq!(ask("WWW.Example", DnsType::A).await, "ok");
        assert_eq!(ask("www.example", DnsType::Aaaa).await, "ok");
        assert_eq!(ask("no.example", DnsType::A).await, "bad_rcode: DNS answer with rcode 3 (NXDOMAIN)");
        assert_eq!(ask("elsewhere.test", DnsType::Soa).await, "bad_rcode: DNS answer with rcode 5 (REFUSED)");
        let empty = "bad_request: cannot ask for this: name \"a..b\": it has an empty label";
        assert_eq!(ask("a..b", DnsType::A).await, empty);
    });
}

#[test]
fn datagrams_that_are_no_answer() {
    fn edit(question: &[u8], edit: impl Fn(&mut Vec<u8>)) -> Vec<Vec<u8>> {
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        edit(&mut answer);
        vec![answer]
    }
    type Answer = Box<dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send>;
    alone(|| async {
        let cases: Vec<(Answer, &str)> = vec![
            (Box::new(|q| edit(q, |_| {})), "ok"),
            (Box::new(|q| edit(q, |a| a[3] |= 2)), "bad_rcode: DNS answer with rcode 2 (SERVFAIL)"),
            // A forged one, then the right one.
            (Box::new(|q| [edit(q, |a| a[0] ^= 1), edit(q, |_| {})].concat()), "ok"),
            (Box::new(|q| edit(q, |a| a.resize(4000, 0xC0))), "ok"),
            (Box::new(|_| vec![]), "timeout: no answer within 0.4s"),
            (Box::new(|_| vec![vec![]]), "garbled: only a datagram shorter than a DNS header came"),
            (Box::new(|_| vec![vec![0xFF; 60_000]]), "garbled: only an answer with another id came"),
            (Box::new(|q| vec![q.to_vec()]), "garbled: only a datagram that is no answer came"),
            (Box::new(|q| edit(q, |a| a[13] ^= 4)), "garbled: only the answer to another question came"),
            (
                Box::new(|q| vec![q[..5].to_vec(); 100]),
                "garbled: only a datagram shorter than a DNS header came",
            ),
        ];
        for (n, (answer, ended)) in cases.into_iter().enumerate() {
            let target = world::target(server(answer).await, LIMIT);
            let plan = DnsPlan { target, kind: DnsType::A, name: "www.example".to_owned() };
            assert_eq!(ends(LIMIT, dns::check(&plan, 0x1234)).await, ended, "case {n}");
        }
    });
}

async fn udp_ends(address: SocketAddr, words: &str) -> String {
    let config = one(&address.to_string().replace(':', " "), &format!("UDP_CHECK {{\n{words}\n}}"));
    let Kind::Udp(plan) = world::kind(&config) else { panic!("no UDP_CHECK") };
    let plan = UdpPlan { target: world::target(address, LIMIT), ..*plan };
    ends(LIMIT, udp::check(&plan, [7; 8])).await
}

#[test]
fn udp_replies_and_payloads() {
    alone(|| async {
        let echo = server(|heard| vec![heard.to_vec()]).await;
        let silent = server(|_| vec![]).await;
        let empty = server(|_| vec![vec![]]).await;
        let huge = server(|_| vec![vec![0x41; 60_000]]).await;
        for (address, words, ended) in [
            (silent, "", "ok"),
            (silent, "require_reply", "timeout: no answer within 0.4s"),
            (echo, "", "ok"),
            (echo, "require_reply", "ok"),
            (echo, "require_reply 0707070707070707", "ok"),
            (echo, "payload 70696e67\nrequire_reply 70696E67", "ok"),
            (echo, "payload Ab12f 3\nrequire_reply ab XX 0f", "ok"),
            (
                echo,
                "payload 70696e67\nrequire_reply 706f",
                "bad_bytes: reply differs from require_reply at byte 1",
            ),
            (
                echo,
                "payload 7069\nrequire_reply\nmin_reply_length 3",
                "bad_length: reply of 2 bytes, wanted 3 to 255",
            ),
            (empty, "require_reply", "ok"),
            (empty, "require_reply\nmin_reply_length 1", "bad_length: reply of 0 bytes, wanted 1 to 255"),
            (huge, "", "ok"),
            (huge, "require_reply", "bad_length: reply of more than 255 bytes, wanted 0 to 255"),
            (huge, "require_reply\nmax_reply_length 65535", "ok"),
            ("127.0.0.1:9".parse().unwrap(), "require_reply", "refused: connection refused"),
            ("127.0.0.1:9".parse().unwrap(), "", "refused: connection refused"),
        ] {
            assert_eq!(udp_ends(address, words).await, ended, "{words}");
        }
    });
}

#[test]
fn a_udp_service_comes_goes_and_returns() {
    alone(|| async {
        let listen = async || UdpSocket::bind("127.0.0.1:7007").await.unwrap();
        let echo = |socket: UdpSocket| {
            tokio::spawn(async move {
                let mut buffer = [0; 100];
                while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                    let _ = socket.send_to(&buffer[..length], from).await;
                }
            })
        };
        let first = echo(listen().await);
        let check = "UDP_CHECK {\n payload 01\n require_reply 01\n }";
        let mut running = Running::start(one("127.0.0.1 7007", check), Default::default());
        running.weights(&[1]).await;
        running.status("checks", |status| status.checks > 2).await;
        first.abort();
        assert_eq!(running.event().await, "down: UDP_CHECK: connection refused (try 2 of 2)");
        let _again = echo(listen().await);
        assert_eq!(running.event().await, "up: UDP_CHECK succeeded");
    });
}

/// Nobody has that address: the kernel finds out by ARP after about three seconds, and tells datagrams too.
#[test]
fn a_host_that_is_not_there() {
    with_other("arp", |_other| async move {
        let limit = Duration::from_secs(10);
        let target = world::target("10.9.0.77:53".parse().unwrap(), limit);
        let plan = UdpPlan { target: target.clone(), payload: None, reply: None };
        let dns = DnsPlan { target: target.clone(), kind: DnsType::A, name: ".".to_owned() };
        let (udp, dns, ping, nowhere) = tokio::join!(
            ends(limit, udp::check(&plan, [7; 8])),
            ends(limit, dns::check(&dns, 1)),
            ends(limit, tandem::check::checkers::ping::check(&target, 1, 1)),
            udp_ends("203.0.113.1:9".parse().unwrap(), ""),
        );
        assert_eq!([udp, dns, ping], ["unreachable: host unreachable"; 3]);
        assert_eq!(nowhere, "unreachable: network unreachable");
    });
}
