//! A network namespace of a test's own, with the monitor and the writer at work in it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use tandem::net::address::{AddressKey, AddressSpec, Wanted};
use tandem::net::link::Links;
use tandem::net::writer::Applied;
use tandem::net::{monitor, writer};
use tokio::sync::watch;

/// Runs a future on this thread in a fresh namespace with a veth pair eth0 - peer.
pub(crate) fn in_a_namespace<F: Future<Output = ()>>(body: impl FnOnce() -> F) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root: run `make test` as root or with sudo"
    );
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    ip("link set lo up");
    ip("link add eth0 type veth peer name peer");
    ip("link set peer up");
    ip("address add 10.0.0.1/24 dev eth0");
    ip("link set eth0 up");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body());
}

pub(crate) fn ip(words: &str) {
    let out = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
}

pub(crate) fn shown(words: &str) -> String {
    let out = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

pub(crate) fn key(address: &str, prefix_len: u8) -> AddressKey {
    AddressKey { interface: "eth0".to_owned(), address: address.parse().unwrap(), prefix_len }
}

pub(crate) struct Running {
    pub(crate) wanted: watch::Sender<Arc<Wanted>>,
    pub(crate) links: watch::Receiver<Arc<Links>>,
    pub(crate) applied: watch::Receiver<Applied>,
    pub(crate) writer: tokio::task::JoinHandle<()>,
}

pub(crate) async fn start() -> Running {
    let first = monitor::first_dump().await.unwrap();
    let (links_out, links) = watch::channel(Arc::new(first));
    let (wanted, wish) = watch::channel(Arc::new(Wanted::default()));
    let (applied_out, applied) = watch::channel(Applied::default());
    tokio::spawn(monitor::run(links_out));
    let writer = tokio::spawn(writer::run(wish, links.clone(), applied_out));
    Running { wanted, links, applied, writer }
}

impl Running {
    /// Wishes for these addresses and waits until the writer says that they are there; how long it took.
    pub(crate) async fn wish(
        &mut self,
        generation: u64,
        want: &[(AddressKey, AddressSpec)],
        ours: &[AddressKey],
    ) -> Duration {
        let begun = Instant::now();
        let want: BTreeMap<_, _> = want.iter().cloned().collect();
        let ours: BTreeSet<_> = want.keys().chain(ours).cloned().collect();
        self.wanted.send_replace(Arc::new(Wanted { generation, want, ours, ..Wanted::default() }));
        let done = self.applied.wait_for(|a| a.generation == generation);
        let applied =
            tokio::time::timeout(Duration::from_secs(5), done).await.expect("applied in time").unwrap();
        assert_eq!(applied.errors, Vec::<String>::new());
        begun.elapsed()
    }

    pub(crate) async fn links(&mut self, what: &str, right: impl Fn(&Links) -> bool) {
        let seen = self.links.wait_for(|links| right(links));
        tokio::time::timeout(Duration::from_secs(5), seen)
            .await
            .unwrap_or_else(|_| panic!("not seen: {what}"))
            .unwrap();
    }
}
