//! Names of tables, protocols, realms and so on become numbers, and rules without a preference get one, so that what
//! runs needs no file of names.

use std::fmt::Display;

use crate::config::diagnostic::Level;
use crate::config::model::{Config, Encap, Family, Named, Origin, Realms, Route, Rule, RuleAction};
use crate::config::names::{List, Names};

use super::Resolver;

/// What the numbers count down from, for each family on its own.
const FIRST_PREFERENCE: u32 = 16_384;

impl Resolver<'_> {
    /// Routes and rules of the whole configuration. Without a machine to look at names stay names.
    pub(super) fn routing(&mut self, config: &mut Config) {
        let mut next = [FIRST_PREFERENCE; 2];
        for rule in &mut config.static_rules {
            number(rule, &mut next);
        }
        for instance in &mut config.vrrp_instance {
            for rule in &mut instance.virtual_rules {
                number(rule, &mut next);
            }
        }
        if !self.facts.look_at_files {
            return;
        }
        let global = &config.global_defs;
        let names =
            Names::of_this_machine(global.iproute_usr_dir.as_deref(), global.iproute_etc_dir.as_deref());
        let origin = config.origin.clone();
        self.named(&mut config.static_routes, &origin, "static_routes", |route| route_names(route, &names));
        self.named(&mut config.static_rules, &origin, "static_rules", |rule| rule_names(rule, &names));
        for instance in &mut config.vrrp_instance {
            let origin = instance.origin.clone();
            self.named(&mut instance.virtual_routes, &origin, "virtual_routes", |route| {
                route_names(route, &names)
            });
            self.named(&mut instance.virtual_rules, &origin, "virtual_rules", |rule| {
                rule_names(rule, &names)
            });
            for (word, slot) in [
                ("use_vmac", instance.use_vmac.as_mut().map(|vmac| &mut vmac.group)),
                ("use_ipvlan", instance.use_ipvlan.as_mut().map(|ipvlan| &mut ipvlan.group)),
            ] {
                if let Some(Err(unknown)) = slot.map(|slot| device_group(slot, &names)) {
                    self.unknown(&unknown, &origin, word, "the interface gets no group");
                }
            }
        }
    }

    /// Drops what has a name that nobody knows, and says so.
    fn named<T: Display>(
        &mut self,
        elements: &mut Vec<T>,
        origin: &Origin,
        word: &'static str,
        mut names: impl FnMut(&mut T) -> Result<(), Unknown>,
    ) {
        let mut at = 0;
        elements.retain_mut(|element| {
            let unknown = names(element).err();
            if let Some(unknown) = &unknown {
                let consequence =
                    if word.ends_with("routes") { "the route is dropped" } else { "the rule is dropped" };
                self.unknown(unknown, origin, word, consequence);
                self.at(origin.element(word, at));
            }
            at += 1;
            unknown.is_none()
        });
    }

    /// A finding about a name without a number.
    fn unknown(&mut self, unknown: &Unknown, origin: &Origin, word: &'static str, consequence: &str) {
        let Unknown { kind, file, name, near } = unknown;
        let problem = format!("there is no {kind} \"{name}\"");
        let fix = match near {
            Some(near) => format!("did you mean {near}? Else write a number, or add the name to {file}"),
            None => format!("write a number, or add the name to {file}"),
        };
        self.find(Level::Error, origin, word, "unknown-name", problem, consequence, fix);
    }
}

/// A rule without a preference gets the next number downwards.
fn number(rule: &mut Rule, next: &mut [u32; 2]) {
    let [ipv4, ipv6] = next;
    let next = if rule.family == Family::Inet6 { ipv6 } else { ipv4 };
    if rule.preference.is_none() {
        rule.preference = Some(*next);
        *next = next.saturating_sub(1);
    }
}

/// A name without a number.
struct Unknown {
    kind: &'static str,
    file: &'static str,
    name: String,
    near: Option<String>,
}

/// One kind of names.
struct Kind<'a>(&'static str, &'static str, &'a List);

impl Kind<'_> {
    fn put<N: TryFrom<u32>>(&self, slot: &mut Named<N>) -> Result<(), Unknown> {
        let Named::Name(name) = slot else { return Ok(()) };
        let Self(kind, file, list) = self;
        match list.get(name).and_then(|number| N::try_from(*number).ok()) {
            Some(number) => {
                *slot = Named::Number(number);
                Ok(())
            }
            None => {
                let near = crate::config::suggest::closest(name, list.keys().map(String::as_str));
                let near = near.filter(|near| near != name).map(str::to_owned);
                Err(Unknown { kind, file, name: name.clone(), near })
            }
        }
    }

    fn may<N: TryFrom<u32>>(&self, slot: &mut Option<Named<N>>) -> Result<(), Unknown> {
        slot.as_mut().map_or(Ok(()), |slot| self.put(slot))
    }
}

fn realms(slot: &mut Option<Realms>, names: &Names) -> Result<(), Unknown> {
    let kind = Kind("realm", "/etc/iproute2/rt_realms", &names.realms);
    let Some(realms) = slot else { return Ok(()) };
    kind.may(&mut realms.from)?;
    kind.put(&mut realms.to)
}

fn table(names: &Names) -> Kind<'_> {
    Kind("routing table", "/etc/iproute2/rt_tables", &names.tables)
}

fn protocol(names: &Names) -> Kind<'_> {
    Kind("routing protocol", "/etc/iproute2/rt_protos", &names.protocols)
}

fn interface_group(names: &Names) -> Kind<'_> {
    Kind("interface group", "/etc/iproute2/group", &names.groups)
}

/// The group of an interface of our own becomes a number in decimal; without one it is left out.
fn device_group(slot: &mut Option<String>, names: &Names) -> Result<(), Unknown> {
    let Some(text) = slot.take() else { return Ok(()) };
    let mut group: Named<u32> = text.parse().unwrap_or(Named::Name(text));
    interface_group(names).put(&mut group)?;
    *slot = Some(group.to_string());
    Ok(())
}

fn dsfield(names: &Names) -> Kind<'_> {
    Kind("DS field", "/etc/iproute2/rt_dsfield", &names.dsfields)
}

fn encap(slot: &mut Option<Encap>, names: &Names) -> Result<(), Unknown> {
    match slot {
        Some(Encap::Ip(outer)) => dsfield(names).may(&mut outer.tos),
        Some(Encap::Ip6(outer)) => dsfield(names).may(&mut outer.tos),
        _ => Ok(()),
    }
}

fn route_names(route: &mut Route, names: &Names) -> Result<(), Unknown> {
    table(names).may(&mut route.table)?;
    protocol(names).may(&mut route.protocol)?;
    dsfield(names).may(&mut route.tos)?;
    realms(&mut route.realms, names)?;
    encap(&mut route.encap, names)?;
    for hop in &mut route.nexthops {
        realms(&mut hop.realms, names)?;
        encap(&mut hop.encap, names)?;
    }
    Ok(())
}

fn rule_names(rule: &mut Rule, names: &Names) -> Result<(), Unknown> {
    if let RuleAction::Table(slot) = &mut rule.action {
        table(names).put(slot)?;
    }
    protocol(names).may(&mut rule.protocol)?;
    dsfield(names).may(&mut rule.tos)?;
    realms(&mut rule.realms, names)?;
    Kind("IP protocol", "/etc/protocols", &names.ip_protocols).may(&mut rule.ipproto)?;
    interface_group(names).may(&mut rule.suppress_ifgroup)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;
    use crate::config::resolve::Facts;

    const FILE: &str = "static_rules {\n from 10.0.0.1 table local\n fwmark 5 table 7 inet6\n}\n\
        static_routes {\n 10.0.0.0/8 dev lo table main\n 10.1.0.0/16 dev lo table tabel7\n}\n\
        vrrp_instance A {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {\n 10.0.0.1\n }\n\
        virtual_rules {\n to 10.0.0.2 table 9 ipproto tcp\n to 10.0.0.3 table 9 preference 7\n }\n}\n";

    fn load(facts: &Facts) -> (Config, Vec<String>) {
        let loaded = load_text(std::path::Path::new("t.conf"), FILE.as_bytes(), facts);
        let unknown = loaded.diagnostics.iter().filter(|d| d.code == "unknown-name");
        let said = unknown.map(|d| format!("{}: {}", d.place.as_ref().unwrap().line, d.problem)).collect();
        (loaded.config, said)
    }

    #[test]
    fn names_become_numbers_and_an_unknown_one_is_told() {
        let (config, said) = load(&Facts { look_at_files: true, ..Facts::default() });
        assert_eq!(said, ["7: there is no routing table \"tabel7\""]);
        assert_eq!(config.static_routes.len(), 1);
        assert_eq!(config.static_routes[0].table, Some(Named::Number(254)));
        assert_eq!(config.static_rules[0].action, RuleAction::Table(Named::Number(255)));
        assert_eq!(config.vrrp_instance[0].virtual_rules[0].ipproto, Some(Named::Number(6)));
    }

    #[test]
    fn groups_of_interfaces_have_names() {
        let dir = std::env::temp_dir().join(format!("tandem-groups-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("group"), "0 default\n7 vips\n").unwrap();
        let instance = |name: &str, vrid: u8, group: &str| {
            format!(
                "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n use_vmac vr{vrid} group {group}\n \
                 virtual_ipaddress {{\n 10.0.0.{vrid}\n }}\n}}\n"
            )
        };
        let text = format!("global_defs {{\n iproute_etc_dir {}\n}}\n", dir.display())
            + &instance("A", 1, "vips")
            + &instance("B", 2, "0x10")
            + &instance("C", 3, "vipz");
        let facts = Facts { look_at_files: true, ..Facts::default() };
        let loaded = load_text(std::path::Path::new("t.conf"), text.as_bytes(), &facts);
        let group = |at: usize| loaded.config.vrrp_instance[at].use_vmac.clone().unwrap().group;
        assert_eq!([group(0), group(1), group(2)], [Some("7".to_owned()), Some("16".to_owned()), None]);
        let said: Vec<_> = loaded.diagnostics.iter().filter(|d| d.code == "unknown-name").collect();
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].problem, "there is no interface group \"vipz\"");
        assert!(said[0].fix.starts_with("did you mean vips?"), "{}", said[0].fix);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn without_a_machine_names_stay_and_preferences_count_down_by_family() {
        let (config, said) = load(&Facts::default());
        assert_eq!(said, [""; 0]);
        assert_eq!(config.static_routes.len(), 2);
        let static_ones: Vec<_> = config.static_rules.iter().map(|rule| rule.preference).collect();
        assert_eq!(static_ones, [Some(16_384), Some(16_384)]);
        let of_a: Vec<_> = config.vrrp_instance[0].virtual_rules.iter().map(|rule| rule.preference).collect();
        assert_eq!(of_a, [Some(16_383), Some(7)]);
    }
}
