//! The kernel's virtual server tables.

pub mod table;
