//! From what trackers and BFD sessions say to what the check room is told: it sees neither.

use std::time::{Duration, Instant};

use crate::bfd::report::{SessionState, SessionStates};
use crate::bfd::session::Cause;
use crate::check::outside::Outside;
use crate::vrrp::trackers::{TrackerKind, TrackerValues, Value};

/// How long a session that has just begun may take to come up before a BFD_CHECK without `alpha` counts it as down.
/// Both sides send once a second until then, and come up within three.
const FIRST: Duration = Duration::from_secs(5);

/// What FILE_CHECK and BFD_CHECK go by at this moment.
pub(super) fn outside(values: &TrackerValues, sessions: &SessionStates, now: Instant) -> Outside {
    let files = values.all(TrackerKind::File).filter_map(|(name, said)| match said.value {
        Value::Number(number) => Some((name.to_owned(), number)),
        Value::Unknown | Value::Up | Value::Down => None,
    });
    let sessions = sessions.iter().filter_map(|(name, session)| Some((name.clone(), word(session, now)?)));
    Outside { files: files.collect(), sessions: sessions.collect() }
}

/// Whether a session is up; `None` while it begins.
fn word(session: &SessionState, now: Instant) -> Option<bool> {
    // The way up is Started, then Heard in Down or Init.
    let begins = !session.up && matches!(session.cause, Cause::Started | Cause::Heard { .. });
    let young = now.saturating_duration_since(session.since) < FIRST;
    if begins && young { None } else { Some(session.up) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bfd::packet::State;
    use crate::vrrp::trackers::Said;

    fn session(up: bool, cause: Cause, since: Instant) -> SessionState {
        SessionState { state: if up { State::Up } else { State::Down }, up, cause, since }
    }

    #[test]
    fn sessions_that_begin_say_nothing_for_a_while() {
        let now = crate::clock::now();
        let stopped = Cause::DetectionTimeExpired { waited: FIRST, limit: FIRST };
        let heard = || Cause::Heard { state: State::Init };
        for (state, later, says) in [
            (session(false, Cause::Started, now), 0, None),
            (session(false, heard(), now), 4, None),
            (session(false, Cause::Started, now), 5, Some(false)),
            (session(false, stopped, now), 0, Some(false)),
            (session(true, heard(), now), 0, Some(true)),
            (session(true, heard(), now), 9, Some(true)),
        ] {
            assert_eq!(word(&state, now + Duration::from_secs(later)), says, "{state:?} after {later} s");
        }
    }

    #[test]
    fn files_and_sessions() {
        let now = crate::clock::now();
        let mut values = TrackerValues::new();
        values.set(TrackerKind::File, "f", Said::new(Value::Number(-3), "", now));
        values.set(TrackerKind::Script, "s", Said::new(Value::Up, "", now));
        let sessions = [
            ("up".to_owned(), session(true, Cause::Started, now)),
            ("new".to_owned(), session(false, Cause::Started, now)),
            ("down".to_owned(), session(false, Cause::Stopped, now)),
        ];
        let told = outside(&values, &sessions.into(), now);
        assert_eq!(told.files, [("f".to_owned(), -3)].into());
        assert_eq!(told.sessions, [("up".to_owned(), true), ("down".to_owned(), false)].into());
    }
}
