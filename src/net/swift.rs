//! The first addresses of a new master without a detour: no table is read, nothing is compared. A thread of its own asks
//! the kernel to add them, since any other netlink user may hold the kernel's lock for as long as it likes and adverts
//! wait for nobody; and says which are there, so that they are announced at once.
//!
//! It is the writer's outrider, not its rival: the [writer](super::writer) makes the same wish true by its own way,
//! finds these addresses in place, and takes away what came too late, since every address that comes wakes it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::address::{AddressKey, AddressSpec};
use super::address_codec;
use super::session::{Request, Session, flag, kind};

/// Jobs that may wait. What finds no room is left to the writer.
const JOBS: usize = 256;

/// One address on the interface with this index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub key: AddressKey,
    /// How it should be there.
    pub spec: AddressSpec,
    /// Kernel index of its interface.
    pub index: u32,
}

struct Job {
    places: Vec<Place>,
    epoch: u64,
}

/// The thread. It ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub struct Swift {
    jobs: Option<SyncSender<Job>>,
    epoch: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Swift {
    /// Starts the thread: `prepare` runs first in it, `placed` is called with the addresses that are there.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        prepare: impl FnOnce() + Send + 'static,
        placed: impl Fn(Vec<AddressKey>) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, todo) = sync_channel(JOBS);
        let epoch = Arc::new(AtomicU64::new(0));
        let current = Arc::clone(&epoch);
        let thread = std::thread::Builder::new().name("address".to_owned()).spawn(move || {
            prepare();
            run(&todo, &current, &placed);
        })?;
        Ok(Self { jobs: Some(jobs), epoch, thread: Some(thread) })
    }

    /// Has these addresses added. Never waits.
    pub fn place(&self, places: Vec<Place>) {
        if let Some(jobs) = &self.jobs {
            let epoch = self.epoch.load(Ordering::Acquire);
            // Full: the writer adds them.
            let _ = jobs.try_send(Job { places, epoch });
        }
    }

    /// Addresses are given up: what still waits is left to the writer, who knows which of them.
    pub fn recall(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Swift {
    fn drop(&mut self) {
        self.recall();
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has cost the writer nothing.
            let _ = thread.join();
        }
    }
}

fn run(todo: &Receiver<Job>, epoch: &AtomicU64, placed: &impl Fn(Vec<AddressKey>)) {
    // Opened before it is needed: that, too, takes its time.
    let mut session = Session::open().ok();
    while let Ok(job) = todo.recv() {
        if job.epoch != epoch.load(Ordering::Acquire) {
            continue;
        }
        let Some(open) = session.as_mut() else {
            session = Session::open().ok();
            continue;
        };
        let requests: Vec<Request> = job.places.iter().map(request).collect();
        // Whatever is refused, the writer tries again, and tells.
        let Ok(answers) = open.apply(&requests, "adding the first addresses") else {
            session = Session::open().ok();
            continue;
        };
        let there = |errno: Option<i32>| errno.is_none_or(|errno| errno == libc::EEXIST);
        let keys: Vec<AddressKey> = job
            .places
            .into_iter()
            .zip(answers)
            .filter(|(_, answer)| there(answer.as_ref().map(|refusal| refusal.errno)))
            .map(|(place, _)| place.key)
            .collect();
        if !keys.is_empty() {
            placed(keys);
        }
    }
}

fn request(place: &Place) -> Request {
    let body = address_codec::addition(&place.key, &place.spec, place.index);
    Request { kind: kind::NEW_ADDRESS, flags: flag::CREATE | flag::EXCLUSIVE, body }
}
