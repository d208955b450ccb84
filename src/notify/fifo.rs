//! Named pipes that events are written to, a line each. A pipe is opened for reading and writing, so that it never
//! breaks when nobody reads, and never blocks: what a full pipe refuses is counted, and its newest lines are told when
//! there is room again.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::Mode;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::backlog::{Backlog, SAY_EVERY, Say};
use super::reader::Reader;
use crate::clock;
use crate::process::Program;

/// The mode that a new pipe gets, before the mask.
const MODE: u32 = 0o644;
/// keepalived's mask where the file names none.
pub const UMASK: u32 = 0o177;
/// Longest line that a pipe takes in one piece or not at all (PIPE_BUF); names are far shorter.
const LONGEST: usize = 4096;
/// Between two tries to write to a full pipe: a reader that takes a byte at a time shall not make us busy.
const PAUSE: Duration = Duration::from_millis(20);

/// One pipe, as the configuration wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where it is.
    pub path: PathBuf,
    /// Owner (uid, gid) of a pipe that is created; `None` = whoever the daemon runs as.
    pub owner: Option<(u32, u32)>,
    /// Mask of a pipe that is created.
    pub umask: u32,
    /// Program that reads it, the path already appended.
    pub reader: Option<Program>,
}

/// Why a pipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something else has that name.
    #[error("{} is not a named pipe: remove it, or name another path", .0.display())]
    NotAPipe(PathBuf),
    /// It could not be created.
    #[error("the pipe {} cannot be created: {words}; mend its directory or name another path", .path.display())]
    Create {
        /// The path.
        path: PathBuf,
        /// The system's words.
        words: String,
    },
    /// It could not be opened.
    #[error("the pipe {} cannot be opened: {words}; mend its owner and mode", .path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The system's words.
        words: String,
    },
}

struct Shared {
    path: PathBuf,
    pipe: pipe::Sender,
    backlog: Mutex<Backlog>,
    full: Notify,
}

/// An open pipe with its reader. Dropping it ends the reader at once; [`Fifo::close`] lets it finish.
pub struct Fifo {
    plan: Plan,
    shared: Arc<Shared>,
    flush: JoinHandle<()>,
    reader: Option<Reader>,
    created: bool,
}

impl Fifo {
    /// Creates what is missing, opens the pipe, starts its reader. Must be called on a runtime.
    pub fn open(plan: Plan) -> Result<Self, Error> {
        let created = make(&plan)?;
        let opened = pipe::OpenOptions::new().read_write(true).open_sender(&plan.path);
        let pipe = opened.map_err(|error| {
            if created {
                let _ = std::fs::remove_file(&plan.path);
            }
            Error::Open { path: plan.path.clone(), words: error.to_string() }
        })?;
        let path = plan.path.clone();
        let shared = Arc::new(Shared { path, pipe, backlog: Mutex::default(), full: Notify::new() });
        let flush = tokio::spawn(flush(Arc::clone(&shared)));
        let reader = plan.reader.clone().map(Reader::start);
        Ok(Self { plan, shared, flush, reader, created })
    }

    /// What it was opened for.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes a line, without its newline; never waits. `subject` says which older line it makes void, should the
    /// pipe be full.
    pub fn tell(&self, subject: &str, text: &str) {
        self.shared.tell(subject, text);
    }

    /// Lines that nobody will ever read.
    pub fn lost(&self) -> u64 {
        self.shared.backlog().lost_ever()
    }

    /// Did it have to be created?
    pub fn is_created(&self) -> bool {
        self.created
    }

    /// The same, as one that we created (before a reload): it is removed when it is closed.
    #[must_use]
    pub fn created(mut self) -> Self {
        self.created = true;
        self
    }

    /// Closes the pipe, lets the reader read on to its end for `patience`, then ends it; removes a pipe that we
    /// created unless `keep`.
    pub async fn close(mut self, patience: Duration, keep: bool) {
        self.shared.empty();
        self.flush.abort();
        let _ = (&mut self.flush).await;
        let (reader, path) = (self.reader.take(), self.plan.path.clone());
        let created = self.created && !keep;
        // The last writer goes: the reader finds the end of the file behind the last line.
        drop(self);
        if let Some(reader) = reader {
            reader.close(patience).await;
        }
        if created {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        self.flush.abort();
    }
}

/// True when the pipe was created.
fn make(plan: &Plan) -> Result<bool, Error> {
    let path = &plan.path;
    let failed = |words: String| Error::Create { path: path.clone(), words };
    match nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) => {}
        Err(Errno::EEXIST) if is_pipe(path) => return Ok(false),
        Err(Errno::EEXIST) => return Err(Error::NotAPipe(path.clone())),
        Err(error) => return Err(failed(error.desc().to_owned())),
    }
    let mode = std::fs::Permissions::from_mode(MODE & !plan.umask);
    let owned = match plan.owner {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    };
    if let Err(error) = owned.and_then(|()| std::fs::set_permissions(path, mode)) {
        let _ = std::fs::remove_file(path);
        return Err(failed(error.to_string()));
    }
    Ok(true)
}

fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo())
}

impl Shared {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        // The backlog is whole at every unlock.
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, subject: &str, text: &str) {
        let line = format!("{text}\n");
        if line.len() > LONGEST {
            tracing::error!("{}: a line of {} bytes is too long for a pipe", self.path.display(), line.len());
            return;
        }
        let mut backlog = self.backlog();
        if backlog.is_empty() && self.write(&line) {
            return;
        }
        let say = backlog.keep(subject, line, clock::now());
        drop(backlog);
        self.say(say);
        self.full.notify_one();
    }

    /// A line of at most PIPE_BUF bytes is written whole or not at all (pipe(7)).
    fn write(&self, line: &str) -> bool {
        match nix::unistd::write(self.pipe.as_fd(), line.as_bytes()) {
            Ok(_) => true,
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            Err(error) => {
                tracing::error!("cannot write to {}: {}", self.path.display(), error.desc());
                false
            }
        }
    }

    fn say(&self, say: Option<Say>) {
        let path = self.path.display();
        match say {
            Some(Say::Full { waiting, lost }) => tracing::warn!(
                "the pipe {path} is full, its reader is slow or gone: {waiting} lines wait, {lost} older ones are lost"
            ),
            Some(Say::Recovered { lost, late }) => {
                tracing::info!("the pipe {path} is read again: {late} lines told late, {lost} lost");
            }
            None => {}
        }
    }

    /// Writes what waits; true when nothing waits any more.
    fn empty(&self) -> bool {
        let mut backlog = self.backlog();
        while let Some(line) = backlog.next() {
            // By way of the runtime, so that it knows that the pipe is full.
            match self.pipe.try_write(line.as_bytes()) {
                Ok(_) => {
                    let say = backlog.told();
                    self.say(say);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => {
                    tracing::error!("cannot write to {}: {error}", self.path.display());
                    return false;
                }
            }
        }
        true
    }
}

/// Tells late what the full pipe refused.
async fn flush(shared: Arc<Shared>) {
    loop {
        shared.full.notified().await;
        while !shared.empty() {
            let _ = tokio::time::timeout(SAY_EVERY, shared.pipe.writable()).await;
            let say = shared.backlog().remind(clock::now());
            shared.say(say);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
#[path = "fifo_tests.rs"]
mod tests;
