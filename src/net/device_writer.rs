//! Makes the interfaces and their settings be as wished ([`super::device`], [`super::sysctl`]): waits for a new wish
//! or for the interfaces to change, reads, applies the difference, reads again until there is none.
//!
//! The order at a start: settings of the parents, then each device down, its mark, no link-local address by itself,
//! its settings, its own address, up; last, copies of link-local addresses. A parent that is deleted takes its devices along: when it is back they come
//! back by the same way. At stop: send a wish without devices and drop the sender.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rtnetlink::Handle;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use tokio::sync::watch;

use super::device::{Change, DevicePlan, FoundAll, Wanted, diff, is_planned};
use super::link::Links;
use super::sysctl::{self, Memory};
use super::{Error, device_codec, request, sysctl_writer};

/// Rounds of reading and applying before a difference that stays is an error.
const ROUNDS: usize = 4;
/// After an error everything is read again, after this pause; it doubles with each error in a row.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Attempts at the last wish.
const LAST_ATTEMPTS: usize = 5;

/// What the writer last did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The latest wish that is in place, but for what stands in its way.
    pub generation: u64,
    /// Settings to put back. Keep it where a crash does not lose it, and give it to the next [`run`].
    pub memory: Memory,
    /// What waits, or cannot be done, in words with their cure: a missing parent, a name that is taken, a read-only
    /// /proc/sys.
    pub warnings: Vec<String>,
    /// What went wrong at the last attempt; empty when all is well.
    pub errors: Vec<String>,
}

/// Runs until the wish's sender is dropped; the last wish is applied first. A wish of generation 0 is none. Errors and
/// warnings are published; new warnings are logged.
pub async fn run(
    mut wanted: watch::Receiver<Arc<Wanted>>,
    mut links: watch::Receiver<Arc<Links>>,
    applied: watch::Sender<Applied>,
    memory: Memory,
) {
    let mut writer = Writer { memory, ..Writer::default() };
    let mut last_attempts = None;
    loop {
        let wish = wanted.borrow_and_update().clone();
        links.borrow_and_update();
        let again = writer.turn(&wish, &applied).await;
        if let Some(attempts) = &mut last_attempts {
            *attempts += 1;
            if again.is_none() || *attempts >= LAST_ATTEMPTS {
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

/// Reads all interfaces once: what a plan of names needs (which are taken, which are left of an earlier run).
///
/// # Errors
/// Why the kernel could not be asked.
pub async fn read_once() -> Result<FoundAll, Error> {
    read(&mut request::connect(&[])?.0).await
}

async fn read(handle: &mut Handle) -> Result<FoundAll, Error> {
    let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let parts = request::dump(handle, message, "reading the interfaces").await?;
    let of = |part: &RouteNetlinkMessage| match part {
        RouteNetlinkMessage::NewLink(message) => device_codec::found(message),
        _ => None,
    };
    Ok(parts.iter().filter_map(of).collect())
}

#[derive(Default)]
struct Writer {
    handle: Option<Handle>,
    memory: Memory,
    /// Plans of earlier wishes: what still looks like one of these is ours to remove.
    earlier: BTreeMap<String, DevicePlan>,
    /// Attempts in a row that ended with an error.
    failures: u32,
}

impl Writer {
    /// One turn. Returns when to try again although nothing changed.
    async fn turn(&mut self, wish: &Wanted, applied: &watch::Sender<Applied>) -> Option<Duration> {
        if wish.generation == 0 {
            return None;
        }
        let (mut errors, mut warnings) = (Vec::new(), BTreeSet::new());
        let generation = match self.apply(wish, &mut errors, &mut warnings).await {
            Ok(()) => wish.generation,
            Err(error) => {
                // Nothing is known of what the kernel did: another connection, and nothing is said to be in place.
                self.handle = None;
                errors.push(error.to_string());
                applied.borrow().generation
            }
        };
        for (name, plan) in &wish.devices {
            self.earlier.insert(name.clone(), plan.clone());
        }
        self.failures = if errors.is_empty() { 0 } else { self.failures.saturating_add(1) };
        for warning in warnings.iter().filter(|w| !applied.borrow().warnings.contains(w)) {
            tracing::warn!("{warning}");
        }
        let warnings = warnings.into_iter().collect();
        let next = Applied { generation, memory: self.memory.clone(), warnings, errors };
        applied.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
        (self.failures > 0)
            .then(|| (LEAST_PAUSE * 2u32.saturating_pow(self.failures.min(10) - 1)).min(LONGEST_PAUSE))
    }

    async fn apply(
        &mut self,
        wish: &Wanted,
        errors: &mut Vec<String>,
        warnings: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        let mut handle = match self.handle.take() {
            Some(handle) => handle,
            None => request::connect(&[])?.0,
        };
        let mut passed = BTreeSet::new();
        for round in 0.. {
            let found = read(&mut handle).await?;
            if round == 0 {
                self.settings(wish, &found, errors, warnings);
            }
            let (mut changes, obstacles) = diff(&found, wish, &self.earlier);
            changes.retain(|change| !passed.contains(name_of(change)));
            if changes.is_empty() {
                warnings.extend(obstacles.iter().map(ToString::to_string));
                copy_link_locals(&mut handle, wish, &found, errors).await?;
                break;
            }
            if round == ROUNDS {
                errors.extend(
                    changes.iter().map(|c| format!("{} does not become as it should be", name_of(c))),
                );
                break;
            }
            for change in changes {
                match carry_out(&mut handle, &change, &found, warnings).await {
                    Ok(()) => {}
                    Err(error @ Error::Refused { .. }) => {
                        errors.push(error.to_string());
                        passed.insert(name_of(&change).to_owned());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        self.handle = Some(handle);
        Ok(())
    }

    /// Settings of interfaces that are not ours.
    fn settings(
        &mut self,
        wish: &Wanted,
        found: &FoundAll,
        errors: &mut Vec<String>,
        warnings: &mut BTreeSet<String>,
    ) {
        let mut wishes = wish.foreign_sysctls();
        if wish.loosens_rp_filter() {
            let ours = |name: &str| wish.devices.contains_key(name) || self.earlier.contains_key(name);
            let others: Vec<&str> = found
                .iter()
                .filter(|(name, device)| !device.loopback && !ours(name))
                .map(|(name, _)| name.as_str())
                .collect();
            let keys: Vec<_> = [sysctl::Key::v4("all", "rp_filter")].into();
            let actual = sysctl_writer::read(&keys);
            wishes.extend(sysctl::rp_filter(&actual, &self.memory, &others));
        }
        let outcome = sysctl_writer::apply(&wishes, &self.memory);
        self.memory = outcome.memory;
        warnings.extend(outcome.warning);
        errors.extend(outcome.errors);
    }
}

fn name_of(change: &Change) -> &str {
    match change {
        Change::Remove { name, .. } => name,
        Change::Create(plan) | Change::Finish(plan, _) => &plan.name,
    }
}

async fn carry_out(
    handle: &mut Handle,
    change: &Change,
    found: &FoundAll,
    warnings: &mut BTreeSet<String>,
) -> Result<(), Error> {
    match change {
        Change::Remove { name, index } => {
            let message = RouteNetlinkMessage::DelLink(device_codec::removal(*index));
            let gone = request::change(handle, message, 0, || format!("removing {name}")).await;
            unless(gone, libc::ENODEV)
        }
        Change::Create(plan) => {
            let Some(parent) = found.get(&plan.parent) else { return Ok(()) };
            let message = RouteNetlinkMessage::NewLink(device_codec::creation(plan, parent.index));
            let words = || format!("making {} on {}", plan.name, plan.parent);
            let made = request::change(handle, message, NLM_F_CREATE | NLM_F_EXCL, words).await;
            // It is finished in the next round, by the same way as one that was left half made.
            unless(made, libc::ENODEV)
        }
        Change::Finish(plan, index) => {
            finish(handle, plan, *index, warnings).await?;
            let Some(parent) = found.get(&plan.parent).filter(|_| plan.announce_parent) else {
                return Ok(());
            };
            let message = RouteNetlinkMessage::SetLink(device_codec::same_group(parent.index, parent.group));
            request::change(handle, message, 0, || format!("announcing {}", plan.parent)).await
        }
    }
}

async fn finish(
    handle: &mut Handle,
    plan: &DevicePlan,
    index: u32,
    warnings: &mut BTreeSet<String>,
) -> Result<(), Error> {
    let name = &plan.name;
    let set = RouteNetlinkMessage::SetLink;
    let mark = set(device_codec::mark(plan, index));
    request::change(handle, mark, 0, || format!("marking {name}")).await?;
    if !plan.makes_link_local() {
        let quiet = set(device_codec::no_link_local(index));
        let quieted = request::change(handle, quiet, 0, || format!("no link-local address on {name}")).await;
        // A kernel without IPv6.
        unless(quieted, libc::EAFNOSUPPORT)?;
    }
    // They go with the device: nothing of it is remembered.
    let own = sysctl_writer::apply(&plan.sysctls().into_iter().collect(), &Memory::default());
    warnings.extend(own.warning.into_iter().chain(own.errors));
    if let Some((address, prefix_len)) = plan.address {
        let message =
            RouteNetlinkMessage::NewAddress(device_codec::own_address(index, address, prefix_len, false));
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        request::change(handle, message, flags, || format!("adding {address} to {name}")).await?;
    }
    let up = set(device_codec::up(index));
    let taken_up = request::change(handle, up, 0, || format!("taking {name} up")).await;
    // Its parent is down: when that goes up, the interfaces change and this is tried again.
    unless(taken_up, libc::ENETDOWN)
}

/// Copies of the parents' link-local addresses, where they are missing. A parent may get its own only after a while:
/// the interfaces change then, and this runs again.
async fn copy_link_locals(
    handle: &mut Handle,
    wish: &Wanted,
    found: &FoundAll,
    errors: &mut Vec<String>,
) -> Result<(), Error> {
    let pairs = wish.devices.values().filter(|plan| plan.link_local).filter_map(|plan| {
        let (device, parent) = (found.get(&plan.name)?, found.get(&plan.parent)?);
        is_planned(plan, device, found).then_some((plan, device.index, parent.index))
    });
    let pairs: Vec<_> = pairs.collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let parts = request::dump(handle, message, "reading the addresses").await?;
    let of = |part: &RouteNetlinkMessage| match part {
        RouteNetlinkMessage::NewAddress(message) => device_codec::address(message),
        _ => None,
    };
    let addresses: Vec<_> = parts.iter().filter_map(of).collect();
    for (plan, device, parent) in pairs {
        let first = addresses
            .iter()
            .find(|(index, address, _)| *index == parent && device_codec::is_link_local(*address));
        let Some((_, address, prefix_len)) = first else { continue };
        if addresses.iter().any(|(index, there, _)| *index == device && there == address) {
            continue;
        }
        let message =
            RouteNetlinkMessage::NewAddress(device_codec::own_address(device, *address, *prefix_len, true));
        let words = || format!("adding {address} to {}", plan.name);
        match request::change(handle, message, NLM_F_CREATE | NLM_F_REPLACE, words).await {
            Ok(()) => {}
            Err(error @ Error::Refused { .. }) => errors.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// This errno is no error here.
fn unless(result: Result<(), Error>, errno: i32) -> Result<(), Error> {
    match result {
        Err(error) if error.errno() == Some(errno) => Ok(()),
        other => other,
    }
}
