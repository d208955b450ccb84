//! Routing rules that should be there: desired state, and its difference from what is there. A rule has nothing that
//! could be changed in place, so all of it identifies it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// A rule, wished or found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// The family.
    pub ipv6: bool,
    /// Rules are tried by ascending number.
    pub priority: u32,
    /// For packets that do not match.
    pub invert: bool,
    /// `from`, host bits zero; none = all.
    pub from: Option<(IpAddr, u8)>,
    /// `to`, host bits zero; none = all.
    pub to: Option<(IpAddr, u8)>,
    /// TOS byte.
    pub tos: u8,
    /// Mark and the bits of it that count.
    pub fwmark: Option<(u32, u32)>,
    /// Incoming interface by name; the kernel keeps the name of one that is not there.
    pub iif: Option<String>,
    /// Outgoing interface by name.
    pub oif: Option<String>,
    /// Id of a tunnel.
    pub tunnel_id: Option<u64>,
    /// Users, first and last.
    pub uids: Option<(u32, u32)>,
    /// IP protocol.
    pub ip_protocol: Option<u8>,
    /// Source ports, first and last.
    pub source_ports: Option<(u16, u16)>,
    /// Destination ports, first and last.
    pub destination_ports: Option<(u16, u16)>,
    /// Source realm in the upper half, destination realm in the lower.
    pub flow: Option<u32>,
    /// Routes of at most this length do not count.
    pub suppress_length: Option<u32>,
    /// Routes to interfaces of this group do not count.
    pub suppress_group: Option<u32>,
    /// What happens.
    pub action: Action,
    /// Who made it (FRA_PROTOCOL): 18 is ours.
    pub protocol: u8,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Look in this table.
    Table(u32),
    /// Look in the table of the packet's VRF.
    L3mdev,
    /// Go on with this rule.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drop in silence.
    Blackhole,
    /// Drop, with ICMP unreachable.
    Unreachable,
    /// Drop, with ICMP prohibited.
    Prohibit,
    /// One of others that is not told apart (FR_ACT_ number).
    Other(u8),
}

impl Rule {
    /// A rule for all packets of a family.
    pub const fn all(ipv6: bool, priority: u32, action: Action) -> Self {
        Self {
            ipv6,
            priority,
            invert: false,
            from: None,
            to: None,
            tos: 0,
            fwmark: None,
            iif: None,
            oif: None,
            tunnel_id: None,
            uids: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            flow: None,
            suppress_length: None,
            suppress_group: None,
            action,
            protocol: super::address::PROTOCOL,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.priority)?;
        if self.ipv6 {
            f.write_str(" (IPv6)")?;
        }
        if let Some((address, length)) = self.from {
            write!(f, " from {address}/{length}")?;
        }
        if let Some((address, length)) = self.to {
            write!(f, " to {address}/{length}")?;
        }
        if let Some((mark, _)) = self.fwmark {
            write!(f, " fwmark {mark:#x}")?;
        }
        match self.action {
            Action::Table(table) => write!(f, " table {table}"),
            Action::L3mdev => f.write_str(" l3mdev"),
            Action::Goto(target) => write!(f, " goto {target}"),
            Action::Nop => f.write_str(" nop"),
            Action::Blackhole => f.write_str(" blackhole"),
            Action::Unreachable => f.write_str(" unreachable"),
            Action::Prohibit => f.write_str(" prohibit"),
            Action::Other(number) => write!(f, " action {number}"),
        }
    }
}

/// One step towards the wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Take it away.
    Remove(Rule),
    /// Put it there.
    Add(Rule),
}

/// From what is there to what should be there; nothing outside `ours` goes. Additions from the highest number down:
/// a rule with goto comes after its target.
pub fn diff(actual: &BTreeSet<Rule>, wanted: &BTreeSet<Rule>, ours: &BTreeSet<Rule>) -> Vec<Change> {
    let gone = actual.iter().filter(|rule| ours.contains(*rule) && !wanted.contains(*rule));
    let mut changes: Vec<Change> = gone.cloned().map(Change::Remove).collect();
    let mut missing: Vec<&Rule> = wanted.difference(actual).collect();
    missing.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    changes.extend(missing.into_iter().cloned().map(Change::Add));
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> impl Strategy<Value = BTreeSet<Rule>> {
        let rule = (any::<bool>(), 0..3u32, 1..3u32, 0..2u8, any::<bool>()).prop_map(
            |(ipv6, priority, table, protocol, from)| Rule {
                from: from.then(|| ([10, 0, 0, 0].into(), 8)),
                protocol: if protocol == 0 { 18 } else { 3 },
                ..Rule::all(ipv6, priority, Action::Table(table))
            },
        );
        prop::collection::btree_set(rule, 0..8)
    }

    proptest! {
        #[test]
        fn applied_it_gives_the_wish_and_leaves_others_alone(actual in rules(), wanted in rules(), more in rules()) {
            let mut kernel = actual.clone();
            for change in diff(&actual, &wanted, &more) {
                match change {
                    Change::Remove(rule) => {
                        prop_assert!(more.contains(&rule), "{rule} is not ours");
                        prop_assert!(kernel.remove(&rule), "{rule} was not there");
                    }
                    Change::Add(rule) => prop_assert!(kernel.insert(rule), "it was there"),
                }
            }
            prop_assert!(wanted.is_subset(&kernel));
            let others: BTreeSet<Rule> = actual.difference(&more).cloned().collect();
            prop_assert!(others.is_subset(&kernel));
            prop_assert!(kernel.iter().all(|rule| wanted.contains(rule) || others.contains(rule)));
            prop_assert_eq!(diff(&kernel, &wanted, &more), vec![]);
        }
    }

    #[test]
    fn the_target_of_a_goto_comes_first() {
        let goto = Rule::all(false, 5, Action::Goto(9));
        let target = Rule::all(false, 9, Action::Table(7));
        let wanted = BTreeSet::from([goto.clone(), target.clone()]);
        let changes = diff(&BTreeSet::new(), &wanted, &BTreeSet::new());
        assert_eq!(changes, [Change::Add(target), Change::Add(goto)]);
    }
}
