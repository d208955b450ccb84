//! What those who come over the network are not told: who gives the orders here. The words for that ([`super::Caller`]) stand in
//! sentences, too, so they are looked for in the answer as it goes out.

use super::super::answer::Answer;

/// What stands for them.
const SOMEBODY: &str = "somebody";
/// How such a word goes on behind the name.
const MARK: &str = "(uid=";

/// An answer without those words.
pub(super) fn without_callers(answer: Answer) -> Answer {
    match std::str::from_utf8(&answer.body) {
        Ok(text) if text.contains(MARK) => Answer { body: text_without(text).into_bytes(), ..answer },
        _ => answer,
    }
}

/// The same of a text, JSON too: `by root(uid=0,pid=7)` becomes `by somebody`.
pub(super) fn text_without(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(MARK) {
        match behind.split_once(')').filter(|(numbers, _)| is_of_caller(numbers)) {
            Some((_, after)) => {
                // Neither blanks nor quotes are in a name.
                told.push_str(before.trim_end_matches(|c: char| !c.is_whitespace() && c != '"'));
                told.push_str(SOMEBODY);
                // The other director's name, where it was said there.
                let host = after.strip_prefix('@').map(|host| host.trim_start_matches(in_host));
                rest = host.unwrap_or(after);
            }
            None => {
                told.push_str(before);
                told.push_str(MARK);
                rest = behind;
            }
        }
    }
    told.push_str(rest);
    told
}

/// What a host's name is made of.
fn in_host(c: char) -> bool {
    c.is_alphanumeric() || "-._".contains(c)
}

/// `0`, `0,pid=4711`.
fn is_of_caller(numbers: &str) -> bool {
    let (uid, pid) = numbers.split_once(",pid=").unwrap_or((numbers, "0"));
    [uid, pid].iter().all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Caller;
    use super::*;

    #[test]
    fn callers_are_somebody() {
        for (text, wanted) in [
            ("stepped down by root(uid=0,pid=4711); priority 1", "stepped down by somebody; priority 1"),
            ("{\"by\":\"anna(uid=1000)\",\"x\":1}", "{\"by\":\"somebody\",\"x\":1}"),
            ("a(uid=1)b(uid=2,pid=3)", "somebodysomebody"),
            ("a(uid=x) (uid= (uid=1,pid=) (uid=1,2) z", "a(uid=x) (uid= (uid=1,pid=) (uid=1,2) z"),
            ("(uid=7) is nobody's name", "somebody is nobody's name"),
            ("by root(uid=0,pid=3)@lb1.example; priority", "by somebody; priority"),
            ("", ""),
        ] {
            assert_eq!(text_without(text), wanted);
        }
        let body = b"\xff root(uid=0)".to_vec();
        assert_eq!(without_callers(Answer { status: 200, body: body.clone() }).body, body);
    }

    proptest! {
        #[test]
        fn a_document_stays_one_and_names_nobody(
            user in "[a-zA-Z\\\\ü._\"-]{1,9}", uid: u32, pid: Option<u16>, host in proptest::option::of("[a-z0-9.-]{1,9}"), before in "\\PC{0,9}",
            behind in "([ ,;]\\PC{0,9})?",
        ) {
            let caller = Caller { uid, user: Some(user), pid: pid.map(i32::from), host }.to_string();
            let document = serde_json::json!({
                "by": caller, "text": format!("{before} by {caller}{behind}"), "z": [before, caller],
            });
            let told = text_without(&document.to_string());
            let told: serde_json::Value = serde_json::from_str(&told).unwrap();
            prop_assert_eq!(&told["by"], "somebody");
            prop_assert_eq!(&told["z"][0], &document["z"][0]);
            prop_assert_eq!(&told["z"][1], "somebody");
            prop_assert_eq!(&told["text"], &format!("{before} by somebody{behind}"));
        }
    }
}
