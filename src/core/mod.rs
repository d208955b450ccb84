//! The daemon's life: the only room that knows vrrp and check both.
//!
//! Threads: `vrrp` (poll loop over raw sockets), `net` (monitor and address writer), `check` (probes), `ipvs` (the
//! kernel's table), `bfd` (where a file asks for it), `control` (the control socket), `pair` (where a
//! file names the other director), and the main thread (signals, reports, scripts). "Wanted" values travel by watch, the latest
//! wins; "happened" ones by bounded channels; nobody waits for another's answer.

pub mod active;
pub mod alerts;
mod bfd;
pub mod checking;
mod devices;
pub mod director;
pub mod door;
pub mod dump;
mod dumper;
pub mod error;
pub mod exit;
mod fault;
pub mod genhash;
pub mod include;
pub mod journal;
pub mod kept;
mod lastgood;
mod lifeline;
mod lock;
pub mod look;
mod marking;
pub mod measured;
mod memory;
pub mod name;
pub mod options;
pub mod orders;
mod outside;
pub mod overlay;
pub mod overrides;
pub mod pair;
pub mod parts;
pub mod peering;
mod pidfile;
pub mod plan;
pub mod recall;
pub mod release;
pub mod reload;
pub mod remember;
pub mod role;
mod scheduling;
pub mod scripts;
mod secrets;
pub mod servers;
pub mod settings;
pub mod status;
pub mod supervisor;
mod systemd;
pub mod teller;
pub mod telling;
mod threads;
pub mod timetable;
pub mod why;
mod word;
pub mod worker;
