//! Watchlists on the command line: what the files hold, the bank they make, what a built one says.

use super::{out_path, working};
use crate::node::store::write_whole;
use crate::node::watchlists::{load_bank, watchlist_bank};
use anyhow::{Context, Result, bail};
use interdict_engine::generation::hex;
use interdict_engine::similarity::names::{Bank, Kind, Quality};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// How many entries and names there are of each kind.
struct Counts {
    entries: usize,
    kinds: [(&'static str, usize); 4],
    strong: usize,
    weak: usize,
}

impl Counts {
    fn of(bank: &Bank) -> Counts {
        let count = |kind: Kind| bank.entries().iter().filter(|entry| entry.kind == kind).count();
        let names = bank.entries().iter().flat_map(|entry| &entry.names);
        let weak = names.clone().filter(|alias| alias.quality == Quality::Weak).count();
        Counts {
            entries: bank.entries().len(),
            kinds: [
                ("person", count(Kind::Person)),
                ("company", count(Kind::Company)),
                ("vessel", count(Kind::Vessel)),
                ("other", count(Kind::Other)),
            ],
            strong: names.count() - weak,
            weak,
        }
    }
    fn json(&self) -> serde_json::Value {
        let kinds: serde_json::Map<_, _> =
            self.kinds.iter().map(|(kind, count)| ((*kind).to_owned(), json!(count))).collect();
        json!({"entries": self.entries, "kinds": kinds, "names": self.strong + self.weak, "weak_names": self.weak})
    }
    fn text(&self) -> String {
        let kinds = self.kinds.iter().filter(|(_, count)| *count > 0);
        let kinds: Vec<String> = kinds.map(|(kind, count)| format!("{count} {kind}")).collect();
        let (entries, names, weak) = (self.entries, self.strong + self.weak, self.weak);
        format!("{entries} entries ({}), {names} names, {weak} of them weak", kinds.join(", "))
    }
}

fn checked_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty()
        || name.len() > interdict_engine::limits::LIST_NAME_BYTES_MAX
        || !name.chars().all(plain)
    {
        bail!("watchlist name {name:?}: expected 1 to 64 of a-z, A-Z, 0-9, '_', '-', '.'");
    }
    Ok(())
}

/// `lists import --watchlist`.
pub(super) fn import(name: &str, files: &[PathBuf], as_json: bool) -> Result<()> {
    checked_name(name)?;
    for file in files {
        let bar = working("reading");
        let counts = Counts::of(&load_bank(file)?.bank);
        bar.finish_and_clear();
        let place = file.display().to_string();
        if as_json {
            println!("{}", json!({"file": place, "watchlist": name, "counts": counts.json()}));
        } else {
            println!("{place}: {}, no errors", counts.text());
        }
    }
    Ok(())
}

/// `lists build --watchlist`: equal lists give equal files.
pub(super) fn build(name: &str, files: &[PathBuf], out: &Path, as_json: bool) -> Result<()> {
    checked_name(name)?;
    let bar = working("reading");
    let bank = watchlist_bank(files)?;
    let bytes = bank.encode();
    write_whole(&out_path(out), &bytes)?;
    bar.finish_and_clear();
    let (counts, sha256) = (Counts::of(&bank), hex(&Sha256::digest(&bytes)));
    if as_json {
        let file = out.display().to_string();
        println!("{}", json!({"watchlist": name, "counts": counts.json(), "sha256": sha256, "file": file}));
    } else {
        println!("{name} {} sha256:{sha256}", counts.text());
    }
    Ok(())
}

/// `lists inspect` of a built watchlist.
pub(super) fn inspect(file: &Path, as_json: bool) -> Result<()> {
    let loaded = load_bank(file)?;
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let (counts, sha256) = (Counts::of(&loaded.bank), hex(&Sha256::digest(&bytes)));
    if as_json {
        let place = file.display().to_string();
        println!(
            "{}",
            json!({"file": place, "bytes": bytes.len(), "counts": counts.json(), "sha256": sha256, "checksum": "ok"})
        );
    } else {
        println!("watchlist  {}, {} bytes", loaded.name, bytes.len());
        println!("holds      {}", counts.text());
        println!("checksum   ok\nsha256     {sha256}");
    }
    Ok(())
}
