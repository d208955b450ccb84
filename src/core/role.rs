//! What the roles of VRRP instances mean for IPVS: which connection synchronisation daemons run here. VRRP and the checks
//! never see each other; what one is to the other is translated in this file.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::model::{Config, Instance, SyncDaemon};
use crate::ipvs::settings::{Daemon, Daemons, Settings, Timeouts};
use crate::net::link::Links;
use crate::vrrp::machine::StateName;

/// What IPVS should hold beside its table, while the instances are in these states.
///
/// `lvs_sync_daemon` with an instance runs the sending daemon while that is MASTER, else the receiving one, as keepalived
/// does; without an instance both run always. Instances with `lvs_sync_daemon_interface` do the same each for itself: on
/// two directors that are master of one instance each, both daemons run on both.
pub fn ipvs_settings(config: &Config, state: impl Fn(&str) -> StateName) -> Settings {
    let global = &config.global_defs;
    let named = |value: Option<u32>| value.filter(|seconds| *seconds > 0);
    let timeouts = global.lvs_timeouts.as_ref().map_or_else(Timeouts::default, |written| Timeouts {
        tcp: named(written.tcp),
        tcp_fin: named(written.tcpfin),
        udp: named(written.udp),
    });
    Settings { timeouts, daemons: daemons(config, state) }
}

/// The addresses of virtual servers with `ha_suspend` that this host has, whoever put them there.
pub fn carried(config: &Config, links: &Links) -> BTreeSet<IpAddr> {
    let suspended = config.virtual_server.iter().filter(|server| server.ha_suspend);
    suspended
        .filter_map(|server| server.address)
        .filter(|address| links.values().any(|link| link.has(*address)))
        .collect()
}

fn daemons(config: &Config, state: impl Fn(&str) -> StateName) -> Option<Daemons> {
    let mut daemons = Daemons::default();
    if let Some(written) = &config.global_defs.lvs_sync_daemon {
        let instance = written.instance.as_ref();
        let named = instance.and_then(|name| config.vrrp_instance.iter().find(|i| i.name == *name));
        let daemon = daemon(written, named);
        match named {
            Some(instance) => place(&mut daemons, state(&instance.name), daemon),
            // An instance that is not there is never master.
            None if instance.is_some() => daemons.backup = Some(daemon),
            None => daemons = Daemons { master: Some(daemon.clone()), backup: Some(daemon) },
        }
        return Some(daemons);
    }
    let mut asked = false;
    for instance in &config.vrrp_instance {
        let Some(interface) = &instance.lvs_sync_daemon_interface else { continue };
        asked = true;
        let written = SyncDaemon::on(interface);
        // With this word keepalived leaves the id at 0.
        place(&mut daemons, state(&instance.name), daemon(&written, None));
    }
    asked.then_some(daemons)
}

/// Of several instances in one role the first one's daemon runs: the kernel has one of each.
fn place(daemons: &mut Daemons, state: StateName, daemon: Daemon) {
    let slot = match state {
        StateName::Master => &mut daemons.master,
        StateName::Backup | StateName::Fault | StateName::Init => &mut daemons.backup,
        StateName::Stopped => return,
    };
    slot.get_or_insert(daemon);
}

fn daemon(written: &SyncDaemon, instance: Option<&Instance>) -> Daemon {
    let of_instance = instance.map(|instance| instance.virtual_router_id);
    Daemon {
        interface: written.interface.clone(),
        id: written.id.or(of_instance).unwrap_or(0),
        max_length: written.maxlen,
        group: written.group.unwrap_or(Daemon::GROUP),
        port: written.port.unwrap_or(Daemon::PORT),
        ttl: written.ttl.unwrap_or(Daemon::TTL),
    }
}

/// What is told of instances after they are gone, without the virtual servers: two files of ten thousand of these need not
/// be kept.
pub fn instances_alone(config: &Config) -> Config {
    Config {
        global_defs: config.global_defs.clone(),
        vrrp_instance: config.vrrp_instance.clone(),
        vrrp_sync_group: config.vrrp_sync_group.clone(),
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Global, LvsTimeouts};

    fn instance(name: &str, vrid: u8, interface: Option<&str>) -> Instance {
        Instance {
            lvs_sync_daemon_interface: interface.map(str::to_owned),
            ..Instance::new(name.to_owned(), vrid)
        }
    }

    fn config(named: Option<&str>) -> Config {
        let sync = SyncDaemon { instance: named.map(str::to_owned), ..SyncDaemon::on("eth0") };
        let global = Global { lvs_sync_daemon: Some(sync), ..Global::default() };
        Config { global_defs: global, vrrp_instance: vec![instance("VI_1", 51, None)], ..Config::default() }
    }

    /// (sends, receives) by id.
    fn shown(config: &Config, states: &[(&str, StateName)]) -> (Option<u8>, Option<u8>) {
        let state = |name: &str| {
            states.iter().find(|(known, _)| *known == name).map_or(StateName::Init, |(_, state)| *state)
        };
        let daemons = ipvs_settings(config, state).daemons.unwrap();
        (daemons.master.map(|daemon| daemon.id), daemons.backup.map(|daemon| daemon.id))
    }

    #[test]
    fn the_role_follows_the_instance() {
        let config = config(Some("VI_1"));
        for (state, wanted) in [
            (StateName::Init, (None, Some(51))),
            (StateName::Master, (Some(51), None)),
            (StateName::Backup, (None, Some(51))),
            (StateName::Fault, (None, Some(51))),
            (StateName::Stopped, (None, None)),
        ] {
            assert_eq!(shown(&config, &[("VI_1", state)]), wanted, "{state:?}");
        }
    }

    #[test]
    fn without_an_instance_both_run() {
        assert_eq!(shown(&config(None), &[]), (Some(0), Some(0)));
        assert_eq!(shown(&config(Some("gone")), &[]), (None, Some(0)));
    }

    #[test]
    fn two_masters_of_one_instance_each_send_and_receive() {
        let config = Config {
            vrrp_instance: vec![instance("A", 1, Some("eth0")), instance("B", 2, Some("eth0"))],
            ..Config::default()
        };
        let (master, backup) = (StateName::Master, StateName::Backup);
        assert_eq!(shown(&config, &[("A", master), ("B", backup)]), (Some(0), Some(0)));
        assert_eq!(shown(&config, &[("A", master), ("B", master)]), (Some(0), None));
        assert_eq!(shown(&config, &[("A", backup), ("B", backup)]), (None, Some(0)));
    }

    #[test]
    fn nothing_is_asked_for_by_default() {
        assert!(ipvs_settings(&Config::default(), |_| StateName::Init).is_empty());
        let written = LvsTimeouts { tcp: Some(0), tcpfin: None, udp: Some(7) };
        let global = Global { lvs_timeouts: Some(written), ..Global::default() };
        let config = Config { global_defs: global, ..Config::default() };
        let settings = ipvs_settings(&config, |_| StateName::Init);
        assert_eq!(settings.timeouts, Timeouts { udp: Some(7), ..Timeouts::default() });
        assert_eq!(settings.daemons, None);
    }
}
