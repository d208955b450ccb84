//! Runs the `vrrp_script`s. Lives on the main thread's runtime, never on the vrrp
//! thread: a script can be slow or stuck, adverts cannot.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::alarm::Ticks;
use crate::clock;
use crate::process::{self, Outcome, Program};

use super::{Change, Said, TrackerKind, Value};

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

impl ScriptPlan {
    /// True when another plan runs the same program as the same user: what is known of it stays true.
    pub fn same_command(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.program, &other.program);
        ours.argv == theirs.argv && ours.run_as == theirs.run_as && ours.env == theirs.env
    }
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

/// One script for ever: started each interval, never twice at a time. Another plan of the same command takes over at
/// once, what was counted so far included. `before`: what it last said in the process before this one.
pub(super) async fn run(
    mut plans: watch::Receiver<ScriptPlan>,
    before: Option<bool>,
    epoch: u64,
    changes: mpsc::Sender<Change>,
) {
    let mut streak = Streak { up: before, against: 0 };
    // The last try found no process to run it in.
    let mut short = false;
    loop {
        let interval = plans.borrow_and_update().interval;
        let mut ticks = Ticks::new(interval);
        loop {
            tokio::select! {
                () = ticks.tick() => {}
                changed = plans.changed() => match changed {
                    Ok(()) if plans.borrow().interval == interval => continue,
                    // From now on with the new interval.
                    Ok(()) => break,
                    Err(_) => return,
                },
            }
            let plan = plans.borrow().clone();
            let finished = process::run(&plan.program).await;
            if let Outcome::NoProcess(why) = &finished.outcome {
                // As under keepalived: what was not asked has not failed. Told once.
                if !std::mem::replace(&mut short, true) {
                    tracing::error!(
                        "vrrp_script {}: {why}; until it runs again its last result stands",
                        plan.name
                    );
                }
                continue;
            }
            if std::mem::take(&mut short) {
                tracing::info!("vrrp_script {} runs again", plan.name);
            }
            let success = finished.outcome == Outcome::Exit(0);
            let Some(up) = streak.observe(success, plan.rise, plan.fall) else { continue };
            let why = in_words(&finished.outcome, plan.program.timeout);
            let said = Said::new(Value::of(up), why, clock::now());
            let change = Change { kind: TrackerKind::Script, name: plan.name, epoch, said };
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}

fn in_words(outcome: &Outcome, timeout: Option<Duration>) -> String {
    match outcome {
        Outcome::Exit(code) => format!("exit status {code}"),
        Outcome::Signal(number) => format!("ended by signal {number}"),
        Outcome::TimedOut => format!("no result within {} s", timeout.unwrap_or_default().as_secs_f64()),
        Outcome::NotStarted(why) | Outcome::NoProcess(why) => why.clone(),
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
