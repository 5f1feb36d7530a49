//! Under which master keys data keys are wrapped: a new one always under the newest, and each stays readable by the one
//! it was wrapped under. A segment of the journal and a file of dead letters have a data key of their own each, so that
//! destroying 60 bytes makes all of it unreadable, to whoever holds every master key too.

use crate::error::{Error, ErrorKind};
use crate::key::{KeyIdent, MasterKey, fill_random};
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit, Nonce, Tag};
use std::fmt;
use std::sync::{Arc, RwLock};
use zeroize::Zeroizing;

/// Bytes of a wrapped data key: nonce, ciphertext, tag. All zeros: it was destroyed.
pub(crate) const SLOT_BYTES: usize = 60;
/// A wrapped data key.
pub(crate) type Slot = [u8; SLOT_BYTES];
/// A data key in the clear, wiped when dropped.
pub(crate) type DataKey = Zeroizing<[u8; 32]>;

/// What one master key seals with.
struct Wrap {
    id: KeyIdent,
    cipher: Aes256Gcm,
    /// Of dead letters before they had data keys.
    letters: Aes256Gcm,
}

impl Wrap {
    fn new(master: &MasterKey) -> Wrap {
        let of = |purpose: &str| Aes256Gcm::new((&*master.derive(purpose)).into());
        Wrap { id: master.ident(), cipher: of("journal/wrap/1"), letters: of("dead-letters/1") }
    }
}

/// The sealing keys of a node. A clone is the same ones: a key added to the one is in force in all.
#[derive(Clone)]
pub struct Sealing(Arc<RwLock<Vec<Arc<Wrap>>>>);

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(…)")
    }
}

impl From<&MasterKey> for Sealing {
    fn from(master: &MasterKey) -> Sealing {
        Sealing::of([master])
    }
}
impl From<&Sealing> for Sealing {
    fn from(sealing: &Sealing) -> Sealing {
        sealing.clone()
    }
}

impl Sealing {
    /// Some master keys; the last is the one that seals from now on.
    ///
    /// # Panics
    /// Without any key.
    pub fn of<'k>(masters: impl IntoIterator<Item = &'k MasterKey>) -> Sealing {
        let wraps: Vec<Arc<Wrap>> = masters.into_iter().map(|master| Arc::new(Wrap::new(master))).collect();
        assert!(!wraps.is_empty(), "there is at least one key");
        Sealing(Arc::new(RwLock::new(wraps)))
    }
    /// Has a key seal from now on. What is open already goes on under its own.
    pub fn seal_under(&self, master: &MasterKey) {
        let mut wraps = self.0.write().expect("no holder of this lock panics");
        let id = master.ident();
        let at = wraps.iter().position(|wrap| wrap.id == id);
        let wrap = at.map_or_else(|| Arc::new(Wrap::new(master)), |at| wraps.remove(at));
        wraps.push(wrap);
    }
    /// Which key seals now; says nothing about the key.
    pub fn newest(&self) -> KeyIdent {
        self.last().id
    }
    fn last(&self) -> Arc<Wrap> {
        let wraps = self.0.read().expect("no holder of this lock panics");
        wraps.last().expect("there is at least one key").clone()
    }
    fn all(&self) -> Vec<Arc<Wrap>> {
        self.0.read().expect("no holder of this lock panics").clone()
    }

    /// A fresh random data key, wrapped under the newest key and bound to what `bound` makes of that key's id; with
    /// the slot that holds it.
    pub(crate) fn fresh(&self, bound: impl FnOnce(KeyIdent) -> Vec<u8>) -> Result<(DataKey, Slot), Error> {
        let wrap = self.last();
        let mut data_key = Zeroizing::new([0; 32]);
        let mut nonce = [0; 12];
        fill_random(&mut *data_key)?;
        fill_random(&mut nonce)?;
        let mut wrapped = Zeroizing::new(*data_key);
        let tag = wrap
            .cipher
            .encrypt_inout_detached(&Nonce::from(nonce), &bound(wrap.id), wrapped.as_mut_slice().into())
            .expect("32 bytes are within AES-GCM's bounds");
        let mut slot = [0; SLOT_BYTES];
        slot[..12].copy_from_slice(&nonce);
        slot[12..44].copy_from_slice(&*wrapped);
        slot[44..].copy_from_slice(&tag);
        Ok((data_key, slot))
    }

    /// The data key of a slot; `None` where it was destroyed, which needs no key to tell. The error has no place yet.
    pub(crate) fn unwrap(&self, id: KeyIdent, bound: &[u8], slot: &Slot) -> Result<Option<DataKey>, Error> {
        if *slot == [0; SLOT_BYTES] {
            return Ok(None);
        }
        let wraps = self.all();
        let Some(wrap) = wraps.iter().find(|wrap| wrap.id == id) else {
            let known: Vec<String> = wraps.iter().map(|wrap| wrap.id.to_string()).collect();
            let text = match &known[..] {
                [one] => format!("written under master key {id}, this one is {one}"),
                _ => format!("written under master key {id}, those here are {}", known.join(", ")),
            };
            return Err(Error::new(ErrorKind::WrongKey, text));
        };
        let part = |from: usize, to: usize| slot[from..to].to_vec();
        let nonce: [u8; 12] = part(0, 12).try_into().expect("12 bytes");
        let tag: [u8; 16] = part(44, 60).try_into().expect("16 bytes");
        let mut data_key: DataKey = Zeroizing::new(part(12, 44).try_into().expect("32 bytes"));
        wrap.cipher
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                bound,
                data_key.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| Error::new(ErrorKind::Corrupt, "segment header: the wrapped data key is damaged"))?;
        Ok(Some(data_key))
    }

    /// The keys that dead letters may be under that have no data key, newest first.
    pub(crate) fn letters(&self) -> Vec<Aes256Gcm> {
        self.all().iter().rev().map(|wrap| wrap.letters.clone()).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_opens_under_its_own_master_key_whatever_was_added_since() {
        let masters: Vec<MasterKey> = (1..=3).map(|n| MasterKey::from_bytes([n; 32])).collect();
        let sealing = Sealing::from(&masters[0]);
        let same = sealing.clone();
        let fresh = |sealing: &Sealing| {
            let mut under = None;
            let made = sealing.fresh(|id| {
                under = Some(id);
                b"bound".to_vec()
            });
            (made.unwrap(), under.unwrap())
        };
        let ((first, slot), id) = fresh(&sealing);
        assert_eq!(id, masters[0].ident());
        same.seal_under(&masters[1]);
        assert_eq!(sealing.newest(), masters[1].ident());
        let ((second, later), newer) = fresh(&sealing);
        assert!(newer == masters[1].ident() && *first != *second);
        assert_eq!(sealing.unwrap(id, b"bound", &slot).unwrap().unwrap(), first);
        assert_eq!(sealing.unwrap(newer, b"bound", &later).unwrap().unwrap(), second);
        // Bound to its header, to its key, and not there once it is destroyed, whoever asks.
        assert_eq!(sealing.unwrap(id, b"other", &slot).unwrap_err().kind, ErrorKind::Corrupt);
        assert_eq!(sealing.unwrap(newer, b"bound", &slot).unwrap_err().kind, ErrorKind::Corrupt);
        let stranger = Sealing::from(&masters[2]);
        assert_eq!(stranger.unwrap(id, b"bound", &slot).unwrap_err().kind, ErrorKind::WrongKey);
        assert!(stranger.unwrap(id, b"bound", &[0; SLOT_BYTES]).unwrap().is_none());
        same.seal_under(&masters[0]);
        assert_eq!(sealing.newest(), masters[0].ident(), "an older one seals again");
    }
}
