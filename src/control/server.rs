//! Carries requests from the socket to whoever decides, and answers back. Each client has a bound on its bytes and its time,
//! all together on their number: one that never ends its request, or never reads, holds up nobody.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::answer::{Answer, Failure};
use super::routes::{Request, route};

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
/// ... and so many of them are held for clients at a time.
const LARGE_ANSWERS: usize = 16;
/// Answers that are made at a time: each may hold a whole configuration while it is.
const MAKERS: usize = 2;
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
}

impl fmt::Display for Caller {
    /// One word: `root(uid=0,pid=4711)`.
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
        f.write_str(")")
    }
}

/// A request, who asks, and where the answer goes. A client that is gone has closed that: nothing need be done then.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub request: Request,
    /// By whom.
    pub caller: Caller,
    /// The answer.
    pub reply: oneshot::Sender<Reply>,
}

/// An answer, or how to make it without holding up whoever decided.
pub enum Reply {
    /// Here it is.
    Now(Answer),
    /// This makes it; it may take its time, and may block.
    Later(Box<dyn FnOnce() -> Answer + Send>),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => answer.fmt(f),
            Self::Later(_) => f.write_str("later"),
        }
    }
}

/// Serves until `end` is dropped or told.
pub async fn serve(listener: UnixListener, asks: mpsc::Sender<Ask>, mut end: oneshot::Receiver<()>) {
    let clients = Arc::new(Semaphore::new(CLIENTS));
    let large = Arc::new(Semaphore::new(LARGE_ANSWERS));
    let makers = Arc::new(Semaphore::new(MAKERS));
    loop {
        let accepted = tokio::select! {
            _ = &mut end => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, for one: it passes, or nobody can come in.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        match Arc::clone(&clients).try_acquire_owned() {
            Ok(place) => {
                let (large, makers) = (Arc::clone(&large), Arc::clone(&makers));
                tokio::spawn(client(stream, asks.clone(), large, makers, place));
            }
            Err(_) => turn_away(&stream),
        }
    }
}

/// Says that there are too many, as far as that goes without waiting.
fn turn_away(stream: &UnixStream) {
    let failure = Failure::new(503, "busy", format!("{CLIENTS} clients are here already"), "ask again later");
    let body = Answer::from(failure).body;
    let mut text = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    text.extend(body);
    let _ = stream.try_write(&text);
}

async fn client(
    stream: UnixStream,
    asks: mpsc::Sender<Ask>,
    large: Arc<Semaphore>,
    makers: Arc<Semaphore>,
    place: OwnedSemaphorePermit,
) {
    let credentials = stream.peer_cred().ok();
    let held = Arc::new(std::sync::Mutex::new(None));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (asks, large, held) = (asks.clone(), Arc::clone(&large), Arc::clone(&held));
        let makers = Arc::clone(&makers);
        async move {
            let answer = answered(request, credentials, &asks, makers).await;
            let answer = match room(&answer, &large) {
                Ok(permit) => {
                    if let Ok(mut held) = held.lock() {
                        *held = permit;
                    }
                    answer
                }
                Err(failure) => failure.into(),
            };
            Ok::<_, Infallible>(response(answer))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_WITHIN)
        .keep_alive(false)
        .half_close(true)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever goes wrong is the client's own.
    let _ = tokio::time::timeout(LONGEST, connection).await;
    drop(place);
}

/// A place for a large answer, which is held until its client has read it.
fn room(answer: &Answer, large: &Arc<Semaphore>) -> Result<Option<OwnedSemaphorePermit>, Failure> {
    if answer.body.len() <= LARGE {
        return Ok(None);
    }
    Arc::clone(large).try_acquire_owned().map(Some).map_err(|_| {
        let problem = format!("{LARGE_ANSWERS} large answers wait for clients that do not read them");
        Failure::new(503, "busy", problem, "ask again later, or name one virtual server by ?service=")
    })
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
    }
    response
}

async fn answered(
    request: hyper::Request<Incoming>,
    credentials: Option<tokio::net::unix::UCred>,
    asks: &mpsc::Sender<Ask>,
    makers: Arc<Semaphore>,
) -> Answer {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or_else(|| head.uri.path(), |target| target.as_str());
    let body = match tokio::time::timeout(READ_WITHIN, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let problem = format!("the document is longer than {BODY} bytes");
            return Failure::new(413, "body-too-long", problem, "ask for one change at a time").into();
        }
        Ok(Err(error)) => {
            return Failure::new(400, "body", format!("the document broke off: {error}"), "send it again")
                .into();
        }
        Err(_) => {
            let problem = format!("the document was not there within {} s", READ_WITHIN.as_secs());
            return Failure::new(408, "too-slow", problem, "send it in one piece").into();
        }
    };
    let request = match route(head.method.as_str(), target, &body) {
        Ok(request) => request,
        Err(failure) => return failure.into(),
    };
    let Some(credentials) = credentials else {
        return Failure::new(403, "nobody", "the kernel does not tell who asks", "ask over the unix socket")
            .into();
    };
    let user = match &request {
        Request::Change(_) => name_of(credentials.uid()).await,
        _ => None,
    };
    let caller = Caller { uid: credentials.uid(), user, pid: credentials.pid() };
    let gone = || Failure::new(503, "stopping", "the daemon stops", "ask again when it runs");
    let (reply, told) = oneshot::channel();
    if asks.send(Ask { request, caller, reply }).await.is_err() {
        return gone().into();
    }
    match told.await {
        Ok(Reply::Now(answer)) => answer,
        Ok(Reply::Later(make)) => made(make, makers).await,
        Err(_) => gone().into(),
    }
}

/// Makes an answer when it has its turn. A client that goes away meanwhile keeps its place until it is made.
async fn made(make: Box<dyn FnOnce() -> Answer + Send>, makers: Arc<Semaphore>) -> Answer {
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
mod tests;
