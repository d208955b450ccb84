//! Who owns the addresses: VRRP version 2 (RFC 3768) and version 3 (RFC 9568, before it RFC 5798).
//!
//! keepalived's MASTER and BACKUP, which operators, scripts and files say and this code says too, are
//! RFC 9568's Active and Backup.
//!
//! Which file implements which section (RFC 9568 unless said):
//!
//! | section | what | file |
//! | --- | --- | --- |
//! | 5.1 | IP header fields: TTL 255, source, destination | [`accept`] (in), the driver's socket (out) |
//! | 5.2 | the advert, its checksum; RFC 3768 section 5.3 for version 2 | [`packet`] |
//! | 6.1 | parameters of a virtual router | [`machine::Params`] |
//! | 6.2 | Skew_Time, Active_Down_Interval; RFC 3768 section 6.2 | [`machine`] |
//! | 6.3, 6.4 | the state machine | [`machine`] |
//! | 7.1 | receiving: what is checked before the machine sees it | [`accept`] |
//! | 7.2 | sending | [`packet`] (the bytes), the driver (the socket) |
//! | 6.1 Accept_Mode | whether a virtual address answers here, the packet filter | [`firewall`] |
//! | 7.3 | the virtual router's hardware address, interfaces of our own | [`vmac`] |
//! | (RFC 5227, RFC 4862) | does anybody else hold our addresses? | [`probe`] (when), [`question`] (bytes) |
//! | 8.1.2, 8.2.2 | gratuitous ARP, unsolicited neighbour advertisement | [`announce`] (when), [`frame`] (bytes) |
//!
//! Beyond the RFC, as keepalived does it: trackers ([`trackers`]) and effective priority ([`priority`]), the FAULT state,
//! `nopreempt`, `preempt_delay`, unicast peers, authentication ([`auth`]; PASS and AH of RFC 2338 section 10, and
//! the signed trailer of draft-cassen-vrrp-auth-hmac). [`datagram`] takes off the IP header before all of them.
//!
//! Every file named above is pure: no socket, no clock, no thread. A timer is moved by an accepted advert
//! alone: whatever [`accept`] refuses is counted by its name and touches nothing.

pub mod accept;
pub mod addresses;
pub mod announce;
mod answers;
pub mod auth;
pub mod buffers;
pub mod datagram;
pub mod driver;
pub mod firewall;
pub mod frame;
pub mod group;
pub mod lateness;
pub mod machine;
pub mod mailbox;
pub mod pace;
pub mod packet;
pub mod params;
pub mod priority;
pub mod probe;
pub mod question;
pub mod report;
pub mod routing;
mod runner;
mod schedule;
pub mod snapshot;
mod socket;
pub mod status;
pub mod track;
pub mod trackers;
pub mod vmac;
