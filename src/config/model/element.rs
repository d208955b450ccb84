//! Elements that are one line of text: addresses, routes, rules.

use std::net::Ipv4Addr;

use crate::config::units::Prefix;

/// One element of `virtual_ipaddress`: `IP[/MASK] [brd IP|+|-] [dev IF] [scope S] [label L] …`. In YAML it is
/// that same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualAddress {
    /// Address with prefix length; without a mask /32 or /128.
    pub address: Prefix,
    /// `dev`; else the instance's interface.
    pub dev: Option<String>,
    /// `brd` / `broadcast`.
    pub broadcast: Option<Broadcast>,
    /// `scope`; default global.
    pub scope: Option<Scope>,
    /// `label`, IPv4 only, below 16 characters.
    pub label: Option<String>,
    /// `peer`.
    pub peer: Option<Prefix>,
    /// `no_track`: its loss is nothing to the instance.
    pub no_track: bool,
}

/// `brd` of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broadcast {
    /// `+`: all host bits set.
    Plus,
    /// `-`: all host bits clear.
    Minus,
    /// As written.
    Address(Ipv4Addr),
}

/// `scope` of an address, as rtnetlink's number (0 global, 200 site, 253 link, 254 host, 255 nowhere).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope(pub u8);

/// One element of `virtual_routes`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Route(pub String);

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One element of `virtual_rules`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Rule(pub String);

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
