//! The bytes of a greeting, a request and an answer, and their HMACs (HMAC-SHA-256, RFC 2104). Pure: nonces come in as
//! arguments. Nothing is read of a document before its HMAC is right, and no length is believed beyond its limit.

use hmac::Mac as _;

use super::key::Keys;

/// What everything begins with.
const MAGIC: &[u8; 7] = b"TDMPAIR";
/// The version of this protocol.
pub const VERSION: u8 = 1;
/// Bytes that are drawn for one connection and never again.
pub type Nonce = [u8; 32];
/// Bytes of an HMAC.
pub const MAC: usize = 32;
/// Bytes of a greeting.
pub const GREETING: usize = 8 + 32;
/// Bytes of a request before its document.
pub const REQUEST_HEAD: usize = 8 + 32 + 4;
/// Bytes of an answer before its document.
pub const ANSWER_HEAD: usize = 8 + 4;
/// Longest document of a request, bytes.
pub const REQUEST_LIMIT: usize = 16 * 1024;
/// Longest document of an answer, bytes: what ten thousand virtual servers come to, several times over.
pub const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// What is wrong with bytes of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// They are somebody else's.
    #[error("what answers there is no director of a pair")]
    NotAPeer,
    /// They are of a version that is not spoken here.
    #[error("the peer speaks version {0} of the pair's protocol, this director version {VERSION}")]
    Version(u8),
    /// The document would be longer than it may be.
    #[error("a document of {0} bytes is more than is read")]
    TooLong(usize),
    /// It is shorter than it says.
    #[error("the message is cut off")]
    CutOff,
    /// The HMAC is not that of our key, or of this exchange.
    #[error("not authenticated: it is not signed with the key of pair_key_file, or it is a recorded one")]
    NotAuthenticated,
}

/// What an answer is bound to: the nonces of its connection, and the HMAC of the request as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    asked: Nonce,
    asks: Nonce,
    request: [u8; MAC],
}

/// A request as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// What an answer to it is bound to, whoever made it.
    pub bound: Bound,
    /// Its document, if it is the peer's.
    pub document: Result<&'a [u8], Flaw>,
}

/// The greeting of whoever is asked.
pub fn greeting(nonce: &Nonce) -> [u8; GREETING] {
    let mut bytes = [0; GREETING];
    put(&mut bytes, &[MAGIC, &[VERSION], nonce]);
    bytes
}

/// The nonce of a greeting.
///
/// # Errors
/// It is none of ours.
pub fn read_greeting(bytes: &[u8; GREETING]) -> Result<Nonce, Flaw> {
    let (head, nonce) = bytes.split_first_chunk::<8>().ok_or(Flaw::CutOff)?;
    judge_head(head)?;
    nonce.try_into().map_err(|_| Flaw::CutOff)
}

/// A signed request. `asked`: the nonce of the greeting; `asks`: one of our own.
///
/// # Errors
/// The document is longer than whoever is asked would read.
pub fn request(keys: &Keys, asked: &Nonce, asks: &Nonce, document: &[u8]) -> Result<(Vec<u8>, Bound), Flaw> {
    let length = length(document, REQUEST_LIMIT)?;
    let mac: [u8; MAC] = request_mac(keys, asked, asks, document).finalize().into_bytes().into();
    let bytes = [MAGIC.as_slice(), &[VERSION], asks, &length, document, &mac].concat();
    Ok((bytes, Bound { asked: *asked, asks: *asks, request: mac }))
}

/// How many bytes follow the head of a request.
///
/// # Errors
/// It is none of ours, or too long.
pub fn request_rest(head: &[u8; REQUEST_HEAD]) -> Result<usize, Flaw> {
    let (first, rest) = head.split_first_chunk::<8>().ok_or(Flaw::CutOff)?;
    judge_head(first)?;
    following(rest.last_chunk().ok_or(Flaw::CutOff)?, REQUEST_LIMIT)
}

/// Opens a request: its head, and what followed. `asked`: the nonce that we have greeted with.
///
/// # Errors
/// It is none of ours, or cut off. A wrong HMAC is in what it returns: that is answered, too.
pub fn open_request<'a>(
    keys: &Keys,
    asked: &Nonce,
    head: &[u8; REQUEST_HEAD],
    rest: &'a [u8],
) -> Result<Received<'a>, Flaw> {
    let wanted = request_rest(head)?;
    let (document, mac) =
        rest.split_last_chunk::<MAC>().filter(|_| rest.len() == wanted).ok_or(Flaw::CutOff)?;
    let asks: Nonce = head.get(8..40).and_then(|bytes| bytes.try_into().ok()).ok_or(Flaw::CutOff)?;
    // In constant time.
    let sound = request_mac(keys, asked, &asks, document).verify_slice(mac);
    let document = sound.map(|()| document).map_err(|_| Flaw::NotAuthenticated);
    Ok(Received { bound: Bound { asked: *asked, asks, request: *mac }, document })
}

/// A signed answer to one request.
///
/// # Errors
/// The document is longer than whoever asks would read.
pub fn answer(keys: &Keys, to: &Bound, document: &[u8]) -> Result<Vec<u8>, Flaw> {
    let length = length(document, ANSWER_LIMIT)?;
    let mac = answer_mac(keys, to, document).finalize().into_bytes();
    Ok([MAGIC.as_slice(), &[VERSION], &length, document, &mac].concat())
}

/// How many bytes follow the head of an answer.
///
/// # Errors
/// It is none of ours, or too long.
pub fn answer_rest(head: &[u8; ANSWER_HEAD]) -> Result<usize, Flaw> {
    let (first, rest) = head.split_first_chunk::<8>().ok_or(Flaw::CutOff)?;
    judge_head(first)?;
    following(rest.last_chunk().ok_or(Flaw::CutOff)?, ANSWER_LIMIT)
}

/// The document of an answer to our request.
///
/// # Errors
/// It is none of ours, cut off, not signed by the peer, or the answer to another request.
pub fn open_answer<'a>(
    keys: &Keys,
    to: &Bound,
    head: &[u8; ANSWER_HEAD],
    rest: &'a [u8],
) -> Result<&'a [u8], Flaw> {
    let wanted = answer_rest(head)?;
    let (document, mac) =
        rest.split_last_chunk::<MAC>().filter(|_| rest.len() == wanted).ok_or(Flaw::CutOff)?;
    let sound = answer_mac(keys, to, document).verify_slice(mac);
    sound.map(|()| document).map_err(|_| Flaw::NotAuthenticated)
}

fn request_mac(keys: &Keys, asked: &Nonce, asks: &Nonce, document: &[u8]) -> hmac::Hmac<sha2::Sha256> {
    // All parts but the last have one length: no two messages have the same bytes.
    keys.message(&[b"tandem pair request", &[VERSION], asked, asks, document])
}

fn answer_mac(keys: &Keys, to: &Bound, document: &[u8]) -> hmac::Hmac<sha2::Sha256> {
    keys.message(&[b"tandem pair answer ", &[VERSION], &to.asked, &to.asks, &to.request, document])
}

fn judge_head(head: &[u8; 8]) -> Result<(), Flaw> {
    let (magic, version) = head.split_first_chunk::<7>().ok_or(Flaw::CutOff)?;
    match version {
        _ if magic != MAGIC => Err(Flaw::NotAPeer),
        [VERSION] => Ok(()),
        [version] => Err(Flaw::Version(*version)),
        _ => Err(Flaw::CutOff),
    }
}

fn length(document: &[u8], limit: usize) -> Result<[u8; 4], Flaw> {
    let length = Some(document.len()).filter(|length| *length <= limit).and_then(|n| u32::try_from(n).ok());
    length.map(u32::to_be_bytes).ok_or(Flaw::TooLong(document.len()))
}

fn following(length: &[u8; 4], limit: usize) -> Result<usize, Flaw> {
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > limit { Err(Flaw::TooLong(length)) } else { Ok(length + MAC) }
}

fn put(into: &mut [u8], parts: &[&[u8]]) {
    for (to, from) in into.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests;
