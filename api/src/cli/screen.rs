//! `interdict screen`: names against watchlists, or pairs of names against each other; one line for every row, in order,
//! however many cores score them. What cannot be screened is told on stderr and still gives its line.

mod input;
mod output;
mod parallel;

use crate::node::watchlists::load_bank;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use input::Pair;
use interdict_engine::limits::{SCORE_MAX, TEXT_BYTES_MAX};
use interdict_engine::similarity::names::{Bank, CUTOFF_DEFAULT, Kind, Match, Scratch, Screener, score_pair};
use interdict_shaders::Kernel;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `screen`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").args(["name", "names", "pairs"]).required(true))]
pub struct Args {
    /// Watchlists: OFAC's sdn.csv (with alt.csv and add.csv beside it), the UN's XML, a CSV with a name column, or a
    /// built one (.inames).
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "pairs", required_unless_present = "pairs")]
    list: Vec<PathBuf>,
    /// The name to screen.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    name: Option<String>,
    /// Names to screen: a .csv with a name column, else one name a line.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// Pairs to score: a CSV with the columns name1, name2 and schema.
    #[arg(long, value_name = "CSV")]
    pairs: Option<PathBuf>,
    /// The score from which two names match, 0 to 1; 0.80 by default.
    #[arg(long, value_parser = cutoff, value_name = "SCORE")]
    cutoff: Option<u16>,
    /// One JSON object a line instead of CSV; with every match, where CSV has the best.
    #[arg(long)]
    json: bool,
}

fn cutoff(text: &str) -> Result<u16, String> {
    match text.parse::<f64>() {
        Ok(score) if (0.0..=1.0).contains(&score) => Ok((score * f64::from(SCORE_MAX)).round() as u16),
        _ => Err(format!("cut-off {text:?}: expected a number from 0 to 1")),
    }
}

/// A watchlist ready to be asked.
struct List {
    name: String,
    bank: Bank,
    screener: Screener,
}

/// What screening one name reuses, a thread each.
#[derive(Default)]
struct Buffers {
    scratch: Scratch,
    found: Vec<Match>,
    /// Number of the list, and the match in it.
    matches: Vec<(usize, Match)>,
}

/// Runs `screen`.
///
/// # Errors
/// A file that does not read: every wrong line of a list, names or pairs by line and column.
pub fn run(args: Args) -> Result<ExitCode> {
    super::serve::init_log();
    let cutoff = args.cutoff.unwrap_or(CUTOFF_DEFAULT);
    let mut out = BufWriter::new(std::io::stdout().lock());
    if let Some(file) = &args.pairs {
        let pairs = input::pairs(file)?;
        if !args.json {
            out.write_all(output::PAIRS_HEADER)?;
        }
        score_pairs(&pairs, cutoff, args.json, &mut out)?;
    } else {
        let names = match (args.name, &args.names) {
            (Some(name), _) => vec![name],
            (None, Some(file)) => input::names(file)?,
            (None, None) => Vec::new(),
        };
        let lists = args.list.iter().map(|file| list(file)).collect::<Result<Vec<_>>>()?;
        if !args.json {
            out.write_all(output::NAMES_HEADER)?;
        }
        screen_names(&names, &lists, cutoff, args.json, &mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn list(file: &std::path::Path) -> Result<List> {
    let bar = super::lists::working("reading a watchlist");
    let loaded = load_bank(file)?;
    let screener = Screener::new(&loaded.bank, Kernel::best())?;
    bar.finish_and_clear();
    Ok(List { name: loaded.name, bank: loaded.bank, screener })
}

fn screen_names(
    names: &[String],
    lists: &[List],
    cutoff: u16,
    json: bool,
    out: &mut impl Write,
) -> Result<()> {
    let bar = progress(names.len());
    parallel::in_order(
        names,
        &bar,
        |buffers: &mut Buffers, name: &String, line: &mut Vec<u8>| {
            let refused = refusal(&[name]);
            buffers.matches.clear();
            for (number, list) in lists.iter().enumerate().filter(|_| refused.is_none()) {
                list.screener.screen(name, None, cutoff, &mut buffers.scratch, &mut buffers.found);
                buffers.matches.extend(buffers.found.iter().map(|found| (number, *found)));
            }
            buffers.matches.sort_by_key(|(number, found)| (u16::MAX - found.score, *number, found.entry));
            if json {
                output::names_json(name, lists, &buffers.matches, refused.as_deref(), line);
            } else {
                output::names_csv(name, lists, &buffers.matches, line);
            }
            refused
        },
        out,
    )?;
    bar.finish_and_clear();
    Ok(())
}

fn score_pairs(pairs: &[Pair], cutoff: u16, json: bool, out: &mut impl Write) -> Result<()> {
    let bar = progress(pairs.len());
    parallel::in_order(
        pairs,
        &bar,
        |(): &mut (), pair: &Pair, line: &mut Vec<u8>| {
            let refused = refusal(&[&pair.name1, &pair.name2]);
            let score = match refused {
                None => score_pair(&pair.name1, &pair.name2, Kind::of_schema(&pair.schema)),
                Some(_) => 0,
            };
            if json {
                output::pair_json(pair, score, score >= cutoff, line);
            } else {
                output::pair_csv(pair, score, score >= cutoff, line);
            }
            refused
        },
        out,
    )?;
    bar.finish_and_clear();
    Ok(())
}

/// Why a row is not screened, if it is not.
fn refusal(names: &[&String]) -> Option<String> {
    let bytes = names.iter().map(|name| name.len()).find(|bytes| *bytes > TEXT_BYTES_MAX)?;
    Some(format!("a name of {bytes} bytes, limit {TEXT_BYTES_MAX}: not screened"))
}

fn progress(rows: usize) -> ProgressBar {
    // A handful is done before a bar could be seen.
    if rows < 1000 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}");
    ProgressBar::new(rows as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
