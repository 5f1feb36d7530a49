//! What the stages of a lane found in one transaction, held apart from the verdict: rules read it as slots, reasons
//! name it, metrics count it.

use super::known::Known;
use super::row::Row;
use super::{Gate, Input};
use crate::domain::{Outcome, Recorded, RecordedBanks, SlotId, Stamp, Transaction, Value};
use crate::error::Error;
use crate::generation::{Generation, Screen, View};
use crate::lists::Hits;
use crate::models::{Kind as ModelKind, ModelScratch};
use crate::packs::SlotStarts;
use crate::patterns::{PatternHits, PatternScratch, PatternSet};
use crate::similarity::names::{Match, Scratch as ScreenScratch};
use crate::similarity::vectors::{BankSlots, Likest, VectorScratch};
use crate::stage::Stage;
use interdict_shaders::Kernel;

/// What one screen found: how many listed names reach its cut-off, and the best of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Screened {
    /// Listed entries at or above the cut-off, over all its watchlists.
    pub matches: u32,
    /// The best: highest score, then first watchlist, then first entry.
    pub best: Option<ScreenMatch>,
}

/// A listed name that a screen found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenMatch {
    /// The watchlist's number in the generation.
    pub watchlist: u16,
    /// The entry's number in the watchlist.
    pub entry: u32,
    /// Which of the entry's names: 0 its primary one.
    pub name: u16,
    /// 0 to 1000.
    pub score: u16,
}

/// How many names of a transaction were screened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Names {
    /// All of them.
    pub screened: u32,
    /// Those whose result was kept from before.
    pub known: u32,
}

/// What the stages found.
#[derive(Debug, Default)]
pub struct Found {
    /// List hits.
    pub hits: Hits,
    /// Pattern hits.
    pub patterns: PatternHits,
    screens: Vec<Screened>,
    names: Names,
    banks: Vec<Option<Likest>>,
    models: Vec<Option<u16>>,
    /// Numbers of the models that failed.
    failed: Vec<u16>,
    any_pattern: bool,
    /// Of a fact: the outcome it would have had; see [`Recorded::would`].
    pub(super) would: Option<Outcome>,
    /// Bit per stage.
    ran: u16,
}

impl Found {
    /// Forgets the last transaction.
    pub(super) fn clear(&mut self, generation: &Generation) {
        self.hits.clear();
        self.would = None;
        self.patterns.clear();
        self.any_pattern = false;
        self.screens.clear();
        self.names = Names::default();
        self.banks.clear();
        self.banks.resize(generation.banks().len(), None);
        self.models.clear();
        self.models.resize(generation.models().len(), None);
        self.failed.clear();
        self.ran = 0;
    }
    /// Whether a stage ran.
    pub fn ran(&self, stage: Stage) -> bool {
        self.ran & 1 << stage as u8 != 0
    }
    pub(super) fn set_ran(&mut self, stage: Stage) {
        self.ran |= 1 << stage as u8;
    }
    pub(super) fn set_absent(&mut self, stage: Stage) {
        self.ran &= !(1 << stage as u8);
    }
    /// Takes a stage back, for a verdict without it; gives what restores it.
    pub(super) fn hide(&mut self, stage: Stage) -> Hidden {
        let ran = self.ran;
        self.ran &= !(1 << stage as u8);
        let hits = if stage == Stage::Lists { std::mem::take(&mut self.hits) } else { Hits::default() };
        Hidden { ran, hits, models: self.models.clone() }
    }
    pub(super) fn show(&mut self, stage: Stage, hidden: Hidden) {
        self.ran = hidden.ran;
        self.models = hidden.models;
        if stage == Stage::Lists {
            self.hits = hidden.hits;
        }
    }

    /// What a screen found; `None` when its stage did not run.
    pub fn screened(&self, screen: usize) -> Option<&Screened> {
        self.screens.get(screen).filter(|_| self.ran(Stage::Similarity))
    }
    /// What a bank says; `None` when its stage did not run, the bank is empty, or the payment has nothing to compare.
    pub fn likest(&self, bank: usize) -> Option<&Likest> {
        self.banks.get(bank)?.as_ref().filter(|_| self.ran(Stage::Similarity))
    }
    /// A model's score, 0 to 1000; `None` when its stage did not run or an input is undecided.
    pub fn model(&self, model: usize) -> Option<u16> {
        self.models.get(model).copied().flatten().filter(|_| self.ran(Stage::Models))
    }
    /// The value of a slot that patterns, screens, banks or models fill; `None` for any other slot, and where it is
    /// missing.
    pub fn value(&self, generation: &Generation, slot: SlotId) -> Option<Value<'static>> {
        let starts = &generation.slots().starts;
        let is_found = (starts.patterns..starts.end).contains(&slot.0);
        is_found.then(|| self.slot(generation.patterns(), starts, slot)).flatten()
    }
    /// The value of a slot from `starts.patterns` on.
    #[inline]
    pub(super) fn slot(
        &self,
        patterns: &PatternSet,
        starts: &SlotStarts,
        slot: SlotId,
    ) -> Option<Value<'static>> {
        let at = slot.0;
        if at < starts.names {
            let hit = || patterns.hit(&self.patterns, u32::from(at - starts.patterns));
            return self.ran(Stage::Patterns).then(hit).flatten().map(Value::Bool);
        }
        if at < starts.banks {
            let of = usize::from(at - starts.names);
            let screened = self.screened(of / 2)?;
            let score = || screened.best.map_or(0, |best| i64::from(best.score));
            return Some(Value::Int(if of % 2 == 0 { score() } else { i64::from(screened.matches) }));
        }
        if at < starts.models {
            let of = usize::from(at - starts.banks);
            let likest = self.likest(of / BankSlots::ALL.len())?;
            return Some(Value::Int(
                [likest.best, likest.near, likest.fraud_share][of % BankSlots::ALL.len()],
            ));
        }
        self.model(usize::from(at - starts.models)).map(|score| Value::Int(i64::from(score)))
    }
    /// The models that failed inside tract, by number: each has no score for that.
    pub fn failed_models(&self) -> &[u16] {
        &self.failed
    }
    /// Whether a stage found anything: a list entry, a pattern, a similar name, a near payment, a score.
    pub fn any(&self, stage: Stage) -> bool {
        match stage {
            Stage::Lists => !self.hits.is_empty(),
            Stage::Patterns => self.any_pattern,
            Stage::Similarity => {
                self.screens.iter().any(|screened| screened.matches > 0)
                    || self.banks.iter().flatten().any(|likest| likest.near > 0)
            }
            Stage::Models => self.models.iter().flatten().any(|score| *score > 0),
            _ => false,
        }
    }

    /// Looks for patterns; an error where the library has no memory to scan in.
    pub(super) fn scan(
        &mut self,
        generation: &Generation,
        tx: &Transaction,
        scratch: &mut PatternScratch,
    ) -> Result<(), Error> {
        let patterns = generation.patterns();
        patterns.scan(tx, scratch, &mut self.patterns)?;
        self.any_pattern = patterns.any_hit(&self.patterns);
        Ok(())
    }

    pub(super) fn screen(
        &mut self,
        generation: &Generation,
        tx: &Transaction,
        scratch: &mut ScreenScratch,
        matches: &mut Vec<Match>,
        mut known: Option<&mut Known>,
    ) {
        for screen in generation.screens() {
            let Some(name) = tx.text(screen.field).filter(|_| !screen.watchlists.is_empty()) else {
                self.screens.push(Screened::default());
                continue;
            };
            let mut search = || search(generation, screen, name, scratch, matches);
            let (screened, was_known) = match &mut known {
                Some(known) => known.of(&screen.context, name, search),
                None => (search(), false),
            };
            self.names.screened += 1;
            self.names.known += u32::from(was_known);
            self.screens.push(screened);
        }
    }
    /// The names that were screened.
    pub fn names(&self) -> Names {
        self.names
    }

    pub(super) fn compare(&mut self, input: &Input<'_>, gate: &dyn Gate, scratch: &mut VectorScratch) {
        let Some(prints) = input.prints else { return };
        let kernel = Kernel::best();
        let (view, tenant) = (input.view, &input.tx.tenant);
        for (bank, (decl, print)) in view.generation().banks().banks().zip(prints.iter()).enumerate() {
            let contents = view.learned().contents(tenant, bank);
            self.banks[bank] = contents
                .zip(print.as_ref())
                .and_then(|(contents, print)| contents.likest(kernel, decl, print, gate.device(), scratch));
        }
    }

    pub(super) fn score(
        &mut self,
        tx: &Transaction,
        features: &[Stamp],
        view: &View,
        scratch: &mut ModelScratch,
    ) {
        let generation = view.generation();
        let applies = generation.applies(&tx.tenant);
        let mut models = std::mem::take(&mut self.models);
        let mut failed = std::mem::take(&mut self.failed);
        failed.clear();
        let row = Row::new(tx, features, view, self);
        for ((number, model), score) in (0..).zip(generation.models()).zip(&mut models) {
            let is_for = applies[usize::from(model.pack())];
            *score = if is_for { model.score(&row, scratch) } else { None };
            if is_for && scratch.failed {
                failed.push(number);
            }
        }
        (self.models, self.failed) = (models, failed);
    }

    /// Takes what the banks said from the record: what they had learned is not part of a generation.
    pub(super) fn recall_banks(&mut self, recorded: &Recorded) {
        for (bank, likest) in self.banks.iter_mut().enumerate() {
            *likest = recorded.banks.get(bank).copied().flatten().map(|[best, near, fraud_share]| Likest {
                best,
                near,
                fraud_share,
            });
        }
    }
    /// Takes the scores of models in floating point from the record: they may come out otherwise on another machine.
    pub(super) fn recall_models(&mut self, generation: &Generation, recorded: &Recorded) {
        let inexact = generation.models().iter().enumerate().filter(|(_, m)| m.kind() != ModelKind::Trees);
        for (number, _) in inexact {
            let known = recorded.models.iter().find(|(model, _)| usize::from(*model) == number);
            self.models[number] = known.and_then(|(_, score)| *score);
        }
    }
    /// What the record of law has to keep of this, but for the hold that may begin with it; see [`Found::recall_banks`] and [`Found::recall_models`].
    pub fn to_record(&self, generation: &Generation) -> Recorded {
        let of = |likest: &Likest| [likest.best, likest.near, likest.fraud_share];
        let banks: RecordedBanks = self.banks.iter().map(|l| l.as_ref().map(of)).collect();
        let models = generation.models().iter().enumerate();
        let inexact = models.filter(|(_, model)| model.kind() != ModelKind::Trees);
        Recorded {
            banks: if banks.iter().any(Option::is_some) { banks } else { RecordedBanks::new() },
            models: inexact.map(|(number, _)| (number as u16, self.models[number])).collect(),
            would: self.would,
            hold: None,
            confirmed: Vec::new(),
        }
    }
}

/// One name against all watchlists of a screen.
fn search(
    generation: &Generation,
    screen: &Screen,
    name: &str,
    scratch: &mut ScreenScratch,
    matches: &mut Vec<Match>,
) -> Screened {
    let mut screened = Screened::default();
    for number in &screen.watchlists {
        let watchlist = &generation.watchlists()[usize::from(*number)];
        watchlist.screener.screen(name, None, screen.cutoff, scratch, matches);
        screened.matches += matches.len() as u32;
        let best = matches.first().filter(|m| screened.best.is_none_or(|b| m.score > b.score));
        if let Some(Match { entry, name, score }) = best.copied() {
            screened.best = Some(ScreenMatch { watchlist: *number, entry, name, score });
        }
    }
    screened
}

/// What [`Found::hide`] took away.
pub(super) struct Hidden {
    ran: u16,
    hits: Hits,
    models: Vec<Option<u16>>,
}
