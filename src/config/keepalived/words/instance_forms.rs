//! Argument forms of `vrrp_instance` that are made of several words.

use crate::config::diagnostic::Level;
use crate::config::keepalived::form::Number;
use crate::config::keepalived::keyword::{Form, Inspection};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{Ipvlan, IpvlanMode, OldChecksum, UnicastPeer, Vmac};

use super::global_forms::is_octets;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// `[never]`.
pub(super) struct OldSum;

impl Form for OldSum {
    type Slot = Option<OldChecksum>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        match r.argument(node, 0).map(str::to_owned) {
            None => *slot = Some(OldChecksum::Always),
            Some(word) if word == "never" => *slot = Some(OldChecksum::Never),
            Some(word) => r.bad(node, &word, "never, or nothing", "the line is passed over"),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        match slot {
            Some(OldChecksum::Always) => w.line::<&str>(word, &[]),
            Some(OldChecksum::Never) => w.line(word, &["never"]),
            None => {}
        }
    }

    fn says(&self) -> String {
        "[never]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = s.pick(&[OldChecksum::Always, OldChecksum::Never]);
    }
}

/// `[N]`: bare means 1... the adverts that a timer may be late.
pub(super) struct ExpiredBackup;

impl Form for ExpiredBackup {
    type Slot = Option<u8>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if node.argument(0).is_none() {
            *slot = Some(1);
        } else {
            Number(1, 254).read(r, node, slot);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Number(1, 254).write(word, slot, w);
    }

    fn says(&self) -> String {
        "[a number from 1 to 254]".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Number(1, 254).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Number(1, 254).sample(s, slot);
    }
}

/// `[[name] IF] [MAC] [netlink_notify_msg] [group G]`.
pub(super) struct VmacWords;

impl Form for VmacWords {
    type Slot = Option<Vmac>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        let mut vmac = Vmac::default();
        let mut words = node.arguments().into_iter().enumerate();
        while let Some((at, word)) = words.next() {
            match word {
                "netlink_notify_msg" => vmac.netlink_notify_msg = true,
                "name" => vmac.name = words.next().map(|(_, name)| name.to_owned()),
                "group" => vmac.group = words.next().map(|(_, group)| group.to_owned()),
                mac if is_octets(mac, &[5, 6]) => vmac.mac = Some(mac.to_owned()),
                name if vmac.name.is_none() && name.len() < 16 => {
                    vmac.name = Some(name.to_owned());
                    if matches!(name, "false" | "off" | "no" | "true" | "on" | "yes") {
                        let problem =
                            format!("use_vmac takes no {name}: it is the name of the interface to create");
                        let fix = "write use_vmac alone, or remove the line";
                        let consequence = format!("an interface named {name} is meant, as in keepalived");
                        r.find(Level::Warning, node, at + 1, "vmac-name", problem, consequence, fix);
                    }
                }
                other => r.bad_word(node, at + 1, other, &self.says(), "it is passed over"),
            }
        }
        *slot = Some(vmac);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        let Some(vmac) = slot else { return };
        let mut words = Vec::new();
        if let Some(name) = &vmac.name {
            words.extend(["name".to_owned(), w.quote(name)]);
        }
        words.extend(vmac.mac.clone());
        words.extend(vmac.netlink_notify_msg.then(|| "netlink_notify_msg".to_owned()));
        if let Some(group) = &vmac.group {
            words.extend(["group".to_owned(), w.quote(group)]);
        }
        w.line(word, &words);
    }

    fn says(&self) -> String {
        "[[name] INTERFACE] [MAC] [netlink_notify_msg] [group G]".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        let bad = |mac: &mut String| !is_octets(mac, &[5, 6]);
        if let Some(mac) = slot.as_mut().and_then(|vmac| vmac.mac.take_if(bad)) {
            i.out_of_range(mac, "five or six octets such as 00:00:5e:00:01:33");
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(Vmac {
            name: s.flip().then(|| s.interface()),
            mac: s.flip().then(|| "00:00:5e:00:01:33".to_owned()),
            netlink_notify_msg: s.flip(),
            group: s.flip().then(|| "7".to_owned()),
        });
    }
}

/// `[[name] IF] [IP] [bridge|private|vepa] [group G]`.
pub(super) struct IpvlanWords;

const MODES: [(&str, IpvlanMode); 3] =
    [("bridge", IpvlanMode::Bridge), ("private", IpvlanMode::Private), ("vepa", IpvlanMode::Vepa)];

impl Form for IpvlanWords {
    type Slot = Option<Ipvlan>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        let mut ipvlan = Ipvlan::default();
        let mut words = node.arguments().into_iter().enumerate();
        while let Some((at, word)) = words.next() {
            let mode = MODES.iter().find(|(name, _)| *name == word).map(|(_, mode)| *mode);
            let address = word.parse().ok();
            match word {
                "name" => ipvlan.name = words.next().map(|(_, name)| name.to_owned()),
                "group" => ipvlan.group = words.next().map(|(_, group)| group.to_owned()),
                _ if mode.is_some() => ipvlan.mode = mode,
                _ if address.is_some() => ipvlan.address = address,
                name if ipvlan.name.is_none() && name.len() < 16 => ipvlan.name = Some(name.to_owned()),
                other => r.bad_word(node, at + 1, other, &self.says(), "it is passed over"),
            }
        }
        *slot = Some(ipvlan);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        let Some(ipvlan) = slot else { return };
        let mut words = Vec::new();
        if let Some(name) = &ipvlan.name {
            words.extend(["name".to_owned(), w.quote(name)]);
        }
        words.extend(ipvlan.address.map(|address| address.to_string()));
        words.extend(
            MODES.iter().find(|(_, mode)| Some(*mode) == ipvlan.mode).map(|(name, _)| (*name).to_owned()),
        );
        if let Some(group) = &ipvlan.group {
            words.extend(["group".to_owned(), w.quote(group)]);
        }
        w.line(word, &words);
    }

    fn says(&self) -> String {
        "[[name] INTERFACE] [IP] [bridge|private|vepa] [group G]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(Ipvlan {
            name: s.flip().then(|| s.interface()),
            address: s.flip().then(|| crate::config::units::Prefix::host(s.ip())),
            mode: s.pick(&MODES).map(|(_, mode)| mode),
            group: s.flip().then(|| "7".to_owned()),
        });
    }
}

/// `IP [min_ttl N] [max_ttl N]`, one a line.
pub(super) struct Peers;

impl Form for Peers {
    type Slot = Vec<UnicastPeer>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        for child in node.children() {
            let Some(address) = r.address_text(&child, 0, child.key()) else { continue };
            if slot.iter().any(|p| p.address == address) {
                let problem = format!("the peer {address} is named twice");
                let consequence = "the second one is passed over";
                r.find(Level::Warning, &child, 0, "duplicate-peer", problem, consequence, "remove it");
                continue;
            }
            let mut peer = UnicastPeer { address, min_ttl: None, max_ttl: None };
            let words = child.arguments();
            for (pair, option) in words.chunks(2).enumerate() {
                let value = option.get(1).and_then(|v| v.parse().ok());
                match (option.first().copied(), value) {
                    (Some("min_ttl"), Some(ttl)) => peer.min_ttl = Some(ttl),
                    (Some("max_ttl"), Some(ttl)) => peer.max_ttl = Some(ttl),
                    _ => {
                        let problem = format!("\"{}\" is no option of a peer", option.join(" "));
                        let fix = "write min_ttl N or max_ttl N, with N from 0 to 255";
                        let at = pair * 2 + 1;
                        r.find(Level::Warning, &child, at, "bad-option", problem, "it is passed over", fix);
                    }
                }
            }
            slot.push(peer);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if slot.is_empty() {
            return;
        }
        w.open::<&str>(word, &[]);
        for peer in slot {
            let mut text = peer.address.to_string();
            if let Some(ttl) = peer.min_ttl {
                text += &format!(" min_ttl {ttl}");
            }
            if let Some(ttl) = peer.max_ttl {
                text += &format!(" max_ttl {ttl}");
            }
            w.element(&text);
        }
        w.close();
    }

    fn says(&self) -> String {
        "{ IP [min_ttl N] [max_ttl N] … }".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let peer =
            UnicastPeer { address: s.ip(), min_ttl: s.flip().then_some(1), max_ttl: s.flip().then_some(255) };
        slot.push(peer);
    }
}
