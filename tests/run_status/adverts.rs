//! Adverts as they are on the cable, and what lies between them.

use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// An advert is seen at both ends of the cable: the second one at once.
const TWICE: Duration = Duration::from_millis(20);
/// `ETH_P_IP`, in network byte order.
const IPV4: i32 = 0x0800u16.to_be() as i32;

/// What was seen since the last look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gaps {
    pub adverts: usize,
    pub longest: Duration,
    /// The sum, for the mean.
    sum: Duration,
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = self.sum.checked_div(u32::try_from(self.adverts).unwrap()).unwrap_or_default();
        write!(f, "{} adverts, {:.1} ms apart, {:.1} ms at most", self.adverts, ms(mean), ms(self.longest))
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[derive(Default)]
struct Seen {
    last: Option<Instant>,
    gaps: Gaps,
}

/// Watches the adverts of one virtual router in the network namespace of its thread.
pub struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    pub fn start(vrid: u8) -> Self {
        // Without a link header: a packet begins with that of IP.
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(IPV4))).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let into = Arc::clone(&seen);
        std::thread::spawn(move || {
            let (mut socket, mut buffer) = (socket, [0; 2048]);
            while let Ok(length) = socket.read(&mut buffer) {
                let now = Instant::now();
                let packet = &buffer[..length];
                // Protocol 112 without options, and the VRID behind version and type.
                if packet.get(9) != Some(&112) || packet.get(21) != Some(&vrid) {
                    continue;
                }
                let mut seen = into.lock().unwrap();
                let gap = seen.last.map(|last| now - last);
                if gap.is_some_and(|gap| gap < TWICE) {
                    continue;
                }
                seen.last = Some(now);
                if let Some(gap) = gap {
                    seen.gaps.adverts += 1;
                    seen.gaps.sum += gap;
                    seen.gaps.longest = seen.gaps.longest.max(gap);
                }
            }
        });
        Self(seen)
    }

    /// What was seen since the last call.
    pub fn gaps(&self) -> Gaps {
        std::mem::take(&mut self.0.lock().unwrap().gaps)
    }
}
