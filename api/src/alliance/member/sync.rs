//! One round of a member: both logs mirrored and checked whole, checkpoints witnessed, promises looked at, the epoch that waits
//! rebuilt and cosigned, the newest one taken over. Nothing of the hub is believed that is not checked here.

use super::mirror::Round;
use super::promises::{self, Looked, check_cosigned};
use super::session::{Session, check_genesis, now_ms, take};
use crate::alliance::client::Client;
use crate::alliance::{merge, view};
use anyhow::{Context, Result, bail};
use interdict_consortium::epoch::manifest::{File, Parent};
use interdict_consortium::epoch::{
    Held, Manifest, Snapshot, State, accept, delta, follow, rebuild_and_compare,
};
use interdict_consortium::error::ErrorKind;
use interdict_consortium::limits::NOTE_BYTES_MAX;
use interdict_consortium::log::witness::Answer;
use interdict_consortium::log::{Checkpoint, Prover, Witness, witness::AddCheckpoint};
use interdict_consortium::member::{Numbered, Registry, Role};
use interdict_consortium::note::Note;
use interdict_consortium::signal;
use interdict_engine::generation::hex;
use sha2::{Digest, Sha256};

/// The file of the newest epoch's manifest that was accepted.
const HELD: &str = "held";
/// The file of where members stand.
const STATE: &str = "state";
/// How far a new epoch's time may lie from the clock here before it is cosigned, in ms.
const SKEW_MS_MAX: u64 = 600_000;

/// What a round found and did.
#[derive(Debug, Clone, Default)]
pub struct Synced {
    /// The governance log: leaves before and now.
    pub governance: Option<Round>,
    /// The query log.
    pub queries: Option<Round>,
    /// Checkpoints cosigned.
    pub cosigned_checkpoints: u64,
    /// Bodies fetched.
    pub bodies: u64,
    /// The epoch rebuilt and cosigned.
    pub cosigned_epoch: Option<u64>,
    /// The epoch taken over in this round.
    pub epoch: Option<u64>,
    /// What came of promises.
    pub promises: Looked,
    /// What was wrong and does not keep the rest from going on.
    pub warnings: Vec<String>,
}

/// A round. `progress` is told what is being done.
///
/// # Errors
/// No hub; a log that does not extend what was seen, or with a record that the rules refuse: nothing of it is taken over.
pub fn step(session: &mut Session, mut progress: impl FnMut(&str)) -> Result<Synced> {
    let mut synced = Synced::default();
    let client = session.client()?;
    let mut logs = || -> Result<()> {
        progress("the governance log");
        synced.governance = Some(governance(session, &client)?);
        progress("the query log");
        synced.queries = Some(session.queries.advance(&client, |_, _| Ok(()))?);
        Ok(())
    };
    if let Err(error) = logs() {
        show(session, &client);
        return Err(error);
    }
    session.write_policy()?;
    if session.me().is_ok() {
        progress("witnessing");
        for log in ["governance", "queries"] {
            match witness(session, &client, log) {
                Ok(cosigned) => synced.cosigned_checkpoints += u64::from(cosigned),
                Err(error) => synced.warnings.push(format!("witnessing {log}: {error:#}")),
            }
        }
        progress("contributions");
        synced.bodies = bodies(session, &client)?;
        progress("the epoch that waits");
        match cosign(session, &client) {
            Ok(number) => synced.cosigned_epoch = number,
            Err(error) => synced.warnings.push(format!("no cosignature for the epoch that waits: {error:#}")),
        }
    }
    progress("the newest epoch");
    match newest(session, &client) {
        Ok(number) => synced.epoch = number,
        Err(error) => synced.warnings.push(format!("the newest epoch: {error:#}")),
    }
    progress("promises");
    let cosigned = cosigned(session, &client)?;
    synced.promises = promises::look(session, cosigned.as_ref())?;
    Ok(synced)
}

/// Shows the hub the checkpoints that this member holds: one that was restored from an older copy stops then.
fn show(session: &Session, client: &Client) {
    for mirror in [&session.governance, &session.queries] {
        if let Some((_, note)) = mirror.checkpoint() {
            // Why the round failed is told already.
            drop(client.post("add-checkpoint", note.encode().as_bytes(), 64 << 10));
        }
    }
}

fn governance(session: &mut Session, client: &Client) -> Result<Round> {
    let mut registry = session.registry.clone();
    let round = session.governance.advance(client, |index, leaf| take(&mut registry, index, leaf))?;
    if let Some(registry) = &registry {
        check_genesis(registry, &session.folder)?;
    }
    session.registry = registry;
    session.take_pins()?;
    Ok(round)
}

/// Cosigns the checkpoint that the hub offers to witnesses; whether it did.
fn witness(session: &Session, client: &Client, log: &'static str) -> Result<bool> {
    let Some(offered) = client.find(&format!("{log}/offered"), NOTE_BYTES_MAX as u64)? else {
        return Ok(false);
    };
    let note = Note::parse(&offered)?;
    let mirror = if log == "governance" { &session.governance } else { &session.queries };
    let logs = &session.registry()?.operator().logs;
    let key = if log == "governance" { &logs.governance } else { &logs.queries };
    if !check_cosigned(mirror, &note, std::slice::from_ref(key))? {
        return Ok(false);
    }
    let checkpoint = Checkpoint::parse(note.text())?;
    let files = session.folder.files("witness")?;
    let mut witness = Witness::open(files, session.folder.witness_key()?, std::slice::from_ref(key))?;
    let old = witness.held(&checkpoint.origin).map_or(0, |(held, _)| held.size);
    let own = session.folder.witness_key()?;
    let is_own = |s: &interdict_consortium::note::Signature| {
        &*s.name == own.verifier().name() && s.key_id == own.verifier().id()
    };
    if old >= checkpoint.size && note.signatures().iter().any(is_own) {
        return Ok(false);
    }
    if old > checkpoint.size {
        bail!("the hub offers {} leaves, and {old} were cosigned", checkpoint.size);
    }
    let (proof, _) = Prover::new(mirror, checkpoint.size).consistency(old, &checkpoint)?;
    let asked = AddCheckpoint { old, proof, checkpoint: note.clone() };
    let time_s = now_ms() / 1000;
    let lines = match witness.add_checkpoint(asked.to_string().as_bytes(), time_s)? {
        Answer::Cosigned(lines) => lines,
        other => bail!("not cosigned: {}", other.body()),
    };
    let cosigned = log_signature(&note, key.name()) + &lines;
    let sent = format!("{}\n{cosigned}", note.text());
    match client.post("add-checkpoint", sent.as_bytes(), 64 << 10) {
        Ok(_) => Ok(true),
        // Another one is offered by now; the next round has it.
        Err(error)
            if crate::alliance::client::refused(&error).is_some_and(|r| r.status == 409)
                && !has_stopped(&error) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn has_stopped(error: &anyhow::Error) -> bool {
    crate::alliance::client::refused(error).is_some_and(|refused| refused.detail.contains("stopped"))
}

fn log_signature(note: &Note, origin: &str) -> String {
    let own = note.signatures().iter().filter(|signature| &*signature.name == origin);
    own.map(|signature| format!("{signature}\n")).collect()
}

/// The newest checkpoint of the queries that enough witnesses have cosigned, of the history that is mirrored.
fn cosigned(session: &Session, client: &Client) -> Result<Option<Note>> {
    let Some(bytes) = client.find("queries/cosigned", NOTE_BYTES_MAX as u64)? else { return Ok(None) };
    let note = Note::parse(&bytes)?;
    let registry = session.registry()?;
    let keys = std::slice::from_ref(&registry.operator().logs.queries);
    let enough = usize::from(registry.rules().epoch_cosigners_min);
    let have = match note.verify_known(&registry.witnesses()) {
        Ok(signed) => signed.len(),
        Err(error) if error.kind == ErrorKind::Quorum => 0,
        Err(error) => return Err(error.into()),
    };
    Ok((check_cosigned(&session.queries, &note, keys)? && have >= enough).then_some(note))
}

/// Fetches the bodies of all contributions that the governance log has and the folder has not.
fn bodies(session: &Session, client: &Client) -> Result<u64> {
    let mut wanted = Vec::new();
    session.governance.leaves(0, |_, leaf| {
        let note = Note::parse(leaf)?;
        if Numbered::of_text(note.text()) == Some(Numbered::Contribution) {
            let manifest = signal::Manifest::parse(note.text())?;
            wanted.push((manifest.sha256, manifest.bytes));
        }
        Ok(())
    })?;
    let mut fetched = 0;
    for (sha256, bytes) in wanted {
        let name = hex(&sha256);
        if session.bodies.len(&name)? == Some(bytes) {
            continue;
        }
        let body = client.get(&format!("body/{name}"), bytes)?;
        if <[u8; 32]>::from(Sha256::digest(&body)) != sha256 {
            bail!("the hub's body {name} is not the one that its contributor signed");
        }
        session.bodies.write(&name, &body)?;
        fetched += 1;
    }
    Ok(fetched)
}

/// The manifest of the epoch that the member holds.
///
/// # Errors
/// A file that does not read.
pub fn held_manifest(session: &Session) -> Result<Option<Manifest>> {
    let held = session.epochs.read(HELD)?;
    held.map(|bytes| Ok(Manifest::parse(Note::parse(&bytes)?.text())?)).transpose()
}

/// The bytes of the snapshot that the member holds, with its manifest: what an engine loads.
///
/// # Errors
/// Files that do not read.
pub fn held_snapshot(session: &Session) -> Result<Option<(Manifest, Vec<u8>)>> {
    let Some(manifest) = held_manifest(session)? else { return Ok(None) };
    let name = format!("{}/snapshot", manifest.number);
    let bytes = session.epochs.read(&name)?.with_context(|| format!("epochs/{name} is gone"))?;
    Ok(Some((manifest, bytes)))
}

/// Rebuilds the epoch that waits and cosigns it; its number.
fn cosign(session: &Session, client: &Client) -> Result<Option<u64>> {
    let registry = session.registry()?;
    let me = session.me()?;
    if me.can(Role::Operator) {
        return Ok(None);
    }
    let Some(bytes) = client.find("epoch/waiting", NOTE_BYTES_MAX as u64)? else { return Ok(None) };
    let note = Note::parse(&bytes)?;
    let manifest = Manifest::parse(note.text())?;
    if manifest.governance_size > session.governance.size() {
        return Ok(None);
    }
    let key = session.folder.sign_key()?;
    if note.signatures().iter().any(|s| &*s.name == key.verifier().name() && s.key_id == key.verifier().id())
    {
        return Ok(None);
    }
    check_claims(session, registry, &note, &manifest)?;
    let size = manifest.governance_size;
    merge::consolidate(
        &session.epochs,
        STATE,
        registry,
        size,
        |leaf| session.governance.leaf(leaf),
        |name| session.bodies.read(name).map_err(anyhow::Error::from),
    )?;
    let state = session.epochs.read(STATE)?.context("the state was just written")?;
    let state = State::open(&state)?;
    let view = view::view(registry, size, manifest.number, manifest.built_ms)?;
    let snapshot = client.get(&format!("epoch/{}/snapshot", manifest.number), manifest.snapshot.bytes)?;
    rebuild_and_compare(&manifest, &state, &view, &snapshot)?;
    if let Some(parent) = &manifest.parent {
        check_delta(session, client, &manifest, parent, &snapshot)?;
    }
    let mut own = Note::new(note.text().to_owned())?;
    own.sign(&key);
    client.post(&format!("epoch/{}/cosign", manifest.number), own.encode().as_bytes(), 64 << 10)?;
    Ok(Some(manifest.number))
}

/// All that a manifest says beside its snapshot: who signed it, what it follows, the log's root, keys, times.
fn check_claims(session: &Session, registry: &Registry, note: &Note, manifest: &Manifest) -> Result<()> {
    let size = manifest.governance_size;
    let operator = registry.member(registry.operator().member).context("no operator")?;
    if !note.verify_known(std::slice::from_ref(&operator.profile.sign)).is_ok_and(|signed| !signed.is_empty())
    {
        bail!("epoch {} is not signed by the operator", manifest.number);
    }
    if manifest.alliance != registry.alliance()
        || manifest.governance_root != session.governance.root(size)?
    {
        bail!("epoch {} is of another log", manifest.number);
    }
    let latest = registry.latest(Numbered::Epoch, None);
    let parent = latest.map(|latest| <[u8; 32]>::from(Sha256::digest(latest.note.text())));
    if manifest.number != latest.map_or(1, |latest| latest.number + 1)
        || manifest.parent.map(|parent| parent.manifest) != parent
    {
        bail!("epoch {} does not follow the newest one in the log", manifest.number);
    }
    for key in &manifest.tag_keys {
        if registry.tag_key_of(key.version).is_none_or(|leaf| leaf.key.voprf != key.voprf) {
            bail!(
                "epoch {} names another key of the tag service than the log, version {}",
                manifest.number,
                key.version
            );
        }
    }
    let valid_ms = registry.rules_as_of(size).epoch_valid_ms;
    let is_timely = manifest.built_ms <= now_ms() + SKEW_MS_MAX
        && manifest.valid_from_ms == manifest.built_ms
        && manifest.valid_until_ms == manifest.built_ms + valid_ms;
    if !is_timely {
        bail!("epoch {}: its times are not those of the rules, or lie ahead", manifest.number);
    }
    Ok(())
}

/// That the delta which the manifest signs is the difference between the two snapshots.
fn check_delta(
    session: &Session,
    client: &Client,
    manifest: &Manifest,
    parent: &Parent,
    snapshot: &[u8],
) -> Result<()> {
    let latest = session.registry()?.latest(Numbered::Epoch, None).context("an epoch before")?.note.clone();
    let before = Manifest::parse(latest.text())?;
    let path = format!("{}/snapshot", before.number);
    let bytes = match session.epochs.read(&path)? {
        Some(bytes) => bytes,
        None => client.get(&format!("epoch/{path}"), before.snapshot.bytes)?,
    };
    if <[u8; 32]>::from(Sha256::digest(&bytes)) != before.snapshot.sha256 {
        bail!("the snapshot of epoch {} is not the one that was signed", before.number);
    }
    let (written, counts) =
        delta::write(&Snapshot::open(&bytes)?, &before.snapshot.sha256, &Snapshot::open(snapshot)?, ())?;
    if File::from(written) != parent.delta || counts != parent.counts {
        bail!("the delta of epoch {} is not the difference from the one before", manifest.number);
    }
    Ok(())
}

/// Takes the newest epoch in the log over, where it is newer than what is held; its number.
fn newest(session: &Session, client: &Client) -> Result<Option<u64>> {
    let registry = session.registry()?;
    let Some(latest) = registry.latest(Numbered::Epoch, None) else { return Ok(None) };
    let manifest = Manifest::parse(latest.note.text())?;
    let held = held_manifest(session)?;
    if held.as_ref().is_some_and(|held| held.number >= manifest.number) {
        return Ok(None);
    }
    let mut basis = held.as_ref().map(Held::of).transpose()?;
    if let Some(held) = &held {
        for (note, missed) in between(session, held.number, manifest.number)? {
            let before = basis.as_ref().context("one is held")?;
            basis = Some(follow(&note, &view::trust(registry, missed.governance_size), before)?);
        }
    }
    let snapshot = fetch(session, client, held.as_ref(), &manifest)?;
    let trust = view::trust(registry, manifest.governance_size);
    let accepted = accept(&latest.note, &trust, basis.as_ref(), now_ms(), &snapshot)?;
    let number = accepted.manifest.number;
    session.epochs.write(&format!("{number}/snapshot"), &snapshot)?;
    session.epochs.write(HELD, latest.note.encode().as_bytes())?;
    // The one before stays for who is still reading it.
    if let Some(old) = held.and_then(|held| held.number.checked_sub(1)).filter(|old| *old > 0) {
        session.epochs.remove(&format!("{old}/snapshot"))?;
    }
    Ok(Some(number))
}

/// The epochs of the log between two numbers, both left out.
fn between(session: &Session, from: u64, to: u64) -> Result<Vec<(Note, Manifest)>> {
    let mut found = Vec::new();
    if from + 1 == to {
        return Ok(found);
    }
    session.governance.leaves(0, |_, leaf| {
        let note = Note::parse(leaf)?;
        if Numbered::of_text(note.text()) == Some(Numbered::Epoch) {
            let manifest = Manifest::parse(note.text())?;
            if (from + 1..to).contains(&manifest.number) {
                found.push((note, manifest));
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// The snapshot's bytes: by the delta where its parent is held, else whole.
fn fetch(
    session: &Session,
    client: &Client,
    held: Option<&Manifest>,
    manifest: &Manifest,
) -> Result<Vec<u8>> {
    let is_next = |held: &&Manifest| held.number + 1 == manifest.number;
    if let (Some(held), Some(parent)) = (held.filter(is_next), &manifest.parent)
        && parent.delta.bytes < manifest.snapshot.bytes
        && let Some(before) = session.epochs.read(&format!("{}/snapshot", held.number))?
        && let Some(bytes) = client.find(&format!("epoch/{}/delta", manifest.number), parent.delta.bytes)?
    {
        let mut whole = Vec::new();
        let opened = delta::Delta::open(&bytes)?;
        delta::apply(&Snapshot::open(&before)?, &held.snapshot.sha256, &opened, &mut whole)?;
        return Ok(whole);
    }
    client.get(&format!("epoch/{}/snapshot", manifest.number), manifest.snapshot.bytes)
}
