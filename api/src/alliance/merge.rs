//! Contributions since the last epoch, merged into where members stand: the same code at the hub and at every member that
//! rebuilds what the hub has built.

use super::folder::Files;
use super::view::versions;
use anyhow::{Context, Result};
use interdict_consortium::epoch::{Admitted, State, consolidate as merge};
use interdict_consortium::limits::MERGE_BODIES_MAX;
use interdict_consortium::member::{Numbered, Registry};
use interdict_consortium::note::Note;
use interdict_consortium::signal::{Body, Manifest};
use interdict_engine::generation::hex;

/// Bodies that are merged at once, so that not all of a log need be in memory.
const BODIES_BYTES_MAX: u64 = 256 << 20;

type Leaf = std::result::Result<Vec<u8>, interdict_consortium::error::Error>;

/// Brings the state in a file to a size of the governance log. `leaf` gives the log's leaves, `body` a contribution's
/// body by its hash.
///
/// # Errors
/// A body that is missing or is not what its manifest signs; the folder's.
pub fn consolidate(
    files: &Files,
    name: &str,
    registry: &Registry,
    size: u64,
    leaf: impl Fn(u64) -> Leaf,
    body: impl Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    let held = files.read(name)?;
    // One of a longer log, as after a copy in another order, is made anew.
    let held = held.filter(|bytes| State::open(bytes).is_ok_and(|state| state.governance_size() <= size));
    let mut from =
        held.as_ref().map_or(Ok(0), |bytes| State::open(bytes).map(|state| state.governance_size()))?;
    if held.is_none() {
        files.remove(name)?;
    }
    loop {
        let (bodies, to) = gather(registry, from, size, &leaf, &body)?;
        step(files, name, &bodies, &versions(registry, size), to)?;
        from = to;
        if from == size {
            return Ok(());
        }
    }
}

/// A contribution whose body was read.
struct Gathered {
    leaf: u64,
    member: interdict_consortium::kind::MemberId,
    number: u64,
    bytes: Vec<u8>,
}

/// The contributions from a leaf on, until there are enough at once; up to which leaf.
fn gather(
    registry: &Registry,
    from: u64,
    size: u64,
    leaf: &impl Fn(u64) -> Leaf,
    body: &impl Fn(&str) -> Result<Option<Vec<u8>>>,
) -> Result<(Vec<Gathered>, u64)> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for at in from..size {
        let note = Note::parse(&leaf(at)?)?;
        if Numbered::of_text(note.text()) != Some(Numbered::Contribution) {
            continue;
        }
        if all.len() == MERGE_BODIES_MAX || bytes > BODIES_BYTES_MAX {
            return Ok((all, at));
        }
        let manifest = Manifest::parse(note.text())?;
        let member = registry.by_name(&manifest.member).context("a contribution of nobody")?.id;
        let name = hex(&manifest.sha256);
        let read = body(&name)?.with_context(|| format!("the body of governance leaf {at} is not there"))?;
        manifest.body(&read).with_context(|| format!("the body of governance leaf {at}"))?;
        bytes += read.len() as u64;
        all.push(Gathered { leaf: at, member, number: manifest.number, bytes: read });
    }
    Ok((all, size))
}

fn step(files: &Files, name: &str, gathered: &[Gathered], alive: &[u32], to: u64) -> Result<()> {
    let admitted = gathered.iter().map(|one| {
        Ok(Admitted { leaf: one.leaf, member: one.member, number: one.number, body: Body::read(&one.bytes)? })
    });
    let admitted = admitted.collect::<Result<Vec<_>>>()?;
    let held = files.read(name)?;
    let state = held.as_deref().map(State::open).transpose()?;
    let mut sink = files.begin(name)?;
    merge(state.as_ref(), &admitted, alive, to, &mut sink)?;
    Ok(sink.finish()?)
}
