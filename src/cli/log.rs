//! Logs on standard error: one line an event, time first, colour only on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{filter::LevelFilter, fmt};

/// Starts logging at that level and above.
pub(super) fn start(level: tracing::Level) {
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(LevelFilter::from_level(level)).with(layer).init();
}
