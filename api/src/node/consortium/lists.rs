//! What an epoch lists, as list snapshots, and a generation with them: the configuration's lists and what deltas have said
//! stay as they are. The store keeps it by hash, so a restart keeps it in force and `verify` judges by it.

use super::rows::ConsortiumRow;
use crate::node::Node;
use crate::node::fold;
use crate::node::keys::NodeKeys;
use anyhow::{Context, Result, anyhow, bail};
use interdict_engine::domain::{Audience, Effect, GenerationId, Outcome, Subject, SubjectKind};
use interdict_engine::generation::{Generation, PartKind};
use interdict_engine::lists::{CONSORTIUM_NAMES, ConsortiumList, ListMeta, Listed, build_listed};
use interdict_engine::packs::{ListDecl, Pack};
use interdict_engine::similarity::names::{Alias, Bank, Entry as Name, Kind, Quality};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What names that are told in the clear become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// An exact list: the folded name is tagged.
    #[default]
    Exact,
    /// A watchlist, `consortium_name`, which screens of packs search for similar ones.
    Similar,
}

/// What hits of a consortium's lists mean here. What a pack declares of a list of that name counts before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsortiumTerms {
    /// Whether entries block or flag.
    pub effect: Effect,
    /// Whether an override may cancel a block.
    pub overridable: bool,
    /// What a block means: `review` or stronger.
    pub block_outcome: Outcome,
    /// What a candidate leads to until it is confirmed: `review` or `hold`.
    pub unconfirmed: Outcome,
    /// Who may read the reasons.
    pub audience: Audience,
    /// What names become.
    pub names: Names,
}

impl Default for ConsortiumTerms {
    /// Blocks that decline and may be overridden, candidates that are reviewed, reasons for the risk team.
    fn default() -> Self {
        ConsortiumTerms {
            effect: Effect::Block,
            overridable: true,
            block_outcome: Outcome::Decline,
            unconfirmed: Outcome::Review,
            audience: Audience::Internal,
            names: Names::Exact,
        }
    }
}

/// What was published of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedConsortium {
    /// The generation in force.
    pub generation: GenerationId,
    /// Entries of each list: its name, the version of its key, how many.
    pub lists: Vec<(String, u32, u64)>,
    /// Names of the watchlist.
    pub names: u64,
    /// Rows that nothing can be looked for by: an address or a BIN without its text, a text that is none of its kind.
    pub unusable: u64,
    /// Rows that say something of a subject that another one says something of: the strongest counts.
    pub merged: u64,
}

/// The lists of an epoch as they are built.
#[derive(Default)]
struct Built {
    /// By kind and version: bits, and by subject what is said of it.
    lists: BTreeMap<(SubjectKind, u32), (u8, Said)>,
    names: BTreeMap<Box<str>, Name>,
    unusable: u64,
    merged: u64,
}

type Said = BTreeMap<Subject, Listed>;

impl Node {
    /// Publishes what an epoch lists, in place of what the one before it listed: a list `consortium_KIND` for each kind and
    /// version of the key, shared by all tenants (two versions of one kind have one name, and are one list to packs). A
    /// list that was there stays, empty where the epoch has nothing for it, so that rules that read it stay decided. All
    /// other parts of the generation in force, and what deltas have said, stay. What differs is hunted through the
    /// settlement window by its subjects. Where nothing differs, nothing is published.
    ///
    /// Rows of an epoch of ten million take some 3 GiB while they are built into lists.
    ///
    /// # Errors
    /// Rows under a version of the key that [`Node::exchange_consortium_keys`] was not given; rows of one kind and version
    /// with different `bits`; what a list cannot hold, by list; a journal that takes no records. Nothing is published then.
    pub fn publish_consortium(
        &self,
        rows: impl IntoIterator<Item = ConsortiumRow>,
        terms: &ConsortiumTerms,
        now_ms: i64,
    ) -> Result<PublishedConsortium> {
        let built = gather(rows, terms, &self.keys)?;
        let _publishing = self.publishing.lock();
        let view = self.view();
        let in_force = view.generation();
        let (mut parts, mut told) = (Vec::new(), Vec::new());
        for (meta, listed) in lists(built.lists, in_force, terms, &self.keys)? {
            let count = listed.len() as u64;
            let bytes = build_listed(&meta, listed)?;
            told.push((meta.name.clone(), meta.consortium.map_or(0, |of| of.version), count));
            parts.push((PartKind::List, meta.name, self.store.put(&bytes)?));
        }
        let names = built.names.len() as u64;
        let name = watchlist_name();
        let had_names = in_force.watchlists().iter().any(|list| list.name == name);
        if names > 0 || had_names {
            let bank = Bank::new(built.names.into_values().collect()).with_context(|| name.clone())?;
            parts.push((PartKind::Watchlist, name, self.store.put(&bank.encode())?));
        }
        let generation = fold::with_consortium(in_force.manifest(), parts, &self.store)?;
        generation.lists().check_keys(|meta| self.keys.check_of(meta))?;
        let id = match generation.hash() == in_force.hash() {
            true => view.id(),
            false => self.publish_next(generation, now_ms)?,
        };
        told.iter().for_each(|(name, ..)| self.list_changed(name, now_ms));
        let (unusable, merged) = (built.unusable, built.merged);
        Ok(PublishedConsortium { generation: id, lists: told, names, unusable, merged })
    }
}

fn watchlist_name() -> String {
    list_name(SubjectKind::Name)
}
/// The name of the list of a kind.
fn list_name(kind: SubjectKind) -> String {
    format!("{CONSORTIUM_NAMES}{}", kind.name())
}

fn gather(
    rows: impl IntoIterator<Item = ConsortiumRow>,
    terms: &ConsortiumTerms,
    keys: &NodeKeys,
) -> Result<Built> {
    let (mut built, mut known) = (Built::default(), BTreeMap::new());
    for row in rows {
        if let Some(text) = row.text.as_deref()
            && row.kind == SubjectKind::Name
            && terms.names == Names::Similar
        {
            let names = vec![Alias { name: text.to_owned(), quality: Quality::Strong }];
            let name = Name { id: (*row.reason).to_owned(), kind: Kind::Other, names };
            built.merged += u64::from(built.names.insert(text.into(), name).is_some());
            continue;
        }
        let key = known.entry(row.version).or_insert_with(|| keys.tags.consortium(row.version));
        let Some(key) = key else {
            bail!("a row is under version {} of the consortium's key, which is not held", row.version);
        };
        let subject = match row.text.as_deref() {
            Some(text) => interdict_ingest::lists::subject(row.kind, text, key).ok(),
            None if matches!(row.kind, SubjectKind::Ip | SubjectKind::Bin) => None,
            None => Some(Subject::Tag { kind: row.kind, tag: row.tag }),
        };
        let Some(subject) = subject else {
            built.unusable += 1;
            continue;
        };
        let of_kind = built.lists.entry((row.kind, row.version));
        let (bits, said) = of_kind.or_insert_with(|| (row.bits, Said::new()));
        if *bits != row.bits {
            let (kind, version) = (row.kind.name(), row.version);
            bail!("{kind} rows under version {version} of {bits} bits and of {}: expected one", row.bits);
        }
        let subject = match subject {
            Subject::Tag { kind, tag } => Subject::Tag { kind, tag: tag.cut(*bits) },
            other => other,
        };
        let listed = row.listed(subject, terms.effect, terms.overridable);
        match said.get_mut(&subject) {
            Some(other) => {
                *other = strongest(other.clone(), listed);
                built.merged += 1;
            }
            None => drop(said.insert(subject, listed)),
        }
    }
    Ok(built)
}

/// What counts of two rows of one subject, whichever came first: the severer, by the older signal; it counts as long as
/// either does.
fn strongest(one: Listed, other: Listed) -> Listed {
    let until = |of: &Listed| of.entry.valid_to_ms.unwrap_or(i64::MAX);
    let valid_to_ms = Some(until(&one).max(until(&other))).filter(|ms| *ms != i64::MAX);
    let seen = |of: &Listed| of.first_seen_ms.unwrap_or(i64::MAX);
    let first_seen_ms = Some(seen(&one).min(seen(&other))).filter(|ms| *ms != i64::MAX);
    let rank = |of: &Listed| {
        (of.entry.severity, Reverse(seen(of)), of.entry.contributor.clone(), of.entry.reason.clone())
    };
    let mut stronger = if rank(&other) > rank(&one) { other } else { one };
    (stronger.entry.valid_to_ms, stronger.first_seen_ms) = (valid_to_ms, first_seen_ms);
    stronger
}

/// The lists of a publication: those of the epoch, and empty ones for those that were there.
fn lists(
    of_epoch: BTreeMap<(SubjectKind, u32), (u8, Said)>,
    in_force: &Generation,
    terms: &ConsortiumTerms,
    keys: &NodeKeys,
) -> Result<Vec<(ListMeta, Vec<Listed>)>> {
    let mut lists = Vec::new();
    for ((kind, version), (bits, said)) in of_epoch {
        let meta = meta(&list_name(kind), version, bits, in_force.packs(), terms, keys)?;
        lists.push((meta, said.into_values().collect()));
    }
    for list in in_force.lists().lists() {
        let (known, Some(of)) = (list.meta(), list.meta().consortium) else { continue };
        if lists.iter().all(|(meta, _)| meta.name != known.name) {
            // Under the newest key that is held: the one it was under may go.
            let version = keys.tags.versions().last().copied().unwrap_or(of.version);
            lists.push((meta(&known.name, version, of.bits, in_force.packs(), terms, keys)?, Vec::new()));
        }
    }
    lists.sort_by(|(one, _), (other, _)| {
        let version = |meta: &ListMeta| meta.consortium.map(|of| of.version);
        (&one.name, version(one)).cmp(&(&other.name, version(other)))
    });
    Ok(lists)
}

fn meta(
    name: &str,
    version: u32,
    bits: u8,
    packs: &[Pack],
    terms: &ConsortiumTerms,
    keys: &NodeKeys,
) -> Result<ListMeta> {
    let key = keys.tags.consortium(version);
    let key = key.ok_or_else(|| anyhow!("version {version} of the consortium's key is not held"))?;
    let mut meta = ListMeta::new(name, None, key.key_check());
    meta.code = "CONSORTIUM".into();
    (meta.block_outcome, meta.audience) = (terms.block_outcome, terms.audience);
    if let Some(declared) = ListDecl::find(packs, name) {
        declared.describe(&mut meta);
    }
    meta.consortium = Some(ConsortiumList { version, bits, unconfirmed: terms.unconfirmed });
    Ok(meta)
}
