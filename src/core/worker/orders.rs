//! Orders to VRRP: from whoever gives them to the vrrp thread, into their file, and to their end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Worker;
use crate::clock;
use crate::config::model::Config;
use crate::config::suggest::closest;
use crate::control::answer::{Answer, Failure};
use crate::control::routes::{InstanceOrder, Maintenance, Verb};
use crate::control::server::{Caller, Make, Reply};
use crate::control::view::{EventView, Ordered};
use crate::core::journal::events::event;
use crate::core::kept;
use crate::core::options::Options;
use crate::core::orders::keeper::Keeper;
use crate::core::orders::{Now, Orders, meant};
use crate::core::why;
use crate::vrrp::machine::{Order, OrderKind, StateName};
use crate::vrrp::mailbox::Mailbox;
use crate::vrrp::status::{InstanceStatus, NoAnswer};

/// How long a client waits for a disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer waits for what an order comes to: it has been given, and this is only told.
const LOOK: Duration = Duration::from_millis(1500);
/// How often it looks...
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// ... and how much less often for each instance that it looks at: the thread that it asks has better things to do just then.
const LOOK_LESS: Duration = Duration::from_millis(1);
/// Instances that an answer tells of one by one.
const NAMED: usize = 20;

/// The orders, and who keeps them.
pub(super) struct Ordering {
    pub(super) orders: Orders,
    keeper: Arc<Keeper>,
}

/// Where the orders of a daemon are: beside its overrides.
pub(super) fn keeper(options: &Options, base: &Config) -> Keeper {
    let folder = kept::Keeper::folder(options.state_directory.as_deref(), base);
    Keeper::new(folder, &options.instance)
}

/// Both clocks.
pub(super) fn both() -> Now {
    Now { now: clock::now(), wall: clock::since_1970() }
}

impl Ordering {
    /// The orders that an earlier run left, and what this configuration makes of them.
    pub(super) fn kept(keeper: Keeper, config: &Config) -> Self {
        let (orders, problem) = keeper.read(both());
        if let Some(problem) = problem {
            tracing::error!("orders of earlier commands: {problem}");
        }
        if let Some(order) = orders.maintenance() {
            tracing::warn!(
                "maintenance is in force, ordered by {}: `tandem maintenance off` ends it",
                order.by
            );
        }
        for one in orders.view(both()).orders {
            tracing::warn!(
                "an order is in force: {} for {}, by {}",
                one.order.order,
                one.instance,
                one.order.by
            );
        }
        for news in orders.news(None, config) {
            tracing::warn!("{}", news.text);
        }
        Self { orders, keeper: Arc::new(keeper) }
    }

    /// Waits until an order ends by itself; for ever where none does.
    pub(super) fn over(&self) -> impl Future<Output = ()> + use<> {
        let end = self.orders.next_end();
        async move {
            match end {
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Writes them down at the end, blocking.
    pub(super) fn keep_last(&self) -> impl FnOnce() + Send + use<> {
        let (keeper, orders) = (Arc::clone(&self.keeper), self.orders.clone());
        move || {
            if let Err(error) = keeper.write(&orders, both()) {
                tracing::error!("orders are not kept, the next start will not know them: {error}");
            }
        }
    }
}

/// What an answer looks for before it goes out.
struct Expected {
    instances: Vec<String>,
    /// The order should have led there, and a backup hears its master; `None`: nothing need happen.
    state: Option<StateName>,
}

impl Expected {
    /// It has come about, so long after the order.
    fn is_met(&self, one: &InstanceStatus, since: Duration) -> bool {
        let heard = || one.last_advert.is_some_and(|heard| heard.priority > 0 && heard.age < since);
        self.state.is_none_or(|state| one.state == state && (state != StateName::Backup || heard()))
    }
}

impl Worker {
    /// An order about an instance.
    pub(super) fn order(&mut self, wish: InstanceOrder, caller: &Caller, reply: oneshot::Sender<Reply>) {
        let by = caller.to_string();
        match self.obey(&wish, &by) {
            Ok((ordered, expected)) => {
                tracing::info!("{} by {caller}", ordered.done);
                self.note_order(&ordered, Some(by), wish.verb.name());
                self.answer_kept(ordered, Some(expected), reply);
            }
            Err(failure) => {
                tracing::info!("{caller} gave an order and was refused: {}", failure.problem);
                let _ = reply.send(Reply::Now(failure.into()));
            }
        }
    }

    fn obey(&mut self, wish: &InstanceOrder, by: &str) -> Result<(Ordered, Expected), Failure> {
        let instances = self.meant(wish)?;
        let what = named(&instances);
        let orders = &mut self.ordering.orders;
        let in_maintenance = orders.maintenance().map(|order| order.by.clone());
        if let (Some(by), Verb::TakeOver | Verb::Failback) = (&in_maintenance, wish.verb) {
            let problem = format!("this director is in maintenance, by {by}");
            return Err(Failure::new(409, "maintenance", problem, "write tandem maintenance off first"));
        }
        let (done, state) = match wish.verb {
            Verb::StepDown | Verb::TakeOver => {
                let kind =
                    if wish.verb == Verb::StepDown { OrderKind::StepDown } else { OrderKind::TakeOver };
                orders.give(&instances, made(kind, by, wish.lasting));
                let (words, state) = match kind {
                    OrderKind::TakeOver => ("ordered to take over", StateName::Master),
                    _ => ("ordered to step down", StateName::Backup),
                };
                (format!("{what}: {words}{}", lasting(wish.lasting)), Some(state))
            }
            Verb::Release => {
                if orders.take_back(&instances).is_empty() {
                    let problem = format!("no order is in force for {what}");
                    let cure = "see tandem why; maintenance is ended by tandem maintenance off";
                    return Err(Failure::new(409, "no-order", problem, cure));
                }
                (format!("{what}: the order is taken back, the ordinary election decides"), None)
            }
            Verb::Failback => {
                let taken = orders.take_back(&instances);
                // The one follows the other to the vrrp thread: what has an order back may be given back as well.
                let words = if taken.is_empty() { "" } else { "; the order is taken back" };
                (
                    format!("{what}: given back what the priority is enough for{words}"),
                    Some(StateName::Master),
                )
            }
        };
        self.tell_orders();
        if wish.verb == Verb::Failback {
            self.vrrp.mailbox.failback(instances.clone(), by.to_owned());
        }
        let mut ordered = Ordered { instances: instances.clone(), done, notes: Vec::new() };
        if in_maintenance.is_some() {
            ordered.notes.push("this director is in maintenance: the order waits for its end".to_owned());
        }
        Ok((ordered, Expected { instances, state }))
    }

    /// Maintenance of the whole director, or its end.
    pub(super) fn maintain(&mut self, wish: Maintenance, caller: &Caller, reply: oneshot::Sender<Reply>) {
        let by = caller.to_string();
        let instances = meant(&self.config, None);
        let orders = &mut self.ordering.orders;
        let (done, state) = if wish.on {
            let kind = if wish.strict { OrderKind::StrictMaintenance } else { OrderKind::Maintenance };
            orders.maintain(Some(made(kind, &by, wish.lasting)));
            let words = match wish.strict {
                true => "strict maintenance is on: this director takes no address, whoever is missing",
                false => "maintenance is on: this director yields to every peer",
            };
            let state = if wish.strict { StateName::Fault } else { StateName::Backup };
            (format!("{words}{}", lasting(wish.lasting)), Some(state))
        } else if orders.maintain(None).is_some() {
            ("maintenance is off: the ordinary election decides".to_owned(), None)
        } else {
            ("maintenance was off already".to_owned(), None)
        };
        self.tell_orders();
        let ordered = Ordered { instances: instances.clone(), done, notes: Vec::new() };
        tracing::info!("{} (by {caller})", ordered.done);
        self.note_order(&ordered, Some(by), "maintenance");
        self.answer_kept(ordered, Some(Expected { instances, state }), reply);
    }

    /// Orders that have ended by themselves.
    pub(super) fn orders_over(&mut self) {
        let over = self.ordering.orders.expire(clock::now());
        if over.is_empty() {
            return;
        }
        for (name, order) in &over {
            let (of, subject) = match name.as_str() {
                "" => ("this director".to_owned(), ""),
                name => (name.to_owned(), name),
            };
            let text = format!(
                "the time of an order is over for {of}: {} by {}; the ordinary election decides",
                order.kind.name(),
                order.by
            );
            tracing::info!("{text}");
            let cause = Some(order.kind.name().to_owned());
            self.chronicle.note(EventView { cause, ..event("info", "order", subject, text) });
        }
        self.tell_orders();
        tokio::task::spawn_blocking(self.ordering.keep_last());
    }

    /// The vrrp thread hears the orders as they are.
    pub(super) fn tell_orders(&self) {
        self.vrrp.mailbox.orders(self.ordering.orders.in_force(&self.config));
    }

    /// After a reload: orders whose instances are others than before it.
    pub(super) fn tell_order_news(&mut self, before: &Config) {
        for news in self.ordering.orders.news(Some(before), &self.config) {
            tracing::warn!("{}", news.text);
            let cause = Some(news.cause.to_owned());
            self.chronicle.note(EventView { cause, ..event("warning", "order", &news.subject, news.text) });
        }
    }

    fn meant(&self, wish: &InstanceOrder) -> Result<Vec<String>, Failure> {
        let name = wish.target.as_deref();
        let orders = &self.ordering.orders;
        let found = match wish.verb {
            Verb::StepDown | Verb::TakeOver => meant(&self.config, name),
            // What was given to somebody who is not there any more can be taken back.
            Verb::Release | Verb::Failback => orders.taken_back_by(&self.config, name),
        };
        if !found.is_empty() {
            return Ok(found);
        }
        let names = || {
            let groups = self.config.vrrp_sync_group.iter().map(|group| group.name.as_str());
            self.config.vrrp_instance.iter().map(|one| one.name.as_str()).chain(groups)
        };
        let Some(name) = name else {
            let problem = "this configuration has no vrrp_instance";
            return Err(Failure::new(409, "no-instance", problem, "nothing can be ordered here"));
        };
        let name: String = name.chars().take(80).collect();
        let cure = match closest(&name, names()) {
            Some(near) => format!("did you mean {near}?"),
            None => "name one of the configuration, or - for all".to_owned(),
        };
        let problem = format!("there is no vrrp_instance or vrrp_sync_group \"{name}\"");
        let mut failure = Failure::new(404, "no-instance", problem, cure);
        failure.candidates = names().take(NAMED).map(str::to_owned).collect();
        Err(failure)
    }

    fn note_order(&mut self, ordered: &Ordered, by: Option<String>, cause: &str) {
        let subjects: Vec<&str> = match (cause, ordered.instances.as_slice()) {
            ("maintenance", _) | (_, []) => vec![""],
            (_, instances) => instances.iter().map(String::as_str).collect(),
        };
        for subject in subjects {
            let happened = event("info", "order", subject, ordered.done.clone());
            self.chronicle.note(EventView { by: by.clone(), cause: Some(cause.to_owned()), ..happened });
        }
    }

    /// Answers when the orders are on the disk, and when it is seen what came of them.
    fn answer_kept(&self, mut ordered: Ordered, expected: Option<Expected>, reply: oneshot::Sender<Reply>) {
        let (keeper, orders) = (Arc::clone(&self.ordering.keeper), self.ordering.orders.clone());
        let (mailbox, config) = (self.vrrp.mailbox.clone(), Arc::clone(&self.config));
        let shared = Arc::clone(&self.told);
        tokio::spawn(async move {
            let work = tokio::task::spawn_blocking(move || keeper.write(&orders, both()));
            let note = match tokio::time::timeout(PATIENCE, work).await {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(error))) => Some(format!("a restart will forget it: {error}")),
                Ok(Err(error)) => Some(format!("a restart will forget it: {error}")),
                Err(_) => Some(format!(
                    "the disk has not kept it for {} s: it is in force, a restart may forget it",
                    PATIENCE.as_secs()
                )),
            };
            if let Some(note) = &note {
                tracing::error!("an order is not kept: {note}");
            }
            ordered.notes.extend(note);
            // A client that is gone wants no answer. One that waits keeps nobody from making his.
            let _ = reply.send(Reply::After(Box::pin(async move {
                if let Some(expected) = expected {
                    ordered.notes.extend(outcome(&mailbox, &config, expected).await);
                }
                shared.changed();
                let make: Make = Box::new(move || Answer::of(&ordered));
                make
            })));
        });
    }
}

fn made(kind: OrderKind, by: &str, lasting: Option<Duration>) -> Order {
    let Now { now, wall } = both();
    let until = lasting.and_then(|lasting| now.checked_add(lasting));
    Order { kind, by: by.to_owned(), at: wall, until }
}

fn lasting(lasting: Option<Duration>) -> String {
    lasting.map_or_else(String::new, |lasting| format!(", for {} s", lasting.as_secs()))
}

/// `VI_1`, `VI_1 and VI_2`, `VI_1, VI_2 and 7 more`.
fn named(instances: &[String]) -> String {
    match instances {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

/// How the instances stand once what was ordered has come about, or when that takes too long.
async fn outcome(mailbox: &Mailbox, config: &Config, expected: Expected) -> Vec<String> {
    let begun = clock::now();
    let until = begun + LOOK;
    let names: BTreeSet<String> = expected.instances.iter().cloned().collect();
    let pause = LOOK_EVERY + LOOK_LESS * u32::try_from(names.len()).unwrap_or(u32::MAX);
    loop {
        let left = until.saturating_duration_since(clock::now()).max(LOOK_EVERY);
        let (asked, only) = (mailbox.clone(), names.clone());
        match tokio::task::spawn_blocking(move || asked.status_of(only, left)).await {
            Ok(Ok(status)) => {
                let since = status.at.saturating_duration_since(begun);
                let there = status.instances.iter().all(|one| expected.is_met(one, since));
                if there || status.at >= until {
                    let told = status.instances.iter().take(NAMED);
                    return told.map(|one| why::instance_now(one, &status, config)).collect();
                }
            }
            // Others have given orders, too, and ask what comes of them.
            Ok(Err(NoAnswer::Busy)) if clock::now() < until => {}
            Ok(Err(_)) | Err(_) => return vec!["the vrrp thread does not answer".to_owned()],
        }
        let left = until.saturating_duration_since(clock::now());
        tokio::time::sleep(pause.min(left)).await;
    }
}
