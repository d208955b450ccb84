//! `vrrp_strict` and `no_accept`: what goes with them, and that nobody reaches the addresses any more.

use std::net::IpAddr;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, Global, InitialState, Instance, VrrpVersion};

impl Resolver<'_> {
    /// What does not go with `vrrp_strict`, and what is done about it.
    pub(super) fn strict(&mut self, object: &str, instance: &Instance, global: &Global) {
        let origin = instance.origin.clone();
        let takes = |word: &str| format!("{object}: vrrp_strict does not allow {word}");
        let mut say = |at: &str, what: &str, consequence: &str| {
            let fix = "remove it, or remove vrrp_strict";
            self.find(Level::Warning, &origin, at, "strict", takes(what), consequence, fix);
        };
        if instance.authentication.is_some() {
            say("authentication", "authentication", "adverts carry none");
        }
        if !instance.unicast_peer.is_empty() {
            say("unicast_peer", "unicast peers", "they are used all the same");
        }
        if instance.down_timer_adverts.is_some_and(|n| n != 3) {
            say("down_timer_adverts", "down_timer_adverts other than 3", "3 is used");
        }
        if instance.higher_prio_send_advert == Some(true) {
            say("higher_prio_send_advert", "higher_prio_send_advert", "no such advert is sent");
        }
        if instance.no_virtual_ipaddress {
            say("no_virtual_ipaddress", "an instance without addresses", "it runs all the same");
        }
        if instance.vmac_xmit_base {
            say("vmac_xmit_base", "vmac_xmit_base", "adverts leave by the VMAC");
        }
        if instance.accept == Some(true) && !instance.accepts(global) {
            say("accept", "accept with version 2", "the addresses answer nobody");
        }
        let first = instance.virtual_ipaddress.first().map(|va| va.address.address);
        if let Some(IpAddr::V6(address)) = first
            && !address.is_unicast_link_local()
        {
            let what = "a first IPv6 address that is not link-local";
            say("virtual_ipaddress", what, "it runs all the same");
        }
        let master = instance.state == Some(InitialState::Master);
        if instance.state.is_some() && master != instance.is_owner() {
            let what =
                if master { "state MASTER below priority 255" } else { "state BACKUP with priority 255" };
            say("state", what, "the priority decides");
        }
    }

    /// Virtual addresses that answer nobody though no word says so: people copy `vrrp_strict` from a sample.
    pub(super) fn deaf(&mut self, config: &Config) {
        let global = &config.global_defs;
        for instance in &config.vrrp_instance {
            if instance.accepts(global) || instance.accept == Some(false) {
                continue;
            }
            let (why, fix) = why_deaf(instance, global);
            let origin = if why == "vrrp_strict" { &global.origin } else { &instance.origin };
            let problem = format!("vrrp_instance {}: {why} means no_accept", instance.name);
            let consequence = "its addresses answer nobody: no ping, no program of this director";
            self.find(Level::Advice, origin, why, "deaf-address", problem, consequence, fix);
        }
    }
}

/// The word that makes an instance's addresses answer nobody, and the cure.
pub(super) fn why_deaf(instance: &Instance, global: &Global) -> (&'static str, &'static str) {
    match (instance.accept, instance.strict_mode, instance.vrrp_version(global)) {
        (Some(false), ..) => ("no_accept", "remove no_accept"),
        (_, Some(true), VrrpVersion::V2) => ("strict_mode", "remove strict_mode, which nearly nobody needs"),
        (_, Some(true), VrrpVersion::V3) => {
            ("strict_mode", "write accept in the instance, or remove strict_mode")
        }
        (.., VrrpVersion::V2) => ("vrrp_strict", "remove vrrp_strict, which nearly nobody needs"),
        (.., VrrpVersion::V3) => ("vrrp_strict", "write accept in the instance, or remove vrrp_strict"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;
    use crate::config::resolve::Facts;

    fn codes(global: &str, instance: &str, server: &str) -> Vec<(&'static str, String)> {
        let text = format!(
            "global_defs {{\n router_id x\n {global}\n}}\nvrrp_instance V {{\n interface eth0\n virtual_router_id 5\n \
             {instance}\n virtual_ipaddress {{\n 10.0.0.9/24\n }}\n}}\n{server}"
        );
        let loaded = load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
        let about = |code: &str| ["deaf-address", "drops-traffic"].contains(&code);
        loaded
            .diagnostics
            .into_iter()
            .filter(|d| about(d.code))
            .map(|d| (d.code, d.problem + &d.fix))
            .collect()
    }

    #[test]
    fn addresses_that_answer_nobody_are_named_with_the_cure() {
        let server = "virtual_server 10.0.0.9 80 {\n protocol TCP\n lvs_method DR\n real_server 10.0.0.1 80 {\n }\n}\n";
        for (global, instance, server, wanted) in [
            ("", "", server, &[][..]),
            ("vrrp_strict", "", "", &[("deaf-address", "remove vrrp_strict")]),
            ("vrrp_strict", "version 3", "", &[("deaf-address", "write accept")]),
            ("vrrp_strict", "version 3\n accept", server, &[]),
            ("vrrp_strict", "strict_mode off", server, &[]),
            (
                "",
                "strict_mode on",
                server,
                &[("deaf-address", "strict_mode means"), ("drops-traffic", "strict_mode in")],
            ),
            (
                "vrrp_strict",
                "accept",
                server,
                &[("deaf-address", "remove"), ("drops-traffic", "remove vrrp_strict")],
            ),
            ("", "no_accept", "", &[]),
            ("", "no_accept", server, &[("drops-traffic", "remove no_accept")]),
            ("", "no_accept\n priority 255", server, &[]),
        ] {
            let mut said = codes(global, instance, server);
            said.sort();
            assert_eq!(said.len(), wanted.len(), "{global} {instance}: {said:?}");
            for ((code, text), (wanted, part)) in said.iter().zip(wanted) {
                assert!(*code == *wanted && text.contains(part), "{global} {instance}: {code} {text}");
            }
        }
    }
}
