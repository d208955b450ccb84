//! Runs the `vrrp_script`s and publishes their results. Lives on the main thread's runtime, never on the vrrp
//! thread: a script can be slow or stuck, adverts cannot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::process::{self, Outcome, Program};

use super::params::TrackerValues;

/// One script as it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptPlan {
    /// Name of the `vrrp_script`.
    pub name: String,
    /// What to run; its timeout is the script's.
    pub program: Program,
    /// Time between starts.
    pub interval: Duration,
    /// Consecutive successes to be up.
    pub rise: u32,
    /// Consecutive failures to be down.
    pub fall: u32,
    /// Failed until the first result.
    pub init_fail: bool,
}

/// Counts results of one script: the first decides whatever rise and fall say (behaviour of keepalived 2.2.7),
/// later ones must come `rise` or `fall` times in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    up: Option<bool>,
    against: u32,
}

impl Streak {
    /// Takes one result; returns the new value when it changes.
    pub fn observe(&mut self, success: bool, rise: u32, fall: u32) -> Option<bool> {
        match self.up {
            Some(up) if up == success => {
                self.against = 0;
                return None;
            }
            Some(_) => {
                self.against += 1;
                let needed = if success { rise } else { fall };
                if self.against < needed.max(1) {
                    return None;
                }
            }
            None => {}
        }
        *self = Self { up: Some(success), against: 0 };
        Some(success)
    }
}

/// A script's value changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Name of the script.
    pub name: String,
    /// The new value.
    pub up: bool,
    /// What the last run did, in words.
    pub why: String,
}

/// The running scripts.
pub struct Scripts {
    running: BTreeMap<String, (ScriptPlan, JoinHandle<()>)>,
    values: TrackerValues,
    results: mpsc::Sender<(u64, Changed)>,
    /// Tells results of a script's earlier configuration from those of this one.
    epochs: BTreeMap<String, u64>,
    next_epoch: u64,
}

impl Scripts {
    /// No script yet. Changes arrive at the receiver; hand each to [`Scripts::take`].
    pub fn new() -> (Self, mpsc::Receiver<(u64, Changed)>) {
        let (results, changes) = mpsc::channel(64);
        let scripts = Self {
            running: BTreeMap::new(),
            values: TrackerValues::new(),
            results,
            epochs: BTreeMap::new(),
            next_epoch: 0,
        };
        (scripts, changes)
    }

    /// Runs exactly these scripts from now on. One whose plan is unchanged goes on with what it knows; one that
    /// is gone is ended with its process group.
    pub fn run_only(&mut self, plans: Vec<ScriptPlan>) {
        let mut old = std::mem::take(&mut self.running);
        for plan in plans {
            let name = plan.name.clone();
            match old.remove(&name) {
                Some((same, task)) if same == plan => {
                    self.running.insert(name, (same, task));
                }
                before => {
                    if let Some((_, task)) = before {
                        task.abort();
                    }
                    self.next_epoch += 1;
                    self.epochs.insert(name.clone(), self.next_epoch);
                    self.values.insert(name.clone(), plan.init_fail.then_some(false));
                    let task = tokio::spawn(run(plan.clone(), self.next_epoch, self.results.clone()));
                    self.running.insert(name, (plan, task));
                }
            }
        }
        for (name, (_, task)) in old {
            task.abort();
            self.values.remove(&name);
            self.epochs.remove(&name);
        }
    }

    /// Takes a change over; `None` when it comes from a configuration that is gone.
    pub fn take(&mut self, (epoch, changed): (u64, Changed)) -> Option<Changed> {
        if self.epochs.get(&changed.name) != Some(&epoch) {
            return None;
        }
        self.values.insert(changed.name.clone(), Some(changed.up));
        Some(changed)
    }

    /// All values as they are now.
    pub fn values(&self) -> Arc<TrackerValues> {
        Arc::new(self.values.clone())
    }
}

/// One script for ever: started each interval, never twice at a time.
async fn run(plan: ScriptPlan, epoch: u64, results: mpsc::Sender<(u64, Changed)>) {
    let mut ticks = tokio::time::interval(plan.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut streak = Streak::default();
    loop {
        ticks.tick().await;
        let finished = process::run(&plan.program).await;
        let success = finished.outcome == Outcome::Exit(0);
        let Some(up) = streak.observe(success, plan.rise, plan.fall) else { continue };
        let why = in_words(&finished.outcome, plan.program.timeout);
        if results.send((epoch, Changed { name: plan.name.clone(), up, why })).await.is_err() {
            return;
        }
    }
}

fn in_words(outcome: &Outcome, timeout: Option<Duration>) -> String {
    match outcome {
        Outcome::Exit(code) => format!("exit status {code}"),
        Outcome::Signal(number) => format!("ended by signal {number}"),
        Outcome::TimedOut => format!("no result within {} s", timeout.unwrap_or_default().as_secs_f64()),
        Outcome::NotStarted(why) => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_result_decides_and_later_ones_must_repeat() {
        let mut streak = Streak::default();
        assert_eq!(streak.observe(false, 3, 3), Some(false));
        assert_eq!(streak.observe(true, 2, 3), None);
        assert_eq!(streak.observe(false, 2, 3), None);
        assert_eq!(streak.observe(true, 2, 3), None, "the row was broken");
        assert_eq!(streak.observe(true, 2, 3), Some(true));
        assert_eq!(streak.observe(false, 2, 3), None);
        assert_eq!(streak.observe(false, 2, 3), None);
        assert_eq!(streak.observe(false, 2, 3), Some(false));
    }

    #[test]
    fn zero_counts_as_one() {
        let mut streak = Streak::default();
        assert_eq!(streak.observe(true, 0, 0), Some(true));
        assert_eq!(streak.observe(false, 0, 0), Some(false));
    }
}
