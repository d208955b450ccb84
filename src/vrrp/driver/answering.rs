//! The loop says how things stand, to whoever asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::vrrp::runner::{History, Runner};
use crate::vrrp::status::{GroupStatus, Question, Status};

use super::Driver;

impl Driver {
    /// The last thing of a turn.
    pub(super) fn answer(&mut self, now: Instant, since_1970: Duration) {
        let questions = std::mem::take(&mut self.questions);
        for mut question in questions.into_iter().filter(Question::take) {
            let (clear, only) = (question.clear, question.only.take());
            question.answer(self.status(now, since_1970, only.as_ref()));
            if clear {
                self.runners.iter_mut().for_each(Runner::clear_counters);
            }
        }
    }

    fn status(&self, now: Instant, since_1970: Duration, only: Option<&BTreeSet<String>>) -> Status {
        let group = |at: &super::GroupAt| GroupStatus {
            name: at.group.name.clone(),
            state: at.state(),
            members: at.group.members.clone(),
        };
        let wanted = |runner: &&Runner| only.is_none_or(|only| only.contains(runner.name()));
        let groups = if only.is_none() { self.groups.iter().map(group).collect() } else { Vec::new() };
        Status {
            at: now,
            since_1970,
            instances: self.runners.iter().filter(wanted).map(|runner| runner.status(now)).collect(),
            groups,
            lost_reports: self.dropped_reports,
            lag: self.lateness.lag(now),
        }
    }

    /// Counters and last transitions, before everything is built anew.
    pub(super) fn histories(&self) -> BTreeMap<String, History> {
        self.runners.iter().map(|runner| (runner.name().to_owned(), runner.history().clone())).collect()
    }

    /// The same after it.
    pub(super) fn remember(&mut self, mut histories: BTreeMap<String, History>) {
        for runner in &mut self.runners {
            if let Some(history) = histories.remove(runner.name()) {
                runner.remember(history);
            }
        }
    }
}
