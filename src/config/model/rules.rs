//! What an instance means where its file leaves something open, or where two of its words meet: the one place that the
//! checks of a file, the vrrp thread, the packet filter and the comparison of two files ask.

use super::{Global, InitialState, Instance, VrrpVersion};

/// Priority of the owner of the addresses (RFC 9568 section 5.2.4).
const OWNER: u8 = 255;

impl Instance {
    /// The configured priority: 100, or 255 with `state MASTER` and no priority (keepalived's rule).
    pub fn base_priority(&self) -> u8 {
        let wished = if self.state == Some(InitialState::Master) { OWNER } else { 100 };
        self.priority.unwrap_or(wished)
    }

    /// True when the instance owns its addresses: priority 255.
    pub fn is_owner(&self) -> bool {
        self.base_priority() == OWNER
    }

    /// Strict RFC behaviour: the instance's own word, else the global one.
    pub fn is_strict(&self, global: &Global) -> bool {
        self.strict_mode.or(global.vrrp_strict).unwrap_or(false)
    }

    /// The protocol version: the instance's own word, else the global default, else 2 (keepalived's default for IPv4).
    /// IPv6 is always version 3: version 2 has no form for it.
    pub fn vrrp_version(&self, global: &Global) -> VrrpVersion {
        if self.is_ipv6() {
            return VrrpVersion::V3;
        }
        self.version.or(global.vrrp_version).unwrap_or(VrrpVersion::V2)
    }

    /// True when the addresses answer here while we are master. Owners always do. `no_accept` says no, `accept` says yes;
    /// without either it is yes, under strict mode no. Under strict mode version 2 knows no `accept` (RFC 3768).
    pub fn accepts(&self, global: &Global) -> bool {
        if self.is_owner() {
            return true;
        }
        let strict = self.is_strict(global);
        match self.accept {
            Some(true) => !(strict && self.vrrp_version(global) == VrrpVersion::V2),
            Some(false) => false,
            None => !strict,
        }
    }
}
