//! A generation: packs, list bases, watchlists, settings and reference data made into one immutable whole, named by the
//! hash of its manifest. A view is a generation with the list deltas and lessons over it so far; each transaction is
//! judged by the view at its sequence, on whatever lane.

mod manifest;
mod settings;
mod view;

pub use manifest::{Manifest, PartKind, hex};
pub use settings::Settings;
pub use view::View;

use crate::domain::{Currency, Field};
use crate::domain::{Schema, SlotId, SlotView, Transaction, Value};
use crate::error::{Error, ErrorKind};
use crate::features::{FeaturePlan, Filter, Rates};
use crate::limits::WATCHLISTS_MAX;
use crate::lists::{LayerKind, List, ListBase, Snapshot};
use crate::models::Model;
use crate::packs::{self, Pack, ScreenDecl, SlotStarts};
use crate::patterns::{DatabaseCache, PatternSet, PatternSource};
use crate::rates::RateTable;
use crate::rules::RuleSet;
use crate::similarity::names::{Bank, Screener};
use crate::similarity::vectors::BankPlan;
use crate::stage::Stage;
use interdict_shaders::Kernel;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that somebody else holds (mapped, mostly).
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// An immutable generation.
pub struct Generation {
    manifest: Manifest,
    hash: [u8; 32],
    packs: Vec<Pack>,
    schema: Schema,
    plan: Arc<FeaturePlan>,
    slots: Slots,
    lists: ListBase,
    patterns: PatternSet,
    watchlists: Vec<Watchlist>,
    screens: Vec<Screen>,
    banks: Arc<BankPlan>,
    models: Vec<Model>,
    folded_to: u64,
    settings: Settings,
    rules: RuleSet,
    /// Which packs apply, by position: for tenants that a pack names, and for everybody else.
    named: BTreeMap<String, Vec<bool>>,
    everybody: Vec<bool>,
}

/// Where in the schema each kind of slot begins, and the names of the lists' slots.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    /// The first slot of each kind.
    pub starts: SlotStarts,
    /// The lists that have slots, in slot order.
    pub list_names: Vec<String>,
}

/// Listed names, ready to be searched.
pub struct Watchlist {
    /// Its name, as screens and reasons write it.
    pub name: String,
    /// Of its content.
    pub hash: [u8; 32],
    /// Whom it lists.
    pub bank: Bank,
    /// What finds names like its own.
    pub screener: Screener,
}

/// A screen with its watchlists resolved.
#[derive(Debug, Clone)]
pub struct Screen {
    /// Its name.
    pub id: String,
    /// The name field it reads.
    pub field: Field,
    /// Numbers of its watchlists in the generation. One that a pack names and nobody has loaded is not among them.
    pub watchlists: Vec<u16>,
    /// The least score that counts.
    pub cutoff: u16,
    /// Hash of all that a name's result depends on, but the name: cut-off, watchlists and their numbers.
    pub context: [u8; 16],
}

impl Rates for RateTable {
    fn convert(&self, minor: i64, from: Currency, to: Currency, time_ms: i64) -> Option<i64> {
        RateTable::convert(self, minor, from, to, time_ms)
    }
}

impl Generation {
    /// Builds the generation of a manifest; `object` gives the bytes of a part's hash, checked by whoever holds them.
    ///
    /// # Errors
    /// Every error of every pack, list and setting, each with its place; nothing is built then.
    pub fn build(
        manifest: Manifest,
        object: &dyn Fn(&[u8; 32]) -> Result<Bytes, Error>,
    ) -> Result<Generation, Vec<Error>> {
        Generation::build_with(manifest, object, None)
    }

    /// As [`Generation::build`], with pattern databases taken from a cache where it has them: compiling ten thousand
    /// patterns takes seconds.
    ///
    /// # Errors
    /// As [`Generation::build`].
    pub fn build_with(
        manifest: Manifest,
        object: &dyn Fn(&[u8; 32]) -> Result<Bytes, Error>,
        cache: Option<&dyn DatabaseCache>,
    ) -> Result<Generation, Vec<Error>> {
        let mut parts = Parts::default();
        for (kind, name, hash) in manifest.parts() {
            let bytes = object(hash).map_err(|e| vec![e])?;
            parts.read(*kind, name, hash, bytes)?;
        }
        Generation::assemble(manifest, parts, cache)
    }

    fn assemble(
        manifest: Manifest,
        parts: Parts,
        cache: Option<&dyn DatabaseCache>,
    ) -> Result<Generation, Vec<Error>> {
        let Parts { packs, lists, folded_to, settings, rates, watchlists } = parts;
        let lists = ListBase::layered(lists).map_err(|e| vec![e])?;
        // Those that deltas made have a slot where a pack names them, as before a fold.
        let configured = lists.lists().iter().filter(|list| list.has_file()).map(List::meta);
        let list_names: Vec<&str> = configured.map(|meta| meta.name.as_str()).collect();
        let all: Vec<&Pack> = packs.iter().collect();
        let built = packs::schema(&all, &list_names)?;
        let mut errors = Vec::new();
        let models = packs::models(&all, &built).map_err(|found| errors.extend(found));
        let slots = Slots {
            starts: built.starts,
            list_names: built.lists.into_iter().map(|(name, _)| name).collect(),
        };
        let groups = built.groups.into_iter().map(|group| {
            let filter = group
                .filter
                .map(|predicate| Arc::new(move |tx: &Transaction| predicate.eval(&Fields(tx))) as Filter);
            (group.spec, filter)
        });
        let sources = packs.iter().enumerate().flat_map(|(at, pack)| pack.rule_sources(at as u16)).collect();
        let rules = RuleSet::compile(sources, &built.schema).map_err(|found| errors.extend(found));
        let features = FeaturePlan::new(groups.collect(), Arc::new(rates)).map_err(|e| errors.push(e));
        let sources: Vec<PatternSource> = built.patterns.iter().map(|decl| decl.source.clone()).collect();
        let lifts = rules.as_ref().map_or(&[][..], |rules: &RuleSet| rules.lifts());
        let patterns = PatternSet::compile(&sources, lifts, cache).map_err(|found| errors.extend(found));
        let screens = built.screens.iter().map(|decl| Screen::resolve(decl, &watchlists)).collect();
        let banks = BankPlan::new(built.banks, &built.schema, built.starts.lists)
            .map_err(|found| errors.extend(found));
        let applies = |tenant: &str| packs.iter().map(|pack| pack.manifest.is_for(tenant)).collect();
        let tenants = packs.iter().flat_map(|pack| pack.manifest.tenants.iter().flatten());
        let named = tenants.map(|tenant| (tenant.clone(), applies(tenant))).collect();
        // No tenant has an empty name, so this is what a tenant is judged by that no pack names.
        let everybody = applies("");
        match (features, rules, patterns, banks, models) {
            (Ok(features), Ok(rules), Ok(patterns), Ok(banks), Ok(models)) if errors.is_empty() => {
                Ok(Generation {
                    hash: manifest.hash(),
                    manifest,
                    packs,
                    plan: Arc::new(features),
                    schema: built.schema,
                    slots,
                    lists,
                    patterns,
                    watchlists,
                    screens,
                    banks: Arc::new(banks),
                    models,
                    folded_to,
                    settings,
                    rules,
                    named,
                    everybody,
                })
            }
            _ => Err(errors),
        }
    }

    /// What it is made of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
    /// SHA-256 of the manifest.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }
    /// Its packs.
    pub fn packs(&self) -> &[Pack] {
        &self.packs
    }
    /// Its slots.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
    /// Where each kind of slot stands in the schema.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
    /// Its feature groups.
    pub fn plan(&self) -> &Arc<FeaturePlan> {
        &self.plan
    }
    /// Its base lists.
    pub fn lists(&self) -> &ListBase {
        &self.lists
    }
    /// The sequence up to which list deltas are in its base lists; 0 where none is.
    pub fn folded_to(&self) -> u64 {
        self.folded_to
    }
    /// Its patterns.
    pub fn patterns(&self) -> &PatternSet {
        &self.patterns
    }
    /// Its watchlists, in the order of the manifest.
    pub fn watchlists(&self) -> &[Watchlist] {
        &self.watchlists
    }
    /// Its screens, in the order of their slots.
    pub fn screens(&self) -> &[Screen] {
        &self.screens
    }
    /// Its banks.
    pub fn banks(&self) -> &Arc<BankPlan> {
        &self.banks
    }
    /// Its models, in the order of their slots.
    pub fn models(&self) -> &[Model] {
        &self.models
    }
    /// Whether a stage of a lane has anything to do. Lists may come at any time, and rules always say something.
    pub fn has(&self, stage: Stage) -> bool {
        match stage {
            Stage::Patterns => !self.patterns.is_empty(),
            Stage::Similarity => !self.screens.is_empty() || !self.banks.is_empty(),
            Stage::Models => !self.models.is_empty(),
            _ => true,
        }
    }
    /// Whether it may judge a payment otherwise than another one did, so that the window is hunted: by other packs, lists or
    /// watchlists. Folds say what deltas had said; settings and rates have been stamped into what a payment is judged by.
    pub fn judges_otherwise(&self, before: &Generation) -> bool {
        let judging = |one: &Generation| {
            let kinds = [PartKind::Pack, PartKind::List, PartKind::Watchlist];
            let parts = one.manifest.parts().iter().filter(|(kind, ..)| kinds.contains(kind));
            parts.cloned().collect::<Vec<_>>()
        };
        judging(self) != judging(before)
    }
    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// Its rules, of all packs.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }
    /// Which packs a tenant is judged by, by position.
    pub fn applies(&self, tenant: &str) -> &[bool] {
        self.named.get(tenant).unwrap_or(&self.everybody)
    }
    /// The slot of a list's name; `None` when no pack and no base list names it.
    pub fn list_slot(&self, name: &str) -> Option<SlotId> {
        let at = self.slots.list_names.iter().position(|known| known == name)?;
        Some(SlotId(self.slots.starts.lists + at as u16))
    }
}

#[derive(Default)]
struct Parts {
    packs: Vec<Pack>,
    lists: Vec<(LayerKind, Snapshot)>,
    folded_to: u64,
    settings: Settings,
    rates: RateTable,
    watchlists: Vec<Watchlist>,
}

impl Screen {
    fn resolve(decl: &ScreenDecl, watchlists: &[Watchlist]) -> Screen {
        let number = |name: &String| watchlists.iter().position(|list| list.name == *name);
        let numbers: Vec<u16> = decl.watchlists.iter().filter_map(number).map(|at| at as u16).collect();
        let mut context = Sha256::new_with_prefix(decl.cutoff.to_le_bytes());
        for number in &numbers {
            context.update(number.to_le_bytes());
            context.update(watchlists[usize::from(*number)].hash);
        }
        let context = context.finalize();
        Screen {
            id: decl.id.clone(),
            field: decl.field,
            watchlists: numbers,
            cutoff: decl.cutoff,
            context: context[..16].try_into().expect("SHA-256 gives 32 bytes"),
        }
    }
}

impl Parts {
    fn read(&mut self, kind: PartKind, name: &str, hash: &[u8; 32], bytes: Bytes) -> Result<(), Vec<Error>> {
        let one = |e: Error| vec![e];
        match kind {
            PartKind::Pack => {
                let files = packs::unarchive((*bytes).as_ref()).map_err(one)?;
                self.packs.push(packs::load(files)?);
            }
            PartKind::Watchlist => {
                if self.watchlists.len() >= WATCHLISTS_MAX {
                    let message = format!("watchlist {name:?} would be one too many, limit {WATCHLISTS_MAX}");
                    return Err(one(Error::new(ErrorKind::TooLarge, message)));
                }
                let bank = Bank::decode((*bytes).as_ref()).map_err(one)?;
                let screener = Screener::new(&bank, Kernel::best()).map_err(one)?;
                self.watchlists.push(Watchlist { name: name.into(), hash: *hash, bank, screener });
            }
            PartKind::List | PartKind::Added | PartKind::Ended => {
                let layer = kind.layer().expect("these three are list snapshots");
                self.lists.push((layer, Snapshot::open(bytes).map_err(one)?));
            }
            PartKind::Folded => {
                let digits = std::str::from_utf8((*bytes).as_ref()).ok().and_then(|text| text.parse().ok());
                let message = "expected a sequence in decimal digits";
                self.folded_to = digits.ok_or_else(|| {
                    one(Error::new(ErrorKind::Malformed, format!("folded {name}: {message}")))
                })?;
            }
            PartKind::Settings => self.settings = Settings::decode((*bytes).as_ref()).map_err(one)?,
            PartKind::Rates => {
                let text = std::str::from_utf8((*bytes).as_ref());
                let text = text.map_err(|e| one(Error::new(ErrorKind::Malformed, format!("{name}: {e}"))))?;
                self.rates = RateTable::parse(name, text).map_err(one)?;
            }
        }
        Ok(())
    }
}

/// A transaction's own fields as slots: what a feature's filter may ask.
struct Fields<'a>(&'a Transaction);
impl SlotView for Fields<'_> {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        let field = u8::try_from(slot.0).ok().and_then(Field::from_number)?;
        self.0.get(field)
    }
}
