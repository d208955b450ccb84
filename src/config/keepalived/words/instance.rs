//! `vrrp_instance`.

use crate::config::diagnostic::Level;
use crate::config::keepalived::form::{
    Address, Choice, Flag, LONGEST, Nothing, Number, Packets, Seconds, Short, Switch, Text,
};
use crate::config::keepalived::forms::{Cmd, ExtraIf, OneBlock, Tracked, Tracks};
use crate::config::keepalived::keyword::{Block, Form, Inspection, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{
    AntiReplay, AuthHmac, AuthType, Authentication, HmacKey, HmacMode, InitialState, Instance, Ipvlan, IpvlanMode,
    OldChecksum, Secret, UnicastPeer, Vmac,
};

use super::elements::{Addresses, Routes, Rules};
use super::global::{VERSION, is_octets};
use super::tracker::{named, named_block};

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

const INSTANCE: Table<Instance> = keywords! { Instance:
    "state" => { state: State };
    "interface" => { * Interface };
    later "vrf" => { vrf: Short(15) };
    "virtual_router_id" => { * Vrid };
    "priority" => { priority: Priority };
    "advert_int" => { advert_int: Seconds(0.01, 255.0) };
    "version" => { version: VERSION };
    "authentication" => { authentication: OneBlock::<Authentication>::of() };
    later "auth_hmac" => { auth_hmac: OneBlock::<AuthHmac>::of() };
    "virtual_ipaddress" => { virtual_ipaddress: Addresses { fixed: false } };
    "virtual_ipaddress_excluded" => { virtual_ipaddress_excluded: Addresses { fixed: false } };
    "no_virtual_ipaddress" => { no_virtual_ipaddress: Flag };
    later "promote_secondaries" => { promote_secondaries: Flag };
    later "virtual_routes" => { virtual_routes: Routes { fixed: false } };
    later "virtual_rules" => { virtual_rules: Rules { fixed: false } };
    "mcast_src_ip" => { mcast_src_ip: Address };
    "unicast_src_ip" => { unicast_src_ip: Address };
    later "mcast_dst_ip" => { mcast_dst_ip: Address };
    later "track_src_ip" => { track_src_ip: Flag };
    "unicast_peer" => { unicast_peer: Peers };
    later "unicast_fault_no_peer" => { unicast_fault_no_peer: Flag };
    later "unicast_ttl" => { unicast_ttl: Number(0, 255) };
    "check_unicast_src" => { check_unicast_src: Switch };
    later "old_unicast_checksum" => { old_unicast_checksum: OldSum };
    later "v3_checksum_as_v2" => { v3_checksum_as_v2: Switch };
    later "use_vmac" => { use_vmac: VmacWords };
    later "use_vmac_addr" => { use_vmac_addr: Flag };
    later "vmac_xmit_base" => { vmac_xmit_base: Flag };
    later "use_ipvlan" => { use_ipvlan: IpvlanWords };
    never "native_ipv6" => { * Ignored };
    "dont_track_primary" => { dont_track_primary: Flag };
    "track_script" => { track_script: Tracks(Tracked::Script, 253) };
    "track_interface" => { track_interface: Tracks(Tracked::Interface, 253) };
    later "track_file" => { track_file: Tracks(Tracked::File, 254) };
    later "track_process" => { track_process: Tracks(Tracked::Process, 254) };
    later "track_bfd" => { track_bfd: Tracks(Tracked::Bfd, 253) };
    "nopreempt" => { nopreempt: Flag };
    "preempt" => { * Preempt };
    "preempt_delay" => { preempt_delay: Seconds(0.0, 1000.0) };
    "garp_master_delay" => { garp_master_delay: Seconds(0.0, LONGEST) };
    "garp_master_repeat" => { garp_master_repeat: Packets };
    "garp_master_refresh" => { garp_master_refresh: Seconds(0.0, LONGEST) };
    "garp_master_refresh_repeat" => { garp_master_refresh_repeat: Packets };
    "garp_lower_prio_delay" => { garp_lower_prio_delay: Seconds(0.0, LONGEST) };
    "garp_lower_prio_repeat" => { garp_lower_prio_repeat: Number(0, u32::MAX) };
    later "garp_extra_if" | "vmac_garp_intvl" => { garp_extra_if: ExtraIf };
    "down_timer_adverts" => { down_timer_adverts: Number(1, 100) };
    later "timer_expired_backup" | "thread_timer_expired" => { timer_expired_backup: ExpiredBackup };
    later "lower_prio_no_advert" => { lower_prio_no_advert: Switch };
    later "higher_prio_send_advert" => { higher_prio_send_advert: Switch };
    later "owner_ignore_adverts" => { owner_ignore_adverts: Switch };
    "accept" => { * Accept(true) };
    later "no_accept" => { * Accept(false) };
    "skip_check_adv_addr" => { skip_check_adv_addr: Switch };
    later "strict_mode" => { strict_mode: Switch };
    never "debug" => { * Ignored };
    "notify_master" => { notify_master: Cmd };
    "notify_backup" => { notify_backup: Cmd };
    "notify_fault" => { notify_fault: Cmd };
    "notify_stop" => { notify_stop: Cmd };
    "notify_deleted" => { * Deleted };
    "notify_master_rx_lower_pri" => { notify_master_rx_lower_pri: Cmd };
    "notify" => { notify: Cmd };
    later "notify_priority_changes" => { notify_priority_changes: Switch };
    "smtp_alert" => { smtp_alert: Switch };
    later "kernel_rx_buf_size" => { kernel_rx_buf_size: Number(1, u32::MAX) };
    later "linkbeat_use_polling" => { linkbeat_use_polling: Flag };
    later "lvs_sync_daemon_interface" => { * OldSyncDaemon };
};

named_block!(Instance, "vrrp_instance", INSTANCE, |r, n, name| Self::new(name, 0), |s| {
    let mut instance = Self::new(s.name(), 1);
    instance.interface = s.interface();
    instance
}, fn complete(&mut self, r: &mut Reader, node: &Node) -> bool {
    let mut dropped = |what: &str, fix: &str| {
        let problem = format!("vrrp_instance {} has no {what}", self.name);
        r.find(Level::Error, node, 1, "incomplete-instance", problem, "the instance is dropped", fix);
    };
    let unicast = !self.unicast_peer.is_empty() || self.unicast_fault_no_peer;
    let placed = !self.interface.is_empty() || unicast;
    if self.virtual_router_id == 0 {
        dropped("virtual_router_id", "write virtual_router_id with a number from 1 to 255, the same on both directors");
    }
    if !placed {
        dropped("interface", "write interface with the name of the network interface of its adverts");
    }
    self.virtual_router_id != 0 && placed
});

/// `MASTER` or `BACKUP`; anything else is BACKUP.
struct State;

impl Form for State {
    type Slot = Option<InitialState>;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        *slot = Some(match text.as_str() {
            "MASTER" => InitialState::Master,
            "BACKUP" => InitialState::Backup,
            _ => {
                r.bad(node, &text, "MASTER or BACKUP, in capitals", "BACKUP is taken, as keepalived does");
                InitialState::Backup
            }
        });
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(state) = slot {
            w.line(word, &[if *state == InitialState::Master { "MASTER" } else { "BACKUP" }]);
        }
    }

    fn says(&self) -> String {
        "MASTER|BACKUP".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = s.pick(&[InitialState::Master, InitialState::Backup]);
    }
}

/// The interface, at most 15 characters.
struct Interface;

impl WholeForm<Instance> for Interface {
    fn read(&self, r: &mut Reader, node: &Node, object: &mut Instance) {
        let mut slot = None;
        Short(15).read(r, node, &mut slot);
        if let Some(name) = slot {
            object.interface = name;
        }
    }
    fn write(&self, word: &str, object: &Instance, w: &mut Writer) {
        let name = w.quote(&object.interface);
        w.line(word, &[name]);
    }
    fn is_set(&self, object: &Instance) -> bool {
        !object.interface.is_empty()
    }
    fn says(&self) -> String {
        "INTERFACE".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut Instance) {
        object.interface = s.interface();
    }
}

struct Vrid;

impl WholeForm<Instance> for Vrid {
    fn read(&self, r: &mut Reader, node: &Node, object: &mut Instance) {
        if let Some(vrid) = r.number(node, 1..=255) {
            object.virtual_router_id = vrid;
        }
    }
    fn write(&self, word: &str, object: &Instance, w: &mut Writer) {
        w.line(word, &[object.virtual_router_id.to_string()]);
    }
    fn is_set(&self, object: &Instance) -> bool {
        object.virtual_router_id != 0
    }
    fn says(&self) -> String {
        "a number from 1 to 255".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut Instance) {
        object.virtual_router_id = u8::try_from(s.number(1, 255)).unwrap_or(1);
    }
}

/// 1 to 255; anything else is 100.
struct Priority;

impl Form for Priority {
    type Slot = Option<u8>;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        *slot = text.parse().ok().filter(|priority| *priority > 0).or_else(|| {
            r.bad(node, &text, "a number from 1 to 254 (255: owner)", "100 is taken, as keepalived does");
            Some(100)
        });
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Number(1, 255).write(word, slot, w);
    }

    fn says(&self) -> String {
        "a number from 1 to 255".to_owned()
    }

    fn limits(&self) -> Option<(i64, i64)> {
        Some((1, 255))
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Number(1, 255).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Number(1, 255).sample(s, slot);
    }
}

/// Words without effect.
struct Ignored;

impl WholeForm<Instance> for Ignored {
    fn read(&self, r: &mut Reader, node: &Node, _: &mut Instance) {
        Nothing.read(r, node, &mut ());
    }
    fn write(&self, _: &str, _: &Instance, _: &mut Writer) {}
    fn is_set(&self, _: &Instance) -> bool {
        false
    }
    fn says(&self) -> String {
        String::new()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Instance) {}
}

/// `preempt`, the default: takes a `nopreempt` back.
struct Preempt;

impl WholeForm<Instance> for Preempt {
    fn read(&self, _: &mut Reader, _: &Node, object: &mut Instance) {
        object.nopreempt = false;
    }
    fn write(&self, _: &str, _: &Instance, _: &mut Writer) {}
    fn is_set(&self, _: &Instance) -> bool {
        false
    }
    fn says(&self) -> String {
        String::new()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Instance) {}
}

/// `accept` and `no_accept`.
struct Accept(bool);

impl WholeForm<Instance> for Accept {
    fn read(&self, _: &mut Reader, _: &Node, object: &mut Instance) {
        object.accept = Some(self.0);
    }
    fn write(&self, word: &str, _: &Instance, w: &mut Writer) {
        w.line::<&str>(word, &[]);
    }
    fn is_set(&self, object: &Instance) -> bool {
        object.accept == Some(self.0)
    }
    fn says(&self) -> String {
        String::new()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, object: &mut Instance) {
        object.accept = Some(self.0);
    }
}

/// `notify_deleted [CMD [USER [GROUP]]]`.
struct Deleted;

impl WholeForm<Instance> for Deleted {
    fn read(&self, r: &mut Reader, node: &Node, object: &mut Instance) {
        if node.argument(0).is_some() {
            Cmd.read(r, node, &mut object.notify_deleted);
        } else {
            object.notify_deleted_fifo = true;
        }
    }
    fn write(&self, word: &str, object: &Instance, w: &mut Writer) {
        if object.notify_deleted_fifo {
            w.line::<&str>(word, &[]);
        }
        Cmd.write(word, &object.notify_deleted, w);
    }
    fn is_set(&self, object: &Instance) -> bool {
        object.notify_deleted_fifo || object.notify_deleted.is_some()
    }
    fn says(&self) -> String {
        "[\"COMMAND\" [USER [GROUP]]]".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut Instance) {
        if s.flip() {
            object.notify_deleted_fifo = true;
        } else {
            Cmd.sample(s, &mut object.notify_deleted);
        }
    }
}

/// `lvs_sync_daemon_interface IF`, deprecated.
struct OldSyncDaemon;

impl WholeForm<Instance> for OldSyncDaemon {
    fn read(&self, r: &mut Reader, node: &Node, object: &mut Instance) {
        Text.read(r, node, &mut object.lvs_sync_daemon_interface);
        let problem = "lvs_sync_daemon_interface in an instance is deprecated";
        let fix = format!("write lvs_sync_daemon INTERFACE {} in global_defs", object.name);
        r.find(Level::Advice, node, 0, "deprecated", problem, "it is understood as before", fix);
    }
    fn write(&self, word: &str, object: &Instance, w: &mut Writer) {
        Text.write(word, &object.lvs_sync_daemon_interface, w);
    }
    fn is_set(&self, object: &Instance) -> bool {
        object.lvs_sync_daemon_interface.is_some()
    }
    fn says(&self) -> String {
        "INTERFACE".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut Instance) {
        object.lvs_sync_daemon_interface = Some(s.interface());
    }
}

/// `[never]`.
struct OldSum;

impl Form for OldSum {
    type Slot = Option<OldChecksum>;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
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
struct ExpiredBackup;

impl Form for ExpiredBackup {
    type Slot = Option<u8>;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
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
struct VmacWords;

impl Form for VmacWords {
    type Slot = Option<Vmac>;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
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
                        let problem = format!("use_vmac takes no {name}: it is the name of the interface to create");
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
struct IpvlanWords;

const MODES: [(&str, IpvlanMode); 3] =
    [("bridge", IpvlanMode::Bridge), ("private", IpvlanMode::Private), ("vepa", IpvlanMode::Vepa)];

impl Form for IpvlanWords {
    type Slot = Option<Ipvlan>;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
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
        words.extend(MODES.iter().find(|(_, mode)| Some(*mode) == ipvlan.mode).map(|(name, _)| (*name).to_owned()));
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
struct Peers;

impl Form for Peers {
    type Slot = Vec<UnicastPeer>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
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
        let peer = UnicastPeer { address: s.ip(), min_ttl: s.flip().then_some(1), max_ttl: s.flip().then_some(255) };
        slot.push(peer);
    }
}

const AUTHENTICATION: Table<Authentication> = keywords! { Authentication:
    "auth_type" => { * AuthKind };
    "auth_pass" => { * AuthPass };
};

impl Default for Authentication {
    fn default() -> Self {
        Self::new(AuthType::Pass, Secret::default())
    }
}

impl Block for Authentication {
    const WHAT: &'static str = "authentication";
    origin!();

    fn table() -> Table<Self> {
        AUTHENTICATION
    }

    fn open(_: &mut Reader, _: &Node) -> Option<Self> {
        Some(Self::default())
    }

    fn complete(&mut self, r: &mut Reader, node: &Node) -> bool {
        let what = match (self.origin.has("auth_type"), self.auth_pass.0.is_empty()) {
            (true, false) => return true,
            // A block that says nothing is nothing.
            (false, true) => return false,
            (false, false) => "auth_type",
            (true, true) => "auth_pass",
        };
        let problem = format!("the authentication block has no {what}");
        let fix = format!("write {what}, the same on both directors");
        r.find(Level::Warning, node, 0, "incomplete-auth", problem, "there is no authentication", fix);
        false
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(s.pick(&[AuthType::Pass, AuthType::Ah]).unwrap_or(AuthType::Pass), Secret(s.text()))
    }
}

struct AuthKind;

impl WholeForm<Authentication> for AuthKind {
    fn read(&self, r: &mut Reader, node: &Node, object: &mut Authentication) {
        let Some(text) = r.text(node) else { return };
        match text.as_str() {
            "PASS" => object.auth_type = AuthType::Pass,
            "AH" => object.auth_type = AuthType::Ah,
            _ => r.bad(node, &text, "PASS or AH, in capitals", "PASS is taken"),
        }
    }
    fn write(&self, word: &str, object: &Authentication, w: &mut Writer) {
        w.line(word, &[if object.auth_type == AuthType::Ah { "AH" } else { "PASS" }]);
    }
    fn is_set(&self, _: &Authentication) -> bool {
        true
    }
    fn says(&self) -> String {
        "PASS|AH".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Authentication) {}
}

struct AuthPass;

impl WholeForm<Authentication> for AuthPass {
    fn read(&self, r: &mut Reader, node: &Node, object: &mut Authentication) {
        let Some(text) = r.text(node) else { return };
        // The text itself is a secret: findings speak of its length only.
        if text.len() > 8 {
            let fix = "write at most 8 characters; the other director cuts in the same way";
            let problem = "the password is longer than 8 bytes";
            r.find(Level::Warning, node, 1, "long-password", problem, "the first 8 bytes are used", fix);
        }
        object.auth_pass = Secret(text);
    }
    fn write(&self, word: &str, object: &Authentication, w: &mut Writer) {
        let text = w.quote(&object.auth_pass.0);
        w.line(word, &[text]);
    }
    fn is_set(&self, object: &Authentication) -> bool {
        !object.auth_pass.0.is_empty()
    }
    fn says(&self) -> String {
        "PASSWORD of at most 8 characters".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Authentication) {}
}

const HMAC: Table<AuthHmac> = keywords! { AuthHmac:
    later "key" => { key: Keys };
    later "active_key" => { active_key: Number(1, 255) };
    later "anti_replay" => { anti_replay: Choice(
        &[("time", AntiReplay::Time), ("monotonic", AntiReplay::Monotonic)], "time is taken") };
    later "time_window" => { time_window: Number(1, 300) };
    later "mode" => { mode: Choice(&[
        ("enforce", HmacMode::Enforce), ("permissive", HmacMode::Permissive), ("receive-only", HmacMode::ReceiveOnly),
    ], "enforce is taken") };
};

impl Block for AuthHmac {
    const WHAT: &'static str = "auth_hmac";
    origin!();

    fn table() -> Table<Self> {
        HMAC
    }

    fn open(_: &mut Reader, _: &Node) -> Option<Self> {
        Some(Self::default())
    }

    #[cfg(test)]
    fn blank(_: &mut Sampler) -> Self {
        Self::default()
    }
}

/// `key ID SECRET`, one line each.
struct Keys;

impl Form for Keys {
    type Slot = Vec<HmacKey>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node, slot: &mut Self::Slot) {
        let Some(id) = r.number(node, 1..=255) else { return };
        let Some(secret) = r.argument(node, 1).map(str::to_owned) else {
            r.missing(node);
            return;
        };
        let bytes = match secret.strip_prefix("hex:") {
            Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()).then_some(hex.len() / 2),
            None if secret.starts_with("file:") => Some(32),
            None => Some(secret.len()),
        };
        if !bytes.is_some_and(|n| (32..=64).contains(&n)) {
            // Never the text itself.
            let problem = format!("key {id} is no secret of 32 to 64 bytes");
            let fix = "write hex: and 64 to 128 digits, 32 to 64 characters, or file:PATH";
            r.find(Level::Error, node, 2, "bad-key", problem, "the key is dropped", fix);
            return;
        }
        if slot.iter().any(|key| key.id == id) {
            let problem = format!("key {id} is there twice");
            let fix = "give it another number";
            r.find(Level::Warning, node, 1, "repeated", problem, "the first one counts", fix);
            return;
        }
        slot.push(HmacKey { id, secret: Secret(secret) });
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for key in slot {
            let secret = w.quote(&key.secret.0);
            w.line(word, &[key.id.to_string(), secret]);
        }
    }

    fn says(&self) -> String {
        "ID hex:…|TEXT|file:PATH".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let secret = if s.flip() { format!("hex:{}", "0a".repeat(32)) } else { "file:/etc/tandem/key".to_owned() };
        slot.push(HmacKey { id: 7, secret: Secret(secret) });
    }
}

