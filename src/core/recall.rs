//! What a daemon's next process must know of it beside who was master (that is on the board): verdicts of checks, words of
//! scripts, and which services, marks and addresses are ours. Pure; [`super::remember`] reads and writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::board::{Master, Past, number};
use crate::check::recalled::Recalled;
use crate::config::fwmarks::Marks;
use crate::ipvs::table::{Family, Protocol, ServiceKey};
use crate::net::address::AddressKey;
use crate::vrrp::group::Group;
use crate::vrrp::params::Settings;
use crate::vrrp::trackers::{Said, TrackerKind, TrackerValues, Value};

/// Version of the form.
const VERSION: u32 = 1;
/// Verdicts of a process that has been gone for longer are no better than none: servers come and go meanwhile.
const STALE: Duration = Duration::from_secs(60);

/// The form of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    version: u32,
    /// Whose it is.
    #[serde(flatten)]
    pub home: Home,
    /// Verdicts of checks.
    pub verdicts: Recalled,
    /// Scripts: they succeed, or not.
    pub scripts: BTreeMap<String, bool>,
    /// Our services in the kernel.
    services: Vec<Key>,
    /// Our addresses, wished now or not.
    addresses: Vec<Address>,
    /// Which marks stand for groups of addresses (`nftables_ipvs`).
    #[serde(default)]
    pub marks: Marks,
}

/// Where a daemon runs and what it is called: by this the last resort finds what it left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Home {
    /// Its network namespace, by number.
    pub space: u64,
    /// The name of that, where the command line or the file says one.
    pub namespace: Option<String>,
    /// The name of its lock there.
    pub lock: String,
    /// The file that it reads.
    pub config: String,
}

/// One service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Tcp(IpAddr, u16),
    Udp(IpAddr, u16),
    Sctp(IpAddr, u16),
    Mark(u32),
    Mark6(u32),
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Address(String, IpAddr, u8);

impl From<ServiceKey> for Key {
    fn from(key: ServiceKey) -> Self {
        match key {
            ServiceKey::Address { protocol: Protocol::Tcp, address, port } => Self::Tcp(address, port),
            ServiceKey::Address { protocol: Protocol::Udp, address, port } => Self::Udp(address, port),
            ServiceKey::Address { protocol: Protocol::Sctp, address, port } => Self::Sctp(address, port),
            ServiceKey::Fwmark { family: Family::V4, mark } => Self::Mark(mark),
            ServiceKey::Fwmark { family: Family::V6, mark } => Self::Mark6(mark),
        }
    }
}

impl From<Key> for ServiceKey {
    fn from(key: Key) -> Self {
        let service = |protocol, address, port| Self::Address { protocol, address, port };
        match key {
            Key::Tcp(address, port) => service(Protocol::Tcp, address, port),
            Key::Udp(address, port) => service(Protocol::Udp, address, port),
            Key::Sctp(address, port) => service(Protocol::Sctp, address, port),
            Key::Mark(mark) => Self::Fwmark { family: Family::V4, mark },
            Key::Mark6(mark) => Self::Fwmark { family: Family::V6, mark },
        }
    }
}

impl Document {
    /// What is so now.
    pub fn new<'a>(
        home: Home,
        verdicts: Recalled,
        trackers: &TrackerValues,
        services: impl Iterator<Item = &'a ServiceKey>,
        addresses: impl Iterator<Item = &'a AddressKey>,
        marks: Marks,
    ) -> Self {
        let scripts = trackers.all(TrackerKind::Script).filter_map(|(name, said)| match said.value {
            Value::Up => Some((name.to_owned(), true)),
            Value::Down => Some((name.to_owned(), false)),
            Value::Unknown | Value::Number(_) => None,
        });
        Self {
            version: VERSION,
            home,
            verdicts,
            scripts: scripts.collect(),
            services: services.copied().map(Key::from).collect(),
            addresses: addresses
                .map(|key| Address(key.interface.clone(), key.address, key.prefix_len))
                .collect(),
            marks,
        }
    }

    /// Reads the form.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match document.version {
            VERSION => Ok(document),
            other => Err(format!("it has version {other}, this Tandem knows version {VERSION}")),
        }
    }

    /// As it is written.
    pub fn text(&self) -> Vec<u8> {
        // Maps of strings, numbers and addresses: there is nothing that JSON cannot say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Our services.
    pub fn services(&self) -> impl Iterator<Item = ServiceKey> + '_ {
        self.services.iter().copied().map(ServiceKey::from)
    }

    /// Our addresses.
    pub fn addresses(&self) -> impl Iterator<Item = AddressKey> + '_ {
        self.addresses.iter().map(|Address(interface, address, prefix_len)| AddressKey {
            interface: interface.clone(),
            address: *address,
            prefix_len: *prefix_len,
        })
    }

    /// What of it counts for a process of this network namespace that begins when the last one has been gone for so long.
    /// Services, addresses and marks are ours however long it was.
    #[must_use]
    pub fn as_of(mut self, space: u64, gone: Duration) -> Self {
        if self.home.space != space {
            return Self::default();
        }
        if gone > STALE {
            self.verdicts = Recalled::default();
            self.scripts.clear();
        }
        self
    }

    /// The last words of scripts, for those who have not said anything yet.
    pub fn words(&self) -> impl Iterator<Item = (&str, Said)> {
        self.scripts.iter().map(|(name, succeeds)| {
            let why = "as before the restart, no result yet".to_owned();
            (name.as_str(), Said { value: Value::of(*succeeds), why, since: None })
        })
    }
}

/// Who goes on as master: those who were, and were heard so lately that nobody can have taken over. Others wait as long as
/// the last advert let them, whatever the file says by now; where it asks for less, a peer with the same file waits less.
/// Of a sync group all or none.
pub fn masters(
    past: &Past,
    instances: &[Arc<Settings>],
    groups: &[Group],
    now: Duration,
) -> BTreeSet<String> {
    let known: BTreeMap<u64, &Master> = past.masters.iter().map(|master| (master.name, master)).collect();
    let lately = |settings: &Settings| {
        let Some(master) = known.get(&number(&settings.router_name())) else { return false };
        let patience = master.patience.map_or(settings.patience(), |said| said.min(settings.patience()));
        // A stamp of the future is no stamp.
        now.checked_sub(master.spoke).is_some_and(|gone| gone < patience)
    };
    let mut masters: BTreeSet<String> =
        instances.iter().filter(|settings| lately(settings)).map(|settings| settings.name.clone()).collect();
    for group in groups {
        if !group.members.iter().all(|member| masters.contains(member)) {
            for member in &group.members {
                masters.remove(member);
            }
        }
    }
    masters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::config::fwmarks::assign_after;
    use crate::config::model::Config;
    use crate::vrrp::params::{Host, Setup};

    fn setup(text: &str) -> Setup {
        let loaded = crate::config::load_text(
            std::path::Path::new("x.conf"),
            text.as_bytes(),
            &crate::config::resolve::Facts::default(),
        );
        let config: Config = loaded.config;
        Setup::of(&config, &Host::default())
    }

    fn instances() -> Setup {
        let one = |name: &str, vrid: u8, interval: &str| {
            format!(
                "vrrp_instance {name} {{ interface eth0\nvirtual_router_id {vrid}\npriority 100\nadvert_int {interval}\n\
                 virtual_ipaddress {{ 10.0.0.{vrid} }}\n}}\n"
            )
        };
        let group = "vrrp_sync_group G { group {\nC\nD\n} }\n";
        setup(
            &[one("A", 1, "1"), one("B", 2, "10"), one("C", 3, "1"), one("D", 4, "1"), group.to_owned()]
                .concat(),
        )
    }

    const fn s(tenths: u64) -> Duration {
        Duration::from_millis(100 * tenths)
    }

    /// Masters of the names with the times of their last adverts, asked at 100 s.
    fn asked(spoken: &[(&str, Duration)]) -> String {
        let setup = instances();
        let known = |name: &str| {
            let settings = setup.instances.iter().find(|one| one.name == name).expect("an instance");
            number(&settings.router_name())
        };
        let master = |(name, at): &(&str, Duration)| Master { name: known(name), spoke: *at, patience: None };
        let masters = spoken.iter().map(master).collect();
        let past = Past { alive: s(1000), masters, ..Past::default() };
        let who = self::masters(&past, &setup.instances, &setup.groups, s(1000));
        who.into_iter().collect()
    }

    #[test]
    fn only_who_was_heard_lately_goes_on() {
        // (last adverts, who goes on)
        let table: [(&[(&str, Duration)], &str); 8] = [
            (&[], ""),
            (&[("A", s(1000))], "A"),
            (&[("A", s(971))], "A"),
            // Three intervals: the peer is about to take over.
            (&[("A", s(970))], ""),
            (&[("B", s(701))], "B"),
            // Written by a clock that this boot does not have.
            (&[("A", s(1001))], ""),
            (&[("C", s(999))], ""),
            (&[("C", s(999)), ("D", s(999)), ("A", s(0))], "CD"),
        ];
        for (spoken, wanted) in table {
            assert_eq!(asked(spoken), wanted, "{spoken:?}");
        }
    }

    /// The file was edited while nobody ran: the peer goes by what it last heard.
    #[test]
    fn an_edited_interval_gives_nobody_more_time() {
        let instance = |words: &str| {
            setup(&format!(
                "vrrp_instance A {{ interface eth0\nvirtual_router_id 1\n{words}\nvirtual_ipaddress {{ 10.0.0.1 }}\n}}\n"
            ))
        };
        // (what the last advert said, what the file says now, gone for, goes on)
        let table = [
            (Some(s(30)), "advert_int 1", s(25), true),
            (Some(s(30)), "advert_int 10", s(29), true),
            (Some(s(30)), "advert_int 10", s(31), false),
            (Some(s(30)), "advert_int 1\ndown_timer_adverts 10", s(31), false),
            (Some(s(300)), "advert_int 1", s(31), false),
            (None, "advert_int 10", s(299), true),
        ];
        for (patience, words, gone, wanted) in table {
            let setup = instance(words);
            let name = number(&setup.instances[0].router_name());
            let masters = vec![Master { name, spoke: s(1000) - gone, patience }];
            let past = Past { alive: s(1000), masters, ..Past::default() };
            let who = super::masters(&past, &setup.instances, &[], s(1000));
            assert_eq!(who.contains("A"), wanted, "{patience:?} {words} {gone:?}");
        }
    }

    #[test]
    fn another_router_of_the_same_name_does_not_go_on() {
        let before = setup(
            "vrrp_instance A { interface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 10.0.0.1 }\n}\n",
        );
        let after = setup(
            "vrrp_instance A { interface eth0\nvirtual_router_id 2\nvirtual_ipaddress { 10.0.0.1 }\n}\n",
        );
        let names = |setup: &Setup| number(&setup.instances[0].router_name());
        let master = Master { name: names(&before), spoke: s(10), patience: None };
        let past = Past { alive: s(10), masters: vec![master], ..Past::default() };
        assert_eq!(masters(&past, &before.instances, &[], s(10)).len(), 1);
        assert!(masters(&past, &after.instances, &[], s(10)).is_empty());
    }

    /// A service of a group of addresses, and perhaps more before it.
    fn marked(before: &str) -> Config {
        let group = |name: &str| format!("virtual_server_group {name} {{\n 10.0.0.1 80\n}}\n");
        let server = |name: &str| {
            format!(
                "virtual_server group {name} {{\n protocol TCP\n lb_kind NAT\n real_server 10.1.0.1 80 {{\n }}\n}}\n"
            )
        };
        let names: Vec<&str> = before.split_whitespace().chain(["last"]).collect();
        let text: String = names.iter().map(|name| group(name) + &server(name)).collect();
        let facts = crate::config::resolve::Facts::default();
        let text = format!("global_defs {{\n nftables_ipvs\n}}\n{text}");
        crate::config::load_text(std::path::Path::new("x.conf"), text.as_bytes(), &facts).config
    }

    #[test]
    fn a_mark_outlives_the_process_that_handed_it_out() {
        let marks = |config: &Config| -> Vec<Option<u32>> {
            config.virtual_server.iter().map(|server| server.auto_fwmark).collect()
        };
        assert_eq!(marks(&marked("")), [Some(1000)]);
        let mut config = marked("first");
        assert_eq!(marks(&config), [Some(1000), Some(1001)], "a start of which nobody knows anything");
        let read = Document::parse(&document().text()).unwrap().as_of(5, Duration::MAX);
        assign_after(&mut config, &read.marks);
        assert_eq!(marks(&config), [Some(1001), Some(1000)]);
        // What an earlier Tandem wrote has none.
        let earlier: String = String::from_utf8(document().text()).unwrap();
        let at = earlier.find(",\"marks\"").unwrap();
        let earlier = Document::parse(format!("{}}}", &earlier[..at]).as_bytes()).unwrap();
        assert_eq!((earlier.marks, earlier.services.len()), (Marks::default(), 3));
    }

    fn document() -> Document {
        let mut trackers = TrackerValues::new();
        for (name, value) in [("up", Value::Up), ("down", Value::Down), ("new", Value::Unknown)] {
            trackers.set(TrackerKind::Script, name, Said::new(value, "", clock::now()));
        }
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let services = [
            ServiceKey::Address { protocol: Protocol::Udp, address, port: 53 },
            ServiceKey::Address { protocol: Protocol::Sctp, address: "fe80::1".parse().unwrap(), port: 0 },
            ServiceKey::Fwmark { family: Family::V6, mark: 7 },
        ];
        let key = AddressKey { interface: "eth0".to_owned(), address, prefix_len: 24 };
        let marks = Marks::of(&marked(""));
        let home = Home { space: 5, config: "/x.conf".to_owned(), ..Home::default() };
        Document::new(home, Recalled::default(), &trackers, services.iter(), [key].iter(), marks)
    }

    #[test]
    fn what_is_written_is_read() {
        let document = document();
        let again = Document::parse(&document.text()).unwrap();
        assert_eq!(again, document);
        assert_eq!(again.services().count(), 3);
        assert_eq!(again.addresses().map(|key| key.to_string()).collect::<String>(), "10.0.0.1/24 on eth0");
        let words: Vec<_> = again.words().map(|(name, said)| (name, said.value)).collect();
        assert_eq!(words, [("down", Value::Down), ("up", Value::Up)]);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let text = String::from_utf8(document().text()).unwrap();
        for (bad, says) in [
            (text[..text.len() / 2].to_owned(), "EOF"),
            (text.replace("\"version\":1", "\"version\":2"), "it has version 2"),
            (String::new(), "EOF"),
            (text.replace("10.0.0.1", "10.0.0.1.1"), "invalid"),
        ] {
            let problem = Document::parse(bad.as_bytes()).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn old_verdicts_count_no_more_and_another_namespace_s_nothing() {
        let document = document();
        assert_eq!(document.clone().as_of(5, s(10)), document);
        let late = document.clone().as_of(5, Duration::from_secs(61));
        assert!(late.scripts.is_empty() && late.services().count() == 3 && late.addresses().count() == 1);
        assert_eq!(document.as_of(6, s(10)), Document::default());
    }
}
