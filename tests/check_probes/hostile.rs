//! Servers that mean ill, or are ill: nothing hangs, nothing grows, every end has a reason.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use openssl::hash::MessageDigest;

use super::tls::Files;
use super::world::{Program, alone, load, run_once};

/// Serves every connection with that function, on a thread of its own; the port.
fn server(talk: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_write_timeout(Some(Duration::from_secs(10)));
            talk(stream);
        }
    });
    port
}

/// Reads the head of a request, then says these and that so many times.
fn says(head: &'static [u8], block: &'static [u8], times: usize) -> u16 {
    server(move |mut stream| {
        let _ = stream.read(&mut [0; 2000]);
        let _ = stream.write_all(head);
        for _ in 0..times {
            if stream.write_all(block).is_err() {
                break;
            }
        }
    })
}

async fn run(port: u16, check: &str) -> String {
    run_once(&load(&format!(
        "virtual_server 192.0.2.1 80 {{\n protocol TCP\n connect_timeout 9\n real_server 127.0.0.1 {port} {{\n{check}\n}}\n}}\n"
    )))
    .await
}

fn page(words: &str) -> String {
    format!("HTTP_GET {{\nurl {{\npath /\n{words}\n}}\n}}")
}

/// The most memory that this process had so far, KiB.
pub fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// 100 MB, whatever is looked for in them: at most the first part is kept.
#[test]
fn a_body_of_100_megabytes_is_not_kept() {
    alone(|| async {
        let block: &'static [u8] = Box::leak(vec![b'x'; 1 << 20].into_boxed_slice());
        let quoted: &'static [u8] = Box::leak(vec![b'['; 1 << 20].into_boxed_slice());
        let head = b"HTTP/1.0 200 OK\r\nContent-Length: 104857600\r\nX-State: ready\r\n\r\n";
        let before = peak();
        for (block, words, wanted) in [
            (block, "", "ok"),
            (block, "expect_header X-State", "ok"),
            (block, "expect_header X-Other", "bad_header: header X-Other is missing"),
            (block, "regex y", "body_too_long: regex does not match in the first 1048576 bytes"),
            (block, "expect_json a", "bad_json: body is longer than the 1048576 bytes that are read as JSON"),
            (quoted, "expect_json a", "bad_json: body is longer than"),
        ] {
            let said = run(says(head, block, 100), &page(words)).await;
            assert!(said.starts_with(wanted), "{words}: {said}");
        }
        // A digest is of all of it, which an unoptimised build takes its time for.
        let digest = page("digest 5d41402abc4b2a76b9719d911017c592");
        let said = run(says(b"HTTP/1.0 200 OK\r\n\r\n", block, 16), &digest).await;
        assert!(said.starts_with("bad_digest: body has MD5 "), "{said}");
        let grown = peak() - before;
        assert!(grown < 32 * 1024, "the process grew by {grown} KiB");
    });
}

#[test]
fn broken_bodies_and_heads_have_a_reason() {
    alone(|| async {
        let reset = server(|mut stream| {
            let _ = stream.read(&mut [0; 2000]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"a\":");
            std::thread::sleep(Duration::from_millis(50));
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        });
        assert_eq!(run(reset, &page("expect_json a")).await, "cut: connection cut: reset by peer");
        let half = says(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"a\":1", b"", 0);
        let closed = "cut: connection cut: closed before the answer was complete";
        assert_eq!(run(half, &page("expect_json a")).await, closed);
        let endless = says(b"HTTP/1.1 200 OK\r\n", b"X-State: of no interest\r\n", 1_000_000);
        let said = run(endless, &page("expect_header \"X-State: ready\"")).await;
        assert_eq!(said, "protocol: not an HTTP answer: headers of more than 65536 bytes");
        let one_line = says(b"HTTP/1.1 200 OK\r\nX-State: ", &[b'x'; 1000], 1_000_000);
        let said = run(one_line, &page("expect_header \"X-State: ready\"")).await;
        assert_eq!(said, "protocol: not an HTTP answer: headers of more than 65536 bytes");
        let again = says(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 1_000_000);
        let said = run(again, &page("expect_header X-State")).await;
        assert_eq!(said, "protocol: not an HTTP answer: headers of more than 65536 bytes");
        let banner = server(|mut stream| while stream.write_all(&[b'2'; 1000]).is_ok() {});
        let said = run(banner, "SMTP_CHECK {\nsend_proxy v2\n}").await;
        assert_eq!(said, "garbled: not an SMTP server: a reply longer than 16384 bytes");
        // The words of the header may be hostile as well.
        let odd = says(b"HTTP/1.1 200 OK\r\nX-State: \xff\x1b[31m\x00\r\n\r\n", b"", 0);
        let said = run(odd, &page("expect_header \"X-State: ready\"")).await;
        assert!(said.starts_with("bad_header: ") && said.chars().all(|c| !c.is_control()), "{said:?}");
    });
}

/// A page that comes a byte at a time ends with the time limit, whatever is looked for in it.
#[test]
fn dripping_pages_end_in_time() {
    alone(|| async {
        for head in [&b"HTTP/1.1 200 OK\r\nX-State: "[..], b"HTTP/1.1 200 OK\r\nX-State: a\r\n\r\n{\"a\":\""]
        {
            let port = server(move |mut stream| {
                let _ = stream.read(&mut [0; 2000]);
                let _ = stream.write_all(head);
                while stream.write_all(b"x").is_ok() {
                    std::thread::sleep(Duration::from_millis(30));
                }
            });
            let check = page("expect_header X-State\nexpect_json a")
                .replace("HTTP_GET {", "HTTP_GET {\nconnect_timeout 0.4");
            assert_eq!(run(port, &check).await, "timeout: no answer within 0.4s");
        }
    });
}

/// A TLS server whose records carry no content, as fast as it can: other checks have their turn, and the time limit counts.
#[test]
fn endless_records_of_tls_without_content_end_in_time() {
    alone(|| async {
        let files = Files::new("records");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:4433", "-tls1_3"])
            .args(["-cert", &files.path("good.pem"), "-key", &files.path("good.key")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Its command for a new key; nothing else is said.
        let mut commands = child.stdin.take().unwrap();
        std::thread::spawn(move || while commands.write_all(&b"k\n".repeat(1000)).is_ok() {});
        let _server = Program(child);
        // Without a connection of our own: that one would get the commands, and the server would be gone.
        let began = Instant::now();
        while !fs::read_to_string("/proc/thread-self/net/tcp").unwrap().contains(":1151 00000000:0000 0A") {
            assert!(began.elapsed() < Duration::from_secs(20), "nobody listens on 4433");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let check = page("").replace("HTTP_GET {", "SSL_GET {\nconnect_timeout 0.7");
        let began = Instant::now();
        let mut others = 0;
        let counting = async {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                others += 1;
            }
        };
        let said = tokio::select! {
            said = run(4433, &check) => said,
            () = counting => unreachable!(),
        };
        assert!(
            said.starts_with("timeout: ") || said.starts_with("tls: ") || said.starts_with("cut: "),
            "{said}"
        );
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(others > 2 || !said.starts_with("timeout"), "nobody else had a turn");
    });
}
