//! Which processes a `vrrp_track_process` means, and how many there must be. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::config::model::{ParamMatch, TrackProcess};

use super::debounce::Debounce;

/// Longest name of a process that the kernel keeps (TASK_COMM_LEN less the final zero).
const COMM: usize = 15;

/// A `vrrp_track_process` as it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessPlan {
    /// Its name.
    pub name: String,
    /// Which processes.
    pub pattern: Pattern,
    /// Least number of them.
    pub quorum: u32,
    /// Greatest number of them.
    pub quorum_max: Option<u32>,
    /// How long a change by a process that ends must last.
    pub terminate_delay: Duration,
    /// How long a change by a new process must last.
    pub fork_delay: Duration,
}

impl ProcessPlan {
    /// The plan of a configuration's block.
    pub fn of(block: &TrackProcess) -> Self {
        let delay = |secs: Option<crate::config::units::Secs>| secs.map_or(Duration::ZERO, |secs| secs.0);
        let quorum_max = block.quorum_max.map(u32::from);
        // "At most none" is a wish by itself.
        let least = if quorum_max == Some(0) { 0 } else { 1 };
        Self {
            name: block.name.clone(),
            pattern: Pattern::of(block),
            quorum: block.quorum.map_or(least, u32::from),
            quorum_max,
            terminate_delay: delay(block.terminate_delay),
            fork_delay: delay(block.fork_delay),
        }
    }

    /// Whether so many are right.
    fn right(&self, count: usize) -> bool {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        count >= self.quorum && self.quorum_max.is_none_or(|most| count <= most)
    }

    /// `2 processes run, at least 3 should`.
    fn words(&self, count: usize) -> String {
        let run = match count {
            0 => "no process runs".to_owned(),
            1 => "1 process runs".to_owned(),
            _ => format!("{count} processes run"),
        };
        match self.quorum_max {
            Some(most) if !self.right(count) && count > 0 && self.quorum <= 1 => {
                format!("{run}, at most {most} should")
            }
            _ if self.right(count) => run,
            Some(most) => format!("{run}, {} to {most} should", self.quorum),
            None => format!("{run}, at least {} should", self.quorum),
        }
    }
}

/// What tells the processes that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    program: String,
    parameters: Vec<String>,
    by_command: bool,
    compare: Option<ParamMatch>,
}

/// What /proc says of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its name (/proc/PID/comm), at most 15 bytes.
    pub comm: Vec<u8>,
    /// Its command line, word by word; read only when some pattern asks for it.
    pub command: Vec<Vec<u8>>,
}

impl Pattern {
    fn of(block: &TrackProcess) -> Self {
        let mut words = block.process.iter().cloned();
        let program = words.next().unwrap_or_default();
        let parameters: Vec<String> = words.collect();
        // No name has a slash in it: a path is a command.
        let by_command = block.full_command
            || !parameters.is_empty()
            || block.param_match.is_some()
            || program.contains('/');
        Self { program, parameters, by_command, compare: block.param_match }
    }

    /// True when the command line must be read.
    pub const fn needs_command(&self) -> bool {
        self.by_command
    }

    /// Whether a process is one of those that are meant.
    pub fn means(&self, seen: &Seen) -> bool {
        let program = self.program.as_bytes();
        if program.is_empty() {
            return false;
        }
        if !self.by_command {
            return seen.comm == program.get(..COMM).unwrap_or(program);
        }
        let Some((first, parameters)) = seen.command.split_first() else { return false };
        let base = first.rsplit(|byte| *byte == b'/').next().unwrap_or(first);
        if first != program && base != program {
            return false;
        }
        let wanted = &self.parameters;
        match self.compare {
            // A name alone says nothing of parameters, unless `param_match` says that there are to be none.
            None if wanted.is_empty() => true,
            None => same(wanted, parameters),
            Some(_) if wanted.is_empty() => parameters.is_empty(),
            Some(ParamMatch::Partial) => {
                parameters.get(..wanted.len()).is_some_and(|begin| same(wanted, begin))
            }
            Some(ParamMatch::Initial) => match (wanted.split_last(), parameters.get(..wanted.len())) {
                (Some((last, before)), Some([begin @ .., end])) => {
                    same(before, begin) && end.starts_with(last.as_bytes())
                }
                _ => false,
            },
        }
    }
}

fn same(wanted: &[String], found: &[Vec<u8>]) -> bool {
    wanted.len() == found.len() && wanted.iter().zip(found).all(|(a, b)| a.as_bytes() == b.as_slice())
}

/// A tracker's value changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Which one.
    pub name: String,
    /// Its value.
    pub up: bool,
    /// How many there are, in words.
    pub why: String,
}

/// Counts the processes of all trackers.
#[derive(Debug, Default)]
pub struct Census {
    trackers: Vec<(ProcessPlan, BTreeSet<u32>, Debounce)>,
}

impl Census {
    /// These trackers, and everything that runs now; their values count at once. What an earlier census knew of an
    /// unchanged tracker is kept.
    pub fn new(
        plans: Vec<ProcessPlan>,
        running: &BTreeMap<u32, Seen>,
        before: Self,
        now: Instant,
    ) -> (Self, Vec<Flip>) {
        let mut known: BTreeMap<String, (ProcessPlan, BTreeSet<u32>, Debounce)> =
            before.trackers.into_iter().map(|tracker| (tracker.0.name.clone(), tracker)).collect();
        let trackers = plans
            .into_iter()
            .map(|plan| match known.remove(&plan.name) {
                Some(same) if same.0 == plan => same,
                _ => {
                    let matching: BTreeSet<u32> = running
                        .iter()
                        .filter(|(_, seen)| plan.pattern.means(seen))
                        .map(|(pid, _)| *pid)
                        .collect();
                    let value = Debounce::new(plan.right(matching.len()));
                    (plan, matching, value)
                }
            })
            .collect();
        let mut census = Self { trackers };
        let flips = census.all(running, now);
        (census, flips)
    }

    /// True when no command line need be read.
    pub fn needs_command(&self) -> bool {
        self.trackers.iter().any(|(plan, ..)| plan.pattern.needs_command())
    }

    /// The value of a tracker with its reason.
    pub fn value(&self, name: &str) -> Option<(bool, String)> {
        let (plan, pids, value) = self.trackers.iter().find(|(plan, ..)| plan.name == name)?;
        Some((value.value(), plan.words(pids.len())))
    }

    /// Everything that runs, read anew.
    pub fn all(&mut self, running: &BTreeMap<u32, Seen>, now: Instant) -> Vec<Flip> {
        self.each(now, |plan, pids| {
            *pids =
                running.iter().filter(|(_, seen)| plan.pattern.means(seen)).map(|(pid, _)| *pid).collect();
        })
    }

    /// A process is new, or is another one now.
    pub fn is(&mut self, pid: u32, seen: &Seen, now: Instant) -> Vec<Flip> {
        self.each(now, |plan, pids| {
            if plan.pattern.means(seen) {
                pids.insert(pid);
            } else {
                pids.remove(&pid);
            }
        })
    }

    /// A process has ended.
    pub fn ended(&mut self, pid: u32, now: Instant) -> Vec<Flip> {
        self.each(now, |_, pids| {
            pids.remove(&pid);
        })
    }

    fn each(&mut self, now: Instant, mut change: impl FnMut(&ProcessPlan, &mut BTreeSet<u32>)) -> Vec<Flip> {
        let mut flips = Vec::new();
        for (plan, pids, value) in &mut self.trackers {
            let before = pids.len();
            change(plan, pids);
            // keepalived's two delays: the one after a fork, the other after an end, whatever that made of the quorum.
            let delay = if pids.len() >= before { plan.fork_delay } else { plan.terminate_delay };
            let flip = value.observe(plan.right(pids.len()), delay, now);
            flips.extend(flip.map(|up| Flip { name: plan.name.clone(), up, why: plan.words(pids.len()) }));
        }
        flips
    }

    /// When [`fire`](Self::fire) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.trackers.iter().filter_map(|(_, _, value)| value.deadline()).min()
    }

    /// Time has passed.
    pub fn fire(&mut self, now: Instant) -> Vec<Flip> {
        let fire = |(plan, pids, value): &mut (ProcessPlan, BTreeSet<u32>, Debounce)| {
            let up = value.fire(now)?;
            Some(Flip { name: plan.name.clone(), up, why: plan.words(pids.len()) })
        };
        self.trackers.iter_mut().filter_map(fire).collect()
    }
}

#[cfg(test)]
mod tests;
