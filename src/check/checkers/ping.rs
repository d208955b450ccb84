//! PING_CHECK: an ICMP echo is answered. Each run has a socket of its own and no thread: the kernel hands a datagram
//! socket its own replies and ICMP errors, a raw one those of its peer.

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::echo::{Echo, LONGEST};
use super::{io_failure, source};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::Target;

/// One run. `number` tells it from others of this daemon, `token` from everything else.
///
/// # Errors
/// The ICMP error, silence, or that the kernel does not let us.
pub async fn check(target: &Target, number: u16, token: u64) -> Result<Success, Failure> {
    let (socket, raw) = source::icmp(target)?;
    let echo = Echo {
        v6: target.address.is_ipv6(),
        identifier: target.bind_port.unwrap_or(number),
        sequence: number,
        token,
    };
    let limit = target.timeout;
    timeout(limit, exchange(target, &socket, echo, raw)).await.unwrap_or(Err(Failure::Timeout(limit)))
}

async fn exchange(target: &Target, socket: &UdpSocket, echo: Echo, raw: bool) -> Result<Success, Failure> {
    let io = |error: std::io::Error| io_failure(&error, target.timeout, target.names_source());
    socket.send(&echo.request()).await.map_err(io)?;
    let mut buffer = [0; LONGEST];
    loop {
        let length = source::receive(socket, &mut buffer).await.map_err(io)?;
        if echo.is_answered_by(buffer.get(..length).unwrap_or_default(), raw) {
            return Ok(Success::default());
        }
    }
}
