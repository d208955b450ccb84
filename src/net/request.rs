//! One request on a route netlink connection, with its answer really seen: rtnetlink's own calls report success
//! when the connection died, so every acknowledgement is forwarded and demanded here.

use std::io;

use futures_util::StreamExt;
use rtnetlink::packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{Handle, MulticastGroup};

use super::Error;

/// What a monitor connection is given: messages that nobody asked for.
pub(super) type Events = futures_util::stream::BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>;

/// A connection whose task runs on the current runtime. Dropping the handle ends it.
pub(super) fn connect(groups: &[MulticastGroup]) -> Result<(Handle, Events), Error> {
    let (mut connection, handle, messages) = rtnetlink::new_multicast_connection(groups)?;
    connection.set_forward_ack(true);
    {
        use rtnetlink::sys::AsyncSocket;
        let socket = connection.socket_mut().socket_mut();
        // Neither is needed for correctness: a small buffer only means another dump after an overrun.
        let _ = socket.set_rx_buf_sz(1u32 << 20);
        let _ = socket.set_ext_ack(true);
    }
    tokio::spawn(connection);
    Ok((handle, messages.map(|(message, _)| message).boxed()))
}

/// Sends one changing request and waits for its acknowledgement.
pub(super) async fn change(
    handle: &mut Handle,
    message: RouteNetlinkMessage,
    flags: u16,
    operation: impl Fn() -> String,
) -> Result<(), Error> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let no_answer = || Error::NoAnswer { operation: operation() };
    let mut answers = handle.request(request).map_err(|_| no_answer())?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload {
            return match error.code {
                None => Ok(()),
                Some(_) => Err(refused(&error, operation())),
            };
        }
    }
    Err(no_answer())
}

/// Sends a dump request and collects its parts; an unfinished dump is an error.
pub(super) async fn dump(
    handle: &mut Handle,
    message: RouteNetlinkMessage,
    operation: &str,
) -> Result<Vec<RouteNetlinkMessage>, Error> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let no_answer = || Error::NoAnswer { operation: operation.to_owned() };
    let mut answers = handle.request(request).map_err(|_| no_answer())?;
    let mut parts = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer.payload {
            NetlinkPayload::InnerMessage(part) => parts.push(part),
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(refused(&error, operation.to_owned()));
            }
            _ => {}
        }
    }
    if parts.is_empty() {
        // Every machine has a loopback device with an address: an empty dump is a dead connection.
        return Err(no_answer());
    }
    Ok(parts)
}

fn refused(error: &ErrorMessage, operation: String) -> Error {
    let errno = error.code.map_or(0, |code| code.get().saturating_abs());
    Error::Refused { operation, source: io::Error::from_raw_os_error(errno), extended: None }
}
