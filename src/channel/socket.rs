//! Carries one request and its answer over one connection, from either end. Every length has a limit before a byte of it is
//! read, and every exchange a time in which it is over: a peer that hangs, drips or never ends costs one connection.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::key::Keys;
use super::message::{Answer, Request};
use super::seal::{self, ANSWER_HEAD, Bound, Flaw, GREETING, Nonce, REQUEST_HEAD};
use super::watch::Problem;

/// A connection stands within this time, or not.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
/// The whole of an exchange, as whoever asks sees it.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(8);
/// Said in the place of an answer that is longer than whoever asks would read.
const TOO_LARGE: &[u8] = br#"{"from":{},"accepts_changes":false,"whole":"","said":{"kind":"refused","code":"too-large","problem":"it is configured with more than can be told","cure":""}}"#;
/// A request must be there within this time.
pub(super) const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// An end of the channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    /// Its address.
    pub address: IpAddr,
    /// The interface of a link-local one.
    pub interface: Option<String>,
    /// Its port.
    pub port: u16,
}

impl Point {
    /// As sockets want it.
    ///
    /// # Errors
    /// There is no such interface.
    fn socket(&self) -> io::Result<SocketAddr> {
        let (IpAddr::V6(address), Some(interface)) = (self.address, &self.interface) else {
            return Ok(SocketAddr::new(self.address, self.port));
        };
        let index = nix::net::if_::if_nametoindex(interface.as_str())
            .map_err(|error| io::Error::other(format!("interface {interface}: {}", error.desc())))?;
        Ok(SocketAddr::V6(SocketAddrV6::new(address, self.port, 0, index)))
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.address, &self.interface) {
            (IpAddr::V6(address), Some(interface)) => write!(f, "[{address}%{interface}]:{}", self.port),
            (address, _) => SocketAddr::new(*address, self.port).fmt(f),
        }
    }
}

/// Random bytes that nobody has seen.
///
/// # Errors
/// The system has none.
pub(super) fn nonce() -> io::Result<Nonce> {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Listens there.
///
/// # Errors
/// The address is not there, or taken.
pub(super) async fn listen(at: &Point) -> io::Result<TcpListener> {
    TcpListener::bind(at.socket()?).await
}

/// Asks a peer, and waits for its answer. `from`: the address that it expects us to come from.
///
/// # Errors
/// Why there is none.
pub(super) async fn ask(
    keys: &Keys,
    peer: &Point,
    from: Option<&Point>,
    request: &Request,
) -> Result<Answer, Problem> {
    ask_within(ANSWERED_WITHIN, keys, peer, from, request).await
}

async fn ask_within(
    within: Duration,
    keys: &Keys,
    peer: &Point,
    from: Option<&Point>,
    request: &Request,
) -> Result<Answer, Problem> {
    let document = serde_json::to_vec(request).map_err(|error| Problem::Malformed(error.to_string()))?;
    let exchange = async {
        let stream = connected(peer, from).await?;
        asked(stream, keys, &document).await
    };
    let over = tokio::time::timeout(within, exchange).await;
    let document = over.unwrap_or(Err(Problem::Silent(within.as_secs())))?;
    let answer: Answer = serde_json::from_slice(&document)
        .map_err(|error| Problem::Malformed(super::message::clean(&error.to_string())))?;
    Ok(answer.cleaned())
}

async fn connected(peer: &Point, from: Option<&Point>) -> Result<TcpStream, Problem> {
    let own = |error: io::Error| Problem::Own(format!("this director cannot ask: {error}"));
    let at = peer.socket().map_err(own)?;
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(own)?;
    if let Some(from) =
        from.filter(|from| !from.address.is_unspecified() && from.address.is_ipv4() == at.is_ipv4())
    {
        let bound = Point { port: 0, ..from.clone() }.socket().and_then(|from| socket.bind(from));
        bound.map_err(|error| Problem::Own(format!("pair_listen {}: {error}", from.address)))?;
    }
    match tokio::time::timeout(CONNECTED_WITHIN, socket.connect(at)).await {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(Problem::Unreachable(error.to_string())),
        Err(_) => Err(Problem::Silent(CONNECTED_WITHIN.as_secs())),
    }
}

/// Whoever asks: one exchange, without its time limit.
async fn asked<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    keys: &Keys,
    document: &[u8],
) -> Result<Vec<u8>, Problem> {
    let broke = |_: io::Error| Problem::BrokeOff;
    let mut greeting = [0; GREETING];
    stream.read_exact(&mut greeting).await.map_err(broke)?;
    let theirs = seal::read_greeting(&greeting)?;
    let ours = nonce().map_err(|error| Problem::Own(error.to_string()))?;
    let (bytes, bound) = seal::request(keys, &theirs, &ours, document)?;
    stream.write_all(&bytes).await.map_err(broke)?;
    let mut head = [0; ANSWER_HEAD];
    stream.read_exact(&mut head).await.map_err(broke)?;
    let mut rest = read(&mut stream, seal::answer_rest(&head)?).await.map_err(broke)?;
    let length = seal::open_answer(keys, &bound, &head, &rest)?.len();
    rest.truncate(length);
    Ok(rest)
}

/// So many bytes. Room is taken as they come, not as they are promised.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    stream.take(limit).read_to_end(&mut bytes).await?;
    if bytes.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// A request that has come, and what an answer to it is bound to.
pub(super) struct Asked {
    pub(super) bound: Bound,
    /// Its document, if it is the peer's.
    pub(super) document: Result<Vec<u8>, Flaw>,
}

/// Whoever is asked: greets, and takes the request in.
///
/// # Errors
/// The bytes are none of a request (`Ok(Err)` within: which flaw), or the connection broke off.
pub(super) async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    keys: &Keys,
) -> io::Result<Result<Asked, Flaw>> {
    let ours = nonce()?;
    stream.write_all(&seal::greeting(&ours)).await?;
    let mut head = [0; REQUEST_HEAD];
    stream.read_exact(&mut head).await?;
    let length = match seal::request_rest(&head) {
        Ok(length) => length,
        Err(flaw) => return Ok(Err(flaw)),
    };
    let rest = read(stream, length).await?;
    Ok(seal::open_request(keys, &ours, &head, &rest)
        .map(|received| Asked { bound: received.bound, document: received.document.map(<[u8]>::to_vec) }))
}

/// Whoever is asked: answers.
///
/// # Errors
/// The connection broke off, or the answer is too long.
pub(super) async fn reply<S: AsyncWrite + Unpin>(
    stream: &mut S,
    keys: &Keys,
    to: &Bound,
    answer: &Answer,
) -> io::Result<()> {
    let document = serde_json::to_vec(answer)?;
    let bytes = seal::answer(keys, to, &document).or_else(|_| seal::answer(keys, to, TOO_LARGE));
    let bytes = bytes.map_err(io::Error::other)?;
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::message::{Ask, Said, Who};

    fn keys() -> Keys {
        Keys::of("0123456789abcdef0123456789abcdef")
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn one_exchange_and_what_is_recorded_of_it() {
        run(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let peer = tokio::spawn(async move {
                let asked = receive(&mut theirs, &keys()).await.unwrap().unwrap();
                assert_eq!(asked.document.as_deref(), Ok(b"question".as_slice()));
                let from = Who::default();
                let answer = Answer { from, accepts_changes: false, whole: "w".to_owned(), said: Said::Same };
                reply(&mut theirs, &keys(), &asked.bound, &answer).await.unwrap();
            });
            let document = asked(ours, &keys(), b"question").await.unwrap();
            assert_eq!(serde_json::from_slice::<Answer>(&document).unwrap().whole, "w");
            peer.await.unwrap();
        });
    }

    #[test]
    fn another_key() {
        run(async {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let peer = tokio::spawn(async move {
                let other = Keys::of("another");
                let asked = receive(&mut theirs, &other).await.unwrap().unwrap();
                assert_eq!(asked.document, Err(Flaw::NotAuthenticated));
                let said = Said::Refused { code: String::new(), problem: String::new(), cure: String::new() };
                let answer =
                    Answer { from: Who::default(), accepts_changes: true, whole: String::new(), said };
                reply(&mut theirs, &other, &asked.bound, &answer).await.unwrap();
            });
            assert_eq!(asked(ours, &keys(), b"question").await, Err(Problem::Flaw(Flaw::NotAuthenticated)));
            peer.await.unwrap();
        });
    }

    #[test]
    fn what_answers_otherwise() {
        run(async {
            let mut long = seal::greeting(&[1; 32]).to_vec();
            long.extend_from_slice(b"TDMPAIR\x01\xff\xff\xff\xff");
            let mut newer = seal::greeting(&[1; 32]);
            newer[7] = 7;
            for (bytes, wanted) in [
                (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n".as_slice(), Problem::Flaw(Flaw::NotAPeer)),
                (newer.as_slice(), Problem::Flaw(Flaw::Version(7))),
                (b"TDMPAIR".as_slice(), Problem::BrokeOff),
                (long.as_slice(), Problem::Flaw(Flaw::TooLong(0xffff_ffff))),
            ] {
                let (ours, mut theirs) = tokio::io::duplex(1 << 16);
                theirs.write_all(bytes).await.unwrap();
                theirs.shutdown().await.unwrap();
                assert_eq!(asked(ours, &keys(), b"question").await, Err(wanted));
            }
        });
    }

    #[test]
    fn a_peer_that_never_answers_and_one_that_is_not_there() {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let point = Point { address: at.ip(), interface: None, port: at.port() };
            let from = Who::default();
            let request = Request { from, ask: Ask::Compare { mine: String::new(), known: None } };
            let within = Duration::from_millis(100);
            let silent = ask_within(within, &keys(), &point, None, &request).await.unwrap_err();
            assert!(matches!(silent, Problem::Silent(_)), "{silent:?}");
            drop(listener);
            let gone = ask(&keys(), &point, Some(&point), &request).await.unwrap_err();
            assert!(matches!(gone, Problem::Unreachable(_)), "{gone:?}");
        });
    }

    #[test]
    fn points() {
        let point = |text: &str, interface: Option<&str>| Point {
            address: text.parse().unwrap(),
            interface: interface.map(str::to_owned),
            port: 9651,
        };
        assert_eq!(point("10.0.0.2", None).to_string(), "10.0.0.2:9651");
        assert_eq!(point("2001:db8::2", None).to_string(), "[2001:db8::2]:9651");
        assert_eq!(point("fe80::2", Some("eth0")).to_string(), "[fe80::2%eth0]:9651");
        assert!(point("fe80::2", Some("no-such")).socket().is_err());
        assert!(matches!(point("fe80::2", Some("lo")).socket(), Ok(SocketAddr::V6(at)) if at.scope_id() > 0));
    }
}
