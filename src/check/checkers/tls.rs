//! TLS of SSL_GET, by the system's OpenSSL: real servers may be older than anything that a modern library talks to.
//!
//! As keepalived has it, nobody's certificate is checked: expired, self-signed and foreign ones are as good as any. A
//! check asks whether the server answers. So security level 0, every protocol from TLS 1.0, RSA key exchange and CBC.
//! Where the file says `tls_verify` or `tls_expiry`, the certificate is looked at when the handshake is done: so its
//! subject and dates can be named, and other files see no difference. When it ends is noted of every one.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslFiletype, SslMethod, SslOptions, SslRef, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509CheckFlags;
use openssl::x509::{X509, X509Ref, X509VerifyResult};

use super::certificate::{self, Distrust, Remembered, Shown, Told};
use super::socket::Socket;
use crate::check::outcome::Failure;
use crate::check::plan::{Authority, ClientCertificate, Target, TlsPlan};
use crate::clock;

/// Everything that OpenSSL has by default, also what it thinks too weak.
const CIPHERS: &str = "DEFAULT:@SECLEVEL=0";
/// To servers that do not know secure renegotiation (RFC 5746); the library has no name for it.
const LEGACY_SERVER_CONNECT: u64 = 0x4;
/// Certificates that are verified need keys and signatures of 80 bits at least (RSA 1024, no SHA-1), whatever the
/// connection itself may use.
const VERIFY_LEVEL: i32 = 1;
/// The most names of a certificate that a reason lists.
const NAMES: usize = 5;
/// OpenSSL 3: the connection ended without close_notify (SSL_R_UNEXPECTED_EOF_WHILE_READING).
const UNEXPECTED_EOF: i32 = 294;

/// A TLS client: the context of its connections, and what is remembered of certificates.
#[derive(Clone, Debug)]
pub struct Client {
    context: SslContext,
    remembered: Arc<Mutex<Remembered>>,
}

/// One connection by TLS.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// Made for the rules.
    pub client: &'a Client,
    /// What is asked of the certificate.
    pub rules: &'a TlsPlan,
    /// What is said as server name (SNI); `None`: nothing.
    pub server_name: Option<&'a str>,
    /// The name or address that a certificate must have where it is verified.
    pub certified: &'a str,
    /// What is offered as protocol (ALPN), with the length before it; empty: nothing.
    pub protocol: &'a [u8],
}

/// One context for each client certificate and authority; what building it gave is kept, so that a bad file is read once
/// a reload.
#[derive(Debug, Default)]
pub struct Contexts {
    known: Vec<(ClientCertificate, Option<Authority>, Result<SslContext, Failure>)>,
    remembered: Arc<Mutex<Remembered>>,
}

impl Contexts {
    /// The client for those rules.
    ///
    /// # Errors
    /// [`Failure::Certificate`] when a file of the `SSL` block or of `tls_verify` cannot be used.
    pub fn get(&mut self, rules: &TlsPlan) -> Result<Client, Failure> {
        let known =
            self.known.iter().find(|(client, verify, _)| *client == rules.client && *verify == rules.verify);
        let context = match known {
            Some((_, _, known)) => known.clone(),
            None => {
                let made = context(&rules.client, rules.verify.as_ref());
                self.known.push((rules.client.clone(), rules.verify.clone(), made.clone()));
                made
            }
        };
        Ok(Client { context: context?, remembered: Arc::clone(&self.remembered) })
    }

    /// What is to be said of servers' certificates now.
    pub fn told(&self) -> Told {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        Told { warnings: remembered.warned.warnings(), ends: remembered.ends.first() }
    }
}

fn context(client: &ClientCertificate, verify: Option<&Authority>) -> Result<SslContext, Failure> {
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
    if let Some(authority) = verify {
        // These alone: those of the SSL block are for our own chain.
        builder.set_verify_cert_store(store(authority)?).map_err(own)?;
    }
    Ok(builder.build())
}

/// Whose signatures are good.
fn store(authority: &Authority) -> Result<X509Store, Failure> {
    let own = |error: ErrorStack| Failure::Broken(error.to_string());
    let mut store = X509StoreBuilder::new().map_err(own)?;
    match authority {
        Authority::System => store.set_default_paths().map_err(own)?,
        Authority::File(file) => {
            let bad = |error: &dyn std::fmt::Display| {
                Failure::Certificate(format!("the authorities of tls_verify {file}: {error}"))
            };
            let pem = fs::read(file).map_err(|error| bad(&error))?;
            let authorities = X509::stack_from_pem(&pem).map_err(|error| bad(&brief(&error)))?;
            if authorities.is_empty() {
                return Err(bad(&"no certificate in it"));
            }
            for authority in authorities {
                store.add_cert(authority).map_err(|error| bad(&brief(&error)))?;
            }
        }
    }
    Ok(store.build())
}

/// A TLS client on a connection, before its handshake.
///
/// # Errors
/// [`Failure::BadRequest`] for a name that TLS cannot say.
pub fn begin(session: &Session<'_>, socket: Socket) -> Result<ssl::SslStream<Socket>, Failure> {
    let broken = |error: ErrorStack| Failure::Broken(error.to_string());
    let mut ssl = Ssl::new(&session.client.context).map_err(broken)?;
    if let Some(name) = session.server_name {
        ssl.set_hostname(name)
            .map_err(|_| Failure::BadRequest(format!("\"{name}\" is no server name (SNI)")))?;
    }
    if !session.protocol.is_empty() {
        ssl.set_alpn_protos(session.protocol).map_err(broken)?;
    }
    if session.rules.verify.is_some() {
        let wanted = session.certified;
        let verify = ssl.param_mut();
        verify.set_auth_level(VERIFY_LEVEL);
        verify.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS);
        let set = match wanted.parse::<IpAddr>() {
            Ok(address) => verify.set_ip(address),
            Err(_) => verify.set_host(wanted),
        };
        set.map_err(|_| Failure::BadRequest(format!("\"{wanted}\" is no name of a certificate")))?;
    }
    ssl::SslStream::new(ssl, socket).map_err(broken)
}

/// Looks at the server's certificate after the handshake. Nothing of the exchange is said before.
///
/// # Errors
/// [`Failure::Untrusted`] and [`Failure::Expiry`].
pub fn examine(ssl: &SslRef, session: &Session<'_>, target: &Target) -> Result<(), Failure> {
    let certificate = ssl.peer_certificate();
    let remembered = || session.client.remembered.lock().unwrap_or_else(PoisonError::into_inner);
    // Before it is judged: of one that is refused the end is of most interest.
    if let Some(ends) = certificate.as_ref().and_then(|one| since_1970(one.not_after()).ok()) {
        remembered().ends.note(target.address, session.server_name, ends);
    }
    if !session.rules.asks() {
        return Ok(());
    }
    let Some(certificate) = certificate else {
        return Err(Failure::Untrusted("the server shows no certificate".to_owned()));
    };
    let shown = shown(&certificate).map_err(|error| Failure::Broken(error.to_string()))?;
    if let Some(authority) = &session.rules.verify {
        let result = ssl.verify_result();
        if result != X509VerifyResult::OK {
            let distrust = Distrust { code: result.as_raw(), words: result.error_string().to_owned() };
            return Err(certificate::refused(&shown, &distrust, authority, session.certified));
        }
    }
    let now = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let warning = certificate::expiry(&shown, session.rules, now)?;
    if session.rules.expiry_warn.is_some() {
        let is_due = remembered().warned.is_due(target.address, warning.clone(), clock::now());
        if let Some(words) = warning.filter(|_| is_due) {
            tracing::warn!("{}: {words}", target.address);
        }
    }
    Ok(())
}

/// A time of a certificate in seconds since 1970.
fn since_1970(time: &Asn1TimeRef) -> Result<i64, ErrorStack> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    Ok(i64::from(since.days) * 86_400 + i64::from(since.secs))
}

fn shown(certificate: &X509Ref) -> Result<Shown, ErrorStack> {
    let subject: Vec<String> = certificate
        .subject_name()
        .entries()
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().map(|text| plain(&text)).unwrap_or_default();
            format!("{key}={value}")
        })
        .collect();
    let names = certificate.subject_alt_names().into_iter().flatten().filter_map(|name| {
        let address = |bytes: &[u8]| match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).ok().map(|v4| IpAddr::from(v4).to_string()),
            _ => <[u8; 16]>::try_from(bytes).ok().map(|v6| IpAddr::from(v6).to_string()),
        };
        name.dnsname().map(plain).or_else(|| name.ipaddress().and_then(address))
    });
    Ok(Shown {
        subject: if subject.is_empty() { "nobody".to_owned() } else { subject.join(", ") },
        names: names.take(NAMES).collect(),
        ends: since_1970(certificate.not_after())?,
        ends_at: certificate.not_after().to_string(),
    })
}

/// A text of a certificate, fit for a log line.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
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
