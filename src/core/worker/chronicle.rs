//! The journal of the daemon: takes in what happens, keeps it for the next process, and sends it to whoever follows.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::restart::Restart;
use crate::bfd;
use crate::board::{self, Board};
use crate::check;
use crate::clock;
use crate::control::answer::Answer;
use crate::control::routes::EventQuery;
use crate::control::server::{Caller, Reply};
use crate::control::view::EventView;
use crate::core::door::Door;
use crate::core::journal::book::Book;
use crate::core::journal::events::{event, of_bfd, of_check, of_flip, of_report};
use crate::core::journal::{Excerpt, Journal, cut, view};
use crate::core::reload::Difference;
use crate::ipvs::kernel;
use crate::net::writer::Applied;
use crate::vrrp::report::Report;
use crate::vrrp::track::Flip;

/// Cause of the last event of a process that leaves everything to the next one.
pub(super) const LEFT: &str = "left";
/// Errors of one kind that are told one by one.
const NAMED: usize = 5;

/// The journal, its file, and who follows it.
pub(super) struct Chronicle {
    journal: Journal,
    book: Option<Book>,
    out: broadcast::Sender<Arc<EventView>>,
    board: Option<Arc<Board>>,
    /// What the journal is called.
    name: u64,
    /// Counts and errors as they were last told.
    ipvs: (u64, Vec<String>),
    addresses: (u64, Vec<String>),
}

impl Chronicle {
    /// Goes on with what the last process has left. Call it on a runtime.
    pub(super) fn begin(restart: &mut Restart, door: &Door) -> Self {
        let (mut journal, path) = std::mem::take(&mut restart.journal);
        let board = restart.board.clone();
        let fresh = board::number(&format!("{:?} {}", clock::since_1970(), std::process::id()));
        let name = board.as_ref().map_or(fresh, |board| board.journal(fresh));
        // What the last process told and could not write down any more.
        journal.skip_to(board.as_ref().map_or(0, |board| board.last_event()));
        let book = path.map(|path| Book::start(path, &journal));
        let out = door.events.clone();
        let (ipvs, addresses) = Default::default();
        let mut chronicle = Self { journal, book, out, board, name, ipvs, addresses };
        let version = env!("CARGO_PKG_VERSION");
        let left =
            chronicle.journal.all().next_back().is_some_and(|last| last.cause.as_deref() == Some(LEFT));
        if !restart.again && !left {
            chronicle.daemon("info", "started", format!("Tandem {version} started"));
        } else if left {
            chronicle.daemon("info", "resumed", format!("Tandem {version} goes on with what was left to it"));
        } else {
            let text = format!("Tandem {version} goes on in the place of a worker that ended unexpectedly");
            chronicle.daemon("warning", "replaced", text);
        }
        chronicle
    }

    /// What has happened.
    pub(super) const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Something happened, now.
    pub(super) fn note(&mut self, mut event: EventView) {
        event.at = clock::utc_millis(clock::since_1970());
        let event = self.journal.push(event);
        // Before anybody hears of it.
        if let Some(board) = &self.board {
            board.event(event.number);
        }
        if let Some(book) = &self.book {
            book.add(&event);
        }
        // Nobody may follow.
        let _ = self.out.send(event);
    }

    /// Something of the daemon itself, in words.
    pub(super) fn daemon(&mut self, level: &str, cause: &str, text: impl Into<String>) {
        self.note(EventView { cause: Some(cause.to_owned()), ..event(level, "daemon", "", text) });
    }

    /// Somebody has asked for something, of the daemon or of a virtual server.
    pub(super) fn command(&mut self, subject: &str, cause: &str, text: impl Into<String>, by: &Caller) {
        let happened = event("info", "command", subject, text);
        self.note(EventView { cause: Some(cause.to_owned()), by: Some(by.to_string()), ..happened });
    }

    /// Somebody has asked for something of the daemon, and does not get it. `why` may name files: it is for those of this
    /// machine.
    pub(super) fn refused(&mut self, text: &str, why: &str, by: Option<String>) {
        let details = Some(serde_json::json!({ "text": format!("{text}: {why}") }));
        let cause = Some("refused".to_owned());
        self.note(EventView { cause, by, details, ..event("error", "command", "", text) });
    }

    /// A report of the vrrp thread.
    pub(super) fn report(&mut self, report: &Report) {
        if let Some(event) = of_report(report) {
            self.note(event);
        }
    }

    /// A server or a quorum.
    pub(super) fn check(&mut self, happened: &check::Event) {
        self.note(of_check(happened));
    }

    /// A tracker.
    pub(super) fn flip(&mut self, flip: &Flip) {
        self.note(of_flip(flip));
    }

    /// A session.
    pub(super) fn bfd(&mut self, report: &bfd::report::Report) {
        if let Some(event) = of_bfd(report) {
            self.note(event);
        }
    }

    /// What came of a reload of that file. The sentence names objects; what of them has changed is for those of this machine.
    pub(super) fn reload(&mut self, outcome: Result<&Difference, &str>, file: &str, by: Option<&str>) {
        let (level, cause, text, details) = match outcome {
            Ok(difference) => {
                let mut whole = format!("reloaded {file}: {difference}");
                cut(&mut whole);
                let details = Some(serde_json::json!({ "text": whole }));
                ("info", "reloaded", format!("reloaded: {}", difference.objects()), details)
            }
            Err(problem) => {
                // The first line is the sentence; those behind it name what is wrong with the file.
                let mut lines = problem.lines();
                let text = format!("the reload was refused: {}", lines.next().unwrap_or_default());
                let findings: Vec<&str> = lines.map(str::trim).collect();
                let details = (!findings.is_empty()).then(|| serde_json::json!({ "findings": findings }));
                ("error", "refused", text, details)
            }
        };
        let mut event = event(level, "reload", "", text);
        (event.details, event.cause) = (details, Some(cause.to_owned()));
        event.by = Some(by.unwrap_or("SIGHUP").to_owned());
        self.note(event);
    }

    /// What the ipvs thread last did.
    pub(super) fn ipvs(&mut self, report: &kernel::Report) {
        let before = std::mem::replace(&mut self.ipvs, (report.drift_repaired, report.errors.clone()));
        let repaired = report.drift_repaired.saturating_sub(before.0);
        if repaired > 0 {
            let text = format!(
                "somebody else had changed the kernel's table: {repaired} entries were put right, the log names them"
            );
            self.note(EventView { cause: Some("drift".to_owned()), ..event("warning", "ipvs", "", text) });
        }
        self.errors("ipvs", &before.1, &report.errors, "the kernel's table can be programmed again");
    }

    /// What the net thread last did.
    pub(super) fn addresses(&mut self, applied: &Applied) {
        let before = std::mem::replace(&mut self.addresses, (applied.repaired, applied.errors.clone()));
        let repaired = applied.repaired.saturating_sub(before.0);
        if repaired > 0 {
            let text = format!(
                "somebody else had removed or changed addresses, routes or rules of ours: {repaired} were put back, the \
                 log names them"
            );
            let cause = Some("put_back".to_owned());
            self.note(EventView { cause, ..event("warning", "address", "", text) });
        }
        self.errors(
            "address",
            &before.1,
            &applied.errors,
            "addresses, routes and rules can be written again",
        );
    }

    fn errors(&mut self, kind: &str, before: &[String], now: &[String], over: &str) {
        for error in now.iter().filter(|error| !before.contains(error)).take(NAMED) {
            self.note(EventView {
                cause: Some("error".to_owned()),
                ..event("error", kind, "", error.clone())
            });
        }
        if now.is_empty() && !before.is_empty() {
            self.note(event("info", kind, "", over));
        }
    }

    /// What the journal is called.
    pub(super) fn name(&self) -> String {
        format!("{:x}", self.name)
    }

    /// Every event that is kept.
    pub(super) fn all(&self) -> Vec<Arc<EventView>> {
        self.journal.all().cloned().collect()
    }

    /// `GET /v1/journal`.
    pub(super) fn answer(&self, wanted: EventQuery) -> Reply {
        let all = Excerpt {
            events: self.all(),
            forgotten: self.journal.forgotten(),
            newest: self.journal.last(),
            missed: wanted.since.map_or(0, |since| self.journal.missed(since)),
            journal: self.name(),
        };
        Reply::Later(Box::new(move || Answer::of(&view(&all, &wanted))))
    }

    /// The last word is written; nothing is kept behind it.
    pub(super) async fn end(&mut self) {
        if let Some(book) = self.book.take() {
            book.end().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Config;
    use crate::core::options::Options;
    use crate::core::recall::Home;

    #[tokio::test]
    async fn numbers_that_were_told_and_not_written_are_not_given_again() {
        let folder = format!("/dev/shm/tandem-chronicle-{}", std::process::id());
        let options = Options { run_directory: Some(folder.clone().into()), ..Options::of("x".into()) };
        let begin = || {
            let mut restart = Restart::look(&options, Home::default());
            Chronicle::begin(&mut restart, &Door::open(None, &Config::default().global_defs, None))
        };
        let mut killed = begin();
        for _ in 0..5 {
            killed.daemon("info", "told", "out by the event stream, and not in the file yet");
        }
        let name = killed.name();
        assert_eq!(killed.journal.last(), 6);
        // Nobody has had his turn to write.
        drop(killed);
        let next = begin();
        assert_eq!((next.journal.last(), next.journal.missed(6), next.name()), (7, 0, name));
        assert_eq!(next.journal.missed(3), 3, "whoever had heard of the third one only");
        std::fs::remove_dir_all(folder).expect("its folder");
    }
}
