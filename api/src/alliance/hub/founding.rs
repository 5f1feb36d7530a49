//! How a hub begins: keys and a genesis that all founders read and sign, then leaf 0. And how it goes on from a copy.

use super::book::Book;
use super::config::HubConfig;
use super::keys::HubKeys;
use super::metrics::Metrics;
use super::place;
use super::state::{now_ms, replay, seal_for};
use crate::alliance::folder::Held;
use crate::alliance::member::folder::{ABOUT, About, MemberFolder, profile};
use anyhow::{Context, Result, bail};
use interdict_consortium::keys::VerifierKey;
use interdict_consortium::kind::{Kind, Privacy};
use interdict_consortium::log::Checkpoint;
use interdict_consortium::member::{
    Act, Application, Genesis, KindRule, Profile, Quorum, Registry, Role, Roles, Rules, RulesChange, Spelled,
    TagKey,
};
use interdict_consortium::note::Note;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The genesis until all founders have signed it.
pub const GENESIS: &str = "genesis.note";

/// The operator's folder as a member, below the hub's.
const OPERATOR: &str = "operator";

/// What an alliance begins with.
pub struct Founding {
    /// The alliance's name.
    pub alliance: String,
    /// Who runs the hub.
    pub operator: About,
    /// The founders' applications, self-signed.
    pub founders: Vec<Note>,
    /// A rules record, or those that are made here.
    pub rules: Option<String>,
    /// How many members must cosign an epoch, where no rules are given.
    pub cosigners: Option<u16>,
}

/// Makes keys and the genesis, signed by the operator; writes both to the folder.
///
/// # Errors
/// A folder that has an alliance already; an application that is none.
pub fn init(config: &HubConfig, founding: Founding) -> Result<Note> {
    let held = Held::take(&config.folder)?;
    let files = held.files("")?;
    if files.read(GENESIS)?.is_some() {
        bail!("{}: has a genesis already; nothing was changed", held.path().display());
    }
    let operator = &founding.operator;
    if Roles::parse(&operator.roles)? != Roles::of(&[Role::Operator]) {
        bail!("the operator has the role operator");
    }
    let keys = match held.path().join("keys/queries.key").exists() {
        true => HubKeys::load(held.path())?,
        false => HubKeys::make(held.path(), &operator.name, &founding.alliance)?,
    };
    let mut founders = vec![profile(operator, &keys.ring)?];
    for note in &founding.founders {
        founders.push(read_application(note)?.profile);
    }
    let rules = match &founding.rules {
        Some(text) => RulesChange::of_text(text).context("rules")?.rules,
        None => default_rules(&founders, founding.cosigners),
    };
    let genesis = Genesis {
        alliance: founding.alliance,
        created_ms: now_ms(),
        operator: operator.name.clone(),
        logs: keys.logs(),
        founders,
        rules: Rules { version: 1, ..rules },
    };
    let mut note = Note::new(genesis.to_text()?)?;
    note.sign(&keys.sign);
    files.write(GENESIS, note.encode().as_bytes())?;
    // The operator is a member too: its own commands work on this folder, with the hub's keys.
    if !held.path().join(OPERATOR).join(ABOUT).exists() {
        let hub = Some(format!("https://{}", config.listen));
        let about = About { keys: Some("../keys".into()), hub, ..founding.operator.clone() };
        MemberFolder::make(&held.path().join(OPERATOR), about)?;
    }
    Ok(note)
}

/// An application whose signature is by the key that it names.
///
/// # Errors
/// Another key's; a record that is none.
pub fn read_application(note: &Note) -> Result<Application> {
    let application = Application::of_text(note.text())?;
    note.verify_all(std::slice::from_ref(&application.profile.sign))
        .with_context(|| format!("the application of {}", application.profile.name))?;
    Ok(application)
}

/// Rules for a few founders that know one another: cards and accounts oblivious, other identifiers keyed, names open; a
/// majority admits and two thirds change rules, suspend, or change the operator.
pub fn default_rules(founders: &[Profile], cosigners: Option<u16>) -> Rules {
    let voters = Roles::of(&[Role::Contributor, Role::Consumer]);
    let voting = founders.iter().filter(|founder| founder.roles.has_any(voters)).count();
    let majority = Quorum { numerator: 1, denominator: 2, at_least: 1 };
    let most = Quorum { numerator: 2, denominator: 3, at_least: 1 };
    let quorums = Act::ALL.map(|act| if act.needs_majority() { most } else { majority });
    let day_ms = 86_400_000;
    let kind = |kind: Kind| {
        let (privacy, prefilter_bits, population) = match kind {
            Kind::Card => (Privacy::Oblivious, 30, 5_000_000_000),
            Kind::Account => (Privacy::Oblivious, 28, 2_000_000_000),
            Kind::Name => (Privacy::Open, 0, 0),
            _ => (Privacy::Keyed, 0, 0),
        };
        KindRule {
            kind,
            privacy,
            prefilter_bits,
            population,
            trusted_min: 1,
            independent_min: 2,
            lifetime_ms: 180 * day_ms,
            names_member: false,
        }
    };
    Rules {
        version: 1,
        voters,
        quorums,
        sponsors_min: 1,
        sponsor_roles: voters,
        jurisdictions: BTreeSet::new(),
        evidence: BTreeSet::new(),
        // Of three or more, two must have built the same bytes; of fewer, whoever is there.
        epoch_cosigners_min: cosigners.unwrap_or(if voting >= 3 { 2 } else { 1 }),
        epoch_valid_ms: 2 * day_ms,
        kinds: Kind::ALL.into_iter().map(kind).collect(),
    }
}

/// Merges the founders' signatures and, once all are there, begins the log; what is missing otherwise.
///
/// # Errors
/// Notes of another genesis; signatures that do not verify; a log that has begun already.
pub fn found(config: &HubConfig, signed: &[Note]) -> Result<Result<Registry, String>> {
    let held = Held::take(&config.folder)?;
    let files = held.files("")?;
    let genesis = files.read(GENESIS)?.context("no genesis here (interdict hub init makes one)")?;
    let mut genesis = Note::parse(&genesis)?;
    for note in signed {
        genesis.merge(note)?;
    }
    let registry = match Registry::found(&genesis) {
        Ok(registry) => registry,
        Err(error) if error.kind == interdict_consortium::error::ErrorKind::Quorum => {
            files.write(GENESIS, genesis.encode().as_bytes())?;
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    files.write(GENESIS, genesis.encode().as_bytes())?;
    let keys = HubKeys::load(held.path())?;
    let book = Book::open(&held, "governance", keys.governance, Arc::new(Metrics::new()))?;
    if book.size() > 0 {
        bail!("the governance log has begun already");
    }
    place::settle(&held)?;
    book.append(&[genesis.encode().as_bytes()])?;
    book.checkpoint(now_ms())?;
    held.files(OPERATOR)?.write(GENESIS, genesis.encode().as_bytes())?;
    Ok(Ok(registry))
}

/// Lets a copied folder be served: its logs must extend every checkpoint that members show.
///
/// # Errors
/// `Stale` where a member has seen more than is here: then this copy cannot go on.
pub fn resume(config: &HubConfig, seen: &[Note]) -> Result<()> {
    let held = Held::take(&config.folder)?;
    let keys = HubKeys::load(held.path())?;
    let metrics = Arc::new(Metrics::new());
    let mut shown = BTreeSet::new();
    for (name, key) in [("governance", keys.governance), ("queries", keys.queries)] {
        let known: &[VerifierKey] = std::slice::from_ref(key.verifier());
        let book = Book::open(&held, name, key.clone(), metrics.clone())?;
        // What is durable and was promised goes under a checkpoint before it is compared.
        book.checkpoint(now_ms())?;
        for note in seen {
            let origin = note.text().lines().next().unwrap_or_default();
            if origin == key.verifier().name() {
                let checkpoint = Checkpoint::verify(note, known)?;
                book.check_extends(&checkpoint).with_context(|| {
                    format!("{origin}: this copy is older than what a member has seen and must not be served; look for a newer one")
                })?;
                shown.insert(name);
            }
        }
    }
    if shown.len() < 2 {
        bail!(
            "expected checkpoints of both logs as members hold them (governance/checkpoint, queries/checkpoint)"
        );
    }
    place::settle(&held)
}

/// The next version of the tag key: its secrets are written, and the record is signed by the operator.
///
/// # Errors
/// A folder without keys; a member whose HPKE key is none.
pub fn tag_key(keys: &HubKeys, registry: &Registry) -> Result<Note> {
    let version = registry.tag_key().map_or(1, |leaf| leaf.key.version + 1);
    let (key, service) = match keys.has_version(version) {
        // Proposed before, and not accepted yet.
        true => keys.version(version)?,
        false => keys.make_version(version)?,
    };
    let record = TagKey {
        genesis: registry.genesis(),
        created_ms: now_ms(),
        version,
        commitment: key.commitment(),
        voprf: *service.public().bytes(),
        sealed: seal_for(&key, registry.alliance(), registry.tag_key_holders())?,
    };
    let mut note = Note::new(record.to_text()?)?;
    note.sign(&keys.sign);
    Ok(note)
}

/// The registry of a folder that is not served now.
///
/// # Errors
/// A folder that is served, or not whole.
pub fn registry(config: &HubConfig) -> Result<Registry> {
    let held = Held::take(&config.folder)?;
    let keys = HubKeys::load(held.path())?;
    replay(&Book::open(&held, "governance", keys.governance, Arc::new(Metrics::new()))?)
}
