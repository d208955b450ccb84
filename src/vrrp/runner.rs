//! One instance at run time: its machine, its acceptance rules, its announcements and its refusal counts. It
//! turns the machine's actions into bytes and wishes for the driver and holds no socket and no clock.

mod history;
mod orders;
mod outgoing;
mod peers;
mod proving;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::address::AddressKey;
use crate::net::link::Links;

use super::accept::{Datagram, Discard, Rules, accept};
use super::announce::Schedule;
use super::auth::ah;
use super::auth::guard::{Guard, Incoming, Policy};
use super::auth::steady::Steady;
use super::datagram::Arrived;
use super::group::Member;
use super::machine::{Action, Event, Machine, Note, Occasion, Rhythm, StateName};
use super::pace::{Announcement, Bundle, bundles};
use super::packet::PROTOCOL;
use super::params::{Destination, Settings, Tracker, TrackerValues};
use super::priority::{Effective, effective};
use super::probe::{Finding, Probe, Question};
use super::report::{Report, Told};
use super::snapshot::{Remembered, Seen, Snapshot};
use super::socket::SocketKey;
pub(super) use history::History;
use outgoing::Spoken;
pub(super) use outgoing::{Outgoing, Packet};

/// Refusals of one kind are told at most this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What one turn of the loop wants carried out.
pub(super) struct Turn {
    pub(super) now: Instant,
    /// The wall clock: what signed adverts bear.
    pub(super) since_1970: Duration,
    /// How much later than the earliest deadline the loop woke: the thread's own delay.
    pub(super) late: Duration,
    /// Adverts to send, in order.
    pub(super) adverts: Vec<Outgoing>,
    /// Some instance wants other addresses than before.
    pub(super) addresses_changed: bool,
    /// Reports; the driver fills in the generation of addresses that belongs to them.
    pub(super) reports: Vec<Report>,
    /// Addresses to announce for the first time.
    pub(super) first: Vec<Announcement>,
    /// Addresses to announce so many times more, by instance.
    pub(super) again: Vec<(Arc<str>, Bundle, u32)>,
    /// Numbers of the runners that have just become master: their addresses cannot wait.
    pub(super) urgent: Vec<usize>,
    /// Instances that have nothing to announce any more.
    pub(super) silenced: Vec<Arc<str>>,
    /// Numbers of the runners that something happened to.
    pub(super) touched: BTreeSet<usize>,
}

impl Turn {
    pub(super) const fn new(now: Instant, since_1970: Duration) -> Self {
        Self {
            now,
            since_1970,
            late: Duration::ZERO,
            adverts: Vec::new(),
            addresses_changed: false,
            reports: Vec::new(),
            first: Vec::new(),
            again: Vec::new(),
            urgent: Vec::new(),
            silenced: Vec::new(),
            touched: BTreeSet::new(),
        }
    }
}

/// Refusals of one kind.
#[derive(Default)]
struct Refusals {
    total: u64,
    untold: u64,
    told_at: Option<Instant>,
}

/// An announcement that waits for its addresses.
struct Waiting {
    occasion: Occasion,
    /// When it began, or when the last address was seen to come.
    since: Instant,
    /// Generation of addresses it waits for; `None` until the driver has published it.
    generation: Option<u64>,
}

/// One instance.
pub(super) struct Runner {
    /// Its place in the driver's list.
    number: usize,
    name: Arc<str>,
    settings: Arc<Settings>,
    socket: Arc<SocketKey>,
    guard: Guard,
    steady: Steady,
    /// The last advert, while the next one is the same.
    spoken: Option<Spoken>,
    machine: Machine,
    rules: Rules,
    own: Option<IpAddr>,
    effective: Option<Effective>,
    /// What it watches, as last looked at.
    trackers: Arc<[Tracker]>,
    /// The last advert that was accepted.
    heard: Option<Remembered>,
    schedule: Schedule,
    waiting: Option<Waiting>,
    /// All addresses, as they are announced.
    bundles: Vec<Bundle>,
    /// Whether anybody else holds them.
    probe: Probe,
    /// Those of [`Settings::extra`].
    extra: Vec<Bundle>,
    /// Addresses of a new master that were not yet seen on their interfaces. Each is announced as soon as it is there.
    unseen: Vec<(Arc<str>, HashSet<IpAddr>)>,
    wants: bool,
    refusals: BTreeMap<&'static str, Refusals>,
    history: History,
    socket_error: Option<String>,
}

impl Runner {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            number: 0,
            name: settings.name.as_str().into(),
            socket: Arc::new(socket_key(&settings)),
            guard: Guard::new(settings.policy.clone(), peers(&settings)),
            steady: Steady::default(),
            spoken: None,
            machine: Machine::new(settings.machine_params(None)),
            rules: settings.rules(None),
            own: None,
            effective: None,
            trackers: Arc::new([]),
            heard: None,
            schedule: Schedule::new(settings.garp),
            waiting: None,
            probe: Probe::default(),
            bundles: bundles(settings.addresses.keys()),
            extra: bundles(settings.extra.iter()),
            unseen: Vec::new(),
            wants: false,
            refusals: BTreeMap::new(),
            history: History::default(),
            socket_error: None,
            settings,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The socket that its adverts leave and arrive by.
    pub(super) const fn socket(&self) -> &Arc<SocketKey> {
        &self.socket
    }

    pub(super) const fn wants_addresses(&self) -> bool {
        self.wants
    }

    /// What its sync group sees of it.
    pub(super) fn member(&self) -> Member {
        Member::of(&self.settings.name, &self.machine)
    }

    /// The next time that it has something to do.
    pub(super) fn deadline(&self, applied: u64, patience: Duration) -> Option<Instant> {
        let waiting =
            self.waiting.as_ref().map(|w| if w.ready(applied) { w.since } else { w.since + patience });
        let machine = self.machine.deadline().map(|(at, _)| at);
        [machine, self.schedule.deadline(), waiting].into_iter().flatten().min()
    }

    /// Its place in the driver's list, and among all others in the interval.
    pub(super) fn place(&mut self, number: usize, rhythm: Option<Rhythm>) {
        self.number = number;
        self.machine.set_rhythm(rhythm);
    }

    pub(super) fn start(&mut self, hold: Duration, turn: &mut Turn) {
        self.feed(Event::Start { hold }, turn);
    }

    /// Goes on as master after the thread failed.
    pub(super) fn resume(&mut self, turn: &mut Turn) {
        self.feed(Event::Resume, turn);
    }

    /// An order of its sync group.
    pub(super) fn order(&mut self, event: Event, turn: &mut Turn) {
        self.feed(event, turn);
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
    pub(super) fn reload(&mut self, settings: Arc<Settings>, turn: &mut Turn) {
        let other_addresses = self.settings.addresses != settings.addresses;
        let other_garp = self.settings.garp != settings.garp;
        self.rules = settings.rules(self.own);
        self.guard.reload(settings.policy.clone(), peers(&settings));
        self.socket = Arc::new(socket_key(&settings));
        let params = settings.machine_params(self.own);
        let changed = self.settings != settings;
        self.spoken = None;
        self.settings = settings;
        self.bundles = bundles(self.settings.addresses.keys());
        self.extra = bundles(self.settings.extra.iter());
        if changed {
            self.feed(Event::Params(params), turn);
        }
        if other_garp {
            self.schedule.set(self.settings.garp, turn.now);
        }
        if self.wants && other_addresses {
            // What waits to be said may name addresses that are no more.
            turn.silenced.push(Arc::clone(&self.name));
            turn.addresses_changed = true;
            turn.urgent.push(self.number);
            self.wait_to_announce(Occasion::BecameMaster, turn);
        }
    }

    /// Source address and trackers as they are now.
    pub(super) fn look_around(
        &mut self,
        links: &Links,
        values: &TrackerValues,
        fault: Option<String>,
        virtuals: &BTreeSet<IpAddr>,
        turn: &mut Turn,
    ) {
        let own = self.settings.own_address(links, |a| virtuals.contains(&a));
        if own != self.own {
            self.own = own;
            self.rules = self.settings.rules(own);
            self.feed(Event::Own(own), turn);
        }
        let trackers = self.settings.trackers_now(links, values);
        let now = match self.settings.standing_fault.clone().or(fault) {
            Some(reason) => Effective::Fault(reason),
            None => effective(self.settings.base_priority, &trackers),
        };
        self.trackers = trackers.into();
        if self.effective.as_ref() != Some(&now) {
            self.effective = Some(now.clone());
            self.feed(Event::Effective(now), turn);
        }
        self.announce_what_is_there(links, turn);
    }

    /// A datagram for this instance.
    pub(super) fn advert(&mut self, arrived: &Arrived<'_>, turn: &mut Turn) {
        // What comes from beyond a router moves no counter of an authentication header.
        if self.rules.unicast.is_none() && arrived.ttl != 255 {
            let discard = Discard::Ttl { found: arrived.ttl, source_address: arrived.source };
            return self.refused(&discard, turn);
        }
        let incoming = Incoming { payload: arrived.payload, packet: arrived.packet, source: arrived.source };
        let opened = match self.open(&incoming, turn) {
            Ok(opened) => opened,
            Err(error) => return self.refused(&Discard::Auth(error), turn),
        };
        let datagram = Datagram {
            payload: &opened.bytes,
            source: arrived.source,
            destination: arrived.destination,
            ttl: arrived.ttl,
        };
        let master = self.machine.state() == StateName::Master;
        self.rules.own_priority = master.then(|| self.machine.priority());
        match accept(&self.rules, &datagram) {
            Ok(advert) => {
                let skipped = self.settings.skip_address_check
                    && self.heard.is_some_and(|heard| heard.source == advert.source());
                if advert.address_mismatch().is_some() && !skipped {
                    let source = advert.source();
                    self.tell_seldom("address_list_differs", turn, |_| Told::AddressListDiffers { source });
                }
                let (source, priority) = (advert.source(), advert.priority());
                self.history.accepted(priority, advert.address_mismatch().is_some());
                self.history.heard(source, priority, turn.now);
                self.heard = Some(Remembered { source, priority, at: turn.now });
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

    /// Puts the announcements that are due now into the turn.
    pub(super) fn announce(&mut self, applied: u64, patience: Duration, turn: &mut Turn) {
        let now = turn.now;
        let mut told = 0;
        if let Some(waiting) =
            self.waiting.take_if(|w| w.ready(applied) || now.saturating_duration_since(w.since) >= patience)
        {
            // What is in place was seen, or will be in a moment. What is not (a stuck writer) is announced all the
            // same, and again when it comes.
            for (interface, addresses) in &self.unseen {
                turn.first.extend(addresses.iter().map(|address| self.first(interface, *address)));
            }
            if waiting.ready(applied) {
                self.unseen = Vec::new();
            }
            // Of its first burst every address has had one packet.
            told = u32::from(waiting.occasion == Occasion::BecameMaster);
            self.schedule.begin(waiting.occasion, now);
        }
        let times = self.schedule.due(now).saturating_sub(told);
        if times > 0 {
            turn.again
                .extend(self.bundles.iter().map(|bundle| (Arc::clone(&self.name), bundle.clone(), times)));
        }
        if self.schedule.extra_due(now) {
            turn.again.extend(self.extra.iter().map(|bundle| (Arc::clone(&self.name), bundle.clone(), 1)));
        }
    }

    /// While thousands of addresses are being added, each is announced when it is seen, not when the last one is.
    fn announce_what_is_there(&mut self, links: &Links, turn: &mut Turn) {
        for (interface, addresses) in &mut self.unseen {
            let Some(link) = links.get(&**interface) else { continue };
            for there in link.addresses.iter().filter(|there| addresses.remove(&there.address)) {
                turn.first.push(Announcement {
                    instance: Arc::clone(&self.name),
                    interface: Arc::clone(interface),
                    address: there.address,
                });
                if let Some(waiting) = &mut self.waiting {
                    waiting.since = turn.now;
                }
            }
        }
        self.forget_seen();
    }

    /// What has been seen needs no room any more: a thousand masters would keep it for nothing.
    fn forget_seen(&mut self) {
        self.unseen.retain(|(_, addresses)| !addresses.is_empty());
        if self.unseen.is_empty() {
            self.unseen = Vec::new();
        }
    }

    /// Addresses that whoever put them there says are there.
    pub(super) fn placed(&mut self, keys: &[AddressKey], turn: &mut Turn) {
        for key in keys {
            let Some(at) = self.unseen.iter().position(|(name, _)| **name == *key.interface) else {
                continue;
            };
            let (interface, addresses) = &mut self.unseen[at];
            if addresses.remove(&key.address) {
                let interface = Arc::clone(interface);
                turn.first.push(self.first(&interface, key.address));
            }
        }
        self.forget_seen();
    }

    /// A question about a second holder is due.
    pub(super) fn probe_due(&self, now: Instant) -> bool {
        self.probe.is_due(now)
    }

    /// The question that is due.
    pub(super) fn question(&mut self, turn: &mut Turn) -> Option<Question> {
        let (question, finding) = self.probe.due(&self.bundles, turn.now);
        self.found(finding, turn);
        question
    }

    /// Somebody else says that it holds this address.
    pub(super) fn answered(&mut self, address: IpAddr, mac: [u8; 6], turn: &mut Turn) {
        // Another router of this virtual router says it with the address that both have.
        let vmac = [0, 0, 0x5e, 0, if address.is_ipv6() { 2 } else { 1 }, self.settings.vrid];
        if mac != vmac {
            let finding = self.probe.answer(address, mac, turn.now);
            self.found(finding, turn);
        }
    }

    fn found(&mut self, finding: Option<Finding>, turn: &mut Turn) {
        let Some(finding) = finding else { return };
        match finding {
            Finding::TwoHolders { address, mac } => self.tell(Told::TwoHolders { address, mac }, turn),
            Finding::OneAgain { address, mac, lasted, answers } => {
                self.tell(Told::OneHolderAgain { address, mac, lasted, answers }, turn);
            }
            Finding::Still => {}
        }
        // Who was led astray finds the way back; who was not loses nothing.
        self.schedule.begin(Occasion::OtherHolder, turn.now);
        turn.touched.insert(self.number);
    }

    fn first(&self, interface: &Arc<str>, address: IpAddr) -> Announcement {
        Announcement { instance: Arc::clone(&self.name), interface: Arc::clone(interface), address }
    }

    fn feed(&mut self, event: Event, turn: &mut Turn) {
        turn.touched.insert(self.number);
        for action in self.machine.handle(event, turn.now) {
            match action {
                Action::SendAdvert { priority } => {
                    let time = self.signed_time(turn);
                    let advert = self.outgoing(priority, time);
                    self.history.sent(priority, advert.is_some());
                    turn.adverts.extend(advert);
                }
                Action::Addresses { wanted } => {
                    turn.addresses_changed |= self.wants != wanted;
                    self.wants = wanted;
                    if wanted {
                        turn.urgent.push(self.number);
                    } else {
                        self.waiting = None;
                        self.unseen = Vec::new();
                        self.probe.stop();
                        self.schedule.stop();
                        turn.silenced.push(Arc::clone(&self.name));
                    }
                }
                Action::Announce(occasion) => {
                    if matches!(occasion, Occasion::LowerPriorityHeard) {
                        let priority = self.machine.priority();
                        self.tell(Told::LowerPriorityHeard { priority }, turn);
                    }
                    self.wait_to_announce(occasion, turn);
                }
                Action::Transition(transition) => {
                    let snapshot = Box::new(self.snapshot(transition.priority, turn));
                    self.history.passed(&transition, &snapshot, turn);
                    self.tell(Told::Transition { transition, snapshot, generation: 0 }, turn);
                }
                // Told for the whole group.
                Action::Note(Note::WantsMaster) => {}
                Action::Note(note) => self.tell(Told::Note(note), turn),
            }
        }
        debug_assert!(
            !self.wants || self.machine.state() == StateName::Master,
            "only a master holds addresses"
        );
    }

    /// What is so now.
    fn snapshot(&self, priority: u8, turn: &Turn) -> Snapshot {
        Snapshot {
            base_priority: self.settings.base_priority,
            priority,
            trackers: self.trackers.iter().map(Seen::from).collect(),
            last_advert: self.heard.map(|heard| heard.now(turn.now)),
            own_delay: turn.late,
            order: self.machine.order().map(|order| order.kind.name()),
        }
    }

    fn wait_to_announce(&mut self, occasion: Occasion, turn: &Turn) {
        match occasion {
            // A reload's new addresses are an occasion, too.
            Occasion::BecameMaster => self.probe.begin(turn.now),
            Occasion::LowerPriorityHeard
            | Occasion::RivalGone
            | Occasion::WasAway
            | Occasion::OtherHolder => {
                self.probe.suspect(turn.now);
            }
        }
        if occasion == Occasion::BecameMaster {
            self.unseen.clear();
            for key in self.settings.addresses.keys() {
                let known = self.unseen.iter_mut().find(|(name, _)| **name == *key.interface);
                match known {
                    Some((_, addresses)) => drop(addresses.insert(key.address)),
                    None => self.unseen.push((key.interface.as_str().into(), HashSet::from([key.address]))),
                }
            }
        }
        self.waiting = Some(Waiting { occasion, since: turn.now, generation: None });
    }

    fn refused(&mut self, discard: &Discard, turn: &mut Turn) {
        // Multicast comes back to its sender on some bridges and bonds: nothing worth a line.
        let name = discard.name();
        if matches!(discard, Discard::OwnPacket { .. }) {
            self.refusals.entry(name).or_default().total += 1;
            return;
        }
        self.tell_seldom(name, turn, |count| Told::Discarded { why: discard.to_string(), name, count });
    }

    fn tell_seldom(&mut self, name: &'static str, turn: &mut Turn, told: impl FnOnce(u64) -> Told) {
        let refusals = self.refusals.entry(name).or_default();
        refusals.total += 1;
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

fn socket_key(settings: &Settings) -> SocketKey {
    let protocol = match settings.policy {
        Policy::Ah(_) => ah::PROTOCOL,
        Policy::Bare | Policy::Hmac(_) => PROTOCOL,
    };
    SocketKey { interface: settings.interface.clone(), ipv6: settings.ipv6, protocol }
}

/// The peers whose numbers are kept apart; none with multicast.
fn peers(settings: &Settings) -> Vec<IpAddr> {
    match &settings.destination {
        Destination::Multicast(_) => Vec::new(),
        Destination::Unicast { peers, .. } => peers.iter().map(|peer| peer.address).collect(),
    }
}
