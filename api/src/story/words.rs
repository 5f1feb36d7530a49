//! Values in words with their units: amounts in major units, spans of time, and what a slot
//! holds, or why it holds nothing.

use super::features;
use crate::answer::Source;
use interdict_engine::Stage;
use interdict_engine::domain::{Currency, Field, SlotId, Value};

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
pub(crate) fn span(ms: i64) -> String {
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

/// A slot that a stage behind the lists fills, and what it means; where it is missing, why.
fn found(source: &Source<'_>, slot: SlotId, value: Option<&str>, told: String) -> String {
    let generation = source.view.generation();
    let starts = &generation.slots().starts;
    let stage = match slot.0 {
        at if at < starts.names => Stage::Patterns,
        at if at < starts.models => Stage::Similarity,
        _ => Stage::Models,
    };
    let doc = &generation.schema().def(slot).doc;
    match value {
        Some("false") if stage == Stage::Patterns && has_no_text(source, slot) => {
            format!("{told} ({doc}): the payment has none of its texts, or none that can still be read")
        }
        Some(_) if doc.is_empty() => told,
        Some(_) => format!("{told} ({doc})"),
        None if super::was_skipped(source.verdict, stage) => {
            format!("{told}: the {} stage did not run", stage.name())
        }
        None if stage == Stage::Models => format!("{told}: an input of the model is missing"),
        None if slot.0 >= starts.banks => {
            format!("{told}: the bank had learned nothing yet, or the payment has nothing to compare")
        }
        None => told,
    }
}

/// Whether none of the texts that a pattern is looked for in is there.
fn has_no_text(source: &Source<'_>, slot: SlotId) -> bool {
    let generation = source.view.generation();
    let pattern = generation.patterns().source(u32::from(slot.0 - generation.slots().starts.patterns));
    pattern.fields.iter().all(|field| source.transaction.text(*field).is_none())
}

/// A slot that something read: path, value, and what it means; `None`: it holds nothing, and why.
pub(super) fn slot(source: &Source<'_>, slot: SlotId, value: Option<&str>) -> String {
    let generation = source.view.generation();
    let (path, slots) = (&generation.schema().def(slot).path, generation.slots());
    let told = match value {
        Some(value) => format!("{path} = {value}"),
        None => format!("{path} is missing"),
    };
    let starts = &slots.starts;
    if slot.0 >= starts.patterns {
        return found(source, slot, value, told);
    }
    if slot.0 >= starts.lists {
        return match value {
            Some("true") => format!("{path} = on the list"),
            Some(_) => format!("{path} = not on the list"),
            None if super::was_skipped(source.verdict, Stage::Lists) => {
                format!("{told}: the lists stage did not run")
            }
            None => format!("{told}: the list was not loaded"),
        };
    }
    if slot.0 >= starts.features {
        let at = usize::from(slot.0 - starts.features);
        return match features::told_words(source, at) {
            Some(words) if value.is_some() => format!("{told} ({words})"),
            Some(words) => format!("{path}: {words}"),
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
mod tests {
    use super::*;

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
}
