//! The control socket: a thread of its own whose clients ask the worker. Without a door the daemon runs all the same.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use super::threads;
use crate::board::{Board, Thread};
use crate::control::server::{Ask, serve};
use crate::control::socket::Socket;

/// Requests that wait for the worker; the next client waits before that.
const WAITING: usize = 64;

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
    socket: Option<Socket>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Without a thread nobody else holds the other end, and nothing ever comes.
    _other_end: mpsc::Sender<Ask>,
}

impl Door {
    /// Opens the door; what hinders it is logged. `None`: no door is wanted.
    pub(super) fn open(path: Option<&Path>, group: Option<&str>, board: Option<&Arc<Board>>) -> Self {
        let (other_end, asks) = mpsc::channel(WAITING);
        let mut door = Self { asks, socket: None, end: None, thread: None, _other_end: other_end.clone() };
        let Some(path) = path else { return door };
        let (listener, socket) = match Socket::bind(path) {
            Ok(bound) => bound,
            Err(error) => {
                tracing::error!("no commands reach this daemon: {error}");
                return door;
            }
        };
        let (end, ended) = oneshot::channel();
        match serving(listener, other_end, ended, board) {
            Ok(thread) => {
                door.thread = Some(thread);
                door.end = Some(end);
                door.socket = Some(socket);
                door.allow(group);
                tracing::debug!("commands come in at {}", path.display());
            }
            Err(error) => {
                tracing::error!("no commands reach this daemon: cannot start their thread: {error}");
            }
        }
        door
    }

    /// Once more, where it could not be opened.
    pub(super) fn open_again(
        &mut self,
        path: Option<&Path>,
        group: Option<&str>,
        board: Option<&Arc<Board>>,
    ) {
        if path.is_some() && self.thread.is_none() {
            *self = Self::open(path, group, board);
        }
    }

    /// Who may use it beside root.
    pub(super) fn allow(&self, group: Option<&str>) {
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

fn serving(
    listener: std::os::unix::net::UnixListener,
    asks: mpsc::Sender<Ask>,
    ended: oneshot::Receiver<()>,
    board: Option<&Arc<Board>>,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = threads::runtime_of(Thread::Control, board)?;
    let listener = {
        let _inside = runtime.enter();
        UnixListener::from_std(listener)?
    };
    threads::spawn("control", move || {
        runtime.block_on(serve(listener, asks, ended));
        runtime.shutdown_timeout(Duration::from_millis(200));
    })
}
