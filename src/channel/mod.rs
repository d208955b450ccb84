//! The channel between the two directors of a pair: each asks the other now and then whether both are configured alike, and
//! may hand a drain or a weight on. Off unless the file names the peer.
//!
//! One TCP connection carries one request and its answer (`docs/pair.md` has the bytes):
//!
//! ```text
//! who is asked   -> who asks   greeting   version, nonce
//! who asks       -> who is asked   request    version, nonce, length, document, HMAC
//! who is asked   -> who asks   answer     version, length, document, HMAC
//! ```
//!
//! Both HMACs cover the direction and both nonces, that of the answer also the HMAC of the request. So a request that was
//! recorded is refused (the nonce of whoever is asked is a new one each time: that needs no clock and outlives restarts), an
//! answer belongs to one request, and neither can be taken for the other. What comes back to its own author is known by the
//! author's number. Documents are not encrypted: what they say of a configuration are names, and digests that nobody can
//! make without the key; no secret is in them.
//!
//! `seal`, `message`, `judge`, `compare`, `watch` are pure; `key` reads a file; `socket` carries bytes, with a limit on each length and
//! each time; `driver` is a thread of its own that nobody waits for.

pub mod compare;
pub mod driver;
pub mod judge;
pub mod key;
pub mod message;
pub mod seal;
mod socket;
pub mod watch;
