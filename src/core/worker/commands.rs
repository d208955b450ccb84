//! What clients of the control socket ask of the worker.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::disk::Wish;
use super::{Worker, orders};
use crate::check::connections::{Connections, parse};
use crate::clock;
use crate::config::model::{Config, RealServerOverride};
use crate::config::overrides::NoTarget;
use crate::control::answer::{Answer, Failure};
use crate::control::routes::{Change, Request, WhyQuery};
use crate::control::server::{Ask, Caller, Reply};
use crate::control::view::{About, Changed};
use crate::core::include::Persisted;
use crate::core::journal::events::event;
use crate::core::kept::Keeper;
use crate::core::options::Options;
use crate::core::overlay::Overlay;
use crate::core::overrides::{Decided, change_words, decide, ended, next_end, words};
use crate::core::servers::{self, Picture};
use crate::core::status::{PATIENCE, asked_check};
use crate::core::why::Known;
use crate::net::space::{Space, within};

impl Worker {
    /// Answers one request; answers that take their time are made elsewhere.
    pub(super) fn command(&mut self, ask: Ask) {
        let Ask { request, caller, reply } = ask;
        let answer = match request {
            Request::About => Reply::Now(Answer::of(&About {
                tandem: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                instance: self.options.instance.clone(),
                versions: vec![1],
            })),
            Request::RealServers { service } => {
                let (mut picture, asker) = (self.picture(), self.check.asker.clone());
                Reply::Later(Box::new(move || {
                    let Some(status) = asked_check(&asker, PATIENCE) else {
                        let problem = "the check thread does not answer";
                        let cure = "ask again; the log says more where the machine is starved";
                        return Failure::new(503, "silent", problem, cure).into();
                    };
                    picture.status = status;
                    if let Some(name) = service.as_ref().filter(|name| name.find(&picture.config).is_empty())
                    {
                        let problem = format!("there is no virtual server {name}");
                        let cure = "name one as GET /v1/real-servers without ?service= shows it";
                        return Failure::new(404, "no-virtual-server", problem, cure).into();
                    }
                    Answer::of(&picture.servers(service.as_ref(), connections(&picture).as_ref()))
                }))
            }
            Request::Overrides => {
                let picture = self.picture();
                Reply::Later(Box::new(move || Answer::of(&picture.overrides())))
            }
            Request::Order(wish) => return self.order(wish, &caller, reply),
            Request::Maintenance(wish) => return self.maintain(wish, &caller, reply),
            Request::Orders => Reply::Now(Answer::of(&self.ordering.orders.view(orders::both()))),
            Request::Journal(wanted) => self.chronicle.answer(wanted),
            Request::Why(query) => self.why(query),
            // Done elsewhere.
            Request::Life(_) => return,
            Request::Metrics { form, detail } => self.metrics(form, detail),
            Request::Events { after } => self.events(after),
            // The page says nothing of its own.
            Request::Page => return,
            asked @ (Request::Status(_)
            | Request::CheckNow(_)
            | Request::ResetStatistics { .. }
            | Request::Config(_)
            | Request::Plan
            | Request::OpenApi) => self.tell(asked, &caller),
            Request::Change(change) if change.pair => return self.change_both(change, caller, reply),
            Request::Change(change) => return self.change(change, caller, reply),
        };
        // A client that is gone wants no answer.
        let _ = reply.send(answer);
    }

    pub(super) fn picture(&self) -> Picture {
        self.overlay.picture(&self.config, Arc::default(), clock::now())
    }

    pub(super) fn change(&mut self, change: Change, caller: Caller, reply: oneshot::Sender<Reply>) {
        let wish = Wish::new(change, caller, reply);
        if wish.change.persist {
            self.make_lasting(wish);
            return;
        }
        match self.decide(&wish) {
            Err(failure) => wish.refuse(failure),
            Ok(decided) => {
                let mut layers = self.overlay.clone();
                layers.decided(&decided);
                let mut changed = self.take_over(layers, &decided, &wish.caller, None);
                changed.until = wish.said.until;
                self.keep(changed, wish.reply);
            }
        }
    }

    /// What a change makes of the overrides of commands.
    pub(super) fn decide(&self, wish: &Wish) -> Result<Decided, Failure> {
        let decided = decide(self.overlay.base(), self.overlay.overrides(), &wish.change, &wish.said)?;
        let name = decided.service.to_string();
        if name.split_whitespace().count() > 3 || name.contains(['"', '\'', '#', '!', '{', '}']) {
            let problem = format!("the name of {name} has characters that an override cannot write");
            return Err(Failure::new(409, "name", problem, "give the group a name of letters and digits"));
        }
        Ok(decided)
    }

    /// Drains whose time is over.
    pub(super) fn end_drains(&mut self, now: SystemTime) {
        let now = clock::utc(now);
        while let Some((over, decided)) = ended(self.overlay.base(), self.overlay.overrides(), &now) {
            let by = over.by.as_deref().unwrap_or("somebody");
            let (server, change) = (over.server, change_words(&over));
            tracing::info!("real server {server}: the time is over that {by} has said for \"{change}\"");
            let mut layers = self.overlay.clone();
            layers.decided(&decided);
            let uid = nix::unistd::geteuid().as_raw();
            let ourselves = Caller { uid, user: Some("tandem".to_owned()), pid: None, host: None };
            let changed = self.take_over(layers, &decided, &ourselves, None);
            self.keep(changed, None);
        }
    }

    /// How long until the next one is.
    pub(super) fn next_drain_ends(&self, now: SystemTime) -> Option<Duration> {
        let end = clock::of_utc(next_end(self.overlay.overrides())?)?;
        Some(end.duration_since(now).unwrap_or_default())
    }

    /// From here on the configuration is that of these layers.
    pub(super) fn take_over(
        &mut self,
        layers: Overlay,
        decided: &Decided,
        caller: &Caller,
        written: Option<Persisted>,
    ) -> Changed {
        self.overlay = layers;
        let config = self.overlay.config();
        let mut changed = Changed {
            virtual_server: decided.service.to_string(),
            real_server: decided.server.to_string(),
            change: words(&self.config, &config, &decided.service, decided.server),
            ..Changed::default()
        };
        if let Some(written) = written {
            changed.persisted = Some(written.path.display().to_string());
            changed.notes.extend(written.include.map(|line| {
                format!(
                    "{} does not read that file: write \"{line}\" into it. Until then the change is kept as those \
                     without --persist are",
                    self.options.config.display()
                )
            }));
        }
        let lasting =
            changed.persisted.as_ref().map(|file| format!(", written into {file}")).unwrap_or_default();
        tracing::info!(
            "real server {} of {}: {} by {}{lasting}",
            changed.real_server,
            changed.virtual_server,
            changed.change,
            caller
        );
        let way = caller.way().map(|way| format!(",{way}")).unwrap_or_default();
        let text = format!("real server {}: {}", changed.real_server, changed.change);
        // Names of files and people are for those of this machine.
        let whole = format!("{text}{lasting}{way}");
        let details = (whole != text).then(|| serde_json::json!({ "text": whole }));
        let mut happened = event("info", "command", &changed.virtual_server, text);
        happened.details = details;
        happened.real_server = Some(changed.real_server.clone());
        happened.by = Some(caller.to_string());
        self.chronicle.note(happened);
        self.config = config;
        if changed.persisted.is_some() {
            self.keep_good();
        }
        self.check.configure(Arc::clone(&self.config));
        self.tell_pair();
        changed
    }

    /// `GET /v1/why`, made where nobody waits for it.
    fn why(&self, query: WhyQuery) -> Reply {
        let (mut picture, asker) = (self.picture(), self.check.asker.clone());
        let (events, maker) = (self.chronicle.all(), self.maker());
        let mailbox = self.vrrp.mailbox.clone();
        Reply::Later(Box::new(move || {
            let checks = asked_check(&asker, PATIENCE);
            let checks_silent = checks.is_none();
            picture.status = checks.unwrap_or_default();
            let vrrp = mailbox.status(false, PATIENCE).ok();
            picture.now = clock::now();
            let known = Known { picture, vrrp, events, checks_silent, troubles: maker.troubles() };
            match known.why(&query) {
                Ok(why) => Answer::of(&why),
                Err(failure) => failure.into(),
            }
        }))
    }

    /// Keeps the overrides at stop, off this thread as ever: it ends when they are on the disk.
    pub(super) fn keep_last(&self) -> JoinHandle<()> {
        let (keeper, number) = (Arc::clone(&self.keeper), self.overlay.number());
        let overrides = self.overlay.overrides().to_vec();
        let orders = self.ordering.keep_last();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = keeper.write(number, &overrides) {
                tracing::error!("overrides are not kept, the next start will not know them: {error}");
            }
            orders();
        })
    }
}

/// The kernel's counts, where anybody drains; `None` where they cannot be read.
fn connections(picture: &Picture) -> Option<Connections> {
    if !picture.drains() {
        return None;
    }
    let space = Space::of_ipvs(picture.config.net_namespace_ipvs.as_deref());
    // Of the network namespace that IPVS is in, whichever thread asks.
    let text = within(space.as_ref(), || std::fs::read_to_string("/proc/thread-self/net/ip_vs"));
    text.ok()?.ok().map(|text| parse(&text))
}

/// The overrides that an earlier run left, over the file.
pub(super) fn kept_overrides(options: &Options, base: Config, bare: Option<Config>) -> (Keeper, Overlay) {
    let folder = Keeper::folder(options.state_directory.as_deref(), &base);
    let keeper = Keeper::new(folder, &options.instance);
    let (overrides, problem) = keeper.read();
    if let Some(problem) = problem {
        tracing::error!("overrides of earlier commands: {problem}");
    }
    if !overrides.is_empty() {
        tracing::info!("real servers are overridden by earlier commands: {}", servers::summary(&overrides));
    }
    let overlay = Overlay::new(base, bare, overrides);
    if !overlay.overrides().is_empty() {
        log_without(&overlay.over(&mut (**overlay.base()).clone()));
    }
    (keeper, overlay)
}

pub(super) fn log_without(without: &[(RealServerOverride, NoTarget)]) {
    for (one, why) in without {
        tracing::warn!(
            "the override \"{one}\" has no effect: {why}; {}, or take it back by enable",
            why.cure()
        );
    }
}
