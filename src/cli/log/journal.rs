//! systemd's journal in its own protocol: a datagram of fields for each line, so that severity, name and fields need not be
//! read out of words. (systemd.io/JOURNAL_NATIVE_PROTOCOL; the crate `tracing-journald` speaks it, too, but waits for a
//! journal that takes nothing, and brings tracing-subscriber's registry, which the daemon does not have.)

use std::fs::File;
use std::io::{self, IoSlice, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

use super::datagrams::{Datagrams, may_come};
use super::line::Line;
use super::places::{Console, Place};
use super::syslog::Facility;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// The journal takes no more of a field (`DATA_SIZE_MAX` is far above it); a line of ours is never so long but for a defect.
const LONGEST: usize = 512 << 10;
/// A field's name, with `TANDEM_` in front: the journal takes names of up to 64 characters.
const LONGEST_NAME: usize = 64;

/// The journal.
pub(super) struct Journal {
    facility: Facility,
    name: &'static str,
    socket: Datagrams,
    /// Where lines go that the journal does not take: standard error leads to it, too.
    instead: Option<Console>,
}

impl Journal {
    /// `instead`: where lines go that it does not take.
    pub(super) fn new(facility: Facility, name: &'static str, instead: Option<Console>) -> Self {
        Self::at(Path::new(SOCKET), facility, name, instead)
    }

    fn at(path: &Path, facility: Facility, name: &'static str, instead: Option<Console>) -> Self {
        Self { facility, name, socket: Datagrams::to(path), instead }
    }

    fn send(&mut self, line: &Line) -> io::Result<()> {
        let entry = entry(line, self.facility, self.name);
        self.socket.send(|socket| match socket.send(&entry) {
            // Larger than a datagram may be: the journal reads it from memory that we share with it.
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => send_memory(socket, &entry),
            other => other.map(drop),
        })
    }
}

impl Place for Journal {
    fn name(&self) -> &'static str {
        "the journal"
    }

    fn may_come(&self, error: &io::Error) -> bool {
        may_come(error)
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        match (self.send(line), &mut self.instead) {
            // What is full has room in a moment: that line is kept for it.
            (Err(error), Some(console)) if error.kind() != io::ErrorKind::WouldBlock => console.write(line),
            (result, _) => result,
        }
    }
}

/// Hands over sealed memory in the place of a datagram's text.
fn send_memory(socket: &UnixDatagram, entry: &[u8]) -> io::Result<()> {
    let flags = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC;
    let mut memory = File::from(memfd_create("tandem-log", flags)?);
    memory.write_all(entry)?;
    memory.rewind()?;
    let memory = OwnedFd::from(memory);
    // The journal reads only what nobody can change any more.
    let seals =
        SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
    let descriptors = [memory.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    let nothing: [IoSlice<'_>; 0] = [];
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &nothing, &rights, MsgFlags::empty(), None)?;
    Ok(())
}

/// A line as the journal's fields.
fn entry(line: &Line, facility: Facility, name: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(256 + line.message.len());
    field(&mut entry, "PRIORITY", &line.severity().to_string());
    field(&mut entry, "SYSLOG_FACILITY", &facility.number().to_string());
    field(&mut entry, "SYSLOG_IDENTIFIER", name);
    field(&mut entry, "SYSLOG_PID", &std::process::id().to_string());
    // As it is: what it says in several lines stays one entry.
    field(&mut entry, "MESSAGE", &line.message);
    for (name, value) in &line.fields {
        field(&mut entry, &field_name(name), value);
    }
    entry
}

/// `real_server` is `TANDEM_REAL_SERVER`: capitals, digits and underscores are what the journal takes.
fn field_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "TANDEM_".chars().chain(name.chars().map(plain)).take(LONGEST_NAME).collect()
}

/// `NAME=value`, or with the value's length where it has line ends: then nothing in it can begin a field of its own.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    let end = (0..=value.len().min(LONGEST)).rev().find(|at| value.is_char_boundary(*at));
    let value = value.get(..end.unwrap_or(0)).unwrap_or_default();
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&u64::try_from(value.len()).unwrap_or(0).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{IoSliceMut, Read as _};
    use std::os::fd::{FromRawFd as _, RawFd};
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use nix::sys::socket::{ControlMessageOwned, recvmsg};
    use tracing::Level;

    use super::*;

    /// The other end, as the journal reads it: text, or sealed memory.
    struct Reader(UnixDatagram);

    impl Reader {
        fn at(path: &Path) -> Self {
            let socket = UnixDatagram::bind(path).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            Self(socket)
        }

        fn entry(&self) -> Vec<u8> {
            let mut buffer = vec![0; 1 << 20];
            let mut space = nix::cmsg_space!([RawFd; 1]);
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let read =
                recvmsg::<UnixAddr>(self.0.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty());
            let read = read.unwrap();
            let descriptor = read.cmsgs().unwrap().find_map(|message| match message {
                ControlMessageOwned::ScmRights(all) => all.first().copied(),
                _ => None,
            });
            let length = read.bytes;
            let Some(descriptor) = descriptor else {
                buffer.truncate(length);
                return buffer;
            };
            assert_eq!(length, 0, "memory in the place of text");
            // SAFETY: the kernel has just made it for us.
            #[allow(unsafe_code)]
            let mut memory = unsafe { File::from_raw_fd(descriptor) };
            assert!(memory.write_all(b"x").is_err(), "it is sealed");
            let mut entry = Vec::new();
            memory.read_to_end(&mut entry).unwrap();
            entry
        }

        fn fields(&self) -> BTreeMap<String, String> {
            fields(&self.entry())
        }
    }

    /// The protocol's reader.
    fn fields(mut entry: &[u8]) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        while !entry.is_empty() {
            let end = entry.iter().position(|byte| *byte == b'\n').unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let (line, rest) = (&entry[..end], &entry[end + 1..]);
            let (name, value, rest) = match line.iter().position(|byte| *byte == b'=') {
                Some(at) => (text(&line[..at]), text(&line[at + 1..]), rest),
                None => {
                    let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
                    assert_eq!(rest[8 + length], b'\n');
                    (text(line), text(&rest[8..8 + length]), &rest[8 + length + 1..])
                }
            };
            assert!(found.insert(name, value).is_none(), "each field once");
            entry = rest;
        }
        found
    }

    fn line(message: &str) -> Line {
        Line::own(Level::WARN, message.to_owned())
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tandem-journal-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_line_is_an_entry_with_fields() {
        let folder = folder("fields");
        let path = folder.join("socket");
        let reader = Reader::at(&path);
        let mut journal = Journal::at(&path, Facility::DAEMON, "tandem", None);
        let mut said = line("one\nMESSAGE=forged\nPRIORITY=0");
        said.fields = vec![("real_server", "10.0.0.1:80".to_owned()), ("odd.name", "x\ny".to_owned())];
        journal.write(&said).unwrap();
        let fields = reader.fields();
        let pid = std::process::id().to_string();
        let wanted = [
            ("MESSAGE", "one\nMESSAGE=forged\nPRIORITY=0"),
            ("PRIORITY", "4"),
            ("SYSLOG_FACILITY", "3"),
            ("SYSLOG_IDENTIFIER", "tandem"),
            ("SYSLOG_PID", &pid),
            ("TANDEM_ODD_NAME", "x\ny"),
            ("TANDEM_REAL_SERVER", "10.0.0.1:80"),
        ];
        assert_eq!(fields, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_no_datagram_holds_comes_as_memory_and_the_endless_is_cut() {
        let folder = folder("large");
        let path = folder.join("socket");
        let reader = Reader::at(&path);
        let mut journal = Journal::at(&path, Facility::DAEMON, "tandem", None);
        let large = "é".repeat(200 << 10);
        for (message, length) in [(large.clone(), large.len()), (large.repeat(4), LONGEST)] {
            journal.write(&line(&message)).unwrap();
            let said = reader.fields().remove("MESSAGE").unwrap();
            assert_eq!(said.len(), length);
            assert!(message.starts_with(&said));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_full_an_absent_and_a_new_journal() {
        let folder = folder("full");
        let path = folder.join("socket");
        let mut journal = Journal::at(&path, Facility::DAEMON, "tandem", None);
        assert!(journal.write(&line("nobody")).is_err(), "nobody listens");
        let first = Reader::at(&path);
        assert!(journal.write(&line("too soon")).is_err(), "not tried again at once");
        journal.socket = Datagrams::to(&path);
        journal.write(&line("first")).unwrap();
        assert_eq!(first.fields()["MESSAGE"], "first");
        let begun = Instant::now();
        let lost = (0..5000).find(|_| journal.write(&line("words")).is_err());
        assert!(lost.is_some(), "a journal that takes nothing must not hold the writer up for ever");
        let full = journal.write(&line("words")).unwrap_err();
        assert!(journal.may_come(&full), "the line is kept for it: {full}");
        assert!(begun.elapsed() < Duration::from_secs(60));
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = Reader::at(&path);
        journal.write(&line("second")).unwrap();
        assert_eq!(second.fields()["MESSAGE"], "second", "the new one gets the next line");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
