//! What is known of the peer over the pair's channel, as the document has it. Pure.

use std::time::Instant;

use crate::channel::watch::Peer;
use crate::control::view::{PairDifferenceView, PairView};

/// Differences that are told one by one.
const MOST: usize = 1000;

/// The document at that time.
pub fn view(peer: &Peer, now: Instant) -> PairView {
    let secs = |since: Instant| now.saturating_duration_since(since).as_secs_f64();
    let agrees = peer.agrees();
    let (state, since) = match (&peer.problem, agrees) {
        (Some((problem, since)), _) => (problem.name(), *since),
        (None, Some(true)) => ("agrees", peer.since),
        (None, Some(false)) => ("differs", peer.since),
        (None, None) => ("waiting", peer.begun),
    };
    let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let differences = peer.differences.iter().take(MOST).map(|(one, since)| PairDifferenceView {
        kind: one.kind.clone(),
        name: one.name.clone(),
        has: one.has.name().to_owned(),
        words: one.words.clone(),
        text: one.to_string(),
        since: secs(*since),
    });
    PairView {
        peer: peer.address.clone(),
        name: peer.who.as_ref().and_then(|who| named(&who.name)),
        tandem: peer.who.as_ref().and_then(|who| named(&who.tandem)),
        state: state.to_owned(),
        in_state: secs(since),
        problem: peer.problem.as_ref().map(|(problem, _)| problem.to_string()),
        heard_ago: peer.heard.map(secs),
        agrees,
        agrees_for: agrees.map(|_| secs(peer.since)),
        accepts_changes: peer.accepts_changes,
        differences: differences.collect(),
        more_differences: u64::try_from(peer.differences.len().saturating_sub(MOST)).unwrap_or(u64::MAX),
        requests_answered: peer.answered,
        requests_refused: peer.refused.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::channel::message::{Answer, Object, Said, Who};
    use crate::channel::watch::Problem;

    #[test]
    fn what_is_known_and_since_when() {
        let t = Instant::now();
        let at = |secs| t + Duration::from_secs(secs);
        let mut peer = Peer::new("10.0.0.2:9651".to_owned(), t);
        let seen = view(&peer, at(3));
        assert_eq!(
            (seen.state.as_str(), seen.in_state, seen.agrees, seen.heard_ago),
            ("waiting", 3.0, None, None)
        );
        let object =
            Object { kind: "vrrp_instance".to_owned(), name: "VI_1".to_owned(), ..Object::default() };
        let from = Who { name: "lb2".to_owned(), ..Who::default() };
        let said = Said::Profile { objects: vec![object] };
        let answer = Answer { from, accepts_changes: false, whole: "w".to_owned(), said };
        peer.heard(answer, at(5)).unwrap();
        let seen = view(&peer, at(9));
        assert_eq!((seen.state.as_str(), seen.in_state, seen.name.as_deref()), ("differs", 4.0, Some("lb2")));
        assert_eq!(seen.differences[0].text, "only at the peer");
        assert_eq!((seen.differences[0].has.as_str(), seen.differences[0].since), ("there", 4.0));
        // It is not heard any more: what was known is still told.
        peer.failed(Problem::Silent(8), at(15));
        let seen = view(&peer, at(20));
        assert_eq!((seen.state.as_str(), seen.in_state, seen.agrees), ("silent", 5.0, Some(false)));
        assert_eq!((seen.heard_ago, seen.agrees_for, seen.differences.len()), (Some(15.0), Some(15.0), 1));
        assert_eq!(seen.problem.as_deref(), Some("it does not answer within 8 s"));
    }
}
