//! Links and addresses of this machine.

pub mod address;
pub mod link;
