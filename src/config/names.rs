//! Numbers of the names that routes and rules use: tables, protocols, realms, scopes, DS fields, interface groups, as
//! /etc/iproute2 has them, and IP protocols as /etc/protocols has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the distribution's files are, where the file names no other place.
const USR_DIRS: [&str; 2] = ["/usr/share/iproute2", "/usr/lib/iproute2"];
/// Where the administrator's files are.
const ETC_DIR: &str = "/etc/iproute2";
/// Longest file that is read: these are a few lines.
const LONGEST: u64 = 1 << 20;

/// One list of names.
pub type List = BTreeMap<String, u32>;

/// The lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// rt_tables.
    pub tables: List,
    /// rt_protos.
    pub protocols: List,
    /// rt_realms.
    pub realms: List,
    /// rt_dsfield.
    pub dsfields: List,
    /// group.
    pub groups: List,
    /// /etc/protocols.
    pub ip_protocols: List,
}

impl Names {
    /// What `ip` knows without any file.
    pub fn built_in() -> Self {
        let list = |names: &[(&str, u32)]| names.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        Self {
            tables: list(&[("unspec", 0), ("default", 253), ("main", 254), ("local", 255)]),
            protocols: list(&[
                ("unspec", 0),
                ("redirect", 1),
                ("kernel", 2),
                ("boot", 3),
                ("static", 4),
                ("gated", 8),
                ("ra", 9),
                ("mrt", 10),
                ("zebra", 11),
                ("bird", 12),
                ("dnrouted", 13),
                ("xorp", 14),
                ("ntk", 15),
                ("dhcp", 16),
                ("mrouted", 17),
                ("keepalived", 18),
                ("babel", 42),
                ("bgp", 186),
                ("isis", 187),
                ("ospf", 188),
                ("rip", 189),
                ("eigrp", 192),
            ]),
            realms: list(&[("unknown", 0), ("cosmos", 0)]),
            dsfields: List::new(),
            groups: list(&[("default", 0)]),
            ip_protocols: list(&[
                ("icmp", 1),
                ("igmp", 2),
                ("tcp", 6),
                ("udp", 17),
                ("gre", 47),
                ("esp", 50),
                ("ah", 51),
                ("ipv6-icmp", 58),
                ("sctp", 132),
            ]),
        }
    }

    /// The same with the files of this machine; `usr` and `etc` are folders that the configuration names.
    pub fn of_this_machine(usr: Option<&str>, etc: Option<&str>) -> Self {
        let mut names = Self::built_in();
        let usr: Vec<PathBuf> = match usr {
            Some(usr) => vec![usr.into()],
            None => USR_DIRS.iter().map(PathBuf::from).collect(),
        };
        // What the administrator wrote counts, so it is read last.
        for dir in usr.iter().map(PathBuf::as_path).chain([Path::new(etc.unwrap_or(ETC_DIR))]) {
            for (file, list) in [
                ("rt_tables", &mut names.tables),
                ("rt_protos", &mut names.protocols),
                ("rt_realms", &mut names.realms),
                ("rt_dsfield", &mut names.dsfields),
                ("group", &mut names.groups),
            ] {
                add(&dir.join(file), list, number_first);
                let more = fs::read_dir(dir.join(format!("{file}.d"))).into_iter().flatten().flatten();
                let mut more: Vec<PathBuf> = more.map(|entry| entry.path()).collect();
                more.retain(|path| path.extension().is_some_and(|e| e == "conf"));
                more.sort();
                for path in more {
                    add(&path, list, number_first);
                }
            }
        }
        add(Path::new("/etc/protocols"), &mut names.ip_protocols, name_first);
        names
    }
}

/// Adds what a file says; one that is not there says nothing.
fn add(path: &Path, list: &mut List, line: fn(&str) -> Vec<(String, u32)>) {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LONGEST) {
        return;
    }
    let Ok(bytes) = fs::read(path) else { return };
    for text in String::from_utf8_lossy(&bytes).lines() {
        list.extend(line(text.split('#').next().unwrap_or_default()));
    }
}

/// `NUMBER NAME`, the number in decimal or 0x….
fn number_first(line: &str) -> Vec<(String, u32)> {
    let mut words = line.split_whitespace();
    let (Some(number), Some(name)) = (words.next(), words.next()) else { return Vec::new() };
    let number = match number.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    };
    number.map(|number| vec![(name.to_owned(), number)]).unwrap_or_default()
}

/// `NAME NUMBER ALIAS…`.
fn name_first(line: &str) -> Vec<(String, u32)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some(number) = words.get(1).and_then(|number| number.parse().ok()) else { return Vec::new() };
    let names = words.iter().enumerate().filter(|(at, _)| *at != 1);
    names.map(|(_, name)| ((*name).to_owned(), number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_ip_reads_them() {
        assert_eq!(number_first("77 backup"), [("backup".to_owned(), 77)]);
        assert_eq!(number_first("0x10\tlowdelay"), [("lowdelay".to_owned(), 16)]);
        assert_eq!(number_first("  "), []);
        assert_eq!(number_first("name 5"), []);
        assert_eq!(name_first("tcp 6 TCP"), [("tcp".to_owned(), 6), ("TCP".to_owned(), 6)]);
        assert_eq!(name_first("tcp"), []);
    }

    #[test]
    fn the_administrators_word_counts_last() {
        let dir = std::env::temp_dir().join(format!("tandem-names-{}", std::process::id()));
        let (usr, etc) = (dir.join("usr"), dir.join("etc"));
        fs::create_dir_all(usr.join("rt_tables.d")).unwrap();
        fs::create_dir_all(&etc).unwrap();
        fs::write(usr.join("rt_tables"), "# comment\n7 seven\n8 eight # more\n").unwrap();
        fs::write(usr.join("rt_tables.d/x.conf"), "9 nine\n").unwrap();
        fs::write(usr.join("rt_tables.d/x.txt"), "10 ten\n").unwrap();
        fs::write(etc.join("rt_tables"), "70 seven\n").unwrap();
        let names = Names::of_this_machine(usr.to_str(), etc.to_str());
        let table = |name: &str| names.tables.get(name).copied();
        assert_eq!([table("seven"), table("eight"), table("nine")], [Some(70), Some(8), Some(9)]);
        assert_eq!((table("ten"), table("main")), (None, Some(254)));
        fs::remove_dir_all(dir).unwrap();
    }
}
