//! Makes the addresses be as wished: waits for a new wish or for the interfaces to change, reads the kernel's
//! addresses, applies the difference, says which wish is in place. It never trusts its memory of what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtnetlink::Handle;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use tokio::sync::watch;

use crate::clock;

use super::Error;
use super::address::{AddressKey, AddressSpec, Change, Installed, PROTOCOL, Wanted, diff};
use super::limit::{self, RepairLimit};
use super::link::Links;
use super::{monitor, request};

/// After an error everything is read again, after this pause.
const RETRY: Duration = Duration::from_millis(200);

/// What the writer last did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The wish that is in place (as far as interfaces exist).
    pub generation: u64,
    /// Addresses put back after somebody else removed them, since the start.
    pub repaired: u64,
    /// What the kernel refused at the last attempt.
    pub errors: Vec<String>,
}

/// Runs until the wish's sender is dropped; the last wish is applied first.
pub async fn run(
    mut wanted: watch::Receiver<Arc<Wanted>>,
    mut links: watch::Receiver<Arc<Links>>,
    applied: watch::Sender<Applied>,
) {
    let mut writer = Writer { handle: None, limit: RepairLimit::default(), in_place: BTreeSet::new() };
    let mut open = true;
    loop {
        let wish = wanted.borrow_and_update().clone();
        let known = links.borrow_and_update().clone();
        let retry = writer.turn(&wish, &known, &applied).await;
        if !open {
            return;
        }
        tokio::select! {
            changed = wanted.changed() => open = changed.is_ok(),
            Ok(()) = links.changed() => {}
            () = pause(retry) => {}
        }
    }
}

async fn pause(retry: Option<Duration>) {
    match retry {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// What one turn did.
#[derive(Default)]
struct Done {
    /// Addresses put back.
    repaired: u64,
    /// What the kernel refused.
    errors: Vec<String>,
    /// A repair waits for its turn.
    put_off: bool,
}

struct Writer {
    handle: Option<Handle>,
    /// How often what others delete is put back.
    limit: RepairLimit,
    /// What the kernel was last seen to have of the wish: if it is gone, somebody else took it away.
    in_place: BTreeSet<AddressKey>,
}

impl Writer {
    /// One turn: read, compare, apply, publish. Returns when to try again although nothing changed.
    async fn turn(
        &mut self,
        wish: &Wanted,
        links: &Links,
        applied: &watch::Sender<Applied>,
    ) -> Option<Duration> {
        if wish.generation == 0 {
            return None;
        }
        // An address goes with its interface: nobody took it away.
        self.in_place.retain(|key| links.contains_key(&key.interface) && wish.want.contains_key(key));
        let done = match self.apply(wish, links, clock::now()).await {
            Ok(done) => done,
            Err(error) => {
                self.handle = None;
                Done { errors: vec![error.to_string()], ..Done::default() }
            }
        };
        let retry = match (done.errors.is_empty(), done.put_off) {
            (false, _) => Some(RETRY),
            (true, true) => Some(limit::PAUSE),
            (true, false) => None,
        };
        applied.send_if_modified(|current| {
            let repaired = current.repaired + done.repaired;
            let next = Applied { generation: wish.generation, repaired, errors: done.errors };
            let changed = *current != next;
            *current = next;
            changed
        });
        retry
    }

    /// Applies the difference.
    async fn apply(&mut self, wish: &Wanted, links: &Links, now: Instant) -> Result<Done, Error> {
        let mut handle = match self.handle.take() {
            Some(handle) => handle,
            None => request::connect(&[])?.0,
        };
        let actual = read(&mut handle, links).await?;
        let mut done = Done::default();
        let mut in_place: BTreeSet<AddressKey> =
            wish.want.keys().filter(|key| actual.contains_key(key)).cloned().collect();
        for change in diff(&actual, wish) {
            let key = change.key();
            let Some(link) = links.get(&key.interface) else { continue };
            let taken_away = matches!(change, Change::Add(..)) && self.in_place.contains(key);
            if taken_away && !self.limit.allow(now) {
                tracing::warn!("{key} is removed again and again by another program: put back once a second");
                in_place.insert(key.clone());
                done.put_off = true;
                continue;
            }
            match carry_out(&mut handle, &change, link.index).await {
                Ok(()) => {
                    if taken_away {
                        done.repaired += 1;
                        tracing::warn!("{key} was removed by another program: put back");
                    }
                    match change {
                        Change::Add(key, _) => in_place.insert(key),
                        Change::Remove(key) => in_place.remove(&key),
                    };
                }
                Err(error @ Error::NoAnswer { .. }) => return Err(error),
                Err(error) => done.errors.push(error.to_string()),
            }
        }
        self.in_place = in_place;
        self.handle = Some(handle);
        Ok(done)
    }
}

/// The addresses of all interfaces, as the kernel has them now.
async fn read(handle: &mut Handle, links: &Links) -> Result<BTreeMap<AddressKey, Installed>, Error> {
    let names: BTreeMap<u32, &str> = links.values().map(|link| (link.index, link.name.as_str())).collect();
    let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let mut actual = BTreeMap::new();
    for part in request::dump(handle, message, "reading the addresses").await? {
        let RouteNetlinkMessage::NewAddress(message) = part else { continue };
        let (Some(name), Some(found)) = (names.get(&message.header.index), monitor::address(&message)) else {
            continue;
        };
        let key = AddressKey {
            interface: (*name).to_owned(),
            address: found.address,
            prefix_len: found.prefix_len,
        };
        let installed = Installed {
            scope: found.scope,
            label: found.label,
            broadcast: found.broadcast,
            protocol: found.protocol,
        };
        actual.insert(key, installed);
    }
    Ok(actual)
}

async fn carry_out(handle: &mut Handle, change: &Change, index: u32) -> Result<(), Error> {
    match change {
        Change::Remove(key) => {
            let message = RouteNetlinkMessage::DelAddress(message(key, None, index));
            let result = request::change(handle, message, 0, || format!("removing {key}")).await;
            // Somebody else was faster: it is gone, as wished.
            tolerate(result, &[libc::EADDRNOTAVAIL, libc::ENODEV])
        }
        Change::Add(key, spec) => {
            let message = RouteNetlinkMessage::NewAddress(message(key, Some(spec), index));
            let flags = NLM_F_CREATE | NLM_F_EXCL;
            let result = request::change(handle, message, flags, || format!("adding {key}")).await;
            tolerate(result, &[libc::EEXIST])
        }
    }
}

fn tolerate(result: Result<(), Error>, errnos: &[i32]) -> Result<(), Error> {
    match result {
        Err(error) if error.errno().is_some_and(|errno| errnos.contains(&errno)) => Ok(()),
        other => other,
    }
}

fn message(key: &AddressKey, spec: Option<&AddressSpec>, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = key.prefix_len;
    message.header.family = match key.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(AddressAttribute::Local(key.address));
    let Some(spec) = spec else { return message };
    message.header.scope = spec.scope.into();
    match spec.peer {
        Some((peer, length)) => {
            message.header.prefix_len = length;
            message.attributes.push(AddressAttribute::Address(peer));
        }
        None => message.attributes.push(AddressAttribute::Address(key.address)),
    }
    if let Some(broadcast) = spec.broadcast {
        message.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if let Some(label) = &spec.label {
        message.attributes.push(AddressAttribute::Label(label.clone()));
    }
    if key.address.is_ipv6() {
        // A virtual address moves in an instant: no second of duplicate detection before it answers.
        message.header.flags = AddressHeaderFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL)));
    message
}
