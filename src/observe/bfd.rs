//! `keepalived_bfd.data`. Pure.

use std::net::IpAddr;

use super::page::{Page, Setting};

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// Neighbour.
    pub neighbor: IpAddr,
    /// Own address.
    pub source: Option<IpAddr>,
    /// Least time between packets: of the neighbour, our own, our own while down; microseconds.
    pub intervals: [u128; 3],
    /// Detection multiplier.
    pub multiplier: u8,
    /// TTL of what is sent.
    pub ttl: u8,
    /// Routers that may lie between.
    pub max_hops: i16,
    /// Waits for the neighbour's first packet.
    pub passive: bool,
    /// Instances and checkers are told.
    pub tells: (bool, bool),
    /// Its state in keepalived's word.
    pub state: &'static str,
    /// Why, in words.
    pub cause: String,
}

/// The file.
pub fn topology(settings: &[Setting], sessions: &[Session]) -> String {
    let mut page = Page::default();
    page.settings(settings);
    page.heading("BFD Topology");
    let word = |yes: bool| if yes { "Yes" } else { "No" };
    for s in sessions {
        page.item(1, "BFD Instance", &s.name);
        page.item(2, "Neighbor IP", s.neighbor);
        page.some(2, "Source IP", s.source);
        for (label, interval) in
            ["Required min RX interval", "Desired min TX interval", "Desired idle TX interval"]
                .into_iter()
                .zip(s.intervals)
        {
            page.item(2, label, format_args!("{interval} us"));
        }
        page.item(2, "Detection multiplier", s.multiplier);
        page.item(2, "TTL", s.ttl);
        page.item(2, "max_hops", s.max_hops);
        page.item(2, "passive", s.passive);
        page.item(2, "send event to VRRP process", word(s.tells.0));
        page.item(2, "send event to checker process", word(s.tells.1));
        page.item(2, "local state", s.state);
        page.item(2, "local state cause", &s.cause);
    }
    page.finish()
}
