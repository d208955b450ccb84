//! One Tandem for each network namespace: two with one configuration would fight over addresses and tables. The lock is
//! an abstract unix socket: it belongs to the namespace, needs no file, and goes with its process however that ends.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};

use super::error::Error;
use crate::clock;

/// How long a process takes at most from SIGKILL until what it held is free, on a machine with much to do.
const DYING: Duration = Duration::from_millis(300);
/// Pause between two looks.
const AGAIN: Duration = Duration::from_millis(10);

/// Held as long as the daemon runs.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, never used")] UnixListener);

impl Lock {
    /// The same for a daemon that begins: one that was killed a moment ago may not have gone yet.
    pub(super) fn take_soon(instance: &str) -> Result<Self, Error> {
        let limit = clock::now() + DYING;
        loop {
            match Self::take(instance) {
                Err(Error::InNamespace { .. }) if clock::now() < limit => std::thread::park_timeout(AGAIN),
                result => return result,
            }
        }
    }

    /// Takes the lock of this instance name (empty for the only one).
    pub(super) fn take(instance: &str) -> Result<Self, Error> {
        let name = format!("tandem/{instance}");
        let address = SocketAddr::from_abstract_name(&name)?;
        match UnixListener::bind_addr(&address) {
            Ok(listener) => Ok(Self(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Error::InNamespace {
                pid: holder(&name).map_or_else(|| "unknown".to_owned(), |p| p.to_string()),
            }),
            Err(error) => Err(error.into()),
        }
    }
}

/// True when a Tandem of this instance name runs in this network namespace, as far as this kernel shows it. It is only
/// looked for: a connection would stay in the listener's queue.
pub(super) fn is_held(instance: &str) -> bool {
    let Ok(sockets) = std::fs::read_to_string("/proc/thread-self/net/unix") else { return false };
    lists(&sockets, instance)
}

/// Looks for the lock among the sockets of `/proc/net/unix`: their last column, `@` for an abstract name.
fn lists(sockets: &str, instance: &str) -> bool {
    let name = format!("@tandem/{instance}");
    sockets.lines().any(|line| line.split_whitespace().nth(7).is_some_and(|path| path == name))
}

/// Who listens there. Nobody takes connections: each stays in a queue, and one that finds it full must not wait for ever.
fn holder(name: &str) -> Option<i32> {
    use std::os::fd::AsRawFd as _;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let stream = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    connect(stream.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes()).ok()?).ok()?;
    getsockopt(&stream, PeerCredentials).ok().map(|credentials| whole(credentials.pid()))
}

/// The supervisor of a worker: a parent that runs the same program. Whoever is to be stopped is that one.
fn whole(pid: i32) -> i32 {
    let program = |pid: i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    parent.filter(|parent| program(*parent).is_some_and(|of| Some(of) == program(pid))).unwrap_or(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_seen_and_a_released_one_is_not() {
        let name = format!("test-{}", std::process::id());
        assert!(!is_held(&name));
        let lock = Lock::take(&name).unwrap();
        assert!(is_held(&name));
        assert!(!is_held(&format!("{name}x")), "another instance is another lock");
        drop(lock);
        assert!(!is_held(&name));
    }

    #[test]
    fn one_that_is_about_to_go_is_waited_for() {
        let name = format!("dying-{}", std::process::id());
        let lock = Lock::take(&name).unwrap();
        assert!(matches!(Lock::take_soon(&name), Err(Error::InNamespace { .. })), "it runs");
        let gone = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(30));
            drop(lock);
        });
        assert!(Lock::take_soon(&name).is_ok());
        gone.join().unwrap();
    }

    #[test]
    fn whoever_comes_in_vain_is_told_so_however_often() {
        let name = format!("often-{}", std::process::id());
        let _lock = Lock::take(&name).unwrap();
        // More than the queue of a listener has places for.
        for number in 0..5000 {
            assert!(matches!(Lock::take(&name), Err(Error::InNamespace { .. })), "{number}");
        }
    }

    #[test]
    fn only_the_whole_name_counts() {
        let sockets = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                       0000000000000000: 00000002 00000000 00010000 0001 01 19286 @tandem/two\n\
                       0000000000000000: 00000003 00000000 00000000 0001 03 17223\n";
        assert!(lists(sockets, "two"));
        assert!(!lists(sockets, "") && !lists(sockets, "tw"));
    }
}
