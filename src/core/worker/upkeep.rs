//! What the worker looks after beside its events: appointments for reloads, copies of configurations, settings of the process
//! and of the namespace that IPVS is in.

use std::sync::Arc;
use std::time::Instant;

use crate::clock;
use crate::core::director::elsewhere::Elsewhere;
use crate::core::lastgood::LastGood;
use crate::core::memory::{self, SETTLED};
use crate::core::options::Options;
use crate::core::scheduling::Common;

use super::Worker;
use super::saving::Saves;
use super::timing::Timing;

/// All of that.
pub(super) struct Upkeep {
    /// `reload_time_file`.
    pub(super) timing: Timing,
    /// `config_save_dir`.
    pub(super) saves: Saves,
    /// What a worker after this one falls back on.
    pub(super) good: LastGood,
    /// `director_sysctl` where IPVS is elsewhere.
    pub(super) elsewhere: Elsewhere,
    /// Locked memory and limits.
    pub(super) common: Common,
    /// Some thread has ended since the last look.
    pub(super) stirred: bool,
    /// When what the start or a reload needed is given back.
    settles: Option<Instant>,
}

impl Upkeep {
    /// Of a daemon with these options. `keeps`: another worker may take our place, and the run folder is ours.
    pub(super) fn new(options: &Options, keeps: bool) -> Self {
        Self {
            timing: Timing::default(),
            saves: Saves::default(),
            good: LastGood::new(options, keeps),
            elsewhere: Elsewhere::default(),
            common: Common::default(),
            stirred: false,
            settles: None,
        }
    }

    /// Nobody waits for the next look.
    pub(super) const fn is_calm(&self) -> bool {
        !self.stirred && self.settles.is_none()
    }

    /// A look, at that time.
    pub(super) fn settle(&mut self, now: Instant) {
        self.stirred = false;
        if self.settles.take_if(|at| *at <= now).is_some() {
            memory::in_pieces();
            memory::forget_program();
        }
    }
}

impl Worker {
    /// At start and after each reload, whatever became of it: the configuration in force counts.
    pub(super) fn look_after(&mut self) {
        self.tell_patience();
        self.upkeep.settles = Some(clock::now() + SETTLED);
        let global = &self.config.global_defs;
        self.upkeep.timing.configure(global);
        self.upkeep.common.configure(global);
    }

    /// A configuration has been taken over: a worker after this one goes on with it, should its file break.
    pub(super) fn keep_good(&mut self) {
        let (base, bare) = (Arc::clone(self.overlay.base()), self.overlay.bare().cloned());
        self.upkeep.good.keep(base, bare);
    }

    /// `reload_time_file`: it is time.
    pub(super) async fn timed_reload(&mut self) {
        self.upkeep.timing.begins();
        drop(self.reload(Some("reload_time_file")).await);
    }
}
