//! Two sessions on a line with loss and delay, in simulated time; a seed means the same run for ever.

use std::collections::BTreeMap;

use super::*;

#[allow(dead_code, reason = "shared with the network of the vrrp simulation, which uses all of it")]
#[path = "../../../../tests/vrrp_sim/pcg.rs"]
mod pcg;

use pcg::Pcg;

/// The line between the two.
#[derive(Clone, Copy)]
struct Line {
    /// Packets lost of a hundred.
    loss: u64,
    /// Longest delay; the shortest is zero, so packets overtake each other.
    delay: Duration,
    /// By sender: everything is lost.
    cut: [bool; 2],
}

struct World {
    random: Pcg,
    now: Instant,
    start: Instant,
    line: Line,
    sessions: [Session; 2],
    /// Arrival, serial number, receiver.
    flying: BTreeMap<(Instant, u64), (usize, Control)>,
    serial: u64,
    changes: Vec<(Duration, usize, Transition)>,
}

impl World {
    fn new(seed: u64, params: [Params; 2], line: Line) -> Self {
        let mut random = Pcg::new(seed);
        let now = Instant::now();
        let [a, b] = params;
        let sessions = [
            Session::new(a, 1, u64::from(random.next()), now),
            Session::new(b, 2, u64::from(random.next()), now),
        ];
        Self {
            random,
            now,
            start: now,
            line,
            sessions,
            flying: BTreeMap::new(),
            serial: 2,
            changes: Vec::new(),
        }
    }

    fn feed(&mut self, who: usize, event: Event) {
        for action in self.sessions[who].handle(event, self.now) {
            match action {
                Action::Transition(change) => self.changes.push((self.now - self.start, who, change)),
                Action::Send(packet) => {
                    if self.line.cut[who] || self.random.chance(self.line.loss) {
                        continue;
                    }
                    let delay = self.random.below(self.line.delay.as_micros() as u64 + 1);
                    self.serial += 1;
                    let at = (self.now + Duration::from_micros(delay), self.serial);
                    self.flying.insert(at, (1 - who, packet));
                }
            }
        }
    }

    /// Lets time pass until then, or until `done`.
    fn run(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + time;
        while !done(self) {
            let arrival = self.flying.first_key_value().map(|(key, _)| *key);
            let timers = (0..2).filter_map(|who| self.sessions[who].deadline().map(|at| (at, who))).min();
            match (arrival, timers) {
                (Some(key), timer) if key.0 <= end && timer.is_none_or(|(at, _)| key.0 <= at) => {
                    self.now = self.now.max(key.0);
                    let (to, packet) = self.flying.remove(&key).unwrap();
                    // What `accept` sees to: only packets to this very session, or to any.
                    let known = [0, self.sessions[to].discriminator()].contains(&packet.your_discriminator);
                    if known {
                        self.feed(to, Event::Packet(packet));
                    }
                }
                (_, Some((at, who))) if at <= end => {
                    self.now = self.now.max(at);
                    self.feed(who, Event::Timeout);
                }
                _ => {
                    self.now = end;
                    return done(self);
                }
            }
        }
        true
    }

    fn both_up(&self) -> bool {
        self.sessions.iter().all(|session| session.state() == State::Up)
    }

    fn both_down(&self) -> bool {
        self.sessions.iter().all(|session| session.state() == State::Down)
    }

    /// One side dies without a word and comes back as another session.
    fn restart(&mut self, who: usize) {
        self.serial += 1;
        let params = self.sessions[who].params;
        let seed = u64::from(self.random.next());
        self.sessions[who] = Session::new(params, self.serial as u32, seed, self.now);
    }
}

fn some_params(random: &mut Pcg) -> Params {
    Params {
        min_tx: ms(10 + random.below(300)),
        min_rx: ms(10 + random.below(300)),
        idle_tx: ms(1000 + random.below(1000)),
        multiplier: 3 + random.below(5) as u8,
        passive: false,
    }
}

#[test]
fn they_come_up_on_a_bad_line_and_a_cut_is_found_within_the_detection_time() {
    for seed in 0..300 {
        let mut random = Pcg::new(seed);
        let mut params = [some_params(&mut random), some_params(&mut random)];
        params[0].passive = random.chance(30);
        let line = Line { loss: random.below(30), delay: ms(random.below(200)), cut: [false; 2] };
        let mut world = World::new(seed, params, line);
        assert!(world.run(ms(120_000), World::both_up), "seed {seed}: not up; {:?}", world.changes);
        // From here on a good line, so that both stand still in Up when it is cut.
        world.line.loss = 0;
        world.line.delay = ms(2);
        world.run(ms(60_000), |_| false);
        assert!(world.both_up(), "seed {seed}: {:?}", world.changes);
        let limits: Vec<Duration> =
            world.sessions.iter().map(|session| session.detection_time().unwrap()).collect();
        let agreed = |tx: usize, rx: usize| {
            params[tx].min_tx.max(params[rx].min_rx) * u32::from(params[tx].multiplier)
        };
        assert_eq!(limits, [agreed(1, 0), agreed(0, 1)], "seed {seed}");
        world.line.cut = [true; 2];
        let cut = world.now - world.start;
        let before = world.changes.len();
        world.run(ms(60_000), World::both_down);
        assert!(world.both_down(), "seed {seed}");
        for (at, who, change) in &world.changes[before..] {
            let took = *at - cut;
            assert!(took <= limits[*who] + ms(2), "seed {seed}: {took:?} of {:?}", limits[*who]);
            assert!(matches!(change.cause, Cause::DetectionTimeExpired { .. }), "seed {seed}: {change:?}");
        }
        // Mended, they come back.
        world.line.cut = [false; 2];
        assert!(world.run(ms(30_000), World::both_up), "seed {seed}: {:?}", world.changes);
    }
}

#[test]
fn a_restart_is_noticed_and_both_come_up_again() {
    for seed in 0..200 {
        let mut random = Pcg::new(seed);
        let params = [some_params(&mut random), some_params(&mut random)];
        let line = Line { loss: random.below(20), delay: ms(random.below(50)), cut: [false; 2] };
        let mut world = World::new(seed, params, line);
        for round in 0..5 {
            assert!(world.run(ms(120_000), World::both_up), "seed {seed}.{round}: {:?}", world.changes);
            let who = random.below(2) as usize;
            let other = 1 - who;
            world.restart(who);
            let noticed = |w: &World| w.sessions[other].state() != State::Up;
            assert!(world.run(ms(20_000), noticed), "seed {seed}.{round}: the other side noticed nothing");
        }
    }
}

#[test]
fn one_way_loss_takes_both_down() {
    for seed in 0..50 {
        let mut random = Pcg::new(seed);
        let params = [some_params(&mut random), some_params(&mut random)];
        let mut world = World::new(seed, params, Line { loss: 0, delay: ms(2), cut: [false; 2] });
        assert!(world.run(ms(60_000), World::both_up));
        world.run(ms(10_000), |_| false);
        // What 0 sends gets lost from now on; what 1 sends arrives.
        world.line.cut = [true, false];
        world.changes.clear();
        let both = |w: &World| w.changes.iter().filter(|(.., c)| c.from == State::Up).count() >= 2;
        assert!(world.run(ms(10_000), both), "seed {seed}: {:?}", world.changes);
        let causes: Vec<_> = world.changes.iter().filter(|(.., c)| c.from == State::Up).collect();
        assert!(matches!(causes[0].2.cause, Cause::DetectionTimeExpired { .. }), "seed {seed}: {causes:?}");
        assert!(
            matches!(
                causes[1].2.cause,
                Cause::NeighbourDown { state: State::Down, diagnostic: Diagnostic::DetectionTimeExpired }
            ),
            "seed {seed}: {causes:?}"
        );
    }
}

#[test]
fn any_change_of_pace_keeps_them_up() {
    for seed in 0..200 {
        let mut random = Pcg::new(seed);
        let params = [some_params(&mut random), some_params(&mut random)];
        let mut world = World::new(seed, params, Line { loss: 0, delay: ms(4), cut: [false; 2] });
        assert!(world.run(ms(60_000), World::both_up));
        world.run(ms(3000), |_| false);
        let before = world.changes.len();
        for _ in 0..30 {
            let who = random.below(2) as usize;
            let new = some_params(&mut random);
            world.feed(who, Event::Params(new));
            world.run(ms(random.below(2000)), |_| false);
        }
        world.run(ms(5000), |_| false);
        assert!(world.changes.len() == before, "seed {seed}: {:?}", &world.changes[before..]);
        let [a, b] = &world.sessions;
        // Both ended with what the last settings say.
        assert_eq!(a.transmit_interval(), Some(a.params.min_tx.max(b.params.min_rx)), "seed {seed}");
        assert_eq!(b.transmit_interval(), Some(b.params.min_tx.max(a.params.min_rx)), "seed {seed}");
    }
}
