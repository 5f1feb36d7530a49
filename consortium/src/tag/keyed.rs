//! The keyed tag: the first 128 bits of HMAC-SHA-256 over kind and identifier, under a key that all members hold. It is
//! worthless to whoever has only the file, and no secret among members, who can try identifiers (0.2 µs each).

use crate::error::{Error, ErrorKind, Result};
use crate::kind::Kind;
use crate::limits::CANONICAL_BYTES_MAX;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// What a commitment's hash begins with, so that it is the hash of nothing else.
const COMMITMENT: &[u8] = b"interdict/tag-key-commitment/v1\n";

/// A key that tags are made under, with its version. Shows nothing; wiped when dropped, its hashed state too.
#[derive(Clone)]
pub struct TagKey {
    version: u32,
    bytes: Zeroizing<[u8; 32]>,
    /// The hash after the key's block, so that a tag costs two blocks and not four.
    keyed: Hmac<Sha256>,
}

impl TagKey {
    /// A key of 32 random bytes, and its version: 1, and one more at each rotation.
    pub fn new(version: u32, bytes: &[u8; 32]) -> TagKey {
        let keyed = Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length");
        TagKey { version, bytes: Zeroizing::new(*bytes), keyed }
    }
    /// The version.
    pub fn version(&self) -> u32 {
        self.version
    }
    /// The 32 bytes: to be sealed to a member, or handed to the engine's tagging.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
    /// The tag of an identifier in its canonical spelling: the first 128 bits, big endian, of
    /// HMAC-SHA-256(key, kind ‖ canonical).
    pub fn tag(&self, kind: Kind, canonical: &str) -> u128 {
        let mut mac = self.keyed.clone();
        mac.update(&[kind as u8]);
        mac.update(canonical.as_bytes());
        let bytes = mac.finalize().into_bytes();
        u128::from_be_bytes(bytes[..16].try_into().expect("SHA-256 gives 32 bytes"))
    }
    /// What a record says of the key before anybody may see it: SHA-256 of a fixed text, the version and the key, which
    /// is random, so that nothing can be tried against it.
    pub fn commitment(&self) -> [u8; 32] {
        let hash = Sha256::new().chain_update(COMMITMENT).chain_update(self.version.to_be_bytes());
        hash.chain_update(self.bytes.as_slice()).finalize().into()
    }
}

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagKey(version {}, …)", self.version)
    }
}

/// Checks that an identifier may be tagged. What its canonical spelling is, `docs/formats/tags.md` says.
///
/// # Errors
/// `Invalid` for an empty one, `TooLarge` past `CANONICAL_BYTES_MAX`; never quotes it.
pub fn check_canonical(kind: Kind, canonical: &str) -> Result<()> {
    match canonical.len() {
        0 => Err(Error::new(ErrorKind::Invalid, format!("an empty {kind} cannot be tagged"))),
        1..=CANONICAL_BYTES_MAX => Ok(()),
        bytes => {
            let message = format!("a {kind} of {bytes} bytes, limit {CANONICAL_BYTES_MAX}");
            Err(Error::new(ErrorKind::TooLarge, message))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tags_are_hmac_sha_256_of_kind_and_identifier() {
        let key = TagKey::new(3, &[7; 32]);
        // printf "\x004111111111111111" | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…, the first half.
        assert_eq!(key.tag(Kind::Card, "4111111111111111"), EXPECTED);
        assert_ne!(key.tag(Kind::Account, "4111111111111111"), EXPECTED);
        assert_ne!(TagKey::new(3, &[8; 32]).tag(Kind::Card, "4111111111111111"), EXPECTED);
    }
    const EXPECTED: u128 = 0x761e_3aea_2c21_fe4d_12d6_3dfd_06b1_4d68;

    #[test]
    fn a_commitment_is_of_one_key_and_version() {
        let all =
            [(1, [7; 32]), (2, [7; 32]), (1, [8; 32])].map(|(v, key)| TagKey::new(v, &key).commitment());
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
        assert_eq!(all[0], TagKey::new(1, &[7; 32]).commitment());
    }

    #[test]
    fn a_key_and_a_refusal_show_nothing() {
        assert_eq!(format!("{:?}", TagKey::new(3, &[7; 32])), "TagKey(version 3, …)");
        let long = "4111111111111111".repeat(100);
        let refused = check_canonical(Kind::Card, &long).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::TooLarge);
        assert!(!refused.to_string().contains("4111"), "{refused}");
        assert_eq!(check_canonical(Kind::Email, "").unwrap_err().kind, ErrorKind::Invalid);
    }
}
