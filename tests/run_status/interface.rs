//! The interface as its description has it: every operation is asked, every answer is compared with its schema, and every
//! operation is asked badly, which changes nothing.

use std::collections::BTreeSet;

use super::schema::Description;
use super::*;

/// One of the file.
const AT: &str = "/v1/real-servers/TCP%2010.0.0.100:80/127.0.0.1:8081";
/// One that a command adds.
const ADDED: &str = "/v1/real-servers/UDP%2010.0.0.100:53/127.0.0.4:53";

/// The path of the description that a target belongs to.
fn described(target: &str) -> String {
    let path = target.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["", "v1", "real-servers", _, _] => "/v1/real-servers/{service}/{server}".to_owned(),
        ["", "v1", "real-servers", _, _, verb] => format!("/v1/real-servers/{{service}}/{{server}}/{verb}"),
        ["", "v1", "instances", _, verb] => format!("/v1/instances/{{name}}/{verb}"),
        _ => path.to_owned(),
    }
}

/// A path of the description as one that can be asked.
fn target(path: &str) -> String {
    path.replace("{service}", "TCP%2010.0.0.100:80")
        .replace("{server}", "127.0.0.1:8081")
        .replace("{name}", "VI_1")
}

/// What was asked, and how the answers were.
struct Asked<'a> {
    daemon: &'a Daemon,
    description: Description,
    done: BTreeSet<(String, String)>,
}

impl Asked<'_> {
    /// A document, of this status, as described, without secrets.
    fn document(&mut self, method: &str, target: &str, body: &str, wanted: u16) -> Value {
        let (status, answer) = self.daemon.ask(method, target, body);
        assert_eq!(status, wanted, "{method} {target} {body}: {answer}");
        let problems = self.description.problems(method, &described(target), status, &answer);
        assert!(problems.is_empty(), "{method} {target}:\n{}", problems.join("\n"));
        let text = answer.to_string();
        for secret in SECRETS {
            assert!(!text.contains(secret), "{method} {target} shows {secret}");
        }
        if status == 200 {
            self.done.insert((method.to_owned(), described(target)));
        }
        answer
    }

    /// Another kind of answer: its text.
    fn other(&mut self, target: &str) -> String {
        let (head, text) = self.daemon.whole("GET", target, "");
        let media = self.description.media("GET", target);
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{target}: {head}");
        assert!(head.lines().any(|line| line == format!("content-type: {}", media.to_lowercase())), "{head}");
        for secret in SECRETS {
            assert!(!text.contains(secret), "{target} shows {secret}");
        }
        self.done.insert(("GET".to_owned(), target.to_owned()));
        text
    }

    /// The stream: what happened before, and one thing that happens now.
    fn events(&mut self) {
        let mut stream = UnixStream::connect(&self.daemon.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET /v1/events?since=0 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        let (mut newest, mut told) = (None, false);
        while !told {
            let length = stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the stream ended: {text}");
            text += &String::from_utf8_lossy(&buffer[..length]);
            // Whole events alone.
            let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
            let mut kind = "message";
            let mut number = 0;
            for line in whole.lines() {
                if let Some(word) = line.strip_prefix("event: ") {
                    kind = word;
                } else if let Some(id) = line.strip_prefix("id: ") {
                    let id: u64 = id.parse().unwrap();
                    assert!(id > number, "{id} behind {number}");
                    number = id;
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let data: Value =
                        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
                    if kind == "message" {
                        let problems = self.description.problems_of("EventView", &data);
                        assert!(problems.is_empty(), "{data}: {problems:?}");
                        told |= newest.is_some_and(|newest| number > newest) && data["kind"] == "command";
                    } else {
                        assert_eq!(kind, "hello", "{data}");
                        if newest.is_none() {
                            newest = Some(data["newest"].as_u64().filter(|number| *number > 0).unwrap());
                            let (status, _) =
                                self.daemon.ask("POST", &format!("{AT}/weight"), "{\"weight\": 3}");
                            assert_eq!(status, 200);
                        }
                    }
                    kind = "message";
                }
            }
        }
        assert!(text.to_lowercase().contains("content-type: text/event-stream"), "{text}");
        self.done.insert(("GET".to_owned(), "/v1/events".to_owned()));
    }
}

#[test]
fn every_answer_is_as_described() {
    let place = place("described", CONF);
    let place = place.0.as_path();
    let mut daemon = Daemon::start_with(place, &[]);
    until("both are master, and the checks have begun", || {
        let status = daemon.status();
        is_master(&daemon) && status["virtual_servers"][0]["real_servers"][0]["checkers"][0]["up"] == false
    });
    let (code, served) = daemon.text("GET", "/v1/openapi.json", "");
    assert_eq!(code, 200);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/control/openapi.json");
    assert_eq!(served, fs::read_to_string(file).unwrap());
    let mut asked = Asked { daemon: &daemon, description: Description::new(&served), done: BTreeSet::new() };
    for (method, target, body, wanted) in [
        ("GET", "/v1".to_owned(), "", 200),
        ("GET", "/v1/status".to_owned(), "", 200),
        ("GET", "/v1/status?part=daemon".to_owned(), "", 200),
        ("GET", "/v1/status?part=instances".to_owned(), "", 200),
        ("GET", "/v1/status?service=UDP%2010.0.0.100:53".to_owned(), "", 200),
        ("GET", "/v1/status?service=UDP%2010.0.0.9:53".to_owned(), "", 404),
        ("GET", "/v1/status?part=everything".to_owned(), "", 400),
        ("GET", "/v1/real-servers".to_owned(), "", 200),
        ("GET", "/v1/real-servers?service=UDP%2010.0.0.100:53".to_owned(), "", 200),
        ("GET", "/v1/real-servers?service=UDP%2010.0.0.9:53".to_owned(), "", 404),
        ("GET", "/v1/overrides".to_owned(), "", 200),
        ("GET", "/v1/config".to_owned(), "", 200),
        ("GET", "/v1/config?form=keepalived".to_owned(), "", 200),
        ("GET", "/v1/config?form=xml".to_owned(), "", 400),
        ("GET", "/v1/plan".to_owned(), "", 200),
        ("POST", format!("{AT}/weight"), "{\"weight\": 7}", 200),
        ("POST", format!("{AT}/weight"), "{\"weight\": 70000}", 400),
        ("GET", "/v1/overrides".to_owned(), "", 200),
        ("GET", "/v1/status".to_owned(), "", 200),
        ("POST", format!("{AT}/disable"), "", 200),
        ("POST", format!("{AT}/enable"), "", 200),
        ("POST", format!("{AT}/drain"), "", 200),
        ("POST", format!("{ADDED}/add"), "{\"weight\": 2}", 200),
        ("POST", format!("{ADDED}/add"), "{\"weight\": 2}", 409),
        ("DELETE", "/v1/real-servers/-/127.0.0.4:53".to_owned(), "", 200),
        ("POST", format!("{AT}/check"), "", 200),
        ("POST", "/v1/real-servers/-/127.0.0.9/check".to_owned(), "", 404),
        ("POST", "/v1/real-servers/-/-/check".to_owned(), "", 200),
        ("POST", "/v1/statistics/reset".to_owned(), "", 200),
        ("POST", "/v1/statistics/reset".to_owned(), "{\"ipvs\": \"yes\"}", 400),
        ("POST", "/v1/reload".to_owned(), "", 200),
        ("GET", "/v1/plan".to_owned(), "", 200),
    ] {
        asked.document(method, &target, body, wanted);
    }
    the_numbers(&daemon);
    for (method, target, body, wanted) in [
        ("POST", "/v1/instances/VI_1/step-down".to_owned(), "{\"for_seconds\": 600}", 200),
        ("GET", "/v1/orders".to_owned(), "", 200),
        ("GET", "/v1/status".to_owned(), "", 200),
        ("POST", "/v1/instances/VI_1/release".to_owned(), "", 200),
        ("POST", "/v1/instances/VI_1/release".to_owned(), "", 409),
        ("POST", "/v1/instances/G/take-over".to_owned(), "", 200),
        ("POST", "/v1/instances/-/failback".to_owned(), "", 200),
        ("POST", "/v1/instances/VI_9/failback".to_owned(), "", 404),
        ("POST", "/v1/maintenance".to_owned(), "{\"on\": true, \"for_seconds\": 60}", 200),
        ("POST", "/v1/instances/VI_1/take-over".to_owned(), "", 409),
        ("GET", "/v1/status".to_owned(), "", 200),
        ("GET", "/v1/why".to_owned(), "", 200),
        ("POST", "/v1/maintenance".to_owned(), "{\"on\": false}", 200),
        ("GET", "/v1/why?subject=VI_1&last=3".to_owned(), "", 200),
        ("GET", "/v1/why?subject=127.0.0.1:8081".to_owned(), "", 200),
        ("GET", "/v1/why?subject=nobody".to_owned(), "", 404),
        ("GET", "/v1/journal".to_owned(), "", 200),
        ("GET", "/v1/journal?since=2&kind=transition&subject=VI_1&limit=3".to_owned(), "", 200),
    ] {
        asked.document(method, &target, body, wanted);
    }
    until("both are master again", || is_master(&daemon));
    asked.events();
    assert!(asked.other("/").contains("<!doctype html>"));
    assert!(asked.other("/metrics").ends_with("# EOF\n"));
    asked.other("/v1/openapi.json");

    // A file that is refused; another process in the place of this one; and its end, without a word to anybody.
    fs::write(place.join("t.conf"), "vrrp_instance VI_1 {").unwrap();
    asked.document("POST", "/v1/reload", "", 409);
    fs::write(place.join("t.conf"), CONF).unwrap();
    // By the command: between the two processes nobody answers, or somebody breaks off.
    let pid = || {
        let (code, said) = tandem(place, &["status", "--part", "daemon", "--json"]);
        let status = serde_json::from_str::<Value>(&said).ok().filter(|_| code == Some(0))?;
        status["daemon"]["pid"].as_u64()
    };
    let before = pid();
    asked.document("POST", "/v1/upgrade", "", 200);
    until("another process answers", || pid().is_some_and(|pid| Some(pid) != before));
    asked.document("POST", "/v1/leave", "", 200);
    let done = asked.done;
    for operation in asked.description.operations() {
        assert!(done.contains(&operation), "{operation:?} is described, and was not asked");
    }
    daemon.ended();
}

/// What the numbers say after all that.
fn the_numbers(daemon: &Daemon) {
    let status = daemon.status();
    let one = &status["instances"][0];
    assert_eq!((&one["priority"], &one["base_priority"]), (&170.into(), &150.into()), "{one}");
    assert_eq!(one["trackers"].as_array().unwrap().iter().filter(|one| one["contribution"] == 20).count(), 1);
    assert_eq!(one["addresses"][0], "10.0.0.100/24");
    assert_eq!(one["last"]["cause"], "master_down", "{one}");
    assert_eq!(status["instances"][1]["group"], "G");
    assert_eq!(status["daemon"]["reloads"], 1);
    assert_eq!(status["daemon"]["silent"], Value::Array(Vec::new()));
    let real = &status["virtual_servers"][0]["real_servers"][0];
    assert_eq!((&real["up"], &real["weight_configured"]), (&false.into(), &4.into()), "{real}");
    assert!(real["last_failure"]["reason"].as_str().unwrap().contains("refused"), "{real}");
}

/// What a request that is refused must leave as it is.
fn state(daemon: &Daemon) -> Vec<String> {
    let mut status = daemon.status();
    let servers = status["virtual_servers"].take().to_string();
    let timeless: String = servers.chars().filter(|c| !c.is_ascii_digit()).collect();
    let digest = status["daemon"]["config_digest"].to_string();
    let counts = ["reloads", "reloads_refused", "pid"].map(|name| status["daemon"][name].to_string());
    let instances = status["instances"].as_array().unwrap().iter();
    let instances: Vec<String> = instances
        .map(|one| ["state", "priority", "order", "transitions"].map(|name| one[name].to_string()).join(" "))
        .collect();
    let answers = [
        "/v1/overrides",
        "/v1/orders",
        "/v1/journal?kind=order",
        "/v1/journal?kind=command",
        "/v1/journal?kind=reload",
    ]
    .map(|path| daemon.text("GET", path, "").1);
    [timeless, digest].into_iter().chain(counts).chain(instances).chain(answers).collect()
}

#[test]
fn bad_requests_change_nothing() {
    let place = place("bad", CONF);
    let place = place.0.as_path();
    // Supervised: a request to leave or to upgrade that is not refused would be obeyed.
    let daemon = Daemon::start_with(place, &[]);
    until("the checks have begun", || {
        let status = daemon.status();
        let reals = status["virtual_servers"][0]["real_servers"].as_array().unwrap();
        is_master(&daemon) && reals.iter().all(|real| real["checkers"][0]["up"] == false)
    });
    let description = Description::new(&daemon.text("GET", "/v1/openapi.json", "").1);
    let before = state(&daemon);
    let refused = |method: &str, target: &str, body: &str| {
        let (status, answer) = daemon.ask(method, target, body);
        assert!((400..500).contains(&status), "{method} {target} {body}: {status} {answer}");
        let words = ["code", "problem", "cure"]
            .map(|word| answer["error"][word].as_str().unwrap_or_default().to_owned());
        assert!(words.iter().all(|word| !word.is_empty()), "{method} {target}: {answer}");
        let problems = description.problems_of("Refused", &answer);
        assert!(problems.is_empty(), "{method} {target}: {problems:?}");
        status
    };
    // Each operation by a wrong method, with a word too many, and with documents that are none of its.
    let operations = description.operations();
    for (method, path) in &operations {
        let target = target(path);
        for other in ["GET", "POST", "DELETE", "PUT", "PATCH"] {
            if !operations.contains(&(other.to_owned(), path.clone())) {
                assert_eq!(refused(other, &target, ""), 405, "{other} {target}");
            }
        }
        assert_eq!(refused(method, &format!("{target}?nonsense=1"), ""), 400);
        assert!([404, 405].contains(&refused(method, &format!("{target}/nonsense"), "")));
        if method != "GET" {
            for body in
                ["[]", "[true]", "{", "{}{}", "nonsense", "null", "{\"nonsense\": 1}", "\u{1}", "{\"on\": 1}"]
            {
                assert_eq!(refused(method, &target, body), 400, "{method} {target} {body}");
            }
        }
    }
    for (method, target, body) in [
        ("GET", "/v1/status?part=", ""),
        ("GET", "/v1/status?service=%ff", ""),
        ("GET", "/v1/config?form=keepalived&secrets=true", ""),
        ("POST", "/v1/statistics/reset", "{\"ipvs\": true, \"all\": true}"),
        ("POST", "/v1/statistics/reset?ipvs=true", ""),
        ("POST", "/v1/real-servers/-/-/drain", ""),
        ("DELETE", "/v1/real-servers/-/-", ""),
        ("POST", "/v1/real-servers/TCP%2010.0.0.9:80/-/check", ""),
        ("POST", "/v1/real-servers/-/127.0.0.1:8081/check", "{\"now\": true}"),
        ("POST", "/v1/real-servers/-/127.0.0.1:8081/weight", "{\"weight\": -1}"),
        ("POST", "/v1/real-servers/-/127.0.0.1:8081/weight", "{\"weight\": \"5\"}"),
        ("POST", "/v1/real-servers/-/127.0.0.9:8081/drain", ""),
        ("POST", "/v1/real-servers/-/127.0.0.1:8081/add", "{\"like\": \"127.0.0.9:1\"}"),
        ("POST", "/v1/instances/VI_9/step-down", ""),
        ("POST", "/v1/instances/VI_1/step-down", "{\"for_seconds\": 0}"),
        ("POST", "/v1/instances/VI_1/step-down", "{\"for_seconds\": 1e99}"),
        ("POST", "/v1/instances/VI_1/step-down?for_seconds=5", ""),
        ("POST", "/v1/instances/VI_1/release", ""),
        ("POST", "/v1/instances/VI_1/failback", "{\"for_seconds\": 5}"),
        ("POST", "/v1/instances/%2/step-down", ""),
        ("POST", "/v1/instances//step-down", ""),
        ("POST", "/v1/maintenance", "{\"on\": false, \"strict\": true}"),
        ("POST", "/v1/maintenance", "{\"on\": \"yes\"}"),
        ("POST", "/v1/maintenance", ""),
        ("GET", "/v1/why?subject=nobody", ""),
        ("GET", "/v1/why?last=x", ""),
        ("GET", "/v1/journal?since=-1", ""),
        ("GET", "/v1/journal?limit=9999999999999999999999", ""),
        ("GET", "/v1/events?since=x", ""),
        ("GET", "/metrics?detail=everything", ""),
        ("POST", "/v1/leave?persist=true", ""),
        ("GET", "/v2/status", ""),
        ("GET", "/etc/passwd", ""),
        ("GET", "/../v1/status", ""),
    ] {
        refused(method, target, body);
    }
    assert_eq!(state(&daemon), before);
    daemon.end();
}
