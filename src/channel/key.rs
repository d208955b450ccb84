//! The key of a pair: a file with one line, the same on both directors, for nobody else's eyes.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hmac::digest::Key as Block;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// Shortest key, letters: `openssl rand -hex 32` makes 64.
pub const SHORTEST: usize = 32;
/// Longest file of a key, bytes.
const LONGEST: u64 = 4096;
/// Digits of a digest: 64 bits, which no two objects of one pair share by chance.
const DIGITS: usize = 16;

/// Why a key cannot be used. The channel is closed then. No text has anything of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("pair_key_file {path}: {problem}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// Others may read or write it.
    #[error(
        "pair_key_file {path} has mode {mode:04o}: others may read or change it; chmod 600 (or 640) {path}"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("pair_key_file {path} belongs to user {uid}, who is neither root nor this daemon's: chown it")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// It has no key that is good enough.
    #[error(
        "pair_key_file {path} has no key: one line of at least {SHORTEST} letters, digits and signs without blanks \
         (openssl rand -hex 32)"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// What is made of the key: one part for messages, one for digests. The text itself is kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    messages: [u8; 32],
    digests: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(XXXXXX)")
    }
}

impl Keys {
    /// Those of a key's text.
    pub fn of(text: &str) -> Self {
        let whole: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let part = |name: &[u8]| hmac(&whole, &[name]).finalize().into_bytes().into();
        Self { messages: part(b"tandem pair 1 messages"), digests: part(b"tandem pair 1 digests") }
    }

    /// Reads the file; blocks as files do.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable =
            |error: io::Error| KeyError::Unreadable { path: path.to_owned(), problem: error.to_string() };
        // A pipe must not hold us up.
        let open =
            fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
        let file = open.map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(unreadable(io::Error::other("it is no file")));
        }
        if about.mode() & 0o027 != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode: about.mode() & 0o7777 });
        }
        let (uid, own) = (about.uid(), nix::unistd::geteuid().as_raw());
        if uid != 0 && uid != own {
            return Err(KeyError::Foreign { path: path.to_owned(), uid });
        }
        let mut text = String::new();
        let read = file.take(LONGEST).read_to_string(&mut text);
        let text = text.trim();
        if read.is_err() || text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::NoKey { path: path.to_owned() });
        }
        Ok(Self::of(text))
    }

    /// What is to be signed of a message, in its parts.
    pub(super) fn message(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        hmac(&self.messages, parts)
    }

    /// A digest that whoever has not the key can neither make nor guess the origin of.
    pub fn digest(&self, bytes: &[u8]) -> String {
        let digest = hmac(&self.digests, &[bytes]).finalize().into_bytes();
        let mut text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        text.truncate(DIGITS);
        text
    }
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> Hmac<Sha256> {
    // RFC 2104: a key that is shorter than a block is filled up with zeros.
    let mut block = Block::<Hmac<Sha256>>::default();
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new(&block);
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files() {
        let place = std::env::temp_dir().join(format!("tandem-pair-key-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let path = place.join("key");
        let text = "0123456789abcdef0123456789abcdef";
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Keys::read(&path)
        };
        assert!(matches!(Keys::read(&path), Err(KeyError::Unreadable { .. })));
        assert_eq!(write(&format!("{text}\n"), 0o600), Ok(Keys::of(text)));
        assert_eq!(write(text, 0o440), Ok(Keys::of(text)));
        for mode in [0o644, 0o604, 0o620, 0o602, 0o601] {
            assert!(matches!(write(text, mode), Err(KeyError::Open { .. })), "{mode:o}");
        }
        for bad in ["", "too short", "0123456789abcdef 0123456789abcdef", "0123456789abcdef0123456789abcde"] {
            assert!(matches!(write(bad, 0o600), Err(KeyError::NoKey { .. })), "{bad}");
        }
        assert!(matches!(Keys::read(&place), Err(KeyError::Unreadable { .. })));
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn digests_are_of_the_key_and_of_the_bytes() {
        let (one, other) = (Keys::of("one"), Keys::of("other"));
        assert_eq!(one.digest(b"x").len(), DIGITS);
        assert_eq!(one.digest(b"x"), Keys::of("one").digest(b"x"));
        assert_ne!(one.digest(b"x"), one.digest(b"y"));
        assert_ne!(one.digest(b"x"), other.digest(b"x"));
        assert_eq!(format!("{one:?}"), "Keys(XXXXXX)");
    }
}
