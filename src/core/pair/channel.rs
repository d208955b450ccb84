//! The channel of the pair (`pair_peer`): does each ask where the other one listens?

use crate::config::diagnostic::Level;
use crate::config::model::PairPoint;
use crate::core::peering::PORT;

use super::{Findings, Side, Who};

/// Compares the words of both.
pub(super) fn compare(sides: [&Side<'_>; 2], findings: &mut Findings) {
    let global = |who: Who| &sides[who.index()].config.global_defs;
    for who in Who::BOTH {
        let (asks, asked) = (global(who), global(who.other()));
        let Some(peer) = &asks.pair_peer else { continue };
        let other = who.other();
        let consequence = format!("{who} does not know whether {other} is configured alike");
        if asked.pair_peer.is_none() {
            let problem =
                format!("{who} asks {other} over the pair's channel (pair_peer), {other} names no peer");
            let fix =
                format!("write pair_peer, pair_listen and pair_key_file into global_defs of {other} as well");
            findings.add(Level::Warning, "pair-channel", problem, consequence, fix);
            continue;
        }
        let problem = match &asked.pair_listen {
            None => format!("pair_peer of {who} is {peer}, but {other} has no pair_listen"),
            Some(listen) if meet(peer, listen) => continue,
            Some(listen) => format!("pair_peer of {who} is {peer}, but pair_listen of {other} is {listen}"),
        };
        let fix = "pair_listen of each is the address and port that the other one has as pair_peer";
        findings.add(Level::Warning, "pair-channel", problem, consequence, fix);
    }
}

/// Whoever asks there is heard here. Of which interface a link-local address is, each says for itself.
fn meet(peer: &PairPoint, listen: &PairPoint) -> bool {
    let port = |at: &PairPoint| at.port.unwrap_or(PORT);
    port(peer) == port(listen) && (listen.address == peer.address || listen.address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load_text;
    use crate::config::resolve::Facts;
    use crate::core::pair::compare;

    #[test]
    fn each_asks_where_the_other_one_listens() {
        let told = |a: &str, b: &str| -> Vec<String> {
            let config = |words: &str| {
                let words =
                    if words.is_empty() { String::new() } else { format!("{words}\n pair_key_file /x") };
                let text = format!("global_defs {{\n router_id x\n {words}\n}}\n");
                load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default()).config
            };
            let found = compare(&config(a), &config(b)).findings;
            found.into_iter().filter(|one| one.code == "pair-channel").map(|one| one.problem).collect()
        };
        let one = "pair_peer 10.0.0.2\n pair_listen 10.0.0.1";
        let none: [&str; 0] = [];
        assert_eq!(told("", ""), none);
        assert_eq!(told(one, "pair_peer 10.0.0.1\n pair_listen 10.0.0.2"), none);
        assert_eq!(told(one, "pair_peer 10.0.0.1 9651\n pair_listen ::"), none);
        assert_eq!(told(one, ""), ["A asks B over the pair's channel (pair_peer), B names no peer"]);
        assert_eq!(
            told(one, "pair_peer 10.0.0.1\n pair_listen 10.0.0.2 9700"),
            ["pair_peer of A is 10.0.0.2, but pair_listen of B is 10.0.0.2 9700"]
        );
        assert_eq!(
            told("pair_peer 10.0.0.2", "pair_peer 10.0.0.3\n pair_listen 10.0.0.2"),
            ["pair_peer of B is 10.0.0.3, but A has no pair_listen"]
        );
    }
}
