//! From the configuration to the interfaces of our own (`use_vmac`, `use_vmac_addr`, `use_ipvlan`, `use_vmac` of one
//! address) and to where each instance's adverts and addresses belong. Pure; [`crate::net::device_writer`] makes the
//! interfaces, the vrrp thread sends and binds as [`Placement`] says.
//!
//! What keepalived 2.2.7 was seen to do with an instance's addresses, and we too:
//!
//! | address | with `use_vmac` | without |
//! | --- | --- | --- |
//! | no `dev`, or `dev` of the instance; its family | the instance's VMAC | the instance's interface; its VMAC if the address says `use_vmac` |
//! | another `dev` | that `dev`; with `use_vmac_addr`, or `use_vmac` of the address: a VMAC on it | the same |
//! | excluded, of the other family | the instance's interface; with one of these words a VMAC of its family | the same |
//!
//! The virtual router's hardware address (RFC 9568 section 7.3) is a property of (interface, VRID, family): there is
//! one VMAC for each, however many addresses ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::model::{Config, Global, Instance, IpvlanMode, VirtualAddress, Vmac};
use crate::net::device::{DevicePlan, FoundAll, IpvlanFlag, Kind, OWNER, Wanted, is_planned};
use crate::net::sysctl::{Key, Wish};

/// Longest interface name (IFNAMSIZ without the NUL).
const LONGEST_NAME: usize = 15;
/// First octets of virtual hardware addresses (IANA's).
const ADDRESS_PREFIX: [u8; 4] = [0x00, 0x00, 0x5e, 0x00];

/// Where adverts and addresses of one instance go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Interface that adverts leave and arrive by: bind, join the group and send there.
    pub adverts_on: String,
    /// Interface whose first address (IPv6: link-local address) is the source of adverts. It is the base interface
    /// even when they leave by the VMAC.
    pub source_from: String,
    /// Source of adverts that `use_ipvlan` gives; it is there from the start.
    pub source: Option<IpAddr>,
    /// Interface of addresses, and of routes, without `dev`.
    pub addresses_on: String,
    /// Virtual hardware address of `addresses_on`; `None` = that interface's own.
    pub mac: Option<[u8; 6]>,
    /// Interface of each address: those of `virtual_ipaddress`, then those of `virtual_ipaddress_excluded`.
    pub addresses: Vec<String>,
    /// Names of the interfaces of our own that this instance uses: while one is missing, the instance is in FAULT.
    pub devices: BTreeSet<String>,
}

/// All interfaces of our own and all placements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By name.
    pub devices: BTreeMap<String, DevicePlan>,
    /// By instance.
    pub placements: BTreeMap<String, Placement>,
    /// `promote_secondaries`, `disable_local_igmp`.
    pub sysctls: BTreeMap<Key, Wish>,
    /// What is done otherwise than the file says, in words for the log.
    pub problems: Vec<String>,
}

impl Plan {
    /// The wish for the device writer.
    pub fn wanted(&self, generation: u64) -> Wanted {
        Wanted { generation, devices: self.devices.clone(), sysctls: self.sysctls.clone() }
    }
}

/// Plans the interfaces of all instances. `found` are the interfaces that there are now: a name that somebody else has
/// is not taken, one that an earlier run left is. Call it at start and at reload; names hold until then.
pub fn plan(config: &Config, found: &FoundAll) -> Plan {
    let mut planner = Planner { global: &config.global_defs, found, plan: Plan::default() };
    if config.global_defs.disable_local_igmp {
        planner.plan.sysctls.insert(Key::v4("", "igmp_link_local_mcast_reports"), Wish::Exactly(0));
    }
    for instance in &config.vrrp_instance {
        let placement = planner.place(instance);
        planner.plan.placements.insert(instance.name.clone(), placement);
    }
    planner.plan
}

/// The instance with the interface of every address written into it: what
/// [`wanted_addresses`](super::addresses::wanted_addresses) makes the kernel's addresses of.
pub fn placed(instance: &Instance, placement: &Placement) -> Instance {
    let mut placed = instance.clone();
    let all = placed.virtual_ipaddress.iter_mut().chain(&mut placed.virtual_ipaddress_excluded);
    for (address, interface) in all.zip(&placement.addresses) {
        address.dev = Some(interface.clone());
    }
    placed
}

/// True for an instance of IPv6.
pub fn is_ipv6(instance: &Instance) -> bool {
    instance.is_ipv6()
}

struct Planner<'a> {
    global: &'a Global,
    found: &'a FoundAll,
    plan: Plan,
}

impl Planner<'_> {
    fn place(&mut self, instance: &Instance) -> Placement {
        let base = instance.interface.clone();
        let mut placement = Placement {
            adverts_on: base.clone(),
            source_from: base.clone(),
            addresses_on: base.clone(),
            ..Placement::default()
        };
        let ipv6 = is_ipv6(instance);
        if base.is_empty() {
            if instance.use_vmac.is_some() || instance.use_ipvlan.is_some() {
                self.problem(instance, "use_vmac and use_ipvlan need an interface: ignored".to_owned());
            }
        } else if let Some(vmac) = &instance.use_vmac {
            let adverts = !transmits_by_base(instance, self.global);
            let device = self.vmac(instance, &base, ipv6, Some(vmac), adverts && ipv6);
            self.adopt(&mut placement, &device, adverts);
        } else if instance.use_ipvlan.is_some() {
            let device = self.ipvlan(instance, &base, ipv6);
            placement.source = self.plan.devices[&device].address.map(|(address, _)| address);
            self.adopt(&mut placement, &device, true);
            if placement.source.is_none() {
                placement.source_from.clone_from(&device);
            }
        }
        let all = instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded);
        for address in all {
            let interface = self.interface_of(instance, address, ipv6, &placement);
            if self.plan.devices.contains_key(&interface) {
                placement.devices.insert(interface.clone());
            }
            placement.addresses.push(interface);
        }
        placement
    }

    /// The instance lives on this device.
    fn adopt(&self, placement: &mut Placement, device: &str, adverts: bool) {
        placement.mac = self.plan.devices.get(device).and_then(|plan| plan.mac);
        device.clone_into(&mut placement.addresses_on);
        placement.devices.insert(device.to_owned());
        if adverts {
            device.clone_into(&mut placement.adverts_on);
        }
    }

    fn interface_of(
        &mut self,
        instance: &Instance,
        address: &VirtualAddress,
        ipv6: bool,
        placement: &Placement,
    ) -> String {
        let base = &instance.interface;
        let own_family = address.address.address.is_ipv6() == ipv6;
        let parent = address.dev.as_ref().unwrap_or(base);
        let elsewhere = parent != base;
        if !elsewhere && own_family && placement.addresses_on != *base {
            return placement.addresses_on.clone();
        }
        let asked = address.use_vmac || (instance.use_vmac_addr && (elsewhere || !own_family));
        // On an ipvlan both families live: there is no hardware address that could be the wrong one.
        if !elsewhere && !asked && instance.use_ipvlan.is_some() {
            return placement.addresses_on.clone();
        }
        if !asked || parent.is_empty() {
            return parent.clone();
        }
        let parent = parent.clone();
        self.vmac(instance, &parent, address.address.address.is_ipv6(), None, false)
    }

    /// The VMAC of this family on this interface, made up if there is none yet. `own` are the words of the instance's
    /// own VMAC.
    fn vmac(
        &mut self,
        instance: &Instance,
        parent: &str,
        ipv6: bool,
        own: Option<&Vmac>,
        link_local: bool,
    ) -> String {
        let mac = self.mac(instance, ipv6, own);
        let same = |plan: &&mut DevicePlan| plan.parent == parent && plan.mac == Some(mac);
        if let Some(known) = self.plan.devices.values_mut().find(same) {
            known.ipv4 |= !ipv6;
            known.ipv6 |= ipv6;
            known.link_local |= link_local;
            known.announce_parent |= own.is_some_and(|vmac| vmac.netlink_notify_msg);
            return known.name.clone();
        }
        let group = own.and_then(|vmac| vmac.group.clone());
        let mut plan = DevicePlan {
            name: String::new(),
            parent: parent.to_owned(),
            kind: Kind::Macvlan,
            mac: Some(mac),
            ipv4: !ipv6,
            ipv6,
            link_local,
            address: None,
            group: group.and_then(|group| self.group(instance, &group)),
            announce_parent: own.is_some_and(|vmac| vmac.netlink_notify_msg),
        };
        let wished = own.and_then(|vmac| vmac.name.as_deref());
        plan.name = self.name(instance, wished, &plan);
        self.insert(plan)
    }

    fn ipvlan(&mut self, instance: &Instance, parent: &str, ipv6: bool) -> String {
        let words = instance.use_ipvlan.clone().unwrap_or_default();
        let address = words.address.map(|prefix| (prefix.address, prefix.length));
        if address.is_none() && !ipv6 {
            self.problem(
                instance,
                "use_ipvlan needs an address for IPv4, the source of its adverts: write `use_ipvlan ADDRESS`"
                    .to_owned(),
            );
        }
        let flag = match words.mode {
            None | Some(IpvlanMode::Bridge) => IpvlanFlag::Bridge,
            Some(IpvlanMode::Private) => IpvlanFlag::Private,
            Some(IpvlanMode::Vepa) => IpvlanFlag::Vepa,
        };
        let mut plan = DevicePlan {
            name: String::new(),
            parent: parent.to_owned(),
            kind: Kind::Ipvlan(flag),
            mac: None,
            ipv4: true,
            ipv6,
            link_local: false,
            address,
            group: words.group.as_deref().and_then(|group| self.group(instance, group)),
            announce_parent: false,
        };
        plan.name = self.name(instance, words.name.as_deref(), &plan);
        self.insert(plan)
    }

    fn insert(&mut self, plan: DevicePlan) -> String {
        let name = plan.name.clone();
        self.plan.devices.insert(name.clone(), plan);
        name
    }

    /// 00:00:5e:00:01:VRID (IPv4), 00:00:5e:00:02:VRID (IPv6), or what the file says. RFC 9568 section 7.3.
    fn mac(&self, instance: &Instance, ipv6: bool, own: Option<&Vmac>) -> [u8; 6] {
        let vrid = instance.virtual_router_id;
        let given = own.and_then(|vmac| vmac.mac.as_deref()).filter(|_| !instance.is_strict(self.global));
        if let Some([a, b, c, d, e, rest @ ..]) = given.map(octets).as_deref() {
            return [*a, *b, *c, *d, *e, rest.first().copied().unwrap_or(vrid)];
        }
        let family = if ipv6 { 2 } else { 1 };
        let prefix = self.global.vmac_addr_prefix.as_deref().map(octets).unwrap_or_default();
        match prefix.as_slice() {
            [a, b, c, d] => [*a, *b, *c, *d, family, vrid],
            [a, b, c, d, e] => [*a, *b, *c, *d, *e, vrid],
            _ => {
                let [a, b, c, d] = ADDRESS_PREFIX;
                [a, b, c, d, family, vrid]
            }
        }
    }

    /// The wished name, or the first of `vrrp.VRID`, (IPv6) `vrrp6.VRID`, `vrrp1.VRID`, `vrrp2.VRID` … that nobody
    /// else has.
    fn name(&mut self, instance: &Instance, wished: Option<&str>, plan: &DevicePlan) -> String {
        let free = |name: &str| {
            let there = self.found.get(name);
            !self.plan.devices.contains_key(name)
                && there.is_none_or(|found| {
                    is_planned(plan, found, self.found) || found.alias.as_deref() == Some(OWNER)
                })
        };
        if let Some(name) = wished.filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME) {
            if free(name) {
                return name.to_owned();
            }
            let problem =
                format!("there is an interface {name} already that is not its VMAC: another name is taken");
            self.problem(instance, problem);
            return self.name(instance, None, plan);
        }
        let prefix = self.global.vmac_prefix.as_deref().unwrap_or("vrrp");
        let numbered = |number: &str| {
            let end = format!("{number}.{}", instance.virtual_router_id);
            let room = LONGEST_NAME.saturating_sub(end.len());
            let prefix: String = prefix
                .char_indices()
                .take_while(|(at, c)| at + c.len_utf8() <= room)
                .map(|(_, c)| c)
                .collect();
            prefix + &end
        };
        let six = plan.ipv6 && !plan.ipv4;
        let first = [Some(numbered("")), six.then(|| numbered("6"))];
        let further = (1u32..).map(|number| numbered(&number.to_string()));
        first.into_iter().flatten().chain(further).find(|name| free(name)).unwrap_or_default()
    }

    /// A number: names became numbers when the file was read (`config::resolve`).
    fn group(&mut self, instance: &Instance, text: &str) -> Option<u32> {
        let number = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None if text == "default" => Some(0),
            None => text.parse().ok(),
        };
        if number.is_none() {
            self.problem(
                instance,
                format!("there is no interface group {text}: write its number, or add it to /etc/iproute2/group; none is set"),
            );
        }
        number
    }

    fn problem(&mut self, instance: &Instance, text: String) {
        self.plan.problems.push(format!("vrrp_instance {}: {text}", instance.name));
    }
}

/// Adverts leave by the base interface: `vmac_xmit_base`, which strict mode forbids, and always with unicast peers.
fn transmits_by_base(instance: &Instance, global: &Global) -> bool {
    !instance.unicast_peer.is_empty() || (instance.vmac_xmit_base && !instance.is_strict(global))
}

/// `aa:bb:c` as octets; empty when one is none.
fn octets(text: &str) -> Vec<u8> {
    text.split(':').map(|part| u8::from_str_radix(part, 16)).collect::<Result<_, _>>().unwrap_or_default()
}

#[cfg(test)]
mod tests;
