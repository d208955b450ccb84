//! HTTP_GET: a page's status and, where the file gives a digest, the MD5 of its body.
//!
//! The request is keepalived's (`GET /p HTTP/1.0`, `User-Agent: KeepAliveClient`, `Host`), but for an `Accept: */*`
//! that reqwest always sends. Redirects are answers like any other, proxies of the environment are not used, and
//! every check has a connection of its own.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use md5::{Digest, Md5};
use reqwest::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Url, Version, redirect, retry};
use tokio::time::timeout;

use super::{io_failure, io_source};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::{HttpPlan, UrlPlan};
use crate::config::model::HttpProtocol;

/// What keepalived calls itself.
const CLIENT: HeaderValue = HeaderValue::from_static("KeepAliveClient");
/// The most of a body that is read, bytes. A page above that is judged by its status; one with a digest fails.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// HTTP clients by source address and interface, which reqwest knows only per client.
#[derive(Debug, Default)]
pub struct Clients {
    known: HashMap<(Option<IpAddr>, Option<String>), Client>,
}

impl Clients {
    fn get(&mut self, bindto: Option<IpAddr>, bind_if: Option<&str>) -> Result<Client, Failure> {
        let key = (bindto, bind_if.map(str::to_owned));
        if let Some(client) = self.known.get(&key) {
            return Ok(client.clone());
        }
        let client = build(bindto, bind_if).map_err(|error| Failure::Broken(error.to_string()))?;
        self.known.insert(key, client.clone());
        Ok(client)
    }
}

fn build(bindto: Option<IpAddr>, bind_if: Option<&str>) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .http1_only()
        .http1_title_case_headers()
        // Real servers are old and odd; a check asks whether they answer, not whether they are tidy.
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .tcp_keepalive(None)
        .local_address(bindto);
    match bind_if {
        Some(interface) => builder.interface(interface),
        None => builder,
    }
    .build()
}

/// One request, ready to be sent.
#[derive(Debug)]
pub struct Request {
    client: Client,
    request: reqwest::Request,
    wanted: UrlPlan,
    limit: Duration,
    /// The file names a source.
    source: bool,
}

impl Request {
    /// The request for the url of that index.
    ///
    /// # Errors
    /// [`Failure::NoPort`], and [`Failure::BadRequest`] when the file's words make no HTTP request.
    pub fn new(plan: &HttpPlan, url: usize, clients: &mut Clients) -> Result<Self, Failure> {
        let target = &plan.target;
        if target.address.port() == 0 {
            return Err(Failure::NoPort);
        }
        let bad = |why: String| Failure::BadRequest(why);
        let wanted = plan.urls.get(url).cloned().ok_or_else(|| bad("no url".to_owned()))?;
        let address = Url::parse(&format!("http://{}{}", target.address, wanted.path))
            .map_err(|error| bad(error.to_string()))?;
        let mut request = reqwest::Request::new(Method::GET, address);
        *request.version_mut() = match plan.protocol {
            HttpProtocol::V1_0 | HttpProtocol::V1_0Close => Version::HTTP_10,
            HttpProtocol::V1_1 => Version::HTTP_11,
        };
        let host = HeaderValue::from_str(&wanted.host)
            .map_err(|_| bad(format!("\"{}\" is no Host header", wanted.host)))?;
        // In keepalived's order; nothing that is left to the client's defaults keeps one.
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, CLIENT);
        match plan.protocol {
            HttpProtocol::V1_0 => {}
            HttpProtocol::V1_0Close | HttpProtocol::V1_1 => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        headers.insert(HOST, host);
        let client = clients.get(target.bindto, target.bind_if.as_deref())?;
        Ok(Self { client, request, wanted, limit: target.timeout, source: target.names_source() })
    }

    /// One run: sends the request and reads the whole answer, within the time limit.
    ///
    /// # Errors
    /// What is wrong with the connection or with the answer.
    pub async fn check(self) -> Result<Success, Failure> {
        let limit = self.limit;
        timeout(limit, self.exchange()).await.unwrap_or(Err(Failure::Timeout(limit)))
    }

    async fn exchange(self) -> Result<Success, Failure> {
        let Self { client, request, wanted, limit, source } = self;
        let fail = |error: reqwest::Error| failure(&error, limit, source);
        let mut response = client.execute(request).await.map_err(fail)?;
        let got = response.status().as_u16();
        if !wanted.status.iter().any(|range| (range.from..=range.to).contains(&got)) {
            return Err(Failure::BadStatus { got, wanted: wanted.status });
        }
        let mut md5 = wanted.digest.is_some().then(Md5::new);
        let mut read = 0usize;
        // Read to the end also without a digest: a server that stops in the middle of its page is no healthy one.
        while let Some(chunk) = response.chunk().await.map_err(fail)? {
            read = read.saturating_add(chunk.len());
            if read > MAX_BODY {
                return if md5.is_some() {
                    Err(Failure::BodyTooLong(MAX_BODY))
                } else {
                    Ok(Success::default())
                };
            }
            if let Some(md5) = &mut md5 {
                md5.update(&chunk);
            }
        }
        if let (Some(md5), Some(wanted)) = (md5, wanted.digest) {
            let got = hexadecimal(&md5.finalize());
            if got != wanted {
                return Err(Failure::BadDigest { got, wanted });
            }
        }
        Ok(Success::default())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// reqwest's errors tell by their innermost cause what happened.
fn failure(error: &reqwest::Error, limit: Duration, source: bool) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout(limit);
    }
    if let Some(io) = io_source(error) {
        return io_failure(io, limit, source);
    }
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if error.is_body() || text.contains("connection closed") || text.contains("end of file") {
        Failure::Cut("closed before the answer was complete".to_owned())
    } else {
        Failure::Protocol(text)
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
