//! `features.yaml`: groups of features, each a key, windows and aggregates.

use super::yaml::{Node, Reader, Yaml};
use crate::domain::{Aggregate, Currency, FeatureSpec, Field, KeySpec, OnReversal, Schema, TransactionKind};
use crate::error::Place;
use crate::limits::{WINDOW_MS_MAX, WINDOWS_PER_SPACE_MAX};
use crate::rules::Predicate;

/// A declared group.
#[derive(Debug, Clone)]
pub struct FeatureDecl {
    /// What it computes.
    pub spec: FeatureSpec,
    /// `where`, compiled against the transaction's own fields.
    pub filter: Option<Predicate>,
    /// Where it is declared.
    pub place: Place,
}

const KEYS: [&str; 12] = [
    "name",
    "key",
    "windows",
    "aggregates",
    "distinct",
    "currency",
    "delay",
    "seen",
    "on_reversal",
    "kinds",
    "where",
    "doc",
];

const IDENTIFIERS: [(&str, Field); 10] = [
    ("card", Field::Card),
    ("account", Field::Account),
    ("device", Field::Device),
    ("merchant", Field::Merchant),
    ("terminal", Field::Terminal),
    ("payee", Field::Payee),
    ("email", Field::Email),
    ("phone", Field::Phone),
    ("payer_name", Field::PayerNameTag),
    ("payee_name", Field::PayeeNameTag),
];

/// Reads `features.yaml`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<FeatureDecl> {
    let Some(fields) = reader.fields(node, "features.yaml", &["features"]) else { return Vec::new() };
    let Some(list) = fields.must(reader, "features.yaml", "features") else { return Vec::new() };
    let mut groups: Vec<FeatureDecl> = Vec::new();
    for node in reader.list(list, "features").unwrap_or_default() {
        let Some(group) = group(reader, node) else { continue };
        if let Some(first) = groups.iter().find(|known| known.spec.name == group.spec.name) {
            let message =
                format!("feature {:?} is declared twice, first at {}", group.spec.name, first.place);
            reader.refuse_node::<()>(node, message);
            continue;
        }
        groups.push(group);
    }
    groups
}

fn group(reader: &mut Reader<'_>, node: &Node) -> Option<FeatureDecl> {
    let before = reader.errors.len();
    let fields = reader.fields(node, "feature", &KEYS)?;
    let name = fields.must(reader, "feature", "name").and_then(|node| slot_name(reader, node, "name"));
    let key = fields.must(reader, "feature", "key").and_then(|node| key(reader, node));
    let windows = fields.must(reader, "feature", "windows").and_then(|node| windows(reader, node));
    let aggregates = fields.maybe("aggregates").map_or(Some(Vec::new()), |node| aggregates(reader, node));
    let distinct = fields.maybe("distinct").and_then(|node| reader.word(node, "distinct", &IDENTIFIERS));
    let currency = fields.maybe("currency").and_then(|node| currency(reader, node));
    let delay = fields.maybe("delay").and_then(|node| duration(reader, node, "delay", 0));
    let seen = fields.maybe("seen").and_then(|node| reader.flag(node, "seen"));
    let reversals = [("keep", OnReversal::Keep), ("net", OnReversal::Net)];
    let on_reversal =
        fields.maybe("on_reversal").and_then(|node| reader.word(node, "on_reversal", &reversals));
    let kinds = fields.maybe("kinds").map_or_else(default_kinds, |node| kinds(reader, node));
    let (filter, text) = match fields.maybe("where") {
        Some(node) => filter(reader, node)?,
        None => (None, None),
    };
    if let Some(doc) = fields.maybe("doc") {
        reader.text(doc, "doc");
    }
    let spec = FeatureSpec {
        name: name?,
        key: key?,
        windows: windows?,
        aggregates: aggregates?,
        distinct,
        currency,
        delay_ms: delay.unwrap_or(0),
        seen: seen.unwrap_or(false),
        on_reversal: on_reversal.unwrap_or_default(),
        kinds,
        filter: text,
    };
    consistent(reader, node, &spec);
    (reader.errors.len() == before).then(|| FeatureDecl { spec, filter, place: reader.place(node) })
}

/// What the parts of a group say about each other.
fn consistent(reader: &mut Reader<'_>, node: &Node, spec: &FeatureSpec) {
    let has = |wanted: &[Aggregate]| spec.aggregates.iter().any(|aggregate| wanted.contains(aggregate));
    let mut refuse =
        |message: String| reader.refuse_node::<()>(node, format!("feature {:?}: {message}", spec.name));
    if spec.aggregates.is_empty() && !spec.seen {
        refuse("neither aggregates nor seen: it computes nothing".into());
    }
    if has(&[Aggregate::Sum, Aggregate::Max, Aggregate::Mean]) && spec.currency.is_none() {
        refuse(
            "sum, max and mean need a currency, or amounts of several currencies would be added up".into(),
        );
    }
    if has(&[Aggregate::Distinct]) != spec.distinct.is_some() {
        refuse("the aggregate distinct and the key distinct go together".into());
    }
    let labels = has(&[Aggregate::FraudShare, Aggregate::FraudCount]);
    if labels != (spec.delay_ms > 0) {
        refuse("fraud_share and fraud_count go together with a delay, after which labels are known".into());
    }
}

/// A name that is part of a slot's path, so that CEL can write it.
pub(super) fn slot_name(reader: &mut Reader<'_>, node: &Node, key: &str) -> Option<String> {
    let name = reader.text(node, key)?;
    let plain = name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain {
        return Some(name.into());
    }
    let message = format!("{key} {name:?}: expected 1 to 64 small letters, digits or _, a letter first");
    reader.refuse_node(node, message)
}

fn key(reader: &mut Reader<'_>, node: &Node) -> Option<KeySpec> {
    match &node.value {
        Yaml::List(pair) if pair.len() == 2 => {
            let (a, b) = (one_key(reader, &pair[0])?, one_key(reader, &pair[1])?);
            if a == b {
                return reader.refuse_node(node, "key: both of the pair are the same");
            }
            Some(KeySpec::Pair(Box::new(a), Box::new(b)))
        }
        Yaml::List(list) => {
            let message = format!("key has {} parts, expected one identifier or a pair", list.len());
            reader.refuse_node(node, message)
        }
        _ => one_key(reader, node),
    }
}

fn one_key(reader: &mut Reader<'_>, node: &Node) -> Option<KeySpec> {
    let mut known: Vec<(&'static str, Option<Field>)> =
        IDENTIFIERS.iter().map(|(name, field)| (*name, Some(*field))).collect();
    known.push(("ip_prefix", None));
    let key = reader.word(node, "key", &known)?;
    Some(key.map_or(KeySpec::IpPrefix, KeySpec::Identifier))
}

fn windows(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<(String, i64)>> {
    let list = reader.list(node, "windows")?;
    if list.is_empty() || list.len() > WINDOWS_PER_SPACE_MAX {
        let message = format!("windows has {} entries, limit 1 to {WINDOWS_PER_SPACE_MAX}", list.len());
        return reader.refuse_node(node, message);
    }
    let mut windows: Vec<(String, i64)> = Vec::new();
    for node in list {
        let ms = duration(reader, node, "window", 1000)?;
        if windows.last().is_some_and(|(_, last)| *last >= ms) {
            return reader.refuse_node(node, "windows must be ascending, each once");
        }
        windows.push((reader.text(node, "window")?.into(), ms));
    }
    Some(windows)
}

/// A span such as `90s`, `10m`, `24h`, `7d`, in ms.
fn duration(reader: &mut Reader<'_>, node: &Node, key: &str, least_ms: i64) -> Option<i64> {
    let text = reader.text(node, key)?;
    let parsed = text.char_indices().last().and_then(|(at, unit)| {
        let unit_ms = match unit {
            's' => 1000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            _ => return None,
        };
        let digits = &text[..at];
        let plain =
            !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|_| plain)?.checked_mul(unit_ms)
    });
    match parsed {
        Some(ms) if (least_ms..=WINDOW_MS_MAX).contains(&ms) => Some(ms),
        Some(ms) => reader.refuse_node(node, format!("{key} is {ms} ms, limit {WINDOW_MS_MAX}")),
        None => {
            reader.refuse_node(node, format!("{key} {text:?}: expected a number and s, m, h or d, as in 24h"))
        }
    }
}

fn aggregates(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Aggregate>> {
    let known: Vec<(&'static str, Aggregate)> = Aggregate::ALL.map(|a| (a.name(), a)).to_vec();
    let mut aggregates = Vec::new();
    for node in reader.list(node, "aggregates")? {
        let aggregate = reader.word(node, "aggregate", &known)?;
        if aggregates.contains(&aggregate) {
            return reader.refuse_node(node, format!("aggregate {:?} is named twice", aggregate.name()));
        }
        aggregates.push(aggregate);
    }
    Some(aggregates)
}

fn currency(reader: &mut Reader<'_>, node: &Node) -> Option<Currency> {
    let code = reader.text(node, "currency")?;
    let currency = Currency::parse(code);
    if currency.is_none() {
        reader.refuse_node::<()>(node, format!("currency {code:?}: expected an ISO 4217 code, as in EUR"));
    }
    currency
}

fn default_kinds() -> Vec<TransactionKind> {
    vec![TransactionKind::Request, TransactionKind::Advice, TransactionKind::Repeat]
}

fn kinds(reader: &mut Reader<'_>, node: &Node) -> Vec<TransactionKind> {
    let known: Vec<(&'static str, TransactionKind)> =
        TransactionKind::ALL.map(|kind| (kind.name(), kind)).to_vec();
    let list = reader.list(node, "kinds").unwrap_or_default();
    let mut kinds: Vec<TransactionKind> =
        list.iter().filter_map(|node| reader.word(node, "kind", &known)).collect();
    kinds.sort_by_key(|kind| *kind as u8);
    kinds.dedup();
    if kinds.is_empty() {
        reader.refuse_node::<()>(node, "kinds is empty: nothing would count");
    }
    kinds
}

type Filter = (Option<Predicate>, Option<String>);

fn filter(reader: &mut Reader<'_>, node: &Node) -> Option<Filter> {
    let source = reader.source(node, "where")?;
    match Predicate::compile(&source, &Schema::new()) {
        Ok(predicate) => Some((Some(predicate), Some(source.text().trim().to_string()))),
        Err(errors) => {
            reader.errors.extend(errors);
            None
        }
    }
}
