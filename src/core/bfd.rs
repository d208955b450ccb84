//! The bfd thread from the daemon's side: started when the configuration first has a `bfd_instance`, asked to take
//! new settings at a reload, told to say Down at the end. Its states are there to be watched from the start,
//! whether it runs or not.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::bfd::driver::{self, Outputs, StartError};
use crate::bfd::params::Settings;
use crate::bfd::report::{Report, SessionStates};
use crate::config::model::Config;

use super::scheduling::{Reins, of_bfd};
use super::threads;

/// The bfd thread's ends.
pub(super) struct Bfd {
    outputs: Outputs,
    /// State of every session by the name of its `bfd_instance`; one that is missing is down.
    pub(super) states: watch::Receiver<Arc<SessionStates>>,
    /// Transitions and refusals, for the log.
    pub(super) reports: mpsc::Receiver<Report>,
    running: Option<driver::Handle>,
    reins: Reins,
}

impl Bfd {
    /// Channels, and no thread yet.
    pub(super) fn new() -> Self {
        let (states_out, states) = watch::channel(Arc::default());
        let (reports_out, reports) = mpsc::channel(threads::EVENTS);
        let outputs = Outputs { states: states_out, reports: reports_out };
        Self { outputs, states, reports, running: None, reins: Reins::default() }
    }

    /// Takes the sessions of a configuration over; those between the same ends keep their state. Starts the thread
    /// where there is none, or it has died, and sessions are asked for.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn configure(&mut self, config: &Config) -> Result<(), StartError> {
        let settings = Settings::of_config(config);
        match &self.running {
            Some(running) if !running.thread.is_finished() => {
                running.mailbox.reload(settings);
                self.reins.configure(of_bfd(&config.global_defs));
            }
            _ if settings.is_empty() => self.running = None,
            _ => {
                self.reins = Reins::new(of_bfd(&config.global_defs));
                self.running = Some(driver::spawn(settings, self.outputs.clone(), self.reins.prepare())?);
            }
        }
        Ok(())
    }

    /// True when the thread has ended though nobody told it to.
    pub(super) fn died(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.thread.is_finished())
    }

    /// Tells it to end; returns the thread to wait for.
    pub(super) fn end(&mut self) -> Option<std::thread::JoinHandle<()>> {
        let running = self.running.take()?;
        running.mailbox.stop();
        Some(running.thread)
    }
}
