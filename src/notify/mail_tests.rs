//! The message, and the words of failures. Real relays: tests/smtp_relay.rs.

use super::*;
use crate::notify::outbox::{Event, Outbox, Step};
use tokio::net::TcpListener;

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

fn mail() -> Mail {
    let mut outbox = Outbox::new(Duration::ZERO);
    let subject = "VRRP Instance VI_1 - Entering MASTER state".to_owned();
    let event = Event { subject, body: "first\n.second \u{e4}".to_owned(), at: 1_795_219_200 };
    outbox.push(event, clock::now());
    match outbox.step(clock::now()) {
        Step::Send(mail) => mail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn dates_are_right() {
    assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 +0000");
    assert_eq!(date(1_795_219_200), "Sat, 21 Nov 2026 00:00:00 +0000");
    assert_eq!(date(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 +0000");
    assert_eq!(date(4_102_444_799), "Thu, 31 Dec 2099 23:59:59 +0000");
}

#[test]
fn the_message_is_keepalived_s() {
    assert_eq!(
        message(&relay(25), &mail()),
        "Date: Sat, 21 Nov 2026 00:00:00 +0000\r\nFrom: lvs@example.com\r\nSubject: [LVS1] VRRP Instance VI_1 - \
         Entering MASTER state\r\nX-Mailer: Tandem\r\nTo: a@example.com, b@example.com\r\n\r\nfirst\r\n.second ?\r\n"
    );
}

#[test]
fn no_header_can_be_smuggled_in() {
    let relay = Relay { router_id: "x\r\nBcc: evil@example.com".to_owned(), ..relay(25) };
    assert!(!message(&relay, &mail()).contains("\nBcc"));
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_relay_in_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = send(&relay(port), &mail()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("127.0.0.1:{port}: ")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_silent_relay_is_left_after_a_while() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let relay = Relay { timeout: Duration::from_millis(100), ..relay(port) };
    let begun = clock::now();
    assert!(send(&relay, &mail()).await.is_err());
    assert!(clock::now() - begun < Duration::from_secs(3));
}

#[tokio::test]
async fn bad_addresses_and_files_are_named() {
    let bad = Relay { from: "nobody at home".to_owned(), ..relay(25) };
    assert!(matches!(send(&bad, &mail()).await, Err(Error::Address(text)) if text == "nobody at home"));
    let ca = Some(PathBuf::from("/nowhere/ca.pem"));
    let bad = Relay { security: Security::Starttls { ca }, ..relay(25) };
    let error = send(&bad, &mail()).await.unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/ca.pem cannot be used: "), "{error}");
}

#[test]
fn passwords_are_not_shown() {
    let login = Login { user: "u".to_owned(), password: Password::Words("geheim".to_owned()) };
    assert!(!format!("{login:?}").contains("geheim"));
}
