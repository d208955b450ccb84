//! Tandem: a pair of Linux machines as one highly available layer-4 load balancer.
//!
//! The rooms, top to bottom; imports point down only (`tests/layering.rs` reads the source and fails on a
//! breach):
//!
//! - [`cli`]: one file a subcommand; turns words into calls of the rest.
//! - [`core`]: the daemon's life, and the only room that knows vrrp and check both: it builds everything from a
//!   [`config::model::Config`], carries events between the rooms, reloads and stops.
//! - [`vrrp`]: who owns the addresses (RFC 9568, RFC 3768): pure machine, a driver on a thread of its own.
//! - [`bfd`]: is the way to a neighbour open (RFC 5880): pure sessions, a driver on a thread of its own.
//! - [`check`]: who is healthy, and the IPVS table that follows from it.
//! - [`channel`]: what the two directors of a pair say to each other.
//! - [`ipvs`]: the kernel's virtual server tables: table, diff, codec, programmer.
//! - [`net`]: links and addresses: the monitor and the writer, over rtnetlink.
//! - [`notify`]: what people's programs are told, and in which order.
//! - [`process`]: runs a user's program: identity, process group, time limit, result.
//! - [`observe`]: what people and programs see of it: keepalived's dump files, as values and renderings.
//! - [`config`]: text to model, both file forms, with diagnostics.
//! - [`control`]: the local door: HTTP and JSON over a unix socket, for commands.
//! - [`metrics`]: the status as OpenMetrics.
//! - [`pattern`]: PCRE2, for what a file says (does it compile) and for the pages that it is looked for in.
//! - [`board`]: who was master and who is busy, for the supervisor and for the next process.
//! - [`realtime`]: how threads are scheduled.
//! - [`alarm`]: timers of the kernel's, for what happens seldom.
//! - [`clock`]: the one reader of clocks.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::unwrap_used,
        reason = "tests take a base instant and may unwrap"
    )
)]

pub mod alarm;
pub mod bfd;
pub mod board;
pub mod channel;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod core;
pub mod ipvs;
pub mod metrics;
pub mod net;
pub mod notify;
pub mod observe;
pub mod pattern;
pub mod process;
pub mod realtime;
pub mod vrrp;
