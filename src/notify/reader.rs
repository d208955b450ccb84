//! The program that reads a pipe: started with us, started again when it ends, ended with the pipe.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock;
use crate::process::{self, Finished, Outcome, Program};

/// First pause before it is started again; doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A program that ran so long was well: the next pause is the first one again.
const WELL: Duration = Duration::from_secs(60);
/// What is left to a program after SIGTERM, before it is killed.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What its task is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Run,
    /// Do not start it again.
    Last,
    /// End it.
    End,
}

/// A running reader.
pub(super) struct Reader {
    wish: watch::Sender<Wish>,
    task: JoinHandle<()>,
}

impl Reader {
    pub(super) fn start(program: Program) -> Self {
        let (wish, wished) = watch::channel(Wish::Run);
        Self { wish, task: tokio::spawn(keep_running(program, wished)) }
    }

    /// Waits for its own end for `patience`, then sends SIGTERM, then kills it.
    pub(super) async fn close(mut self, patience: Duration) {
        self.wish.send_replace(Wish::Last);
        if tokio::time::timeout(patience, &mut self.task).await.is_ok() {
            return;
        }
        self.wish.send_replace(Wish::End);
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.task).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_running(program: Program, mut wished: watch::Receiver<Wish>) {
    let words = program.argv.join(" ");
    let mut pause = FIRST_PAUSE;
    loop {
        let started = clock::now();
        let mut end = wished.clone();
        let enough = async {
            let _ = end.wait_for(|wish| *wish == Wish::End).await;
        };
        let finished = process::run_until(&program, enough).await;
        if *wished.borrow() != Wish::Run {
            return;
        }
        if clock::now().saturating_duration_since(started) >= WELL {
            pause = FIRST_PAUSE;
        }
        tracing::warn!("{}; it is started again in {} s", ended(&words, &finished), pause.as_secs());
        let stopped = wished.wait_for(|wish| *wish != Wish::Run);
        if tokio::time::timeout(pause, stopped).await.is_ok() {
            return;
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn ended(words: &str, finished: &Finished) -> String {
    match &finished.outcome {
        Outcome::Exit(status) => format!("the pipe's reader {words} ended with status {status}"),
        Outcome::Signal(signal) => format!("the pipe's reader {words} was ended by signal {signal}"),
        Outcome::TimedOut => format!("the pipe's reader {words} was ended"),
        Outcome::NotStarted(why) | Outcome::NoProcess(why) => format!("the pipe's reader: {why}"),
    }
}
