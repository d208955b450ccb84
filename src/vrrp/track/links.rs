//! Drives the watch over interfaces: the kernel's news, a question a second for those that do not tell their carrier, and
//! the delays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::clock;
use crate::net::link::Links;

use super::beat::Asker;
use super::link::{Flip, LinkPlans, Watch};
use super::{Change, Said, TrackerKind, Value};

/// Between two questions for a carrier, as keepalived has it.
const BEAT: Duration = Duration::from_secs(1);

/// Watches until the plans end. `first` is what the owner has already told of.
pub(super) async fn run(
    mut plans: watch::Receiver<(Arc<LinkPlans>, u64)>,
    mut links: watch::Receiver<Arc<Links>>,
    first: Watch,
    changes: mpsc::Sender<Change>,
) {
    let mut watch = first;
    let mut asker = Asker::default();
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asks = watch.beats().next().is_some();
        let flips = tokio::select! {
            changed = plans.changed() => {
                if changed.is_err() {
                    return;
                }
                let (wanted, _) = plans.borrow_and_update().clone();
                let links = links.borrow().clone();
                watch.set(&wanted, &links);
                asker.ask(&mut watch);
                let _ = watch.look(&links, clock::now());
                // What the owner believes of new ones may be a moment older.
                watch.all(&links)
            }
            changed = links.changed() => {
                if changed.is_err() {
                    return;
                }
                let links = links.borrow_and_update().clone();
                watch.look(&links, clock::now())
            }
            _ = beats.tick(), if asks => {
                asker.ask(&mut watch);
                let links = links.borrow().clone();
                watch.look(&links, clock::now())
            }
            () = until(watch.deadline()) => {
                let links = links.borrow().clone();
                watch.fire(&links, clock::now())
            }
        };
        let epoch = plans.borrow().1;
        for Flip { name, up, why } in flips {
            let said = Said::new(Value::of(up), why, clock::now());
            if changes.send(Change { kind: TrackerKind::Interface, name, epoch, said }).await.is_err() {
                return;
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
