//! Requests about how everything stands: status, checks at once, counters, the configuration in force.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Request, ServerName, allow, bad, decoded, service};
use crate::config::model::ServiceName;
use crate::control::answer::Failure;

/// Which parts of the status are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// This virtual server alone.
    pub service: Option<ServiceName>,
    /// This part alone.
    pub part: Option<Part>,
}

/// A part of the status. The daemon's own is always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Instances, sync groups and BFD sessions.
    Instances,
    /// Virtual servers and the kernel's table.
    VirtualServers,
    /// The daemon alone.
    Daemon,
}

impl Want {
    /// Whether this part is.
    pub fn wants(&self, part: Part) -> bool {
        self.part.is_none_or(|wanted| wanted == part)
    }
}

/// Checks that are to run now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckNow {
    /// Of this virtual server; `None` = of every one.
    pub service: Option<ServiceName>,
    /// Of this real server; `None` = of all.
    pub server: Option<ServerName>,
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// YAML.
    #[default]
    Yaml,
    /// keepalived.conf.
    Keepalived,
}

/// The document of a reset.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reset {
    ipvs: bool,
}

/// A document without anything in it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Nothing {}

/// Understands a request for one of these paths; `None`: it is another one.
pub(super) fn route(
    method: &str,
    parts: &[&str],
    query: &str,
    body: &[u8],
) -> Option<Result<Request, Failure>> {
    let request = match parts {
        ["v1", "status"] => allow(method, "GET").and_then(|()| want(query)).map(Request::Status),
        ["v1", "config"] => allow(method, "GET").and_then(|()| form(query)).map(Request::Config),
        ["v1", "plan"] => allow(method, "GET").and_then(|()| no_query(query)).map(|()| Request::Plan),
        ["v1", "openapi.json"] => {
            allow(method, "GET").and_then(|()| no_query(query)).map(|()| Request::OpenApi)
        }
        ["v1", "statistics", "reset"] => allow(method, "POST").and_then(|()| {
            no_query(query)?;
            let cure = "write {\"ipvs\": true} or {\"ipvs\": false}, or nothing";
            let reset: Reset = document(body, cure)?;
            Ok(Request::ResetStatistics { ipvs: reset.ipvs })
        }),
        ["v1", "real-servers", of, server, "check"] => allow(method, "POST").and_then(|()| {
            no_query(query)?;
            no_document(body)?;
            let service = service(&decoded(of)?)?;
            let server = match decoded(server)?.as_str() {
                "-" => None,
                text => Some(text.parse().map_err(|problem: String| bad("real-server", problem))?),
            };
            Ok(Request::CheckNow(CheckNow { service, server }))
        }),
        _ => return None,
    };
    Some(request)
}

/// # Errors
/// 400 for a document that says anything.
pub(super) fn no_document(body: &[u8]) -> Result<(), Failure> {
    document(body, "send no document").map(|Nothing {}| ())
}

/// What may be left out.
///
/// # Errors
/// 400 for one that is not understood.
pub(super) fn document<T: Default + DeserializeOwned>(body: &[u8], cure: &str) -> Result<T, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(T::default());
    }
    understood(body, cure)
}

/// A document that must be there. `cure`: what to send.
///
/// # Errors
/// 400 for one that is not understood.
pub(super) fn understood<T: DeserializeOwned>(body: &[u8], cure: &str) -> Result<T, Failure> {
    object(body)
        .map_err(|error| Failure::new(400, "body", format!("the document is not understood: {error}"), cure))
}

/// A document that is an object: a list would be taken for its fields, one after the other.
fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if begins != Some(&b'{') {
        return Err("it is no JSON object".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// The words of a query, in its order.
pub(super) fn words(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

pub(super) fn refused(name: &str, value: &str, cure: &str) -> Failure {
    let pair: String = format!("{name}={value}").chars().take(80).collect();
    Failure::new(400, "query", format!("the query {pair:?} means nothing here"), cure)
}

pub(super) fn no_query(query: &str) -> Result<(), Failure> {
    let first = words(query).next();
    first.map_or(Ok(()), |(name, value)| Err(refused(name, value, "this path takes no query")))
}

/// The virtual server that a query names, when it does.
pub(super) fn only_service(query: &str) -> Result<Option<ServiceName>, Failure> {
    let mut only = None;
    for (name, value) in words(query) {
        match name {
            "service" => only = service(&decoded(value)?)?,
            _ => return Err(refused(name, value, "write service=NAME, or nothing")),
        }
    }
    Ok(only)
}

fn want(query: &str) -> Result<Want, Failure> {
    let mut want = Want::default();
    for (name, value) in words(query) {
        match (name, value) {
            ("service", _) => want.service = service(&decoded(value)?)?,
            ("part", "instances") => want.part = Some(Part::Instances),
            ("part", "virtual_servers") => want.part = Some(Part::VirtualServers),
            ("part", "daemon") => want.part = Some(Part::Daemon),
            _ => {
                let cure = "write service=NAME, or part= with instances, virtual_servers or daemon";
                return Err(refused(name, value, cure));
            }
        }
    }
    Ok(want)
}

fn form(query: &str) -> Result<Form, Failure> {
    let mut form = Form::default();
    for (name, value) in words(query) {
        form = match (name, value) {
            ("form", "yaml") => Form::Yaml,
            ("form", "keepalived") => Form::Keepalived,
            _ => return Err(refused(name, value, "write form=yaml or form=keepalived")),
        };
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::super::route;
    use super::*;

    #[test]
    fn what_is_understood() {
        let want = |service: Option<&str>, part| {
            Request::Status(Want { service: service.map(|name| name.parse().unwrap()), part })
        };
        let check = |service: Option<&str>, server: Option<&str>| {
            let service = service.map(|name| name.parse().unwrap());
            Request::CheckNow(CheckNow { service, server: server.map(|name| name.parse().unwrap()) })
        };
        for (method, target, body, wanted) in [
            ("GET", "/v1/status", "", want(None, None)),
            ("GET", "/v1/status?part=daemon", "", want(None, Some(Part::Daemon))),
            (
                "GET",
                "/v1/status?service=TCP%20192.0.2.1:80&part=virtual_servers",
                "",
                want(Some("TCP 192.0.2.1:80"), Some(Part::VirtualServers)),
            ),
            ("GET", "/v1/config", "", Request::Config(Form::Yaml)),
            ("GET", "/v1/config?form=keepalived", "", Request::Config(Form::Keepalived)),
            ("GET", "/v1/plan", "", Request::Plan),
            ("GET", "/v1/openapi.json", "", Request::OpenApi),
            ("POST", "/v1/statistics/reset", "", Request::ResetStatistics { ipvs: false }),
            ("POST", "/v1/statistics/reset", "{\"ipvs\":true}", Request::ResetStatistics { ipvs: true }),
            ("POST", "/v1/real-servers/-/-/check", "", check(None, None)),
            ("POST", "/v1/real-servers/FWM%205/-/check", "{}", check(Some("FWM 5"), None)),
            ("POST", "/v1/real-servers/-/10.1.0.1/check", "", check(None, Some("10.1.0.1"))),
        ] {
            assert_eq!(route(method, target, body.as_bytes()), Ok(wanted), "{method} {target}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (method, target, body, status, says) in [
            ("POST", "/v1/status", "", 405, "means nothing for this path"),
            ("GET", "/v1/statistics/reset", "", 405, "means nothing for this path"),
            ("GET", "/v1/real-servers/-/-/check", "", 405, "means nothing for this path"),
            ("GET", "/v1/status?part=all", "", 400, "part=all"),
            ("GET", "/v1/status?service=TCP", "", 400, "TCP without address"),
            ("GET", "/v1/config?form=json", "", 400, "form=json"),
            ("GET", "/v1/plan?x", "", 400, "x="),
            ("POST", "/v1/statistics/reset", "{\"ipvs\":1}", 400, "not understood"),
            ("POST", "/v1/statistics/reset", "{\"all\":true}", 400, "unknown field"),
            ("POST", "/v1/statistics/reset", "[true]", 400, "no JSON object"),
            ("POST", "/v1/real-servers/-/10.1.0.1/weight", "[5]", 400, "no JSON object"),
            ("POST", "/v1/real-servers/-/nobody/check", "", 400, "is no real server"),
            ("POST", "/v1/real-servers/-/-/check", "{\"weight\":1}", 400, "unknown field"),
            ("POST", "/v1/real-servers/-/-/drain", "", 400, "is no real server"),
        ] {
            let failure = route(method, target, body.as_bytes()).expect_err(target);
            assert_eq!(failure.status, status, "{method} {target}: {}", failure.problem);
            assert!(failure.problem.contains(says), "{method} {target}: {}", failure.problem);
            assert!(!failure.cure.is_empty());
        }
    }
}
