//! Where the loop's results go: adverts to their sockets, announcements to the packet socket, reports to whoever reads
//! them; and the sockets themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::vrrp::auth::guard::Sealed;
use crate::vrrp::frame::{gratuitous_arp, unsolicited_na};
use crate::vrrp::params::Destination;
use crate::vrrp::report::{Report, Told};
use crate::vrrp::runner::Turn;
use crate::vrrp::socket::{AdvertSocket, Datagram, SocketKey};

use super::{Driver, FRAMES_A_TURN, TELL_EVERY};

impl Driver {
    /// How late this turn is for what it is to do.
    pub(super) fn woke(&mut self, turn: &mut Turn) {
        let due = self.deadlines.next().filter(|at| *at <= turn.now);
        if let Some(late) = due.and_then(|at| self.lateness.woke(at, turn.now)) {
            turn.reports.push(Report { instance: String::new(), told: Told::Late(late) });
        }
    }

    /// Adverts leave at once, whatever else the turn has to do.
    pub(super) fn send_adverts(&mut self, turn: &mut Turn) {
        for advert in std::mem::take(&mut turn.adverts) {
            let result = match self.sockets.get_mut(&*advert.socket) {
                None => Err(io::Error::new(io::ErrorKind::NotConnected, "its interface has no socket")),
                // One peer that cannot be reached must not keep the advert from the others.
                Some(socket) => {
                    let mut result = Ok(());
                    for packet in &advert.packets {
                        let (payload, whole) = match &packet.sealed {
                            Sealed::Payload(payload) => (payload, false),
                            Sealed::Packet(packet) => (packet, true),
                        };
                        let datagram = Datagram {
                            payload,
                            whole,
                            source: packet.source,
                            destination: packet.destination,
                            ttl: packet.ttl,
                        };
                        if let Err(error) = socket.send(&datagram) {
                            result = Err(error);
                        }
                    }
                    result
                }
            };
            if let Err(error) = result {
                self.send_failed(&advert.instance, &advert.socket.interface, &error, turn);
            }
        }
    }

    /// Gratuitous ARP and neighbour advertisements that are due, a portion at a time.
    pub(super) fn announce(&mut self, turn: &mut Turn) {
        for instance in std::mem::take(&mut turn.silenced) {
            self.paces.forget(&instance);
        }
        for (interface, announcement) in std::mem::take(&mut turn.announcements) {
            self.paces.push(&interface, announcement);
        }
        for (interface, announcement) in self.paces.due(turn.now, FRAMES_A_TURN) {
            let Some(link) = self.links.get(&interface) else { continue };
            let Some(mac) = link.mac else { continue };
            let frame = match announcement.address {
                IpAddr::V4(address) => gratuitous_arp(mac, address),
                IpAddr::V6(address) => unsolicited_na(mac, address),
            };
            if let Err(error) = self.frames.send(link.index, &frame) {
                self.send_failed(&announcement.instance, &interface, &error, turn);
            }
        }
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
        if self.out.reports.try_send(report).is_err() {
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
        self.tokens.retain(|_, key| sockets.contains_key(key));
        let mut failures: BTreeMap<Arc<SocketKey>, String> = BTreeMap::new();
        for key in needed {
            let (Some(index), false) = (index(&key), self.sockets.contains_key(&*key)) else { continue };
            match self.open_socket(&key, index) {
                Ok(socket) => drop(self.sockets.insert((*key).clone(), socket)),
                Err(error) => drop(failures.insert(key, error.to_string())),
            }
        }
        for runner in &mut self.runners {
            let error = match (failures.get(runner.socket()), self.sockets.get_mut(&**runner.socket())) {
                (Some(error), _) => Some(io::Error::other(error.clone())),
                (None, None) => None,
                (None, Some(socket)) => {
                    if let Some(bytes) = runner.settings().receive_buffer {
                        socket.receive_buffer(usize::try_from(bytes).unwrap_or(usize::MAX));
                    }
                    match &runner.settings().destination {
                        Destination::Multicast(group) => socket.join(*group).err(),
                        Destination::Unicast { .. } => None,
                    }
                }
            };
            turn.reports.extend(runner.socket_result(error));
        }
    }

    fn open_socket(&mut self, key: &SocketKey, index: u32) -> io::Result<AdvertSocket> {
        let socket = AdvertSocket::open(key, index)?;
        let token = self.next_token;
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
        self.next_token += 1;
        self.tokens.insert(token, key.clone());
        Ok(socket)
    }
}
