//! One page, fetched as a check would, with the digest that `digest` of HTTP_GET takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use crate::check::checkers::http::{self, Reader};
use crate::check::checkers::http_answer::Sink;
use crate::check::checkers::{limit, tls};
use crate::check::outcome::Failure;
use crate::check::plan::{HttpPlan, Target, TlsPlan, UrlPlan};
use crate::clock;
use crate::config::model::HttpProtocol;

/// A page to fetch.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where from.
    pub address: SocketAddr,
    /// By TLS; `Some(true)` says the virtual host as server name.
    pub tls: Option<bool>,
    /// Path with query, as sent.
    pub path: String,
    /// Host header; default the address.
    pub virtualhost: Option<String>,
    /// Version of the request.
    pub protocol: HttpProtocol,
    /// Firewall mark of our packets.
    pub fwmark: Option<u32>,
    /// Time for all of it.
    pub timeout: Duration,
    /// Keep the body for people to look at.
    pub keep: bool,
}

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// Its head with the empty line, lines ended with CR LF.
    pub head: Vec<u8>,
    /// Its body as it came on the wire, if it was to be kept.
    pub body: Vec<u8>,
    /// MD5 of the body as it came on the wire: with chunks, of their sizes too, as keepalived has it.
    pub digest: [u8; 16],
    /// MD5 of the page alone, when it came in chunks.
    pub page_digest: Option<[u8; 16]>,
    /// From the connect to the end.
    pub took: Duration,
}

/// Fetches a page, whatever its status.
///
/// # Errors
/// What a check would fail with.
pub fn fetch(page: &Page) -> Result<Fetched, Failure> {
    let broken = |error: std::io::Error| Failure::Broken(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    let mut target = Target::new(page.address, page.timeout);
    target.fwmark = page.fwmark;
    let url = UrlPlan {
        path: page.path.clone(),
        host: page.virtualhost.clone(),
        digest: None,
        status: Vec::new(),
        regex: None,
        server_name: page.virtualhost.clone().filter(|_| page.tls == Some(true)),
        certified: None,
        tls_compliant: false,
        headers: Vec::new(),
        json: Vec::new(),
    };
    let rules = page.tls.map(|_| TlsPlan::default());
    let client = rules.as_ref().map(|rules| tls::Contexts::default().get(rules)).transpose()?;
    let plan =
        HttpPlan { target, tls: rules.map(Into::into), protocol: page.protocol, urls: Vec::new().into() };
    let mut keeper = Keeper { keep: page.keep, ..Keeper::default() };
    let began: Instant = clock::now();
    runtime.block_on(limit::within(page.timeout, http::read(&plan, &url, client.as_ref(), &mut keeper)))?;
    let took = clock::now().saturating_duration_since(began);
    let of_body: [u8; 16] = keeper.md5.finalize().into();
    let of_wire: Option<[u8; 16]> = keeper.raw_md5.map(|md5| md5.finalize().into());
    Ok(Fetched {
        head: keeper.head,
        body: if of_wire.is_some() { keeper.raw } else { keeper.body },
        digest: of_wire.unwrap_or(of_body),
        page_digest: of_wire.map(|_| of_body),
        took,
    })
}

#[derive(Default)]
struct Keeper {
    keep: bool,
    head: Vec<u8>,
    body: Vec<u8>,
    raw: Vec<u8>,
    md5: Md5,
    raw_md5: Option<Md5>,
}

impl Sink for Keeper {
    fn head(&mut self, line: &[u8]) {
        self.head.extend_from_slice(line);
        self.head.extend_from_slice(b"\r\n");
    }

    fn body(&mut self, part: &[u8]) {
        self.md5.update(part);
        if self.keep {
            self.body.extend_from_slice(part);
        }
    }

    fn raw(&mut self, part: &[u8]) {
        self.raw_md5.get_or_insert_with(Md5::new).update(part);
        if self.keep {
            self.raw.extend_from_slice(part);
        }
    }
}

impl Reader for Keeper {
    fn judge_head(&mut self, _: u16) -> Result<(), Failure> {
        Ok(())
    }
}
