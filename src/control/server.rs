//! Carries requests from the sockets to whoever decides, and answers back. Each client has a bound on its bytes and its time,
//! all together on their number: one that never ends its request, or never reads, holds up nobody. Those who come over the
//! network (`network`) have bounds of their own: however many they are, the local socket answers.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::net::unix::UCred;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::answer::{Answer, Failure};
use super::routes::{Request, route};
use crate::clock;
use discreet::without_callers;
use gate::{Gate, judge_local};
use response::{Told, busy, response};
use stream::{EventBody, Flow};

mod discreet;
mod gate;
mod network;
mod response;
mod stream;

pub use gate::{Listen, TokenError};
pub use network::serve as serve_network;
pub use stream::Events;

/// Clients at a time; one more is told to come again.
const CLIENTS: usize = 256;
/// A request's headers, and its body, must be there after so long.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// A client is gone after so long, whatever it does.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest document of a request, bytes.
const BODY: usize = 16 * 1024;
/// Longest head of a request, bytes.
const HEAD: usize = 16 * 1024;
/// An answer of more bytes is large...
const LARGE: usize = 256 * 1024;
/// ... and of them all, so many bytes are held for clients at a time.
const LARGE_ROOM: usize = 64 * 1024 * 1024;
/// Event streams at a time.
const STREAMS: usize = 64;
/// How often it is looked whether a stream is to end.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Answers that are made at a time: each may hold a whole configuration while it is.
const MAKERS: usize = 2;
/// The user id of those who come over the network.
const NOBODY: u32 = 65_534;
/// At the end, whoever has been given an answer has so long to get it: adverts go on meanwhile, or are over already.
const LAST_ANSWERS: Duration = Duration::from_millis(300);
/// How often it is looked whether they have.
const LAST_LOOK: Duration = Duration::from_millis(1);
/// How long a user's name is looked for.
const NAME_WITHIN: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Its name, where it has one.
    pub user: Option<String>,
    /// Process id, where the kernel tells it.
    pub pid: Option<i32>,
    /// The machine where that is so, where it is the other director's and the request came through the pair's channel.
    pub host: Option<String>,
}

impl Caller {
    /// ` by uid 0 (root) on lb1 through the pair's channel`, where it came by that.
    pub fn way(&self) -> Option<String> {
        let host = self.host.as_ref()?;
        let user = self.user.as_ref().map(|user| format!(" ({user})")).unwrap_or_default();
        Some(format!(" by uid {}{user} on {host} through the pair's channel", self.uid))
    }
}

impl fmt::Display for Caller {
    /// One word: `root(uid=0,pid=4711)`, of the other director `root(uid=0,pid=4711)@lb1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_deref().unwrap_or("unknown");
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"\"'#!{}".contains(c);
        for c in user.chars().filter(|c| plain(*c)) {
            write!(f, "{c}")?;
        }
        write!(f, "(uid={}", self.uid)?;
        if let Some(pid) = self.pid {
            write!(f, ",pid={pid}")?;
        }
        f.write_str(")")?;
        if let Some(host) = &self.host {
            f.write_str("@")?;
            for c in host.chars().filter(|c| plain(*c)) {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// A request, who asks, and where the answer goes. A client that is gone has closed that: see [`Ask::wanted`].
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub request: Request,
    /// By whom.
    pub caller: Caller,
    /// The answer.
    pub reply: oneshot::Sender<Reply>,
}

impl Ask {
    /// The request, unless its client has gone: it would be a change without a witness, who was told of no answer and may
    /// have done something else since.
    pub fn wanted(self) -> Option<Self> {
        (!self.reply.is_closed()).then_some(self)
    }
}

/// An answer, or how to make it without holding up whoever decided.
pub enum Reply {
    /// Here it is.
    Now(Answer),
    /// This makes it; it may take its time, and may block.
    Later(Make),
    /// What has happened, and what will.
    Events(Box<Events>),
    /// When this is over, that makes it. Whoever waits so takes nobody's turn; a client that goes away ends it.
    After(Pin<Box<dyn Future<Output = Make> + Send>>),
}

/// Makes an answer.
pub type Make = Box<dyn FnOnce() -> Answer + Send>;

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => answer.fmt(f),
            Self::Later(_) => f.write_str("later"),
            Self::Events(events) => events.fmt(f),
            Self::After(_) => f.write_str("after"),
        }
    }
}

/// By which way somebody came in.
#[derive(Clone)]
enum Entry {
    /// Over the unix socket; the kernel says who it is.
    Local(Option<UCred>),
    /// Over the network.
    Network { from: SocketAddr, gate: Arc<Gate> },
}

/// What all who come in by one way share.
#[derive(Clone)]
struct House {
    asks: mpsc::Sender<Ask>,
    clients: Arc<Semaphore>,
    large: Arc<Semaphore>,
    makers: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Requests that are understood, and whose answers have not left; streams do not count.
    under_way: Arc<AtomicUsize>,
}

/// A request that is under way; it is no more when this is dropped.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(house: &House) -> Self {
        house.under_way.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&house.under_way))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl House {
    fn new(asks: mpsc::Sender<Ask>, clients: usize, makers: usize, streams: usize) -> Self {
        let of = |n| Arc::new(Semaphore::new(n));
        let large = of(LARGE_ROOM / LARGE);
        let under_way = Arc::default();
        Self { asks, clients: of(clients), large, makers: of(makers), streams: of(streams), under_way }
    }

    /// Waits until all answers have left, or their time is over.
    async fn emptied(&self) {
        let limit = clock::now() + LAST_ANSWERS;
        while self.under_way.load(Ordering::Acquire) > 0 && clock::now() < limit {
            tokio::time::sleep(LAST_LOOK).await;
        }
    }
}

/// Serves until `end` is dropped or told; who was given an answer by then gets it.
pub async fn serve(listener: UnixListener, asks: mpsc::Sender<Ask>, mut end: oneshot::Receiver<()>) {
    let house = House::new(asks, CLIENTS, MAKERS, STREAMS);
    loop {
        let accepted = tokio::select! {
            _ = &mut end => return house.emptied().await,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, for one: it passes, or nobody can come in.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        match Arc::clone(&house.clients).try_acquire_owned() {
            Ok(place) => {
                let entry = Entry::Local(stream.peer_cred().ok());
                tokio::spawn(client(stream, entry, house.clone(), place, None));
            }
            Err(_) => {
                let _ = stream.try_write(&busy(CLIENTS));
            }
        }
    }
}

/// One client, until it is done or has had its time. `open`: closed when nobody may come in by that way any more.
async fn client<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    entry: Entry,
    house: House,
    place: OwnedSemaphorePermit,
    open: Option<watch::Receiver<()>>,
) {
    // What lasts as long as the connection does.
    let held = Arc::new(std::sync::Mutex::new((None, None)));
    let flow = Arc::new(Flow::default());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (entry, house, held, flow) = (entry.clone(), house.clone(), Arc::clone(&held), Arc::clone(&flow));
        async move {
            let under_way = UnderWay::new(&house);
            let mut told = told(request, entry, &house, flow).await;
            let room = told.room(&house.large).unwrap_or_else(|failure| {
                told = failure.into();
                None
            });
            let under_way = (!matches!(told, Told::Events(_))).then_some(under_way);
            if let Ok(mut held) = held.lock() {
                *held = (room, under_way);
            }
            Ok::<_, Infallible>(response(told))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_WITHIN)
        .keep_alive(false)
        .half_close(true)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // Whatever goes wrong is the client's own.
        _ = connection => {}
        () = time_is_up(&flow) => {}
        () = closed(open) => {}
    }
    drop(place);
}

/// Returns when a client has had its time.
async fn time_is_up(flow: &Flow) {
    tokio::time::sleep(LONGEST).await;
    while flow.is_stream() && !flow.is_over(clock::now()) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Returns when nobody may come in by that way any more.
async fn closed(open: Option<watch::Receiver<()>>) {
    match open {
        Some(mut open) => while open.changed().await.is_ok() {},
        None => std::future::pending().await,
    }
}

/// What a client is told.
async fn told(request: hyper::Request<Incoming>, entry: Entry, house: &House, flow: Arc<Flow>) -> Told {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or_else(|| head.uri.path(), |target| target.as_str());
    let method = head.method.as_str();
    // Programs do not send it; browsers do, with whatever any page in them sends here.
    if method != "GET" && head.headers.contains_key(ORIGIN) {
        let problem = "changes are not taken from pages in a browser";
        return Failure::new(403, "origin", problem, "use the commands, or a program that sends no Origin")
            .into();
    }
    if let Entry::Local(_) = &entry
        && let Err(failure) = judge_local(host(&head.headers))
    {
        return failure.into();
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(failure) => return failure.into(),
    };
    let request = match route(method, target, &body) {
        Ok(request) => request.with_headers(
            text(&head.headers, &ACCEPT),
            text(&head.headers, &HeaderName::from_static("last-event-id")),
        ),
        Err(failure) => return failure.into(),
    };
    let discreet = matches!(entry, Entry::Network { .. });
    let request = if discreet { request.over_network() } else { request };
    if let Entry::Network { gate, .. } = &entry {
        let authorization = text(&head.headers, &AUTHORIZATION);
        if let Err(failure) = gate.judge(&request, authorization, host(&head.headers)) {
            return failure.into();
        }
    }
    let content_type = match &request {
        Request::Page => return Told::Page,
        Request::Metrics { form, .. } => form.content_type(),
        _ => response::JSON,
    };
    let place = match &request {
        Request::Events { .. } => match Arc::clone(&house.streams).try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => {
                let problem = "there are as many event streams already as there may be";
                return Failure::new(503, "busy", problem, "ask again later").into();
            }
        },
        _ => None,
    };
    let caller = match caller(&request, entry).await {
        Ok(caller) => caller,
        Err(failure) => return failure.into(),
    };
    let gone = || Told::from(Failure::new(503, "stopping", "the daemon stops", "ask again when it runs"));
    let (reply, told) = oneshot::channel();
    if house.asks.send(Ask { request, caller, reply }).await.is_err() {
        return gone();
    }
    // The figures name nobody.
    let discreet = discreet && content_type == response::JSON;
    let fit: fn(Answer) -> Answer = if discreet { without_callers } else { |answer| answer };
    let answer = match told.await {
        Ok(Reply::Now(answer)) => fit(answer),
        Ok(Reply::Later(make)) => made(Box::new(move || fit(make())), Arc::clone(&house.makers)).await,
        Ok(Reply::After(over)) => {
            let make = over.await;
            made(Box::new(move || fit(make())), Arc::clone(&house.makers)).await
        }
        Ok(Reply::Events(events)) => match place {
            Some(place) => return Told::Events(EventBody::new(*events, flow, place, discreet)),
            None => return gone(),
        },
        Err(_) => return gone(),
    };
    Told::Answer(answer, content_type)
}

/// The text of a header, where it has one.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What the client thinks that it speaks to. What is no text is nobody's name.
fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).map(|host| host.to_str().unwrap_or("."))
}

/// The document of a request.
async fn read(body: Incoming) -> Result<hyper::body::Bytes, Failure> {
    match tokio::time::timeout(READ_WITHIN, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let problem = format!("the document is longer than {BODY} bytes");
            Err(Failure::new(413, "body-too-long", problem, "ask for one change at a time"))
        }
        Ok(Err(error)) => {
            Err(Failure::new(400, "body", format!("the document broke off: {error}"), "send it again"))
        }
        Err(_) => {
            let problem = format!("the document was not there within {} s", READ_WITHIN.as_secs());
            Err(Failure::new(408, "too-slow", problem, "send it in one piece"))
        }
    }
}

/// Who asks.
async fn caller(request: &Request, entry: Entry) -> Result<Caller, Failure> {
    let credentials = match entry {
        // Whoever it is, he may only read.
        Entry::Network { from, .. } => {
            return Ok(Caller { uid: NOBODY, user: Some(from.ip().to_string()), pid: None, host: None });
        }
        Entry::Local(credentials) => credentials,
    };
    let Some(credentials) = credentials else {
        let problem = "the kernel does not tell who asks";
        return Err(Failure::new(403, "nobody", problem, "ask over the unix socket"));
    };
    let user = match request {
        Request::Change(_)
        | Request::CheckNow(_)
        | Request::ResetStatistics { .. }
        | Request::Order(_)
        | Request::Maintenance(_)
        | Request::Life(_) => name_of(credentials.uid()).await,
        _ => None,
    };
    Ok(Caller { uid: credentials.uid(), user, pid: credentials.pid(), host: None })
}

/// Makes an answer when it has its turn. A client that goes away meanwhile keeps its place until it is made.
async fn made(make: Make, makers: Arc<Semaphore>) -> Answer {
    let turn = makers.acquire_owned().await.ok();
    let make = move || {
        let answer = make();
        drop(turn);
        answer
    };
    tokio::task::spawn_blocking(make).await.unwrap_or_else(|error| {
        let problem = format!("no answer could be made: {error}");
        Failure::new(500, "defect", problem, "report this as a defect").into()
    })
}

/// The user's name. It may have to be asked for over the network: not for long.
async fn name_of(uid: u32) -> Option<String> {
    let find = move || nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| user.name);
    tokio::time::timeout(NAME_WITHIN, tokio::task::spawn_blocking(find)).await.ok()?.ok()?
}

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
