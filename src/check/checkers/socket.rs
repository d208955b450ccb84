//! The connection below TLS.

use std::io::{self, Read, Write};

use tokio::net::TcpStream;

/// Reads from the socket in one call of OpenSSL; a record takes two.
const READS_A_CALL: usize = 64;

/// A socket as OpenSSL wants it: reads and writes that say at once when they cannot.
#[derive(Debug)]
pub struct Socket {
    socket: TcpStream,
    /// Reads before OpenSSL is told that nothing is there.
    left: usize,
}

impl Socket {
    /// A socket that is connected.
    pub const fn new(socket: TcpStream) -> Self {
        Self { socket, left: READS_A_CALL }
    }

    /// OpenSSL begins another call.
    pub const fn again(&mut self) {
        self.left = READS_A_CALL;
    }

    /// The connection itself, to wait for.
    pub const fn tcp(&self) -> &TcpStream {
        &self.socket
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // It takes records without content for as long as they come: one call might never end.
        let Some(left) = self.left.checked_sub(1) else { return Err(io::ErrorKind::WouldBlock.into()) };
        self.left = left;
        self.socket.try_read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
