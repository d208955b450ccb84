//! `auth_type AH` against Debian's keepalived, by the library's own functions and a raw socket.

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tandem::config::model::VrrpVersion;
use tandem::vrrp::auth::guard::{Guard, Incoming, Policy, Sealed};
use tandem::vrrp::auth::{ah, ah::IpFields};
use tandem::vrrp::datagram::dissect;
use tandem::vrrp::packet::Advert;

use super::*;

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 200);
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// A director in a few lines: it sends what the guard seals, and reads what keepalived sends.
struct Voice {
    socket: Socket,
    guard: Guard,
    sent: u16,
}

impl Voice {
    fn new(lab: &Lab, password: &str) -> Self {
        let guard = Guard::new(Policy::Ah(ah::Key::of_password(password)), Vec::new());
        let socket = lab.inside("client", || {
            let protocol = Protocol::from(i32::from(guard.protocol()));
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(protocol)).expect("a raw socket");
            socket.bind_device(Some(b"eth0")).expect("bind");
            socket.set_header_included_v4(true).expect("IP_HDRINCL");
            socket.set_multicast_loop_v4(false).expect("no loop");
            let index = nix::net::if_::if_nametoindex("eth0").expect("eth0");
            socket.join_multicast_v4_n(&GROUP, &InterfaceIndexOrAddress::Index(index)).expect("the group");
            socket.set_read_timeout(Some(ms(50))).expect("a timeout");
            socket
        });
        Self { socket, guard, sent: 0 }
    }

    fn say(&mut self, priority: u8) {
        let advert = Advert {
            version: VrrpVersion::V2,
            vrid: 51,
            priority,
            interval: s(1),
            auth: self.guard.field().expect("AH has a field of its own"),
            addresses: vec![IpAddr::V4(VIP.parse().expect("an address"))],
        };
        let message = advert.encode(SOURCE.into(), GROUP.into());
        // A number that wraps round to zero would be overwritten by the kernel.
        let fields =
            IpFields { source: SOURCE, destination: GROUP, tos: 0xc0, identification: self.sent, ttl: 255 };
        self.sent += 1;
        let wall = tandem::clock::wall().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let number = self.guard.number(wall);
        let Sealed::Packet(packet) = self.guard.seal(number, message, SOURCE.into(), Some(&fields)) else {
            panic!("AH makes whole packets");
        };
        let group = SocketAddrV4::new(GROUP, 0).into();
        self.socket.send_to(&packet, &group).expect("sent");
    }

    /// The priority of keepalived's next advert, if one comes within a moment.
    fn hear(&mut self) -> Option<u8> {
        let mut buffer = [0; 2048];
        let length = self.socket.read(&mut buffer).ok()?;
        let packet = &buffer[..length];
        let arrived = dissect(packet);
        let incoming = Incoming { payload: arrived.payload, packet, source: arrived.source };
        let message = self.guard.open(&incoming, s(0)).expect("keepalived's proof is believed");
        let advert = Advert::parse(&message.bytes, arrived.source, arrived.destination).expect("an advert");
        Some(advert.priority)
    }

    /// Says `priority` once a second while `going` holds, at most for `time`.
    fn go_on(&mut self, priority: u8, time: Duration, mut going: impl FnMut() -> bool) -> bool {
        let start = now();
        while start.elapsed() < time {
            self.say(priority);
            let next = now() + s(1);
            while now() < next {
                self.hear();
                if !going() {
                    return false;
                }
            }
        }
        true
    }
}

#[test]
fn keepalived_believes_our_authentication_header_and_we_believe_its() {
    let pair = Pair::new("ah");
    let block = "authentication {\n        auth_type AH\n        auth_pass lab-pass\n    }";
    let keepalived = pair.start_as("d2", Kind::Keepalived, &Conf::new("BACKUP", 100).line(block));
    let mut voice = Voice::new(&pair.lab, "lab-pass");
    let has = || pair.watch.has("d2", VIP);
    assert!(voice.go_on(150, s(7), || !has()), "it became master beside us: {}", keepalived.said());
    // Silence: it takes over, and continues our numbers.
    wait("keepalived takes over", patience(), || voice.hear() == Some(100) && has());
    // Another password moves nothing.
    let mut stranger = Voice::new(&pair.lab, "another");
    for _ in 0..3 {
        stranger.say(200);
        pause(ms(300));
    }
    assert!(has(), "it believed a wrong password");
    assert!(keepalived.said().contains("invalid IPSEC HMAC-MD5 value"), "{}", keepalived.said());
    // We have heard it meanwhile: our next number is above its last.
    while voice.hear().is_some() {}
    assert!(!voice.go_on(150, s(5), has), "it does not give up for a higher priority: {}", keepalived.said());
}
