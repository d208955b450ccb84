//! What both directors of a pair must have alike, as a digest: two that differ in it serve differently after a takeover.

use serde_json::{Map, Value, json};

use super::digest::text_of;
use crate::config::model::Config;
use crate::core::secrets::masked;

/// Of an instance: what the peers and the clients see. Priority, state and interface are each director's own.
const OF_INSTANCE: [&str; 6] = [
    "virtual_router_id",
    "version",
    "advert_int",
    "virtual_ipaddress",
    "virtual_ipaddress_excluded",
    "authentication",
];
/// Of checks: from where they go out.
const OWN: [&str; 3] = ["bindto", "bind_if", "bind_port"];

/// The digest.
pub(super) fn digest(config: &Config) -> String {
    let mut whole = serde_json::to_value(masked(config, "***")).unwrap_or_default();
    let mut take = |word: &str| whole.get_mut(word).map(Value::take).unwrap_or_default();
    let (mut servers, groups) = (take("virtual_server"), take("virtual_server_group"));
    without_own(&mut servers);
    let instances = match take("vrrp_instance") {
        Value::Array(all) => all.into_iter().map(seen_by_others).collect(),
        _ => Vec::new(),
    };
    text_of(&json!({ "virtual_server": servers, "virtual_server_group": groups, "vrrp_instance": instances }))
}

fn seen_by_others(instance: Value) -> Value {
    let Value::Object(mut fields) = instance else { return Value::Null };
    let kept = OF_INSTANCE.iter().filter_map(|word| Some(((*word).to_owned(), fields.remove(*word)?)));
    Value::Object(kept.collect::<Map<_, _>>())
}

pub(super) fn without_own(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for word in OWN {
                fields.remove(word);
            }
            fields.values_mut().for_each(without_own);
        }
        Value::Array(all) => all.iter_mut().for_each(without_own),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, resolve::Facts};

    #[test]
    fn two_directors() {
        let of = |interface: &str, priority: u8, vip: &str, bindto: &str, weight: u8| {
            let text = format!(
                "global_defs {{\n router_id {interface}\n}}\nvrrp_instance A {{\n interface {interface}\n \
                 virtual_router_id 1\n priority {priority}\n virtual_ipaddress {{\n {vip}\n }}\n}}\n\
                 virtual_server 10.0.0.1 80 {{\n protocol TCP\n real_server 10.1.0.1 80 {{\n weight {weight}\n TCP_CHECK \
                 {{\n bindto {bindto}\n }}\n }}\n}}\n"
            );
            digest(&config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default()).config)
        };
        let one = of("eth0", 150, "10.0.0.9/24", "10.0.0.2", 1);
        assert_eq!(one.len(), 16);
        assert_eq!(one, of("eth1", 100, "10.0.0.9/24", "10.0.0.3", 1));
        assert_ne!(one, of("eth0", 150, "10.0.0.10/24", "10.0.0.2", 1));
        assert_ne!(one, of("eth0", 150, "10.0.0.9/24", "10.0.0.2", 2));
    }
}
