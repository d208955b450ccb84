//! The checkers of a real server.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::Level;
use crate::config::keepalived::blocks::Blocks;
use crate::config::keepalived::form::{
    Address, Choice, Flag, FlagSwitch, LONGEST, Number, Seconds, Short, Switch, Text,
};
use crate::config::keepalived::forms::{Script, ScriptUserOf};
use crate::config::keepalived::keyword::{Block, Form, Inspection, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::marks::Mark;
use crate::config::model::{
    BfdCheck, Command, DnsCheck, DnsType, FileCheck, HttpGet, HttpProtocol, MiscCheck, PingCheck, SmtpCheck,
    SmtpHost, StatusRange, TcpCheck, UdpCheck, Url,
};

use super::pattern::{Options, Stack};
use super::tracker::Weight;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// A block without words on its own line, which may be empty.
macro_rules! plain_block {
    ($type:ty, $what:literal, $table:ident $(, $complete:item)?) => {
        impl Block for $type {
            const WHAT: &'static str = $what;
            origin!();

            fn table() -> Table<Self> {
                $table
            }

            fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
                Some(Self::default())
            }

            $($complete)?

            #[cfg(test)]
            fn blank(_: &mut Sampler) -> Self {
                Self::default()
            }
        }
    };
}

/// The words of a checker that connects, with those that all share.
macro_rules! connecting {
    ($type:ty: $($own:tt)*) => {
        keywords! { $type:
            $($own)*
            "connect_ip" => { connection.connect_ip: Address };
            "connect_port" => { connection.connect_port: Number(1, u16::MAX) };
            "bindto" => { connection.bindto: Address };
            "bind_if" => { connection.bind_if: Short(15) };
            "bind_port" => { connection.bind_port: Number(1, u16::MAX) };
            "fwmark" => { connection.fwmark: Number(0, u32::MAX) };
            "connect_timeout" => { connection.connect_timeout: Seconds(0.000_001, LONGEST) };
            "delay_loop" => { pace.delay_loop: Seconds(0.000_001, LONGEST) };
            "retry" => { pace.retry: Number(0, u32::MAX) };
            "delay_before_retry" => { pace.delay_before_retry: Seconds(0.0, LONGEST) };
            "fall" => { pace.fall: Number(1, 1000) };
            "rise" => { pace.rise: Number(1, 1000) };
            "fast_interval" => { pace.fast_interval: Seconds(0.001, LONGEST) };
            "timeout_retry" => { pace.timeout_retry: Number(0, 1000) };
            "share" => { pace.share: Switch };
            "warmup" => { pace.warmup: Seconds(0.0, LONGEST) };
            "alpha" => { pace.alpha: Switch };
            "log_all_failures" => { pace.log_all_failures: Switch };
        }
    };
}

const TCP: Table<TcpCheck> = connecting! { TcpCheck: };
plain_block!(TcpCheck, "TCP_CHECK", TCP);

const PING: Table<PingCheck> = connecting! { PingCheck: };
plain_block!(PingCheck, "PING_CHECK", PING);

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

const SMTP: Table<SmtpCheck> = connecting! { SmtpCheck:
    "helo_name" => { helo_name: Text };
    "host" => { host: Blocks::<SmtpHost>::all() };
};
plain_block!(SmtpCheck, "SMTP_CHECK", SMTP);

const HOST: Table<SmtpHost> = keywords! { SmtpHost:
    "connect_ip" => { connection.connect_ip: Address };
    "connect_port" => { connection.connect_port: Number(1, u16::MAX) };
    "bindto" => { connection.bindto: Address };
    "bind_if" => { connection.bind_if: Short(15) };
    "bind_port" => { connection.bind_port: Number(1, u16::MAX) };
    "fwmark" => { connection.fwmark: Number(0, u32::MAX) };
    "connect_timeout" => { connection.connect_timeout: Seconds(0.000_001, LONGEST) };
};
plain_block!(SmtpHost, "host", HOST);

const DNS: Table<DnsCheck> = connecting! { DnsCheck:
    "type" => { kind: Choice(&[
        ("A", DnsType::A), ("NS", DnsType::Ns), ("CNAME", DnsType::Cname), ("SOA", DnsType::Soa), ("MX", DnsType::Mx),
        ("TXT", DnsType::Txt), ("AAAA", DnsType::Aaaa), ("RRSIG", DnsType::Rrsig), ("DNSKEY", DnsType::Dnskey),
    ], "SOA is asked for") };
    "name" => { name: Text };
};
plain_block!(DnsCheck, "DNS_CHECK", DNS);

const UDP: Table<UdpCheck> = connecting! { UdpCheck:
    "payload" => { payload: Hex { bare: false } };
    "require_reply" => { require_reply: Hex { bare: true } };
    "min_reply_length" => { min_reply_length: Number(0, u16::MAX) };
    "max_reply_length" => { max_reply_length: Number(0, u16::MAX) };
};
plain_block!(UdpCheck, "UDP_CHECK", UDP);

/// Hexadecimal bytes in groups as one likes; what is none of them is found when all is read. `bare`: the word alone says
/// something, too.
struct Hex {
    bare: bool,
}

impl Form for Hex {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        let text = node.arguments().join(" ");
        if text.is_empty() && !self.bare {
            r.missing(node);
        } else {
            *slot = Some(text);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(text) = slot {
            let groups: Vec<String> = text.split_ascii_whitespace().map(|group| w.quote(group)).collect();
            w.line(word, &groups);
        }
    }

    fn says(&self) -> String {
        if self.bare { "[hexadecimal digits, X for any]" } else { "hexadecimal digits" }.to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let text = if s.flip() { "0aF 12 3" } else { "deadbeef" };
        *slot = Some(if self.bare && s.flip() { String::new() } else { text.to_owned() });
    }
}

const MISC: Table<MiscCheck> = keywords! { MiscCheck:
    "misc_path" => { misc_path: Script };
    "misc_timeout" => { misc_timeout: Seconds(0.000_001, LONGEST) };
    "misc_dynamic" => { misc_dynamic: Flag };
    "user" => { misc_path.user: ScriptUserOf };
    "delay_loop" => { pace.delay_loop: Seconds(0.000_001, LONGEST) };
    "retry" => { pace.retry: Number(0, u32::MAX) };
    "delay_before_retry" => { pace.delay_before_retry: Seconds(0.0, LONGEST) };
    "fall" => { pace.fall: Number(1, 1000) };
    "rise" => { pace.rise: Number(1, 1000) };
    "fast_interval" => { pace.fast_interval: Seconds(0.001, LONGEST) };
    "timeout_retry" => { pace.timeout_retry: Number(0, 1000) };
    "share" => { pace.share: Switch };
    "warmup" => { pace.warmup: Seconds(0.0, LONGEST) };
    "alpha" => { pace.alpha: Switch };
    "log_all_failures" => { pace.log_all_failures: Switch };
};

impl Block for MiscCheck {
    const WHAT: &'static str = "MISC_CHECK";
    origin!();

    fn table() -> Table<Self> {
        MISC
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::new(Command::default()))
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.misc_path.argv.is_empty();
        if !good {
            let consequence = "the check is dropped: the real server counts as up without it";
            let fix = "write misc_path \"/path/to/program\" into it";
            r.find(Level::Error, node, 0, "no-command", "MISC_CHECK has no misc_path", consequence, fix);
        }
        good
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(Command { argv: s.argv(), user: None })
    }
}

const FILE: Table<FileCheck> = keywords! { FileCheck:
    "track_file" => { * FileName };
    "weight" => { * Weight(254) };
    "alpha" => { pace.alpha: Switch };
};

impl Block for FileCheck {
    const WHAT: &'static str = "FILE_CHECK";
    origin!();

    fn table() -> Table<Self> {
        FILE
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::new(String::new()))
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.track_file.is_empty();
        if !good {
            let consequence = "the check is dropped: the real server counts as up without it";
            let problem = "FILE_CHECK has no track_file that is defined above";
            r.find(Level::Error, node, 0, "no-file", problem, consequence, "write track_file NAME into it");
        }
        good
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(s.files.first().cloned().unwrap_or_else(|| "never".to_owned()))
    }
}

/// The name of a file that is defined above.
struct FileName;

impl WholeForm<FileCheck> for FileName {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut FileCheck) {
        let Some(name) = r.text(node) else { return };
        if r.defined.contains(&("track_file", name.clone())) {
            object.track_file = name;
            return;
        }
        let problem = format!("no track_file \"{name}\" is defined above this line");
        let fix = format!("write track_file {name} {{ … }} before it");
        r.find(Level::Warning, node, 1, "unknown-tracker", problem, "the line is passed over", fix);
    }
    fn write(&self, word: &str, object: &FileCheck, w: &mut Writer) {
        let name = w.quote(&object.track_file);
        w.line(word, &[name]);
    }
    fn is_set(&self, object: &FileCheck) -> bool {
        !object.track_file.is_empty()
    }
    fn says(&self) -> String {
        "NAME".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut FileCheck) {}
}

const BFD: Table<BfdCheck> = keywords! { BfdCheck:
    "name" => { * SessionName };
    "alpha" => { alpha: Switch };
};

impl Block for BfdCheck {
    const WHAT: &'static str = "BFD_CHECK";
    origin!();

    fn table() -> Table<Self> {
        BFD
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::new(String::new()))
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.name.is_empty();
        if !good {
            let consequence = "the check is dropped: the real server counts as up without it";
            r.find(
                Level::Error,
                node,
                0,
                "no-name",
                "BFD_CHECK has no name",
                consequence,
                "write name BFD_INSTANCE into it",
            );
        }
        good
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(s.name())
    }
}

struct SessionName;

impl WholeForm<BfdCheck> for SessionName {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut BfdCheck) {
        if let Some(name) = r.text(node) {
            object.name = name;
        }
    }
    fn write(&self, word: &str, object: &BfdCheck, w: &mut Writer) {
        let name = w.quote(&object.name);
        w.line(word, &[name]);
    }
    fn is_set(&self, object: &BfdCheck) -> bool {
        !object.name.is_empty()
    }
    fn says(&self) -> String {
        "NAME".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut BfdCheck) {}
}
