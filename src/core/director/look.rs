//! Reads what a director's settings are, in the network namespace of the calling thread, or of IPVS where the file names one.

use crate::config::model::Config;
use crate::net::space::{Space, within};

use super::{Addresses, Facts, settings};

/// The settings that these services need, and this machine's addresses. What cannot be read is left out.
pub fn look(config: &Config) -> Facts {
    let space = Space::of_ipvs(config.net_namespace_ipvs.as_deref());
    // That it cannot be entered is the ipvs thread's to tell.
    within(space.as_ref(), || here(config)).unwrap_or_default()
}

fn here(config: &Config) -> Facts {
    let addresses = addresses();
    let values = settings(config, &addresses).into_iter().filter_map(|key| {
        let text = std::fs::read_to_string(key.path()).ok()?;
        Some((key, text.trim().to_owned()))
    });
    Facts { values: values.collect(), addresses }
}

/// This machine's addresses; empty when the kernel does not tell.
pub fn addresses() -> Addresses {
    let mut addresses = Addresses::new();
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else { continue };
        let address = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
            (Some(v4), _) => v4.ip().into(),
            (None, Some(v6)) => v6.ip().into(),
            (None, None) => continue,
        };
        addresses.entry(address).or_default().insert(interface.interface_name);
    }
    addresses
}
