//! What people's programs are told: in order, one queue a name, one program at a time, the newest state last.
//! keepalived starts its scripts side by side, and the last to finish wins: here a state that a newer one has overtaken
//! before its turn is not told any more, and a program that is still busy with it when the newer one has waited for
//! [`OVERTAKEN`] is ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::process::{self, Finished, Outcome, Program};

pub mod backlog;
pub mod fifo;
pub mod mail;
pub mod outbox;
pub mod post;
mod reader;

/// Jobs that may wait in one queue; beyond it the oldest one is dropped and logged.
const QUEUE: usize = 64;
/// How long a job waits for its addresses before it runs all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// A program that runs longer is mentioned.
const SLOW: Duration = Duration::from_secs(30);
/// How long a program may go on with a state after a newer one has come.
pub const OVERTAKEN: Duration = Duration::from_secs(30);

/// Programs to run because of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Name of the instance, group or server: jobs of one queue run one after the other.
    pub queue: String,
    /// Generation of addresses that must be in place first; 0 = none.
    pub after: u64,
    /// Run one after the other.
    pub programs: Vec<Program>,
    /// The event in words, for the log.
    pub why: String,
    /// It tells a state: older states that still wait are skipped.
    pub supersedes: bool,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<(u64, Job)>,
    /// Number of the newest state that was queued; the running program watches it.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Queues {
    /// A queue is there for as long as its worker runs.
    busy: BTreeMap<String, Queue>,
    pushed: u64,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    idle: Notify,
    applied: watch::Receiver<u64>,
    overtaken: Duration,
}

/// Takes jobs and never waits for them.
#[derive(Debug)]
pub struct Notifier(Arc<Shared>);

impl Notifier {
    /// `applied` says which generation of addresses is in place.
    pub fn new(applied: watch::Receiver<u64>) -> Self {
        Self::patient(applied, OVERTAKEN)
    }

    fn patient(applied: watch::Receiver<u64>, overtaken: Duration) -> Self {
        Self(Arc::new(Shared { queues: Mutex::default(), idle: Notify::new(), applied, overtaken }))
    }

    /// Queues a job; must be called on a runtime. A state makes older states of its queue that still wait void, even
    /// when it has no program of its own: what they would tell is no longer so.
    pub fn push(&self, job: Job) {
        let mut queues = self.0.lock();
        queues.pushed += 1;
        let number = queues.pushed;
        if let Some(queue) = queues.busy.get_mut(&job.queue) {
            if job.supersedes {
                queue.waiting.retain(|(_, old)| {
                    if old.supersedes {
                        tracing::info!("{}: scripts not run, meanwhile {}", old.why, job.why);
                    }
                    !old.supersedes
                });
                queue.newest.send_replace(number);
            }
            if job.programs.is_empty() {
                return;
            }
            queue.waiting.push_back((number, job));
            if queue.waiting.len() > QUEUE
                && let Some((_, dropped)) = queue.waiting.pop_front()
            {
                tracing::error!("{}: scripts not run, {QUEUE} jobs are waiting before them", dropped.why);
            }
        } else if !job.programs.is_empty() {
            let name = job.queue.clone();
            let newest = watch::channel(number).0;
            queues.busy.insert(name.clone(), Queue { waiting: VecDeque::from([(number, job)]), newest });
            tokio::spawn(work(Arc::clone(&self.0), name));
        }
    }

    /// Waits until all is told, at most this long. What still runs then is ended with the runtime.
    pub async fn finish(&self, limit: Duration) {
        let done = async {
            loop {
                let idle = self.0.idle.notified();
                if self.0.lock().busy.is_empty() {
                    return;
                }
                idle.await;
            }
        };
        if tokio::time::timeout(limit, done).await.is_err() {
            tracing::warn!("scripts still run after {} s: left behind", limit.as_secs_f64());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Queues are whole at every unlock, also after a panic elsewhere.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties one queue, job by job.
async fn work(shared: Arc<Shared>, name: String) {
    loop {
        let (number, job, newest) = {
            let mut queues = shared.lock();
            let next = queues.busy.get_mut(&name).and_then(|queue| {
                let (number, job) = queue.waiting.pop_front()?;
                Some((number, job, queue.newest.subscribe()))
            });
            match next {
                Some(next) => next,
                None => {
                    queues.busy.remove(&name);
                    break;
                }
            }
        };
        tell(&shared, number, job, newest).await;
    }
    shared.idle.notify_waiters();
}

async fn tell(shared: &Shared, number: u64, job: Job, newest: watch::Receiver<u64>) {
    let mut applied = shared.applied.clone();
    let in_place = applied.wait_for(|generation| *generation >= job.after);
    if tokio::time::timeout(PATIENCE, in_place).await.is_err() {
        tracing::warn!(
            "{}: its addresses are not in place after {} s; scripts run all the same",
            job.why,
            PATIENCE.as_secs()
        );
    }
    for program in &job.programs {
        let overtaken = async {
            let mut newest = newest.clone();
            // The sender lives in the queue, which is there until this worker has ended.
            let came = newest.wait_for(|newest| *newest > number).await.is_ok();
            if !came {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(shared.overtaken).await;
            tracing::warn!(
                "{}: {} still runs {} s after a newer state came: it is ended",
                job.why,
                program.argv.join(" "),
                shared.overtaken.as_secs_f64()
            );
        };
        let run = process::run_until(program, overtaken);
        tokio::pin!(run);
        let finished = match tokio::time::timeout(SLOW, &mut run).await {
            Ok(finished) => finished,
            Err(_) => {
                let words = program.argv.join(" ");
                tracing::warn!("{}: {words} runs for {} s already", job.why, SLOW.as_secs());
                run.await
            }
        };
        log(&job.why, program, &finished);
    }
}

fn log(why: &str, program: &Program, finished: &Finished) {
    let words = program.argv.join(" ");
    let secs = finished.took.as_secs_f64();
    match &finished.outcome {
        Outcome::Exit(0) => tracing::info!("{why}: {words} done in {secs:.2} s"),
        Outcome::Exit(code) => tracing::warn!("{why}: {words} ended with status {code} after {secs:.2} s"),
        Outcome::Signal(signal) => {
            tracing::warn!("{why}: {words} was ended by signal {signal} after {secs:.2} s");
        }
        Outcome::TimedOut => tracing::warn!("{why}: {words} was ended after {secs:.2} s"),
        Outcome::NotStarted(reason) | Outcome::NoProcess(reason) => tracing::error!("{why}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
