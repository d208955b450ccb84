//! A real socket with clients that mean no good.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::path::PathBuf;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::super::socket::Socket;
use super::*;

/// A door whose deciding part answers with a document of so many bytes.
struct Door {
    path: PathBuf,
    _socket: Socket,
    _end: oneshot::Sender<()>,
}

fn door(name: &str, bytes: usize) -> Door {
    let path = std::env::temp_dir().join(format!("tandem-door-{name}-{}", std::process::id()));
    let (listener, socket) = Socket::bind(&path).unwrap();
    let listener = UnixListener::from_std(listener).unwrap();
    let (asks, mut asked) = mpsc::channel::<Ask>(8);
    let (end, ended) = oneshot::channel();
    tokio::spawn(serve(listener, asks, ended));
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            let body = format!("\"{}{:?}\"", "x".repeat(bytes), ask.caller.to_string()).into_bytes();
            let _ = ask.reply.send(Reply::Now(Answer { status: 200, body }));
        }
    });
    Door { path, _socket: socket, _end: end }
}

impl Door {
    async fn say(&self, text: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        let _ = stream.write_all(text).await;
        stream
    }

    /// What comes back until the end.
    async fn hear(&self, text: &[u8]) -> String {
        let mut stream = self.say(text).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn good(&self) -> String {
        self.hear(b"GET /v1 HTTP/1.1\r\nhost: x\r\n\r\n").await
    }
}

fn run<F: Future<Output = ()>>(test: F) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn answers_come_with_who_asked() {
    run(async {
        let door = door("who", 0);
        let answer =
            door.hear(b"POST /v1/real-servers/-/10.0.0.1:80/drain HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let wanted = format!("(uid={},pid={})", nix::unistd::getuid(), std::process::id());
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(&wanted), "{answer}");
        // Half closed, as `nc -N` does it.
        let mut stream = door.say(b"GET /v1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
}

/// A socket that is forwarded to a port is in reach of a browser, and a page may have its own name lead there.
#[test]
fn what_came_by_a_strange_name_is_not_answered() {
    run(async {
        let door = door("names", 0);
        for (host, wanted) in [
            ("host: evil.example:9650\r\n", "HTTP/1.1 403"),
            ("host: \u{e9}vil.example\r\n", "HTTP/1.1 403"),
            ("host: localhost:9650\r\n", "HTTP/1.1 200"),
            ("host: tandem\r\n", "HTTP/1.1 200"),
        ] {
            for words in ["GET /v1/overrides", "GET /v1/status", "GET /"] {
                let answer = door.hear(format!("{words} HTTP/1.1\r\n{host}\r\n").as_bytes()).await;
                assert!(answer.starts_with(wanted), "{words} {host}: {answer}");
            }
        }
        let answer = door.hear(b"GET /v1 HTTP/1.0\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.0 200"), "who says nothing is no browser: {answer}");
    });
}

#[test]
fn what_a_client_asked_that_is_gone_is_not_wanted() {
    use crate::control::routes::Life;
    for order in [Life::Reload, Life::Upgrade, Life::Leave] {
        let (reply, answer) = oneshot::channel();
        let caller = Caller { uid: 0, user: None, pid: None, host: None };
        let ask = Ask { request: Request::Life(order), caller, reply };
        let ask = ask.wanted().unwrap();
        assert!(ask.request == Request::Life(order));
        drop(answer);
        assert!(ask.wanted().is_none());
    }
}

#[test]
fn requests_that_mean_nothing_are_refused() {
    run(async {
        let door = door("refused", 0);
        let huge_header =
            format!("GET /v1 HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024)).into_bytes();
        let many_headers =
            format!("GET /v1 HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(500)).into_bytes();
        let long = format!(
            "POST /v1/real-servers/-/10.0.0.1:80/drain HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n{}",
            " ".repeat(99_999)
        );
        for (text, wanted) in [
            (&b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\n\r\n"[..], "HTTP/1.1 404"),
            (b"PUT /v1/overrides HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 405"),
            (b"nonsense\r\n\r\n", "HTTP/1.1 400"),
            (b"\x16\x03\x01\x02\x00\x01\x00", "HTTP/1.1 400"),
            (&huge_header, "HTTP/1.1 431"),
            (&many_headers, "HTTP/1.1 431"),
            (long.as_bytes(), "HTTP/1.1 413"),
        ] {
            let answer = door.hear(text).await;
            assert!(
                answer.starts_with(wanted),
                "{:?}: {answer}",
                String::from_utf8_lossy(&text[..40.min(text.len())])
            );
        }
        assert!(door.good().await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn clients_that_never_end_or_never_read_hold_up_nobody() {
    run(async {
        // Far more than a socket's buffer takes.
        let door = door("hostile", 200 * 1024);
        let mut hostile = Vec::new();
        for n in 0..100 {
            let text: &[u8] = match n % 4 {
                0 => b"GET /v1 HTTP/1.1\r\nhost: x\r\n",
                1 => b"GET /v1 HTTP/1.1\r\nhost: x\r\n\r\n",
                2 => b"POST /v1/real-servers/-/10.0.0.1/drain HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
                _ => b"",
            };
            hostile.push(door.say(text).await);
        }
        let begun = Instant::now();
        for _ in 0..20 {
            assert!(door.good().await.starts_with("HTTP/1.1 200"));
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        // A head that never ends is over after its time.
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), hostile[0].read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "it is still connected after {:?}", begun.elapsed());
    });
}

#[test]
fn beyond_the_bound_clients_are_turned_away_at_once() {
    run(async {
        let door = door("many", 0);
        let mut idle = Vec::new();
        for _ in 0..CLIENTS {
            idle.push(door.say(b"").await);
        }
        let answer = door.good().await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("ask again later"), "{answer}");
        idle.clear();
        // Their places are free again.
        let begun = Instant::now();
        while !door.good().await.starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn large_answers_are_held_for_few() {
    run(async {
        let bytes = LARGE_ROOM / 8;
        let door = door("large", bytes);
        let mut sleepers = Vec::new();
        for _ in 0..8 {
            sleepers.push(door.say(b"GET /v1 HTTP/1.1\r\nhost: x\r\n\r\n").await);
        }
        let begun = Instant::now();
        while !door.good().await.starts_with("HTTP/1.1 503") {
            assert!(begun.elapsed() < Duration::from_secs(10), "large answers without bound");
        }
        sleepers.clear();
        while !door.good().await.starts_with("HTTP/1.1 200") {
            assert!(begun.elapsed() < Duration::from_secs(20), "the room for answers is not given back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Each answer in the making may hold a whole configuration.
#[test]
fn few_answers_are_made_at_a_time() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    run(async {
        let path = std::env::temp_dir().join(format!("tandem-door-makers-{}", std::process::id()));
        let (listener, _socket) = Socket::bind(&path).unwrap();
        let (asks, mut asked) = mpsc::channel::<Ask>(8);
        let (_end, ended) = oneshot::channel();
        tokio::spawn(serve(UnixListener::from_std(listener).unwrap(), asks, ended));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let greatest = Arc::clone(&most);
        tokio::spawn(async move {
            while let Some(ask) = asked.recv().await {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                let _ = ask.reply.send(Reply::Later(Box::new(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                    Answer { status: 200, body: b"{}".to_vec() }
                })));
            }
        });
        let mut clients = Vec::new();
        for _ in 0..16 {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(b"GET /v1/overrides HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            clients.push(stream);
        }
        for mut stream in clients {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        assert_eq!(greatest.load(Ordering::SeqCst), MAKERS);
    });
}
