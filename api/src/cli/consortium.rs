//! `interdict consortium`: a member's commands. They read and write one folder (`--folder`) and ask one hub.

mod member;
mod receipts;
mod statement;
mod watching;

use crate::alliance::member::folder::{self, MemberFolder, read_pin};
use crate::alliance::member::{Session, contribute, query, sync};
use crate::cli::hub::read_note;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use interdict_consortium::kind::Kind;
use interdict_consortium::member::{Genesis, Spelled, text_hash};
use interdict_consortium::signal::draft::Draft;
use interdict_engine::generation::hex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `consortium`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a member's folder with new keys.
    Init {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        about: About,
    },
    /// Trust a genesis, and name the hub.
    Join {
        #[command(flatten)]
        place: Place,
        /// The genesis with all founders' signatures.
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
        /// https://HOST:PORT of the hub.
        #[arg(long)]
        hub: String,
        /// SHA-256 of the hub's certificate in hex, where it is not the one of the genesis any more.
        #[arg(long, value_name = "HEX")]
        hub_pin: Option<String>,
    },
    /// Applications, admissions, keys, suspensions; what waits for signatures.
    Member(member::Args),
    /// Contribute signals of a CSV (kind, value, op, reason, severity, …) or a MISP event.
    Contribute {
        #[command(flatten)]
        place: Place,
        /// The CSV, or the event as JSON.
        file: PathBuf,
        /// On which legal basis names are shared.
        #[arg(long)]
        legal_basis: Option<String>,
    },
    /// Mirror and check both logs, witness, rebuild and cosign the epoch that waits, take the newest over.
    Sync {
        #[command(flatten)]
        place: Place,
        /// Go on, with so many seconds between.
        #[arg(long, value_name = "S")]
        every: Option<u64>,
    },
    /// Confirm identifiers of a CSV (kind, value) by the tag service, which does not see them.
    Confirm {
        #[command(flatten)]
        place: Place,
        /// The CSV.
        file: PathBuf,
    },
    /// Check both logs, and print what may be counted in them.
    Monitor(watching::Args),
    /// Receipts of queries: list, show, verify.
    Receipt(receipts::Args),
    /// Bills: make, check, confirm; tariffs.
    Statement(statement::Args),
}

/// Where a member's folder is.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// The member's folder.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Place {
    fn session(&self) -> Result<Session> {
        Session::open(MemberFolder::open(&self.folder)?)
    }
}

/// Who a member is.
#[derive(Debug, Clone, clap::Args)]
pub struct About {
    /// Name in the alliance, as in bank-a.example.
    #[arg(long)]
    name: String,
    /// The legal person.
    #[arg(long)]
    legal_name: String,
    /// Where it is licensed (ISO 3166-1 alpha-2).
    #[arg(long, value_name = "CC")]
    jurisdiction: String,
    /// contributor, consumer, auditor, operator, authority; several with commas, in this order.
    #[arg(long, default_value = "contributor,consumer")]
    roles: String,
    /// `did:web:…`; that of the signing key where it is not said.
    #[arg(long)]
    did: Option<String>,
    /// By which the tariff prices it.
    #[arg(long, default_value = "standard")]
    tariff_class: String,
    /// KIND=FILE: a document that is shown to those who admit; its hash is in the application.
    #[arg(long, value_name = "KIND=FILE")]
    evidence: Vec<String>,
}

impl About {
    /// As the folder keeps it.
    ///
    /// # Errors
    /// Evidence that does not read.
    pub fn read(self) -> Result<folder::About> {
        use sha2::{Digest, Sha256};
        let mut evidence = BTreeMap::new();
        for one in &self.evidence {
            let (kind, file) = one.split_once('=').context("--evidence: expected KIND=FILE")?;
            let bytes = std::fs::read(file).with_context(|| file.to_owned())?;
            evidence.insert(kind.to_owned(), hex(&<[u8; 32]>::from(Sha256::digest(&bytes))));
        }
        Ok(folder::About {
            name: self.name,
            legal_name: self.legal_name,
            did: self.did,
            jurisdiction: self.jurisdiction,
            roles: self.roles,
            tariff_class: self.tariff_class,
            evidence,
            hub: None,
            hub_pin: None,
            keys: None,
        })
    }
}

/// Runs `consortium`.
///
/// # Errors
/// A folder that is none; a hub that refuses; anything that does not check.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Init { place, about } => {
            let made = MemberFolder::make(&place.folder, about.read()?)?;
            let profile = made.profile()?;
            print(
                place.json,
                json!({"name": profile.name, "did": profile.did.as_str(), "sign": profile.sign.to_string()}),
                || format!("{} has keys in {}; did {}", profile.name, made.at("keys").display(), profile.did),
            );
        }
        Verb::Join { place, genesis, hub, hub_pin } => {
            let note = read_note(&genesis)?;
            let mut folder = MemberFolder::open(&place.folder)?;
            folder.join(&note, &hub, hub_pin.as_deref().map(read_pin).transpose()?)?;
            let genesis = Genesis::of_text(note.text())?;
            let hash = hex(&text_hash(note.text()));
            print(place.json, json!({"alliance": genesis.alliance, "genesis": hash}), || {
                format!("trusts {} by genesis {hash}: compare it with the other founders'", genesis.alliance)
            });
        }
        Verb::Member(args) => return member::run(args),
        Verb::Contribute { place, file, legal_basis } => {
            return contribute_file(&place, &file, legal_basis.as_deref());
        }
        Verb::Sync { place, every } => return sync_rounds(&place, every),
        Verb::Confirm { place, file } => return confirm_file(&place, &file),
        Verb::Monitor(args) => return watching::run(args),
        Verb::Receipt(args) => return receipts::run(args),
        Verb::Statement(args) => return statement::run(args),
    }
    Ok(ExitCode::SUCCESS)
}

fn contribute_file(place: &Place, file: &Path, legal_basis: Option<&str>) -> Result<ExitCode> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let mut session = place.session()?;
    let said = read_signals(&session, &bytes).with_context(|| file.display().to_string())?;
    let bar = bar(said.len() as u64);
    let done = contribute::contribute(&mut session, &said, legal_basis, |count| bar.set_position(count))?;
    bar.finish_and_clear();
    let told = json!({"number": done.number, "leaf": done.leaf, "rows": done.rows, "asked": done.asked});
    print(place.json, told, || {
        format!(
            "contribution {}: {} signals, leaf {} of the governance log",
            done.number, done.rows, done.leaf
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// All of a file, or what is wrong with it: half a file is not contributed.
fn read_signals(session: &Session, bytes: &[u8]) -> Result<Vec<Draft>> {
    let imported = contribute::read(session, bytes)?;
    if let Some(first) = imported.errors.first() {
        let count = imported.errors.len() as u64 + imported.errors_unnamed;
        bail!("{count} wrong: {first}");
    }
    if imported.passed_over > 0 {
        eprintln!(
            "interdict: {} of the file are of kinds that are not shared, and passed over",
            imported.passed_over
        );
    }
    Ok(imported.drafts)
}

fn confirm_file(place: &Place, file: &Path) -> Result<ExitCode> {
    use interdict_consortium::signal::Key;
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let mut session = place.session()?;
    let said = read_signals(&session, &bytes).with_context(|| file.display().to_string())?;
    let Some((manifest, snapshot)) = sync::held_snapshot(&session)? else {
        bail!("no epoch is held yet (interdict consortium sync)");
    };
    let snapshot = interdict_consortium::epoch::Snapshot::open(&snapshot)?;
    let version = *manifest.versions().last().context("an epoch has a key")?;
    let key = session.tag_key(version)?;
    let (mut listed, mut leaves) = (Vec::new(), Vec::new());
    for batch in said.chunks(interdict_consortium::limits::EVALUATE_ITEMS_MAX) {
        let items: Vec<(Kind, &str)> = batch.iter().map(|one| (one.kind, one.canonical.as_str())).collect();
        let (exact, leaf) = query::exact_tags(&mut session, Some(&manifest), &items)?;
        leaves.push(leaf);
        for (one, exact) in batch.iter().zip(exact) {
            let shape = snapshot.header().kind(one.kind);
            let tag = key.tag(one.kind, &one.canonical).to_be_bytes();
            let bits = shape.map_or(128, |shape| shape.bits);
            let tags = interdict_consortium::signal::Tags { tag, exact: exact.to_be_bytes() }.cut_to(bits);
            let found = snapshot.find(&Key { kind: one.kind, key_version: version, tags });
            listed.push(found.map(|row| json!({"reason": row.reason.name(), "severity": row.severity, "contributors": row.contributors})));
        }
    }
    print(place.json, json!({"epoch": manifest.number, "leaves": leaves, "listed": listed}), || {
        let count = listed.iter().filter(|one| one.is_some()).count();
        format!(
            "{count} of {} are listed in epoch {}; queries {leaves:?} of the log",
            listed.len(),
            manifest.number
        )
    });
    Ok(ExitCode::SUCCESS)
}

fn sync_rounds(place: &Place, every: Option<u64>) -> Result<ExitCode> {
    let mut session = place.session()?;
    loop {
        let spinner = spinner();
        let synced = sync::step(&mut session, |doing| spinner.set_message(doing.to_owned()))?;
        spinner.finish_and_clear();
        let told = told(&synced);
        print(place.json, told.clone(), || text(&synced));
        let Some(every) = every else {
            let is_broken = !synced.promises.broken.is_empty();
            return Ok(if is_broken { ExitCode::from(super::FAILED) } else { ExitCode::SUCCESS });
        };
        std::thread::sleep(Duration::from_secs(every));
    }
}

fn told(synced: &sync::Synced) -> Value {
    let round = |round: &Option<crate::alliance::member::mirror::Round>| {
        round.map(|round| json!([round.from, round.to]))
    };
    json!({
        "governance": round(&synced.governance),
        "queries": round(&synced.queries),
        "cosigned_checkpoints": synced.cosigned_checkpoints,
        "bodies": synced.bodies,
        "cosigned_epoch": synced.cosigned_epoch,
        "epoch": synced.epoch,
        "receipts": synced.promises.receipts,
        "contributions_seen": synced.promises.contributions,
        "promises_waiting": synced.promises.waiting,
        "promises_broken": synced.promises.broken,
        "warnings": synced.warnings,
    })
}

fn text(synced: &sync::Synced) -> String {
    let mut lines = Vec::new();
    for (name, round) in [("governance", synced.governance), ("queries", synced.queries)] {
        if let Some(round) = round {
            lines.push(format!("{name}: {} leaves, {} of them new", round.to, round.to - round.from));
        }
    }
    lines.extend(
        synced.cosigned_epoch.map(|number| format!("epoch {number}: rebuilt, equal byte for byte, cosigned")),
    );
    lines.extend(synced.epoch.map(|number| format!("epoch {number}: has its quorum, taken over")));
    if synced.promises.receipts > 0 {
        lines.push(format!("{} receipts", synced.promises.receipts));
    }
    lines.extend(synced.promises.broken.iter().map(|wrong| format!("BROKEN PROMISE: {wrong}")));
    lines.extend(synced.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}

/// Prints one JSON object on a line, or text.
pub fn print(as_json: bool, json: Value, text: impl FnOnce() -> String) {
    if as_json {
        println!("{json}");
    } else {
        println!("{}", text());
    }
}

/// A bar on stderr where that is a terminal.
fn bar(count: u64) -> ProgressBar {
    ProgressBar::new(count)
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}
