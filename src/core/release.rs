//! The last resort: our addresses leave this machine without any worker, by the list that the last one kept. Not where a
//! daemon of that name runs: they are its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::lock::Lock;
use super::options::Options;
use super::recall::Document;
use super::{error, remember, threads};
use crate::board;
use crate::net::address::AddressKey;
use crate::net::monitor;
use crate::net::space::Space;
use crate::net::wanted::Wanted;
use crate::net::watch::Culprits;
use crate::net::writer::{Applied, Inputs, run_with};

/// The kernel takes thousands in less.
const LIMIT: Duration = Duration::from_secs(10);

/// Why addresses stay.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They belong to a daemon that runs.
    #[error("a Tandem (pid {0}) runs and holds them: stop that one, and it takes them off itself")]
    Runs(String),
    /// The network namespace that they are in cannot be entered.
    #[error(transparent)]
    Namespace(#[from] crate::net::space::Error),
    /// The kernel says no.
    #[error("{0}")]
    Kernel(String),
    /// It does not answer.
    #[error("the kernel does not answer within {} s", LIMIT.as_secs())]
    Silent,
}

/// Whose addresses.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// Those of the daemon of this name.
    Named(&'a str),
    /// Those of the daemons that last read this file: where none has said its name.
    Reading(&'a Path),
}

/// Takes the addresses of a daemon that is no more off this machine, unless its command line wants them to stay, and logs what
/// came of it. `name`: as far as a worker has said it.
pub fn abandoned(options: &Options, name: Option<&str>) {
    if options.keep_addresses {
        return;
    }
    let folder = remember::folder(options.run_directory.as_deref());
    match run(folder, name.map_or(Whose::Reading(&options.config), Whose::Named)) {
        Ok(0) => {}
        Ok(count) => tracing::warn!("{count} addresses were taken off this machine"),
        // The usual case of a second daemon.
        Err(error @ Error::Runs(_)) => tracing::debug!("addresses stay: {error}"),
        Err(error) => tracing::error!(
            "the addresses could not be taken off this machine: {error}; take them off by `ip addr del`, or stop this \
             machine: else there are two masters"
        ),
    }
}

/// Takes them off, and says how many there were.
///
/// # Errors
/// [`Error`]; of several daemons the first one's.
pub fn run(folder: &Path, whose: Whose<'_>) -> Result<usize, Error> {
    let documents = match whose {
        Whose::Named(name) => vec![remember::read_any(folder, name)],
        Whose::Reading(path) => {
            let path = file_name(path);
            let mut all = remember::read_all(folder);
            all.retain(|document| document.home.config == path);
            all
        }
    };
    let mut results: Vec<_> = documents.into_iter().map(aside).collect();
    // Who runs keeps his; what is done for the others counts.
    results.sort_by_key(|result| matches!(result, Err(Error::Runs(_))));
    let count = results.iter().flatten().sum();
    match results.into_iter().find_map(Result::err) {
        Some(error) if count == 0 || !matches!(error, Error::Runs(_)) => Err(error),
        _ => Ok(count),
    }
}

/// A file as [`Document`]s name it.
pub(super) fn file_name(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// On a thread of its own: it may have to go to another network namespace, and the caller stays where it is.
fn aside(document: Document) -> Result<usize, Error> {
    if document.addresses().next().is_none() {
        return Ok(0);
    }
    let copy = document.clone();
    let thread = std::thread::Builder::new().name("release".to_owned());
    match thread.spawn(move || release(copy)) {
        Ok(thread) => thread.join().unwrap_or_else(|_| Err(Error::Kernel("a defect".to_owned()))),
        Err(_) => release(document),
    }
}

fn release(document: Document) -> Result<usize, Error> {
    let home = document.home.clone();
    if let Some(name) = &home.namespace {
        Space::own(name).enter()?;
    }
    // Whoever they belong to now: they were ours, and no worker looks after them.
    let document = document.as_of(board::space(), Duration::MAX);
    let ours: std::collections::BTreeSet<AddressKey> = document.addresses().collect();
    if ours.is_empty() {
        return Ok(0);
    }
    // Held until they are gone: nobody begins meanwhile.
    let _lock = match Lock::take(&home.lock) {
        Ok(lock) => Some(lock),
        // A worker of ours, which hangs.
        Err(error::Error::InNamespace { pid }) if pid == std::process::id().to_string() => None,
        Err(error::Error::InNamespace { pid }) => return Err(Error::Runs(pid)),
        Err(error) => return Err(Error::Kernel(error.to_string())),
    };
    take_off(ours)
}

fn take_off(ours: std::collections::BTreeSet<AddressKey>) -> Result<usize, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Kernel(error.to_string());
    let runtime = threads::runtime().map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let links = monitor::first_dump().await.map_err(|error| failed(&error))?;
        let there = |key: &&AddressKey| {
            let link = links.get(&key.interface);
            link.is_some_and(|link| link.has(key.address))
        };
        let count = ours.iter().filter(there).count();
        let wish = Wanted { generation: 1, ours: ours.clone(), ..Wanted::default() };
        let (_wanted, wanted) = watch::channel(Arc::new(wish));
        let (_fixed, fixed) = watch::channel(Arc::new(Wanted::default()));
        let (_links, links) = watch::channel(Arc::new(links));
        let (applied_out, mut applied) = watch::channel(Applied::default());
        let inputs = Inputs { wanted, fixed, links, culprits: Culprits::default() };
        let writing = tokio::spawn(run_with(inputs, applied_out));
        let done = applied.wait_for(|applied| applied.generation >= 1);
        let outcome = tokio::time::timeout(LIMIT, done).await;
        writing.abort();
        match outcome {
            Ok(Ok(applied)) if applied.errors.is_empty() => Ok(count),
            Ok(Ok(applied)) => Err(Error::Kernel(applied.errors.join("; "))),
            Ok(Err(_)) => Err(Error::Kernel("the writer of addresses ended".to_owned())),
            Err(_) => Err(Error::Silent),
        }
    })
}
