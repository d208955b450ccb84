//! What the kernel of a director must be set to for the services of a configuration: what it needs, what of that this
//! machine lacks, and what `director_sysctl` sets. Pure; [`look`] reads the machine, the device writer ([`elsewhere`] where IPVS is in another network
//! namespace) sets and puts back.
//!
//! | setting | wanted where | and else |
//! | --- | --- | --- |
//! | `ip_forward` 1 (`ipv6.conf.all.forwarding`) | NAT to another machine | the answers are dropped here |
//! | `vs.expire_nodest_conn` 1 | always | who talked to a removed server gets no answer for minutes |
//! | `vs.expire_quiescent_template` 1 | persistence, and weight 0 for what is down | clients stay with a dead server |
//! | `vs.conn_reuse_mode` not 0 | always | a re-used client port goes to the old server, dead or not |
//! | `vs.conntrack` 0 | no NAT (told, not set) | each packet is tracked for nothing |
//! | `vs.sloppy_tcp` 1 | `sh`, `mh`, two directors, no sync daemon | open connections die at a takeover |
//! | `vs.sync_threshold` with a period, or `vs.sync_refresh_period` (told, not set) | a sync daemon | each connection is told of once, and a lost datagram never made good |
//! | `arp_ignore` 1, `arp_announce` 2 | a DR or TUN server that is this machine | it claims the virtual address as BACKUP |
//! | `tunl0.rp_filter` not 1 | a TUN server that is this machine | what comes out of the tunnel is dropped |

pub mod elsewhere;
mod here;
pub mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::config::diagnostic::{Diagnostic, Level, Place};
use crate::config::model::{Config, Method, RealServer, Scheduler, VirtualServer};
use crate::net::sysctl::{Key, Wish};

use super::reload::service_name;

/// What was found on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The settings that [`settings`] names, as the kernel writes them. What does not exist is not in it.
    pub values: BTreeMap<Key, String>,
    /// Addresses with their interfaces.
    pub addresses: Addresses,
}

/// Addresses of a machine with their interfaces.
pub type Addresses = BTreeMap<IpAddr, BTreeSet<String>>;

/// What a setting must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// This value.
    Is(i32),
    /// This value or more, of the interface or of `all`: the kernel takes the larger one.
    LargerAtLeast(i32),
    /// Not 1, as the larger of the interface's and that of `all`: `rp_filter`, of which 2 is the looser form.
    NotStrict,
    /// Of two numbers the second is not 0, or `sync_refresh_period` is not: connections are told of again.
    Repeats,
}

impl Rule {
    /// What to write, as a wish; `None` = two numbers, which are told and not set.
    const fn wish(self) -> Option<Wish> {
        match self {
            Self::Is(value) => Some(Wish::Exactly(value)),
            Self::LargerAtLeast(value) => Some(Wish::AtLeast(value)),
            Self::NotStrict => Some(Wish::AtLeast(2)),
            Self::Repeats => None,
        }
    }

    /// What to write, as text.
    fn value(self) -> String {
        match self {
            Self::Is(value) | Self::LargerAtLeast(value) => value.to_string(),
            Self::NotStrict => "2".to_owned(),
            Self::Repeats => "3 50".to_owned(),
        }
    }

    /// The other setting that counts.
    fn partner(self, key: &Key) -> Option<Key> {
        match self {
            Self::Is(_) => None,
            Self::LargerAtLeast(_) | Self::NotStrict => {
                Some(Key { interface: "all".to_owned(), ..key.clone() })
            }
            Self::Repeats => Some(Key::vs("sync_refresh_period")),
        }
    }

    /// True when it is kept, or nobody can tell.
    fn is_kept(self, key: &Key, values: &BTreeMap<Key, String>) -> bool {
        let number = |key: &Key| values.get(key).and_then(|text| text.parse::<i32>().ok());
        let partner = self.partner(key);
        let partner = || partner.as_ref().and_then(number).unwrap_or(0);
        if self == Self::Repeats {
            let period = values.get(key).and_then(|text| text.split_whitespace().nth(1));
            return period.is_none_or(|period| period != "0") || partner() > 0;
        }
        let Some(value) = number(key) else { return true };
        match self {
            Self::Is(wanted) => value == wanted,
            Self::LargerAtLeast(least) => value.max(partner()) >= least,
            Self::NotStrict | Self::Repeats => value.max(partner()) != 1,
        }
    }
}

/// A setting that these services need.
#[derive(Clone, Debug)]
struct Need {
    key: Key,
    rule: Rule,
    level: Level,
    place: Option<Place>,
    /// Who needs it: `virtual_server 10.0.0.100 80 TCP forwards by NAT`.
    why: String,
    /// What happens without it.
    without: &'static str,
    /// `director_sysctl` sets it; else it is told only.
    sets: bool,
}

/// The settings to read.
pub fn settings(config: &Config, addresses: &Addresses) -> BTreeSet<Key> {
    let needs = needs(config, addresses);
    needs.into_iter().flat_map(|need| [need.rule.partner(&need.key), Some(need.key)]).flatten().collect()
}

/// What this machine lacks, with the line to write; what `director_sysctl` sets is left out.
pub fn judge(config: &Config, facts: &Facts) -> Vec<Diagnostic> {
    let sets = config.global_defs.director_sysctl == Some(true);
    let mut findings: Vec<Diagnostic> = needs(config, &facts.addresses)
        .into_iter()
        .filter(|need| !(sets && need.sets || need.rule.is_kept(&need.key, &facts.values)))
        .map(|need| {
            let now = facts.values.get(&need.key).map_or("", String::as_str);
            let line = format!("{} = {}", need.key, need.rule.value());
            let switch = if need.sets { ", or director_sysctl on into global_defs" } else { "" };
            Diagnostic {
                level: need.level,
                place: need.place,
                code: "kernel-setting",
                problem: format!(
                    "{} is {} on this machine, and {}",
                    need.key,
                    now.replace('\t', " "),
                    need.why
                ),
                consequence: need.without.to_owned(),
                fix: format!(
                    "write \"{line}\" into /etc/sysctl.d/90-tandem.conf and run sysctl --system{switch}"
                ),
            }
        })
        .collect();
    findings.extend(here::judge(config, &facts.addresses));
    findings
}

/// What `director_sysctl on` has set, and put back at stop; nothing without it.
pub fn wishes(config: &Config, addresses: &Addresses) -> BTreeMap<Key, Wish> {
    if config.global_defs.director_sysctl != Some(true) {
        return BTreeMap::new();
    }
    let needs = needs(config, addresses).into_iter().filter(|need| need.sets);
    needs.filter_map(|need| Some((need.key, need.rule.wish()?))).collect()
}

/// Each setting once, for the first service that needs it.
fn needs(config: &Config, addresses: &Addresses) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    let add = |needs: &mut Vec<Need>, need: Need| {
        if needs.iter().all(|known| known.key != need.key) {
            needs.push(need);
        }
    };
    let syncs = config.global_defs.lvs_sync_daemon.is_some()
        || config.vrrp_instance.iter().any(|instance| instance.lvs_sync_daemon_interface.is_some());
    let all = &config.virtual_server;
    for server in all {
        // Of ten thousand that need the same only the first one is put into words.
        let need = |needs: &mut Vec<Need>, key, rule, level, what: &str, without| {
            if needs.iter().all(|known| known.key != key) {
                needs.push(Need {
                    key,
                    rule,
                    level,
                    place: server.place(),
                    why: format!("virtual_server {} {what}", service_name(server)),
                    without,
                    sets: true,
                });
            }
        };
        let warning = Level::Warning;
        if let Some(real) = away_by_nat(server, addresses) {
            let without = "the answers of its real servers are dropped here";
            let key = if real.is_ipv6() { Key::v6("all", "forwarding") } else { Key::v4("", "ip_forward") };
            need(&mut needs, key, Rule::Is(1), warning, "forwards by NAT", without);
        }
        let inhibits = server.inhibit_on_failure
            || server.sorry_server_inhibit
            || server.real_server.iter().any(|real| real.inhibit_on_failure == Some(true));
        if server.persistence_timeout.is_some() && inhibits {
            let without = "a client stays with its server though that has failed (weight 0)";
            let what = "is persistent and keeps failed servers with weight 0";
            let key = Key::vs("expire_quiescent_template");
            need(&mut needs, key, Rule::Is(1), Level::Advice, what, without);
        }
        let hashes = matches!(server.lb_algo, Some(Scheduler::Sh | Scheduler::Mh));
        if hashes && !config.vrrp_instance.is_empty() && !syncs {
            let without = "after a takeover the open connections end, though the other director would choose the same servers";
            let what = "chooses by the client's address";
            need(&mut needs, Key::vs("sloppy_tcp"), Rule::Is(1), Level::Advice, what, without);
        }
        for need in here::needs(config, server, addresses) {
            add(&mut needs, need);
        }
    }
    let Some(first) = all.first() else { return needs };
    let need = |name, rule, why: &str, without, sets| Need {
        key: Key::vs(name),
        rule,
        level: Level::Advice,
        place: first.place(),
        why: why.to_owned(),
        without,
        sets,
    };
    let balances = "it balances";
    let without = "who talked to a server that left the table gets no answer until the connection times out";
    needs.push(need("expire_nodest_conn", Rule::Is(1), balances, without, true));
    let reuse = need(
        "conn_reuse_mode",
        Rule::LargerAtLeast(1),
        balances,
        "a new connection from a port that was used before goes to the old server, dead or not",
        true,
    );
    needs.push(reuse);
    if !all.iter().any(|server| methods(server).any(|method| method == Method::Nat)) {
        let without = "every packet costs time for nothing, unless your own filter goes by connections";
        needs.push(need("conntrack", Rule::Is(0), "no virtual_server forwards by NAT", without, false));
    }
    if syncs {
        let without = "each connection is told of once: a datagram that is lost is never made good";
        needs.push(need("sync_threshold", Rule::Repeats, "it has a sync daemon", without, false));
    }
    needs
}

/// The forwarding methods of its servers; NAT where the file says nothing.
fn methods(server: &VirtualServer) -> impl Iterator<Item = Method> + '_ {
    let sorry = server.sorry_server.iter().map(|_| server.sorry_server_lvs_method.or(server.lb_kind));
    let sorry = sorry.map(|method| method.unwrap_or(Method::Nat));
    server.real_server.iter().map(|real| method(server, real)).chain(sorry)
}

fn method(server: &VirtualServer, real: &RealServer) -> Method {
    real.lvs_method.or(server.lb_kind).unwrap_or(Method::Nat)
}

/// The first real server on another machine that packets are translated for.
fn away_by_nat(server: &VirtualServer, addresses: &Addresses) -> Option<IpAddr> {
    let reals = server.real_server.iter().filter(|real| method(server, real) == Method::Nat);
    let sorry = server.sorry_server.iter();
    let sorry = sorry
        .filter(|_| server.sorry_server_lvs_method.or(server.lb_kind).unwrap_or(Method::Nat) == Method::Nat);
    let mut all = reals.map(|real| real.address).chain(sorry.map(|sorry| sorry.address));
    all.find(|address| !has(addresses, *address))
}

/// Is this one of the machine's addresses?
fn has(addresses: &Addresses, address: IpAddr) -> bool {
    address.is_loopback() || addresses.contains_key(&address)
}

#[cfg(test)]
mod tests;
