//! What is asked of how everything stands. The main loop only gathers what is needed; all answers are made elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Worker;
use crate::check::hurry::{Progress, Which};
use crate::clock;
use crate::config::model::Config;
use crate::config::rereader::Rereader;
use crate::config::{self, fwmarks};
use crate::control::answer::{Answer, Failure};
use crate::control::openapi;
use crate::control::routes::{CheckNow, Form, Part, Request, Want};
use crate::control::server::{Caller, Make, Reply};
use crate::control::view::{CheckedView, ConfigView, PlanView, PlannedView, ResetView};
use crate::core::journal::masters_since;
use crate::core::options::Options;
use crate::core::overlay::{self, Overlay};
use crate::core::reload::{Changed, judge};
use crate::core::secrets::masked;
use crate::core::status::{Digests, Maker, PATIENCE};
use crate::core::{checking, memory, orders};
use crate::net::space::{Space, within};
use crate::vrrp::status::NoAnswer;

/// How long `check-now` waits for results; what is under way then goes on.
const CHECKED_WITHIN: Duration = Duration::from_secs(15);

impl Worker {
    /// Answers one of these questions.
    pub(super) fn tell(&mut self, request: Request, caller: &Caller) -> Reply {
        match request {
            Request::Status(want) => self.status(want),
            Request::CheckNow(wanted) => self.check_now(&wanted, caller),
            Request::ResetStatistics { ipvs } => self.reset_statistics(ipvs, caller),
            Request::Config(form) => self.config_in_force(form),
            Request::Plan => self.plan(),
            Request::OpenApi => Reply::Now(openapi::answer()),
            // Not one of these.
            _ => Reply::Now(
                Failure::new(500, "defect", "asked in the wrong place", "report this as a defect").into(),
            ),
        }
    }

    /// All that a status is made of.
    pub(super) fn maker(&self) -> Maker {
        let maintenance = self.ordering.orders.maintenance().map(|order| orders::view(order, clock::now()));
        Maker {
            picture: self.picture(),
            vrrp: self.vrrp.mailbox.clone(),
            check: self.check.asker.clone(),
            sessions: Arc::clone(&self.bfd.states.borrow()),
            report: self.ipvs.report.borrow().clone(),
            wanted: self.wish.number(),
            facts: self.facts.clone().under(maintenance),
            peer: self.peering.peer(),
            masters_since: masters_since(self.chronicle.journal().all()),
        }
    }

    fn status(&self, want: Want) -> Reply {
        let (maker, shared) = (self.maker(), Arc::clone(&self.told));
        Reply::Later(Box::new(move || shared.answer(maker, &want)))
    }

    fn check_now(&mut self, wanted: &CheckNow, caller: &Caller) -> Reply {
        let which = match checking::which(&self.config, wanted) {
            Ok(which) => which,
            Err(failure) => return Reply::Now(failure.into()),
        };
        let Some(progress) = self.check.asker.hurry(which.clone()) else {
            let problem = "too many others want checks at once already";
            return Reply::Now(Failure::new(503, "busy", problem, "ask again in a few seconds").into());
        };
        tracing::info!("{caller} has {} checked now", words(&which));
        let subject = which.keys().next().filter(|_| which.len() == 1).cloned().unwrap_or_default();
        self.chronicle.command(&subject, "check_now", format!("{}: checked now", words(&which)), caller);
        let (maker, shared) = (self.maker(), Arc::clone(&self.told));
        Reply::After(Box::pin(async move {
            let mut progress = progress;
            let done = progress.wait_for(Progress::is_done);
            // What has been told by then counts.
            let _ = tokio::time::timeout(CHECKED_WITHIN, done).await.map(|done| done.map(drop));
            let progress = *progress.borrow();
            shared.changed();
            let make: Make = Box::new(move || checked(maker, &which, progress));
            make
        }))
    }

    fn reset_statistics(&mut self, ipvs: bool, caller: &Caller) -> Reply {
        let too = if ipvs { ", those of IPVS too" } else { "" };
        tracing::info!("{caller} resets the statistics{too}");
        let text = format!("the statistics are to begin at zero{too}");
        self.chronicle.command("", "reset_statistics", text, caller);
        let (maker, shared) = (self.maker(), Arc::clone(&self.told));
        Reply::Later(Box::new(move || {
            let done = reset(&maker, ipvs);
            shared.changed();
            done.map(|done| Answer::of(&done)).into()
        }))
    }

    fn config_in_force(&self, form: Form) -> Reply {
        let (config, path) = (Arc::clone(&self.config), self.options.config.display().to_string());
        Reply::Later(Box::new(move || shown(&config, form, path).map(|view| Answer::of(&view)).into()))
    }

    fn plan(&self) -> Reply {
        let (options, overlay) = (self.options.clone(), self.overlay.clone());
        let running = Arc::clone(&self.config);
        Reply::Later(Box::new(move || {
            let answer = Answer::of(&planned(&options, &overlay, &running));
            // Another configuration, perhaps a large one, has been read and let go.
            memory::give_back();
            answer
        }))
    }
}

/// The last answer to the question of how everything stands, for those who ask again while it is as good as new: of ten
/// thousand servers it is dear. After a change of the configuration, and after whatever else a caller had done, it is not told
/// again: who gave an order looks whether it was obeyed.
#[derive(Debug, Default)]
pub(super) struct Shared {
    last: Mutex<Option<Kept>>,
    /// How often [`Shared::changed`] was said.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    want: Want,
    config: Weak<Config>,
    /// Changes before it was begun.
    changes: u64,
    until: Instant,
    body: Vec<u8>,
}

/// An answer that took less is made each time.
const DEAR: Duration = Duration::from_millis(5);
/// Making answers takes at most one part in so many of the time...
const SHARE: u32 = 10;
/// ... but none is older than this.
const OLDEST: Duration = Duration::from_millis(500);

impl Shared {
    /// Something was done that an answer from before does not know of. Said before the caller hears that it is done.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn answer(&self, maker: Maker, want: &Want) -> Answer {
        let (begun, config) = (clock::now(), Arc::clone(&maker.picture.config));
        let changes = self.changes.load(Ordering::Acquire);
        if let Some(body) = self.kept(want, &config, begun) {
            return Answer { status: 200, body };
        }
        let answer = match maker.make(want) {
            Ok(view) => Answer::of(&view),
            Err(failure) => return failure.into(),
        };
        let made = clock::now();
        let took = made.saturating_duration_since(begun);
        if took >= DEAR {
            let until = made + took.saturating_mul(SHARE - 1).min(OLDEST);
            let kept = Kept {
                want: want.clone(),
                config: Arc::downgrade(&config),
                changes,
                until,
                body: answer.body.clone(),
            };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
        answer
    }

    fn kept(&self, want: &Want, config: &Arc<Config>, now: Instant) -> Option<Vec<u8>> {
        let mut kept = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.changes.load(Ordering::Acquire);
        let fits = |kept: &Kept| {
            kept.want == *want
                && std::ptr::eq(kept.config.as_ptr(), Arc::as_ptr(config))
                && kept.changes == changes
                && now < kept.until
        };
        if let Some(kept) = kept.as_ref().filter(|kept| fits(kept)) {
            return Some(kept.body.clone());
        }
        // An old one, perhaps a large one, is held for nobody.
        *kept = None;
        None
    }
}

/// `TCP 10.0.0.1:80`, or how many.
fn words(which: &Which) -> String {
    match which.iter().next() {
        Some((name, None)) if which.len() == 1 => name.clone(),
        Some((name, Some(servers))) if which.len() == 1 => {
            let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
            format!("{} of {name}", servers.join(", "))
        }
        _ => format!("real servers of {} virtual servers", which.len()),
    }
}

fn checked(maker: Maker, which: &Which, progress: Progress) -> Answer {
    if !progress.begun {
        let problem = "the check thread did not take the order";
        return Failure::new(503, "busy", problem, "ask again in a few seconds").into();
    }
    let want = Want { part: Some(Part::VirtualServers), ..Want::default() };
    match maker.make(&want) {
        Ok(view) => Answer::of(&CheckedView {
            checks: progress.checks,
            under_way: progress.left,
            not_checked: progress.not_checked,
            virtual_servers: checking::only(view.virtual_servers, which),
        }),
        Err(failure) => failure.into(),
    }
}

fn reset(maker: &Maker, ipvs: bool) -> Result<ResetView, Failure> {
    let services = || {
        let services: Vec<_> = maker.report.table.keys().copied().collect();
        let space = Space::of_ipvs(maker.picture.config.net_namespace_ipvs.as_deref());
        match within(space.as_ref(), || maker.facts.counter.zero(&services)) {
            Ok(Ok(zeroed)) => Ok((zeroed.services, zeroed.problem.map(|problem| problem.to_string()))),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    };
    let instances = || maker.vrrp.status(true, PATIENCE).map(|status| status.instances.len());
    reset_of(ipvs.then(services), instances)
}

/// What is told of a reset. Where nothing could be done it is a refusal, and nothing is done later. `services`: how many of
/// the kernel's count from zero, and why others do not.
fn reset_of(
    services: Option<Result<(usize, Option<String>), String>>,
    instances: impl FnOnce() -> Result<usize, NoAnswer>,
) -> Result<ResetView, Failure> {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let mut done = ResetView::default();
    match services {
        None => {}
        Some(Ok((services, problem))) => {
            done.services = Some(count(services));
            done.notes.extend(problem.map(|problem| format!("not all services count from zero: {problem}")));
        }
        Some(Err(why)) => {
            let cure = "reset those of the instances alone, without {\"ipvs\": true}";
            return Err(Failure::new(503, "no-ipvs", why, cure));
        }
    }
    match instances() {
        Ok(instances) => done.instances = Some(count(instances)),
        Err(why) if done.services.is_some() => {
            done.notes.push(format!("the instances count on: {why}; ask again for theirs"));
        }
        Err(why) => {
            let cure = "ask again; the log says more where the machine is starved";
            return Err(Failure::new(503, "silent", why.to_string(), cure));
        }
    }
    Ok(done)
}

fn shown(config: &Arc<Config>, form: Form, path: String) -> Result<ConfigView, Failure> {
    let masked = masked(config, "***");
    let (word, text) = match form {
        Form::Yaml => ("yaml", config::yaml::to_yaml(&masked).map_err(|error| vec![error.to_string()])),
        Form::Keepalived => ("keepalived", config::to_conf(&masked)),
    };
    let text = text.map_err(|why| {
        let problem = format!("the configuration cannot be written in this form: {}", why.join("; "));
        Failure::new(409, "form", problem, "ask for the other form")
    })?;
    Ok(ConfigView { config: path, digest: Digests::default().of(config), form: word.to_owned(), text })
}

/// What a reload would do: it reads the file as that does, and stops before the first change.
fn planned(options: &Options, overlay: &Overlay, running: &Config) -> PlanView {
    let (mut loaded, _) = overlay::load(options, &mut Rereader::default());
    fwmarks::assign(&mut loaded.config, Some(running));
    overlay.over(&mut loaded.config);
    let mut view = PlanView {
        config: options.config.display().to_string(),
        findings: loaded.diagnostics.iter().map(ToString::to_string).collect(),
        ..PlanView::default()
    };
    match judge(running, &loaded) {
        Err(refusal) => view.refused = Some(refusal.to_string()),
        Ok(difference) => {
            view.changes = !difference.is_empty();
            let changed = |changed: Changed| PlannedView {
                object: changed.object,
                settings: changed.settings.iter().map(ToString::to_string).collect(),
            };
            view.changed = difference.global.into_iter().chain(difference.changed).map(changed).collect();
            (view.added, view.removed) = (difference.added, difference.removed);
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_tells_what_it_has_done_and_a_refusal_has_done_nothing() {
        let none = || -> Result<usize, NoAnswer> { panic!("nobody is asked") };
        let refused = reset_of(Some(Err("no IPVS".to_owned())), none).expect_err("a refusal");
        assert_eq!((refused.status, refused.code), (503, "no-ipvs"));
        let refused = reset_of(None, || Err(NoAnswer::Silent)).expect_err("a refusal");
        assert_eq!((refused.status, refused.code), (503, "silent"));

        let all = reset_of(Some(Ok((3, None))), || Ok(2)).expect("done");
        let wanted = ResetView { instances: Some(2), services: Some(3), notes: Vec::new() };
        assert_eq!(all, wanted);
        assert_eq!(reset_of(None, || Ok(2)).expect("done"), ResetView { services: None, ..wanted });
        let half = reset_of(Some(Ok((1, Some("EPERM".to_owned())))), || Err(NoAnswer::Silent)).expect("done");
        assert_eq!((half.instances, half.services, half.notes.len()), (None, Some(1), 2), "{half:?}");
        assert!(half.notes[0].contains("EPERM") && half.notes[1].contains("does not answer"), "{half:?}");
    }

    #[test]
    fn an_answer_from_before_a_change_is_not_told_again() {
        let (shared, config, now) = (Shared::default(), Arc::<Config>::default(), clock::now());
        let want = Want::default();
        let keep = || {
            let kept = Kept {
                want: want.clone(),
                config: Arc::downgrade(&config),
                changes: shared.changes.load(Ordering::Acquire),
                until: now + OLDEST,
                body: b"x".to_vec(),
            };
            *shared.last.lock().unwrap() = Some(kept);
        };
        keep();
        assert_eq!(shared.kept(&want, &config, now), Some(b"x".to_vec()));
        let other = Want { part: Some(Part::Daemon), ..Want::default() };
        assert_eq!(shared.kept(&other, &config, now), None, "another question");
        keep();
        assert_eq!(shared.kept(&want, &Arc::default(), now), None, "another configuration");
        keep();
        assert_eq!(shared.kept(&want, &config, now + OLDEST), None, "too old");
        keep();
        shared.changed();
        assert_eq!(shared.kept(&want, &config, now), None, "somebody had something done");
        keep();
        assert!(shared.kept(&want, &config, now).is_some());
    }
}
