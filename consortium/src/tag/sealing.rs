//! Sealing a tag key to one member: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20-Poly1305. Alliance, version and member are bound, so that no sealed key opens as another's or another one.

use super::keyed::TagKey;
use super::random::Random;
use crate::error::{Error, ErrorKind, Result};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a sealed key: the sender's ephemeral public key (32), the encrypted key (32), the seal (16).
pub const SEALED_BYTES: usize = 80;

/// What the context of every sealed key begins with; the alliance's name follows.
const INFO: &str = "interdict/sealed-tag-key/v1\n";

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// Which key, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addressed<'a> {
    /// The alliance's name.
    pub alliance: &'a str,
    /// The member's name.
    pub member: &'a str,
    /// The key's version.
    pub version: u32,
}

impl Addressed<'_> {
    fn info(&self) -> Vec<u8> {
        format!("{INFO}{}", self.alliance).into_bytes()
    }
    fn aad(&self) -> Vec<u8> {
        [&self.version.to_be_bytes()[..], self.member.as_bytes()].concat()
    }
}

/// A member's X25519 key, to which tag keys are sealed; shows nothing, wiped when dropped.
#[derive(Clone)]
pub struct OpeningKey {
    secret: PrivateKey,
}

impl OpeningKey {
    /// A key from 32 random bytes (clamped as RFC 7748 says).
    pub fn from_bytes(bytes: &[u8; 32]) -> OpeningKey {
        let secret = PrivateKey::from_bytes(bytes).expect("any 32 bytes are a key of X25519");
        OpeningKey { secret }
    }
    /// The public half: what the member's record says.
    pub fn public(&self) -> [u8; 32] {
        X25519HkdfSha256::sk_to_pk(&self.secret).to_bytes().into()
    }
    /// The 32 bytes, to be kept; wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes().into())
    }
    /// Opens what was sealed to this key; `commitment` is what the tag key's record says of it, so that no two members
    /// can be given different keys unseen.
    ///
    /// # Errors
    /// `Malformed` for another length; `Corrupt` where it was sealed to another key, member, version or alliance, was
    /// changed, or is not the key that was committed to.
    pub fn open(&self, sealed: &[u8], to: &Addressed<'_>, commitment: &[u8; 32]) -> Result<TagKey> {
        let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("sealed tag key: {what}"));
        if sealed.len() != SEALED_BYTES {
            let message = format!("sealed tag key of {} bytes: expected {SEALED_BYTES}", sealed.len());
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        let (encapped, sealed) = sealed.split_at(32);
        let encapped = EncappedKey::from_bytes(encapped).expect("any 32 bytes are a key of X25519");
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.secret,
            &encapped,
            &to.info(),
            sealed,
            &to.aad(),
        );
        let not_ours =
            |_| corrupt("does not open: sealed to another key, member, version or alliance, or changed");
        let opened = opened.map(Zeroizing::new).map_err(not_ours)?;
        let bytes = opened.as_slice().try_into().map_err(|_| corrupt("does not hold 32 bytes"))?;
        let key = TagKey::new(to.version, bytes);
        if key.commitment() == *commitment {
            Ok(key)
        } else {
            Err(corrupt("is not the key that its record commits to"))
        }
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(…)")
    }
}

/// Seals a tag key to a member's public key (X25519).
///
/// # Errors
/// `Invalid` for a public key that is none (of small order).
pub fn seal(
    key: &TagKey,
    alliance: &str,
    member: &str,
    public: &[u8; 32],
    random: &mut Random<'_>,
) -> Result<[u8; SEALED_BYTES]> {
    let to = Addressed { alliance, member, version: key.version() };
    let receiver = PublicKey::from_bytes(public).expect("any 32 bytes are a key of X25519");
    let (encapped, sealed) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256, _>(
        &OpModeS::Base,
        &receiver,
        &to.info(),
        key.bytes(),
        &to.aad(),
        random,
    )
    .map_err(|_| Error::new(ErrorKind::Invalid, format!("the sealing key of {member:?} is no X25519 key")))?;
    let mut out = [0; SEALED_BYTES];
    out[..32].copy_from_slice(&encapped.to_bytes());
    out[32..].copy_from_slice(&sealed);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TO: Addressed<'_> =
        Addressed { alliance: "alliance.example", member: "bank-a.example", version: 3 };

    fn sealed() -> (TagKey, OpeningKey, [u8; SEALED_BYTES]) {
        let (key, opening) = (TagKey::new(3, &[5; 32]), OpeningKey::from_bytes(&[9; 32]));
        let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).unwrap();
        let random = &mut Random::new(&mut fill);
        let sealed = seal(&key, TO.alliance, TO.member, &opening.public(), random).unwrap();
        (key, opening, sealed)
    }

    #[test]
    fn a_sealed_key_opens_for_its_member_only() {
        let (key, opening, sealed) = sealed();
        let commitment = key.commitment();
        let opened = opening.open(&sealed, &TO, &commitment).unwrap();
        assert_eq!((opened.bytes(), opened.version()), (key.bytes(), 3));

        let refused = |opening: &OpeningKey, to: Addressed<'_>, commitment: &[u8; 32]| {
            assert_eq!(
                opening.open(&sealed, &to, commitment).unwrap_err().kind,
                ErrorKind::Corrupt,
                "{to:?}"
            );
        };
        refused(&opening, Addressed { member: "bank-b.example", ..TO }, &commitment);
        refused(&opening, Addressed { version: 4, ..TO }, &TagKey::new(4, key.bytes()).commitment());
        refused(&opening, Addressed { alliance: "other.example", ..TO }, &commitment);
        refused(&OpeningKey::from_bytes(&[10; 32]), TO, &commitment);
        // Sealed well, and not the key that everybody else was given.
        refused(&opening, TO, &TagKey::new(3, &[6; 32]).commitment());
        // The border between alliance and member cannot be moved.
        refused(
            &opening,
            Addressed { alliance: "alliance.exampleb", member: "ank-a.example", ..TO },
            &commitment,
        );
    }

    #[test]
    fn one_flipped_bit_is_refused_and_so_is_another_length() {
        let (key, opening, sealed) = sealed();
        // The last bit of an X25519 key is ignored by RFC 7748, but not by HPKE, which hashes the key as it came.
        for bit in 0..SEALED_BYTES * 8 {
            let mut changed = sealed;
            changed[bit / 8] ^= 1 << (bit % 8);
            let refused = opening.open(&changed, &TO, &key.commitment()).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Corrupt, "bit {bit}");
        }
        for length in [0, 31, 32, SEALED_BYTES - 1] {
            let refused = opening.open(&sealed[..length], &TO, &key.commitment()).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Malformed, "{length}");
        }
    }

    #[test]
    fn a_public_key_that_is_none_is_refused_and_keys_show_nothing() {
        let mut fill = |bytes: &mut [u8]| bytes.fill(1);
        let refused = seal(&TagKey::new(1, &[5; 32]), "a", "b", &[0; 32], &mut Random::new(&mut fill));
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
        let key = OpeningKey::from_bytes(&[9; 32]);
        assert_eq!(format!("{key:?}"), "OpeningKey(…)");
        assert_eq!(OpeningKey::from_bytes(&key.to_bytes()).public(), key.public());
    }
}
