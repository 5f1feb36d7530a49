//! Ed25519 keys by name, in the spelling of Go's `sumdb/note` (C2SP signed-note, "Verifier keys"): a verifier key is
//! `name+id+base64(type ‖ public key)`, a signer's `PRIVATE+KEY+name+id+base64(type ‖ seed)`.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::KEY_NAME_BYTES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// What a key signs, and so how: the signature type byte of C2SP signed-note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// The text of a note as it is (0x01).
    Ed25519 = 0x01,
    /// A checkpoint together with the time at which it was seen: a witness's cosignature (0x04, C2SP tlog-cosignature).
    Cosignature = 0x04,
}

impl KeyType {
    fn of(byte: u8) -> Result<KeyType> {
        match byte {
            0x01 => Ok(KeyType::Ed25519),
            0x04 => Ok(KeyType::Cosignature),
            other => Err(Error::new(
                ErrorKind::Version,
                format!(
                    "key type {other:#04x} is not known here: expected 0x01 (Ed25519) or 0x04 (cosignature)"
                ),
            )),
        }
    }
}

/// Checks a key's name: not empty, no `+`, no white space (C2SP signed-note).
///
/// # Errors
/// `Malformed`; `TooLarge` past `KEY_NAME_BYTES_MAX`.
pub fn check_name(name: &str) -> Result<()> {
    if name.len() > KEY_NAME_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("a key name of {} bytes, limit {KEY_NAME_BYTES_MAX}", name.len()),
        ));
    }
    if name.is_empty() || name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control()) {
        return Err(Error::new(
            ErrorKind::Malformed,
            "a key name is not empty and has no \"+\", white space or control characters",
        ));
    }
    Ok(())
}

/// The id of a key: the first four bytes of SHA-256 of name, newline, type and public key.
fn id_of(name: &str, ty: KeyType, public: &[u8; 32]) -> u32 {
    let hash =
        Sha256::new().chain_update(name).chain_update([b'\n', ty as u8]).chain_update(public).finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

/// A public key under a name.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: Box<str>,
    id: u32,
    ty: KeyType,
    public: VerifyingKey,
}

impl VerifierKey {
    /// A key from its raw bytes.
    ///
    /// # Errors
    /// `Malformed` for a name or 32 bytes that are none.
    pub fn new(name: &str, ty: KeyType, public: &[u8; 32]) -> Result<VerifierKey> {
        check_name(name)?;
        let refused =
            |_| Error::new(ErrorKind::Malformed, format!("the public key of {name:?} is no Ed25519 key"));
        let key = VerifyingKey::from_bytes(public).map_err(refused)?;
        if key.is_weak() {
            let message =
                format!("the public key of {name:?} is of small order: anything would verify under it");
            return Err(Error::new(ErrorKind::Malformed, message));
        }
        Ok(VerifierKey { name: name.into(), id: id_of(name, ty, public), ty, public: key })
    }
    /// Reads `name+id+base64`.
    ///
    /// # Errors
    /// `Malformed`, `Version` for another type of key, `Corrupt` where the id is not that of the key.
    pub fn parse(text: &str) -> Result<VerifierKey> {
        let malformed = |what: &str| Error::new(ErrorKind::Malformed, format!("a verifier key: {what}"));
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("expected \"name+id+base64\""));
        };
        check_name(name)?;
        let id = read_id(id).ok_or_else(|| malformed("expected an id of eight hex digits"))?;
        let bytes = STANDARD.decode(data).map_err(|_| malformed("the part after the id is not base64"))?;
        let (ty, public) = bytes.split_first().ok_or_else(|| malformed("the part after the id is empty"))?;
        let ty = KeyType::of(*ty)?;
        let public = public.try_into().map_err(|_| malformed("expected 32 bytes of key after the type"))?;
        let key = VerifierKey::new(name, ty, public)?;
        if key.id != id {
            let message = format!("the verifier key of {name:?} says id {id:08x} and has {:08x}", key.id);
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(key)
    }
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The id that signature lines carry.
    pub fn id(&self) -> u32 {
        self.id
    }
    /// What it signs.
    pub fn key_type(&self) -> KeyType {
        self.ty
    }
    /// The 32 bytes.
    pub fn public(&self) -> &[u8; 32] {
        self.public.as_bytes()
    }
    /// Whether a signature over bytes is this key's; strict (RFC 8032 with canonical encodings, no small orders), so
    /// that two verifiers cannot disagree.
    pub fn is_signed(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.public.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
    /// The same public key under another type: the witness key of somebody who signs notes too.
    #[must_use]
    pub fn as_type(&self, ty: KeyType) -> VerifierKey {
        let id = id_of(&self.name, ty, self.public());
        VerifierKey { name: self.name.clone(), id, ty, public: self.public }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut data = vec![self.ty as u8];
        data.extend_from_slice(self.public());
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(data))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// A private key under a name; shows nothing of it.
#[derive(Clone)]
pub struct SignerKey {
    verifier: VerifierKey,
    secret: SigningKey,
}

impl SignerKey {
    /// A key from 32 random bytes, which are whose who calls to draw.
    ///
    /// # Errors
    /// As [`check_name`].
    pub fn from_seed(name: &str, ty: KeyType, seed: &[u8; 32]) -> Result<SignerKey> {
        let secret = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, ty, secret.verifying_key().as_bytes())?;
        Ok(SignerKey { verifier, secret })
    }
    /// Reads `PRIVATE+KEY+name+id+base64`.
    ///
    /// # Errors
    /// As [`VerifierKey::parse`]; never quotes the text.
    pub fn parse(text: &str) -> Result<SignerKey> {
        let malformed = |what: &str| Error::new(ErrorKind::Malformed, format!("a private key: {what}"));
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+");
        let mut parts = rest.ok_or_else(|| malformed("expected \"PRIVATE+KEY+\" first"))?.splitn(3, '+');
        let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("expected \"PRIVATE+KEY+name+id+base64\""));
        };
        let id = read_id(id).ok_or_else(|| malformed("expected an id of eight hex digits"))?;
        let bytes = STANDARD.decode(data).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| malformed("the part after the id is not base64"))?;
        let (ty, seed) = bytes.split_first().ok_or_else(|| malformed("the part after the id is empty"))?;
        let seed = seed.try_into().map_err(|_| malformed("expected 32 bytes of key after the type"))?;
        let key = SignerKey::from_seed(name, KeyType::of(*ty)?, seed)?;
        if key.verifier.id != id {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("the private key of {name:?} says another id"),
            ));
        }
        Ok(key)
    }
    /// The text that [`SignerKey::parse`] reads; wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut data = Zeroizing::new(vec![self.verifier.ty as u8]);
        data.extend_from_slice(&*Zeroizing::new(self.secret.to_bytes()));
        let data = Zeroizing::new(STANDARD.encode(&*data));
        Zeroizing::new(format!("PRIVATE+KEY+{}+{:08x}+{}", self.verifier.name, self.verifier.id, *data))
    }
    /// Its public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
    /// Signs bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.secret.sign(message).to_bytes()
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({:?}, {:08x})", self.verifier.name, self.verifier.id)
    }
}

fn read_id(text: &str) -> Option<u32> {
    let is_hex = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    u32::from_str_radix(text, 16).ok().filter(|_| is_hex)
}
