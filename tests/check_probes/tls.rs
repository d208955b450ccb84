//! SSL_GET against OpenSSL's own server as old and as odd as it can be made, nginx, and servers that break off.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};
use openssl::symm::Cipher;
use openssl::x509::{X509Builder, X509NameBuilder};
use tandem::check::checkers::Tools;
use tandem::check::plan::Plan;

use super::world::{PATIENCE, Program, alone, load};

/// Files of a test.
pub struct Files(pub PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Files {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tandem-tls-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A self-signed certificate `NAME.pem` with its key `NAME.key`, and the key under a password `NAME.locked`.
    pub fn certificate(&self, name: &str, bits: u32, digest: MessageDigest, expired: bool) {
        let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(1_000_000_000).unwrap()).unwrap();
        let end = if expired { Asn1Time::from_unix(1_100_000_000) } else { Asn1Time::days_from_now(9) };
        builder.set_not_after(&end.unwrap()).unwrap();
        builder.sign(&key, digest).unwrap();
        fs::write(self.path(&format!("{name}.pem")), builder.build().to_pem().unwrap()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        let locked = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
        fs::write(self.path(&format!("{name}.locked")), locked).unwrap();
    }
}

/// OpenSSL's server on port 4433, which answers every GET with a page about the connection.
pub fn s_server(files: &Files, certificate: &str, words: &str) -> Program {
    let pem = files.path(&format!("{certificate}.pem"));
    let key = files.path(&format!("{certificate}.key"));
    let child = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:4433", "-www", "-cert", &pem, "-key", &key])
        .args(words.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    listening(4433);
    Program(child)
}

pub fn listening(port: u16) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < PATIENCE, "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One run of the checker: `ok`, or the failure's name with its words.
pub async fn get(root: &str, check: &str, url: &str) -> String {
    let config = load(&format!(
        "{root}\nvirtual_server 192.0.2.1 80 {{\n protocol TCP\n connect_timeout 3\n real_server 127.0.0.1 4433 {{\nSSL_GET {{\n \
         {check}\nurl {{\n path /\n{url}\n}}\n}}\n}}\n}}\n"
    ));
    let plan = Plan::new(&config).services[0].reals[0].checkers[0].clone();
    match Tools::default().run(&plan, 0).await.result {
        Ok(_) => "ok".to_owned(),
        Err(failure) => format!("{}: {failure}", failure.name()),
    }
}

#[test]
fn old_servers_and_bad_certificates_are_up() {
    alone(|| async {
        let files = Files::new("old");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        files.certificate("expired", 2048, MessageDigest::sha256(), true);
        files.certificate("weak", 1024, MessageDigest::sha1(), false);
        for (certificate, words) in [
            ("good", ""),
            ("good", "-tls1_3"),
            ("expired", ""),
            ("weak", "-cipher ALL:@SECLEVEL=0"),
            // RSA key exchange with CBC, and the protocols that modern libraries have left behind.
            ("good", "-tls1_2 -cipher AES128-SHA:@SECLEVEL=0"),
            ("good", "-tls1_1 -cipher ALL:@SECLEVEL=0"),
            ("weak", "-tls1 -cipher AES256-SHA:@SECLEVEL=0"),
        ] {
            let _server = s_server(&files, certificate, words);
            assert_eq!(get("", "", "").await, "ok", "{certificate} {words}");
        }
    });
}

#[test]
fn the_name_said_is_that_of_the_file() {
    alone(|| async {
        let files = Files::new("sni");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        let (pem, key) = (files.path("good.pem"), files.path("good.key"));
        let words = format!("-servername www.example.org -servername_fatal -cert2 {pem} -key2 {key}");
        let _server = s_server(&files, "good", &words);
        let right = "virtualhost www.example.org:4433";
        assert_eq!(get("", "", "virtualhost elsewhere.example.org").await, "ok", "nothing is said unasked");
        assert_eq!(get("", &format!("enable_sni\n{right}"), "").await, "ok");
        assert_eq!(get("", "enable_sni\nvirtualhost 127.0.0.1", "").await, "ok", "an address is no name");
        assert_eq!(get("", "sni_name www.example.org", "virtualhost elsewhere").await, "ok");
        for (check, url) in [
            ("enable_sni\nvirtualhost elsewhere.example.org", ""),
            (&*format!("enable_sni\n{right}"), "virtualhost elsewhere.example.org"),
            (&*format!("enable_sni\n{right}"), "sni_name elsewhere.example.org"),
        ] {
            let result = get("", check, url).await;
            assert!(result.starts_with("tls: TLS: "), "{check} {url}: {result}");
        }
    });
}

#[test]
fn a_server_that_asks_who_we_are_is_shown_the_certificate_of_the_ssl_block() {
    alone(|| async {
        let files = Files::new("client");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        files.certificate("us", 2048, MessageDigest::sha256(), false);
        let ca = files.path("us.pem");
        let _server = s_server(&files, "good", &format!("-Verify 1 -verify_return_error -CAfile {ca}"));
        let (pem, key, locked) = (files.path("us.pem"), files.path("us.key"), files.path("us.locked"));
        let block = |key: &str, password: &str| {
            format!("SSL {{\n ca {ca}\n certificate {pem}\n key {key}\n {password}\n}}\n")
        };
        let result = get("", "", "").await;
        assert!(result.starts_with("tls: "), "{result}");
        assert_eq!(get(&block(&key, ""), "", "").await, "ok");
        assert_eq!(get(&block(&locked, "password secret"), "", "").await, "ok");
        for (root, said) in [
            (block(&locked, "password wrong"), "certificate: cannot use key"),
            (block(&locked, ""), "certificate: cannot use key"),
            (block("/no/such/file", ""), "certificate: cannot use key /no/such/file"),
            (block(&files.path("good.key"), ""), "certificate: cannot use key"),
        ] {
            let result = get(&root, "", "").await;
            assert!(result.starts_with(said), "{root}: {result}");
        }
    });
}

#[test]
fn nginx_over_tls() {
    alone(|| async {
        let files = Files::new("nginx");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        let here = files.0.display();
        let nginx = nginx(
            &files,
            &format!(
                "server {{ listen 127.0.0.1:4433 ssl; root {here}/html; ssl_certificate {here}/good.pem; \
                 ssl_certificate_key {here}/good.key; }}"
            ),
        );
        listening(4433);
        assert_eq!(get("", "tls_compliant", "digest 5d41402abc4b2a76b9719d911017c592").await, "ok");
        assert_eq!(get("", "http_protocol 1.1", "regex ^h.*o$").await, "ok");
        let result = get("", "", "status_code 404").await;
        assert_eq!(result, "bad_status: status 200, wanted 404");
        drop(nginx);
    });
}

/// nginx with these servers; a page "hello" lies below `html`.
pub fn nginx(files: &Files, servers: &str) -> Nginx {
    fs::create_dir_all(files.0.join("html")).unwrap();
    fs::write(files.0.join("html/index.html"), "hello").unwrap();
    let here = files.0.display();
    let settings = format!(
        "daemon off; pid {here}/pid; error_log {here}/error.log; worker_processes 1; user root;\nevents {{}}\n\
         http {{ access_log off; client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path \
         {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n{servers}\n}}\n"
    );
    fs::write(files.0.join("nginx.conf"), settings).unwrap();
    let child = Command::new("nginx")
        .args(["-c", &files.path("nginx.conf"), "-p", files.0.to_str().unwrap()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // By its master: a kill would leave the worker behind.
    Nginx(child.id(), Program(child))
}

/// nginx, told to stop in an orderly way.
pub struct Nginx(u32, #[allow(dead_code, reason = "dropped after")] Program);

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let began = Instant::now();
        while self.1.0.try_wait().is_ok_and(|ended| ended.is_none()) && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A TLS server that answers a few connections and closes each without the farewell of TLS.
fn rude(files: &Files, answer: &'static str) {
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate_chain_file(Path::new(&files.path("good.pem"))).unwrap();
    acceptor.set_private_key_file(files.path("good.key"), SslFiletype::PEM).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:4433").unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut stream) = acceptor.accept(socket.unwrap()) else { continue };
            let mut buffer = [0; 1000];
            let _ = stream.read(&mut buffer);
            stream.write_all(answer.as_bytes()).unwrap();
            // An orderly end of TCP, none of TLS.
            stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
            let _ = stream.get_mut().read_to_end(&mut Vec::new());
        }
    });
}

#[test]
fn a_missing_farewell_counts_only_where_it_is_asked_for() {
    for answer in ["HTTP/1.0 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"] {
        let told = "no_close_notify: TLS: closed without close_notify (tls_compliant)";
        std::thread::spawn(move || {
            alone(|| async {
                let files = Files::new("rude");
                files.certificate("good", 2048, MessageDigest::sha256(), false);
                rude(&files, answer);
                assert_eq!(get("", "", "").await, "ok", "{answer}");
                assert_eq!(get("", "tls_compliant", "").await, told, "{answer}");
                assert_eq!(get("", "", "tls_compliant").await, told, "{answer}");
            });
        })
        .join()
        .unwrap();
    }
}

#[test]
fn what_is_no_tls_is_named() {
    alone(|| async {
        let listener = TcpListener::bind("127.0.0.1:4433").unwrap();
        std::thread::spawn(move || {
            let answers: [&[u8]; 3] = [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"", b"\x16\x03\x01\xff\xff"];
            for (answer, socket) in answers.into_iter().zip(listener.incoming()) {
                let mut socket = socket.unwrap();
                let _ = socket.read(&mut [0; 1000]);
                let _ = socket.write_all(answer);
            }
            // The last one says nothing.
            let kept = listener.accept();
            std::thread::sleep(PATIENCE);
            drop(kept);
        });
        for _ in 0..3 {
            let result = get("", "", "").await;
            assert!(result.starts_with("tls: TLS: ") || result.starts_with("cut: "), "{result}");
        }
        assert_eq!(get("", "connect_timeout 0.3", "").await, "timeout: no answer within 0.3s");
    });
}
