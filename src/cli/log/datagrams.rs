//! The socket of a log daemon, which may be full, gone or another one with each line.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::clock;

/// How long a full socket is waited for, by the writing thread alone.
const PATIENCE: Duration = Duration::from_millis(200);
/// Pause between attempts at a socket that nobody listens at.
const PAUSE: Duration = Duration::from_secs(1);

/// The socket.
pub(super) struct Datagrams {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    /// When it was last tried in vain to reach it.
    failed: Option<Instant>,
}

impl Datagrams {
    /// That of the daemon that listens there.
    pub(super) fn to(path: &Path) -> Self {
        Self { path: path.to_owned(), socket: None, failed: None }
    }

    /// Sends a line by `send`, once more where the daemon was started anew and has another socket now.
    ///
    /// # Errors
    /// It is full, or nobody is there.
    pub(super) fn send(&mut self, send: impl Fn(&UnixDatagram) -> io::Result<()>) -> io::Result<()> {
        let mut again = true;
        loop {
            match send(self.connected()?) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) => {
                    self.socket = None;
                    if !std::mem::take(&mut again) {
                        return Err(error);
                    }
                }
            }
        }
    }

    fn connected(&mut self) -> io::Result<&UnixDatagram> {
        if self.socket.is_none() {
            let now = clock::now();
            if self.failed.is_some_and(|at| now.saturating_duration_since(at) < PAUSE) {
                return Err(io::ErrorKind::NotConnected.into());
            }
            self.failed = Some(now);
            let socket = UnixDatagram::unbound()?;
            socket.connect(&self.path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            self.failed = None;
            self.socket = Some(socket);
        }
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// A daemon that is busy, or is started anew: no socket, or nobody at it yet. The line may come through in a moment.
pub(super) fn may_come(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotConnected, NotFound, TimedOut, WouldBlock};
    [ConnectionRefused, ConnectionReset, NotConnected, NotFound, TimedOut, WouldBlock].contains(&error.kind())
}
