//! A connection to a real server, plain or TLS, read without keeping a buffer while it waits: ten thousand checks under
//! way hold ten thousand sockets, and no more.

use std::io;

use openssl::ssl::{self, ErrorCode};
use tokio::net::TcpStream;

use super::socket::Socket;
use super::tcp::Begun;
use super::tls::{self, Session};
use super::{io_failure, tcp};
use crate::check::outcome::Failure;
use crate::check::plan::Target;

/// One connection.
#[derive(Debug)]
pub enum Stream {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS on it.
    Tls(Box<ssl::SslStream<Socket>>),
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    /// This many bytes.
    Bytes(usize),
    /// The orderly end.
    End,
    /// The end of the connection without the farewell of TLS.
    AbruptEnd,
    /// Nothing yet: [`Stream::ready`] waits for that.
    Wait(Direction),
}

/// What a write did.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// This many bytes.
    Bytes(usize),
    /// Nothing yet: [`Stream::ready`] waits for that.
    Wait(Direction),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Bytes from the other side.
    Read,
    /// Room for ours.
    Write,
}

impl Stream {
    /// Connects, shakes hands where there is TLS, and looks at the certificate where the file says so; without a time
    /// limit of its own.
    ///
    /// # Errors
    /// Why the connection did not complete, or what is wrong with the certificate.
    pub async fn open(target: &Target, tls: Option<&Session<'_>>) -> Result<Self, Failure> {
        let socket = tcp::connect(target).await?;
        let Some(session) = tls else { return Ok(Self::Plain(socket)) };
        let mut stream = tls::begin(session, Socket::new(socket))?;
        while let Err(error) = stream.connect() {
            match direction(&error) {
                Some(direction) => ready(stream.get_ref().tcp(), direction, target).await?,
                None => return Err(handshake_failure(&error, target)),
            }
            stream.get_mut().again();
        }
        tls::examine(stream.ssl(), session, target)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Connects without TLS, and says these words first. Where no PROXY header comes before them and the connection stands
    /// at once, they are on their way before the runtime hears of the socket, which then need not tell that there is room
    /// for them.
    ///
    /// # Errors
    /// Why the connection did not complete, or takes no words.
    pub async fn plain(target: &Target, mut words: &[u8]) -> Result<Self, Failure> {
        let mut stream = Self::Plain(if target.proxy.is_some() {
            // Rare: it must not decide how much room the others take.
            Box::pin(tcp::connect(target)).await?
        } else {
            match tcp::begin(target)? {
                Begun::Connected(socket) => {
                    match socket.send_with_flags(words, libc::MSG_NOSIGNAL) {
                        Ok(sent) => words = words.get(sent..).unwrap_or_default(),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(failure(&error, target)),
                    }
                    tcp::register(target, socket)?
                }
                Begun::Waiting(socket) => tcp::wait(target, socket).await?,
            }
        });
        if !words.is_empty()
            && let Put::Bytes(wrote) = stream.write(words, target)?
        {
            words = words.get(wrote..).unwrap_or_default();
        }
        if !words.is_empty() {
            // As rare: a connection that is new has room for a request.
            Box::pin(stream.send(words, target)).await?;
        }
        Ok(stream)
    }

    /// Writes all.
    ///
    /// # Errors
    /// Why the connection takes no more.
    pub async fn send(&mut self, mut bytes: &[u8], target: &Target) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match self.write(bytes, target)? {
                Put::Bytes(wrote) => bytes = bytes.get(wrote..).unwrap_or_default(),
                Put::Wait(direction) => self.ready(direction, target).await?,
            }
        }
        Ok(())
    }

    /// Writes what there is room for.
    ///
    /// # Errors
    /// Why the connection takes no more.
    pub fn write(&mut self, bytes: &[u8], target: &Target) -> Result<Put, Failure> {
        match self {
            Self::Plain(socket) => match socket.try_write(bytes) {
                Ok(wrote) => Ok(Put::Bytes(wrote)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Put::Wait(Direction::Write)),
                Err(error) => Err(failure(&error, target)),
            },
            Self::Tls(stream) => {
                stream.get_mut().again();
                match stream.ssl_write(bytes) {
                    Ok(wrote) => Ok(Put::Bytes(wrote)),
                    Err(error) => match direction(&error) {
                        Some(direction) => Ok(Put::Wait(direction)),
                        None => Err(tls_failure(&error, target)),
                    },
                }
            }
        }
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// Why nothing will come any more.
    pub fn read(&mut self, buffer: &mut [u8], target: &Target) -> Result<Got, Failure> {
        match self {
            Self::Plain(socket) => match socket.try_read(buffer) {
                Ok(0) => Ok(Got::End),
                Ok(read) => Ok(Got::Bytes(read)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Got::Wait(Direction::Read)),
                Err(error) => Err(failure(&error, target)),
            },
            Self::Tls(stream) => {
                stream.get_mut().again();
                match stream.ssl_read(buffer) {
                    Ok(read) => Ok(Got::Bytes(read)),
                    Err(error) if error.code() == ErrorCode::ZERO_RETURN => Ok(Got::End),
                    Err(error) if tls::is_abrupt_end(&error) => Ok(Got::AbruptEnd),
                    Err(error) => match direction(&error) {
                        Some(direction) => Ok(Got::Wait(direction)),
                        None => Err(tls_failure(&error, target)),
                    },
                }
            }
        }
    }

    /// Waits until a read or write may get further.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub async fn ready(&self, direction: Direction, target: &Target) -> Result<(), Failure> {
        ready(self.socket(), direction, target).await
    }

    /// The socket below, for whoever waits in a way of its own.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().tcp(),
        }
    }
}

async fn ready(socket: &TcpStream, direction: Direction, target: &Target) -> Result<(), Failure> {
    // A socket that is always ready would never give way, neither to others nor to its own time limit.
    tokio::task::coop::consume_budget().await;
    let waited = match direction {
        Direction::Read => socket.readable().await,
        Direction::Write => socket.writable().await,
    };
    waited.map_err(|error| failure(&error, target))
}

/// What OpenSSL waits for, when that is all.
fn direction(error: &ssl::Error) -> Option<Direction> {
    match error.code() {
        ErrorCode::WANT_READ => Some(Direction::Read),
        ErrorCode::WANT_WRITE => Some(Direction::Write),
        _ => None,
    }
}

/// An error on a connection that stands: the source is not at fault any more.
fn failure(error: &io::Error, target: &Target) -> Failure {
    io_failure(error, target.timeout, false)
}

fn tls_failure(error: &ssl::Error, target: &Target) -> Failure {
    match error.io_error() {
        Some(error) => failure(error, target),
        None => Failure::Tls(tls::words(error)),
    }
}

fn handshake_failure(error: &ssl::Error, target: &Target) -> Failure {
    if tls::is_abrupt_end(error) {
        return Failure::Tls("closed in the middle of the handshake".to_owned());
    }
    tls_failure(error, target)
}
