//! What people's programs are told: in order, one queue a name, so that of two quick transitions the later one is
//! also told later (keepalived starts its scripts side by side, and the last to finish wins).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::process::{self, Finished, Outcome, Program};

pub mod mail;

/// Jobs that may wait in one queue; beyond it the oldest one is dropped and logged.
const QUEUE: usize = 64;
/// How long a job waits for its addresses before it runs all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// A program that runs longer is mentioned.
const SLOW: Duration = Duration::from_secs(30);

/// Programs to run because of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Name of the instance or server: jobs of one queue run one after the other.
    pub queue: String,
    /// Generation of addresses that must be in place first; 0 = none.
    pub after: u64,
    /// Run side by side.
    pub programs: Vec<Program>,
    /// The event in words, for the log.
    pub why: String,
}

#[derive(Debug, Default)]
struct Queues {
    waiting: BTreeMap<String, VecDeque<Job>>,
    /// Queues whose worker runs.
    busy: BTreeSet<String>,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    idle: Notify,
    applied: watch::Receiver<u64>,
}

/// Takes jobs and never waits for them.
#[derive(Debug)]
pub struct Notifier(Arc<Shared>);

impl Notifier {
    /// `applied` says which generation of addresses is in place.
    pub fn new(applied: watch::Receiver<u64>) -> Self {
        Self(Arc::new(Shared { queues: Mutex::default(), idle: Notify::new(), applied }))
    }

    /// Queues a job; must be called on a runtime.
    pub fn push(&self, job: Job) {
        if job.programs.is_empty() {
            return;
        }
        let name = job.queue.clone();
        let mut queues = self.0.lock();
        let waiting = queues.waiting.entry(name.clone()).or_default();
        waiting.push_back(job);
        if waiting.len() > QUEUE
            && let Some(dropped) = waiting.pop_front()
        {
            tracing::error!("{}: scripts not run, {QUEUE} jobs are waiting before them", dropped.why);
        }
        if queues.busy.insert(name.clone()) {
            tokio::spawn(work(Arc::clone(&self.0), name));
        }
    }

    /// Waits until all is told, at most this long. What still runs then is ended with the runtime.
    pub async fn finish(self, limit: Duration) {
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
        let job = {
            let mut queues = shared.lock();
            match queues.waiting.get_mut(&name).and_then(VecDeque::pop_front) {
                Some(job) => job,
                None => {
                    queues.waiting.remove(&name);
                    queues.busy.remove(&name);
                    break;
                }
            }
        };
        tell(&shared, job).await;
    }
    shared.idle.notify_waiters();
}

async fn tell(shared: &Shared, job: Job) {
    let mut applied = shared.applied.clone();
    let in_place = applied.wait_for(|generation| *generation >= job.after);
    if tokio::time::timeout(PATIENCE, in_place).await.is_err() {
        tracing::warn!(
            "{}: its addresses are not in place after {} s; scripts run all the same",
            job.why,
            PATIENCE.as_secs()
        );
    }
    let mut running = JoinSet::new();
    for program in job.programs {
        let why = job.why.clone();
        running.spawn(async move {
            let run = process::run(&program);
            tokio::pin!(run);
            let finished = match tokio::time::timeout(SLOW, &mut run).await {
                Ok(finished) => finished,
                Err(_) => {
                    tracing::warn!("{why}: {} runs for {} s already", program.argv.join(" "), SLOW.as_secs());
                    run.await
                }
            };
            log(&why, &program, &finished);
        });
    }
    while running.join_next().await.is_some() {}
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
        Outcome::TimedOut => tracing::warn!("{why}: {words} overran its time and was ended"),
        Outcome::NotStarted(reason) => tracing::error!("{why}: {reason}"),
    }
}

#[cfg(test)]
mod tests;
