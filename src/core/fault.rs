//! Faults that a test asks for: a thread that panics, or hangs. In builds with debug assertions only; a released program
//! knows nothing of it.
//!
//! `TANDEM_FAULT` names a file; when it says `panic THREAD` or `hang THREAD`, that thread takes the file away and does so.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::board::Thread;

/// How often the file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Panic,
    Hang,
}

/// Where the file may be; `None` = nobody tests.
fn file() -> Option<&'static PathBuf> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let read = || std::env::var_os("TANDEM_FAULT").filter(|_| cfg!(debug_assertions)).map(PathBuf::from);
    FILE.get_or_init(read).as_ref()
}

/// What this thread is asked for, once.
fn asked(thread: Thread) -> Option<Kind> {
    let path = file()?;
    let text = std::fs::read_to_string(path).ok()?;
    let (kind, name) = text.trim().split_once(' ')?;
    if name != thread.name() {
        return None;
    }
    std::fs::remove_file(path).ok()?;
    Some(if kind == "panic" { Kind::Panic } else { Kind::Hang })
}

/// For a thread with a runtime, beside its work. Never ready where nobody tests.
pub(super) async fn strike(thread: Thread) {
    if file().is_none() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(kind) = asked(thread) {
            happen(kind);
        }
    }
}

/// For the vrrp thread, which has no runtime: it is told what to do.
pub(super) async fn strike_other(thread: Thread, tell: impl Fn(fn())) {
    if file().is_none() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match asked(thread) {
            Some(Kind::Panic) => tell(|| happen(Kind::Panic)),
            Some(Kind::Hang) => tell(|| happen(Kind::Hang)),
            None => {}
        }
    }
}

/// For a thread without either, when it has something to do.
pub(super) fn strike_now(thread: Thread) {
    if let Some(kind) = asked(thread) {
        happen(kind);
    }
}

fn happen(kind: Kind) {
    match kind {
        Kind::Panic => panic!("as the test wishes"),
        Kind::Hang => std::thread::park_timeout(Duration::from_secs(3600)),
    }
}
