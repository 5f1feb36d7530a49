//! `interdict report`: what was intercepted, and what was blocked or rejected for sanctions, from a data folder. Reads
//! only, so it works beside a running node.

use crate::history::Folder;
use crate::report::{Blocked, Interceptions, Past, Period};
use anyhow::Result;
use interdict_ingest::normalise::time::rfc3339_ms;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, clap::Subcommand)]
enum Which {
    /// What was stopped on its way to settlement, why, and what became of it; and the fraud that was missed.
    Interceptions(Over),
    /// Each payment that was blocked or rejected for sanctions, as an officer files it.
    Blocked(Over),
}

/// Over what, and how it is written.
#[derive(Debug, clap::Args)]
struct Over {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The configuration, where it says that keys lie elsewhere.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// From this time on: RFC 3339, or a day (UTC).
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    from: Option<i64>,
    /// Before this time.
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    to: Option<i64>,
    /// Only payments of this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// CSV instead of a table.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

fn moment(text: &str) -> Result<i64, String> {
    let of_day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    match rfc3339_ms(text) {
        Ok(ms) => Ok(ms),
        Err(_) => of_day()
            .map(|day| day.timestamp().as_millisecond())
            .ok_or_else(|| "expected a time as RFC 3339 has it, or a day such as 2026-11-30".into()),
    }
}

/// Runs `interdict report`.
///
/// # Errors
/// A folder that cannot be read: no journal, no key, a wrong key.
pub fn run(args: Args) -> Result<ExitCode> {
    let (Which::Interceptions(over) | Which::Blocked(over)) = &args.which;
    let folder = Folder::open(&over.data, over.config.as_deref())?;
    let past = Past::read(&folder)?;
    let period = Period { from_ms: over.from, to_ms: over.to, tenant: over.tenant.clone() };
    let written = match &args.which {
        Which::Interceptions(_) => {
            let report = Interceptions::of(&past, &period)?;
            if over.json {
                serde_json::to_string(&report)? + "\n"
            } else if over.csv {
                report.csv()
            } else {
                report.text()
            }
        }
        Which::Blocked(_) => {
            let report = Blocked::of(&folder, &past, &period)?;
            if over.json {
                serde_json::to_string(&report)? + "\n"
            } else if over.csv {
                report.csv()
            } else {
                report.text()
            }
        }
    };
    let mut out = std::io::stdout().lock();
    out.write_all(written.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_first_moment() {
        assert_eq!(moment("2026-11-30"), Ok(1_795_996_800_000));
        assert_eq!(moment("2026-11-30T01:00:00+01:00"), Ok(1_795_996_800_000));
        assert!(moment("30.11.2026").is_err() && moment("").is_err());
    }
}
