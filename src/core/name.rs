//! What a daemon is called: by its command line, and by its file. Pure. Several daemons on one machine have a name each for
//! their lock, their board, what they remember, and their socket; where two of these were one, each would take the other's
//! for its own.

use crate::board::number;

/// A name that is longer is cut: the lock's has 107 bytes in all, and a file's 255.
const LONGEST: usize = 64;

/// The names of one daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// Within its network namespace, where its lock is: what the command line calls it, and `instance` of the file.
    pub lock: String,
    /// On this machine: also the network namespace.
    pub whole: String,
}

impl Name {
    /// The names of a daemon that its command line calls `said` (empty for the only one), in the network namespace that the
    /// command line or the file names, with `instance` of the file.
    pub fn of(said: &str, namespace: Option<&str>, instance: Option<&str>) -> Self {
        let (namespace, instance) = (namespace.unwrap_or_default(), instance.unwrap_or_default());
        Self { lock: joined(&[said, instance]), whole: joined(&[namespace, said, instance]) }
    }

    /// What a pid file calls its daemon: its name below `/run` without `.pid`. Empty for keepalived's usual one.
    pub fn of_pid_file(path: &str) -> String {
        let below = ["/var/run/", "/run/", "/"].iter().find_map(|folder| path.strip_prefix(folder));
        let text = below.unwrap_or(path);
        let text = text.strip_suffix(".pid").unwrap_or(text);
        match (below.is_some(), text) {
            (true, "keepalived") if !path.starts_with("/keepalived") => String::new(),
            // A blue file in a folder ha is not ha-blue.
            _ if text.contains('/') => format!("{}-{:08x}", text.replace('/', "-"), number(text) >> 32),
            _ => text.to_owned(),
        }
    }
}

/// One name of those that are there. Different ones stay different: where that cannot be seen, a number of all stands behind it.
fn joined(parts: &[&str]) -> String {
    let there: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    let text = there.join("+");
    let unclear = |part: &&str| part.contains(['+', '/', '\0']);
    if text.len() <= LONGEST && (!there.iter().any(unclear) || there.len() == 1) {
        return text;
    }
    let head: String = text.chars().take(32).map(|c| if matches!(c, '/' | '\0') { '-' } else { c }).collect();
    format!("{head}-{:016x}", number(&parts.join("\0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(said: &str, namespace: &str, instance: &str) -> (String, String) {
        let some = |text: &'static str| (!text.is_empty()).then_some(text);
        let leak = |text: &str| some(Box::leak(text.to_owned().into_boxed_str()));
        let Name { lock, whole } = Name::of(said, leak(namespace), leak(instance));
        (lock, whole)
    }

    #[test]
    fn who_is_called_otherwise_is_another_one() {
        let table = [
            (("", "", ""), ("", "")),
            (("left", "", ""), ("left", "left")),
            (("", "", "one"), ("one", "one")),
            (("", "red", ""), ("", "red")),
            (("left", "red", "one"), ("left+one", "red+left+one")),
        ];
        for ((said, namespace, instance), (lock, whole)) in table {
            let wanted = (lock.to_owned(), whole.to_owned());
            assert_eq!(name(said, namespace, instance), wanted, "{said} {namespace} {instance}");
        }
        // The same text, cut otherwise.
        assert_ne!(name("a", "", "b+c"), name("a+b", "", "c"));
        assert_ne!(name("", "a/b", "x"), name("", "a-b", "x"));
        let long = "x".repeat(200);
        let (one, two) = (name(&format!("{long}1"), "", ""), name(&format!("{long}2"), "", ""));
        assert_ne!(one, two);
        assert!("tandem/".len() + one.0.len() < 107 && one.1.len() < 100, "{one:?}");
    }

    #[test]
    fn a_pid_file_is_a_name() {
        for (path, name) in [
            ("/run/keepalived.pid", ""),
            ("/var/run/keepalived.pid", ""),
            ("/keepalived.pid", "keepalived"),
            ("/run/keepalived-udp-3.pid", "keepalived-udp-3"),
            ("/run/ka.blue", "ka.blue"),
            ("/run/ka.red", "ka.red"),
        ] {
            assert_eq!(Name::of_pid_file(path), name, "{path}");
        }
        let names = ["/run/ha/p.pid", "/run/ha-p.pid", "/ha/p.pid", "/run/ha/p"].map(Name::of_pid_file);
        assert!(names[0].starts_with("ha-p-") && names[1] == "ha-p", "{names:?}");
    }
}
