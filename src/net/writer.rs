//! Makes the addresses be as wished: waits for a new wish or for the interfaces to change, reads the kernel's
//! addresses, applies the difference, reads again until there is none, says which wish is in place. It never trusts
//! its memory of what it did.
//!
//! Requests go out one after the other: the kernel works them off one by one under one lock, so that many in flight
//! gain nothing (measured), and each acknowledgement is seen before the next request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtnetlink::Handle;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use tokio::sync::watch;

use super::address::{AddressKey, Change, Installed, Wanted, diff};
use super::link::Links;
use super::repair::Repairs;
use super::{Error, codec, request};
use crate::clock;

/// After an error everything is read again, after this pause; it doubles with each error in a row.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Rounds of reading and applying before a difference that stays is an error. More than one is needed where the
/// kernel takes a subnet's other addresses along with its first one.
const ROUNDS: usize = 4;
/// Attempts at the last wish: who does not come back cannot try later. With the pauses between them 1.5 s.
const LAST_ATTEMPTS: usize = 5;

/// What the writer last did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The latest wish that is in place, as far as its interfaces exist and the kernel did not refuse.
    pub generation: u64,
    /// Addresses put back after somebody else removed or changed them, since the start.
    pub repaired: u64,
    /// What went wrong at the last attempt; empty when all is well.
    pub errors: Vec<String>,
}

/// Runs until the wish's sender is dropped; the last wish is applied first. A wish of generation 0 is none: nothing
/// is touched before the first real one. Errors are published, not logged; repairs are logged.
pub async fn run(
    mut wanted: watch::Receiver<Arc<Wanted>>,
    mut links: watch::Receiver<Arc<Links>>,
    applied: watch::Sender<Applied>,
) {
    let mut writer = Writer::default();
    let mut last_attempts = None;
    loop {
        let wish = wanted.borrow_and_update().clone();
        let known = links.borrow_and_update().clone();
        let again = writer.turn(&wish, &known, &wanted, &applied).await;
        if let Some(attempts) = &mut last_attempts {
            *attempts += 1;
            if applied.borrow().errors.is_empty() || *attempts >= LAST_ATTEMPTS {
                return;
            }
            pause(again).await;
            continue;
        }
        tokio::select! {
            changed = wanted.changed() => last_attempts = changed.is_err().then_some(0),
            Ok(()) = links.changed() => {}
            () = pause(again) => {}
        }
    }
}

async fn pause(again: Option<Duration>) {
    match again {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// How one attempt ended.
enum End {
    /// The wish is in place but for what the kernel refused and what must wait a moment.
    Settled,
    /// A newer wish came meanwhile: nothing is said of this one.
    Overtaken,
}

#[derive(Default)]
struct Writer {
    handle: Option<Handle>,
    /// Seen in place when the last wish settled, with the interface's index: what is missing of these was taken away
    /// by somebody. Only for telling repairs from first additions.
    in_place: BTreeSet<(u32, AddressKey)>,
    repairs: Repairs,
    repaired: u64,
    /// Attempts in a row that ended with an error.
    failures: u32,
    /// Interfaces that the wish names and that do not exist, for the log.
    missing: BTreeSet<String>,
}

impl Writer {
    /// One turn: read, compare, apply, publish. Returns when to try again although nothing changed.
    async fn turn(
        &mut self,
        wish: &Wanted,
        links: &Links,
        newer: &watch::Receiver<Arc<Wanted>>,
        applied: &watch::Sender<Applied>,
    ) -> Option<Duration> {
        if wish.generation == 0 {
            return None;
        }
        self.note_missing(wish, links);
        self.repairs.keep(|key| wish.want.contains_key(key));
        self.in_place.retain(|(_, key)| wish.want.contains_key(key));
        let mut errors = Vec::new();
        let mut held_back = None;
        let (generation, errors) = match self.apply(wish, links, newer, &mut errors, &mut held_back).await {
            Ok(End::Overtaken) => return Some(Duration::ZERO),
            Ok(End::Settled) => (wish.generation, errors),
            Err(error) => {
                // Nothing is known of what the kernel did: another connection, and nothing is said to be in place.
                self.handle = None;
                errors.push(error.to_string());
                (applied.borrow().generation, errors)
            }
        };
        self.failures = if errors.is_empty() { 0 } else { self.failures.saturating_add(1) };
        let after_error = (self.failures > 0)
            .then(|| (LEAST_PAUSE * 2u32.saturating_pow(self.failures.min(10) - 1)).min(LONGEST_PAUSE));
        let next = Applied { generation, repaired: self.repaired, errors };
        applied.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
        let held_back = held_back.map(|then: Instant| then.saturating_duration_since(clock::now()));
        after_error.into_iter().chain(held_back).min()
    }

    /// Applies the difference until there is none.
    async fn apply(
        &mut self,
        wish: &Wanted,
        links: &Links,
        newer: &watch::Receiver<Arc<Wanted>>,
        errors: &mut Vec<String>,
        held_back: &mut Option<Instant>,
    ) -> Result<End, Error> {
        let mut handle = match self.handle.take() {
            Some(handle) => handle,
            None => request::connect(&[])?.0,
        };
        // What is not tried (again) in this turn.
        let mut passed = BTreeSet::new();
        let mut waiting = BTreeSet::new();
        for round in 0.. {
            let actual = read(&mut handle, links).await?;
            let mut changes = diff(&actual, wish);
            changes.retain(|c| links.contains_key(&c.key().interface) && !passed.contains(c.key()));
            // Later rounds mend what our own removals took along: no repair of what others did.
            let repairs = if round == 0 { self.repairs_among(&changes, links) } else { BTreeSet::new() };
            for key in &repairs {
                if let Err(then) = self.repairs.check(key, clock::now()) {
                    *held_back = Some(held_back.map_or(then, |known| known.min(then)));
                    passed.insert(key.clone());
                    waiting.insert(key.clone());
                }
            }
            changes.retain(|change| !waiting.contains(change.key()));
            if changes.is_empty() {
                self.settle(wish, links, |key| actual.contains_key(key) || waiting.contains(key));
                break;
            }
            if round == ROUNDS {
                errors.extend(changes.iter().map(|c| format!("{} does not stay as it should be", c.key())));
                break;
            }
            for change in changes {
                // Thousands of addresses take seconds, and the next wish may be to have none of them.
                if newer.borrow().generation != wish.generation {
                    self.handle = Some(handle);
                    return Ok(End::Overtaken);
                }
                let key = change.key();
                let Some(link) = links.get(&key.interface) else { continue };
                let peer = actual.get(key).and_then(|installed| installed.peer);
                match carry_out(&mut handle, &change, link.index, peer).await {
                    Ok(Step::Made) if matches!(change, Change::Add(..)) && repairs.contains(key) => {
                        self.repairs.done(key, clock::now());
                        self.repaired += 1;
                        tracing::warn!("{key} was removed or changed by somebody else: put back");
                    }
                    Ok(Step::Made) => {}
                    Ok(Step::AlreadyThere | Step::NoInterface) => _ = passed.insert(key.clone()),
                    Err(error @ Error::Refused { .. }) => {
                        errors.push(error.to_string());
                        passed.insert(key.clone());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.handle = Some(handle);
        Ok(End::Settled)
    }

    /// The addresses to add that were in place already, on the same interface.
    fn repairs_among(&self, changes: &[Change], links: &Links) -> BTreeSet<AddressKey> {
        let additions = changes.iter().filter(|change| matches!(change, Change::Add(..))).map(Change::key);
        let was_there = |key: &&AddressKey| {
            links
                .get(&key.interface)
                .is_some_and(|link| self.in_place.contains(&(link.index, (*key).clone())))
        };
        additions.filter(was_there).cloned().collect()
    }

    fn settle(&mut self, wish: &Wanted, links: &Links, there: impl Fn(&AddressKey) -> bool) {
        let there = wish.want.keys().filter(|key| there(key));
        self.in_place =
            there.filter_map(|key| Some((links.get(&key.interface)?.index, key.clone()))).collect();
    }

    fn note_missing(&mut self, wish: &Wanted, links: &Links) {
        let names = wish.want.keys().map(|key| &key.interface);
        let missing: BTreeSet<String> = names.filter(|name| !links.contains_key(*name)).cloned().collect();
        for name in missing.difference(&self.missing) {
            tracing::warn!("addresses wait for {name}: there is no such interface");
        }
        self.missing = missing;
    }
}

/// Reads the interfaces and the addresses once, for whoever only looks. No rights are needed.
///
/// # Errors
/// Why the kernel could not be asked.
pub async fn read_once() -> Result<(Links, BTreeMap<AddressKey, Installed>), Error> {
    let links = super::monitor::first_dump().await?;
    let mut handle = request::connect(&[])?.0;
    let installed = read(&mut handle, &links).await?;
    Ok((links, installed))
}

/// The addresses of all interfaces, as the kernel has them now.
async fn read(handle: &mut Handle, links: &Links) -> Result<BTreeMap<AddressKey, Installed>, Error> {
    let names: BTreeMap<u32, &str> = links.values().map(|link| (link.index, link.name.as_str())).collect();
    let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let parts = request::dump(handle, message, "reading the addresses").await?;
    let of = |part: &RouteNetlinkMessage| {
        let RouteNetlinkMessage::NewAddress(message) = part else { return None };
        codec::installed(message, names.get(&message.header.index)?)
    };
    Ok(parts.iter().filter_map(of).collect())
}

/// What became of one change.
enum Step {
    /// The kernel acknowledged it, or it was so already.
    Made,
    /// Somebody put it there between our reading and now, or (IPv6) with another prefix length.
    AlreadyThere,
    /// The interface went away: it waits for the monitor to say which one has this name now.
    NoInterface,
}

async fn carry_out(
    handle: &mut Handle,
    change: &Change,
    index: u32,
    peer: Option<IpAddr>,
) -> Result<Step, Error> {
    let result = match change {
        Change::Remove(key) => {
            let message = RouteNetlinkMessage::DelAddress(codec::removal(key, peer, index));
            request::change(handle, message, 0, || format!("removing {key}")).await
        }
        Change::Add(key, spec) => {
            let message = RouteNetlinkMessage::NewAddress(codec::addition(key, spec, index));
            let flags = NLM_F_CREATE | NLM_F_EXCL;
            request::change(handle, message, flags, || format!("adding {key}")).await
        }
    };
    match (change, result) {
        (_, Ok(())) => Ok(Step::Made),
        (_, Err(error)) if error.errno() == Some(libc::ENODEV) => Ok(Step::NoInterface),
        // Somebody else was faster.
        (Change::Remove(_), Err(error)) if error.errno() == Some(libc::EADDRNOTAVAIL) => Ok(Step::Made),
        (Change::Add(..), Err(error)) if error.errno() == Some(libc::EEXIST) => Ok(Step::AlreadyThere),
        (_, Err(error)) => Err(error),
    }
}
