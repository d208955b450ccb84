//! The keys of `auth_hmac` blocks, read from their files and from systemd's credentials.

use std::path::PathBuf;

use crate::config::model::Config;
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
