//! Signed packs: where signatures lie (beside a folder's files, among an archive's), whose count by the configuration,
//! and which versions were in use. `interdict_consortium::pack` has the format and the rules.

use super::store::Store;
use crate::config::schema::PackSignatures;
use anyhow::{Context, Result, bail};
use interdict_consortium::limits::NOTE_BYTES_MAX;
use interdict_consortium::pack::{
    MANIFEST_FILE, MINISIG_FILE, Manifest, NOTE_FILE, Route, Signatures, SignedBy, Trust,
};
use interdict_engine::packs::{Files, Pack};
use parking_lot::Mutex;
use std::io::Read;
use std::path::Path;

/// The files beside a pack's own.
const NAMES: [&str; 3] = [MANIFEST_FILE, MINISIG_FILE, NOTE_FILE];

/// What is noted is read, changed and written by one at a time.
static ADMITTING: Mutex<()> = Mutex::new(());

/// The keys of a configuration.
///
/// # Errors
/// A key that is none, with the name of its list.
pub fn trust(section: &PackSignatures) -> Result<Trust> {
    let none: &[String] = &[];
    Trust::new(&section.minisign_keys, none).context("packs.minisign_keys")?;
    Trust::new(none, &section.note_keys).context("packs.note_keys")?;
    Ok(Trust::new(&section.minisign_keys, &section.note_keys)?)
}

/// The signatures in a pack's folder.
///
/// # Errors
/// When one cannot be read or is larger than any is.
pub fn of_folder(dir: &Path) -> Result<Signatures> {
    let mut signatures = Signatures::default();
    for name in NAMES {
        let path = dir.join(name);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e).with_context(|| path.display().to_string()),
        };
        let mut bytes = Vec::new();
        file.take(NOTE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .with_context(|| path.display().to_string())?;
        if bytes.len() > NOTE_BYTES_MAX {
            bail!("{}: more than {NOTE_BYTES_MAX} bytes", path.display());
        }
        *signatures.place(name).expect("one of their names") = Some(bytes);
    }
    Ok(signatures)
}

/// Takes the signatures out of an archive's files.
pub fn split(files: &mut Files) -> Signatures {
    let mut signatures = Signatures::default();
    for name in NAMES {
        if let Some(bytes) = files.remove(name) {
            *signatures.place(name).expect("one of their names") = Some(bytes);
        }
    }
    signatures
}

/// A pack's files as the format takes them.
pub fn pairs(files: &Files) -> impl Iterator<Item = (&str, &[u8])> + Clone {
    files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
}

/// The manifest of a pack that must be signed, verified; `None` where no key is trusted and nobody asks.
///
/// # Errors
/// A signature that is missing or does not hold, a file that was not signed: by place and name of file.
pub fn verified(
    trust: &Trust,
    signatures: &Signatures,
    files: &Files,
    place: &str,
) -> Result<Option<Manifest>> {
    if trust.is_empty() {
        return Ok(None);
    }
    let (manifest, by) =
        trust.verify(signatures, pairs(files)).map_err(|e| anyhow::anyhow!("{place}/{e}"))?;
    tracing::info!(pack = manifest.name, version = manifest.version.as_str(), by = told(&by), "signed pack");
    Ok(Some(manifest))
}

/// A verified manifest, where it is of the pack that its files make.
///
/// # Errors
/// Another name or version than `pack.yaml` says.
pub fn of_pack(manifest: Manifest, pack: &Pack, place: &str) -> Result<Manifest> {
    let says = (manifest.name.as_str(), manifest.version.as_str());
    let (name, version) = (pack.name(), pack.manifest.version.as_str());
    if says != (name, version) {
        bail!(
            "{place}: what was signed is {:?}, version {:?}; pack.yaml says {name:?}, {version:?}",
            says.0,
            says.1
        );
    }
    Ok(manifest)
}

/// Takes packs into use whose manifests were verified: no version falls.
///
/// # Errors
/// An older version than was in use, or other files under the same one; a manifest that has expired, unless its pack is
/// in use already.
pub fn admit(store: &Store, manifests: &[Manifest], route: Route, now_ms: i64) -> Result<()> {
    if manifests.is_empty() {
        return Ok(());
    }
    let now_ms = u64::try_from(now_ms).unwrap_or(0);
    let _alone = ADMITTING.lock();
    let mut admitted = store.admitted()?;
    let mut is_changed = false;
    for manifest in manifests {
        is_changed |= admitted.admit(manifest, route, now_ms)?;
        if manifest.is_expired(now_ms) {
            let (name, version) = (&manifest.name, manifest.version.as_str());
            tracing::warn!(
                "pack {name:?}, version {version}: its manifest has expired; it stays, being in use"
            );
        }
    }
    if is_changed { store.put_admitted(&admitted) } else { Ok(()) }
}

/// Who signed, for people.
pub fn told(by: &[SignedBy]) -> String {
    let one = |by: &SignedBy| match by {
        SignedBy::Minisign { key, comment } => format!("minisign {key} ({comment})"),
        SignedBy::Note(names) => names.join(", "),
    };
    by.iter().map(one).collect::<Vec<_>>().join("; ")
}
