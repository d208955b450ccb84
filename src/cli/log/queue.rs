//! The queue of one place, and the thread that empties it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Level;

use super::line::Line;
use super::places::Place;

/// Lines that wait at a time.
const LINES: usize = 8192;
/// Pause before a line is offered again to a place that cannot take it at the moment.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    lines: VecDeque<Arc<Line>>,
    /// Lines that found no room, since that was last told.
    lost: u64,
    /// Nothing more comes.
    closed: bool,
    /// The thread has written everything and ended.
    done: bool,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned queue holds whole lines all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, or counts it as lost; never waits for the place.
    pub(super) fn put(&self, line: Arc<Line>) {
        let mut state = self.lock();
        if state.lines.len() >= LINES {
            state.lost = state.lost.saturating_add(1);
            return;
        }
        state.lines.push_back(line);
        drop(state);
        self.changed.notify_one();
    }

    /// The next lines, and how many were lost before them; `None` when no more can come.
    fn take(&self) -> Option<(VecDeque<Arc<Line>>, u64)> {
        let mut state = self.lock();
        while state.lines.is_empty() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let lost = std::mem::take(&mut state.lost);
        if state.lines.is_empty() && lost == 0 {
            return None;
        }
        Some((std::mem::take(&mut state.lines), lost))
    }

    /// Rests before a line is offered again. False: it is not worth it, for newer ones find no room, or it is the end.
    fn rest(&self) -> bool {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, PAUSE, |state| !state.closed);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closed && state.lines.len() < LINES
    }
}

/// Writes a line, once its place takes it. True: it never did.
fn is_refused(place: &mut dyn Place, line: &Line, queue: &Queue) -> bool {
    loop {
        match place.write(line) {
            Ok(()) => return false,
            Err(error) if place.may_come(&error) && queue.rest() => {}
            Err(_) => return true,
        }
    }
}

/// The end that stays with the program.
pub(super) struct Writing(Arc<Queue>);

impl Writing {
    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.0)
    }

    /// Waits until everything is written, at most so long. Lines that come later are lost.
    pub(super) fn finish(&self, patience: Duration) {
        let mut state = self.0.lock();
        state.closed = true;
        self.0.changed.notify_all();
        let waited = self.0.changed.wait_timeout_while(state, patience, |state| !state.done);
        drop(waited);
    }
}

/// Starts the thread of a place.
pub(super) fn start(mut place: Box<dyn Place>) -> io::Result<Writing> {
    let queue = Arc::new(Queue::default());
    let writing = Writing(Arc::clone(&queue));
    std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        // What the place did not take, since that was last told there.
        let mut refused = 0;
        while let Some((lines, lost)) = queue.take() {
            for line in &lines {
                refused += u64::from(is_refused(&mut *place, line, &queue));
            }
            if lost + refused > 0 {
                let told =
                    format!("{} log lines were lost: {} did not take them", lost + refused, place.name());
                refused = match place.write(&Line::own(Level::WARN, told)) {
                    Ok(()) => 0,
                    Err(_) => lost + refused,
                };
            }
        }
        queue.lock().done = true;
        queue.changed.notify_all();
    })?;
    Ok(writing)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A place that writes when it is let.
    struct Stuck {
        let_go: Receiver<()>,
        open: bool,
        out: Sender<String>,
    }

    impl Place for Stuck {
        fn name(&self) -> &'static str {
            "the test"
        }

        fn write(&mut self, line: &Line) -> io::Result<()> {
            if !self.open {
                self.let_go.recv().unwrap();
                self.open = true;
            }
            self.out.send(line.message.clone()).unwrap();
            Ok(())
        }
    }

    /// A place that has no room for some time.
    struct Busy {
        until: std::time::Instant,
        out: Sender<String>,
    }

    impl Place for Busy {
        fn name(&self) -> &'static str {
            "the test"
        }

        fn write(&mut self, line: &Line) -> io::Result<()> {
            if crate::clock::now() < self.until {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.out.send(line.message.clone()).unwrap();
            Ok(())
        }

        fn may_come(&self, _: &io::Error) -> bool {
            true
        }
    }

    #[test]
    fn what_a_place_cannot_take_at_once_is_kept_for_it() {
        let (out, written) = channel();
        let busy = |ms| Busy { until: crate::clock::now() + Duration::from_millis(ms), out: out.clone() };
        let writing = start(Box::new(busy(500))).unwrap();
        for number in 0..100 {
            writing.queue().put(Arc::new(Line::own(Level::INFO, number.to_string())));
        }
        let wanted: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let lines: Vec<String> =
            (0..100).map(|_| written.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
        assert_eq!(lines, wanted, "in order, and each once");
        // One that never takes anything does not hold up an end.
        let writing = start(Box::new(busy(3_600_000))).unwrap();
        writing.queue().put(Arc::new(Line::own(Level::INFO, "lost".to_owned())));
        let begun = crate::clock::now();
        writing.finish(Duration::from_secs(60));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_stuck_place_holds_nobody_up_and_losses_are_told() {
        let (go, let_go) = channel();
        let (out, written) = channel();
        let writing = start(Box::new(Stuck { let_go, open: false, out })).unwrap();
        let queue = writing.queue();
        let total = LINES * 2 + 10;
        for number in 0..total {
            queue.put(Arc::new(Line::own(Level::INFO, number.to_string())));
        }
        // The place has not written a line, and here we are.
        writing.finish(Duration::from_millis(1));
        go.send(()).unwrap();
        writing.finish(Duration::from_secs(60));
        let lines: Vec<String> = written.try_iter().collect();
        let told: Vec<&String> = lines.iter().filter(|line| line.contains("were lost")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        let lost: usize = told[0].split(' ').next().unwrap().parse().unwrap();
        assert_eq!(lines.len() - 1 + lost, total);
        assert_eq!(lines[0], "0");
    }
}
