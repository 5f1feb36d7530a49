//! `interdict lists`: exact lists and watchlists before they are published. `import` only says what a file holds and what
//! is wrong with it; `build` makes the snapshot, an exact list's under the data folder's keys; `inspect` reads one
//! without any key.

mod counts;
mod watchlist;

use self::counts::{Counts, Validity};
use super::keys::DataFolder;
use crate::config::schema::List;
use crate::node::keys::NodeKeys;
use crate::node::publish::{checked_pack, list_meta, read_pack_folder};
use crate::node::store::write_whole;
use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use indicatif::ProgressBar;
use interdict_engine::domain::Entry;
use interdict_engine::generation::hex;
use interdict_engine::lists::{ListMeta, Snapshot};
use interdict_ingest::watchlists::bank::is_built;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Arguments of `lists`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Validate list files: counts by type and effect, every error by line and column. Builds and keeps nothing.
    Import {
        #[command(flatten)]
        input: Input,
        /// Accepted so that the arguments of `build` fit; nothing is written, so no keys are needed.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// The configuration, for what it says about the list.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Build a snapshot: of an exact list, tagged under the data folder's keys (made where they are missing); of a
    /// watchlist, which needs none.
    Build {
        #[command(flatten)]
        input: Input,
        /// Where the snapshot goes: F.ilist, of a watchlist F.inames.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The data folder; its keys are in DIR/keys unless the config says otherwise.
        #[arg(long, value_name = "DIR", required_unless_present = "watchlist")]
        data: Option<PathBuf>,
        /// The configuration, where it names another place for keys.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Header, counts, validity, content hash and checksum of a snapshot.
    Inspect {
        /// The snapshot.
        file: PathBuf,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// A list file and what the list is. What is left open the config says, then the config's packs.
#[derive(Debug, clap::Args)]
struct Input {
    /// A .csv or .jsonl file; of a watchlist one or more of OFAC's sdn.csv, the UN's XML, a CSV with a name column.
    #[arg(required = true, num_args = 1..)]
    file: Vec<PathBuf>,
    /// The list's name, as rules read it (`lists.NAME`).
    #[arg(long, required_unless_present = "watchlist", default_value = "", hide_default_value = true)]
    name: String,
    /// The name of a watchlist: names to screen against, instead of an exact list.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "tenant", "outcome", "code", "audience", "sanctions"])]
    watchlist: Option<String>,
    /// The tenant it belongs to; shared by all without.
    #[arg(long)]
    tenant: Option<String>,
    /// What a block asks for; decline by default.
    #[arg(long, value_parser = PossibleValuesParser::new(["review", "challenge", "hold", "decline"]))]
    outcome: Option<String>,
    /// Reason code of a hit.
    #[arg(long)]
    code: Option<String>,
    /// Who may see a hit; internal by default.
    #[arg(long, value_parser = PossibleValuesParser::new(["internal", "processor", "customer"]))]
    audience: Option<String>,
    /// A sanctions list: no override cancels its blocks.
    #[arg(long)]
    sanctions: bool,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `lists`.
///
/// # Errors
/// A file that does not read, every wrong line of it, a snapshot that is not whole, keys that do not open.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Import { input, data: _, config } => match &input.watchlist {
            Some(name) => watchlist::import(name, &input.file, input.json)?,
            None => import(&input, config.as_deref())?,
        },
        Verb::Build { input, out, data, config } => match (&input.watchlist, data) {
            (Some(name), _) => watchlist::build(name, &input.file, &out, input.json)?,
            (None, Some(data)) => build(&input, &out, &DataFolder { data, config })?,
            (None, None) => bail!("--data DIR is needed"),
        },
        Verb::Inspect { file, json } if is_built(&file) => watchlist::inspect(&file, json)?,
        Verb::Inspect { file, json } => inspect(&file, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is being done, on a terminal's stderr; nothing elsewhere.
pub(super) fn working(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A path whose folder is written out, as `write_whole` needs it.
pub(super) fn out_path(path: &Path) -> PathBuf {
    let bare = path.parent().is_none_or(|parent| parent.as_os_str().is_empty());
    if bare { Path::new(".").join(path) } else { path.to_owned() }
}

impl Input {
    /// The one file of an exact list.
    fn file(&self) -> Result<&Path> {
        match self.file.as_slice() {
            [file] => Ok(file),
            files => bail!("{} files: an exact list is made of one", files.len()),
        }
    }
    /// What the list is, by the arguments, else the config, else the config's packs.
    fn meta(&self, config: Option<&Path>, keys: &NodeKeys) -> Result<ListMeta> {
        let loaded = config.map(crate::config::load).transpose()?;
        let mut packs = Vec::new();
        for (loaded, dir) in loaded.iter().flat_map(|l| l.config.rules.packs.iter().map(move |dir| (l, dir)))
        {
            let (dir, costs) = (loaded.resolve(dir), &loaded.hardware.costs);
            packs.push(checked_pack(read_pack_folder(&dir)?, &dir.display().to_string(), costs)?);
        }
        let known = loaded.as_ref().and_then(|l| l.config.lists.named.get(&self.name));
        let list = List {
            file: self.file()?.to_owned(),
            tenant: self.tenant.clone().or_else(|| known?.tenant.clone()),
            block_outcome: self.outcome.clone().or_else(|| known?.block_outcome.clone()),
            code: self.code.clone().or_else(|| known?.code.clone()),
            audience: self.audience.clone().or_else(|| known?.audience.clone()),
            sanctions: self.sanctions || known.is_some_and(|known| known.sanctions),
            fresh_for: None,
            when_stale: None,
        };
        let meta = list_meta(&self.name, &list, &packs, keys)?;
        meta.check()?;
        Ok(meta)
    }
    /// The entries, and the snapshot they make.
    fn read(&self, meta: &ListMeta, keys: &NodeKeys) -> Result<(Vec<Entry>, Vec<u8>)> {
        let file = self.file()?;
        let place = || file.display().to_string();
        let bar = working("reading");
        let bytes = std::fs::read(file).with_context(place)?;
        bar.set_message(format!("reading and tagging {} kB", bytes.len().div_ceil(1000)));
        let entries = keys.import(&place(), &bytes, meta)?;
        bar.set_message(format!("building {} entries", entries.len()));
        let snapshot = interdict_engine::lists::build(meta, entries.clone()).with_context(place)?;
        bar.finish_and_clear();
        Ok((entries, snapshot))
    }
}

/// Keys for this once, where nothing of what is tagged is kept.
pub(super) fn passing_keys() -> Result<NodeKeys> {
    NodeKeys::temporary()
}

fn import(input: &Input, config: Option<&Path>) -> Result<()> {
    let keys = passing_keys()?;
    let meta = input.meta(config, &keys)?;
    let (entries, _) = input.read(&meta, &keys)?;
    let counts = Counts::of(entries.iter());
    let file = input.file()?.display().to_string();
    if input.json {
        println!(
            "{}",
            json!({"file": file, "list": meta_json(&meta), "entries": counts.total, "counts": counts.json()})
        );
    } else {
        println!("{file}: {} entries, no errors", counts.total);
        counts.print();
    }
    Ok(())
}

fn build(input: &Input, out: &Path, place: &DataFolder) -> Result<()> {
    let loaded = place.load()?;
    let keys = place.keys(loaded.as_ref(), true)?;
    let meta = input.meta(place.config.as_deref(), &keys)?;
    let (_, bytes) = input.read(&meta, &keys)?;
    write_whole(&out_path(out), &bytes)?;
    let snapshot = Snapshot::open(Arc::new(bytes)).context("reading back what was built")?;
    let sha256 = hex(&snapshot.content_hash());
    if input.json {
        let file = out.display().to_string();
        println!(
            "{}",
            json!({"list": meta_json(&meta), "entries": snapshot.len(), "sha256": sha256, "file": file})
        );
    } else {
        println!("{} {} entries sha256:{sha256}", meta.name, snapshot.len());
    }
    Ok(())
}

fn inspect(file: &Path, as_json: bool) -> Result<()> {
    let place = || file.display().to_string();
    let bar = working("reading and checking");
    let bytes = std::fs::read(file).with_context(place)?;
    let snapshot = Snapshot::open(Arc::new(bytes)).with_context(place)?;
    let (counts, validity) = (Counts::of(snapshot.entries()), Validity::of(snapshot.entries(), now_ms()));
    bar.finish_and_clear();
    let (meta, sha256) = (snapshot.meta(), hex(&snapshot.content_hash()));
    if as_json {
        let report = json!({
            "file": place(), "bytes": snapshot.bytes_len(), "format": 1, "list": meta_json(meta),
            "entries": snapshot.len(), "counts": counts.json(), "validity": validity.json(),
            "sha256": sha256, "checksum": "ok",
        });
        println!("{report}");
        return Ok(());
    }
    let owner = meta.tenant.as_deref().map_or("shared".into(), |tenant| format!("tenant {tenant}"));
    println!("list       {} ({owner}), format 1, {} bytes", meta.name, snapshot.bytes_len());
    let sanctions = if meta.sanctions { ", a sanctions list" } else { "" };
    println!(
        "a block    {}, code {}, for {}{sanctions}",
        meta.block_outcome.name(),
        meta.code,
        meta.audience.name()
    );
    println!(
        "key check  {:016x}{}",
        meta.key_check,
        if snapshot.has_tags() { "" } else { " (no tags: any key fits)" }
    );
    println!("entries    {}", snapshot.len());
    counts.print();
    validity.print();
    println!("checksum   ok\nsha256     {sha256}");
    Ok(())
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn meta_json(meta: &ListMeta) -> Value {
    json!({
        "name": meta.name, "shared": meta.shared, "tenant": meta.tenant.as_deref(),
        "outcome": meta.block_outcome.name(), "code": meta.code, "audience": meta.audience.name(),
        "sanctions": meta.sanctions, "key_check": format!("{:016x}", meta.key_check),
    })
}
