//! `interdict keys`: API keys, and the ring of master keys (`ring.rs`). An API key is shown once; the file has its hash
//! only, and is replaced whole or not at all, since a half-written one would lock every caller out.

mod ring;

use crate::config::Loaded;
use crate::node::keys::{NodeKeys, key_folder};
use anyhow::{Context, Result, anyhow, bail};
use clap::builder::PossibleValuesParser;
use interdict_engine::generation::hex;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Arguments of `keys`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make an API key; it is shown once.
    Add {
        /// Whose key it is; goes into list entries as contributor and into the log.
        #[arg(long, value_parser = name)]
        name: String,
        /// What it may.
        #[arg(long, value_parser = PossibleValuesParser::new(["submit", "read", "risk", "ops", "admin"]))]
        role: String,
        /// The only tenant it may act for; any by default.
        #[arg(long, value_parser = name)]
        tenant: Option<String>,
        #[command(flatten)]
        place: DataFolder,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Names and roles of the keys there are.
    List {
        #[command(flatten)]
        place: DataFolder,
        /// Print one JSON object a key instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Make another master key; the node takes it up by POST /v1/keys/rotate, or at its next start.
    #[command(group = clap::ArgGroup::new("purpose").required(true).multiple(true).args(["sealing", "tags"]))]
    Rotate {
        /// Names and texts are sealed under it from then on.
        #[arg(long)]
        sealing: bool,
        /// Identifiers are tagged under it from then on, for a time beside the key before.
        #[arg(long)]
        tags: bool,
        #[command(flatten)]
        place: DataFolder,
        /// Print one JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// The master keys: numbers, purposes, since when, and what still needs each.
    Ring {
        #[command(flatten)]
        place: DataFolder,
        /// Print one JSON object a key instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Destroy a master key that nothing needs any more.
    Retire {
        /// Its number, as `keys ring` shows it.
        number: u32,
        #[command(flatten)]
        place: DataFolder,
    },
}

/// Where a data folder and its keys are.
#[derive(Debug, clap::Args)]
pub(super) struct DataFolder {
    /// The data folder; its keys are in DIR/keys unless the config says otherwise.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The configuration, where it names another place for keys.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl DataFolder {
    /// The configuration, where one is named.
    pub fn load(&self) -> Result<Option<Loaded>> {
        self.config.as_deref().map(crate::config::load).transpose()
    }
    /// The folder of the keys.
    pub fn keys_dir(&self, loaded: Option<&Loaded>) -> Result<PathBuf> {
        let named = loaded.and_then(|l| l.config.keys.dir.as_deref().map(|dir| l.resolve(dir)));
        key_folder(&self.data, named.as_deref())
    }
    /// The node's keys; made where they are missing, if `create` says so.
    pub fn keys(&self, loaded: Option<&Loaded>, create: bool) -> Result<NodeKeys> {
        NodeKeys::open(&self.keys_dir(loaded)?, create)
    }
    /// The file of the API keys.
    fn api_keys(&self) -> Result<PathBuf> {
        let loaded = self.load()?;
        let named =
            loaded.as_ref().and_then(|l| l.config.http.api_keys.as_deref().map(|file| l.resolve(file)));
        match named {
            Some(file) => Ok(file),
            None => Ok(self.keys_dir(loaded.as_ref())?.join("api-keys.toml")),
        }
    }
}

fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(format!("expected 1 to {NAME_BYTES_MAX} of a-z, A-Z, 0-9, '-', '_', '.'"))
}

/// A row of the file, without its hash.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: String,
    role: String,
    tenant: Option<String>,
}

/// Runs `keys`.
///
/// # Errors
/// A key file that others may read, that does not read or cannot be written, and a name that is taken.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Add { name, role, tenant, place, json } => add(&Row { name, role, tenant }, &place, json)?,
        Verb::List { place, json } => list(&place, json)?,
        Verb::Rotate { sealing, tags, place, json } => ring::rotate(&place, sealing, tags, json)?,
        Verb::Ring { place, json } => ring::show(&place, json)?,
        Verb::Retire { number, place } => ring::retire(&place, number)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn add(row: &Row, place: &DataFolder, as_json: bool) -> Result<()> {
    let path = place.api_keys()?;
    let folder = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = || folder.display().to_string();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(shown)?;
    // Two at once must not lose one another's row; the lock goes with the handle.
    let lock = fs::File::open(folder).with_context(shown)?;
    lock.lock().with_context(|| format!("locking {}", folder.display()))?;
    let mut text = read(&path)?;
    if rows(&path, &text)?.iter().any(|known| known.name == row.name) {
        bail!("API keys {}: there is a key {:?} already", path.display(), row.name);
    }
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).map_err(|e| anyhow!("the system gives no random numbers: {e}"))?;
    let key = Zeroizing::new(hex(&*random));
    if !text.is_empty() {
        text.push_str(if text.ends_with('\n') { "\n" } else { "\n\n" });
    }
    text.push_str(&format!("[[key]]\nname = {:?}\nrole = {:?}\n", row.name, row.role));
    if let Some(tenant) = &row.tenant {
        text.push_str(&format!("tenant = {tenant:?}\n"));
    }
    text.push_str(&format!("sha256 = {:?}\n", hex(&Sha256::digest(key.as_bytes()))));
    rows(&path, &text).context("with the new key")?;
    write(&path, folder, &text)?;
    if as_json {
        let file = path.display().to_string();
        let tenant = &row.tenant;
        println!(
            "{}",
            json!({"name": row.name, "role": row.role, "tenant": tenant, "key": *key, "file": file})
        );
    } else {
        println!("{}", *key);
        eprintln!(
            "The key of {:?} ({}) is shown this once; {} has its hash.",
            row.name,
            row.role,
            path.display()
        );
    }
    Ok(())
}

fn list(place: &DataFolder, as_json: bool) -> Result<()> {
    let path = place.api_keys()?;
    for Row { name, role, tenant } in rows(&path, &read(&path)?)? {
        if as_json {
            println!("{}", json!({"name": name, "role": role, "tenant": tenant}));
        } else {
            println!("{name}  {role}  {}", tenant.as_deref().unwrap_or("any tenant"));
        }
    }
    Ok(())
}

/// The file's text; empty where there is none.
fn read(path: &Path) -> Result<String> {
    let place = || format!("API keys {}", path.display());
    let mode = match fs::metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        meta => meta.with_context(place)?.permissions().mode() & 0o7777,
    };
    if mode != 0o600 {
        bail!("{}: mode {mode:04o}, must be 0600: only its owner may read it", place());
    }
    fs::read_to_string(path).with_context(place)
}

fn rows(path: &Path, text: &str) -> Result<Vec<Row>> {
    let place = || format!("API keys {}", path.display());
    let table: toml::Table = toml::from_str(text).map_err(|e| anyhow!("{}: {}", place(), e.message()))?;
    let keys = match table.get("key") {
        None => return Ok(Vec::new()),
        Some(keys) => keys.as_array().with_context(|| format!("{}: expected [[key]] tables", place()))?,
    };
    let row = |key: &toml::Value| -> Option<Row> {
        let text = |field: &str| Some(key.get(field)?.as_str()?.to_owned());
        Some(Row { name: text("name")?, role: text("role")?, tenant: text("tenant") })
    };
    let wrong = |number: usize| format!("{}: key {number}: expected a name and a role", place());
    (1..).zip(keys).map(|(number, key)| row(key).with_context(|| wrong(number))).collect()
}

fn write(path: &Path, folder: &Path, text: &str) -> Result<()> {
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        fs::File::open(folder)?.sync_all()
    };
    write()
        .inspect_err(|_| drop(fs::remove_file(&aside)))
        .with_context(|| format!("writing {}", path.display()))
}
