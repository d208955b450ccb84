//! Reads and writes what [`super::sysctl`] decides, in /proc/sys of the calling thread's network namespace.

use std::collections::BTreeMap;
use std::io;

use super::sysctl::{Key, Memory, Values, Wish, diff};

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What must be remembered to put things back.
    pub memory: Memory,
    /// Settings were changed.
    pub written: usize,
    /// One sentence with a cure when /proc/sys is not ours to write: everything else goes on without.
    pub warning: Option<String>,
    /// What went wrong otherwise.
    pub errors: Vec<String>,
}

/// The values of these settings; those that do not exist are left out.
pub fn read<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Values {
    let value = |key: &Key| std::fs::read_to_string(key.path()).ok()?.trim().parse().ok();
    keys.into_iter().filter_map(|key| Some((key.clone(), value(key)?))).collect()
}

/// Fulfils the wishes, writing only what differs, and puts back what is remembered and no longer wished.
pub fn apply(wishes: &BTreeMap<Key, Wish>, memory: &Memory) -> Outcome {
    let actual = read(wishes.keys().chain(memory.0.keys()));
    let (writes, after) = diff(&actual, wishes, memory);
    let mut outcome = Outcome { memory: after, ..Outcome::default() };
    let mut refused = Vec::new();
    for (key, value) in writes {
        let Err(error) = std::fs::write(key.path(), value.to_string()) else {
            outcome.written += 1;
            continue;
        };
        // Not changed by us now: what was remembered of it before still holds.
        outcome.memory.0.remove(&key);
        outcome.memory.0.extend(memory.0.get(&key).map(|known| (key.clone(), *known)));
        match error.kind() {
            // Its interface went away meanwhile: there is nothing to set or to put back.
            io::ErrorKind::NotFound => _ = outcome.memory.0.remove(&key),
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                refused.push(format!("{key}={value}"));
            }
            _ => outcome.errors.push(format!("writing {value} to {}: {error}", key.path())),
        }
    }
    if !refused.is_empty() {
        outcome.warning = Some(format!(
            "/proc/sys/net is read-only here, so that these settings stay as they are: {}; set them on the host, or \
             start the container with them (--sysctl) or with a writable /proc/sys",
            refused.join(" ")
        ));
    }
    outcome
}
