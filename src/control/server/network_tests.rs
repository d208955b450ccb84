//! The door to the network with clients that may come in, and those that may not.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use super::super::view::EventView;
use super::*;

const SECRET: &str = "a-token-of-good-length";

struct Door {
    at: SocketAddr,
    wanted: watch::Sender<Option<Listen>>,
    events: broadcast::Sender<Arc<EventView>>,
}

fn event(number: u64) -> Arc<EventView> {
    Arc::new(EventView { number, text: "x".repeat(200), ..EventView::default() })
}

/// A port that nobody has.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn token_file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tandem-network-{name}-{}", std::process::id()));
    std::fs::write(&path, SECRET).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A door whose deciding part says what it was asked; of events it keeps those from 11 to 20.
async fn door(token: Option<PathBuf>, allow: &[&str]) -> Door {
    let at = free().await;
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    let (wanted, wishes) = watch::channel(Some(Listen { at, token_file: token, allow }));
    let (asks, mut asked) = mpsc::channel::<Ask>(8);
    let events = broadcast::channel(16).0;
    let live = events.clone();
    tokio::spawn(serve_network(wishes, asks));
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            let reply = match &ask.request {
                Request::Events { after } => {
                    let known = after.unwrap_or(20);
                    Reply::Events(Box::new(Events {
                        past: (known.max(10) + 1..=20).map(event).collect(),
                        missed: 10u64.saturating_sub(known),
                        newest: 20,
                        journal: "2a".to_owned(),
                        live: live.subscribe(),
                    }))
                }
                request => Reply::Now(Answer {
                    status: 200,
                    body: format!("{request:?} by {}", ask.caller).into_bytes(),
                }),
            };
            let _ = ask.reply.send(reply);
        }
    });
    let door = Door { at, wanted, events };
    until("it listens", || async { TcpStream::connect(door.at).await.is_ok() }).await;
    door
}

async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Door {
    async fn say(&self, words: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let text = format!("{words} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", self.at);
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn hear(&self, words: &str, headers: &str) -> String {
        let mut answer = Vec::new();
        let _ = self.say(words, headers).await.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn status(&self, words: &str, headers: &str) -> u16 {
        let answer = self.hear(words, headers).await;
        answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }
}

/// What comes within some time, until it has that.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
        let count = read.unwrap_or_else(|_| panic!("no {wanted} in {text}")).unwrap();
        assert!(count > 0, "it ended without {wanted}: {text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

fn run<F: Future<Output = ()>>(test: F) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn reading_and_nothing_else() {
    run(async {
        let file = token_file("token");
        let door = door(Some(file.clone()), &[]).await;
        let bearer = format!("authorization: Bearer {SECRET}\r\n");
        for (words, headers, wanted) in [
            ("GET /", "", 200),
            ("GET /metrics", "", 401),
            ("GET /metrics", "authorization: Bearer a-token-of-good-lengtH\r\n", 401),
            ("GET /metrics", &bearer, 200),
            ("GET /v1", &bearer, 403),
            ("GET /v1/overrides", &bearer, 403),
            ("POST /v1/reload", &bearer, 403),
            ("POST /v1/real-servers/-/10.0.0.1:80/drain", &bearer, 403),
            ("DELETE /v1/real-servers/-/10.0.0.1:80", &bearer, 403),
            ("POST /metrics", &bearer, 405),
        ] {
            assert_eq!(door.status(words, headers).await, wanted, "{words} {headers}");
        }
        let answer =
            door.hear("GET /metrics?detail=daemon", &format!("{bearer}accept: text/plain\r\n")).await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
        assert!(
            answer.contains("form: Prometheus, detail: Daemon") && answer.contains("127.0.0.1(uid=65534)"),
            "{answer}"
        );
        let answer = door.hear("GET /metrics", "").await;
        assert!(
            answer.contains("www-authenticate: Bearer realm=\"tandem\"") && !answer.contains(SECRET),
            "{answer}"
        );
        let page = door.hear("GET /", "").await;
        for header in [
            "content-type: text/html; charset=utf-8",
            "content-security-policy: default-src 'none'; script-src 'sha256-",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(page.contains(header), "{header}: {}", &page[..600]);
        }
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn addresses_that_are_not_allowed_hear_why() {
    run(async {
        let door = door(None, &["192.0.2.0/24"]).await;
        let answer = door.hear("GET /metrics", "").await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("status_allow"), "{answer}");
    });
}

/// The browser of somebody who may come in shows pages of others as well.
#[test]
fn a_page_whose_name_leads_here_reads_nothing() {
    run(async {
        let door = door(None, &["127.0.0.0/8"]).await;
        let mut stream = TcpStream::connect(door.at).await.unwrap();
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nhost: evil.example:9650\r\n\r\n").await.unwrap();
        let answer = read_until(&mut stream, "}").await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("status_token_file"), "{answer}");
    });
}

/// What a reload has changed may be a command line with a password in it.
#[test]
fn what_is_for_those_of_the_machine_does_not_go_out() {
    run(async {
        let door = door(None, &["127.0.0.1"]).await;
        let mut stream = door.say("GET /v1/events", "").await;
        read_until(&mut stream, "hello").await;
        let by = "anna(uid=1000,pid=7)".to_owned();
        let details = serde_json::json!({ "text": "reloaded /etc/tandem.conf: misc_path chk -p sesame -> chk -p mellon" });
        let reload = EventView {
            number: 21,
            kind: "reload".to_owned(),
            text: "reloaded: changed: virtual_server x".to_owned(),
            details: Some(details.clone()),
            by: Some(by.clone()),
            ..EventView::default()
        };
        let order = EventView {
            number: 22,
            kind: "transition".to_owned(),
            text: format!("stepped down by {by}; priority 1"),
            details: Some(serde_json::json!({ "priority": 1 })),
            ..EventView::default()
        };
        door.events.send(Arc::new(reload)).unwrap();
        door.events.send(Arc::new(order)).unwrap();
        let told = read_until(&mut stream, "{\"priority\":1}").await;
        assert!(told.contains("changed: virtual_server x") && told.contains("\"by\":\"somebody\""), "{told}");
        assert!(
            told.contains("stepped down by somebody; priority 1") && told.contains("{\"priority\":1}"),
            "{told}"
        );
        for secret in ["sesame", "/etc/", "anna", "uid="] {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
        let journal = door.hear("GET /v1/journal?limit=3", "").await;
        assert!(journal.contains("discreet: true") && journal.ends_with("by somebody"), "{journal}");
    });
}

/// The same rules over the unix socket: what a browser sends on behalf of some page changes nothing.
#[test]
fn pages_of_others_change_nothing() {
    run(async {
        let door = door(None, &["127.0.0.0/8"]).await;
        let answer = door.hear("POST /v1/reload", "origin: http://evil.example\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("\"origin\""), "{answer}");
    });
}

#[test]
fn a_reload_moves_the_door_and_sends_those_inside_away() {
    run(async {
        let file = token_file("moves");
        let mut door = door(None, &["127.0.0.1"]).await;
        let mut inside = door.say("GET /v1/events", "").await;
        read_until(&mut inside, "hello").await;
        // The same words again: nobody is disturbed.
        let same = door.wanted.borrow().clone();
        door.wanted.send_replace(same.clone());
        assert_eq!(door.status("GET /metrics", "").await, 200);
        door.events.send(event(21)).unwrap();
        read_until(&mut inside, "id: 21").await;
        // A token from now on: whoever came without one goes.
        door.wanted
            .send_replace(same.clone().map(|listen| Listen { token_file: Some(file.clone()), ..listen }));
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), inside.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "it still hears what happens");
        until("the token is asked for", || async { door.status("GET /metrics", "").await == 401 }).await;
        // Another port, where somebody is in the way for a while.
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let before = std::mem::replace(&mut door.at, other.local_addr().unwrap());
        door.wanted.send_replace(same.map(|listen| Listen { at: door.at, ..listen }));
        until("the old one is closed", || async { TcpStream::connect(before).await.is_err() }).await;
        drop(other);
        until("the new one is open", || async { TcpStream::connect(door.at).await.is_ok() }).await;
        assert_eq!(door.status("GET /metrics", "").await, 200);
        door.wanted.send_replace(None);
        until("it is closed", || async { TcpStream::connect(door.at).await.is_err() }).await;
        std::fs::remove_file(file).unwrap();
    });
}

#[test]
fn events_go_on_where_a_client_was() {
    run(async {
        let door = door(None, &["127.0.0.1"]).await;
        let mut fresh = door.say("GET /v1/events", "").await;
        let head = read_until(&mut fresh, "hello").await;
        assert!(
            head.contains("content-type: text/event-stream\r\n")
                && head.contains("transfer-encoding: chunked"),
            "{head}"
        );
        let mut again = door.say("GET /v1/events?since=3", "last-event-id: 17\r\n").await;
        let past = read_until(&mut again, "id: 20").await;
        assert!(
            past.contains("id: 18\n") && !past.contains("id: 17\n") && !past.contains("missed"),
            "{past}"
        );
        let mut late = door.say("GET /v1/events?since=4", "").await;
        let past = read_until(&mut late, "id: 20").await;
        assert!(past.contains("event: missed\ndata: {\"missed\":6}") && past.contains("id: 11\n"), "{past}");
        door.events.send(event(21)).unwrap();
        for stream in [&mut fresh, &mut again, &mut late] {
            let live = read_until(stream, "id: 21\ndata: {\"number\":21,").await;
            assert!(!live.contains("id: 20\n"), "{live}");
        }
    });
}

#[test]
fn those_who_never_read_hold_up_nobody_and_streams_are_few() {
    run(async {
        let door = door(None, &["127.0.0.1"]).await;
        let mut deaf = Vec::new();
        let mut all = 0;
        while door.events.receiver_count() < 32 {
            deaf.push(door.say("GET /v1/events", "").await);
            tokio::time::sleep(Duration::from_millis(5)).await;
            all += 1;
            assert!(all < 1000);
        }
        until("no more streams", || async {
            let answer = door.say("GET /v1/events", "").await;
            let mut answer = answer;
            read_until(&mut answer, "\r\n").await.starts_with("HTTP/1.1 503")
        })
        .await;
        // Far more than their buffers take: the channel forgets, and nobody waits.
        let begun = Instant::now();
        for number in 21..50_000 {
            door.events.send(event(number)).unwrap();
            if number % 1000 == 0 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(door.status("GET /metrics", "").await, 200);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        // One that reads again hears what it missed, and what is new.
        let mut one = deaf.swap_remove(0);
        let text = read_until(&mut one, "id: 49999\n").await;
        assert!(text.contains("event: missed"), "{}", &text[..text.len().min(500)]);
        drop(deaf);
        drop(one);
        until("their places are free", || async {
            let mut answer = door.say("GET /v1/events", "").await;
            read_until(&mut answer, "\r\n").await.starts_with("HTTP/1.1 200")
        })
        .await;
    });
}
