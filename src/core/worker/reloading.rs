//! SIGHUP: from one configuration to the next, everywhere.

use std::path::Path;
use std::sync::Arc;

use super::commands::log_without;
use super::startup::ReloadFile;
use super::{Worker, log_findings, setup};
use crate::clock;
use crate::config::diagnostic::{Diagnostic, Level};
use crate::config::fwmarks;
use crate::control::answer::Failure;
use crate::control::view::Done;
use crate::core::active::Active;
use crate::core::lifeline::Word;
use crate::core::overlay;
use crate::core::reload::{Difference, judge};
use crate::core::{memory, role, scripts, threads};
use crate::process;
use crate::vrrp::addresses;
use crate::vrrp::track;

/// Errors of a file that a client is told.
const NAMED: usize = 10;

impl Worker {
    /// A good file is taken over, only its differences; a bad one changes nothing and says why. `by`: who asked, where it
    /// was no signal.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(super) async fn reload(&mut self, by: Option<&str>) -> Result<Done, Failure> {
        let path = self.options.config.clone();
        let _under_way = ReloadFile::make(&self.config.global_defs);
        tracing::info!("SIGHUP: reading {} again", path.display());
        self.lifeline.say(Word::Reloading);
        self.save_state("pre");
        let outcome = self.take_file(&path).await;
        self.look_after();
        self.save_state("post");
        self.facts.reloaded(outcome.as_ref().err().map(|failure| failure.problem.as_str()));
        self.lifeline.say(Word::Reloaded);
        let told =
            outcome.as_ref().map(|(_, difference)| difference).map_err(|failure| failure.problem.as_str());
        self.chronicle.reload(told, &path.display().to_string(), by);
        outcome.map(|(done, _)| done)
    }

    async fn take_file(&mut self, path: &Path) -> Result<(Done, Difference), Failure> {
        let (mut loaded, mut bare) = overlay::load(&self.options, &mut self.rereader);
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
                let findings = worst(&loaded.diagnostics);
                self.save(Arc::new(loaded.config), &format!("refused, {refusal}"));
                let problem = format!("{refusal}; the configuration in force goes on unchanged{findings}");
                let cure =
                    format!("mend the file (tandem check {} says more), then reload again", path.display());
                return Err(Failure::new(409, "refused-file", problem, cure));
            }
        };
        let findings = loaded.diagnostics.iter().map(ToString::to_string).collect();
        let config = Arc::new(loaded.config);
        self.overlay.reloaded(base.map_or_else(|| Arc::clone(&config), Arc::new), bare);
        self.save(Arc::clone(self.overlay.base()), "taken over by a reload");
        self.keep_good();
        let running = std::mem::replace(&mut self.config, config);
        self.before = Arc::new(role::instances_alone(&running));
        log_without(&without);
        self.door.configure(&self.config.global_defs);
        self.door.open_again(self.options.control.as_deref(), &self.config.global_defs);
        process::set_policy(scripts::policy(&self.config.global_defs));
        threads::size_buffers(&self.config.global_defs);
        self.teller.configure(&self.config);
        self.trackers.configure(track::Plan::of(&self.config, scripts::tracked(&self.config)), clock::now());
        self.vrrp.mailbox.trackers(self.trackers.values());
        let plan = self.devices.configure(&self.config).await;
        let mut setup = setup(&self.config, plan);
        setup.orders = self.ordering.orders.in_force(&self.config);
        self.restart.own(&setup);
        self.vrrp.mailbox.reload(setup);
        self.tell_order_news(&running);
        self.net.fixed.send_modify(|current| {
            let mut next = addresses::fixed(&self.config);
            next.inherit(current);
            *current = Arc::new(next);
        });
        self.tell_check();
        self.check.configure(Arc::clone(&self.config));
        self.quorums.configure(&self.config);
        self.configure_bfd();
        self.active = Active::of(&self.config);
        self.marking.configure(&self.config);
        self.marking.follow(&self.config, &self.ipvs.report.borrow().table);
        self.program_settings();
        self.tell_carried();
        self.program_active();
        self.tell_faults();
        self.remember_addresses();
        self.keep_elsewhere();
        self.follow_parts();
        self.tell_pair();
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
        let done = format!("reloaded {}: {difference}", path.display());
        Ok((Done { done, findings }, difference))
    }
}

/// The errors among the findings, a few of them, for whoever asked.
fn worst(findings: &[Diagnostic]) -> String {
    let errors = findings.iter().filter(|finding| finding.level == Level::Error).take(NAMED);
    errors.map(|finding| format!("\n    {finding}")).collect()
}
