//! What both directors of a pair must have alike, object by object and word by word, as digests that the channel tells the peer.
//! Made with the key of the pair: a password in them can be compared, and not be guessed.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::alike::without_own;
use crate::channel::message::Object;
use crate::config::model::{
    Config, Instance, OverrideKind, RealServerOverride, Secret, ServiceName, VrrpVersion,
};
use crate::config::units::Secs;
use crate::core::overrides::change_words;

/// Makes a digest.
type Digest<'a> = &'a dyn Fn(&[u8]) -> String;

/// Of an instance: what the peers and the clients see. Priority, state and interface are each director's own.
const OF_INSTANCE: [&str; 9] = [
    "virtual_router_id",
    "version",
    "advert_int",
    "virtual_ipaddress",
    "virtual_ipaddress_excluded",
    "virtual_routes",
    "virtual_rules",
    "authentication",
    "auth_hmac",
];
/// Among them, lists of lines whose order says nothing.
const LINES: [&str; 4] =
    ["virtual_ipaddress", "virtual_ipaddress_excluded", "virtual_routes", "virtual_rules"];
/// Words of such a line that name an interface, which each director has of its own.
const DEVICES: [&str; 4] = ["dev", "oif", "iif", "label"];

/// The objects. `config`: what the file says; `overrides`: what commands say over it.
pub fn objects(config: &Config, overrides: &[RealServerOverride], digest: Digest<'_>) -> Vec<Object> {
    let mut all: Vec<Object> = config.vrrp_instance.iter().map(|one| instance(one, config, digest)).collect();
    all.extend(config.vrrp_sync_group.iter().map(|group| {
        let mut members = group.group.clone();
        members.sort();
        object("vrrp_sync_group", &group.name, [("group".to_owned(), json(&members))], digest)
    }));
    all.extend(config.virtual_server_group.iter().map(|group| {
        object("virtual_server_group", &group.name, [("entries".to_owned(), json(&group.entries))], digest)
    }));
    for server in &config.virtual_server {
        let Some(name) = ServiceName::of(server, &config.virtual_server_group) else { continue };
        let mut words = fields(json(server));
        words.remove("real_server");
        words.values_mut().for_each(without_own);
        let reals = server.real_server.iter().map(|real| {
            let mut value = json(real);
            without_own(&mut value);
            (format!("real_server {}", server.at(real)), value)
        });
        let words: Vec<(String, Value)> = words.into_iter().chain(reals).collect();
        all.push(object("virtual_server", &name.to_string(), words, digest));
    }
    all.extend(overrides.iter().map(|one| overridden(one, digest)));
    all
}

fn instance(one: &Instance, config: &Config, digest: Digest<'_>) -> Object {
    let mut one = one.clone();
    // What is left to a default is that default.
    one.version = one.version.or(config.global_defs.vrrp_version).or(Some(VrrpVersion::V2));
    one.advert_int = one.advert_int.or(Some(Secs::from_secs(1)));
    for key in one.auth_hmac.iter_mut().flat_map(|hmac| &mut hmac.key) {
        // Where a director keeps it is its own affair, and the file is not read here.
        if let Some((place @ ("file" | "cred"), _)) = key.secret.0.split_once(':') {
            key.secret = Secret(place.to_owned());
        }
    }
    let name = one.name.clone();
    let mut fields = fields(json(&one));
    let words = OF_INSTANCE.iter().filter_map(|word| Some(((*word).to_owned(), fields.remove(*word)?)));
    let words = words.map(|(word, value)| {
        let value = if LINES.contains(&word.as_str()) { lines(&value) } else { value };
        (word, value)
    });
    object("vrrp_instance", &name, words, digest)
}

/// The lines of a block without the names of interfaces, in an order of their own.
fn lines(value: &Value) -> Value {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all: Vec<String> =
        all.iter().map(|line| line.as_str().map_or_else(|| line.to_string(), bare)).collect();
    all.sort();
    Value::from(all)
}

fn bare(line: &str) -> String {
    let (mut kept, mut words) = (Vec::new(), line.split_whitespace());
    while let Some(word) = words.next() {
        if DEVICES.contains(&word) {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// What a command says of a real server. It is no secret: it is told as it is.
fn overridden(one: &RealServerOverride, digest: Digest<'_>) -> Object {
    let kind = match one.kind {
        OverrideKind::Change => "change",
        OverrideKind::Add { .. } => "add",
        OverrideKind::Delete => "delete",
    };
    let says = change_words(one);
    let words = [("kind", kind.to_owned()), ("says", says.clone())];
    let words = words.map(|(word, text)| (word.to_owned(), Value::from(text)));
    let name = format!("{} of {}", one.server, one.service);
    Object { says, ..object("override", &name, words, digest) }
}

fn object(
    kind: &str,
    name: &str,
    words: impl IntoIterator<Item = (String, Value)>,
    digest: Digest<'_>,
) -> Object {
    let mut told = BTreeMap::new();
    for (word, value) in words {
        // Two of one name: both count.
        let text: &mut String = told.entry(word).or_default();
        text.push_str(&value.to_string());
    }
    // With its place: equal values of different words, and of different objects, have different digests.
    let of = |word: &str, text: &str| digest(format!("{kind}\0{name}\0{word}\0{text}").as_bytes());
    let words = told.into_iter().map(|(word, text)| {
        let digest = of(&word, &text);
        (word, digest)
    });
    let words = words.collect();
    Object { kind: kind.to_owned(), name: name.to_owned(), says: String::new(), words }
}

/// Plain data: it cannot fail.
fn json<T: Serialize>(of: &T) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

fn fields(value: Value) -> serde_json::Map<String, Value> {
    if let Value::Object(fields) = value { fields } else { serde_json::Map::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::compare::compare;
    use crate::channel::key::Keys;
    use crate::channel::message::Profile;
    use crate::config::{self, resolve::Facts};

    const FILE: &str = "global_defs {\n router_id lb1\n vrrp_version 3\n}\nvrrp_instance A {\n interface eth0\n \
        virtual_router_id 1\n priority 150\n advert_int 1\n authentication {\n auth_type PASS\n auth_pass kanary-1\n }\n \
        virtual_ipaddress {\n 10.0.0.9/24 dev eth0\n 10.0.0.8/24\n }\n}\nvirtual_server 10.0.0.9 80 {\n protocol TCP\n \
        lb_algo rr\n real_server 10.1.0.1 80 {\n weight 1\n TCP_CHECK {\n bindto 10.0.0.2\n }\n }\n real_server 10.1.0.2 80 {\n \
        }\n}\n";

    fn profile(text: &str, overrides: &[&str]) -> Profile {
        let loaded = config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default());
        let overrides: Vec<RealServerOverride> = overrides.iter().map(|line| line.parse().unwrap()).collect();
        let keys = Keys::of("key");
        let digest = |bytes: &[u8]| keys.digest(bytes);
        Profile::new(objects(&loaded.config, &overrides, &digest), &digest)
    }

    fn differences(text: &str, overrides: &[&str]) -> Vec<String> {
        let found = compare(&profile(FILE, &[]), &profile(text, overrides));
        found.iter().map(|one| format!("{} {}: {one}", one.kind, one.name)).collect()
    }

    #[test]
    fn what_is_each_directors_own_does_not_count() {
        let other = FILE
            .replace("router_id lb1", "router_id lb2")
            .replace("eth0", "enp1s0")
            .replace("priority 150", "priority 100")
            .replace("bindto 10.0.0.2", "bindto 10.0.0.3")
            .replace(" 10.0.0.9/24 dev enp1s0\n 10.0.0.8/24\n", " 10.0.0.8/24\n 10.0.0.9/24 dev enp1s0\n");
        assert_ne!(other, FILE);
        assert_eq!(differences(&other, &[]), Vec::<String>::new());
        assert_eq!(profile(&other, &[]).whole, profile(FILE, &[]).whole);
    }

    #[test]
    fn what_differs_is_named_by_its_words() {
        let web = "virtual_server TCP 10.0.0.9:80";
        for (from, to, wanted) in [
            ("virtual_router_id 1", "virtual_router_id 2", "vrrp_instance A: virtual_router_id"),
            ("10.0.0.8/24", "10.0.0.7/24", "vrrp_instance A: virtual_ipaddress"),
            ("advert_int 1", "advert_int 0.5", "vrrp_instance A: advert_int"),
            ("vrrp_version 3", "vrrp_version 2", "vrrp_instance A: version"),
            // Its digest is made with the key.
            ("kanary-1", "kanary-2", "vrrp_instance A: authentication"),
            ("lb_algo rr", "lb_algo wlc", &format!("{web}: lb_algo")),
            ("weight 1", "weight 2", &format!("{web}: real_server 10.1.0.1:80")),
            (
                "real_server 10.1.0.2 80",
                "real_server 10.1.0.3 80",
                &format!("{web}: real_server 10.1.0.2:80, real_server 10.1.0.3:80"),
            ),
        ] {
            assert_eq!(differences(&FILE.replace(from, to), &[]), [wanted], "{to}");
        }
        let renamed = differences(&FILE.replace("vrrp_instance A", "vrrp_instance B"), &[]);
        assert_eq!(renamed, ["vrrp_instance A: only here", "vrrp_instance B: only at the peer"]);
        assert_eq!(
            differences(FILE, &["TCP 10.0.0.9:80 10.1.0.1:80 drain by root(uid=0)"]),
            ["override 10.1.0.1:80 of TCP 10.0.0.9:80: only at the peer (drain)"]
        );
    }

    #[test]
    fn no_secret_is_told() {
        let told = serde_json::to_string(&profile(FILE, &[]).objects).unwrap();
        assert!(!told.contains("kanary"), "{told}");
        // Nor a digest that somebody without the key could try passwords against.
        let (one, other) = (Keys::of("one"), Keys::of("other"));
        let config = config::load_text("x.conf".as_ref(), FILE.as_bytes(), &Facts::default()).config;
        let of = |keys: &Keys| objects(&config, &[], &|bytes| keys.digest(bytes));
        assert_ne!(of(&one)[0].words["authentication"], of(&other)[0].words["authentication"]);
    }
}
