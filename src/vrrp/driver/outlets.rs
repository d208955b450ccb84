//! Where the loop's results go: adverts to their sockets, announcements to the packet socket, reports to whoever reads
//! them; and the sockets themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::net::address::Wanted;
use crate::net::swift::{Place, Swift};
use crate::realtime::{self, Scheduling};
use crate::vrrp::auth::guard::Sealed;
use crate::vrrp::buffers;
use crate::vrrp::frame::{gratuitous_arp, unsolicited_na};
use crate::vrrp::params::Destination;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::runner::{Outgoing, Packet, Turn};
use crate::vrrp::socket::{AdvertSocket, Datagram, SocketKey};

use super::{Driver, FRAMES_A_TURN, TELL_EVERY, URGENT};

/// Where no interface is named.
const ETHERNET_MTU: u32 = 1500;

impl Driver {
    /// How late this turn is for what it is to do.
    pub(super) fn woke(&mut self, turn: &mut Turn) {
        turn.late = self.deadlines.woke(turn.now);
        if let Some(priority) = self.steps.woke(turn.late) {
            let told = Told::Raised(realtime::raise(&mut self.steps, priority, turn.late));
            turn.reports.push(Report { instance: String::new(), told });
        }
        if let Some(late) = self.lateness.woke(turn.late, turn.now) {
            turn.reports.push(Report { instance: String::new(), told: Told::Late(late) });
        }
    }

    /// Adverts leave at once, whatever else the turn has to do: those in a row for one socket together.
    pub(super) fn send_adverts(&mut self, turn: &mut Turn) {
        if turn.adverts.is_empty() {
            return;
        }
        let adverts = std::mem::take(&mut turn.adverts);
        for of_socket in adverts.chunk_by(|one, next| one.socket == next.socket) {
            let Some(first) = of_socket.first() else { continue };
            let Some(socket) = self.sockets.get_mut(&*first.socket) else {
                let error = io::Error::new(io::ErrorKind::NotConnected, "its interface has no socket");
                self.send_failed(&first.instance, &first.socket.interface, &error, turn);
                continue;
            };
            let (senders, datagrams): (Vec<&Outgoing>, Vec<Datagram<'_>>) = of_socket
                .iter()
                .flat_map(|advert| advert.packets.iter().map(move |packet| (advert, datagram(packet))))
                .unzip();
            let mut failures: Vec<(&Outgoing, io::Error)> = Vec::new();
            socket.send(&datagrams, |number, error| {
                failures.extend(senders.get(number).map(|sender| (*sender, error)));
            });
            for advert in of_socket {
                self.note_spoken(advert.number);
            }
            for (sender, error) in failures {
                self.send_failed(&sender.instance, &sender.socket.interface, &error, turn);
            }
        }
    }

    /// Gratuitous ARP and neighbour advertisements that are due, a portion at a time.
    pub(super) fn announce(&mut self, turn: &mut Turn) {
        for instance in std::mem::take(&mut turn.silenced) {
            self.paces.forget(&instance);
        }
        for announcement in std::mem::take(&mut turn.first) {
            self.paces.first(announcement, turn.now);
        }
        for (instance, bundle, rounds) in std::mem::take(&mut turn.again) {
            self.paces.again(&instance, &bundle, rounds);
        }
        for announcement in self.paces.due(turn.now, FRAMES_A_TURN) {
            let interface = &*announcement.interface;
            let Some(link) = self.links.get(interface) else { continue };
            let Some(mac) = link.mac else { continue };
            let frame = match announcement.address {
                IpAddr::V4(address) => gratuitous_arp(mac, address),
                IpAddr::V6(address) => unsolicited_na(mac, address),
            };
            if let Err(error) = self.frames.send(link.index, &frame) {
                self.send_failed(&announcement.instance, interface, &error, turn);
            }
        }
    }

    /// Starts the thread of the first addresses, scheduled as this one. Without it the writer does its work.
    pub(super) fn start_swift(&mut self, scheduling: &Scheduling) {
        let like_us = scheduling.clone();
        let mailbox = self.mailbox.clone();
        let prepare = move || _ = realtime::apply(&like_us);
        if self.out.swift {
            self.swift = Swift::start(prepare, move |keys| mailbox.placed(keys)).ok();
        }
    }

    /// Right behind the adverts: the first addresses of new masters.
    pub(super) fn hurry(&mut self, turn: &mut Turn) {
        let Some(swift) = &self.swift else { return };
        if !turn.silenced.is_empty() {
            swift.recall();
        }
        let mut places = Vec::new();
        for number in std::mem::take(&mut turn.urgent) {
            let Some(runner) = self.runners.get(number).filter(|runner| runner.wants_addresses()) else {
                continue;
            };
            for (key, spec) in runner.settings().addresses.iter().take(URGENT) {
                if let Some(link) = self.links.get(&key.interface) {
                    places.push(Place { key: key.clone(), spec: spec.clone(), index: link.index });
                }
            }
        }
        if !places.is_empty() {
            swift.place(places);
        }
    }

    /// What should be there, from scratch, under a new generation.
    pub(super) fn publish(&mut self) {
        let want = self
            .runners
            .iter()
            .filter(|r| r.wants_addresses())
            .flat_map(|r| r.settings().addresses.iter().map(|(k, s)| (k.clone(), s.clone())))
            .collect();
        self.generation += 1;
        let mut wanted =
            Wanted { want, ours: self.ours.clone(), ..self.routing.without_wishes(self.generation) };
        for runner in self.runners.iter().filter(|r| r.wants_addresses()) {
            wanted.join(&runner.settings().routing);
        }
        self.out.wanted.send_replace(Arc::new(wanted));
    }

    fn send_failed(&mut self, instance: &str, interface: &str, error: &io::Error, turn: &mut Turn) {
        if self.told_lately(interface, turn.now) {
            return;
        }
        let told = Told::SendFailed { interface: interface.to_owned(), error: error.to_string() };
        turn.reports.push(Report { instance: instance.to_owned(), told });
    }

    pub(super) fn unknown_vrid(&mut self, interface: &str, vrid: u8, source: IpAddr, turn: &mut Turn) {
        if self.told_lately(&format!("{interface} {vrid}"), turn.now) {
            return;
        }
        let told = Told::UnknownVrid { interface: interface.to_owned(), vrid, source };
        turn.reports.push(Report { instance: String::new(), told });
    }

    fn told_lately(&mut self, what: &str, now: Instant) -> bool {
        if self.told.get(what).is_some_and(|at| now.saturating_duration_since(*at) < TELL_EVERY) {
            return true;
        }
        self.told.insert(what.to_owned(), now);
        false
    }

    pub(super) fn report(&mut self, mut report: Report) {
        match &mut report.told {
            Told::Transition { generation, .. }
            | Told::Deleted { generation, .. }
            | Told::Group { generation, .. } => *generation = self.generation,
            _ => {}
        }
        let waiting = self.out.reports.max_capacity().saturating_sub(self.out.reports.capacity());
        if !report.told.fits(waiting) || self.out.reports.try_send(report).is_err() {
            self.dropped_reports = self.dropped_reports.saturating_add(1);
        }
    }

    /// Says that reports were lost, once there is room again.
    pub(super) fn tell_drops(&mut self) {
        if self.dropped_reports > 0 {
            let told = Told::ReportsDropped { count: self.dropped_reports };
            if self.out.reports.try_send(Report { instance: String::new(), told }).is_ok() {
                self.dropped_reports = 0;
            }
        }
    }

    /// One socket for each interface and family that an instance names and the kernel has; closed when the interface is
    /// gone or was made anew under another index.
    pub(super) fn open_sockets(&mut self, turn: &mut Turn) {
        let links = Arc::clone(&self.links);
        let index = |key: &SocketKey| match key.interface.as_str() {
            "" => Some(0),
            name => links.get(name).map(|link| link.index),
        };
        let needed: BTreeSet<Arc<SocketKey>> = self.listeners.keys().cloned().collect();
        self.sockets.retain(|key, socket| needed.contains(key) && index(key) == Some(socket.index()));
        let sockets = &self.sockets;
        self.tokens.retain(|_, key| sockets.contains_key(&**key));
        let mut failures: BTreeMap<Arc<SocketKey>, String> = BTreeMap::new();
        for key in needed {
            let (Some(index), false) = (index(&key), self.sockets.contains_key(&*key)) else { continue };
            match self.open_socket(&key, index) {
                Ok(socket) => drop(self.sockets.insert((*key).clone(), socket)),
                Err(error) => drop(failures.insert(key, error.to_string())),
            }
        }
        self.tune_sockets();
        for runner in &mut self.runners {
            let error = match (failures.get(runner.socket()), self.sockets.get_mut(&**runner.socket())) {
                (Some(error), _) => Some(io::Error::other(error.clone())),
                (None, None) => None,
                (None, Some(socket)) => match &runner.settings().destination {
                    Destination::Multicast(group) => socket.join(*group).err(),
                    Destination::Unicast { .. } => None,
                },
            };
            turn.reports.extend(runner.socket_result(error));
        }
    }

    /// What a socket's instances ask of it together: the size of its buffer, and which adverts are for them.
    fn tune_sockets(&mut self) {
        let mut buffers: BTreeMap<&SocketKey, usize> = BTreeMap::new();
        for runner in &self.runners {
            let Some(share) = runner.settings().receive_buffer else { continue };
            let mtu = self.links.get(&runner.socket().interface).map_or(ETHERNET_MTU, |link| link.mtu);
            let total = buffers.entry(runner.socket()).or_default();
            *total = total.saturating_add(share.bytes(mtu));
        }
        for (key, socket) in &mut self.sockets {
            socket.receive_buffer(buffers.get(key).copied().unwrap_or(buffers::DEFAULT));
            let vrids = self.listeners.get(key).map(|by_vrid| by_vrid.keys().copied().collect());
            socket.listen_to(vrids.filter(|_| !self.tell_unknown_vrids));
        }
    }

    fn open_socket(&mut self, key: &Arc<SocketKey>, index: u32) -> io::Result<AdvertSocket> {
        let socket = AdvertSocket::open(key, index)?;
        let token = self.next_token;
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        self.next_token += 1;
        self.tokens.insert(token, Arc::clone(key));
        Ok(socket)
    }
}

fn datagram(packet: &Packet) -> Datagram<'_> {
    let (payload, whole) = match &packet.sealed {
        Sealed::Payload(payload) => (payload, false),
        Sealed::Packet(packet) => (packet, true),
    };
    Datagram { payload, whole, source: packet.source, destination: packet.destination, ttl: packet.ttl }
}
