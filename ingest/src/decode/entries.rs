//! List entries: read values to an [`Entry`] under the list's key, for deltas (`PUT`, `DELETE`) and for list files.
//! A delta is all or nothing, so every error of it is told, up to a bound.

use super::assemble::account;
use super::elements::elements;
use super::reader::read;
use super::request::check_body_size;
use super::shape::{ENTRY, EntryLeaf};
use super::values::Values;
use crate::error::FieldError;
use crate::normalise::identifiers::{self as ids, Pan};
use crate::normalise::keys::TagKey;
use crate::normalise::text::{Checked, fold_name, free_text, identifier};
use crate::normalise::time;
use interdict_engine::domain::{Effect, Entry, Subject, SubjectKind};
use interdict_engine::limits::DELTA_ENTRIES_MAX;
use zeroize::Zeroizing;

/// Most errors that are told of one delta or list file.
pub const ERRORS_MAX: usize = 100;

/// What an entry must have exactly one of.
const EXPECTED_SUBJECT: &str =
    "exactly one of card, account, device, merchant, terminal, ip, bin, email, phone, name";

/// The entries of a `PUT` body. Ids are 0: the engine numbers them. `contributor` is on whose word all of them are.
///
/// # Errors
/// Every wrong element (by row, from 0), at most [`ERRORS_MAX`]; or the one thing wrong with the whole.
pub fn decode_entries(body: &[u8], key: &TagKey, contributor: &str) -> Result<Vec<Entry>, Vec<FieldError>> {
    decode_all(body, |values| {
        if !values.is_absent(EntryLeaf::Contributor) {
            return Err(FieldError::invalid("contributor", "no such field here: it is the caller"));
        }
        entries(values, key, contributor)
    })
}

/// The subjects of a `DELETE` body; what else an element says must be right but does not matter.
///
/// # Errors
/// As [`decode_entries`].
pub fn decode_subjects(body: &[u8], key: &TagKey) -> Result<Vec<Subject>, Vec<FieldError>> {
    let subjects = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.subject).collect();
    decode_all(body, |values| entries(values, key, "").map(subjects))
}

fn decode_all<T>(
    body: &[u8],
    decode: impl Fn(&Values<'_>) -> Result<Vec<T>, FieldError>,
) -> Result<Vec<T>, Vec<FieldError>> {
    let whole = check_body_size(body).and_then(|()| elements(body, DELTA_ENTRIES_MAX));
    let elements = whole.map_err(|error| vec![error])?;
    let (mut decoded, mut errors) = (Vec::with_capacity(elements.len()), Vec::new());
    for (row, element) in elements.into_iter().enumerate() {
        match read(&ENTRY, element.get().as_bytes()).and_then(|values| decode(&values)) {
            Ok(some) => decoded.extend(some),
            Err(error) => errors.push(error.at_row(row as u64)),
        }
        if errors.len() == ERRORS_MAX {
            break;
        }
    }
    if errors.is_empty() { Ok(decoded) } else { Err(errors) }
}

/// The entries of read values: one, but of a BIN range one for each prefix that it is made of.
pub(crate) fn entries(
    values: &Values<'_>,
    key: &TagKey,
    contributor: &str,
) -> Result<Vec<Entry>, FieldError> {
    let first = entry(values, key, contributor)?;
    let Some(range) = values.text(EntryLeaf::Bin).filter(|text| text.contains('-')) else {
        return Ok(vec![first]);
    };
    let prefixes = ids::bin_prefixes(range);
    let prefixes = prefixes.map_err(|expected| FieldError::invalid(EntryLeaf::Bin.path(), expected))?;
    let of = |(number, digits)| Entry { subject: Subject::Bin { number, digits }, ..first.clone() };
    Ok(prefixes.into_iter().map(of).collect())
}

/// The entry of read values, of a BIN range its first. Without `effect` it is a block; without `overridable` it cannot be overridden.
fn entry(values: &Values<'_>, key: &TagKey, contributor: &str) -> Result<Entry, FieldError> {
    let effect = match values.text(EntryLeaf::Effect) {
        None => Effect::Block,
        Some(name) => {
            Effect::by_name(name).ok_or_else(|| FieldError::invalid("effect", "block, override or flag"))?
        }
    };
    let overrides = text_of(values, EntryLeaf::Overrides)?;
    match (effect, &overrides) {
        (Effect::Override, None) => {
            return Err(FieldError::invalid("overrides", "the list or rule that the override cancels"));
        }
        (Effect::Block | Effect::Flag, Some(_)) => {
            return Err(FieldError::invalid("overrides", "nothing: only an override has it"));
        }
        _ => {}
    }
    let overridable = values.bool(EntryLeaf::Overridable).unwrap_or(false);
    if overridable && effect != Effect::Block {
        return Err(FieldError::invalid("overridable", "true for a block only"));
    }
    let severity = values.int(EntryLeaf::Severity).unwrap_or(0);
    let severity = u8::try_from(severity).ok().filter(|severity| *severity <= 100);
    let (valid_from_ms, valid_to_ms) =
        (time_of(values, EntryLeaf::ValidFrom)?, time_of(values, EntryLeaf::ValidTo)?);
    if let (Some(from), Some(to)) = (valid_from_ms, valid_to_ms)
        && from >= to
    {
        return Err(FieldError::invalid("valid_to", "a time after valid_from"));
    }
    Ok(Entry {
        id: 0,
        subject: subject(values, key)?,
        effect,
        overridable,
        overrides,
        reason: text_of(values, EntryLeaf::Reason)?.unwrap_or_default(),
        severity: severity.ok_or_else(|| FieldError::invalid("severity", "an integer from 0 to 100"))?,
        contributor: text_of(values, EntryLeaf::Contributor)?.unwrap_or_else(|| contributor.into()),
        valid_from_ms,
        valid_to_ms,
    })
}

fn text_of(values: &Values<'_>, leaf: EntryLeaf) -> Result<Option<String>, FieldError> {
    match values.text(leaf) {
        None => Ok(None),
        Some(text) if text.trim().is_empty() => Ok(None),
        Some(text) => identifier(text)
            .map(|text| Some(text.into_owned()))
            .map_err(|expected| FieldError::invalid(leaf.path(), expected)),
    }
}

fn time_of(values: &Values<'_>, leaf: EntryLeaf) -> Result<Option<i64>, FieldError> {
    let time = values.text(leaf).map(time::rfc3339_ms).transpose();
    time.map_err(|expected| FieldError::invalid(leaf.path(), expected))
}

/// The one subject of an entry.
fn subject(values: &Values<'_>, key: &TagKey) -> Result<Subject, FieldError> {
    use EntryLeaf as L;
    let account = account(values, "account", (L::AccountIban, L::AccountNumber, L::AccountBank))?;
    let account = account.map(|account| tagged(key, SubjectKind::Account, account.text()));
    let leaves = [
        (L::CardPan, SubjectKind::Card),
        (L::CardToken, SubjectKind::Card),
        (L::Device, SubjectKind::Device),
        (L::Merchant, SubjectKind::Merchant),
        (L::Terminal, SubjectKind::Terminal),
        (L::Ip, SubjectKind::Ip),
        (L::Bin, SubjectKind::Bin),
        (L::Email, SubjectKind::Email),
        (L::Phone, SubjectKind::Phone),
        (L::Name, SubjectKind::Name),
    ];
    let mut found = account;
    for (leaf, kind) in leaves {
        let Some(text) = values.text(leaf) else { continue };
        if found.is_some() {
            return Err(FieldError::invalid("", EXPECTED_SUBJECT));
        }
        let one = match leaf {
            L::CardPan => Pan::parse(text).map(|pan| tagged(key, kind, pan.digits())),
            _ => subject_of(kind, text, key),
        };
        found = Some(one.map_err(|expected| FieldError::invalid(leaf.path(), expected))?);
    }
    found.ok_or_else(|| FieldError::invalid("", EXPECTED_SUBJECT))
}

fn tagged(key: &TagKey, kind: SubjectKind, canonical: &str) -> Subject {
    Subject::Tag { kind, tag: key.tag(kind, canonical) }
}

/// The subject of a kind and a text: for a card a token, for an account an IBAN.
pub(crate) fn subject_of(kind: SubjectKind, text: &str, key: &TagKey) -> Checked<Subject> {
    Ok(match kind {
        SubjectKind::Ip => {
            let (network, prefix) = ids::ip_prefix(text)?;
            Subject::Ip { network, prefix }
        }
        SubjectKind::Bin => {
            let (number, digits) = *ids::bin_prefixes(text)?.first().expect("a range has a first prefix");
            Subject::Bin { number, digits }
        }
        SubjectKind::Email => tagged(key, kind, &ids::email(text)?),
        SubjectKind::Phone => tagged(key, kind, ids::phone(text)?.as_str()),
        SubjectKind::Account => tagged(key, kind, ids::Iban::parse(text)?.text()),
        SubjectKind::Name => {
            let name = free_text(text)?.ok_or("a name")?;
            let folded = Zeroizing::new(fold_name(&name));
            if folded.is_empty() {
                return Err("a name with a letter or digit");
            }
            tagged(key, kind, &folded)
        }
        SubjectKind::Card | SubjectKind::Device | SubjectKind::Merchant | SubjectKind::Terminal => {
            tagged(key, kind, &identifier(text)?)
        }
    })
}
