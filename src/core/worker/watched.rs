//! What those are told who only look: metrics, and events as they happen. The main loop gathers, the rest is done elsewhere.

use super::Worker;
use crate::control::answer::Answer;
use crate::control::routes::{Detail, MetricsForm, Want};
use crate::control::server::{Events, Reply};
use crate::core::{measured, memory};
use crate::metrics::{self, Seen};

/// A text of more bytes than this is worth giving its room back.
const LARGE: usize = 4 * 1024 * 1024;

impl Worker {
    /// The metrics.
    pub(super) fn metrics(&self, form: MetricsForm, detail: Detail) -> Reply {
        let maker = self.maker();
        Reply::Later(Box::new(move || {
            let pair_digest = Some(maker.facts.pair_digest(&maker.picture.config));
            let (status, checks) = match maker.make_with_checks(&Want::default()) {
                Ok(made) => made,
                Err(failure) => return failure.into(),
            };
            let told = checks.as_deref().map(measured::checks);
            let seen = Seen { status, checks: told, pair_digest };
            let text = metrics::render(&seen, form, detail);
            drop((seen, checks));
            if text.len() > LARGE {
                memory::give_back();
            }
            Answer { status: 200, body: text.into_bytes() }
        }))
    }

    /// What has happened after the event of this number, and what will.
    pub(super) fn events(&self, after: Option<u64>) -> Reply {
        let journal = self.chronicle.journal();
        let known = after.unwrap_or(journal.last());
        Reply::Events(Box::new(Events {
            past: journal.since(known).cloned().collect(),
            missed: journal.missed(known),
            newest: journal.last(),
            journal: self.chronicle.name(),
            live: self.door.events.subscribe(),
        }))
    }
}
