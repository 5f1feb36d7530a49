//! x
use anyhow::Result;
use std::process::ExitCode;
/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}
/// Runs.
///
/// # Errors
/// None.
pub fn run(_: Args) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
