//! TCP_CHECK: success when the connection completes.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::io_failure;
use crate::check::outcome::{Failure, Success};
use crate::check::plan::Target;

/// One run: connects and closes.
///
/// # Errors
/// The reason why the connection did not complete within the target's time limit.
pub async fn check(target: &Target) -> Result<Success, Failure> {
    if target.address.port() == 0 {
        return Err(Failure::NoPort);
    }
    let named = target.names_source();
    let socket = source(target).map_err(|error| source_failure(target, &error))?;
    match timeout(target.timeout, socket.connect(target.address)).await {
        Err(_) => Err(Failure::Timeout(target.timeout)),
        Ok(Err(error)) => Err(io_failure(&error, target.timeout, named)),
        Ok(Ok(_)) => Ok(Success::default()),
    }
}

/// A socket bound to the source that the file names.
fn source(target: &Target) -> io::Result<TcpSocket> {
    let socket = if target.address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    if let Some(interface) = &target.bind_if {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if let Some(address) = target.bindto {
        socket.bind(SocketAddr::new(address, 0))?;
    }
    Ok(socket)
}

/// Running out of descriptors and the like is not the source's fault.
fn source_failure(target: &Target, error: &io::Error) -> Failure {
    match io_failure(error, target.timeout, target.names_source()) {
        Failure::Io(text) if target.names_source() => Failure::Source(text),
        other => other,
    }
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
