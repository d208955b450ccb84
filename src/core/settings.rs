//! What differs between two forms of one object, setting by setting, in the words of the file. Works over the written
//! form of the model (serde), so that a new keyword needs no line here.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// Blocks of the model that group keywords and that no file writes: left out of paths.
const WRAPPERS: [&str; 3] = ["connection", "pace", "server_certificate"];
/// What stands for a password.
const MASK: &str = "XXXXXX";

/// One setting that differs. Both sides are as a file writes them; `None` = the file says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Where: `priority`, `real_server 10.1.0.1 80: weight`.
    pub setting: String,
    /// Before.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
}

impl Setting {
    /// A setting that has a value before and after.
    pub fn new(setting: &str, old: impl fmt::Display, new: impl fmt::Display) -> Self {
        Self { setting: setting.to_owned(), old: Some(old.to_string()), new: Some(new.to_string()) }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.setting;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{name} {old} -> {new}"),
            (Some(old), None) if old.is_empty() => write!(f, "{name} removed"),
            (None, Some(new)) if new.is_empty() => write!(f, "{name} added"),
            (Some(old), None) => write!(f, "{name} {old} -> (not set)"),
            (None, Some(new)) => write!(f, "{name} (not set) -> {new}"),
            (None, None) => f.write_str(name),
        }
    }
}

/// The settings in which `new` differs from `old`. Elements of lists are matched by what names them (a real server by
/// address and port), so that an inserted one makes no difference of the rest.
pub fn differences<T: Serialize>(old: &T, new: &T) -> Vec<Setting> {
    let mut found = Vec::new();
    // A model that cannot be written is a mistake of the model's: it differs, and nobody can say in what.
    if let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) {
        compare("", "", Some(&old), Some(&new), &mut found);
    }
    found
}

/// `path` is where we are in words, `key` the last keyword.
fn compare(path: &str, key: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Setting>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) if !is_command(old) && !is_command(new) => {
            fields(path, Some(old), Some(new), found);
        }
        // A whole block of settings that comes or goes: each of its settings does, unless it names itself.
        (None, Some(Value::Object(new))) if path.is_empty() || WRAPPERS.contains(&key) => {
            fields(path, None, Some(new), found);
        }
        (Some(Value::Object(old)), None) if path.is_empty() || WRAPPERS.contains(&key) => {
            fields(path, Some(old), None, found);
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => lists(path, key, old, new, found),
        (None, Some(Value::Array(new))) => lists(path, key, &[], new, found),
        (Some(Value::Array(old)), None) => lists(path, key, old, &[], found),
        _ => {
            let text = |value: Option<&Value>| value.map(|value| text(key, value));
            let (mut old, new) = (text(old), text(new));
            if old == new {
                // Two passwords: that they differ can be said.
                old = old.map(|old| format!("{old} (another)"));
            }
            found.push(Setting { setting: path.to_owned(), old, new });
        }
    }
}

fn fields(
    path: &str,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
    found: &mut Vec<Setting>,
) {
    let keys = |map: Option<&Map<String, Value>>| map.into_iter().flat_map(Map::keys).cloned().collect();
    let mut all: Vec<String> = keys(old);
    all.extend(keys(new));
    all.sort();
    all.dedup();
    for key in all {
        let below = if WRAPPERS.contains(&key.as_str()) { path.to_owned() } else { join(path, &word(&key)) };
        let of = |map: Option<&Map<String, Value>>| map.and_then(|map| map.get(&key)).cloned();
        compare(&below, &key, of(old).as_ref(), of(new).as_ref(), found);
    }
}

fn lists(path: &str, key: &str, old: &[Value], new: &[Value], found: &mut Vec<Setting>) {
    let before = found.len();
    let (old_names, new_names) = (names(key, old), names(key, new));
    for (name, element) in old_names.iter().zip(old) {
        let at = new_names.iter().position(|other| other == name);
        match at.and_then(|at| new.get(at)) {
            Some(other) => compare(&element_path(path, name), key, Some(element), Some(other), found),
            None => found.push(whole(path, name, element, true)),
        }
    }
    for (name, element) in new_names.iter().zip(new) {
        if !old_names.contains(name) {
            found.push(whole(path, name, element, false));
        }
    }
    if found.len() == before {
        found.push(Setting {
            setting: join(path, "order"),
            old: Some(old_names.join(", ")),
            new: Some(new_names.join(", ")),
        });
    }
}

/// An element that comes or goes as a whole.
fn whole(path: &str, name: &str, element: &Value, goes: bool) -> Setting {
    // A plain value is its own name; a block is told by name only.
    let (setting, value) = if element.is_object() {
        (element_path(path, name), String::new())
    } else {
        (path.to_owned(), name.to_owned())
    };
    let (old, new) = if goes { (Some(value), None) } else { (None, Some(value)) };
    Setting { setting, old, new }
}

/// What tells the elements of a list apart; equal ones are numbered.
fn names(key: &str, list: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(list.len());
    for value in list {
        let plain = match value {
            Value::Object(fields) => named(fields),
            other => text(key, other),
        };
        let (mut name, mut number) = (plain.clone(), 1);
        while name.is_empty() || names.contains(&name) {
            number += 1;
            name = if plain.is_empty() { (number - 1).to_string() } else { format!("{plain} ({number})") };
        }
        names.push(name);
    }
    names
}

/// The name of a block: its name, address with port, mark, or path; empty when it has none.
fn named(fields: &Map<String, Value>) -> String {
    if fields.contains_key("argv") {
        return text("", &Value::Object(fields.clone()));
    }
    let field = |key: &str| fields.get(key).map(|value| text(key, value));
    let parts = [field("name"), field("address"), field("port"), field("fwmark"), field("path")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn element_path(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path} {name}") }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}: {key}") }
}

/// Checkers are written in capitals.
fn word(key: &str) -> String {
    if key.ends_with("_check") || key.ends_with("_get") { key.to_uppercase() } else { key.to_owned() }
}

fn is_secret(key: &str) -> bool {
    ["pass", "secret", "hmac_key", "login"].iter().any(|part| key.contains(part))
}

/// A program with its arguments: one value.
fn is_command(fields: &Map<String, Value>) -> bool {
    fields.contains_key("argv")
}

/// A value as one line.
fn text(key: &str, value: &Value) -> String {
    if is_secret(key) {
        return MASK.to_owned();
    }
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(|value| text(key, value)).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => match fields.get("argv") {
            Some(argv) => {
                let user = fields.get("user").map(|user| format!(" (as {})", text("user", user)));
                text("argv", argv) + &user.unwrap_or_default()
            }
            None => fields
                .iter()
                .map(|(key, value)| match value {
                    Value::String(plain) if key == "user" || key == "host" => plain.clone(),
                    _ => format!("{key} {}", text(key, value)),
                })
                .collect::<Vec<_>>()
                .join(" "),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{
        AuthType, Authentication, Command, Config, Global, HttpGet, Instance, RealServer, Secret, Url,
        VirtualServer,
    };
    use crate::config::resolve::Facts;
    use crate::config::units::Secs;

    fn lines<T: Serialize>(old: &T, new: &T) -> Vec<String> {
        differences(old, new).iter().map(ToString::to_string).collect()
    }

    fn real(address: &str, weight: u16) -> RealServer {
        let text = format!(
            "virtual_server 10.0.0.1 80 {{\n protocol TCP\n real_server {address} 80 {{\n weight {weight}\n }}\n}}\n"
        );
        let loaded =
            crate::config::load_text(std::path::Path::new("t.conf"), text.as_bytes(), &Facts::default());
        loaded.config.virtual_server[0].real_server[0].clone()
    }

    fn instance() -> Instance {
        let text = "vrrp_instance A {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {\n 10.0.0.1\n 10.0.0.2\n }\n}\n";
        let loaded =
            crate::config::load_text(std::path::Path::new("t.conf"), text.as_bytes(), &Facts::default());
        loaded.config.vrrp_instance[0].clone()
    }

    #[test]
    fn equal_objects_differ_in_nothing() {
        assert_eq!(lines(&instance(), &instance()), Vec::<String>::new());
        assert_eq!(lines(&Config::default(), &Config::default()), Vec::<String>::new());
    }

    #[test]
    fn plain_settings_have_both_values() {
        let old = instance();
        let mut new = old.clone();
        new.priority = Some(150);
        new.virtual_router_id = 8;
        new.advert_int = Some(Secs::from_secs(2));
        assert_eq!(
            lines(&old, &new),
            ["advert_int (not set) -> 2s", "priority (not set) -> 150", "virtual_router_id 7 -> 8"]
        );
        assert_eq!(lines(&new, &old)[1], "priority 150 -> (not set)");
    }

    #[test]
    fn elements_of_lists_come_and_go_by_name_not_by_place() {
        let old = instance();
        let mut new = old.clone();
        new.virtual_ipaddress.remove(0);
        new.virtual_ipaddress
            .push(crate::config::model::VirtualAddress::plain("10.0.0.3/24".parse().unwrap()));
        assert_eq!(
            lines(&old, &new),
            ["virtual_ipaddress 10.0.0.1 -> (not set)", "virtual_ipaddress (not set) -> 10.0.0.3/24"]
        );
        let mut turned = old.clone();
        turned.virtual_ipaddress.reverse();
        assert_eq!(
            lines(&old, &turned),
            ["virtual_ipaddress: order 10.0.0.1, 10.0.0.2 -> 10.0.0.2, 10.0.0.1"]
        );
    }

    #[test]
    fn real_servers_are_compared_inside_their_virtual_server() {
        let old = VirtualServer {
            real_server: vec![real("10.1.0.1", 1), real("10.1.0.2", 1)],
            ..VirtualServer::default()
        };
        let new = VirtualServer {
            real_server: vec![real("10.1.0.3", 1), real("10.1.0.2", 5)],
            ..VirtualServer::default()
        };
        assert_eq!(
            lines(&old, &new),
            [
                "real_server 10.1.0.1 80 removed",
                "real_server 10.1.0.2 80: weight 1 -> 5",
                "real_server 10.1.0.3 80 added"
            ]
        );
    }

    #[test]
    fn checkers_are_named_as_the_file_does() {
        let old = real("10.1.0.1", 1);
        let mut with = old.clone();
        with.http_get = vec![HttpGet { url: vec![Url::new("/a".to_owned())], ..HttpGet::default() }];
        assert_eq!(lines(&old, &with), ["HTTP_GET 1 added"]);
        let mut slower = with.clone();
        slower.http_get[0].pace.delay_loop = Some(Secs::from_secs(9));
        slower.http_get[0].connection.connect_port = Some(8080);
        slower.http_get[0].server_certificate.tls_expiry = Some(14);
        slower.http_get[0].url[0].virtualhost = Some("www".to_owned());
        assert_eq!(
            lines(&with, &slower),
            [
                "HTTP_GET 1: connect_port (not set) -> 8080",
                "HTTP_GET 1: delay_loop (not set) -> 9s",
                "HTTP_GET 1: tls_expiry (not set) -> 14",
                "HTTP_GET 1: url /a: virtualhost (not set) -> www"
            ]
        );
    }

    #[test]
    fn commands_are_one_value() {
        let command =
            |word: &str| Some(Command { argv: vec!["/bin/x".to_owned(), word.to_owned()], user: None });
        let old = Instance { notify: command("a"), ..instance() };
        let new = Instance { notify: command("b"), ..instance() };
        assert_eq!(lines(&old, &new), ["notify /bin/x a -> /bin/x b"]);
    }

    #[test]
    fn passwords_are_not_shown() {
        let with = |word: &str| Instance {
            authentication: Some(Authentication::new(AuthType::Pass, Secret(word.to_owned()))),
            ..instance()
        };
        let changed = lines(&with("sesame"), &with("mellon"));
        assert_eq!(changed, ["authentication: auth_pass XXXXXX (another) -> XXXXXX"]);
        let login = |word: &str| Global { smtp_login: Some(word.to_owned()), ..Global::default() };
        assert_eq!(lines(&login("sesame"), &login("mellon")), ["smtp_login XXXXXX (another) -> XXXXXX"]);
        let gone = lines(&with("sesame"), &instance()).join("\n");
        assert!(gone.contains("authentication") && !gone.contains("sesame"), "{gone}");
    }
}
