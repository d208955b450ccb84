//! How many descriptors this process may have. The daemon takes what it may: thousands of checks hold one each. Its
//! programs get the limit that the daemon was started with, as some go wrong with descriptors above 1024 (select(2)).

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More than any daemon needs; some systems allow a thousand times as many.
const MOST: u64 = 1 << 20;

/// Soft and hard limit before [`raise_descriptors`].
static INHERITED: OnceLock<[u64; 2]> = OnceLock::new();

/// Raises the soft limit of descriptors to the hard one (to 1,048,576 at most); returns what is in force. Programs that
/// are started from then on still get the limit as it was. Where the system refuses, everything stays as it is.
pub fn raise_descriptors() -> u64 {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wished = hard.min(MOST);
        if soft < wished && setrlimit(Resource::RLIMIT_NOFILE, wished, hard).is_ok() {
            let _ = INHERITED.set([soft, hard]);
        }
    }
    descriptors()
}

/// How many descriptors this process may have now.
pub fn descriptors() -> u64 {
    // The call fails for nobody; 1024 is what Linux gives a process at first.
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}

/// What programs are to get, when it is not the limit in force.
pub(super) fn inherited() -> Option<[u64; 2]> {
    INHERITED.get().copied()
}
