//! Who is healthy: checkers, health, quorum, and the table that follows.
//!
//! One result goes one way: a checker (`checkers/*`) gives an [`outcome::Outcome`], [`health`] decides whether the
//! checker flips, [`damping`] and [`ramp`] what its real server makes of that, [`quorum`] and [`tiers`] who of the virtual
//! server serves, [`desired`] computes the whole IPVS table from
//! scratch. [`farm`] holds these deciders together and stays pure; [`driver`] starts the checks that are due and
//! publishes what the farm says.

pub mod checkers;
pub mod common;
pub mod connections;
pub mod counts;
pub mod damping;
pub mod desired;
pub mod driver;
pub mod event;
pub mod farm;
pub mod health;
pub mod hurry;
pub mod identity;
pub mod marks;
pub mod members;
pub mod outcome;
pub mod outside;
pub mod params;
pub mod places;
pub mod plan;
pub mod planner;
pub mod quorum;
pub mod ramp;
pub mod recalled;
pub mod schedule;
pub mod status;
pub mod tiers;
pub mod tracked;

pub use event::{Event, What};
pub use identity::Identity;
