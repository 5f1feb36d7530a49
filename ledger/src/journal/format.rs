//! A segment's header and the keys of its sealed parts. docs/formats/journal.md says the same in words; a change
//! here is a new format version.

use super::Durability;
use crate::error::{Error, ErrorKind};
use crate::key::KeyIdent;
use crate::sealing::{DataKey, SLOT_BYTES, Sealing, Slot};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use sha2::{Digest, Sha256};
use std::ops::Range;

/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 240;
/// Where the wrapped data key lies: outside the checksum and the chain, so that zeroing it leaves both whole.
pub(crate) const SLOT: Range<usize> = 180..240;
/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Longest engine version, in bytes.
pub(crate) const ENGINE_BYTES_MAX: usize = 32;

const MAGIC: &[u8; 8] = b"ITDJRNL\n";
const VERSION: u16 = 1;
/// Bytes of a header that its checksum, the chain and the key's wrapping cover; behind them comes what a destroyed key
/// changes.
pub const SUMMED: usize = 176;

/// A segment's header.
#[derive(Clone)]
pub(crate) struct Header {
    pub durability: Durability,
    pub number: u64,
    pub epoch: u64,
    pub created_ms: i64,
    pub first_sequence: u64,
    /// How many bytes of the previous segment count, and its chain hash there; 0 and zeros in the first.
    pub previous_bytes: u64,
    pub previous_chain: [u8; 32],
    pub catalogue: [u8; 32],
    pub engine: String,
    /// The master key that its data key is wrapped under.
    pub key_id: KeyIdent,
    /// Random; seeds the checksum of every frame, so that bytes of elsewhere (a client's text, another segment's
    /// blocks) never pass for a frame of this one.
    pub salt: [u8; 16],
    pub slot: Slot,
}

impl Header {
    /// The bytes that the checksum, the chain and the key's wrapping cover.
    fn summed(&self) -> [u8; SUMMED] {
        let mut out = Vec::with_capacity(SUMMED);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(HEADER_BYTES as u16).to_le_bytes());
        out.extend_from_slice(&u32::from(self.durability == Durability::Disk).to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.created_ms.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&self.previous_bytes.to_le_bytes());
        out.extend_from_slice(&self.previous_chain);
        out.extend_from_slice(&self.catalogue);
        let mut engine = [0; ENGINE_BYTES_MAX];
        engine[..self.engine.len()].copy_from_slice(self.engine.as_bytes());
        out.extend_from_slice(&engine);
        out.extend_from_slice(&self.key_id.0);
        out.extend_from_slice(&self.salt);
        out.try_into().expect("the fields are SUMMED bytes together")
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let summed = self.summed();
        out[..SUMMED].copy_from_slice(&summed);
        out[SUMMED..SLOT.start].copy_from_slice(&crc32c::crc32c(&summed).to_le_bytes());
        out[SLOT].copy_from_slice(&self.slot);
        out
    }

    /// The header of its bytes; the error has no place yet.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Header, Error> {
        let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("segment header: {what}"));
        if &bytes[..8] != MAGIC {
            return Err(corrupt("not a journal segment"));
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            let text = format!("segment header: format version {version}, known: {VERSION}");
            return Err(Error::new(ErrorKind::Version, text));
        }
        let stored = u32::from_le_bytes(take(bytes, SUMMED));
        if crc32c::crc32c(&bytes[..SUMMED]) != stored {
            return Err(corrupt("checksum does not match"));
        }
        if u16::from_le_bytes(take(bytes, 10)) as usize != HEADER_BYTES {
            return Err(corrupt("unknown length"));
        }
        let durability = match u32::from_le_bytes(take(bytes, 12)) {
            0 => Durability::Os,
            1 => Durability::Disk,
            _ => return Err(corrupt("unknown flags")),
        };
        let engine: [u8; ENGINE_BYTES_MAX] = take(bytes, 120);
        let engine = std::str::from_utf8(&engine).map_err(|_| corrupt("engine version is not UTF-8"))?;
        Ok(Header {
            durability,
            number: u64::from_le_bytes(take(bytes, 16)),
            epoch: u64::from_le_bytes(take(bytes, 24)),
            created_ms: i64::from_le_bytes(take(bytes, 32)),
            first_sequence: u64::from_le_bytes(take(bytes, 40)),
            previous_bytes: u64::from_le_bytes(take(bytes, 48)),
            previous_chain: take(bytes, 56),
            catalogue: take(bytes, 88),
            engine: engine.trim_end_matches('\0').to_owned(),
            key_id: KeyIdent(take(bytes, 152)),
            salt: take(bytes, 160),
            slot: take(bytes, SLOT.start),
        })
    }

    /// What the checksum of every frame of this segment starts from.
    pub(crate) fn seed(&self) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c(&self.salt), &self.number.to_le_bytes())
    }
    /// The chain hash before the first batch. The previous segment's hash is among the bytes, so the chain goes on.
    pub(crate) fn chain(&self) -> [u8; 32] {
        Sha256::digest(self.summed()).into()
    }
    /// Whether the data key was destroyed.
    pub(crate) fn is_destroyed(&self) -> bool {
        self.slot == [0; SLOT_BYTES]
    }

    /// Gives the header a fresh random data key, wrapped under the newest master key, and returns that key.
    pub(crate) fn fresh_key(&mut self, sealing: &Sealing) -> Result<SegmentKey, Error> {
        let (data_key, slot) = sealing.fresh(|id| {
            self.key_id = id;
            self.summed().to_vec()
        })?;
        self.slot = slot;
        Ok(SegmentKey::new(&data_key))
    }
    /// The segment's data key; `None` where it was destroyed. The error has no place yet.
    pub(crate) fn data_key(&self, sealing: &Sealing) -> Result<Option<SegmentKey>, Error> {
        let data_key: Option<DataKey> = sealing.unwrap(self.key_id, &self.summed(), &self.slot)?;
        Ok(data_key.map(|data_key| SegmentKey::new(&data_key)))
    }
}

/// `N` bytes at `at` of a buffer that is known to be long enough.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice is N bytes")
}

/// A segment's data key: encrypts sealed parts. The nonce is the record's offset in the segment's file; a key lives
/// for one opening of one segment and nothing is written at one offset twice, so no nonce is used twice.
pub(crate) struct SegmentKey(Aes256Gcm);

impl SegmentKey {
    fn new(data_key: &[u8; 32]) -> SegmentKey {
        SegmentKey(Aes256Gcm::new(data_key.into()))
    }
    fn nonce(at: u64) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&at.to_le_bytes());
        nonce
    }
    /// Encrypts in place and returns the tag; `bound` (the record's head and open part) is authenticated with it.
    pub(crate) fn seal(&self, at: u64, bound: &[u8], bytes: &mut [u8]) -> [u8; TAG_BYTES] {
        let nonce = Nonce::from(Self::nonce(at));
        let sealed = self.0.encrypt_inout_detached(&nonce, bound, bytes.into());
        sealed.expect("batches are far within AES-GCM's bounds").into()
    }
    /// Decrypts in place; false where the bytes are not what was sealed there.
    #[must_use]
    pub(crate) fn unseal(&self, at: u64, bound: &[u8], bytes: &mut [u8], tag: [u8; TAG_BYTES]) -> bool {
        let (nonce, tag) = (Nonce::from(Self::nonce(at)), Tag::from(tag));
        self.0.decrypt_inout_detached(&nonce, bound, bytes.into(), &tag).is_ok()
    }
}
