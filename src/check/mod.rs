//! Who is healthy: checkers, health, quorum, and the table that follows.
pub mod driver;
pub mod event;
pub use event::{Event, What};
