//! What `screen` writes: RFC 4180 CSV or a JSON object a line. Scores are from 0 to 1 with three decimals, names as the
//! list writes them.

use super::List;
use super::input::Pair;
use interdict_engine::limits::SCORE_MAX;
use interdict_engine::similarity::names::Match;
use serde::Serialize;
use serde_json::value::RawValue;

/// The columns of names in CSV: the best match, and how many there are.
pub(super) const NAMES_HEADER: &[u8] = b"query,list,entry,name,score,matches\r\n";
/// The columns of pairs in CSV.
pub(super) const PAIRS_HEADER: &[u8] = b"name1,name2,schema,score,predicted\r\n";

#[derive(Serialize)]
struct Answer<'a> {
    query: &'a str,
    matches: Vec<Found<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct Found<'a> {
    list: &'a str,
    entry: &'a str,
    /// The name that matched.
    name: &'a str,
    score: Box<RawValue>,
    /// The entry's first name, where an alias matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<&'a str>,
}

#[derive(Serialize)]
struct Scored<'a> {
    name1: &'a str,
    name2: &'a str,
    schema: &'a str,
    score: Box<RawValue>,
    predicted: bool,
}

fn decimal(score: u16) -> String {
    format!("{}.{:03}", score / SCORE_MAX, score % SCORE_MAX)
}
fn number(score: u16) -> Box<RawValue> {
    RawValue::from_string(decimal(score)).expect("digits and a point are JSON")
}
fn json_line(value: &impl Serialize, line: &mut Vec<u8>) {
    serde_json::to_writer(&mut *line, value).expect("writing to memory");
    line.push(b'\n');
}
fn csv_line(values: &[&str], line: &mut Vec<u8>) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        if value.contains(['"', ',', '\r', '\n']) {
            line.push(b'"');
            line.extend_from_slice(value.replace('"', "\"\"").as_bytes());
            line.push(b'"');
        } else {
            line.extend_from_slice(value.as_bytes());
        }
    }
    line.extend_from_slice(b"\r\n");
}

fn found<'a>(lists: &'a [List], (number_of, hit): &(usize, Match)) -> Found<'a> {
    let list = &lists[*number_of];
    let entry = &list.bank.entries()[hit.entry as usize];
    let primary = (hit.name > 0).then(|| entry.names[0].name.as_str());
    let name = &entry.names[usize::from(hit.name)].name;
    Found { list: &list.name, entry: &entry.id, name, score: number(hit.score), primary }
}

/// A name and all its matches.
pub(super) fn names_json(
    query: &str,
    lists: &[List],
    matches: &[(usize, Match)],
    error: Option<&str>,
    line: &mut Vec<u8>,
) {
    let matches = matches.iter().map(|hit| found(lists, hit)).collect();
    json_line(&Answer { query, matches, error }, line);
}
/// A name and its best match; empty columns where there is none.
pub(super) fn names_csv(query: &str, lists: &[List], matches: &[(usize, Match)], line: &mut Vec<u8>) {
    let count = matches.len().to_string();
    let Some((number_of, hit)) = matches.first() else {
        return csv_line(&[query, "", "", "", "", &count], line);
    };
    let best = found(lists, &(*number_of, *hit));
    csv_line(&[query, best.list, best.entry, best.name, &decimal(hit.score), &count], line);
}
/// A pair with its score.
pub(super) fn pair_json(pair: &Pair, score: u16, predicted: bool, line: &mut Vec<u8>) {
    let (name1, name2, schema) = (pair.name1.as_str(), pair.name2.as_str(), pair.schema.as_str());
    json_line(&Scored { name1, name2, schema, score: number(score), predicted }, line);
}
/// A pair with its score.
pub(super) fn pair_csv(pair: &Pair, score: u16, predicted: bool, line: &mut Vec<u8>) {
    let predicted = if predicted { "true" } else { "false" };
    csv_line(&[&pair.name1, &pair.name2, &pair.schema, &decimal(score), predicted], line);
}
