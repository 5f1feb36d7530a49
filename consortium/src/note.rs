//! The one envelope: C2SP signed-note. A text, an empty line, and signature lines; several lines are a quorum. Whoever
//! reads says whom it knows: a record of ours refuses a key it does not know, a checkpoint passes over it.

use crate::error::{Error, ErrorKind, Place, Result};
use crate::keys::{KeyType, SignerKey, VerifierKey, check_name};
use crate::limits::{NOTE_BYTES_MAX, SIGNATURES_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Whose it says it is.
    pub name: Box<str>,
    /// Of which key of theirs.
    pub key_id: u32,
    /// What follows the key's id: 64 bytes (Ed25519), or 8 of time and 64 (cosignature).
    pub bytes: Box<[u8]>,
}

/// A note as read: nothing of it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A signature that verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// By which key.
    pub key: &'a VerifierKey,
    /// For a cosignature: when the witness saw the text, in seconds since the Unix epoch.
    pub time_s: Option<u64>,
}

impl Note {
    /// A note without signatures.
    ///
    /// # Errors
    /// `Malformed` for a text that C2SP signed-note does not allow.
    pub fn new(text: String) -> Result<Note> {
        check_text(&text)?;
        Ok(Note { text, signatures: Vec::new() })
    }

    /// Reads a note; every byte must be as [`Note::encode`] would write it.
    ///
    /// # Errors
    /// `Malformed` with the line; `TooLarge` past `NOTE_BYTES_MAX` or `SIGNATURES_MAX`.
    pub fn parse(bytes: &[u8]) -> Result<Note> {
        if bytes.len() > NOTE_BYTES_MAX {
            let message = format!("a note of {} bytes, limit {NOTE_BYTES_MAX}", bytes.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let all = std::str::from_utf8(bytes).map_err(|e| {
            Error::new(ErrorKind::Malformed, "not UTF-8").at(Place::Byte(e.valid_up_to() as u64))
        })?;
        let at = all.rfind("\n\n").ok_or_else(|| {
            Error::new(ErrorKind::Malformed, "no empty line before signatures: this is no signed note")
        })?;
        let (text, lines) = (&all[..=at], &all[at + 2..]);
        check_text(text)?;
        let first = text.bytes().filter(|b| *b == b'\n').count() + 2;
        let lines = lines.strip_suffix('\n').ok_or_else(|| {
            Error::new(ErrorKind::Malformed, "expected signature lines, each ended by a newline")
                .at(Place::Line(first))
        })?;
        let mut signatures = Vec::new();
        for (number, line) in lines.split('\n').enumerate() {
            if number == SIGNATURES_MAX {
                let message = format!("more than {SIGNATURES_MAX} signatures");
                return Err(Error::new(ErrorKind::TooLarge, message).at(Place::Line(first + number)));
            }
            signatures.push(Signature::parse(line).map_err(|e| e.at(Place::Line(first + number)))?);
        }
        Ok(Note { text: text.to_owned(), signatures })
    }

    /// The signed text, its last newline included.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The signature lines as they are, verified or not.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
    /// The bytes that are kept and sent.
    pub fn encode(&self) -> String {
        self.to_string()
    }

    /// Adds a signature by a key of type Ed25519; one that this key has given already stays as it is.
    ///
    /// # Panics
    /// With a witness's key: a cosignature needs a time ([`Note::cosign`]).
    pub fn sign(&mut self, key: &SignerKey) {
        assert_eq!(key.verifier().key_type(), KeyType::Ed25519, "a witness's key signs with a time");
        let bytes = key.sign(self.text.as_bytes());
        self.put(key, bytes.to_vec());
    }
    /// Adds a witness's cosignature (C2SP tlog-cosignature), which says that the text was seen at a time, in seconds
    /// since the Unix epoch.
    ///
    /// # Panics
    /// With a key of another type.
    pub fn cosign(&mut self, key: &SignerKey, time_s: u64) {
        assert_eq!(key.verifier().key_type(), KeyType::Cosignature, "a note's key signs without a time");
        let mut bytes = time_s.to_be_bytes().to_vec();
        bytes.extend_from_slice(&key.sign(&cosigned(&self.text, time_s)));
        self.put(key, bytes);
    }
    fn put(&mut self, key: &SignerKey, bytes: Vec<u8>) {
        let (name, key_id) = (key.verifier().name(), key.verifier().id());
        if !self.signatures.iter().any(|s| &*s.name == name && s.key_id == key_id) {
            self.signatures.push(Signature { name: name.into(), key_id, bytes: bytes.into() });
        }
    }
    /// Takes over signature lines of another copy of the same text that this one lacks; unverified.
    ///
    /// # Errors
    /// `Invalid` where the text differs; `TooLarge` past `SIGNATURES_MAX`.
    pub fn merge(&mut self, other: &Note) -> Result<()> {
        if other.text != self.text {
            return Err(Error::new(
                ErrorKind::Invalid,
                "signatures of another text cannot be added to this one",
            ));
        }
        for signature in &other.signatures {
            let is_there = |s: &Signature| s.name == signature.name && s.key_id == signature.key_id;
            if !self.signatures.iter().any(is_there) {
                self.signatures.push(signature.clone());
            }
        }
        match self.signatures.len() {
            0..=SIGNATURES_MAX => Ok(()),
            n => Err(Error::new(ErrorKind::TooLarge, format!("{n} signatures, limit {SIGNATURES_MAX}"))),
        }
    }

    /// Keeps only some signature lines.
    pub fn retain(&mut self, keep: impl FnMut(&Signature) -> bool) {
        self.signatures.retain(keep);
    }

    /// Verifies every signature: all must be by keys of `known`, each once.
    ///
    /// # Errors
    /// `UnknownKey` or `Corrupt` with the line; `Malformed` for a key's second signature; `Quorum` where there is none.
    pub fn verify_all<'a>(&self, known: &'a [VerifierKey]) -> Result<Vec<Signed<'a>>> {
        self.verify(known, true)
    }
    /// Verifies the signatures by keys of `known` and passes over others, as C2SP signed-note asks of readers of
    /// checkpoints. One by a known key that does not verify is an error all the same.
    ///
    /// # Errors
    /// As [`Note::verify_all`], but for unknown keys.
    pub fn verify_known<'a>(&self, known: &'a [VerifierKey]) -> Result<Vec<Signed<'a>>> {
        self.verify(known, false)
    }
    fn verify<'a>(&self, known: &'a [VerifierKey], all: bool) -> Result<Vec<Signed<'a>>> {
        let first = self.text.bytes().filter(|b| *b == b'\n').count() + 2;
        let mut signed: Vec<Signed<'a>> = Vec::new();
        for (number, signature) in self.signatures.iter().enumerate() {
            let place = Place::Line(first + number);
            let key = known.iter().find(|key| key.name() == &*signature.name && key.id() == signature.key_id);
            let Some(key) = key else {
                if all {
                    let message = format!(
                        "a signature of {:?} by key {:08x}, which is not known here",
                        signature.name, signature.key_id
                    );
                    return Err(Error::new(ErrorKind::UnknownKey, message).at(place));
                }
                continue;
            };
            if signed.iter().any(|s| s.key.id() == key.id() && s.key.name() == key.name()) {
                let message = format!("a second signature by one key of {:?}", signature.name);
                return Err(Error::new(ErrorKind::Malformed, message).at(place));
            }
            let time_s = signature.verify(&self.text, key).ok_or_else(|| {
                let message = format!("the signature of {:?} does not verify", signature.name);
                Error::new(ErrorKind::Corrupt, message).at(place)
            })?;
            signed.push(Signed { key, time_s });
        }
        match signed.is_empty() {
            true => Err(Error::new(ErrorKind::Quorum, "no signature by a key that is known here")),
            false => Ok(signed),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl Signature {
    /// Reads a line without its newline.
    fn parse(line: &str) -> Result<Signature> {
        let malformed =
            || Error::new(ErrorKind::Malformed, "expected \"\u{2014} name base64\", a signature line");
        let (name, data) =
            line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or_else(malformed)?;
        check_name(name)?;
        let data = STANDARD.decode(data).map_err(|_| malformed())?;
        let (id, bytes) =
            data.split_first_chunk::<4>().filter(|(_, rest)| !rest.is_empty()).ok_or_else(malformed)?;
        Ok(Signature { name: name.into(), key_id: u32::from_be_bytes(*id), bytes: bytes.into() })
    }
    /// `None` where it does not verify; else the time of a cosignature.
    fn verify(&self, text: &str, key: &VerifierKey) -> Option<Option<u64>> {
        match key.key_type() {
            KeyType::Ed25519 => {
                let signature = (&*self.bytes).try_into().ok()?;
                key.is_signed(text.as_bytes(), signature).then_some(None)
            }
            KeyType::Cosignature => {
                let (time, signature) = self.bytes.split_first_chunk::<8>()?;
                let time_s = u64::from_be_bytes(*time);
                let signature = signature.try_into().ok()?;
                key.is_signed(&cosigned(text, time_s), signature).then_some(Some(time_s))
            }
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut data = self.key_id.to_be_bytes().to_vec();
        data.extend_from_slice(&self.bytes);
        write!(f, "{DASH}{} {}", self.name, STANDARD.encode(data))
    }
}

/// What a witness signs (C2SP tlog-cosignature, Ed25519).
fn cosigned(text: &str, time_s: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time_s}\n{text}").into_bytes()
}

/// C2SP signed-note: UTF-8 (a `str` is), not empty, ended by a newline, no control characters but newlines.
fn check_text(text: &str) -> Result<()> {
    if !text.ends_with('\n') {
        return Err(Error::new(ErrorKind::Malformed, "a note's text must end with a newline"));
    }
    match text.split('\n').position(|line| line.contains(|c: char| c < ' ')) {
        None => Ok(()),
        Some(line) => {
            let message = "a note's text may hold no control characters but newlines";
            Err(Error::new(ErrorKind::Malformed, message).at(Place::Line(line + 1)))
        }
    }
}

#[cfg(test)]
mod tests;
