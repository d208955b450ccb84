//! The worker's end of what connects it with its supervisor: lines of text in both directions, and the end of the line
//! when either is gone. A worker without a supervisor speaks to systemd itself.

use std::io::Write as _;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream as Blocking;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::UnixStream;

use super::systemd;
pub(super) use super::word::Word;
use crate::board::Bell;

/// The environment variable that names the descriptor.
pub(super) const VARIABLE: &str = "TANDEM_LIFELINE";
/// The one that names the bell: see [`Bell`].
pub(super) const BELL: &str = "TANDEM_BELL";
/// Set for a worker that takes the place of one that died after the start script, or left, and for a supervisor that takes that of
/// another program: to the name of the daemon there, behind [`NAME`].
pub(super) const AGAIN: &str = "TANDEM_AGAIN";
/// How a worker's line begins that says what it is called.
pub(super) const NAME: &str = "name ";
/// How one begins that says which pid file it has written.
pub(super) const FILE: &str = "file ";

/// How long the vrrp thread may be busy with one and the same thing: its turns take microseconds, and a peer of adverts of a
/// second takes over after three. Whoever has been busy for so long is looked at once more a moment later.
pub(super) const VRRP_LIMIT: Duration = Duration::from_millis(1800);

/// For a worker that is about to be started: what it has beside the line. Without it the supervisor looks often.
pub(super) fn bell_for(worker: &mut std::process::Command) -> Option<Bell> {
    let bell = Bell::cast(VRRP_LIMIT).ok()?;
    worker.env(BELL, bell.number().ok()?.to_string());
    Some(bell)
}

/// The bell that the supervisor gave us, if there is one. Call it once.
pub(super) fn bell() -> Option<Bell> {
    Bell::inherited(std::env::var(BELL).ok()?.parse().ok()?, VRRP_LIMIT)
}

/// What a supervisor asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Leave everything as it is and end: another process goes on.
    Leave,
    /// What was asked of the supervisor cannot be, for that reason.
    Refused(String),
    /// It is gone.
    Gone,
}

/// The worker's end before there is a runtime.
#[derive(Debug)]
pub(super) struct Line(Option<Blocking>);

impl Line {
    /// The line that the supervisor gave us, if there is one. Call it once.
    pub(super) fn take() -> Self {
        Self(given())
    }

    /// What the file calls us: the supervisor finds by it what is ours.
    pub(super) fn name(&self, name: &str) {
        self.say(&format!("{NAME}{name}\n"));
    }

    /// A pid file that is to go when we cannot remove it any more.
    pub(super) fn file(&self, path: &Path) {
        self.say(&file_words(path));
    }

    fn say(&self, words: &str) {
        if let Some(mut line) = self.0.as_ref() {
            let _ = line.write_all(words.as_bytes());
        }
    }

    /// Goes on with it. Call it on a runtime.
    pub(super) fn listen(self) -> Lifeline {
        let ends = self.0.and_then(|stream| {
            stream.set_nonblocking(true).ok()?;
            let writing = stream.try_clone().ok()?;
            let reading = UnixStream::from_std(stream).ok()?;
            Some((BufReader::new(reading).lines(), writing))
        });
        Lifeline { ends }
    }
}

/// The worker's end.
#[derive(Debug, Default)]
pub(super) struct Lifeline {
    /// What is read goes through the runtime; what is written does not: a runtime that has not looked at a socket yet takes
    /// it for one that cannot be written to.
    ends: Option<(Lines<BufReader<UnixStream>>, Blocking)>,
}

impl Lifeline {
    /// True with a supervisor.
    pub(super) const fn is_held(&self) -> bool {
        self.ends.is_some()
    }

    /// Tells the supervisor, or systemd. A line that cannot be written at once is lost: nobody is waited for.
    pub(super) fn say(&self, word: Word) {
        match &self.ends {
            Some((_, writing)) => {
                let mut writing: &Blocking = writing;
                let _ = writing.write(format!("{}\n", word.text()).as_bytes());
            }
            None => systemd::notify(word),
        }
    }

    /// A pid file that has come since.
    pub(super) fn file(&self, path: &Path) {
        if let Some((_, writing)) = &self.ends {
            let mut writing: &Blocking = writing;
            let _ = writing.write(file_words(path).as_bytes());
        }
    }

    /// Tells the supervisor how long each of our parts may take to leave. Nobody else waits for us but systemd, which has a
    /// word of its own for that.
    pub(super) fn say_patience(&self, each: Duration) {
        if let Some((_, writing)) = &self.ends {
            let mut writing: &Blocking = writing;
            let _ = writing.write(patience_line(each).as_bytes());
        }
    }

    /// The next order. Never without a supervisor.
    pub(super) async fn order(&mut self) -> Order {
        let Some((reading, _)) = &mut self.ends else { return std::future::pending().await };
        loop {
            match reading.next_line().await {
                Ok(Some(line)) if line == "leave" => return Order::Leave,
                Ok(Some(line)) => {
                    if let Some(why) = line.strip_prefix("refused ") {
                        return Order::Refused(why.to_owned());
                    }
                }
                Ok(None) | Err(_) => {
                    self.ends = None;
                    return Order::Gone;
                }
            }
        }
    }
}

fn file_words(path: &Path) -> String {
    format!("{FILE}{}\n", path.display())
}

fn patience_line(each: Duration) -> String {
    format!("patience {}\n", each.as_millis())
}

/// How long each part of a worker may take to leave, if that is what a line says.
pub(super) fn patience_of(line: &str) -> Option<Duration> {
    line.strip_prefix("patience ")?.parse().ok().map(Duration::from_millis)
}

fn given() -> Option<Blocking> {
    let number: RawFd = std::env::var(VARIABLE).ok()?.parse().ok()?;
    // The supervisor's other descriptors are closed here: what has this number, and is a socket, is the line.
    if number <= 2
        || nix::fcntl::fcntl(borrowed(number)?, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))
            .is_err()
    {
        return None;
    }
    // SAFETY: the supervisor made it for us and nobody else in this process knows of it.
    #[expect(unsafe_code, reason = "an inherited descriptor")]
    let line = unsafe { OwnedFd::from_raw_fd(number) };
    let line = Blocking::from(line);
    // Somebody else's variable may name anything.
    line.peer_addr().is_ok().then_some(line)
}

fn borrowed(number: RawFd) -> Option<std::os::fd::BorrowedFd<'static>> {
    // SAFETY: it is only used to ask the kernel whether it is open.
    #[expect(unsafe_code, reason = "an inherited descriptor")]
    (number >= 0).then(|| unsafe { std::os::fd::BorrowedFd::borrow_raw(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_is_understood() {
        for word in Word::ALL {
            assert_eq!((Word::of(word.text()), patience_of(word.text())), (Some(word), None));
        }
        let each = Duration::from_millis(12_345);
        assert_eq!(patience_of(patience_line(each).trim_end()), Some(each));
        assert_eq!((patience_of("patience soon"), Word::of("patience 1")), (None, None));
    }
}
