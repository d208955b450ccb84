//! Who may read over the network: addresses of the allow-list, with the token where one is asked for. Only reading, and only
//! what is listed here.

use std::fs;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::super::answer::Failure;
use super::super::routes::Request;
use crate::config::model::Global;
use crate::config::units::Prefix;

/// Shortest token, bytes: sixteen random letters cannot be guessed.
const SHORTEST: usize = 16;
/// Longest file of a token, bytes.
const LONGEST: u64 = 4096;

/// Where the network may come in, and who.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// `status_listen`.
    pub at: SocketAddr,
    /// `status_token_file`.
    pub token_file: Option<PathBuf>,
    /// `status_allow`; empty = everybody whom the token lets in.
    pub allow: Vec<Prefix>,
}

impl Listen {
    /// What the file says; `None` = nobody comes in over the network.
    pub fn of(global: &Global) -> Option<Self> {
        Some(Self {
            at: global.status_listen?,
            token_file: global.status_token_file.as_ref().map(PathBuf::from),
            allow: global.status_allow.clone(),
        })
    }
}

/// Why a token cannot be used. Nobody is let in then.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("status_token_file {path}: {problem}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// Others may read or write it.
    #[error(
        "status_token_file {path} has mode {mode:04o}: others may read or change it; chmod 600 (or 640) {path}"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error(
        "status_token_file {path} belongs to user {uid}, who is neither root nor this daemon's: chown it"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// It has no token that is good enough.
    #[error(
        "status_token_file {path} has no token: one line of at least {SHORTEST} letters, digits and signs without blanks"
    )]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

/// A token, as its digest: the text itself is kept nowhere.
#[derive(Clone, PartialEq, Eq)]
struct Token([u8; 32]);

impl Token {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The same, in a time that does not depend on what is different: digests have one length.
    fn is(&self, text: &str) -> bool {
        openssl::memcmp::eq(&self.0, &Self::of(text).0)
    }
}

/// The gate of one listening address.
pub(super) struct Gate {
    token: Option<Token>,
    allow: Vec<Prefix>,
    /// Only programs of this machine come in, and nothing else keeps anybody out.
    trusts_loopback: bool,
    /// What this machine is called.
    names: Vec<String>,
}

impl Gate {
    /// The token is read now; blocks as files do.
    ///
    /// # Errors
    /// It cannot be used.
    pub(super) fn of(listen: &Listen) -> Result<Self, TokenError> {
        let token = listen.token_file.as_deref().map(token).transpose()?;
        let trusts_loopback = token.is_none() && listen.allow.is_empty();
        Ok(Self { token, allow: listen.allow.clone(), trusts_loopback, names: own_names() })
    }

    /// Another gate that lets the same people in.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.token == other.token && self.allow == other.allow && self.names == other.names
    }

    /// True when somebody from there may say something at all.
    pub(super) fn lets_in(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        if self.trusts_loopback {
            // The address that is listened at is a loopback one as well; this is the second lock on that door.
            return from.is_loopback();
        }
        self.allow.is_empty() || self.allow.iter().any(|prefix| prefix.contains(from))
    }

    /// Whether a request may be answered. `authorization`, `host`: the headers of these names.
    ///
    /// # Errors
    /// 403 for what is not to be had over the network, 401 without the right token.
    pub(super) fn judge(
        &self,
        request: &Request,
        authorization: Option<&str>,
        host: Option<&str>,
    ) -> Result<(), Failure> {
        if !is_public(request) {
            let problem = "this is not to be had over the network";
            return Err(Failure::new(403, "local-only", problem, "ask over the control socket"));
        }
        let Some(token) = &self.token else {
            // Whose browser may come in, his browser shows pages of anybody; and anybody's name may lead to our address.
            // Browsers always say what they ask.
            let fits = host.map_or(!self.trusts_loopback, |host| is_plain_host(host) || self.is_own(host));
            return if fits {
                Ok(())
            } else {
                Err(foreign_host("by its address, or write status_token_file"))
            };
        };
        // The page itself says nothing; it asks for the token, as a browser cannot.
        if *request == Request::Page {
            return Ok(());
        }
        let bearer = authorization.and_then(|text| {
            let (scheme, rest) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
        });
        if bearer.is_some_and(|given| token.is(given)) {
            return Ok(());
        }
        let problem = if bearer.is_some() { "that is not the token" } else { "a token is needed" };
        let cure = "send \"Authorization: Bearer TOKEN\" with the text of status_token_file";
        Err(Failure::new(401, "token", problem, cure))
    }

    fn is_own(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(bare(host)))
    }
}

/// Whether a request over the control socket may be answered. `host`: that header, where there is one.
///
/// A socket that somebody forwards to a port of his machine (`ssh -L`) is in reach of his browser, and of every page in it whose
/// name its owner leads there. Such a name has a dot. Programs write whatever they like (`http://tandem/`, `http://unix/`).
///
/// # Errors
/// 403 for a name that leads here and is not this machine's.
pub(super) fn judge_local(host: Option<&str>) -> Result<(), Failure> {
    let word = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let fits = |host: &str| {
        is_plain_host(host)
            || word(bare(host))
            || own_names().iter().any(|name| name.eq_ignore_ascii_case(bare(host)))
    };
    match host {
        Some(host) if !fits(host) => Err(foreign_host("for http://localhost/ or http://tandem/ there")),
        _ => Ok(()),
    }
}

fn foreign_host(cure: &str) -> Failure {
    let problem = "the Host header is neither an address, localhost, nor this machine's name";
    Failure::new(403, "host", problem, format!("ask {cure}"))
}

/// What this machine is called, and the first part of that.
fn own_names() -> Vec<String> {
    let Some(name) = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()) else {
        return Vec::new();
    };
    let first = name.split('.').next().map(str::to_owned);
    let names = std::iter::once(name).chain(first);
    names.filter(|name| !name.is_empty()).collect()
}

/// What may be read over the network: nothing that changes something, nor what is made of the file's own words. Of what the journal
/// tells, values of settings, lines and names of files, and who gave an order, are left out ([`super::discreet`]).
fn is_public(request: &Request) -> bool {
    matches!(
        request,
        Request::Page
            | Request::Metrics { .. }
            | Request::Events { .. }
            | Request::Status(_)
            | Request::Journal(_)
    )
}

fn is_plain_host(host: &str) -> bool {
    let bare = bare(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// A `Host` without its port and brackets.
fn bare(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

fn token(path: &Path) -> Result<Token, TokenError> {
    let unreadable =
        |error: io::Error| TokenError::Unreadable { path: path.to_owned(), problem: error.to_string() };
    // A pipe must not hold us up.
    let open = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = open.map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(unreadable(io::Error::other("it is no file")));
    }
    if about.mode() & 0o027 != 0 {
        return Err(TokenError::Open { path: path.to_owned(), mode: about.mode() & 0o7777 });
    }
    let (uid, own) = (about.uid(), nix::unistd::geteuid().as_raw());
    if uid != 0 && uid != own {
        return Err(TokenError::Foreign { path: path.to_owned(), uid });
    }
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    let text = text.trim();
    let good = text.len() >= SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic());
    if read.is_err() || !good {
        return Err(TokenError::NoToken { path: path.to_owned() });
    }
    Ok(Token::of(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::control::routes::route;

    fn gate(token: Option<&str>, allow: &[&str]) -> Gate {
        let allow: Vec<Prefix> = allow.iter().map(|text| text.parse().unwrap()).collect();
        let trusts_loopback = token.is_none() && allow.is_empty();
        let names = vec!["director-1.example.net".to_owned(), "director-1".to_owned()];
        Gate { token: token.map(Token::of), allow, trusts_loopback, names }
    }

    #[test]
    fn addresses() {
        let open = gate(Some("x"), &[]);
        let some = gate(None, &["192.0.2.0/24", "2001:db8::/32"]);
        let none = gate(None, &[]);
        for (from, wanted) in [
            ("192.0.2.9", [true, true, false]),
            ("::ffff:192.0.2.9", [true, true, false]),
            ("192.0.3.9", [true, false, false]),
            ("2001:db8::9", [true, true, false]),
            ("127.0.0.1", [true, false, true]),
            ("::1", [true, false, true]),
        ] {
            let from: IpAddr = from.parse().unwrap();
            assert_eq!([&open, &some, &none].map(|gate| gate.lets_in(from)), wanted, "{from}");
        }
    }

    #[test]
    fn requests() {
        let secret = "0123456789abcdef";
        let (guarded, plain) = (gate(Some(secret), &[]), gate(None, &[]));
        let status = |gate: &Gate, target: &str, authorization: Option<&str>, host: &str| {
            let request = route("GET", target, b"").unwrap();
            gate.judge(&request, authorization, Some(host)).map_or_else(|failure| failure.status, |()| 200)
        };
        let bearer = format!("bearer  {secret}");
        for (target, authorization, wanted) in [
            ("/", None, 200),
            ("/metrics", None, 401),
            ("/metrics", Some(bearer.as_str()), 200),
            ("/v1/events", Some("Bearer 0123456789abcdeF"), 401),
            ("/v1/events", Some("Bearer 0123456789abcde"), 401),
            ("/v1/events", Some("Basic 0123456789abcdef"), 401),
            ("/v1/events", Some(""), 401),
            ("/v1/overrides", Some(bearer.as_str()), 403),
            ("/v1/real-servers", Some(bearer.as_str()), 403),
        ] {
            assert_eq!(
                status(&guarded, target, authorization, "anything"),
                wanted,
                "{target} {authorization:?}"
            );
        }
        for (host, wanted) in [
            ("127.0.0.1:9650", 200),
            ("[::1]:9650", 200),
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("director-1:9650", 200),
            ("Director-1.example.net:9650", 200),
            ("director-1.evil.example:9650", 403),
            ("evil.example:9650", 403),
            ("evil:9650", 403),
            ("", 403),
        ] {
            // A list of addresses keeps no page out of the browsers there; a token does.
            for gate in [&plain, &gate(None, &["192.0.2.0/24"])] {
                assert_eq!(status(gate, "/metrics", None, host), wanted, "{host}");
            }
            assert_eq!(status(&guarded, "/metrics", Some(&bearer), host), 200, "{host}");
        }
        let metrics = route("GET", "/metrics", b"").unwrap();
        assert!(gate(None, &["192.0.2.0/24"]).judge(&metrics, None, None).is_ok(), "no browser");
        let change = route("POST", "/v1/real-servers/-/10.0.0.1:80/drain", b"").unwrap();
        assert_eq!(guarded.judge(&change, Some(&bearer), None).unwrap_err().status, 403);
    }

    #[test]
    fn names_that_lead_to_the_socket() {
        for (host, wanted) in [
            (None, true),
            (Some(""), true),
            (Some("tandem"), true),
            (Some("unix:80"), true),
            (Some("localhost:9650"), true),
            (Some("127.0.0.1:9650"), true),
            (Some("[::1]:9650"), true),
            (Some("evil.example"), false),
            (Some("evil.example:9650"), false),
            (Some("localhost.evil.example:9650"), false),
            (Some("127.0.0.1.evil.example"), false),
            (Some("evil.example."), false),
            (Some("é"), false),
        ] {
            assert_eq!(judge_local(host).is_ok(), wanted, "{host:?}");
        }
    }

    #[test]
    fn token_files() {
        let place = std::env::temp_dir().join(format!("tandem-token-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let path = place.join("token");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            token(&path)
        };
        assert!(matches!(token(&path), Err(TokenError::Unreadable { .. })));
        assert!(write("0123456789abcdef\n", 0o600).is_ok_and(|token| token.is("0123456789abcdef")));
        assert!(write("0123456789abcdef", 0o440).is_ok());
        assert!(matches!(write("0123456789abcdef", 0o644), Err(TokenError::Open { mode: 0o644, .. })));
        assert!(matches!(write("0123456789abcdef", 0o620), Err(TokenError::Open { .. })));
        assert!(matches!(write("too short", 0o600), Err(TokenError::NoToken { .. })));
        assert!(matches!(write("two words that are long", 0o600), Err(TokenError::NoToken { .. })));
        assert!(matches!(write("", 0o600), Err(TokenError::NoToken { .. })));
        assert!(matches!(token(&place), Err(TokenError::Unreadable { .. })));
        fs::remove_dir_all(&place).unwrap();
    }
}
