//! Argument forms that only `global_defs` has.

use crate::config::diagnostic::Level;
use crate::config::keepalived::form::{LONGEST, Number, Seconds, Text};
use crate::config::keepalived::keyword::{Form, Inspection, WholeForm};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{FlushOnStop, Global, LvsTimeouts, Secret, SmtpServer, SyncDaemon};
use crate::config::units::Secs;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// A secret.
pub(super) struct SecretText;

impl Form for SecretText {
    type Slot = Option<Secret>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(text) = r.text(node) {
            *slot = Some(Secret(text));
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(secret) = slot {
            let text = w.quote(&secret.0);
            w.line(word, &[text]);
        }
    }

    fn says(&self) -> String {
        "SECRET".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(Secret(s.text()));
    }
}

/// `HOST [PORT]`.
pub(super) struct Relay;

impl Form for Relay {
    type Slot = Option<SmtpServer>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(host) = r.text(node) else { return };
        let name = |c: char| c.is_alphanumeric() || "-._:[]%".contains(c);
        if !host.contains(char::is_alphanumeric) || !host.chars().all(name) {
            r.bad(node, &host, "the name or address of a mail relay", "no mail is sent");
            return;
        }
        let mut port = None;
        if let Some(text) = r.argument(node, 1).map(str::to_owned) {
            port = text.parse().ok().filter(|port| *port > 0);
            if port.is_none() {
                r.bad_word(node, 2, &text, "a port from 1 to 65535", "port 25 is taken");
            }
        }
        *slot = Some(SmtpServer { host, port });
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(server) = slot {
            let mut words = vec![w.quote(&server.host)];
            words.extend(server.port.map(|port| port.to_string()));
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "HOST [PORT]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(SmtpServer { host: s.ip().to_string(), port: s.flip().then_some(2525) });
    }
}

/// Old spelling of `smtp_alert_checker off`.
pub(super) struct NoCheckerEmails;

impl WholeForm<Global> for NoCheckerEmails {
    fn read(&self, r: &mut Reader, node: &Node<'_>, global: &mut Global) {
        r.deprecated(node, "smtp_alert_checker off");
        global.smtp_alert_checker = Some(false);
    }
    fn write(&self, _: &str, _: &Global, _: &mut Writer) {}
    fn is_set(&self, _: &Global) -> bool {
        false
    }
    fn says(&self) -> String {
        String::new()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Global) {}
}

/// `dynamic_interfaces [allow_if_changes]`.
pub(super) struct Dynamic;

impl WholeForm<Global> for Dynamic {
    fn read(&self, r: &mut Reader, node: &Node<'_>, global: &mut Global) {
        global.dynamic_interfaces = true;
        if let Some(word) = r.argument(node, 0).map(str::to_owned) {
            if word == "allow_if_changes" {
                global.allow_if_changes = true;
            } else {
                r.bad(node, &word, "allow_if_changes", "it is passed over");
            }
        }
    }
    fn write(&self, word: &str, global: &Global, w: &mut Writer) {
        w.line(word, if global.allow_if_changes { &["allow_if_changes"] } else { &[] as &[&str] });
    }
    fn is_set(&self, global: &Global) -> bool {
        global.dynamic_interfaces || global.allow_if_changes
    }
    fn says(&self) -> String {
        "[allow_if_changes]".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, global: &mut Global) {
        global.dynamic_interfaces = true;
        global.allow_if_changes = s.flip();
    }
}

/// `include_check`: the reader of files acts on it; nothing is left of it in the model.
pub(super) struct IncludeCheck;

impl WholeForm<Global> for IncludeCheck {
    fn read(&self, r: &mut Reader, _: &Node<'_>, _: &mut Global) {
        r.used = usize::MAX;
    }
    fn write(&self, _: &str, _: &Global, _: &mut Writer) {}
    fn is_set(&self, _: &Global) -> bool {
        false
    }
    fn says(&self) -> String {
        "[[+|-]readable|match|wildcard_match|brace_match …]".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Global) {}
}

/// Octal, or names of bits joined by `|`.
pub(super) struct Umask;

const BITS: [(&str, u16); 12] = [
    ("IRUSR", 0o400),
    ("IWUSR", 0o200),
    ("IXUSR", 0o100),
    ("IRWXU", 0o700),
    ("IRGRP", 0o040),
    ("IWGRP", 0o020),
    ("IXGRP", 0o010),
    ("IRWXG", 0o070),
    ("IROTH", 0o004),
    ("IWOTH", 0o002),
    ("IXOTH", 0o001),
    ("IRWXO", 0o007),
];

impl Form for Umask {
    type Slot = Option<u16>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(first) = r.text(node) else { return };
        r.used = usize::MAX;
        let text = node.arguments().concat();
        let octal = u16::from_str_radix(&first, 8).ok().filter(|mask| *mask <= 0o777);
        let named = || {
            text.split('|')
                .map(|name| BITS.iter().find(|(bit, _)| *bit == name.trim()).map(|(_, n)| *n))
                .try_fold(0, |sum, bit| Some(sum | bit?))
        };
        match octal.or_else(named) {
            Some(mask) => *slot = Some(mask),
            None => r.bad(node, &first, &self.says(), "the line is passed over"),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(mask) = slot {
            w.line(word, &[format!("0{mask:o}")]);
        }
    }

    fn says(&self) -> String {
        "an octal mask (0177), or names such as IRWXG|IRWXO".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(mask) = slot.take_if(|mask| *mask > 0o777) {
            i.out_of_range(mask, "a number from 0 to 511 (octal 777)");
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = u16::try_from(s.below(512)).ok();
    }
}

/// `vrrp_garp_interval`: 0 stands in half of the copied samples; keepalived says an error and goes on without.
pub(super) struct Spacing;

impl Form for Spacing {
    type Slot = Option<Secs>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if r.argument(node, 0).is_some_and(|text| Secs::parse_decimal(text) == Some(Secs::from_secs(0))) {
            let problem = format!("{} 0 means nothing", node.key());
            let consequence = "announcements are not spaced, as without the line";
            r.find(Level::Warning, node, 1, "bad-value", problem, consequence, "remove the line");
            return;
        }
        Seconds(0.000_001, LONGEST).read(r, node, slot);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Seconds(0.000_001, LONGEST).write(word, slot, w);
    }

    fn says(&self) -> String {
        Seconds(0.000_001, LONGEST).says()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Seconds(0.000_001, LONGEST).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Seconds(0.000_001, LONGEST).sample(s, slot);
    }
}

/// `max_auto_priority [N]`: bare means the highest.
pub(super) struct AutoPriority;

impl Form for AutoPriority {
    type Slot = Option<i8>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if node.argument(0).is_none() {
            *slot = Some(99);
        } else {
            Number(-1, 99).read(r, node, slot);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Number(-1, 99).write(word, slot, w);
    }

    fn says(&self) -> String {
        "[a number from -1 to 99]".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Number(-1, 99).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Number(-1, 99).sample(s, slot);
    }
}

/// Four or five octets of a hardware address.
pub(super) struct Octets;

/// True for that many two-digit octets with colons between.
pub(super) fn is_octets(text: &str, counts: &[usize]) -> bool {
    counts.contains(&text.split(':').count())
        && text
            .split(':')
            .all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl Form for Octets {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        if is_octets(&text, &[4, 5]) {
            *slot = Some(text);
        } else {
            r.bad(node, &text, &self.says(), "the line is passed over");
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Text.write(word, slot, w);
    }

    fn says(&self) -> String {
        "four or five octets such as 00:00:5e:00".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(text) = slot.take_if(|text| !is_octets(text, &[4, 5])) {
            i.out_of_range(text, self.says());
        }
    }

    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some("02:00:5e:00".to_owned());
    }
}

/// `MTU`, `ADVERT` or bytes.
pub(super) struct BufferPolicy;

impl Form for BufferPolicy {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        *slot = Some(text);
        self.inspect_with(slot, |text| r.bad(node, &text, &self.says(), "the line is passed over"));
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Text.write(word, slot, w);
    }

    fn says(&self) -> String {
        "MTU, ADVERT or a number of bytes".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        self.inspect_with(slot, |text| i.out_of_range(text, self.says()));
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = s.pick(&["MTU", "ADVERT", "65536"]).map(str::to_owned);
    }
}

impl BufferPolicy {
    fn inspect_with(&self, slot: &mut Option<String>, say: impl FnOnce(String)) {
        let good = |text: &mut String| {
            matches!(text.as_str(), "MTU" | "ADVERT") || text.parse::<u32>().is_ok_and(|n| n > 0)
        };
        if let Some(text) = slot.take_if(|text| !good(text)) {
            say(text);
        }
    }
}

/// `[VS]`.
pub(super) struct Flush;

impl Form for Flush {
    type Slot = Option<FlushOnStop>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        match r.argument(node, 0).map(str::to_owned) {
            None => *slot = Some(FlushOnStop::All),
            Some(word) if word == "VS" => *slot = Some(FlushOnStop::Vs),
            Some(word) => r.bad(node, &word, "VS, or nothing", "the line is passed over"),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        match slot {
            Some(FlushOnStop::All) => w.line::<&str>(word, &[]),
            Some(FlushOnStop::Vs) => w.line(word, &["VS"]),
            None => {}
        }
    }

    fn says(&self) -> String {
        "[VS]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = s.pick(&[FlushOnStop::All, FlushOnStop::Vs]);
    }
}

/// `tcp N tcpfin N udp N`.
pub(super) struct Timeouts;

/// 31 days: what the kernel takes.
const LONGEST_TIMEOUT: u32 = 31 * 86_400;

impl Form for Timeouts {
    type Slot = Option<LvsTimeouts>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if node.argument(0).is_none() {
            r.missing(node);
            return;
        }
        r.used = usize::MAX;
        let timeouts = slot.get_or_insert_default();
        let words = node.arguments();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let field = match *word {
                "tcp" => &mut timeouts.tcp,
                "tcpfin" => &mut timeouts.tcpfin,
                "udp" => &mut timeouts.udp,
                other => {
                    let other = other.to_owned();
                    r.bad_word(node, at + 1, &other, "tcp N, tcpfin N, udp N", "it is passed over");
                    at += 1;
                    continue;
                }
            };
            let value = words.get(at + 1).copied().unwrap_or_default();
            match value.parse().ok().filter(|n| *n <= LONGEST_TIMEOUT) {
                Some(secs) => *field = Some(secs),
                None => {
                    let value = value.to_owned();
                    r.bad_word(node, at + 2, &value, "seconds from 0 to 2678400", "it is passed over");
                }
            }
            at += 2;
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        let Some(timeouts) = slot else { return };
        let words: Vec<String> = [("tcp", timeouts.tcp), ("tcpfin", timeouts.tcpfin), ("udp", timeouts.udp)]
            .into_iter()
            .filter_map(|(name, secs)| secs.map(|secs| format!("{name} {secs}")))
            .collect();
        if words.is_empty() {
            w.impossible.push(format!("{word} without any of tcp, tcpfin, udp"));
        }
        w.line(word, &words);
    }

    fn says(&self) -> String {
        "[tcp N] [tcpfin N] [udp N], seconds from 0 to 2678400".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(timeouts) = slot {
            for field in [&mut timeouts.tcp, &mut timeouts.tcpfin, &mut timeouts.udp] {
                if let Some(secs) = field.take_if(|secs| *secs > LONGEST_TIMEOUT) {
                    i.out_of_range(secs, "seconds from 0 to 2678400");
                }
            }
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let mut secs = || u32::try_from(s.below(2_678_401)).ok();
        *slot = Some(LvsTimeouts { tcp: secs(), tcpfin: secs(), udp: None });
    }
}

/// `IF [[inst] VRRP_INST] [id N] [maxlen N] [port N] [ttl N] [group MCAST]`, or `IF VRRP_INST [ID]`.
pub(super) struct Synchronised;

impl Form for Synchronised {
    type Slot = Option<SyncDaemon>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(interface) = r.text(node) else { return };
        r.used = usize::MAX;
        if slot.is_some() {
            let problem = "lvs_sync_daemon is written twice";
            r.find(
                Level::Warning,
                node,
                0,
                "repeated",
                problem,
                "the first one counts",
                "remove one of them",
            );
            return;
        }
        let mut daemon = SyncDaemon::on(interface);
        let words = node.arguments();
        let mut at = 1;
        while let Some(word) = words.get(at) {
            let value = words.get(at + 1).copied().unwrap_or_default();
            let wrong = match *word {
                "inst" => {
                    daemon.instance = Some(value.to_owned()).filter(|name| !name.is_empty());
                    daemon.instance.is_none().then_some("the name of an instance")
                }
                "id" => {
                    daemon.id = value.parse().ok();
                    daemon.id.is_none().then_some("id with a number from 0 to 255")
                }
                "maxlen" => {
                    daemon.maxlen = value.parse().ok().filter(|n| (1..=65_507).contains(n));
                    daemon.maxlen.is_none().then_some("maxlen with a number from 1 to 65507")
                }
                "port" => {
                    daemon.port = value.parse().ok().filter(|n| *n > 0);
                    daemon.port.is_none().then_some("port with a number from 1 to 65535")
                }
                "ttl" => {
                    daemon.ttl = value.parse().ok().filter(|n| *n > 0);
                    daemon.ttl.is_none().then_some("ttl with a number from 1 to 255")
                }
                "group" => {
                    daemon.group = value.parse().ok().filter(std::net::IpAddr::is_multicast);
                    daemon.group.is_none().then_some("group with a multicast address")
                }
                // The old form: the instance, then perhaps its number.
                name if at == 1 => {
                    daemon.instance = Some(name.to_owned());
                    at += 1;
                    continue;
                }
                number if at == 2 && number.parse::<u8>().is_ok() => {
                    daemon.id = number.parse().ok();
                    let problem = "the number of lvs_sync_daemon without a word is deprecated";
                    let fix = format!("write id {number}");
                    r.find(
                        Level::Warning,
                        node,
                        at + 1,
                        "deprecated",
                        problem,
                        "it is understood as before",
                        fix,
                    );
                    at += 1;
                    continue;
                }
                other => {
                    let other = other.to_owned();
                    r.bad_word(node, at + 1, &other, &self.says(), "it is passed over");
                    at += 1;
                    continue;
                }
            };
            if let Some(says) = wrong {
                let value = value.to_owned();
                r.bad_word(node, at + 2, &value, says, "it is passed over");
            }
            at += 2;
        }
        *slot = Some(daemon);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        let Some(daemon) = slot else { return };
        let mut words = vec![w.quote(&daemon.interface)];
        if let Some(instance) = &daemon.instance {
            words.extend(["inst".to_owned(), w.quote(instance)]);
        }
        let mut option =
            |name: &str, value: Option<String>| words.extend(value.map(|value| format!("{name} {value}")));
        option("id", daemon.id.map(|n| n.to_string()));
        option("maxlen", daemon.maxlen.map(|n| n.to_string()));
        option("port", daemon.port.map(|n| n.to_string()));
        option("ttl", daemon.ttl.map(|n| n.to_string()));
        option("group", daemon.group.map(|n| n.to_string()));
        w.line(word, &words);
    }

    fn says(&self) -> String {
        "INTERFACE [inst INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDRESS]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(SyncDaemon {
            interface: s.interface(),
            instance: s.flip().then(|| s.name()),
            id: s.flip().then_some(255),
            maxlen: s.flip().then_some(1472),
            port: s.flip().then_some(8848),
            ttl: s.flip().then_some(2),
            group: s.flip().then(|| std::net::IpAddr::from([224, 0, 0, 81])),
        });
    }
}
