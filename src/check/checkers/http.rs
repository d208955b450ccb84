//! HTTP_GET and SSL_GET: a page's status and, where the file gives them, the MD5 and a pattern of its body.
//!
//! The request is keepalived's to the byte (`GET /p HTTP/1.0`, `User-Agent: KeepAliveClient`, `Host`). Redirects are
//! answers like any other, proxies of the environment are not used, and every check has a connection of its own. A body
//! is read as it comes and not kept, but for the part that a pattern is looked for in.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use super::http_answer::{Answer, Sink};
use super::http_expect::{self, Headers, Patterns};
use super::limit::within;
use super::stream::{Direction, Got, Stream};
use super::tls::{Client, Contexts, Session};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::{CheckerPlan, HeaderValue, HttpPlan, Kind, RegexPlan, TlsPlan, UrlPlan};
use crate::config::model::HttpProtocol;
use crate::pattern::Regex;
use md5::{Digest, Md5};

/// The most of a body that is read when its content is of no interest, bytes: its status then decides.
pub const MAX_BODY: u64 = 16 * 1024 * 1024;
/// The part of a body that a pattern is looked for in, bytes from its beginning.
pub const MAX_TEXT: usize = 1024 * 1024;
/// A text that is searched at once, bytes: the worst pattern is through with it within some milliseconds.
const SHORT_TEXT: usize = 4096;
/// What one read takes.
const BUFFER: usize = 16 * 1024;
/// Reads before other checks have their turn.
const READS_A_TURN: usize = 16;

/// A compiled pattern for pages. One search at a time.
type Pattern = tokio::sync::Mutex<Regex>;

/// What runs share: TLS contexts and compiled patterns.
#[derive(Debug, Default)]
pub struct Shared {
    pub(super) contexts: Contexts,
    /// Those for headers: they are short, and looked at as they come.
    patterns: HashMap<RegexPlan, Result<Arc<Mutex<Regex>>, Failure>>,
    page_patterns: HashMap<RegexPlan, Result<Arc<Pattern>, Failure>>,
}

impl Shared {
    fn page_pattern(&mut self, plan: &RegexPlan) -> Result<Arc<Pattern>, Failure> {
        if let Some(known) = self.page_patterns.get(plan) {
            return known.clone();
        }
        let made = compile(plan).map(|regex| Arc::new(Pattern::new(regex)));
        self.page_patterns.insert(plan.clone(), made.clone());
        made
    }

    fn pattern(&mut self, plan: &RegexPlan) -> Result<Arc<Mutex<Regex>>, Failure> {
        if let Some(known) = self.patterns.get(plan) {
            return known.clone();
        }
        let made = compile(plan).map(|regex| Arc::new(Mutex::new(regex)));
        self.patterns.insert(plan.clone(), made.clone());
        made
    }
}

fn compile(plan: &RegexPlan) -> Result<Regex, Failure> {
    Regex::new(&plan.pattern, &plan.options, plan.stack)
        .map_err(|error| Failure::BadRequest(format!("regex {}: {error}", plan.pattern)))
}

/// One request, ready to be sent.
#[derive(Debug)]
pub struct Request {
    plan: Arc<CheckerPlan>,
    url: usize,
    tls: Option<Client>,
    pattern: Option<Arc<Pattern>>,
    header_patterns: Patterns,
}

impl Request {
    /// The request for the url of that index.
    ///
    /// # Errors
    /// [`Failure::BadRequest`] when the file's words make no request, [`Failure::Certificate`].
    pub fn new(plan: &Arc<CheckerPlan>, url: usize, shared: &mut Shared) -> Result<Self, Failure> {
        let (http, wanted) = parts(plan, url)?;
        let tls = http.tls.as_ref().map(|rules| shared.contexts.get(rules)).transpose()?;
        let pattern = wanted.regex.as_ref().map(|regex| shared.page_pattern(regex)).transpose()?;
        let header_patterns = wanted.headers.iter().map(|header| match &header.value {
            HeaderValue::Matches(regex) => shared.pattern(regex).map(Some),
            HeaderValue::Any | HeaderValue::Is(_) => Ok(None),
        });
        let header_patterns = header_patterns.collect::<Result<_, _>>()?;
        Ok(Self { plan: Arc::clone(plan), url, tls, pattern, header_patterns })
    }

    /// One run: sends the request and reads the whole answer, within the time limit.
    ///
    /// # Errors
    /// What is wrong with the connection or with the answer.
    pub async fn check(self) -> Result<Success, Failure> {
        let (http, wanted) = parts(&self.plan, self.url)?;
        let mut judge = Judge::new(wanted, &self.header_patterns);
        within(http.target.timeout, read(http, wanted, self.tls.as_ref(), &mut judge)).await?;
        judge.digested()?;
        if let (Some(regex), Some(pattern)) = (&wanted.regex, self.pattern) {
            let text = std::mem::take(&mut judge.text);
            let (found, text) = within(http.target.timeout, search(pattern, text, regex)).await?;
            judge.text = text;
            judge.matched(regex, found)?;
        }
        judge.read_as_json()
    }
}

/// Looks for a pattern, and gives the text back. In a long text a search may take minutes, whatever limit PCRE2 has for each
/// place where a match may begin: that one has a thread of its own, and whoever needs the pattern meanwhile waits for it
/// within its own time limit.
async fn search(
    pattern: Arc<Pattern>,
    text: Vec<u8>,
    regex: &RegexPlan,
) -> Result<(Option<usize>, Vec<u8>), Failure> {
    let mut pattern = pattern.lock_owned().await;
    let min = regex.min;
    let (found, text) = if text.len() <= SHORT_TEXT {
        (pattern.find(&text, min), text)
    } else {
        let looked = tokio::task::spawn_blocking(move || (pattern.find(&text, min), text)).await;
        looked.map_err(|error| Failure::Broken(error.to_string()))?
    };
    let found = found.map_err(|error| Failure::BadRequest(format!("regex {}: {error}", regex.pattern)))?;
    Ok((found, text))
}

fn parts(plan: &CheckerPlan, url: usize) -> Result<(&HttpPlan, &UrlPlan), Failure> {
    let Kind::Http(http) = &plan.kind else {
        return Err(Failure::Broken(format!("{} was run as HTTP_GET", plan.kind.name())));
    };
    let wanted = http.urls.get(url).ok_or_else(|| Failure::BadRequest("no url".to_owned()))?;
    Ok((http, wanted))
}

/// Who looks at an answer.
pub trait Reader: Sink {
    /// The head is complete: `Ok(true)` to read on.
    ///
    /// # Errors
    /// Why the answer is no good.
    fn judge_head(&mut self, status: u16) -> Result<(), Failure>;
    /// Nothing more of the body is wanted.
    fn is_full(&self) -> bool {
        false
    }
}

/// Asks for a page and reads the answer to its end, or as far as the reader wants; without a time limit of its own.
///
/// # Errors
/// What is wrong with the connection or with the answer.
pub async fn read(
    http: &HttpPlan,
    url: &UrlPlan,
    tls: Option<&Client>,
    reader: &mut impl Reader,
) -> Result<(), Failure> {
    let head = request(http, url)?;
    let mut stream = match tls.zip(http.tls.as_ref()) {
        None => Stream::plain(&http.target, head.as_bytes()).await?,
        // In a box: a check without TLS has no room for a handshake.
        Some((client, rules)) => Box::pin(shaken(http, url, client, rules, head.as_bytes())).await?,
    };
    drop(head);
    let mut answer = Answer::default();
    loop {
        match turn(&mut stream, http, url, &mut answer, reader)? {
            Turn::Wait(direction) => stream.ready(direction, &http.target).await?,
            Turn::More => tokio::task::yield_now().await,
            Turn::Done => return Ok(()),
        }
    }
}

/// Connects by TLS, and sends the request.
async fn shaken(
    http: &HttpPlan,
    url: &UrlPlan,
    client: &Client,
    rules: &TlsPlan,
    head: &[u8],
) -> Result<Stream, Failure> {
    let certified = http.certified(url);
    let server_name = url.server_name.as_deref();
    let session = Session { client, rules, server_name, certified: &certified, protocol: &[] };
    let mut stream = Stream::open(&http.target, Some(&session)).await?;
    stream.send(head, &http.target).await?;
    Ok(stream)
}

/// What a turn of reading led to.
enum Turn {
    Wait(Direction),
    More,
    Done,
}

/// Reads what is there. The buffer lives on the stack of this call: a check that waits has none.
fn turn(
    stream: &mut Stream,
    http: &HttpPlan,
    url: &UrlPlan,
    answer: &mut Answer,
    reader: &mut impl Reader,
) -> Result<Turn, Failure> {
    let mut buffer = [0; BUFFER];
    let compliant = http.tls.is_some() && url.tls_compliant;
    for _ in 0..READS_A_TURN {
        match stream.read(&mut buffer, &http.target)? {
            Got::Bytes(read) => {
                let had_head = answer.status().is_some();
                let fed = answer.feed(&buffer[..read], reader);
                if let Some(status) = answer.status().filter(|_| !had_head) {
                    // The status comes first: a page that is not wanted need not be a good one.
                    reader.judge_head(status)?;
                }
                fed.map_err(|problem| Failure::Protocol(problem.to_string()))?;
                if reader.is_full() || (answer.is_done() && !compliant) {
                    return Ok(Turn::Done);
                }
            }
            Got::AbruptEnd if compliant => return Err(Failure::NoCloseNotify),
            Got::End | Got::AbruptEnd if answer.may_end() => return Ok(Turn::Done),
            // Fewer bytes than announced, as of many an old application: what came is judged, as by keepalived. A reset is
            // an error of the connection, and JSON is looked at whole.
            Got::End | Got::AbruptEnd if answer.status().is_some() && url.json.is_empty() => {
                return Ok(Turn::Done);
            }
            Got::End | Got::AbruptEnd => {
                return Err(Failure::Cut("closed before the answer was complete".to_owned()));
            }
            Got::Wait(direction) => return Ok(Turn::Wait(direction)),
        }
    }
    Ok(Turn::More)
}

/// The request, in keepalived's order.
fn request(http: &HttpPlan, url: &UrlPlan) -> Result<String, Failure> {
    let host = http.host(url);
    let bad = |text: &str| text.bytes().any(|byte| byte.is_ascii_control());
    if bad(&url.path) {
        return Err(Failure::BadRequest(format!("{:?} is no path", url.path)));
    }
    if bad(&host) {
        return Err(Failure::BadRequest(format!("{host:?} is no Host header")));
    }
    let (version, close) = match http.protocol {
        HttpProtocol::V1_0 => ("1.0", ""),
        HttpProtocol::V1_0Close => ("1.0", "Connection: close\r\n"),
        HttpProtocol::V1_1 => ("1.1", "Connection: close\r\n"),
    };
    Ok(format!(
        "GET {} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {host}\r\n\r\n",
        url.path
    ))
}

/// What an answer is measured by, and how far it has come.
struct Judge<'a> {
    wanted: &'a UrlPlan,
    md5: Option<Box<Md5>>,
    /// The same over the chunks as they come: what keepalived's genhash prints for such a page.
    raw_md5: Option<Box<Md5>>,
    headers: Headers<'a>,
    /// The beginning of the body, for the pattern and as JSON.
    text: Vec<u8>,
    read: u64,
}

impl<'a> Judge<'a> {
    fn new(wanted: &'a UrlPlan, header_patterns: &'a Patterns) -> Self {
        Self {
            wanted,
            headers: Headers::new(&wanted.headers, header_patterns),
            md5: wanted.digest.as_ref().map(|_| Box::new(Md5::new())),
            raw_md5: None,
            text: Vec::new(),
            read: 0,
        }
    }

    fn digested(&mut self) -> Result<(), Failure> {
        if let (Some(md5), Some(wanted)) = (self.md5.take(), &self.wanted.digest) {
            let got = hexadecimal(&md5.finalize());
            let raw = self.raw_md5.take().map(|md5| hexadecimal(&md5.finalize()));
            if got != *wanted && raw.is_none_or(|raw| raw != *wanted) {
                return Err(Failure::BadDigest { got, wanted: wanted.clone() });
            }
        }
        Ok(())
    }

    /// The pattern was found there, or not.
    fn matched(&self, regex: &RegexPlan, found: Option<usize>) -> Result<(), Failure> {
        let found = found.is_some_and(|at| regex.max.is_none_or(|max| at < max));
        if found != regex.absent {
            return Ok(());
        }
        Err(match found {
            false if self.read > self.text.len() as u64 => Failure::BodyTooLong(MAX_TEXT),
            false => Failure::NoMatch(regex.pattern.clone()),
            true => Failure::BadMatch(regex.pattern.clone()),
        })
    }

    fn read_as_json(&self) -> Result<Success, Failure> {
        for json in &self.wanted.json {
            if self.read > self.text.len() as u64 {
                let words = format!("body is longer than the {MAX_TEXT} bytes that are read as JSON");
                return Err(Failure::BadJson(words));
            }
            http_expect::json(&self.text, json)?;
        }
        Ok(Success::default())
    }

    /// The body itself is looked at.
    const fn keeps_text(&self) -> bool {
        self.wanted.regex.is_some() || !self.wanted.json.is_empty()
    }
}

impl Sink for Judge<'_> {
    fn head(&mut self, line: &[u8]) {
        self.headers.line(line);
    }

    fn body(&mut self, part: &[u8]) {
        self.read = self.read.saturating_add(part.len() as u64);
        if let Some(md5) = &mut self.md5 {
            md5.update(part);
        }
        if self.keeps_text() {
            let room = MAX_TEXT.saturating_sub(self.text.len()).min(part.len());
            self.text.extend_from_slice(&part[..room]);
        }
    }

    fn raw(&mut self, part: &[u8]) {
        if self.md5.is_some() {
            self.raw_md5.get_or_insert_with(|| Box::new(Md5::new())).update(part);
        }
    }
}

impl Reader for Judge<'_> {
    fn judge_head(&mut self, got: u16) -> Result<(), Failure> {
        let wanted = &self.wanted.status;
        if wanted.iter().any(|range| (range.from..=range.to).contains(&got)) {
            self.headers.verdict()
        } else {
            Err(Failure::BadStatus { got, wanted: wanted.clone() })
        }
    }

    fn is_full(&self) -> bool {
        // A digest is of the whole page, however long: the time limit ends it.
        self.md5.is_none() && self.read > if self.keeps_text() { MAX_TEXT as u64 } else { MAX_BODY }
    }
}

/// Bytes as a file writes them.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
