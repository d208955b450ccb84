//! The other director of the pair: what is worth a line of it, what it wants done here, and what is handed to it.

use tokio::sync::{mpsc, oneshot};

use super::Worker;
use crate::channel::driver::{Incoming, Outgoing};
use crate::channel::judge::said;
use crate::channel::message::{By, Push, Said, clean};
use crate::channel::watch::{Note, Problem};
use crate::config::model::AdminState;
use crate::control::answer::{Answer, Failure};
use crate::control::routes::{Change, Order, Request, ServerName, lasting};
use crate::control::server::{Ask, Caller, Reply};
use crate::control::view::{Changed, PairedView, Refused};
use crate::core::journal::events::event;

impl Worker {
    /// What is in force here has changed.
    pub(super) fn tell_pair(&mut self) {
        self.peering.configure(&self.overlay);
    }

    /// Something is worth a line.
    pub(super) fn take_note(&mut self, note: Note) {
        let Note { warning, cause, subject, text } = note;
        let level = if warning {
            tracing::warn!("pair: {text}");
            "warning"
        } else {
            tracing::info!("pair: {text}");
            "info"
        };
        let mut happened = event(level, "pair", &subject, text);
        happened.cause = Some(cause.to_owned());
        self.chronicle.note(happened);
    }

    /// The thread of the channel has died.
    pub(super) fn look_at_pair(&mut self) {
        if self.peering.died() {
            tracing::error!("the pair thread ended unexpectedly; starting it again");
            self.tell_pair();
        }
    }

    /// A change that the other director wants here: as one of the commands, but for who says so.
    pub(super) fn take_push(&mut self, incoming: Incoming) {
        let Incoming { push, from, reply: answer } = incoming;
        if answer.is_closed() {
            return;
        }
        let change = match meant(&push) {
            Ok(change) => change,
            Err(problem) => {
                let _ = answer.send(said("body", &problem, "run the same version on both directors"));
                return;
            }
        };
        let By { uid, user, pid } = push.by;
        let host = Some(from.name).filter(|name| !name.is_empty()).unwrap_or_else(|| "the-peer".to_owned());
        let caller = Caller { uid, user: user.map(|user| clean(&user)), pid, host: Some(host) };
        let (reply, done) = oneshot::channel();
        self.command(Ask { request: Request::Change(change), caller, reply });
        tokio::spawn(async move {
            let told = match done.await {
                Ok(Reply::Now(told)) => in_words(&told),
                _ => said("stopping", "it stops", "try again when it runs"),
            };
            let _ = answer.send(told);
        });
    }

    /// A change here and at the other director: first here, where it stands whatever the other one says.
    pub(super) fn change_both(&mut self, change: Change, caller: Caller, reply: oneshot::Sender<Reply>) {
        let Some((pushes, notes)) = self.peering.pusher() else {
            let problem = "this director knows no other one (pair_peer)";
            let cure =
                "write pair_peer, pair_listen and pair_key_file into global_defs, or ask without --pair";
            let _ = reply.send(Reply::Now(Failure::new(409, "no-pair", problem, cure).into()));
            return;
        };
        let (here, done) = oneshot::channel();
        let by = By { uid: caller.uid, user: caller.user.clone(), pid: caller.pid };
        let for_seconds = change.lasting.map(|lasting| lasting.as_secs());
        let push = Push { by, for_seconds, ..worded(&change.order) };
        self.change(Change { pair: false, ..change }, caller, here);
        tokio::spawn(async move {
            let Ok(Reply::Now(answer)) = done.await else { return };
            let changed =
                serde_json::from_slice::<Changed>(&answer.body).ok().filter(|_| answer.status == 200);
            let Some(mut changed) = changed else {
                // Nothing has changed here, and nothing is asked of the other one.
                let _ = reply.send(Reply::Now(answer));
                return;
            };
            let push =
                Push { service: changed.virtual_server.clone(), server: changed.real_server.clone(), ..push };
            let paired = handed(&pushes, push).await;
            let _ = notes.try_send(noted(&changed, &paired));
            changed.pair = Some(paired);
            let _ = reply.send(Reply::Now(Answer::of(&changed)));
        });
    }
}

/// Hands it over; what came of it.
async fn handed(pushes: &mpsc::Sender<Outgoing>, push: Push) -> PairedView {
    let (reply, done) = oneshot::channel();
    if pushes.send(Outgoing { push, reply }).await.is_err() {
        let said = "the channel is closed".to_owned();
        return PairedView { peer: "the peer".to_owned(), said, ..PairedView::default() };
    }
    match done.await {
        Ok((peer, answer)) => {
            let (done, said, notes) = outcome(answer);
            PairedView { peer, done, said, notes }
        }
        Err(_) => {
            let said = "the channel was closed meanwhile".to_owned();
            PairedView { peer: "the peer".to_owned(), said, ..PairedView::default() }
        }
    }
}

/// Whether it is done there, what it said, and what a person should know.
fn outcome(answer: Result<Said, Problem>) -> (bool, String, Vec<String>) {
    match answer {
        Ok(Said::Changed { change, notes }) => (true, change, notes),
        Ok(Said::Refused { problem, cure, .. }) => (false, format!("{problem}; {cure}"), Vec::new()),
        Ok(Said::Same | Said::Profile { .. }) => {
            (false, "its answer is to another question".to_owned(), Vec::new())
        }
        Err(problem) => (false, problem.to_string(), Vec::new()),
    }
}

/// The line of this director's journal.
fn noted(changed: &Changed, paired: &PairedView) -> Note {
    let (server, peer, told) = (&changed.real_server, &paired.peer, &paired.said);
    let (cause, text) = if paired.done {
        ("handed_on", format!("real server {server}: the peer {peer} does the same: {told}"))
    } else {
        ("not_handed_on", format!("real server {server}: the peer {peer} does not do the same: {told}"))
    };
    Note { warning: !paired.done, cause, subject: changed.virtual_server.clone(), text }
}

/// An order in the words of the channel.
fn worded(order: &Order) -> Push {
    let (word, weight) = match order {
        Order::Weight(weight) => ("weight", Some(*weight)),
        Order::State(AdminState::Disabled) => ("disable", None),
        Order::State(AdminState::Drain) => ("drain", None),
        Order::State(AdminState::Enabled) | Order::Enable => ("enable", None),
        // The door has refused these; whoever is asked does not know them either.
        Order::Add { .. } => ("add", None),
        Order::Delete => ("delete", None),
    };
    Push { order: word.to_owned(), weight, ..Push::default() }
}

/// What a peer wants; it may want nothing that a person could not take back as easily.
fn meant(push: &Push) -> Result<Change, String> {
    let order = match (push.order.as_str(), push.weight) {
        ("weight", Some(weight)) => Order::Weight(weight),
        ("drain", None) => Order::State(AdminState::Drain),
        ("disable", None) => Order::State(AdminState::Disabled),
        ("enable", None) => Order::Enable,
        (other, _) => return Err(format!("\"{}\" is no order that is taken from a peer", clean(other))),
    };
    let service = push.service.parse().map_err(|problem: String| clean(&problem))?;
    let server: ServerName = push.server.parse().map_err(|problem: String| clean(&problem))?;
    let lasting = lasting(push.for_seconds).map_err(|failure| clean(&failure.problem))?;
    if lasting.is_some() && !matches!(order, Order::State(_)) {
        return Err("only a drain, or that a real server is disabled, can end by itself".to_owned());
    }
    Ok(Change { service: Some(service), server, order, persist: false, pair: false, lasting })
}

/// An answer of ours in the words of the channel.
fn in_words(answer: &Answer) -> Said {
    if answer.status == 200
        && let Ok(changed) = serde_json::from_slice::<Changed>(&answer.body)
    {
        return Said::Changed { change: changed.change, notes: changed.notes };
    }
    match serde_json::from_slice::<Refused>(&answer.body) {
        Ok(refused) => said(&refused.error.code, &refused.error.problem, &refused.error.cure),
        Err(_) => said("defect", "its answer is not understood", "report this as a defect"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_through_as_they_were_and_no_others_do() {
        for order in [
            Order::Weight(0),
            Order::Weight(65535),
            Order::State(AdminState::Drain),
            Order::State(AdminState::Disabled),
            Order::Enable,
        ] {
            let push = Push {
                service: "TCP 10.0.0.1:80".to_owned(),
                server: "10.1.0.1:80".to_owned(),
                ..worded(&order)
            };
            let change = meant(&push).unwrap();
            assert_eq!((change.order, change.persist, change.pair), (order, false, false));
        }
        let push = |service: &str, server: &str, order: &str, weight| Push {
            service: service.to_owned(),
            server: server.to_owned(),
            order: order.to_owned(),
            weight,
            ..Push::default()
        };
        let web = "TCP 10.0.0.1:80";
        for (push, says) in [
            (push(web, "10.1.0.1:80", "delete", None), "no order"),
            (push(web, "10.1.0.1:80", "add", Some(1)), "no order"),
            (push(web, "10.1.0.1:80", "weight", None), "no order"),
            (push(web, "10.1.0.1:80", "drain", Some(1)), "no order"),
            (push(web, "10.1.0.1:80", "\x1b[2J", None), "\"?[2J\""),
            (push(web, "nobody", "drain", None), "is no real server"),
            (push("-", "10.1.0.1:80", "drain", None), "is no ADDRESS:PORT"),
        ] {
            let problem = meant(&push).unwrap_err();
            assert!(problem.contains(says), "{push:?}: {problem}");
        }
    }

    #[test]
    fn a_drain_of_a_peer_lasts_as_long_as_one_of_a_person_may() {
        let timed = |order: &Order, for_seconds| {
            let named = Push {
                service: "TCP 10.0.0.1:80".to_owned(),
                server: "10.1.0.1:80".to_owned(),
                ..worded(order)
            };
            meant(&Push { for_seconds: Some(for_seconds), ..named })
        };
        let drain = Order::State(AdminState::Drain);
        assert_eq!(timed(&drain, 600).unwrap().lasting, Some(std::time::Duration::from_secs(600)));
        for (order, seconds, says) in [
            (&drain, 0, "for_seconds is 0"),
            (&drain, 366 * 86_400 + 1, "for_seconds is"),
            // No clock reaches that far: it would never end.
            (&drain, u64::MAX, "for_seconds is"),
            (&Order::Weight(1), 60, "can end by itself"),
        ] {
            let problem = timed(order, seconds).unwrap_err();
            assert!(problem.contains(says), "{order:?} {seconds}: {problem}");
        }
    }

    #[test]
    fn answers_come_through_in_words() {
        let changed = Changed { change: "enabled -> drain".to_owned(), ..Changed::default() };
        let answer = in_words(&Answer::of(&changed));
        assert_eq!(outcome(Ok(answer)), (true, "enabled -> drain".to_owned(), Vec::new()));
        let refused = in_words(&Failure::new(404, "no-real-server", "there is none", "look").into());
        assert_eq!(outcome(Ok(refused)), (false, "there is none; look".to_owned(), Vec::new()));
        let silent = outcome(Err(Problem::Silent(8)));
        assert_eq!(silent, (false, "it does not answer within 8 s".to_owned(), Vec::new()));
    }
}
