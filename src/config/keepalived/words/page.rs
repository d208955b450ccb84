//! HTTP_GET and SSL_GET, and their urls.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::Level;
use crate::config::keepalived::blocks::Blocks;
use crate::config::keepalived::form::{
    Address, Choice, Flag, FlagSwitch, LONGEST, Number, Seconds, Short, Switch, Text, TextOr,
};
use crate::config::keepalived::keyword::{Block, Form, Inspection, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::marks::Mark;
use crate::config::model::{HttpGet, HttpProtocol, StatusRange, Url};

use super::check::{SYSTEM, YEARS, connecting, plain_block};
use super::expect::{Headers, Json, Proxy};
use super::pattern::{Options, Stack};

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

const HTTP: Table<HttpGet> = connecting! { HttpGet:
    "url" => { url: Blocks::<Url>::all() };
    "virtualhost" => { virtualhost: Text };
    "http_protocol" => { http_protocol: Choice(&[
        ("1.0", HttpProtocol::V1_0), ("1.0C", HttpProtocol::V1_0Close), ("1.0c", HttpProtocol::V1_0Close),
        ("1.1", HttpProtocol::V1_1),
    ], "1.0 is used") };
    "fast_recovery" => { fast_recovery: FlagSwitch };
    "enable_sni" => { enable_sni: FlagSwitch };
    "sni_name" => { sni_name: Text };
    "tls_compliant" => { tls_compliant: FlagSwitch };
    "tls_verify" => { server_certificate.tls_verify: TextOr(SYSTEM) };
    "tls_verify_name" => { server_certificate.tls_verify_name: Text };
    "tls_expiry" => { server_certificate.tls_expiry: Number(0, YEARS) };
    "tls_expiry_warn" => { server_certificate.tls_expiry_warn: Number(1, YEARS) };
    "send_proxy" => { send_proxy: Proxy };
    "nb_get_retry" => { * OldRetry };
};

/// `nb_get_retry`: the old name of `retry`, here only.
struct OldRetry;

impl WholeForm<HttpGet> for OldRetry {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut HttpGet) {
        r.deprecated(node, "retry");
        Number(0, u32::MAX).read(r, node, &mut object.pace.retry);
    }
    fn write(&self, _: &str, _: &HttpGet, _: &mut Writer) {}
    fn is_set(&self, _: &HttpGet) -> bool {
        false
    }
    fn says(&self) -> String {
        Number(0, u32::MAX).says()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut HttpGet) {}
}

plain_block!(
    HttpGet,
    "HTTP_GET",
    HTTP,
    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.url.is_empty();
        if !good {
            let consequence = "the check is dropped: the real server counts as up without it";
            let problem = format!("{} has no url with a path", node.key());
            r.find(Level::Error, node, 0, "no-url", problem, consequence, "write url { path / } into it");
        }
        good
    }
);

/// HTTP_GET and SSL_GET share a type; one without a url is never sampled.
pub(super) struct Pages;

pub(super) const HTTP_GET: Pages = Pages;
pub(super) const SSL_GET: Pages = Pages;

impl Form for Pages {
    type Slot = Vec<HttpGet>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        Blocks::all().read(r, node, slot);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Blocks::all().write(word, slot, w);
    }

    fn says(&self) -> String {
        "{ … }".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Blocks::all().inspect(slot, i);
    }

    fn locate(&self, slot: &mut Self::Slot, mark: &Mark, file: &Arc<PathBuf>) {
        Blocks::all().locate(slot, mark, file);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Blocks::all().sample(s, slot);
        for check in slot {
            if check.url.is_empty() {
                check.url.push(Url::blank(s));
            }
        }
    }
}

const URL: Table<Url> = keywords! { Url:
    "path" => { * Path };
    "digest" => { digest: Digest };
    "status_code" => { status_code: Codes };
    "virtualhost" => { virtualhost: Text };
    "regex" => { regex: Text };
    "regex_no_match" => { regex_no_match: Flag };
    "regex_options" => { regex_options: Options };
    "regex_min_offset" => { regex_min_offset: Number(0, u32::MAX) };
    "regex_max_offset" => { regex_max_offset: Number(0, u32::MAX) };
    "regex_stack" => { regex_stack: Stack };
    "tls_compliant" => { tls_compliant: FlagSwitch };
    "sni_name" => { sni_name: Text };
    "expect_header" => { expect_header: Headers { pattern: false } };
    "expect_header_regex" => { expect_header_regex: Headers { pattern: true } };
    "expect_json" => { expect_json: Json };
};

impl Block for Url {
    const WHAT: &'static str = "url";
    origin!();

    fn table() -> Table<Self> {
        URL
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::new(String::new()))
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.path.is_empty();
        if !good {
            let fix = "write path / into it";
            r.find(Level::Error, node, 0, "no-path", "this url has no path", "the url is dropped", fix);
        }
        good
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(format!("/{}", s.text()))
    }
}

struct Path;

impl WholeForm<Url> for Path {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Url) {
        if let Some(text) = r.text(node) {
            object.path = text;
        }
    }
    fn write(&self, word: &str, object: &Url, w: &mut Writer) {
        let text = w.quote(&object.path);
        w.line(word, &[text]);
    }
    fn is_set(&self, object: &Url) -> bool {
        !object.path.is_empty()
    }
    fn says(&self) -> String {
        "PATH".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Url) {}
}

/// The 32 hexadecimal digits of an MD5 sum.
struct Digest;

fn is_digest(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Form for Digest {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        if is_digest(&text) {
            *slot = Some(text.to_ascii_lowercase());
        } else {
            r.bad(node, &text, "the 32 hexadecimal digits of an MD5 sum", "the digest is passed over");
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Text.write(word, slot, w);
    }

    fn says(&self) -> String {
        "32 hexadecimal digits".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(text) = slot.take_if(|text| !is_digest(text)) {
            i.out_of_range(text, "the 32 hexadecimal digits of an MD5 sum");
        }
    }

    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some("0123456789abcdef0123456789abcdef".to_owned());
    }
}

/// Codes and ranges.
struct Codes;

impl Form for Codes {
    type Slot = Vec<StatusRange>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        if node.argument(0).is_none() {
            r.missing(node);
        }
        for (index, word) in node.arguments().into_iter().enumerate() {
            match word.parse::<StatusRange>() {
                Ok(range) => slot.push(range),
                Err(problem) => {
                    r.find(Level::Warning, node, index + 1, "bad-value", problem, "it is passed over", "");
                }
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if !slot.is_empty() {
            let words: Vec<String> = slot.iter().map(ToString::to_string).collect();
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "CODE|FROM-TO …, from 100 to 599".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, slot: &mut Self::Slot) {
        slot.extend([StatusRange { from: 200, to: 200 }, StatusRange { from: 301, to: 399 }]);
    }
}
