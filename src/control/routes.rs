//! From method, path and body to a [`Request`]. Nothing of what comes from outside panics, and what is refused says what to
//! write.

use std::time::Duration;

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::answer::Failure;
use crate::config::model::{AdminState, ServiceName};

mod orders;
mod status;
pub mod table;
mod watch;

pub use orders::{EventQuery, InstanceOrder, Maintenance, Verb, WhyQuery, lasting};
pub use status::{CheckNow, Form, Part, Want};
pub use watch::{Detail, MetricsForm};

/// Longest path that is looked at, bytes.
const LONGEST_PATH: usize = 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Which program answers, and which versions of this interface.
    About,
    /// The virtual servers with their real servers.
    RealServers {
        /// This one alone.
        service: Option<ServiceName>,
    },
    /// What differs from the file.
    Overrides,
    /// A change of one real server.
    Change(Change),
    /// Something about the daemon itself.
    Life(Life),
    /// The metrics.
    Metrics {
        /// How they are written.
        form: MetricsForm,
        /// How much of them.
        detail: Detail,
    },
    /// What happens, as it happens.
    Events {
        /// And first what has happened after the event of this number.
        after: Option<u64>,
    },
    /// The page to look at: nobody need be asked for it.
    Page,
    /// Everything at one moment.
    Status(Want),
    /// Checks that are to run now.
    CheckNow(CheckNow),
    /// The counters of the instances begin at zero.
    ResetStatistics {
        /// Those of our services in the kernel, too.
        ipvs: bool,
    },
    /// The configuration in force, without its secrets.
    Config(Form),
    /// What a reload would change now.
    Plan,
    /// The description of this interface.
    OpenApi,
    /// An order about an instance.
    Order(InstanceOrder),
    /// Maintenance of the whole director, or its end.
    Maintenance(Maintenance),
    /// The orders in force.
    Orders,
    /// What happened.
    Journal(EventQuery),
    /// How something stands, and why.
    Why(WhyQuery),
}

/// What may be asked of the daemon itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Read the configuration again, as at SIGHUP.
    Reload,
    /// The program that now has our name goes on in our place.
    Upgrade,
    /// End, and leave everything in the kernel for the next process.
    Leave,
}

/// A change of one real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its virtual server; `None` = whichever has it.
    pub service: Option<ServiceName>,
    /// The real server.
    pub server: ServerName,
    /// What to do.
    pub order: Order,
    /// Write it into the include file.
    pub persist: bool,
    /// Hand it to the other director of the pair as well.
    pub pair: bool,
    /// A drain, or that it is disabled, ends by itself after so long; `None` = when somebody takes it back.
    pub lasting: Option<Duration>,
}

/// A real server as a person names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// Address and port.
    At(SocketAddr),
    /// The address alone: enough where only one port of it is there.
    Address(IpAddr),
}

impl std::fmt::Display for ServerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl std::str::FromStr for ServerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        // A scope is none of a real server's: the kernel's table has none.
        let at = text.parse::<SocketAddr>().map(|at| Self::At(SocketAddr::new(at.ip(), at.port())));
        at.or_else(|_| bare.parse().map(Self::Address))
            .map_err(|_| format!("\"{text}\" is no real server: write ADDRESS:PORT, or ADDRESS"))
    }
}

/// What to do with a real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Another weight.
    Weight(u16),
    /// Drain or disable.
    State(AdminState),
    /// As the file says again: no drain, no weight of a command.
    Enable,
    /// A new one.
    Add {
        /// Its weight; that of its model when absent.
        weight: Option<u16>,
        /// The real server whose settings and checkers it has; the first one when absent.
        like: Option<ServerName>,
    },
    /// Take it away.
    Delete,
}

/// The document of a change.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Body {
    weight: Option<u16>,
    like: Option<String>,
    persist: bool,
    pair: bool,
    for_seconds: Option<u64>,
}

/// Understands a request. `target`: path and query as they came.
///
/// # Errors
/// Why it means nothing: 400 for its words, 404 for its path, 405 for its method.
pub fn route(method: &str, target: &str, body: &[u8]) -> Result<Request, Failure> {
    if target.len() > LONGEST_PATH {
        let problem = format!("the path is longer than {LONGEST_PATH} bytes");
        return Err(Failure::new(
            414,
            "path-too-long",
            problem,
            "name one virtual server and one real server",
        ));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if let Some(request) = watch::route(method, path, query) {
        return request;
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if let Some(request) = status::route(method, &parts, query, body) {
        return request;
    }
    if let Some(request) = orders::route(method, &parts, query, body)? {
        return Ok(request);
    }
    let alone = |wanted: &str, request| {
        allow(method, wanted)?;
        status::no_query(query)?;
        // Whoever says more than a path wants something else than what would be done.
        if wanted == "POST" {
            status::no_document(body)?;
        }
        Ok(request)
    };
    match parts.as_slice() {
        ["v1"] => alone("GET", Request::About),
        ["v1", "overrides"] => alone("GET", Request::Overrides),
        ["v1", "reload"] => alone("POST", Request::Life(Life::Reload)),
        ["v1", "upgrade"] => alone("POST", Request::Life(Life::Upgrade)),
        ["v1", "leave"] => alone("POST", Request::Life(Life::Leave)),
        ["v1", "real-servers"] => {
            allow(method, "GET")?;
            status::only_service(query).map(|service| Request::RealServers { service })
        }
        ["v1", "real-servers", service_part, server, rest @ ..] if rest.len() < 2 => {
            let server: ServerName =
                decoded(server)?.parse().map_err(|problem| bad("real-server", problem))?;
            let service = service(&decoded(service_part)?)?;
            let verb = rest.first().copied();
            allow(method, if verb.is_some() { "POST" } else { "DELETE" })?;
            let body = parse(body)?;
            let order = order(verb, &body)?;
            let (persist, pair) = flags(query)?;
            let (persist, pair) = (body.persist || persist, body.pair || pair);
            if pair {
                for_both(&order, persist)?;
            }
            let lasting = lasting(body.for_seconds)?;
            if lasting.is_some() {
                may_end(&order, persist)?;
            }
            Ok(Request::Change(Change { service, server, order, persist, pair, lasting }))
        }
        ["v1", ..] => Err(nowhere(path)),
        [version, ..] if version.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok()) => {
            let problem = format!("this Tandem does not speak version \"{version}\"");
            Err(Failure::new(404, "unknown-version", problem, "write /v1"))
        }
        _ => Err(nowhere(path)),
    }
}

fn bad(code: &'static str, problem: impl Into<String>) -> Failure {
    Failure::new(400, code, problem, "see docs/operating.md, \"Changing real servers while it runs\"")
}

fn nowhere(path: &str) -> Failure {
    let path: String = path.chars().take(80).collect();
    Failure::new(
        404,
        "unknown-path",
        format!("there is no {path:?}"),
        format!("it is one of {}", table::paths()),
    )
}

fn allow(method: &str, wanted: &str) -> Result<(), Failure> {
    if method == wanted {
        return Ok(());
    }
    let method: String = method.chars().take(20).collect();
    let problem = format!("{method:?} means nothing for this path");
    Err(Failure::new(
        405,
        "unknown-method",
        problem,
        format!("write {wanted}; all paths: {}", table::paths()),
    ))
}

fn service(text: &str) -> Result<Option<ServiceName>, Failure> {
    if text == "-" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|problem: String| bad("virtual-server", problem))
}

fn parse(body: &[u8]) -> Result<Body, Failure> {
    let cure = "write a JSON object with weight (0 to 65535), like (ADDRESS:PORT), for_seconds (a number), persist or pair (true or false)";
    status::document(body, cure)
}

fn order(verb: Option<&str>, body: &Body) -> Result<Order, Failure> {
    let order = match verb {
        None => Order::Delete,
        Some("weight") => {
            let cure = "write {\"weight\": N}, N from 0 to 65535";
            let missing = || Failure::new(400, "weight", "weight without a number", cure);
            Order::Weight(body.weight.ok_or_else(missing)?)
        }
        Some("drain") => Order::State(AdminState::Drain),
        Some("disable") => Order::State(AdminState::Disabled),
        Some("enable") => Order::Enable,
        Some("add") => {
            let like = body.like.as_deref().map(str::parse).transpose();
            let like = like.map_err(|problem: String| bad("like", problem))?;
            Order::Add { weight: body.weight, like }
        }
        Some(other) => return Err(nowhere(other)),
    };
    let takes_weight = matches!(order, Order::Weight(_) | Order::Add { .. });
    if (body.weight.is_some() && !takes_weight)
        || (body.like.is_some() && !matches!(order, Order::Add { .. }))
    {
        let problem = "the document says more than this change can do".to_owned();
        let cure = "weight belongs to weight and add, like to add: ask for one change after the other";
        return Err(Failure::new(400, "body", problem, cure));
    }
    Ok(order)
}

/// What may be handed to the other director: what is taken back as easily.
fn for_both(order: &Order, persist: bool) -> Result<(), Failure> {
    if persist {
        let problem = "a change is not written into the files of both directors at once";
        let cure = "ask without persist, or edit both files; the pair's channel tells whether they are alike";
        return Err(Failure::new(400, "pair", problem, cure));
    }
    if matches!(order, Order::Add { .. } | Order::Delete) {
        let problem = "real servers are added and deleted on each director by itself";
        let cure = "ask for weight, drain, disable or enable, or ask both directors one after the other";
        return Err(Failure::new(400, "pair", problem, cure));
    }
    Ok(())
}

/// What may be said for a time.
fn may_end(order: &Order, persist: bool) -> Result<(), Failure> {
    if persist {
        let problem = "what is written into a file stays there";
        let cure = "ask without persist, or without for_seconds";
        return Err(Failure::new(400, "for-seconds", problem, cure));
    }
    if !matches!(order, Order::State(_)) {
        let problem = "only a drain, or that a real server is disabled, can end by itself";
        let cure = "ask without for_seconds, and take it back by enable";
        return Err(Failure::new(400, "for-seconds", problem, cure));
    }
    Ok(())
}

/// Whether a change is written into the include file, and whether it is handed to the other director, by its query.
fn flags(query: &str) -> Result<(bool, bool), Failure> {
    let (mut persist, mut pair) = (false, false);
    for (name, value) in status::words(query) {
        let yes = match value {
            "" | "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
        match (name, yes) {
            ("persist", Some(yes)) => persist = yes,
            ("pair", Some(yes)) => pair = yes,
            _ => return Err(status::refused(name, value, "write persist=true or pair=true, or nothing")),
        }
    }
    Ok((persist, pair))
}

/// A part of a path with its `%20` and the like as characters.
fn decoded(part: &str) -> Result<String, Failure> {
    let refuse = || bad("path", "the path has a % without two hexadecimal digits, or is not UTF-8");
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let Some((digits, more)) = rest.split_at_checked(2) else { return Err(refuse()) };
        let digits = std::str::from_utf8(digits).ok().filter(|d| d.chars().all(|c| c.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(refuse)?);
        rest = more;
    }
    String::from_utf8(bytes).map_err(|_| refuse())
}

/// A text as one part of a path.
pub fn encoded(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change(service: Option<&str>, server: &str, order: Order, persist: bool) -> Request {
        let service = service.map(|name| name.parse().unwrap());
        Request::Change(Change {
            service,
            server: server.parse().unwrap(),
            order,
            persist,
            pair: false,
            lasting: None,
        })
    }

    #[test]
    fn what_may_be_handed_to_the_other_director() {
        let at = "/v1/real-servers/-/10.1.0.1:80";
        for (verb, body, understood) in [
            ("drain?pair=true", "", true),
            ("drain", "{\"pair\":true}", true),
            ("disable?pair", "", true),
            ("enable?pair=1", "", true),
            ("weight", "{\"weight\":3,\"pair\":true}", true),
            ("add?pair=true", "", false),
            ("drain?pair=true&persist=true", "", false),
            ("drain?pair=both", "", false),
        ] {
            let asked = route("POST", &format!("{at}/{verb}"), body.as_bytes());
            let pair = matches!(&asked, Ok(Request::Change(Change { pair: true, .. })));
            assert_eq!(pair, understood, "{verb} {body}: {asked:?}");
        }
        assert_eq!(
            route("DELETE", &format!("{at}?pair=true"), b"").map_err(|failure| failure.code),
            Err("pair")
        );
    }

    #[test]
    fn what_is_understood() {
        let vip = Some("TCP 192.0.2.1:80");
        let at = "/v1/real-servers/TCP%20192.0.2.1:80/10.1.0.1:80";
        let like = Some("10.1.0.2:80".parse().unwrap());
        for (method, target, body, wanted) in [
            ("GET", "/v1".to_owned(), "", Request::About),
            ("GET", "/v1/overrides".to_owned(), "", Request::Overrides),
            ("GET", "/v1/real-servers".to_owned(), "", Request::RealServers { service: None }),
            (
                "GET",
                "/v1/real-servers?service=group%20web".to_owned(),
                "",
                Request::RealServers { service: Some("group web".parse().unwrap()) },
            ),
            (
                "POST",
                format!("{at}/weight"),
                "{\"weight\":5}",
                change(vip, "10.1.0.1:80", Order::Weight(5), false),
            ),
            (
                "POST",
                format!("{at}/drain"),
                " {\"persist\":true}\n",
                change(vip, "10.1.0.1:80", Order::State(AdminState::Drain), true),
            ),
            (
                "POST",
                "/v1/real-servers/-/[2001:db8::1]/disable?persist=true".to_owned(),
                "",
                change(None, "2001:db8::1", Order::State(AdminState::Disabled), true),
            ),
            ("POST", format!("{at}/enable/"), "{}", change(vip, "10.1.0.1:80", Order::Enable, false)),
            (
                "POST",
                format!("{at}/add"),
                "{\"weight\":7,\"like\":\"10.1.0.2:80\"}",
                change(vip, "10.1.0.1:80", Order::Add { weight: Some(7), like }, false),
            ),
            ("DELETE", at.to_owned(), "", change(vip, "10.1.0.1:80", Order::Delete, false)),
        ] {
            assert_eq!(route(method, &target, body.as_bytes()), Ok(wanted), "{method} {target}");
        }
    }

    #[test]
    fn what_is_refused() {
        let at = "/v1/real-servers/-/10.1.0.1:80";
        for (method, target, body, status, says) in [
            ("GET", "/index.html".to_owned(), "", 404, "there is no"),
            ("PUT", "/".to_owned(), "", 405, "means nothing for this path"),
            ("GET", "/v2/real-servers".to_owned(), "", 404, "does not speak version"),
            ("GET", "/v1/real-server".to_owned(), "", 404, "there is no"),
            ("POST", "/v1/overrides".to_owned(), "", 405, "means nothing for this path"),
            ("GET", format!("{at}/drain"), "", 405, "means nothing for this path"),
            ("POST", at.to_owned(), "", 405, "means nothing for this path"),
            ("POST", format!("{at}/explode"), "", 404, "there is no"),
            ("POST", format!("{at}/drain/now"), "", 404, "there is no"),
            ("POST", "/v1/real-servers/-/nobody/drain".to_owned(), "", 400, "is no real server"),
            ("POST", "/v1/real-servers/TCP/10.1.0.1:80/drain".to_owned(), "", 400, "TCP without address"),
            ("POST", "/v1/real-servers/%2/10.1.0.1:80/drain".to_owned(), "", 400, "without two hexadecimal"),
            ("POST", "/v1/real-servers/%ff/10.1.0.1:80/drain".to_owned(), "", 400, "not UTF-8"),
            ("POST", format!("{at}/weight"), "", 400, "weight without a number"),
            ("POST", format!("{at}/weight"), "{\"weight\":65536}", 400, "not understood"),
            ("POST", format!("{at}/weight"), "{\"wieght\":5}", 400, "unknown field"),
            ("POST", format!("{at}/drain"), "{\"weight\":5}", 400, "more than this change"),
            ("POST", format!("{at}/drain?persit=true"), "", 400, "the query"),
            ("POST", format!("{at}/drain?service=FWM%205"), "", 400, "the query"),
            ("GET", "/v1/real-servers?persist=true".to_owned(), "", 400, "the query"),
            ("GET", "/v1?service=FWM%205".to_owned(), "", 400, "the query"),
            ("POST", "/v1/leave?persist=true".to_owned(), "", 400, "the query"),
            ("POST", "/v1/leave".to_owned(), "{\"when\": \"never\"}", 400, "unknown field"),
            ("POST", "/v1/reload".to_owned(), "[]", 400, "no JSON object"),
            ("POST", "/v1/upgrade".to_owned(), "to 1.0", 400, "no JSON object"),
            ("POST", "/v1/maintenance".to_owned(), "[true]", 400, "no JSON object"),
            ("POST", "/v1/instances/V/step-down".to_owned(), "[5]", 400, "no JSON object"),
            ("GET", format!("/v1/{}", "x".repeat(2000)), "", 414, "longer than"),
        ] {
            let failure = route(method, &target, body.as_bytes()).expect_err(&target);
            assert_eq!(failure.status, status, "{method} {target}: {}", failure.problem);
            assert!(failure.problem.contains(says), "{method} {target}: {}", failure.problem);
            assert!(!failure.cure.is_empty());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            method in "GET|POST|DELETE|\\PC{0,9}",
            target in "/(v1/|real-servers/|-/|10\\.0\\.0\\.1/|drain|%|[0-9a-f?&=]|\\PC){0,12}",
            body in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = route(&method, &target, &body);
        }

        #[test]
        fn a_part_of_a_path_comes_through(text in "\\PC{0,40}") {
            prop_assert_eq!(decoded(&encoded(&text)), Ok(text));
        }
    }
}
