//! `net_namespace`: the whole daemon in a network namespace of `ip netns`.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

/// Why it cannot be entered.
#[derive(Debug, thiserror::Error)]
#[error(
    "net_namespace {name}: {path} cannot be entered: {source}; make it by `ip netns add {name}`, and run as root or with \
     CAP_SYS_ADMIN"
)]
pub struct Error {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// True when there is one of that name, as far as we may look.
pub fn is_there(name: &str) -> bool {
    Path::new(FOLDER).join(name).exists()
}

/// The calling thread, and all that it starts from now on, is in that namespace. Call it before any other thread is there.
///
/// # Errors
/// [`Error`].
pub fn enter(name: &str) -> Result<(), Error> {
    let path = Path::new(FOLDER).join(name);
    let wrap = |source| Error { name: name.to_owned(), path: path.clone(), source };
    let plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    if !plain {
        return Err(wrap(io::Error::other("a name of `ip netns` has no slash")));
    }
    let file = File::open(&path).map_err(wrap)?;
    setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| wrap(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_with_the_cure() {
        for (name, says) in
            [("no-such-namespace", "ip netns add no-such-namespace"), ("../x", "no slash"), ("", "no slash")]
        {
            let error = enter(name).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
