//! Which interfaces count as up where the kernel's flags are not the whole truth: `interface_up_down_delays` and link
//! beats that must be asked for. Pure; `beat` asks, `links` drives.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::config::model::{Config, LinkbeatMethod};
use crate::net::link::{Link, Links};
use crate::vrrp::trackers::link_words;

use super::debounce::Debounce;

/// How one interface is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkPlan {
    /// How long it must be down to count as down.
    pub down_delay: Duration,
    /// How long it must be up to count as up.
    pub up_delay: Duration,
    /// Its carrier is asked for; `Some(None)` = by whichever way it knows.
    pub beat: Option<Option<LinkbeatMethod>>,
}

/// The interfaces that are watched, by name.
pub type LinkPlans = BTreeMap<String, LinkPlan>;

/// The interfaces that a configuration wants watched beyond the kernel's flags. `linkbeat_use_polling` alone means every
/// interface that some instance or group depends on, inside an instance its own one.
pub fn plans_of(config: &Config) -> LinkPlans {
    let mut plans = LinkPlans::new();
    for line in &config.interface_up_down_delays {
        let plan = plans.entry(line.interface.clone()).or_default();
        plan.down_delay = line.down.0;
        plan.up_delay = line.up.map_or(Duration::ZERO, |up| up.0);
    }
    for line in &config.linkbeat_interfaces {
        plans.entry(line.interface.clone()).or_default().beat = Some(line.method);
    }
    for instance in &config.vrrp_instance {
        if config.linkbeat_use_polling || instance.linkbeat_use_polling {
            plans.entry(instance.interface.clone()).or_default().beat.get_or_insert(None);
        }
    }
    if config.linkbeat_use_polling {
        let instances = config.vrrp_instance.iter().map(|instance| &instance.track_interface);
        let groups = config.vrrp_sync_group.iter().map(|group| &group.track_interface);
        for track in instances.chain(groups).flatten() {
            plans.entry(track.name.clone()).or_default().beat.get_or_insert(None);
        }
    }
    plans.remove("");
    plans
}

/// What is known of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Watched {
    plan: LinkPlan,
    state: Debounce,
    /// What the last question said.
    carrier: Option<bool>,
}

/// An interface counts as another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Which one.
    pub name: String,
    /// What it counts as.
    pub up: bool,
    /// Why.
    pub why: String,
}

/// All interfaces that are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    links: BTreeMap<String, Watched>,
}

impl Watch {
    /// Watches these from now on. What is known of an interface stays; a new one is as it is now, at once.
    pub fn set(&mut self, plans: &LinkPlans, links: &Links) {
        self.links.retain(|name, _| plans.contains_key(name));
        for (name, plan) in plans {
            let seen = links.get(name).is_some_and(|link| link.up);
            let watched = self.links.entry(name.clone()).or_insert_with(|| Watched {
                plan: *plan,
                state: Debounce::new(seen),
                carrier: None,
            });
            if plan.beat.is_none() {
                watched.carrier = None;
            }
            watched.plan = *plan;
        }
    }

    /// Interfaces whose carrier is to be asked for, and how.
    pub fn beats(&self) -> impl Iterator<Item = (&str, Option<LinkbeatMethod>)> {
        self.links.iter().filter_map(|(name, watched)| Some((name.as_str(), watched.plan.beat?)))
    }

    /// What an interface counts as.
    pub fn value(&self, name: &str) -> Option<bool> {
        Some(self.links.get(name)?.state.value())
    }

    /// The answer to a question for a carrier: `None` = it cannot be asked for, the kernel's flags decide.
    pub fn beat(&mut self, name: &str, carrier: Option<bool>) {
        if let Some(watched) = self.links.get_mut(name) {
            watched.carrier = carrier;
        }
    }

    /// The interfaces are so now.
    pub fn look(&mut self, links: &Links, now: Instant) -> Vec<Flip> {
        let mut flips = Vec::new();
        for (name, watched) in &mut self.links {
            let link = links.get(name);
            let seen = match watched.carrier {
                Some(carrier) => carrier && link.is_some_and(|link| link.admin_up),
                None => link.is_some_and(|link| link.up),
            };
            let delay = if seen { watched.plan.up_delay } else { watched.plan.down_delay };
            if let Some(up) = watched.state.observe(seen, delay, now) {
                flips.push(Flip { name: name.clone(), up, why: words(watched, up, link) });
            }
        }
        flips
    }

    /// What every interface counts as.
    pub fn all(&self, links: &Links) -> Vec<Flip> {
        let all = self.links.iter().map(|(name, watched)| {
            let up = watched.state.value();
            Flip { name: name.clone(), up, why: words(watched, up, links.get(name)) }
        });
        all.collect()
    }

    /// When [`fire`](Self::fire) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.links.values().filter_map(|watched| watched.state.deadline()).min()
    }

    /// Time has passed.
    pub fn fire(&mut self, links: &Links, now: Instant) -> Vec<Flip> {
        let fire = |(name, watched): (&String, &mut Watched)| {
            let up = watched.state.fire(now)?;
            Some(Flip { name: name.clone(), up, why: words(watched, up, links.get(name)) })
        };
        self.links.iter_mut().filter_map(fire).collect()
    }
}

/// `no carrier for 3 s`, `no link beat`.
fn words(watched: &Watched, up: bool, link: Option<&Link>) -> String {
    let why = match (watched.carrier, link) {
        (Some(false), Some(link)) if link.admin_up => "no link beat",
        (Some(true), Some(link)) if link.admin_up => "link beat",
        _ => link_words(link),
    };
    let delay = if up { watched.plan.up_delay } else { watched.plan.down_delay };
    if delay.is_zero() { why.to_owned() } else { format!("{why} for {} s", delay.as_secs_f64()) }
}

#[cfg(test)]
mod tests;
