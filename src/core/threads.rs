//! The helper threads and what connects them: net, check and ipvs, each with a runtime or a loop of its own.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use super::fault;
use super::scheduling::{Reins, of_checks};
use crate::alarm::Awake;
use crate::board::{Board, Thread};
use crate::check;
use crate::check::outside::Outside;
use crate::check::recalled::Recalled;
use crate::clock;
use crate::config::model::{Config, Global};
use crate::ipvs::kernel::{self, Desired};
use crate::ipvs::socket;
use crate::ipvs::table::Table;
use crate::net::link::Links;
use crate::net::space::Space;
use crate::net::wanted::Wanted;
use crate::net::watch::Culprits;
use crate::net::writer::{Applied, Inputs};
use crate::net::{buffers, monitor, writer};
use crate::vrrp::mailbox::Mailbox;

/// Capacity of the channels that carry events: more than any burst of transitions.
pub(super) const EVENTS: usize = 1024;

/// How often a thread that never waits says that it goes on: several times within what the supervisor grants it, and seldom
/// enough to wake no idle machine.
const PROGRESS: Duration = Duration::from_secs(20);
/// Threads whose runtime hands work to helpers: files, the user database, long texts. Each has its first helper from the
/// start, and keeps it. When the machine has no thread for us any more (RLIMIT_NPROC, pids.max) the work waits for that one;
/// without any tokio would panic, and another worker could not be started either.
const HELPED: [Thread; 3] = [Thread::Main, Thread::Check, Thread::Control];
/// They are kept, so they are few: more work waits for its turn.
const HELPERS: usize = 32;
/// As good as: timers have their limits.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The net thread's outputs.
pub(super) struct Net {
    /// The interfaces as they are.
    pub(super) links: watch::Receiver<Arc<Links>>,
    /// What the writer last did.
    pub(super) applied: watch::Receiver<Applied>,
    /// What should be there as long as the daemon runs; goes when the wish of the instances ends.
    pub(super) fixed: watch::Sender<Arc<Wanted>>,
    /// Only its generation, for whoever waits for addresses.
    pub(super) generation: watch::Receiver<u64>,
    /// Ends after the last apply, once the vrrp thread has dropped its wish.
    pub(super) thread: JoinHandle<()>,
}

/// Starts the monitor and the writer of addresses, routes and rules; links and applied generations go on to the vrrp
/// thread. `fixed`: what is there whatever the instances do.
pub(super) fn net(
    links_out: watch::Sender<Arc<Links>>,
    wanted: watch::Receiver<Arc<Wanted>>,
    fixed: Wanted,
    vrrp: Mailbox,
    board: Option<&Arc<Board>>,
) -> io::Result<Net> {
    let (fixed_out, fixed) = watch::channel(Arc::new(fixed));
    let links = links_out.subscribe();
    let (applied_out, applied) = watch::channel(Applied::default());
    let (generation_out, generation) = watch::channel(0);
    let mut to_forward = applied.clone();
    let mut links_to_forward = links.clone();
    let links_told = links.clone();
    let runtime = runtime_of(Thread::Net, board)?;
    let thread = spawn("net", move || {
        runtime.block_on(async move {
            let culprits = Culprits::default();
            let noted = culprits.clone();
            tokio::spawn(async move { monitor::run_with(links_out, &noted).await });
            let mailbox = vrrp.clone();
            tokio::spawn(async move {
                while links_to_forward.changed().await.is_ok() {
                    let links = links_to_forward.borrow_and_update().clone();
                    mailbox.links(links);
                }
            });
            let forward = tokio::spawn(async move {
                while to_forward.changed().await.is_ok() {
                    let generation = to_forward.borrow_and_update().generation;
                    vrrp.applied(generation);
                    generation_out.send_replace(generation);
                }
            });
            tokio::select! {
                () = writer::run_with(Inputs { wanted, fixed, links, culprits }, applied_out) => {}
                () = fault::strike(Thread::Net) => {}
            }
            // The last generation is told, too: stop scripts wait for it.
            let _ = forward.await;
        });
    })?;
    Ok(Net { links: links_told, applied, fixed: fixed_out, generation, thread })
}

/// The check thread's outputs.
pub(super) struct Check {
    /// Taken at the end: without it the thread publishes an empty table and ends.
    config: Option<watch::Sender<Arc<Config>>>,
    /// What FILE_CHECK and BFD_CHECK go by.
    outside: watch::Sender<Arc<Outside>>,
    /// Addresses of this host that `ha_suspend` looks at.
    pub(super) carried: watch::Sender<Arc<BTreeSet<IpAddr>>>,
    /// The table that should be in the kernel.
    pub(super) table: watch::Receiver<Arc<Table>>,
    /// Servers and quorums that came and went, to be told; nothing is decided by them, since a full channel loses some.
    pub(super) events: mpsc::Receiver<check::Event>,
    /// Who wants to know what the checks know of every server asks here.
    pub(super) asker: check::status::Asker,
    pub(super) thread: JoinHandle<()>,
    reins: Reins,
}

impl Check {
    /// Another configuration; equal checkers keep their state.
    pub(super) fn configure(&mut self, config: Arc<Config>) {
        self.reins.configure(of_checks(&config.global_defs));
        if let Some(sender) = &self.config {
            sender.send_replace(config);
        }
    }

    /// Files and sessions as they are now; before the configuration whose checkers ask for them.
    pub(super) fn tell(&self, outside: Outside) {
        self.outside.send_if_modified(|last| {
            let differs = **last != outside;
            if differs {
                *last = Arc::new(outside);
            }
            differs
        });
    }

    /// Lets the thread end.
    pub(super) fn end(&mut self) {
        self.config = None;
    }
}

/// Starts the checkers. Beside them comes the end of whoever goes by their quorums.
pub(super) fn check(
    config: Arc<Config>,
    outside: Outside,
    recalled: Recalled,
    seed: u64,
    board: Option<&Arc<Board>>,
) -> io::Result<(Check, check::tracked::Follower)> {
    let reins = Reins::new(of_checks(&config.global_defs));
    let prepare = reins.prepare();
    let (outside_out, outside) = watch::channel(Arc::new(outside));
    let (config_out, config) = watch::channel(config);
    let (carried_out, carried) = watch::channel(Arc::default());
    let (table_out, table) = watch::channel(Arc::new(Table::new()));
    let (events_out, events) = mpsc::channel(EVENTS);
    let (asker, asked) = check::status::asker();
    let (follower, quorums) = check::tracked::channel();
    let outputs = check::driver::Outputs { table: table_out, events: events_out, quorums, asked };
    let runtime = runtime_of(Thread::Check, board)?;
    let thread = spawn("check", move || {
        prepare();
        runtime.block_on(async {
            tokio::select! {
                () = check::driver::run_with(config, outside, carried, recalled, seed, outputs) => {}
                () = fault::strike(Thread::Check) => {}
            }
        });
    })?;
    let check = Check {
        config: Some(config_out),
        outside: outside_out,
        carried: carried_out,
        table,
        events,
        asker,
        thread,
        reins,
    };
    Ok((check, follower))
}

/// The ipvs thread's ends.
pub(super) struct Ipvs {
    /// Dropping it ends the thread after the last value is applied.
    pub(super) desired: watch::Sender<Arc<Desired>>,
    /// What the programmer last did.
    pub(super) report: watch::Receiver<kernel::Report>,
    pub(super) thread: JoinHandle<()>,
}

/// Starts the IPVS programmer. It opens nothing until there is a service to program. `space`: where IPVS is, if not here.
pub(super) fn ipvs(board: Option<&Arc<Board>>, space: Option<Space>) -> io::Result<Ipvs> {
    let (desired_out, desired) = watch::channel(Arc::new(Desired::default()));
    let (report_out, report) = watch::channel(kernel::Report::default());
    let board = board.cloned();
    let busy = move |busy| match &board {
        Some(board) if busy => {
            board.busy(Thread::Ipvs, clock::since_boot());
            fault::strike_now(Thread::Ipvs);
        }
        Some(board) => board.idle(Thread::Ipvs),
        None => {}
    };
    let thread = spawn("ipvs", move || match space {
        None => kernel::run(desired, report_out, &busy),
        Some(space) => {
            let enter = || space.enter().map_err(|error| error.to_string());
            kernel::run_elsewhere(desired, report_out, &busy, &enter);
        }
    })?;
    Ok(Ipvs { desired: desired_out, report, thread })
}

/// Receive buffers of netlink sockets that are opened from now on. The interfaces are followed once for all rooms, so the
/// larger one of both words counts.
pub(super) fn size_buffers(global: &Global) {
    use buffers::{Size, Use};
    let (bytes, force) = (global.vrrp_netlink_cmd_rcv_bufs, global.vrrp_netlink_cmd_rcv_bufs_force);
    buffers::set(Use::Commands, Size::of(bytes, force));
    let (bytes, force) = (global.vrrp_netlink_monitor_rcv_bufs, global.vrrp_netlink_monitor_rcv_bufs_force);
    let vrrp = Size::of(bytes, force);
    let (bytes, force) = (global.lvs_netlink_monitor_rcv_bufs, global.lvs_netlink_monitor_rcv_bufs_force);
    buffers::set(Use::Monitor, Size::larger(vrrp, Size::of(bytes, force)));
    let force = global.lvs_netlink_cmd_rcv_bufs_force == Some(true);
    socket::set_receive_queue(global.lvs_netlink_cmd_rcv_bufs.unwrap_or(0), force);
}

/// A runtime of one thread that says on the board when it is busy and when it waits. One that always has something to do never
/// waits; it is no thread that hangs, and says so now and then.
pub(super) fn runtime_of(thread: Thread, board: Option<&Arc<Board>>) -> io::Result<tokio::runtime::Runtime> {
    runtime_that_says(thread, board, PROGRESS)
}

fn runtime_that_says(
    thread: Thread,
    board: Option<&Arc<Board>>,
    every: Duration,
) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let mut awake = None;
    if let Some(board) = board {
        let timer = Arc::new(Awake::new(every)?);
        let (idle, busy) = (Arc::clone(board), Arc::clone(board));
        let (parks, wakes) = (Arc::clone(&timer), Arc::clone(&timer));
        builder.on_thread_park(move || {
            parks.parks();
            idle.idle(thread);
        });
        builder.on_thread_unpark(move || {
            busy.busy(thread, clock::since_boot());
            wakes.wakes();
        });
        awake = Some((Arc::clone(board), timer));
    }
    builder.thread_keep_alive(FOR_EVER).max_blocking_threads(HELPERS);
    let runtime = builder.enable_all().build()?;
    if HELPED.contains(&thread) {
        drop(runtime.spawn_blocking(|| ()));
    }
    if let Some((board, awake)) = awake {
        // A task among the others: it has its turn as long as none of them holds the thread up. With no other the thread goes
        // on to wait, and says that.
        runtime.spawn(async move {
            awake.each(|| board.busy(thread, clock::since_boot())).await;
        });
    }
    Ok(runtime)
}

/// A runtime of one thread.
pub(super) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A thread; main hears of its end.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let whole = move || {
        let _end = End;
        body();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(whole)
}

/// Some thread has ended, in whichever way.
static ENDED: Notify = Notify::const_new();

/// Tells it, also when the thread panics.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        ENDED.notify_one();
    }
}

/// A thread is about to be gone: a moment later its handle says so.
pub(super) async fn one_ends() {
    ENDED.notified().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_thread_that_is_never_idle_goes_on_and_one_that_hangs_does_not() {
        const EVERY: Duration = Duration::from_millis(10);
        let folder = PathBuf::from(format!("/dev/shm/tandem-threads-{}", std::process::id()));
        let (board, _) = Board::take(&folder, "").expect("a board");
        let runtime = runtime_that_says(Thread::Check, Some(&board), EVERY).expect("a runtime");
        runtime.block_on(async {
            // Others that always have something to do: the thread never waits.
            for _ in 0..100 {
                tokio::spawn(async {
                    loop {
                        tokio::task::yield_now().await;
                    }
                });
            }
            tokio::time::sleep(EVERY).await;
            let begun = clock::since_boot();
            tokio::time::sleep(EVERY * 10).await;
            let since = board.busy_since(Thread::Check).expect("it is busy");
            assert!(since > begun, "it has gone on");
            let begun = clock::since_boot();
            let end = clock::now() + EVERY * 10;
            while clock::now() < end {}
            assert!(board.busy_since(Thread::Check).expect("it is busy") <= begun, "nobody had his turn");
        });
        std::fs::remove_dir_all(folder).expect("its folder");
    }

    #[test]
    fn an_idle_thread_says_that_it_waits() {
        let folder = PathBuf::from(format!("/dev/shm/tandem-idle-{}", std::process::id()));
        let (board, _) = Board::take(&folder, "").expect("a board");
        let every = Duration::from_millis(10);
        let runtime = runtime_that_says(Thread::Net, Some(&board), every).expect("a runtime");
        let (tell, told) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::time::sleep(every * 20).await;
                drop(tell);
            });
        });
        let (mut looks, mut idle) = (0, 0);
        while told.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            looks += 1;
            idle += u32::from(board.busy_since(Thread::Net).is_none());
            std::thread::park_timeout(Duration::from_micros(100));
        }
        thread.join().expect("its end");
        assert!(looks > 0 && idle * 2 > looks, "it was idle at {idle} of {looks} looks");
        std::fs::remove_dir_all(folder).expect("its folder");
    }
}
