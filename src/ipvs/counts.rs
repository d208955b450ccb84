//! What the kernel counts of services and destinations, as a value. It is read when somebody asks and is no part of the
//! table: a table that is in order stays equal to itself however much traffic there is.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::table::{DestinationKey, ServiceKey};

/// `struct ip_vs_kstats`: what is counted of a service or a destination since it was made, or since it was last zeroed.
/// Rates are the kernel's own estimate: an average over the last seconds that it renews every two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections.
    pub connections: u64,
    /// Packets from clients.
    pub packets_in: u64,
    /// Packets to clients; 0 where answers do not come by (DR, TUN).
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
    /// Connections a second.
    pub connection_rate: u64,
    /// Packets a second from clients.
    pub packet_rate_in: u64,
    /// Packets a second to clients.
    pub packet_rate_out: u64,
    /// Bytes a second from clients.
    pub byte_rate_in: u64,
    /// Bytes a second to clients.
    pub byte_rate_out: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.connections = self.connections.saturating_add(other.connections);
        self.packets_in = self.packets_in.saturating_add(other.packets_in);
        self.packets_out = self.packets_out.saturating_add(other.packets_out);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.connection_rate = self.connection_rate.saturating_add(other.connection_rate);
        self.packet_rate_in = self.packet_rate_in.saturating_add(other.packet_rate_in);
        self.packet_rate_out = self.packet_rate_out.saturating_add(other.packet_rate_out);
        self.byte_rate_in = self.byte_rate_in.saturating_add(other.byte_rate_in);
        self.byte_rate_out = self.byte_rate_out.saturating_add(other.byte_rate_out);
    }
}

/// What is counted of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestinationCounts {
    /// Connections that are established.
    pub active: u64,
    /// All others that the kernel still remembers.
    pub inactive: u64,
    /// Its traffic.
    pub traffic: Traffic,
}

impl AddAssign for DestinationCounts {
    fn add_assign(&mut self, other: Self) {
        self.active = self.active.saturating_add(other.active);
        self.inactive = self.inactive.saturating_add(other.inactive);
        self.traffic += other.traffic;
    }
}

/// What is counted of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceCounts {
    /// All of its destinations together, those that are gone included.
    pub traffic: Traffic,
    /// Its destinations.
    pub destinations: BTreeMap<DestinationKey, DestinationCounts>,
}

/// Everything that was read at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The services that were asked for and are there.
    pub services: BTreeMap<ServiceKey, ServiceCounts>,
    /// How many others are there.
    pub foreign: u64,
    /// Which reading it is: a later one has a higher number.
    pub number: u64,
    /// How often the counters had been set to zero by then.
    pub zeroed: u64,
}
