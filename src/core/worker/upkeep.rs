//! What the worker looks after beside its events: appointments for reloads, copies of configurations, settings of the process
//! and of the namespace that IPVS is in.

use std::sync::Arc;

use crate::core::director::elsewhere::Elsewhere;
use crate::core::lastgood::LastGood;
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
        }
    }
}

impl Worker {
    /// At start and after each reload, whatever became of it: the configuration in force counts.
    pub(super) fn look_after(&mut self) {
        self.tell_patience();
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
        drop(self.reload().await);
    }
}
