//! HTTP_GET and SSL_GET.

use std::net::{IpAddr, SocketAddr};

use super::super::plan::{CheckerPlan, ClientCertificate, HttpPlan, Kind, RegexPlan, UrlPlan};
use super::inherit::{Before, Inherit};
use crate::config::model::{HttpGet, HttpProtocol, StatusRange, Url};

impl Inherit<'_> {
    pub(super) fn http(&self, check: &HttpGet) -> CheckerPlan {
        self.page(check, None)
    }

    pub(super) fn ssl(&self, check: &HttpGet) -> CheckerPlan {
        let own = self.config.ssl.as_ref();
        let client = own.map_or_else(ClientCertificate::default, |ssl| ClientCertificate {
            ca: ssl.ca.clone(),
            certificate: ssl.certificate.clone(),
            key: ssl.key.clone(),
            password: ssl.password.clone(),
        });
        self.page(check, Some(client))
    }

    fn page(&self, check: &HttpGet, tls: Option<ClientCertificate>) -> CheckerPlan {
        let target = self.target(&check.connection);
        let virtualhost = check
            .virtualhost
            .as_ref()
            .or(self.real.virtualhost.as_ref())
            .or(self.server.virtualhost.as_ref());
        let urls: Vec<UrlPlan> =
            check.url.iter().map(|url| url_plan(check, url, virtualhost, target.address)).collect();
        let count = urls.len();
        let protocol = check.http_protocol.unwrap_or(HttpProtocol::V1_0);
        let kind = Kind::Http(HttpPlan { target, tls, protocol, urls });
        let mut plan = self.checker(kind, &check.pace, 1, Before::Secs(3));
        plan.rules.urls = count;
        plan.rules.fast_recovery = check.fast_recovery;
        plan
    }
}

fn url_plan(check: &HttpGet, url: &Url, virtualhost: Option<&String>, target: SocketAddr) -> UrlPlan {
    let slash = if url.path.starts_with('/') { "" } else { "/" };
    let status = if url.status_code.is_empty() {
        vec![StatusRange { from: 200, to: 299 }]
    } else {
        url.status_code.clone()
    };
    let virtualhost = url.virtualhost.as_ref().or(virtualhost);
    let own_name = url.sni_name.as_ref().or(check.sni_name.as_ref());
    let named = own_name.or(virtualhost.filter(|_| check.enable_sni));
    UrlPlan {
        path: format!("{slash}{}", url.path),
        host: virtualhost.cloned().unwrap_or_else(|| target.to_string()),
        digest: url.digest.as_ref().map(|digest| digest.to_ascii_lowercase()),
        status,
        regex: url.regex.as_ref().map(|pattern| regex_plan(url, pattern)),
        server_name: named.and_then(|name| server_name(name)),
        tls_compliant: url.tls_compliant || check.tls_compliant,
    }
}

fn regex_plan(url: &Url, pattern: &str) -> RegexPlan {
    let size = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    RegexPlan {
        pattern: pattern.to_owned(),
        options: url.regex_options.clone(),
        absent: url.regex_no_match,
        min: url.regex_min_offset.map_or(0, size),
        max: url.regex_max_offset.map(size),
        stack: url.regex_stack.map(|stack| (size(stack.start), size(stack.max))),
    }
}

/// A host as a server name (SNI, RFC 6066): without a port, and never an address.
fn server_name(host: &str) -> Option<String> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    (address.is_err() && !name.is_empty()).then(|| name.to_owned())
}
