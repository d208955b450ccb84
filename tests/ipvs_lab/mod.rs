//! What the tests against a real IPVS share: a network namespace of their own, `ipvsadm`, and the thread under test.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use tandem::ipvs::kernel::{self, Desired, Report};
use tandem::ipvs::table::{
    Destination, DestinationKey, Family, Forward, Protocol, Service, ServiceKey, Table, VirtualService,
};
use tokio::sync::watch;

/// The time limit of each wait: emulated machines are slow.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` on a thread of its own in a network namespace of its own, whose `lo` is up.
///
/// # Panics
/// Where there is no IPVS: such a machine has not run the test, and must not look as if it had.
pub fn in_namespace(body: impl FnOnce() + Send + 'static) {
    let outcome = thread::spawn(move || {
        let there = || Path::new("/proc/net/ip_vs").exists();
        if !there() {
            let _ = Command::new("modprobe").arg("ip_vs").stderr(Stdio::null()).status();
        }
        assert!(
            there(),
            "this kernel has no IPVS (no /proc/net/ip_vs, and `modprobe ip_vs` does not help): \
             run this test in the lab's virtual machine"
        );
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace of its own needs root");
        command("ip", &["link", "set", "lo", "up"]);
        body();
    })
    .join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a program in this thread's namespace; returns what it printed.
pub fn command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect(program);
    assert!(
        output.status.success(),
        "{program} {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Runs ipvsadm once for each line.
pub fn ipvsadm(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        command("ipvsadm", &line.split_whitespace().collect::<Vec<_>>());
    }
}

/// The table in the words of `ipvsadm-save -n`, sorted. (It prints the tunnel type, whose only form here is the
/// default, and no thresholds.)
pub fn saved() -> Vec<String> {
    sorted(&command("ipvsadm", &["-S", "-n"]).replace(" --tun-type ipip", ""))
}

/// Lines without blanks around them, sorted.
pub fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> =
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    lines.sort();
    lines
}

/// The thread under test.
pub struct Running {
    desired: watch::Sender<Arc<Desired>>,
    report: watch::Receiver<Report>,
    thread: thread::JoinHandle<()>,
    runtime: tokio::runtime::Runtime,
}

impl Running {
    /// Starts it in this thread's namespace, with nothing desired.
    pub fn start() -> Self {
        let (desired, receiver) = watch::channel(Arc::new(Desired::default()));
        let (sender, report) = watch::channel(Report::default());
        let thread = thread::spawn(move || kernel::run(receiver, sender, &|_| ()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        Self { desired, report, thread, runtime }
    }

    /// Publishes a desired table; returns its number.
    pub fn want(&self, table: &Table) -> u64 {
        let mut number = 0;
        self.desired.send_modify(|desired| {
            number = desired.number + 1;
            *desired = Arc::new(Desired { number, table: Arc::new(table.clone()), ..Desired::default() });
        });
        number
    }

    /// Publishes a desired table and waits until it is in place.
    pub fn apply(&mut self, table: &Table) -> Report {
        let number = self.want(table);
        self.wait(|report| report.applied == number)
    }

    /// Waits for a report.
    pub fn wait(&mut self, mut condition: impl FnMut(&Report) -> bool) -> Report {
        let report = &mut self.report;
        let found = self.runtime.block_on(async {
            tokio::time::timeout(LIMIT, report.wait_for(|report| condition(report)))
                .await
                .map(|found| found.map(|r| r.clone()))
        });
        match found {
            Ok(Ok(report)) => report,
            other => panic!("{other:?}; last report: {:?}", self.report.borrow()),
        }
    }

    /// Drops the sender and waits for the thread's end.
    pub fn stop(self) {
        drop(self.desired);
        self.thread.join().expect("the IPVS thread");
    }
}

/// Waits until the saved table is this one.
pub fn wait_saved(expected: &str) {
    let expected = sorted(expected);
    let deadline = Instant::now() + LIMIT;
    loop {
        let now = saved();
        if now == expected {
            return;
        }
        assert!(Instant::now() < deadline, "ipvsadm: {now:#?}, expected {expected:#?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A service's key by its protocol and `address:port`.
pub fn address(protocol: Protocol, socket: &str) -> ServiceKey {
    let socket: std::net::SocketAddr = socket.parse().expect("address:port");
    ServiceKey::Address { protocol, address: socket.ip(), port: socket.port() }
}

/// A fwmark service's key.
pub const fn fwmark(family: Family, mark: u32) -> ServiceKey {
    ServiceKey::Fwmark { family, mark }
}

/// A plain service.
pub fn service(scheduler: &str) -> Service {
    Service::plain(scheduler)
}

/// A destination.
pub fn server(ip: &str, port: u16, forward: Forward, weight: u32) -> (DestinationKey, Destination) {
    let address: IpAddr = ip.parse().expect("address");
    (
        DestinationKey { address, port },
        Destination { forward, weight, upper_threshold: 0, lower_threshold: 0 },
    )
}

/// A service with its destinations.
pub fn with<const N: usize>(
    service: Service,
    destinations: [(DestinationKey, Destination); N],
) -> VirtualService {
    VirtualService { service, destinations: BTreeMap::from(destinations) }
}
