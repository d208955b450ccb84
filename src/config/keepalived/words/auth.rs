//! `authentication` and `auth_hmac`.

use crate::config::diagnostic::Level;
use crate::config::keepalived::form::{Choice, Number};
use crate::config::keepalived::keyword::{Block, Form, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{AntiReplay, AuthHmac, AuthType, Authentication, HmacKey, HmacMode, Secret};

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

const AUTHENTICATION: Table<Authentication> = keywords! { Authentication:
    "auth_type" => { * AuthKind };
    "auth_pass" => { * AuthPass };
};

impl Default for Authentication {
    fn default() -> Self {
        Self::new(AuthType::Pass, Secret::default())
    }
}

impl Block for Authentication {
    const WHAT: &'static str = "authentication";
    origin!();

    fn table() -> Table<Self> {
        AUTHENTICATION
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let what = match (self.origin.has("auth_type"), self.auth_pass.0.is_empty()) {
            (true, false) => return true,
            // A block that says nothing is nothing.
            (false, true) => return false,
            (false, false) => "auth_type",
            (true, true) => "auth_pass",
        };
        let problem = format!("the authentication block has no {what}");
        let fix = format!("write {what}, the same on both directors");
        r.find(Level::Warning, node, 0, "incomplete-auth", problem, "there is no authentication", fix);
        false
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(s.pick(&[AuthType::Pass, AuthType::Ah]).unwrap_or(AuthType::Pass), Secret(s.text()))
    }
}

struct AuthKind;

impl WholeForm<Authentication> for AuthKind {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Authentication) {
        let Some(text) = r.text(node) else { return };
        match text.as_str() {
            "PASS" => object.auth_type = AuthType::Pass,
            "AH" => object.auth_type = AuthType::Ah,
            _ => r.bad(node, &text, "PASS or AH, in capitals", "PASS is taken"),
        }
    }
    fn write(&self, word: &str, object: &Authentication, w: &mut Writer) {
        w.line(word, &[if object.auth_type == AuthType::Ah { "AH" } else { "PASS" }]);
    }
    fn is_set(&self, _: &Authentication) -> bool {
        true
    }
    fn says(&self) -> String {
        "PASS|AH".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Authentication) {}
}

struct AuthPass;

impl WholeForm<Authentication> for AuthPass {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut Authentication) {
        let Some(text) = r.text(node) else { return };
        // The text itself is a secret: findings speak of its length only.
        if text.len() > 8 {
            let fix = "write at most 8 characters; the other director cuts in the same way";
            let problem = "the password is longer than 8 bytes";
            r.find(Level::Warning, node, 1, "long-password", problem, "the first 8 bytes are used", fix);
        }
        object.auth_pass = Secret(text);
    }
    fn write(&self, word: &str, object: &Authentication, w: &mut Writer) {
        let text = w.quote(&object.auth_pass.0);
        w.line(word, &[text]);
    }
    fn is_set(&self, object: &Authentication) -> bool {
        !object.auth_pass.0.is_empty()
    }
    fn says(&self) -> String {
        "PASSWORD of at most 8 characters".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut Authentication) {}
}

const HMAC: Table<AuthHmac> = keywords! { AuthHmac:
    "key" => { key: Keys };
    "active_key" => { active_key: Number(1, 255) };
    "anti_replay" => { anti_replay: Choice(
        &[("time", AntiReplay::Time), ("monotonic", AntiReplay::Monotonic)], "time is taken") };
    "time_window" => { time_window: Number(1, 300) };
    "mode" => { mode: Choice(&[
        ("enforce", HmacMode::Enforce), ("permissive", HmacMode::Permissive), ("receive-only", HmacMode::ReceiveOnly),
    ], "enforce is taken") };
};

impl Block for AuthHmac {
    const WHAT: &'static str = "auth_hmac";
    origin!();

    fn table() -> Table<Self> {
        HMAC
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    #[cfg(test)]
    fn blank(_: &mut Sampler) -> Self {
        Self::default()
    }
}

/// `key ID SECRET`, one line each.
struct Keys;

impl Form for Keys {
    type Slot = Vec<HmacKey>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(id) = r.number(node, 1..=255) else { return };
        let Some(secret) = r.argument(node, 1).map(str::to_owned) else {
            r.missing(node);
            return;
        };
        let bytes = match secret.strip_prefix("hex:") {
            Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()).then_some(hex.len() / 2),
            // Read when the instance is made.
            None if secret.starts_with("file:") || secret.starts_with("cred:") => Some(32),
            None => Some(secret.len()),
        };
        if !bytes.is_some_and(|n| (32..=64).contains(&n)) {
            // Never the text itself.
            let problem = format!("key {id} is no secret of 32 to 64 bytes");
            let fix = "write hex: and 64 to 128 digits, 32 to 64 characters, file:PATH, or cred:NAME";
            r.find(Level::Error, node, 2, "bad-key", problem, "the key is dropped", fix);
            return;
        }
        if slot.iter().any(|key| key.id == id) {
            let problem = format!("key {id} is there twice");
            let fix = "give it another number";
            r.find(Level::Warning, node, 1, "repeated", problem, "the first one counts", fix);
            return;
        }
        slot.push(HmacKey { id, secret: Secret(secret) });
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        for key in slot {
            let secret = w.quote(&key.secret.0);
            w.line(word, &[key.id.to_string(), secret]);
        }
    }

    fn says(&self) -> String {
        "ID hex:…|TEXT|file:PATH|cred:NAME".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let secret = if s.flip() { format!("hex:{}", "0a".repeat(32)) } else { "cred:vrrp-key".to_owned() };
        slot.push(HmacKey { id: 7, secret: Secret(secret) });
    }
}
