//! Text to model: the only folder that knows file syntax.

pub mod diagnostic;
pub mod model;
pub mod text;
pub mod units;
