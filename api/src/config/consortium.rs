//! `[consortium]`: the alliance that the node is a member's of, and what its signals mean here. Checked here too. Keys and
//! the hub's address are in the member's folder, not in the configuration.

use super::schema::Config;
use crate::node::consortium::{ConsortiumTerms, Names};
use anyhow::{Result, bail};
use interdict_engine::domain::{Audience, Effect, Outcome};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Longest time between two rounds, in s: an epoch that comes late stops nothing.
const SYNC_S_MAX: u64 = 86_400;
/// Longest wait of a batch for further identifiers, in ms.
const GATHER_MS_MAX: u64 = 10_000;

/// `[consortium]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsortiumSection {
    /// The member's folder (`interdict consortium init` makes one), relative to the config file; without it the node is
    /// no member's.
    pub folder: Option<PathBuf>,
    /// Time between two rounds with the hub, in s.
    pub sync_every_s: u64,
    /// What an entry does: `block` or `flag`.
    pub effect: String,
    /// Whether an override of a tenant may cancel a block.
    pub overridable: bool,
    /// What a block means: `review` or stronger.
    pub block_outcome: String,
    /// What a candidate leads to until it is confirmed: `review` or `hold`.
    pub unconfirmed: String,
    /// Who may read the reasons: `internal`, `processor` or `customer`.
    pub audience: String,
    /// What names that are told in the clear become: `exact`, a list, or `similar`, a watchlist that screens search.
    pub names: String,
    /// How long an identifier waits for others to be asked about with it, in ms.
    pub gather_ms: u64,
    /// Whether what became of hits (labels, ended holds) is told to the alliance.
    pub feedback: bool,
}

impl Default for ConsortiumSection {
    fn default() -> Self {
        ConsortiumSection {
            folder: None,
            sync_every_s: 10,
            effect: "block".into(),
            overridable: true,
            block_outcome: "decline".into(),
            unconfirmed: "review".into(),
            audience: "internal".into(),
            names: "exact".into(),
            gather_ms: 20,
            feedback: true,
        }
    }
}

impl ConsortiumSection {
    /// What hits of the alliance's lists mean.
    ///
    /// # Errors
    /// With the key and what was expected.
    pub fn terms(&self) -> Result<ConsortiumTerms> {
        let effect = Effect::by_name(&self.effect).filter(|effect| *effect != Effect::Override);
        let Some(effect) = effect else {
            bail!("consortium.effect = {:?}: expected \"block\" or \"flag\"", self.effect);
        };
        let stops = |outcome: &Outcome| *outcome > Outcome::Approve;
        let Some(block_outcome) = Outcome::by_name(&self.block_outcome).filter(stops) else {
            bail!(
                "consortium.block_outcome = {:?}: expected review, challenge, hold or decline",
                self.block_outcome
            );
        };
        let waits = |outcome: &Outcome| matches!(outcome, Outcome::Review | Outcome::Hold);
        let Some(unconfirmed) = Outcome::by_name(&self.unconfirmed).filter(waits) else {
            bail!("consortium.unconfirmed = {:?}: expected review or hold", self.unconfirmed);
        };
        let known = [Audience::Internal, Audience::Processor, Audience::Customer];
        let Some(audience) = known.into_iter().find(|audience| audience.name() == self.audience) else {
            bail!("consortium.audience = {:?}: expected internal, processor or customer", self.audience);
        };
        let names = match self.names.as_str() {
            "exact" => Names::Exact,
            "similar" => Names::Similar,
            other => bail!("consortium.names = {other:?}: expected \"exact\" or \"similar\""),
        };
        let overridable = self.overridable;
        Ok(ConsortiumTerms { effect, overridable, block_outcome, unconfirmed, audience, names })
    }
}

/// Checks the section.
///
/// # Errors
/// With the key and what was expected.
pub fn check(config: &Config) -> Result<()> {
    let section = &config.consortium;
    section.terms()?;
    for (key, value, max) in
        [("sync_every_s", section.sync_every_s, SYNC_S_MAX), ("gather_ms", section.gather_ms, GATHER_MS_MAX)]
    {
        if !(1..=max).contains(&value) {
            bail!("consortium.{key} = {value}: expected 1 to {max}");
        }
    }
    Ok(())
}
