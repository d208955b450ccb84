//! Carries out what `telling.rs` says: programs into their queues, lines into pipes, mails into the outbox. Nothing here
//! waits for anybody.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::telling::{Happening, Line, Stream, Telling, tell};
use super::{alerts, scripts};
use crate::clock;
use crate::config::model::{Command, Config, Fifo, Global};
use crate::notify::fifo::{self, Plan};
use crate::notify::outbox::Event;
use crate::notify::post::Mailer;
use crate::notify::{Job, Notifier};
use crate::process;
use crate::vrrp::machine::StateName;

/// How long the readers of pipes may read on after the last line.
const READ_ON: Duration = Duration::from_millis(500);

/// A pipe of the configuration, with the streams that it gets.
struct Slot {
    word: &'static str,
    streams: &'static [Stream],
    pipe: Option<fifo::Fifo>,
}

/// Everybody who is told something.
pub struct Teller {
    notifier: Notifier,
    mailer: Mailer,
    pipes: Vec<Slot>,
    /// The last state line of each instance and group, and the state.
    last: Mutex<BTreeMap<String, (StateName, Line)>>,
}

impl Teller {
    /// Opens pipes, starts their readers and the mailer. `applied` says which generation of addresses is in place.
    /// Must be called on a runtime.
    pub fn start(config: &Config, applied: watch::Receiver<u64>) -> Self {
        let global = &config.global_defs;
        let slot = |word, streams| Slot { word, streams, pipe: None };
        let mut teller = Self {
            notifier: Notifier::new(applied),
            mailer: Mailer::start(alerts::relay(global, &alerts::host_name()), alerts::window(global)),
            pipes: vec![
                slot("notify_fifo", &[Stream::Vrrp, Stream::Lvs]),
                slot("vrrp_notify_fifo", &[Stream::Vrrp]),
                slot("lvs_notify_fifo", &[Stream::Lvs]),
            ],
            last: Mutex::default(),
        };
        teller.open_pipes(global);
        teller
    }

    /// After a reload: pipes that changed are closed and opened, the others keep their readers; the relay is the new
    /// one; `fifo_write_vrrp_states_on_reload` repeats the states.
    pub fn configure(&mut self, config: &Config) {
        let global = &config.global_defs;
        self.open_pipes(global);
        self.mailer.configure(alerts::relay(global, &alerts::host_name()), alerts::window(global));
        if global.fifo_write_vrrp_states_on_reload {
            let groups = config.vrrp_sync_group.iter().map(|group| format!("GROUP {}", group.name));
            let instances = config.vrrp_instance.iter().map(|instance| format!("INSTANCE {}", instance.name));
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            for (_, line) in groups.chain(instances).filter_map(|subject| last.get(&subject)) {
                self.write(line);
            }
        }
    }

    /// The state that an instance was last told to be in.
    pub fn state(&self, instance: &str) -> StateName {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&format!("INSTANCE {instance}")).map_or(StateName::Init, |(state, _)| *state)
    }

    /// An instance only goes on in another process: its state is known from now on, and nobody is told.
    pub fn adopt(&self, instance: &str, state: StateName) {
        self.adopt_as(format!("INSTANCE {instance}"), state);
    }

    /// The same of a sync group.
    pub fn adopt_group(&self, group: &str, state: StateName) {
        self.adopt_as(format!("GROUP {group}"), state);
    }

    fn adopt_as(&self, subject: String, state: StateName) {
        let text = state.to_string();
        let line = Line { stream: Stream::Vrrp, subject: subject.clone(), text };
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(subject, (state, line));
    }

    /// Tells an event under a configuration (for what a reload removed: the one before). `after` is the generation of
    /// addresses that must be in place before programs run, 0 = none.
    pub fn tell(&self, happening: Happening<'_>, config: &Config, after: u64) {
        let Some(telling) = tell(happening, config) else { return };
        self.remember(happening, &telling);
        let Telling { queue, supersedes, runs, env, line, mail, why } = telling;
        if let Some(line) = &line {
            self.write(line);
        }
        let global = &config.global_defs;
        let programs = runs.iter().filter_map(|run| scripts::told(run, &env, global)).collect();
        self.notifier.push(Job { queue, after, programs, why, supersedes });
        if let Some(letter) = mail {
            let at = clock::wall().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
            self.mailer.push(Event { subject: letter.subject, body: letter.body, at });
        }
    }

    /// Waits for programs and mails, each at most so long; pipes stay open, and what comes later is told, too.
    pub async fn settle(&self, limit: Duration) {
        tokio::join!(self.notifier.finish(limit), self.mailer.finish(limit));
    }

    /// Waits for programs, pipes' readers and mails, each at most so long.
    pub async fn finish(mut self, limit: Duration) {
        let pipes = std::mem::take(&mut self.pipes);
        let close = async {
            for fifo in pipes.into_iter().filter_map(|slot| slot.pipe) {
                fifo.close(READ_ON.min(limit), false).await;
            }
        };
        tokio::join!(self.notifier.finish(limit), self.mailer.finish(limit), close);
    }

    fn remember(&self, happening: Happening<'_>, telling: &Telling) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match (happening, &telling.line) {
            (Happening::Instance { state, .. } | Happening::Group { state, .. }, Some(line)) => {
                last.insert(line.subject.clone(), (state, line.clone()));
            }
            (Happening::Deleted { name, .. }, _) => {
                last.remove(&format!("INSTANCE {name}"));
            }
            _ => {}
        }
    }

    fn write(&self, line: &Line) {
        for slot in self.pipes.iter().filter(|slot| slot.streams.contains(&line.stream)) {
            if let Some(pipe) = &slot.pipe {
                pipe.tell(&line.subject, &line.text);
            }
        }
    }

    fn open_pipes(&mut self, global: &Global) {
        let wanted = [
            (&global.notify_fifo, &global.notify_fifo_script),
            (&global.vrrp_notify_fifo, &global.vrrp_notify_fifo_script),
            (&global.lvs_notify_fifo, &global.lvs_notify_fifo_script),
        ];
        let mut paths: Vec<PathBuf> = Vec::new();
        for (slot, (pipe, reader)) in self.pipes.iter_mut().zip(wanted) {
            let mut plan = pipe.as_ref().and_then(|pipe| plan(slot.word, pipe, reader.as_ref(), global));
            if let Some(twice) = plan.take_if(|plan| paths.contains(&plan.path)) {
                let path = twice.path.display();
                tracing::error!("{}: {path} is another pipe already; name a path of its own", slot.word);
            }
            paths.extend(plan.as_ref().map(|plan| plan.path.clone()));
            slot.change(plan);
        }
    }
}

impl Slot {
    fn change(&mut self, plan: Option<Plan>) {
        if self.pipe.as_ref().map(fifo::Fifo::plan) == plan.as_ref() {
            return;
        }
        let old = self.pipe.take();
        let same = |old: &fifo::Fifo| plan.as_ref().is_some_and(|plan| plan.path == old.plan().path);
        let kept = old.as_ref().filter(|old| same(old)).map(fifo::Fifo::is_created);
        if let Some(old) = old {
            // A pipe that stays has a new reader from now on: the old one leaves at once.
            let patience = if kept.is_some() { Duration::ZERO } else { READ_ON };
            tokio::spawn(old.close(patience, kept.is_some()));
        }
        let Some(plan) = plan else { return };
        match fifo::Fifo::open(plan) {
            Ok(pipe) => self.pipe = Some(if kept == Some(true) { pipe.created() } else { pipe }),
            Err(error) => tracing::error!("{}: {error}; nobody is told by it", self.word),
        }
    }
}

/// A pipe that can be used; else `None` with a log line.
fn plan(word: &str, pipe: &Fifo, reader: Option<&Command>, global: &Global) -> Option<Plan> {
    let owner = match scripts::owner(pipe.user.as_ref(), global) {
        Ok(owner) => owner.map(|who| (who.uid, who.gid)),
        Err(error) => {
            tracing::error!("{word}: {error}; the pipe is not opened");
            return None;
        }
    };
    let reader: Option<process::Program> =
        reader.and_then(|command| scripts::program(command, &[pipe.path.as_str()], global, None));
    Some(Plan { path: PathBuf::from(&pipe.path), owner, umask: scripts::mask(global), reader })
}

#[cfg(test)]
#[path = "teller_tests.rs"]
mod tests;
