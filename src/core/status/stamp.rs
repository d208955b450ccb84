//! Times as the document has them.

pub use crate::clock::utc_millis as stamp;
