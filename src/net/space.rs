//! Network namespaces of `ip netns`: the daemon's own (`net_namespace`), which all of it enters before it begins, and that of
//! IPVS where it is another one (`net_namespace_ipvs`), which single threads enter. A socket belongs to the namespace of the
//! thread that opened it; `/proc/sys/net` and `/proc/thread-self/net` show that of the thread that reads.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";
/// That of the machine, or of the container: the one that its first process is in.
const DEFAULT: &str = "/proc/1/ns/net";

/// Why it cannot be entered.
#[derive(Debug, thiserror::Error)]
#[error("{word} {name}: {path} cannot be entered: {source}; {cure}, and run as root or with CAP_SYS_ADMIN")]
pub struct Error {
    /// The word of the file that names it.
    pub word: &'static str,
    /// Its name; empty = the default one.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
    /// What to do.
    pub cure: String,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    word: &'static str,
    name: String,
}

impl Space {
    /// That of `net_namespace`, or of keepalived's `-s`.
    pub fn own(name: &str) -> Self {
        Self { word: "net_namespace", name: name.to_owned() }
    }

    /// That of `net_namespace_ipvs`, where the file says one; an empty name is the machine's default one, as under
    /// keepalived.
    pub fn of_ipvs(name: Option<&str>) -> Option<Self> {
        name.map(|name| Self { word: "net_namespace_ipvs", name: name.to_owned() })
    }

    /// True when there is one of that name, as far as we may look.
    pub fn is_there(&self) -> bool {
        Path::new(FOLDER).join(&self.name).exists()
    }

    /// The calling thread, and all threads and programs that it starts from now on, are in that namespace.
    ///
    /// # Errors
    /// [`Error`].
    pub fn enter(&self) -> Result<(), Error> {
        let default = self.name.is_empty() && self.word != "net_namespace";
        let path = if default { PathBuf::from(DEFAULT) } else { Path::new(FOLDER).join(&self.name) };
        let wrap = |source| Error {
            word: self.word,
            name: self.name.clone(),
            path: path.clone(),
            source,
            cure: match self.name.as_str() {
                "" => "name another one, or give CAP_SYS_PTRACE".to_owned(),
                name => format!("make it by `ip netns add {name}`"),
            },
        };
        let name = self.name.as_str();
        let plain = default || !(name.is_empty() || name.contains('/') || name == "." || name == "..");
        if !plain {
            return Err(wrap(io::Error::other("a name of `ip netns` has no slash")));
        }
        let file = File::open(&path).map_err(wrap)?;
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|errno| wrap(errno.into()))
    }

    /// Does something there, on a thread that lives no longer; the calling one stays where it is, and waits. What it opens
    /// there stays there. Whoever calls it must not be a thread that may not wait.
    ///
    /// # Errors
    /// [`Error`]; also where there is no thread to be had.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let failed = |source| Error {
            word: self.word,
            name: self.name.clone(),
            path: PathBuf::from(FOLDER),
            source,
            cure: "look at the limits of threads".to_owned(),
        };
        std::thread::scope(|scope| {
            let entered = || self.enter().map(|()| work());
            let thread = std::thread::Builder::new().name("space".to_owned()).spawn_scoped(scope, entered);
            match thread.map_err(failed)?.join() {
                Ok(result) => result,
                // A panic in there is one out here.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// Does something in a namespace, or in that of the calling thread where none is named.
///
/// # Errors
/// [`Error`].
pub fn within<T: Send>(space: Option<&Space>, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    match space {
        Some(space) => space.within(work),
        None => Ok(work()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_with_the_cure() {
        for (name, says) in
            [("no-such-namespace", "ip netns add no-such-namespace"), ("../x", "no slash"), ("", "no slash")]
        {
            let error = Space::own(name).enter().unwrap_err().to_string();
            assert!(error.starts_with("net_namespace ") && error.contains(says), "{error}");
        }
        let space = Space::of_ipvs(Some("no-such-namespace")).unwrap();
        let error = space.within(|| unreachable!("nobody is there")).map(drop).unwrap_err().to_string();
        assert!(error.starts_with("net_namespace_ipvs no-such-namespace: "), "{error}");
        assert_eq!(Space::of_ipvs(None), None);
    }

    #[test]
    fn without_a_name_it_is_done_here() {
        let here = std::thread::current().id();
        let there = within(None, || std::thread::current().id()).unwrap();
        assert_eq!(here, there);
    }
}
