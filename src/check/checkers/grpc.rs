//! GRPC_CHECK: grpc.health.v1.Health/Check over HTTP/2, in the clear (h2c, with prior knowledge) or by TLS (ALPN h2). Success when
//! the server says SERVING. HTTP/2 is the `h2` crate's; the messages are [`super::grpc_message`]'s.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Method, Request as HttpRequest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::grpc_message::{self, Answer, Serving, status_word};
use super::limit::within;
use super::stream::{Direction, Got, Put, Stream};
use super::tls::{Client, Contexts, Session};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::{CheckerPlan, GrpcPlan, Kind, Target};
use crate::config::model::StatusRange;

/// The most that a server may send in one check, bytes, whatever it is: an exchange has some hundreds.
pub const MOST: usize = 128 * 1024;
/// The most that the headers of an answer may have, bytes.
const MAX_HEADERS: u32 = 16 * 1024;
/// The room for bodies, bytes: more than [`grpc_message::LONGEST`].
const WINDOW: u32 = 16 * 1024;
/// What TLS offers.
const ALPN: &[u8] = b"\x02h2";
/// The most of a server's words that a reason shows, characters.
const SHOWN: usize = 120;

/// One question, ready to be asked.
#[derive(Debug)]
pub struct Request {
    plan: Arc<CheckerPlan>,
    tls: Option<Client>,
}

impl Request {
    /// The question of a GRPC_CHECK.
    ///
    /// # Errors
    /// [`Failure::Certificate`].
    pub fn new(plan: &Arc<CheckerPlan>, contexts: &mut Contexts) -> Result<Self, Failure> {
        let tls = part(plan)?.tls.as_ref().map(|rules| contexts.get(rules)).transpose()?;
        Ok(Self { plan: Arc::clone(plan), tls })
    }

    /// One run, within the time limit.
    ///
    /// # Errors
    /// What is wrong with the connection or with the answer, or that the server does not serve.
    pub async fn check(self) -> Result<Success, Failure> {
        let grpc = part(&self.plan)?;
        within(grpc.target.timeout, exchange(grpc, self.tls.as_ref())).await
    }
}

fn part(plan: &CheckerPlan) -> Result<&GrpcPlan, Failure> {
    match &plan.kind {
        Kind::Grpc(grpc) => Ok(grpc),
        other => Err(Failure::Broken(format!("{} was run as GRPC_CHECK", other.name()))),
    }
}

async fn exchange(grpc: &GrpcPlan, tls: Option<&Client>) -> Result<Success, Failure> {
    let question = question(grpc)?;
    let session = tls.zip(grpc.tls.as_ref()).map(|(client, rules)| Session {
        client,
        rules,
        server_name: grpc.server_name.as_deref(),
        certified: &grpc.certified,
        protocol: ALPN,
    });
    let stream = Stream::open(&grpc.target, session.as_ref()).await?;
    let broke = Arc::new(OnceLock::new());
    let wire = Wire { stream, target: grpc.target.clone(), read: 0, broke: Arc::clone(&broke) };
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(u32::from(u16::MAX))
        .max_header_list_size(MAX_HEADERS)
        .enable_push(false);
    // What broke the wire says more than what HTTP/2 makes of it.
    let named = |failure: Failure| broke.get().cloned().unwrap_or(failure);
    let shaken = builder.handshake::<_, Bytes>(wire).await;
    let (client, connection) = shaken.map_err(|error| named(words(&error)))?;
    let mut asking = pin!(ask(grpc, client, question));
    let connection = pin!(connection);
    let answer = match select(asking.as_mut(), connection).await {
        Either::Left((answer, _)) => answer,
        Either::Right((ended, _)) => asking.now_or_never().unwrap_or_else(|| {
            let closed = Failure::Cut("closed before the answer was complete".to_owned());
            Err(ended.map_or_else(|error| words(&error), |()| closed))
        }),
    };
    match answer.map_err(named)? {
        Serving::Serving => Ok(Success::default()),
        other => Err(Failure::NotServing(match grpc.service.as_str() {
            "" => format!("the server is {}, not SERVING", other.word()),
            service => format!("service {service} is {}, not SERVING", other.word()),
        })),
    }
}

fn question(grpc: &GrpcPlan) -> Result<HttpRequest<()>, Failure> {
    let scheme = if grpc.tls.is_some() { "https" } else { "http" };
    let limit = grpc.target.timeout.as_millis().clamp(1, 99_999_999);
    HttpRequest::builder()
        .method(Method::POST)
        .uri(format!("{scheme}://{}/grpc.health.v1.Health/Check", grpc.authority))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("user-agent", "tandem")
        .header("grpc-timeout", format!("{limit}m"))
        .body(())
        .map_err(|error| Failure::BadRequest(format!("\"{}\" is no authority: {error}", grpc.authority)))
}

/// Asks, and reads the answer to its end.
async fn ask(
    grpc: &GrpcPlan,
    client: SendRequest<Bytes>,
    question: HttpRequest<()>,
) -> Result<Serving, Failure> {
    let bad = |error: h2::Error| words(&error);
    let mut client = client.ready().await.map_err(bad)?;
    let (response, mut sending) = client.send_request(question, false).map_err(bad)?;
    let message = Bytes::from(grpc_message::question(&grpc.service));
    sending.send_data(message, true).map_err(bad)?;
    let response = response.await.map_err(bad)?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(Failure::BadStatus { got: status, wanted: vec![StatusRange { from: 200, to: 200 }] });
    }
    let kind = response.headers().get("content-type").map(|value| value.as_bytes()).unwrap_or_default();
    if !kind.starts_with(b"application/grpc") {
        let kind = shown(kind);
        return Err(Failure::Garbled(format!("no gRPC: the answer's content-type is {kind:?}")));
    }
    if let Some(refused) = refusal(grpc, response.headers()) {
        return Err(refused);
    }
    let mut body = response.into_body();
    let mut answer = Answer::default();
    let garbled = |problem: grpc_message::Problem| Failure::Garbled(format!("no gRPC: {problem}"));
    while let Some(data) = body.data().await {
        let data = data.map_err(bad)?;
        body.flow_control().release_capacity(data.len()).map_err(bad)?;
        answer.feed(&data).map_err(garbled)?;
    }
    let trailers = body.trailers().await.map_err(bad)?.unwrap_or_default();
    match refusal(grpc, &trailers) {
        Some(refused) => Err(refused),
        None if trailers.contains_key("grpc-status") => answer.serving().map_err(garbled),
        None => Err(Failure::Garbled("no gRPC: the answer has no grpc-status".to_owned())),
    }
}

/// A status other than OK, with what to do where that is known.
fn refusal(grpc: &GrpcPlan, headers: &HeaderMap) -> Option<Failure> {
    let status = headers.get("grpc-status")?.as_bytes();
    if status == b"0" {
        return None;
    }
    let Some(code) = std::str::from_utf8(status).ok().and_then(|text| text.parse::<u32>().ok()) else {
        return Some(Failure::Garbled(format!("no gRPC: grpc-status is {:?}", shown(status))));
    };
    let message = headers.get("grpc-message").map(|value| shown(value.as_bytes())).unwrap_or_default();
    let message = if message.is_empty() { message } else { format!(" {message:?}") };
    let cure = match code {
        5 if !grpc.service.is_empty() => format!(": the server knows no service {}", grpc.service),
        12 => ": the server has no grpc.health.v1.Health, add that service to it".to_owned(),
        _ => String::new(),
    };
    Some(Failure::GrpcStatus(format!("gRPC status {code} ({}){message}{cure}", status_word(code))))
}

/// The beginning of what a server says, fit for a log line.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(SHOWN).collect()
}

fn words(error: &h2::Error) -> Failure {
    if error.is_io() {
        return Failure::Cut("closed before the answer was complete".to_owned());
    }
    let by = if error.is_remote() { "the server ends it" } else { "what came is none" };
    match error.reason() {
        Some(reason) => Failure::Garbled(format!("HTTP/2: {by}: {reason:?}, {}", reason.description())),
        None => Failure::Garbled(format!("HTTP/2: {error}")),
    }
}

/// A connection as h2 wants it, which counts what comes and remembers what broke it.
struct Wire {
    stream: Stream,
    target: Target,
    read: usize,
    broke: Arc<OnceLock<Failure>>,
}

impl Wire {
    fn fail(&self, failure: Failure) -> io::Error {
        let error = io::Error::other(failure.to_string());
        // The first one is the reason of those that follow.
        let _ = self.broke.set(failure);
        error
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.stream.read(buffer.initialize_unfilled(), &this.target) {
                Ok(Got::Bytes(read)) => {
                    this.read = this.read.saturating_add(read);
                    if this.read > MOST {
                        let words = format!("HTTP/2: more than {MOST} bytes for one answer");
                        return Poll::Ready(Err(this.fail(Failure::Garbled(words))));
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Ok(Got::End | Got::AbruptEnd) => return Poll::Ready(Ok(())),
                Ok(Got::Wait(direction)) => ready!(this.poll(direction, context))?,
                Err(failure) => return Poll::Ready(Err(this.fail(failure))),
            }
        }
    }
}

impl Wire {
    fn poll(&self, direction: Direction, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match direction {
            Direction::Read => self.stream.socket().poll_read_ready(context),
            Direction::Write => self.stream.socket().poll_write_ready(context),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            match this.stream.write(bytes, &this.target) {
                Ok(Put::Bytes(wrote)) => return Poll::Ready(Ok(wrote)),
                Ok(Put::Wait(direction)) => ready!(this.poll(direction, context))?,
                Err(failure) => return Poll::Ready(Err(this.fail(failure))),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
