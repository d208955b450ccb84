//! Makes addresses, routes and rules be as wished: waits for a new wish or for the interfaces to change, reads what the
//! kernel has, applies the difference, reads again until there is none, says which wish is in place. It never trusts
//! its memory of what it did.
//!
//! Requests go out many in one datagram, on a socket of its own; every acknowledgement is matched and seen. Between
//! datagrams the other tasks of the thread get their turn, and a newer wish is noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Error;
use super::link::Links;
use super::plan::{Actual, Plan, Step, is_there, plan};
use super::promote::Promoted;
use super::read;
use super::repair::Repairs;
use super::session::Session;
use super::wanted::{Id, Wanted};
use super::watch::{Culprits, Watch};
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
/// Requests in one datagram. With thousands of addresses on a device each takes the kernel a tenth of a millisecond.
const BATCH: usize = 64;

/// What the writer last did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The latest wish that is in place, as far as its interfaces exist and the kernel did not refuse.
    pub generation: u64,
    /// Addresses, routes and rules put back after somebody else removed or changed them, since the start.
    pub repaired: u64,
    /// What went wrong at the last attempt; empty when all is well.
    pub errors: Vec<String>,
    /// `track_group`: what is not there of each group, in words. A group with nothing missing is not named.
    pub missing: BTreeMap<String, BTreeSet<String>>,
}

/// What the writer follows.
pub struct Inputs {
    /// The wish of the instances. Generation 0 is none: nothing of theirs is touched before the first real one. The
    /// writer ends when its sender is dropped; the last wish is applied first.
    pub wanted: watch::Receiver<Arc<Wanted>>,
    /// What is there as long as the daemon runs: goes when the writer ends.
    pub fixed: watch::Receiver<Arc<Wanted>>,
    /// The interfaces.
    pub links: watch::Receiver<Arc<Links>>,
    /// Who took addresses away, for the log.
    pub culprits: Culprits,
}

/// Runs with the wish of the instances alone.
pub async fn run(
    wanted: watch::Receiver<Arc<Wanted>>,
    links: watch::Receiver<Arc<Links>>,
    applied: watch::Sender<Applied>,
) {
    let (_keep, fixed) = watch::channel(Arc::default());
    run_with(Inputs { wanted, fixed, links, culprits: Culprits::default() }, applied).await;
}

/// Runs until the wish's sender is dropped. Errors are published, not logged; repairs are logged.
pub async fn run_with(mut inputs: Inputs, applied: watch::Sender<Applied>) {
    let mut writer = Writer { culprits: inputs.culprits.clone(), ..Writer::default() };
    let mut watch = Watch::default();
    let mut last_attempts = None;
    let mut joint = Joint::default();
    loop {
        let wish = inputs.wanted.borrow_and_update().clone();
        let fixed = inputs.fixed.borrow_and_update().clone();
        let known = inputs.links.borrow_and_update().clone();
        let wish = match last_attempts {
            _ if fixed.is_empty() => wish,
            None => joint.of(&wish, &fixed),
            // The end: what was there as long as the daemon ran goes with it.
            Some(_) => joint.of(&wish, &Arc::new(fixed.without_wishes(0))),
        };
        watch.follow(&wish);
        let again = writer.turn(&wish, &known, &inputs, &applied).await;
        if let Some(attempts) = &mut last_attempts {
            *attempts += 1;
            if applied.borrow().errors.is_empty() || *attempts >= LAST_ATTEMPTS {
                return;
            }
            pause(again).await;
            continue;
        }
        let own = writer.session.as_ref().and_then(Session::port);
        tokio::select! {
            changed = inputs.wanted.changed() => last_attempts = changed.is_err().then_some(0),
            Ok(()) = inputs.fixed.changed() => {}
            Ok(()) = inputs.links.changed() => {}
            () = watch.removed(own) => {}
            () = pause(again) => {}
        }
    }
}

/// Both wishes as one; made anew only when one of them is another.
#[derive(Default)]
struct Joint(Option<[Arc<Wanted>; 3]>);

impl Joint {
    fn of(&mut self, wish: &Arc<Wanted>, fixed: &Arc<Wanted>) -> Arc<Wanted> {
        if let Some([one, other, both]) = &self.0
            && Arc::ptr_eq(one, wish)
            && Arc::ptr_eq(other, fixed)
        {
            return Arc::clone(both);
        }
        let mut both = Wanted::clone(wish);
        both.join(fixed);
        let both = Arc::new(both);
        self.0 = Some([Arc::clone(wish), Arc::clone(fixed), Arc::clone(&both)]);
        both
    }
}

async fn pause(again: Option<Duration>) {
    match again {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// How an attempt ended without an error.
enum End {
    Settled,
    /// There is a newer wish.
    Overtaken,
}

#[derive(Default)]
struct Writer {
    session: Option<Session>,
    culprits: Culprits,
    promoted: Promoted,
    /// Seen in place when the last wish settled, addresses with the interface's index: what is missing of these was
    /// taken away by somebody. Only for telling repairs from first additions.
    in_place: BTreeSet<(u32, Id)>,
    /// What is not tracked and was there once since it is wished.
    placed: BTreeSet<Id>,
    repairs: Repairs,
    repaired: u64,
    /// Attempts in a row that ended with an error.
    failures: u32,
    /// Interfaces that the wish names and that do not exist, for the log.
    missing: BTreeSet<String>,
    /// What is missing of tracked groups.
    groups: BTreeMap<String, BTreeSet<String>>,
}

/// What one turn has found out so far.
#[derive(Default)]
struct Turn {
    errors: Vec<String>,
    /// When something may be put back that is held back now.
    held_back: Option<Instant>,
    /// Not tried (again) in this turn.
    passed: BTreeSet<Id>,
    /// Of these, held back.
    waiting: BTreeSet<Id>,
    /// Taken away by somebody.
    repairs: BTreeSet<Id>,
}

impl Writer {
    /// One turn: read, compare, apply, publish. Returns when to try again although nothing changed.
    async fn turn(
        &mut self,
        wish: &Wanted,
        links: &Links,
        inputs: &Inputs,
        applied: &watch::Sender<Applied>,
    ) -> Option<Duration> {
        if wish.generation == 0 && wish.is_empty() {
            return None;
        }
        let wished = |id: &Id| match id {
            Id::Address(key) => wish.want.contains_key(key),
            Id::Route(key) => wish.routes.iter().any(|route| route.key == *key),
            Id::Rule(rule) => wish.rules.contains(rule),
        };
        self.repairs.keep(wished);
        self.placed.retain(wished);
        self.in_place.retain(|(_, id)| wished(id));
        let mut turn = Turn {
            errors: self.promoted.follow(&wish.promote, |name| links.contains_key(name)),
            ..Turn::default()
        };
        let generation = match self.apply(wish, links, inputs, &mut turn).await {
            Ok(End::Overtaken) => return Some(Duration::ZERO),
            Ok(End::Settled) => wish.generation,
            Err(error) => {
                // Nothing is known of what the kernel did: another connection, and nothing is said to be in place.
                self.session = None;
                turn.errors.push(error.to_string());
                applied.borrow().generation
            }
        };
        let errors = turn.errors;
        self.failures = if errors.is_empty() { 0 } else { self.failures.saturating_add(1) };
        let after_error = (self.failures > 0)
            .then(|| (LEAST_PAUSE * 2u32.saturating_pow(self.failures.min(10) - 1)).min(LONGEST_PAUSE));
        let next = Applied { generation, repaired: self.repaired, errors, missing: self.groups.clone() };
        applied.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
        let held_back = turn.held_back.map(|then: Instant| then.saturating_duration_since(clock::now()));
        after_error.into_iter().chain(held_back).min()
    }

    /// Applies the difference until there is none.
    async fn apply(
        &mut self,
        wish: &Wanted,
        links: &Links,
        inputs: &Inputs,
        turn: &mut Turn,
    ) -> Result<End, Error> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::open()?,
        };
        for round in 0.. {
            let actual = read::actual(&mut session, wish, links)?;
            let Plan { mut steps, missing } = plan(&actual, wish, links);
            self.note_missing(missing);
            steps.retain(|step| !turn.passed.contains(&step.id));
            self.leave_untracked(wish, &mut steps);
            // Later rounds mend what our own removals took along: no repair of what others did.
            if round == 0 {
                turn.repairs = self.repairs_among(&steps, links);
            }
            self.hold_back(turn, &mut steps);
            if steps.is_empty() {
                self.settle(wish, links, &actual, turn);
                break;
            }
            if round == ROUNDS {
                turn.errors
                    .extend(steps.iter().map(|step| format!("{} does not stay as it should be", step.id)));
                self.settle(wish, links, &actual, turn);
                break;
            }
            for batch in steps.chunks(BATCH) {
                // Thousands of addresses take seconds, and the next wish may be to have none of them.
                if inputs.wanted.has_changed().unwrap_or(false) {
                    self.session = Some(session);
                    return Ok(End::Overtaken);
                }
                self.carry_out(&mut session, batch, turn)?;
                tokio::task::yield_now().await;
            }
        }
        self.session = Some(session);
        Ok(End::Settled)
    }

    /// One datagram.
    fn carry_out(&mut self, session: &mut Session, batch: &[Step], turn: &mut Turn) -> Result<(), Error> {
        let requests: Vec<_> = batch.iter().map(|step| step.request.clone()).collect();
        let answers = session.apply(&requests, "changing addresses, routes and rules")?;
        for (step, answer) in batch.iter().zip(answers) {
            let Some(refusal) = answer else {
                if step.add && turn.repairs.contains(&step.id) {
                    self.put_back(&step.id);
                }
                continue;
            };
            match (step.add, refusal.errno) {
                // Somebody put it there between our reading and now, or (IPv6) with another prefix length; or the
                // interface went away: it waits for the monitor to say which one has this name now.
                (true, libc::EEXIST) | (_, libc::ENODEV) => _ = turn.passed.insert(step.id.clone()),
                // Somebody else was faster.
                (false, libc::EADDRNOTAVAIL | libc::ESRCH | libc::ENOENT) => {}
                // It waits for its interface, whose coming up wakes the writer.
                (true, _) if step.down => _ = turn.passed.insert(step.id.clone()),
                _ => {
                    turn.errors.push(refusal.error(step.operation()).to_string());
                    turn.passed.insert(step.id.clone());
                }
            }
        }
        Ok(())
    }

    /// Says what was put back, how often, and who took it away.
    fn put_back(&mut self, id: &Id) {
        self.repairs.done(id, clock::now());
        self.repaired += 1;
        let times = self.repairs.total(id);
        let who = match id {
            Id::Address(key) => self.culprits.of(key.address),
            Id::Route(_) | Id::Rule(_) => None,
        };
        let who = who.unwrap_or_else(|| "somebody else".to_owned());
        let often = if times > 1 { format!(" (for the {times}. time)") } else { String::new() };
        tracing::warn!("{id} was removed or changed by {who}: put back{often}");
    }

    /// What is not tracked is not put back once it was there.
    fn leave_untracked(&self, wish: &Wanted, steps: &mut Vec<Step>) {
        if wish.untracked.is_empty() {
            return;
        }
        let removed: BTreeSet<Id> =
            steps.iter().filter(|step| !step.add).map(|step| step.id.clone()).collect();
        let left = |step: &Step| {
            step.add
                && wish.untracked.contains(&step.id)
                && self.placed.contains(&step.id)
                && !removed.contains(&step.id)
        };
        steps.retain(|step| !left(step));
    }

    /// Takes out what is put back too often.
    fn hold_back(&self, turn: &mut Turn, steps: &mut Vec<Step>) {
        for id in &turn.repairs {
            if turn.waiting.contains(id) {
                continue;
            }
            if let Err(then) = self.repairs.check(id, clock::now()) {
                turn.held_back = Some(turn.held_back.map_or(then, |known| known.min(then)));
                turn.passed.insert(id.clone());
                turn.waiting.insert(id.clone());
            }
        }
        steps.retain(|step| !turn.waiting.contains(&step.id));
    }

    /// What is to be added and was in place already, on the same interface.
    fn repairs_among(&self, steps: &[Step], links: &Links) -> BTreeSet<Id> {
        if self.in_place.is_empty() {
            return BTreeSet::new();
        }
        let additions = steps.iter().filter(|step| step.add).map(|step| &step.id);
        let was_there =
            |id: &&Id| index(id, links).is_some_and(|index| self.in_place.contains(&(index, (*id).clone())));
        additions.filter(was_there).cloned().collect()
    }

    fn settle(&mut self, wish: &Wanted, links: &Links, actual: &Actual, turn: &Turn) {
        self.in_place.clear();
        self.groups.clear();
        for id in wish.ids() {
            let there = is_there(&id, actual);
            if let Some(group) = wish.groups.get(&id).filter(|_| !there) {
                self.groups.entry(group.clone()).or_default().insert(id.to_string());
            }
            if !there && !turn.waiting.contains(&id) {
                continue;
            }
            if wish.untracked.contains(&id) {
                self.placed.insert(id);
            } else if let Some(index) = index(&id, links) {
                self.in_place.insert((index, id));
            }
        }
    }

    fn note_missing(&mut self, missing: BTreeSet<String>) {
        for name in missing.difference(&self.missing) {
            tracing::warn!("addresses and routes wait for {name}: there is no such interface");
        }
        self.missing = missing;
    }
}

/// The interface of an address; 0 for what is not of one interface.
fn index(id: &Id, links: &Links) -> Option<u32> {
    match id {
        Id::Address(key) => links.get(&key.interface).map(|link| link.index),
        Id::Route(_) | Id::Rule(_) => Some(0),
    }
}

/// Reads the interfaces and the addresses once, for whoever only looks. No rights are needed.
///
/// # Errors
/// Why the kernel could not be asked.
pub async fn read_once(wish: &Wanted) -> Result<(Links, Actual), Error> {
    let links = super::monitor::first_dump().await?;
    let actual = read::actual(&mut Session::open()?, wish, &links)?;
    Ok((links, actual))
}
