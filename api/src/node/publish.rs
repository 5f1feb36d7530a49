//! From a configuration to a generation: packs are loaded, checked and tested, lists are imported, everything is kept
//! in the store under its hash, and the manifest names the whole. Nothing changes before all of it is right.

use super::keys::NodeKeys;
use super::now_ms;
use super::signed;
use super::store::Store;
use super::watchlists::watchlist_bank;
use crate::config::{Loaded, schema, settlement};
use anyhow::{Context, Result, bail};
use interdict_consortium::pack::Route;
use interdict_engine::calibration::Calibration;
use interdict_engine::domain::{Audience, Lever, Outcome, Subject};
use interdict_engine::freshness::{Freshness, WhenStale};
use interdict_engine::generation::{Generation, Manifest, PartKind, Settings};
use interdict_engine::lists::{ListMeta, Snapshot};
use interdict_engine::packs::{self, Pack, StageCost};
use interdict_engine::{Error, ErrorKind, Stage};
use interdict_ingest::normalise::time::duration_ms;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A calendar that ends within so many ms is worth a word at each publication: 30 days.
const CALENDAR_ENDS_SOON_MS: i64 = 30 * 86_400_000;

/// The files of a pack folder, by path relative to it.
///
/// # Errors
/// When the folder or a file cannot be read, or a name is not UTF-8.
pub fn read_pack_folder(dir: &Path) -> Result<packs::Files> {
    let mut files = packs::Files::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("pack folder {}", folder.display()))?
        {
            let path = entry?.path();
            let relative = path.strip_prefix(dir).expect("read below the folder");
            let name =
                relative.to_str().with_context(|| format!("{}: a name in UTF-8", path.display()))?.to_owned();
            if path.is_dir() {
                // Lists travel apart from packs: they change at another pace and are tagged under the node's keys.
                if name != "lists" {
                    folders.push(path);
                }
            } else if is_pack_file(&name) {
                files.insert(name, std::fs::read(&path).with_context(|| format!("{}", path.display()))?);
            }
        }
    }
    Ok(files)
}

fn is_pack_file(name: &str) -> bool {
    [".yaml", ".yml", ".onnx"].iter().any(|ending| name.ends_with(ending))
}

/// Loads, checks and tests a pack, its budgets held against `costs`; its errors name file, line and column.
///
/// # Errors
/// Every error of the pack, a line each.
pub fn checked_pack(files: packs::Files, place: &str, costs: &Calibration) -> Result<Pack> {
    Ok(checked(files, place, costs)?.0)
}

/// A pack with what each of its stages costs at worst.
type Costed = (Pack, Vec<StageCost>);

fn checked(files: packs::Files, place: &str, costs: &Calibration) -> Result<Costed> {
    let pack = packs::load(files).map_err(|errors| all(place, &errors))?;
    let report = packs::check(&pack, costs);
    if !report.is_ok() {
        return Err(all(place, &report.errors));
    }
    let tested = packs::test(&pack);
    if !tested.is_ok() {
        let failures = tested
            .failures
            .iter()
            .map(|f| format!("{place}/{}: {}: expected {}, got {}", f.place, f.name, f.expected, f.got));
        let errors = tested.errors.iter().map(|e| format!("{place}/{e}"));
        bail!("{}", errors.chain(failures).collect::<Vec<_>>().join("\n"));
    }
    Ok((pack, report.costs))
}

fn all(place: &str, errors: &[Error]) -> anyhow::Error {
    anyhow::anyhow!("{}", errors.iter().map(|e| format!("{place}/{e}")).collect::<Vec<_>>().join("\n"))
}

/// What a list of the configuration is. What the config leaves open, the first pack that expects the list says.
///
/// # Errors
/// A wrong audience or outcome.
pub fn list_meta(name: &str, list: &schema::List, packs: &[Pack], keys: &NodeKeys) -> Result<ListMeta> {
    let tenant: Option<Arc<str>> = list.tenant.as_deref().map(Into::into);
    let mut meta = ListMeta::new(name, tenant.clone(), keys.list_check(tenant.as_deref()));
    if let Some(declared) = packs::ListDecl::find(packs, name) {
        declared.describe(&mut meta);
    }
    if let Some(outcome) = &list.block_outcome {
        meta.block_outcome =
            outcome.parse::<Outcome>().with_context(|| format!("lists.{name}.block_outcome"))?;
    }
    if let Some(code) = &list.code {
        meta.code = code.clone();
    }
    if let Some(audience) = &list.audience {
        let known = [Audience::Internal, Audience::Processor, Audience::Customer];
        meta.audience = known.into_iter().find(|known| known.name() == audience).with_context(|| {
            format!("lists.{name}.audience = {audience:?}: expected internal, processor or customer")
        })?;
    }
    meta.sanctions |= list.sanctions;
    Ok(meta)
}

/// The bytes of a list file as a snapshot: a CSV or JSONL is imported under the node's keys, a built one taken as
/// it is.
///
/// # Errors
/// Every wrong line of the file, by line and column; a snapshot that is not whole or was built under other keys.
pub fn list_snapshot(path: &Path, meta: &ListMeta, keys: &NodeKeys) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("list {:?}: {}", meta.name, path.display()))?;
    let name = path.display().to_string();
    if path.extension().is_some_and(|ext| ext == "ilist") {
        let snapshot = Snapshot::open(Arc::new(bytes.clone())).with_context(|| name.clone())?;
        if snapshot.meta().name != meta.name {
            bail!("{name}: holds list {:?}, the config calls it {:?}", snapshot.meta().name, meta.name);
        }
        return Ok(bytes);
    }
    let entries = keys.import(&name, &bytes, meta)?;
    let mut meta = meta.clone();
    // Prefixes, and a list that begins empty, say the same under every key; so do the snapshot and the generation's
    // id then, and two folders' verdicts on one feed are the same bytes.
    if !entries.iter().any(|entry| matches!(entry.subject, Subject::Tag { .. })) {
        meta.key_check = 0;
    }
    interdict_engine::lists::build(&meta, entries).with_context(|| name)
}

/// When each list's and watchlist's files were last changed, ms since the Unix epoch; of several files the oldest. Asked
/// before the files are read: a change in between makes a list look older than it is, never fresher.
pub fn list_times(loaded: &Loaded) -> BTreeMap<String, i64> {
    let lists = loaded.config.lists.named.iter();
    let lists = lists.map(|(name, list)| (name, std::slice::from_ref(&list.file)));
    let watchlists = loaded.config.watchlists.iter().map(|(name, list)| (name, &list.files[..]));
    let oldest = |files: &[PathBuf]| files.iter().filter_map(|file| changed_ms(&loaded.resolve(file))).min();
    lists.chain(watchlists).filter_map(|(name, files)| Some((name.clone(), oldest(files)?))).collect()
}

fn changed_ms(path: &Path) -> Option<i64> {
    let changed = std::fs::metadata(path).and_then(|found| found.modified()).ok()?;
    i64::try_from(changed.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis()).ok()
}

/// Which lists and watchlists may become stale, and what then.
///
/// # Errors
/// A wrong `fresh_for` or `when_stale`, with its place in the configuration.
pub fn freshness(loaded: &Loaded) -> Result<Vec<Freshness>> {
    let times = list_times(loaded);
    let lists = loaded.config.lists.named.iter();
    let lists = lists.map(|(name, l)| ("lists", name, l.tenant.clone(), &l.fresh_for, &l.when_stale));
    let watchlists = loaded.config.watchlists.iter();
    let watchlists = watchlists.map(|(name, l)| ("watchlists", name, None, &l.fresh_for, &l.when_stale));
    let mut all = Vec::new();
    for (section, name, tenant, fresh_for, when_stale) in lists.chain(watchlists) {
        let when = match when_stale {
            None => WhenStale::Warn,
            Some(word) => WhenStale::by_name(word).with_context(|| {
                format!("{section}.{name}.when_stale = {word:?}: expected warn, review or stop")
            })?,
        };
        let Some(fresh_for) = fresh_for else {
            if when_stale.is_some() {
                bail!("{section}.{name}.when_stale: fresh_for is missing, so it never becomes stale");
            }
            continue;
        };
        let fresh_for_ms = duration_ms(fresh_for).with_context(|| {
            format!("{section}.{name}.fresh_for = {fresh_for:?}: expected a duration such as 24h")
        })?;
        let made_ms = times.get(name).copied().unwrap_or(0);
        all.push(Freshness { list: name.clone(), tenant, made_ms, fresh_for_ms, when_stale: when });
    }
    Ok(all)
}

/// What a stage costs at worst, by the packs' static costs together, in ns.
pub type StageCosts = BTreeMap<Stage, u64>;

/// Whether what judges each tenant is within the cost that the tenant may have.
fn within_costs(loaded: &Loaded, packs: &[Pack], costs: &[u64]) -> Result<()> {
    let us = |ns: u64| format!("{}.{} us", ns / 1000, ns % 1000 / 100);
    for (tenant, section) in &loaded.config.tenants {
        let Some(most_us) = section.cost_us else { continue };
        let of_tenant = packs.iter().zip(costs).filter(|(pack, _)| pack.manifest.is_for(tenant));
        let mut of_tenant: Vec<(&str, u64)> = of_tenant.map(|(pack, ns)| (pack.name(), *ns)).collect();
        let all_ns: u64 = of_tenant.iter().map(|(_, ns)| ns).sum();
        if all_ns > most_us.saturating_mul(1000) {
            of_tenant.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
            let named: Vec<String> =
                of_tenant.iter().map(|(name, ns)| format!("{name} {}", us(*ns))).collect();
            let all = us(all_ns);
            bail!(
                "tenants.{tenant}.cost_us = {most_us}: the packs that judge it cost {all}: {}",
                named.join(", ")
            );
        }
    }
    Ok(())
}

/// Builds a generation from the configuration, keeping its parts in the store. `uploaded` packs take the place of
/// the config's of the same name, or come after them.
///
/// # Errors
/// Everything that is wrong with packs, lists, settings or rates; nothing is published then.
pub fn build(
    loaded: &Loaded,
    store: &Store,
    keys: &NodeKeys,
    uploaded: &BTreeMap<String, Vec<u8>>,
) -> Result<Arc<Generation>> {
    Ok(build_costed(loaded, store, keys, uploaded)?.0)
}

/// As [`build`], with what its stages cost at worst.
///
/// # Errors
/// As [`build`].
pub fn build_costed(
    loaded: &Loaded,
    store: &Store,
    keys: &NodeKeys,
    uploaded: &BTreeMap<String, Vec<u8>>,
) -> Result<(Arc<Generation>, StageCosts)> {
    let (mut costed, table) = (Vec::<Costed>::new(), &loaded.hardware.costs);
    let (trust, mut signatures) = (signed::trust(&loaded.config.packs)?, Vec::new());
    for dir in &loaded.config.rules.packs {
        let dir = loaded.resolve(dir);
        let (files, place) = (read_pack_folder(&dir)?, dir.display().to_string());
        let manifest = signed::verified(&trust, &signed::of_folder(&dir)?, &files, &place)?;
        let pack = checked(files, &place, table)?;
        signatures.extend(manifest.map(|manifest| signed::of_pack(manifest, &pack.0, &place)).transpose()?);
        costed.push(pack);
    }
    for (name, archive) in uploaded {
        let pack = checked(packs::unarchive(archive)?, name, table)?;
        match costed.iter_mut().find(|(known, _)| known.name() == name) {
            Some(known) => *known = pack,
            None => costed.push(pack),
        }
    }
    let (packs, costs): (Vec<Pack>, Vec<Vec<StageCost>>) = costed.into_iter().unzip();
    let all: Vec<u64> = costs.iter().map(|costs| costs.iter().map(|cost| cost.ps / 1000).sum()).collect();
    within_costs(loaded, &packs, &all)?;
    let mut by_stage = StageCosts::new();
    costs.iter().flatten().for_each(|cost| *by_stage.entry(cost.stage).or_default() += cost.ps / 1000);
    let mut parts = Vec::new();
    for pack in &packs {
        parts.push((PartKind::Pack, pack.name().to_owned(), store.put(&pack.archive())?));
    }
    let named = loaded.config.lists.named.keys().chain(loaded.config.watchlists.keys());
    if let Some(name) = named.into_iter().find(|name| interdict_engine::lists::is_consortium_name(name)) {
        bail!("list {name:?}: names that begin with \"consortium_\" are of the consortium's lists");
    }
    for (name, list) in &loaded.config.lists.named {
        let meta = list_meta(name, list, &packs, keys)?;
        let snapshot = list_snapshot(&loaded.resolve(&list.file), &meta, keys)?;
        parts.push((PartKind::List, name.clone(), store.put(&snapshot)?));
    }
    for (name, watchlist) in &loaded.config.watchlists {
        let files: Vec<_> = watchlist.files.iter().map(|file| loaded.resolve(file)).collect();
        let bank = watchlist_bank(&files).with_context(|| format!("watchlists.{name}"))?;
        parts.push((PartKind::Watchlist, name.clone(), store.put(&bank.encode())?));
    }
    parts.push((PartKind::Settings, "settings".into(), store.put(&settings(loaded)?.encode())?));
    if let Some(rates) = &loaded.config.features.rates {
        let path = loaded.resolve(rates);
        let text = std::fs::read(&path).with_context(|| format!("features.rates: {}", path.display()))?;
        parts.push((PartKind::Rates, "rates".into(), store.put(&text)?));
    }
    let manifest = Manifest::new(parts);
    let generation = assemble(manifest.clone(), store)?;
    generation.lists().check_keys(|meta| keys.check_of(meta))?;
    for stale in generation.settings().freshness.iter().filter(|list| list.is_stale(now_ms(), None)) {
        let (list, when) = (&stale.list, stale.when_stale.name());
        tracing::warn!("list {list:?}: its file is older than its fresh_for; when_stale is {when}");
    }
    let soon_ms = now_ms().saturating_add(CALENDAR_ENDS_SOON_MS);
    for calendar in generation.settings().settlement.calendars.iter().filter(|one| one.until_ms < soon_ms) {
        let until = interdict_engine::rules::format_time(calendar.until_ms);
        tracing::warn!(
            "calendar {:?} ends at {until}; settlement.default_h counts after that",
            calendar.name
        );
    }
    for (screen, watchlist) in unsearched(&generation) {
        tracing::warn!("screen {screen:?}: no watchlist {watchlist:?} is configured, so it is not searched");
    }
    signed::admit(store, &signatures, Route::Folder, now_ms())?;
    store.put_manifest(&manifest)?;
    Ok((generation, by_stage))
}

/// The watchlists that a generation's screens name and that nobody has configured: screen and watchlist.
pub fn unsearched(generation: &Generation) -> Vec<(String, String)> {
    unsearched_of(generation.packs(), |name| generation.watchlists().iter().any(|list| list.name == name))
}

/// As [`unsearched`], of packs, where `known` says what is configured.
pub fn unsearched_of(packs: &[Pack], known: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut missing: Vec<(String, String)> = Vec::new();
    for screen in packs.iter().flat_map(|pack| &pack.screens) {
        let absent = screen.watchlists.iter().filter(|name| !known(name));
        missing.extend(absent.map(|name| (screen.id.clone(), name.clone())));
    }
    missing
}

/// The generation of a manifest, from the store.
///
/// # Errors
/// A part that is missing or damaged, or that does not build under this engine.
pub fn assemble(manifest: Manifest, store: &Store) -> Result<Arc<Generation>> {
    let object =
        |hash: &[u8; 32]| store.get(hash).map_err(|e| Error::new(ErrorKind::NotFound, format!("{e:#}")));
    let generation = Generation::build_with(manifest, &object, Some(store.patterns())).map_err(|errors| {
        anyhow::anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    Ok(Arc::new(generation))
}

/// What a configuration says of verdicts and settlement, as the generation has it.
///
/// # Errors
/// A wrong freshness, a calendar whose file is wrong, with their places.
pub fn settings(loaded: &Loaded) -> Result<Settings> {
    let config = &loaded.config;
    let number = |name: &String| Lever::by_name(name).expect("the config was checked") as u8;
    let levers =
        |map: &BTreeMap<String, String>| map.iter().map(|(c, lever)| (c.clone(), number(lever))).collect();
    let mut by_tenant = BTreeMap::from([(String::new(), levers(&config.decision.levers))]);
    by_tenant
        .extend(config.tenants.iter().map(|(tenant, section)| (tenant.clone(), levers(&section.levers))));
    let freshness = freshness(loaded)?;
    let settlement = settlement::build(loaded)?;
    Ok(Settings { levers: by_tenant, network: config.decision.network.clone(), freshness, settlement })
}
