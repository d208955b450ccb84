//! `vrrp_instance`.

use super::tracked_service::TrackedServices;
use crate::config::diagnostic::Level;
use crate::config::keepalived::blocks::OneBlock;
use crate::config::keepalived::form::{
    Address, Flag, LONGEST, Nothing, Number, Packets, Seconds, Short, Switch, Text,
};
use crate::config::keepalived::forms::{Cmd, ExtraIf, Tracked, Tracks};
use crate::config::keepalived::keyword::{Block, Form, Inspection, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{AuthHmac, Authentication, InitialState, Instance};

use super::elements::{Addresses, Routes, Rules};
use super::global::VERSION;
use super::instance_forms::{ExpiredBackup, IpvlanWords, OldSum, Peers, VmacWords};
use super::tracker::{named, named_block};

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

const INSTANCE: Table<Instance> = keywords! { Instance:
    "state" => { state: State };
    "interface" => { * Interface };
    "vrf" => { vrf: Short(15) };
    "virtual_router_id" => { * Vrid };
    "priority" => { priority: Priority };
    "advert_int" => { advert_int: Seconds(0.01, 255.0) };
    "version" => { version: VERSION };
    "authentication" => { authentication: OneBlock::<Authentication>::of() };
    "auth_hmac" => { auth_hmac: OneBlock::<AuthHmac>::of() };
    "virtual_ipaddress" => { virtual_ipaddress: Addresses };
    "virtual_ipaddress_excluded" => { virtual_ipaddress_excluded: Addresses };
    "no_virtual_ipaddress" => { no_virtual_ipaddress: Flag };
    "promote_secondaries" => { promote_secondaries: Flag };
    "virtual_routes" => { virtual_routes: Routes };
    "virtual_rules" => { virtual_rules: Rules };
    "mcast_src_ip" => { mcast_src_ip: Address };
    "unicast_src_ip" => { unicast_src_ip: Address };
    "mcast_dst_ip" => { mcast_dst_ip: Address };
    "track_src_ip" => { track_src_ip: Flag };
    "unicast_peer" => { unicast_peer: Peers };
    "unicast_fault_no_peer" => { unicast_fault_no_peer: Flag };
    "unicast_ttl" => { unicast_ttl: Number(0, 255) };
    "check_unicast_src" => { check_unicast_src: Switch };
    "old_unicast_checksum" => { old_unicast_checksum: OldSum };
    "v3_checksum_as_v2" => { v3_checksum_as_v2: Switch };
    "use_vmac" => { use_vmac: VmacWords };
    "use_vmac_addr" => { use_vmac_addr: Flag };
    "vmac_xmit_base" => { vmac_xmit_base: Flag };
    "use_ipvlan" => { use_ipvlan: IpvlanWords };
    never "native_ipv6" => { * Ignored };
    "dont_track_primary" => { dont_track_primary: Flag };
    "track_script" => { track_script: Tracks(Tracked::Script, 253) };
    "track_interface" => { track_interface: Tracks(Tracked::Interface, 253) };
    "track_file" => { track_file: Tracks(Tracked::File, 254) };
    "track_process" => { track_process: Tracks(Tracked::Process, 254) };
    "track_bfd" => { track_bfd: Tracks(Tracked::Bfd, 253) };
    "track_virtual_server" => { track_virtual_server: TrackedServices };
    "nopreempt" => { nopreempt: Flag };
    "preempt" => { * Preempt };
    "preempt_delay" => { preempt_delay: Seconds(0.0, 1000.0) };
    "garp_master_delay" => { garp_master_delay: Seconds(0.0, LONGEST) };
    "garp_master_repeat" => { garp_master_repeat: Packets };
    "garp_master_refresh" => { garp_master_refresh: Seconds(0.0, LONGEST) };
    "garp_master_refresh_repeat" => { garp_master_refresh_repeat: Packets };
    "garp_lower_prio_delay" => { garp_lower_prio_delay: Seconds(0.0, LONGEST) };
    "garp_lower_prio_repeat" => { garp_lower_prio_repeat: Number(0, u32::MAX) };
    "garp_extra_if" ~ "vmac_garp_intvl" => { garp_extra_if: ExtraIf };
    "down_timer_adverts" => { down_timer_adverts: Number(1, 100) };
    "timer_expired_backup" | "thread_timer_expired" => { timer_expired_backup: ExpiredBackup };
    "lower_prio_no_advert" => { lower_prio_no_advert: Switch };
    "higher_prio_send_advert" => { higher_prio_send_advert: Switch };
    "owner_ignore_adverts" => { owner_ignore_adverts: Switch };
    "accept" => { * Accept(true) };
    "no_accept" => { * Accept(false) };
    "skip_check_adv_addr" => { skip_check_adv_addr: Switch };
    "strict_mode" => { strict_mode: Switch };
    never "debug" => { * Ignored };
    "notify_master" => { notify_master: Cmd };
    "notify_backup" => { notify_backup: Cmd };
    "notify_fault" => { notify_fault: Cmd };
    "notify_stop" => { notify_stop: Cmd };
    "notify_deleted" => { * Deleted };
    "notify_master_rx_lower_pri" => { notify_master_rx_lower_pri: Cmd };
    "notify" => { notify: Cmd };
    "notify_priority_changes" => { notify_priority_changes: Switch };
    "smtp_alert" => { smtp_alert: Switch };
    "kernel_rx_buf_size" => { kernel_rx_buf_size: Number(1, u32::MAX) };
    "linkbeat_use_polling" => { * OldLinkbeat };
    "lvs_sync_daemon_interface" => { * OldSyncDaemon };
};

named_block!(
    Instance,
    "vrrp_instance",
    INSTANCE,
    |r, n, name| Self::new(name, 0),
    |s| {
        let mut instance = Self::new(s.name(), 1);
        instance.interface = s.interface();
        instance
    },
    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let mut dropped = |what: &str, fix: &str| {
            let problem = format!("vrrp_instance {} has no {what}", self.name);
            r.find(Level::Error, node, 1, "incomplete-instance", problem, "the instance is dropped", fix);
        };
        let unicast = !self.unicast_peer.is_empty() || self.unicast_fault_no_peer;
        let placed = !self.interface.is_empty() || unicast;
        if self.virtual_router_id == 0 {
            dropped(
                "virtual_router_id",
                "write virtual_router_id with a number from 1 to 255, the same on both directors",
            );
        }
        if !placed {
            dropped("interface", "write interface with the name of the network interface of its adverts");
        }
        self.virtual_router_id != 0 && placed
    }
);

/// `MASTER` or `BACKUP`; anything else is BACKUP.
struct State;

impl Form for State {
    type Slot = Option<InitialState>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
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
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Instance) {
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
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Instance) {
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

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
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
    fn read(&self, r: &mut Reader, node: &Node<'_>, _: &mut Instance) {
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
    fn read(&self, _: &mut Reader, _: &Node<'_>, object: &mut Instance) {
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
    fn read(&self, _: &mut Reader, _: &Node<'_>, object: &mut Instance) {
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
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Instance) {
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

/// `linkbeat_use_polling` of one instance, deprecated.
struct OldLinkbeat;

impl WholeForm<Instance> for OldLinkbeat {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Instance) {
        Flag.read(r, node, &mut object.linkbeat_use_polling);
        let problem = "linkbeat_use_polling in an instance is deprecated";
        let fix = format!("write linkbeat_interfaces {{ {} }} outside", object.interface);
        r.find(Level::Advice, node, 0, "deprecated", problem, "it is understood as before", fix);
    }
    fn write(&self, word: &str, object: &Instance, w: &mut Writer) {
        Flag.write(word, &object.linkbeat_use_polling, w);
    }
    fn is_set(&self, object: &Instance) -> bool {
        object.linkbeat_use_polling
    }
    fn says(&self) -> String {
        Flag.says()
    }
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut Instance) {
        Flag.sample(s, &mut object.linkbeat_use_polling);
    }
}

/// `lvs_sync_daemon_interface IF`, deprecated.
struct OldSyncDaemon;

impl WholeForm<Instance> for OldSyncDaemon {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Instance) {
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
