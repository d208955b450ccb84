//! UDP_CHECK: no ICMP error, and with `require_reply` a reply that fits.
//!
//! Without `require_reply` silence is success: the check then takes as long as `connect_timeout` to hear of an ICMP error,
//! as under keepalived. A reply of any kind ends it sooner.

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::{io_failure, source};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::{ReplyPlan, UdpPlan};

/// One run; `random` is sent where the file names no payload.
///
/// # Errors
/// The ICMP error, or what is wrong with the reply.
pub async fn check(plan: &UdpPlan, random: [u8; 8]) -> Result<Success, Failure> {
    let limit = plan.target.timeout;
    let socket = source::udp(&plan.target)?;
    match (timeout(limit, exchange(plan, &socket, &random)).await, &plan.reply) {
        (Ok(result), _) => result,
        (Err(_), None) => Ok(Success::default()),
        (Err(_), Some(_)) => Err(Failure::Timeout(limit)),
    }
}

async fn exchange(plan: &UdpPlan, socket: &UdpSocket, random: &[u8]) -> Result<Success, Failure> {
    let io = |error: std::io::Error| io_failure(&error, plan.target.timeout, plan.target.names_source());
    socket.send(plan.payload.as_deref().unwrap_or(random)).await.map_err(io)?;
    // One byte more than may come tells that too much did.
    let room = plan.reply.as_ref().map_or(1, |reply| usize::from(reply.max) + 1);
    let mut buffer = vec![0; room];
    let length = source::receive(socket, &mut buffer).await.map_err(io)?;
    match &plan.reply {
        Some(reply) => verdict(reply, buffer.get(..length).unwrap_or_default()),
        None => Ok(Success::default()),
    }
}

/// Whether a reply fits. Of one that is longer than it may be, one byte too many is enough.
fn verdict(wanted: &ReplyPlan, reply: &[u8]) -> Result<Success, Failure> {
    let (min, max) = (wanted.min, wanted.max);
    if reply.len() > usize::from(max) {
        return Err(Failure::BadLength { got: None, min, max });
    }
    if reply.len() < usize::from(min) {
        return Err(Failure::BadLength { got: Some(reply.len()), min, max });
    }
    match wanted.pattern.mismatch(reply) {
        Some(at) => Err(Failure::BadBytes { at }),
        None => Ok(Success::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text::hex::Pattern;

    #[test]
    fn replies_fit_or_not() {
        let wanted = |text: &str, min, max| ReplyPlan { pattern: Pattern::parse(text).unwrap(), min, max };
        let short = |got, min, max| Err(Failure::BadLength { got, min, max });
        for (wanted, reply, verdict_of) in [
            (wanted("", 0, 255), &b""[..], Ok(Success::default())),
            (wanted("", 0, 255), b"whatever", Ok(Success::default())),
            (wanted("", 1, 255), b"", short(Some(0), 1, 255)),
            (wanted("", 0, 3), b"1234", short(None, 0, 3)),
            (wanted("6f6b", 0, 255), b"ok then", Ok(Success::default())),
            (wanted("6f6b", 0, 255), b"o", Ok(Success::default())),
            (wanted("6f6b", 2, 255), b"o", short(Some(1), 2, 255)),
            (wanted("6fXX 21", 0, 255), b"ok!", Ok(Success::default())),
            (wanted("6fXX 21", 0, 255), b"ok?", Err(Failure::BadBytes { at: 2 })),
        ] {
            assert_eq!(verdict(&wanted, reply), verdict_of, "{reply:?}");
        }
    }
}
