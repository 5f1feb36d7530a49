//! Whose signatures over packs count, and whether one of theirs is there. Every signature that is there in a form for
//! which keys are trusted must hold: a broken one beside a good one is no good pack.

use super::{MANIFEST_FILE, MINISIG_FILE, Manifest, NOTE_FILE};
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{KeyType, VerifierKey};
use crate::note::Note;
use minisign_verify::{PublicKey, Signature};

/// What lies beside a pack's files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures {
    /// The bytes of [`MANIFEST_FILE`].
    pub manifest: Option<Vec<u8>>,
    /// Of [`MINISIG_FILE`].
    pub minisig: Option<Vec<u8>>,
    /// Of [`NOTE_FILE`].
    pub note: Option<Vec<u8>>,
}

impl Signatures {
    /// The place of a file by its name; `None`: it is none of these.
    pub fn place(&mut self, name: &str) -> Option<&mut Option<Vec<u8>>> {
        match name {
            MANIFEST_FILE => Some(&mut self.manifest),
            MINISIG_FILE => Some(&mut self.minisig),
            NOTE_FILE => Some(&mut self.note),
            _ => None,
        }
    }
    /// Those that are there, by name.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let all = [(MANIFEST_FILE, &self.manifest), (MINISIG_FILE, &self.minisig), (NOTE_FILE, &self.note)];
        all.into_iter().filter_map(|(name, bytes)| Some((name, bytes.as_deref()?)))
    }
}

/// Who signed a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// A minisign key, as the configuration spells it, and the comment that it signed too.
    Minisign {
        /// The public key in base64.
        key: String,
        /// The trusted comment.
        comment: String,
    },
    /// Keys of a signed note, by name.
    Note(Vec<String>),
}

/// The keys whose signatures count.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    minisign: Vec<(String, PublicKey)>,
    notes: Vec<VerifierKey>,
}

impl Trust {
    /// Trusts these keys: minisign public keys as base64 (the second line of `minisign.pub`), and verifier keys of
    /// signed notes (`name+id+base64`).
    ///
    /// # Errors
    /// `Malformed` with the key's place in its list; as [`VerifierKey::parse`].
    pub fn new<M: AsRef<str>, N: AsRef<str>>(minisign: &[M], notes: &[N]) -> Result<Trust> {
        let mut trust = Trust::default();
        for (at, text) in minisign.iter().enumerate() {
            let text = text.as_ref();
            let key = PublicKey::from_base64(text).map_err(|_| {
                let message = format!("minisign key {}: expected the second line of a minisign.pub", at + 1);
                Error::new(ErrorKind::Malformed, message)
            })?;
            trust.minisign.push((text.to_owned(), key));
        }
        for text in notes {
            let key = VerifierKey::parse(text.as_ref())?;
            if key.key_type() != KeyType::Ed25519 {
                let message = format!("{:?} is a witness's key: packs are signed by others", key.name());
                return Err(Error::new(ErrorKind::Malformed, message));
            }
            trust.notes.push(key);
        }
        Ok(trust)
    }
    /// Whether no key is trusted.
    pub fn is_empty(&self) -> bool {
        self.minisign.is_empty() && self.notes.is_empty()
    }
    /// Verifies the signatures beside a pack and that its files are those that were signed; the manifest, and who
    /// signed it.
    ///
    /// # Errors
    /// `Quorum` where there is no signature in a form for which keys are trusted; `UnknownKey`, `Corrupt`, `Malformed`
    /// for one that does not hold, each with the name of its file; `Corrupt` with the name of a pack's file that was
    /// not signed; `Invalid` where the manifest is another pack's.
    pub fn verify<'f>(
        &self,
        signatures: &Signatures,
        files: impl IntoIterator<Item = (&'f str, &'f [u8])> + Clone,
    ) -> Result<(Manifest, Vec<SignedBy>)> {
        let mut found: Option<Manifest> = None;
        let mut signed_by = Vec::new();
        if let (false, Some(minisig)) = (self.minisign.is_empty(), &signatures.minisig) {
            let (text, by) = self.by_minisign(signatures.manifest.as_deref(), minisig)?;
            let manifest = Manifest::decode(text).map_err(|e| in_file(MANIFEST_FILE, &e))?;
            manifest.check(files.clone())?;
            (found, signed_by) = (Some(manifest), vec![by]);
        }
        if let (false, Some(note)) = (self.notes.is_empty(), &signatures.note) {
            let note = Note::parse(note).map_err(|e| in_file(NOTE_FILE, &e))?;
            let signed = note.verify_all(&self.notes).map_err(|e| in_file(NOTE_FILE, &e))?;
            let names = signed.iter().map(|signed| signed.key.name().to_owned()).collect();
            let manifest = Manifest::decode(note.text()).map_err(|e| in_file(NOTE_FILE, &e))?;
            manifest.check(files)?;
            if found.as_ref().is_some_and(|other| *other != manifest) {
                let message = format!("{NOTE_FILE}: says another thing than {MANIFEST_FILE}");
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            found = Some(manifest);
            signed_by.push(SignedBy::Note(names));
        }
        let manifest = found.ok_or_else(|| {
            let forms = [(!self.minisign.is_empty(), MINISIG_FILE), (!self.notes.is_empty(), NOTE_FILE)];
            let forms: Vec<&str> =
                forms.iter().filter(|(trusted, _)| *trusted).map(|(_, name)| *name).collect();
            let message = format!("{}: is missing: packs must be signed here", forms.join(" or "));
            Error::new(ErrorKind::Quorum, message)
        })?;
        Ok((manifest, signed_by))
    }
    fn by_minisign<'m>(&self, manifest: Option<&'m [u8]>, minisig: &[u8]) -> Result<(&'m str, SignedBy)> {
        let refused = |kind, file: &str, what: &str| Error::new(kind, format!("{file}: {what}"));
        let manifest = manifest.ok_or_else(|| refused(ErrorKind::NotFound, MANIFEST_FILE, "is missing"))?;
        let malformed = || refused(ErrorKind::Malformed, MINISIG_FILE, "is no signature of minisign");
        let signature = std::str::from_utf8(minisig).map_err(|_| malformed())?;
        let signature = Signature::decode(signature).map_err(|_| malformed())?;
        let mut error = minisign_verify::Error::UnexpectedKeyId;
        for (text, key) in &self.minisign {
            match key.verify(manifest, &signature, false) {
                Ok(()) => {
                    let text_of = std::str::from_utf8(manifest)
                        .map_err(|_| refused(ErrorKind::Malformed, MANIFEST_FILE, "is not UTF-8"))?;
                    let comment = signature.trusted_comment().to_owned();
                    return Ok((text_of, SignedBy::Minisign { key: text.clone(), comment }));
                }
                Err(minisign_verify::Error::UnexpectedKeyId) => {}
                Err(other) => error = other,
            }
        }
        Err(match error {
            minisign_verify::Error::UnexpectedKeyId => {
                refused(ErrorKind::UnknownKey, MINISIG_FILE, "is by a key that is not trusted here")
            }
            minisign_verify::Error::UnexpectedAlgorithm => refused(
                ErrorKind::Malformed,
                MINISIG_FILE,
                "is of minisign's legacy form (-l), which is not taken",
            ),
            _ => {
                let what = format!("does not hold: it was changed, or {MANIFEST_FILE} was after signing");
                refused(ErrorKind::Corrupt, MINISIG_FILE, &what)
            }
        })
    }
}

fn in_file(name: &str, error: &Error) -> Error {
    Error::new(error.kind, format!("{name}: {error}"))
}
