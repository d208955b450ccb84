//! The machine: every pair of states, stories of its timers, random operations, and two of them on a bad line.

use super::*;

mod properties;
mod simulation;
mod stories;
mod table;

const OWN: u32 = 7;
const THEIRS: u32 = 99;

fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// 10 ms both ways, 3 packets.
fn params() -> Params {
    Params { min_tx: ms(10), min_rx: ms(10), idle_tx: ms(1000), multiplier: 3, passive: false }
}

/// What a neighbour with these very settings says.
fn heard(state: State) -> Control {
    Control {
        diagnostic: Diagnostic::None,
        state,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        demand: false,
        multiplier: 3,
        my_discriminator: THEIRS,
        your_discriminator: if matches!(state, State::Init | State::Up) { OWN } else { 0 },
        desired_min_tx: if state == State::Up { 10_000 } else { 1_000_000 },
        required_min_rx: 10_000,
        required_min_echo_rx: 0,
    }
}

/// A session in that state, which it came to at `now`.
fn session_in(state: State, now: Instant) -> Session {
    let mut session = Session::new(params(), OWN, 1, now);
    match state {
        State::Down => {}
        State::Init => {
            session.handle(Event::Packet(heard(State::Down)), now);
        }
        State::Up => {
            session.handle(Event::Packet(heard(State::Init)), now);
        }
        State::AdminDown => {
            session.handle(Event::Stop, now);
        }
    }
    assert_eq!(session.state(), state);
    session
}

/// An Up session whose first poll is answered.
fn settled(now: Instant) -> Session {
    let mut session = session_in(State::Up, now);
    session.handle(Event::Packet(Control { is_final: true, ..heard(State::Up) }), now);
    session
}

fn sent(actions: &[Action]) -> Vec<Control> {
    let packets = actions.iter().filter_map(|action| match action {
        Action::Send(packet) => Some(*packet),
        Action::Transition(_) => None,
    });
    packets.collect()
}

fn transitions(actions: &[Action]) -> Vec<Transition> {
    let changes = actions.iter().filter_map(|action| match action {
        Action::Transition(transition) => Some(transition.clone()),
        Action::Send(_) => None,
    });
    changes.collect()
}

/// Lets the next deadline come, at its very time.
fn due(session: &mut Session, now: &mut Instant) -> Vec<Action> {
    *now = (*now).max(session.deadline().unwrap());
    session.handle(Event::Timeout, *now)
}
