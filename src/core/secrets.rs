//! The keys of `auth_hmac` blocks, read from their files and from systemd's credentials; and configurations without what
//! nobody may read.

use std::path::PathBuf;

use crate::config::model::{Config, Secret};
use crate::vrrp::auth::keys::KeyRing;
use crate::vrrp::params::Secrets;

/// Reads them all; what cannot be read is the instance's fault, by name.
pub(super) fn load(config: &Config) -> Secrets {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let of = |instance: &crate::config::model::Instance| {
        let hmac = instance.auth_hmac.as_ref()?;
        let ring = KeyRing::load(hmac, credentials.as_deref(), &|path| std::fs::read(path));
        Some((instance.name.clone(), ring.map_err(|error| error.to_string())))
    };
    Secrets(config.vrrp_instance.iter().filter_map(of).collect())
}

/// The configuration with `word` in the place of every secret: passwords, keys, the login of the mail relay. What a check's
/// program is started with stays: nobody can tell which of its words is one.
pub(super) fn masked(config: &Config, word: &str) -> Config {
    let mut config = config.clone();
    let secret = || Secret(word.to_owned());
    let global = &mut config.global_defs;
    global.smtp_password = global.smtp_password.is_some().then(secret);
    global.smtp_login = global.smtp_login.is_some().then(|| word.to_owned());
    if let Some(ssl) = &mut config.ssl {
        ssl.password = ssl.password.is_some().then(secret);
    }
    for instance in &mut config.vrrp_instance {
        if let Some(authentication) = &mut instance.authentication {
            authentication.auth_pass = secret();
        }
        for key in instance.auth_hmac.iter_mut().flat_map(|hmac| &mut hmac.key) {
            key.secret = secret();
        }
    }
    config
}
