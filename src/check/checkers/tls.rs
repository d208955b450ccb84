//! TLS of SSL_GET, by the system's OpenSSL: real servers may be older than anything that a modern library talks to.
//!
//! As keepalived has it, nobody's certificate is checked: expired, self-signed and foreign ones are as good as any. A
//! check asks whether the server answers. So security level 0, every protocol from TLS 1.0, RSA key exchange and CBC.

use std::fs;
use std::io;

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslFiletype, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};

use super::stream::Socket;
use crate::check::outcome::Failure;
use crate::check::plan::ClientCertificate;

/// Everything that OpenSSL has by default, also what it thinks too weak.
const CIPHERS: &str = "DEFAULT:@SECLEVEL=0";
/// To servers that do not know secure renegotiation (RFC 5746); the library has no name for it.
const LEGACY_SERVER_CONNECT: u64 = 0x4;
/// OpenSSL 3: the connection ended without close_notify (SSL_R_UNEXPECTED_EOF_WHILE_READING).
const UNEXPECTED_EOF: i32 = 294;

/// What is said as server name (SNI); `None`: nothing.
pub type ServerName<'a> = Option<&'a str>;

/// One context for each client certificate; what building it gave is kept, so that a bad file is read once a reload.
#[derive(Debug, Default)]
pub struct Contexts {
    known: Vec<(ClientCertificate, Result<SslContext, Failure>)>,
}

impl Contexts {
    /// The context for that client certificate.
    ///
    /// # Errors
    /// [`Failure::Certificate`] when a file of the `SSL` block cannot be used.
    pub fn get(&mut self, client: &ClientCertificate) -> Result<SslContext, Failure> {
        if let Some((_, known)) = self.known.iter().find(|(known, _)| known == client) {
            return known.clone();
        }
        let made = context(client);
        self.known.push((client.clone(), made.clone()));
        made
    }
}

fn context(client: &ClientCertificate) -> Result<SslContext, Failure> {
    let own = |error: ErrorStack| Failure::Broken(error.to_string());
    let mut builder = SslContext::builder(SslMethod::tls_client()).map_err(own)?;
    builder.set_security_level(0);
    builder.set_cipher_list(CIPHERS).map_err(own)?;
    // The machine's own openssl.cnf may demand more.
    builder.set_min_proto_version(Some(SslVersion::TLS1)).map_err(own)?;
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    let legacy = SslOptions::from_bits_retain(LEGACY_SERVER_CONNECT as _);
    builder.set_options(legacy | SslOptions::ALLOW_UNSAFE_LEGACY_RENEGOTIATION | SslOptions::NO_TICKET);

    let bad = |what: &str, file: &str, error: &dyn std::fmt::Display| {
        Failure::Certificate(format!("{what} {file} of the SSL block: {error}"))
    };
    if let Some(file) = &client.ca {
        builder.set_ca_file(file).map_err(|error| bad("ca", file, &brief(&error)))?;
    }
    if let Some(file) = &client.certificate {
        builder
            .set_certificate_chain_file(file)
            .or_else(|_| builder.set_certificate_file(file, SslFiletype::PEM))
            .map_err(|error| bad("certificate", file, &brief(&error)))?;
    }
    if let Some(file) = &client.key {
        let pem = fs::read(file).map_err(|error: io::Error| bad("key", file, &error))?;
        let password = client.password.as_ref().map_or("", |secret| secret.0.as_str());
        // With an empty password a key that needs one fails here; it must not ask on the terminal.
        let key = PKey::private_key_from_pem_passphrase(&pem, password.as_bytes());
        let key = key.map_err(|error| bad("key", file, &brief(&error)))?;
        builder.set_private_key(&key).map_err(|error| bad("key", file, &brief(&error)))?;
        if client.certificate.is_some() {
            builder.check_private_key().map_err(|error| bad("key", file, &brief(&error)))?;
        }
    }
    Ok(builder.build())
}

/// A TLS client on a connection, before its handshake.
///
/// # Errors
/// [`Failure::BadRequest`] for a name that TLS cannot say.
pub fn begin(
    context: &SslContext,
    name: ServerName<'_>,
    socket: Socket,
) -> Result<ssl::SslStream<Socket>, Failure> {
    let broken = |error: ErrorStack| Failure::Broken(error.to_string());
    let mut ssl = Ssl::new(context).map_err(broken)?;
    if let Some(name) = name {
        ssl.set_hostname(name)
            .map_err(|_| Failure::BadRequest(format!("\"{name}\" is no server name (SNI)")))?;
    }
    ssl::SslStream::new(ssl, socket).map_err(broken)
}

/// The other side closed without the farewell of TLS (close_notify).
pub fn is_abrupt_end(error: &ssl::Error) -> bool {
    match error.code() {
        ErrorCode::SYSCALL => error.io_error().is_none_or(|io| io.kind() == io::ErrorKind::UnexpectedEof),
        ErrorCode::SSL => error
            .ssl_error()
            .is_some_and(|stack| stack.errors().iter().any(|error| error.reason_code() == UNEXPECTED_EOF)),
        _ => false,
    }
}

/// An error of TLS in a few words.
pub fn words(error: &ssl::Error) -> String {
    error.ssl_error().map_or_else(|| error.to_string(), brief)
}

fn brief(stack: &ErrorStack) -> String {
    let reason = |error: &openssl::error::Error| {
        error.reason().map_or_else(|| format!("error {}", error.code()), str::to_owned)
    };
    stack.errors().first().map_or_else(|| "unknown reason".to_owned(), reason)
}
