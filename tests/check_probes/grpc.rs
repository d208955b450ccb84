//! GRPC_CHECK against a small server of the test's own, in the clear and behind nginx with TLS, and against gRPC's own library.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use openssl::hash::MessageDigest;
use tokio::net::{TcpListener, TcpStream};

use super::tls::{Files, listening, nginx};
use super::world::{Program, Running, alone, load, one, run_once};

const PORT: u16 = 50_051;

/// A health service whose answer goes by the name of the service that is asked about.
async fn serve() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], PORT))).await.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream));
        }
    });
}

async fn connection(stream: TcpStream) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.method(), "POST");
        for (name, value) in [("te", "trailers"), ("content-type", "application/grpc")] {
            assert_eq!(request.headers()[name], value);
        }
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let mut body = request.into_body();
        let asking = tokio::spawn(async move {
            let mut message = Vec::new();
            while let Some(Ok(part)) = body.data().await {
                message.extend_from_slice(&part);
            }
            // The prefix, then field 1: a text of less than 128 bytes.
            let service = message.get(7..).map(|name| String::from_utf8(name.to_vec()).unwrap());
            answer(respond, &service.unwrap_or_default(), &authority).await
        });
        // The connection must be polled while the answer is on its way.
        tokio::spawn(async move {
            let keep = asking.await;
            std::future::pending::<()>().await;
            drop(keep);
        });
    }
}

fn message(status: u8) -> Bytes {
    Bytes::from(vec![0, 0, 0, 0, 2, 8, status])
}

async fn answer(
    mut respond: SendResponse<Bytes>,
    service: &str,
    authority: &str,
) -> Option<h2::SendStream<Bytes>> {
    let head = || Response::builder().status(200).header("content-type", "application/grpc");
    let grpc_status = |code: &'static str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().unwrap());
        trailers
    };
    let (bytes, trailers) = match service {
        "" | "up.Service" => (message(1), Some("0")),
        "down.Service" => (message(2), Some("0")),
        "odd.Service" => (message(9), Some("0")),
        "authority" => (message(if authority == "www.example.org" { 1 } else { 2 }), Some("0")),
        "no-trailers" => (message(1), None),
        "late-refusal" => (message(1), Some("14")),
        "empty" => (Bytes::new(), Some("0")),
        "long" => (Bytes::from(vec![0; 10_000]), Some("0")),
        "compressed" => (Bytes::from_static(&[1, 0, 0, 0, 2, 8, 1]), Some("0")),
        "unknown" => {
            let head = head().header("grpc-status", "5").header("grpc-message", "unknown service");
            respond.send_response(head.body(()).unwrap(), true).unwrap();
            return None;
        }
        "none" => {
            respond.send_response(head().header("grpc-status", "12").body(()).unwrap(), true).unwrap();
            return None;
        }
        "html" => {
            let head = Response::builder().status(200).header("content-type", "text/html");
            respond.send_response(head.body(()).unwrap(), true).unwrap();
            return None;
        }
        "500" => {
            respond.send_response(Response::builder().status(500).body(()).unwrap(), true).unwrap();
            return None;
        }
        "reset" => {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            return None;
        }
        "slow" => return Some(respond.send_response(head().body(()).unwrap(), false).unwrap()),
        other => panic!("{other}"),
    };
    let mut stream = respond.send_response(head().body(()).unwrap(), false).unwrap();
    stream.send_data(bytes, trailers.is_none()).unwrap();
    if let Some(code) = trailers {
        stream.send_trailers(grpc_status(code)).unwrap();
    }
    None
}

async fn ask(port: u16, words: &str) -> String {
    run_once(&load(&format!(
        "virtual_server 192.0.2.1 80 {{\n protocol TCP\n connect_timeout 3\n real_server 127.0.0.1 {port} {{\n\
         GRPC_CHECK {{\n{words}\n}}\n}}\n}}\n"
    )))
    .await
}

#[test]
fn services_are_asked_about_by_name() {
    alone(|| async {
        serve().await;
        for (words, wanted) in [
            ("", "ok"),
            ("service up.Service", "ok"),
            ("service authority\nvirtualhost www.example.org", "ok"),
            ("service authority", "not_serving: service authority is NOT_SERVING, not SERVING"),
            ("service down.Service", "not_serving: service down.Service is NOT_SERVING, not SERVING"),
            ("service odd.Service", "not_serving: service odd.Service is status 9, not SERVING"),
            (
                "service unknown",
                "grpc_status: gRPC status 5 (NOT_FOUND) \"unknown service\": the server knows no service unknown",
            ),
            (
                "service none",
                "grpc_status: gRPC status 12 (UNIMPLEMENTED): the server has no grpc.health.v1.Health, add that service \
                 to it",
            ),
            ("service late-refusal", "grpc_status: gRPC status 14 (UNAVAILABLE)"),
            ("service no-trailers", "garbled: no gRPC: the answer has no grpc-status"),
            ("service empty", "garbled: no gRPC: a message that is not whole"),
            ("service long", "garbled: no gRPC: a message of more than 4096 bytes"),
            ("service compressed", "garbled: no gRPC: a compressed message"),
            ("service html", "garbled: no gRPC: the answer's content-type is \"text/html\""),
            ("service 500", "bad_status: status 500, wanted 200"),
            (
                "service reset",
                "garbled: HTTP/2: the server ends it: REFUSED_STREAM, refused stream before processing any application \
                 logic",
            ),
            ("service slow\nconnect_timeout 0.4", "timeout: no answer within 0.4s"),
            ("virtualhost \"a b\"", "bad_request: cannot ask for this: \"a b\" is no authority: "),
            ("bindto 127.0.0.9\nbind_if lo", "ok"),
            ("connect_port 1", "refused: connection refused"),
        ] {
            let said = ask(PORT, words).await;
            let whole = said == wanted || (words.contains("a b") && said.starts_with(wanted));
            assert!(whole, "{words}: {said}");
        }
        let mut running = Running::start(
            one(&format!("127.0.0.1 {PORT}"), "GRPC_CHECK {\nservice down.Service\n}"),
            Default::default(),
        );
        let event = running.event().await;
        assert!(event.starts_with("down: GRPC_CHECK: service down.Service is NOT_SERVING"), "{event}");
    });
}

#[test]
fn by_tls_through_nginx() {
    alone(|| async {
        serve().await;
        let files = Files::new("grpc");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        let here = files.0.display();
        let tls = format!("ssl_certificate {here}/good.pem; ssl_certificate_key {here}/good.key;");
        let _nginx = nginx(
            &files,
            &format!(
                "server {{ listen 127.0.0.1:4433 ssl http2; {tls} location / {{ grpc_pass grpc://127.0.0.1:{PORT}; }} }}\n\
                 server {{ listen 127.0.0.1:4434 ssl http2 proxy_protocol; {tls} location / {{ \
                 grpc_pass grpc://127.0.0.1:{PORT}; }} }}\n\
                 server {{ listen 127.0.0.1:4435 ssl; {tls} }}"
            ),
        );
        listening(4433);
        assert_eq!(ask(4433, "tls\nservice up.Service").await, "ok");
        assert_eq!(ask(4434, "tls\nsend_proxy v2").await, "ok");
        let said = ask(4433, "tls\nservice down.Service").await;
        assert_eq!(said, "not_serving: service down.Service is NOT_SERVING, not SERVING");
        let said = ask(4433, "tls\ntls_verify").await;
        assert!(
            said.starts_with("untrusted: certificate of CN=good is of no authority that we know"),
            "{said}"
        );
        let said = ask(4433, "tls\ntls_expiry 30").await;
        assert!(said.starts_with("certificate_ends: certificate of CN=good ends at "), "{said}");
        // What speaks TLS to a server without, HTTP/1 to one with.
        for (port, words) in [(4433, ""), (4435, "tls"), (PORT, "tls")] {
            let said = ask(port, words).await;
            let named =
                ["garbled: HTTP/2: ", "tls: TLS: ", "cut: "].iter().any(|name| said.starts_with(name));
            assert!(named, "{port} {words}: {said}");
        }
    });
}

/// What only pretends to speak HTTP/2: each ends in time, with a reason.
#[test]
fn garbage_and_endless_frames_end() {
    alone(|| async {
        let settings: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
        let ping: &[u8] = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
        let unknown: &[u8] = b"\0\0\x04\xee\0\0\0\0\0abcd";
        let headers: &[u8] = b"\0\0\x01\x01\0\0\0\0\x01\x88";
        let more: &[u8] = b"\0\0\x04\x09\0\0\0\0\x01\x00\x01a\x00";
        let data: &[u8] = b"\0\0\x04\x00\0\0\0\0\x01abcd";
        // What is said first, what is said again and again, how the reason begins.
        let table: &[(&[u8], &[u8], &[&str])] = &[
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", &["garbled: HTTP/2: ", "cut: "]),
            (b"220 mail\r\n", b"", &["garbled: HTTP/2: ", "cut: "]),
            (b"", b"\xff", &["garbled: HTTP/2: "]),
            (b"", b"\0", &["garbled: HTTP/2: "]),
            (b"", settings, &["garbled: HTTP/2: "]),
            (settings, ping, &["garbled: HTTP/2: ", "cut: "]),
            (settings, unknown, &["garbled: HTTP/2: more than 131072 bytes"]),
            (&[settings, headers].concat(), more, &["garbled: HTTP/2: "]),
            (&[settings, b"\0\0\x01\x01\x04\0\0\0\x01\x88"].concat(), data, &["garbled: "]),
            (settings, b"", &["timeout: no answer within 2s"]),
        ];
        for (n, (first, again, reasons)) in table.iter().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (first, again) = (first.to_vec(), again.repeat(1000));
            let server = tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let (stream, _) = listener.accept().await.unwrap();
                let (mut from, mut to) = stream.into_split();
                // What the client says is read, as by a real server.
                let reading =
                    tokio::spawn(
                        async move { while from.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {} },
                    );
                let _ = to.write_all(&first).await;
                while !again.is_empty() && to.write_all(&again).await.is_ok() {}
                let _ = reading.await;
            });
            let said = ask(port, "connect_timeout 2").await;
            assert!(reasons.iter().any(|reason| said.starts_with(reason)), "{n}: {said}");
            let _ = tokio::time::timeout(Duration::from_secs(5), server).await.expect("the server is let go");
        }
    });
}

/// A health service in gRPC's own library for Python. The state that it tells is the number in a file.
const REAL: &str = r#"
import sys, grpc
from concurrent import futures

class Health(grpc.GenericRpcHandler):
    def service(self, call):
        if call.method != "/grpc.health.v1.Health/Check":
            return None
        def check(request, context):
            if request[2:] not in (b"", b"web"):
                context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
            return bytes([8, int(open(sys.argv[1]).read())])
        return grpc.unary_unary_rpc_method_handler(check)

server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
server.add_generic_rpc_handlers((Health(),))
server.add_insecure_port("127.0.0.1:50061")
server.start()
server.wait_for_termination()
"#;

#[test]
fn a_real_library_passes_fails_times_out_and_recovers() {
    alone(|| async {
        let files = Files::new("grpcio");
        let state = files.0.join("state");
        std::fs::write(&state, "1").unwrap();
        let child = Command::new("/usr/bin/python3").args(["-c", REAL]).arg(&state).spawn();
        let child = child.expect("python3 with grpc (package python3-grpcio)");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let server = Program(child);
        listening(50_061);
        for (words, wanted) in [
            ("", "ok"),
            ("service web", "ok"),
            (
                "service other",
                "grpc_status: gRPC status 5 (NOT_FOUND) \"unknown service\": the server knows no service other",
            ),
        ] {
            assert_eq!(ask(50_061, words).await, wanted, "{words}");
        }
        let words = "GRPC_CHECK {\nservice web\nconnect_timeout 1\nretry 0\n}";
        let mut running = Running::start(one("127.0.0.1 50061", words), Default::default());
        running.weights(&[1]).await;
        let steps: [(&dyn Fn(), &str); 5] = [
            (&|| std::fs::write(&state, "2").unwrap(), "down: GRPC_CHECK: service web is NOT_SERVING"),
            (&|| std::fs::write(&state, "1").unwrap(), "up: GRPC_CHECK"),
            (&|| kill(pid, Signal::SIGSTOP).unwrap(), "down: GRPC_CHECK: no answer within 1s"),
            (&|| kill(pid, Signal::SIGCONT).unwrap(), "up: GRPC_CHECK"),
            (&|| kill(pid, Signal::SIGKILL).unwrap(), "down: GRPC_CHECK: connection refused"),
        ];
        for (step, wanted) in steps {
            step();
            let event = running.event().await;
            assert!(event.starts_with(wanted), "{event}, not {wanted}");
        }
        drop(server);
    });
}
