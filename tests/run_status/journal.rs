//! The journal of a running daemon: who has asked for what, and what of that the network is told.

use std::net::TcpStream;

use super::*;

/// Words that a command line, a login and another login are told by.
const NEW_SECRETS: [&str; 3] = ["kanary-4", "kanary-5", "kanary-6"];

fn over_tcp(target: &str) -> String {
    let mut stream = TcpStream::connect("127.0.0.1:9650").unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: 127.0.0.1:9650\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
    answer
}

#[test]
fn what_a_reload_changed_is_for_those_of_the_machine() {
    let conf = CONF.replace("global_defs {", "global_defs {\n status_listen 127.0.0.1:9650").replace(
        "127.0.0.3 53 { }",
        "127.0.0.3 53 {\n MISC_CHECK { misc_path \"/bin/true -p kanary-4\"\n misc_timeout 5 }\n }",
    );
    let place = place("discreet", &conf);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("it listens", || TcpStream::connect("127.0.0.1:9650").is_ok());
    let next = conf.replace("kanary-4", "kanary-5").replace("smtp_login kanary-1", "smtp_login kanary-6");
    fs::write(place.join("t.conf"), &next).unwrap();
    assert_eq!(daemon.ask("POST", "/v1/reload", "").0, 200);
    fs::write(place.join("t.conf"), next.replace("10.0.0.101", "10.0.0.999")).unwrap();
    assert_eq!(daemon.ask("POST", "/v1/reload", "").0, 409);
    let at = "/v1/real-servers/-/127.0.0.1:8081";
    assert_eq!(daemon.ask("POST", &format!("{at}/drain"), "{\"persist\": true}").0, 200);

    // Here it is told what has changed, though no login.
    let (_, told) = daemon.ask("GET", "/v1/journal?kind=reload", "");
    let (taken, refused) = (&told["events"][0], &told["events"][1]);
    let text = taken["text"].as_str().unwrap();
    assert!(
        text.starts_with("reloaded: changed: global_defs; changed: virtual_server 10.0.0.100 53 UDP"),
        "{text}"
    );
    let whole = taken["details"]["text"].as_str().unwrap();
    assert!(whole.contains("t.conf") && whole.contains("kanary-4 -> /bin/true -p kanary-5"), "{whole}");
    assert!(whole.contains("smtp_login XXXXXX") && !whole.contains("kanary-1"), "{whole}");
    assert!(refused["details"]["findings"].to_string().contains("10.0.0.999"), "{refused}");
    assert!(taken["by"].as_str().unwrap().starts_with("root(uid=0,pid="), "{taken}");
    let (_, said) = tandem(place, &["history"]);
    assert!(said.contains("-> /bin/true -p kanary-5") && said.contains("overrides.conf"), "{said}");

    // There it is told that something has.
    let out = over_tcp("/v1/journal");
    assert!(
        out.contains("changed: virtual_server 10.0.0.100 53 UDP") && out.contains("\"somebody\""),
        "{out}"
    );
    assert!(
        out.contains("real server 127.0.0.1:8081: ") && out.contains("the reload was refused: it has "),
        "{out}"
    );
    let status = over_tcp("/v1/status");
    assert!(status.contains("\"by\":\"somebody\""), "{status}");
    for (what, answer) in [("journal", &out), ("status", &status)] {
        for secret in SECRETS.iter().chain(&NEW_SECRETS).chain(&["(uid=", "overrides.conf"]) {
            assert!(!answer.contains(secret), "{what} tells {secret}: {answer}");
        }
    }
    assert!(!out.contains("t.conf") && !out.contains("10.0.0.999"), "{out}");
    daemon.end();
}

#[test]
fn whoever_asked_for_it_is_in_the_journal() {
    let place = place("asked", CONF);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("both are master", || is_master(&daemon));
    assert_eq!(daemon.ask("POST", "/v1/real-servers/TCP%2010.0.0.100:80/127.0.0.1:8081/check", "").0, 200);
    assert_eq!(daemon.ask("POST", "/v1/statistics/reset", "").0, 200);
    // Nobody would start the new program here.
    assert_eq!(daemon.ask("POST", "/v1/upgrade", "").0, 409);
    let conf = fs::read(place.join("t.conf")).unwrap();
    fs::write(place.join("t.conf"), "").unwrap();
    assert_eq!(daemon.ask("POST", "/v1/leave", "").0, 409);
    fs::write(place.join("t.conf"), conf).unwrap();
    let (_, told) = daemon.ask("GET", "/v1/journal?kind=command", "");
    let told: Vec<&Value> = told["events"].as_array().unwrap().iter().collect();
    for (event, (cause, subject, whole)) in told.iter().zip([
        ("check_now", "TCP 10.0.0.100:80", "127.0.0.1:8081 of TCP 10.0.0.100:80: checked now"),
        ("reset_statistics", "", "the statistics are to begin at zero"),
        ("refused", "", "an upgrade was refused: this daemon runs without its supervisor"),
        ("refused", "", "leaving everything as it is was refused: t.conf: it has nothing to run any more"),
    ]) {
        assert_eq!((&event["cause"], &event["subject"]), (&cause.into(), &subject.into()), "{event}");
        let text = event["details"]["text"].as_str().or(event["text"].as_str()).unwrap();
        assert!(text.starts_with(whole), "{event}");
        assert!(event["by"].as_str().unwrap().starts_with("root(uid=0,pid="), "{event}");
        assert!(!event["text"].as_str().unwrap().contains("t.conf"), "{event}");
    }
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(daemon.ask("POST", "/v1/leave", "").0, 200);
    until("it has left", || !daemon.socket.exists());
    let journal = place.join("run/journal.jsonl");
    until("its last word is written", || fs::read_to_string(&journal).unwrap().contains("\"left\""));
    let last = fs::read_to_string(&journal).unwrap();
    let left =
        last.lines().find(|line| line.contains("\"cause\":\"leave\"")).unwrap_or_else(|| panic!("{last}"));
    assert!(left.contains("\"by\":\"root(uid=0,pid="), "{left}");
}
