//! Addresses: `IP[/LENGTH] [option …]`.

use std::fmt;
use std::net::Ipv4Addr;

use super::super::model::{Block, Broadcast, Scope, VirtualAddress};
use super::super::units::Prefix;
use super::numbers::name;
use super::words::{Read, Words};
use super::{ElementError, Short, flag, one_line, option};

/// Longest label, as the kernel keeps it.
const LONGEST_LABEL: usize = 15;

/// The longest prefix with an address to spare for a broadcast.
const LONGEST_BROADCAST: u8 = 30;

/// For "did you mean".
const OPTIONS: &[&str] = &[
    "brd",
    "broadcast",
    "dev",
    "scope",
    "label",
    "peer",
    "home",
    "mngtmpaddr",
    "noprefixroute",
    "autojoin",
    "-nodad",
    "no_track",
    "preferred_lft",
    "use_vmac",
    "track_group",
];

impl VirtualAddress {
    /// An address without options.
    pub const fn plain(address: Prefix) -> Self {
        Self {
            address,
            dev: None,
            broadcast: None,
            scope: None,
            label: None,
            peer: None,
            home: false,
            mngtmpaddr: false,
            noprefixroute: false,
            autojoin: false,
            detect_duplicates: false,
            no_track: false,
            preferred_lft: None,
            use_vmac: false,
            track_group: None,
        }
    }

    /// Reads an element of `virtual_ipaddress` or `virtual_ipaddress_excluded`, as [`Self::parse_in`].
    pub fn parse_words(words: &[&str]) -> (Option<Self>, Vec<ElementError>) {
        Self::parse(words, Some(Block::Virtual))
    }

    /// Reads `IP[/LENGTH] [option …]` (the rules of `ip address`). Wrong options are reported one by one and
    /// passed over; `None` only when the address itself cannot be read.
    pub fn parse_in(words: &[&str], block: Block) -> (Option<Self>, Vec<ElementError>) {
        Self::parse(words, Some(block))
    }

    /// Without a block the options of both are good.
    pub(super) fn parse(words: &[&str], block: Option<Block>) -> (Option<Self>, Vec<ElementError>) {
        let mut words = Words::new(words);
        let Some((first, text)) = words.next() else {
            words.error(0, "an address is missing");
            return (None, words.into_errors());
        };
        let mut va = match words.prefix(first, text) {
            Ok(prefix) => Self::plain(prefix),
            Err(problem) => {
                words.error(first, problem);
                return (None, words.into_errors());
            }
        };
        while let Some((here, option)) = words.next() {
            va.option(&mut words, here, option, block);
        }
        va.check_broadcast(&mut words);
        if va.peer.is_some() && va.address.length != Prefix::host(va.address.address).length {
            let problem =
                "the prefix length belongs to the peer: write IP peer IP/LENGTH, without one before it";
            words.error(0, problem);
            va.address = Prefix::host(va.address.address);
        }
        (Some(va), words.into_errors())
    }

    fn option(&mut self, words: &mut Words<'_>, here: usize, option: &str, block: Option<Block>) {
        let ipv6 = self.address.address.is_ipv6();
        match option {
            "dev" if self.dev.is_some() => {
                words.error(here, "the device is named twice: the first one counts");
                words.value(here);
            }
            "dev" => {
                words.read(here, &mut self.dev, name);
            }
            "brd" | "broadcast" if ipv6 => {
                words.error(here, "IPv6 has no broadcast");
                words.value(here);
            }
            "brd" | "broadcast" => {
                words.read(here, &mut self.broadcast, broadcast);
            }
            "scope" => {
                words.read(here, &mut self.scope, |text| match text.parse()? {
                    Scope(1..) if ipv6 => Err("the kernel finds that of an IPv6 address itself".to_owned()),
                    scope => Ok(scope),
                });
            }
            "label" if ipv6 => {
                words.error(here, "an IPv6 address has no label");
                words.value(here);
            }
            "label" => {
                words.read(here, &mut self.label, label);
            }
            "peer" => self.read_peer(words, here),
            "preferred_lft" => {
                words.read(here, &mut self.preferred_lft, str::parse);
            }
            "home" => self.home = true,
            "mngtmpaddr" => self.mngtmpaddr = true,
            "noprefixroute" => self.noprefixroute = true,
            "autojoin" => self.autojoin = true,
            "-nodad" => self.detect_duplicates = true,
            "no_track" => self.no_track = true,
            "use_vmac" if block == Some(Block::Static) => {
                words.error(here, "\"use_vmac\" is for virtual addresses: a static one has no VMAC");
            }
            "use_vmac" => self.use_vmac = true,
            "track_group" => words.track_group(here, &mut self.track_group, block),
            _ => {
                words.no_option(here, "an address", OPTIONS);
            }
        }
    }

    /// What `brd` cannot be beside the rest, in whatever order it is written.
    fn check_broadcast(&mut self, words: &mut Words<'_>) {
        let length = self.address.length;
        let computed = matches!(self.broadcast, Some(Broadcast::Plus | Broadcast::Minus));
        let problem = if self.broadcast.is_some() && self.peer.is_some() {
            "an address with a peer has no broadcast".to_owned()
        } else if computed && length > LONGEST_BROADCAST {
            format!("there is no broadcast to compute in a /{length}: write a shorter prefix length")
        } else {
            return;
        };
        words.error(words.last_of(&["brd", "broadcast"]), problem);
        self.broadcast = None;
    }

    fn read_peer(&mut self, words: &mut Words<'_>, here: usize) {
        let family = self.address.address.is_ipv6();
        words.read(here, &mut self.peer, |text| {
            let peer: Prefix = text.parse()?;
            if peer.address.is_ipv6() == family {
                return Ok(peer);
            }
            Err(format!("{} is of the other family than the address", peer.address))
        });
    }

    /// An option that does not belong into this block. In YAML, where both blocks have one type, this is what
    /// is left to check.
    pub fn misplaced(&self, block: Block) -> Option<&'static str> {
        match block {
            Block::Virtual => self.track_group.is_some().then_some("track_group"),
            Block::Static => self.use_vmac.then_some("use_vmac"),
        }
    }

    /// The options that are set and that nothing acts on yet.
    pub fn not_acted_on(&self) -> Vec<&'static str> {
        if self.use_vmac { vec!["use_vmac"] } else { Vec::new() }
    }

    /// The broadcast address that `brd` asks for.
    pub fn broadcast_address(&self) -> Option<Ipv4Addr> {
        let std::net::IpAddr::V4(address) = self.address.address else { return None };
        let host_bits = u32::MAX.checked_shr(u32::from(self.address.length)).unwrap_or(0);
        match self.broadcast? {
            Broadcast::Plus => Some(Ipv4Addr::from(u32::from(address) | host_bits)),
            Broadcast::Minus => Some(Ipv4Addr::from(u32::from(address) & !host_bits)),
            Broadcast::Address(address) => Some(address),
        }
    }
}

impl Words<'_> {
    /// `track_group NAME`, which only static elements have.
    pub(super) fn track_group(&mut self, here: usize, slot: &mut Option<String>, block: Option<Block>) {
        if block == Some(Block::Virtual) {
            let problem = "\"track_group\" is for static_… blocks: what is virtual follows its own instance";
            self.error(here, problem);
            self.value(here);
        } else {
            self.read(here, slot, name);
        }
    }
}

fn broadcast(text: &str) -> Read<Broadcast> {
    match text {
        "+" => Ok(Broadcast::Plus),
        "-" => Ok(Broadcast::Minus),
        _ => text
            .parse()
            .map(Broadcast::Address)
            .map_err(|_| format!("\"{text}\" is not an IPv4 address: write one, or + or -")),
    }
}

fn label(text: &str) -> Read<String> {
    if text.len() > LONGEST_LABEL {
        return Err(format!("\"{text}\" is too long: at most {LONGEST_LABEL} characters"));
    }
    name(text)
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Short(&self.address))?;
        option(f, "peer", self.peer.as_ref().map(Short))?;
        match self.broadcast {
            None => {}
            Some(Broadcast::Plus) => f.write_str(" brd +")?,
            Some(Broadcast::Minus) => f.write_str(" brd -")?,
            Some(Broadcast::Address(address)) => write!(f, " brd {address}")?,
        }
        option(f, "dev", self.dev.as_ref())?;
        option(f, "scope", self.scope)?;
        option(f, "label", self.label.as_ref())?;
        option(f, "preferred_lft", self.preferred_lft)?;
        flag(f, "home", self.home)?;
        flag(f, "mngtmpaddr", self.mngtmpaddr)?;
        flag(f, "noprefixroute", self.noprefixroute)?;
        flag(f, "autojoin", self.autojoin)?;
        flag(f, "-nodad", self.detect_duplicates)?;
        flag(f, "use_vmac", self.use_vmac)?;
        flag(f, "no_track", self.no_track)?;
        option(f, "track_group", self.track_group.as_ref())
    }
}

one_line!(
    VirtualAddress,
    "VirtualAddress",
    "IP[/LENGTH] [peer IP] [brd IP|+|-] [dev IF] [scope S] [label L] [preferred_lft N|forever] [no_track] [option …]"
);

#[cfg(test)]
mod tests;
