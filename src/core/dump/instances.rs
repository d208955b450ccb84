//! Instances.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::model::{
    AuthType, Command, Config, Instance, Lifetime, Track, VirtualAddress, VrrpVersion,
};

use crate::observe::instance as shown;
use crate::vrrp::machine::StateName;
use crate::vrrp::params::Destination;
use crate::vrrp::priority::Value;
use crate::vrrp::status::{InstanceStatus, Status};

use super::{Seen, mails, quoted};

/// The blocks by their names.
pub(super) fn by_name(config: &Config) -> BTreeMap<&str, &Instance> {
    config.vrrp_instance.iter().map(|instance| (instance.name.as_str(), instance)).collect()
}

/// A state; one that has ended is as one that has not begun.
pub(super) const fn state(state: StateName) -> shown::State {
    match state {
        StateName::Init | StateName::Stopped => shown::State::Init,
        StateName::Backup => shown::State::Backup,
        StateName::Master => shown::State::Master,
        StateName::Fault => shown::State::Fault,
    }
}

/// One instance, from its block and from what its runner says.
pub(super) fn of(block: &Instance, one: &InstanceStatus, status: &Status, seen: &Seen) -> shown::Instance {
    let settings = &*one.settings;
    let global = &seen.config.global_defs;
    let since_1970 = |at: Instant| {
        let ahead = at.saturating_duration_since(status.at);
        (status.since_1970 + ahead).saturating_sub(status.at.saturating_duration_since(at))
    };
    let heard = one.last_advert.filter(|_| one.state == StateName::Backup);
    let garp = settings.garp;
    let text = |all: &[VirtualAddress]| all.iter().map(|address| address_text(address, block)).collect();
    shown::Instance {
        name: settings.name.clone(),
        version: if settings.version == VrrpVersion::V2 { 2 } else { 3 },
        group: settings.group.clone(),
        ipv6: settings.ipv6,
        state: state(one.state),
        wanted: match one.state {
            StateName::Backup if one.wants_master => shown::State::Master,
            StateName::Fault if settings.state_master => shown::State::Master,
            StateName::Fault => shown::State::Backup,
            other => state(other),
        },
        master: heard.map(|heard| shown::Master { address: heard.source, priority: heard.priority }),
        fault: one.fault.clone().or_else(|| one.socket_error.clone()),
        faults: one.trackers.iter().filter(|t| t.weight == 0 && t.value.up() == Some(t.reverse)).count(),
        pending: one.trackers.iter().filter(|t| t.value == Value::Unknown).count(),
        last_transition: one.last.as_ref().map(|last| last.since_1970),
        cause: one.last.as_ref().map(|last| last.sentence()),
        timer: one.timer.map(|(_, at)| since_1970(at)),
        down_interval: one.down_interval,
        vmac: block
            .use_vmac
            .as_ref()
            .map(|vmac| vmac.name.clone().unwrap_or_else(|| format!("vrrp.{}", settings.vrid))),
        interface: block.interface.clone(),
        source: one.own,
        source_configured: settings.source.is_some(),
        destination: destination(&settings.destination, &settings.interface, seen),
        garp: shown::Garp {
            delay: garp.master_delay.as_secs(),
            repeat: garp.master_repeat,
            refresh: garp.master_refresh.as_secs(),
            refresh_repeat: garp.master_refresh_repeat,
            lower_delay: garp.lower_prio_delay.as_secs(),
            lower_repeat: garp.lower_prio_repeat,
        },
        down_timer_adverts: settings.down_timer_adverts,
        lower_prio_no_advert: settings.lower_prio_no_advert,
        higher_prio_send_advert: settings.higher_prio_send_advert,
        vrid: settings.vrid,
        base_priority: settings.base_priority,
        priority: one.priority,
        interval: settings.advert_int,
        master_interval: one.master_interval,
        accept: block.accepts(global),
        preempt: settings.preempt,
        // Who never preempts delays nothing.
        preempt_delay: if settings.preempt { settings.preempt_delay } else { Duration::ZERO },
        promote_secondaries: block.promote_secondaries,
        strict: block.is_strict(global),
        dont_track_primary: block.dont_track_primary,
        skip_check_adv_addr: settings.skip_address_check,
        auth: match block.authentication.as_ref().map(|auth| auth.auth_type) {
            Some(AuthType::Pass) if settings.password.is_some() => shown::Auth::Pass,
            Some(AuthType::Ah) => shown::Auth::Ah,
            Some(AuthType::Pass) | None => shown::Auth::None,
        },
        vips: text(&block.virtual_ipaddress),
        evips: text(&block.virtual_ipaddress_excluded),
        vips_set: one.wants_addresses,
        routes: block.virtual_routes.iter().map(ToString::to_string).collect(),
        rules: block.virtual_rules.iter().map(ToString::to_string).collect(),
        track_interface: tracked(&block.track_interface, |_| 0),
        track_script: scripts(&block.track_script, &seen.config),
        track_file: tracked(&block.track_file, |name| super::watched::file_weight(&seen.config, name)),
        track_process: tracked(&block.track_process, |name| {
            super::watched::process_weight(&seen.config, name)
        }),
        track_bfd: tracked(&block.track_bfd, |name| super::watched::session_weight(&seen.config, name)),
        smtp_alert: mails(block.smtp_alert, &seen.config),
        notify_deleted: block.notify_deleted.is_some() || block.notify_deleted_fifo,
        notify_priority_changes: block
            .notify_priority_changes
            .or(global.vrrp_notify_priority_changes)
            .unwrap_or(false),
        notify: notify(block),
        counters: counters(block, one),
    }
}

fn destination(destination: &Destination, interface: &str, seen: &Seen) -> shown::Destination {
    match destination {
        Destination::Multicast(group) => shown::Destination::Multicast {
            group: *group,
            index: seen.links.get(interface).map(|link| link.index),
        },
        Destination::Unicast { peers, check_source, ttl } => shown::Destination::Unicast {
            ttl: *ttl,
            check_source: *check_source,
            peers: peers
                .iter()
                .map(|peer| (peer.address, peer.min_ttl.unwrap_or(0), peer.max_ttl.unwrap_or(255)))
                .collect(),
        },
    }
}

/// `10.0.0.1/24 dev eth0 scope global label eth0:1`: exporters read the first and the third word.
fn address_text(address: &VirtualAddress, block: &Instance) -> String {
    let prefix = address.address;
    let whole = match prefix.address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let mut text = prefix.address.to_string();
    if prefix.length != whole {
        text = prefix.to_string();
    }
    let dev = match (&address.dev, &block.use_vmac) {
        (Some(dev), _) => dev.clone(),
        (None, Some(vmac)) => {
            let name = vmac.name.clone().unwrap_or_else(|| format!("vrrp.{}", block.virtual_router_id));
            format!("{name}@{}", block.interface)
        }
        (None, None) => block.interface.clone(),
    };
    text += &format!(" dev {dev}");
    match address.scope {
        Some(scope) => text += &format!(" scope {scope}"),
        None => text += " scope global",
    }
    if let Some(label) = &address.label {
        text += &format!(" label {label}");
    }
    match address.preferred_lft {
        Some(Lifetime::Forever) => text += " preferred_lft forever",
        Some(lifetime) => text += &format!(" preferred_lft {lifetime}"),
        None if prefix.address.is_ipv6() && prefix.length == whole => text += " deprecated",
        None if prefix.address.is_ipv6() => text += " preferred_lft forever",
        None => {}
    }
    text
}

fn tracked(all: &[Track], weight: impl Fn(&str) -> i16) -> Vec<shown::Tracked> {
    all.iter()
        .map(|track| shown::Tracked {
            name: track.name.clone(),
            weight: track.weight.unwrap_or_else(|| weight(&track.name)),
            reverse: track.reverse == Some(true),
            command: String::new(),
        })
        .collect()
}

fn scripts(all: &[Track], config: &Config) -> Vec<shown::Tracked> {
    let block = |name: &str| config.vrrp_script.iter().find(|script| script.name == name);
    let mut tracked = tracked(all, |name| block(name).and_then(|script| script.weight).unwrap_or(0));
    for one in &mut tracked {
        one.command = block(&one.name).map(|script| quoted(&script.script)).unwrap_or_default();
    }
    tracked
}

fn notify(block: &Instance) -> Vec<shown::Notify> {
    let all: [(&str, &str, &Option<Command>); 7] = [
        ("Backup state transition", "script_backup", &block.notify_backup),
        ("Master state transition", "script_master", &block.notify_master),
        ("Fault state transition", "script_fault", &block.notify_fault),
        ("Stop state transition", "script_stop", &block.notify_stop),
        ("Deleted state transition", "script_deleted", &block.notify_deleted),
        ("Generic state transition", "script", &block.notify),
        ("Master rx lower priority", "script_master_rx_lower_pri", &block.notify_master_rx_lower_pri),
    ];
    all.into_iter()
        .filter_map(|(label, key, command)| {
            Some(shown::Notify { label, key, command: quoted(command.as_ref()?) })
        })
        .collect()
}

/// keepalived's counters from the names of our refusals. Those that keepalived has no line for are in `tandem`'s own status.
fn counters(block: &Instance, one: &InstanceStatus) -> shown::Counters {
    let refused = |names: &[&str]| names.iter().filter_map(|name| one.refused.get(name)).sum();
    let signed = block.auth_hmac.is_some();
    let counted = one.counters;
    let extension = ["missing", "malformed", "unknown_key", "invalid_hmac", "stale", "replay"]
        .map(|name| refused(&[format!("auth_{name}").as_str()]));
    let [missing, others @ ..] = extension;
    shown::Counters {
        received: counted.received,
        sent: counted.sent,
        became_master: counted.became_master,
        released_master: counted.released_master,
        length: refused(&["too_short", "length"]),
        ttl: refused(&["ttl", "peer_ttl"]),
        invalid_type: refused(&["type"]),
        interval: refused(&["interval"]),
        address_list: counted.address_lists,
        invalid_auth_type: 0,
        auth_type_mismatch: refused(&["auth_type"]) + if signed { 0 } else { missing },
        auth_failure: refused(&["password"]) + if signed { 0 } else { others.iter().sum() },
        zero_received: counted.zero_received,
        zero_sent: counted.zero_sent,
        extension: signed.then_some(extension),
    }
}
