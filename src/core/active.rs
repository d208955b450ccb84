//! `active_on INSTANCE`: services that are whole only while that instance is MASTER here.
//!
//! A director that is a real server of its own services gets, while it is BACKUP, what the master forwards to it. With the
//! whole table it would balance those packets once more, and send some of them back: they circle between the two until
//! their TTL ends. So while the instance is not MASTER here a service has only the real servers that are this machine:
//! what the master sends is taken in, and nothing can be sent on. Connections that run to this machine keep their entry in
//! the kernel's table, which is why the service is not simply taken away. Without a real server here it is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::check::members;
use crate::config::model::Config;
use crate::ipvs::table::{ServiceKey, Table};
use crate::net::link::Links;

/// The services that follow an instance, with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Active(BTreeMap<ServiceKey, String>);

impl Active {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        let mut services = BTreeMap::new();
        for server in &config.virtual_server {
            let Some(instance) = &server.active_on else { continue };
            let Some((_, members)) = members::of(server, &config.virtual_server_group) else { continue };
            services.extend(members.into_iter().map(|member| (member.key, instance.clone())));
        }
        Self(services)
    }

    /// True when no service follows an instance.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The instance that a service follows.
    pub fn instance(&self, service: &ServiceKey) -> Option<&str> {
        self.0.get(service).map(String::as_str)
    }

    /// The table as it should be now. `here`: this machine's addresses.
    pub fn table(
        &self,
        whole: &Table,
        is_master: impl Fn(&str) -> bool,
        here: impl Fn(IpAddr) -> bool,
    ) -> Table {
        let mut table = whole.clone();
        let names: BTreeSet<&str> = self.0.values().map(String::as_str).collect();
        let quiet: BTreeSet<&str> = names.into_iter().filter(|name| !is_master(name)).collect();
        for (key, instance) in &self.0 {
            if !quiet.contains(instance.as_str()) {
                continue;
            }
            let Some(service) = table.get_mut(key) else { continue };
            service.destinations.retain(|server, _| server.address.is_loopback() || here(server.address));
            if service.destinations.is_empty() {
                table.remove(key);
            }
        }
        table
    }
}

/// Is this one of the machine's addresses?
pub fn is_here(links: &Links, address: IpAddr) -> bool {
    links.values().any(|link| link.has(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::VirtualServer;
    use crate::ipvs::diff::diff;
    use crate::ipvs::strategies::{small_key, table};
    use crate::ipvs::table::{Destination, DestinationKey, Forward, Protocol, Service, VirtualService};
    use proptest::prelude::*;

    const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn key(last: u8) -> ServiceKey {
        ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, last].into(), port: 80 }
    }

    fn served_by(addresses: &[IpAddr]) -> VirtualService {
        let settings =
            Destination { forward: Forward::DirectRoute, weight: 1, upper_threshold: 0, lower_threshold: 0 };
        let destinations = addresses.iter().map(|&a| (DestinationKey { address: a, port: 80 }, settings));
        VirtualService { service: Service::plain("rr"), destinations: destinations.collect() }
    }

    fn follows(last: u8, instance: Option<&str>) -> VirtualServer {
        VirtualServer {
            address: Some([10, 0, 0, last].into()),
            port: Some(80),
            protocol: Some(crate::config::model::Protocol::Tcp),
            active_on: instance.map(str::to_owned),
            ..VirtualServer::default()
        }
    }

    #[test]
    fn a_backup_serves_what_is_here_and_sends_nothing_on() {
        let servers = vec![
            follows(100, Some("A")),
            follows(101, Some("B")),
            follows(102, None),
            follows(103, Some("B")),
        ];
        let active = Active::of(&Config {
            virtual_server: servers.into_iter().map(Into::into).collect(),
            ..Config::default()
        });
        let whole: Table = [
            (key(100), served_by(&[OWN, PEER])),
            (key(101), served_by(&[OWN, PEER])),
            (key(102), served_by(&[OWN, PEER])),
            (key(103), served_by(&[PEER])),
        ]
        .into();
        let now = |master: &'static str| active.table(&whole, |name| name == master, |a| a == OWN);
        assert_eq!(
            now("A"),
            [
                (key(100), served_by(&[OWN, PEER])),
                (key(101), served_by(&[OWN])),
                (key(102), served_by(&[OWN, PEER])),
            ]
            .into()
        );
        assert_eq!(now("B")[&key(100)], served_by(&[OWN]));
        assert_eq!(now("B")[&key(103)], served_by(&[PEER]));
        assert_eq!(active.table(&whole, |_| true, |_| false), whole);
    }

    #[test]
    fn nothing_follows_without_the_word() {
        let config = Config { virtual_server: vec![follows(100, None).into()], ..Config::default() };
        assert!(Active::of(&config).is_empty());
    }

    proptest! {
        /// No packet that reaches a backup leaves it again, what follows nobody is untouched, and becoming master and
        /// back again never touches a server that is here.
        #[test]
        fn a_change_of_role_leaves_what_is_here_alone(
            whole in table(false),
            follow in proptest::collection::btree_set(small_key(), 0..6),
            here in proptest::collection::btree_set(0u8..4, 0..3),
        ) {
            let active = Active(follow.iter().map(|key| (*key, "A".to_owned())).collect());
            let is_here = |address: IpAddr| match address {
                IpAddr::V4(v4) => here.contains(&v4.octets()[3]),
                IpAddr::V6(v6) => here.contains(&v6.octets()[15]),
            };
            let backup = active.table(&whole, |_| false, is_here);
            for (key, service) in &backup {
                if follow.contains(key) {
                    prop_assert!(service.destinations.keys().all(|server| is_here(server.address)));
                    prop_assert!(!service.destinations.is_empty());
                } else {
                    prop_assert_eq!(service, &whole[key]);
                }
            }
            let ours = whole.keys().copied().collect();
            for change in diff(&whole, &backup, &ours).iter().chain(&diff(&backup, &whole, &ours)) {
                let (key, server) = change.subject();
                prop_assert!(follow.contains(&key), "{change}");
                prop_assert!(server.is_none_or(|server| !is_here(server.address)), "{change}");
            }
        }
    }
}
