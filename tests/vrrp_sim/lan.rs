//! The network: routers, packets under way, and the virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use tandem::config::model::VrrpVersion;
use tandem::vrrp::accept::{Datagram, Rules, UnicastRules, accept};
use tandem::vrrp::machine::{Action, Event, Machine, Params, StateName};
use tandem::vrrp::packet::{Advert, AuthField, ChecksumMode};
use tandem::vrrp::priority::Effective;

use super::pcg::Pcg;

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One router.
struct Router {
    address: IpAddr,
    machine: Machine,
    /// As configured now; `own` as the machine knows it.
    params: Params,
    rules: Rules,
    /// Trackers, as last told.
    effective: Effective,
    /// Not killed, not stopped.
    alive: bool,
    paused_until: Option<Instant>,
    /// What arrived during a pause.
    backlog: Vec<(IpAddr, Vec<u8>)>,
    /// Routers of one partition hear each other.
    partition: u64,
    /// The driver's picture: addresses are there.
    addresses: bool,
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

    /// A router is put on the network, and started.
    pub(crate) fn add(&mut self, params: Params, unicast: Option<UnicastRules>) {
        let index = self.routers.len();
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + index as u8));
        let params = Params { own: Some(address), ..params };
        let rules = Rules {
            version: self.version,
            vrid: 51,
            ipv6: false,
            password: (self.version == VrrpVersion::V2).then_some(*b"secret99"),
            checksum: ChecksumMode::Rfc,
            advert_int: params.advert_int,
            addresses: BTreeSet::from([VIP]),
            own: Some(address),
            own_priority: None,
            unicast,
        };
        self.routers.push(Router {
            address,
            machine: Machine::new(params.clone()),
            effective: Effective::Priority(params.base_priority),
            params,
            rules,
            alive: false,
            paused_until: None,
            backlog: Vec::new(),
            partition: 0,
            addresses: false,
        });
        self.restart(index);
    }

    /// A dead router comes back; its machine forgot everything.
    pub(crate) fn restart(&mut self, index: usize) {
        let router = &mut self.routers[index];
        if router.alive {
            return;
        }
        router.machine = Machine::new(router.params.clone());
        router.alive = true;
        router.addresses = false;
        router.paused_until = None;
        router.backlog.clear();
        let effective = router.effective.clone();
        self.hand(index, Event::Effective(effective));
        self.hand(index, Event::Start { hold: Duration::ZERO });
    }

    /// SIGKILL, or the plug pulled: it says nothing any more.
    pub(crate) fn kill(&mut self, index: usize) {
        self.say(&format!("router {} is killed", index + 1));
        let router = &mut self.routers[index];
        router.alive = false;
        router.addresses = false;
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

    /// An event from outside. A router that stands still or is dead does not hear it, but remembers its
    /// settings.
    pub(crate) fn tell(&mut self, index: usize, event: Event) {
        let router = &mut self.routers[index];
        match &event {
            Event::Effective(effective) => router.effective = effective.clone(),
            Event::Own(own) => router.params.own = *own,
            Event::Params(params) => {
                let base_changed = router.params.base_priority != params.base_priority;
                router.params = params.clone();
                router.rules.advert_int = params.advert_int;
                if base_changed && matches!(router.effective, Effective::Priority(_)) {
                    router.effective = Effective::Priority(params.base_priority);
                }
            }
            Event::Start { .. }
            | Event::Advert(_)
            | Event::Timeout
            | Event::Sibling(_)
            | Event::Promote { .. }
            | Event::Follow { .. }
            | Event::Stop => {}
        }
        if !router.alive {
            return;
        }
        // A signal or a netlink message waits for the end of the pause like everything else.
        router.paused_until = None;
        self.wake(index);
        let effective = self.routers[index].effective.clone();
        let reload = matches!(event, Event::Params(_));
        let stop = matches!(event, Event::Stop);
        self.hand(index, event);
        if reload {
            self.hand(index, Event::Effective(effective));
        }
        if stop {
            self.routers[index].alive = false;
        }
    }

    /// The end of a pause: the socket's backlog and the late timer, in an order that nobody promised.
    fn wake(&mut self, index: usize) {
        let timer_first = self.rng.chance(50);
        if timer_first {
            self.hand(index, Event::Timeout);
        }
        for (source, bytes) in std::mem::take(&mut self.routers[index].backlog) {
            self.arrives(index, source, &bytes);
        }
        self.hand(index, Event::Timeout);
    }

    /// One packet at one router.
    fn arrives(&mut self, index: usize, source: IpAddr, bytes: &[u8]) {
        let rules = &self.routers[index].rules;
        let datagram = Datagram { payload: bytes, source, destination: GROUP, ttl: 255 };
        match accept(rules, &datagram) {
            Ok(accepted) => {
                assert_eq!(accepted.address_mismatch(), None);
                self.hand(index, Event::Advert(accepted));
            }
            Err(discard) => panic!("a router refused another's advert: {discard}"),
        }
    }

    /// One event into one machine, and its actions out.
    fn hand(&mut self, index: usize, event: Event) {
        let timeout = matches!(event, Event::Timeout);
        let actions = self.routers[index].machine.handle(event, self.now);
        for action in actions {
            match action {
                Action::SendAdvert { priority } => self.send(index, priority),
                Action::Addresses { wanted } => self.routers[index].addresses = wanted,
                Action::Announce(_) => {}
                Action::Note(note) => self.say(&format!("router {}: {note}", index + 1)),
                Action::Transition(transition) => {
                    self.transitions += 1;
                    self.say(&format!(
                        "router {} {} -> {} ({}): {}",
                        index + 1,
                        transition.from,
                        transition.to,
                        transition.priority,
                        transition.cause
                    ));
                }
            }
        }
        let router = &self.routers[index];
        assert_eq!(router.addresses, router.machine.state() == StateName::Master);
        if timeout && let Some((at, timer)) = router.machine.deadline() {
            assert!(at > self.now, "{timer:?} is always due");
        }
    }

    /// One advert to everybody in the partition.
    fn send(&mut self, index: usize, priority: u8) {
        let router = &self.routers[index];
        let source = router.address;
        let bytes = Advert {
            version: self.version,
            vrid: 51,
            priority,
            interval: router.params.advert_int,
            auth: router.rules.password.map_or(AuthField::None, AuthField::Pass),
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
                    None => router.machine.deadline()?.0,
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
                    self.hand(index, Event::Timeout);
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

    /// The source address as last told.
    pub(crate) fn own(&self, index: usize) -> Option<IpAddr> {
        self.routers[index].params.own
    }

    pub(crate) fn state(&self, index: usize) -> StateName {
        self.routers[index].machine.state()
    }

    pub(crate) fn transitions(&self) -> u64 {
        self.transitions
    }

    /// Priority and address: what masters that meet are compared by.
    pub(crate) fn rank(&self, index: usize) -> (u8, IpAddr) {
        (self.routers[index].machine.priority(), self.routers[index].address)
    }

    pub(crate) fn masters(&self) -> Vec<usize> {
        let all = self.routers.iter().enumerate();
        all.filter(|(_, r)| r.alive && r.machine.state() == StateName::Master)
            .map(|(index, _)| index)
            .collect()
    }

    /// Routers that could be master: alive and without a fault.
    pub(crate) fn able(&self) -> Vec<usize> {
        let all = self.routers.iter().enumerate();
        all.filter(|(_, r)| {
            r.alive && r.params.own.is_some() && matches!(r.effective, Effective::Priority(_))
        })
        .map(|(index, _)| index)
        .collect()
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
            let best = able.iter().map(|index| self.routers[*index].machine.priority()).max();
            if let (Some(&master), Some(best), true) = (masters.first(), best, preempt) {
                let priority = self.routers[master].machine.priority();
                assert_eq!(priority, best, "{when}: router {} is master, of able {able:?}", master + 1);
            }
        }
    }
}
