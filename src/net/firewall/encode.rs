//! Steps of a transaction to nftables messages. The expressions are those that `nft --debug=netlink` shows for the
//! same rules.

use super::expression::{
    EQUAL, FIRST, META_L4PROTO, NETWORK, NOT_ABOVE, NOT_BELOW, SECOND, TRANSPORT, compare, expression,
    lookup, meta, payload,
};
use super::marks::Transport;
use super::wire::{Attributes, BATCH_BEGIN, BATCH_END, Batch, F_ACK, F_APPEND, F_CREATE, nft};
use super::{Content, Elements, Family, NAME_BYTES, SetName, Shape, Step, marks};

pub(super) const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;
pub(super) const GETRULE: u16 = 7;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
pub(super) const GETSETELEM: u16 = 13;
const DELSETELEM: u16 = 14;
pub(super) const GETGEN: u16 = 16;
pub(super) const GETTABLE: u16 = 1;

/// Elements in one message: an attribute holds less than 64 KiB, and one element at most 76 bytes.
const PORTION: usize = 800;
const SUBSYSTEM: u16 = 10;
/// Protocol and message numbers.
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const MLD2_REPORT: u8 = 143;
const ROUTER_SOLICITATION: u8 = 133;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

pub(super) const fn number(family: Family) -> u8 {
    match family {
        Family::Ip => 2,
        Family::Ip6 => 10,
    }
}

/// The two chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    In,
    Out,
}

impl Chain {
    const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT.
    const fn hook(self) -> u32 {
        match self {
            Self::In => 1,
            Self::Out => 3,
        }
    }
}

/// What a rule is for. Its comment says so to people, and to us when we read the table back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Reports,
    RouterSolicitations,
    Neighbours,
    BlockedOn,
    Blocked,
    Mark(Transport),
}

impl Purpose {
    const fn comment(self) -> &'static str {
        match self {
            Self::Reports => "multicast reports leave by the parent",
            Self::RouterSolicitations => "no router solicitations from VMACs",
            Self::Neighbours => "neighbour discovery",
            Self::BlockedOn => "no_accept, link-local",
            Self::Blocked => "no_accept",
            Self::Mark(transport) => transport.comment(),
        }
    }
}

/// The rules of a table, in order.
fn rules(family: Family, shape: &Shape) -> Vec<(Chain, Purpose)> {
    if shape.content == Content::Marks {
        return shape.marks.iter().map(|transport| (Chain::In, Purpose::Mark(*transport))).collect();
    }
    let mut all = Vec::new();
    if shape.reports {
        all.push((Chain::Out, Purpose::Reports));
    }
    if family == Family::Ip6 {
        all.push((Chain::Out, Purpose::RouterSolicitations));
        for chain in [Chain::Out, Chain::In] {
            all.push((chain, Purpose::Neighbours));
            all.push((chain, Purpose::BlockedOn));
        }
    }
    all.push((Chain::Out, Purpose::Blocked));
    all.push((Chain::In, Purpose::Blocked));
    all
}

/// How the rules read back: chain and comment, sorted by chain, in order within it.
pub(super) fn expected_rules(family: Family, shape: &Shape) -> Vec<(String, String)> {
    let mut all: Vec<_> = rules(family, shape)
        .into_iter()
        .map(|(chain, purpose)| (chain.name().to_owned(), purpose.comment().to_owned()))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The transaction's datagram, and what each message is for: the answer with sequence number `first + n` belongs to
/// the n-th.
pub(super) fn transaction(steps: &[Step], first: u32) -> (Vec<u8>, Vec<String>) {
    let mut writer = Writer { batch: Batch::default(), labels: Vec::new(), first };
    writer.frame(BATCH_BEGIN);
    for step in steps {
        writer.step(step);
    }
    writer.frame(BATCH_END);
    (writer.batch.bytes, writer.labels)
}

struct Writer {
    batch: Batch,
    labels: Vec<String>,
    first: u32,
}

impl Writer {
    fn sequence(&mut self, label: String) -> u32 {
        let sequence = self.first.wrapping_add(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        self.labels.push(label);
        sequence
    }

    fn frame(&mut self, kind: u16) {
        let sequence = self.sequence("the transaction".to_owned());
        self.batch.message(kind, 0, sequence, 0, SUBSYSTEM, |_| {});
    }

    fn add(
        &mut self,
        label: String,
        kind: u16,
        flags: u16,
        family: Family,
        body: impl FnOnce(&mut Attributes<'_>),
    ) {
        let sequence = self.sequence(label);
        self.batch.message(nft(kind), flags | F_ACK, sequence, number(family), 0, body);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Drop(family, name) => self.drop(*family, name),
            Step::Make(family, name, shape) => {
                self.drop(*family, name);
                self.make(*family, name, shape);
            }
            Step::Add(family, name, set, elements) => {
                self.elements(NEWSETELEM, *family, name, *set, elements);
            }
            Step::Remove(family, name, set, elements) => {
                self.elements(DELSETELEM, *family, name, *set, elements);
            }
        }
    }

    /// Made first: the kernel refuses to delete what is not there, and with it the whole transaction.
    fn drop(&mut self, family: Family, name: &str) {
        let table = |a: &mut Attributes<'_>| a.text(1, name);
        self.add(format!("making table {family} {name}"), NEWTABLE, F_CREATE, family, table);
        self.add(format!("removing table {family} {name}"), DELTABLE, 0, family, table);
    }

    fn make(&mut self, family: Family, name: &str, shape: &Shape) {
        self.add(format!("making table {family} {name}"), NEWTABLE, F_CREATE, family, |a| a.text(1, name));
        let unused = |set: &&SetName| matches!(set, SetName::Marks(of) if !shape.marks.contains(of));
        let sets = SetName::of(shape.content, family).iter().filter(|set| !unused(set));
        for (id, set) in sets.enumerate() {
            let label = format!("making set {} in table {family} {name}", set.text());
            self.add(label, NEWSET, F_CREATE, family, |a| {
                a.text(1, name);
                a.text(2, set.text());
                let key = key_type(family, *set, shape.by_index);
                let spans = if matches!(set, SetName::Marks(_)) { marks::FLAGS } else { 0 };
                a.number(3, spans | if set.is_map() { FLAG_MAP } else { 0 });
                a.number(4, key.0);
                a.number(5, key.1);
                if set.is_map() {
                    a.number(6, if spans == 0 { TYPE_INDEX } else { marks::TYPE_MARK });
                    a.number(7, 4);
                }
                if spans != 0 {
                    marks::describe(a, family);
                }
                a.number(10, u32::try_from(id).unwrap_or(0) + 1);
                if set.is_map() {
                    a.bytes(13, if spans == 0 { &HOST_ORDER } else { &marks::VALUE_ORDER });
                }
            });
        }
        let both = [Chain::Out, Chain::In];
        for chain in if shape.content == Content::Marks { &both[1..] } else { &both } {
            let label = format!("making chain {} in table {family} {name}", chain.name());
            self.add(label, NEWCHAIN, F_CREATE, family, |a| {
                a.text(1, name);
                a.text(3, chain.name());
                a.nest(4, |a| {
                    a.number(1, chain.hook());
                    a.bytes(2, &shape.priority.to_be_bytes());
                });
                a.number(5, ACCEPT);
                a.text(7, "filter");
            });
        }
        for (chain, purpose) in rules(family, shape) {
            let label =
                format!("rule \"{}\" of chain {} in table {family} {name}", purpose.comment(), chain.name());
            self.add(label, NEWRULE, F_CREATE | F_APPEND, family, |a| {
                a.text(1, name);
                a.text(2, chain.name());
                a.nest(4, |a| expressions(a, family, chain, purpose, shape));
                let comment = purpose.comment().as_bytes();
                // Type 0 (comment), length, text with its NUL.
                let mut data = vec![0, u8::try_from(comment.len() + 1).unwrap_or(u8::MAX)];
                data.extend(comment);
                data.push(0);
                a.bytes(7, &data);
            });
        }
    }

    fn elements(&mut self, kind: u16, family: Family, name: &str, set: SetName, elements: &Elements) {
        let all: Vec<_> = elements.iter().collect();
        for portion in all.chunks(PORTION) {
            let verb = if kind == NEWSETELEM { "adding" } else { "removing" };
            let label = format!("{verb} {} of {} in table {family} {name}", portion.len(), set.text());
            let flags = if kind == NEWSETELEM { F_CREATE } else { 0 };
            self.add(label, kind, flags, family, |a| {
                a.text(1, name);
                a.text(2, set.text());
                a.nest(3, |a| {
                    for (key, value) in portion {
                        // A span: first and last key.
                        let spans = matches!(set, SetName::Marks(_));
                        let (first, last) = key.split_at(if spans { key.len() / 2 } else { key.len() });
                        a.nest(1, |a| {
                            a.nest(1, |a| a.bytes(1, first));
                            if spans {
                                a.nest(10, |a| a.bytes(1, last));
                            }
                            if !value.is_empty() {
                                a.nest(2, |a| a.bytes(1, value));
                            }
                        });
                    }
                });
            });
        }
    }
}

const FLAG_MAP: u32 = 8;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
/// Type numbers of the `nft` program, for its listings; the kernel does not look at them.
const TYPE_IPV4: u32 = 7;
const TYPE_IPV6: u32 = 8;
const TYPE_INDEX: u32 = 20;
const TYPE_NAME: u32 = 41;
/// Its note that key and value of a map have the machine's byte order.
const HOST_ORDER: [u8; 12] = {
    let one = 1u32.to_ne_bytes();
    [0, 4, one[0], one[1], one[2], one[3], 1, 4, one[0], one[1], one[2], one[3]]
};

/// Type and length of a set's key.
fn key_type(family: Family, set: SetName, by_index: bool) -> (u32, u32) {
    let name_bytes = u32::try_from(NAME_BYTES).unwrap_or(16);
    let interface = if by_index { (TYPE_INDEX, 4) } else { (TYPE_NAME, name_bytes) };
    match (set, family) {
        (SetName::Vmacs, _) => interface,
        (SetName::Blocked, Family::Ip) => (TYPE_IPV4, 4),
        (SetName::Blocked, Family::Ip6) => (TYPE_IPV6, 16),
        (SetName::BlockedOn, _) => (TYPE_IPV6 << 6 | interface.0, 16 + interface.1),
        (SetName::Marks(_), Family::Ip) => (TYPE_IPV4 << 6 | marks::TYPE_PORT, 8),
        (SetName::Marks(_), Family::Ip6) => (TYPE_IPV6 << 6 | marks::TYPE_PORT, 20),
    }
}

fn expressions(a: &mut Attributes<'_>, family: Family, chain: Chain, purpose: Purpose, shape: &Shape) {
    // META_IIF, META_OIF, META_IIFNAME, META_OIFNAME.
    let interface = match (chain, shape.by_index) {
        (Chain::In, true) => 4,
        (Chain::Out, true) => 5,
        (Chain::In, false) => 6,
        (Chain::Out, false) => 7,
    };
    // (offset, length) of source and destination in the network header.
    let (source, destination) = match family {
        Family::Ip => ((12, 4), (16, 4)),
        Family::Ip6 => ((8, 16), (24, 16)),
    };
    let own = if chain == Chain::In { destination } else { source };
    match purpose {
        Purpose::Reports => {
            match family {
                Family::Ip => {
                    payload(a, NETWORK, (9, 1), FIRST);
                    compare(a, EQUAL, IGMP);
                }
                Family::Ip6 => icmpv6(a, MLD2_REPORT),
            }
            payload(a, NETWORK, destination, FIRST);
            meta(a, interface, SECOND);
            lookup(a, SetName::Vmacs, SECOND, Some(SECOND));
            expression(a, "dup", |a| {
                a.number(1, FIRST);
                a.number(2, SECOND);
            });
        }
        Purpose::RouterSolicitations => {
            icmpv6(a, ROUTER_SOLICITATION);
            meta(a, interface, FIRST);
            // Only whether it is there: what the map says of it goes into a register that nobody reads.
            lookup(a, SetName::Vmacs, FIRST, Some(SECOND));
        }
        Purpose::Neighbours => {
            meta(a, META_L4PROTO, FIRST);
            compare(a, EQUAL, ICMPV6);
            payload(a, TRANSPORT, (0, 1), FIRST);
            compare(a, NOT_BELOW, NEIGHBOUR_SOLICITATION);
            compare(a, NOT_ABOVE, NEIGHBOUR_ADVERTISEMENT);
        }
        Purpose::BlockedOn => {
            payload(a, NETWORK, own, FIRST);
            meta(a, interface, SECOND);
            lookup(a, SetName::BlockedOn, FIRST, None);
        }
        Purpose::Blocked => {
            payload(a, NETWORK, own, FIRST);
            lookup(a, SetName::Blocked, FIRST, None);
        }
        Purpose::Mark(transport) => return marks::expressions(a, family, transport, shape.counters),
    }
    if shape.counters {
        expression(a, "counter", |_| {});
    }
    let verdict = if purpose == Purpose::Neighbours { ACCEPT } else { DROP };
    expression(a, "immediate", |a| {
        a.number(1, 0);
        a.nest(2, |a| a.nest(2, |a| a.number(1, verdict)));
    });
}

fn icmpv6(a: &mut Attributes<'_>, kind: u8) {
    meta(a, META_L4PROTO, FIRST);
    compare(a, EQUAL, ICMPV6);
    payload(a, TRANSPORT, (0, 1), FIRST);
    compare(a, EQUAL, kind);
}
