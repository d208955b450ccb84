//! The thread of the pair's channel from the daemon's side: started when the file names the other director, told what is in force
//! here, ended when the file names nobody any more. Nothing waits for it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};

use super::status::profile;
use super::threads;
use crate::channel::driver::{self, Incoming, Outgoing, Outputs, Point, Settings, Wanted};
use crate::channel::watch::{Note, Peer};
use crate::config::model::{Global, PairPoint};
use crate::core::overlay::Overlay;

/// Where the two directors talk when the file names no port.
pub const PORT: u16 = 9651;
/// Changes of the other director, and for it, that wait.
const WAITING: usize = 16;
/// Lines for the journal that wait.
const LINES: usize = 256;

/// The channel.
pub(super) struct Peering {
    notes_out: mpsc::Sender<Note>,
    orders_out: mpsc::Sender<Incoming>,
    /// What is worth a line in the journal.
    pub(super) notes: mpsc::Receiver<Note>,
    /// What the other director wants done here.
    pub(super) orders: mpsc::Receiver<Incoming>,
    running: Option<Running>,
}

struct Running {
    wanted: watch::Sender<Arc<Wanted>>,
    pushes: mpsc::Sender<Outgoing>,
    peer: watch::Receiver<Option<Arc<Peer>>>,
    thread: JoinHandle<()>,
}

/// What the file says of the pair; `None`: nothing, or not enough.
pub fn settings(global: &Global) -> Option<Settings> {
    let point = |at: &PairPoint| Point {
        address: at.address,
        interface: at.interface.clone(),
        port: at.port.unwrap_or(PORT),
    };
    Some(Settings {
        peer: point(global.pair_peer.as_ref()?),
        listen: global.pair_listen.as_ref().map(point),
        key_file: global.pair_key_file.as_ref()?.into(),
        accepts_changes: global.pair_accept_changes == Some(true),
    })
}

impl Peering {
    /// Channels, and no thread yet.
    pub(super) fn new() -> Self {
        let (notes_out, notes) = mpsc::channel(LINES);
        let (orders_out, orders) = mpsc::channel(WAITING);
        Self { notes_out, orders_out, notes, orders, running: None }
    }

    /// What is in force here from now on. Starts the thread where there is none, or it has died, and the file asks for it.
    pub(super) fn configure(&mut self, layers: &Overlay) {
        let Some(settings) = settings(&layers.base().global_defs) else {
            if self.running.take().is_some() {
                tracing::info!("pair_peer: the directors do not compare their configurations any more");
            }
            return;
        };
        let (base, overrides) = (Arc::clone(layers.base()), layers.overrides().to_vec());
        let name = nix::unistd::gethostname()
            .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned());
        let wanted = Arc::new(Wanted {
            settings,
            name,
            tandem: env!("CARGO_PKG_VERSION").to_owned(),
            objects: Arc::new(move |digest| profile::objects(&base, &overrides, digest)),
        });
        match self.running.as_ref().filter(|running| !running.thread.is_finished()) {
            Some(running) => {
                running.wanted.send_replace(wanted);
            }
            None => match start(wanted, self.notes_out.clone(), self.orders_out.clone()) {
                Ok(running) => self.running = Some(running),
                Err(error) => tracing::error!("pair_peer: the thread cannot be started: {error}"),
            },
        }
    }

    /// What is known of the other director; `None`: the file names none.
    pub(super) fn peer(&self) -> Option<Arc<Peer>> {
        self.running.as_ref().and_then(|running| running.peer.borrow().clone())
    }

    /// Who hands changes to it, and where it is said what came of them; `None`: the file names none.
    pub(super) fn pusher(&self) -> Option<(mpsc::Sender<Outgoing>, mpsc::Sender<Note>)> {
        self.running.as_ref().map(|running| (running.pushes.clone(), self.notes_out.clone()))
    }

    /// True when the thread has ended though nobody told it to.
    pub(super) fn died(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.thread.is_finished())
    }
}

fn start(
    wanted: Arc<Wanted>,
    notes: mpsc::Sender<Note>,
    orders: mpsc::Sender<Incoming>,
) -> io::Result<Running> {
    let (wanted, wanted_in) = watch::channel(wanted);
    let (pushes, pushes_in) = mpsc::channel(WAITING);
    let (peer_out, peer) = watch::channel(None);
    let runtime = threads::runtime()?;
    let thread = threads::spawn("pair", move || {
        let outputs = Outputs { peer: peer_out, notes, orders };
        if let Err(error) = runtime.block_on(driver::run(wanted_in, pushes_in, outputs)) {
            tracing::error!("pair_peer: {error}");
        }
        runtime.shutdown_background();
    })?;
    Ok(Running { wanted, pushes, peer, thread })
}
