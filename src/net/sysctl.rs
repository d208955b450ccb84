//! Kernel settings of interfaces (/proc/sys/net/ipv?/conf): what they should be, what they were before, and how to
//! put them back. Pure; [`super::sysctl_writer`] reads and writes.
//!
//! What was there is remembered at the first write and put back when nobody wishes it any more, unless somebody else
//! changed it meanwhile. [`Memory`] is what must outlive a crash: give it to the next start.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One setting of one interface (or of `all`, `default`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// IPv6 rather than IPv4.
    pub ipv6: bool,
    /// Interface; empty = a setting of the whole family.
    pub interface: String,
    /// Name of the setting; a slash where it has parts.
    pub name: String,
}

impl Key {
    /// A setting of IPv4.
    pub fn v4(interface: &str, name: &str) -> Self {
        Self { ipv6: false, interface: interface.to_owned(), name: name.to_owned() }
    }

    /// A setting of IPVS (`net.ipv4.vs`, both families); it exists once the module is loaded.
    pub fn vs(name: &str) -> Self {
        Self::v4("", &format!("vs/{name}"))
    }

    /// A setting of IPv6.
    pub fn v6(interface: &str, name: &str) -> Self {
        Self { ipv6: true, ..Self::v4(interface, name) }
    }

    /// Its file. Interface names may hold dots, so that only this form is exact.
    pub fn path(&self) -> String {
        let family = if self.ipv6 { "ipv6" } else { "ipv4" };
        if self.interface.is_empty() {
            return format!("/proc/sys/net/{family}/{}", self.name);
        }
        format!("/proc/sys/net/{family}/conf/{}/{}", self.interface, self.name)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let family = if self.ipv6 { "ipv6" } else { "ipv4" };
        if self.interface.is_empty() {
            return write!(f, "net.{family}.{}", self.name.replace('/', "."));
        }
        write!(f, "net.{family}.conf.{}.{}", self.interface.replace('.', "/"), self.name)
    }
}

/// What a setting should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// This value.
    Exactly(i32),
    /// This value or a larger one.
    AtLeast(i32),
}

impl Wish {
    /// The value to write over this one; `None` when it is well as it is.
    pub fn over(self, actual: i32) -> Option<i32> {
        match self {
            Self::Exactly(value) => (actual != value).then_some(value),
            Self::AtLeast(value) => (actual < value).then_some(value),
        }
    }
}

/// What a setting was before we changed it, and what we wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Before.
    pub before: i32,
    /// What we wrote: while it is still that, it is ours to put back.
    pub written: i32,
}

/// Every setting that we changed and have not put back. As a list, since JSON has no such keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Key, Changed)>", into = "Vec<(Key, Changed)>")]
pub struct Memory(pub BTreeMap<Key, Changed>);

impl From<Vec<(Key, Changed)>> for Memory {
    fn from(list: Vec<(Key, Changed)>) -> Self {
        Self(list.into_iter().collect())
    }
}

impl From<Memory> for Vec<(Key, Changed)> {
    fn from(memory: Memory) -> Self {
        memory.0.into_iter().collect()
    }
}

/// Values as read; what does not exist is not in it.
pub type Values = BTreeMap<Key, i32>;

/// The writes that fulfil these wishes and put back what nobody wishes any more, in order, and the memory after them.
/// Settings that do not exist (their interface is not there) wait.
pub fn diff(actual: &Values, wishes: &BTreeMap<Key, Wish>, memory: &Memory) -> (Vec<(Key, i32)>, Memory) {
    let mut writes = Vec::new();
    let mut after = Memory::default();
    for (key, wish) in wishes {
        let Some(value) = actual.get(key) else { continue };
        let known = memory.0.get(key).copied();
        match wish.over(*value) {
            Some(written) => {
                // Somebody changed it after us: theirs is what we put back.
                let before =
                    known.filter(|known| known.written == *value).map_or(*value, |known| known.before);
                writes.push((key.clone(), written));
                after.0.insert(key.clone(), Changed { before, written });
            }
            None => {
                if let Some(known) = known.filter(|known| known.written == *value) {
                    after.0.insert(key.clone(), known);
                }
            }
        }
    }
    // What is put back: `all` last, so that no packet meets a looser check than before.
    for (key, known) in memory.0.iter().filter(|(key, _)| !wishes.contains_key(*key)) {
        if actual.get(key) == Some(&known.written) {
            writes.push((key.clone(), known.before));
        }
    }
    (writes, after)
}

/// Wishes that make `rp_filter` a setting of each interface: the kernel takes the larger of `all` and the interface's
/// own, and a macvlan needs 0. What `all` says goes to every interface and to `default`, then `all` is 0. `others`
/// are the interfaces that are neither ours nor a loopback. Nothing to wish while `all` is 0 and was so.
pub fn rp_filter(actual: &Values, memory: &Memory, others: &[&str]) -> Vec<(Key, Wish)> {
    let all = Key::v4("all", "rp_filter");
    let said = memory.0.get(&all).map(|known| known.before).filter(|_| actual.get(&all) == Some(&0));
    let Some(value) = said.or_else(|| actual.get(&all).copied()).filter(|value| *value > 0) else {
        return Vec::new();
    };
    let each = others.iter().copied().chain(["default"]);
    let mut wishes: Vec<_> = each.map(|name| (Key::v4(name, "rp_filter"), Wish::AtLeast(value))).collect();
    wishes.push((all, Wish::Exactly(0)));
    wishes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(interface: &str) -> Key {
        Key::v4(interface, "rp_filter")
    }

    fn apply(mut actual: Values, writes: &[(Key, i32)]) -> Values {
        actual.extend(writes.iter().cloned());
        actual
    }

    #[test]
    fn names_with_dots_stay_one_interface() {
        let key = Key::v4("vrrp.51", "arp_ignore");
        assert_eq!(key.path(), "/proc/sys/net/ipv4/conf/vrrp.51/arp_ignore");
        assert_eq!(key.to_string(), "net.ipv4.conf.vrrp/51.arp_ignore");
        let whole = Key::v4("", "igmp_link_local_mcast_reports");
        assert_eq!(whole.path(), "/proc/sys/net/ipv4/igmp_link_local_mcast_reports");
        assert_eq!(whole.to_string(), "net.ipv4.igmp_link_local_mcast_reports");
        let part = Key::vs("conn_reuse_mode");
        assert_eq!(part.path(), "/proc/sys/net/ipv4/vs/conn_reuse_mode");
        assert_eq!(part.to_string(), "net.ipv4.vs.conn_reuse_mode");
    }

    #[test]
    fn all_gives_way_to_the_interfaces_and_comes_back() {
        let before = Values::from([(key("all"), 1), (key("default"), 0), (key("eth0"), 0), (key("eth1"), 2)]);
        let wishes: BTreeMap<_, _> =
            rp_filter(&before, &Memory::default(), &["eth0", "eth1"]).into_iter().collect();
        let (writes, memory) = diff(&before, &wishes, &Memory::default());
        let during = apply(before.clone(), &writes);
        assert_eq!(
            during,
            Values::from([(key("all"), 0), (key("default"), 1), (key("eth0"), 1), (key("eth1"), 2)])
        );
        // A second look, or the next start with this memory, wishes the same.
        assert_eq!(
            rp_filter(&during, &memory, &["eth0", "eth1"]),
            wishes.into_iter().collect::<Vec<_>>().in_order()
        );
        let (writes, memory) = diff(&during, &BTreeMap::new(), &memory);
        assert_eq!((apply(during, &writes), memory), (before, Memory::default()));
    }

    /// In the order of [`rp_filter`]: the interfaces, `default`, `all`.
    trait InOrder {
        fn in_order(self) -> Self;
    }
    impl InOrder for Vec<(Key, Wish)> {
        fn in_order(mut self) -> Self {
            let rank = |name: &str| ["eth0", "eth1", "default", "all"].iter().position(|n| *n == name);
            self.sort_by_key(|(key, _)| rank(&key.interface));
            self
        }
    }

    #[test]
    fn what_somebody_changed_meanwhile_stays() {
        let (_, memory) = diff(
            &Values::from([(key("eth0"), 0)]),
            &BTreeMap::from([(key("eth0"), Wish::Exactly(1))]),
            &Memory::default(),
        );
        let (writes, _) = diff(&Values::from([(key("eth0"), 2)]), &BTreeMap::new(), &memory);
        assert_eq!(writes, []);
    }

    #[test]
    fn the_memory_survives_a_file() {
        let memory = Memory(BTreeMap::from([(key("eth0"), Changed { before: 0, written: 1 })]));
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
    }

    fn values() -> impl Strategy<Value = Values> {
        prop::collection::btree_map("[ab]".prop_map(|name| key(&name)), 0..3i32, 0..3)
    }

    proptest! {
        #[test]
        fn a_wish_fulfilled_and_given_up_leaves_what_was(
            before in values(),
            wishes in prop::collection::btree_map(
                "[abc]".prop_map(|name| key(&name)),
                (any::<bool>(), 0..3i32).prop_map(|(least, v)| if least { Wish::AtLeast(v) } else { Wish::Exactly(v) }),
                0..3,
            ),
        ) {
            let (writes, memory) = diff(&before, &wishes, &Memory::default());
            let during = apply(before.clone(), &writes);
            for (key, wish) in &wishes {
                prop_assert!(during.get(key).is_none_or(|value| wish.over(*value).is_none()));
            }
            prop_assert!(diff(&during, &wishes, &memory) == (Vec::new(), memory.clone()));
            let (writes, memory) = diff(&during, &BTreeMap::new(), &memory);
            prop_assert_eq!(apply(during, &writes), before);
            prop_assert_eq!(memory, Memory::default());
        }
    }
}
