//! Contributing: identifiers become tags here and are not kept; what leaves is a signed manifest and a body of rows.

use super::canonical::canonical;
use super::promises;
use super::query::exact_tags;
use super::session::{Session, now_ms};
use crate::alliance::view::policies;
use anyhow::{Context, Result, bail};
use interdict_consortium::kind::{Kind, Privacy};
use interdict_consortium::limits::EVALUATE_ITEMS_MAX;
use interdict_consortium::member::Numbered;
use interdict_consortium::note::Note;
use interdict_consortium::query::{Promise, hash};
use interdict_consortium::signal::draft::{Defaults, Draft, Given, Imported};
use interdict_consortium::signal::{Body, Key, Manifest, Policies, Reason, Row, Tags, csv, misp};
use interdict_consortium::tag::keyed::TagKey;
use sha2::{Digest, Sha256};

/// What came of a contribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contributed {
    /// Its number among the member's.
    pub number: u64,
    /// Its leaf.
    pub leaf: u64,
    /// Rows.
    pub rows: u64,
    /// Identifiers that the tag service was asked about, blinded.
    pub asked: u64,
}

/// Contributes. `progress` is told of how many identifiers have their tags.
///
/// # Errors
/// A kind that is not shared; open text without a legal basis; a hub that refuses.
pub fn contribute(
    session: &mut Session,
    said: &[Draft],
    legal_basis: Option<&str>,
    mut progress: impl FnMut(u64),
) -> Result<Contributed> {
    let policies = policies(session.registry()?.rules())?;
    let needs_key = said.iter().any(|one| policies.get(one.kind).is_some_and(|p| p.privacy != Privacy::Open));
    // A manifest of open text only names the version in force all the same.
    let version = session.newest_version()?;
    let key = if needs_key { Some(session.tag_key(version)?) } else { None };
    let (keys, asked) = keys_of(session, said, &policies, key.as_ref(), version, &mut progress)?;
    let mut rows: Vec<Row<'_>> = said.iter().zip(keys).map(|(one, key)| one.row(key)).collect();
    Ok(Contributed { asked, ..send_rows(session, &mut rows, version, legal_basis)? })
}

/// Contributes rows whose keys are known, under a version of the tag key; their order is put right.
///
/// # Errors
/// As [`contribute`].
pub fn send_rows(
    session: &mut Session,
    rows: &mut [Row<'_>],
    version: u32,
    legal_basis: Option<&str>,
) -> Result<Contributed> {
    let registry = session.registry()?;
    let (me, alliance) = (session.me()?.id, registry.alliance().to_owned());
    let number = registry.latest(Numbered::Contribution, Some(me)).map_or(1, |latest| latest.number + 1);
    let body = Body::write(rows)?;
    let has_text = rows.iter().any(|row| !row.text.is_empty());
    let manifest = Manifest {
        alliance,
        member: session.folder.about.name.clone(),
        number,
        tag_key_version: version,
        rows: rows.len() as u64,
        bytes: body.len() as u64,
        sha256: Sha256::digest(&body).into(),
        legal_basis: legal_basis.filter(|_| has_text).map(str::to_owned),
        created_ms: now_ms(),
    };
    if has_text && legal_basis.is_none() {
        bail!("open text (names) needs a legal basis: say it with --legal-basis");
    }
    // What the hub would refuse is said before anything leaves.
    manifest.body(&body)?;
    let mut note = Note::new(manifest.text()?)?;
    note.sign(&session.folder.sign_key()?);
    let leaf = send(session, &note, &body)?;
    Ok(Contributed { number, leaf, rows: manifest.rows, asked: 0 })
}

fn send(session: &mut Session, note: &Note, body: &[u8]) -> Result<u64> {
    let encoded = note.encode();
    let mut sent = (encoded.len() as u32).to_be_bytes().to_vec();
    sent.extend_from_slice(encoded.as_bytes());
    sent.extend_from_slice(body);
    let answer = session.client()?.post("contribute", &sent, 64 << 10)?;
    let promised = Note::parse(&answer).context("the hub's promise")?;
    let key = session.registry()?.operator().logs.governance.clone();
    let promise = Promise::verify(&promised, std::slice::from_ref(&key))?;
    if promise.leaf != hash(encoded.as_bytes()) || promise.response != <[u8; 32]>::from(Sha256::digest(body))
    {
        bail!("the hub promises another leaf than the contribution's");
    }
    promises::keep(&session.promises, &promise, &promised, None)?;
    Ok(promise.index)
}

/// The keys of what is said; exact tags are asked for in batches.
fn keys_of(
    session: &mut Session,
    said: &[Draft],
    policies: &Policies,
    key: Option<&TagKey>,
    version: u32,
    progress: &mut impl FnMut(u64),
) -> Result<(Vec<Key>, u64)> {
    let mut keys = Vec::with_capacity(said.len());
    let mut blind = Vec::new();
    for (at, one) in said.iter().enumerate() {
        let policy =
            policies.get(one.kind).with_context(|| format!("{} is not shared in this alliance", one.kind))?;
        if policy.privacy == Privacy::Open {
            keys.push(Key::open(one.kind, &one.canonical));
            continue;
        }
        let tag = key.context("a kind that is tagged needs the tag key")?.tag(one.kind, &one.canonical);
        let tags = Tags { tag: tag.to_be_bytes(), exact: [0; 16] }.cut_to(policy.bits);
        keys.push(Key { kind: one.kind, key_version: version, tags });
        if policy.privacy == Privacy::Oblivious {
            blind.push(at);
        }
    }
    let held = super::sync::held_manifest(session)?.filter(|held| held.versions().last() == Some(&version));
    let mut asked = 0;
    for batch in blind.chunks(EVALUATE_ITEMS_MAX) {
        let items: Vec<(Kind, &str)> =
            batch.iter().map(|at| (said[*at].kind, said[*at].canonical.as_str())).collect();
        let (tags, _) = with_patience(session, held.as_ref(), &items)?;
        for (at, tag) in batch.iter().zip(tags) {
            keys[*at].tags.exact = tag.to_be_bytes();
        }
        asked += batch.len() as u64;
        progress(asked);
    }
    Ok((keys, asked))
}

/// Longest that a rate limit is waited for, in s.
const WAIT_S_MAX: u64 = 30;
/// How often.
const WAITS_MAX: u32 = 120;

/// As [`exact_tags`]; where the hub says to come again, it is waited.
fn with_patience(
    session: &mut Session,
    epoch: Option<&interdict_consortium::epoch::Manifest>,
    items: &[(Kind, &str)],
) -> Result<(Vec<u128>, u64)> {
    for _ in 0..WAITS_MAX {
        match exact_tags(session, epoch, items) {
            Err(error) if crate::alliance::client::refused(&error).is_some_and(|r| r.status == 429) => {
                let wait_s =
                    crate::alliance::client::refused(&error).and_then(|r| r.retry_after_s).unwrap_or(1);
                std::thread::sleep(std::time::Duration::from_secs(wait_s.clamp(1, WAIT_S_MAX)));
            }
            other => return other,
        }
    }
    exact_tags(session, epoch, items)
}

/// Reads a file of signals: a MISP event where it is JSON, else CSV (`signal::csv`). Wrong lines are told, all others taken.
///
/// # Errors
/// A file that cannot be read as one; before the first sync.
pub fn read(session: &Session, bytes: &[u8]) -> Result<Imported> {
    let policies = policies(session.registry()?.rules())?;
    let defaults = Defaults { policies: &policies, reason: Reason::OTHER, now_ms: now_ms() };
    let mut spell = |given: Given<'_>| canonical(given);
    let is_json = bytes.trim_ascii_start().starts_with(b"{");
    let imported = match is_json {
        true => misp::read(bytes, &defaults, &mut spell)?,
        false => csv::read(bytes, &defaults, &mut spell)?,
    };
    Ok(imported)
}
