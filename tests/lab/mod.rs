//! The lab: hosts are network namespaces, LANs are bridges in one more namespace, directors, real servers and clients
//! are real programs. What can be done in process is done in process (a fork costs 0.1 s in an emulated machine):
//! sockets are opened, addresses followed and tables read by threads that have entered a host's namespace.
//!
//! Everything that a test makes is named `tdm<pid>-...` and goes away with its value, also when the test panics;
//! `tests/lab/clean.sh` removes what a killed test run left behind.
//!
//! Environment: `LAB_DIRECTOR=keepalived` runs Debian's keepalived in place of Tandem (it proves the lab),
//! `TANDEM_BIN` names another Tandem, `TANDEM_CORPUS` the directory of collected configurations, `LAB_SLOW` how many
//! times slower than a real machine this one is (the virtual machine sets it), `LAB_KEEP=1` keeps logs and files.

#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "each test program uses a part; a lab is a driver: it reads clocks and sleeps"
)]

pub mod director;
pub mod dr;
pub mod frr;
pub mod nginx;
pub mod process;
pub mod reign;
pub mod rights;
pub mod space;
pub mod table;
pub mod traffic;
pub mod watch;
pub mod wire;

use std::time::{Duration, Instant};

pub use director::{Director, Kind};
pub use nginx::Nginx;
pub use space::{Host, Lab, host};
pub use table::{Table, TableWatch};
pub use traffic::Traffic;
pub use watch::AddressWatch;
pub use wire::Wire;

/// Now. The lab's only clock.
pub fn now() -> Instant {
    Instant::now()
}

/// Sleeps; only for waits that are part of a scenario ("for two more seconds nothing happens").
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// How many times slower than a real machine this one is: 1 natively and under KVM, more in emulation
/// (`tests/lab/vm.sh` sets `LAB_SLOW`). Only graces and patience are multiplied by it, never protocol times.
pub fn slow() -> u32 {
    std::env::var("LAB_SLOW").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

/// A grace that the issue grants on a real machine, as granted here. An emulated machine gets twice its slowness: it
/// stands still at times while its host does other work.
pub fn grace(native: Duration) -> Duration {
    match slow() {
        1 => native,
        slow => native * slow * 2,
    }
}

/// How long to wait for what should have happened long ago.
pub fn patience() -> Duration {
    Duration::from_secs(15) * slow().min(4)
}

/// Milliseconds.
pub const fn ms(value: u64) -> Duration {
    Duration::from_millis(value)
}

/// Seconds.
pub const fn s(value: u64) -> Duration {
    Duration::from_secs(value)
}

/// Polls until `done`; panics with `what` when that takes longer than `limit`. Returns how long it took.
#[track_caller]
pub fn wait(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let start = now();
    while !done() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        pause(ms(5) * slow().min(4));
    }
    start.elapsed()
}

/// Asserts that a measured time is inside its limit, and prints both in one line that can be collected.
/// `grace` is that part of the limit which is the machine's and not the protocol's: [`grace`] says how much of it is granted.
#[track_caller]
pub fn measured(name: &str, took: Duration, protocol: Duration, granted: Duration) {
    let limit = protocol + grace(granted);
    println!(
        "MEASURED {name}_ms={:.1} limit={} protocol={} grace={}x{} director={}",
        took.as_secs_f64() * 1000.0,
        limit.as_millis(),
        protocol.as_millis(),
        granted.as_millis(),
        slow(),
        director::kind()
    );
    assert!(took <= limit, "{name} took {took:?}, the limit is {limit:?}");
}

/// Master_Down_Interval of a backup: 3 * interval + skew (RFC 9568 section 6.1; version 2 counts the skew in 1/256 s,
/// which is the same for an interval of 1 s).
pub fn down_interval(advert: Duration, priority: u8) -> Duration {
    advert * 3 + skew(advert, priority)
}

/// Skew_Time: (256 - priority) * interval / 256.
pub fn skew(advert: Duration, priority: u8) -> Duration {
    advert * (256 - u32::from(priority)) / 256
}

/// Fails with a clear message when the lab cannot be built.
#[track_caller]
pub fn need_root() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "the lab needs root (network namespaces, raw sockets): run `make test` as root or with sudo"
    );
}

/// Fails with a clear message when this kernel has no `ip_vs`.
#[track_caller]
pub fn need_ipvs() {
    need_root();
    let there = || std::path::Path::new("/proc/net/ip_vs").exists();
    if !there() {
        let _ = std::process::Command::new("modprobe").arg("ip_vs").status();
    }
    assert!(
        there(),
        "this kernel has no ip_vs (no /proc/net/ip_vs, and `modprobe ip_vs` did not help): run these tests by \
         `make test`, which boots a virtual machine for them, or by `tests/lab/vm.sh COMMAND`"
    );
}
