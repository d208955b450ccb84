//! Makes the addresses be as wished: waits for a new wish or for the interfaces to change, reads the kernel's
//! addresses, applies the difference, says which wish is in place. It never trusts its memory of what it did.

use std::collections::BTreeMap;
use std::collections::VecDeque;
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
use super::link::Links;
use super::{monitor, request};

/// Repairs in this time before somebody who keeps deleting is answered only once a second.
const REPAIRS: usize = 10;
const REPAIR_WINDOW: Duration = Duration::from_secs(10);
const REPAIR_PAUSE: Duration = Duration::from_secs(1);
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
    let mut writer = Writer { handle: None, repairs: VecDeque::new(), last_error: Vec::new() };
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

struct Writer {
    handle: Option<Handle>,
    /// When addresses were put back lately.
    repairs: VecDeque<Instant>,
    last_error: Vec<String>,
}

impl Writer {
    /// One turn: read, compare, apply, publish. Returns when to try again although nothing changed.
    async fn turn(
        &mut self,
        wish: &Wanted,
        links: &Links,
        applied: &watch::Sender<Applied>,
    ) -> Option<Duration> {
        let before = applied.borrow().clone();
        if wish.generation == 0 {
            return None;
        }
        let again = wish.generation == before.generation && before.errors.is_empty();
        let now = clock::now();
        self.repairs.retain(|at| now.saturating_duration_since(*at) < REPAIR_WINDOW);
        let (repaired, errors) = match self.apply(wish, links, again).await {
            Ok((_, errors)) if self.repairs.len() > REPAIRS && errors.is_empty() => (0, errors),
            Ok(done) => done,
            Err(error) => {
                self.handle = None;
                (0, vec![error.to_string()])
            }
        };
        let retry = if !errors.is_empty() {
            Some(RETRY)
        } else if self.repairs.len() >= REPAIRS {
            Some(REPAIR_PAUSE)
        } else {
            None
        };
        let next = Applied { generation: wish.generation, repaired: before.repaired + repaired, errors };
        applied.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
        retry
    }

    /// Applies the difference. `again`: this wish was in place already, so what is missing was taken away.
    async fn apply(
        &mut self,
        wish: &Wanted,
        links: &Links,
        again: bool,
    ) -> Result<(u64, Vec<String>), Error> {
        let mut handle = match self.handle.take() {
            Some(handle) => handle,
            None => request::connect(&[])?.0,
        };
        let actual = read(&mut handle, links).await?;
        let mut repaired = 0;
        let mut errors = Vec::new();
        for change in diff(&actual, wish) {
            let Some(link) = links.get(&change.key().interface) else { continue };
            if again && matches!(change, Change::Add(..)) {
                if self.repairs.len() >= REPAIRS {
                    tracing::warn!("{} is being removed again and again by another program", change.key());
                    continue;
                }
                repaired += 1;
                self.repairs.push_back(clock::now());
                tracing::warn!("{} was removed by another program: put back", change.key());
            }
            if let Err(error) = carry_out(&mut handle, &change, link.index).await {
                if matches!(error, Error::NoAnswer { .. }) {
                    return Err(error);
                }
                errors.push(error.to_string());
            }
        }
        if errors != self.last_error {
            self.last_error.clone_from(&errors);
        }
        self.handle = Some(handle);
        Ok((repaired, errors))
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
