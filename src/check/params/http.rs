//! HTTP_GET.

use std::net::SocketAddr;

use super::super::plan::{CheckerPlan, HttpPlan, Kind, UrlPlan};
use super::inherit::{Before, Inherit};
use crate::config::model::{HttpGet, HttpProtocol, StatusRange, Url};

impl Inherit<'_> {
    pub(super) fn http(&self, check: &HttpGet) -> CheckerPlan {
        let target = self.target(&check.connection);
        let virtualhost = check
            .virtualhost
            .as_ref()
            .or(self.real.virtualhost.as_ref())
            .or(self.server.virtualhost.as_ref());
        let urls: Vec<UrlPlan> =
            check.url.iter().map(|url| url_plan(url, virtualhost, target.address)).collect();
        let count = urls.len();
        let protocol = check.http_protocol.unwrap_or(HttpProtocol::V1_0);
        let kind = Kind::Http(HttpPlan { target, protocol, urls });
        let mut plan = self.checker(kind, &check.pace, 1, Before::Secs(3));
        plan.rules.urls = count;
        plan.rules.fast_recovery = check.fast_recovery;
        plan
    }
}

fn url_plan(url: &Url, virtualhost: Option<&String>, target: SocketAddr) -> UrlPlan {
    let slash = if url.path.starts_with('/') { "" } else { "/" };
    let status = if url.status_code.is_empty() {
        vec![StatusRange { from: 200, to: 299 }]
    } else {
        url.status_code.clone()
    };
    UrlPlan {
        path: format!("{slash}{}", url.path),
        host: url.virtualhost.as_ref().or(virtualhost).cloned().unwrap_or_else(|| target.to_string()),
        digest: url.digest.as_ref().map(|digest| digest.to_ascii_lowercase()),
        status,
    }
}
