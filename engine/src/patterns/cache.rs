//! Compiled databases kept between starts: ten thousand patterns take 15 s to compile and 3 ms to load. Hyperscan runs
//! what it loads unchecked, so nothing is loaded whose own SHA-256 does not match.

use super::ffi::{Database, Expression};
use sha2::{Digest, Sha256};

/// Where compiled databases are kept. Whoever implements it opens the files; losing what was put is harmless.
pub trait DatabaseCache {
    /// The bytes put under a key, as they are now (their damage is noticed here).
    fn get(&self, key: &str) -> Option<Vec<u8>>;
    /// Keeps bytes under a key: 64 lower-case hex digits.
    fn put(&self, key: &str, bytes: &[u8]);
}

const MAGIC: &[u8; 8] = b"idpatdb1";
const HEAD: usize = 8 + 32 + 32;

/// The key of expressions: everything that makes the database what it is.
pub(super) fn key(expressions: &[Expression], platform: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(MAGIC);
    hash.update(platform.as_bytes());
    for expression in expressions {
        hash.update(b"\n");
        hash.update(expression.key().as_bytes());
    }
    hash.finalize().into()
}

/// The name a key is kept under.
pub(super) fn name(key: &[u8; 32]) -> String {
    crate::generation::hex(key)
}

/// Bytes to be kept: magic, key, checksum of the body, body.
pub(super) fn seal(key: &[u8; 32], body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD + body.len());
    sealed.extend_from_slice(MAGIC);
    sealed.extend_from_slice(key);
    sealed.extend_from_slice(&Sha256::digest(body));
    sealed.extend_from_slice(body);
    sealed
}

/// The database of kept bytes; `None` when they are damaged or another key's.
pub(super) fn open(key: &[u8; 32], bytes: &[u8]) -> Option<Database> {
    let (head, body) = bytes.split_at_checked(HEAD)?;
    let sound = head[..8] == *MAGIC && head[8..40] == *key && head[40..] == *Sha256::digest(body);
    if sound { Database::deserialize(body) } else { None }
}
