//! Orders to VRRP, and questions about what happened: `/v1/instances/...`, `/v1/maintenance`, `/v1/orders`, `/v1/journal`,
//! `/v1/why`.

use std::time::Duration;

use serde::Deserialize;

use super::status::{document, understood};
use super::{Request, allow, decoded, nowhere};
use crate::control::answer::Failure;

/// The longest time that an order is given for: a year.
const LONGEST: u64 = 366 * 86_400;
/// So many events are asked for at once, at most: more are not kept.
const MOST: usize = 2000;
/// Events that are told when nobody says how many.
const USUAL: usize = 200;
/// Transitions of `why` when nobody says how many.
const USUAL_LAST: usize = 5;

/// What to do with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Let a peer be master.
    StepDown,
    /// Be master, over a peer of higher priority.
    TakeOver,
    /// The order in force ends.
    Release,
    /// The order in force ends, or a backup whose priority is enough is master again.
    Failback,
}

impl Verb {
    /// A stable name: `step_down`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StepDown => "step_down",
            Self::TakeOver => "take_over",
            Self::Release => "release",
            Self::Failback => "failback",
        }
    }
}

/// An order about an instance, and with it its sync group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceOrder {
    /// An instance or a sync group; `None` = every instance.
    pub target: Option<String>,
    /// What to do.
    pub verb: Verb,
    /// For how long; `None` = until somebody takes it back.
    pub lasting: Option<Duration>,
}

/// `POST /v1/maintenance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// From now on, or over.
    pub on: bool,
    /// Take nothing, even if nobody else is there.
    pub strict: bool,
    /// For how long; `None` = until somebody takes it back.
    pub lasting: Option<Duration>,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Those behind this number alone.
    pub since: Option<u64>,
    /// Those about this instance, group, virtual server, tracker, or real server alone.
    pub subject: Option<String>,
    /// Those of this kind alone.
    pub kind: Option<String>,
    /// At most so many: with `since` the oldest of them, so that nothing is left out by who asks again; else the newest.
    pub limit: Option<usize>,
    /// As those are told who come over the network: see [`EventView::for_network`].
    ///
    /// [`EventView::for_network`]: crate::control::view::EventView::for_network
    pub discreet: bool,
}

impl Request {
    /// The same of somebody who comes over the network.
    #[must_use]
    pub fn over_network(self) -> Self {
        match self {
            Self::Journal(wanted) => Self::Journal(EventQuery { discreet: true, ..wanted }),
            other => other,
        }
    }
}

/// `GET /v1/why`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyQuery {
    /// An instance, a sync group, a virtual server or a real server; `None` = every instance.
    pub subject: Option<String>,
    /// How many of the last changes.
    pub last: usize,
}

/// The document of an order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Body {
    for_seconds: Option<u64>,
}

/// The document of `maintenance`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaintenanceBody {
    on: bool,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    for_seconds: Option<u64>,
}

/// Understands a request of these; `Ok(None)`: it is none of them.
///
/// # Errors
/// Why it means nothing.
pub(super) fn route(
    method: &str,
    parts: &[&str],
    query: &str,
    body: &[u8],
) -> Result<Option<Request>, Failure> {
    let (wanted, request) = match parts {
        ["v1", "orders"] => ("GET", Request::Orders),
        ["v1", "journal"] => {
            allow(method, "GET")?;
            return events(query).map(|events| Some(Request::Journal(events)));
        }
        ["v1", "why"] => {
            allow(method, "GET")?;
            return why(query).map(|why| Some(Request::Why(why)));
        }
        ["v1", "maintenance"] => {
            allow(method, "POST")?;
            let cure =
                "write {\"on\": true} or {\"on\": false}, with on also for_seconds (a number) and strict";
            let said: MaintenanceBody = understood(body, cure)?;
            if !said.on && (said.strict || said.for_seconds.is_some()) {
                let problem = "the end of maintenance takes neither strict nor for_seconds";
                return Err(Failure::new(400, "body", problem, cure));
            }
            let lasting = lasting(said.for_seconds)?;
            ("POST", Request::Maintenance(Maintenance { on: said.on, strict: said.strict, lasting }))
        }
        ["v1", "instances", name, verb] => {
            let known = match *verb {
                "step-down" => Verb::StepDown,
                "take-over" => Verb::TakeOver,
                "release" => Verb::Release,
                "failback" => Verb::Failback,
                other => return Err(nowhere(other)),
            };
            allow(method, "POST")?;
            let target = Some(decoded(name)?).filter(|name| name != "-");
            let said: Body = document(body, "write {\"for_seconds\": N}, or nothing")?;
            if said.for_seconds.is_some() && !matches!(known, Verb::StepDown | Verb::TakeOver) {
                let problem = format!("{verb} is done at once: it takes no for_seconds");
                return Err(Failure::new(400, "body", problem, "send it without a document"));
            }
            let lasting = lasting(said.for_seconds)?;
            ("POST", Request::Order(InstanceOrder { target, verb: known, lasting }))
        }
        _ => return Ok(None),
    };
    allow(method, wanted)?;
    match query {
        "" => Ok(Some(request)),
        query => Err(stray(query)),
    }
}

/// How long something lasts.
///
/// # Errors
/// No time at all, or more than a year.
pub fn lasting(seconds: Option<u64>) -> Result<Option<Duration>, Failure> {
    match seconds {
        None => Ok(None),
        Some(seconds) if (1..=LONGEST).contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
        Some(other) => {
            let problem = format!("for_seconds is {other}");
            let cure =
                format!("write 1 to {LONGEST}; without it the order stands until somebody takes it back");
            Err(Failure::new(400, "for-seconds", problem, cure))
        }
    }
}

/// The pairs of a query, decoded.
fn pairs(query: &str) -> impl Iterator<Item = Result<(&str, String), Failure>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((name, decoded(value)?))
    })
}

fn stray(pair: &str) -> Failure {
    let pair: String = pair.chars().take(80).collect();
    let cure = "GET /v1/journal takes since=N, subject=NAME, kind=WORD and limit=N, GET /v1/why subject=NAME and last=N";
    Failure::new(400, "query", format!("the query {pair:?} means nothing"), cure)
}

fn number(name: &str, value: &str, most: u64) -> Result<u64, Failure> {
    value.parse().ok().filter(|number| *number <= most).ok_or_else(|| {
        let value: String = value.chars().take(40).collect();
        let problem = format!("{name}={value:?} is no number from 0 to {most}");
        Failure::new(400, "query", problem, format!("write {name}=N"))
    })
}

fn events(query: &str) -> Result<EventQuery, Failure> {
    let mut wanted = EventQuery::default();
    for pair in pairs(query) {
        match pair? {
            ("since", value) => wanted.since = Some(number("since", &value, u64::MAX)?),
            ("subject", value) => wanted.subject = Some(value),
            ("kind", value) => wanted.kind = Some(value),
            ("limit", value) => {
                wanted.limit = usize::try_from(number("limit", &value, MOST as u64)?).ok();
            }
            (name, _) => return Err(stray(name)),
        }
    }
    wanted.limit = wanted.limit.or(wanted.since.is_none().then_some(USUAL));
    Ok(wanted)
}

fn why(query: &str) -> Result<WhyQuery, Failure> {
    let mut wanted = WhyQuery { subject: None, last: USUAL_LAST };
    for pair in pairs(query) {
        match pair? {
            ("subject", value) => wanted.subject = Some(value),
            ("last", value) => {
                wanted.last = usize::try_from(number("last", &value, MOST as u64)?).unwrap_or(USUAL_LAST);
            }
            (name, _) => return Err(stray(name)),
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::super::route;
    use super::*;

    fn order(target: Option<&str>, verb: Verb, secs: Option<u64>) -> Request {
        let lasting = secs.map(Duration::from_secs);
        Request::Order(InstanceOrder { target: target.map(str::to_owned), verb, lasting })
    }

    #[test]
    fn what_is_understood() {
        let maintenance = |on, strict, secs: Option<u64>| {
            Request::Maintenance(Maintenance { on, strict, lasting: secs.map(Duration::from_secs) })
        };
        let events = |since, subject: Option<&str>, kind: Option<&str>, limit| {
            let (subject, kind) = (subject.map(str::to_owned), kind.map(str::to_owned));
            Request::Journal(EventQuery { since, subject, kind, limit, discreet: false })
        };
        for (method, target, body, wanted) in [
            ("POST", "/v1/instances/VI_1/step-down", "", order(Some("VI_1"), Verb::StepDown, None)),
            (
                "POST",
                "/v1/instances/VI%201/step-down",
                "{\"for_seconds\":600}",
                order(Some("VI 1"), Verb::StepDown, Some(600)),
            ),
            ("POST", "/v1/instances/VG/take-over", "{}", order(Some("VG"), Verb::TakeOver, None)),
            ("POST", "/v1/instances/-/failback", "", order(None, Verb::Failback, None)),
            ("POST", "/v1/instances/VI_1/release", "", order(Some("VI_1"), Verb::Release, None)),
            ("POST", "/v1/maintenance", "{\"on\":true}", maintenance(true, false, None)),
            (
                "POST",
                "/v1/maintenance",
                "{\"on\":true,\"strict\":true,\"for_seconds\":1}",
                maintenance(true, true, Some(1)),
            ),
            ("POST", "/v1/maintenance", "{\"on\":false}", maintenance(false, false, None)),
            ("GET", "/v1/orders", "", Request::Orders),
            ("GET", "/v1/journal", "", events(None, None, None, Some(USUAL))),
            ("GET", "/v1/journal?since=0", "", events(Some(0), None, None, None)),
            (
                "GET",
                "/v1/journal?since=7&subject=TCP%20192.0.2.1:80&kind=quorum&limit=9",
                "",
                events(Some(7), Some("TCP 192.0.2.1:80"), Some("quorum"), Some(9)),
            ),
            ("GET", "/v1/why", "", Request::Why(WhyQuery { subject: None, last: USUAL_LAST })),
            (
                "GET",
                "/v1/why?subject=VI_1&last=1",
                "",
                Request::Why(WhyQuery { subject: Some("VI_1".to_owned()), last: 1 }),
            ),
        ] {
            assert_eq!(route(method, target, body.as_bytes()), Ok(wanted), "{method} {target}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (method, target, body, status, says) in [
            ("GET", "/v1/instances/VI_1/step-down", "", 405, "means nothing for this path"),
            ("POST", "/v1/instances/VI_1/explode", "", 404, "there is no"),
            ("POST", "/v1/instances/VI_1", "", 404, "there is no"),
            ("POST", "/v1/instances/%2/step-down", "", 400, "without two hexadecimal"),
            ("POST", "/v1/instances/VI_1/step-down", "{\"to_priority\":1}", 400, "unknown field"),
            ("POST", "/v1/instances/VI_1/step-down", "{\"for_seconds\":0}", 400, "for_seconds is 0"),
            ("POST", "/v1/instances/VI_1/step-down", "{\"for_seconds\":99999999}", 400, "for_seconds is"),
            ("POST", "/v1/instances/VI_1/step-down", "{\"for_seconds\":-1}", 400, "not understood"),
            ("POST", "/v1/instances/VI_1/failback", "{\"for_seconds\":9}", 400, "takes no for_seconds"),
            ("POST", "/v1/instances/VI_1/step-down?for=9", "", 400, "the query"),
            ("POST", "/v1/maintenance", "", 400, "not understood"),
            ("POST", "/v1/maintenance", "{\"on\":false,\"strict\":true}", 400, "takes neither"),
            ("GET", "/v1/maintenance", "", 405, "means nothing for this path"),
            ("POST", "/v1/journal", "", 405, "means nothing for this path"),
            ("GET", "/v1/journal?since=x", "", 400, "is no number"),
            ("GET", "/v1/journal?limit=2001", "", 400, "is no number"),
            ("GET", "/v1/journal?sinc=1", "", 400, "the query \"sinc\""),
            ("GET", "/v1/why?last=-1", "", 400, "is no number"),
        ] {
            let failure = route(method, target, body.as_bytes()).expect_err(target);
            assert_eq!(failure.status, status, "{method} {target}: {}", failure.problem);
            assert!(failure.problem.contains(says), "{method} {target}: {}", failure.problem);
            assert!(!failure.cure.is_empty());
        }
    }
}
