//! The private keys of a member or a hub, one file each (0600), made once and never overwritten: text as Go's `sumdb/note`
//! spells it for what signs, base64 for the rest.

use super::folder::{make_folder, read_secret, write_secret};
use super::tls;
use anyhow::{Context, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use interdict_consortium::keys::{KeyType, SignerKey};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A folder of keys.
#[derive(Debug, Clone)]
pub struct Keyring {
    dir: PathBuf,
}

impl Keyring {
    /// In a folder; made where it is missing.
    ///
    /// # Errors
    /// The system's.
    pub fn open(dir: &Path) -> Result<Keyring> {
        make_folder(dir)?;
        Ok(Keyring { dir: dir.to_owned() })
    }
    /// Where the files are.
    pub fn path(&self) -> &Path {
        &self.dir
    }
    /// Whether a file is there.
    pub fn has(&self, file: &str) -> bool {
        self.dir.join(file).exists()
    }
    /// Makes a signing key.
    ///
    /// # Errors
    /// Where one is already; a name that keys cannot have.
    pub fn make_signer(&self, file: &str, name: &str, ty: KeyType) -> Result<SignerKey> {
        let key = SignerKey::from_seed(name, ty, &*random()?)?;
        write_secret(&self.dir.join(file), key.to_text().as_bytes())?;
        Ok(key)
    }
    /// A signing key.
    ///
    /// # Errors
    /// One that is missing, does not read, or that others may read.
    pub fn signer(&self, file: &str) -> Result<SignerKey> {
        let path = self.dir.join(file);
        let text = read_secret(&path)?;
        let text = std::str::from_utf8(&text).map_err(|_| anyhow!("{}: not UTF-8", path.display()))?;
        SignerKey::parse(text).with_context(|| path.display().to_string())
    }
    /// Makes 32 secret bytes.
    ///
    /// # Errors
    /// Where some are already; the system's.
    pub fn make_seed(&self, file: &str) -> Result<Zeroizing<[u8; 32]>> {
        let seed = random()?;
        self.keep_seed(file, &seed)?;
        Ok(seed)
    }
    /// Keeps 32 secret bytes.
    ///
    /// # Errors
    /// Where some are already; the system's.
    pub fn keep_seed(&self, file: &str, seed: &[u8; 32]) -> Result<()> {
        write_secret(&self.dir.join(file), Zeroizing::new(STANDARD.encode(seed)).as_bytes())
    }
    /// 32 secret bytes.
    ///
    /// # Errors
    /// What is missing, is no base64 of 32 bytes, or that others may read.
    pub fn seed(&self, file: &str) -> Result<Zeroizing<[u8; 32]>> {
        let path = self.dir.join(file);
        let text = read_secret(&path)?;
        let bytes = STANDARD.decode(text.trim_ascii_end()).map(Zeroizing::new);
        let bytes = bytes.ok().and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        let bytes = bytes.with_context(|| format!("{}: expected 32 bytes in base64", path.display()))?;
        Ok(Zeroizing::new(bytes))
    }
    /// Makes a certificate for a name; its pin.
    ///
    /// # Errors
    /// Where one is already; a name that certificates cannot carry.
    pub fn make_certificate(&self, name: &str) -> Result<tls::Pin> {
        let (certificate, key) = tls::make(name)?;
        write_secret(&self.dir.join(tls::KEY), key.as_bytes())?;
        write_secret(&self.dir.join(tls::CERTIFICATE), certificate.as_bytes())?;
        Ok(tls::Identity::of_pem(certificate.as_bytes(), key.as_bytes())?.pin())
    }
    /// The certificate with its key.
    ///
    /// # Errors
    /// As [`tls::Identity::load`].
    pub fn identity(&self) -> Result<tls::Identity> {
        tls::Identity::load(&self.dir)
    }
}

/// 32 bytes of the system's randomness.
///
/// # Errors
/// The system's.
pub fn random() -> Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(&mut *bytes)?;
    Ok(bytes)
}

/// Fills bytes with the system's randomness.
///
/// # Errors
/// The system's.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| anyhow!("the system gives no randomness: {e}"))
}
