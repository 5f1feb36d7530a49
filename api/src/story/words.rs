//! Values in words with their units: amounts in major units, spans of time, what a feature counted over which window,
//! and why a slot holds nothing.

use super::ToldFeature;
use crate::answer::Source;
use interdict_engine::Stage;
use interdict_engine::domain::{
    Aggregate, Currency, FeatureSpec, Field, KeySpec, SlotId, Transaction, Value,
};

/// Text of unknown origin for a terminal: quoted, control characters escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// An amount in major units with its currency: `1,234.56 EUR`.
pub(super) fn money(minor: i64, currency: Option<&str>) -> String {
    match currency.and_then(Currency::parse) {
        Some(currency) => grouped(&currency.format(minor)),
        None => format!("{minor} minor units of an unknown currency"),
    }
}

/// The whole part of a number in groups of three.
fn grouped(text: &str) -> String {
    let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
    let mut out = text[..start].to_owned();
    for (at, digit) in text[start..start + digits].chars().enumerate() {
        if at > 0 && (digits - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &text[start + digits..]
}

/// A span of time by its two largest units: `3 days 2 h`, `5 min 3 s`, `0 s`.
fn span(ms: i64) -> String {
    let total = ms.unsigned_abs();
    if total < 1000 {
        return format!("{total} ms");
    }
    let seconds = total / 1000;
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let told =
        parts[first..].iter().take(2).filter(|(count, _)| *count > 0).map(|(count, unit)| match *unit {
            "day" if *count != 1 => format!("{count} days"),
            unit => format!("{count} {unit}"),
        });
    told.collect::<Vec<_>>().join(" ")
}

/// What one slot of a group measures.
enum Measure {
    Over(Aggregate, i64),
    SinceLast,
    FirstSeen,
}

fn measure(spec: &FeatureSpec, at: usize) -> Measure {
    let windows = spec.windows.len();
    match at.checked_sub(spec.aggregates.len() * windows) {
        None => Measure::Over(spec.aggregates[at / windows], spec.windows[at % windows].1),
        Some(0) => Measure::SinceLast,
        Some(_) => Measure::FirstSeen,
    }
}

/// `by this card`, `at this terminal`; a pair gives both.
fn by(key: &KeySpec) -> String {
    match key {
        KeySpec::Pair(a, b) => format!("{} {}", by(a), by(b)),
        KeySpec::IpPrefix => "from this device's network".into(),
        KeySpec::Identifier(field) => {
            let preposition = match field {
                Field::Merchant | Field::Terminal => "at",
                Field::Payee | Field::PayeeNameTag => "to",
                Field::Device => "from",
                Field::Email | Field::Phone => "with",
                _ => "by",
            };
            format!("{preposition} this {}", noun(*field))
        }
    }
}

fn noun(field: Field) -> &'static str {
    match field {
        Field::Card => "card",
        Field::Account => "account",
        Field::PayerNameTag => "payer's name",
        Field::PayeeNameTag => "payee's name",
        Field::Payee => "payee",
        Field::Merchant => "merchant",
        Field::Terminal => "terminal",
        Field::Device => "device",
        Field::Email => "e-mail address",
        Field::Phone => "phone number",
        _ => field.def().path,
    }
}

fn plural(noun: &str) -> String {
    match noun.strip_suffix("address") {
        Some(rest) => format!("{rest}addresses"),
        None => format!("{noun}s"),
    }
}

/// The identifiers of a key that a payment lacks.
fn lacking(key: &KeySpec, tx: &Transaction) -> Option<&'static str> {
    match key {
        KeySpec::Pair(a, b) => lacking(a, tx).or_else(|| lacking(b, tx)),
        KeySpec::IpPrefix => tx.get(Field::DeviceIp).is_none().then_some("device address"),
        KeySpec::Identifier(field) => tx.get(*field).is_none().then(|| noun(*field)),
    }
}

fn whose(key: &KeySpec) -> String {
    match key {
        KeySpec::Identifier(field) => format!("this {}'s payments", noun(*field)),
        other => format!("the payments {}", by(other)),
    }
}

/// One slot of a group in words.
fn feature(spec: &FeatureSpec, at: usize, value: Option<i64>, tx: &Transaction) -> String {
    let by = by(&spec.key);
    let money = |minor| match spec.currency {
        Some(currency) => money(minor, Some(currency.code())),
        None => format!("{minor} minor units"),
    };
    let filter =
        spec.filter.as_ref().map_or(String::new(), |filter| format!(" (counting only where {filter})"));
    let measure = measure(spec, at);
    let Some(value) = value else {
        let what = what(spec, &measure);
        let why = match (lacking(&spec.key, tx), &measure) {
            (Some(noun), _) => format!("the payment names no {noun}"),
            (None, Measure::SinceLast) => "no earlier one is known".into(),
            (None, Measure::Over(Aggregate::Mean | Aggregate::FraudShare, _)) => {
                "there was none, or what this node still knows does not cover the window".into()
            }
            (None, Measure::Over(Aggregate::Sum | Aggregate::Max, _)) => {
                "what this node still knows does not cover the window, or an amount could not be converted"
                    .into()
            }
            (None, _) => "what this node still knows does not cover the window".into(),
        };
        return format!("{what}{filter}: undecided ({why})");
    };
    let told = match measure {
        Measure::Over(aggregate, window_ms) => {
            let window = span(window_ms);
            let delayed = || format!("in the {window} before {} ago", span(spec.delay_ms));
            match aggregate {
                Aggregate::Count if value == 1 => format!("1 payment {by} in {window}"),
                Aggregate::Count => format!("{value} payments {by} in {window}"),
                Aggregate::Sum if by.contains("to this") => format!("paid {} {by} in {window}", money(value)),
                Aggregate::Sum => format!("spent {} {by} in {window}", money(value)),
                Aggregate::Max => format!("largest payment {by} in {window}: {}", money(value)),
                Aggregate::Mean => format!("mean payment {by} in {window}: {}", money(value)),
                Aggregate::Distinct => {
                    let noun = spec.distinct.map_or("value", noun);
                    let nouns = if value == 1 { noun.to_owned() } else { plural(noun) };
                    format!("{value} different {nouns} in the payments {by} in {window}")
                }
                Aggregate::FraudShare => {
                    let share = format!("{}.{} %", value / 10, value % 10);
                    format!("{share} of {} {} are labelled fraud", whose(&spec.key), delayed())
                }
                Aggregate::FraudCount => {
                    format!("{value} of {} {} labelled fraud", whose(&spec.key), delayed())
                }
            }
        }
        Measure::SinceLast => format!("the last payment {by} was {} ago", span(value)),
        Measure::FirstSeen if value == 0 => format!("this is the first payment {by} that is known"),
        Measure::FirstSeen => format!("the first known payment {by} was {} ago", span(value)),
    };
    told + &filter
}

/// What a slot measures, where it has no value.
fn what(spec: &FeatureSpec, measure: &Measure) -> String {
    let by = by(&spec.key);
    match measure {
        Measure::SinceLast => format!("time since the last payment {by}"),
        Measure::FirstSeen => format!("first payment {by}"),
        Measure::Over(aggregate, window_ms) => {
            let window = span(*window_ms);
            match aggregate {
                Aggregate::Count => format!("payments {by} in {window}"),
                Aggregate::Sum => format!("sum of payments {by} in {window}"),
                Aggregate::Max => format!("largest payment {by} in {window}"),
                Aggregate::Mean => format!("mean payment {by} in {window}"),
                Aggregate::Distinct => {
                    let nouns = plural(spec.distinct.map_or("value", noun));
                    format!("different {nouns} in the payments {by} in {window}")
                }
                Aggregate::FraudShare | Aggregate::FraudCount => {
                    format!(
                        "fraud among {} in the {window} before {} ago",
                        whose(&spec.key),
                        span(spec.delay_ms)
                    )
                }
            }
        }
    }
}

/// The group and the place in it of a feature slot, counted from the first feature.
fn group_of<'a>(source: &'a Source<'_>, mut at: usize) -> Option<(&'a FeatureSpec, usize)> {
    for spec in source.view.generation().plan().specs() {
        let slots = spec.aggregates.len() * spec.windows.len() + 2 * usize::from(spec.seen);
        if at < slots {
            return Some((spec, at));
        }
        at -= slots;
    }
    None
}

/// All stamped features.
pub(super) fn features(source: &Source<'_>) -> Vec<ToldFeature> {
    let slots = source.view.generation().plan().slots();
    let told = slots.iter().zip(source.features).enumerate().map(|(at, ((path, unit), value))| {
        let group = group_of(source, at);
        let words =
            group.map_or_else(String::new, |(spec, at)| feature(spec, at, *value, source.transaction));
        ToldFeature { path: path.clone(), value: *value, unit: (*unit).to_owned(), words }
    });
    told.collect()
}

/// A slot that something read: path, value, and what it means; `None`: it holds nothing, and why.
pub(super) fn slot(source: &Source<'_>, slot: SlotId, value: Option<&str>) -> String {
    let generation = source.view.generation();
    let (path, slots) = (&generation.schema().def(slot).path, generation.slots());
    let told = match value {
        Some(value) => format!("{path} = {value}"),
        None => format!("{path} is missing"),
    };
    if slot.0 >= slots.lists {
        return match value {
            Some("true") => format!("{path} = on the list"),
            Some(_) => format!("{path} = not on the list"),
            None if super::was_skipped(source.verdict, Stage::Lists) => {
                format!("{told}: the lists stage did not run")
            }
            None => format!("{told}: the list was not loaded"),
        };
    }
    if slot.0 >= slots.features {
        let at = usize::from(slot.0 - slots.features);
        let stamp = source.features.get(at).copied().flatten();
        return match group_of(source, at) {
            Some((spec, at)) => {
                let words = feature(spec, at, stamp, source.transaction);
                if value.is_some() { format!("{told} ({words})") } else { format!("{path}: {words}") }
            }
            None => told,
        };
    }
    match (value, u8::try_from(slot.0).ok().and_then(Field::from_number)) {
        (None, Some(field)) => {
            let tag_left = match field {
                Field::MerchantId => Some(Field::Merchant),
                Field::TerminalId => Some(Field::Terminal),
                Field::PayerName => Some(Field::PayerNameTag),
                Field::PayeeName => Some(Field::PayeeNameTag),
                _ => None,
            };
            match tag_left.and_then(|tag| source.transaction.get(tag)) {
                Some(Value::Present) => format!("{told}: its key was destroyed"),
                _ => format!(
                    "{told}: the payment does not say the {}",
                    field.def().doc.trim_start_matches("the ")
                ),
            }
        }
        _ => told,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use interdict_engine::domain::{KeyId, OnReversal, Tag, TransactionKind};

    fn spec(key: KeySpec, aggregates: &[Aggregate], windows: &[(&str, i64)]) -> FeatureSpec {
        FeatureSpec {
            name: "g".into(),
            key,
            windows: windows.iter().map(|(name, ms)| ((*name).to_owned(), *ms)).collect(),
            aggregates: aggregates.to_vec(),
            distinct: Some(Field::Email),
            currency: Currency::parse("EUR"),
            delay_ms: 7 * 86_400_000,
            seen: true,
            on_reversal: OnReversal::Net,
            kinds: vec![TransactionKind::Request],
            filter: None,
        }
    }

    #[test]
    fn spans_and_amounts_are_what_people_say() {
        let told =
            [0, 1500, 60_000, 3_600_000, 5 * 60_000 + 3000, 86_400_000, 93_600_000, 7 * 86_400_000].map(span);
        assert_eq!(told, ["0 ms", "1 s", "1 min", "1 h", "5 min 3 s", "1 day", "1 day 2 h", "7 days"]);
        let amounts = [5767, 123_456, -123_456_789].map(|minor| money(minor, Some("EUR")));
        assert_eq!(amounts, ["57.67 EUR", "1,234.56 EUR", "-1,234,567.89 EUR"]);
        assert_eq!(money(1_000_000, Some("JPY")), "1,000,000 JPY");
        assert_eq!(quoted("a\u{1b}[2Jb"), "\"a\\u{1b}[2Jb\"");
    }

    #[test]
    fn every_measure_has_words() {
        let mut tx = Transaction::new("t".into(), TransactionKind::Request, 0);
        tx.add_tag(Field::Card, KeyId::STATE, Tag(1));
        tx.add_tag(Field::Terminal, KeyId::STATE, Tag(2));
        let hours = [("1h", 3_600_000), ("24h", 86_400_000)];
        let card = spec(
            KeySpec::Identifier(Field::Card),
            &[Aggregate::Count, Aggregate::Sum, Aggregate::Distinct],
            &hours,
        );
        let told = |spec: &FeatureSpec, at, value| feature(spec, at, value, &tx);
        assert_eq!(told(&card, 0, Some(7)), "7 payments by this card in 1 h");
        assert_eq!(told(&card, 3, Some(123_456)), "spent 1,234.56 EUR by this card in 1 day");
        assert_eq!(
            told(&card, 4, Some(2)),
            "2 different e-mail addresses in the payments by this card in 1 h"
        );
        assert_eq!(told(&card, 6, Some(90_000)), "the last payment by this card was 1 min 30 s ago");
        assert_eq!(told(&card, 7, Some(0)), "this is the first payment by this card that is known");
        assert!(told(&card, 1, None).contains("does not cover the window"));
        let week = [("7d", 7 * 86_400_000)];
        let terminal = spec(KeySpec::Identifier(Field::Terminal), &[Aggregate::FraudShare], &week);
        let share = told(&terminal, 0, Some(123));
        assert_eq!(
            share,
            "12.3 % of this terminal's payments in the 7 days before 7 days ago are labelled fraud"
        );
        let account = spec(KeySpec::Identifier(Field::Account), &[Aggregate::Count], &week);
        assert!(told(&account, 0, None).ends_with("undecided (the payment names no account)"));
        let pair = KeySpec::Pair(
            Box::new(KeySpec::Identifier(Field::Card)),
            Box::new(KeySpec::Identifier(Field::Merchant)),
        );
        let told_pair = told(&spec(pair, &[Aggregate::Count], &week), 0, Some(1));
        assert_eq!(told_pair, "1 payment by this card at this merchant in 7 days");
    }
}
