//! The command line: one verb a file. Exit codes as wire.md has them: 0 ok, 1 finding, 2 misuse, 3 failed.

mod signals;
pub mod serve;
pub mod replay;
pub mod verify;
pub mod explain;
pub mod report;
pub mod packs;
pub mod lists;
pub mod screen;
pub mod doctor;
pub mod tune;
pub mod gpu_check;
pub mod keys;
pub mod letters;
pub mod webhooks;
pub mod backup;
pub mod restore;
pub mod hub;
pub mod consortium;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of a finding (`verify`, `packs check|test`, `doctor`, `gpu-check` only).
pub const FINDING: u8 = 1;
/// Exit code of a failure.
pub const FAILED: u8 = 3;

#[derive(Parser)]
#[command(name = "interdict", version, about = "Fraud-signal matching in the authorization path")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the inline API.
    Serve(serve::Args),
    /// Run a feed of files through the path.
    Replay(replay::Args),
    /// Recompute the verdicts of a data folder and compare.
    Verify(verify::Args),
    /// Tell one verdict's story.
    Explain(explain::Args),
    /// What was intercepted and what became of it; what was blocked or rejected for sanctions.
    Report(report::Args),
    /// Check, test or build a rule pack.
    Packs(packs::Args),
    /// Import, build or inspect an exact list or a watchlist.
    Lists(lists::Args),
    /// Screen names against watchlists, or score pairs of names.
    Screen(screen::Args),
    /// Look at this machine and a configuration, and say what is wrong.
    Doctor(doctor::Args),
    /// Measure this machine and write a hardware profile.
    Tune(tune::Args),
    /// Compare the GPU's results with the CPU's, and time both.
    GpuCheck(gpu_check::Args),
    /// Make API keys.
    Keys(keys::Args),
    /// Read the dead letters of a data folder.
    DeadLetters(letters::Args),
    /// List webhooks' dead letters, send them again, enable an endpoint.
    Webhooks(webhooks::Args),
    /// Copy a data folder while its node runs.
    Backup(backup::Args),
    /// Make a data folder of a backup, checked.
    Restore(restore::Args),
    /// Run an alliance's hub.
    Hub(hub::Args),
    /// Take part in an alliance as a member.
    Consortium(consortium::Args),
}

/// Runs the command line; the process's exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    crate::panics::quiet_what_is_contained();
    // clap exits with 2 for misuse and 0 for help, as wire.md wants.
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            drop(e.print());
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    signals::survive_file_limit();
    // A hub too outlives whoever reads its log.
    if !matches!(cli.verb, Verb::Serve(_) | Verb::Hub(_)) {
        signals::end_on_closed_pipe();
    }
    let done = match cli.verb {
        Verb::Serve(args) => serve::run(args),
        Verb::Replay(args) => replay::run(args),
        Verb::Verify(args) => verify::run(args),
        Verb::Explain(args) => explain::run(args),
        Verb::Report(args) => report::run(args),
        Verb::Packs(args) => packs::run(args),
        Verb::Lists(args) => lists::run(args),
        Verb::Screen(args) => screen::run(args),
        Verb::Doctor(args) => doctor::run(args),
        Verb::Tune(args) => tune::run(args),
        Verb::GpuCheck(args) => gpu_check::run(args),
        Verb::Keys(args) => keys::run(args),
        Verb::DeadLetters(args) => letters::run(args),
        Verb::Webhooks(args) => webhooks::run(args),
        Verb::Backup(args) => backup::run(args),
        Verb::Restore(args) => restore::run(args),
        Verb::Hub(args) => hub::run(args),
        Verb::Consortium(args) => consortium::run(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("interdict: {error:#}");
        ExitCode::from(FAILED)
    })
}
