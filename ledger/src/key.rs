//! The master key: 32 random bytes in a file only its owner may read. Everything else (wrapping keys, tag keys, dead
//! letters) is derived from it by purpose, so that there is one file to guard, to back up and to destroy.

use crate::error::{Error, ErrorKind};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Names a master key: 8 bytes derived from it, which say nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyIdent(pub [u8; 8]);

impl fmt::Display for KeyIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
impl fmt::Debug for KeyIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl std::str::FromStr for KeyIdent {
    type Err = Error;
    fn from_str(text: &str) -> Result<KeyIdent, Error> {
        let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        let wrong = || Error::new(ErrorKind::KeyFile, format!("key id {text:?}: expected 16 hex digits"));
        number.map(|number| KeyIdent(number.to_be_bytes())).ok_or_else(wrong)
    }
}

/// The master key, wiped when dropped. It is never printed and never leaves its file and this type.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// A fresh key from the system's random numbers.
    ///
    /// # Errors
    /// `Io` where the system has none to give.
    pub fn generate() -> Result<MasterKey, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill_random(&mut *bytes)?;
        Ok(MasterKey(bytes))
    }
    /// The key of 32 bytes that the caller has from elsewhere (a test, a hardware module).
    pub fn from_bytes(bytes: [u8; 32]) -> MasterKey {
        MasterKey(Zeroizing::new(bytes))
    }

    /// The key of a file of 32 bytes and mode 0600.
    ///
    /// # Errors
    /// `KeyFile` for another mode or length, `Io` where it cannot be read.
    pub fn load(path: &Path) -> Result<MasterKey, Error> {
        let failed = |e: io::Error| Error::io(format_args!("key file {}", path.display()), &e);
        let wrong =
            |what: String| Error::new(ErrorKind::KeyFile, format!("key file {}: {what}", path.display()));
        let mut file = fs::File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let mode = meta.permissions().mode() & 0o7777;
        if mode != 0o600 {
            return Err(wrong(format!("mode {mode:04o}, must be 0600: only its owner may read it")));
        }
        if !meta.is_file() || meta.len() != 32 {
            return Err(wrong(format!("{} bytes, must be a file of 32", meta.len())));
        }
        let mut bytes = Zeroizing::new([0; 32]);
        file.read_exact(&mut *bytes).map_err(failed)?;
        Ok(MasterKey(bytes))
    }

    /// The key of a file; where there is none, a fresh key is made and lasts before this returns.
    ///
    /// # Errors
    /// As [`MasterKey::load`].
    pub fn load_or_create(path: &Path) -> Result<MasterKey, Error> {
        match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            _ => return MasterKey::load(path),
        }
        let key = MasterKey::generate()?;
        match key.store(path) {
            Ok(()) => Ok(key),
            // Another process was first; its key is the one.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => MasterKey::load(path),
            Err(e) => Err(Error::io(format_args!("key file {}", path.display()), &e)),
        }
    }

    /// Written beside and then linked, so that no crash leaves half a key under the name and no key is overwritten.
    fn store(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let linked = file
            .set_permissions(fs::Permissions::from_mode(0o600))
            .and_then(|()| file.write_all(&*self.0))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&beside, path));
        let removed = fs::remove_file(&beside);
        linked.and(removed)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(dir)?.sync_all()
    }

    /// Stores a fresh key as a file of mode 0600 where none is; it lasts when this returns.
    ///
    /// # Errors
    /// `Io`, also where there is a file of that name already.
    pub fn create(path: &Path) -> Result<MasterKey, Error> {
        let key = MasterKey::generate()?;
        key.store(path).map_err(|e| Error::io(format_args!("key file {}", path.display()), &e))?;
        Ok(key)
    }

    /// Which key this is.
    pub fn ident(&self) -> KeyIdent {
        let bytes = self.derive("journal/key-id/1");
        KeyIdent(bytes[..8].try_into().expect("a key has 32 bytes"))
    }

    /// The key of a purpose: one block of HKDF-Expand (RFC 5869) with SHA-256; the master key is uniform already,
    /// so it is the PRK. Different purposes give independent keys.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes keys of any length");
        mac.update(b"interdict/");
        mac.update(purpose.as_bytes());
        mac.update(&[1]);
        let mut bytes = mac.finalize().into_bytes();
        let key = Zeroizing::new(bytes.into());
        zeroize::Zeroize::zeroize(&mut bytes[..]);
        key
    }
}

/// Fills `bytes` from the system's random numbers.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
        .map_err(|e| Error::new(ErrorKind::Io, format!("the system gives no random numbers: {e}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_made_once_and_refused_when_others_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::load_or_create(&path).unwrap();
        let again = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(made.derive("x"), again.derive("x"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        for mode in [0o640, 0o604, 0o400, 0o700, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = MasterKey::load_or_create(&path).unwrap_err();
            assert_eq!(error.kind, ErrorKind::KeyFile);
            assert!(error.message.contains(&format!("{mode:04o}")), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [7; 31]).unwrap();
        assert_eq!(MasterKey::load(&path).unwrap_err().kind, ErrorKind::KeyFile);
    }

    #[test]
    fn purposes_give_different_keys_and_the_same_purpose_the_same() {
        let key = MasterKey::from_bytes([7; 32]);
        assert_eq!(key.derive("tags"), MasterKey::from_bytes([7; 32]).derive("tags"));
        assert_ne!(key.derive("tags"), key.derive("tag"));
        assert_ne!(key.derive("tags"), MasterKey::from_bytes([8; 32]).derive("tags"));
        assert_ne!(*key.derive(""), [7; 32]);
        assert_eq!(format!("{key:?}"), "MasterKey");
        // Computed with Python's hmac: HMAC-SHA-256(07 × 32, "interdict/tags" 01).
        let expected = "9ec8f15133e07914121f0c69ac8368fdd31773a52e621ae19e97072c1cf945c4";
        let hex: String = key.derive("tags").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
