//! The master keys of a node: another one is made, the ring is shown, and a key that nothing needs is destroyed. A
//! running node is not asked: it takes a new key up when it is told, or at its next start.

use super::DataFolder;
use crate::history::Folder;
use crate::node::now_ms;
use crate::node::ring::{Purpose, Ring, Row, key_file};
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::domain::{Accepted, Body};
use interdict_engine::keys::Keys;
use interdict_ledger::dead_letter;
use interdict_ledger::journal::{KeyState, RecordKind};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// Makes another key for some purposes.
pub(super) fn rotate(place: &DataFolder, sealing: bool, tags: bool, as_json: bool) -> Result<()> {
    let loaded = place.load()?;
    let dir = place.keys_dir(loaded.as_ref())?;
    place.keys(loaded.as_ref(), false)?;
    let wanted = [(sealing, Purpose::Sealing), (tags, Purpose::Tags)];
    let purposes: Vec<Purpose> =
        wanted.into_iter().filter(|(is, _)| *is).map(|(_, purpose)| purpose).collect();
    let number = Ring::add(&dir, &purposes, now_ms())?;
    let file = dir.join(key_file(number));
    if as_json {
        println!("{}", json!({"number": number, "purposes": purposes, "file": file.display().to_string()}));
    } else {
        let names: Vec<&str> = purposes.iter().map(|purpose| purpose.name()).collect();
        println!("key {number} for {}: {}", names.join(" and "), file.display());
        println!("Back it up, then have the node take it up: POST /v1/keys/rotate, or a restart.");
    }
    Ok(())
}

/// What still needs each key, by its number: lines for people.
type Needs = BTreeMap<u32, Vec<String>>;

/// Shows the ring.
pub(super) fn show(place: &DataFolder, as_json: bool) -> Result<()> {
    let (ring, needs) = needed(place)?;
    for row in ring.rows() {
        let needs = needs.get(&row.number).cloned().unwrap_or_default();
        if as_json {
            println!(
                "{}",
                json!({"number": row.number, "id": row.id, "made_ms": row.made_ms, "purposes": row.purposes,
                       "retired_ms": row.retired_ms, "needed_by": needs})
            );
            continue;
        }
        let names: Vec<&str> = row.purposes.iter().map(|purpose| purpose.name()).collect();
        println!("{}  {}  {}  {}", row.number, row.id, names.join("+"), state(row, &needs));
    }
    Ok(())
}

fn state(row: &Row, needs: &[String]) -> String {
    let made = match row.made_ms {
        0 => "there from the start".to_owned(),
        ms => format!("made {}", crate::answer::time(ms)),
    };
    match (row.retired_ms, needs) {
        (Some(ms), _) => format!("{made}, destroyed {}", crate::answer::time(ms)),
        (None, []) => format!("{made}, needed by nothing"),
        (None, needs) => format!("{made}, needed by {}", needs.join("; ")),
    }
}

/// Destroys a key that nothing needs.
pub(super) fn retire(place: &DataFolder, number: u32) -> Result<()> {
    let (ring, needs) = needed(place)?;
    ring.key(number).with_context(|| format!("key ring: there is no key {number}"))?;
    if let Some(needs) = needs.get(&number) {
        bail!("key {number} is needed by {}; nothing was changed", needs.join("; "));
    }
    Ring::retire(ring.dir(), number, now_ms())?;
    println!("key {number} is destroyed");
    Ok(())
}

/// The ring, and what needs its keys. The journal is read: it alone knows.
fn needed(place: &DataFolder) -> Result<(Ring, Needs)> {
    let loaded = place.load()?;
    let ring = Ring::open(&place.keys_dir(loaded.as_ref())?)?;
    let mut needs = Needs::new();
    let mut need = |number: u32, what: String| needs.entry(number).or_default().push(what);
    need(1, "lists, which are tagged under it".into());
    for purpose in Purpose::ALL {
        need(ring.newest(purpose).row.number, format!("{}, as the newest key", purpose.name()));
    }
    for id in dead_letter::master_keys(&place.data.join("dead-letters")).map_err(|e| anyhow!("{e}"))? {
        ring.number_of(id).into_iter().for_each(|number| need(number, "a file of dead letters".into()));
    }
    let is_there = place.data.join("journal").is_dir();
    let folder = is_there.then(|| Folder::open(&place.data, place.config.as_deref())).transpose()?;
    if let Some(folder) = folder {
        let (segments, keys) = of_journal(&folder)?;
        for (number, count) in segments {
            need(number, format!("{count} segments whose text can be read"));
        }
        if keys.tags() != ring.newest(Purpose::Tags).row.number {
            need(keys.tags(), "tags, until the newest is taken up".into());
        }
        let now_ms = now_ms();
        for earlier in keys.earlier().iter().filter(|earlier| earlier.until_ms > now_ms) {
            let until = crate::answer::time(earlier.until_ms);
            need(earlier.number, format!("state that was tagged under it, until {until}"));
        }
    }
    Ok((ring, needs))
}

/// How many segments can be read by each key, and the keys in force.
fn of_journal(folder: &Folder) -> Result<(BTreeMap<u32, usize>, Keys)> {
    let (reader, mut segments, mut keys) = (folder.reader()?, BTreeMap::new(), Keys::default());
    for info in reader.segments().into_iter().filter(|info| info.key == KeyState::Present) {
        let number = folder.keys.ring.lock().number_of(info.key_id);
        number.into_iter().for_each(|number| *segments.entry(number).or_default() += 1);
    }
    let mut wrong = None;
    let read = reader.for_each(1, &mut |stored| {
        if stored.kind != RecordKind::Accepted {
            return Ok(());
        }
        // Payments are by far the most, and say nothing of keys.
        match Accepted::decode(stored.open(), None) {
            Ok(Accepted { event, .. }) => {
                if let Body::Key(taken) = &event.body {
                    wrong = keys.restore(taken, event.arrival_ms).err().or(wrong.take());
                }
            }
            Err(e) => wrong = Some(e),
        }
        Ok(())
    });
    read.map_err(|e| anyhow!("{e}"))?;
    wrong.map_or(Ok((segments, keys)), |e| Err(e).with_context(|| shown(&folder.keys.dir)))
}

fn shown(dir: &Path) -> String {
    format!("keys of {}", dir.display())
}
