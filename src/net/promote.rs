//! `promote_secondaries` of interfaces: removing the first address of a subnet then leaves the others there. Set while
//! wished, and set back to what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

/// What was set, with the value that was found.
#[derive(Debug, Default)]
pub(super) struct Promoted(BTreeMap<String, String>);

impl Promoted {
    /// Sets it where it is wished and not yet set, sets it back where it is no longer wished. Errors name the file.
    pub(super) fn follow(&mut self, wished: &BTreeSet<String>, there: impl Fn(&str) -> bool) -> Vec<String> {
        let mut errors = Vec::new();
        // An interface that went away comes back with the default.
        self.0.retain(|name, _| there(name));
        for name in wished.iter().filter(|name| there(name)) {
            if self.0.contains_key(name) {
                continue;
            }
            match set(name) {
                Ok(before) => _ = self.0.insert(name.clone(), before),
                Err(error) => errors.push(format!("{}: {error}", path(name).display())),
            }
        }
        let done: Vec<String> = self.0.keys().filter(|name| !wished.contains(*name)).cloned().collect();
        for name in done {
            if let Some(before) = self.0.remove(&name)
                && let Err(error) = fs::write(path(&name), &before)
            {
                errors.push(format!("{}: {error}", path(&name).display()));
            }
        }
        errors
    }
}

/// Of the network namespace of this thread.
fn path(name: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net/ipv4/conf").join(name).join("promote_secondaries")
}

fn set(name: &str) -> io::Result<String> {
    let before = fs::read_to_string(path(name))?;
    if before.trim() != "1" {
        fs::write(path(name), "1")?;
    }
    Ok(before)
}
