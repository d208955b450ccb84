//! The channel of a pair: what is half said opens nothing, and is named.

use std::net::IpAddr;
use std::path::Path;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, PairPoint};

/// What follows where there is no channel.
const CLOSED: &str = "the directors do not compare their configurations";

impl Resolver<'_> {
    /// `pair_peer` with what belongs to it.
    pub(super) fn pair(&mut self, config: &mut Config) {
        let global = &mut config.global_defs;
        let origin = global.origin.clone();
        let Some(peer) = global.pair_peer.clone() else {
            let others = [
                ("pair_listen", global.pair_listen.is_some()),
                ("pair_key_file", global.pair_key_file.is_some()),
                ("pair_accept_changes", global.pair_accept_changes == Some(true)),
            ];
            for (word, _) in others.into_iter().filter(|(_, there)| *there) {
                let problem = format!("{word} without pair_peer");
                let fix = "write pair_peer ADDRESS of the other director";
                self.find(Level::Advice, &origin, word, "no-pair-peer", problem, CLOSED, fix);
            }
            return;
        };
        if let Some(why) = nobody(peer.address) {
            global.pair_peer = None;
            let problem = format!("pair_peer {}: {why}", peer.address);
            let fix = "write the address of the other director";
            self.find(Level::Error, &origin, "pair_peer", "bad-pair-peer", problem, CLOSED, fix);
            return;
        }
        let Some(key) = global.pair_key_file.clone() else {
            global.pair_peer = None;
            let problem = "pair_peer without pair_key_file".to_owned();
            let fix = "make one by `openssl rand -hex 32`, mode 600, the same on both directors";
            self.find(Level::Error, &origin, "pair_peer", "no-pair-key", problem, CLOSED, fix);
            return;
        };
        if let Some((problem, fix)) = self.facts.token_problem(Path::new(&key), 32) {
            let problem = format!("pair_key_file {key}: {problem}");
            let consequence = "the directors do not compare their configurations until that is mended";
            self.find(Level::Warning, &origin, "pair_key_file", "bad-key-file", problem, consequence, fix);
        }
        match global.pair_listen.clone() {
            None => {
                let problem = "pair_peer without pair_listen".to_owned();
                let consequence = "this director compares, the other one cannot ask it";
                let fix = "write pair_listen ADDRESS of this director";
                self.find(Level::Advice, &origin, "pair_peer", "no-pair-listen", problem, consequence, fix);
            }
            Some(listen) => {
                if let Some(why) = apart(&listen, &peer) {
                    global.pair_listen = None;
                    let problem =
                        format!("pair_listen {} and pair_peer {}: {why}", listen.address, peer.address);
                    let consequence = "the other director cannot ask this one";
                    let fix = "write the address of this director that the other one names as its pair_peer";
                    let code = "bad-pair-listen";
                    self.find(Level::Error, &origin, "pair_listen", code, problem, consequence, fix);
                }
            }
        }
    }
}

/// Why nobody is there.
fn nobody(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some("that is no address of anybody");
    }
    address.is_multicast().then_some("that is a group, no director")
}

/// Why the two do not belong together.
fn apart(listen: &PairPoint, peer: &PairPoint) -> Option<&'static str> {
    if listen.address.is_multicast() {
        return Some("nobody can listen at a group");
    }
    if listen.address == peer.address && listen.interface == peer.interface {
        return Some("both are one director");
    }
    // `::` hears both families.
    let both = listen.address.is_unspecified() && listen.address.is_ipv6();
    (listen.address.is_ipv4() != peer.address.is_ipv4() && !both)
        .then_some("they are of two address families")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;
    use crate::config::resolve::Facts;

    #[test]
    fn what_is_half_said_opens_nothing() {
        let key = "pair_key_file /x";
        for (words, opens, codes) in [
            (String::new(), (false, false), &[][..]),
            (format!("pair_peer 10.0.0.2\n pair_listen 10.0.0.1\n {key}"), (true, true), &[]),
            (
                format!("pair_peer 10.0.0.2 99\n pair_listen :: 98\n {key}\n pair_accept_changes"),
                (true, true),
                &[],
            ),
            (format!("pair_peer fe80::2%eth0\n pair_listen fe80::1%eth0\n {key}"), (true, true), &[]),
            (format!("pair_peer 10.0.0.2\n {key}"), (true, false), &["no-pair-listen"]),
            ("pair_peer 10.0.0.2\n pair_listen 10.0.0.1".to_owned(), (false, true), &["no-pair-key"]),
            (format!("pair_listen 10.0.0.1\n {key}"), (false, true), &["no-pair-peer", "no-pair-peer"]),
            ("pair_accept_changes".to_owned(), (false, false), &["no-pair-peer"]),
            (format!("pair_peer 0.0.0.0\n {key}"), (false, false), &["bad-pair-peer"]),
            (format!("pair_peer 224.0.0.18\n {key}"), (false, false), &["bad-pair-peer"]),
            (
                format!("pair_peer 10.0.0.2\n pair_listen 10.0.0.2 99\n {key}"),
                (true, false),
                &["bad-pair-listen"],
            ),
            (
                format!("pair_peer 10.0.0.2\n pair_listen 2001:db8::1\n {key}"),
                (true, false),
                &["bad-pair-listen"],
            ),
            (format!("pair_peer 10.0.0.2\n pair_listen 0.0.0.0\n {key}"), (true, true), &[]),
            // Nobody listens everywhere because a word was not understood.
            (
                format!("pair_peer 10.0.0.2\n pair_listen everywhere\n {key}"),
                (true, false),
                &["no-pair-listen", "bad-value"],
            ),
            (format!("pair_peer fe80::2\n {key}"), (false, false), &["no-pair-peer", "bad-value"]),
        ] {
            let text = format!("global_defs {{\n router_id x\n {words}\n}}\n");
            let loaded = load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
            let mut said: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code).collect();
            let mut wanted = codes.to_vec();
            said.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(said, wanted, "{words}: {:?}", loaded.diagnostics);
            let global = &loaded.config.global_defs;
            assert_eq!((global.pair_peer.is_some(), global.pair_listen.is_some()), opens, "{words}");
        }
    }
}
