//! A network of a test's own with another host in it, and the check driver at work.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use tandem::check::checkers::Tools;
use tandem::check::driver::{self, Outputs};
use tandem::check::event::Event;
use tandem::check::outcome::{Failure, Success};
use tandem::check::outside::Outside;
use tandem::check::plan::{Kind, Plan, Target};
use tandem::check::status::{self, Asker, Status};
use tandem::check::tracked;
use tandem::config;
use tandem::config::diagnostic::Level;
use tandem::config::model::Config;
use tandem::config::resolve::Facts;
use tandem::ipvs::table::Table;
use tokio::sync::{mpsc, watch};

/// Nothing here takes longer, on a machine that does something else too.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Our address on the wire to the other host, and that host's.
pub const OURS: &str = "10.9.0.1";
pub const THEIRS: &str = "10.9.0.2";
pub const THEIRS_V6: &str = "fd00:9::2";

/// The other host: a network namespace that goes with the value.
pub struct Other {
    name: String,
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

impl Other {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` there.
    pub fn ip(&self, words: &str) {
        run(&format!("ip -n {} {words}", self.name));
    }

    /// Writes a kernel setting there.
    pub fn set(&self, setting: &str, value: &str) {
        run(&format!("ip netns exec {} sysctl -qw {setting}={value}", self.name));
    }
}

/// Runs a command; panics with what it said.
pub fn run(words: &str) {
    let mut words = words.split_whitespace();
    let program = words.next().unwrap();
    let out = Command::new(program).args(words.clone()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {}: {said}", words.collect::<Vec<_>>().join(" "));
}

/// Runs a future on this thread, in a fresh network with `lo` only.
pub fn alone<F: Future<Output = ()>>(body: impl FnOnce() -> F) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root: run `make test` as root or with sudo"
    );
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    run("ip link set lo up");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body());
}

/// The same with another host at the end of a wire.
pub fn with_other<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Arc<Other>) -> F) {
    alone(|| {
        let name = format!("probes{}-{name}", std::process::id());
        run(&format!("ip netns add {name}"));
        let other = Arc::new(Other { name });
        run(&format!("ip link add eth0 type veth peer name eth0 netns {}", other.name));
        run(&format!("ip address add {OURS}/24 dev eth0"));
        run("ip address add fd00:9::1/64 dev eth0 nodad");
        run("ip link set eth0 up");
        other.ip("link set lo up");
        other.ip(&format!("address add {THEIRS}/24 dev eth0"));
        other.ip(&format!("address add {THEIRS_V6}/64 dev eth0 nodad"));
        other.ip("link set eth0 up");
        let keep = Arc::clone(&other);
        let body = body(other);
        async move {
            body.await;
            // Only now: also for a test that has no use for it.
            drop(keep);
        }
    });
}

/// A program that is killed with the value.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A virtual server with one real server.
pub fn one(real: &str, check: &str) -> Config {
    let service = if real.contains(':') { "2001:db8::1" } else { "192.0.2.1" };
    load(&format!(
        "virtual_server {service} 80 {{\n protocol TCP\n delay_loop 0.1\n delay_before_retry 0.02\n connect_timeout 1\n \
         retry 1\n real_server {real} {{\n{check}\n}}\n}}\n"
    ))
}

/// A whole file, without an error or a warning.
pub fn load(text: &str) -> Config {
    let loaded = config::load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default());
    let findings: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|finding| finding.level != Level::Advice)
        .map(ToString::to_string)
        .collect();
    assert!(findings.is_empty(), "{findings:#?}");
    loaded.config
}

/// The first checker's plan.
pub fn kind(config: &Config) -> Kind {
    Plan::new(config).services[0].reals[0].checkers[0].kind.clone()
}

/// One run of the first checker of a virtual server, first url: `ok`, or the failure's name with its words.
pub async fn run_once(config: &Config) -> String {
    let plan = Plan::new(config).services[0].reals[0].checkers[0].clone();
    let began = Instant::now();
    let result = Tools::default().run(&plan, 0).await.result;
    assert!(began.elapsed() < PATIENCE, "ended after {:?}", began.elapsed());
    match result {
        Ok(_) => "ok".to_owned(),
        Err(failure) => format!("{}: {failure}", failure.name()),
    }
}

/// A target for a checker that is called directly.
pub fn target(address: SocketAddr, timeout: Duration) -> Target {
    Target::new(address, timeout)
}

/// The same target with a firewall mark.
pub fn marked(mark: u32, target: &Target) -> Target {
    let mut marked = target.clone();
    marked.fwmark = Some(mark);
    marked
}

/// How a check ended: `ok`, or the failure's name with its words. It must end soon after its limit.
pub async fn ends(limit: Duration, check: impl Future<Output = Result<Success, Failure>>) -> String {
    let began = Instant::now();
    let result = check.await;
    assert!(began.elapsed() < limit + PATIENCE / 4, "ended after {:?}, limit {limit:?}", began.elapsed());
    match result {
        Ok(_) => "ok".to_owned(),
        Err(failure) => format!("{}: {failure}", failure.name()),
    }
}

/// The check driver at work.
pub struct Running {
    pub config: watch::Sender<Arc<Config>>,
    pub outside: watch::Sender<Arc<Outside>>,
    table: watch::Receiver<Arc<Table>>,
    asker: Asker,
    events: mpsc::Receiver<Event>,
}

impl Running {
    pub fn start(config: Config, outside: Outside) -> Self {
        let (config, configs) = watch::channel(Arc::new(config));
        let (outside, outsides) = watch::channel(Arc::new(outside));
        let (table_out, table) = watch::channel(Arc::default());
        let (asker, asked) = status::asker();
        let (events_out, events) = mpsc::channel(10_000);
        let (_, quorums) = tracked::channel();
        let out = Outputs { table: table_out, events: events_out, quorums, asked };
        tokio::spawn(driver::run_with(
            configs,
            outsides,
            watch::channel(Arc::default()).1,
            Default::default(),
            1,
            out,
        ));
        Self { config, outside, table, asker, events }
    }

    /// Waits until the weights in the table are these.
    #[track_caller]
    pub fn weights(&mut self, wanted: &[u32]) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            let weights = |table: &Table| -> Vec<u32> {
                table.values().flat_map(|service| service.destinations.values()).map(|to| to.weight).collect()
            };
            let waited =
                tokio::time::timeout(PATIENCE, self.table.wait_for(|table| weights(table) == wanted));
            if waited.await.is_err() {
                let now = weights(&self.table.borrow());
                let failures = self.now().await.failures.clone();
                panic!("{at}: weights are {now:?}, not {wanted:?}; {failures:?}");
            }
        }
    }

    /// The next transition of a real server, in words.
    pub async fn event(&mut self) -> String {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap();
            if event.real_server.is_some() {
                let state = if event.what.is_up() { "up" } else { "down" };
                return format!("{state}: {}", event.reason);
            }
        }
    }

    /// Everything that is known now.
    pub async fn now(&self) -> Arc<Status> {
        self.asker.ask().await.expect("a driver that runs")
    }

    /// Waits for the status.
    pub async fn status(&self, what: &str, enough: impl Fn(&Status) -> bool) {
        let look = async {
            while !enough(&*self.now().await) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "not seen: {what}");
    }
}

/// Writes a kernel setting of our own network.
pub fn set(path: &str, value: &str) {
    fs::write(Path::new("/proc/sys").join(path), value).unwrap();
}
