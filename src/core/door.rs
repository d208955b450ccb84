//! The control socket, and the door to the network where the file opens it: a thread of its own whose clients ask the worker.
//! Without a door the daemon runs all the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::threads;
use crate::board::{Board, Thread};
use crate::config::model::Global;
use crate::control::server::{Ask, Listen, serve, serve_network};
use crate::control::socket::Socket;
use crate::control::view::EventView;

/// Requests that wait for the worker; the next client waits before that.
const WAITING: usize = 64;

/// Events that a follower may be behind before it loses some.
const BEHIND: usize = 1024;

/// Where the socket is when nobody says otherwise, in the folder of the daemon.
pub fn default_path(folder: &Path, instance: &str) -> PathBuf {
    let name = match instance {
        "" => "control.sock".to_owned(),
        name => format!("control-{}.sock", name.replace(['/', '\0'], "_")),
    };
    folder.join(name)
}

/// The door.
#[derive(Debug)]
pub(super) struct Door {
    /// What clients ask.
    pub(super) asks: mpsc::Receiver<Ask>,
    /// What happens goes out here, to whoever follows it.
    pub(super) events: broadcast::Sender<Arc<EventView>>,
    /// Where the network may come in.
    network: watch::Sender<Option<Listen>>,
    socket: Option<Socket>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    board: Option<Arc<Board>>,
    /// Without a thread nobody else holds the other end, and nothing ever comes.
    other_end: mpsc::Sender<Ask>,
}

impl Door {
    /// Opens the door; what hinders it is logged. `path` `None`: no commands are wanted. What the file says of the network is
    /// listened at as well.
    pub(super) fn open(path: Option<&Path>, global: &Global, board: Option<&Arc<Board>>) -> Self {
        let (other_end, asks) = mpsc::channel(WAITING);
        let mut door = Self {
            asks,
            events: broadcast::channel(BEHIND).0,
            network: watch::Sender::new(Listen::of(global)),
            socket: None,
            end: None,
            thread: None,
            board: board.cloned(),
            other_end,
        };
        let (listener, socket) = path.and_then(bound).unzip();
        door.serve(listener);
        if door.thread.is_some() {
            door.socket = socket;
            door.configure(global);
        }
        door
    }

    /// The file has been read again: who may use the socket beside root, and where the network may come in.
    pub(super) fn configure(&mut self, global: &Global) {
        self.allow(global.control_group.as_deref());
        // Also where the words are the same: the token may be another one.
        self.network.send_replace(Listen::of(global));
        if self.thread.is_none() {
            self.serve(None);
        }
    }

    /// Starts the thread, where there is anything to listen at.
    fn serve(&mut self, listener: Option<std::os::unix::net::UnixListener>) {
        if listener.is_none() && self.network.borrow().is_none() {
            return;
        }
        let (end, ended) = oneshot::channel();
        let (asks, network) = (self.other_end.clone(), self.network.subscribe());
        match serving(listener, network, asks, ended, self.board.as_ref()) {
            Ok(thread) => {
                self.thread = Some(thread);
                self.end = Some(end);
            }
            Err(error) => {
                tracing::error!("no commands reach this daemon: cannot start their thread: {error}");
            }
        }
    }

    /// Once more, where the socket could not be made: its folder may have been full, or read-only.
    pub(super) fn open_again(&mut self, path: Option<&Path>, global: &Global) {
        let Some((listener, socket)) = path.filter(|_| self.socket.is_none()).and_then(bound) else { return };
        // The thread that serves the network alone, if there is one, begins anew with both.
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.serve(Some(listener));
        if self.thread.is_some() {
            self.socket = Some(socket);
            self.allow(global.control_group.as_deref());
        }
    }

    fn allow(&self, group: Option<&str>) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.allow(group) {
            let path = socket.path().display();
            tracing::error!("control_group: {error}; {path} is for root alone, mend the name and reload");
        }
    }

    /// Nobody comes in any more.
    pub(super) fn close(&mut self) {
        self.socket = None;
        self.end = None;
        self.asks.close();
        while self.asks.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // It ends within its own time limit.
            let _ = thread.join();
        }
    }
}

/// The socket in its place; what hinders it is logged.
fn bound(path: &Path) -> Option<(std::os::unix::net::UnixListener, Socket)> {
    match Socket::bind(path) {
        Ok(bound) => Some(bound),
        Err(error) => {
            tracing::error!("no commands reach this daemon: {error}");
            None
        }
    }
}

fn serving(
    listener: Option<std::os::unix::net::UnixListener>,
    network: watch::Receiver<Option<Listen>>,
    asks: mpsc::Sender<Ask>,
    ended: oneshot::Receiver<()>,
    board: Option<&Arc<Board>>,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = threads::runtime_of(Thread::Control, board)?;
    let listener = {
        let _inside = runtime.enter();
        listener.map(UnixListener::from_std).transpose()?
    };
    threads::spawn("control", move || {
        runtime.block_on(async {
            let local = async {
                match listener {
                    Some(listener) => serve(listener, asks.clone(), ended).await,
                    None => drop(ended.await),
                }
            };
            tokio::select! {
                () = local => {}
                () = serve_network(network, asks.clone()) => {}
            }
        });
        runtime.shutdown_timeout(Duration::from_millis(200));
    })
}
