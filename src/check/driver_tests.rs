//! The whole loop against real servers on the loopback: the stream of tables, events, reload, stop.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::check::What;
use crate::check::status::{self, Asker, Status};
use crate::check::tracked::Follower;
use crate::config::model::{Command, MiscCheck, Protocol, RealServer, TcpCheck, VirtualServer};
use crate::config::units::Secs;

const LOOP: Duration = Duration::from_millis(50);
const NONE: [u16; 0] = [];
/// Nothing here takes longer, on a machine that does something else too.
const PATIENCE: Duration = Duration::from_secs(10);

fn real(address: SocketAddr) -> RealServer {
    let text = format!("{{\"address\": \"{}\", \"port\": {}}}", address.ip(), address.port());
    let mut real: RealServer = serde_json::from_str(&text).unwrap();
    real.tcp_check.push(TcpCheck::default());
    real
}

fn config(reals: Vec<RealServer>) -> Config {
    let server = VirtualServer {
        address: Some([10, 0, 0, 1].into()),
        port: Some(80),
        protocol: Some(Protocol::Tcp),
        delay_loop: Some(Secs(LOOP)),
        delay_before_retry: Some(Secs(LOOP / 5)),
        quorum_down: Some(Command { argv: vec!["down".to_owned()], user: None }),
        real_server: reals,
        ..VirtualServer::default()
    };
    Config { virtual_server: vec![server.into()], ..Config::default() }
}

struct Running {
    config: watch::Sender<Arc<Config>>,
    table: watch::Receiver<Arc<Table>>,
    asker: Asker,
    events: mpsc::Receiver<Event>,
    quorums: Follower,
    task: JoinHandle<()>,
}

fn start(config: Config, room_for_events: usize) -> Running {
    let (config, config_receiver) = watch::channel(Arc::new(config));
    let (table_sender, table) = watch::channel(Arc::default());
    let (asker, asked) = status::asker();
    let (events_sender, events) = mpsc::channel(room_for_events);
    let (follower, quorums) = tracked::channel();
    let out = Outputs { table: table_sender, events: events_sender, quorums, asked };
    let task = tokio::spawn(run(config_receiver, 1, out));
    Running { config, table, asker, events, quorums: follower, task }
}

/// Ports of the first service's destinations that have weight.
fn ports(table: &Table) -> Vec<u16> {
    let destinations = table.values().flat_map(|service| &service.destinations);
    destinations.filter(|(_, to)| to.weight > 0).map(|(key, _)| key.port).collect()
}

impl Running {
    /// The next table.
    async fn next(&mut self) -> Vec<u16> {
        tokio::time::timeout(PATIENCE, self.table.changed()).await.unwrap().unwrap();
        ports(&self.table.borrow_and_update())
    }

    async fn event(&mut self) -> (What, String) {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap();
        (event.what, event.reason)
    }

    async fn status(&self, mut enough: impl FnMut(&Arc<Status>) -> bool) -> Arc<Status> {
        let look = async {
            loop {
                let status = self.asker.ask().await.unwrap();
                if enough(&status) {
                    return status;
                }
                tokio::time::sleep(LOOP / 10).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap()
    }

    async fn stop(self) -> (Vec<u16>, Vec<What>) {
        let Self { config, table, mut events, task, .. } = self;
        drop(config);
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        let mut told = Vec::new();
        while let Some(event) = events.recv().await {
            told.push(event.what);
        }
        let last = ports(&table.borrow());
        (last, told)
    }
}

async fn listen(address: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_quorum_is_known_however_many_events_are_lost() {
    let mut servers = Vec::new();
    for _ in 0..5 {
        servers.push(listen("127.0.0.1:0").await);
    }
    let reals = servers.iter().map(|(_, address)| real(*address)).collect();
    // Room for the event of the start alone, and nobody takes it.
    let running = start(config(reals), 1);
    running.quorums.names.send_replace(Arc::new(["TCP 10.0.0.1:80".to_owned()].into()));
    let mut said = running.quorums.said.clone();
    let mut until = async |up: bool, weight: u32| {
        let there = |said: &Arc<tracked::Quorums>| {
            said.values().any(|now| now.up == up && now.weight == weight && now.quorum == 1)
        };
        tokio::time::timeout(PATIENCE, said.wait_for(there)).await.expect("it is told").map(drop).unwrap();
    };
    until(true, 5).await;
    let ports: Vec<SocketAddr> = servers.drain(..).map(|(_, address)| address).collect();
    until(false, 0).await;
    running.status(|status| status.lost_events >= 6).await;
    let _one = listen(&ports[0].to_string()).await;
    until(true, 1).await;
    running.quorums.names.send_replace(Arc::default());
    let none = said.wait_for(|said| said.is_empty());
    tokio::time::timeout(PATIENCE, none).await.expect("nobody asks").unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_server_leaves_and_returns() {
    let (_one, a) = listen("127.0.0.1:0").await;
    let (two, b) = listen("127.0.0.1:0").await;
    let both = {
        let mut both = [a.port(), b.port()];
        both.sort_unstable();
        both
    };
    let mut running = start(config(vec![real(a), real(b)]), 64);
    assert_eq!(running.next().await, both);
    assert_eq!(running.event().await, (What::QuorumUp, "at start, weight 2 for quorum 1".to_owned()));
    running.status(|status| status.checks >= 4).await;

    drop(two);
    assert_eq!(running.next().await, [a.port()]);
    let refused = (What::RealServerDown, "connection refused (try 2 of 2)".to_owned());
    assert_eq!(running.event().await, refused);
    let two = listen(&b.to_string()).await;
    assert_eq!(running.next().await, both);
    assert_eq!(running.event().await, (What::RealServerUp, "TCP_CHECK succeeded".to_owned()));

    let returned = |status: &Arc<Status>| {
        status.services.first().is_some_and(|s| s.reals[1].up && s.reals[1].last_change.is_some())
    };
    let status = running.status(|status| returned(status)).await;
    // A listener that closes may reset the first try rather than refuse it.
    assert!(status.failures.values().sum::<u64>() >= 2);
    assert_eq!((status.late_results, status.lost_events), (0, 0));
    assert_eq!(status.services[0].reals[1].last_failure.as_ref().unwrap().0, "connection refused");
    let (last, told) = running.stop().await;
    assert_eq!((last, told), (vec![], vec![]));
    drop(two);
}

/// keepalived's traffic hole at start: without `alpha` a dead server is in the table, but not for long.
#[tokio::test]
async fn the_first_table_comes_before_any_check() {
    let (one, a) = listen("127.0.0.1:0").await;
    drop(one);
    let mut running = start(config(vec![real(a)]), 64);
    assert_eq!(running.next().await, [a.port()]);
    assert_eq!(running.next().await, NONE);
    assert_eq!(start(Config::default(), 64).next().await, NONE);
    let mut alpha = config(vec![real(a)]);
    alpha.virtual_server[0].alpha = true;
    let mut running = start(alpha, 64);
    assert_eq!(running.next().await, NONE);
}

/// A program that hangs, and a listener that never answers, on the way of a server that dies.
#[tokio::test]
async fn a_hanging_check_delays_nobody() {
    let (silent, s) = listen("127.0.0.1:0").await;
    let (one, a) = listen("127.0.0.1:0").await;
    let mut hanging = real(s);
    hanging.tcp_check.clear();
    let http = format!(
        "{{\"url\": [{{\"path\": \"/\"}}], \"connection\": {{\"connect_timeout\": \"60s\", \
         \"connect_port\": {}}}}}",
        s.port()
    );
    hanging.http_get.push(serde_json::from_str(&http).unwrap());
    let mut sleeper = MiscCheck::new(Command { argv: vec!["sleep".to_owned(), "60".to_owned()], user: None });
    sleeper.misc_timeout = Some(Secs::from_secs(60));
    hanging.misc_check.push(sleeper);
    let mut running = start(config(vec![hanging, real(a)]), 64);
    running.next().await;
    running.status(|status| status.checks >= 2 && status.in_flight >= 2).await;
    drop(one);
    let began = clock::now();
    assert_eq!(running.next().await, [s.port()]);
    let took = clock::now() - began;
    assert!(took < Duration::from_secs(5), "{took:?}");
    // Checks of servers that a reload removes are ended.
    running.config.send(Arc::new(Config::default())).unwrap();
    running.status(|status| status.in_flight == 0).await;
    let began = clock::now();
    running.stop().await;
    assert!(clock::now() - began < Duration::from_secs(5));
    drop(silent);
}

/// More servers that accept and never answer than there once were places for.
#[tokio::test]
async fn seven_hundred_hanging_checks_delay_nobody() {
    let descriptors = process::raise_descriptors();
    assert!(descriptors >= 4096, "this test needs 4096 descriptors, the hard limit is {descriptors}");
    let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    silent.bind(&SocketAddr::from(([0, 0, 0, 0], 0)).into()).unwrap();
    silent.listen(4096).unwrap();
    let port = silent.local_addr().unwrap().as_socket().unwrap().port();
    let (one, a) = listen("127.0.0.1:0").await;
    let mut reals: Vec<RealServer> = (0..700u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            let mut hanging = real(SocketAddr::from(([127, 1, high, low], port)));
            hanging.tcp_check.clear();
            let http = "{\"url\": [{\"path\": \"/\"}], \"connection\": {\"connect_timeout\": \"60s\"}}";
            hanging.http_get.push(serde_json::from_str(http).unwrap());
            hanging
        })
        .collect();
    reals.push(real(a));
    let mut running = start(config(reals), 2048);
    assert_eq!(running.next().await.len(), 701);
    running.status(|status| status.in_flight >= 700 && status.checks >= 3).await;
    drop(one);
    let began = clock::now();
    assert_eq!(running.next().await.len(), 700);
    let took = clock::now() - began;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_reload_keeps_and_changes() {
    let (one, a) = listen("127.0.0.1:0").await;
    drop(one);
    let (_two, b) = listen("127.0.0.1:0").await;
    let (_three, c) = listen("127.0.0.1:0").await;
    let mut running = start(config(vec![real(a), real(b)]), 64);
    running.next().await;
    assert_eq!(running.next().await, [b.port()]);
    // Dead stays dead, the new one comes when it has answered.
    running.config.send(Arc::new(config(vec![real(a), real(b), real(c)]))).unwrap();
    let mut live = [b.port(), c.port()];
    live.sort_unstable();
    assert_eq!(running.next().await, live);
    running.config.send(Arc::new(config(vec![real(b)]))).unwrap();
    assert_eq!(running.next().await, [b.port()]);
    // The same again is no new table.
    running.config.send(Arc::new(config(vec![real(b)]))).unwrap();
    let checks = running.status(|_| true).await.checks;
    running.status(|status| status.checks > checks + 2).await;
    assert!(!running.table.has_changed().unwrap());
    running.config.send(Arc::new(Config::default())).unwrap();
    assert_eq!(running.next().await, NONE);
}

#[tokio::test]
async fn omega_tells_at_stop_and_a_full_channel_is_counted() {
    let (_one, a) = listen("127.0.0.1:0").await;
    let mut omega = config(vec![real(a)]);
    omega.virtual_server[0].omega = true;
    let mut running = start(omega.clone(), 64);
    running.next().await;
    let (last, told) = running.stop().await;
    assert_eq!((last, told), (vec![], vec![What::QuorumUp, What::RealServerDown, What::QuorumDown]));

    omega.virtual_server[0].real_server.push(real("127.0.0.1:1".parse().unwrap()));
    let mut running = start(omega, 1);
    let status = running.status(|status| status.lost_events == 1 && !status.failures.is_empty()).await;
    assert_eq!(status.failures.keys().copied().collect::<Vec<_>>(), ["refused"]);
    assert_eq!(running.event().await.0, What::QuorumUp);
}

#[tokio::test]
async fn who_asks_is_answered_until_the_end() {
    let running = start(Config::default(), 1);
    let asker = running.asker.clone();
    let (one, other) = tokio::join!(asker.ask(), asker.ask());
    assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()), "one status for all who wait");
    running.stop().await;
    assert!(asker.ask().await.is_none());
}

#[test]
fn only_large_tables_rest() {
    let table = [(0, 0), (10, 0), (100, 0), (112, 1008), (1000, 9000), (10_000, 50_000), (u64::MAX, 50_000)];
    for (took, wanted) in table {
        assert_eq!(rest(Duration::from_micros(took)), Duration::from_micros(wanted), "{took}");
    }
}
