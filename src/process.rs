//! Runs a user's program.
