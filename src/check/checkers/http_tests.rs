//! Real sockets on the loopback: the bytes that are sent, and every way to fail.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::check::health::Rules;
use crate::check::plan::{Manner, Target};
use crate::config::model::StatusRange;

/// Of those that run into it.
const LIMIT: Duration = Duration::from_millis(500);
/// Of those that must not, however loaded the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

fn url(host: &str) -> UrlPlan {
    UrlPlan {
        path: "/p?a=b".to_owned(),
        host: Some(host.to_owned()),
        digest: None,
        status: vec![StatusRange { from: 200, to: 299 }],
        regex: None,
        server_name: None,
        certified: None,
        tls_compliant: false,
        headers: Vec::new(),
        json: Vec::new(),
    }
}

fn plan(address: SocketAddr) -> HttpPlan {
    HttpPlan {
        target: Target::new(address, PATIENCE),
        tls: None,
        protocol: HttpProtocol::V1_0,
        urls: vec![url(&address.to_string())].into(),
    }
}

fn request(plan: &HttpPlan) -> Result<Request, Failure> {
    let rules = Rules {
        delay_loop: LIMIT,
        retry: 0,
        delay_before_retry: LIMIT,
        urls: plan.urls.len(),
        fast_recovery: false,
        rise: 1,
        delay_before_rise: LIMIT,
        timeout_retry: None,
    };
    let kind = Kind::Http(Box::new(plan.clone()));
    let manner = Manner { rules, warmup: None, alpha: false, log_all_failures: false, share: true };
    let checker = CheckerPlan { kind, manner: manner.into() };
    Request::new(&Arc::new(checker), 0, &mut Shared::default())
}

async fn check(plan: &HttpPlan) -> Result<Success, Failure> {
    request(plan)?.check().await
}

/// Ten thousand of them may wait at a time. Above a kilobyte the allocator becomes slow, too.
#[test]
fn a_run_that_waits_is_small() {
    let plan = plan(SocketAddr::from(([127, 0, 0, 1], 80)));
    let size = size_of_val(&request(&plan).unwrap().check());
    assert!(size <= 1024, "{size} bytes");
}

/// Reads one request's head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap() == 0 {
            break;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A server for one connection: reads the request, does `answer`, gives the request back.
async fn server<A, F>(answer: A) -> (SocketAddr, JoinHandle<String>)
where
    A: FnOnce(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        answer(stream).await;
        head
    });
    (address, task)
}

async fn says(text: &'static str) -> (SocketAddr, JoinHandle<String>) {
    server(move |mut stream| async move { stream.write_all(text.as_bytes()).await.unwrap() }).await
}

const OK: &str = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// `printf hello | md5sum`
const HELLO: &str = "5d41402abc4b2a76b9719d911017c592";

#[tokio::test]
async fn the_request_is_keepalived_s() {
    for (protocol, line, close) in [
        (HttpProtocol::V1_0, "HTTP/1.0", ""),
        (HttpProtocol::V1_0Close, "HTTP/1.0", "Connection: close\r\n"),
        (HttpProtocol::V1_1, "HTTP/1.1", "Connection: close\r\n"),
    ] {
        let (address, task) = says(OK).await;
        let mut plan = plan(address);
        plan.protocol = protocol;
        assert_eq!(check(&plan).await, Ok(Success::default()));
        assert_eq!(
            task.await.unwrap(),
            format!("GET /p?a=b {line}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {address}\r\n\r\n")
        );
    }
}

#[tokio::test]
async fn a_virtualhost_is_the_host() {
    let (address, task) = says(OK).await;
    let mut plan = plan(address);
    plan.urls = vec![url("www.example.org")].into();
    assert_eq!(check(&plan).await, Ok(Success::default()));
    assert!(task.await.unwrap().contains("\r\nHost: www.example.org\r\n"));
}

#[tokio::test]
async fn status_and_digest_decide() {
    let with = |digest: Option<&str>, status: &[(u16, u16)]| {
        let mut wanted = url("h");
        wanted.digest = digest.map(str::to_owned);
        wanted.status = status.iter().map(|&(from, to)| StatusRange { from, to }).collect();
        wanted
    };
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let endless = "HTTP/1.0 200 OK\r\n\r\nhello";
    let plain = [(200, 299)];
    for (answer, wanted, result) in [
        (OK, with(None, &plain), "ok"),
        (OK, with(Some(HELLO), &plain), "ok"),
        (chunked, with(Some(HELLO), &plain), "ok"),
        (endless, with(Some(HELLO), &plain), "ok"),
        (
            OK,
            with(Some("00000000000000000000000000000000"), &plain),
            "body has MD5 5d41402abc4b2a76b9719d911017c592, wanted 00000000000000000000000000000000",
        ),
        (moved, with(None, &plain), "status 302, wanted 200-299"),
        (moved, with(None, &[(200, 200), (301, 303)]), "ok"),
        (OK, with(None, &[(204, 204), (301, 303)]), "status 200, wanted 204 301-303"),
    ] {
        let (address, task) = says(answer).await;
        let mut plan = plan(address);
        plan.urls = vec![wanted].into();
        let got = check(&plan).await.map_or_else(|failure| failure.to_string(), |_| "ok".to_owned());
        assert_eq!(got, result, "{answer}");
        task.await.unwrap();
    }
}

#[tokio::test]
async fn refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(check(&plan(address)).await, Err(Failure::Refused));
}

async fn times_out(address: SocketAddr) {
    let mut plan = plan(address);
    plan.target.timeout = LIMIT;
    let began: Instant = crate::clock::now();
    assert_eq!(check(&plan).await, Err(Failure::Timeout(LIMIT)));
    let took = crate::clock::now() - began;
    assert!(took >= LIMIT && took < 10 * LIMIT, "{took:?}");
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let (address, task) = server(|stream| async move {
        tokio::time::sleep(100 * LIMIT).await;
        drop(stream);
    })
    .await;
    times_out(address).await;
    task.abort();
}

/// Each byte comes in time; the whole does not.
#[tokio::test]
async fn a_slow_drip_times_out() {
    let (address, task) = server(|mut stream| async move {
        for byte in OK.bytes() {
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(LIMIT / 10).await;
        }
    })
    .await;
    times_out(address).await;
    task.abort();
}

#[tokio::test]
async fn cut_connections_are_named() {
    // Reset after the request.
    let (address, _) = server(|stream| async move {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    let result = check(&plan(address)).await;
    assert!(matches!(result, Err(Failure::Cut(_))), "{result:?}");
    // Closed without a word, and in the middle of the head.
    for part in ["", "HTTP/1.0 200 OK\r\nContent-Length: 50\r\n"] {
        let (address, _) = says(part).await;
        let result = check(&plan(address)).await;
        assert!(matches!(result, Err(Failure::Cut(_))), "{part}: {result:?}");
    }
}

/// As under keepalived: applications that count their own bytes wrongly have been up for years.
#[tokio::test]
async fn fewer_bytes_than_announced_are_judged_as_they_are() {
    let short = "HTTP/1.0 200 OK\r\nContent-Length: 50\r\n\r\nhello";
    let (address, _) = says(short).await;
    assert_eq!(check(&plan(address)).await, Ok(Success::default()));
    for (digest, good) in [(HELLO, true), ("00000000000000000000000000000000", false)] {
        let (address, _) = says(short).await;
        let mut plan = plan(address);
        plan.urls[0].digest = Some(digest.to_owned());
        assert_eq!(check(&plan).await.is_ok(), good, "{digest}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_named() {
    let (address, _) = says("220 mail.example.org ESMTP\r\n\r\n").await;
    let result = check(&plan(address)).await;
    assert!(matches!(result, Err(Failure::Protocol(_))), "{result:?}");
}

async fn endless(head: &'static [u8], block: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    server(move |mut stream| async move {
        if stream.write_all(head).await.is_err() {
            return;
        }
        while stream.write_all(block).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_huge_body_of_no_interest_is_not_read_to_its_end() {
    let (address, task) = endless(b"HTTP/1.0 200 OK\r\n\r\n", &[b'x'; 65_536]).await;
    assert_eq!(check(&plan(address)).await, Ok(Success::default()));
    task.await.unwrap();
}

/// A digest is of the whole page; nothing of it is kept, and the time limit ends what has no end.
#[tokio::test]
async fn a_body_without_end_has_no_digest() {
    let (address, task) = endless(b"HTTP/1.0 200 OK\r\n\r\n", &[b'x'; 65_536]).await;
    let mut plan = plan(address);
    plan.urls[0].digest = Some(HELLO.to_owned());
    plan.target.timeout = LIMIT;
    assert_eq!(check(&plan).await, Err(Failure::Timeout(LIMIT)));
    task.abort();
}

#[tokio::test]
async fn endless_headers_end() {
    let (address, task) = endless(b"HTTP/1.0 200 OK\r\n", b"X-Header: of no interest\r\n").await;
    let result = check(&plan(address)).await;
    assert!(
        matches!(&result, Err(Failure::Protocol(text)) if text.contains("headers of more")),
        "{result:?}"
    );
    task.await.unwrap();
}

#[tokio::test]
async fn a_digest_of_the_chunks_themselves_is_as_good() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let (address, _) = says(chunked).await;
    let mut plan = plan(address);
    // What keepalived's genhash prints for this answer.
    plan.urls[0].digest = Some("518e6ec1cc68803f00906df558bbb240".to_owned());
    assert_eq!(check(&plan).await, Ok(Success::default()));
}

#[tokio::test]
async fn patterns_decide() {
    let regex = RegexPlan::of;
    let bad = |pattern: &str| Err(Failure::NoMatch(pattern.to_owned()));
    let table = [
        (regex("l+o"), Ok(Success::default())),
        (regex("L+O"), bad("L+O")),
        (RegexPlan { options: vec!["caseless".to_owned()], ..regex("L+O") }, Ok(Success::default())),
        (RegexPlan { absent: true, ..regex("l+o") }, Err(Failure::BadMatch("l+o".to_owned()))),
        (RegexPlan { absent: true, ..regex("x") }, Ok(Success::default())),
        (RegexPlan { min: 2, ..regex("l") }, Ok(Success::default())),
        (RegexPlan { min: 4, ..regex("l") }, bad("l")),
        (RegexPlan { min: 99, ..regex("l") }, bad("l")),
        (RegexPlan { max: Some(3), ..regex("l") }, Ok(Success::default())),
        (RegexPlan { max: Some(2), ..regex("l") }, bad("l")),
        (RegexPlan { stack: Some((1000, 100_000)), ..regex("h.*o") }, Ok(Success::default())),
    ];
    for (wanted, result) in table {
        let (address, _) = says(OK).await;
        let mut plan = plan(address);
        plan.urls[0].regex = Some(wanted.clone());
        assert_eq!(check(&plan).await, result, "{wanted:?}");
    }
    let (address, _) = endless(b"HTTP/1.0 200 OK\r\n\r\n", &[b'x'; 65_536]).await;
    let mut plan = plan(address);
    plan.urls[0].regex = Some(regex("y"));
    assert_eq!(check(&plan).await, Err(Failure::BodyTooLong(MAX_TEXT)));
    plan.urls[0].regex = Some(regex("(y"));
    assert!(matches!(check(&plan).await, Err(Failure::BadRequest(_))));
}

#[tokio::test]
async fn sources_are_honoured() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut from = plan(listener.local_addr().unwrap());
    from.target.bindto = Some("127.0.0.9".parse().unwrap());
    from.target.bind_if = Some("lo".to_owned());
    let task = tokio::spawn(async move {
        let (mut stream, peer) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        peer.ip().to_string()
    });
    assert_eq!(check(&from).await, Ok(Success::default()));
    assert_eq!(task.await.unwrap(), "127.0.0.9");
    from.target.bind_if = Some("no-such-if".to_owned());
    let result = check(&from).await;
    assert_eq!(result, Err(Failure::Source("no such interface".to_owned())));
    from.target.bind_if = None;
    from.target.bindto = Some("192.0.2.1".parse().unwrap());
    let result = check(&from).await;
    assert!(matches!(result, Err(Failure::Source(_))), "{result:?}");
}

#[tokio::test]
async fn bad_words_are_named() {
    let mut bad = plan("127.0.0.1:80".parse().unwrap());
    bad.urls = vec![url("two\nlines")].into();
    assert!(matches!(check(&bad).await, Err(Failure::BadRequest(_))));
    assert_eq!(check(&plan("127.0.0.1:0".parse().unwrap())).await, Err(Failure::NoPort));
}

/// PCRE2 limits what it does from one place, and a long line has many: the check ends in time, and others have their turn.
#[test]
fn a_search_that_takes_minutes_holds_up_nobody() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = format!("HTTP/1.0 200 OK\r\n\r\n{}!", "<title>".repeat(130_000));
        let (address, _) = server(move |mut stream| async move {
            // The check may be gone before it has all.
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let mut plan = plan(address);
        plan.target.timeout = LIMIT;
        plan.urls[0].regex = Some(RegexPlan::of("<title>.{1,30000}?OK!"));
        let mut turns = 0;
        let counting = async {
            loop {
                tokio::time::sleep(LIMIT / 20).await;
                turns += 1;
            }
        };
        let result = tokio::select! {
            result = check(&plan) => result,
            () = counting => unreachable!(),
        };
        assert!(matches!(result, Err(Failure::Timeout(_) | Failure::BadRequest(_))), "{result:?}");
        assert!(turns > 3, "nobody else had a turn");
    });
    // The search goes on.
    runtime.shutdown_background();
}
