//! What waits for a disk: changes on their way into a file. The worker goes on meanwhile, however long the disk takes, and
//! clients are told when that is too long.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use super::Worker;
use crate::clock;
use crate::config::model::RealServerOverride;
use crate::control::answer::{Answer, Failure};
use crate::control::routes::Change;
use crate::control::server::{Caller, Reply};
use crate::control::view::Changed;
use crate::core::include::{self, Persisted, Planned};
use crate::core::kept::Keeper;
use crate::core::overlay::Overlay;
use crate::core::overrides::{Decided, Said, is_of};

/// How long a client waits for a disk: less than clients have for all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Overrides that could not be kept are tried again after so long: a full disk gets free without a word to us.
const AGAIN: Duration = Duration::from_secs(5);
/// Lasting changes that wait for the one that is being written.
const WAITING: usize = 64;

/// A change that somebody wants.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) change: Change,
    pub(super) said: Said,
    pub(super) caller: Caller,
    /// `None`: the client has its answer.
    pub(super) reply: Option<oneshot::Sender<Reply>>,
    since: Instant,
}

impl Wish {
    pub(super) fn new(change: Change, caller: Caller, reply: oneshot::Sender<Reply>) -> Self {
        let now = clock::wall();
        let until = change.lasting.and_then(|lasting| now.checked_add(lasting)).map(clock::utc);
        let said = Said { by: caller.to_string(), at: clock::utc(now), until };
        Self { change, said, caller, reply: Some(reply), since: clock::now() }
    }

    pub(super) fn refuse(self, failure: Failure) {
        let (caller, server) = (&self.caller, self.change.server);
        tracing::info!(
            "{caller} asked for a change of real server {server} and was refused: {}",
            failure.problem
        );
        answer(self.reply, failure.into());
    }

    /// Nobody waits for it any more.
    fn is_closed(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// All that waits for a disk. One change at a time is written into the include file, in the order in which they came; the
/// overrides' own file gets the newest of them.
#[derive(Debug, Default)]
pub(super) struct Disk {
    writing: Option<Writing>,
    waiting: VecDeque<Wish>,
    keeping: Option<Keeping>,
    /// Number of the overrides that were kept, or could not be.
    last: u64,
    /// The last try to keep them failed: when to try again.
    again: Option<Instant>,
    /// Who wants to know that the overrides are kept.
    kept: Vec<Kept>,
}

/// A change on its way into the include file.
#[derive(Debug)]
struct Writing {
    wish: Wish,
    decided: Decided,
    /// What commands had said of the real server when it began.
    before: Option<RealServerOverride>,
    /// The layers as they were then.
    layers: Overlay,
    work: JoinHandle<Result<Box<Written>, Failure>>,
}

/// What stands in the include file now.
#[derive(Debug)]
struct Written {
    planned: Planned,
    persisted: Persisted,
    /// The layers with it, if they are still those of then.
    lasting: Overlay,
}

/// Overrides on their way into their file.
#[derive(Debug)]
struct Keeping {
    number: u64,
    work: JoinHandle<Result<(), String>>,
}

/// A change in force that waits for its overrides being kept.
#[derive(Debug)]
struct Kept {
    number: u64,
    changed: Changed,
    reply: Option<oneshot::Sender<Reply>>,
    since: Instant,
}

/// What a disk has done.
pub(super) enum Done {
    /// Written the include file, or not.
    Written(Result<Outcome, JoinError>),
    /// Kept the overrides, or not.
    Kept(Result<Result<(), String>, JoinError>),
}

/// What came of a change that was to last.
pub(super) struct Outcome(Result<Box<Written>, Failure>);

impl Disk {
    /// The next answer of a disk; never, while it is asked for nothing.
    pub(super) async fn done(&mut self) -> Done {
        let Self { writing, keeping, .. } = self;
        tokio::select! {
            done = ended(writing.as_mut().map(|one| &mut one.work)) => Done::Written(done.map(Outcome)),
            done = ended(keeping.as_mut().map(|one| &mut one.work)) => Done::Kept(done),
        }
    }

    /// Nothing is being written into the include file any more.
    pub(super) fn is_idle(&self) -> bool {
        self.writing.as_ref().is_none_or(|one| one.work.is_finished())
    }

    /// Nothing is being written, and nothing waits to be: nobody need look.
    pub(super) const fn is_calm(&self) -> bool {
        self.writing.is_none() && self.keeping.is_none() && self.again.is_none()
    }

    /// A lasting change that is being written; what it comes to is not known.
    pub(super) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Tells clients that wait for too long; no disk is waited for by them any more.
    pub(super) fn tell_slow(&mut self, file: &std::path::Path, now: Instant) {
        let late = |since: Instant| now.saturating_duration_since(since) >= PATIENCE;
        let slow = |what: &str| {
            let seconds = PATIENCE.as_secs();
            let problem =
                format!("the disk with {} has not answered for {seconds} s: {what}", file.display());
            tracing::error!("a change with --persist: {problem}");
            Failure::new(
                504,
                "slow-disk",
                problem,
                "look at that disk; without --persist a change waits for no disk",
            )
        };
        if let Some(writing) = self.writing.as_mut().filter(|one| late(one.wish.since))
            && let Some(reply) = writing.wish.reply.take()
        {
            let failure = slow("the change has no effect before it does");
            answer(Some(reply), failure.into());
        }
        self.waiting.retain(|wish| !wish.is_closed());
        while self.waiting.front().is_some_and(|wish| late(wish.since))
            && let Some(wish) = self.waiting.pop_front()
        {
            wish.refuse(slow("another change is being written; nothing has changed"));
        }
        for kept in self.kept.extract_if(.., |kept| late(kept.since)) {
            let Kept { mut changed, reply, .. } = kept;
            let seconds = PATIENCE.as_secs();
            changed.notes.push(format!(
                "the disk has not kept it for {seconds} s: it is in force, a restart may forget it"
            ));
            answer(reply, Answer::of(&changed));
        }
    }
}

impl Worker {
    /// Has a change written into the include file, off this thread. It takes effect when that is done.
    pub(super) fn make_lasting(&mut self, wish: Wish) {
        if self.disk.writing.is_some() {
            // Decided by what the one before leaves.
            if self.disk.waiting.len() < WAITING {
                self.disk.waiting.push_back(wish);
            } else {
                let problem = "changes wait for one that is being written into a file";
                wish.refuse(Failure::new(503, "busy", problem, "ask again later"));
            }
            return;
        }
        let decided = match self.decide(&wish) {
            Ok(decided) => decided,
            Err(failure) => return wish.refuse(failure),
        };
        let (main, file) = (self.options.config.clone(), self.override_file());
        let before = self.overridden(&decided).cloned();
        let (layers, change, said) = (self.overlay.clone(), wish.change.clone(), wish.said.clone());
        let (service, server) = (decided.service.clone(), decided.server);
        let kept = before.clone();
        let work = tokio::task::spawn_blocking(move || {
            let target = (&service, server);
            let planned = include::plan(&main, &file, target, kept.as_ref(), &change, &said)?;
            // Before anything is written: it may be refused.
            let lasting = layers.persisted(target, &planned, false)?;
            let persisted = planned.write()?;
            Ok(Box::new(Written { planned, persisted, lasting }))
        });
        self.disk.writing = Some(Writing { wish, decided, before, layers: self.overlay.clone(), work });
    }

    /// After a disk has answered.
    pub(super) fn take_disk(&mut self, done: Done) {
        match done {
            Done::Kept(result) => self.take_kept(result),
            Done::Written(result) => {
                self.take_written(result);
                while !self.disk.is_writing()
                    && let Some(wish) = self.disk.waiting.pop_front()
                {
                    if !wish.is_closed() {
                        self.make_lasting(wish);
                    }
                }
            }
        }
    }

    fn take_written(&mut self, result: Result<Outcome, JoinError>) {
        let Some(Writing { wish, decided, before, layers, .. }) = self.disk.writing.take() else { return };
        let written = match result {
            Ok(Outcome(Ok(written))) => written,
            Ok(Outcome(Err(failure))) => return wish.refuse(failure),
            Err(error) => {
                return wish.refuse(Failure::new(
                    500,
                    "defect",
                    error.to_string(),
                    "report this as a defect",
                ));
            }
        };
        // Other commands, and a reload, did not wait for the disk: what they said meanwhile stays.
        let same =
            Arc::ptr_eq(layers.base(), self.overlay.base()) && layers.number() == self.overlay.number();
        let newer = self.overridden(&decided) != before.as_ref();
        let (service, server) = (&decided.service, decided.server);
        let next = if written.persisted.include.is_some() {
            if newer {
                Ok(self.overlay.clone())
            } else {
                self.decide(&wish).map(|decided| {
                    let mut layers = self.overlay.clone();
                    layers.decided(&decided);
                    layers
                })
            }
        } else if same {
            Ok(written.lasting)
        } else {
            self.overlay.persisted((service, server), &written.planned, newer)
        };
        match next {
            Ok(layers) => {
                let reply = wish.reply.is_some();
                let changed = self.take_over(layers, &decided, &wish.caller, Some(written.persisted));
                if !reply {
                    tracing::warn!("the disk took {} s for that", wish.since.elapsed().as_secs());
                }
                self.keep(changed, wish.reply);
            }
            Err(mut failure) => {
                let file = written.persisted.path.display();
                failure.problem = format!("it is written into {file}, but meanwhile: {}", failure.problem);
                failure.cure = format!("{}; or reload, which reads that file", failure.cure);
                wish.refuse(failure);
            }
        }
    }

    /// What commands say of a real server.
    fn overridden(&self, decided: &Decided) -> Option<&RealServerOverride> {
        self.overlay.overrides().iter().find(|one| is_of(one, &decided.service, decided.server))
    }

    /// Where `--persist` writes.
    pub(super) fn override_file(&self) -> std::path::PathBuf {
        include::file_of(&self.options.config, self.config.global_defs.override_file.as_deref())
    }

    /// Keeps the overrides, off this thread. Whether or not the client waits for it.
    pub(super) fn keep(&mut self, changed: Changed, reply: Option<oneshot::Sender<Reply>>) {
        let number = self.overlay.number();
        self.disk.kept.push(Kept { number, changed, reply, since: clock::now() });
        self.keep_newest();
    }

    /// After a reload: perhaps they are to be kept in another folder.
    pub(super) fn keep_elsewhere(&mut self) {
        let folder = Keeper::folder(self.options.state_directory.as_deref(), &self.config);
        let Some(keeper) = self.keeper.moved(folder, &self.options.instance) else { return };
        tracing::info!("overrides of commands are kept in {} from now on", folder.display());
        self.keeper = Arc::new(keeper);
        self.overlay.moved();
        self.keep_newest();
    }

    fn keep_newest(&mut self) {
        if self.disk.keeping.is_some() || self.disk.kept.is_empty() && self.disk.last >= self.overlay.number()
        {
            return;
        }
        self.start_keeping();
    }

    /// Overrides that could not be kept: once more, when it is time.
    pub(super) fn keep_again(&mut self, now: Instant) {
        if self.disk.keeping.is_none() && self.disk.again.is_some_and(|at| at <= now) {
            self.start_keeping();
        }
    }

    fn start_keeping(&mut self) {
        let (keeper, number) = (Arc::clone(&self.keeper), self.overlay.number());
        let overrides = self.overlay.overrides().to_vec();
        let work = tokio::task::spawn_blocking(move || keeper.write(number, &overrides));
        self.disk.keeping = Some(Keeping { number, work });
    }

    fn take_kept(&mut self, result: Result<Result<(), String>, JoinError>) {
        let Some(Keeping { number, .. }) = self.disk.keeping.take() else { return };
        let result = result.unwrap_or_else(|error| Err(error.to_string()));
        match &result {
            Ok(()) if self.disk.again.take().is_some() => tracing::info!("overrides are kept again"),
            Ok(()) => {}
            // Once, not at every try.
            Err(error) => {
                if self.disk.again.replace(clock::now() + AGAIN).is_none() {
                    tracing::error!(
                        "overrides are not kept, a restart will forget them: {error}; free or mend that disk, or give \
                         another folder by --state-dir; it is tried again every {} s",
                        AGAIN.as_secs()
                    );
                }
            }
        }
        let note = result.err().map(|error| {
            format!(
                "a restart will forget it until that is mended, which is tried every {} s: {error}",
                AGAIN.as_secs()
            )
        });
        for kept in self.disk.kept.extract_if(.., |kept| kept.number <= number) {
            let Kept { mut changed, reply, .. } = kept;
            changed.notes.extend(note.clone());
            answer(reply, Answer::of(&changed));
        }
        self.disk.last = number;
        self.keep_newest();
    }
}

/// A client that is gone, or has its answer, wants no other.
fn answer(reply: Option<oneshot::Sender<Reply>>, with: Answer) {
    if let Some(reply) = reply {
        let _ = reply.send(Reply::Now(with));
    }
}

/// The end of a work; never, where there is none.
async fn ended<T>(work: Option<&mut JoinHandle<T>>) -> Result<T, JoinError> {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}
