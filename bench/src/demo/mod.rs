//! `make demo-retrohunt`: one day of payments through the real `interdict serve`, told in plain words. What is learned at
//! noon stops in the evening what had been approved in the morning. Every step checks what it says.

mod day;
mod node;
mod receiver;
mod scene;
mod tell;

pub mod alliance;

use anyhow::{Context, Result};
use std::path::PathBuf;

/// What to show.
#[derive(Debug, Clone)]
pub struct DemoConfig {
    /// The binary `interdict`.
    pub binary: PathBuf,
    /// The repository, for its configuration and packs.
    pub repository: PathBuf,
    /// Where configuration, data folder and log go; emptied first.
    pub work: PathBuf,
    /// Whether what is told has colours.
    pub colours: bool,
}

/// Shows the day.
///
/// # Errors
/// The first step that did not come to what it says, by name.
pub fn run(config: &DemoConfig) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let work = config.work.display();
    runtime.block_on(day::run(config)).with_context(|| format!("the demo failed; its log is in {work}"))
}
