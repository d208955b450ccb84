//! How large the receive buffer of an advert socket is: its instances share it, and each adds its part. Pure.

use crate::config::model::{Global, Instance};

/// `vrrp_rx_bufs_multiplier` when the file says nothing.
const MULTIPLIER: u32 = 3;

/// What a buffer has when no file asks for another size, in bytes. The kernel's own default holds fewer than 300 adverts:
/// less than a thousand instances say at once when their director stops, and little in a flood. Room that is not used costs
/// nothing.
pub const DEFAULT: usize = 1 << 20;

/// What one instance adds to the buffer of its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many bytes.
    Bytes(u32),
    /// So many times the MTU of its interface.
    Mtus(u32),
}

impl Share {
    /// `kernel_rx_buf_size`, else `vrrp_rx_bufs_policy` with its multiplier; `None` = the file says nothing. `advert` is the
    /// length of the instance's adverts in bytes, IP header included.
    pub fn of(instance: &Instance, global: &Global, advert: usize) -> Option<Self> {
        if let Some(bytes) = instance.kernel_rx_buf_size {
            return Some(Self::Bytes(bytes));
        }
        let times = global.vrrp_rx_bufs_multiplier.unwrap_or(MULTIPLIER);
        match global.vrrp_rx_bufs_policy.as_deref()? {
            "MTU" => Some(Self::Mtus(times)),
            "ADVERT" => Some(Self::Bytes(times.saturating_mul(u32::try_from(advert).unwrap_or(u32::MAX)))),
            bytes => bytes.parse().ok().map(Self::Bytes),
        }
    }

    /// In bytes, on an interface of this MTU.
    pub fn bytes(self, mtu: u32) -> usize {
        let bytes = match self {
            Self::Bytes(bytes) => bytes,
            Self::Mtus(times) => times.saturating_mul(mtu),
        };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_comes_first_then_the_policy() {
        let global = |policy: Option<&str>, multiplier| Global {
            vrrp_rx_bufs_policy: policy.map(str::to_owned),
            vrrp_rx_bufs_multiplier: multiplier,
            ..Global::default()
        };
        let instance = |size: Option<u32>| -> Instance {
            let written = serde_json::json!({
                "name": "A", "virtual_router_id": 7, "interface": "eth0", "kernel_rx_buf_size": size,
            });
            serde_json::from_value(written).expect("an instance")
        };
        for (size, policy, multiplier, expected) in [
            (None, None, None, None),
            (None, None, Some(9), None),
            (Some(7000), None, None, Some(7000)),
            (Some(7000), Some("MTU"), Some(9), Some(7000)),
            (None, Some("MTU"), None, Some(4500)),
            (None, Some("MTU"), Some(2), Some(3000)),
            (None, Some("ADVERT"), None, Some(120)),
            (None, Some("ADVERT"), Some(10), Some(400)),
            (None, Some("65536"), Some(10), Some(65536)),
        ] {
            let share = Share::of(&instance(size), &global(policy, multiplier), 40);
            assert_eq!(share.map(|share| share.bytes(1500)), expected, "{size:?} {policy:?} {multiplier:?}");
        }
    }
}
