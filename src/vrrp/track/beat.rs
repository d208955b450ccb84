//! Asks an interface for its carrier: the status register of its MII, ethtool's link state, or the plain flags.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

use crate::config::model::LinkbeatMethod;

use super::link::Watch;

/// linux/sockios.h; each driver takes them through the same socket call.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const SIOCGMIIPHY: libc::c_ulong = 0x8947;
const SIOCGMIIREG: libc::c_ulong = 0x8948;
/// linux/ethtool.h.
const ETHTOOL_GLINK: u32 = 0x0a;
/// linux/mii.h: basic mode status register, its link bit.
const MII_BMSR: u16 = 1;
const BMSR_LSTATUS: u16 = 0x0004;

/// Asks, and remembers which way an interface knows.
#[derive(Default)]
pub(super) struct Asker {
    socket: Option<Socket>,
    ways: BTreeMap<String, LinkbeatMethod>,
}

impl Asker {
    /// Asks every interface that wants it.
    pub(super) fn ask(&mut self, watch: &mut Watch) {
        let wanted: Vec<(String, Option<LinkbeatMethod>)> =
            watch.beats().map(|(name, method)| (name.to_owned(), method)).collect();
        self.ways.retain(|name, _| wanted.iter().any(|(other, _)| other == name));
        for (name, method) in wanted {
            let carrier = self.carrier(&name, method);
            watch.beat(&name, carrier);
        }
    }

    /// The preferred way, else the others in keepalived's order; `None` when the interface answers none of them, as one
    /// that does not exist.
    fn carrier(&mut self, interface: &str, preferred: Option<LinkbeatMethod>) -> Option<bool> {
        if self.socket.is_none() {
            self.socket = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), None).ok();
        }
        let socket = self.socket.as_ref()?;
        let known = self.ways.get(interface).copied();
        let order = [LinkbeatMethod::Mii, LinkbeatMethod::Ethtool, LinkbeatMethod::Ioctl];
        for way in known.into_iter().chain(preferred).chain(order) {
            if let Ok(carrier) = ask(socket, interface, way) {
                if self.ways.insert(interface.to_owned(), way) != Some(way) {
                    tracing::info!("interface {interface}: its carrier is asked for by {way:?} each second");
                }
                return Some(carrier);
            }
        }
        None
    }
}

/// One question.
///
/// # Errors
/// When the interface does not exist, or does not know this way.
pub(super) fn ask(socket: &Socket, interface: &str, way: LinkbeatMethod) -> io::Result<bool> {
    match way {
        LinkbeatMethod::Mii => {
            let mut mii = Mii::default();
            call(socket, interface, SIOCGMIIPHY, &mut mii)?;
            mii.register = MII_BMSR;
            call(socket, interface, SIOCGMIIREG, &mut mii)?;
            // The bit is latched low: the first reading may tell of a loss long past.
            if mii.value & BMSR_LSTATUS == 0 {
                call(socket, interface, SIOCGMIIREG, &mut mii)?;
            }
            // A driver that answers without a transceiver reads all ones or all zeroes.
            match mii.value {
                0 | u16::MAX => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
                value => Ok(value & BMSR_LSTATUS != 0),
            }
        }
        LinkbeatMethod::Ethtool => {
            let mut value = EthtoolValue { command: ETHTOOL_GLINK, data: 0 };
            let mut request = Pointer { data: std::ptr::from_mut(&mut value).cast() };
            call(socket, interface, SIOCETHTOOL, &mut request)?;
            Ok(value.data != 0)
        }
        LinkbeatMethod::Ioctl => {
            let mut flags = Flags::default();
            call(socket, interface, libc::SIOCGIFFLAGS, &mut flags)?;
            let running = i32::from(flags.flags) & libc::IFF_RUNNING != 0;
            Ok(running)
        }
    }
}

/// `struct mii_ioctl_data`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Mii {
    phy: u16,
    register: u16,
    value_in: u16,
    value: u16,
}

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Pointer {
    data: *mut libc::c_void,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Flags {
    flags: i16,
}

/// What the request of a call looks like: plain data that fits into the union of `struct ifreq`.
trait Request: Copy {}

impl Request for Mii {}
impl Request for Pointer {}
impl Request for Flags {}

/// Bytes of the union in `struct ifreq` (24 where pointers have 64 bits, 16 where they have 32).
const UNION: usize = size_of::<libc::ifreq>() - libc::IFNAMSIZ;

#[repr(C, align(8))]
struct Ifreq {
    name: [u8; libc::IFNAMSIZ],
    data: [u8; UNION],
}

fn call<R: Request>(
    socket: &Socket,
    interface: &str,
    number: libc::c_ulong,
    request: &mut R,
) -> io::Result<()> {
    const { assert!(size_of::<R>() <= UNION) };
    let mut ifreq = Ifreq { name: [0; libc::IFNAMSIZ], data: [0; UNION] };
    let name = interface.as_bytes();
    // The last octet stays zero.
    match ifreq.name.get_mut(..name.len()) {
        Some(room) if name.len() < libc::IFNAMSIZ => room.copy_from_slice(name),
        _ => return Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
    let data = ifreq.data.as_mut_ptr().cast::<R>();
    // SAFETY: `R` is plain data that fits into `data` (asserted above); the access is unaligned.
    #[allow(unsafe_code)]
    unsafe {
        data.write_unaligned(*request);
    }
    // SAFETY: the descriptor is open, and `ifreq` has the size and layout of the kernel's `struct ifreq`, with a name that
    // ends in a zero; a pointer in it leads to a value that lives until the call is over.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number as _, std::ptr::from_mut(&mut ifreq)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above; any bytes are a valid `R` (integers, and a pointer that nobody follows).
    #[allow(unsafe_code)]
    unsafe {
        *request = data.read_unaligned();
    }
    Ok(())
}
