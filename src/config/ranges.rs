//! Values outside their range, whatever form they came in: keepalived.conf's own reader passes them over line by line,
//! YAML has types but no ranges. A value that cannot be meant is an error, and its default is taken.

use std::time::Duration;

use super::model::{Config, Pace, Track};
use super::units::Secs;

/// One value that was replaced.
pub(super) struct OutOfRange {
    /// Key of the object in the front end's places.
    pub(super) object: String,
    /// What is wrong.
    pub(super) problem: String,
    /// What to write.
    pub(super) fix: String,
}

struct Ranges {
    object: String,
    /// The object as a person names it.
    name: String,
    found: Vec<OutOfRange>,
}

impl Ranges {
    fn number<T: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        word: &str,
        slot: &mut Option<T>,
        from: T,
        to: T,
    ) {
        if let Some(value) = slot.take_if(|value| !(from..=to).contains(value)) {
            self.say(word, &value.to_string(), &format!("a number from {from} to {to}"));
        }
    }

    /// Seconds; `from` is in microseconds, `to` in seconds.
    fn secs(&mut self, word: &str, slot: &mut Option<Secs>, from: u64, to: u64) {
        let (from, to) = (Duration::from_micros(from), Duration::from_secs(to));
        if let Some(value) = slot.take_if(|value| !(from..=to).contains(&value.0)) {
            let says = format!("seconds from {} to {}", Secs(from), Secs(to));
            self.say(word, &value.to_string(), &says);
        }
    }

    fn say(&mut self, word: &str, value: &str, says: &str) {
        self.found.push(OutOfRange {
            object: self.object.clone(),
            problem: format!("{}: {word} {value} is out of its range", self.name),
            fix: format!("write {says}"),
        });
    }

    fn tracks(&mut self, word: &str, tracks: &mut [Track]) {
        for track in tracks {
            self.number(&format!("{word} {} weight", track.name), &mut track.weight, -253, 253);
        }
    }

    fn pace(&mut self, word: &str, pace: &mut Pace) {
        self.secs(&format!("{word} delay_loop"), &mut pace.delay_loop, 1, DAY);
        self.secs(&format!("{word} delay_before_retry"), &mut pace.delay_before_retry, 0, DAY);
        self.secs(&format!("{word} warmup"), &mut pace.warmup, 0, DAY);
    }
}

const DAY: u64 = 86_400;
/// 31 days: what IPVS takes for a persistence.
const LONGEST_PERSISTENCE: u32 = 31 * 86_400;

/// Replaces every value that is out of its range by its default, and says which they were.
pub(super) fn check(config: &mut Config) -> Vec<OutOfRange> {
    let mut ranges = Ranges { object: String::new(), name: String::new(), found: Vec::new() };
    for script in &mut config.vrrp_script {
        ranges.object = format!("vrrp_script {}", script.name);
        ranges.name.clone_from(&ranges.object);
        ranges.secs("interval", &mut script.interval, 1000, DAY);
        ranges.secs("timeout", &mut script.timeout, 1000, DAY);
        ranges.number("weight", &mut script.weight, -253, 253);
        ranges.number("rise", &mut script.rise, 1, u32::MAX);
        ranges.number("fall", &mut script.fall, 1, u32::MAX);
    }
    for instance in &mut config.vrrp_instance {
        ranges.object = format!("vrrp_instance {}", instance.name);
        ranges.name.clone_from(&ranges.object);
        ranges.number("priority", &mut instance.priority, 1, 255);
        ranges.secs("advert_int", &mut instance.advert_int, 10_000, 255);
        ranges.secs("preempt_delay", &mut instance.preempt_delay, 0, 1000);
        ranges.number("down_timer_adverts", &mut instance.down_timer_adverts, 1, 100);
        ranges.tracks("track_script", &mut instance.track_script);
        ranges.tracks("track_interface", &mut instance.track_interface);
    }
    for server in &mut config.virtual_server {
        ranges.object = super::keepalived::server_key(server);
        ranges.name = super::resolve::shown(server);
        ranges.secs("delay_loop", &mut server.delay_loop, 1, DAY);
        ranges.number("quorum", &mut server.quorum, 1, u32::MAX);
        ranges.number("weight", &mut server.weight, 1, u16::MAX);
        ranges.number("persistence_timeout", &mut server.persistence_timeout, 1, LONGEST_PERSISTENCE);
        let widest = if server.address.is_some_and(|a| a.is_ipv6()) { 128 } else { 32 };
        ranges.number("persistence_granularity", &mut server.persistence_granularity, 1, widest);
        for real in &mut server.real_server {
            ranges.secs(&format!("real_server {} delay_loop", real.address), &mut real.delay_loop, 1, DAY);
            let name = |check: &str| format!("{check} of {}", real.address);
            for check in &mut real.tcp_check {
                ranges.pace(&name("tcp_check"), &mut check.pace);
            }
            for check in &mut real.http_get {
                ranges.pace(&name("http_get"), &mut check.pace);
            }
            for check in &mut real.misc_check {
                ranges.pace(&name("misc_check"), &mut check.pace);
            }
        }
    }
    ranges.found
}
