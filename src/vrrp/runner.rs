//! One instance at run time: its machine, its acceptance rules, its announcements and its refusal counts. It
//! turns the machine's actions into bytes and wishes for the driver and holds no socket and no clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::config::model::VrrpVersion;
use crate::net::link::Links;

use super::accept::{Datagram, Discard, Rules, accept};
use super::announce::Schedule;
use super::frame::{gratuitous_arp, unsolicited_na};
use super::machine::{Action, Event, Machine, Occasion, StateName};
use super::packet::{Advert, AuthField};
use super::params::{Destination, Settings, TrackerValues};
use super::priority::{Effective, effective};
use super::report::{Report, Told};
use super::socket::Arrived;

/// Refusals of one kind are told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What one turn of the loop wants carried out.
pub(super) struct Turn {
    pub(super) now: Instant,
    /// Adverts to send, with the name of their instance, in order.
    pub(super) adverts: Vec<Outgoing>,
    /// Some instance wants other addresses than before.
    pub(super) addresses_changed: bool,
    /// Reports; the driver fills in the generation of addresses that belongs to them.
    pub(super) reports: Vec<Report>,
}

impl Turn {
    pub(super) const fn new(now: Instant) -> Self {
        Self { now, adverts: Vec::new(), addresses_changed: false, reports: Vec::new() }
    }
}

/// One advert for all of its destinations.
pub(super) struct Outgoing {
    pub(super) instance: String,
    pub(super) interface: String,
    pub(super) packets: Vec<Packet>,
}

/// Bytes and their IP addresses.
pub(super) struct Packet {
    pub(super) payload: Vec<u8>,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
}

/// Refusals of one kind.
#[derive(Default)]
struct Refusals {
    untold: u64,
    told_at: Option<Instant>,
}

/// An announcement that waits for its addresses.
struct Waiting {
    occasion: Occasion,
    since: Instant,
    /// Generation of addresses it waits for; `None` until the driver has published it.
    generation: Option<u64>,
}

/// One instance.
pub(super) struct Runner {
    settings: Settings,
    machine: Machine,
    rules: Rules,
    own: Option<IpAddr>,
    effective: Option<Effective>,
    schedule: Schedule,
    waiting: Option<Waiting>,
    /// Frames that wait for their turn when `vrrp_garp_interval` spaces them.
    frames: VecDeque<(String, Vec<u8>)>,
    next_frame_at: Option<Instant>,
    wants: bool,
    refusals: BTreeMap<&'static str, Refusals>,
    socket_error: Option<String>,
}

impl Runner {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            machine: Machine::new(settings.machine_params(None)),
            rules: settings.rules(None),
            own: None,
            effective: None,
            schedule: Schedule::new(settings.garp),
            waiting: None,
            frames: VecDeque::new(),
            next_frame_at: None,
            wants: false,
            refusals: BTreeMap::new(),
            socket_error: None,
            settings,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) const fn wants_addresses(&self) -> bool {
        self.wants
    }

    /// True when a datagram of this interface and VRID is for this instance. Other VRIDs are other people's.
    pub(super) fn listens(&self, interface: &str, vrid: Option<u8>) -> bool {
        self.settings.interface == interface && vrid.is_none_or(|v| v == self.settings.vrid)
    }

    /// The next time that it has something to do.
    pub(super) fn deadline(&self, applied: u64, patience: Duration) -> Option<Instant> {
        let waiting =
            self.waiting.as_ref().map(|w| if w.ready(applied) { w.since } else { w.since + patience });
        let frames = if self.frames.is_empty() { None } else { self.next_frame_at };
        let machine = self.machine.deadline().map(|(at, _)| at);
        [machine, self.schedule.deadline(), waiting, frames].into_iter().flatten().min()
    }

    pub(super) fn start(&mut self, turn: &mut Turn) {
        self.feed(Event::Start, turn);
    }

    pub(super) fn timeout(&mut self, turn: &mut Turn) {
        if self.machine.deadline().is_some_and(|(at, _)| at <= turn.now) {
            self.feed(Event::Timeout, turn);
        }
    }

    pub(super) fn stop(&mut self, turn: &mut Turn) {
        self.feed(Event::Stop, turn);
    }

    /// A reload took it away: as `stop`, told as a removal.
    pub(super) fn delete(&mut self, turn: &mut Turn) {
        let priority = self.machine.priority();
        self.retire(turn);
        self.tell(Told::Deleted { generation: 0, priority }, turn);
    }

    /// Steps down without telling anybody: another instance of its name takes its place.
    pub(super) fn retire(&mut self, turn: &mut Turn) {
        let told = turn.reports.len();
        self.feed(Event::Stop, turn);
        turn.reports.truncate(told);
    }

    /// New settings for the same router. A master stays master; its new addresses are announced.
    pub(super) fn reload(&mut self, settings: Settings, turn: &mut Turn) {
        let other_addresses = self.settings.addresses != settings.addresses;
        let other_garp = self.settings.garp != settings.garp;
        self.rules = settings.rules(self.own);
        let params = settings.machine_params(self.own);
        let changed = self.settings != settings;
        self.settings = settings;
        if changed {
            self.feed(Event::Params(params), turn);
        }
        if other_garp {
            self.schedule.set(self.settings.garp, turn.now);
        }
        if self.wants && other_addresses {
            turn.addresses_changed = true;
            self.wait_to_announce(Occasion::BecameMaster, turn.now);
        }
    }

    /// Source address and trackers as they are now.
    pub(super) fn look_around(
        &mut self,
        links: &Links,
        values: &TrackerValues,
        virtuals: &BTreeSet<IpAddr>,
        turn: &mut Turn,
    ) {
        let own = self.settings.own_address(links.get(&self.settings.interface), |a| virtuals.contains(&a));
        if own != self.own {
            self.own = own;
            self.rules = self.settings.rules(own);
            self.feed(Event::Own(own), turn);
        }
        let now = effective(self.settings.base_priority, &self.settings.trackers_now(links, values));
        if self.effective.as_ref() != Some(&now) {
            self.effective = Some(now.clone());
            self.feed(Event::Effective(now), turn);
        }
    }

    /// A datagram for this instance.
    pub(super) fn advert(&mut self, arrived: &Arrived<'_>, turn: &mut Turn) {
        let datagram = Datagram {
            payload: arrived.payload,
            source: arrived.source,
            destination: arrived.destination,
            ttl: arrived.ttl,
        };
        let master = self.machine.state() == StateName::Master;
        self.rules.own_priority = master.then(|| self.machine.priority());
        match accept(&self.rules, &datagram) {
            Ok(advert) => {
                if advert.address_mismatch().is_some() {
                    let source = advert.source();
                    self.tell_seldom("address_list_differs", turn, |_| Told::AddressListDiffers { source });
                }
                self.feed(Event::Advert(advert), turn);
            }
            Err(discard) => self.refused(&discard, turn),
        }
    }

    /// The outcome of opening its socket; told when it changes.
    pub(super) fn socket_result(&mut self, error: Option<io::Error>) -> Option<Report> {
        let error = error.map(|e| e.to_string());
        let told = error
            .clone()
            .filter(|_| error != self.socket_error)
            .map(|error| Told::SocketFailed { interface: self.settings.interface.clone(), error });
        self.socket_error = error;
        told.map(|told| Report { instance: self.settings.name.clone(), told })
    }

    /// The driver has published this generation of addresses.
    pub(super) fn published(&mut self, generation: u64) {
        if let Some(waiting) = &mut self.waiting {
            waiting.generation.get_or_insert(generation);
        }
    }

    /// Frames that are due now, with their interfaces.
    pub(super) fn announcements(
        &mut self,
        now: Instant,
        applied: u64,
        patience: Duration,
        links: &Links,
    ) -> Vec<(String, Vec<u8>)> {
        if let Some(waiting) =
            self.waiting.take_if(|w| w.ready(applied) || now.saturating_duration_since(w.since) >= patience)
        {
            self.schedule.begin(waiting.occasion, now);
        }
        let times = self.schedule.due(now);
        for _ in 0..times {
            for key in self.settings.addresses.keys() {
                let Some(mac) = links.get(&key.interface).and_then(|link| link.mac) else { continue };
                let frame = match key.address {
                    IpAddr::V4(address) => gratuitous_arp(mac, address),
                    IpAddr::V6(address) => unsolicited_na(mac, address),
                };
                self.frames.push_back((key.interface.clone(), frame));
            }
        }
        let gap = self.schedule.gap();
        if gap.is_zero() {
            return self.frames.drain(..).collect();
        }
        if self.frames.is_empty() || self.next_frame_at.is_some_and(|at| now < at) {
            return Vec::new();
        }
        self.next_frame_at = Some(now + gap);
        self.frames.pop_front().into_iter().collect()
    }

    fn feed(&mut self, event: Event, turn: &mut Turn) {
        for action in self.machine.handle(event, turn.now) {
            match action {
                Action::SendAdvert { priority } => turn.adverts.extend(self.outgoing(priority)),
                Action::Addresses { wanted } => {
                    turn.addresses_changed |= self.wants != wanted;
                    self.wants = wanted;
                    if !wanted {
                        self.waiting = None;
                        self.schedule.stop();
                        self.frames.clear();
                    }
                }
                Action::Announce(occasion) => {
                    if matches!(occasion, Occasion::LowerPriorityHeard) {
                        let priority = self.machine.priority();
                        self.tell(Told::LowerPriorityHeard { priority }, turn);
                    }
                    self.wait_to_announce(occasion, turn.now);
                }
                Action::Transition(transition) => {
                    self.tell(Told::Transition { transition, generation: 0 }, turn);
                }
            }
        }
        debug_assert!(
            !self.wants || self.machine.state() == StateName::Master,
            "only a master holds addresses"
        );
    }

    fn wait_to_announce(&mut self, occasion: Occasion, since: Instant) {
        self.waiting = Some(Waiting { occasion, since, generation: None });
    }

    fn outgoing(&self, priority: u8) -> Option<Outgoing> {
        let IpAddr::V4(source) = self.own? else { return None };
        let s = &self.settings;
        let advert = Advert {
            version: s.version,
            vrid: s.vrid,
            priority,
            interval: s.advert_int,
            auth: match (s.version, s.password) {
                (VrrpVersion::V2, Some(field)) => AuthField::Pass(field),
                (VrrpVersion::V2, None) | (VrrpVersion::V3, _) => AuthField::None,
            },
            addresses: s.advertised.clone(),
        };
        let destinations: Vec<Ipv4Addr> = match &s.destination {
            Destination::Multicast(group) => vec![*group],
            Destination::Unicast { peers, .. } => peers
                .iter()
                .filter_map(|peer| match peer.address {
                    IpAddr::V4(address) => Some(address),
                    IpAddr::V6(_) => None,
                })
                .collect(),
        };
        let packets = destinations
            .into_iter()
            .map(|destination| Packet {
                payload: advert.encode(source.into(), destination.into()),
                source,
                destination,
            })
            .collect();
        Some(Outgoing { instance: s.name.clone(), interface: s.interface.clone(), packets })
    }

    fn refused(&mut self, discard: &Discard, turn: &mut Turn) {
        // Multicast comes back to its sender on some bridges and bonds: nothing worth a line.
        if matches!(discard, Discard::OwnPacket { .. }) {
            return;
        }
        let (name, why) = (discard.name(), discard.to_string());
        self.tell_seldom(name, turn, |count| Told::Discarded { why, name, count });
    }

    fn tell_seldom(&mut self, name: &'static str, turn: &mut Turn, told: impl FnOnce(u64) -> Told) {
        let refusals = self.refusals.entry(name).or_default();
        refusals.untold += 1;
        if refusals.told_at.is_some_and(|at| turn.now.saturating_duration_since(at) < TELL_EVERY) {
            return;
        }
        refusals.told_at = Some(turn.now);
        let told = told(std::mem::take(&mut refusals.untold));
        self.tell(told, turn);
    }

    fn tell(&self, told: Told, turn: &mut Turn) {
        turn.reports.push(Report { instance: self.settings.name.clone(), told });
    }
}

impl Waiting {
    fn ready(&self, applied: u64) -> bool {
        self.generation.is_some_and(|generation| applied >= generation)
    }
}
