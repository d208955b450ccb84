//! Real sockets on the loopback.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use super::*;

fn target(address: SocketAddr) -> Target {
    Target::new(address, Duration::from_millis(300))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn connects_and_is_refused() {
    let (listener, address) = listener().await;
    assert_eq!(check(&target(address)).await, Ok(Success::default()));
    drop(listener);
    assert_eq!(check(&target(address)).await, Err(Failure::Refused));
}

/// A listener whose queue is full lets the next handshake hang.
#[tokio::test]
async fn no_answer_is_a_timeout() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let began = crate::clock::now();
    let limit = target(address).timeout;
    assert_eq!(check(&target(address)).await, Err(Failure::Timeout(limit)));
    let took = crate::clock::now() - began;
    assert!(took >= limit && took < 10 * limit, "{took:?}");
}

#[tokio::test]
async fn sources_are_honoured() {
    let (listener, address) = listener().await;
    let mut from = target(address);
    from.bindto = Some("127.0.0.9".parse().unwrap());
    assert_eq!(check(&from).await, Ok(Success::default()));
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip().to_string(), "127.0.0.9");

    // An address of documentation (RFC 5737) is not ours.
    from.bindto = Some("192.0.2.1".parse().unwrap());
    assert!(matches!(check(&from).await, Err(Failure::Source(_))));

    let mut by = target(address);
    by.bind_if = Some("lo".to_owned());
    assert_eq!(check(&by).await, Ok(Success::default()));
    by.bind_if = Some("no-such-if".to_owned());
    let result = check(&by).await;
    assert_eq!(result, Err(Failure::Source("no such interface".to_owned())));
}

#[tokio::test]
async fn port_0_is_named() {
    assert_eq!(check(&target("127.0.0.1:0".parse().unwrap())).await, Err(Failure::NoPort));
}
