//! Keeps the kernel's table at the desired one: what is known of the kernel, what it refused and when that is tried
//! again, what others changed meanwhile. No clock and no socket of its own: [`crate::ipvs::kernel`] brings them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ipvs::diff::{Change, Subject, diff};
use crate::ipvs::names::{Meaning, Refusal};
use crate::ipvs::session::{BATCH, Error, Session, Transport};
use crate::ipvs::table::{ServiceKey, Table};

/// The table is read back at least this often.
pub const READ_EVERY: Duration = Duration::from_secs(5);
/// After changes it is read back this soon: long enough that a burst of changes is read back once.
pub const CONFIRM_AFTER: Duration = Duration::from_millis(250);
/// A refused change is tried again after this time at first, doubled each time up to [`RETRY_LONGEST`].
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest time between two tries of a refused change.
pub const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// So many times in a row a reading gives way to something newer that is desired. A big table takes long to read.
const YIELDS: u32 = 20;
/// How often one turn reads again because somebody else changes the same services.
const ROUNDS: usize = 5;

/// A refused change that waits for its next try.
#[derive(Clone, Debug)]
struct Held {
    refusal: Refusal,
    pause: Duration,
    next: Instant,
}

/// What one turn brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The kernel holds all that was desired.
    pub in_place: bool,
    /// Stopped early because something newer is desired.
    pub superseded: bool,
    /// Changes that the kernel took.
    pub applied: Vec<Change>,
    /// Those of `applied` that put back what somebody else had changed.
    pub repaired: Vec<Change>,
    /// Changes refused in this turn that were not refused the same way before.
    pub refused: Vec<Refusal>,
}

/// What is known and remembered between turns.
#[derive(Debug, Default)]
pub struct Reconciler {
    /// Every service that any desired table of this run named.
    ours: BTreeSet<ServiceKey>,
    /// What the kernel holds of `ours`, by what was read and acknowledged since.
    /// The last report holds the same value: it is copied only when it changes.
    known: Arc<Table>,
    /// When the table must be read (again); `None` = before anything else.
    read_due: Option<Instant>,
    /// How many readings in a row gave way to something newer.
    yielded: u32,
    held: BTreeMap<Subject, Held>,
}

impl Reconciler {
    /// Knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the services of a desired table as ours, from now on.
    pub fn adopt(&mut self, desired: &Table) {
        for key in desired.keys() {
            if self.ours.insert(*key) {
                // Never looked at: it may be there already.
                self.read_due = None;
            }
        }
    }

    /// Takes services as ours that an earlier process left behind.
    pub fn inherit(&mut self, keys: &[ServiceKey]) {
        for key in keys {
            if self.ours.insert(*key) {
                self.read_due = None;
            }
        }
    }

    /// Takes a whole table as ours, as it was just read: what of it is not desired goes, and is no drift.
    pub fn sweep(&mut self, everybody: Table) {
        self.adopt(&everybody);
        Arc::make_mut(&mut self.known).extend(everybody);
    }

    /// True if there has never been a service of ours: nothing to do, and no reason to touch the kernel.
    pub fn is_idle(&self) -> bool {
        self.ours.is_empty()
    }

    /// The last known table, our services only.
    pub const fn table(&self) -> &Arc<Table> {
        &self.known
    }

    /// The changes that are refused at present, in words.
    pub fn errors(&self) -> Vec<String> {
        self.held.values().map(|held| held.refusal.to_string()).collect()
    }

    /// The connection was lost: what was under way may or may not be done.
    pub fn forget_connection(&mut self) {
        self.read_due = None;
    }

    /// Lets all refused changes be tried again at once (the last turn before the end).
    pub fn retry_now(&mut self, now: Instant) {
        for held in self.held.values_mut() {
            held.next = now;
        }
    }

    /// When [`Self::turn`] has something to do even if nothing new is desired.
    pub fn deadline(&self) -> Option<Instant> {
        self.held.values().map(|held| held.next).chain(self.read_due).min()
    }

    /// Brings the kernel to `desired`: reads the table if that is due, applies the differences, reads again when
    /// somebody else was there. `superseded` is asked after every batch.
    ///
    /// # Errors
    /// When the connection is no good any more: [`Self::forget_connection`] has been called, connect again.
    pub fn turn<T: Transport>(
        &mut self,
        session: &mut Session<T>,
        desired: &Table,
        now: Instant,
        superseded: &mut dyn FnMut() -> bool,
    ) -> Result<Turn, Error> {
        self.adopt(desired);
        let mut turn = Turn::default();
        let result = self.rounds(session, desired, now, superseded, &mut turn);
        if result.is_err() {
            self.forget_connection();
        }
        result.map(|()| turn)
    }

    fn rounds<T: Transport>(
        &mut self,
        session: &mut Session<T>,
        desired: &Table,
        now: Instant,
        superseded: &mut dyn FnMut() -> bool,
        turn: &mut Turn,
    ) -> Result<(), Error> {
        let mut drift = HashSet::new();
        for round in 0..ROUNDS {
            if self.read_due.is_none_or(|due| due <= now)
                && !self.read(session, now, superseded, &mut drift)?
            {
                turn.superseded = true;
                return Ok(());
            }
            self.held.retain(|_, held| still_wanted(&held.refusal.change, desired));
            let all = diff(&self.known, desired, &self.ours);
            if all.is_empty() {
                turn.in_place = true;
                self.held.clear();
                return Ok(());
            }
            let due = self.due(all, now);
            if due.is_empty() {
                return Ok(());
            }
            let stale = self.apply(session, &due, now, superseded, &drift, round + 1 == ROUNDS, turn)?;
            if turn.superseded {
                return Ok(());
            }
            if !stale {
                turn.in_place = diff(&self.known, desired, &self.ours).is_empty();
                let confirm = now + CONFIRM_AFTER;
                self.read_due = Some(self.read_due.map_or(confirm, |due| due.min(confirm)));
                return Ok(());
            }
            // Somebody else was there: what we know is wrong.
            self.read_due = None;
        }
        // Not again at once: whoever it is, is still at it.
        self.read_due = Some(now + RETRY_FIRST);
        Ok(())
    }

    /// Reads our services. False if it gave way to something newer: then the known table is still the best there is,
    /// and applying the newer value to it comes first.
    fn read<T: Transport>(
        &mut self,
        session: &mut Session<T>,
        now: Instant,
        superseded: &mut dyn FnMut() -> bool,
        drift: &mut HashSet<Change>,
    ) -> Result<bool, Error> {
        let may_yield = self.read_due.is_some() && self.yielded < YIELDS;
        let Some(read) = session.read(Some(&self.ours), &mut || may_yield && superseded())? else {
            self.yielded += 1;
            self.read_due = Some(now + CONFIRM_AFTER);
            return Ok(false);
        };
        self.yielded = 0;
        // What leads back to what we knew is somebody else's doing. A service that was there before we ever looked
        // differs by its removal, which nobody desires: adoption is no drift.
        drift.extend(diff(&read, &self.known, &self.ours));
        if *self.known != read {
            self.known = Arc::new(read);
        }
        self.read_due = Some(now + READ_EVERY);
        Ok(true)
    }

    /// Those of the changes that are not held back. A service that cannot be made holds back its destinations.
    fn due(&self, all: Vec<Change>, now: Instant) -> Vec<Change> {
        let waits = |subject: &Subject, change: Option<&Change>| {
            self.held.get(subject).is_some_and(|held| {
                held.next > now && change.is_none_or(|change| held.refusal.change == *change)
            })
        };
        let mut missing = BTreeSet::new();
        all.into_iter()
            .filter(|change| {
                let held = waits(&change.subject(), Some(change));
                if held && matches!(change, Change::NewService { .. }) {
                    missing.insert(*change.service());
                }
                !held && !missing.contains(change.service())
            })
            .collect()
    }

    /// Applies changes batch by batch. Returns true if the kernel's table turned out not to be the known one.
    #[allow(clippy::too_many_arguments, reason = "one loop's body, split for reading")]
    fn apply<T: Transport>(
        &mut self,
        session: &mut Session<T>,
        changes: &[Change],
        now: Instant,
        superseded: &mut dyn FnMut() -> bool,
        drift: &HashSet<Change>,
        last_round: bool,
        turn: &mut Turn,
    ) -> Result<bool, Error> {
        let mut stale = false;
        let mut missing = BTreeSet::new();
        let mut rest = changes;
        while !rest.is_empty() {
            let batch: Vec<Change>;
            (batch, rest) = next_batch(rest, &missing);
            let mut refusals: BTreeMap<usize, Refusal> = session.apply(&batch)?.into_iter().collect();
            for (index, change) in batch.into_iter().enumerate() {
                let Some(refusal) = refusals.remove(&index) else {
                    change.apply(Arc::make_mut(&mut self.known));
                    self.held.remove(&change.subject());
                    if drift.contains(&change) {
                        turn.repaired.push(change.clone());
                    }
                    turn.applied.push(change);
                    continue;
                };
                if missing.contains(change.service()) {
                    // A consequence of the service's own refusal, not an error of its own.
                } else if refusal.meaning() == Meaning::Stale && !last_round {
                    stale = true;
                } else {
                    if matches!(change, Change::NewService { .. }) {
                        missing.insert(*change.service());
                    }
                    self.hold(refusal, now, turn);
                }
            }
            if !rest.is_empty() && superseded() {
                turn.superseded = true;
                if stale {
                    self.read_due = None;
                }
                break;
            }
        }
        Ok(stale)
    }

    fn hold(&mut self, refusal: Refusal, now: Instant, turn: &mut Turn) {
        let subject = refusal.change.subject();
        let before = self.held.get(&subject).filter(|held| held.refusal == refusal);
        let pause = before.map_or(RETRY_FIRST, |held| (held.pause * 2).min(RETRY_LONGEST));
        if before.is_none() {
            turn.refused.push(refusal.clone());
        }
        self.held.insert(subject, Held { refusal, pause, next: now + pause });
    }
}

/// Up to [`BATCH`] changes from the front, without those of services that could not be made.
fn next_batch<'a>(changes: &'a [Change], missing: &BTreeSet<ServiceKey>) -> (Vec<Change>, &'a [Change]) {
    let (batch, rest) = changes.split_at(changes.len().min(BATCH));
    (batch.iter().filter(|change| !missing.contains(change.service())).cloned().collect(), rest)
}

/// False when a refused change is of no more interest: what it was about is wanted otherwise now.
fn still_wanted(change: &Change, desired: &Table) -> bool {
    let service = desired.get(change.service());
    match change {
        Change::NewService { service: refused, .. } | Change::SetService { service: refused, .. } => {
            service.is_some_and(|wanted| wanted.service == *refused)
        }
        Change::DeleteService { .. } => service.is_none(),
        Change::NewDestination { destination, settings, .. }
        | Change::SetDestination { destination, settings, .. } => {
            service.is_some_and(|wanted| wanted.destinations.get(destination) == Some(settings))
        }
        Change::DeleteDestination { destination, .. } => {
            service.is_some_and(|wanted| !wanted.destinations.contains_key(destination))
        }
    }
}

#[cfg(test)]
mod tests;
