//! Signals that ask for dump files, as keepalived has them.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Worker;
use crate::core::dump::{Places, Seen};
use crate::core::dumper::{Job, What};
use crate::core::scripts;

/// The signals.
pub(super) struct Asked {
    data: Signal,
    stats: Signal,
    json: Signal,
    clear: Signal,
    /// It means nothing (keepalived's developers have a use for it), and would end a process that does not hear it.
    _unused: Signal,
}

impl Asked {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            data: signal(SignalKind::user_defined1())?,
            stats: signal(SignalKind::user_defined2())?,
            json: signal(SignalKind::from_raw(libc::SIGRTMIN() + 2))?,
            clear: signal(SignalKind::from_raw(libc::SIGRTMAX() - 1))?,
            _unused: signal(SignalKind::from_raw(libc::SIGRTMAX()))?,
        })
    }

    /// The next request. Signals of one kind that come together are one.
    pub(super) async fn next(&mut self) -> What {
        tokio::select! {
            _ = self.data.recv() => What::Data,
            _ = self.stats.recv() => What::Stats,
            _ = self.json.recv() => What::Json,
            _ = self.clear.recv() => What::ClearStats,
        }
    }
}

impl Worker {
    /// Hands it to the thread that writes files.
    pub(super) fn dump(&mut self, what: What) {
        let folder = std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty());
        let folder = folder.map_or_else(|| "/tmp".into(), std::path::PathBuf::from);
        let umask = scripts::mask(&self.config.global_defs);
        let namespace = self.options.pids.as_ref().and_then(|pids| pids.namespace.as_deref());
        let places = Places::of(&self.config, &folder, namespace, umask);
        self.dump_to(what, places);
    }

    /// The same to these places.
    pub(super) fn dump_to(&mut self, what: What, places: Places) {
        let seen = Seen {
            config: Arc::clone(&self.config),
            links: Arc::clone(&self.net.links.borrow()),
            values: self.trackers.values(),
            sessions: Arc::clone(&self.bfd.states.borrow()),
        };
        let (vrrp, check) = (self.vrrp.mailbox.clone(), self.check.asker.clone());
        self.dumper.ask(Job { what, seen, vrrp, check, places });
    }
}
