//! Rules: what they select, and one action.

use std::fmt;

use super::super::model::{Block, Family, Named, Rule, RuleAction};
use super::super::units::Prefix;
use super::numbers::{decimal, dsfield_text, name, range, range_text, word32};
use super::route::protocol_remark;
use super::words::Words;
use super::{ElementError, Remark, Short, flag, one_line, option};

/// For "did you mean".
const OPTIONS: &[&str] = &[
    "inet",
    "inet6",
    "not",
    "from",
    "to",
    "table",
    "lookup",
    "preference",
    "order",
    "priority",
    "tos",
    "dsfield",
    "fwmark",
    "realms",
    "suppress_prefixlength",
    "sup_pl",
    "suppress_ifgroup",
    "sup_group",
    "dev",
    "iif",
    "oif",
    "l3mdev",
    "tunnel-id",
    "uidrange",
    "protocol",
    "ipproto",
    "sport",
    "dport",
    "goto",
    "nop",
    "type",
    "blackhole",
    "unreachable",
    "prohibit",
    "no_track",
    "track_group",
];

/// Longest prefix length that a rule may suppress.
const LONGEST_PREFIX: u64 = 128;

/// The kernel keeps the group of a rule with a sign.
const FIRST_BAD_GROUP: u32 = 1 << 31;

/// A rule half read, with the places of the words that may yet prove wrong.
struct Draft {
    rule: Rule,
    action: Option<(usize, RuleAction)>,
    family: Option<(usize, Family)>,
    to: usize,
    /// Options that only a lookup in a table has.
    lookup_only: Vec<(usize, &'static str)>,
}

impl Rule {
    /// A rule for all IPv4 packets.
    pub const fn all(action: RuleAction) -> Self {
        Self {
            family: Family::Inet,
            not: false,
            from: None,
            to: None,
            tos: None,
            fwmark: None,
            iif: None,
            oif: None,
            tunnel_id: None,
            uidrange: None,
            ipproto: None,
            sport: None,
            dport: None,
            realms: None,
            preference: None,
            protocol: None,
            suppress_prefixlength: None,
            suppress_ifgroup: None,
            action,
            no_track: false,
            track_group: None,
        }
    }

    /// Reads an element of `virtual_rules` or `static_rules` (the rules of `ip rule`). Wrong options are
    /// reported one by one. `None` when something is wrong without which the rule would take other packets or
    /// lead them elsewhere: what it selects, its action, its preference, and words that are no option.
    pub fn parse_in(words: &[&str], block: Block) -> (Option<Self>, Vec<ElementError>) {
        Self::parse(words, Some(block))
    }

    /// Without a block the options of both are good.
    pub(super) fn parse(words: &[&str], block: Option<Block>) -> (Option<Self>, Vec<ElementError>) {
        let mut words = Words::new(words);
        let mut draft = Draft {
            rule: Self::all(RuleAction::Nop),
            action: None,
            family: None,
            to: 0,
            lookup_only: Vec::new(),
        };
        while let Some((here, option)) = words.next() {
            draft.option(&mut words, here, option, block);
        }
        let rule = draft.finish(&mut words);
        let rule = if words.unusable { None } else { rule };
        (rule, words.into_errors())
    }

    /// An option that does not belong into this block. In YAML, where both blocks have one type, this is what
    /// is left to check.
    pub fn misplaced(&self, block: Block) -> Option<&'static str> {
        (block == Block::Virtual && self.track_group.is_some()).then_some("track_group")
    }

    /// What is odd about a rule that can be used: what does not happen, and what to write.
    pub fn remarks(&self) -> Vec<Remark> {
        let mut found = Vec::new();
        if self.preference.is_none() {
            let problem = "the rule has no preference and gets one downwards from 16384, hardly the one you want: \
                           write preference N";
            found.push(Remark::new("no-preference", problem));
        }
        found.extend(self.protocol.as_ref().and_then(|p| protocol_remark(p, self.no_track)));
        found
    }

    /// The interfaces that it names.
    pub fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.iif.as_deref().into_iter().chain(self.oif.as_deref())
    }
}

impl Draft {
    fn option(&mut self, words: &mut Words<'_>, here: usize, option: &str, block: Option<Block>) {
        let rule = &mut self.rule;
        match option {
            "inet" => self.family = Some((here, Family::Inet)),
            "inet6" => self.family = Some((here, Family::Inet6)),
            "not" => rule.not = true,
            "from" => rule.from = words.selector(here),
            "to" => {
                self.to = here;
                rule.to = words.selector(here);
            }
            "tos" | "dsfield" => {
                words.must(here, &mut rule.tos, str::parse);
            }
            "fwmark" => {
                words.must(here, &mut rule.fwmark, str::parse);
            }
            "dev" | "iif" => {
                words.must(here, &mut rule.iif, name);
            }
            "oif" => {
                words.must(here, &mut rule.oif, name);
            }
            "tunnel-id" => {
                words.must(here, &mut rule.tunnel_id, decimal(0, u64::MAX));
            }
            "uidrange" => {
                words.must(here, &mut rule.uidrange, range(0, u32::MAX.into(), false));
            }
            "ipproto" => {
                words.must(here, &mut rule.ipproto, str::parse);
            }
            "sport" => {
                words.must(here, &mut rule.sport, range(1, u16::MAX.into(), true));
            }
            "dport" => {
                words.must(here, &mut rule.dport, range(1, u16::MAX.into(), true));
            }
            "realms" => {
                self.lookup_only.push((here, "realms"));
                words.read(here, &mut rule.realms, str::parse);
            }
            "preference" | "order" | "priority" => {
                words.must(here, &mut rule.preference, word32);
            }
            "protocol" => {
                words.read(here, &mut rule.protocol, str::parse);
            }
            "suppress_prefixlength" | "sup_pl" => {
                self.lookup_only.push((here, "suppress_prefixlength"));
                words.must(here, &mut rule.suppress_prefixlength, decimal(0, LONGEST_PREFIX));
            }
            "suppress_ifgroup" | "sup_group" => {
                self.lookup_only.push((here, "suppress_ifgroup"));
                words.must(here, &mut rule.suppress_ifgroup, |text| match text.parse()? {
                    Named::Number(FIRST_BAD_GROUP..) => {
                        Err(format!("\"{text}\" is no group: write a name, or a number below 2147483648"))
                    }
                    group => Ok(group),
                });
            }
            "no_track" => rule.no_track = true,
            "track_group" => words.track_group(here, &mut rule.track_group, block),
            "type" => self.named_action(words, here),
            _ => match action(words, here, option) {
                Some(action) => self.act(words, here, action),
                None if words.unusable => {}
                None => words.unknown(here, "a rule", OPTIONS),
            },
        }
    }

    /// `type ACTION`.
    fn named_action(&mut self, words: &mut Words<'_>, here: usize) {
        let found = words.value(here);
        words.unusable |= found.is_none();
        let Some((at, text)) = found else { return };
        match text {
            "blackhole" | "unreachable" | "prohibit" | "nop" | "goto" => {
                if let Some(action) = action(words, at, text) {
                    self.act(words, at, action);
                }
            }
            _ => words.fatal(
                at,
                format!("type: \"{text}\" is no action of a rule: write blackhole, unreachable or prohibit"),
            ),
        }
    }

    fn act(&mut self, words: &mut Words<'_>, here: usize, action: RuleAction) {
        if self.action.is_some() {
            words.fatal(here, "the rule has two actions: write one of table, l3mdev, goto, nop, blackhole, unreachable, prohibit");
        }
        self.action = Some((here, action));
    }

    fn finish(mut self, words: &mut Words<'_>) -> Option<Rule> {
        let mut rule = self.rule;
        let Some((at, action)) = self.action else {
            if !words.unusable {
                words.fatal_named("no-action", 0, "the rule does nothing: write table T, or another action");
            }
            return None;
        };
        rule.action = action;
        let of = |prefix: Prefix| if prefix.address.is_ipv6() { Family::Inet6 } else { Family::Inet };
        if let (Some(from), Some(to)) = (rule.from, rule.to)
            && of(from) != of(to)
        {
            words.fatal_named(
                "other-family",
                self.to,
                format!("from {from} and to {to} are of two families"),
            );
        }
        let prefix = rule.from.or(rule.to).map(of);
        rule.family = prefix.or(self.family.map(|(_, family)| family)).unwrap_or(Family::Inet);
        if let Some((at, _)) = self.family.filter(|(_, family)| *family != rule.family) {
            words.fatal(at, "the prefixes of the rule are of the other family: remove this word");
        }
        if rule.family == Family::Inet6 && rule.realms.take().is_some() {
            words.error(words.last_of(&["realms"]), "realms are for IPv4");
            self.lookup_only.retain(|(_, option)| *option != "realms");
        }
        match (&rule.action, rule.preference) {
            (RuleAction::Goto(_), None) => {
                words.fatal(
                    at,
                    "a rule with goto needs a preference, lower than the target: write preference N",
                );
            }
            (RuleAction::Goto(target), Some(own)) if own >= *target => {
                words.fatal(
                    at,
                    format!("goto {target} does not lead further down: the rule's preference is {own}"),
                );
            }
            (RuleAction::Table(_) | RuleAction::L3mdev, _) => {}
            _ => {
                for (at, option) in self.lookup_only {
                    words.error(at, format!("{option} is for rules with a table"));
                }
                (rule.realms, rule.suppress_prefixlength, rule.suppress_ifgroup) = (None, None, None);
            }
        }
        Some(rule)
    }
}

/// The action that this word begins.
fn action(words: &mut Words<'_>, here: usize, word: &str) -> Option<RuleAction> {
    let mut found = None;
    match word {
        "table" | "lookup" => {
            words.must(here, &mut found, |text| match text.parse()? {
                Named::Number(0) => Err("there is no table 0".to_owned()),
                table => Ok(RuleAction::Table(table)),
            });
        }
        "goto" => {
            words.must(here, &mut found, |text| word32(text).map(RuleAction::Goto));
        }
        "l3mdev" => found = Some(RuleAction::L3mdev),
        "nop" => found = Some(RuleAction::Nop),
        "blackhole" => found = Some(RuleAction::Blackhole),
        "unreachable" => found = Some(RuleAction::Unreachable),
        "prohibit" => found = Some(RuleAction::Prohibit),
        _ => {}
    }
    found
}

impl Words<'_> {
    /// `PREFIX`, or `all`.
    fn selector(&mut self, here: usize) -> Option<Prefix> {
        let Some((at, text)) = self.value(here) else {
            self.unusable = true;
            return None;
        };
        if matches!(text, "all" | "any" | "default") {
            return None;
        }
        match self.prefix(at, text) {
            Ok(prefix) => Some(prefix),
            Err(problem) => {
                self.fatal_named("bad-address", at, format!("{problem}: write IP/LENGTH or all"));
                None
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which option comes first depends on the rule, so all come with a blank before them.
        f.write_str(Line(self).to_string().trim_start())
    }
}

struct Line<'a>(&'a Rule);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.0;
        flag(f, "not", rule.not)?;
        option(f, "from", rule.from.as_ref().map(Short))?;
        option(f, "to", rule.to.as_ref().map(Short))?;
        option(f, "tos", rule.tos.as_ref().map(dsfield_text))?;
        option(f, "fwmark", rule.fwmark)?;
        option(f, "iif", rule.iif.as_ref())?;
        option(f, "oif", rule.oif.as_ref())?;
        option(f, "tunnel-id", rule.tunnel_id)?;
        option(f, "uidrange", rule.uidrange.as_ref().map(range_text))?;
        option(f, "ipproto", rule.ipproto.as_ref())?;
        option(f, "sport", rule.sport.as_ref().map(range_text))?;
        option(f, "dport", rule.dport.as_ref().map(range_text))?;
        option(f, "realms", rule.realms.as_ref())?;
        option(f, "preference", rule.preference)?;
        option(f, "protocol", rule.protocol.as_ref())?;
        option(f, "suppress_prefixlength", rule.suppress_prefixlength)?;
        option(f, "suppress_ifgroup", rule.suppress_ifgroup.as_ref())?;
        match &rule.action {
            RuleAction::Table(table) => write!(f, " table {table}")?,
            RuleAction::L3mdev => f.write_str(" l3mdev")?,
            RuleAction::Goto(target) => write!(f, " goto {target}")?,
            RuleAction::Nop => f.write_str(" nop")?,
            RuleAction::Blackhole => f.write_str(" blackhole")?,
            RuleAction::Unreachable => f.write_str(" unreachable")?,
            RuleAction::Prohibit => f.write_str(" prohibit")?,
        }
        flag(f, "no_track", rule.no_track)?;
        option(f, "track_group", rule.track_group.as_ref())?;
        // Last, where keepalived 2.2 takes it: anywhere else it passes over the word after it.
        let hidden = rule.family == Family::Inet6 && rule.from.is_none() && rule.to.is_none();
        flag(f, "inet6", hidden)
    }
}

one_line!(
    Rule,
    "Rule",
    "[not] [from PREFIX] [to PREFIX] [fwmark N[/MASK]] [iif IF] [oif IF] [table T] [priority N] [option …] [ACTION]"
);

#[cfg(test)]
mod tests;
