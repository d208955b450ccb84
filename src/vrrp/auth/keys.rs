//! The keys of `auth_hmac`: where each secret comes from, and which one signs.
//!
//! | written | secret |
//! | --- | --- |
//! | `hex:0a1b…` | the bytes that the digits say |
//! | `file:PATH` | the file's bytes without the line end behind the last line; `hex:…` is read as above |
//! | `cred:NAME` | the same of the systemd credential NAME (`LoadCredential=`, `LoadCredentialEncrypted=`, `SetCredential=` of the unit), a file of `$CREDENTIALS_DIRECTORY` |
//! | anything else | its own bytes |
//!
//! A secret has 32 to 64 bytes. Files are read when the configuration is: a changed key is taken by a reload. No
//! secret is in any message, `Debug` or status of this program.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::model::{AuthHmac, HmacKey};

/// Least length of a secret, in bytes.
pub const MIN: usize = 32;
/// Greatest length of a secret, in bytes: one block of SHA-256.
pub const MAX: usize = 64;

/// One key. Its `Debug` shows the number alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: u8,
    secret: [u8; MAX],
}

impl Key {
    /// From the secret's bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`] when they are too few or too many.
    pub fn new(id: u8, secret: &[u8]) -> Result<Self, KeyError> {
        if !(MIN..=MAX).contains(&secret.len()) {
            return Err(KeyError::Length { id, found: secret.len() });
        }
        let mut block = [0; MAX];
        for (to, from) in block.iter_mut().zip(secret) {
            *to = *from;
        }
        Ok(Self { id, secret: block })
    }

    /// Its number, 1..=255.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// The secret as one block of the digest, filled up with zeros (RFC 2104 section 2).
    pub(super) fn block(&self) -> &[u8; MAX] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, XXXXXX)", self.id)
    }
}

/// The keys of an instance: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRing {
    active: Key,
    others: Vec<Key>,
}

/// Why there are no keys. The texts name no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// None is configured.
    #[error("auth_hmac has no key: write `key 1 hex:` and 64 digits, the same on all directors")]
    None,
    /// A number that is no key's.
    #[error("active_key {id} is none of the keys of auth_hmac: add that key, or name another one")]
    Active {
        /// The number.
        id: u8,
    },
    /// Something that is no pair of hexadecimal digits.
    #[error(
        "key {id} of auth_hmac: `hex:` is followed by something that is no even number of hexadecimal digits"
    )]
    NotHex {
        /// Its number.
        id: u8,
    },
    /// Too short or too long.
    #[error(
        "key {id} of auth_hmac has {found} bytes: {MIN} to {MAX} are needed (`openssl rand -hex 32` makes 32)"
    )]
    Length {
        /// Its number.
        id: u8,
        /// Bytes there are.
        found: usize,
    },
    /// The file cannot be read.
    #[error("key {id} of auth_hmac: {}: {reason}: see that it is there and that this program may read it", path.display())]
    Unreadable {
        /// Its number.
        id: u8,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Not started by systemd, or the unit has no credentials.
    #[error(
        "key {id} of auth_hmac is the credential {name}, but there are no credentials ($CREDENTIALS_DIRECTORY is not \
         set): write `LoadCredential={name}:PATH` into the unit, or use file:PATH"
    )]
    NoCredentials {
        /// Its number.
        id: u8,
        /// Name of the credential.
        name: String,
    },
    /// A name with a slash, or none.
    #[error(
        "key {id} of auth_hmac: `cred:` is followed by no name of a credential (a file name without a slash)"
    )]
    CredentialName {
        /// Its number.
        id: u8,
    },
}

/// Reads whole files: given by whoever may touch the disk.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

impl KeyRing {
    /// One key, which signs, and others that are only recognised.
    pub fn new(active: Key, others: Vec<Key>) -> Self {
        Self { active, others }
    }

    /// The keys of a configuration. `credentials` is `$CREDENTIALS_DIRECTORY`.
    ///
    /// # Errors
    /// The first key that cannot be had, or that there is none.
    pub fn load(config: &AuthHmac, credentials: Option<&Path>, read: ReadFile<'_>) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for key in &config.key {
            keys.push(Key::new(key.id, &secret(key, credentials, read)?)?);
        }
        let at = match config.active_key {
            None if keys.is_empty() => return Err(KeyError::None),
            None => 0,
            Some(id) => keys.iter().position(|key| key.id == id).ok_or(KeyError::Active { id })?,
        };
        let active = keys.remove(at);
        Ok(Self { active, others: keys })
    }

    /// The key that signs.
    pub fn active(&self) -> &Key {
        &self.active
    }

    /// The key of a number.
    pub fn get(&self, id: u8) -> Option<&Key> {
        std::iter::once(&self.active).chain(&self.others).find(|key| key.id == id)
    }
}

/// The secret's bytes.
fn secret(key: &HmacKey, credentials: Option<&Path>, read: ReadFile<'_>) -> Result<Vec<u8>, KeyError> {
    let (id, text) = (key.id, key.secret.0.as_str());
    let path = if let Some(path) = text.strip_prefix("file:") {
        PathBuf::from(path)
    } else if let Some(name) = text.strip_prefix("cred:") {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(KeyError::CredentialName { id });
        }
        let none = || KeyError::NoCredentials { id, name: name.to_owned() };
        credentials.ok_or_else(none)?.join(name)
    } else {
        return literal(id, text.as_bytes());
    };
    let bytes = read(&path).map_err(|error| KeyError::Unreadable {
        id,
        path: path.clone(),
        reason: error.to_string(),
    })?;
    // Editors and `echo` end the last line.
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    literal(id, bytes.strip_suffix(b"\r").unwrap_or(bytes))
}

/// `hex:…`, or the bytes themselves.
fn literal(id: u8, bytes: &[u8]) -> Result<Vec<u8>, KeyError> {
    let Some(digits) = bytes.strip_prefix(b"hex:") else { return Ok(bytes.to_vec()) };
    let (pairs, odd) = digits.as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let byte = |[high, low]: &[u8; 2]| Some(value(*high)? << 4 | value(*low)?);
    let secret: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    secret.filter(|_| odd.is_empty()).ok_or(KeyError::NotHex { id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Secret;

    const TEXT: &str = "this is a text of thirty-two byt";

    fn config(keys: &[(u8, &str)], active_key: Option<u8>) -> AuthHmac {
        let key =
            keys.iter().map(|(id, text)| HmacKey { id: *id, secret: Secret((*text).to_owned()) }).collect();
        AuthHmac { key, active_key, ..AuthHmac::default() }
    }

    fn read(path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str() {
            Some("/etc/key") | Some("/run/credentials/vrrp") => Ok(format!("{TEXT}\r\n").into_bytes()),
            Some("/etc/hex") => Ok(format!("hex:{}\n", "6F".repeat(32)).into_bytes()),
            Some("/etc/two-lines") => Ok(format!("{TEXT}\n\n").into_bytes()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn load(text: &str) -> Result<Key, KeyError> {
        let ring = KeyRing::load(&config(&[(1, text)], None), Some(Path::new("/run/credentials")), &read);
        ring.map(|ring| ring.active().clone())
    }

    #[test]
    fn where_secrets_come_from() {
        let is = |text: &str, secret: &[u8]| assert_eq!(load(text), Key::new(1, secret), "{text}");
        is(TEXT, TEXT.as_bytes());
        is("file:/etc/key", TEXT.as_bytes());
        is("cred:vrrp", TEXT.as_bytes());
        is("file:/etc/hex", &[0x6f; 32]);
        is(&format!("hex:{}", "0a1B".repeat(32)), &[0x0a, 0x1b].repeat(32));
        is("file:/etc/two-lines", format!("{TEXT}\n").as_bytes());
    }

    #[test]
    fn what_is_no_secret() {
        let error = |text: &str| load(text).unwrap_err();
        assert_eq!(error("short"), KeyError::Length { id: 1, found: 5 });
        assert_eq!(error(&"x".repeat(65)), KeyError::Length { id: 1, found: 65 });
        assert_eq!(error(&format!("hex:{}", "0".repeat(65))), KeyError::NotHex { id: 1 });
        assert_eq!(error(&format!("hex:{}", "g0".repeat(32))), KeyError::NotHex { id: 1 });
        assert!(matches!(error("file:/etc/none"), KeyError::Unreadable { .. }));
        assert!(matches!(error("cred:none"), KeyError::Unreadable { .. }));
        for name in ["cred:", "cred:..", "cred:.", "cred:a/b", "cred:/etc/key"] {
            assert_eq!(error(name), KeyError::CredentialName { id: 1 }, "{name}");
        }
        let without = KeyRing::load(&config(&[(1, "cred:vrrp")], None), None, &read).unwrap_err();
        assert_eq!(without, KeyError::NoCredentials { id: 1, name: "vrrp".to_owned() });
    }

    #[test]
    fn which_key_signs() {
        let two = [(7, TEXT), (9, "file:/etc/hex")];
        let load = |keys, active| KeyRing::load(&config(keys, active), None, &read);
        assert_eq!(load(&two, None).unwrap().active().id(), 7);
        let ring = load(&two, Some(9)).unwrap();
        assert_eq!((ring.active().id(), ring.get(7).map(Key::id), ring.get(8)), (9, Some(7), None));
        assert_eq!(load(&two, Some(8)), Err(KeyError::Active { id: 8 }));
        assert_eq!(load(&[], None), Err(KeyError::None));
        assert_eq!(load(&[], Some(1)), Err(KeyError::Active { id: 1 }));
    }

    #[test]
    fn nothing_shows_a_secret() {
        let ring = KeyRing::load(&config(&[(1, TEXT), (2, "file:/etc/key")], None), None, &read).unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing { active: Key(1, XXXXXX), others: [Key(2, XXXXXX)] }");
        for text in ["my secret", &format!("hex:{}", "zz".repeat(32)), &format!("{TEXT}{TEXT}{TEXT}")] {
            let error = load(text).unwrap_err();
            assert!(!format!("{error:?} {error}").contains(&text[4..]), "{error}");
        }
    }
}
