//! Finds out what the trackers say: scripts, files, processes, interfaces with delays or link beats. Lives on the main
//! thread's runtime and on threads of its own, never on the vrrp thread: a script or a disk can be slow or stuck, adverts
//! cannot.
//!
//! Which process, number or delay makes what of a value is decided in `content`, `debounce`, `events`, `link` and
//! `processes`, which are pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::model::Config;
use crate::net::link::Links;

use super::trackers::{Said, TrackerKind, TrackerValues, Value, link_words, tracked_names};

mod beat;
pub mod content;
pub mod debounce;
pub mod events;
pub mod file;
pub mod link;
mod links;
mod post;
pub mod process;
pub mod processes;
pub mod script;

pub use file::FilePlan;
pub use link::LinkPlans;
pub use process::Buffers;
pub use processes::ProcessPlan;
pub use script::ScriptPlan;

/// Capacity of the channel of changes: more than any burst.
const CHANGES: usize = 256;

/// Everything that is to be watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The scripts that somebody tracks.
    pub scripts: Vec<ScriptPlan>,
    /// The files that somebody tracks.
    pub files: Vec<FilePlan>,
    /// The processes that somebody tracks.
    pub processes: Vec<ProcessPlan>,
    /// How process events are received.
    pub buffers: Buffers,
    /// Interfaces with delays or link beats.
    pub links: LinkPlans,
    /// The BFD sessions that somebody tracks.
    pub sessions: BTreeSet<String>,
    /// The virtual servers whose quorum somebody tracks.
    pub services: BTreeSet<String>,
}

impl Plan {
    /// The plan of a configuration; `scripts` are those that somebody tracks and that can run.
    pub fn of(config: &Config, scripts: Vec<ScriptPlan>) -> Self {
        let mut files = tracked_names(TrackerKind::File, config);
        // FILE_CHECK goes by the same files; the daemon carries what they say to the check room.
        let reals = config.virtual_server.iter().flat_map(|server| &server.real_server);
        files.extend(reals.flat_map(|real| &real.file_check).map(|check| check.track_file.as_str()));
        let processes = tracked_names(TrackerKind::Process, config);
        let sessions = tracked_names(TrackerKind::Bfd, config);
        let global = &config.global_defs;
        Self {
            scripts,
            files: config
                .track_file
                .iter()
                .filter(|file| files.contains(file.name.as_str()))
                .map(FilePlan::of)
                .collect(),
            processes: config
                .vrrp_track_process
                .iter()
                .filter(|process| processes.contains(process.name.as_str()))
                .map(ProcessPlan::of)
                .collect(),
            buffers: Buffers {
                size: global.process_monitor_rcv_bufs,
                force: global.process_monitor_rcv_bufs_force == Some(true),
            },
            links: link::plans_of(config),
            sessions: sessions.into_iter().map(str::to_owned).collect(),
            services: tracked_names(TrackerKind::Quorum, config).into_iter().map(str::to_owned).collect(),
        }
    }
}

/// How a virtual server's quorum is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// It is reached.
    pub up: bool,
    /// With what weight.
    pub why: String,
}

/// A tracker's value changed; hand it to [`Trackers::take`].
#[derive(Clone, Debug)]
pub struct Change {
    kind: TrackerKind,
    name: String,
    /// Tells results of a tracker's earlier configuration from those of this one.
    epoch: u64,
    said: Said,
}

/// A change that counts, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// What kind of tracker.
    pub kind: TrackerKind,
    /// Its name.
    pub name: String,
    /// What it says now.
    pub value: Value,
    /// Why.
    pub why: String,
}

impl std::fmt::Display for Flip {
    /// `script chk fails: exit status 1`, `track_file x says 5: read from /run/x`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ", self.kind, self.name)?;
        match (self.kind, self.value) {
            (TrackerKind::Script | TrackerKind::Process, Value::Up) => f.write_str("succeeds")?,
            (TrackerKind::Script | TrackerKind::Process, Value::Down) => f.write_str("fails")?,
            (_, Value::Up) => f.write_str("is up")?,
            (_, Value::Down) => f.write_str("is down")?,
            (_, Value::Number(number)) => write!(f, "says {number}")?,
            (_, Value::Unknown) => f.write_str("is not known")?,
        }
        if self.why.is_empty() { Ok(()) } else { write!(f, ": {}", self.why) }
    }
}

/// Everything that is watched.
pub struct Trackers {
    values: TrackerValues,
    changes: mpsc::Sender<Change>,
    epochs: BTreeMap<(TrackerKind, String), u64>,
    next_epoch: u64,
    plan: Plan,
    scripts: BTreeMap<String, (watch::Sender<ScriptPlan>, JoinHandle<()>)>,
    files: Option<post::Post<file::Wish>>,
    processes: Option<post::Post<process::Wish>>,
    link_plans: watch::Sender<(Arc<LinkPlans>, u64)>,
    links: LinkSource,
    sessions: BTreeMap<String, bool>,
    /// The last words of scripts in the process before this one.
    recalled: BTreeMap<String, Said>,
    /// This process goes on for another one, and nothing is configured yet.
    goes_on: bool,
}

/// Where interfaces are looked up.
enum LinkSource {
    /// As they were at the start: nobody follows them yet.
    First(Arc<Links>),
    Followed(watch::Receiver<Arc<Links>>),
}

impl Trackers {
    /// Watches nothing yet. `links` are the interfaces as they are now; call [`Trackers::follow`] when there is somebody
    /// who follows them. Changes arrive at the receiver; hand each to [`Trackers::take`].
    pub fn new(links: Arc<Links>) -> (Self, mpsc::Receiver<Change>) {
        let (changes, arrive) = mpsc::channel(CHANGES);
        let trackers = Self {
            values: TrackerValues::new(),
            changes,
            epochs: BTreeMap::new(),
            next_epoch: 0,
            plan: Plan::default(),
            scripts: BTreeMap::new(),
            files: None,
            processes: None,
            link_plans: watch::channel((Arc::default(), 0)).0,
            links: LinkSource::First(links),
            sessions: BTreeMap::new(),
            recalled: BTreeMap::new(),
            goes_on: false,
        };
        (trackers, arrive)
    }

    /// What scripts last said in the process before this one: it stands until they say otherwise, by `rise` and `fall`.
    pub fn recall<'a>(&mut self, words: impl Iterator<Item = (&'a str, Said)>) {
        self.recalled = words.map(|(name, said)| (name.to_owned(), said)).collect();
    }

    /// This process goes on for another one: `init_file` was seen to when that one started, and what files have said since is
    /// not to be overwritten. Call it before the first configuration.
    pub const fn go_on(&mut self) {
        self.goes_on = true;
    }

    /// Interfaces arrive here from now on. Call it on a runtime, once.
    pub fn follow(&mut self, links: watch::Receiver<Arc<Links>>) {
        let mut watch = link::Watch::default();
        watch.set(&self.plan.links, &self.links_now());
        let mut plans = self.link_plans.subscribe();
        // The task looks at the plans at once: the interfaces may have changed since they were first read.
        plans.mark_changed();
        self.links = LinkSource::Followed(links.clone());
        tokio::spawn(links::run(plans, links, watch, self.changes.clone()));
    }

    fn links_now(&self) -> Arc<Links> {
        match &self.links {
            LinkSource::First(links) => Arc::clone(links),
            LinkSource::Followed(links) => Arc::clone(&links.borrow()),
        }
    }

    /// Watches exactly this from now on; call it on a runtime. What is unchanged goes on with what it knows, a script also
    /// when only its times are others; one that is gone is ended with its process group. When this returns, files,
    /// processes and interfaces have their values.
    pub fn configure(&mut self, plan: Plan, now: Instant) {
        let before = std::mem::replace(&mut self.plan, plan);
        self.configure_scripts(now);
        self.configure_files(&before, now);
        self.configure_processes(&before, now);
        self.configure_links(now);
        let sessions = self.sessions.clone();
        self.values.retain(TrackerKind::Bfd, |_| false);
        self.take_sessions(sessions, now);
        let services = &self.plan.services;
        self.values.retain(TrackerKind::Quorum, |name| services.contains(name));
    }

    /// The quorums of virtual servers, by the names that they are tracked by. One that is missing is as it was: unknown at
    /// first.
    pub fn set_quorums(&mut self, quorums: &BTreeMap<String, Quorum>, now: Instant) -> Vec<Flip> {
        let kind = TrackerKind::Quorum;
        let mut flips = Vec::new();
        for (name, Quorum { up, why }) in
            quorums.iter().filter(|(name, _)| self.plan.services.contains(*name))
        {
            let value = Value::of(*up);
            if self.values.set(kind, name, Said::new(value, why.clone(), now)) {
                flips.push(Flip { kind, name: name.clone(), value, why: why.clone() });
            }
        }
        flips
    }

    fn configure_scripts(&mut self, now: Instant) {
        let mut old = std::mem::take(&mut self.scripts);
        for plan in self.plan.scripts.clone() {
            let name = plan.name.clone();
            match old.remove(&name) {
                Some((sender, task)) if sender.borrow().same_command(&plan) && !task.is_finished() => {
                    if *sender.borrow() != plan {
                        sender.send_replace(plan);
                    }
                    self.scripts.insert(name, (sender, task));
                }
                other => {
                    if let Some((_, task)) = other {
                        task.abort();
                    }
                    let epoch = self.begin(TrackerKind::Script, &name);
                    let before = self.recalled.remove(&name);
                    let said = if let Some(said) = &before {
                        said.clone()
                    } else if plan.init_fail {
                        Said::new(Value::Down, "init_fail, no result yet", now)
                    } else {
                        Said::new(Value::Unknown, "no result yet", now)
                    };
                    self.values.set(TrackerKind::Script, &name, said);
                    let (sender, plans) = watch::channel(plan);
                    let before = before.map(|said| said.value == Value::Up);
                    let task = tokio::spawn(script::run(plans, before, epoch, self.changes.clone()));
                    self.scripts.insert(name, (sender, task));
                }
            }
        }
        for (_, task) in old.into_values() {
            task.abort();
        }
        let scripts = &self.scripts;
        self.values.retain(TrackerKind::Script, |name| scripts.contains_key(name));
    }

    fn configure_files(&mut self, before: &Plan, now: Instant) {
        let mut wish = file::Wish::new();
        let goes_on = std::mem::take(&mut self.goes_on);
        for plan in self.plan.files.clone() {
            let same = before.files.contains(&plan);
            if !same {
                let initialised = if goes_on { Ok(()) } else { file::initialise(&plan) };
                if let Err(error) = initialised {
                    tracing::error!(
                        "track_file {}: init_file cannot write {}: {error}",
                        plan.name,
                        plan.path.display()
                    );
                }
                self.begin(TrackerKind::File, &plan.name);
            }
            let number = match self.values.get(TrackerKind::File, &plan.name).map(|said| said.value) {
                Some(Value::Number(number)) if same => number,
                _ => {
                    let (number, why) =
                        file::read(&plan.path).unwrap_or_else(|unread| (0, unread.to_string()));
                    self.values.set(
                        TrackerKind::File,
                        &plan.name,
                        Said::new(Value::Number(number), why, now),
                    );
                    number
                }
            };
            let epoch = self.epoch(TrackerKind::File, &plan.name);
            wish.push((plan, epoch, number));
        }
        let files = &self.plan.files;
        self.values.retain(TrackerKind::File, |name| files.iter().any(|plan| plan.name == name));
        if self.files.is_none() && !wish.is_empty() {
            self.files = started("track_file", file::start(self.changes.clone()));
        }
        if let Some(files) = &self.files {
            files.wish(wish);
        }
    }

    fn configure_processes(&mut self, before: &Plan, now: Instant) {
        let plans = self.plan.processes.clone();
        let fresh: Vec<ProcessPlan> =
            plans.iter().filter(|plan| !before.processes.contains(plan)).cloned().collect();
        if !fresh.is_empty() {
            let needs_command = fresh.iter().any(|plan| plan.pattern.needs_command());
            let running = process::running(needs_command).unwrap_or_default();
            let (census, _) =
                processes::Census::new(fresh.clone(), &running, processes::Census::default(), now);
            for plan in &fresh {
                self.begin(TrackerKind::Process, &plan.name);
                if let Some((up, why)) = census.value(&plan.name) {
                    self.values.set(TrackerKind::Process, &plan.name, Said::new(Value::of(up), why, now));
                }
            }
        }
        self.values.retain(TrackerKind::Process, |name| plans.iter().any(|plan| plan.name == name));
        if self.processes.is_none() && !plans.is_empty() {
            self.processes = started("vrrp_track_process", process::start(self.changes.clone()));
        }
        let plans = plans.into_iter().map(|plan| {
            let epoch = self.epoch(TrackerKind::Process, &plan.name);
            (plan, epoch)
        });
        if let Some(processes) = &self.processes {
            processes.wish(process::Wish { plans: plans.collect(), buffers: self.plan.buffers });
        }
    }

    fn configure_links(&mut self, now: Instant) {
        let links = self.links_now();
        let plans = Arc::new(self.plan.links.clone());
        self.next_epoch += 1;
        for name in plans.keys() {
            self.epochs.insert((TrackerKind::Interface, name.clone()), self.next_epoch);
            if self.values.get(TrackerKind::Interface, name).is_none() {
                let link = links.get(name);
                let said = Said::new(Value::of(link.is_some_and(|link| link.up)), link_words(link), now);
                self.values.set(TrackerKind::Interface, name, said);
            }
        }
        self.values.retain(TrackerKind::Interface, |name| plans.contains_key(name));
        self.link_plans.send_replace((plans, self.next_epoch));
    }

    /// A tracker begins anew: what is still under way of its earlier self counts no more.
    fn begin(&mut self, kind: TrackerKind, name: &str) -> u64 {
        self.next_epoch += 1;
        self.epochs.insert((kind, name.to_owned()), self.next_epoch);
        self.next_epoch
    }

    fn epoch(&self, kind: TrackerKind, name: &str) -> u64 {
        self.epochs.get(&(kind, name.to_owned())).copied().unwrap_or_default()
    }

    /// Takes a change over; `None` when it changes nothing, or comes from a configuration that is gone.
    pub fn take(&mut self, change: Change) -> Option<Flip> {
        let Change { kind, name, epoch, said } = change;
        if self.values.get(kind, &name).is_none() || self.epoch(kind, &name) != epoch {
            return None;
        }
        let (value, why) = (said.value, said.why.clone());
        self.values.set(kind, &name, said).then_some(Flip { kind, name, value, why })
    }

    /// The BFD sessions as they are now: up or not, by name. One that is missing is down.
    pub fn set_bfd(&mut self, sessions: &BTreeMap<String, bool>, now: Instant) -> Vec<Flip> {
        self.take_sessions(sessions.clone(), now)
    }

    fn take_sessions(&mut self, sessions: BTreeMap<String, bool>, now: Instant) -> Vec<Flip> {
        self.sessions = sessions;
        let mut flips = Vec::new();
        for name in &self.plan.sessions {
            let (value, why) = match self.sessions.get(name) {
                Some(true) => (Value::Up, "the session is up"),
                Some(false) => (Value::Down, "the session is down"),
                None => (Value::Down, "no session yet"),
            };
            if self.values.set(TrackerKind::Bfd, name, Said::new(value, why, now)) {
                flips.push(Flip { kind: TrackerKind::Bfd, name: name.clone(), value, why: why.to_owned() });
            }
        }
        flips
    }

    /// All values as they are now.
    pub fn values(&self) -> Arc<TrackerValues> {
        Arc::new(self.values.clone())
    }
}

/// A thread that does not start costs its trackers, not the daemon.
fn started<T>(what: &str, post: std::io::Result<T>) -> Option<T> {
    post.inspect_err(|error| {
        tracing::error!("{what}: the watching thread does not start: {error}; values stay as they are now");
    })
    .ok()
}
