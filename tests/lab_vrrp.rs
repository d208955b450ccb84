//! Pairs of directors that share addresses by VRRP, in network namespaces: no `ip_vs` needed, so it runs on any kernel, as
//! root. The peer on the other side of a mixed pair is Debian's keepalived.

mod lab;

#[path = "lab_vrrp/channel.rs"]
mod channel;
#[path = "lab_vrrp/config.rs"]
mod config;
#[path = "lab_vrrp/faults.rs"]
mod faults;
#[path = "lab_vrrp/groups.rs"]
mod groups;
#[path = "lab_vrrp/header.rs"]
mod header;
#[path = "lab_vrrp/holder.rs"]
mod holder;
#[path = "lab_vrrp/hostile.rs"]
mod hostile;
#[path = "lab_vrrp/interfaces.rs"]
mod interfaces;
#[path = "lab_vrrp/ipv6.rs"]
mod ipv6;
#[path = "lab_vrrp/life.rs"]
mod life;
#[path = "lab_vrrp/mixed.rs"]
mod mixed;
#[path = "lab_vrrp/orders.rs"]
mod orders;
#[path = "lab_vrrp/restart.rs"]
mod restart;
#[path = "lab_vrrp/rights.rs"]
mod rights;
#[path = "lab_vrrp/routing.rs"]
mod routing;
#[path = "lab_vrrp/seeds.rs"]
mod seeds;
#[path = "lab_vrrp/takeover.rs"]
mod takeover;
#[path = "lab_vrrp/telling.rs"]
mod telling;
#[path = "lab_vrrp/tracking.rs"]
mod tracking;
#[path = "lab_vrrp/why.rs"]
mod why;

use std::time::{Duration, Instant};

use config::Conf;
use lab::*;

const VIP: &str = "10.9.0.100";

/// Two directors and a client on a LAN, with everything watched.
struct Pair {
    lab: Lab,
    watch: AddressWatch,
    wire: Wire,
}

impl Pair {
    fn new(name: &str) -> Self {
        let hosts = [
            host("d1").nic("eth0", "lan", "10.9.0.1/24"),
            host("d2").nic("eth0", "lan", "10.9.0.2/24"),
            host("client").nic("eth0", "lan", "10.9.0.200/24"),
        ];
        let lab = Lab::build(name, &["lan"], &hosts);
        let watch = AddressWatch::start(&lab, &["d1", "d2"]);
        let wire = Wire::start(&lab);
        Self { lab, watch, wire }
    }

    fn start(&self, host: &str, conf: &Conf) -> Director {
        Director::start(&self.lab, host, &conf.text())
    }

    fn start_as(&self, host: &str, kind: Kind, conf: &Conf) -> Director {
        Director::start_as(&self.lab, host, kind, &conf.text())
    }

    /// Waits until exactly this director has the VIP.
    #[track_caller]
    fn master(&self, host: &str) {
        self.watch.wait_holders(VIP, &[host], patience());
    }

    /// Waits for the next advert of `from`, does `end`, waits until `to` has the VIP, and measures from the last advert
    /// of `from` on the wire.
    #[track_caller]
    fn takeover(&self, from: &str, to: &str, end: impl FnOnce()) -> Duration {
        self.wire.next_advert(from, patience());
        end();
        let taken = self.watch.wait(to, VIP, true, patience());
        let (heard, _) = self.wire.last_advert(from).expect("adverts");
        taken.saturating_duration_since(heard)
    }

    /// For this long nothing changes hands.
    #[track_caller]
    fn calm(&self, since: Instant, time: Duration) {
        pause((since + time).saturating_duration_since(now()));
        let changes: Vec<_> = self.watch.changes().into_iter().filter(|change| change.at >= since).collect();
        assert!(changes.is_empty(), "addresses moved: {changes:#?}");
    }

    /// The longest time without an advert of `host` since a moment.
    fn longest_silence(&self, host: &str, since: Instant) -> Duration {
        let adverts = self.wire.adverts(host, since);
        let times: Vec<Instant> = adverts.iter().map(|(at, _)| *at).chain([now()]).collect();
        times.windows(2).map(|two| two[1] - two[0]).max().unwrap_or(Duration::MAX)
    }
}
