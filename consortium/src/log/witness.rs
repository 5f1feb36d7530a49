//! A witness (C2SP tlog-witness): cosigns a checkpoint of a log it knows when a proof shows that it extends the one it
//! cosigned last. What it cosigned is durable before its signature is handed out, so that it can never vouch for two
//! histories; a log that shows it two leaves evidence behind.

use super::checkpoint::{Checkpoint, Evidence};
use super::folder::Folder;
use super::tree::{Hash, hash_of, text_of, verify_consistency};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::keys::{KeyType, SignerKey, VerifierKey};
use crate::limits::{NOTE_BYTES_MAX, PROOF_HASHES_MAX, WITNESS_LOGS_MAX};
use crate::note::Note;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// What a log asks a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the tree that the witness cosigned last, as the log believes.
    pub old: u64,
    /// That the new tree begins with it.
    pub proof: Vec<Hash>,
    /// The new checkpoint.
    pub checkpoint: Note,
}

impl AddCheckpoint {
    /// Reads a request's body.
    ///
    /// # Errors
    /// `Malformed` with the line; `TooLarge`.
    pub fn parse(bytes: &[u8]) -> Result<AddCheckpoint> {
        if bytes.len() > NOTE_BYTES_MAX + 64 * (PROOF_HASHES_MAX + 1) {
            return Err(Error::new(ErrorKind::TooLarge, format!("a request of {} bytes", bytes.len())));
        }
        let malformed = |line, what: &str| Error::new(ErrorKind::Malformed, what).at(Place::Line(line));
        let text = std::str::from_utf8(bytes).map_err(|_| malformed(1, "not UTF-8"))?;
        let (head, note) =
            text.split_once("\n\n").ok_or_else(|| malformed(1, "no empty line before a checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(|line| line.parse().ok().filter(|n: &u64| n.to_string() == line));
        let old = old.ok_or_else(|| malformed(1, "expected \"old\" and a number of leaves"))?;
        let mut proof = Vec::new();
        for (number, line) in (2..).zip(lines) {
            if proof.len() == PROOF_HASHES_MAX {
                let message = format!("more than {PROOF_HASHES_MAX} hashes");
                return Err(Error::new(ErrorKind::TooLarge, message).at(Place::Line(number)));
            }
            proof.push(hash_of(line).ok_or_else(|| malformed(number, "expected 32 bytes in base64"))?);
        }
        Ok(AddCheckpoint { old, proof, checkpoint: Note::parse(note.as_bytes())? })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", text_of(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// What a witness answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200: the signature line of its cosignature, with its newline.
    Cosigned(String),
    /// 409: the size of the tree that it cosigned last, from which the proof has to start.
    Conflict(u64),
    /// Another status, and why.
    Refused(u16, Error),
    /// 422 (409 where the old size was wrong too): the log signed two histories.
    Equivocation(u16, Box<Evidence>),
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Answer::Cosigned(_) => 200,
            Answer::Conflict(_) => 409,
            Answer::Refused(status, _) | Answer::Equivocation(status, _) => *status,
        }
    }
    /// The media type of the body.
    pub fn media_type(&self) -> &'static str {
        match self {
            Answer::Conflict(_) => "text/x.tlog.size",
            _ => "text/plain; charset=utf-8",
        }
    }
    /// The body.
    pub fn body(&self) -> String {
        match self {
            Answer::Cosigned(lines) => lines.clone(),
            Answer::Conflict(size) => format!("{size}\n"),
            Answer::Refused(_, error) => format!("{error}\n"),
            Answer::Equivocation(_, evidence) => format!("{}\n{evidence}", evidence.error()),
        }
    }
}

/// A witness with its state.
#[derive(Debug)]
pub struct Witness<F> {
    folder: F,
    key: SignerKey,
    logs: BTreeMap<String, Watched>,
}

#[derive(Debug)]
struct Watched {
    keys: Vec<VerifierKey>,
    held: Option<(Checkpoint, Note)>,
}

impl<F: Folder> Witness<F> {
    /// A witness of the logs that these keys name, with what its folder says it has cosigned.
    ///
    /// # Errors
    /// `Corrupt` and others where the folder holds something else than checkpoints of these logs: it rather cosigns
    /// nothing than a second history. `Invalid` for a key that cannot cosign; `TooLarge`; `Storage`.
    pub fn open(folder: F, key: SignerKey, log_keys: &[VerifierKey]) -> Result<Witness<F>> {
        if key.verifier().key_type() != KeyType::Cosignature {
            return Err(Error::new(ErrorKind::Invalid, "a witness's key is of type 0x04 (cosignature)"));
        }
        let mut logs = BTreeMap::<String, Watched>::new();
        for key in log_keys {
            let log = Watched { keys: Vec::new(), held: None };
            logs.entry(key.name().to_owned()).or_insert(log).keys.push(key.clone());
        }
        if logs.len() > WITNESS_LOGS_MAX {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{} logs, limit {WITNESS_LOGS_MAX}", logs.len()),
            ));
        }
        for (origin, log) in &mut logs {
            if let Some(bytes) = folder.read(&path("witness", origin))? {
                let note = Note::parse(&bytes)?;
                let checkpoint = Checkpoint::verify(&note, &log.keys)?;
                if checkpoint.origin != *origin {
                    return Err(Error::new(
                        ErrorKind::Corrupt,
                        "a witness's file holds another log's checkpoint",
                    ));
                }
                log.held = Some((checkpoint, note));
            }
        }
        Ok(Witness { folder, key, logs })
    }
    /// Answers a request. `time_s` is the time of the cosignature, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// `Storage` alone: what it cosigned could not be saved, and nothing is handed out.
    pub fn add_checkpoint(&mut self, body: &[u8], time_s: u64) -> Result<Answer> {
        let refused = |status, error| Ok(Answer::Refused(status, error));
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return refused(400, error),
        };
        let offered = match Checkpoint::parse(request.checkpoint.text()) {
            Ok(offered) => offered,
            Err(error) => return refused(if error.kind == ErrorKind::Invalid { 422 } else { 400 }, error),
        };
        let Some(log) = self.logs.get(&offered.origin) else {
            return refused(404, Error::new(ErrorKind::NotFound, "a log that is not known here"));
        };
        if let Err(error) = Checkpoint::verify(&request.checkpoint, &log.keys) {
            return refused(403, error);
        }
        if request.old > offered.size {
            let message = format!("an old size of {} for a tree of {} leaves", request.old, offered.size);
            return refused(400, Error::new(ErrorKind::Invalid, message));
        }
        let (size, root) = log.held.as_ref().map_or((0, None), |(held, _)| (held.size, Some(held.root)));
        if let Some((held, note)) = log.held.as_ref().filter(|(held, _)| held.size == offered.size)
            && held.root != offered.root
        {
            let status = if request.old == size { 422 } else { 409 };
            let evidence = Evidence { held: note.clone(), offered: request.checkpoint, bridge: None };
            return self.keep(&offered.origin, status, evidence);
        }
        if request.old != size {
            return Ok(Answer::Conflict(size));
        }
        let root = root.unwrap_or_else(super::tree::empty_root);
        if let Err(error) = verify_consistency((size, &root), (offered.size, &offered.root), &request.proof) {
            return refused(422, error);
        }
        self.cosign(offered, &request.checkpoint, time_s).map(Answer::Cosigned)
    }
    fn cosign(&mut self, offered: Checkpoint, note: &Note, time_s: u64) -> Result<String> {
        let log = self.logs.get_mut(&offered.origin).expect("looked up before");
        // Of the signatures only the log's: others are none of ours to keep.
        let mut kept = format!("{}\n", note.text());
        let is_log = |name: &str, id| log.keys.iter().any(|key| key.name() == name && key.id() == id);
        note.signatures()
            .iter()
            .filter(|s| is_log(&s.name, s.key_id))
            .for_each(|s| kept += &format!("{s}\n"));
        let kept = Note::parse(kept.as_bytes())?;
        if log.held.as_ref().is_none_or(|(held, _)| *held != offered) {
            self.folder.write(&path("witness", &offered.origin), kept.encode().as_bytes())?;
        }
        log.held = Some((offered, kept));
        let mut cosigned = Note::new(note.text().to_owned())?;
        cosigned.cosign(&self.key, time_s);
        Ok(format!("{}\n", cosigned.signatures()[0]))
    }
    /// Keeps the first evidence there is against a log.
    fn keep(&self, origin: &str, status: u16, evidence: Evidence) -> Result<Answer> {
        let path = path("evidence", origin);
        if self.folder.read(&path)?.is_none() {
            self.folder.write(&path, evidence.to_string().as_bytes())?;
        }
        Ok(Answer::Equivocation(status, Box::new(evidence)))
    }
    /// The checkpoint of a log that it cosigned last.
    pub fn held(&self, origin: &str) -> Option<(&Checkpoint, &Note)> {
        self.logs.get(origin)?.held.as_ref().map(|(checkpoint, note)| (checkpoint, note))
    }
    /// What it has against a log, as text.
    ///
    /// # Errors
    /// `Storage`.
    pub fn evidence(&self, origin: &str) -> Result<Option<String>> {
        let bytes = self.folder.read(&path("evidence", origin))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// An origin may hold what no file name can: the file is named by its hash.
fn path(folder: &str, origin: &str) -> String {
    let hash = Sha256::digest(origin);
    format!("{folder}/{}", hash[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[cfg(test)]
mod tests;
