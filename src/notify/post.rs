//! The task that carries mails out of the outbox to the relay: one at a time, so that a dead relay delays mail and
//! nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::mail::{self, Relay};
use super::outbox::{Event, GIVE_UP, Outbox, Step};
use crate::clock;

struct Shared {
    outbox: Mutex<(Outbox, Option<Arc<Relay>>)>,
    news: Notify,
    done: Notify,
}

/// Takes events and never waits.
pub struct Mailer {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Mailer {
    /// Starts the task that delivers; `None` = no mail is sent. `window` as [`Outbox::new`] has it. Must be called on
    /// a runtime.
    pub fn start(relay: Option<Relay>, window: Duration) -> Self {
        let outbox = Mutex::new((Outbox::new(window), relay.map(Arc::new)));
        let shared = Arc::new(Shared { outbox, news: Notify::new(), done: Notify::new() });
        Self { task: tokio::spawn(work(Arc::clone(&shared))), shared }
    }

    /// Another relay or window, after a reload: what waits goes there. Without a relay it is forgotten, with a log
    /// line.
    pub fn configure(&self, relay: Option<Relay>, window: Duration) {
        let mut inner = self.shared.lock();
        if relay.is_none() && inner.0.pending() > 0 {
            tracing::warn!("{} events are not mailed: there is no mail relay any more", inner.0.pending());
            inner.0 = Outbox::new(window);
        }
        inner.0.set_window(window);
        inner.1 = relay.map(Arc::new);
        drop(inner);
        self.shared.news.notify_one();
    }

    /// Queues an event; without a relay it goes nowhere.
    pub fn push(&self, event: Event) {
        let mut inner = self.shared.lock();
        if inner.1.is_some() {
            inner.0.push(event, clock::now());
            drop(inner);
            self.shared.news.notify_one();
        }
    }

    /// Events that no delivered mail has told yet.
    pub fn pending(&self) -> u64 {
        self.shared.lock().0.pending()
    }

    /// Tries to deliver all that waits, once, at most this long.
    pub async fn finish(&self, limit: Duration) {
        let done = async {
            while self.pending() > 0 {
                let tried = self.shared.done.notified();
                self.shared.lock().0.hurry();
                self.shared.news.notify_one();
                let before = self.pending();
                tried.await;
                if self.pending() >= before {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(limit, done).await;
        if self.pending() > 0 {
            tracing::warn!("{} events are not mailed: the daemon ends", self.pending());
        }
    }
}

impl Drop for Mailer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Outbox, Option<Arc<Relay>>)> {
        // The outbox is whole at every unlock.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn work(shared: Arc<Shared>) {
    loop {
        let news = shared.news.notified();
        let (step, relay) = {
            let mut inner = shared.lock();
            let relay = inner.1.clone();
            (inner.0.step(clock::now()), relay)
        };
        match (step, relay) {
            (Step::Send(mail), Some(relay)) => {
                let result = mail::send(&relay, &mail).await;
                let now = clock::now();
                match result {
                    Ok(()) => {
                        shared.lock().0.sent(now);
                        tracing::info!("mail sent: {}", mail.subject());
                    }
                    Err(error) => {
                        let given_up = shared.lock().0.failed(now);
                        tracing::warn!("mail not sent, it is tried again: {error} ({})", mail.subject());
                        if given_up > 0 {
                            tracing::error!(
                                "{given_up} events are not mailed: the relay took none for {} minutes",
                                GIVE_UP.as_secs() / 60
                            );
                        }
                    }
                }
                shared.done.notify_waiters();
            }
            (Step::Send(_), None) => {
                let _ = shared.lock().0.failed(clock::now());
                news.await;
            }
            (Step::Wait(at), _) => {
                let _ = tokio::time::timeout_at(at.into(), news).await;
            }
            (Step::Idle, _) => news.await,
        }
    }
}
