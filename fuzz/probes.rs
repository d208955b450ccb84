//! What servers answer to checks: HTTP heads and bodies, headers and JSON that a file expects, mail, DNS, gRPC, echoes.

use serde_json::Value;
use tandem::check::checkers::dns_message::Question;
use tandem::check::checkers::echo::Echo;
use tandem::check::checkers::grpc_message;
use tandem::check::checkers::http_answer::{Answer, Problem, Sink};
use tandem::check::checkers::http_expect::{self, Headers};
use tandem::check::checkers::smtp_dialogue::Reader;
use tandem::check::plan::{HeaderPlan, HeaderValue, JsonPlan};
use tandem::config::model::DnsType;
use tandem::config::text::expect;

/// The first byte chooses who reads, the second how the bytes are cut, the others come from the server.
pub(crate) fn probes(bytes: &[u8]) {
    let [choice, step, bytes @ ..] = bytes else { return };
    let step = usize::from(*step).max(1);
    match choice % 7 {
        0 => http(bytes, step),
        1 => json(bytes, step),
        2 => smtp(bytes, step),
        3 => grpc(bytes, step),
        4 => {
            let question = Question::new(0x4142, "a.example", DnsType::A).expect("a good name");
            if let Err(strange) = question.answer(bytes) {
                assert!(!strange.to_string().is_empty());
            }
        }
        5 => {
            for v6 in [false, true] {
                let echo = Echo { v6, identifier: 0x4142, sequence: 7, token: 0x6162_6364_6566_6768 };
                for raw in [false, true] {
                    let _ = echo.is_answered_by(bytes, raw);
                }
            }
        }
        _ => {
            let text = String::from_utf8_lossy(bytes);
            if let Some((name, _)) = expect::header(&text) {
                assert!(!name.is_empty() && name.is_ascii());
            }
            let steps = expect::json_path(&text);
            assert!(steps.is_none_or(|steps| !steps.is_empty()));
        }
    }
}

/// What came of an answer.
#[derive(Debug, Default, PartialEq)]
struct Kept {
    body: Vec<u8>,
    head: Vec<Vec<u8>>,
}

impl Sink for Kept {
    fn body(&mut self, part: &[u8]) {
        self.body.extend_from_slice(part);
    }
    fn head(&mut self, line: &[u8]) {
        self.head.push(line.to_vec());
    }
}

/// However the network cuts an answer, it is the same one.
fn http(bytes: &[u8], step: usize) {
    let read = |step: usize| -> Result<(Answer, Kept), Problem> {
        let (mut answer, mut kept) = (Answer::default(), Kept::default());
        for part in bytes.chunks(step) {
            answer.feed(part, &mut kept)?;
        }
        Ok((answer, kept))
    };
    let (cut, whole) = (read(step), read(usize::MAX));
    assert_eq!(cut.is_ok(), whole.is_ok());
    let Ok((answer, kept)) = cut else { return };
    assert!(kept.body.len() <= bytes.len());
    let wanted = ["X-State", "server", "A"].map(|name| HeaderPlan {
        name: name.to_owned(),
        value: if name == "A" { HeaderValue::Is("b".to_owned()) } else { HeaderValue::Any },
    });
    let mut headers = Headers::new(&wanted, &[]);
    kept.head.iter().for_each(|line| headers.line(line));
    if let Err(failure) = headers.verdict() {
        assert!(!failure.to_string().chars().any(char::is_control), "{failure:?}");
    }
    assert_eq!(Some((answer, kept)), whole.ok());
}

/// The walk that keeps nothing finds what a whole tree has. The path is the input's first line.
fn json(bytes: &[u8], _: usize) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (path, body) = (String::from_utf8_lossy(&bytes[..end]).into_owned(), &bytes[end + 1..]);
    let Some(steps) = expect::json_path(&path) else { return };
    let found = http_expect::json(body, &JsonPlan { name: path, path: steps.clone(), value: None });
    if let Err(failure) = &found {
        assert!(!failure.to_string().chars().any(|c| c.is_control() && c != '\n'), "{failure:?}");
    }
    // The tree gives up where the walk passes over (numbers that no float holds), never the other way round.
    if let Ok(tree) = serde_json::from_slice::<Value>(body) {
        let escaped = |step: &String| step.replace('~', "~0").replace('/', "~1");
        let pointer: String = steps.iter().map(|step| format!("/{}", escaped(step))).collect();
        assert_eq!(found.is_ok(), tree.pointer(&pointer).is_some(), "{pointer}");
    }
}

fn smtp(bytes: &[u8], step: usize) {
    let whole = Reader::default().feed(bytes);
    let mut reader = Reader::default();
    let mut pieces = Ok(None);
    for part in bytes.chunks(step) {
        pieces = reader.feed(part);
        if !matches!(pieces, Ok(None)) {
            break;
        }
    }
    match (whole, pieces) {
        (Ok(Some(whole)), Ok(Some(cut))) => assert!(whole.code == cut.code && whole.used <= bytes.len()),
        (whole, cut) => assert_eq!(whole, cut),
    }
}

fn grpc(bytes: &[u8], step: usize) {
    let mut answer = grpc_message::Answer::default();
    for part in bytes.chunks(step) {
        if answer.feed(part).is_err() {
            assert!(bytes.len() > grpc_message::LONGEST);
            return;
        }
    }
    match answer.serving() {
        Ok(serving) => assert!(!serving.word().is_empty()),
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
}
