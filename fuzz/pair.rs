//! Bytes of the other director of a pair, or of whoever says so: greetings, requests, answers, and the documents in them.

use tandem::channel::compare::compare;
use tandem::channel::judge::{Me, Verdict, judge};
use tandem::channel::key::Keys;
use tandem::channel::message::{Answer, Profile, Said, Who};
use tandem::channel::seal::{
    self, ANSWER_HEAD, ANSWER_LIMIT, Flaw, GREETING, MAC, REQUEST_HEAD, REQUEST_LIMIT,
};
use tandem::channel::watch::Peer;

/// Bits of the first byte: which kind of bytes, and whether the peer has signed them.
const KIND: u8 = 3;
const SIGNED: u8 = 4;

/// The first byte chooses, the others are what has come.
pub(crate) fn pair(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let keys = Keys::of("key");
    match choice & KIND {
        0 => greeting(bytes),
        1 => request(&keys, bytes),
        2 => answer(&keys, bytes),
        _ => {}
    }
    // What a peer that has the key may say.
    if choice & SIGNED != 0 {
        asked(bytes);
        heard(bytes);
    }
}

fn greeting(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk::<GREETING>() else { return };
    match seal::read_greeting(bytes) {
        Ok(nonce) => assert_eq!(seal::greeting(&nonce), *bytes, "a greeting says nothing else"),
        Err(flaw) => assert!(matches!(flaw, Flaw::NotAPeer | Flaw::Version(_)), "{flaw}"),
    }
}

fn request(keys: &Keys, bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<REQUEST_HEAD>() else { return };
    let Ok(length) = seal::request_rest(head) else { return };
    assert!((MAC..=REQUEST_LIMIT + MAC).contains(&length));
    if let Ok(received) = seal::open_request(keys, &[1; 32], head, rest) {
        assert_eq!(rest.len(), length);
        // Nobody signs by chance; and what is answered is bound to this request.
        assert_eq!(received.document, Err(Flaw::NotAuthenticated));
        let sealed = seal::answer(keys, &received.bound, b"no").expect("short");
        let (first, more) = sealed.split_first_chunk::<ANSWER_HEAD>().expect("a head");
        assert_eq!(seal::open_answer(keys, &received.bound, first, more), Ok(b"no".as_slice()));
    }
}

fn answer(keys: &Keys, bytes: &[u8]) {
    let (_, bound) = seal::request(keys, &[1; 32], &[2; 32], b"?").expect("short");
    let Some((head, rest)) = bytes.split_first_chunk::<ANSWER_HEAD>() else { return };
    let Ok(length) = seal::answer_rest(head) else { return };
    assert!((MAC..=ANSWER_LIMIT + MAC).contains(&length));
    assert!(seal::open_answer(keys, &bound, head, rest).is_err());
}

fn me() -> Me {
    let who = Who { id: "1".to_owned(), name: "lb1".to_owned(), tandem: "0".to_owned() };
    let profile = std::sync::Arc::new(Profile { whole: "w".to_owned(), objects: Vec::new() });
    Me { who, accepts_changes: true, profile }
}

fn asked(document: &[u8]) {
    match judge(document, &me()) {
        Verdict::Refused(name, Said::Refused { problem, .. }) => {
            assert!(!name.is_empty() && !problem.chars().any(char::is_control), "{problem:?}");
        }
        Verdict::Refused(..) => panic!("a refusal refuses"),
        Verdict::Change(_, from) => assert!(!from.name.chars().any(char::is_control)),
        Verdict::Compared { .. } => {}
    }
}

fn heard(document: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Answer>(document) else { return };
    let now = tandem::clock::now();
    let mut peer = Peer::new("10.0.0.2:9651".to_owned(), now);
    let Ok(notes) = peer.heard(answer.cleaned(), now) else { return };
    for text in notes.iter().flat_map(|note| [&note.text, &note.subject]) {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    for (one, _) in &peer.differences {
        assert!(!one.to_string().chars().any(char::is_control));
    }
    // Whatever it says, it is as itself.
    let Some(known) = peer.known() else { return };
    let said = serde_json::from_slice::<Answer>(document).map(|answer| answer.said);
    if let Ok(Said::Profile { objects }) = said {
        let profile = Profile::received(known.to_owned(), objects).expect("it was taken");
        assert!(compare(&profile, &profile).is_empty());
    }
}
