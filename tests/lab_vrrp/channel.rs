//! The channel between the directors: what differs is named on both, drains are handed on where they are taken, nobody else is
//! believed, and a peer that hangs, drips or never ends costs no advert.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tandem::channel::key::Keys;
use tandem::channel::message::{Answer, Ask, By, Push, Request, Said, Who};
use tandem::channel::seal;

use super::orders::{tandem, told};
use super::*;

const KEY: &str = "5a7c0ffee5a7c0ffee5a7c0ffee5a7c0ffee5a7c0ffee";
const WEB: &str = "TCP 10.9.0.100:80";
const REAL: &str = "10.9.0.50:80";

/// A director of the pair: words of its own, lines of the instance, further blocks.
struct Side<'a> {
    own: &'a str,
    peer: &'a str,
    priority: u8,
    words: &'a str,
    lines: &'a str,
    blocks: &'a str,
}

const ONE: Side<'_> =
    Side { own: "10.9.0.1", peer: "10.9.0.2", priority: 150, words: "", lines: "", blocks: "" };
const TWO: Side<'_> =
    Side { own: "10.9.0.2", peer: "10.9.0.1", priority: 100, words: "", lines: "", blocks: "" };

/// An instance with a password.
const SECOND: &str = "vrrp_instance VI_2 {\n interface eth0\n virtual_router_id 52\n priority 90\n authentication {\n auth_type \
                      PASS\n auth_pass kanary1\n }\n virtual_ipaddress {\n 10.9.0.110/24\n }\n}\n";

impl Side<'_> {
    fn text(&self, pair: &Pair, host: &str) -> String {
        let key = pair.lab.work().join(host).join("pair.key");
        format!(
            "global_defs {{\n router_id {host}\n script_user root\n pair_peer {}\n pair_listen {}\n pair_key_file {}\n {}\n}}\n\
             vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.1\n priority {}\n \
             virtual_ipaddress {{\n {VIP}/24 dev eth0\n {}\n }}\n}}\n\
             virtual_server 10.9.0.100 80 {{\n protocol TCP\n lb_kind NAT\n real_server 10.9.0.50 80 {{\n weight 3\n }}\n \
             real_server 10.9.0.51 80 {{\n weight 3\n }}\n}}\n{}\n",
            self.peer,
            self.own,
            key.display(),
            self.words,
            self.priority,
            self.lines,
            self.blocks
        )
    }
}

fn key(pair: &Pair, host: &str, text: &str, mode: u32) {
    let path = pair.lab.file(&format!("{host}/pair.key"), text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// What a director says of the other one.
fn pair_of(pair: &Pair, host: &str) -> Value {
    let (code, said) = tandem(pair, host, &["status", "--json", "--part", "daemon"]);
    assert_eq!(code, Some(0), "{said}");
    let status: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    status["pair"].clone()
}

#[track_caller]
fn wait_for(pair: &Pair, host: &str, state: &str) -> Value {
    let mut last = Value::Null;
    wait(&format!("{host}: the pair is {state}"), patience() * 2, || {
        last = if UnixStream::connect(pair.lab.work().join(host).join("control.sock")).is_ok() {
            pair_of(pair, host)
        } else {
            Value::Null
        };
        pause(ms(100));
        last["state"] == state
    });
    println!("{host}: {last}");
    last
}

fn metrics(pair: &Pair, host: &str) -> String {
    let mut stream =
        UnixStream::connect(pair.lab.work().join(host).join("control.sock")).expect("the socket");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

fn both(name: &str) -> Option<(Pair, Director, Director)> {
    if director::tandem_only("the channel of a pair") {
        return None;
    }
    let pair = Pair::new(name);
    key(&pair, "d1", KEY, 0o600);
    key(&pair, "d2", &format!("{KEY}\n"), 0o640);
    let d1 = Director::start(&pair.lab, "d1", &ONE.text(&pair, "d1"));
    let d2 = Director::start(&pair.lab, "d2", &TWO.text(&pair, "d2"));
    for host in ["d1", "d2"] {
        let socket = pair.lab.work().join(host).join("control.sock");
        wait("it takes commands", patience(), || UnixStream::connect(&socket).is_ok());
    }
    Some((pair, d1, d2))
}

/// The overrides of a director, as it tells them.
fn overrides(pair: &Pair, host: &str) -> String {
    told(pair, host, &["overrides", "--json"])
}

#[test]
fn what_differs_is_named_on_both_directors() {
    let Some((pair, d1, d2)) = both("chandiff") else { return };
    let (one, two) = (Side { blocks: SECOND, ..ONE }, Side { blocks: SECOND, ..TWO });
    d1.reload(&one.text(&pair, "d1"));
    d2.reload(&two.text(&pair, "d2"));
    wait("the second instance", patience(), || metrics(&pair, "d1").contains("name=\"VI_2\"} 1"));
    let seen = wait_for(&pair, "d1", "agrees");
    wait_for(&pair, "d2", "agrees");
    assert_eq!(
        (seen["peer"].as_str(), seen["accepts_changes"].as_bool()),
        (Some("10.9.0.2:9651"), Some(false))
    );
    let said = told(&pair, "d1", &["status", "--color", "never"]);
    assert!(said.contains("pair: configured as "), "{said}");
    assert!(
        metrics(&pair, "d1").contains("tandem_peer_config_agrees{kind=\"vrrp_instance\",name=\"VI_1\"} 1")
    );

    // One file is edited, and read again.
    let more =
        "virtual_server 10.9.0.100 443 {\n protocol TCP\n lb_kind NAT\n real_server 10.9.0.50 443 {\n }\n}";
    let more = format!("{SECOND}{more}");
    let edited = Side { lines: "10.9.0.101/24", blocks: &more, ..TWO };
    let since = now();
    d2.reload(&edited.text(&pair, "d2"));
    let seen = wait_for(&pair, "d1", "differs");
    println!("MEASURED pair_difference_seen_ms={}", since.elapsed().as_millis());
    assert!(since.elapsed() < s(9), "sooner than the next regular question");
    let of = |seen: &Value, name: &str| {
        let all = seen["differences"].as_array().expect("a list").clone();
        all.into_iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name} in {seen}"))
    };
    assert_eq!(of(&seen, "VI_1")["words"], serde_json::json!(["virtual_ipaddress"]));
    assert_eq!(of(&seen, "TCP 10.9.0.100:443")["has"], "there");
    assert_eq!(seen["differences"].as_array().map(Vec::len), Some(2), "{seen}");
    let seen = wait_for(&pair, "d2", "differs");
    assert_eq!(of(&seen, "TCP 10.9.0.100:443")["has"], "here");
    let said = told(&pair, "d1", &["status", "--color", "never"]);
    for line in [
        "pair: DIFFERS from ",
        "vrrp_instance VI_1: virtual_ipaddress",
        "virtual_server TCP 10.9.0.100:443: only at the peer",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let text = metrics(&pair, "d1");
    for line in [
        "tandem_peer_up 1",
        "tandem_peer_agrees 0",
        "tandem_peer_state{tandem_peer_state=\"differs\"} 1",
        "tandem_peer_config_agrees{kind=\"vrrp_instance\",name=\"VI_1\"} 0",
        "tandem_peer_config_agrees{kind=\"virtual_server\",name=\"TCP 10.9.0.100:80\"} 1",
        "tandem_peer_config_agrees{kind=\"virtual_server\",name=\"TCP 10.9.0.100:443\"} 0",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }

    // A password is compared, and told to nobody.
    let other = one.text(&pair, "d1").replace("kanary1", "kanary2");
    d1.reload(&other);
    wait("the password differs", patience(), || pair_of(&pair, "d2").to_string().contains("authentication"));
    for host in ["d1", "d2"] {
        assert!(!pair_of(&pair, host).to_string().contains("kanary"));
    }
    // Both as the first one was.
    d1.reload(&one.text(&pair, "d1"));
    d2.reload(&two.text(&pair, "d2"));
    wait_for(&pair, "d1", "agrees");
    wait_for(&pair, "d2", "agrees");
    for host in ["d1", "d2"] {
        let said = told(&pair, host, &["history", "--kind", "pair"]);
        let times = said.matches("vrrp_instance VI_1 differs from the peer's").count();
        assert_eq!(times, 1, "once: {said}");
        assert!(said.contains("vrrp_instance VI_2 differs from the peer's"), "{said}");
        assert!(said.contains("authentication"), "{said}");
        assert!(said.contains("configured alike again"), "{said}");
    }
    pair.master("d1");
}

#[test]
fn drains_are_handed_on_where_they_are_taken() {
    let Some((pair, _d1, mut d2)) = both("chanpush") else { return };
    wait_for(&pair, "d1", "agrees");
    // Comparing is one thing, changing another.
    let (code, said) = tandem(&pair, "d1", &["drain", REAL, "--pair"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("enabled -> drain") && said.contains("NOT DONE at the peer"), "{said}");
    assert!(
        said.contains("takes no changes from its peer") && said.contains("pair_accept_changes"),
        "{said}"
    );
    assert!(overrides(&pair, "d1").contains("drain"));
    assert!(!overrides(&pair, "d2").contains("drain"));
    let seen = wait_for(&pair, "d1", "differs");
    assert_eq!(seen["differences"][0]["text"], "only here (drain)", "{seen}");
    assert_eq!(seen["differences"][0]["name"], format!("{REAL} of {WEB}"));

    d2.reload(&Side { words: "pair_accept_changes", ..TWO }.text(&pair, "d2"));
    wait("d2 takes changes", patience() * 2, || pair_of(&pair, "d1")["accepts_changes"] == true);
    let said = told(&pair, "d1", &["drain", REAL, "--pair"]);
    assert!(said.contains("the peer ") && said.contains(": enabled -> drain"), "{said}");
    let said = told(&pair, "d1", &["weight", "10.9.0.51:80", "7", "--pair"]);
    assert!(said.contains(": weight 3 -> 7"), "{said}");
    let there = overrides(&pair, "d2");
    let name = nix::unistd::gethostname().expect("a name").to_string_lossy().into_owned();
    assert!(there.contains("drain") && there.contains("weight 7"), "{there}");
    assert!(there.contains("root(uid=0,pid=") && there.contains(&format!(")@{name}\"")), "{there}");
    let said = told(&pair, "d2", &["history", "--kind", "command"]);
    let way = format!("enabled -> drain, by uid 0 (root) on {name} through the pair's channel");
    assert!(said.contains(&way), "{said}");
    let said = told(&pair, "d1", &["history", "--kind", "pair"]);
    assert!(said.contains("does not do the same") && said.contains("does the same: weight 3 -> 7"), "{said}");
    wait_for(&pair, "d1", "agrees");
    wait_for(&pair, "d2", "agrees");

    // What both cannot take back, or only one has, is not handed on.
    let (code, said) = tandem(&pair, "d1", &["drain", "10.9.0.99:80", "--pair"]);
    assert!(code == Some(2) && said.contains("there is no real server"), "{said}");

    // Nobody is there: said plainly, and what is done here stands.
    d2.kill();
    let (code, said) = tandem(&pair, "d1", &["enable", REAL, "--pair"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("drain -> enabled") && said.contains("no connection"), "{said}");
    let left = overrides(&pair, "d1");
    assert!(!left.contains("drain") && left.contains("weight 7"), "{left}");
    wait_for(&pair, "d1", "unreachable");
    let said = told(&pair, "d1", &["status", "--color", "never"]);
    assert!(said.contains("NOT HEARD"), "{said}");
}

/// Asks a director from another host, with bytes of our own. `None`: it hangs up without a word.
fn greet(pair: &Pair, from: &str, to: &str) -> Option<(TcpStream, seal::Nonce)> {
    let mut stream = pair.lab.inside(from, || TcpStream::connect((to, 9651))).expect("a connection");
    stream.set_read_timeout(Some(patience())).expect("a time limit");
    let mut greeting = [0; seal::GREETING];
    stream.read_exact(&mut greeting).ok()?;
    Some((stream, seal::read_greeting(&greeting).expect("a greeting")))
}

fn answered(stream: &mut TcpStream, keys: &Keys, to: &seal::Bound) -> Answer {
    let mut head = [0; seal::ANSWER_HEAD];
    stream.read_exact(&mut head).expect("the head of an answer");
    let mut rest = vec![0; seal::answer_rest(&head).expect("a length")];
    stream.read_exact(&mut rest).expect("an answer");
    let document = seal::open_answer(keys, to, &head, &rest).expect("signed");
    serde_json::from_slice(document).expect("a document")
}

fn weight(weight: u16) -> Vec<u8> {
    let by = By { uid: 0, user: Some("mallory".to_owned()), pid: None };
    let push = Push {
        service: WEB.to_owned(),
        server: REAL.to_owned(),
        order: "weight".to_owned(),
        weight: Some(weight),
        for_seconds: None,
        by,
    };
    let from = Who { id: "x".to_owned(), name: "lb2".to_owned(), tandem: "9".to_owned() };
    serde_json::to_vec(&Request { from, ask: Ask::Change(push) }).expect("a document")
}

#[test]
fn nobody_else_is_believed() {
    if director::tandem_only("the channel of a pair") {
        return;
    }
    let pair = Pair::new("chanauth");
    key(&pair, "d1", KEY, 0o600);
    key(&pair, "d2", &"another key, of somebody else".replace([' ', ','], "-").repeat(2), 0o600);
    let accepts = Side { words: "pair_accept_changes", ..ONE };
    let d1 = Director::start(&pair.lab, "d1", &accepts.text(&pair, "d1"));
    let mut d2 = Director::start(&pair.lab, "d2", &TWO.text(&pair, "d2"));
    let seen = wait_for(&pair, "d1", "not_authenticated");
    assert_eq!((seen["agrees"].clone(), seen["name"].clone()), (Value::Null, Value::Null));
    wait_for(&pair, "d2", "not_authenticated");
    let (code, said) = tandem(&pair, "d2", &["drain", REAL, "--pair"]);
    assert!(code == Some(4) && said.contains("not authenticated"), "{said}");
    told(&pair, "d2", &["enable", REAL]);
    assert!(!overrides(&pair, "d1").contains("drain"));
    let said = told(&pair, "d1", &["history", "--kind", "pair"]);
    assert!(said.contains("a request from 10.9.0.2 is not authenticated"), "{said}");
    assert_eq!(said.matches("is not authenticated").count(), 1, "once, however often: {said}");
    d2.stop();

    // Somebody with the key, at the peer's address, is the peer.
    let keys = Keys::of(KEY);
    let (mut stream, nonce) = greet(&pair, "d2", "10.9.0.1").expect("a greeting");
    let (recorded, bound) = seal::request(&keys, &nonce, &[7; 32], &weight(9)).expect("a request");
    stream.write_all(&recorded).expect("sent");
    let answer = answered(&mut stream, &keys, &bound);
    assert!(matches!(&answer.said, Said::Changed { change, .. } if change == "weight 3 -> 9"), "{answer:?}");
    assert!(overrides(&pair, "d1").contains("mallory(uid=0)@lb2"));
    told(&pair, "d1", &["enable", REAL]);
    // The same bytes once more, in a connection of their own.
    let (mut stream, fresh) = greet(&pair, "d2", "10.9.0.1").expect("a greeting");
    assert_ne!(fresh, nonce);
    stream.write_all(&recorded).expect("sent");
    let (head, rest) = recorded.split_first_chunk::<{ seal::REQUEST_HEAD }>().expect("a head");
    let bound = seal::open_request(&keys, &fresh, head, rest).expect("its shape is right").bound;
    let answer = answered(&mut stream, &keys, &bound);
    assert!(matches!(&answer.said, Said::Refused { code, .. } if code == "not-authenticated"), "{answer:?}");
    assert_eq!((answer.whole.as_str(), answer.from), ("", Who::default()), "a stranger learns nothing");
    let left = overrides(&pair, "d1");
    assert!(!left.contains("weight 9"), "{left}");

    // From any other address nobody hears a word, with the key or without.
    assert!(greet(&pair, "client", "10.9.0.1").is_none());
    let text = metrics(&pair, "d1");
    assert!(text.contains("tandem_peer_requests_total{result=\"stranger\"} 1"), "{text}");
    assert!(text.contains("tandem_peer_requests_total{result=\"not_authenticated\"}"), "{text}");

    // A key that others may read is none; one that is mended is taken by a reload.
    key(&pair, "d1", KEY, 0o644);
    d1.reload(&accepts.text(&pair, "d1"));
    let seen = wait_for(&pair, "d1", "closed");
    assert!(seen["problem"].as_str().is_some_and(|text| text.contains("chmod 600")), "{seen}");
    let connects = || pair.lab.inside("d2", || TcpStream::connect("10.9.0.1:9651")).is_ok();
    wait("the door is closed", patience(), || !connects());
    key(&pair, "d1", KEY, 0o600);
    key(&pair, "d2", KEY, 0o600);
    d1.reload(&accepts.text(&pair, "d1"));
    let _d2 = d2.again(&pair.lab);
    wait_for(&pair, "d1", "agrees");
    wait_for(&pair, "d2", "agrees");
    // Off again by a reload: the port is closed.
    let off = accepts.text(&pair, "d1");
    let off: Vec<&str> = off.lines().filter(|line| !line.trim_start().starts_with("pair_")).collect();
    d1.reload(&off.join("\n"));
    wait("nobody listens", patience(), || !connects());
    assert_eq!(pair_of(&pair, "d1"), Value::Null);
    wait_for(&pair, "d2", "unreachable");
}

#[test]
fn a_peer_that_hangs_drips_or_never_ends_costs_no_advert() {
    if director::tandem_only("the channel of a pair") {
        return;
    }
    let pair = Pair::new("chanhang");
    key(&pair, "d1", KEY, 0o600);
    let _d1 =
        Director::start(&pair.lab, "d1", &Side { words: "pair_accept_changes", ..ONE }.text(&pair, "d1"));
    pair.master("d1");
    // What this machine does to adverts by itself.
    let since = now();
    pause(s(10));
    let quiet = pair.longest_silence("d1", since);
    let over = AtomicBool::new(false);
    let listener = pair.lab.inside("d2", || TcpListener::bind("10.9.0.2:9651")).expect("a listener");
    listener.set_nonblocking(true).expect("a listener that does not wait");
    /// However a test ends, its threads do.
    struct Ends<'a>(&'a AtomicBool);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let _ends = Ends(&over);
        // Whoever asks is held: the first for ever, the second by a byte each second, the third gets all that there is.
        scope.spawn(|| {
            let mut held = Vec::new();
            let mut turn = 0;
            while !over.load(Ordering::Relaxed) {
                pause(ms(20));
                let Ok((mut stream, _)) = listener.accept() else { continue };
                stream.set_nonblocking(false).expect("a stream");
                turn += 1;
                match turn % 3 {
                    1 => held.push(stream),
                    2 => {
                        scope.spawn(move || {
                            for byte in seal::greeting(&[1; 32]) {
                                if stream.write_all(&[byte]).is_err() {
                                    break;
                                }
                                pause(s(1));
                            }
                        });
                    }
                    _ => {
                        scope.spawn(move || {
                            let mut bytes = seal::greeting(&[1; 32]).to_vec();
                            bytes.extend_from_slice(b"TDMPAIR\x01");
                            bytes.extend_from_slice(
                                &u32::try_from(seal::ANSWER_LIMIT).unwrap_or(0).to_be_bytes(),
                            );
                            bytes.resize(1 << 16, 0);
                            let mut sent = 0_usize;
                            while sent < 1 << 30 && stream.write_all(&bytes).is_ok() {
                                sent += bytes.len();
                            }
                            println!("MEASURED pair_flood_taken_bytes={sent}");
                        });
                    }
                }
            }
        });
        // And the same from the peer's address to our own port.
        let mut crowd: Vec<TcpStream> = Vec::new();
        let connect = || pair.lab.inside("d2", || TcpStream::connect("10.9.0.1:9651"));
        wait("it listens", patience(), || connect().is_ok());
        let since = now();
        while since.elapsed() < s(30) {
            crowd.extend((0..5).filter_map(|_| connect().ok()));
            crowd.truncate(200);
            for stream in &mut crowd {
                stream.set_nonblocking(true).expect("a stream");
                let _ = stream.write(b"TDMPAIR\x01 and nothing that is a request");
            }
            pause(ms(250));
        }
        let asked = now();
        let (code, said) = tandem(&pair, "d1", &["drain", REAL, "--pair"]);
        println!("MEASURED pair_push_to_a_hanging_peer_ms={} limit=20000", asked.elapsed().as_millis());
        assert_eq!(code, Some(4), "{said}");
        assert!(asked.elapsed() < s(20) && said.contains("NOT DONE"), "{said}");
        let seen = pair_of(&pair, "d1");
        assert!(
            ["silent", "broke_off", "not_a_peer", "not_authenticated"]
                .contains(&seen["state"].as_str().unwrap_or("")),
            "{seen}"
        );
        let times: Vec<Instant> = pair.wire.adverts("d1", since).into_iter().map(|(at, _)| at).collect();
        let gaps: Vec<Duration> = times.windows(2).map(|two| two[1] - two[0]).collect();
        let longest = pair.longest_silence("d1", since);
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "MEASURED pair_hostile_longest_gap_ms={:.1} quiet={:.1} interval=100",
            millis(longest),
            millis(quiet)
        );
        // A machine holds an advert back now and then by itself. Whoever waited for a peer would do so with each of them, or for as
        // long as that one hangs: a second for the one that drips, eight for the one that says nothing.
        let late: Vec<&Duration> = gaps.iter().filter(|gap| **gap >= ms(100) + grace(ms(100))).collect();
        assert!(gaps.len() > 200 && late.len() * 50 <= gaps.len(), "{} adverts, late: {late:?}", gaps.len());
        assert!(longest < s(1).max(quiet * 3), "an advert was late: {longest:?}, without all this {quiet:?}");
    });
    pair.master("d1");
}

/// The link-local address of a host's interface.
fn link_local(pair: &Pair, host: &str) -> String {
    pair.lab.set(host, "net/ipv6/conf/eth0/accept_dad", "0");
    pair.lab.set(host, "net/ipv6/conf/eth0/disable_ipv6", "0");
    let mut found = String::new();
    wait("a link-local address", patience(), || {
        let said = pair.lab.command(
            host,
            &["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link", "-tentative"],
        );
        let address = said.split_whitespace().find(|word| word.starts_with("fe80::"));
        found = address.and_then(|word| word.split('/').next()).unwrap_or_default().to_owned();
        !found.is_empty()
    });
    found
}

#[test]
fn link_local_addresses_will_do() {
    if director::tandem_only("the channel of a pair") {
        return;
    }
    let pair = Pair::new("chanlink");
    let (one, two) = (link_local(&pair, "d1"), link_local(&pair, "d2"));
    let (one, two) = (format!("{one}%eth0"), format!("{two}%eth0 9700"));
    for host in ["d1", "d2"] {
        key(&pair, host, KEY, 0o600);
    }
    let _d1 = Director::start(&pair.lab, "d1", &Side { own: &one, peer: &two, ..ONE }.text(&pair, "d1"));
    let _d2 = Director::start(&pair.lab, "d2", &Side { own: &two, peer: &one, ..TWO }.text(&pair, "d2"));
    let seen = wait_for(&pair, "d1", "agrees");
    assert!(
        seen["peer"]
            .as_str()
            .is_some_and(|text| text.starts_with("[fe80::") && text.ends_with("%eth0]:9700")),
        "{seen}"
    );
    wait_for(&pair, "d2", "agrees");
}
