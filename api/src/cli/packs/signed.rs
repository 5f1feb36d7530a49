//! `interdict packs manifest|sign|verify`: what is signed of a pack, a signed note over it, and whether the signatures
//! beside a pack count. `minisign` signs the manifest without us.

use super::super::FINDING;
use crate::config;
use crate::config::schema::PackSignatures;
use crate::node::publish::read_pack_folder;
use crate::node::signed;
use crate::node::store::write_whole;
use anyhow::{Context, Result, anyhow, bail};
use interdict_consortium::keys::SignerKey;
use interdict_consortium::note::Note;
use interdict_consortium::pack::{Manifest, NOTE_FILE, Signatures};
use interdict_engine::packs::{self, Files};
use interdict_ingest::normalise::time::rfc3339_ms;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// Arguments of `packs manifest`.
#[derive(Debug, clap::Args)]
pub(super) struct ManifestArgs {
    /// The pack's folder.
    dir: PathBuf,
    /// From when on it may no longer be taken into use: a day (2027-06-30, its beginning in UTC) or an RFC 3339 time.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// Arguments of `packs sign`.
#[derive(Debug, clap::Args)]
pub(super) struct SignArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// File with the signer's private key (PRIVATE+KEY+…).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Arguments of `packs verify`.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The pack's folder, or its archive.
    pack: PathBuf,
    /// A minisign public key that counts (the second line of minisign.pub).
    #[arg(long, value_name = "KEY")]
    minisign_key: Vec<String>,
    /// A verifier key of signed notes that counts (name+id+base64).
    #[arg(long, value_name = "KEY")]
    note_key: Vec<String>,
    /// Count the keys of this configuration too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Prints the manifest of a pack's folder: to be kept there as `pack.manifest` and signed.
pub(super) fn manifest(args: &ManifestArgs) -> Result<ExitCode> {
    print!("{}", manifest_of(args)?);
    Ok(ExitCode::SUCCESS)
}

/// Signs a pack's manifest as a note beside its files; a note that is there gains a signature where it says the same.
pub(super) fn sign(args: &SignArgs) -> Result<ExitCode> {
    let place = || format!("key {}", args.key.display());
    let key = Zeroizing::new(std::fs::read_to_string(&args.key).with_context(place)?);
    let key = SignerKey::parse(&key).with_context(place)?;
    let mut note = Note::new(manifest_of(&args.manifest)?)?;
    let path = args.manifest.dir.join(NOTE_FILE);
    let known = signed::of_folder(&args.manifest.dir)?.note.and_then(|bytes| Note::parse(&bytes).ok());
    if let Some(known) = known.filter(|known| known.text() == note.text()) {
        note = known;
    }
    note.sign(&key);
    write_whole(&path, note.encode().as_bytes())?;
    println!("{}: signed by {}", path.display(), key.verifier().name());
    Ok(ExitCode::SUCCESS)
}

/// Says whether a pack is signed by one of the keys; exits 1 where it is not.
pub(super) fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    let mut keys = match &args.config {
        Some(path) => config::load(path)?.config.packs,
        None => PackSignatures::default(),
    };
    keys.minisign_keys.extend(args.minisign_key.iter().cloned());
    keys.note_keys.extend(args.note_key.iter().cloned());
    let trust = signed::trust(&keys)?;
    if trust.is_empty() {
        bail!("no key is named: --minisign-key, --note-key, or a --config with [packs]");
    }
    let (files, signatures) = read(&args.pack)?;
    let verified = trust.verify(&signatures, signed::pairs(&files));
    let pack = args.pack.display().to_string();
    let told = match &verified {
        Ok((manifest, by)) => format!(
            "{} {}: {} files, signed by {}{}",
            manifest.name,
            manifest.version.as_str(),
            manifest.files.len(),
            signed::told(by),
            manifest
                .expires_ms
                .map_or(String::new(), |ms| format!(", to be taken into use before {}", time(ms)))
        ),
        Err(error) => format!("{pack}/{error}"),
    };
    if args.json {
        println!("{}", told_json(&pack, &verified.as_ref().map_err(|_| told)));
    } else {
        println!("{told}");
    }
    Ok(if verified.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(FINDING) })
}

type Verified<'a> = std::result::Result<&'a (Manifest, Vec<interdict_consortium::pack::SignedBy>), String>;

fn told_json(pack: &str, verified: &Verified<'_>) -> Value {
    match verified {
        Ok((manifest, by)) => json!({
            "dir": pack, "ok": true, "pack": manifest.name, "version": manifest.version.as_str(),
            "files": manifest.files.len(), "signed_by": signed::told(by), "expires_ms": manifest.expires_ms,
        }),
        Err(error) => json!({"dir": pack, "ok": false, "error": error}),
    }
}

fn time(ms: u64) -> String {
    interdict_engine::rules::format_time(i64::try_from(ms).unwrap_or(i64::MAX))
}

fn read(path: &Path) -> Result<(Files, Signatures)> {
    if path.is_dir() {
        return Ok((read_pack_folder(path)?, signed::of_folder(path)?));
    }
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let mut files = packs::unarchive(&bytes).with_context(|| path.display().to_string())?;
    let signatures = signed::split(&mut files);
    Ok((files, signatures))
}

fn manifest_of(args: &ManifestArgs) -> Result<String> {
    let files = read_pack_folder(&args.dir)?;
    let pack = packs::load(files.clone()).map_err(|errors| {
        let lines = errors.iter().map(|error| format!("{}/{error}", args.dir.display()));
        anyhow!("{}", lines.collect::<Vec<_>>().join("\n"))
    })?;
    let expires_ms = args.expires.as_deref().map(expires_ms).transpose()?;
    let manifest = Manifest::new(pack.name(), &pack.manifest.version, expires_ms, signed::pairs(&files));
    Ok(manifest.with_context(|| format!("{}/pack.yaml", args.dir.display()))?.encode()?)
}

fn expires_ms(text: &str) -> Result<u64> {
    let whole = if text.contains(['T', 't']) { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let ms = rfc3339_ms(&whole)
        .map_err(|_| anyhow!("--expires {text:?}: expected 2027-06-30 or an RFC 3339 time"))?;
    u64::try_from(ms).map_err(|_| anyhow!("--expires {text:?}: before 1970"))
}
