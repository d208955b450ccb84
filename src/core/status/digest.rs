//! A digest of a configuration: equal configurations have equal ones, whatever form they are written in.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest as _, Sha256};

use crate::config::model::Config;
use crate::core::secrets::masked;

/// How many digits of it are told: 64 bits, which no two configurations of one pair share by chance.
const DIGITS: usize = 16;

/// The digest. What two configurations say differently in their secrets alone leaves it as it is: it is told to whoever may
/// read the status, and a short password could be found by trying.
fn digest(config: &Config) -> String {
    text_of(&masked(config, "***"))
}

/// The digest of a document.
pub(super) fn text_of<T: serde::Serialize>(document: &T) -> String {
    let mut hash = Sha256::new();
    // Writing into a hash does not fail, and what a model cannot say as JSON it cannot say as YAML either.
    let _ = serde_json::to_writer(Sink(&mut hash), document);
    let mut text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(DIGITS);
    text
}

struct Sink<'a>(&'a mut Sha256);

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The last digest, so that a large configuration is gone through once.
#[derive(Debug)]
pub struct Digests {
    last: Mutex<Option<(Weak<Config>, String)>>,
    make: fn(&Config) -> String,
}

impl Default for Digests {
    fn default() -> Self {
        Self { last: Mutex::default(), make: digest }
    }
}

impl Digests {
    /// Of a part of it.
    pub fn by(make: fn(&Config) -> String) -> Self {
        Self { last: Mutex::default(), make }
    }

    /// That of this configuration.
    pub fn of(&self, config: &Arc<Config>) -> String {
        let known = {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // The place in memory is taken for as long as it is remembered: another one is nowhere near it.
            last.as_ref()
                .filter(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(config)))
                .map(|(_, text)| text.clone())
        };
        known.unwrap_or_else(|| {
            let text = (self.make)(config);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((Arc::downgrade(config), text.clone()));
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, resolve::Facts};

    #[test]
    fn forms_agree_and_secrets_do_not_count() {
        let text = |pass: &str, weight: u8| {
            format!(
                "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n authentication {{\n auth_type PASS\n \
                 auth_pass {pass}\n }}\n virtual_ipaddress {{ 10.0.0.9 }}\n}}\nvirtual_server 10.0.0.1 80 {{\n \
                 real_server 10.1.0.1 80 {{ weight {weight} }}\n}}\n"
            )
        };
        let load =
            |text: &str| config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default()).config;
        let one = load(&text("abc", 1));
        let yaml = config::yaml::to_yaml(&one).expect("YAML");
        let again = config::load_text("x.yaml".as_ref(), yaml.as_bytes(), &Facts::default()).config;
        assert_eq!(digest(&one), digest(&again));
        assert_eq!(digest(&one), digest(&load(&text("other", 1))));
        assert_ne!(digest(&one), digest(&load(&text("abc", 2))));
        let digests = Digests::default();
        let (first, second) = (Arc::new(one), Arc::new(load(&text("abc", 2))));
        assert_eq!(digests.of(&first), digests.of(&first));
        assert_eq!(digests.of(&second), digest(&second));
    }
}
