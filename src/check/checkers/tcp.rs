//! TCP_CHECK: success when the connection completes.

use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{io_failure, proxy_header, source};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::Target;
use crate::config::model::SendProxy;

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

/// Connects from where the file says, and sends the PROXY header where it asks for one; without a time limit of its own.
///
/// # Errors
/// The reason why the connection did not complete.
pub async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let socket = source::tcp(target)?;
    let connected = socket.connect(target.address).await;
    let mut stream = connected.map_err(|error| io_failure(&error, target.timeout, target.names_source()))?;
    if let Some(proxy) = target.proxy {
        let said = introduce(&mut stream, proxy).await;
        said.map_err(|error| io_failure(&error, target.timeout, false))?;
    }
    Ok(stream)
}

/// Says on whose behalf the connection is: our own.
async fn introduce(stream: &mut TcpStream, proxy: SendProxy) -> io::Result<()> {
    let header = proxy_header::encode(proxy, stream.local_addr()?, stream.peer_addr()?);
    stream.write_all(&header).await
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
