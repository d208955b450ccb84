//! `virtual_server_group`.

use std::net::IpAddr;

use crate::config::diagnostic::Level;
use crate::config::keepalived::keyword::{Block, Form, Table, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{GroupEntry, IpFamily, VirtualServerGroup};

use super::server::port_text;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// Groups have no keywords: each line is an entry. The table is for the walks over the model.
const GROUP: Table<VirtualServerGroup> = keywords! { VirtualServerGroup:
    "entries" => { entries: Entries };
};

impl Block for VirtualServerGroup {
    const WHAT: &'static str = "virtual_server_group";
    origin!();

    fn table() -> Table<Self> {
        GROUP
    }

    fn open(r: &mut Reader, node: &Node<'_>) -> Option<Self> {
        let mut group = Self::new(r.text(node)?);
        for child in node.children() {
            group.entries.extend(entry(r, &child));
        }
        Some(group)
    }

    fn words_are_elements() -> bool {
        true
    }

    fn header(&self, w: &mut Writer) -> Vec<String> {
        vec![w.quote(&self.name)]
    }

    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        let mut group = Self::new(s.name());
        Entries.sample(s, &mut group.entries);
        group
    }
}

/// The lines of a group, written as they stand.
struct Entries;

impl Form for Entries {
    type Slot = Vec<GroupEntry>;

    fn read(&self, _: &mut Reader, _: &Node<'_>, _: &mut Self::Slot) {}

    fn write(&self, _: &str, slot: &Self::Slot, w: &mut Writer) {
        for entry in slot {
            let mut text = match (entry.address, entry.to, entry.length, entry.fwmark) {
                (_, _, _, Some(mark)) => {
                    let family = match entry.family {
                        Some(IpFamily::Inet) => " inet",
                        Some(IpFamily::Inet6) => " inet6",
                        None => "",
                    };
                    format!("fwmark {mark}{family}")
                }
                (Some(address), Some(to), ..) => format!("{address}-{to}"),
                (Some(address), None, Some(length), None) => format!("{address}/{length}"),
                (Some(address), None, None, None) => address.to_string(),
                (None, ..) => {
                    w.impossible.push("an entry of a group without address and fwmark".to_owned());
                    continue;
                }
            };
            if let Some(port) = entry.port {
                text += &format!(" {port}");
            }
            w.element(&text);
        }
    }

    fn says(&self) -> String {
        "IP[-END|/LENGTH] [PORT], or fwmark N [inet|inet6], one a line".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let blank =
            GroupEntry { address: None, to: None, length: None, port: None, fwmark: None, family: None };
        slot.push(GroupEntry { address: Some(s.ip()), port: s.flip().then_some(80), ..blank });
        slot.push(GroupEntry { fwmark: Some(3), family: Some(IpFamily::Inet6), ..blank });
        slot.push(GroupEntry {
            address: Some(IpAddr::from([10, 0, 0, 1])),
            to: Some(IpAddr::from([10, 0, 0, 9])),
            ..blank
        });
        slot.push(GroupEntry {
            address: Some(IpAddr::from([10, 1, 0, 0])),
            length: Some(24),
            port: Some(53),
            ..blank
        });
    }
}

/// One line of a group.
fn entry(r: &mut Reader, node: &Node<'_>) -> Option<GroupEntry> {
    let text = node.key();
    let mut entry =
        GroupEntry { address: None, to: None, length: None, port: None, fwmark: None, family: None };
    let dropped = "the entry is dropped";
    if text == "fwmark" {
        entry.fwmark = node.argument(0).and_then(|mark| mark.parse().ok()).filter(|mark| *mark > 0);
        entry.family = match node.argument(1) {
            Some("inet") => Some(IpFamily::Inet),
            Some("inet6") => Some(IpFamily::Inet6),
            _ => None,
        };
        if node.argument(0).is_none() {
            r.missing(node);
            return None;
        }
        if entry.fwmark.is_none() {
            let fix = "write fwmark N, with a number from 1 to 4294967295";
            r.find(Level::Error, node, 1, "bad-value", "this is no firewall mark", dropped, fix);
            return None;
        }
        return Some(entry);
    }
    let good = if let Some((from, length)) = text.split_once('/') {
        entry.address = from.parse().ok();
        let most = if entry.address.is_some_and(|a| a.is_ipv6()) { 128 } else { 32 };
        entry.length = length.parse().ok().filter(|n| *n <= most);
        entry.length.is_some()
    } else if let Some((from, to)) = text.split_once('-') {
        entry.address = from.parse().ok();
        entry.to = entry.address.and_then(|from| range_end(from, to));
        entry.to.is_some()
    } else {
        entry.address = text.parse().ok();
        true
    };
    if entry.address.is_none() || !good {
        let problem = format!("\"{text}\" is no address, range or subnet");
        let fix = "write IP, IP-END or IP/LENGTH, then the port";
        r.find(Level::Error, node, 0, "bad-address", problem, dropped, fix);
        return None;
    }
    if let Some(text) = node.argument(0) {
        entry.port = port_text(r, node, 1, text)?;
    }
    Some(entry)
}

/// End of a range: a whole address, or what replaces the last part of the first one.
fn range_end(from: IpAddr, to: &str) -> Option<IpAddr> {
    let end: IpAddr = match (to.parse().ok(), from) {
        (Some(end), _) => end,
        (None, IpAddr::V4(first)) => {
            let [a, b, c, _] = first.octets();
            IpAddr::from([a, b, c, to.parse().ok()?])
        }
        (None, IpAddr::V6(first)) => {
            let mut parts = first.segments();
            *parts.last_mut()? = u16::from_str_radix(to, 16).ok()?;
            IpAddr::from(parts)
        }
    };
    (end.is_ipv4() == from.is_ipv4() && end >= from).then_some(end)
}
