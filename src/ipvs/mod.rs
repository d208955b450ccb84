//! The kernel's virtual server tables (IPVS, LVS).
//!
//! - [`table`] P: services and destinations as a value.
//! - [`diff`] P: actual and desired table to an ordered list of changes.
//! - [`wire`] P: framing of generic netlink: messages and attributes as bytes.
//! - [`codec`] P: changes to requests, replies to services and destinations.
//! - [`counts`] P: what the kernel counts; read on demand by [`counter`] D, which shares one reading.
//! - [`names`] P: what a refusal of the kernel means, and its cure.
//! - [`session`]: requests and replies matched by sequence number over any transport.
//! - [`reconcile`]: what is known of the kernel, what is held back, what drifted: the logic of [`kernel::run`].
//! - [`settings`] P: timeouts and sync daemons, beside the table; their diff.
//! - [`keeper`]: the same as [`reconcile`], for them.
//! - [`socket`] D: the netlink socket, the family, the module.
//! - [`kernel`] D: the thread.

pub mod codec;
pub mod counter;
pub mod counts;
pub mod diff;
pub mod keeper;
pub mod kernel;
pub mod names;
pub mod reconcile;
pub mod session;
pub mod settings;
pub mod socket;
pub mod table;
pub mod wire;

#[cfg(test)]
mod fake;
#[cfg(test)]
pub(crate) mod strategies;
