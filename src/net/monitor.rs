//! What the kernel says of its interfaces and addresses: subscribe, dump, follow. After an overrun or a broken
//! connection everything is read anew, so that nothing is ever believed that the kernel did not say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch;

use super::known::{Known, News};
use super::link::Links;
use super::watch::Culprits;
use super::{Error, codec, request};
use crate::clock;

const GROUPS: [MulticastGroup; 3] =
    [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
const LEAST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// While addresses come and go without end they are published this often at most. The first change of a burst, and
/// every change of an interface itself, is published at once.
const PACE: Duration = Duration::from_millis(2);
/// Publishing is copying: with thousands of addresses it may take this part of the thread's time, the writer the rest.
const SHARE: u32 = 8;

/// Reads all interfaces with their addresses once.
pub async fn first_dump() -> Result<Links, Error> {
    let (mut handle, _events) = request::connect(&[])?;
    Ok(read_all(&mut handle).await?.links())
}

/// Publishes the interfaces whenever the kernel says anything of them or their addresses, changed or not. Returns when nobody listens any more.
pub async fn run(links: watch::Sender<Arc<Links>>) {
    run_with(links, &Culprits::default()).await;
}

/// The same, and notes who takes addresses away.
pub async fn run_with(links: watch::Sender<Arc<Links>>, culprits: &Culprits) {
    let mut pause = LEAST_PAUSE;
    while !links.is_closed() {
        match follow(&links, culprits, &mut pause).await {
            Ok(End::Overrun) => {
                tracing::warn!("interfaces: the kernel had more news than it could keep; reading all again");
                // Somebody may be adding thousands of addresses right now.
                tokio::time::sleep(LEAST_PAUSE).await;
                continue;
            }
            Ok(End::NobodyListens) => return,
            Err(error) => tracing::warn!("interfaces: {error}; reading them again in {pause:?}"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why following ended without an error.
enum End {
    Overrun,
    NobodyListens,
}

/// One connection's life.
async fn follow(
    links: &watch::Sender<Arc<Links>>,
    culprits: &Culprits,
    pause: &mut Duration,
) -> Result<End, Error> {
    // Subscribed before the dump, so that no change falls between the two.
    let (mut handle, mut events) = request::connect(&GROUPS)?;
    let mut state = read_all(&mut handle).await?;
    publish(links, &state);
    *pause = LEAST_PAUSE;
    let mut published = clock::now();
    let mut pace = PACE;
    // When what is known and not published will be.
    let mut due: Option<Instant> = None;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = links.closed() => return Ok(End::NobodyListens),
            () = until(due) => {
                let begun = clock::now();
                publish(links, &state);
                published = clock::now();
                pace = PACE.max(published.saturating_duration_since(begun) * SHARE);
                due = None;
                continue;
            }
        };
        let Some(event) = event else {
            return Err(Error::NoAnswer { operation: "following the interfaces".to_owned() });
        };
        note(culprits, &event);
        let mut news = take_event(&mut state, event);
        // What came in the meantime is the same burst.
        while let Some(Some(event)) = events.next().now_or_never() {
            note(culprits, &event);
            news = news.max(take_event(&mut state, event));
        }
        match news {
            News::Lost => return Ok(End::Overrun),
            News::Interface => due = Some(published),
            News::Address => due = due.or(Some(published + pace)),
            News::None => {}
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        // No timer for what is due already: timers count whole milliseconds.
        Some(due) if due <= clock::now() => {}
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn read_all(handle: &mut Handle) -> Result<Known, Error> {
    let mut state = Known::default();
    let links = RouteNetlinkMessage::GetLink(LinkMessage::default());
    for message in request::dump(handle, links, "reading the interfaces").await? {
        state.take(message);
    }
    let addresses = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    for message in request::dump(handle, addresses, "reading the addresses").await? {
        state.take(message);
    }
    Ok(state)
}

/// Whoever listens is woken also when all is as it was published last: an address that came and went again in between
/// is news for the writer, who put it there.
fn publish(links: &watch::Sender<Arc<Links>>, state: &Known) {
    links.send_modify(|current| {
        let next = state.links();
        if **current != next {
            *current = Arc::new(next);
        }
    });
}

fn take_event(state: &mut Known, event: NetlinkMessage<RouteNetlinkMessage>) -> News {
    match event.payload {
        NetlinkPayload::InnerMessage(message) => state.take(message),
        NetlinkPayload::Overrun(_) => News::Lost,
        _ => News::None,
    }
}

fn note(culprits: &Culprits, event: &NetlinkMessage<RouteNetlinkMessage>) {
    if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) = &event.payload
        && let Some(gone) = codec::address(message)
    {
        culprits.note(gone.address, event.header.port_number);
    }
}
