//! Signed rule packs: a manifest of all files of a pack, which the risk team signs with `minisign` (Debian has it) or as
//! a signed note; whose signatures count; and that no version falls. After TUF: versions rise, manifests expire.

mod admitted;
mod trust;

pub use admitted::{Admitted, Route};
pub use trust::{Signatures, SignedBy, Trust};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::PACK_VERSION_PARTS_MAX;
use crate::record::{Reader, Writer};
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The manifest's file in a pack's folder; `minisign -S -m` of it writes [`MINISIG_FILE`].
pub const MANIFEST_FILE: &str = "pack.manifest";
/// The signature of `minisign` over [`MANIFEST_FILE`].
pub const MINISIG_FILE: &str = "pack.manifest.minisig";
/// The manifest as a signed note.
pub const NOTE_FILE: &str = "pack.note";

/// A pack's version: numbers between dots. `1.2` and `1.2.0` are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    numbers: Vec<u64>,
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    /// `Invalid` for anything but up to `PACK_VERSION_PARTS_MAX` numbers: without an order nothing could fall.
    pub fn parse(text: &str) -> Result<Version> {
        let number = |part: &str| part.parse::<u64>().ok().filter(|n| n.to_string() == part);
        let numbers: Option<Vec<u64>> = text.split('.').map(number).collect();
        let mut numbers = numbers.filter(|all| all.len() <= PACK_VERSION_PARTS_MAX).ok_or_else(|| {
            let message = format!(
                "version {text:?}: a pack that is signed has a version of up to {PACK_VERSION_PARTS_MAX} numbers \
                 with dots between them"
            );
            Error::new(ErrorKind::Invalid, message)
        })?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Version { text: text.to_owned(), numbers })
    }
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// Which is the later one.
    pub fn compare(&self, other: &Version) -> Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

/// What is signed: a pack's name, version, until when it may be taken into use, and the hash of every file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The pack's name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// From when on it is no longer taken into use, in ms since the Unix epoch; `None`: never. One in force stays.
    pub expires_ms: Option<u64>,
    /// SHA-256 of each file by its path.
    pub files: BTreeMap<String, [u8; 32]>,
}

impl Manifest {
    /// The manifest of a pack's files.
    ///
    /// # Errors
    /// As [`Version::parse`].
    pub fn new<'f>(
        name: &str,
        version: &str,
        expires_ms: Option<u64>,
        files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
    ) -> Result<Manifest> {
        let hashed = |(path, bytes): (&str, &[u8])| (path.to_owned(), Sha256::digest(bytes).into());
        let files = files.into_iter().map(hashed).collect();
        Ok(Manifest { name: name.to_owned(), version: Version::parse(version)?, expires_ms, files })
    }
    /// Its text: `interdict/pack/v1`, `name`, `version`, `expires_ms` where it does, and for each file, by path, a line
    /// `file` with the hash in hex and the path.
    ///
    /// # Errors
    /// As [`Writer::put`]: a name that cannot stand in a line.
    pub fn encode(&self) -> Result<String> {
        let mut writer = Writer::new("pack", 1);
        writer.put("name", &self.name)?.put("version", self.version.as_str())?;
        writer.put_some("expires_ms", self.expires_ms)?;
        for (path, hash) in &self.files {
            writer.put("file", format_args!("{} {path}", hex(hash)))?;
        }
        Ok(writer.finish())
    }
    /// Reads a manifest; every byte must be as [`Manifest::encode`] would write it.
    ///
    /// # Errors
    /// `Malformed`, `Version`, `TooLarge`, with the line.
    pub fn decode(text: &str) -> Result<Manifest> {
        let mut reader = Reader::open(text, "pack", 1)?;
        let name = reader.take("name")?.to_owned();
        let version = Version::parse(reader.take("version")?)?;
        let expires_ms = reader.number_some("expires_ms")?;
        let mut files = BTreeMap::new();
        while let Some(line) = reader.take_some("file")? {
            let parsed = line.split_once(' ').and_then(|(hash, path)| Some((unhex(hash)?, path)));
            let Some((hash, path)) = parsed else {
                return Err(reader.refuse("expected \"file\", 64 lower case hex digits and a path"));
            };
            if files.last_key_value().is_some_and(|(last, _): (&String, _)| last.as_str() >= path) {
                return Err(reader.refuse("files are named once each, in order of their paths"));
            }
            files.insert(path.to_owned(), hash);
        }
        reader.end()?;
        Ok(Manifest { name, version, expires_ms, files })
    }
    /// That a pack's files are those of the manifest: all of them, and no others.
    ///
    /// # Errors
    /// `Corrupt` with the name of the first file that is not.
    pub fn check<'f>(&self, files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> Result<()> {
        let refused = |path: &str, what: &str| Err(Error::new(ErrorKind::Corrupt, format!("{path}: {what}")));
        let mut missing: BTreeMap<&str, &[u8; 32]> =
            self.files.iter().map(|(path, hash)| (path.as_str(), hash)).collect();
        for (path, bytes) in files {
            match missing.remove(path) {
                None => return refused(path, "is not in the manifest that was signed"),
                Some(hash) if <[u8; 32]>::from(Sha256::digest(bytes)) != *hash => {
                    return refused(path, "is not the file that was signed");
                }
                Some(_) => {}
            }
        }
        missing.keys().next().map_or(Ok(()), |path| refused(path, "was signed and is missing"))
    }
    /// SHA-256 over name, version and files: what the pack is, however long it may be taken into use.
    pub fn content(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(format!("{}\n{}\n", self.name, self.version.as_str()));
        self.files.iter().for_each(|(path, file)| hash.update(format!("{} {path}\n", hex(file))));
        hash.finalize().into()
    }
    /// Whether it may no longer be taken into use.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let is_hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate().filter(|_| is_hex) {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    is_hex.then_some(bytes)
}

#[cfg(test)]
mod tests;
