//! A few numbers in a file in memory that outlive the process that wrote them: who was master and when it last said so,
//! and since when each thread is busy. The vrrp thread writes with plain stores (no lock, no disk, and a system call twice a second at most, for the [`Bell`]); the
//! supervisor watches the threads by it, and the next process reads what the last one was.
//!
//! The file lies on tmpfs only: a page of a disk's file could make a store wait for the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

mod bell;

pub use bell::Bell;

/// `TandemBd` and the version of this layout.
const MAGIC: u64 = u64::from_be_bytes(*b"TandemB1");
/// Words before the first slot.
const HEAD: usize = 32;
/// Words of a slot.
const SLOT: usize = 4;
/// Slots that there is room for: instances beyond them are not remembered over a restart.
const SLOTS: usize = 4096;
const WORDS: usize = HEAD + SLOT * SLOTS;
const BYTES: usize = WORDS * 8;
/// Words of the head.
const AT_MAGIC: usize = 0;
const AT_BOOT: usize = 1;
const AT_SPACE: usize = 2;
const AT_ALIVE: usize = 3;
const AT_OUTDATED: usize = 4;
const AT_OWNER: usize = 5;
const AT_EVENT: usize = 6;
const AT_JOURNAL: usize = 7;
const AT_BEATS: usize = 8;
/// Words of a slot: whose it is, master or not, when it last advertised, and how long others wait for the next advert.
const OF_NAME: usize = 0;
const OF_MASTER: usize = 1;
const OF_SPOKE: usize = 2;
const OF_PATIENCE: usize = 3;

/// The threads that say when they are busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Thread {
    /// Signals, reports, reloads.
    Main,
    /// Adverts.
    Vrrp,
    /// Addresses, routes and rules.
    Net,
    /// Checks.
    Check,
    /// The IPVS table.
    Ipvs,
    /// BFD sessions.
    Bfd,
    /// Interfaces of our own, the packet filter.
    Devices,
    /// The control socket.
    Control,
}

impl Thread {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Main, Self::Vrrp, Self::Net, Self::Check, Self::Ipvs, Self::Bfd, Self::Devices, Self::Control];

    /// Its name, as threads are named.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Vrrp => "vrrp",
            Self::Net => "net",
            Self::Check => "check",
            Self::Ipvs => "ipvs",
            Self::Bfd => "bfd",
            Self::Devices => "devices",
            Self::Control => "control",
        }
    }
}

/// What another process of this machine and network namespace left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When it was last seen alive, since boot.
    pub alive: Duration,
    /// Since when what it kept beside the board was no longer what was so; `None` = to its end it was.
    pub outdated: Option<Duration>,
    /// Masters.
    pub masters: Vec<Master>,
}

impl Past {
    /// Until when what it kept beside the board was what was so, since boot.
    pub fn known_until(&self) -> Duration {
        self.outdated.map_or(self.alive, |since| since.min(self.alive))
    }
}

/// A master that another process left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Master {
    /// The number of its name.
    pub name: u64,
    /// When it last advertised, since boot.
    pub spoke: Duration,
    /// How long others wait after that advert, by what it said; `None` = an earlier Tandem did not write that down.
    pub patience: Option<Duration>,
}

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither place is in memory, or neither can be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else's.
    #[error("{0} belongs to another Tandem that runs: give one of them --instance NAME or --run-dir FOLDER")]
    Taken(PathBuf),
}

/// The numbers. All accesses are atomic and relaxed: each word says something by itself.
pub struct Board {
    words: NonNull<AtomicU64>,
    /// Its lock goes with the process.
    _file: Option<Flock<File>>,
    /// Wakes the supervisor should the vrrp thread hang.
    bell: OnceLock<Bell>,
}

// SAFETY: the mapping is only reached as atomics, which any thread may use, and lives as long as the board.
#[expect(unsafe_code, reason = "memory that is shared with another process")]
unsafe impl Send for Board {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "memory that is shared with another process")]
unsafe impl Sync for Board {}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nobody has a reference to it any more.
        #[expect(unsafe_code, reason = "the end of the mapping")]
        let _ = unsafe { munmap(self.words.cast(), BYTES) };
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Board")
    }
}

impl Board {
    /// The board of a worker, and what the one before it left. It is this worker's alone as long as it runs.
    ///
    /// # Errors
    /// [`Error`]: the daemon runs without it, but restarts leave a trace then.
    pub fn take(folder: &Path, instance: &str) -> Result<(Arc<Self>, Option<Past>), Error> {
        let path = place(folder, instance);
        let wrap = |source| Error::File { path: path.clone(), source };
        let file = open(&path).map_err(wrap)?;
        let file =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Error::Taken(path.clone()))?;
        let whole = file.metadata().map_err(wrap)?.len() == BYTES as u64;
        if !whole {
            file.set_len(0).map_err(wrap)?;
        }
        file.set_len(BYTES as u64).map_err(wrap)?;
        // Now, and not at a store of the vrrp thread, it turns out whether there is room.
        if let Err(error) = reserve(&file, (HEAD + SLOT) * 8) {
            // A board that is nothing but a hole is none.
            let _ = file.set_len(0);
            return Err(wrap(error));
        }
        let board = Self { words: map(&file).map_err(wrap)?, _file: Some(file), bell: OnceLock::new() };
        let ours = whole
            && board.read(AT_MAGIC) == MAGIC
            && board.read(AT_BOOT) == boot()
            && board.read(AT_SPACE) == space();
        let past = ours.then(|| board.past());
        if !ours {
            board.clear().map_err(wrap)?;
        }
        for thread in Thread::ALL {
            board.write(AT_BEATS + thread as usize, 0);
        }
        board.write(AT_OWNER, std::process::id().into());
        Ok((Arc::new(board), past))
    }

    /// The board of that process as its supervisor sees it; `None` while there is none, or it is another process's.
    pub fn look(folder: &Path, instance: &str, owner: u32) -> Option<Self> {
        let file = existing(&place(folder, instance)).ok()?;
        if file.metadata().ok()?.len() != BYTES as u64 {
            return None;
        }
        // Not by the mapping: where the worker found no room the file is a hole, and to look into one of those takes a page
        // that there is not. That would end the process.
        let mut magic = [0; 8];
        file.read_exact_at(&mut magic, (AT_MAGIC * 8) as u64).ok()?;
        if u64::from_ne_bytes(magic) != MAGIC {
            return None;
        }
        let board = Self { words: map(&file).ok()?, _file: None, bell: OnceLock::new() };
        (board.read(AT_OWNER) == u64::from(owner)).then_some(board)
    }

    /// This process lives at that time since boot.
    pub fn alive(&self, now: Duration) {
        self.write(AT_ALIVE, micros(now));
    }

    /// What is kept beside the board is no longer what is so, since then at the latest: it could not be written.
    pub fn outdated(&self, since: Duration) {
        if self.read(AT_OUTDATED) == 0 {
            self.write(AT_OUTDATED, micros(since).max(1));
        }
    }

    /// What is kept beside the board is what is so.
    pub fn current(&self) {
        self.write(AT_OUTDATED, 0);
    }

    /// The last event of the journal has this number: the file beside the board may not have it yet when we die.
    pub fn event(&self, number: u64) {
        self.write(AT_EVENT, number);
    }

    /// The number of the last event; 0 = there was none.
    pub fn last_event(&self) -> u64 {
        self.read(AT_EVENT)
    }

    /// What the journal is called by which these numbers are; `fresh` from now on where it has no name yet. Never 0.
    pub fn journal(&self, fresh: u64) -> u64 {
        if self.read(AT_JOURNAL) == 0 {
            self.write(AT_JOURNAL, fresh.max(1));
        }
        self.read(AT_JOURNAL)
    }

    /// A thread has something to do, since then; so the process lives.
    pub fn busy(&self, thread: Thread, since: Duration) {
        self.write(AT_BEATS + thread as usize, micros(since).max(1));
        self.alive(since);
        if thread == Thread::Vrrp
            && let Some(bell) = self.bell.get()
        {
            bell.wind(since);
        }
    }

    /// From now on that bell is wound up whenever the vrrp thread has something to do.
    pub fn hang(&self, bell: Bell) {
        let _ = self.bell.set(bell);
    }

    /// A thread waits for something to do.
    pub fn idle(&self, thread: Thread) {
        self.write(AT_BEATS + thread as usize, 0);
    }

    /// Since when a thread is busy with one and the same thing; `None` = it waits.
    pub fn busy_since(&self, thread: Thread) -> Option<Duration> {
        match self.read(AT_BEATS + thread as usize) {
            0 => None,
            since => Some(Duration::from_micros(since)),
        }
    }

    /// When somebody last said that the process lives, since boot.
    pub fn alive_at(&self) -> Duration {
        Duration::from_micros(self.read(AT_ALIVE))
    }

    /// The place of each of these names; those of others are free from then on. `None` beyond the room.
    ///
    /// # Errors
    /// No memory for them: none of them is remembered.
    pub fn claim<'a>(&self, names: impl Iterator<Item = &'a str>) -> io::Result<Vec<Option<Slot>>> {
        let names: Vec<u64> = names.map(number).collect();
        let room = names.len().min(SLOTS);
        if let Some(file) = &self._file {
            // And the one behind them: it says by its zero that it is not used.
            reserve(file, (HEAD + SLOT * (room + 1).min(SLOTS)) * 8)?;
        }
        // What is known goes along to its new place.
        let known: std::collections::HashMap<u64, [u64; SLOT]> = (0..SLOTS)
            .map(|slot| self.slot(slot))
            .take_while(|words| words[OF_NAME] != 0)
            .map(|words| (words[OF_NAME], words))
            .collect();
        let end = names.len().max(known.len()).min(SLOTS);
        for slot in 0..end {
            let words = match names.get(slot) {
                Some(name) => known.get(name).copied().unwrap_or([*name, 0, 0, 0]),
                None => [0; SLOT],
            };
            for (word, value) in words.into_iter().enumerate() {
                self.write(HEAD + slot * SLOT + word, value);
            }
        }
        Ok((0..names.len()).map(|slot| (slot < SLOTS).then_some(Slot(slot))).collect())
    }

    /// An instance is master or not, from now on.
    pub fn set_master(&self, Slot(slot): Slot, master: bool) {
        self.write(HEAD + slot * SLOT + OF_MASTER, u64::from(master));
    }

    /// An instance has advertised at that time since boot; others wait so long for its next advert.
    pub fn spoke(&self, Slot(slot): Slot, at: Duration, patience: Duration) {
        self.write(HEAD + slot * SLOT + OF_PATIENCE, micros(patience).max(1));
        self.write(HEAD + slot * SLOT + OF_SPOKE, micros(at));
    }

    fn slot(&self, slot: usize) -> [u64; SLOT] {
        std::array::from_fn(|word| self.read(HEAD + slot * SLOT + word))
    }

    fn past(&self) -> Past {
        let slots = (0..SLOTS).map(|slot| self.slot(slot)).take_while(|words| words[OF_NAME] != 0);
        let masters = slots.filter(|words| words[OF_MASTER] == 1).map(|words| Master {
            name: words[OF_NAME],
            spoke: Duration::from_micros(words[OF_SPOKE]),
            patience: Some(words[OF_PATIENCE]).filter(|word| *word != 0).map(Duration::from_micros),
        });
        let outdated = Some(self.read(AT_OUTDATED)).filter(|word| *word != 0).map(Duration::from_micros);
        Past { alive: self.alive_at(), outdated, masters: masters.collect() }
    }

    /// Another boot's or another namespace's numbers go.
    fn clear(&self) -> io::Result<()> {
        if let Some(file) = &self._file {
            // Through the file: pages that nobody touched stay holes.
            file.set_len(0)?;
            file.set_len(BYTES as u64)?;
            reserve(file, (HEAD + SLOT) * 8)?;
        }
        self.write(AT_BOOT, boot());
        self.write(AT_SPACE, space());
        self.write(AT_MAGIC, MAGIC);
        Ok(())
    }

    fn read(&self, word: usize) -> u64 {
        self.at(word).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn write(&self, word: usize, value: u64) {
        if let Some(word) = self.at(word) {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn at(&self, word: usize) -> Option<&AtomicU64> {
        // SAFETY: within the mapping, which is aligned to a page and lives as long as `self`; every bit pattern is a number.
        #[expect(unsafe_code, reason = "memory that is shared with another process")]
        (word < WORDS).then(|| unsafe { self.words.add(word).as_ref() })
    }
}

/// The place of an instance on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(usize);

/// The number of a name: FNV-1a, the same in every build. Never 0, which is nobody's.
pub fn number(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
        .max(1)
}

/// Where the board of this instance name is: in the folder when that is in memory, else in `/dev/shm`.
fn place(folder: &Path, instance: &str) -> PathBuf {
    let instance = instance.replace(['/', '\0'], "_");
    let name = if instance.is_empty() { "board".to_owned() } else { format!("board-{instance}") };
    // A test or an operator may have asked for a folder of its own: it is part of the name elsewhere.
    if in_memory(folder) {
        return folder.join(name);
    }
    // Everybody shares that folder: the files of each user have names of their own.
    let (user, space) = (nix::unistd::geteuid(), number(&folder.display().to_string()));
    Path::new("/dev/shm").join(format!("tandem-{user}-{space:x}-{name}"))
}

/// True for a folder whose files are memory.
fn in_memory(folder: &Path) -> bool {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    statfs(existing).is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC)
}

/// Opens it, and makes it where it is missing.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // What is there is never opened by O_CREAT: of another user's file in a folder like /dev/shm the kernel forbids that
    // (fs.protected_regular), and says no more than "Permission denied".
    match existing(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => existing(path),
        made => made,
    }
}

/// Opens the file that is there, if it is ours. In /dev/shm everybody may make files: by one that we took for ours anybody
/// could tell the supervisor that the worker hangs, or end both by making it shorter.
fn existing(path: &Path) -> io::Result<File> {
    let ours = |found: &std::fs::Metadata| match stranger(
        found.file_type(),
        found.uid(),
        nix::unistd::geteuid().as_raw(),
    ) {
        None => Ok(()),
        Some(why) => Err(io::Error::other(format!("{why}; remove it"))),
    };
    // Before it is opened, for the words; and then what was opened.
    ours(&std::fs::symlink_metadata(path)?)?;
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    ours(&file.metadata()?)?;
    Ok(file)
}

/// Why what lies there is not a file of this user. Pure.
fn stranger(kind: std::fs::FileType, owner: u32, us: u32) -> Option<String> {
    if kind.is_symlink() {
        Some("it is a link to something else".to_owned())
    } else if !kind.is_file() {
        Some("it is no file".to_owned())
    } else {
        (owner != us).then(|| format!("it belongs to user {owner}"))
    }
}

/// Makes sure of the memory: without it a store would end the process.
fn reserve(file: &File, bytes: usize) -> io::Result<()> {
    let bytes = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    Ok(nix::fcntl::fallocate(file, nix::fcntl::FallocateFlags::empty(), 0, bytes)?)
}

fn map(file: &File) -> io::Result<NonNull<AtomicU64>> {
    let length = NonZeroUsize::new(BYTES).ok_or_else(|| io::Error::other("nothing to map"))?;
    let (access, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED);
    // SAFETY: a new mapping of a file of ours; it is reached through `Board` alone.
    #[expect(unsafe_code, reason = "memory that is shared with another process")]
    let words = unsafe { mmap(None, length, access, flags, file, 0) }?;
    Ok(words.cast())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Which boot of the machine this is.
fn boot() -> u64 {
    number(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim())
}

/// Which network namespace this is: by its cookie, which is never used again, else by its number.
pub fn space() -> u64 {
    let socket = std::os::unix::net::UnixDatagram::unbound().ok();
    let cookie = socket.and_then(|socket| {
        let (mut value, mut length) = (0u64, 8 as libc::socklen_t);
        // SAFETY: `value` has room for the 8 bytes that `length` names.
        #[expect(unsafe_code, reason = "a socket option that no crate of ours names")]
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NETNS_COOKIE,
                std::ptr::from_mut(&mut value).cast(),
                &mut length,
            )
        };
        (result == 0).then_some(value)
    });
    let inode = || {
        let seen = std::fs::metadata("/proc/thread-self/ns/net").ok();
        seen.map_or(0, |seen| std::os::unix::fs::MetadataExt::ino(&seen))
    };
    cookie.unwrap_or_else(inode)
}

#[cfg(test)]
mod tests;
