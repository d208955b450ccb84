//! A conversation with the kernel's route netlink: many requests in one datagram, acknowledgements matched by sequence
//! number, an error for each. The kernel works requests off while they are sent and answers before sending returns, so
//! that nothing is waited for: an answer that is not there is lost. The socket takes part in nothing else.

use std::io;

use neli::consts::socket::{Msg, NlFamily};
use neli::socket::NlSocket;
use neli::utils::Groups;

use super::Error;
use super::attribute::{Attributes, name_of};
use super::buffers::{self, Use};

/// Receive queue: room for the errors of a whole batch. The kernel caps it at `net.core.rmem_max`.
const RECEIVE_QUEUE: usize = 1 << 20;
/// The kernel writes at most 32 KiB of a dump into one datagram.
const BUFFER: usize = 64 << 10;
/// A dump during which the table changed is read again so many times before it is an error.
const READINGS: usize = 8;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

const ERROR: u16 = 2;
const DONE: u16 = 3;
const OVERRUN: u16 = 4;
const FLAG_REQUEST: u16 = 0x01;
const FLAG_ACK: u16 = 0x04;
const FLAG_DUMP: u16 = 0x300;
const FLAG_INTERRUPTED: u16 = 0x10;
/// The acknowledgement echoes only the header of the request.
const FLAG_CAPPED: u16 = 0x100;
/// NLMSGERR_ATTR_MSG: the kernel's explanation as text.
const ATTRIBUTE_TEXT: u16 = 1;

/// RTM_NEWADDR and so on.
pub(super) mod kind {
    pub(in crate::net) const GET_LINK: u16 = 18;
    pub(in crate::net) const NEW_ADDRESS: u16 = 20;
    pub(in crate::net) const DELETE_ADDRESS: u16 = 21;
    pub(in crate::net) const GET_ADDRESS: u16 = 22;
    pub(in crate::net) const NEW_ROUTE: u16 = 24;
    pub(in crate::net) const DELETE_ROUTE: u16 = 25;
    pub(in crate::net) const GET_ROUTE: u16 = 26;
    pub(in crate::net) const NEW_RULE: u16 = 32;
    pub(in crate::net) const DELETE_RULE: u16 = 33;
    pub(in crate::net) const GET_RULE: u16 = 34;
}

/// NLM_F_CREATE, NLM_F_EXCL, NLM_F_APPEND.
pub(super) mod flag {
    pub(in crate::net) const EXCLUSIVE: u16 = 0x200;
    pub(in crate::net) const CREATE: u16 = 0x400;
    pub(in crate::net) const APPEND: u16 = 0x800;
}

/// One changing request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// RTM_ number.
    pub(super) kind: u16,
    /// NLM_F_ flags beside REQUEST and ACK.
    pub(super) flags: u16,
    /// What stands behind the netlink header.
    pub(super) body: Vec<u8>,
}

/// Why the kernel refused one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The error number, positive.
    pub(super) errno: i32,
    /// The kernel's own explanation.
    pub(super) text: Option<String>,
}

impl Refusal {
    /// As an error of this operation.
    pub(super) fn error(&self, operation: String) -> Error {
        let source = io::Error::from_raw_os_error(self.errno);
        Error::Refused { operation, source, extended: self.text.clone() }
    }
}

/// One connection. It belongs to the network namespace of the thread that opened it.
pub(super) struct Session {
    socket: NlSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

/// One message of an answer.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Session {
    /// Opens the socket.
    pub(super) fn open() -> Result<Self, Error> {
        let socket = NlSocket::connect(NlFamily::Route, None, Groups::empty())?;
        socket.nonblock()?;
        // None is needed for correctness: kernels before 4.20 have neither explanations nor filtered dumps.
        let _ = socket.set_recv_buffer_size(RECEIVE_QUEUE);
        buffers::apply(Use::Commands, &socket);
        let _ = socket.enable_ext_ack(true);
        let _ = socket.enable_strict_checking(true);
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The port that the kernel names in what it tells others of our doing.
    pub(super) fn port(&self) -> Option<u32> {
        self.socket.pid().ok()
    }

    /// Sends requests in one datagram and reads all acknowledgements: `None` = done. After an error nothing is known of
    /// any of them, and the session is of no further use.
    pub(super) fn apply(
        &mut self,
        requests: &[Request],
        operation: &str,
    ) -> Result<Vec<Option<Refusal>>, Error> {
        let mut datagram = Vec::new();
        let first = self.sequence.wrapping_add(1);
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            frame(&mut datagram, request, FLAG_REQUEST | FLAG_ACK, self.sequence);
        }
        self.send(&datagram, operation)?;
        let mut results: Vec<Option<Option<Refusal>>> = vec![None; requests.len()];
        let mut open = requests.len();
        while open > 0 {
            let length = self.receive(operation)?;
            for message in messages(self.buffer.get(..length).unwrap_or_default()) {
                match message.kind {
                    ERROR => {
                        let at = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                        if let Some(slot @ None) = results.get_mut(at) {
                            *slot = Some(refusal(&message));
                            open -= 1;
                        }
                    }
                    OVERRUN => return Err(no_answer(operation)),
                    _ => {}
                }
            }
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// Reads a table; `each` sees every message. A reading during which the table changed is done again, since it may
    /// have left something out: `again` is called before.
    pub(super) fn dump<T>(
        &mut self,
        kind: u16,
        body: &[u8],
        operation: &str,
        each: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..READINGS {
            if let Some(found) = self.read_once(kind, body, operation, &each)? {
                return Ok(found);
            }
        }
        Err(Error::Unsteady { operation: operation.to_owned() })
    }

    /// `None`: the table changed meanwhile.
    fn read_once<T>(
        &mut self,
        kind: u16,
        body: &[u8],
        operation: &str,
        each: &impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let mut datagram = Vec::new();
        let request = Request { kind, flags: 0, body: body.to_vec() };
        frame(&mut datagram, &request, FLAG_REQUEST | FLAG_DUMP, sequence);
        self.send(&datagram, operation)?;
        let (mut found, mut steady) = (Vec::new(), true);
        loop {
            let length = self.receive(operation)?;
            for message in messages(self.buffer.get(..length).unwrap_or_default()) {
                if message.sequence != sequence {
                    continue;
                }
                steady &= message.flags & FLAG_INTERRUPTED == 0;
                match message.kind {
                    ERROR | DONE => {
                        return match refusal(&message) {
                            None => Ok(steady.then_some(found)),
                            Some(refusal) => Err(refusal.error(operation.to_owned())),
                        };
                    }
                    OVERRUN => return Err(no_answer(operation)),
                    _ => found.extend(each(message.body)),
                }
            }
        }
    }

    fn send(&mut self, datagram: &[u8], operation: &str) -> Result<(), Error> {
        match self.socket.send(datagram, Msg::empty()) {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Refused { operation: operation.to_owned(), source, extended: None }),
        }
    }

    fn receive(&mut self, operation: &str) -> Result<usize, Error> {
        loop {
            match self.socket.recv(self.buffer.as_mut_slice(), Msg::empty()) {
                Ok((length, _)) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nothing there, or ENOBUFS: answers were dropped.
                Err(_) => return Err(no_answer(operation)),
            }
        }
    }
}

fn no_answer(operation: &str) -> Error {
    Error::NoAnswer { operation: operation.to_owned() }
}

fn frame(datagram: &mut Vec<u8>, request: &Request, flags: u16, sequence: u32) {
    let length = HEADER + request.body.len();
    datagram.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    datagram.extend(request.kind.to_ne_bytes());
    datagram.extend((flags | request.flags).to_ne_bytes());
    datagram.extend(sequence.to_ne_bytes());
    datagram.extend([0; 4]);
    datagram.extend_from_slice(&request.body);
    datagram.resize(datagram.len().next_multiple_of(4), 0);
}

/// The messages of a datagram; ends at the first that is cut.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let number32 = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let number16 = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let length = usize::try_from(number32(0)?).ok()?;
        let (kind, flags, sequence) = (number16(4)?, number16(6)?, number32(8)?);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, flags, sequence, body })
    })
}

/// The refusal in an acknowledgement or at the end of a dump; `None` = success.
fn refusal(message: &Message<'_>) -> Option<Refusal> {
    let code = message.body.get(..4).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes)?;
    if code == 0 {
        return None;
    }
    // An error echoes the request, then come the attributes; the end of a dump has them right behind the code.
    let attributes = match (message.kind, message.flags & FLAG_CAPPED) {
        (DONE, _) => 4,
        (_, 0) => {
            let echoed = message.body.get(4..8).and_then(|l| l.try_into().ok()).map(u32::from_ne_bytes);
            4 + usize::try_from(echoed.unwrap_or(0)).unwrap_or(0).next_multiple_of(4)
        }
        _ => 4 + HEADER,
    };
    let mut found = Attributes::new(message.body.get(attributes..).unwrap_or_default());
    let text = found.find(|(number, _)| *number == ATTRIBUTE_TEXT).map(|(_, value)| name_of(value));
    Some(Refusal { errno: code.saturating_abs(), text: text.filter(|text| !text.is_empty()) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kernels_words_are_found_behind_the_echoed_request() {
        let mut body = (-22i32).to_ne_bytes().to_vec();
        let request = Request { kind: 24, flags: 0, body: vec![7; 12] };
        frame(&mut body, &request, 0, 5);
        body.extend(23u16.to_ne_bytes());
        body.extend(1u16.to_ne_bytes());
        body.extend(b"Invalid prefix len\0");
        let message = Message { kind: ERROR, flags: 0, sequence: 5, body: &body };
        let wanted = Refusal { errno: 22, text: Some("Invalid prefix len".to_owned()) };
        assert_eq!(refusal(&message), Some(wanted.clone()));
        assert!(wanted.error("adding x".to_owned()).to_string().contains("Invalid prefix len"));
        let done = Message { kind: ERROR, flags: 0, sequence: 5, body: &[0; 20] };
        assert_eq!(refusal(&done), None);
    }

    #[test]
    fn the_loopback_address_family_is_answered() {
        let mut session = Session::open().unwrap();
        let found =
            session.dump(kind::GET_ADDRESS, &[0; 8], "reading", |body| body.first().copied()).unwrap();
        assert!(found.iter().all(|family| [2, 10].contains(family)), "{found:?}");
        let nonsense = Request { kind: kind::NEW_ADDRESS, flags: 0, body: vec![0; 8] };
        let answers = session.apply(&[nonsense.clone(), nonsense], "asking").unwrap();
        assert_eq!(answers.len(), 2);
        assert!(answers.iter().all(Option::is_some), "{answers:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for message in messages(&bytes) {
                let _ = refusal(&message);
            }
        }
    }
}
