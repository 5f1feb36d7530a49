//! `make demo-consortium`: a hub, an auditor and five banks as real processes on loopback, told in plain words. A card that one
//! bank reports stops a payment at another and one that has not settled at a third; then the proof, checked by a verifier
//! that shares no code with us, and the bill. Every step checks what it says.

mod cast;
mod story;

use anyhow::{Context, Result};
use std::path::PathBuf;

/// What to show.
#[derive(Debug, Clone)]
pub struct AllianceConfig {
    /// The binary `interdict`.
    pub binary: PathBuf,
    /// The repository, for the verifier that auditors get.
    pub repository: PathBuf,
    /// A Python that has the package `cryptography`.
    pub python: PathBuf,
    /// Where folders and logs go; emptied first.
    pub work: PathBuf,
    /// Whether what is told has colours.
    pub colours: bool,
}

/// Shows it.
///
/// # Errors
/// The first step that did not come to what it says, by name.
pub fn run(config: &AllianceConfig) -> Result<()> {
    let work = config.work.display();
    story::run(config).with_context(|| format!("the demo failed; its folders and logs are in {work}"))
}
