//! What clients ask of the daemon itself: reload, upgrade, leave.

use crate::control::answer::{Answer, Failure};
use crate::control::routes::Life;
use crate::control::server::{Ask, Reply};
use crate::control::view::Done;
use crate::core::lifeline::Word;

use super::Worker;
use super::ending::End;

impl Worker {
    /// Does it; `Some`: that is the end of this process.
    pub(super) async fn life(&mut self, order: Life, ask: Ask) -> Option<End> {
        let Ask { caller, reply, .. } = ask;
        match order {
            Life::Reload => {
                tracing::info!("{caller} asks for a reload");
                let answer = match self.reload().await {
                    Ok(done) => Answer::of(&done),
                    Err(failure) => failure.into(),
                };
                let _ = reply.send(Reply::Now(answer));
                None
            }
            Life::Upgrade if !self.lifeline.is_held() => {
                let problem = "this daemon runs without its supervisor, which would start the new program";
                let cure = "stop it and start it again without --no-supervisor";
                let _ = reply.send(Reply::Now(Failure::new(409, "no-supervisor", problem, cure).into()));
                None
            }
            Life::Upgrade => {
                tracing::info!("{caller} asks for an upgrade");
                // The answer is that of the supervisor: a refusal, or our end.
                self.upgrading = Some(reply);
                self.lifeline.say(Word::Upgrade);
                None
            }
            Life::Leave => {
                tracing::info!("{caller} asks to leave everything as it is");
                self.lifeline.say(Word::Stopping);
                let done = Done { done: "leaving everything as it is".to_owned(), ..Done::default() };
                let _ = reply.send(Reply::Now(Answer::of(&done)));
                Some(End::Left)
            }
        }
    }

    /// The supervisor has another program ready: whoever asked for it hears so.
    pub(super) fn upgraded(&mut self) {
        if let Some(reply) = self.upgrading.take() {
            let done = Done { done: "another program goes on".to_owned(), ..Done::default() };
            let _ = reply.send(Reply::Now(Answer::of(&done)));
        }
    }
}
