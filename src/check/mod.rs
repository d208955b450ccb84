//! Who is healthy: checkers, health, quorum, and the table that follows.
