//! When a master tells its neighbours where the addresses are: gratuitous ARP (RFC 9568 section 8.1.2) and
//! unsolicited neighbour advertisements (section 8.2.2), repeated as keepalived does.
//!
//! A burst at once, another one `master_delay` later, and from then on a refresh each `master_refresh`. Which
//! addresses, and the bytes ([`super::frame`]), are the driver's part; the gaps between packets are [`super::pace`]'s.

use std::time::{Duration, Instant};

use super::machine::Occasion;

/// Settings of the announcements (`garp_master_*`, `garp_lower_prio_*`, `vrrp_garp_interval`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garp {
    /// Time to the second burst; zero = no second burst. Default 5 s.
    pub master_delay: Duration,
    /// Packets per address in a burst. Default 5; zero counts as 1.
    pub master_repeat: u32,
    /// Period of the refresh; zero = none, the default.
    pub master_refresh: Duration,
    /// Packets per address in a refresh. Default 1; zero counts as 1.
    pub master_refresh_repeat: u32,
    /// As `master_delay`, after an advert of lower priority. Default `master_delay`.
    pub lower_prio_delay: Duration,
    /// As `master_repeat`, after an advert of lower priority; zero = no announcement. Default `master_repeat`.
    pub lower_prio_repeat: u32,
    /// Period of one packet on each further interface (`garp_extra_if`); zero = none, the default.
    pub extra: Duration,
}

impl Default for Garp {
    /// keepalived's defaults.
    fn default() -> Self {
        let delay = Duration::from_secs(5);
        Self {
            master_delay: delay,
            master_repeat: 5,
            master_refresh: Duration::ZERO,
            master_refresh_repeat: 1,
            lower_prio_delay: delay,
            lower_prio_repeat: 5,
            extra: Duration::ZERO,
        }
    }
}

/// When to announce next. Quiet until [`Schedule::begin`].
#[derive(Clone, Debug)]
pub struct Schedule {
    settings: Garp,
    /// Begun and not stopped.
    running: bool,
    /// The burst that is due at once.
    first: Option<Burst>,
    /// The one after the delay.
    second: Option<Burst>,
    /// The next refresh.
    refresh: Option<Burst>,
    /// The next packet on further interfaces.
    extra: Option<Instant>,
}

/// So many packets per address, then.
#[derive(Clone, Copy, Debug)]
struct Burst {
    at: Instant,
    packets: u32,
}

impl Schedule {
    /// A quiet schedule.
    pub fn new(settings: Garp) -> Self {
        Self { settings, running: false, first: None, second: None, refresh: None, extra: None }
    }

    /// New settings after a reload: what is under way goes on, a refresh follows its new period.
    pub fn set(&mut self, settings: Garp, now: Instant) {
        let before = std::mem::replace(&mut self.settings, settings);
        if !self.running {
            return;
        }
        if before.master_refresh != settings.master_refresh {
            self.refresh = self.next_refresh(now);
        }
        if before.extra != settings.extra {
            self.extra = self.next_extra(now);
        }
    }

    /// Something to announce. A second burst that is still to come is put off, not doubled: the new occasion
    /// has its own.
    pub fn begin(&mut self, occasion: Occasion, now: Instant) {
        let Garp { master_delay, master_repeat, lower_prio_delay, lower_prio_repeat, .. } = self.settings;
        let (delay, packets) = match occasion {
            Occasion::BecameMaster | Occasion::RivalGone | Occasion::WasAway => {
                (master_delay, master_repeat.max(1))
            }
            Occasion::LowerPriorityHeard => (lower_prio_delay, lower_prio_repeat),
            // It is asked for, and told, again.
            Occasion::OtherHolder => (Duration::ZERO, master_repeat.max(1)),
        };
        if packets > 0 {
            self.first = Some(Burst { at: now, packets });
            if !delay.is_zero() {
                self.second = Some(Burst { at: now + delay, packets });
            }
        }
        self.running = true;
        if occasion == Occasion::BecameMaster {
            self.refresh = self.next_refresh(now);
            self.extra = self.next_extra(now);
        }
    }

    /// How many packets per address to send now; 0 before the deadline. Bursts that fall together are one: the
    /// packets are the same.
    pub fn due(&mut self, now: Instant) -> u32 {
        let mut packets = 0;
        for slot in [&mut self.first, &mut self.second] {
            if let Some(burst) = slot.take_if(|burst| now >= burst.at) {
                packets = packets.max(burst.packets);
            }
        }
        if let Some(burst) = self.refresh.filter(|burst| now >= burst.at) {
            packets = packets.max(burst.packets);
            self.refresh = self.next_refresh(now);
        }
        packets
    }

    /// True when the further interfaces have their turn.
    pub fn extra_due(&mut self, now: Instant) -> bool {
        let due = self.extra.is_some_and(|at| now >= at);
        if due {
            self.extra = self.next_extra(now);
        }
        due
    }

    /// When [`Schedule::due`] or [`Schedule::extra_due`] is worth asking again.
    pub fn deadline(&self) -> Option<Instant> {
        let bursts = [self.first, self.second, self.refresh].into_iter().flatten().map(|burst| burst.at);
        bursts.chain(self.extra).min()
    }

    /// No longer master: nothing more to say.
    pub fn stop(&mut self) {
        *self = Self::new(self.settings);
    }

    fn next_extra(&self, now: Instant) -> Option<Instant> {
        (!self.settings.extra.is_zero()).then(|| now + self.settings.extra)
    }

    /// A whole period from now: a late one is not made up for.
    fn next_refresh(&self, now: Instant) -> Option<Burst> {
        let Garp { master_refresh, master_refresh_repeat, .. } = self.settings;
        (!master_refresh.is_zero())
            .then(|| Burst { at: now + master_refresh, packets: master_refresh_repeat.max(1) })
    }
}

#[cfg(test)]
mod tests;
