//! An end without the way back to `main`: what is still to be said is said first.

use std::sync::OnceLock;

/// Says it: the log writes what is queued.
static LAST_WORDS: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

/// Whoever holds back words has this done before such an end. The first one counts.
pub fn before(last_words: impl Fn() + Send + Sync + 'static) {
    let _ = LAST_WORDS.set(Box::new(last_words));
}

/// What is held back is said now.
pub(super) fn last_words() {
    if let Some(say) = LAST_WORDS.get() {
        say();
    }
}

/// Ends this process with that code.
pub(super) fn exit(code: i32) -> ! {
    last_words();
    std::process::exit(code)
}
