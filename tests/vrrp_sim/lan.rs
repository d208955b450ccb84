//! The network: routers, packets under way, and the virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::config::model::VrrpVersion;
use tandem::vrrp::accept::{Datagram, Rules, UnicastRules, accept};
use tandem::vrrp::group::{Member, orders};
use tandem::vrrp::machine::{Action, Event, Machine, Order, OrderKind, Params, StateName};
use tandem::vrrp::packet::{Advert, AuthField, ChecksumMode};
use tandem::vrrp::priority::Effective;

use super::pcg::Pcg;

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));

/// VRID of a router's first instance; the others follow.
const FIRST_VRID: u8 = 51;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One instance of a router.
struct Instance {
    machine: Machine,
    /// As configured now; `own` as the machine knows it.
    params: Params,
    rules: Rules,
    /// Trackers, as last told.
    effective: Effective,
    /// What a person has ordered; it outlives a restart.
    order: Option<Arc<Order>>,
    /// The driver's picture: addresses are there.
    addresses: bool,
}

/// One router: one instance, or several in a sync group.
struct Router {
    address: IpAddr,
    instances: Vec<Instance>,
    /// Not killed, not stopped.
    alive: bool,
    paused_until: Option<Instant>,
    /// What arrived during a pause.
    backlog: Vec<(IpAddr, Vec<u8>)>,
    /// Routers of one partition hear each other.
    partition: u64,
}

impl Router {
    fn members(&self) -> Vec<Member> {
        let named = self.instances.iter().enumerate();
        named.map(|(place, instance)| Member::of(&format!("VI_{}", place + 1), &instance.machine)).collect()
    }

    /// Nothing forbids any of its instances.
    fn able(&self) -> bool {
        self.alive
            && self.instances.iter().all(|instance| {
                instance.params.own.is_some()
                    && matches!(instance.effective, Effective::Priority(_))
                    && instance.order.as_ref().is_none_or(|order| order.kind != OrderKind::StrictMaintenance)
            })
    }

    fn is_master(&self) -> bool {
        self.alive && self.instances.iter().all(|i| i.machine.state() == StateName::Master)
    }
}

/// A packet under way.
struct Packet {
    to: usize,
    source: IpAddr,
    bytes: Vec<u8>,
}

pub(crate) struct Lan {
    version: VrrpVersion,
    rng: Pcg,
    start: Instant,
    now: Instant,
    routers: Vec<Router>,
    wire: BTreeMap<(Instant, u64), Packet>,
    sent: u64,
    loss: u64,
    duplicates: u64,
    delay: Duration,
    /// Every packet has the same delay.
    in_order: bool,
    transitions: u64,
    loud: bool,
}

impl Lan {
    pub(crate) fn new(rng: Pcg, version: VrrpVersion, loud: bool) -> Self {
        let start = Instant::now();
        Self {
            version,
            rng,
            start,
            now: start,
            routers: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            loss: 0,
            duplicates: 0,
            delay: ms(2),
            in_order: false,
            transitions: 0,
            loud,
        }
    }

    pub(crate) fn say(&self, text: &str) {
        if self.loud {
            println!("{:10.3} {text}", self.now.duration_since(self.start).as_secs_f64());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.routers.len()
    }

    /// A router is put on the network, and started: an instance for each of these, in a sync group when there are several.
    pub(crate) fn add(&mut self, all: Vec<Params>, unicast: Option<&UnicastRules>) {
        let index = self.routers.len();
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + index as u8));
        let grouped = all.len() > 1;
        let instance = |(place, params): (usize, Params)| {
            let params = Params { own: Some(address), grouped, ..params };
            let rules = Rules {
                version: self.version,
                vrid: FIRST_VRID + place as u8,
                ipv6: false,
                password: (self.version == VrrpVersion::V2).then_some(*b"secret99"),
                ah: false,
                checksum: ChecksumMode::Rfc,
                advert_int: params.advert_int,
                addresses: BTreeSet::from([VIP]),
                own: Some(address),
                own_priority: None,
                unicast: unicast.cloned(),
            };
            Instance {
                machine: Machine::new(params.clone()),
                effective: Effective::Priority(params.base_priority),
                order: None,
                params,
                rules,
                addresses: false,
            }
        };
        self.routers.push(Router {
            address,
            instances: all.into_iter().enumerate().map(instance).collect(),
            alive: false,
            paused_until: None,
            backlog: Vec::new(),
            partition: 0,
        });
        self.restart(index);
    }

    /// A dead router comes back; its machines forgot everything.
    pub(crate) fn restart(&mut self, index: usize) {
        let router = &mut self.routers[index];
        if router.alive {
            return;
        }
        router.alive = true;
        router.paused_until = None;
        router.backlog.clear();
        for instance in &mut router.instances {
            instance.machine = Machine::new(instance.params.clone());
            instance.addresses = false;
        }
        for place in 0..self.routers[index].instances.len() {
            let instance = &self.routers[index].instances[place];
            let (order, effective) = (instance.order.clone(), instance.effective.clone());
            self.hand(index, place, Event::Order(order));
            self.hand(index, place, Event::Effective(effective));
            self.hand(index, place, Event::Start { hold: Duration::ZERO });
        }
        self.settle(index);
    }

    /// SIGKILL, or the plug pulled: it says nothing any more.
    pub(crate) fn kill(&mut self, index: usize) {
        self.say(&format!("router {} is killed", index + 1));
        let router = &mut self.routers[index];
        router.alive = false;
        for instance in &mut router.instances {
            instance.addresses = false;
        }
    }

    /// The host stands still; what arrives waits.
    pub(crate) fn pause(&mut self, index: usize, time: Duration) {
        self.say(&format!("router {} stands still for {time:?}", index + 1));
        self.routers[index].paused_until = Some(self.now + time);
    }

    /// Each router is thrown into one of three partitions.
    pub(crate) fn partition(&mut self) {
        for router in &mut self.routers {
            router.partition = self.rng.below(3);
        }
        let parts: Vec<u64> = self.routers.iter().map(|router| router.partition).collect();
        self.say(&format!("partitions {parts:?}"));
    }

    pub(crate) fn heal(&mut self) {
        self.say("one network");
        for router in &mut self.routers {
            router.partition = 0;
        }
    }

    /// Loss and duplicates in percent, and the longest delay.
    pub(crate) fn trouble(&mut self, loss: u64, duplicates: u64, delay: Duration) {
        (self.loss, self.duplicates, self.delay) = (loss, duplicates, delay);
    }

    /// Nothing changes from here on: no loss, short delays, nobody stands still, and what was under way has
    /// arrived. No packet overtakes another: in version 3 an old advert that comes late takes a backup back to
    /// the interval of a master that has yielded, so that it may speak up once more.
    pub(crate) fn quiet(&mut self) {
        self.say("quiet");
        let delay = ms(1 + self.rng.below(20));
        self.trouble(0, 10, delay);
        self.in_order = true;
        for router in &mut self.routers {
            router.paused_until = router.paused_until.map(|_| self.now);
        }
        let last = self.wire.keys().next_back().map_or(self.now, |(at, _)| *at);
        self.run_for(last.duration_since(self.now));
    }

    /// An event from outside for one instance, or for all of them. A router that stands still or is dead does not hear
    /// it, but remembers its settings.
    pub(crate) fn tell(&mut self, index: usize, place: Option<usize>, event: &Event) {
        let router = &mut self.routers[index];
        let places: Vec<usize> = match place {
            Some(place) => vec![place % router.instances.len()],
            None => (0..router.instances.len()).collect(),
        };
        for place in &places {
            let instance = &mut router.instances[*place];
            match event {
                Event::Effective(effective) => instance.effective = effective.clone(),
                Event::Own(own) => instance.params.own = *own,
                Event::Order(order) => instance.order.clone_from(order),
                Event::Params(params) => {
                    let base_changed = instance.params.base_priority != params.base_priority;
                    instance.params = Params { own: instance.params.own, ..params.clone() };
                    instance.rules.advert_int = params.advert_int;
                    if base_changed && matches!(instance.effective, Effective::Priority(_)) {
                        instance.effective = Effective::Priority(params.base_priority);
                    }
                }
                Event::Start { .. }
                | Event::Resume
                | Event::Advert(_)
                | Event::Timeout
                | Event::Sibling(_)
                | Event::Promote { .. }
                | Event::Follow { .. }
                | Event::Failback { .. }
                | Event::Stop => {}
            }
        }
        if !router.alive {
            return;
        }
        // A signal or a netlink message waits for the end of the pause like everything else.
        router.paused_until = None;
        self.wake(index);
        for place in places {
            let instance = &self.routers[index].instances[place];
            let effective = instance.effective.clone();
            let event = match event {
                Event::Params(_) => Event::Params(instance.params.clone()),
                other => other.clone(),
            };
            let reload = matches!(event, Event::Params(_));
            self.hand(index, place, event);
            if reload {
                self.hand(index, place, Event::Effective(effective));
            }
        }
        self.settle(index);
        if matches!(event, Event::Stop) {
            self.routers[index].alive = false;
        }
    }

    /// The end of a pause: the socket's backlog and the late timer, in an order that nobody promised.
    fn wake(&mut self, index: usize) {
        let timer_first = self.rng.chance(50);
        if timer_first {
            self.timeouts(index);
        }
        for (source, bytes) in std::mem::take(&mut self.routers[index].backlog) {
            self.arrives(index, source, &bytes);
        }
        self.timeouts(index);
    }

    fn timeouts(&mut self, index: usize) {
        for place in 0..self.routers[index].instances.len() {
            self.hand(index, place, Event::Timeout);
        }
        self.settle(index);
    }

    /// One packet at one router.
    fn arrives(&mut self, index: usize, source: IpAddr, bytes: &[u8]) {
        let place = usize::from(bytes[1] - FIRST_VRID);
        let rules = &self.routers[index].instances[place].rules;
        let datagram = Datagram { payload: bytes, source, destination: GROUP, ttl: 255 };
        match accept(rules, &datagram) {
            Ok(accepted) => {
                assert_eq!(accepted.address_mismatch(), None);
                self.hand(index, place, Event::Advert(accepted));
                self.settle(index);
            }
            Err(discard) => panic!("a router refused another's advert: {discard}"),
        }
    }

    /// The orders of a router's sync group, until there are none.
    fn settle(&mut self, index: usize) {
        if self.routers[index].instances.len() < 2 {
            return;
        }
        for _ in 0..10 {
            let orders = orders("VG", &self.routers[index].members());
            if orders.is_empty() {
                let router = &self.routers[index];
                let masters = router.instances.iter().filter(|i| i.addresses).count();
                assert!(masters == 0 || masters == router.instances.len(), "a group that is torn");
                return;
            }
            for (place, event) in orders {
                self.hand(index, place, event);
            }
        }
        panic!("a group that never settles");
    }

    /// One event into one machine, and its actions out.
    fn hand(&mut self, index: usize, place: usize, event: Event) {
        let timeout = matches!(event, Event::Timeout);
        let actions = self.routers[index].instances[place].machine.handle(event, self.now);
        let name = if place == 0 { String::new() } else { format!(".{}", place + 1) };
        for action in actions {
            match action {
                Action::SendAdvert { priority } => self.send(index, place, priority),
                Action::Addresses { wanted } => self.routers[index].instances[place].addresses = wanted,
                Action::Announce(_) => {}
                Action::Note(note) => self.say(&format!("router {}{name}: {note}", index + 1)),
                Action::Transition(transition) => {
                    self.transitions += 1;
                    self.say(&format!(
                        "router {}{name} {} -> {} ({}): {}",
                        index + 1,
                        transition.from,
                        transition.to,
                        transition.priority,
                        transition.cause
                    ));
                }
            }
        }
        let instance = &self.routers[index].instances[place];
        assert_eq!(instance.addresses, instance.machine.state() == StateName::Master);
        if timeout && let Some((at, timer)) = instance.machine.deadline() {
            assert!(at > self.now, "{timer:?} is always due");
        }
    }

    /// One advert to everybody in the partition.
    fn send(&mut self, index: usize, place: usize, priority: u8) {
        let router = &self.routers[index];
        let source = router.address;
        let instance = &router.instances[place];
        let bytes = Advert {
            version: self.version,
            vrid: instance.rules.vrid,
            priority,
            interval: instance.params.advert_int,
            auth: instance.rules.password.map_or(AuthField::None, AuthField::Pass),
            addresses: vec![VIP],
        }
        .encode(source, GROUP);
        let partition = router.partition;
        let to: Vec<usize> = (0..self.routers.len())
            .filter(|other| *other != index && self.routers[*other].partition == partition)
            .collect();
        for to in to {
            if self.rng.chance(self.loss) {
                continue;
            }
            let copies = if self.rng.chance(self.duplicates) { 2 } else { 1 };
            for _ in 0..copies {
                // Each copy has its own delay: they overtake each other.
                let longest = self.delay.as_millis() as u64;
                let delay = if self.in_order { self.delay } else { ms(1 + self.rng.below(longest)) };
                self.sent += 1;
                let packet = Packet { to, source, bytes: bytes.clone() };
                self.wire.insert((self.now + delay, self.sent), packet);
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// The next thing that happens until then; false when nothing does.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.wire.keys().next().map(|(at, _)| *at);
        let wake = self.routers.iter().enumerate().filter(|(_, router)| router.alive).filter_map(
            |(index, router)| {
                let at = match router.paused_until {
                    Some(until) => until,
                    None => router.instances.iter().filter_map(|i| Some(i.machine.deadline()?.0)).min()?,
                };
                Some((at, index))
            },
        );
        let wake = wake.min();
        match (packet, wake) {
            (Some(at), wake) if at <= end && wake.is_none_or(|(wake_at, _)| at <= wake_at) => {
                self.now = self.now.max(at);
                let Some((_, packet)) = self.wire.pop_first() else { return false };
                let router = &mut self.routers[packet.to];
                if router.alive && router.paused_until.is_some() {
                    router.backlog.push((packet.source, packet.bytes));
                } else if router.alive {
                    self.arrives(packet.to, packet.source, &packet.bytes);
                }
                true
            }
            (_, Some((at, index))) if at <= end => {
                self.now = self.now.max(at);
                if self.routers[index].paused_until.take().is_some() {
                    self.wake(index);
                } else {
                    self.timeouts(index);
                }
                true
            }
            _ => false,
        }
    }

    /// Runs until there is a master; how long that took.
    pub(crate) fn until_master(&mut self, limit: Duration) -> Option<Duration> {
        let begin = self.now;
        while self.masters().is_empty() {
            if !self.step(begin + limit) {
                return None;
            }
        }
        Some(self.now.duration_since(begin))
    }

    pub(crate) fn address(&self, index: usize) -> IpAddr {
        self.routers[index].address
    }

    pub(crate) fn instances(&self, index: usize) -> usize {
        self.routers[index].instances.len()
    }

    pub(crate) fn stopped(&self, index: usize) -> bool {
        self.routers[index].instances.iter().all(|i| i.machine.state() == StateName::Stopped)
    }

    pub(crate) fn transitions(&self) -> u64 {
        self.transitions
    }

    fn priority(&self, index: usize) -> u8 {
        self.routers[index].instances[0].machine.priority()
    }

    /// Priority and address: what masters that meet are compared by.
    pub(crate) fn rank(&self, index: usize) -> (u8, IpAddr) {
        (self.priority(index), self.routers[index].address)
    }

    pub(crate) fn masters(&self) -> Vec<usize> {
        (0..self.len()).filter(|index| self.routers[*index].is_master()).collect()
    }

    /// Routers that could be master: alive and without a fault.
    pub(crate) fn able(&self) -> Vec<usize> {
        (0..self.len()).filter(|index| self.routers[*index].able()).collect()
    }

    /// Exactly one master in each partition that can have one; with preemption the highest priority there.
    pub(crate) fn assert_single(&self, preempt: bool, when: &str) {
        let (able, masters) = (self.able(), self.masters());
        let partitions: BTreeSet<u64> = self.routers.iter().map(|router| router.partition).collect();
        for partition in partitions {
            let here = |list: &[usize]| -> Vec<usize> {
                list.iter().copied().filter(|index| self.routers[*index].partition == partition).collect()
            };
            let (able, masters) = (here(&able), here(&masters));
            assert_eq!(masters.len(), able.len().min(1), "{when}: able {able:?}, masters {masters:?}");
            let best = able.iter().map(|index| self.priority(*index)).max();
            if let (Some(&master), Some(best), true) = (masters.first(), best, preempt) {
                let priority = self.priority(master);
                assert_eq!(priority, best, "{when}: router {} is master, of able {able:?}", master + 1);
            }
        }
    }
}
