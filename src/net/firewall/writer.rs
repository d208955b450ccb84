//! Makes the packet filter be as wished: waits for a new wish or for the interfaces to change, reads, writes the
//! difference as one transaction, reads back. Every [`WATCH`] it asks whether anybody changed any table (one small
//! message) and, if so, looks whether ours are whole: `nft flush ruleset`, which firewall scripts begin with, would
//! leave the virtual addresses open.
//!
//! A master's filter must stand before its addresses do: send the wish for the addresses when [`Applied::generation`]
//! has reached the filter's. At stop it is the other way round: addresses first, then a [`Ruleset`] without families,
//! then drop the sender.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::session::{Session, lacks_reports};
use super::{Content, Error, Family, Found, Ruleset, Shape, Step, diff, resolve};
use crate::net::link::Links;
use crate::net::space::{Space, within};

/// How often others' changes are looked for.
pub const WATCH: Duration = Duration::from_secs(2);
/// After an error everything is read again, after this pause; it doubles with each error in a row.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Rounds of writing and reading back before a difference that stays is an error.
const ROUNDS: usize = 3;
/// Attempts at the last wish.
const LAST_ATTEMPTS: usize = 5;

/// What the writer last did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The latest wish that is in place.
    pub generation: u64,
    /// Times that somebody else damaged our tables and they were put back.
    pub repaired: u64,
    /// What is done without, in words.
    pub warnings: Vec<String>,
    /// What went wrong at the last attempt; empty when all is well.
    pub errors: Vec<String>,
}

/// Runs until the wish's sender is dropped; the last wish is applied first. A wish of generation 0 is none. Errors are
/// published, not logged; repairs and new warnings are logged.
pub async fn run(
    wanted: watch::Receiver<Arc<Ruleset>>,
    links: watch::Receiver<Arc<Links>>,
    applied: watch::Sender<Applied>,
) {
    run_in(None, wanted, links, applied).await;
}

/// The same in another network namespace; interfaces are those of this one.
pub async fn run_in(
    space: Option<Space>,
    mut wanted: watch::Receiver<Arc<Ruleset>>,
    mut links: watch::Receiver<Arc<Links>>,
    applied: watch::Sender<Applied>,
) {
    let mut writer = Writer { reports: true, space, ..Writer::default() };
    let mut last_attempts = None;
    loop {
        let wish = wanted.borrow_and_update().clone();
        let known = links.borrow_and_update().clone();
        let again = writer.turn(&wish, &known, &applied);
        if let Some(attempts) = &mut last_attempts {
            *attempts += 1;
            if again.is_none() || *attempts >= LAST_ATTEMPTS {
                return;
            }
        }
        let idle = wish.generation == 0 || writer.tables.is_empty();
        let wait = again.or((!idle).then_some(WATCH));
        if last_attempts.is_some() {
            pause(wait).await;
            continue;
        }
        tokio::select! {
            changed = wanted.changed() => last_attempts = changed.is_err().then_some(0),
            Ok(()) = links.changed() => {}
            () = pause(wait) => {}
        }
    }
}

async fn pause(again: Option<Duration>) {
    match again {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

#[derive(Default)]
struct Writer {
    session: Option<Session>,
    /// Where its tables are; `None` = here.
    space: Option<Space>,
    /// Our tables, with the shape that they were last made in.
    tables: BTreeMap<(Family, String), Shape>,
    /// The kernel can send multicast reports by the parent.
    reports: bool,
    /// The last wish in place, with the interfaces it was resolved with, and the kernel's generation number then.
    settled: Option<(u64, BTreeMap<String, u32>, u32)>,
    seen: Seen,
    repaired: u64,
    /// Attempts in a row that ended with an error.
    failures: u32,
}

/// Tables as they were read, while nobody changed any: ten thousand elements are not read twice.
#[derive(Default)]
struct Seen {
    /// The kernel's generation number before they were read.
    at: u32,
    tables: BTreeMap<(Family, String), Option<Found>>,
}

impl Seen {
    fn table(
        &mut self,
        session: &mut Session,
        content: Content,
        key: &(Family, String),
        now: u32,
    ) -> Result<Option<&Found>, Error> {
        if self.at != now {
            self.tables.clear();
            self.at = now;
        }
        if !self.tables.contains_key(key) {
            let found = session.read(content, key.0, &key.1)?;
            self.tables.insert(key.clone(), found);
        }
        Ok(self.tables.get(key).and_then(Option::as_ref))
    }
}

impl Writer {
    /// One turn. Returns when to try again after an error.
    fn turn(&mut self, wish: &Ruleset, links: &Links, applied: &watch::Sender<Applied>) -> Option<Duration> {
        if wish.generation == 0 {
            return None;
        }
        let mut errors = Vec::new();
        let mut generation = wish.generation;
        if let Err(error) = self.apply(wish, links) {
            self.session = None;
            self.settled = None;
            self.seen = Seen::default();
            errors.push(error.to_string());
            generation = applied.borrow().generation;
        }
        self.failures = if errors.is_empty() { 0 } else { self.failures.saturating_add(1) };
        let mut warnings = Vec::new();
        if !self.reports && wish.content == Content::Filter {
            warnings.push(
                "this kernel cannot duplicate packets (nft_dup_ipv4, nft_dup_ipv6): multicast reports of VMACs leave \
                 with their virtual hardware address, so that a switch may take a backup for the master for a moment; \
                 load these modules and restart"
                    .to_owned(),
            );
        }
        for warning in warnings.iter().filter(|w| !applied.borrow().warnings.contains(w)) {
            tracing::warn!("{warning}");
        }
        let next = Applied { generation, repaired: self.repaired, warnings, errors };
        applied.send_if_modified(|current| {
            let changed = *current != next;
            *current = next;
            changed
        });
        (self.failures > 0)
            .then(|| (LEAST_PAUSE * 2u32.saturating_pow(self.failures.min(10) - 1)).min(LONGEST_PAUSE))
    }

    fn apply(&mut self, wish: &Ruleset, links: &Links) -> Result<(), Error> {
        // A machine that needs no filter need not have nftables.
        if wish.ipv4.is_none() && wish.ipv6.is_none() && self.tables.is_empty() {
            return Ok(());
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => within(self.space.as_ref(), Session::open)??,
        };
        let named = named_indexes(wish, links);
        let mut now = session.generation()?;
        let same_wish = self
            .settled
            .as_ref()
            .is_some_and(|(wished, with, _)| *wished == wish.generation && *with == named);
        if same_wish && self.settled.as_ref().is_some_and(|(.., then)| *then == now) {
            self.session = Some(session);
            return Ok(());
        }
        for round in 0.. {
            let steps = self.steps(&mut session, wish, &named, now)?;
            if steps.is_empty() {
                break;
            }
            if round == ROUNDS {
                let operation = format!("table {} does not stay as it should be", wish.table);
                return Err(Error::Unsteady { operation });
            }
            if round == 0 && same_wish {
                self.repaired += 1;
                tracing::warn!("table {} was changed by somebody else: put back", wish.table);
            }
            match session.commit(&steps) {
                Ok(()) => self.note(&steps),
                Err(error) if self.reports && lacks_reports(&error) => self.reports = false,
                Err(error) => return Err(error),
            }
            now = session.generation()?;
        }
        self.settled = Some((wish.generation, named, now));
        self.session = Some(session);
        Ok(())
    }

    fn steps(
        &mut self,
        session: &mut Session,
        wish: &Ruleset,
        named: &BTreeMap<String, u32>,
        now: u32,
    ) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        let renamed: Vec<_> = self.tables.keys().filter(|(_, name)| *name != wish.table).cloned().collect();
        for key in renamed {
            let found = self.seen.table(session, wish.content, &key, now)?;
            steps.extend(diff(key.0, &key.1, found, None, true));
        }
        for family in Family::ALL {
            let key = (family, wish.table.clone());
            let table = resolve(wish, family, self.reports, |name| named.get(name).copied());
            // What we did not make and do not want is not ours.
            if wish.table.is_empty() || (table.is_none() && !self.tables.contains_key(&key)) {
                continue;
            }
            let keeps_shape = table.as_ref().is_some_and(|table| self.tables.get(&key) == Some(&table.shape));
            let found = self.seen.table(session, wish.content, &key, now)?;
            steps.extend(diff(family, &wish.table, found, table.as_ref(), keeps_shape));
        }
        Ok(steps)
    }

    fn note(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Make(family, name, shape) => {
                    self.tables.insert((*family, name.clone()), shape.clone());
                }
                Step::Drop(family, name) => _ = self.tables.remove(&(*family, name.clone())),
                Step::Add(..) | Step::Remove(..) => {}
            }
        }
    }
}

/// The indexes of the interfaces that the wish names.
fn named_indexes(wish: &Ruleset, links: &Links) -> BTreeMap<String, u32> {
    let mut names = BTreeSet::new();
    for rules in [&wish.ipv4, &wish.ipv6].into_iter().flatten() {
        names.extend(rules.vmacs.iter().flat_map(|(vmac, parent)| [vmac, parent]));
        names.extend(rules.blocked_on.iter().map(|(_, name)| name));
    }
    names.into_iter().filter_map(|name| Some((name.clone(), links.get(name)?.index))).collect()
}
