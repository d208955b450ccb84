//! SIGHUP: from one configuration to the next, everywhere.

use std::sync::Arc;

use super::commands::log_without;
use super::{Worker, log_findings, setup};
use crate::clock;
use crate::config::fwmarks;
use crate::core::active::Active;
use crate::core::overlay;
use crate::core::reload::judge;
use crate::core::{memory, role, scripts, threads};
use crate::process;
use crate::vrrp::addresses;
use crate::vrrp::track;

impl Worker {
    /// A good file is taken over, only its differences; a bad one changes nothing and says why.
    pub(super) async fn reload(&mut self) {
        let path = self.options.config.clone();
        tracing::info!("SIGHUP: reading {} again", path.display());
        let (mut loaded, mut bare) = overlay::load(&path, &mut self.rereader);
        for config in [Some(&mut loaded.config), bare.as_mut()].into_iter().flatten() {
            fwmarks::assign(config, Some(&self.config));
        }
        log_findings(&loaded.diagnostics);
        let base = (!self.overlay.overrides().is_empty()).then(|| loaded.config.clone());
        let without = self.overlay.over(&mut loaded.config);
        let difference = match judge(&self.config, &loaded) {
            Ok(difference) => difference,
            Err(refusal) => {
                tracing::error!(
                    "reload of {} refused: {refusal}; the configuration in force goes on unchanged",
                    path.display()
                );
                return;
            }
        };
        let config = Arc::new(loaded.config);
        self.overlay.reloaded(base.map_or_else(|| Arc::clone(&config), Arc::new), bare);
        let running = std::mem::replace(&mut self.config, config);
        self.before = Arc::new(role::instances_alone(&running));
        log_without(&without);
        self.door.allow(self.config.global_defs.control_group.as_deref());
        process::set_policy(scripts::policy(&self.config.global_defs));
        threads::size_buffers(&self.config.global_defs);
        self.teller.configure(&self.config);
        self.trackers.configure(track::Plan::of(&self.config, scripts::tracked(&self.config)), clock::now());
        self.vrrp.mailbox.trackers(self.trackers.values());
        let plan = self.devices.configure(&self.config).await;
        self.vrrp.mailbox.reload(setup(&self.config, plan));
        self.net.fixed.send_modify(|current| {
            let mut next = addresses::fixed(&self.config);
            next.inherit(current);
            *current = Arc::new(next);
        });
        self.tell_check();
        self.check.configure(Arc::clone(&self.config));
        self.configure_bfd();
        self.active = Active::of(&self.config);
        self.marking.configure(&self.config);
        self.marking.follow(&self.config, &self.ipvs.report.borrow().table);
        self.program_settings();
        self.tell_carried();
        self.program_active();
        self.tell_faults();
        if !self.unseen {
            if running.global_defs.director_sysctl == Some(true) {
                // What is put back now is judged as it was before us.
                self.devices.settled().await;
            }
            self.judge_machine();
        }
        // Not before: to drop a large one takes longer than all that is urgent here.
        drop(running);
        memory::give_back();
        tracing::info!("reloaded {}: {difference}", path.display());
    }
}
