//! Writes keepalived's dump files, on a thread of its own that begins with the first request: neither the vrrp thread nor
//! the main loop waits for a disk, and whoever dumps nothing pays for no thread.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::dump::{self, Places, Seen};
use crate::check::status::{Asker, Status};
use crate::observe::{bfd, data, json, page::Page, services, stats};
use crate::vrrp::mailbox::Mailbox;

/// Requests that wait at a time. Who asks faster than files can be written gets one of several.
const WAITING: usize = 4;
/// How long a thread may take over its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The state of everything.
    Data,
    /// The counters of the instances.
    Stats,
    /// The same, and then they begin at zero.
    ClearStats,
    /// State and counters of the instances as JSON.
    Json,
}

/// One request with all that it needs.
pub(super) struct Job {
    pub(super) what: What,
    pub(super) seen: Seen,
    pub(super) vrrp: Mailbox,
    pub(super) check: Asker,
    pub(super) places: Places,
}

/// The thread, once there is one.
#[derive(Default)]
pub(super) struct Dumper(Option<SyncSender<Job>>);

impl Dumper {
    /// Hands a request over; never waits.
    pub(super) fn ask(&mut self, job: Job) {
        let sender = match &self.0 {
            Some(sender) => sender,
            None => match start() {
                Ok(sender) => self.0.insert(sender),
                Err(error) => {
                    tracing::error!("cannot write dump files: no thread: {error}");
                    return;
                }
            },
        };
        match sender.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => {
                tracing::warn!(
                    "dump files are asked for faster than they can be written: left one out ({:?})",
                    job.what
                );
            }
            Err(TrySendError::Disconnected(_)) => self.0 = None,
        }
    }
}

fn start() -> io::Result<SyncSender<Job>> {
    // The check thread's answers come by an async channel: a runtime of this thread waits for them, with a limit.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (sender, jobs) = sync_channel(WAITING);
    super::threads::spawn("dump", move || run(&jobs, &runtime))?;
    Ok(sender)
}

fn run(jobs: &Receiver<Job>, runtime: &tokio::runtime::Runtime) {
    while let Ok(job) = jobs.recv() {
        for (path, result) in carry_out(&job, runtime) {
            match result {
                Ok(()) => tracing::debug!("wrote {}", path.display()),
                Err(error) => tracing::error!("cannot write {}: {error}", path.display()),
            }
        }
    }
}

type Written = (PathBuf, io::Result<()>);

fn carry_out(job: &Job, runtime: &tokio::runtime::Runtime) -> Vec<Written> {
    let Job { what, seen, vrrp, check, places } = job;
    let config = &*seen.config;
    let mut written = Vec::new();
    let mut put = |path: &Path, text: &str| {
        written.push((path.to_owned(), replace(path, text, 0o666 & !places.umask)));
    };
    // The instances first: whatever else is stuck, exporters wait for these.
    match vrrp.status(*what == What::ClearStats, PATIENCE) {
        Ok(status) => {
            let topology = dump::topology(seen, &status);
            match what {
                What::Data => put(&places.data, &data::topology(&topology)),
                What::Stats | What::ClearStats => put(&places.stats, &stats::render(&topology.instances)),
                What::Json => {
                    put(&places.json, &json::render(&topology, config.global_defs.json_version.unwrap_or(1)));
                }
            }
        }
        Err(why) => tracing::error!("no dump of the VRRP instances: {why}"),
    }
    if *what == What::Data {
        let settings = dump::settings(config);
        let mut page = Page::default();
        page.settings(&settings);
        put(&places.parent, &page.finish());
        if !config.bfd_instance.is_empty() {
            put(&places.bfd, &bfd::topology(&settings, &dump::sessions(seen)));
        }
        if !config.virtual_server.is_empty() {
            let status = ask_check(check, runtime);
            if status.is_none() {
                tracing::error!(
                    "the check thread does not answer: the dump shows its virtual servers as unchecked"
                );
            }
            put(&places.check, &services::topology(&settings, &dump::services(config, status.as_deref())));
        }
    }
    written
}

fn ask_check(check: &Asker, runtime: &tokio::runtime::Runtime) -> Option<Arc<Status>> {
    runtime.block_on(async { tokio::time::timeout(PATIENCE, check.ask()).await.ok().flatten() })
}

/// Puts a file in the place of another one, whole or not at all. What lies there is replaced and not followed: the folder
/// may be `/tmp`, where anybody may leave a link.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?;
    let fresh = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh);
    let mut file = create().or_else(|error| match error.kind() {
        // Left behind by an earlier process of this number, or put there by somebody else: it is no file of ours.
        io::ErrorKind::AlreadyExists => fs::remove_file(&fresh).and_then(|()| create()),
        _ => Err(error),
    })?;
    let done = file
        .write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_dump_is_replaced_and_not_followed() {
        let folder = std::env::temp_dir().join(format!("tandem-dumper-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (precious, dump) = (folder.join("precious"), folder.join("keepalived.data"));
        fs::write(&precious, "mine").unwrap();
        std::os::unix::fs::symlink(&precious, &dump).unwrap();
        std::os::unix::fs::symlink(
            &precious,
            folder.join(format!(".keepalived.data.{}", std::process::id())),
        )
        .unwrap();
        replace(&dump, "state\n", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "mine");
        assert_eq!(fs::read_to_string(&dump).unwrap(), "state\n");
        let data = fs::symlink_metadata(&dump).unwrap();
        assert!(data.is_file() && data.permissions().mode() & 0o777 == 0o600);
        replace(&dump, "again\n", 0o644).unwrap();
        assert_eq!(fs::metadata(&dump).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing else is left behind");
        assert!(replace(&folder.join("nowhere/x"), "", 0o600).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
