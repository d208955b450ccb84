//! Headers, JSON and the PROXY header, with nginx at the other end.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::tls::{Files, listening, nginx};
use super::world::{Running, alone, load, one, run_once};
use openssl::hash::MessageDigest;

/// One run of a checker of port 8080 or another.
async fn run(port: u16, check: &str) -> String {
    run_once(&load(&format!(
        "virtual_server 192.0.2.1 80 {{\n protocol TCP\n connect_timeout 3\n real_server 127.0.0.1 {port} {{\n{check}\n}}\n}}\n"
    )))
    .await
}

async fn page(url: &str) -> String {
    run(8080, &format!("HTTP_GET {{\nurl {{\n{url}\n}}\n}}")).await
}

#[test]
fn headers_and_json_of_a_page() {
    alone(|| async {
        let files = Files::new("expect");
        let _nginx = nginx(
            &files,
            "server { listen 127.0.0.1:8080; add_header X-State ready; default_type application/json;\n\
             location / { return 200 '{\"status\":\"ok\",\"parts\":[{\"name\":\"db\",\"up\":true}],\"load\":0.5}'; }\n\
             location /degraded { return 200 '{\"status\":\"degraded\"}'; }\n\
             location /plain { default_type text/plain; return 200 'all is well'; }\n\
             location /moved { return 302 /moved; } }",
        );
        listening(8080);
        for (url, wanted) in [
            ("path /\nexpect_header \"X-State: ready\"", "ok"),
            ("path /\nexpect_header X-State", "ok"),
            (
                "path /\nexpect_header \"X-State: ready\"\nexpect_header \"content-type: application/json\"",
                "ok",
            ),
            (
                "path /\nexpect_header \"X-State: draining\"",
                "bad_header: header X-State is \"ready\", not \"draining\"",
            ),
            ("path /\nexpect_header \"X-Other: a\"", "bad_header: header X-Other is missing"),
            ("path /\nexpect_header_regex \"Server: ^nginx/[0-9.]+$\"", "ok"),
            (
                "path /\nexpect_header_regex \"X-State: ^drain|^stop\"",
                "bad_header: header X-State is \"ready\", which",
            ),
            ("path /\nexpect_json status ok\nexpect_json parts.0.up true\nexpect_json /load 0.50", "ok"),
            ("path /degraded\nexpect_json status ok", "bad_json: field status is \"degraded\", not \"ok\""),
            ("path /degraded\nexpect_json parts.0.up true", "bad_json: field parts.0.up is missing"),
            (
                "path /plain\nexpect_json status ok",
                "bad_json: body is no JSON: expected value at line 1 column 1",
            ),
            ("path /plain\nregex well\nexpect_json status ok", "bad_json: body is no JSON"),
            ("path /plain\nregex ill\nexpect_json status ok", "no_match: "),
            // The status comes first. A redirect is an answer like another: nobody goes round in circles.
            ("path /moved\nexpect_header \"X-Other: a\"", "bad_status: status 302, wanted 200-299"),
            ("path /moved\nstatus_code 302\nexpect_header Location", "ok"),
        ] {
            let said = page(url).await;
            let good = if wanted == "ok" { said == "ok" } else { said.starts_with(wanted) };
            assert!(good, "{url}: {said}");
        }
        // A whole farm sees it: down with the reason, in words.
        let mut running = Running::start(
            one("127.0.0.1 8080", "HTTP_GET {\nurl {\npath /degraded\nexpect_json status ok\n}\n}"),
            Default::default(),
        );
        let event = running.event().await;
        assert!(
            event.starts_with("down: HTTP_GET /degraded: field status is \"degraded\", not \"ok\""),
            "{event}"
        );
    });
}

#[test]
fn servers_that_demand_a_proxy_header_get_one() {
    alone(|| async {
        let files = Files::new("proxy");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        let here = files.0.display();
        let answer = "location / { return 200 'from=$proxy_protocol_addr to=$proxy_protocol_server_port;'; }";
        let _nginx = nginx(
            &files,
            &format!(
                "server {{ listen 127.0.0.1:8080 proxy_protocol; listen [::1]:8080 proxy_protocol; {answer} }}\n\
                 server {{ listen 127.0.0.1:4433 ssl proxy_protocol; ssl_certificate {here}/good.pem; \
                 ssl_certificate_key {here}/good.key; {answer} }}\n\
                 server {{ listen 127.0.0.1:8081; {answer} }}"
            ),
        );
        listening(8080);
        let http = |words: &str, regex: &str| {
            format!("HTTP_GET {{\n{words}\nurl {{\npath /\nregex \"{regex}\"\n}}\n}}")
        };
        for (words, regex) in [
            ("send_proxy", "^from=127.0.0.1 to=8080;"),
            ("send_proxy v1", "^from=127.0.0.1 to=8080;"),
            ("send_proxy v2", "^from=127.0.0.1 to=8080;"),
            ("bindto 127.0.0.9\nsend_proxy v2", "^from=127.0.0.9 to=8080;"),
            // Nobody's behalf: no addresses.
            ("send_proxy v1 local", "^from= to=;"),
            ("send_proxy v2 local", "^from= to=;"),
            ("connect_ip ::1\nsend_proxy v1", "^from=::1 to=8080;"),
            ("connect_ip ::1\nsend_proxy v2", "^from=::1 to=8080;"),
        ] {
            assert_eq!(run(8080, &http(words, regex)).await, "ok", "{words}");
            let tls = http(words, &regex.replace("8080", "4433")).replace("HTTP_GET", "SSL_GET");
            if !words.contains("::1") {
                assert_eq!(run(4433, &tls).await, "ok", "TLS, {words}");
            }
        }
        let without = run(8080, &http("", "from")).await;
        assert!(without.starts_with("cut: "), "{without}");
        // Who expects none takes it for a bad request.
        let unasked = run(8081, &http("send_proxy v1", "from")).await;
        assert!(unasked.starts_with("bad_status: status 400"), "{unasked}");
        assert_eq!(run(8080, "TCP_CHECK {\nsend_proxy v2\n}").await, "ok");
    });
}

#[test]
fn the_header_comes_before_the_first_word_of_mail_and_of_tcp() {
    alone(|| async {
        let listener = TcpListener::bind("127.0.0.1:2525").await.unwrap();
        let heard = tokio::spawn(async move {
            let (stream, peer) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut lines = String::new();
            stream.read_line(&mut lines).await.unwrap();
            for say in ["220 hello\r\n", "250 you\r\n", "221 bye\r\n"] {
                stream.write_all(say.as_bytes()).await.unwrap();
                stream.read_line(&mut lines).await.unwrap();
            }
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            (lines, peer.port(), bytes)
        });
        assert_eq!(run(2525, "SMTP_CHECK {\nhelo_name me\nsend_proxy\n}").await, "ok");
        assert_eq!(run(2525, "TCP_CHECK {\nsend_proxy v2 local\n}").await, "ok");
        let (lines, port, bytes) =
            tokio::time::timeout(Duration::from_secs(5), heard).await.unwrap().unwrap();
        assert_eq!(lines, format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} 2525\r\nHELO me\r\nQUIT\r\n"));
        assert_eq!(bytes, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    });
}
