//! Logs: to standard error, a file, syslog, systemd's journal; as text or JSON. Whoever logs puts a line into a queue with a bound and goes on:
//! a thread for each place writes it out, so that a terminal that stands still, a full disk or a dead log daemon holds up
//! nobody, and one place not the other. Lines that find the queue full are counted, and the count is told.

mod datagrams;
mod journal;
mod line;
mod places;
mod queue;
mod syslog;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::clock;
use crate::core::exit;
use journal::Journal;
pub(super) use line::Format;
use line::Line;
use places::{Place, leads_to_the_journal};
use queue::{Queue, Writing};
pub(super) use syslog::Facility;

/// Time for what is still queued at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where logs go.
#[derive(Clone, Debug)]
pub(super) struct Logs {
    /// This level and above.
    pub(super) level: tracing::Level,
    /// Form on standard error and in the file.
    pub(super) format: Format,
    /// On standard error.
    pub(super) console: bool,
    /// Into a file, which is opened again when another one lies in its place.
    pub(super) file: Option<PathBuf>,
    /// To the system's log, under a name.
    pub(super) syslog: Option<(Facility, &'static str)>,
    /// To systemd's journal, whatever standard error leads to.
    pub(super) journal: bool,
    /// What the journal calls us.
    pub(super) name: &'static str,
}

/// Held as long as there is something to log; what is queued when it goes is still written, if that does not take
/// longer than a second.
#[derive(Default)]
pub(super) struct Logging(Arc<Vec<Writing>>);

impl Drop for Logging {
    fn drop(&mut self) {
        finish(&self.0);
    }
}

fn finish(writings: &[Writing]) {
    let deadline = clock::now() + LAST_WORDS;
    for writing in writings {
        writing.finish(deadline.saturating_duration_since(clock::now()));
    }
}

/// Starts logging. Called once, after the process has its final id: threads begin here.
///
/// # Errors
/// The log file cannot be opened, or a thread not be made.
pub(super) fn start(logs: &Logs) -> io::Result<Logging> {
    let mut places: Vec<Box<dyn Place>> = Vec::new();
    let facility = logs.syslog.map_or(Facility::DAEMON, |(facility, _)| facility);
    let console = || places::Console::new(logs.format);
    if logs.journal {
        places.push(Box::new(Journal::new(facility, logs.name, None)));
    }
    if logs.console && logs.format == Format::Text && leads_to_the_journal() {
        // The same entries, with their fields. Where its socket is out of reach (another mount namespace), the stream is not.
        places.push(Box::new(Journal::new(facility, logs.name, Some(console()))));
    } else if logs.console {
        places.push(Box::new(console()));
    }
    if let Some(path) = &logs.file {
        places.push(Box::new(places::LogFile::open(path, logs.format)?));
    }
    if let Some((facility, name)) = logs.syslog {
        places.push(Box::new(syslog::Syslog::new(facility, name)));
    }
    let writings = places.into_iter().map(queue::start).collect::<io::Result<Vec<_>>>()?;
    let queues = writings.iter().map(Writing::queue).collect();
    // A second subscriber in one process is a mistake of ours that costs log lines, and nothing else.
    let _ = tracing::subscriber::set_global_default(Collector { level: logs.level, queues });
    let writings = Arc::new(writings);
    let held = Arc::clone(&writings);
    exit::before(move || finish(&held));
    // In the background nobody reads standard error: what a panic says is in the log, wherever that is.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{}", words_of(panic))));
    Ok(Logging(writings))
}

/// What a panic says, with its thread and place.
fn words_of(panic: &std::panic::PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("?");
    let place = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
    let said = panic.payload();
    let words = said.downcast_ref::<&str>().copied();
    let words = words.or_else(|| said.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no words)");
    format!("thread '{thread}' panicked at {place}: {words}")
}

/// Takes events; there are no spans.
struct Collector {
    level: tracing::Level,
    queues: Vec<Arc<Queue>>,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && metadata.is_event()
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(self.level.into())
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        let line = Arc::new(Line {
            at: clock::wall(),
            level: *event.metadata().level(),
            message: words.message,
            fields: words.fields,
        });
        for queue in &self.queues {
            queue.put(Arc::clone(&line));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Words {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            // Writing into a string cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.fields.push((field.name(), format!("{value:?}")));
        }
    }
}
