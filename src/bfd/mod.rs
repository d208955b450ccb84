//! Is the way to a neighbour open: Bidirectional Forwarding Detection (RFC 5880), one hop (RFC 5881) or several
//! (RFC 5883), as `bfd_instance` asks for it.
//!
//! | section | what | file |
//! | --- | --- | --- |
//! | RFC 5880 4.1 | the control packet; 6.8.6, checks of the packet alone | [`packet`] |
//! | RFC 5880 6.3, 6.8.6; RFC 5881 4, 5; RFC 5883 4 | whose packet it is; ports, TTL | [`accept`] |
//! | RFC 5880 6.1, 6.2, 6.5, 6.8 | states, timers, poll sequences | [`session`] |
//! | RFC 5881 4, 5; RFC 5883 5 | sending: port, source port, TTL | the driver's sockets |
//!
//! There is no authentication (section 6.7), no echo function (6.4), and demand mode (6.6) is obeyed, not asked for:
//! keepalived has none of them either.
//!
//! It runs on a thread of its own. States come out by [`driver::Outputs`]: whoever wants to know whether a session
//! is up reads [`report::SessionStates`] by the name of the `bfd_instance`.

pub mod accept;
pub mod driver;
pub mod mailbox;
pub mod packet;
pub mod params;
pub mod report;
pub mod session;
mod socket;
