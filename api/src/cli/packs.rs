//! `interdict packs`: what a risk team runs before it hands a pack over. `check` and `test` report findings (exit 1);
//! `build` refuses a pack that has any, since an archive is what gets published. `manifest`, `sign` and `verify` are in
//! `packs/signed.rs`.

mod signed;

use super::lists::out_path;
use super::{FINDING, lists};
use crate::calibrate;
use crate::config::profiles::profile;
use crate::node::publish::{checked_pack, read_pack_folder};
use crate::node::signed::of_folder;
use crate::node::store::write_whole;
use anyhow::Result;
use interdict_engine::Error;
use interdict_engine::calibration::Calibration;
use interdict_engine::generation::hex;
use interdict_engine::packs::{self, Pack, Report, TestReport};
use interdict_engine::stage::Stage;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `packs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check names, types, examples and cost; every error with file:line:column. Exits 1 when there is one.
    Check {
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        costs: Costs,
    },
    /// Run every example and every test; expected and got of each that fails. Exits 1 when one does.
    Test(Folder),
    /// Write the pack as one archive with a content hash. Refuses a pack that fails check or test (exit 3).
    Build {
        #[command(flatten)]
        folder: Folder,
        /// Where the archive goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Print what is signed of a pack: name, version and the hash of every file. `packs manifest DIR > DIR/pack.manifest`,
    /// then `minisign -S -m DIR/pack.manifest`.
    Manifest(signed::ManifestArgs),
    /// Sign a pack's manifest as a note beside its files (DIR/pack.note).
    Sign(signed::SignArgs),
    /// Say by whom a pack's folder or archive is signed. Exits 1 where it is not signed by one of the keys.
    Verify(signed::VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct Folder {
    /// The pack's folder.
    dir: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What budgets are held against: the built-in table, unless told otherwise.
#[derive(Debug, clap::Args)]
struct Costs {
    /// Hold budgets against the costs of this hardware profile (a name or a path), as a node under it does.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Hold budgets against what this machine measures now (about a second), and print that as [costs] of a profile.
    #[arg(long, conflicts_with = "profile")]
    calibrate: bool,
}

impl Costs {
    fn table(&self) -> Result<Calibration> {
        match &self.profile {
            Some(name) => Ok(profile(name, Path::new("."))?.costs),
            None if self.calibrate => calibrate::measure(),
            None => Ok(Calibration::default()),
        }
    }
}

/// Runs `packs`.
///
/// # Errors
/// A folder that cannot be read; for `build`, a pack that fails check or test, or an archive that cannot be written; for
/// `manifest` and `sign`, a pack that does not load.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Check { folder, costs } => check(&folder, &costs),
        Verb::Test(folder) => test(&folder),
        Verb::Build { folder, out } => build(&folder, &out),
        Verb::Manifest(args) => signed::manifest(&args),
        Verb::Sign(args) => signed::sign(&args),
        Verb::Verify(args) => signed::verify(&args),
    }
}

fn exit(ok: bool) -> ExitCode {
    if ok { ExitCode::SUCCESS } else { ExitCode::from(FINDING) }
}

/// The loaded pack, or what keeps it from loading.
fn load(folder: &Folder) -> Result<Result<Pack, Vec<Error>>> {
    Ok(packs::load(read_pack_folder(&folder.dir)?))
}

fn check(folder: &Folder, costs: &Costs) -> Result<ExitCode> {
    let table = costs.table()?;
    let (pack, report) = match load(folder)? {
        Ok(pack) => {
            let report = packs::check(&pack, &table);
            (Some(pack), report)
        }
        Err(errors) => (None, Report { errors, ..Report::default() }),
    };
    let budget_us = pack.as_ref().and_then(|pack| pack.manifest.budget_us(Stage::Rules));
    if folder.json {
        let mut told = check_json(folder, pack.as_ref(), &report, budget_us);
        if costs.calibrate {
            told["calibration"] = json!(table);
        }
        println!("{told}");
        return Ok(exit(report.is_ok()));
    }
    for error in &report.errors {
        println!("{}", placed(&folder.dir, "error", error));
    }
    for warning in &report.warnings {
        println!("{}", placed(&folder.dir, "warning", warning));
    }
    if let Some(pack) = &pack {
        let budget = budget_us.map_or("no budget".into(), |us| format!("budget {us} us"));
        println!(
            "{} {}: {} rules ({} in shadow, {} interpreted), {} feature slots, static cost {}.{:03} us, {budget}",
            pack.name(),
            pack.manifest.version,
            report.rules,
            report.shadow,
            report.interpreted,
            report.feature_slots,
            report.cost_ps / 1_000_000,
            report.cost_ps / 1000 % 1000,
        );
        for cost in report.costs.iter().filter(|cost| cost.stage != Stage::Rules) {
            let budget = cost.budget_us.map_or("no budget".into(), |us| format!("budget {us} us"));
            let (name, us, ns) = (cost.stage.name(), cost.ps / 1_000_000, cost.ps / 1000 % 1000);
            println!("  {name}: static cost {us}.{ns:03} us, {budget}; {}", cost.told_parts());
        }
    }
    if costs.calibrate {
        println!("[costs]  # measured on this machine");
        table.figures().iter().for_each(|(name, ps)| println!("{name} = {ps}"));
    }
    println!("{}", told(report.errors.len(), report.warnings.len()));
    Ok(exit(report.is_ok()))
}

fn told(errors: usize, warnings: usize) -> String {
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!("{}, {}", plural(errors, "error"), plural(warnings, "warning"))
}

/// An error at its place, from where the caller stands, so that an editor can jump to it.
fn placed(dir: &Path, what: &str, error: &Error) -> String {
    let place = if error.place.file.is_empty() { dir.to_owned() } else { dir.join(error.place.to_string()) };
    format!("{}: {what}: {}", place.display(), error.message)
}

fn errors_json(errors: &[Error]) -> Vec<Value> {
    let row = |e: &Error| json!({"file": e.place.file, "line": e.place.line, "column": e.place.column, "message": e.message});
    errors.iter().map(row).collect()
}

fn check_json(folder: &Folder, pack: Option<&Pack>, report: &Report, budget_us: Option<u32>) -> Value {
    let cost = |cost: &packs::StageCost| {
        let part = |part: &packs::PartCost| json!({"part": part.part, "ns": part.ps.div_ceil(1000)});
        json!({
            "stage": cost.stage.name(), "ns": cost.ps.div_ceil(1000), "budget_us": cost.budget_us,
            "shared": cost.shared.iter().map(part).collect::<Vec<_>>(),
            "dearest": cost.dearest.iter().map(part).collect::<Vec<_>>(),
        })
    };
    json!({
        "dir": folder.dir.display().to_string(),
        "pack": pack.map(Pack::name),
        "version": pack.map(|pack| pack.manifest.version.as_str()),
        "ok": report.is_ok(),
        "errors": errors_json(&report.errors),
        "warnings": errors_json(&report.warnings),
        "rules": report.rules,
        "shadow": report.shadow,
        "interpreted": report.interpreted,
        "feature_slots": report.feature_slots,
        "cost_ns": report.cost_ps.div_ceil(1000),
        "budget_us": budget_us,
        "costs": report.costs.iter().map(cost).collect::<Vec<_>>(),
    })
}

fn test(folder: &Folder) -> Result<ExitCode> {
    let report = match load(folder)? {
        Ok(pack) => packs::test(&pack),
        Err(errors) => TestReport { errors, ..TestReport::default() },
    };
    if folder.json {
        println!("{}", test_json(folder, &report));
        return Ok(exit(report.is_ok()));
    }
    for error in &report.errors {
        println!("{}", placed(&folder.dir, "error", error));
    }
    let width = report.rules.iter().map(|rule| rule.id.len()).max().unwrap_or(0).max("rule".len());
    if !report.rules.is_empty() {
        println!("{:width$}  examples  hits  misses  undecided", "rule");
    }
    for rule in &report.rules {
        let (id, examples) = (&rule.id, rule.examples);
        println!("{id:width$}  {examples:8}  {:4}  {:6}  {:9}", rule.hits, rule.misses, rule.undecided);
    }
    for failure in &report.failures {
        println!("{}", folder.dir.join(failure.to_string()).display());
    }
    println!("{} passed, {} failed", report.passed, report.failures.len() + report.errors.len());
    Ok(exit(report.is_ok()))
}

fn test_json(folder: &Folder, report: &TestReport) -> Value {
    let failure = |f: &packs::Failure| {
        json!({
            "file": f.place.file, "line": f.place.line, "column": f.place.column,
            "name": f.name, "expected": f.expected, "got": f.got, "why": f.why,
        })
    };
    let rule = |r: &packs::RuleReport| json!({"id": r.id, "examples": r.examples, "hits": r.hits, "misses": r.misses, "undecided": r.undecided});
    json!({
        "dir": folder.dir.display().to_string(),
        "ok": report.is_ok(),
        "errors": errors_json(&report.errors),
        "passed": report.passed,
        "failures": report.failures.iter().map(failure).collect::<Vec<_>>(),
        "rules": report.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn build(folder: &Folder, out: &Path) -> Result<ExitCode> {
    let working = lists::working("checking and testing");
    let table = Calibration::default();
    let pack = checked_pack(read_pack_folder(&folder.dir)?, &folder.dir.display().to_string(), &table)?;
    write_whole(&out_path(out), &archive(&pack, &folder.dir)?)?;
    working.finish_and_clear();
    let (version, sha256) = (&pack.manifest.version, hex(&pack.content_hash()));
    if folder.json {
        let out = out.display().to_string();
        println!("{}", json!({"pack": pack.name(), "version": version, "sha256": sha256, "file": out}));
    } else {
        println!("{} {version} sha256:{sha256}", pack.name());
    }
    Ok(ExitCode::SUCCESS)
}

/// The pack's archive, with the signatures that lie beside its files: a node takes them out again, so that the pack is
/// the same with and without.
fn archive(pack: &Pack, dir: &Path) -> Result<Vec<u8>> {
    let signatures = of_folder(dir)?;
    if signatures.files().next().is_none() {
        return Ok(pack.archive());
    }
    let mut files = packs::unarchive(&pack.archive())?;
    files.extend(signatures.files().map(|(name, bytes)| (name.to_owned(), bytes.to_owned())));
    Ok(packs::archive(&files))
}
