//! Promises of the hub: kept in the folder until their leaf is seen where it was promised. One whose time is over without its
//! leaf is evidence, signed by the hub, that it dropped a query or a contribution.

use super::mirror::Mirror;
use super::session::{Session, now_ms};
use crate::alliance::folder::Files;
use anyhow::{Context, Result};
use interdict_consortium::error::ErrorKind;
use interdict_consortium::keys::VerifierKey;
use interdict_consortium::log::{Checkpoint, Prover};
use interdict_consortium::note::Note;
use interdict_consortium::query::{Opening, Promise, receipt};
use sha2::{Digest, Sha256};

/// Where promises go that were not kept.
const BROKEN: &str = "broken";

/// What came of the promises that were held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Leaves of contributions that were seen in their place.
    pub contributions: u64,
    /// Receipts of queries that were made.
    pub receipts: u64,
    /// Still waiting: their time is not over, or their leaf is not under a cosigned checkpoint yet.
    pub waiting: u64,
    /// Promises that the hub has not kept: where they lie, and what is wrong.
    pub broken: Vec<String>,
}

/// A promise as it is kept: the length of its note (u32, big endian), the note, and for a query its opening.
pub fn encode(promise: &Note, opening: Option<&Opening>) -> Vec<u8> {
    let note = promise.encode();
    let mut bytes = (note.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(note.as_bytes());
    bytes.extend_from_slice(&opening.map(Opening::encode).unwrap_or_default());
    bytes
}

fn decode(bytes: &[u8]) -> Result<(Note, Option<Opening>)> {
    let cut = "a promise's file is cut";
    let (length, rest) = bytes.split_first_chunk::<4>().context(cut)?;
    let (note, opening) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).context(cut)?;
    let opening = if opening.is_empty() { None } else { Some(Opening::decode(opening)?) };
    Ok((Note::parse(note)?, opening))
}

/// Keeps a promise.
///
/// # Errors
/// The folder's.
pub fn keep(files: &Files, promise: &Promise, note: &Note, opening: Option<&Opening>) -> Result<()> {
    let log = promise.log.rsplit('/').next().unwrap_or_default();
    Ok(files.write(&format!("{log}-{}", promise.index), &encode(note, opening))?)
}

/// Looks at all promises by the mirrors as they are.
///
/// # Errors
/// The folder's.
pub fn look(session: &Session, cosigned: Option<&Note>) -> Result<Looked> {
    let mut looked = Looked::default();
    let now_ms = now_ms();
    let keys = session.registry()?.operator().logs.clone();
    for name in session.promises.list("")? {
        let Some(bytes) = session.promises.read(&name)?.filter(|_| name != BROKEN) else { continue };
        let (note, opening) = decode(&bytes)
            .with_context(|| session.folder.at("promises").join(&name).display().to_string())?;
        let done = match opening {
            Some(opening) => query(session, &keys.queries, &note, &opening, cosigned, now_ms, &mut looked)?,
            None => contribution(session, &keys.governance, &note, now_ms, &mut looked)?,
        };
        match done {
            None => looked.waiting += 1,
            Some(Ok(())) => session.promises.remove(&name)?,
            Some(Err(wrong)) => {
                session.promises.write(&format!("{BROKEN}/{name}"), &bytes)?;
                session.promises.remove(&name)?;
                let at = session.folder.at("promises").join(BROKEN).join(&name);
                looked.broken.push(format!("{}: {wrong}", at.display()));
            }
        }
    }
    Ok(looked)
}

type Done = Option<Result<(), String>>;

/// Where a leaf is promised: seen, not there yet, late, or another there.
fn standing(
    mirror: &Mirror,
    promise: &Promise,
    is_it: impl FnOnce(&[u8]) -> bool,
    now_ms: u64,
) -> Result<Done> {
    if promise.index >= mirror.size() {
        return Ok(match now_ms <= promise.merge_by_ms {
            true => None,
            false => Some(Err(format!(
                "leaf {} of {} was promised for {} ms and is not there",
                promise.index, promise.log, promise.merge_by_ms
            ))),
        });
    }
    let leaf = mirror.leaf(promise.index)?;
    Ok(Some(match is_it(&leaf) {
        true => Ok(()),
        false => Err(format!("leaf {} of {} is another than the promised one", promise.index, promise.log)),
    }))
}

fn contribution(
    session: &Session,
    key: &VerifierKey,
    note: &Note,
    now_ms: u64,
    looked: &mut Looked,
) -> Result<Done> {
    let promise = Promise::verify(note, std::slice::from_ref(key))?;
    let is_it = |leaf: &[u8]| <[u8; 32]>::from(Sha256::digest(leaf)) == promise.leaf;
    let done = standing(&session.governance, &promise, is_it, now_ms)?;
    looked.contributions += u64::from(matches!(done, Some(Ok(()))));
    Ok(done)
}

fn query(
    session: &Session,
    key: &VerifierKey,
    note: &Note,
    opening: &Opening,
    cosigned: Option<&Note>,
    now_ms: u64,
    looked: &mut Looked,
) -> Result<Done> {
    let promise = Promise::verify(note, std::slice::from_ref(key))?;
    let seen = standing(&session.queries, &promise, |leaf| *leaf == opening.leaf(), now_ms)?;
    if !matches!(seen, Some(Ok(()))) {
        return Ok(seen);
    }
    // The receipt waits for a checkpoint that enough witnesses have cosigned.
    let Some(checkpoint) = cosigned else { return Ok(None) };
    let tree = Checkpoint::parse(checkpoint.text())?;
    if promise.index >= tree.size {
        return Ok(None);
    }
    let proof = match receipt::build(&session.queries, checkpoint, promise.index, opening) {
        Ok(proof) => proof,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Ok(Some(Err(error.to_string()))),
    };
    session.receipts.write(&format!("{}.tlog-proof", promise.index), proof.to_string().as_bytes())?;
    looked.receipts += 1;
    Ok(Some(Ok(())))
}

/// Whether a cosigned checkpoint of the hub is of the mirrored log, so that receipts may be made under it.
///
/// # Errors
/// A checkpoint of another history: evidence that the hub shows two.
pub fn check_cosigned(mirror: &Mirror, note: &Note, keys: &[VerifierKey]) -> Result<bool> {
    let checkpoint = Checkpoint::verify(note, keys)?;
    if checkpoint.size > mirror.size() {
        return Ok(false);
    }
    let root = Prover::new(mirror, mirror.size()).root(checkpoint.size)?;
    if root != checkpoint.root {
        anyhow::bail!(
            "{}: a cosigned checkpoint of {} leaves is of another history",
            checkpoint.origin,
            checkpoint.size
        );
    }
    Ok(true)
}
