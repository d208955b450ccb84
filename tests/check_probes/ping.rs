//! PING_CHECK of another host, with datagram sockets and with raw ones.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use tandem::check::checkers::ping::check;
use tandem::check::plan::Target;

use crate::world::{self, Running, THEIRS, THEIRS_V6, alone, ends, load, one, set, with_other};

const LIMIT: Duration = Duration::from_millis(500);

fn target(address: &str) -> Target {
    world::target(SocketAddr::new(address.parse().unwrap(), 0), LIMIT)
}

async fn comes_goes_and_returns(other: &world::Other, address: &str, silence: &str) {
    let real = format!("{address} 80");
    let mut running =
        Running::start(one(&real, "PING_CHECK {\n alpha\n connect_timeout 0.3\n }"), Default::default());
    running.weights(&[1]).await;
    assert_eq!(running.event().await, "up: PING_CHECK succeeded");
    other.set(silence, "1");
    running.weights(&[]).await;
    let down = format!("down: PING_CHECK of {address}: no answer within 0.3s (try 2 of 2)");
    assert_eq!(running.event().await, down);
    other.set(silence, "0");
    running.weights(&[1]).await;
}

#[test]
fn by_datagram_sockets() {
    with_other("dgram", |other| async move {
        set("net/ipv4/ping_group_range", "0 0");
        comes_goes_and_returns(&other, THEIRS, "net.ipv4.icmp_echo_ignore_all").await;
        comes_goes_and_returns(&other, THEIRS_V6, "net.ipv6.icmp.echo_ignore_all").await;
        several_at_once().await;
        let mut numbered = target(THEIRS);
        numbered.bind_port = Some(77);
        assert_eq!(ends(LIMIT, check(&numbered, 1, 9)).await, "ok");
    });
}

#[test]
fn by_raw_sockets() {
    with_other("raw", |other| async move {
        // Nobody: the default of every new network.
        set("net/ipv4/ping_group_range", "1 0");
        comes_goes_and_returns(&other, THEIRS, "net.ipv4.icmp_echo_ignore_all").await;
        comes_goes_and_returns(&other, THEIRS_V6, "net.ipv6.icmp.echo_ignore_all").await;
        several_at_once().await;
    });
}

/// Raw sockets of one peer all hear all its replies: each must find its own, whoever else pings.
async fn several_at_once() {
    for address in [THEIRS, THEIRS_V6, "127.0.0.1", "::1"] {
        let target = target(address);
        let runs: Vec<_> = (0..50).map(|n: u16| check(&target, n, u64::from(n) << 32)).collect();
        let results = futures_util::future::join_all(runs).await;
        assert!(results.iter().all(Result::is_ok), "{address}: {results:?}");
    }
}

#[test]
fn thousands_without_a_thread_each() {
    alone(|| async {
        set("net/ipv4/ping_group_range", "0 0");
        let reals: String = (0..3000)
            .map(|n| {
                format!("real_server 127.1.{}.{} 80 {{\n PING_CHECK {{\n }}\n }}\n", n / 250, n % 250 + 1)
            })
            .collect();
        let config = load(&format!(
            "virtual_server 192.0.2.1 80 {{\n protocol TCP\n alpha\n delay_loop 1\n connect_timeout 10\n {reals}}}\n"
        ));
        let mut running = Running::start(config, Default::default());
        running.weights(&[1; 3000]).await;
        let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
        assert!(threads < 10, "{threads} threads");
        let status = running.now().await;
        assert!(status.failures.is_empty(), "{:?}", status.failures);
    });
}

/// Without privileges and outside of the range there is a cure, and it is named.
#[test]
fn what_the_kernel_does_not_allow_is_named() {
    if std::env::var_os("PROBES_AS_NOBODY").is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(ends(LIMIT, check(&target("127.0.0.1"), 1, 1)));
        assert!(ended.starts_with("not_permitted: we may not send pings: give CAP_NET_RAW"), "{ended}");
        let mut marked = world::target("127.0.0.1:9".parse().unwrap(), LIMIT);
        marked.fwmark = Some(7);
        let ended = runtime.block_on(ends(LIMIT, tandem::check::checkers::tcp::check(&marked)));
        assert!(ended.starts_with("not_permitted: we may not mark packets (fwmark)"), "{ended}");
        return;
    }
    alone(|| async {
        set("net/ipv4/ping_group_range", "1 0");
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "ping::what_the_kernel_does_not_allow_is_named"]).env("PROBES_AS_NOBODY", "1");
        let out = again.uid(65_534).gid(65_534).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("1 passed"), "{said}");
    });
}
