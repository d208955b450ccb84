//! How the daemon ends: orderly, or so that another process goes on with everything as it is.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::board::Thread;
use crate::clock;
use crate::config::model::{Config, FlushOnStop};
use crate::core::error::Error;
use crate::core::exit;
use crate::core::lifeline::Word;
use crate::core::scripts;
use crate::vrrp::track;

use super::chronicle::LEFT;
use super::{Worker, log_bfd};

/// How long each part may take to leave at stop, where the file does not say (`child_wait_time`).
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// Less would leave behind what only needs its turn: a priority of 0 to the peer, an address.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long stop scripts may take: keepalived gives them about one second.
const STOP_SCRIPTS: Duration = Duration::from_secs(1);
/// What is left of that when no advert leaves any more, because another process is about to go on: pipes are read to their
/// end, and scripts are told of what happened in the last moment.
const LAST_TOLD: Duration = Duration::from_millis(100);

/// Exit code of a worker that fell: another one goes on.
pub(super) const FALLEN: i32 = 70;

/// What is to become of what is in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It goes, in order.
    Stopped,
    /// It stays: another process goes on at once.
    Left,
}

/// How long each part may take to leave: `child_wait_time`.
fn patience(config: &Config) -> Duration {
    config.child_wait_time.map_or(STOP_PATIENCE, |time| time.0.max(LEAST_PATIENCE))
}

impl Worker {
    /// The supervisor is to wait no less than we do.
    pub(super) fn tell_patience(&self) {
        self.lifeline.say_patience(patience(&self.config));
    }

    /// A thread that has ended by itself.
    pub(super) fn dead_thread(&self) -> Option<Thread> {
        let ended = [
            (Thread::Net, self.net.thread.is_finished()),
            (Thread::Check, self.check.thread.is_finished()),
            (Thread::Ipvs, self.ipvs.thread.is_finished()),
            (Thread::Devices, self.devices.ended()),
        ];
        ended.into_iter().find_map(|(thread, ended)| ended.then_some(thread))
    }

    /// Ends at once, as a crash would: the supervisor starts another worker, which goes on.
    pub(super) fn fall(self, error: &Error) -> ! {
        tracing::error!("{error}");
        exit::exit(FALLEN)
    }

    /// Ends without a trace: no advert, no script, no change of the kernel. All that may take its time comes first: adverts
    /// go on until there is next to nothing left to do.
    pub(super) async fn leave(mut self) {
        tracing::info!("leaving everything as it is for the process that goes on");
        let patience = patience(&self.config);
        self.chronicle.daemon("info", LEFT, "leaves everything as it is for the process that goes on");
        // Whoever asked for it gets his answer first: the door waits for that.
        self.door.close();
        let kept = self.keep_last();
        self.teller.settle(STOP_SCRIPTS).await;
        if !wait_for(patience, || kept.is_finished() && self.disk.is_idle()).await {
            tracing::error!(
                "the disk does not take the overrides: the next start may not know the last of them"
            );
        }
        // From here on nobody hears of us: it must not take as long as the peer waits.
        self.vrrp.mailbox.leave();
        if !wait_for(patience, || self.vrrp.ended()).await {
            tracing::error!("the vrrp thread does not end");
        }
        while let Ok(report) = self.reports.try_recv() {
            self.take_report(&report);
        }
        // What is remembered is told by nobody else.
        while let Ok(event) = self.check.events.try_recv() {
            self.take_check(&event);
        }
        // Before the trackers say nothing any more.
        self.remember();
        // Scripts that run are ended: the next process starts them anew.
        self.trackers.configure(track::Plan::default(), clock::now());
        self.restart.remember_last().await;
        self.chronicle.end().await;
        self.teller.finish(LAST_TOLD).await;
        tracing::info!("left");
        // What threads hold is not taken down: whoever goes on finds it.
        exit::exit(0);
    }

    /// Addresses first, so that the peer takes over; then the table; then what scripts have to say.
    pub(super) async fn stop(mut self) {
        self.lifeline.say(Word::Stopping);
        let patience = patience(&self.config);
        self.chronicle.daemon("info", "stopped", "stops");
        // Before all that a disk or a client could hold up: until then the peer does not take over.
        if self.options.keep_addresses {
            self.vrrp.mailbox.leave();
        } else {
            self.vrrp.mailbox.stop();
        }
        self.door.close();
        let kept = self.keep_last();
        self.trackers.configure(track::Plan::default(), clock::now());
        if !wait_for(patience, || self.vrrp.ended()).await {
            tracing::error!("the vrrp thread does not end");
        }
        while let Ok(report) = self.reports.try_recv() {
            self.take_report(&report);
        }
        let bfd = self.bfd.end();
        self.check.end();
        let _ = wait_for(patience, || self.check.thread.is_finished()).await;
        let mut last = Vec::new();
        while let Ok(event) = self.check.events.try_recv() {
            last.push(event);
        }
        for event in &last {
            self.take_check(event);
        }
        // Our services go in one message each whatever is said: that is lvs_flush_on_stop VS. Without it everybody's.
        let flushes = self.config.global_defs.lvs_flush_on_stop == Some(FlushOnStop::All);
        if !self.options.keep_table {
            self.marking.end();
            self.ipvs.desired.send_replace(Arc::new(self.wish.last(flushes)));
        }
        drop(self.ipvs.desired);
        if let Some(thread) = bfd {
            leave("bfd", thread, patience).await;
        }
        while let Ok(report) = self.bfd.reports.try_recv() {
            log_bfd(&report);
            self.chronicle.bfd(&report);
        }
        leave("ipvs", self.ipvs.thread, patience).await;
        if !self.options.keep_addresses {
            leave("net", self.net.thread, patience).await;
            leave("devices", self.devices.end(), patience).await;
        }
        if !(self.options.keep_addresses || self.options.keep_table) {
            // Not before they are gone: should we be killed until then, the supervisor takes them off by what is remembered.
            self.restart.forget(&self.options);
        }
        self.upkeep.good.forget();
        self.upkeep.elsewhere.end(&self.config);
        self.chronicle.end().await;
        self.teller.finish(STOP_SCRIPTS).await;
        scripts::run_around(scripts::Around::Shutdown, &self.config.global_defs).await;
        if !wait_for(patience, || kept.is_finished() && self.disk.is_idle()).await {
            tracing::error!(
                "the disk does not take the overrides: the next start may not know the last of them"
            );
        }
        tracing::info!("stopped");
    }
}

async fn leave(name: &str, thread: JoinHandle<()>, patience: Duration) {
    if !wait_for(patience, || thread.is_finished()).await {
        tracing::error!("the {name} thread does not end within {patience:?}: left behind");
    } else if thread.join().is_err() {
        tracing::error!("the {name} thread ended by a panic");
    }
}

/// Waits until something is so, or the patience is over.
async fn wait_for(patience: Duration, done: impl Fn() -> bool) -> bool {
    let deadline = clock::now() + patience;
    while !done() {
        if clock::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::units::Secs;

    #[test]
    fn each_part_has_the_time_that_the_file_gives_it() {
        for (text, wanted) in [(None, 5), (Some(0), 1), (Some(1), 1), (Some(30), 30)] {
            let config = Config { child_wait_time: text.map(Secs::from_secs), ..Config::default() };
            assert_eq!(patience(&config), Duration::from_secs(wanted), "{text:?}");
        }
    }
}
