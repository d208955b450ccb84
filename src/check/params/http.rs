//! HTTP_GET and SSL_GET.

use std::net::IpAddr;

use super::super::plan::{
    Authority, CheckerPlan, ClientCertificate, HeaderPlan, HeaderValue, HttpPlan, JsonPlan, Kind, RegexPlan,
    TlsPlan, UrlPlan,
};
use super::inherit::{Before, Inherit};
use crate::config::model::{CertificateRules, HttpGet, HttpProtocol, Ssl, StatusRange, Url};
use crate::config::text::expect;

impl Inherit<'_> {
    pub(super) fn http(&self, check: &HttpGet) -> CheckerPlan {
        self.page(check, None)
    }

    pub(super) fn ssl(&self, check: &HttpGet) -> CheckerPlan {
        let own = self.config.ssl.as_ref();
        self.page(check, Some(tls_plan(own, &check.server_certificate)))
    }

    fn page(&self, check: &HttpGet, tls: Option<TlsPlan>) -> CheckerPlan {
        let target = self.target(&check.connection, check.send_proxy);
        let virtualhost = check
            .virtualhost
            .as_ref()
            .or(self.real.virtualhost.as_ref())
            .or(self.server.virtualhost.as_ref());
        let urls: Vec<UrlPlan> = check.url.iter().map(|url| url_plan(check, url, virtualhost)).collect();
        let mut manner = self.manner(&check.pace, 1, Before::Secs(3));
        manner.rules.urls = urls.len();
        manner.rules.fast_recovery = check.fast_recovery;
        let kind = Kind::Http(Box::new(HttpPlan {
            target,
            tls: tls.map(|tls| self.pools.tls.keep(tls)),
            protocol: check.http_protocol.unwrap_or(HttpProtocol::V1_0),
            urls: self.pools.urls.keep(urls),
        }));
        CheckerPlan { kind, manner: self.pools.manners.keep(manner) }
    }
}

/// What we show, and what we ask for.
pub(super) fn tls_plan(own: Option<&Ssl>, rules: &CertificateRules) -> TlsPlan {
    TlsPlan {
        client: own.map_or_else(ClientCertificate::default, |ssl| ClientCertificate {
            ca: ssl.ca.clone(),
            certificate: ssl.certificate.clone(),
            key: ssl.key.clone(),
            password: ssl.password.clone(),
        }),
        verify: rules.tls_verify.as_ref().map(|file| match file.as_str() {
            "system" => Authority::System,
            file => Authority::File(file.to_owned()),
        }),
        expiry: rules.tls_expiry,
        expiry_warn: rules.tls_expiry_warn,
    }
}

/// The name that a certificate must have: the one that the file gives for it, that of the handshake, the virtual host;
/// else the target's address.
pub(super) fn certified(
    rules: &CertificateRules,
    named: Option<&String>,
    virtualhost: Option<&String>,
) -> Option<String> {
    let own = rules
        .tls_verify_name
        .as_ref()
        .or(named)
        .or(virtualhost)
        .map(|host| bare(host))
        .filter(|name| !name.is_empty());
    own.map(str::to_owned)
}

fn url_plan(check: &HttpGet, url: &Url, virtualhost: Option<&String>) -> UrlPlan {
    let slash = if url.path.starts_with('/') { "" } else { "/" };
    let status = if url.status_code.is_empty() {
        vec![StatusRange { from: 200, to: 299 }]
    } else {
        url.status_code.clone()
    };
    let virtualhost = url.virtualhost.as_ref().or(virtualhost);
    let (exact, patterns) = (url.expect_header.iter(), url.expect_header_regex.iter());
    let exact = exact.filter_map(|text| {
        let (name, value) = expect::header(text)?;
        let value = value.map_or(HeaderValue::Any, |value| HeaderValue::Is(value.to_owned()));
        Some(HeaderPlan { name: name.to_owned(), value })
    });
    let patterns = patterns.filter_map(|text| {
        let (name, value) = expect::header(text)?;
        Some(HeaderPlan { name: name.to_owned(), value: HeaderValue::Matches(RegexPlan::of(value?)) })
    });
    let json = url.expect_json.iter().filter_map(|json| {
        let path = expect::json_path(&json.path)?;
        Some(JsonPlan { name: json.path.clone(), path, value: json.value.clone() })
    });
    let own_name = url.sni_name.as_ref().or(check.sni_name.as_ref());
    let named = own_name.or(virtualhost.filter(|_| check.enable_sni));
    UrlPlan {
        path: format!("{slash}{}", url.path),
        host: virtualhost.cloned(),
        digest: url.digest.as_ref().map(|digest| digest.to_ascii_lowercase()),
        status,
        regex: url.regex.as_ref().map(|pattern| regex_plan(url, pattern)),
        server_name: named.and_then(|name| server_name(name)),
        certified: certified(&check.server_certificate, own_name, virtualhost),
        tls_compliant: url.tls_compliant || check.tls_compliant,
        headers: exact.chain(patterns).collect(),
        json: json.collect(),
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

/// A host without its port, an address without brackets.
fn bare(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host }
        }
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']')
}

/// A host as a server name (SNI, RFC 6066): without a port, and never an address.
pub(super) fn server_name(host: &str) -> Option<String> {
    let name = bare(host);
    (name.parse::<IpAddr>().is_err() && !name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{ExpectJson, RegexStack};

    #[test]
    fn server_names_are_hosts_without_ports_and_never_addresses() {
        for (host, wanted) in [
            ("www.example.org", Some("www.example.org")),
            ("www.example.org:443", Some("www.example.org")),
            ("10.0.0.1", None),
            ("10.0.0.1:443", None),
            ("fd00::1", None),
            ("[fd00::1]", None),
            ("", None),
            (":443", None),
        ] {
            assert_eq!(server_name(host).as_deref(), wanted, "{host}");
        }
    }

    #[test]
    fn the_nearest_name_counts() {
        let name = |check: &HttpGet, url: &Url, outer: Option<&str>| {
            let outer = outer.map(str::to_owned);
            url_plan(check, url, outer.as_ref()).server_name
        };
        let text = |text: &str| Some(text.to_owned());
        let (plain, sni) = (HttpGet::default(), HttpGet { enable_sni: true, ..HttpGet::default() });
        let named = HttpGet { sni_name: text("check"), ..HttpGet::default() };
        let bare = Url::new("/".to_owned());
        let hosted = Url { virtualhost: text("host"), ..bare.clone() };
        let own = Url { sni_name: text("url"), ..bare.clone() };
        assert_eq!(name(&plain, &hosted, Some("outer")), None);
        assert_eq!(name(&sni, &bare, None), None);
        assert_eq!(name(&sni, &bare, Some("outer")), text("outer"));
        assert_eq!(name(&sni, &hosted, Some("outer")), text("host"));
        assert_eq!(name(&named, &hosted, Some("outer")), text("check"));
        assert_eq!(name(&named, &own, Some("outer")), text("url"));
    }

    #[test]
    fn a_certificate_is_to_have_the_nearest_name() {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        for (own, named, virtualhost, wanted) in [
            ("own", "sni", "host", "own"),
            ("", "sni", "host", "sni"),
            ("", "", "host:443", "host"),
            ("", "", "192.0.2.1:443", "192.0.2.1"),
            ("", "", "[fd00::1]:443", "fd00::1"),
            ("", "", "fd00::1", "fd00::1"),
            ("", "", ":443", ""),
            // The address of the target, then.
            ("", "", "", ""),
        ] {
            let rules = CertificateRules { tls_verify_name: text(own), ..CertificateRules::default() };
            let got = certified(&rules, text(named).as_ref(), text(virtualhost).as_ref());
            assert_eq!(got, text(wanted), "{own} {named} {virtualhost}");
        }
    }

    #[test]
    fn what_a_page_is_to_have() {
        let url = Url {
            expect_header: vec!["A: b".to_owned(), "C".to_owned()],
            expect_header_regex: vec!["D: ^e".to_owned()],
            expect_json: vec![ExpectJson { path: "a.0".to_owned(), value: None }],
            ..Url::new("p".to_owned())
        };
        let plan = url_plan(&HttpGet::default(), &url, None);
        let header = |name: &str, value| HeaderPlan { name: name.to_owned(), value };
        let pattern = HeaderValue::Matches(RegexPlan::of("^e"));
        let wanted = [
            header("A", HeaderValue::Is("b".to_owned())),
            header("C", HeaderValue::Any),
            header("D", pattern),
        ];
        assert_eq!(plan.headers, wanted);
        assert_eq!(plan.json[0].path, ["a", "0"]);
        assert_eq!((plan.json[0].name.as_str(), &plan.json[0].value), ("a.0", &None));
    }

    #[test]
    fn patterns_come_with_their_limits() {
        let url = Url {
            regex: Some("a+".to_owned()),
            regex_no_match: true,
            regex_options: vec!["caseless".to_owned()],
            regex_min_offset: Some(3),
            regex_max_offset: Some(9),
            regex_stack: Some(RegexStack { start: 1, max: 2 }),
            ..Url::new("p".to_owned())
        };
        let plan = url_plan(&HttpGet::default(), &url, None);
        assert_eq!((plan.path.as_str(), plan.host), ("/p", None));
        let regex = plan.regex.unwrap();
        assert_eq!((regex.min, regex.max, regex.stack, regex.absent), (3, Some(9), Some((1, 2)), true));
        assert_eq!((regex.pattern.as_str(), regex.options), ("a+", vec!["caseless".to_owned()]));
    }
}
