//! Mail against a relay that speaks SMTP: plain, with STARTTLS and a certificate of its own, with login; refusals; the
//! outbox with a relay that dies and comes back.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs, reason = "a test")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use tandem::notify::mail::{Error, Login, Password, Relay, Security, send};
use tandem::notify::outbox::{Event, Mail, Outbox, Step};
use tandem::notify::post::Mailer;

/// What the relay does.
#[derive(Clone, Default)]
struct Manners {
    /// Offers STARTTLS with this key and certificate.
    tls: Option<(PKey<Private>, X509)>,
    /// Takes mail only after this `AUTH PLAIN` word.
    login: Option<String>,
    /// Refuses this recipient.
    refuses: Option<String>,
}

/// A relay, and what it was told: one list of lines a connection.
struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<Vec<String>>>>,
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Server {
    fn start(manners: Manners) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), manners)
    }

    fn on(listener: TcpListener, manners: Manners) -> Self {
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (manners, all) = (manners.clone(), Arc::clone(&all));
                std::thread::spawn(move || {
                    let at = {
                        let mut all = all.lock().unwrap();
                        all.push(Vec::new());
                        all.len() - 1
                    };
                    let note = |line: &str| all.lock().unwrap()[at].push(line.to_owned());
                    let _ = serve(stream.unwrap(), &manners, &note);
                });
            }
        });
        Self { port, heard }
    }

    /// Lines of all connections, in their order.
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().concat()
    }

    /// Subjects of the mails that were taken.
    fn subjects(&self) -> Vec<String> {
        let all = self.heard();
        all.iter().filter_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned).collect()
    }
}

fn serve(stream: TcpStream, manners: &Manners, note: &dyn Fn(&str)) -> std::io::Result<()> {
    let mut stream: Box<dyn Stream> = Box::new(stream);
    stream.write_all(b"220 test relay\r\n")?;
    let (mut encrypted, mut known) = (false, manners.login.is_none());
    loop {
        let line = read_line(&mut stream)?;
        note(&line);
        let word = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let reply = match word.as_str() {
            "EHLO" => {
                let mut offers = String::from("250-test relay\r\n");
                if manners.tls.is_some() && !encrypted {
                    offers += "250-STARTTLS\r\n";
                }
                if manners.login.is_some() {
                    offers += "250-AUTH PLAIN LOGIN\r\n";
                }
                offers + "250 8BITMIME"
            }
            "STARTTLS" => {
                stream.write_all(b"220 go ahead\r\n")?;
                let (key, certificate) = manners.tls.clone().unwrap();
                let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
                acceptor.set_private_key(&key).unwrap();
                acceptor.set_certificate(&certificate).unwrap();
                let Ok(secured) = acceptor.build().accept(stream) else {
                    note("the handshake failed");
                    return Ok(());
                };
                stream = Box::new(secured);
                encrypted = true;
                continue;
            }
            "AUTH" => {
                known = manners.login.as_deref() == line.split(' ').nth(2);
                if known { "235 welcome".to_owned() } else { "535 who are you".to_owned() }
            }
            "MAIL" | "RCPT" | "DATA" if !known => "530 log in first".to_owned(),
            "RCPT" if manners.refuses.as_ref().is_some_and(|name| line.contains(name.as_str())) => {
                "550 no such user".to_owned()
            }
            "DATA" => {
                stream.write_all(b"354 go\r\n")?;
                loop {
                    let line = read_line(&mut stream)?;
                    if line == "." {
                        break;
                    }
                    note(&line);
                }
                note("<taken>");
                "250 taken".to_owned()
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n")?;
                return Ok(());
            }
            _ => "250 ok".to_owned(),
        };
        stream.write_all(format!("{reply}\r\n").as_bytes())?;
    }
}

/// A byte at a time: what follows STARTTLS must not be swallowed.
fn read_line(stream: &mut dyn Stream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        match byte[0] {
            b'\n' => return Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            other => bytes.push(other),
        }
    }
}

/// A certificate that vouches for itself.
fn certificate(name: &str) -> (PKey<Private>, X509) {
    let key = PKey::from_rsa(openssl::rsa::Rsa::generate(2048).unwrap()).unwrap();
    let mut title = X509NameBuilder::new().unwrap();
    title.append_entry_by_text("CN", "test relay").unwrap();
    let title = title.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&title).unwrap();
    builder.set_issuer_name(&title).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let mut names = SubjectAlternativeName::new();
    if name.parse::<std::net::IpAddr>().is_ok() {
        names.ip(name);
    } else {
        names.dns(name);
    }
    let names = names.build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (key, builder.build())
}

/// A file of the test, gone with it.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("tandem-smtp-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn relay(port: u16) -> Relay {
    Relay {
        host: "127.0.0.1".to_owned(),
        port,
        helo: "director-1".to_owned(),
        timeout: Duration::from_secs(5),
        from: "lvs@example.com".to_owned(),
        to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
        router_id: "LVS1".to_owned(),
        security: Security::Plain,
        login: None,
    }
}

fn event(n: u32) -> Event {
    Event {
        subject: format!("VRRP Instance VI_{n} - Entering MASTER state"),
        body: "=> VRRP Instance is now owning VRRP VIPs <=\n\n.a line with a dot\n".to_owned(),
        at: 1_795_219_200,
    }
}

fn mail() -> Mail {
    let mut outbox = Outbox::new(Duration::ZERO);
    outbox.push(event(1), Instant::now());
    match outbox.step(Instant::now()) {
        Step::Send(mail) => mail,
        other => panic!("{other:?}"),
    }
}

fn trust(path: &Path) -> Security {
    Security::Starttls { ca: Some(path.to_owned()) }
}

#[tokio::test]
async fn a_plain_relay_gets_keepalived_s_mail() {
    let server = Server::start(Manners::default());
    send(&relay(server.port), &mail()).await.unwrap();
    let heard = server.heard();
    assert_eq!(
        heard[..4],
        [
            "EHLO director-1",
            "MAIL FROM:<lvs@example.com>",
            "RCPT TO:<a@example.com>",
            "RCPT TO:<b@example.com>"
        ]
        .map(str::to_owned),
        "{heard:#?}"
    );
    let text = heard.join("\n");
    let message = "DATA\nDate: Sat, 21 Nov 2026 00:00:00 +0000\nFrom: lvs@example.com\nSubject: [LVS1] VRRP Instance \
                   VI_1 - Entering MASTER state\nX-Mailer: Tandem\nTo: a@example.com, b@example.com\n\n=> VRRP \
                   Instance is now owning VRRP VIPs <=\n\n..a line with a dot\n\n<taken>\n";
    assert!(text.contains(message), "{text}");
}

#[tokio::test]
async fn starttls_and_login() {
    let (key, certificate) = certificate("127.0.0.1");
    let ca = File::new("ca", &certificate.to_pem().unwrap());
    let password = File::new("password", b"geheim\n");
    // base64 of "\0lvs\0geheim"
    let login = Some("AGx2cwBnZWhlaW0=".to_owned());
    let server = Server::start(Manners { tls: Some((key, certificate)), login, refuses: None });
    for secret in [Password::Words("geheim".to_owned()), Password::File(password.0.clone())] {
        let login = Some(Login { user: "lvs".to_owned(), password: secret });
        send(&Relay { security: trust(&ca.0), login, ..relay(server.port) }, &mail()).await.unwrap();
    }
    assert_eq!(server.subjects().len(), 2);
    let heard = server.heard();
    let at = |word: &str| heard.iter().position(|line| line.starts_with(word)).unwrap();
    assert!(at("STARTTLS") < at("AUTH") && at("AUTH") < at("MAIL"), "{heard:#?}");
    // A wrong password is an error that says so.
    let login = Some(Login { user: "lvs".to_owned(), password: Password::Words("falsch".to_owned()) });
    let wrong = Relay { security: trust(&ca.0), login, ..relay(server.port) };
    let error = send(&wrong, &mail()).await.unwrap_err().to_string();
    assert!(error.contains("535") || error.contains("who are you"), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_to_a_relay_that_cannot_prove_its_name() {
    let (key, own) = certificate("relay.example.com");
    let ca = File::new("other-name", &own.to_pem().unwrap());
    let server = Server::start(Manners { tls: Some((key, own)), ..Manners::default() });
    let login = Some(Login { user: "lvs".to_owned(), password: Password::Words("geheim".to_owned()) });
    for security in [trust(&ca.0), Security::Starttls { ca: None }] {
        let relay = Relay { security, login: login.clone(), ..relay(server.port) };
        let error = send(&relay, &mail()).await.unwrap_err();
        assert!(matches!(error, Error::Relay { .. }), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    let heard = server.heard();
    assert!(!heard.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{heard:#?}");
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_when_starttls_is_asked_for() {
    let server = Server::start(Manners::default());
    let relay = Relay { security: Security::Starttls { ca: None }, ..relay(server.port) };
    let error = send(&relay, &mail()).await.unwrap_err().to_string();
    assert!(error.contains("STARTTLS"), "{error}");
    assert!(!server.heard().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn a_refused_recipient_does_not_keep_the_others_from_theirs() {
    let server = Server::start(Manners { refuses: Some("b@".to_owned()), ..Manners::default() });
    send(&relay(server.port), &mail()).await.unwrap();
    assert_eq!(server.subjects().len(), 1);
    let to = vec!["nobody at home".to_owned(), "a@example.com".to_owned()];
    send(&Relay { to, ..relay(server.port) }, &mail()).await.unwrap();
    assert_eq!(server.subjects().len(), 2, "an address that is none");
    let alone = Relay { to: vec!["b@example.com".to_owned()], ..relay(server.port) };
    let error = send(&alone, &mail()).await.unwrap_err().to_string();
    assert!(error.contains("550") || error.contains("no such user"), "{error}");
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test]
async fn a_burst_is_one_mail_and_one_digest() {
    let server = Server::start(Manners::default());
    let mailer = Mailer::start(Some(relay(server.port)), Duration::from_millis(500));
    for n in 1..=5 {
        mailer.push(event(n));
        until("the first mail", || n > 1 || !server.subjects().is_empty()).await;
    }
    until("the digest", || mailer.pending() == 0).await;
    assert_eq!(
        server.subjects(),
        [
            "[LVS1] VRRP Instance VI_1 - Entering MASTER state",
            "[LVS1] 4 events, the latest: VRRP Instance VI_5 - Entering MASTER state"
        ]
    );
    let text = server.heard().join("\n");
    for n in 2..=5 {
        assert!(
            text.contains(&format!("00:00:00 UTC VRRP Instance VI_{n} - Entering MASTER state\n")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_waits_is_sent_at_the_end_and_a_dead_relay_holds_nobody() {
    let server = Server::start(Manners::default());
    let mailer = Mailer::start(Some(relay(server.port)), Duration::from_secs(60));
    mailer.push(event(1));
    until("the first mail", || mailer.pending() == 0).await;
    mailer.push(event(2));
    mailer.finish(Duration::from_secs(5)).await;
    assert_eq!(server.subjects().len(), 2);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mailer = Mailer::start(Some(relay(silent.local_addr().unwrap().port())), Duration::ZERO);
    mailer.push(event(3));
    let begun = Instant::now();
    mailer.finish(Duration::from_millis(300)).await;
    assert!(begun.elapsed() < Duration::from_secs(2) && mailer.pending() == 1);
}

#[tokio::test]
async fn after_a_reload_the_new_relay_gets_what_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = listener.local_addr().unwrap().port();
    drop(listener);
    let mailer = Mailer::start(Some(relay(dead)), Duration::from_secs(1));
    mailer.push(event(1));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mailer.pending(), 1);
    let server = Server::start(Manners::default());
    mailer.configure(Some(relay(server.port)), Duration::from_secs(1));
    mailer.finish(Duration::from_secs(5)).await;
    assert_eq!((server.subjects().len(), mailer.pending()), (1, 0));
    mailer.configure(None, Duration::from_secs(1));
    mailer.push(event(2));
    assert_eq!(mailer.pending(), 0, "nobody to send it to");
}
