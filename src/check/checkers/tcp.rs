//! TCP_CHECK: success when the connection completes. It ends in order, as keepalived's does (observed): a reset would be
//! cheaper for both sides, and a line in the log of many a server.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::limit::within;
use super::{io_failure, proxy_header, source};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::Target;
use crate::config::model::SendProxy;

/// A connection that was asked for.
#[derive(Debug)]
pub enum Begun {
    /// It stands: the other side is near, its answer was there before the call came back.
    Connected(Socket),
    /// Its answer is under way.
    Waiting(Socket),
}

/// Asks for a connection from where the file says, and looks once whether it stands already. That look costs a fraction
/// of a microsecond, and spares one that stands (or is refused) the way through the runtime.
///
/// # Errors
/// Why there will be none.
pub fn begin(target: &Target) -> Result<Begun, Failure> {
    let socket = source::tcp(target)?;
    let to = target.address.into();
    match socket
        .connect(&to)
        .or_else(|error| if is_waiting(&error) { socket.connect(&to) } else { Err(error) })
    {
        Ok(()) => met_itself(target, SockRef::from(&socket)).map_or(Ok(Begun::Connected(socket)), Err),
        Err(error) if is_waiting(&error) => Ok(Begun::Waiting(socket)),
        // What the kernel says at once and what is not about the way to the server is about this machine.
        Err(error) => Err(match failure(target, &error) {
            Failure::Io(text) => Failure::NotRun(text),
            other => other,
        }),
    }
}

fn is_waiting(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EALREADY))
}

/// The kernel gave the connection the very port that it goes to, and nobody listens there: both ends are one socket. It is
/// reset: closed in order it would keep that port, for a minute, from whoever wants to listen.
fn met_itself(target: &Target, socket: SockRef<'_>) -> Option<Failure> {
    let local = socket.local_addr().ok()?.as_socket()?;
    if (local.ip(), local.port()) != (target.address.ip(), target.address.port()) {
        return None;
    }
    let _ = socket.set_linger(Some(Duration::ZERO));
    Some(Failure::MetItself)
}

fn failure(target: &Target, error: &io::Error) -> Failure {
    io_failure(error, target.timeout, target.names_source())
}

/// The rest of a TCP_CHECK whose connection did not stand at once.
///
/// # Errors
/// The reason why the connection did not complete within the target's time limit.
pub async fn finish(target: &Target, socket: Socket) -> Result<Success, Failure> {
    within(target.timeout, wait(target, socket)).await.map(|_| Success::default())
}

/// One run: connects and closes.
///
/// # Errors
/// The reason why the connection did not complete within the target's time limit.
pub async fn check(target: &Target) -> Result<Success, Failure> {
    if target.proxy.is_some() {
        return within(target.timeout, connect(target)).await.map(|_| Success::default());
    }
    match begin(target)? {
        Begun::Connected(_) => Ok(Success::default()),
        Begun::Waiting(socket) => finish(target, socket).await,
    }
}

/// Connects from where the file says, and sends the PROXY header where it asks for one; without a time limit of its own.
///
/// # Errors
/// The reason why the connection did not complete.
pub async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let mut stream = match begin(target)? {
        Begun::Connected(socket) => register(target, socket)?,
        Begun::Waiting(socket) => wait(target, socket).await?,
    };
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

/// Waits until a connection that was asked for stands; without a time limit of its own.
///
/// # Errors
/// The reason why it never will.
pub async fn wait(target: &Target, socket: Socket) -> Result<TcpStream, Failure> {
    let stream = register(target, socket)?;
    stream.writable().await.map_err(|error| failure(target, &error))?;
    match stream.take_error() {
        Ok(None) => met_itself(target, SockRef::from(&stream)).map_or(Ok(stream), Err),
        Ok(Some(error)) | Err(error) => Err(failure(target, &error)),
    }
}

/// Hands the socket to the runtime.
///
/// # Errors
/// Errors of the operating system.
pub fn register(target: &Target, socket: Socket) -> Result<TcpStream, Failure> {
    TcpStream::from_std(StdTcpStream::from(socket)).map_err(|error| failure(target, &error))
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
