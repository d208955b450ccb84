//! The event stream: `text/event-stream` made of the events that the worker sends to all who listen. A client that does not
//! read costs one place and no memory beyond its buffer: what it misses is gone, and it is told how much; after a while it is
//! let go.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::stream::{self, Stream};
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::super::view::EventView;
use super::discreet::text_without;
use crate::clock;

/// Something is said at least this often, so that both ends notice when the other one is gone.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
/// A client that has not taken what it was given is gone after so long.
pub(super) const UNREAD: Duration = Duration::from_secs(30);
/// A stream ends after so long; the client comes again and goes on where it was.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);
/// How soon a client should come again, milliseconds.
const RETRY: u64 = 3000;
/// Events that are put into one piece.
const AT_A_TIME: usize = 64;

/// What happened before, and what happens from now on: nothing is missing between the two.
#[derive(Debug)]
pub struct Events {
    /// Those that are kept, the oldest first.
    pub past: Vec<Arc<EventView>>,
    /// How many between the last one that the client knows and these are not kept any more.
    pub missed: u64,
    /// The number of the newest event; 0 = there is none.
    pub newest: u64,
    /// The name of the journal that these numbers are of: letters and digits.
    pub journal: String,
    /// Those to come.
    pub live: Receiver<Arc<EventView>>,
}

/// How a client takes what it is given.
#[derive(Debug, Default)]
pub(super) struct Flow(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the stream began, where there is one.
    since: Option<Instant>,
    /// Since when a piece waits that the client has not taken yet.
    handed: Option<Instant>,
}

impl Flow {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True for a stream; an ordinary answer has another limit.
    pub(super) fn is_stream(&self) -> bool {
        self.with(|state| state.since.is_some())
    }

    /// The client is to go: it does not read, or it has had its time.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.with(|state| {
            let older = |at: Option<Instant>, limit| at.is_some_and(|at| now.duration_since(at) >= limit);
            older(state.since, LONGEST) || older(state.handed, UNREAD)
        })
    }
}

/// The body of the answer.
pub(super) struct EventBody {
    pieces: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    flow: Arc<Flow>,
    _place: OwnedSemaphorePermit,
}

impl EventBody {
    /// `discreet`: for somebody who comes over the network.
    pub(super) fn new(events: Events, flow: Arc<Flow>, place: OwnedSemaphorePermit, discreet: bool) -> Self {
        Self::with(events, flow, place, HEARTBEAT, discreet)
    }

    fn with(
        events: Events,
        flow: Arc<Flow>,
        place: OwnedSemaphorePermit,
        heartbeat: Duration,
        discreet: bool,
    ) -> Self {
        flow.with(|state| state.since = Some(clock::now()));
        let first = opening(&events);
        let past = events.past.into_iter().peekable();
        let begin = Begin { past, live: events.live, heartbeat, discreet };
        let pieces = stream::unfold((Some(first), begin), |(first, mut begin)| async move {
            match first {
                Some(first) => Some((Bytes::from(first), (None, begin))),
                None => begin.next().await.map(|piece| (Bytes::from(piece), (None, begin))),
            }
        });
        Self { pieces: Box::pin(pieces), flow, _place: place }
    }
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        // It asks for more: so what it was given has left us.
        self.flow.with(|state| state.handed = None);
        let piece = std::task::ready!(self.pieces.as_mut().poll_next(context));
        self.flow.with(|state| state.handed = piece.as_ref().map(|_| clock::now()));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

fn opening(events: &Events) -> String {
    let hello = serde_json::json!({ "newest": events.newest, "journal": events.journal });
    let mut text = format!("retry: {RETRY}\nevent: hello\ndata: {hello}\n\n");
    if events.missed > 0 {
        text.push_str(&missed_line(events.missed));
    }
    text
}

fn missed_line(count: u64) -> String {
    format!("event: missed\ndata: {{\"missed\":{count}}}\n\n")
}

fn line(event: &EventView, discreet: bool, into: &mut String) {
    // JSON has no line breaks of its own.
    let text = match discreet {
        true => serde_json::to_string(&event.for_network()).map(|text| text_without(&text)),
        false => serde_json::to_string(event),
    };
    if let Ok(text) = text {
        let _ = write!(into, "id: {}\ndata: {text}\n\n", event.number);
    }
}

struct Begin {
    past: std::iter::Peekable<std::vec::IntoIter<Arc<EventView>>>,
    live: Receiver<Arc<EventView>>,
    heartbeat: Duration,
    discreet: bool,
}

impl Begin {
    /// The next piece; `None` when the daemon ends.
    async fn next(&mut self) -> Option<String> {
        let mut piece = String::new();
        if self.past.peek().is_some() {
            for event in self.past.by_ref().take(AT_A_TIME) {
                line(&event, self.discreet, &mut piece);
            }
            return Some(piece);
        }
        match tokio::time::timeout(self.heartbeat, self.live.recv()).await {
            Err(_) => piece.push_str(": still here\n\n"),
            Ok(Ok(event)) => line(&event, self.discreet, &mut piece),
            Ok(Err(RecvError::Lagged(count))) => piece.push_str(&missed_line(count)),
            Ok(Err(RecvError::Closed)) => return None,
        }
        for _ in 1..AT_A_TIME {
            match self.live.try_recv() {
                Ok(event) => line(&event, self.discreet, &mut piece),
                Err(TryRecvError::Lagged(count)) => piece.push_str(&missed_line(count)),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::sync::{Semaphore, broadcast};

    use super::*;

    fn event(number: u64) -> Arc<EventView> {
        Arc::new(EventView { number, text: format!("the {number}th\nof them"), ..EventView::default() })
    }

    fn numbers(text: &str) -> Vec<&str> {
        text.lines()
            .filter_map(|line| line.strip_prefix("id: ").or_else(|| line.strip_prefix("event: ")))
            .collect()
    }

    fn body(events: Events) -> (EventBody, Arc<Flow>) {
        let flow = Arc::new(Flow::default());
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (EventBody::with(events, Arc::clone(&flow), place, Duration::from_millis(20), false), flow)
    }

    fn run<F: Future<Output = ()>>(test: F) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn past_then_live_with_what_was_missed() {
        run(async {
            let (sender, live) = broadcast::channel(4);
            let past = vec![event(7), event(8)];
            let (mut body, _) = body(Events { past, missed: 5, newest: 8, journal: "2a".to_owned(), live });
            let mut all = String::new();
            for n in 9..20 {
                sender.send(event(n)).unwrap();
            }
            for _ in 0..3 {
                all.push_str(std::str::from_utf8(&body.pieces.next().await.unwrap()).unwrap());
            }
            // The channel holds four: the others are counted.
            assert_eq!(numbers(&all), ["hello", "missed", "7", "8", "missed", "16", "17", "18", "19"]);
            assert!(
                all.contains("data: {\"journal\":\"2a\",\"newest\":8}\n")
                    && all.contains("{\"missed\":5}")
                    && all.contains("{\"missed\":7}")
            );
            assert!(all.lines().filter(|line| line.starts_with("data: {\"number\"")).count() == 6, "{all}");
            // Nothing happens: a heartbeat, which costs no number.
            let piece = body.pieces.next().await.unwrap();
            assert_eq!(piece, ": still here\n\n");
            drop(sender);
            assert!(body.pieces.next().await.is_none());
        });
    }

    #[test]
    fn who_does_not_take_his_piece_is_let_go() {
        run(async {
            let (sender, live) = broadcast::channel(4);
            let (mut body, flow) =
                body(Events { past: Vec::new(), missed: 0, newest: 0, journal: String::new(), live });
            assert!(flow.is_stream());
            let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
            assert!(frame.is_some());
            let now = Instant::now();
            assert!(!flow.is_over(now));
            assert!(flow.is_over(now + UNREAD), "the piece was not taken");
            // It asks again, so it has: now we wait for events, and that may last.
            let waits = std::future::poll_fn(|context| {
                Poll::Ready(Pin::new(&mut body).poll_frame(context).is_pending())
            });
            assert!(waits.await);
            assert!(!flow.is_over(now + UNREAD));
            assert!(flow.is_over(now + 2 * LONGEST), "an hour is enough");
            drop(sender);
        });
    }
}
