use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::check::farm::{Farm, LANES};
use crate::check::outcome::{Failure, Outcome, Success};
use crate::check::plan::Plan;
use crate::config::load_text;
use crate::config::resolve::Facts;
use crate::net::link::Links;
use crate::vrrp::priority::{Effective, effective};
use crate::vrrp::trackers::{Said, TrackerValues, Value, trackers_of};

const STEP: Duration = Duration::from_millis(250);
/// Long enough for any check here to say all that it has to say.
const PHASE: u32 = 120;

/// A service behind the address of an instance that tracks it.
fn config(words: &str, tracked: &str) -> Config {
    let text = format!(
        "vrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n 192.0.2.1\n }}\n \
         track_virtual_server {tracked}\n}}\n\
         virtual_server 192.0.2.1 80 {{\n protocol TCP\n delay_loop 1\n {words}\n real_server 10.1.0.1 80 {{\n \
         TCP_CHECK {{\n }}\n }}\n}}\n"
    );
    load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default()).config
}

/// What decides on one director: its checks, and what they say to its instance.
struct Director {
    farm: Farm,
    values: TrackerValues,
}

impl Director {
    fn start(config: &Config, now: Instant) -> Self {
        let (farm, _) = Farm::start(Plan::new(config), 1, now);
        Self { farm, values: TrackerValues::new() }
    }

    /// True when its instance may take part.
    fn turn(&mut self, config: &Config, works: bool, now: Instant) -> bool {
        for lane in LANES {
            while let Some(job) = self.farm.due(lane, now) {
                let result = if works { Ok(Success::default()) } else { Err(Failure::Refused) };
                self.farm.observe(job.id, &Outcome { result, took: Duration::ZERO }, now);
            }
        }
        let names = names(config);
        let (said, _) = self.farm.quorums(&names.values().cloned().collect());
        for (name, quorum) in words(&names, &said) {
            let said = Said::new(Value::of(quorum.up), quorum.why, now);
            self.values.set(TrackerKind::Quorum, &name, said);
        }
        let specs = trackers_of(&config.vrrp_instance[0], config);
        let links = Links::default();
        let trackers: Vec<_> = specs.iter().map(|spec| spec.now(&links, &self.values)).collect();
        matches!(effective(100, &trackers), Effective::Priority(_))
    }
}

/// Who has the address at the end of each phase, in which the real server answers or not.
fn holders(config: &Config, phases: &[bool]) -> Vec<Option<usize>> {
    let mut now = clock::now();
    let mut directors = [Director::start(config, now), Director::start(config, now)];
    let mut holder: Option<usize> = None;
    let mut held = Vec::new();
    for works in phases {
        for _ in 0..PHASE {
            now += STEP;
            let may: Vec<bool> =
                directors.iter_mut().map(|director| director.turn(config, *works, now)).collect();
            // A master stays one as long as it may; else the first of those who may.
            holder = holder.filter(|at| may[*at]).or_else(|| may.iter().position(|may| *may));
            for (at, director) in directors.iter_mut().enumerate() {
                let here = [192, 0, 2, 1].into();
                let carried = if holder == Some(at) { [here].into() } else { [].into() };
                director.farm.carry(carried, now);
            }
        }
        held.push(holder);
    }
    held
}

#[test]
fn when_the_servers_come_back_so_does_the_address() {
    for (words, phases, wanted) in [
        ("", &[true, false, true][..], &[Some(0), None, Some(0)][..]),
        ("ha_suspend", &[true, false, true], &[Some(0), None, Some(0)]),
        ("alpha\n ha_suspend", &[true, false, true], &[Some(0), None, Some(0)]),
        ("alpha\n ha_suspend", &[false, true], &[None, Some(0)]),
    ] {
        assert_eq!(holders(&config(words, "TCP 192.0.2.1:80"), phases), wanted, "{words}");
    }
    // Why it is not suspended.
    let mut trap = config("", "TCP 192.0.2.1:80");
    trap.virtual_server[0].ha_suspend = true;
    assert_eq!(holders(&trap, &[true, false, true]), [Some(0), None, None]);
}

#[tokio::test]
async fn whoever_tracks_what_is_known_already_hears_it() {
    let (follower, mut teller) = tracked::channel();
    let mut quorums = Quorums::start(&config("", "TCP 192.0.2.1:80"), follower);
    let now = tracked::QuorumNow { up: false, weight: 2, quorum: 3 };
    let mut look = || {
        teller.tell(clock::now(), |names| (names.iter().map(|name| (name.clone(), now)).collect(), true));
    };
    look();
    let said = |quorums: &mut Quorums| -> Vec<(String, bool, String)> {
        quorums.said().into_iter().map(|(name, one)| (name, one.up, one.why)).collect()
    };
    let why = "weight 2 for quorum 3".to_owned();
    assert_eq!(said(&mut quorums), [("TCP 192.0.2.1:80".to_owned(), false, why.clone())]);
    // The same virtual server by another name: the check room has nothing new to say.
    quorums.configure(&config("", "192.0.2.1 80"));
    look();
    tokio::time::timeout(Duration::from_secs(10), quorums.changed()).await.expect("it is told again");
    assert_eq!(said(&mut quorums), [("192.0.2.1:80".to_owned(), false, why)]);
    // Nobody is asked for any more.
    quorums.configure(&Config::default());
    look();
    tokio::time::timeout(Duration::from_secs(10), quorums.changed()).await.expect("it is told");
    assert!(said(&mut quorums).is_empty());
}
