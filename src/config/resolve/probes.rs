//! Patterns of checks that are none, and words of checks that cannot do what they seem to.

use std::collections::BTreeMap;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{CertificateRules, Origin, Url, VirtualServer};
use crate::config::text::expect;
use crate::pattern;

/// What compiling a pattern with its options gave: a farm's servers often have the same ones.
type Known = BTreeMap<(String, Vec<String>), Option<String>>;

impl Resolver<'_> {
    /// Takes out patterns that PCRE2 does not compile: what they would decide is decided by the rest of the url.
    pub(super) fn probes(&mut self, server: &mut VirtualServer, name: &str) {
        let mut known = Known::new();
        for real in &mut server.real_server {
            let who = format!("{name}: real server {}", real.address);
            let real = real.settings_mut();
            for (check, is_tls) in
                real.http_get.iter_mut().map(|c| (c, false)).chain(real.ssl_get.iter_mut().map(|c| (c, true)))
            {
                for url in &mut check.url {
                    self.patterns(url, &who, &mut known);
                }
                if !is_tls {
                    let fix = "write SSL_GET, or remove it";
                    self.useless(&check.server_certificate, &check.origin, &who, "HTTP_GET", fix);
                }
                self.nameless(&check.server_certificate, &check.origin, &who);
            }
            for check in &real.grpc_check {
                if !check.tls {
                    let fix = "write tls, or remove it";
                    self.useless(
                        &check.server_certificate,
                        &check.origin,
                        &who,
                        "GRPC_CHECK without tls",
                        fix,
                    );
                }
                self.nameless(&check.server_certificate, &check.origin, &who);
            }
        }
    }

    fn patterns(&mut self, url: &mut Url, who: &str, known: &mut Known) {
        let origin = url.origin.clone();
        let mut problem = |pattern: &str, options: &[String]| {
            let key = (pattern.to_owned(), options.to_vec());
            known
                .entry(key)
                .or_insert_with(|| pattern::verify(pattern, options).err().map(|error| error.to_string()))
                .clone()
        };
        let mut wrong = Vec::new();
        if let Some(text) = &url.regex
            && let Some(error) = problem(text, &url.regex_options)
        {
            wrong.push(("regex", format!("regex {text:?} is no pattern, {error}")));
            url.regex = None;
        }
        url.expect_header_regex.retain(|text| {
            let Some((header, Some(pattern))) = expect::header(text) else { return true };
            let Some(error) = problem(pattern, &[]) else { return true };
            let what = format!("the pattern {pattern:?} of header {header} is none, {error}");
            wrong.push(("expect_header_regex", what));
            false
        });
        for (word, what) in wrong {
            let problem = format!("{who}: url {}: {what}", url.path);
            let consequence = "the line is passed over: the rest of the url alone decides";
            let fix =
                "mend the pattern: what is special to PCRE2 and meant as it stands needs a \\ before it";
            self.find(Level::Error, &origin, word, "bad-pattern", problem, consequence, fix);
        }
    }

    /// Words about a certificate where there is none.
    fn useless(&mut self, rules: &CertificateRules, origin: &Origin, who: &str, what: &str, fix: &str) {
        let words = [
            ("tls_verify", rules.tls_verify.is_some()),
            ("tls_verify_name", rules.tls_verify_name.is_some()),
            ("tls_expiry", rules.tls_expiry.is_some()),
            ("tls_expiry_warn", rules.tls_expiry_warn.is_some()),
        ];
        if let Some((word, _)) = words.into_iter().find(|(_, is_set)| *is_set) {
            let problem = format!("{who}: {word} in {what}");
            let consequence = "there is no certificate to look at: it does nothing";
            self.find(Level::Warning, origin, word, "no-effect", problem, consequence, fix);
        }
    }

    fn nameless(&mut self, rules: &CertificateRules, origin: &Origin, who: &str) {
        if rules.tls_verify_name.is_some() && rules.tls_verify.is_none() {
            let problem = format!("{who}: tls_verify_name without tls_verify");
            let consequence = "no certificate is verified: it does nothing";
            let fix = "write tls_verify, or remove it";
            self.find(Level::Warning, origin, "tls_verify_name", "no-effect", problem, consequence, fix);
        }
    }
}
