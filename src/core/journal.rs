//! What happened, in order, each thing with its cause: the answer to "why", when the log is far away or long gone. Pure: a
//! ring of bounded size; [`book`] keeps it over restarts.
//!
//! Numbers count from 1 and go on over restarts, however the last process ended: none is given twice. A start of the machine
//! begins another journal, which has another name. What is forgotten is the oldest; but a thousand real servers that fail at
//! once take no more than half of the room, so that the last transition and what led to it are still there afterwards.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::control::routes::EventQuery;
use crate::control::view::{EventView, JournalView};

pub mod book;
pub mod events;

/// So many events are kept.
pub const EVENTS: usize = 2000;
/// And so many bytes of them, as JSON would have them.
pub const BYTES: usize = 4 * 1024 * 1024;
/// The longest text of one event, bytes; what is longer is cut.
const TEXT: usize = 4096;
/// Details of more bytes than this are left out: thousands of trackers in one transition.
const DETAILS: usize = 64 * 1024;
/// What an event takes beside its texts, about: names of fields, number, time.
const FRAME: usize = 160;

/// Events of these kinds come in floods.
const FLOODS: [&str; 3] = ["check", "tracker", "advert"];
/// So many of them are kept, where there are others.
const OF_FLOODS: usize = EVENTS / 2;

/// An event, what it takes, and whether it is one of a flood.
type Kept = (Arc<EventView>, usize, bool);

/// The last events.
#[derive(Clone, Debug)]
pub struct Journal {
    events: VecDeque<Kept>,
    bytes: usize,
    /// How many of them are of floods.
    floods: usize,
    /// Number of the next event.
    next: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { events: VecDeque::new(), bytes: 0, floods: 0, next: 1 }
    }
}

impl Journal {
    /// One that goes on from what was kept: the numbers go up, what breaks that rule is left out.
    pub fn restored(events: impl IntoIterator<Item = EventView>) -> Self {
        let mut journal = Self::default();
        for event in events {
            if event.number >= journal.next {
                journal.next = event.number;
                journal.push(event);
            }
        }
        journal
    }

    /// Numbers up to this one have been given to events that are not here: the last process died before they were written.
    pub fn skip_to(&mut self, last: u64) {
        self.next = self.next.max(last.saturating_add(1));
    }

    /// Takes an event in, gives it its number, and returns it as it is kept.
    pub fn push(&mut self, mut event: EventView) -> Arc<EventView> {
        event.number = self.next;
        cut(&mut event.text);
        if details(&event) > DETAILS {
            event.details = None;
        }
        let event = Arc::new(event);
        self.adopt(&event);
        event
    }

    /// Takes in an event that has its number: it is the next one, or a later one where some were lost.
    fn adopt(&mut self, event: &Arc<EventView>) {
        self.next = self.next.max(event.number).saturating_add(1);
        let size = size(event) + details(event);
        let flood = FLOODS.contains(&event.kind.as_str());
        self.events.push_back((Arc::clone(event), size, flood));
        self.bytes += size;
        self.floods += usize::from(flood);
        while self.events.len() > EVENTS || (self.bytes > BYTES && self.events.len() > 1) {
            self.forget();
        }
    }

    /// The oldest goes, or the oldest of the floods where these are too many.
    fn forget(&mut self) {
        let of_floods = self.floods > OF_FLOODS;
        let at = self.events.iter().position(|(.., flood)| *flood || !of_floods).unwrap_or(0);
        if let Some((_, size, flood)) = self.events.remove(at) {
            self.bytes -= size;
            self.floods -= usize::from(flood);
        }
    }

    /// Every event that is kept, the oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<EventView>> {
        self.events.iter().map(|(event, ..)| event)
    }

    /// Events behind this number, the oldest first. A number that is still to come is one of another journal: all of them.
    pub fn since(&self, number: u64) -> impl DoubleEndedIterator<Item = &Arc<EventView>> {
        let known = self.known(number);
        let from = self.events.partition_point(|(event, ..)| event.number <= known);
        self.events.range(from..).map(|(event, ..)| event)
    }

    /// How many of those behind this number are not kept any more: not only the oldest are forgotten.
    pub fn missed(&self, number: u64) -> u64 {
        let kept = u64::try_from(self.since(number).count()).unwrap_or(u64::MAX);
        (self.last() - self.known(number)).saturating_sub(kept)
    }

    /// The number up to which a client knows this journal.
    const fn known(&self, number: u64) -> u64 {
        if number > self.last() { 0 } else { number }
    }

    /// Events about an instance, a group, a virtual server, a tracker or a real server, the oldest first.
    pub fn of_subject<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Arc<EventView>> {
        self.all().filter(move |event| is_about(event, name))
    }

    /// Number of the last event; 0 = there was none.
    pub const fn last(&self) -> u64 {
        self.next - 1
    }

    /// How many earlier ones are not kept any more.
    pub fn forgotten(&self) -> u64 {
        self.last().saturating_sub(u64::try_from(self.events.len()).unwrap_or(u64::MAX))
    }
}

/// An event is about this instance, group, virtual server, tracker or real server.
pub fn is_about(event: &EventView, name: &str) -> bool {
    event.subject == name || event.real_server.as_deref() == Some(name)
}

/// Since when each instance is MASTER whose last transitions say so, by its name. One that went on as the master that it was, after a
/// restart, is so since before.
pub fn masters_since<'a>(
    events: impl DoubleEndedIterator<Item = &'a Arc<EventView>>,
) -> BTreeMap<String, String> {
    let (mut since, mut known) = (BTreeMap::new(), BTreeSet::new());
    for event in events.rev().filter(|event| event.kind == "transition") {
        let (name, master) = (event.subject.as_str(), event.to.as_deref() == Some("MASTER"));
        if known.contains(name) {
            continue;
        }
        if master {
            since.insert(name.to_owned(), event.at.clone());
        }
        let went_on = master && event.cause.as_deref() == Some("resumed");
        if !went_on {
            known.insert(name);
        }
    }
    // Of one that only ever went on the beginning is forgotten.
    since.retain(|name, _| known.contains(name.as_str()));
    since
}

/// What of the journal an answer is made from, elsewhere than where it grows.
#[derive(Clone, Debug, Default)]
pub struct Excerpt {
    /// Every event that is kept, the oldest first.
    pub events: Vec<Arc<EventView>>,
    /// See [`Journal::forgotten`].
    pub forgotten: u64,
    /// See [`Journal::last`].
    pub newest: u64,
    /// See [`Journal::missed`], of the number that is asked for.
    pub missed: u64,
    /// The name of this journal.
    pub journal: String,
}

/// The document of what is wanted of it.
pub fn view(all: &Excerpt, wanted: &EventQuery) -> JournalView {
    // As [`Journal::since`] has it.
    let since = wanted.since.map(|since| if since > all.newest { 0 } else { since });
    let fits = |event: &&Arc<EventView>| {
        since.is_none_or(|since| event.number > since)
            && wanted.subject.as_ref().is_none_or(|subject| is_about(event, subject))
            && wanted.kind.as_ref().is_none_or(|kind| event.kind == *kind)
    };
    let limit = wanted.limit.unwrap_or(EVENTS).min(EVENTS);
    let copy = |event: &Arc<EventView>| match wanted.discreet {
        true => event.for_network(),
        false => EventView::clone(event),
    };
    let events = if since.is_some() {
        all.events.iter().filter(fits).take(limit).map(copy).collect()
    } else {
        let mut newest: Vec<EventView> = all.events.iter().rev().filter(fits).take(limit).map(copy).collect();
        newest.reverse();
        newest
    };
    JournalView {
        events,
        forgotten: all.forgotten,
        missed: all.missed,
        newest: all.newest,
        journal: all.journal.clone(),
    }
}

/// A text of an event, not too long, and not cut in the middle of a character.
pub fn cut(text: &mut String) {
    if text.len() > TEXT {
        let end = (0..=TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

/// How long the details of an event are.
fn details(event: &EventView) -> usize {
    event.details.as_ref().map_or(0, |details| details.to_string().len())
}

/// What an event takes, its details left aside.
fn size(event: &EventView) -> usize {
    let texts = [&event.at, &event.level, &event.kind, &event.subject, &event.text];
    let some = [&event.real_server, &event.from, &event.to, &event.cause, &event.by];
    FRAME
        + texts.iter().map(|text| text.len()).sum::<usize>()
        + some.iter().filter_map(|text| text.as_ref()).map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests;
