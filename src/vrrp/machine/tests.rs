//! The machine: its whole table, stories with the times that keepalived was measured at, random operations.

mod orders;
mod properties;
mod stories;
mod table;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::*;
use crate::vrrp::accept::{Datagram, Rules, accept};
use crate::vrrp::packet::{Advert, AuthField, ChecksumMode};

const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
const BELOW: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 4));
const ABOVE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 6));
const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const START: Event = Event::Start { hold: Duration::ZERO };

fn params(priority: u8) -> Params {
    Params { base_priority: priority, own: Some(OWN), ..Params::for_tests() }
}

/// An advert as the machine gets it: over the wire format and through every check.
fn advert(params: &Params, source: IpAddr, priority: u8, interval: Duration) -> Event {
    let rules = Rules {
        version: params.version,
        vrid: 51,
        ipv6: false,
        password: None,
        ah: false,
        checksum: ChecksumMode::Rfc,
        advert_int: params.advert_int,
        addresses: BTreeSet::new(),
        own: None,
        own_priority: None,
        unicast: None,
    };
    let bytes = Advert {
        version: params.version,
        vrid: 51,
        priority,
        interval,
        auth: AuthField::None,
        addresses: Vec::new(),
    }
    .encode(source, GROUP);
    let datagram = Datagram { payload: &bytes, source, destination: GROUP, ttl: 255 };
    Event::Advert(accept(&rules, &datagram).unwrap())
}

/// Who orders in these tests.
const BY: &str = "root(uid=0,pid=7)";

/// An order that nobody takes back.
fn order(kind: OrderKind) -> Event {
    Event::Order(Some(Arc::new(Order { kind, by: BY.to_owned(), at: Duration::ZERO, until: None })))
}

/// Actions in short.
fn brief(actions: &[Action]) -> String {
    let words: Vec<String> = actions
        .iter()
        .map(|action| match action {
            Action::SendAdvert { priority } => format!("advert {priority}"),
            Action::Addresses { wanted: true } => "+addresses".to_owned(),
            Action::Addresses { wanted: false } => "-addresses".to_owned(),
            Action::Announce(Occasion::BecameMaster) => "announce".to_owned(),
            Action::Announce(Occasion::LowerPriorityHeard) => "announce again".to_owned(),
            Action::Announce(Occasion::RivalGone) => "announce, alone".to_owned(),
            Action::Announce(Occasion::WasAway) => "announce, back".to_owned(),
            Action::Announce(Occasion::OtherHolder) => "announce, held by another".to_owned(),
            Action::Note(Note::PriorityChanged { from, to }) => format!("priority {from}>{to}"),
            Action::Note(Note::TwoMasters { .. }) => "two masters".to_owned(),
            Action::Note(Note::OneMasterAgain { .. }) => "one master".to_owned(),
            Action::Note(Note::WasAway { .. }) => "was away".to_owned(),
            Action::Note(Note::BackupWasAway { .. }) => "backup was away".to_owned(),
            Action::Note(Note::WantsMaster) => "wants".to_owned(),
            Action::Note(Note::HoldOver) => "hold over".to_owned(),
            Action::Transition(t) => format!("{}>{}", t.from, t.to),
        })
        .collect();
    words.join(", ")
}

/// The cause of the transition among the actions, told.
fn told(actions: &[Action]) -> String {
    let cause = actions.iter().find_map(|action| match action {
        Action::Transition(transition) => Some(transition.cause.to_string()),
        _ => None,
    });
    cause.expect("a transition")
}

/// Sends Timeout at the deadline; the time it was then.
fn expire(machine: &mut Machine) -> (Instant, Vec<Action>) {
    let (at, _) = machine.deadline().expect("a running timer");
    (at, machine.handle(Event::Timeout, at))
}
