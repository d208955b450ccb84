//! What monitoring systems read: the document of `GET /v1/status`, and what the checks came to, as OpenMetrics 1.0 or as the
//! older text format of Prometheus. Pure: [`render`] makes text from values.
//!
//! Names follow the rules of OpenMetrics: base units (seconds, bytes) at their end, `_total` behind counters, `_info` behind
//! what is only said in labels. Labels are `vrrp_instance` rather than `instance`, which Prometheus keeps for itself.
//!
//! How many series there are: about ten for each real server, thirteen for each virtual server, forty for each VRRP instance;
//! no command can fill a label with ever new values. `peer` alone has what others send: addresses whose adverts were accepted
//! within the last few master-down intervals, 16 at a time for each instance. `?detail=virtual-servers` leaves the real servers
//! out, `?detail=daemon` the virtual servers as well.

mod checks;
mod daemon;
mod pair;
mod real;
mod stamp;
mod text;
mod virtual_servers;
mod vrrp;

use std::collections::BTreeMap;

use crate::control::routes::{Detail, MetricsForm};
use crate::control::view::StatusView;

use text::Writer;

/// Everything that is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The status.
    pub status: StatusView,
    /// What the checks came to; `None` = their thread does not answer. Then nothing is said of them: a counter that falls to zero
    /// and comes back is counted twice.
    pub checks: Option<Checks>,
    /// Digest of what both directors of a pair must have alike; `None` = not known.
    pub pair_digest: Option<String>,
}

/// What the checks came to since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checks {
    /// By keepalived's word for the kind of checker.
    pub kinds: Vec<KindChecks>,
    /// By the name of the virtual server.
    pub services: BTreeMap<String, ServiceChecks>,
    /// Checks that run now.
    pub in_flight: u64,
    /// Results that came too late for anybody.
    pub late_results: u64,
    /// Events that nobody took in time.
    pub lost_events: u64,
}

/// One kind of checker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KindChecks {
    /// keepalived's word for it: `TCP_CHECK`.
    pub kind: &'static str,
    /// Results that were good.
    pub succeeded: u64,
    /// The others, by the name of the failure.
    pub failed: BTreeMap<&'static str, u64>,
    /// How long they took.
    pub took: Spread,
}

/// The checks of one virtual server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceChecks {
    /// Results that were good.
    pub succeeded: u64,
    /// The others.
    pub failed: u64,
    /// How long they took.
    pub took: Spread,
}

/// How often something took how long.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spread {
    /// Upper bounds, microseconds, ascending.
    pub bounds: &'static [u64],
    /// So many took at most each bound; behind them one more: so many there were at all.
    pub cumulative: Vec<u64>,
    /// What all took together, seconds.
    pub sum: f64,
}

/// The whole text.
pub fn render(seen: &Seen, form: MetricsForm, detail: Detail) -> String {
    let mut out = Writer::new(form);
    daemon::write(seen, &mut out);
    pair::write(seen, detail != Detail::Daemon, &mut out);
    vrrp::write(&seen.status, &mut out);
    if let Some(checks) = &seen.checks {
        checks::write(checks, &mut out);
    }
    if detail != Detail::Daemon {
        virtual_servers::write(seen, &mut out);
    }
    if detail == Detail::RealServers {
        real::write(&seen.status, &mut out);
    }
    out.end()
}

#[cfg(test)]
mod tests;
