//! What systemd is told of our life (`Type=notify`): a datagram to the socket that it named. Without one nobody is told.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::word::Word;

/// Tells what has become of us.
pub(super) fn notify(word: Word) {
    match word {
        Word::Ready | Word::Reloaded => send("READY=1"),
        Word::Reloading => {
            // systemd orders its own requests and this by the monotonic clock.
            let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
            let now = now.map(|now| Duration::from(now).as_micros()).unwrap_or_default();
            send(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
        }
        Word::Stopping => send("STOPPING=1"),
        Word::Startup | Word::Started | Word::Upgrade => {}
    }
}

/// A line for `systemctl status`.
pub(super) fn status(text: &str) {
    send(&format!("STATUS={text}"));
}

/// The stop takes longer than the unit may allow (`TimeoutStopSec`): not so long from now on is it to be taken for stuck.
pub(super) fn patience(time: Duration) {
    send(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()));
}

/// We live.
pub(super) fn alive() {
    send("WATCHDOG=1");
}

/// How often systemd wants to hear that (`WatchdogSec`): half of its limit. `None` = it does not ask us.
pub(super) fn watchdog() -> Option<Duration> {
    let read = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let for_us = read("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    read("WATCHDOG_USEC").filter(|limit| for_us && *limit > 0).map(|limit| Duration::from_micros(limit) / 2)
}

fn send(text: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&name),
    };
    let Ok((socket, address)) = UnixDatagram::unbound().and_then(|socket| Ok((socket, address?))) else {
        return;
    };
    // systemd that does not read must not stop us.
    let _ = socket.set_nonblocking(true);
    let _ = socket.send_to_addr(text.as_bytes(), &address);
}

#[cfg(test)]
mod tests {
    #[test]
    fn nobody_is_told_where_nobody_asks() {
        // The test runner is no service of type notify.
        super::status("x");
        assert_eq!(super::watchdog(), None);
    }
}
