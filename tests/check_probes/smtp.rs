//! SMTP_CHECK against a real server and against what only pretends to be one.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tandem::check::checkers::smtp::check;
use tandem::check::plan::{Kind, SmtpPlan};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{self, Program, Running, alone, ends, one};

const LIMIT: Duration = Duration::from_millis(600);

/// Debian's Python: another one that is first in the path may not have it.
fn aiosmtpd() -> Program {
    let child = Command::new("/usr/bin/python3")
        .args(["-m", "aiosmtpd", "-n", "-l", "127.0.0.1:2525"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Program(child.expect("python3 with aiosmtpd (package python3-aiosmtpd)"))
}

#[test]
fn a_real_server_comes_goes_and_returns() {
    alone(|| async {
        let config = one("127.0.0.1 2525", "SMTP_CHECK {\n helo_name check.example\n alpha\n }");
        let mut running = Running::start(config, Default::default());
        running.weights(&[]).await;
        let server = aiosmtpd();
        running.weights(&[1]).await;
        assert_eq!(running.event().await, "up: SMTP_CHECK succeeded");
        drop(server);
        running.weights(&[]).await;
        let reason = running.event().await;
        assert!(reason.starts_with("down: SMTP_CHECK: connection "), "{reason}");
        let _again = aiosmtpd();
        running.weights(&[1]).await;
    });
}

/// Answers each connection with `talk`.
async fn server<F>(talk: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream));
        }
    });
    address
}

/// Says its lines, one after each line that it hears, then stays silent with the connection open.
async fn script(lines: &'static [&'static str]) -> SocketAddr {
    server(move |stream| async move {
        let mut stream = BufReader::new(stream);
        for (n, say) in lines.iter().enumerate() {
            let mut heard = String::new();
            if n > 0 && stream.read_line(&mut heard).await.unwrap_or(0) == 0 {
                return;
            }
            let _ = stream.write_all(say.as_bytes()).await;
        }
        std::future::pending::<()>().await;
    })
    .await
}

async fn probe(address: SocketAddr) -> String {
    let plan = SmtpPlan { target: world::target(address, LIMIT), helo: "check.example".to_owned() };
    ends(LIMIT, check(&plan)).await
}

#[test]
fn replies_decide() {
    alone(|| async {
        for (lines, ended) in [
            (&["220 hello\r\n", "250 you\r\n", "221 bye\r\n"][..], "ok"),
            (&["220-hello\r\n220-and\r\n220 welcome\r\n", "250-you\r\n250 SIZE\r\n", "221 bye\r\n"], "ok"),
            (&["220\n", "250\n", "221\n"], "ok"),
            // What becomes of QUIT decides nothing.
            (&["220 hello\r\n", "250 you\r\n"], "ok"),
            (&["220 hello\r\n", "250 you\r\n", "500 what?\r\n"], "ok"),
            (&["554 no service\r\n"], "bad_reply: the connection was answered with 554, wanted 220"),
            (&["220 hello\r\n", "501 whom?\r\n"], "bad_reply: HELO was answered with 501, wanted 250"),
            (&["220 hello\r\n"], "timeout: no answer within 0.6s"),
            (&[], "timeout: no answer within 0.6s"),
            (&["220-hello\r\n"], "timeout: no answer within 0.6s"),
            (&["220 hello"], "timeout: no answer within 0.6s"),
            (
                &["HTTP/1.0 400 Bad Request\r\n\r\n"],
                "garbled: not an SMTP server: a line that begins with no reply code",
            ),
            (&["\r\n"], "garbled: not an SMTP server: a line that begins with no reply code"),
        ] {
            let address = script(lines).await;
            assert_eq!(probe(address).await, ended, "{lines:?}");
        }
    });
}

#[test]
fn endless_cut_and_dripping_servers_end_in_time() {
    alone(|| async {
        let endless = |what: &'static [u8]| {
            server(move |mut stream| async move { while stream.write_all(what).await.is_ok() {} })
        };
        let longer = "garbled: not an SMTP server: a reply longer than 16384 bytes";
        assert_eq!(probe(endless(b"220-more and more\r\n").await).await, longer);
        let one_line = server(|mut stream| async move {
            let _ = stream.write_all(b"220 ").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        });
        assert_eq!(probe(one_line.await).await, longer);
        let noise = "garbled: not an SMTP server: a line that begins with no reply code";
        assert_eq!(probe(endless(&[0xFF; 4096]).await).await, noise);

        let drip = server(|mut stream| async move {
            while stream.write_all(b"2").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if stream.write_all(b"20-x\r\n").await.is_err() {
                    return;
                }
            }
        });
        assert_eq!(probe(drip.await).await, "timeout: no answer within 0.6s");

        let close = server(|stream| async move { drop(stream) }).await;
        assert!(probe(close).await.starts_with("cut: "));
        let half = server(|mut stream| async move {
            let _ = stream.write_all(b"220-hel").await;
        });
        assert!(probe(half.await).await.starts_with("cut: "));
        let reset = server(|stream| async move {
            let mut stream = stream;
            let mut some = [0; 4];
            let _ = stream.write_all(b"220 hello\r\n").await;
            let _ = stream.read(&mut some).await;
            // Bytes that nobody reads make the close a reset.
            drop(stream);
        });
        assert!(probe(reset.await).await.starts_with("cut: "));
        // A queue that is full lets the handshake hang.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let _held = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        assert_eq!(probe(address).await, "timeout: no answer within 0.6s");
        drop(listener);
        assert_eq!(probe(address).await, "refused: connection refused");
    });
}

#[test]
fn the_dialogue_is_keepalived_s_and_a_host_is_a_checker() {
    alone(|| async {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let address = server(move |stream| {
            let told = told.clone();
            async move {
                let mut stream = BufReader::new(stream);
                for say in ["220 x\r\n", "250 x\r\n", "221 x\r\n"] {
                    let _ = stream.write_all(say.as_bytes()).await;
                    let mut line = String::new();
                    let _ = stream.read_line(&mut line).await;
                    let _ = told.send(line);
                }
            }
        })
        .await;
        let Kind::Smtp(plan) =
            world::kind(&one(&format!("127.0.0.1 {}", address.port()), "SMTP_CHECK {\n }"))
        else {
            panic!("no SMTP_CHECK")
        };
        assert_eq!(ends(LIMIT, check(&plan)).await, "ok");
        for line in ["HELO smtpchecker.keepalived.org\r\n", "QUIT\r\n", ""] {
            assert_eq!(heard.recv().await.unwrap(), line);
        }

        // Two hosts: both must be up.
        let port = address.port();
        let hosts = format!(
            "SMTP_CHECK {{\n host {{\n connect_ip 127.0.0.1\n connect_port {port}\n }}\n host {{\n connect_ip \
             127.0.0.2\n connect_port {port}\n }}\n }}"
        );
        let mut running = Running::start(one("127.0.0.1 25", &hosts), Default::default());
        assert_eq!(
            running.event().await,
            format!("down: SMTP_CHECK of 127.0.0.2:{port}: connection refused (try 1 of 1)")
        );
        let second = TcpListener::bind(("127.0.0.2", port)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = second.accept().await {
                let _ = stream.write_all(b"220 x\r\n250 x\r\n221 x\r\n").await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        assert_eq!(running.event().await, "up: SMTP_CHECK succeeded");
    });
}
