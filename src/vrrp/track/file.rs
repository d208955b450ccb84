//! Watches `track_file`s with inotify: written, replaced by rename, removed, and there later than we are, its directories
//! included. Where the kernel gives no watch, the file is read once a second.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::sync::mpsc;

use crate::clock;
use crate::config::model::{InitFile, TrackFile};

use super::content::{self, Unread};
use super::post::{self, Letter, LetterBox, Post};
use super::{Change, Said, TrackerKind, Value};

/// Between two looks at a file that has no watch, milliseconds.
const LOOK_MS: u16 = 1000;
/// Between two looks whether the watched directories are still those of the paths: one that is moved away together with
/// the directory above it says nothing.
const SAME_MS: u16 = 5000;
/// More than the digits of any number that counts, with white space around it.
const LONGEST: u64 = 128;
/// What may change a file, seen from its directory. Not MODIFY: a file that is being written is empty for a moment.
const CHANGES: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_ATTRIB)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// A `track_file` as it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePlan {
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
    /// Create it first.
    pub init: Option<InitFile>,
}

impl FilePlan {
    /// The plan of a configuration's block.
    pub fn of(block: &TrackFile) -> Self {
        Self { name: block.name.clone(), path: PathBuf::from(&block.file), init: block.init_file.clone() }
    }
}

/// Creates the file as `init_file` says; one that is there stays as it is without `overwrite`.
///
/// # Errors
/// When the file cannot be created or written.
pub fn initialise(plan: &FilePlan) -> io::Result<()> {
    let Some(init) = &plan.init else { return Ok(()) };
    let mut options = OpenOptions::new();
    // Never waits for the other end of a pipe.
    options.write(true).mode(0o644).custom_flags(libc::O_NONBLOCK);
    if init.overwrite {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = match options.open(&plan.path) {
        Err(error) if !init.overwrite && error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        opened => opened?,
    };
    writeln!(file, "{}", init.value.unwrap_or(0))
}

/// What a file says now, with the reason. A file that cannot be read says 0.
///
/// # Errors
/// When its number is out of range: what it said before stands.
pub fn read(path: &Path) -> Result<(i64, String), Unread> {
    match bytes(path) {
        Ok(bytes) => Ok((content::number(&bytes)?, format!("read from {}", path.display()))),
        Err(error) => Ok((0, format!("{} cannot be read: {error}", path.display()))),
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    // A named pipe in its place must not hold anybody up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the thread is asked to watch: files with the epoch of their configuration and what was read of them.
pub(super) type Wish = Vec<(FilePlan, u64, i64)>;

/// Starts the thread.
pub(super) fn start(changes: mpsc::Sender<Change>) -> io::Result<Post<Wish>> {
    let (post, letters) = post::pair()?;
    std::thread::Builder::new().name("track-file".to_owned()).spawn(move || {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        if let Err(error) = &inotify {
            tracing::warn!("track_file: no inotify ({error}): files are read once a second instead");
        }
        let mut watcher = Watcher {
            letters,
            changes,
            inotify: inotify.ok(),
            files: Vec::new(),
            watched: BTreeMap::new(),
            told_unwatched: false,
        };
        watcher.run();
    })?;
    Ok(post)
}

struct Watcher {
    letters: LetterBox<Wish>,
    changes: mpsc::Sender<Change>,
    inotify: Option<Inotify>,
    files: Vec<File>,
    /// Directories with a watch.
    watched: BTreeMap<PathBuf, WatchDescriptor>,
    told_unwatched: bool,
}

struct File {
    plan: FilePlan,
    epoch: u64,
    number: i64,
    told_unread: bool,
    /// Where the path leads to, links followed; `None` = nowhere.
    real: Option<PathBuf>,
    /// Directories that must be watched for it, with their watches.
    directories: Vec<(PathBuf, Option<WatchDescriptor>)>,
    watched: bool,
}

impl Watcher {
    fn run(&mut self) {
        loop {
            match self.letters.look() {
                Letter::Closed => return,
                Letter::Wish(wish) => self.take(wish),
                Letter::None => {}
            }
            let again = self.drain();
            if !self.look_at(again.as_deref()) {
                return;
            }
            self.wait();
        }
    }

    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.letters.wake_fd(), PollFlags::POLLIN)];
        fds.extend(self.inotify.as_ref().map(|i| PollFd::new(i.as_fd(), PollFlags::POLLIN)));
        let all = self.files.iter().all(|file| file.watched);
        let timeout = match self.files.is_empty() {
            true => PollTimeout::NONE,
            false => PollTimeout::from(if all { SAME_MS } else { LOOK_MS }),
        };
        // EINTR and the like only mean another turn, which looks at everything anew.
        let _ = poll(&mut fds, timeout);
    }

    fn take(&mut self, wish: Wish) {
        self.files = wish
            .into_iter()
            .map(|(plan, epoch, number)| File {
                plan,
                epoch,
                number,
                told_unread: false,
                real: None,
                directories: Vec::new(),
                watched: false,
            })
            .collect();
    }

    /// Reads what inotify has to say: changed names by directory. `None` = anything may have changed.
    fn drain(&self) -> Option<Vec<(PathBuf, OsString)>> {
        let mut changed = Vec::new();
        let Some(inotify) = &self.inotify else { return None };
        loop {
            match inotify.read_events() {
                Ok(events) => {
                    for event in events {
                        // The directory itself went away, or the queue overflowed.
                        let name = event.name?;
                        // One directory may have several paths.
                        let paths = self.watched.iter().filter(|(_, wd)| **wd == event.wd);
                        changed.extend(paths.map(|(directory, _)| (directory.clone(), name.clone())));
                    }
                }
                Err(Errno::EINTR) => {}
                Err(_) => return Some(changed),
            }
        }
    }

    /// Brings the watches up to date, then reads every file that may have changed; in this order, so that no change falls
    /// between. False when nobody listens.
    fn look_at(&mut self, changed: Option<&[(PathBuf, OsString)]>) -> bool {
        let mut files = std::mem::take(&mut self.files);
        let mut heard = true;
        for file in &mut files {
            let (was_watched, before) = (file.watched, file.real.clone());
            let known = file.directories.clone();
            self.watch(file);
            let touched = changed.is_none_or(|all| all.iter().any(|(at, name)| file.is(at, name)));
            let moved = before != file.real || known != file.directories;
            if touched || moved || !was_watched || !file.watched {
                heard &= self.read(file);
            }
        }
        self.files = files;
        self.forget();
        heard
    }

    fn read(&self, file: &mut File) -> bool {
        let (number, why) = match read(&file.plan.path) {
            Ok(read) => read,
            Err(unread) => {
                if !std::mem::replace(&mut file.told_unread, true) {
                    tracing::warn!("track_file {}: {}: {unread}", file.plan.name, file.plan.path.display());
                }
                return true;
            }
        };
        file.told_unread = false;
        if number == file.number {
            return true;
        }
        file.number = number;
        let said = Said::new(Value::Number(number), why, clock::now());
        let change =
            Change { kind: TrackerKind::File, name: file.plan.name.clone(), epoch: file.epoch, said };
        self.changes.blocking_send(change).is_ok()
    }

    /// Watches the directory of the path, that of what it leads to, and where a directory is missing the one that it
    /// will appear in.
    fn watch(&mut self, file: &mut File) {
        file.real = file.plan.path.canonicalize().ok();
        let mut directories = vec![existing_directory(&file.plan.path)];
        if let Some(real) = file.real.as_deref().map(existing_directory)
            && !directories.contains(&real)
        {
            directories.push(real);
        }
        file.directories = directories
            .into_iter()
            .map(|directory| {
                let watch = self.watch_directory(&directory);
                (directory, watch)
            })
            .collect();
        file.watched = file.directories.iter().all(|(_, watch)| watch.is_some());
    }

    fn watch_directory(&mut self, directory: &Path) -> Option<WatchDescriptor> {
        let inotify = self.inotify.as_ref()?;
        // Asked for each time: the kernel gives the same descriptor again, or another when the directory is another.
        match inotify.add_watch(directory, CHANGES) {
            Ok(descriptor) => {
                self.watched.insert(directory.to_owned(), descriptor);
                Some(descriptor)
            }
            Err(error) => {
                self.watched.remove(directory);
                // ENOENT: it went away this moment; the next look finds another.
                if error != Errno::ENOENT && !std::mem::replace(&mut self.told_unwatched, true) {
                    tracing::warn!(
                        "track_file: {} cannot be watched ({error}): its files are read once a second instead",
                        directory.display()
                    );
                }
                None
            }
        }
    }

    /// Ends watches that no file needs.
    fn forget(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let needed = |directory: &PathBuf| {
            self.files.iter().any(|file| file.directories.iter().any(|(used, _)| used == directory))
        };
        let idle: Vec<PathBuf> = self.watched.keys().filter(|d| !needed(d)).cloned().collect();
        for directory in idle {
            if let Some(descriptor) = self.watched.remove(&directory)
                && !self.watched.values().any(|other| *other == descriptor)
            {
                // EINVAL: the kernel has ended it already.
                let _ = inotify.rm_watch(descriptor);
            }
        }
    }
}

impl File {
    /// True when a name in a directory is this file, or what it leads to.
    fn is(&self, directory: &Path, name: &OsString) -> bool {
        let at = |path: &Path| path.file_name() == Some(name) && existing_directory(path) == directory;
        at(&self.plan.path) || self.real.as_deref().is_some_and(at)
    }
}

/// The nearest directory above a path that is there.
fn existing_directory(path: &Path) -> PathBuf {
    let above = path.ancestors().skip(1).find(|above| above.is_dir());
    above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("/")).to_owned()
}
