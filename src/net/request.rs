//! One request on a route netlink connection, with its answer really seen: rtnetlink's own calls report success
//! when the connection died, so every acknowledgement and every end of a dump is forwarded and demanded here.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use rtnetlink::packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::{Handle, MulticastGroup};

use super::Error;
use super::buffers::{self, Use};

/// Longest wait for an answer. The kernel answers in microseconds, but holds one lock for all: somebody who deletes
/// ten thousand routes delays everybody. Beyond this the answer is taken to be lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// A dump during which the table changed is read again so many times before it is an error.
const READINGS: usize = 8;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// NLMSGERR_ATTR_MSG: the kernel's explanation as text.
const ATTRIBUTE_TEXT: u16 = 1;

/// What a monitor connection is given: messages that nobody asked for.
pub(super) type Events = futures_util::stream::BoxStream<'static, NetlinkMessage<RouteNetlinkMessage>>;

/// A connection whose task runs on the current runtime. Dropping the handle (and the events) ends it.
pub(super) fn connect(groups: &[MulticastGroup]) -> Result<(Handle, Events), Error> {
    let (mut connection, handle, messages) = rtnetlink::new_multicast_connection(groups)?;
    connection.set_forward_ack(true);
    connection.set_forward_done(true);
    {
        use rtnetlink::sys::AsyncSocket;
        let socket = connection.socket_mut().socket_mut();
        // Neither is needed for correctness: a small buffer only means another dump after an overrun.
        let _ = socket.set_rx_buf_sz(1u32 << 20);
        buffers::apply(if groups.is_empty() { Use::Commands } else { Use::Monitor }, socket);
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
    let acknowledged = async {
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                return match error.code {
                    None => Ok(()),
                    Some(_) => Err(refused(&error, operation())),
                };
            }
        }
        Err(no_answer())
    };
    within(acknowledged, &operation).await
}

/// Sends a dump request and collects its parts. A dump without its end is an error; one during which the table
/// changed is read again, since it may have left something out.
pub(super) async fn dump(
    handle: &mut Handle,
    message: RouteNetlinkMessage,
    operation: &str,
) -> Result<Vec<RouteNetlinkMessage>, Error> {
    for _ in 0..READINGS {
        let reading = read_once(handle, message.clone(), operation);
        if let Some(parts) = within(reading, &|| operation.to_owned()).await? {
            return Ok(parts);
        }
    }
    Err(Error::Unsteady { operation: operation.to_owned() })
}

/// `None`: the table changed meanwhile.
async fn read_once(
    handle: &mut Handle,
    message: RouteNetlinkMessage,
    operation: &str,
) -> Result<Option<Vec<RouteNetlinkMessage>>, Error> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let no_answer = || Error::NoAnswer { operation: operation.to_owned() };
    let mut answers = handle.request(request).map_err(|_| no_answer())?;
    let mut parts = Vec::new();
    let mut steady = true;
    while let Some(answer) = answers.next().await {
        steady &= answer.header.flags & NLM_F_DUMP_INTR == 0;
        match answer.payload {
            NetlinkPayload::InnerMessage(part) => parts.push(part),
            NetlinkPayload::Done(end) if end.code == 0 => return Ok(steady.then_some(parts)),
            NetlinkPayload::Done(end) => {
                let source = io::Error::from_raw_os_error(end.code.saturating_abs());
                let extended = text(&end.extended_ack);
                return Err(Error::Refused { operation: operation.to_owned(), source, extended });
            }
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(refused(&error, operation.to_owned()));
            }
            _ => {}
        }
    }
    Err(no_answer())
}

async fn within<T>(
    work: impl Future<Output = Result<T, Error>>,
    operation: &impl Fn() -> String,
) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Late { operation: operation(), limit: PATIENCE }),
    }
}

fn refused(error: &ErrorMessage, operation: String) -> Error {
    let errno = error.code.map_or(0, |code| code.get().saturating_abs());
    Error::Refused {
        operation,
        source: io::Error::from_raw_os_error(errno),
        extended: explanation(&error.header),
    }
}

/// The text of an extended ack. The library leaves the attributes where they were: behind the request's header,
/// which the kernel sends back with its payload unless NETLINK_CAP_ACK is set (here it is not).
fn explanation(echo: &[u8]) -> Option<String> {
    let length = echo.get(..4)?.try_into().ok().map(u32::from_ne_bytes)?;
    let aligned = usize::try_from(length).ok()?.checked_next_multiple_of(4)?;
    // A kernel that echoes the header alone puts the attributes right behind it.
    text(echo.get(aligned..).unwrap_or_default()).or_else(|| text(echo.get(HEADER..)?))
}

/// NLMSGERR_ATTR_MSG among these attributes.
fn text(mut attributes: &[u8]) -> Option<String> {
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        let value = attributes.get(4..length)?;
        if kind == ATTRIBUTE_TEXT {
            let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
            return Some(String::from_utf8_lossy(value).into_owned()).filter(|text| !text.is_empty());
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(value.len() + 4).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn the_kernels_words_are_found_behind_the_echoed_request() {
        let mut echo = 24u32.to_ne_bytes().to_vec();
        echo.resize(24, 0xab);
        echo.extend(attribute(2, &7u32.to_ne_bytes()));
        echo.extend(attribute(1, b"ipv4: Invalid prefix length\0"));
        assert_eq!(explanation(&echo).as_deref(), Some("ipv4: Invalid prefix length"));
        echo.truncate(24);
        assert_eq!(explanation(&echo), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = explanation(&bytes);
            let _ = text(&bytes);
        }
    }
}
