//! `interdict consortium statement`: the operator makes a period's bill, auditor and members recompute it, and each party
//! confirms its own by its signature. `tariff` proposes prices.

use super::{Place, print};
use crate::alliance::member::{bill, sync};
use crate::cli::hub::read_note;
use anyhow::{Context, Result};
use interdict_consortium::bill::basis::Period;
use interdict_consortium::bill::render::{csv, json as rendered, markdown};
use interdict_consortium::bill::tariff::Tariff;
use interdict_consortium::note::Note;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `consortium statement`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Propose a tariff: a record's text, or a note that others have signed.
    Tariff {
        #[command(flatten)]
        place: Place,
        /// The record.
        file: PathBuf,
    },
    /// Make the statements of a period (operator).
    Make {
        #[command(flatten)]
        place: Place,
        /// Its name, as in 2026-11.
        period: String,
        /// Its begin, Unix ms.
        #[arg(long, value_name = "MS")]
        from_ms: u64,
        /// Its end, Unix ms.
        #[arg(long, value_name = "MS")]
        until_ms: u64,
        /// Where notes, Markdown and CSV go.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Recompute a period: the auditor all of it, a member its own statement.
    Check {
        #[command(flatten)]
        place: Place,
        /// Its name.
        period: String,
        /// Print the statements as Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Recompute one's own statement and sign it.
    Confirm {
        #[command(flatten)]
        place: Place,
        /// The period's name.
        period: String,
    },
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Tariff { place, file } => tariff(&place, &file)?,
        Verb::Make { place, period, from_ms, until_ms, out } => {
            let mut session = place.session()?;
            sync::step(&mut session, |_| {})?;
            let (bill, settlement, notes) =
                bill::make(&mut session, Period { name: period, from_ms, until_ms })?;
            if let Some(out) = out {
                std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
                let write = |name: String, text: String| {
                    let path = out.join(name);
                    std::fs::write(&path, text).with_context(|| path.display().to_string())
                };
                write("settlement.note".into(), settlement.encode())?;
                write("statements.csv".into(), csv::statements(bill.statements.values()))?;
                for ((member, statement), note) in bill.statements.iter().zip(&notes) {
                    write(format!("statement-{member}.note"), note.encode())?;
                    write(format!("statement-{member}.md"), markdown::statement(statement))?;
                }
            }
            let nets: Vec<_> = bill.nets().iter().map(|(member, net)| json!([member.0, net])).collect();
            let number = bill.settlement.basis.number;
            print(place.json, json!({"number": number, "statements": notes.len(), "nets": nets}), || {
                format!("bill {number}: {} statements; the nets sum to zero", notes.len())
            });
        }
        Verb::Check { place, period, markdown } => return check(&place, &period, markdown),
        Verb::Confirm { place, period } => {
            let mut session = place.session()?;
            sync::step(&mut session, |_| {})?;
            let note = bill::confirm(&mut session, &period)?;
            print(place.json, json!({"confirmed": period, "signatures": note.signatures().len()}), || {
                format!("{period}: recomputed, equal, signed")
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What differs is a failure: whoever runs this in a script must not pay.
fn check(place: &Place, period: &str, as_markdown: bool) -> Result<ExitCode> {
    let mut session = place.session()?;
    sync::step(&mut session, |_| {})?;
    let checked = bill::recompute(&mut session, period)?;
    let statements: Vec<_> = checked
        .statements
        .iter()
        .map(|(_, statement, signed)| {
            let is_confirmed = signed.by_operator && signed.members.contains(&statement.party.member);
            json!({"member": statement.party.name, "confirmed": is_confirmed, "statement": rendered::statement(statement)})
        })
        .collect();
    let differences: Vec<String> = checked.differences.iter().map(ToString::to_string).collect();
    print(
        place.json,
        json!({"period": period, "differences": differences, "statements": statements}),
        || {
            let mut lines: Vec<String> =
                differences.iter().map(|difference| format!("DIFFERS: {difference}")).collect();
            if lines.is_empty() {
                lines.push(format!(
                    "{period}: recomputed from the logs, equal ({} statements)",
                    statements.len()
                ));
            }
            if as_markdown {
                lines.extend(
                    checked.statements.iter().map(|(_, statement, _)| markdown::statement(statement)),
                );
            }
            lines.join("\n")
        },
    );
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(crate::cli::FAILED) })
}

fn tariff(place: &Place, file: &std::path::Path) -> Result<()> {
    let mut session = place.session()?;
    sync::step(&mut session, |_| {})?;
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut note = match Tariff::decode(&text) {
        Ok(_) => Note::new(text)?,
        Err(error) => read_note(file).map_err(|_| error)?,
    };
    note.sign(&session.folder.sign_key()?);
    let answer = session.client()?.post("propose", note.encode().as_bytes(), 64 << 10)?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    print(place.json, answer.clone(), || format!("the tariff is proposed: {answer}"));
    Ok(())
}
