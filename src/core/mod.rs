//! The daemon's life.
