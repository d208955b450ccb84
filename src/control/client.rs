//! The other end of the socket, for commands.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// How long an answer may take: longer than the daemon gives itself.
const PATIENCE: Duration = Duration::from_secs(35);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there.
    #[error(
        "no Tandem answers at {path}: {source}; start it, or give --control PATH (or --instance NAME) of the one that runs"
    )]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// We may not.
    #[error("{path} may be used by root and the group that control_group names: use sudo")]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// It does not answer.
    #[error("the daemon at {0} did not answer within {secs} s: it may be reloading, ask again", secs = PATIENCE.as_secs())]
    Slow(PathBuf),
    /// It broke off, or is no daemon of ours.
    #[error("the daemon at {path} broke off: {problem}; its log may say why")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// How.
        problem: String,
    },
    /// This process could not be made to ask.
    #[error("cannot ask: {0}")]
    Start(#[from] io::Error),
}

/// Asks, and waits for the answer: status and document.
///
/// # Errors
/// Why there is none.
pub fn ask(socket: &Path, method: &str, target: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime
        .block_on(async { tokio::time::timeout(PATIENCE, exchange(socket, method, target, body)).await });
    asked.unwrap_or_else(|_| Err(Error::Slow(socket.to_owned())))
}

async fn exchange(socket: &Path, method: &str, target: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), Error> {
    let path = || socket.to_owned();
    let broken = |problem: String| Error::Broken { path: path(), problem };
    let stream = UnixStream::connect(socket).await.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => Error::NotAllowed { path: path() },
        _ => Error::NoDaemon { path: path(), source },
    })?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(error.to_string()))?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, "tandem")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| broken(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.map_err(|error| broken(error.to_string()))?;
    Ok((status, body.to_bytes().to_vec()))
}
