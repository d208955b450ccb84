//! `keepalived.stats`: the counters of every instance. Pure.

use std::fmt::Write as _;

use super::instance::{Counters, Instance};

/// Labels of the counters of `auth_hmac`, as keepalived 2.4 has them.
const EXTENSION: [&str; 6] = ["Missing", "Malformed", "Unknown Key", "Invalid HMAC", "Stale", "Replay"];

/// The file.
pub fn render<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> String {
    let mut text = String::new();
    for instance in instances {
        one(&mut text, &instance.name, &instance.counters);
    }
    text
}

fn one(text: &mut String, name: &str, c: &Counters) {
    // Writing into a string cannot fail.
    let _ = writeln!(text, "VRRP Instance: {name}");
    group(text, "Advertisements", &[("Received", c.received), ("Sent", c.sent)]);
    let _ = writeln!(text, "  Became master: {}\n  Released master: {}", c.became_master, c.released_master);
    let packet_errors = [
        ("Length", c.length),
        ("TTL", c.ttl),
        ("Invalid Type", c.invalid_type),
        ("Advertisement Interval", c.interval),
        ("Address List", c.address_list),
    ];
    group(text, "Packet Errors", &packet_errors);
    let auth_errors = [
        ("Invalid Type", c.invalid_auth_type),
        ("Type Mismatch", c.auth_type_mismatch),
        ("Failure", c.auth_failure),
    ];
    group(text, "Authentication Errors", &auth_errors);
    if let Some(counts) = c.extension {
        let counts: Vec<(&str, u64)> = EXTENSION.into_iter().zip(counts).collect();
        group(text, "Authentication Extension Errors", &counts);
    }
    group(text, "Priority Zero", &[("Received", c.zero_received), ("Sent", c.zero_sent)]);
}

fn group(text: &mut String, title: &str, counts: &[(&str, u64)]) {
    let _ = writeln!(text, "  {title}:");
    for (label, count) in counts {
        let _ = writeln!(text, "    {label}: {count}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_keepalived_s() {
        let counters =
            Counters { received: 7, sent: 1, became_master: 1, auth_failure: 3, ..Counters::default() };
        let mut text = String::new();
        one(&mut text, "VI_1", &counters);
        // As Debian's 2.2.7 wrote it.
        let wanted = "VRRP Instance: VI_1\n  Advertisements:\n    Received: 7\n    Sent: 1\n  Became master: 1\n  Released \
                      master: 0\n  Packet Errors:\n    Length: 0\n    TTL: 0\n    Invalid Type: 0\n    Advertisement \
                      Interval: 0\n    Address List: 0\n  Authentication Errors:\n    Invalid Type: 0\n    Type \
                      Mismatch: 0\n    Failure: 3\n  Priority Zero:\n    Received: 0\n    Sent: 0\n";
        assert_eq!(text, wanted);
        let mut text = String::new();
        one(&mut text, "VI_1", &Counters { extension: Some([1, 2, 3, 4, 5, 6]), ..counters });
        assert!(text.contains("  Authentication Extension Errors:\n    Missing: 1\n"), "{text}");
        assert!(text.contains("    Replay: 6\n  Priority Zero:\n"), "{text}");
    }
}
