//! What those ask for who only look: the metrics, the page, the events as they happen.

use super::{Failure, Request};

/// In which form the metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsForm {
    /// OpenMetrics 1.0.
    #[default]
    OpenMetrics,
    /// The older text format of Prometheus, 0.0.4.
    Prometheus,
}

impl MetricsForm {
    /// What the answer is called.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Which one the words of an `Accept` header like better. Who does not care, or wants something else altogether, gets
    /// OpenMetrics.
    pub fn accepted(words: &str) -> Self {
        let quality = |wanted: &str| {
            let liked = words.split(',').filter_map(|one| {
                let mut parts = one.split(';').map(str::trim);
                let name = parts.next()?;
                let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
                name.eq_ignore_ascii_case(wanted).then_some(q.unwrap_or(0.0))
            });
            liked.fold(0.0, f32::max)
        };
        if quality("text/plain") > quality("application/openmetrics-text") {
            Self::Prometheus
        } else {
            Self::OpenMetrics
        }
    }
}

/// How much the metrics tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The daemon, VRRP, the checks by their kinds.
    Daemon,
    /// And the virtual servers.
    VirtualServers,
    /// And the real servers.
    #[default]
    RealServers,
}

/// A request of this kind; `None` = it is none.
///
/// # Errors
/// 400 for a query that means nothing, 405 for another method than GET.
pub(super) fn route(method: &str, path: &str, query: &str) -> Option<Result<Request, Failure>> {
    let read: fn(&str) -> Result<Request, Failure> = match path {
        "/" => page,
        "/metrics" => metrics,
        "/v1/events" => events,
        _ => return None,
    };
    Some(super::allow(method, "GET").and_then(|()| read(query)))
}

fn page(query: &str) -> Result<Request, Failure> {
    if query.is_empty() { Ok(Request::Page) } else { Err(meaningless(query, "nothing behind the path")) }
}

fn metrics(query: &str) -> Result<Request, Failure> {
    let detail = match query {
        "" | "detail=real-servers" => Detail::RealServers,
        "detail=virtual-servers" => Detail::VirtualServers,
        "detail=daemon" => Detail::Daemon,
        other => {
            return Err(meaningless(other, "detail=daemon, detail=virtual-servers or detail=real-servers"));
        }
    };
    Ok(Request::Metrics { form: MetricsForm::default(), detail })
}

fn events(query: &str) -> Result<Request, Failure> {
    let after = match query {
        "" => None,
        query => match query.strip_prefix("since=").and_then(|number| number.parse().ok()) {
            Some(number) => Some(number),
            None => {
                return Err(meaningless(query, "since=NUMBER, the number of the last event that is known"));
            }
        },
    };
    Ok(Request::Events { after })
}

fn meaningless(query: &str, cure: &str) -> Failure {
    let query: String = query.chars().take(80).collect();
    Failure::new(400, "query", format!("the query {query:?} means nothing"), format!("write {cure}"))
}

impl Request {
    /// The same with what its headers say besides.
    #[must_use]
    pub fn with_headers(self, accept: Option<&str>, last_event: Option<&str>) -> Self {
        match self {
            Self::Metrics { detail, .. } => Self::Metrics {
                form: accept.map_or_else(MetricsForm::default, MetricsForm::accepted),
                detail,
            },
            // A client that comes again knows better than the address that it began with.
            Self::Events { after } => {
                Self::Events { after: last_event.and_then(|number| number.trim().parse().ok()).or(after) }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::route;
    use super::*;

    #[test]
    fn what_is_understood() {
        for (target, wanted) in [
            ("/", Request::Page),
            ("/metrics", Request::Metrics { form: MetricsForm::OpenMetrics, detail: Detail::RealServers }),
            (
                "/metrics?detail=daemon",
                Request::Metrics { form: MetricsForm::OpenMetrics, detail: Detail::Daemon },
            ),
            (
                "/metrics?detail=virtual-servers",
                Request::Metrics { form: MetricsForm::OpenMetrics, detail: Detail::VirtualServers },
            ),
            ("/v1/events", Request::Events { after: None }),
            ("/v1/events?since=17", Request::Events { after: Some(17) }),
        ] {
            assert_eq!(route("GET", target, b""), Ok(wanted), "{target}");
            assert_eq!(route("POST", target, b"").map_err(|failure| failure.status), Err(405), "{target}");
        }
        for target in
            ["/?x", "/metrics?detail=all", "/metrics?x=1", "/v1/events?since=x", "/v1/events?after=1"]
        {
            assert_eq!(route("GET", target, b"").map_err(|failure| failure.status), Err(400), "{target}");
        }
    }

    #[test]
    fn forms_by_taste() {
        for (accept, wanted) in [
            ("", MetricsForm::OpenMetrics),
            ("*/*", MetricsForm::OpenMetrics),
            ("text/html,application/xhtml+xml,*/*;q=0.8", MetricsForm::OpenMetrics),
            ("text/plain", MetricsForm::Prometheus),
            ("TEXT/PLAIN; version=0.0.4", MetricsForm::Prometheus),
            // What Prometheus 2 and 3 say.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                MetricsForm::OpenMetrics,
            ),
            ("application/openmetrics-text;q=0.2,text/plain;q=0.9", MetricsForm::Prometheus),
            ("text/plain;q=rubbish", MetricsForm::OpenMetrics),
        ] {
            assert_eq!(MetricsForm::accepted(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn who_comes_again_goes_on_where_he_was() {
        let request = Request::Events { after: Some(3) };
        assert_eq!(request.clone().with_headers(None, Some(" 9 ")), Request::Events { after: Some(9) });
        assert_eq!(request.clone().with_headers(None, Some("x")), Request::Events { after: Some(3) });
        assert_eq!(request.clone().with_headers(None, None), request);
    }
}
