//! What a worker tells its supervisor of its life, a word a line; systemd hears of most of it. Pure.

/// What a worker has to say of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The start script runs.
    Startup,
    /// It has ended, or there is none.
    Started,
    /// Sockets are open, the first state is in the kernel.
    Ready,
    /// A reload has begun.
    Reloading,
    /// It is over.
    Reloaded,
    /// It stops in order.
    Stopping,
    /// A client wants another program in our place.
    Upgrade,
}

impl Word {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Startup,
        Self::Started,
        Self::Ready,
        Self::Reloading,
        Self::Reloaded,
        Self::Stopping,
        Self::Upgrade,
    ];

    /// Its line.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Reloading => "reloading",
            Self::Reloaded => "reloaded",
            Self::Stopping => "stopping",
            Self::Upgrade => "upgrade",
        }
    }

    /// The word of a line.
    pub(super) fn of(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.text() == line)
    }
}
