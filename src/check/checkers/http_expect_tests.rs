//! Headers and JSON of every kind, good and bad.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::check::plan::RegexPlan;
use crate::config::text::expect::json_path;

fn header(name: &str, value: HeaderValue) -> HeaderPlan {
    HeaderPlan { name: name.to_owned(), value }
}

fn is(name: &str, value: &str) -> HeaderPlan {
    header(name, HeaderValue::Is(value.to_owned()))
}

fn matches(name: &str, pattern: &str) -> (HeaderPlan, Option<Arc<Mutex<Regex>>>) {
    let regex = RegexPlan::of(pattern);
    let compiled = Regex::new(pattern, &[], None).unwrap();
    (header(name, HeaderValue::Matches(regex)), Some(Arc::new(Mutex::new(compiled))))
}

fn judge(wanted: &HeaderPlan, pattern: Option<Arc<Mutex<Regex>>>, lines: &[&str]) -> String {
    let (wanted, patterns) = ([wanted.clone()], [pattern]);
    let mut headers = Headers::new(&wanted, &patterns);
    lines.iter().for_each(|line| headers.line(line.as_bytes()));
    headers.verdict().map_or_else(|failure| failure.to_string(), |()| "ok".to_owned())
}

#[test]
fn headers_are_found_whatever_their_case_and_blanks() {
    let any = header("X-State", HeaderValue::Any);
    for (wanted, lines, result) in [
        (is("X-State", "ready"), &["HTTP/1.1 200 OK", "x-state:  ready "][..], "ok"),
        (is("X-State", "ready"), &["HTTP/1.1 200 OK"], "header X-State is missing"),
        (is("X-State", "ready"), &["X-State: Ready"], "header X-State is \"Ready\", not \"ready\""),
        (is("X-State", "ready"), &["X-States: ready", "Y-X-State: ready"], "header X-State is missing"),
        // Several of one name: one that is right is enough, wherever it stands.
        (is("X-State", "ready"), &["X-State: a", "X-State: ready", "X-State: b"], "ok"),
        (is("X-State", "ready"), &["X-State: a", "X-State: b"], "header X-State is \"b\", not \"ready\""),
        (is("X-State", ""), &["X-State:"], "ok"),
        (is("X-Time", "10:30"), &["X-Time: 10:30"], "ok"),
        (any.clone(), &["X-State:"], "ok"),
        (any.clone(), &["no header"], "header X-State is missing"),
        // What stood in an answer before the answer does not count.
        (any, &["HTTP/1.1 100 Continue", "X-State: a", "", "HTTP/1.1 200 OK"], "header X-State is missing"),
    ] {
        assert_eq!(judge(&wanted, None, lines), result, "{lines:?}");
    }
    let (wanted, pattern) = matches("Server", "^nginx/1\\.\\d+$");
    assert_eq!(judge(&wanted, pattern.clone(), &["Server: nginx/1.22"]), "ok");
    let other = "header Server is \"nginx/2\", which ^nginx/1\\.\\d+$ does not match";
    assert_eq!(judge(&wanted, pattern, &["Server: nginx/2"]), other);
}

#[test]
fn a_long_value_is_cut_in_the_reason() {
    let long = format!("X-State: {}", "é".repeat(60_000));
    let said = judge(&is("X-State", "ready"), None, &[&long]);
    assert!(said.len() < 250 && said.contains("..."), "{said}");
}

fn look(body: &str, path: &str, value: Option<&str>) -> String {
    let wanted =
        JsonPlan { name: path.to_owned(), path: json_path(path).unwrap(), value: value.map(str::to_owned) };
    json(body.as_bytes(), &wanted).map_or_else(|failure| failure.to_string(), |()| "ok".to_owned())
}

#[test]
fn values_are_found_at_the_end_of_their_path() {
    let body = r#" {"status":"ok","n":5,"f":2.50,"t":true,"z":null,"a":{"b":[{"c":"x"},"second"],"b.c":1},"":"empty"} "#;
    for (path, value, wanted) in [
        ("status", Some("ok"), "ok"),
        ("status", None, "ok"),
        ("status", Some("up"), "field status is \"ok\", not \"up\""),
        ("state", None, "field state is missing"),
        ("n", Some("5"), "ok"),
        ("n", Some("5.0"), "ok"),
        ("n", Some("6"), "field n is 5, not 6"),
        ("n", Some("ok"), "field n is 5, not ok"),
        ("f", Some("2.5"), "ok"),
        ("t", Some("true"), "ok"),
        ("t", Some("false"), "field t is true, not false"),
        ("z", Some("null"), "ok"),
        ("z", None, "ok"),
        ("a", None, "ok"),
        ("a", Some("x"), "field a is an object, not x"),
        ("a.b", Some("x"), "field a.b is an array, not x"),
        ("a.b.0.c", Some("x"), "ok"),
        ("a.b.1", Some("second"), "ok"),
        ("a.b.2", None, "field a.b.2 is missing"),
        ("a.b.x", None, "field a.b.x is missing"),
        ("a.b.00.c", None, "field a.b.00.c is missing"),
        ("a.b.+1", None, "field a.b.+1 is missing"),
        ("a.b.c", None, "field a.b.c is missing"),
        ("/a/b.c", Some("1"), "ok"),
        ("/", Some("empty"), "ok"),
        ("status.more", None, "field status.more is missing"),
    ] {
        assert_eq!(look(body, path, value), wanted, "{path} {value:?}");
    }
    // A text is a text: "5" is no number and 5 no text, but who writes the file writes both alike.
    assert_eq!(look(r#"{"n":"5"}"#, "n", Some("5")), "ok");
    assert_eq!(look(r#"{"n":"5"}"#, "n", Some("5.0")), "field n is \"5\", not \"5.0\"");
    // Of a key that is there twice the last one counts.
    assert_eq!(look(r#"{"n":{"m":1},"n":2}"#, "n.m", None), "field n.m is missing");
    assert_eq!(look("[1,[2,3]]", "1.0", Some("2")), "ok");
}

#[test]
fn what_is_no_json_is_named() {
    for body in
        ["", "<html>", "{\"a\":1", "{\"a\":1} more", "{\"a\":1}{\"a\":1}", "nan", "\u{feff}{}", "\"\\ud800\""]
    {
        let said = look(body, "a", None);
        assert!(said.starts_with("body is no JSON: "), "{body:?}: {said}");
    }
    // As deep as a stack is not.
    let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
    for path in ["b", "a", "a.0.0", &format!("a{}", ".0".repeat(200))] {
        let said = look(&deep, path, None);
        assert!(said.starts_with("body is no JSON: "), "{path}: {said}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c]", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// The walk that keeps nothing finds what a whole tree has.
    #[test]
    fn the_walk_agrees_with_the_tree(tree in any_json(), path in prop::collection::vec("[a-c]|[0-3]", 1..4)) {
        let text = tree.to_string();
        let pointer = format!("/{}", path.join("/"));
        let there = tree.pointer(&pointer);
        prop_assert_eq!(look(&text, &pointer, None) == "ok", there.is_some(), "{} {}", text, pointer);
        let plain = match there {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Array(_) | Value::Object(_)) | None => None,
            Some(plain) => Some(plain.to_string()),
        };
        if let Some(plain) = plain {
            prop_assert_eq!(look(&text, &pointer, Some(&plain)), "ok");
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let wanted = JsonPlan { name: "a".to_owned(), path: vec!["a".to_owned()], value: None };
        let _ = json(&bytes, &wanted);
        let (any, patterns) = ([header("a", HeaderValue::Any)], [None]);
        let mut headers = Headers::new(&any, &patterns);
        headers.line(&bytes);
        let _ = headers.verdict();
    }
}
