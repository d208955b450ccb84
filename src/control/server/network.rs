//! Reading over the network: an address that the configuration names, retried while it cannot be listened at, changed by
//! reloads. What may be read, and by whom, is [`super::gate`]'s affair.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::gate::{Gate, Listen};
use super::response::{busy, turned_away};
use super::{Ask, Entry, Failure, House, client};

/// Clients at a time.
const CLIENTS: usize = 128;
/// Event streams among them.
const STREAMS: usize = 32;
/// Answers that are made at a time: half of what the local socket has.
const MAKERS: usize = 1;
/// How soon an address that could not be listened at is tried again: it may come with a virtual address.
const AGAIN: Duration = Duration::from_secs(5);
/// A client whose machine is gone is let go after so long.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// Why nobody can come in.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("cannot listen at {0}: {1}")]
    Bind(SocketAddr, io::Error),
    #[error("{0}")]
    Token(#[from] super::gate::TokenError),
}

/// Serves whoever may come in, at the address that the last wish names; ends when its sender is dropped.
pub async fn serve(mut wanted: watch::Receiver<Option<Listen>>, asks: mpsc::Sender<Ask>) {
    let house = House::new(asks, CLIENTS, MAKERS, STREAMS);
    let mut open: Option<Open> = None;
    loop {
        let listen = wanted.borrow_and_update().clone();
        match listen {
            Some(listen) => {
                // An address that stays is not let go of: nobody is turned away meanwhile.
                let before = open.take();
                open = tokio::select! {
                    ready = opened(listen, before) => Some(ready),
                    changed = wanted.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        continue;
                    }
                };
            }
            None => {
                if open.take().is_some() {
                    tracing::info!("status_listen: nobody comes in over the network any more");
                }
            }
        }
        let accepting = async {
            match &open {
                Some(open) => open.accept(&house).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = accepting => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// A door that is open.
struct Open {
    listen: Listen,
    listener: TcpListener,
    gate: Arc<Gate>,
    /// Those inside go when it is closed.
    inside: watch::Sender<()>,
}

/// Opens it, however long that takes. Its first failure is logged, and each other one.
async fn opened(listen: Listen, before: Option<Open>) -> Open {
    let mut listener = None;
    let mut last: Option<(Arc<Gate>, watch::Sender<()>)> = None;
    if let Some(before) = before.filter(|before| before.listen.at == listen.at) {
        listener = Some(before.listener);
        last = Some((before.gate, before.inside));
    }
    let mut told = String::new();
    loop {
        match attempt(&listen, listener.take()).await {
            Ok((listener, gate)) => {
                let gate = Arc::new(gate);
                let (gate, inside) = match last.take().filter(|(old, _)| old.is_like(&gate)) {
                    Some(same) => same,
                    None => {
                        tracing::info!("the status can be read at http://{}/", listen.at);
                        (gate, watch::Sender::new(()))
                    }
                };
                return Open { listen, listener, gate, inside };
            }
            Err(problem) => {
                // Whoever is inside came by another key.
                last = None;
                let problem = problem.to_string();
                if problem != told {
                    tracing::error!(
                        "status_listen: {problem}; nobody comes in over the network, tried again every {} s",
                        AGAIN.as_secs()
                    );
                    told = problem;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn attempt(listen: &Listen, listener: Option<TcpListener>) -> Result<(TcpListener, Gate), Closed> {
    let about = listen.clone();
    let gate = tokio::task::spawn_blocking(move || Gate::of(&about)).await;
    let gate = gate.map_err(|error| Closed::Bind(listen.at, io::Error::other(error)))??;
    let listener = match listener {
        Some(listener) => listener,
        None => TcpListener::bind(listen.at).await.map_err(|error| Closed::Bind(listen.at, error))?,
    };
    Ok((listener, gate))
}

impl Open {
    async fn accept(&self, house: &House) {
        loop {
            let Ok((stream, from)) = self.listener.accept().await else {
                // Out of descriptors, for one: it passes, or nobody can come in.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if !self.gate.lets_in(from.ip()) {
                let problem = "this address is not in status_allow";
                let failure = Failure::new(403, "address", problem, "add it to status_allow, and reload");
                let _ = stream.try_write(&turned_away(failure));
                continue;
            }
            let Ok(place) = Arc::clone(&house.clients).try_acquire_owned() else {
                let _ = stream.try_write(&busy(CLIENTS));
                continue;
            };
            prepare(&stream);
            let entry = Entry::Network { from, gate: Arc::clone(&self.gate) };
            tokio::spawn(client(stream, entry, house.clone(), place, Some(self.inside.subscribe())));
        }
    }
}

/// A client whose machine died, or whose network went, is noticed.
fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let alive = TcpKeepalive::new().with_time(DEAD_AFTER).with_interval(DEAD_AFTER / 3);
    let _ = socket.set_tcp_keepalive(&alive);
    let _ = socket.set_tcp_user_timeout(Some(DEAD_AFTER));
    let _ = stream.set_nodelay(true);
}
