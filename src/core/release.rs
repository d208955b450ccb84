//! The last resort: our addresses leave this machine without any worker, by the list that the last one kept.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{remember, threads};
use crate::net::monitor;
use crate::net::space::Space;
use crate::net::wanted::Wanted;
use crate::net::watch::Culprits;
use crate::net::writer::{Applied, Inputs, run_with};

/// The kernel takes thousands in less.
const LIMIT: Duration = Duration::from_secs(10);

/// Takes them off, and says how many there were.
///
/// # Errors
/// What the kernel did not do, in words.
pub(super) fn run(folder: &Path, instance: &str) -> Result<usize, String> {
    // Whoever they belong to now: they were ours, and no worker looks after them.
    let document = remember::read_any(folder, instance);
    if let Some(name) = &document.namespace {
        Space::own(name).enter().map_err(|error| error.to_string())?;
    }
    let document = document.as_of(crate::board::space(), Duration::MAX);
    let ours: std::collections::BTreeSet<_> = document.addresses().collect();
    if ours.is_empty() {
        return Ok(0);
    }
    let runtime = threads::runtime().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let links = monitor::first_dump().await.map_err(|error| error.to_string())?;
        let there = |key: &&crate::net::address::AddressKey| {
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
            Ok(Ok(applied)) => Err(applied.errors.join("; ")),
            Ok(Err(_)) => Err("the writer of addresses ended".to_owned()),
            Err(_) => Err(format!("the kernel does not answer within {} s", LIMIT.as_secs())),
        }
    })
}
