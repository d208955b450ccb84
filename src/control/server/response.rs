//! Answers as HTTP: kinds of content, headers that keep browsers from doing more with them than they should.

use std::sync::Arc;

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::answer::{Answer, Failure};
use super::super::page;
use super::stream::EventBody;
use super::{LARGE, LARGE_ROOM};

/// What most answers are.
pub(super) const JSON: &str = "application/json";

/// What a client is told.
pub(super) enum Told {
    /// A document, and what it is.
    Answer(Answer, &'static str),
    /// The page to look at.
    Page,
    /// What happens.
    Events(EventBody),
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self::Answer(failure.into(), JSON)
    }
}

impl Told {
    /// Room for a large answer, which is held until its client has read it.
    pub(super) fn room(&self, large: &Arc<Semaphore>) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        let Self::Answer(answer, _) = self else { return Ok(None) };
        if answer.body.len() <= LARGE {
            return Ok(None);
        }
        // One that is larger than all the room has all of it.
        let parts = answer.body.len().min(LARGE_ROOM) / LARGE;
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        Arc::clone(large).try_acquire_many_owned(parts).map(Some).map_err(|_| {
            let problem = "large answers wait for clients that do not read them";
            let cure = "ask again later, or for less: one virtual server by ?service=, metrics by ?detail=";
            Failure::new(503, "busy", problem, cure)
        })
    }
}

/// The answer as it goes out.
pub(super) fn response(told: Told) -> Response<Either<Full<Bytes>, EventBody>> {
    let mut status = StatusCode::OK;
    let (body, content_type) = match told {
        Told::Answer(answer, content_type) => {
            status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            // A refusal is a document, whatever was asked for.
            let content_type = if status.is_success() { content_type } else { JSON };
            (Either::Left(Full::new(Bytes::from(answer.body))), content_type)
        }
        Told::Page => (Either::Left(Full::new(page::body())), "text/html; charset=utf-8"),
        Told::Events(events) => (Either::Right(events), "text/event-stream"),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    set(headers, CONTENT_TYPE, content_type);
    set(headers, CACHE_CONTROL, "no-store");
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, REFERRER_POLICY, "no-referrer");
    // Nothing but the page needs more, and the page says what.
    match HeaderValue::from_str(page::policy()).ok().filter(|_| content_type.starts_with("text/html")) {
        Some(policy) => drop(headers.insert(CONTENT_SECURITY_POLICY, policy)),
        None => set(headers, CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        set(headers, ALLOW, "GET, POST, DELETE");
    }
    if status == StatusCode::UNAUTHORIZED {
        set(headers, WWW_AUTHENTICATE, "Bearer realm=\"tandem\"");
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// What somebody is told when there are too many, as bytes: as far as that goes without waiting.
pub(super) fn busy(clients: usize) -> Vec<u8> {
    turned_away(Failure::new(503, "busy", format!("{clients} clients are here already"), "ask again later"))
}

/// A refusal before anything was read.
pub(super) fn turned_away(failure: Failure) -> Vec<u8> {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::FORBIDDEN);
    let body = Answer::from(failure).body;
    let mut text = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    )
    .into_bytes();
    text.extend(body);
    text
}
