//! Messages of the kernel's process events connector (NETLINK_CONNECTOR, CN_IDX_PROC; linux/cn_proc.h). Pure.

/// Netlink header, connector header, and head of the event.
const HEADERS: usize = 16 + 20 + 16;
/// CN_IDX_PROC and CN_VAL_PROC: the connector of process events, and its multicast group.
pub const PROCESS_EVENTS: u32 = 1;
/// NLMSG_DONE: the type of every connector message.
const DONE: u16 = 3;

/// PROC_CN_MCAST_LISTEN, PROC_CN_MCAST_IGNORE.
const LISTEN: u32 = 1;

/// What happened to a process (not to one of its further threads).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The kernel's answer to a request: 0, or an error number.
    Answer(u32),
    /// A new process, a copy of its parent so far.
    Fork(u32),
    /// Another program.
    Exec(u32),
    /// Another name.
    Renamed(u32),
    /// It ended.
    Exit(u32),
}

/// The request to be told of events.
pub fn listen_request() -> [u8; 40] {
    let mut bytes = [0; 40];
    let mut put = |at: usize, value: &[u8]| {
        if let Some(room) = bytes.get_mut(at..at + value.len()) {
            room.copy_from_slice(value);
        }
    };
    put(0, &40_u32.to_ne_bytes());
    put(4, &DONE.to_ne_bytes());
    put(16, &PROCESS_EVENTS.to_ne_bytes());
    put(20, &PROCESS_EVENTS.to_ne_bytes());
    put(32, &4_u16.to_ne_bytes());
    put(36, &LISTEN.to_ne_bytes());
    bytes
}

/// The event of one datagram; `None` for everything that is no concern of ours, and for whatever is too short.
pub fn parse(datagram: &[u8]) -> Option<Event> {
    let word = |at: usize| {
        let bytes = datagram.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let kind = u16::from_ne_bytes(datagram.get(4..6)?.try_into().ok()?);
    if kind != DONE || word(16)? != PROCESS_EVENTS || word(20)? != PROCESS_EVENTS {
        return None;
    }
    let data = |n: usize| word(HEADERS + 4 * n);
    // Each names the thread and its thread group: a process is the thread of that very number.
    let process = |thread: usize| {
        let (thread, group) = (data(thread)?, data(thread + 1)?);
        (thread == group).then_some(group)
    };
    match word(36)? {
        0 => Some(Event::Answer(data(0)?)),
        1 => process(2).map(Event::Fork),
        // Whichever thread calls exec: the process is what it makes of it.
        2 => Some(Event::Exec(data(1)?)),
        0x200 => process(0).map(Event::Renamed),
        0x8000_0000 => process(0).map(Event::Exit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn datagram(what: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = listen_request()[..36].to_vec();
        for word in [what, 0, 0, 0].iter().chain(data) {
            bytes.extend(word.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn processes_count_and_threads_do_not() {
        for (what, data, event) in [
            (0, &[0_u32][..], Some(Event::Answer(0))),
            (1, &[7, 7, 8, 8], Some(Event::Fork(8))),
            (1, &[7, 7, 9, 7], None),
            (2, &[9, 7], Some(Event::Exec(7))),
            (0x200, &[7, 7, 0, 0], Some(Event::Renamed(7))),
            (0x200, &[9, 7, 0, 0], None),
            (0x8000_0000, &[7, 7, 0, 0], Some(Event::Exit(7))),
            (0x8000_0000, &[9, 7, 0, 0], None),
            (4, &[7, 7, 0, 0], None),
        ] {
            assert_eq!(parse(&datagram(what, data)), event, "{what:#x} {data:?}");
        }
        assert_eq!(parse(&datagram(1, &[7, 7, 8])), None, "cut short");
        let mut foreign = datagram(1, &[7, 7, 8, 8]);
        foreign[16] = 99;
        assert_eq!(parse(&foreign), None, "another connector");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_event_panics(what: u32, data in prop::collection::vec(any::<u32>(), 0..6)) {
            let _ = parse(&datagram(what, &data));
        }
    }
}
