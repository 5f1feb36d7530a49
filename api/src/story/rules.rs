//! Why a rule hit, missed or was undecided, in words: its condition part by part with the values it read, and of the
//! parts those that made the result.

use super::row::Row;
use super::words::{self, money};
use super::{Part, ToldRule, matched};
use crate::answer::Source;
use interdict_engine::domain::{Field, SlotId, SlotView};
use interdict_engine::rules::{Explained, Join, Read};

/// One rule's result and its reasons.
pub(super) fn told(row: &Row<'_>, source: &Source<'_>, number: u32) -> ToldRule {
    let generation = source.view.generation();
    let rule = generation.rules().rule(number);
    let explained = generation.rules().explain(number, generation.schema(), row);
    let (result, score) = match explained.result {
        Ok(Some(score)) => ("hit", Some(score)),
        Ok(None) => ("miss", None),
        Err(_) => ("undecided", None),
    };
    let mut parts = Vec::new();
    flatten(source, &explained.when, 0, &mut parts);
    let mut decisive = Vec::new();
    find_decisive(&explained.when, &mut decisive);
    let mut because: Vec<String> = decisive.into_iter().map(|part| sentence(source, part)).collect();
    if result == "undecided" && explained.when.truth == Some(true) {
        let missing = rule.slots().iter().filter(|slot| row.value(**slot).is_none());
        because = missing.map(|slot| words::slot(source, *slot, None)).collect();
        because.insert(0, "the condition holds, but its score cannot be computed".into());
    }
    ToldRule {
        rule: rule.id().to_owned(),
        title: rule.title().to_owned(),
        result,
        score,
        asks: rule.outcome().name(),
        code: rule.code().to_owned(),
        audience: rule.audience().name(),
        mode: rule.mode().name(),
        cancelled_by: None,
        parts,
        because,
        matched: matched::told(row, source, number),
    }
}

/// The parts in the order of the text. No deeper than an expression may nest.
fn flatten(source: &Source<'_>, part: &Explained, depth: usize, out: &mut Vec<Part>) {
    let text = match part.join {
        Join::Atom => one_line(&part.text),
        Join::All => "all of".into(),
        Join::Any => "any of".into(),
        Join::Not => "not".into(),
        Join::If => "if, then, else".into(),
    };
    let reads = part.reads.iter().map(|read| read_words(source, read)).collect();
    out.push(Part { depth, truth: truth_name(part.truth), text, reads });
    part.parts.iter().for_each(|part| flatten(source, part, depth + 1, out));
}

/// The atoms that made the result: of `&&` that is false the false ones, and so on.
fn find_decisive<'e>(part: &'e Explained, out: &mut Vec<&'e Explained>) {
    let all: Vec<&Explained> = part.parts.iter().collect();
    let like = |truth: Option<bool>| all.iter().copied().filter(|p| p.truth == truth).collect::<Vec<_>>();
    let matter = match (part.join, part.truth) {
        (Join::Atom, _) => {
            out.push(part);
            return;
        }
        (Join::All, Some(true)) | (Join::Any, Some(false)) | (Join::Not, _) => all,
        (Join::All, truth) | (Join::Any, truth) => like(truth),
        (Join::If, _) => {
            let branch = match all.first().and_then(|condition| condition.truth) {
                Some(true) => Some(1),
                Some(false) => Some(2),
                None => None,
            };
            [Some(0), branch].into_iter().flatten().filter_map(|at| all.get(at).copied()).collect()
        }
    };
    matter.into_iter().for_each(|part| find_decisive(part, out));
}

fn sentence(source: &Source<'_>, atom: &Explained) -> String {
    let reads: Vec<String> = atom.reads.iter().map(|read| read_words(source, read)).collect();
    let values = if reads.is_empty() { String::new() } else { format!(": {}", reads.join(", ")) };
    format!("{} is {}{values}", one_line(&atom.text), truth_name(atom.truth))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const fn truth_name(truth: Option<bool>) -> &'static str {
    match truth {
        Some(true) => "true",
        Some(false) => "false",
        None => "undecided",
    }
}

/// A value that an atom read: as the rule sees it, and in words where they say more.
fn read_words(source: &Source<'_>, read: &Read) -> String {
    let Some(value) = &read.value else { return words::slot(source, read.slot, None) };
    let tx = source.transaction;
    let is = |field: Field| read.slot == SlotId::from(field);
    let currency = match () {
        () if is(Field::AmountMinor) => Some(Field::AmountCurrency),
        () if is(Field::SettlementMinor) => Some(Field::SettlementCurrency),
        () => None,
    };
    match (currency, value.parse::<i64>()) {
        (Some(currency), Ok(minor)) => {
            format!("{} = {value} ({})", read.path, money(minor, tx.text(currency)))
        }
        _ => words::slot(source, read.slot, Some(value)),
    }
}
