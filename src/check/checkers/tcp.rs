//! TCP_CHECK: success when the connection completes.

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{io_failure, source};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::Target;

/// One run: connects and closes.
///
/// # Errors
/// The reason why the connection did not complete within the target's time limit.
pub async fn check(target: &Target) -> Result<Success, Failure> {
    match timeout(target.timeout, connect(target)).await {
        Err(_) => Err(Failure::Timeout(target.timeout)),
        Ok(connected) => connected.map(|_| Success::default()),
    }
}

/// Connects from where the file says; without a time limit of its own.
///
/// # Errors
/// The reason why the connection did not complete.
pub async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let socket = source::tcp(target)?;
    let connected = socket.connect(target.address).await;
    connected.map_err(|error| io_failure(&error, target.timeout, target.names_source()))
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
