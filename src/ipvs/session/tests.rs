//! Answers that are late, cut, lost, foreign or nonsense.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::ipvs::fake::mark;
use crate::ipvs::wire::{NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN};

/// Answers with what it was given, whatever is asked.
#[derive(Default)]
struct Script {
    sent: Vec<Vec<u8>>,
    answers: VecDeque<Result<Vec<u8>, Errno>>,
}

impl Transport for Script {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.sent.push(datagram.to_vec());
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let answer = self.answers.pop_front().unwrap_or(Err(Errno::EAGAIN))?;
        let length = answer.len().min(buffer.len());
        buffer[..length].copy_from_slice(&answer[..length]);
        Ok(answer.len())
    }
}

fn answer(kind: u16, sequence: u32, errno: i32) -> Vec<u8> {
    let mut bytes = 20u32.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(-errno).to_ne_bytes());
    bytes
}

fn session(answers: impl IntoIterator<Item = Result<Vec<u8>, Errno>>) -> Session<Script> {
    Session::new(Script { sent: Vec::new(), answers: answers.into_iter().collect() }, 30)
}

fn deletes(count: u32) -> Vec<Change> {
    (1..=count).map(|number| Change::DeleteService { key: mark(number) }).collect()
}

#[test]
fn errors_are_matched_by_sequence_number_and_only_the_last_message_asks_for_an_answer() {
    // Message 2 failed, message 3 (the last) succeeded; an answer of something older is passed over.
    let mut session = session([
        Err(Errno::EINTR),
        Ok(answer(NLMSG_ERROR, 77, libc::EIO)),
        Ok([answer(NLMSG_ERROR, 2, libc::ESRCH), answer(NLMSG_ERROR, 3, 0)].concat()),
    ]);
    let changes = deletes(3);
    let refusals = session.apply(&changes).unwrap();
    assert_eq!(refusals, [(1, Refusal { change: changes[1].clone(), errno: libc::ESRCH })]);
    let sent = &session.transport.sent;
    assert_eq!(sent.len(), 1);
    let flags: Vec<_> = Messages::new(&sent[0]).map(|message| message.unwrap().flags).collect();
    assert_eq!(flags, [1, 1, 5]);
}

#[test]
fn an_error_of_the_last_message_is_the_barrier_too() {
    let mut session = session([Ok(answer(NLMSG_ERROR, 2, libc::ENOMEM))]);
    assert_eq!(session.apply(&deletes(2)).unwrap().len(), 1);
    assert!(session.apply(&[]).unwrap().is_empty(), "nothing to send, nothing to wait for");
    assert_eq!(session.transport.sent.len(), 1);
}

#[test]
fn lost_cut_and_missing_answers_are_no_success() {
    let lost = "answers of the kernel were lost when asked to change the IPVS table";
    for (answers, words) in [
        (vec![], "the kernel did not answer when asked to change the IPVS table"),
        (vec![Ok(vec![])], "the kernel did not answer when asked to change the IPVS table"),
        (
            vec![Ok(answer(NLMSG_ERROR, 1, 0))],
            "the kernel did not answer when asked to change the IPVS table",
        ),
        (vec![Err(Errno::ENOBUFS)], lost),
        (vec![Ok(vec![0; BUFFER + 1])], lost),
        (vec![Ok(answer(NLMSG_OVERRUN, 2, 0))], lost),
        (
            vec![Err(Errno::EBADF)],
            "cannot read from the IPVS netlink socket: Bad file descriptor (os error 9)",
        ),
        (
            vec![Ok(vec![1, 2, 3])],
            "cannot understand the kernel's answer when asked to change the IPVS table: \
             a netlink message of 3 bytes ends inside its header of 16",
        ),
    ] {
        let error = session(answers).apply(&deletes(2)).unwrap_err();
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn a_refused_dump_says_what_to_do() {
    let mut denied = session([Ok(answer(NLMSG_ERROR, 1, libc::EPERM))]);
    assert_eq!(
        denied.read(None, &mut || false).unwrap_err().to_string(),
        "the kernel refused to read the IPVS services: EPERM: Operation not permitted (1): run as root, or with CAP_NET_ADMIN"
    );
    // An error at the end of a dump counts as well.
    let mut late = session([Ok(answer(NLMSG_DONE, 1, libc::ENOMEM))]);
    assert!(matches!(late.read(None, &mut || false), Err(Error::Refused { errno: libc::ENOMEM, .. })));
    let mut unloaded = session([Ok(answer(NLMSG_ERROR, 1, libc::ENOENT))]);
    assert!(matches!(unloaded.read(None, &mut || false), Err(Error::NoIpvs { .. })));
    let mut empty = session([Ok(answer(NLMSG_DONE, 1, 0))]);
    assert_eq!(empty.read(None, &mut || false).unwrap(), Some(Table::new()));
}

#[test]
fn of_counters_that_cannot_all_begin_anew_it_is_told_how_many_do() {
    let keys: Vec<_> = (1..=4).map(mark).collect();
    let ok = |sequence| Ok(answer(NLMSG_ERROR, sequence, 0));
    let refused = |sequence, errno| Ok(answer(NLMSG_ERROR, sequence, errno));
    // The second is not there, the third is refused: the fourth has its turn all the same.
    let mut some = session([ok(1), refused(2, libc::ESRCH), refused(3, libc::EPERM), ok(4)]);
    let zeroed = some.zero(&keys);
    assert_eq!(zeroed.services, 2);
    assert!(matches!(zeroed.problem, Some(Error::Refused { errno: libc::EPERM, .. })), "{zeroed:?}");
    // Behind a socket that fails nothing is tried.
    let mut broken = session([ok(1), Err(Errno::EBADF)]);
    let zeroed = broken.zero(&keys);
    assert_eq!((zeroed.services, broken.transport.sent.len()), (1, 2));
    assert!(zeroed.problem.is_some());
    let mut whole = session([ok(1), ok(2), ok(3), ok(4)]);
    let zeroed = whole.zero(&keys);
    assert!(zeroed.services == 4 && zeroed.problem.is_none(), "{zeroed:?}");
}

proptest! {
    /// Any bytes from the kernel: no panic, and an end.
    #[test]
    fn nonsense_never_panics(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..8),
        sequences in proptest::collection::vec((0u16..35, 0u32..6, -40i32..40), 0..8),
    ) {
        let random = datagrams.into_iter().map(Ok);
        let framed = sequences.into_iter().map(|(kind, sequence, errno)| Ok(answer(kind, sequence, errno)));
        let answers: Vec<_> = framed.chain(random).collect();
        let _ = session(answers.clone()).apply(&deletes(3));
        let _ = session(answers).read(None, &mut || false);
    }
}
