//! FRR's bfdd, with the zebra that it learns addresses from.

use std::fs;

use super::*;

/// bfdd in a host. Its log tells every change.
pub(crate) struct Frr {
    bfdd: process::Process,
    _zebra: process::Process,
    log: String,
}

impl Frr {
    /// Starts both with these lines below `bfd`.
    pub(crate) fn start(lab: &Lab, host: &str, peers: &str) -> Self {
        let room = lab::frr::Room::new(lab, host);
        let log = room.path("bfdd.log");
        let text = format!("log file {log} debugging\ndebug bfd peer\nbfd\n{peers}\n");
        let zebra = room.zebra(lab);
        let bfdd = room.daemon(lab, "bfdd", &text, &["--bfdctl", &room.path("ctl")]);
        Self { bfdd, _zebra: zebra, log }
    }

    /// How long its log is.
    pub(crate) fn mark(&self) -> usize {
        self.said().len()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until the session with this peer changes to `state`; the time when that was seen.
    #[track_caller]
    pub(crate) fn wait_state(&self, mark: usize, peer: &str, state: &str) -> Instant {
        let ending = format!("-> {state}");
        let change = |line: &&str| line.contains(&format!("peer:{peer} ")) && line.contains(&ending);
        wait(&format!("bfdd: {peer} {state}"), patience(), || {
            self.said().get(mark..).unwrap_or_default().lines().any(|line| change(&line))
        });
        now()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.bfdd.kill();
    }
}
