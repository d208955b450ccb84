//! Which parts of a configuration run: keepalived's `-P`, `-C` and `-B`. Pure.

use crate::config::model::Config;

/// The parts; by default all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Instances with all that they track, static addresses, routes and rules.
    pub vrrp: bool,
    /// Virtual servers.
    pub check: bool,
    /// BFD sessions.
    pub bfd: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self { vrrp: true, check: true, bfd: true }
    }
}

impl Parts {
    /// Takes out of a configuration what does not run. Without BFD nobody tracks a session either: one that is not there
    /// would count as down; nor a virtual server without checks, whose quorum nobody would ever know.
    pub fn strip(self, config: &mut Config) {
        if !self.vrrp {
            config.vrrp_instance.clear();
            config.vrrp_sync_group.clear();
            config.vrrp_script.clear();
            config.vrrp_track_process.clear();
            config.track_group.clear();
            config.static_ipaddress.clear();
            config.static_routes.clear();
            config.static_rules.clear();
            config.garp_group.clear();
            // It follows the roles of instances, which another daemon of this file may run.
            config.global_defs.lvs_sync_daemon = None;
            if !self.check {
                config.track_file.clear();
            }
        }
        if !self.check {
            config.virtual_server.clear();
            config.virtual_server_group.clear();
            config.real_server_override.clear();
            // What others have in the table may be what the daemon of the virtual servers has there.
            config.global_defs.lvs_flush = false;
            config.global_defs.lvs_flush_on_stop = None;
            config.vrrp_instance.iter_mut().for_each(|instance| instance.track_virtual_server.clear());
            config.vrrp_sync_group.iter_mut().for_each(|group| group.track_virtual_server.clear());
        }
        if !self.bfd {
            config.bfd_instance.clear();
            config.vrrp_instance.iter_mut().for_each(|instance| instance.track_bfd.clear());
            config.vrrp_sync_group.iter_mut().for_each(|group| group.track_bfd.clear());
            let reals = config.virtual_server.iter_mut().flat_map(|server| &mut server.real_server);
            reals.for_each(|real| real.bfd_check.clear());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::Facts;

    const ALL: &str = "global_defs {\n lvs_flush\n lvs_flush_on_stop\n lvs_sync_daemon eth0 inst A\n}\nbfd_instance b { neighbor_ip 10.0.0.9 }\nvrrp_script s { script /bin/true }\n\
        vrrp_instance A {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress { 10.0.0.1 }\n track_bfd { b }\n\
        track_virtual_server 10.0.0.1 80 TCP\n}\n\
        static_ipaddress { 10.0.0.3 dev eth0 }\n\
        virtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 10.0.0.2 80 { BFD_CHECK { name b } }\n}\n";

    fn only(parts: Parts) -> Config {
        let path = std::path::Path::new("x.conf");
        let mut config = crate::config::load_text(path, ALL.as_bytes(), &Facts::default()).config;
        assert_eq!(
            (config.vrrp_instance.len(), config.virtual_server.len(), config.bfd_instance.len()),
            (1, 1, 1)
        );
        parts.strip(&mut config);
        config
    }

    #[test]
    fn what_does_not_run_is_not_there() {
        let all = only(Parts::default());
        assert_eq!(
            (all.vrrp_instance.len(), all.static_ipaddress.len(), all.virtual_server.len()),
            (1, 1, 1)
        );
        let vrrp = only(Parts { check: false, ..Parts::default() });
        assert_eq!((vrrp.vrrp_instance.len(), vrrp.virtual_server.len(), vrrp.bfd_instance.len()), (1, 0, 1));
        assert!(vrrp.vrrp_instance[0].track_virtual_server.is_empty(), "nobody would ever know its quorum");
        assert_eq!(all.vrrp_instance[0].track_virtual_server[0].name, "TCP 10.0.0.1:80");
        let check = only(Parts { vrrp: false, ..Parts::default() });
        assert_eq!((check.vrrp_instance.len(), check.virtual_server.len()), (0, 1));
        assert!(check.static_ipaddress.is_empty() && check.vrrp_script.is_empty());
        // Two daemons of one file, and one kernel: each leaves to the other what is the other's.
        let (both, instances, servers) = (&all.global_defs, &vrrp.global_defs, &check.global_defs);
        assert!(both.lvs_flush && both.lvs_flush_on_stop.is_some() && both.lvs_sync_daemon.is_some());
        assert!(!instances.lvs_flush && instances.lvs_flush_on_stop.is_none());
        assert!(instances.lvs_sync_daemon.is_some() && servers.lvs_sync_daemon.is_none());
        assert!(servers.lvs_flush && servers.lvs_flush_on_stop.is_some());
        let no_bfd = only(Parts { bfd: false, ..Parts::default() });
        assert!(no_bfd.bfd_instance.is_empty());
        assert!(
            no_bfd.vrrp_instance[0].track_bfd.is_empty(),
            "an instance must not wait for what never comes"
        );
        assert!(no_bfd.virtual_server[0].real_server[0].bfd_check.is_empty());
    }
}
