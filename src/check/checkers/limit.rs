//! The time that a check has.

use std::time::Duration;

use futures_util::FutureExt as _;

use crate::check::outcome::Failure;

/// The whole time limit of an exchange.
///
/// # Errors
/// [`Failure::Timeout`], and what the exchange itself says.
pub fn within<T>(
    limit: Duration,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> impl Future<Output = Result<T, Failure>> {
    // As an `async fn` it would have room for the exchange twice.
    tokio::time::timeout(limit, exchange).map(move |ended| ended.unwrap_or(Err(Failure::Timeout(limit))))
}
