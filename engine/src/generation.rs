//! A generation: packs, list bases, settings and reference data made into one immutable whole, named by the hash of
//! its manifest. A view is a generation with the list deltas published over it so far; each transaction is judged by
//! the view at its sequence, on whatever lane.

use crate::domain::{Currency, Field, GenerationId, Lever, ListDelta};
use crate::domain::{Schema, SlotId, SlotView, Transaction, Value};
use crate::error::{Error, ErrorKind};
use crate::features::{FeaturePlan, Filter, Rates};
use crate::freshness::{Freshness, WhenStale};
use crate::limits::WATCHLISTS_MAX;
use crate::lists::{LayerKind, List, ListBase, ListMeta, ListView, Overlay, Snapshot};
use crate::models::Model;
use crate::packs::{self, ListDecl, ModelDecl, Pack, ScreenDecl, SlotStarts};
use crate::patterns::{DatabaseCache, PatternSet, PatternSource};
use crate::rates::RateTable;
use crate::rules::RuleSet;
use crate::similarity::names::{Bank, Screener};
use crate::similarity::vectors::{BankPlan, Learned};
use crate::stage::Stage;
use interdict_shaders::Kernel;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Bytes that somebody else holds (mapped, mostly).
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// What a node is configured to do with verdicts; part of the generation, so that a replay finds the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Tenant → channel → lever; the tenant "" is everybody who is not named.
    pub levers: BTreeMap<String, BTreeMap<String, u8>>,
    /// Network whose code map answers.
    pub network: String,
    /// Lists and watchlists that may become stale. Behind the rest in the bytes, and only where there are any, so that
    /// settings without it are kept as they always were.
    #[serde(skip)]
    pub freshness: Vec<Freshness>,
}

impl Settings {
    /// The lever of a tenant's channel.
    pub fn lever(&self, tenant: &str, channel: Option<&str>) -> Lever {
        let Some(channel) = channel else { return Lever::None };
        let named = |tenant: &str| self.levers.get(tenant).and_then(|levers| levers.get(channel)).copied();
        let number = named(tenant).or_else(|| named("")).unwrap_or(0);
        Lever::ALL.into_iter().find(|lever| *lever as u8 == number).unwrap_or(Lever::None)
    }
    /// Its bytes, as kept in the store.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = postcard::to_stdvec(self).expect("plain data always encodes");
        match self.freshness.is_empty() {
            true => bytes,
            false => postcard::to_extend(&self.freshness, bytes).expect("plain data always encodes"),
        }
    }
    /// The settings of stored bytes.
    ///
    /// # Errors
    /// `Corrupt` for bytes that `encode` does not write.
    pub fn decode(bytes: &[u8]) -> Result<Settings, Error> {
        let corrupt = |e| Error::new(ErrorKind::Corrupt, format!("settings: {e}"));
        let (mut settings, rest) = postcard::take_from_bytes::<Settings>(bytes).map_err(corrupt)?;
        if !rest.is_empty() {
            settings.freshness = postcard::from_bytes(rest).map_err(corrupt)?;
        }
        Ok(settings)
    }
}

/// What a generation is made of, by the hash of each part. Its text is what is hashed and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    parts: Vec<(PartKind, String, [u8; 32])>,
}

/// The kinds of part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    /// A pack archive.
    Pack,
    /// A list snapshot: the list as the configuration has it.
    List,
    /// A list snapshot over it: entries that deltas added.
    Added,
    /// A list snapshot over it: subjects whose entry deltas ended.
    Ended,
    /// The sequence up to which deltas are in the list snapshots, in decimal digits.
    Folded,
    /// The settings.
    Settings,
    /// The exchange rates.
    Rates,
    /// A watchlist: listed names, as [`Bank`] encodes them.
    Watchlist,
}

impl PartKind {
    const ALL: [PartKind; 8] = [
        Self::Pack,
        Self::List,
        Self::Added,
        Self::Ended,
        Self::Folded,
        Self::Settings,
        Self::Rates,
        Self::Watchlist,
    ];
    const fn name(self) -> &'static str {
        match self {
            Self::Pack => "pack",
            Self::List => "list",
            Self::Added => "added",
            Self::Ended => "ended",
            Self::Folded => "folded",
            Self::Settings => "settings",
            Self::Rates => "rates",
            Self::Watchlist => "watchlist",
        }
    }
    /// What a part of this kind says of a list; `None` where it is no list snapshot.
    pub const fn layer(self) -> Option<LayerKind> {
        match self {
            Self::List => Some(LayerKind::File),
            Self::Added => Some(LayerKind::Added),
            Self::Ended => Some(LayerKind::Ended),
            _ => None,
        }
    }
}

impl From<LayerKind> for PartKind {
    fn from(kind: LayerKind) -> PartKind {
        match kind {
            LayerKind::File => PartKind::List,
            LayerKind::Added => PartKind::Added,
            LayerKind::Ended => PartKind::Ended,
        }
    }
}

const MANIFEST_HEAD: &str = "interdict generation 1";

impl Manifest {
    /// The manifest of parts, in the order they are given (packs in the order of the config, which numbers rules).
    pub fn new(parts: Vec<(PartKind, String, [u8; 32])>) -> Manifest {
        Manifest { parts }
    }
    /// Its text: a head line, then `kind name hash` a line.
    pub fn text(&self) -> String {
        let mut text = format!("{MANIFEST_HEAD}\n");
        for (kind, name, hash) in &self.parts {
            let _ = writeln!(text, "{} {name} {}", kind.name(), hex(hash));
        }
        text
    }
    /// SHA-256 of its text: the generation's hash.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text()).into()
    }
    /// The manifest of a text.
    ///
    /// # Errors
    /// `Malformed`, naming the line.
    pub fn parse(text: &str) -> Result<Manifest, Error> {
        let mut lines = text.lines().enumerate();
        let malformed = |line: usize| Error::new(ErrorKind::Malformed, format!("manifest line {}", line + 1));
        if lines.next().map(|(_, head)| head) != Some(MANIFEST_HEAD) {
            return Err(malformed(0));
        }
        let mut parts = Vec::new();
        for (number, line) in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let [kind, name, hash] = words[..] else { return Err(malformed(number)) };
            let kind =
                PartKind::ALL.into_iter().find(|k| k.name() == kind).ok_or_else(|| malformed(number))?;
            parts.push((kind, name.to_owned(), unhex(hash).ok_or_else(|| malformed(number))?));
        }
        Ok(Manifest { parts })
    }
    /// The parts: kind, name, hash.
    pub fn parts(&self) -> &[(PartKind, String, [u8; 32])] {
        &self.parts
    }
    /// The hashes of all parts.
    pub fn objects(&self) -> impl Iterator<Item = [u8; 32]> {
        self.parts.iter().map(|(_, _, hash)| *hash)
    }
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

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
            parts.read(*kind, name, bytes)?;
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
        let built = packs::schema(&packs.iter().collect::<Vec<_>>(), &list_names)?;
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
        let mut errors = Vec::new();
        let sources = packs.iter().enumerate().flat_map(|(at, pack)| pack.rule_sources(at as u16)).collect();
        let rules = RuleSet::compile(sources, &built.schema).map_err(|found| errors.extend(found));
        let features = FeaturePlan::new(groups.collect(), Arc::new(rates)).map_err(|e| errors.push(e));
        let sources: Vec<PatternSource> = built.patterns.iter().map(|decl| decl.source.clone()).collect();
        let lifts = rules.as_ref().map_or(&[][..], |rules: &RuleSet| rules.lifts());
        let patterns = PatternSet::compile(&sources, lifts, cache).map_err(|found| errors.extend(found));
        let screens = built.screens.iter().map(|decl| Screen::resolve(decl, &watchlists)).collect();
        let banks = BankPlan::new(built.banks, &built.schema, built.starts.lists)
            .map_err(|found| errors.extend(found));
        let models = models(&packs, built.models, &built.schema).map_err(|found| errors.extend(found));
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
        Screen {
            id: decl.id.clone(),
            field: decl.field,
            watchlists: decl.watchlists.iter().filter_map(number).map(|at| at as u16).collect(),
            cutoff: decl.cutoff,
        }
    }
}

/// Compiles the packs' models.
fn models(
    packs: &[Pack],
    declared: Vec<(usize, ModelDecl)>,
    schema: &Schema,
) -> Result<Vec<Model>, Vec<Error>> {
    let mut errors = Vec::new();
    let mut models = Vec::new();
    for (pack, decl) in declared {
        let source = decl.source(pack as u16, schema, packs[pack].files());
        match source.and_then(|source| Model::compile(&source)) {
            Ok(model) => models.push(model),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() { Ok(models) } else { Err(errors) }
}

impl Parts {
    fn read(&mut self, kind: PartKind, name: &str, bytes: Bytes) -> Result<(), Vec<Error>> {
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
                self.watchlists.push(Watchlist { name: name.into(), bank, screener });
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

/// A generation and the list deltas over it: what one transaction is judged by. Immutable; a delta makes a new one
/// that shares all but the changed path.
pub struct View {
    generation: Arc<Generation>,
    overlay: Overlay,
    /// What banks had learned from labels before.
    learned: Learned,
    /// When a delta last touched a list that may become stale, by name: arrival, ms since the Unix epoch.
    touched: Arc<BTreeMap<String, i64>>,
    id: GenerationId,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

impl View {
    /// The view of a generation without deltas, published at a sequence.
    pub fn new(generation: Arc<Generation>, sequence: u64) -> Arc<View> {
        let id = GenerationId { hash: generation.hash(), overlay: sequence };
        let (overlay, learned) = (Overlay::new(generation.lists()), Learned::default());
        Arc::new(View { overlay, learned, touched: Arc::default(), generation, id })
    }
    /// Its id, as verdicts name it.
    pub fn id(&self) -> GenerationId {
        self.id
    }
    /// The generation.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }
    /// The deltas over it.
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }
    /// The lists and watchlists that are stale at a time (ms since the Unix epoch) under a policy, each with its place
    /// in the settings.
    pub fn stale(&self, policy: WhenStale, now_ms: i64) -> impl Iterator<Item = (usize, &Freshness)> {
        let all = self.generation.settings().freshness.iter().enumerate();
        all.filter(move |(_, known)| {
            known.when_stale == policy && known.is_stale(now_ms, self.touched.get(&known.list).copied())
        })
    }
    /// What banks have learned by now.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }
    /// The view after banks have learned; of the same generation and deltas, so its id stays.
    pub fn with_learned(&self, learned: Learned) -> Arc<View> {
        let (generation, overlay) = (self.generation.clone(), self.overlay.clone());
        Arc::new(View { generation, overlay, learned, touched: self.touched.clone(), id: self.id })
    }
    /// Its lists.
    pub fn lists(&self) -> ListView<'_> {
        ListView { base: self.generation.lists(), overlay: &self.overlay }
    }
    /// Fetches what a micro-batch will probe into the caches; changes nothing.
    pub fn prefetch(&self, batch: &[&Transaction]) {
        self.lists().prefetch(batch);
    }
    /// The view after a list delta at a sequence.
    ///
    /// # Errors
    /// Whatever the overlay refuses the delta for; the view is as it was.
    pub fn delta(
        &self,
        sequence: u64,
        tenant: &str,
        arrival_ms: i64,
        delta: &ListDelta,
    ) -> Result<Arc<View>, Error> {
        let declared = ListDecl::find(self.generation.packs(), &delta.list);
        let describe = |meta: &mut ListMeta| {
            if let Some(declared) = declared {
                declared.describe(meta);
            }
        };
        let overlay = self.overlay.apply_as(self.generation.lists(), sequence, tenant, delta, describe)?;
        let id = GenerationId { hash: self.id.hash, overlay: sequence };
        let mut touched = self.touched.clone();
        if self.generation.settings().freshness.iter().any(|known| known.list == delta.list) {
            Arc::make_mut(&mut touched).insert(delta.list.clone(), arrival_ms);
        }
        let (generation, learned) = (self.generation.clone(), self.learned.clone());
        Ok(Arc::new(View { generation, overlay, learned, touched, id }))
    }
    /// The view after another generation is published at a sequence. What deltas have said stays said: they lie
    /// over the new base as they lay over the old, but for those that the new base holds.
    ///
    /// # Errors
    /// When the deltas do not fit the new base (too many lists), or it lacks some that were folded into the old one;
    /// the view is as it was.
    pub fn publish(&self, generation: Arc<Generation>, sequence: u64) -> Result<Arc<View>, Error> {
        let folded = (self.generation.folded_to(), generation.folded_to());
        let overlay = self.overlay.rebase(self.generation.lists(), generation.lists(), folded)?;
        let id = GenerationId { hash: generation.hash(), overlay: sequence };
        let (learned, touched) = (self.learned.clone(), self.touched.clone());
        Ok(Arc::new(View { generation, overlay, learned, touched, id }))
    }
}
