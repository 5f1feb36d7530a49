//! What a feature counted, for whom and over which window, with its unit; or why it is undecided.

use super::ToldFeature;
use super::words::{money, span};
use crate::answer::Source;
use interdict_engine::domain::{Aggregate, FeatureSpec, Field, KeySpec, Transaction};

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

/// One slot of a group in words, with what its value is worth.
pub(super) fn told_words(source: &Source<'_>, at: usize) -> Option<String> {
    let (spec, place) = group_of(source, at)?;
    let value = source.features.get(at).copied().flatten();
    let is_approximate = u16::try_from(at).is_ok_and(|at| source.approximate.contains(&at));
    let mark = if is_approximate { approximate(spec, place) } else { String::new() };
    Some(words(spec, place, value, source.transaction) + &mark)
}

/// What an approximate value may be off by.
fn approximate(spec: &FeatureSpec, at: usize) -> String {
    match measure(spec, at) {
        Measure::Over(_, window_ms) => {
            let pane_ms = window_ms / interdict_engine::limits::FEATURE_PANES_PER_WINDOW;
            format!(" (approximate: counted in panes of at most {})", span(pane_ms))
        }
        Measure::SinceLast | Measure::FirstSeen => String::new(),
    }
}

/// One slot of a group in words.
fn words(spec: &FeatureSpec, at: usize, value: Option<i64>, tx: &Transaction) -> String {
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
pub(super) fn told(source: &Source<'_>) -> Vec<ToldFeature> {
    let slots = source.view.generation().plan().slots();
    let told = slots.iter().zip(source.features).enumerate().map(|(at, ((path, unit), value))| {
        let words = told_words(source, at).unwrap_or_default();
        let approximate = u16::try_from(at).is_ok_and(|at| source.approximate.contains(&at));
        ToldFeature { path: path.clone(), value: *value, unit: (*unit).to_owned(), approximate, words }
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use interdict_engine::domain::{Currency, KeyId, OnReversal, Tag, TransactionKind};

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
        let told = |spec: &FeatureSpec, at, value| words(spec, at, value, &tx);
        assert_eq!(told(&card, 0, Some(7)), "7 payments by this card in 1 h");
        assert_eq!(told(&card, 3, Some(123_456)), "spent 1,234.56 EUR by this card in 1 day");
        assert_eq!(
            told(&card, 4, Some(2)),
            "2 different e-mail addresses in the payments by this card in 1 h"
        );
        assert_eq!(told(&card, 6, Some(90_000)), "the last payment by this card was 1 min 30 s ago");
        assert_eq!(told(&card, 7, Some(0)), "this is the first payment by this card that is known");
        assert!(told(&card, 1, None).contains("does not cover the window"));
        assert_eq!(approximate(&card, 3), " (approximate: counted in panes of at most 24 min)");
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
