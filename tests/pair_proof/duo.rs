//! Two real machines with the settings of two files, on a virtual clock and a cable.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tandem::config::model::Config;
use tandem::core::pair::situation::Condition;
use tandem::core::pair::trackers::Kind;
use tandem::net::link::{Link, Links};
use tandem::vrrp::accept::{Datagram, accept};
use tandem::vrrp::machine::{Action, Event, Machine, StateName};
use tandem::vrrp::packet::{Advert, AuthField};
use tandem::vrrp::params::{Destination, Host, Settings, TrackerValues};
use tandem::vrrp::priority::{TrackerKind, Value, effective};
use tandem::vrrp::trackers::Said;

/// How long an advert is under way.
const LATENCY: Duration = Duration::from_micros(100);

/// One router.
struct Router {
    settings: Settings,
    own: IpAddr,
    machine: Machine,
    alive: bool,
    cable: bool,
    /// The last advert that its machine was told of.
    last_heard: Option<Instant>,
}

/// Both, and what is under way between them.
pub(crate) struct Duo {
    now: Instant,
    routers: [Router; 2],
    wire: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
}

/// Every link that a file may name, up unless it is said to be down; every script well.
fn surroundings(settings: &Settings, condition: &Condition) -> (Links, TrackerValues) {
    let mut links = Links::new();
    let names = settings.trackers.iter().filter(|t| t.kind == TrackerKind::Interface).map(|t| &t.name);
    for name in names.chain([&settings.interface]) {
        let down = condition.failing().iter().any(|one| one.is(Kind::Interface, name));
        let link = Link {
            index: 1,
            name: name.clone(),
            up: !down,
            admin_up: true,
            loopback: false,
            mac: None,
            mtu: 1500,
            addresses: Vec::new(),
        };
        links.insert(name.clone(), link);
    }
    let scripts = settings.trackers.iter().filter(|t| t.kind == TrackerKind::Script);
    let mut values = TrackerValues::new();
    for t in scripts {
        let fails = condition.failing().iter().any(|one| one.is(Kind::Script, &t.name));
        // A reversed script is well while it reports nothing.
        let value = Value::of(fails == t.reverse);
        values.set(TrackerKind::Script, &t.name, Said { value, ..Said::default() });
    }
    (links, values)
}

impl Duo {
    /// Both start at once; `addresses` are those of their interfaces, where the files name none.
    pub(crate) fn start(configs: [&Config; 2], addresses: [IpAddr; 2]) -> Self {
        let now = Instant::now();
        let router = |index: usize| {
            let settings = Settings::of(&configs[index].vrrp_instance[0], configs[index], &Host::default());
            let own = settings.source.unwrap_or(addresses[index]);
            let machine = Machine::new(settings.machine_params(Some(own)));
            Router { settings, own, machine, alive: true, cable: true, last_heard: None }
        };
        let routers = [router(0), router(1)];
        let mut duo = Self { now, routers, wire: BTreeMap::new(), sent: 0 };
        for index in 0..2 {
            duo.tell_trackers(index, &Condition::Healthy);
        }
        for index in 0..2 {
            duo.hand(index, Event::Start { hold: Duration::ZERO });
        }
        duo
    }

    fn tell_trackers(&mut self, index: usize, condition: &Condition) {
        let settings = &self.routers[index].settings;
        let (links, values) = surroundings(settings, condition);
        let now = effective(settings.base_priority, &settings.trackers_now(&links, &values));
        self.hand(index, Event::Effective(now));
    }

    /// Something happens to a router that was healthy.
    pub(crate) fn happens(&mut self, index: usize, condition: &Condition) {
        match condition {
            Condition::Healthy => {}
            Condition::Dead => self.routers[index].alive = false,
            Condition::Stopped => {
                self.hand(index, Event::Stop);
                self.routers[index].alive = false;
            }
            Condition::Failing(watched) => {
                let interface = &self.routers[index].settings.interface;
                let cut = watched.iter().any(|one| one.is(Kind::Interface, interface));
                self.routers[index].cable = !cut;
                self.tell_trackers(index, condition);
            }
        }
    }

    /// And it is over.
    pub(crate) fn recovers(&mut self, index: usize, condition: &Condition) {
        match condition {
            Condition::Healthy => {}
            Condition::Dead | Condition::Stopped => {
                let router = &mut self.routers[index];
                router.machine = Machine::new(router.settings.machine_params(Some(router.own)));
                router.alive = true;
                self.tell_trackers(index, &Condition::Healthy);
                self.hand(index, Event::Start { hold: Duration::ZERO });
            }
            Condition::Failing(_) => {
                self.routers[index].cable = true;
                self.tell_trackers(index, &Condition::Healthy);
            }
        }
    }

    fn hand(&mut self, index: usize, event: Event) {
        for action in self.routers[index].machine.handle(event, self.now) {
            if let Action::SendAdvert { priority } = action {
                self.send(index, priority);
            }
        }
    }

    fn send(&mut self, index: usize, priority: u8) {
        let (router, other) = (&self.routers[index], &self.routers[1 - index]);
        let arrives = match (&router.settings.destination, &other.settings.destination) {
            (Destination::Multicast(to), Destination::Multicast(joined)) => to == joined,
            (Destination::Unicast { peers, .. }, Destination::Unicast { .. }) => {
                peers.iter().any(|peer| peer.address == other.own)
            }
            (_, _) => false,
        };
        if !arrives || !router.cable || !other.cable {
            return;
        }
        let settings = &router.settings;
        let advert = Advert {
            version: settings.version,
            vrid: settings.vrid,
            priority,
            interval: settings.advert_int,
            auth: settings.password.map_or(AuthField::None, |password| AuthField::Pass(password.0)),
            addresses: settings.advertised.clone(),
        };
        let bytes = advert.encode(router.own, other.own);
        self.sent += 1;
        self.wire.insert((self.now + LATENCY, self.sent), (1 - index, bytes));
    }

    fn arrives(&mut self, index: usize, bytes: &[u8]) {
        let source = self.routers[1 - index].own;
        let router = &mut self.routers[index];
        if !router.alive || !router.cable {
            return;
        }
        let mut rules = router.settings.rules(Some(router.own));
        let master = router.machine.state() == StateName::Master;
        rules.own_priority = master.then(|| router.machine.priority());
        let datagram = Datagram { payload: bytes, source, destination: router.own, ttl: 255 };
        if let Ok(advert) = accept(&rules, &datagram) {
            router.last_heard = Some(self.now);
            self.hand(index, Event::Advert(advert));
        }
    }

    /// The next thing that happens until then.
    fn step(&mut self, end: Instant) -> bool {
        let packet = self.wire.keys().next().map(|(at, _)| *at);
        let alive = self.routers.iter().enumerate().filter(|(_, router)| router.alive);
        let wake = alive.filter_map(|(index, router)| Some((router.machine.deadline()?.0, index))).min();
        match (packet, wake) {
            (Some(at), wake) if at <= end && wake.is_none_or(|(due, _)| at <= due) => {
                self.now = self.now.max(at);
                if let Some((_, (to, bytes))) = self.wire.pop_first() {
                    self.arrives(to, &bytes);
                }
                true
            }
            (_, Some((at, index))) if at <= end => {
                self.now = self.now.max(at);
                self.hand(index, Event::Timeout);
                true
            }
            (_, _) => false,
        }
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Until that router is master, or the other one no longer is (whatever `until` says); the moment.
    pub(crate) fn until(&mut self, limit: Duration, until: impl Fn(&Self) -> bool) -> Option<Instant> {
        let end = self.now + limit;
        while !until(self) {
            if !self.step(end) {
                return None;
            }
        }
        Some(self.now)
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn last_heard(&self, index: usize) -> Option<Instant> {
        self.routers[index].last_heard
    }

    pub(crate) fn own(&self, index: usize) -> IpAddr {
        self.routers[index].own
    }

    pub(crate) fn is_master(&self, index: usize) -> bool {
        let router = &self.routers[index];
        router.alive && router.machine.state() == StateName::Master
    }
}
