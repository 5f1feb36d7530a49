//! `interdict consortium monitor`: both logs fetched and checked whole, and what may be counted in them: records by type,
//! members, epochs, queries. Who asked is not in the log; that is the point of its commitments.

use super::{Place, print};
use crate::alliance::member::sync;
use anyhow::Result;
use interdict_consortium::note::Note;
use interdict_consortium::record::type_of;
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Arguments of `consortium monitor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Only what is mirrored already; do not ask the hub.
    #[arg(long)]
    offline: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut session = args.place.session()?;
    if !args.offline {
        sync::step(&mut session, |_| {})?;
    }
    let mut records: BTreeMap<String, u64> = BTreeMap::new();
    session.governance.leaves(0, |_, leaf| {
        let note = Note::parse(leaf)?;
        *records.entry(type_of(note.text())?.0.to_owned()).or_default() += 1;
        Ok(())
    })?;
    let registry = session.registry()?;
    let checkpoint = |mirror: &crate::alliance::member::mirror::Mirror| {
        mirror.checkpoint().map(|(checkpoint, note)| {
            let root = interdict_engine::generation::hex(&checkpoint.root);
            json!({"leaves": checkpoint.size, "root": root, "signatures": note.signatures().len()})
        })
    };
    let held = sync::held_manifest(&session)?;
    let told = json!({
        "alliance": registry.alliance(),
        "governance": checkpoint(&session.governance),
        "queries": checkpoint(&session.queries),
        "records": records,
        "members": registry.active().count(),
        "epoch": held.as_ref().map(|held| held.number),
        "rows": held.as_ref().map(|held| held.rows),
        "promises": session.promises.list("")?.iter().filter(|name| *name != "broken").count(),
        "broken": session.promises.list("broken")?,
    });
    print(args.place.json, told.clone(), || {
        let records: Vec<String> = records.iter().map(|(ty, count)| format!("{count} {ty}")).collect();
        format!(
            "{}: both logs are consistent with all that was seen before\ngovernance: {} leaves ({})\nqueries: {} leaves\n\
             {} active members; epoch {} with {} signals; {} promises wait, {} are broken",
            registry.alliance(),
            session.governance.size(),
            records.join(", "),
            session.queries.size(),
            registry.active().count(),
            told["epoch"],
            told["rows"],
            told["promises"],
            told["broken"].as_array().map_or(0, Vec::len),
        )
    });
    Ok(ExitCode::SUCCESS)
}
