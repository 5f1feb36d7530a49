//! `tests/*.yaml`: whole payments, with what the pack's rules must make of them.

use super::manifest::OUTCOMES;
use super::slots::SlotValues;
use super::yaml::{Node, Reader};
use crate::domain::Outcome;
use crate::error::Place;
use crate::limits::SCORE_MAX;

/// What a case expects; what is not given is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// The strongest outcome of the live rules that hit; `approve` when none does.
    pub outcome: Option<Outcome>,
    /// The highest score of the live rules that hit; 0 when none does.
    pub score: Option<u16>,
    /// The live rules that hit, all of them.
    pub hits: Option<Vec<String>>,
    /// The shadow rules that hit, all of them.
    pub shadow: Option<Vec<String>>,
    /// The rules that are undecided, all of them.
    pub undecided: Option<Vec<String>>,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name, for people.
    pub name: String,
    /// The payment.
    pub slots: SlotValues,
    /// What must come of it.
    pub expect: Expect,
    /// Where it stands.
    pub place: Place,
}

/// Reads one file of cases.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<Case> {
    let Some(fields) = reader.fields(node, "tests file", &["tests"]) else { return Vec::new() };
    let Some(list) = fields.must(reader, "tests file", "tests") else { return Vec::new() };
    let list = reader.list(list, "tests").unwrap_or_default();
    list.iter().filter_map(|node| case(reader, node)).collect()
}

fn case(reader: &mut Reader<'_>, node: &Node) -> Option<Case> {
    let fields = reader.fields(node, "test", &["name", "slots", "expect"])?;
    let name = fields.must(reader, "test", "name").and_then(|node| reader.text(node, "name"));
    let slots = fields.must(reader, "test", "slots").and_then(|node| SlotValues::read(reader, node, "slots"));
    let expect = fields.must(reader, "test", "expect").and_then(|node| expect(reader, node));
    Some(Case { name: name?.into(), slots: slots?, expect: expect?, place: reader.place(node) })
}

fn expect(reader: &mut Reader<'_>, node: &Node) -> Option<Expect> {
    let fields = reader.fields(node, "expect", &["outcome", "score", "hits", "shadow", "undecided"])?;
    let mut ids = |key: &str| {
        let node = fields.maybe(key)?;
        let list = reader.list(node, key)?;
        Some(list.iter().filter_map(|node| reader.text(node, key)).map(String::from).collect())
    };
    let (hits, shadow, undecided) = (ids("hits"), ids("shadow"), ids("undecided"));
    let outcome = fields.maybe("outcome").and_then(|node| reader.word(node, "outcome", &OUTCOMES));
    let score = fields.maybe("score").and_then(|node| reader.int(node, "score", 0..=i64::from(SCORE_MAX)));
    let expect = Expect { outcome, score: score.map(|score| score as u16), hits, shadow, undecided };
    if expect == Expect::default() {
        return reader.refuse_node(node, "expect is empty: the test could not fail");
    }
    Some(expect)
}
