//! Every (own state, received state): RFC 5880 section 6.8.6 and the diagram of section 6.2.

use super::*;

#[test]
fn every_pair_of_states() {
    use State::{AdminDown, Down, Init, Up};
    // (own, received) -> own afterwards, diagnostic that is sent afterwards.
    let signaled = Diagnostic::NeighbourSignaledDown;
    let table = [
        (Down, AdminDown, Down, Diagnostic::None),
        (Down, Down, Init, Diagnostic::None),
        (Down, Init, Up, Diagnostic::None),
        (Down, Up, Down, Diagnostic::None),
        (Init, AdminDown, Down, signaled),
        (Init, Down, Init, Diagnostic::None),
        (Init, Init, Up, Diagnostic::None),
        (Init, Up, Up, Diagnostic::None),
        (Up, AdminDown, Down, signaled),
        (Up, Down, Down, signaled),
        (Up, Init, Up, Diagnostic::None),
        (Up, Up, Up, Diagnostic::None),
        (AdminDown, AdminDown, AdminDown, Diagnostic::AdministrativelyDown),
        (AdminDown, Down, AdminDown, Diagnostic::AdministrativelyDown),
        (AdminDown, Init, AdminDown, Diagnostic::AdministrativelyDown),
        (AdminDown, Up, AdminDown, Diagnostic::AdministrativelyDown),
    ];
    let start = Instant::now();
    for (own, received, expected, diagnostic) in table {
        let mut session = session_in(own, start);
        let later = start + ms(1);
        let actions = session.handle(Event::Packet(heard(received)), later);
        assert_eq!(session.state(), expected, "{own} hears {received}");
        assert_eq!(session.packet().diagnostic, diagnostic, "{own} hears {received}");
        // A neighbour that switches itself off says nothing about the path.
        let counts = expected == Up || (own == Up && received == AdminDown);
        assert_eq!(session.counts_as_up(), counts, "{own} hears {received}");
        let changes = transitions(&actions);
        assert_eq!(changes.len(), usize::from(own != expected), "{own} hears {received}: {actions:?}");
        // A change is told at once, and names the neighbour's number; without one nothing is sent out of turn.
        let packets = sent(&actions);
        assert_eq!(packets.len(), changes.len(), "{own} hears {received}: {actions:?}");
        for packet in packets {
            assert_eq!((packet.state, packet.your_discriminator, packet.poll), (expected, THEIRS, false));
        }
        for change in changes {
            assert_eq!((change.from, change.to), (own, expected));
            assert_eq!((session.cause(), session.since()), (&change.cause, later));
            let cause = match expected {
                Down => Cause::NeighbourDown { state: received, diagnostic: Diagnostic::None },
                _ => Cause::Heard { state: received },
            };
            assert_eq!(change.cause, cause);
        }
    }
}

#[test]
fn every_state_under_silence_and_stop() {
    let start = Instant::now();
    for own in [State::AdminDown, State::Down, State::Init, State::Up] {
        let mut session = session_in(own, start);
        let late = start + ms(60_000);
        let actions = session.handle(Event::Timeout, late);
        let fails = matches!(own, State::Init | State::Up);
        let expected = if fails { State::Down } else { own };
        assert_eq!(session.state(), expected, "{own}");
        assert_eq!(transitions(&actions).len(), usize::from(fails), "{own}");
        if fails {
            assert_eq!(session.packet().diagnostic, Diagnostic::DetectionTimeExpired);
            let limit = ms(3000);
            assert_eq!(session.cause(), &Cause::DetectionTimeExpired { waited: ms(60_000), limit });
            // The neighbour's number is forgotten (section 6.8.1).
            assert!(sent(&actions).iter().all(|packet| packet.your_discriminator == 0));
        }

        for (event, says) in [(Event::Stop, State::Down), (Event::Remove, State::AdminDown)] {
            let mut session = session_in(own, start);
            let actions = session.handle(event, start);
            assert_eq!((session.state(), session.counts_as_up()), (State::AdminDown, false));
            assert_eq!(session.deadline(), None);
            let said: Vec<_> = sent(&actions).iter().map(|p| (p.state, p.diagnostic)).collect();
            let once = vec![(says, Diagnostic::AdministrativelyDown)];
            assert_eq!(said, if own == State::AdminDown { Vec::new() } else { once });
            assert!(session.handle(Event::Params(params()), start).is_empty());
            assert!(session.handle(Event::Timeout, late).is_empty());
        }
    }
}

#[test]
fn the_states_of_the_neighbour_that_are_learnt_hold_in_every_state() {
    let start = Instant::now();
    for own in [State::Down, State::Init, State::Up] {
        let mut session = session_in(own, start);
        let packet = Control { my_discriminator: 12345, required_min_rx: 50_000, ..heard(State::Up) };
        session.handle(Event::Packet(packet), start);
        assert_eq!(session.packet().your_discriminator, 12345, "{own}");
        assert!(session.transmit_interval() >= Some(ms(50)), "{own}");
    }
}
