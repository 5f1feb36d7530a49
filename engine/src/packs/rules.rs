//! `rules/*.yaml`: rules with their examples.

use super::manifest::{AUDIENCES, CLASSES, OUTCOMES, reason_code};
use super::slots::SlotValues;
use super::yaml::{Node, Reader, Yaml};
use crate::domain::{Audience, Outcome};
use crate::error::Place;
use crate::limits::SCORE_MAX;
use crate::rules::{Class, Mode, RuleSource, ScoreSource, Source};

/// A declared rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDecl {
    /// Its id within the pack.
    pub id: String,
    /// What it is about, for people.
    pub title: String,
    /// The condition.
    pub when: Source,
    /// What a hit asks for.
    pub outcome: Outcome,
    /// The score of a hit.
    pub score: ScoreSource,
    /// Reason code.
    pub code: String,
    /// What it is about, for the code map.
    pub class: Class,
    /// Who may see the reason.
    pub audience: Audience,
    /// Whether it counts.
    pub mode: Mode,
    /// Rows that must hit.
    pub hit: Vec<SlotValues>,
    /// Rows that must miss.
    pub miss: Vec<SlotValues>,
    /// Where it is declared.
    pub place: Place,
}

impl RuleDecl {
    /// The rule as `rules` compiles it.
    pub fn source(&self, pack: u16, pack_name: &str) -> RuleSource {
        RuleSource {
            pack,
            id: format!("{pack_name}/{}", self.id),
            title: self.title.clone(),
            when: self.when.clone(),
            outcome: self.outcome,
            score: self.score.clone(),
            code: self.code.clone(),
            class: self.class,
            audience: self.audience,
            mode: self.mode,
        }
    }
}

const KEYS: [&str; 10] =
    ["id", "title", "when", "outcome", "score", "code", "class", "audience", "mode", "examples"];
const MODES: [(&str, Mode); 2] = [("live", Mode::Live), ("shadow", Mode::Shadow)];

/// Reads one file of rules.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<RuleDecl> {
    let Some(fields) = reader.fields(node, "rules file", &["rules"]) else { return Vec::new() };
    let Some(list) = fields.must(reader, "rules file", "rules") else { return Vec::new() };
    let list = reader.list(list, "rules").unwrap_or_default();
    list.iter().filter_map(|node| rule(reader, node)).collect()
}

fn rule(reader: &mut Reader<'_>, node: &Node) -> Option<RuleDecl> {
    let fields = reader.fields(node, "rule", &KEYS)?;
    let id = fields.must(reader, "rule", "id").and_then(|node| reader.identifier(node, "id"));
    let title = fields.must(reader, "rule", "title").and_then(|node| reader.text(node, "title"));
    let when = fields.must(reader, "rule", "when").and_then(|node| reader.source(node, "when"));
    let outcome =
        fields.must(reader, "rule", "outcome").and_then(|node| reader.word(node, "outcome", &OUTCOMES));
    let score = fields.must(reader, "rule", "score").and_then(|node| score(reader, node));
    let code = fields.must(reader, "rule", "code").and_then(|node| reason_code(reader, node));
    let class = fields.maybe("class").and_then(|node| reader.word(node, "class", &CLASSES));
    let audience = fields.maybe("audience").and_then(|node| reader.word(node, "audience", &AUDIENCES));
    let mode = fields.maybe("mode").and_then(|node| reader.word(node, "mode", &MODES));
    let (hit, miss) =
        fields.maybe("examples").map_or((Vec::new(), Vec::new()), |node| examples(reader, node));
    Some(RuleDecl {
        id: id?.into(),
        title: title?.into(),
        when: when?,
        outcome: outcome?,
        score: score?,
        code: code?.into(),
        class: class.unwrap_or_default(),
        audience: audience.unwrap_or(Audience::Internal),
        mode: mode.unwrap_or_default(),
        hit,
        miss,
        place: reader.place(node),
    })
}

fn score(reader: &mut Reader<'_>, node: &Node) -> Option<ScoreSource> {
    match &node.value {
        Yaml::Text(_) => reader.source(node, "score").map(ScoreSource::Expression),
        Yaml::Float => reader
            .refuse_node(node, format!("score: expected an integer, 0 to {SCORE_MAX}, or a CEL expression")),
        _ => {
            let score = reader.int(node, "score", 0..=i64::from(SCORE_MAX))?;
            Some(ScoreSource::Constant(score as u16))
        }
    }
}

fn examples(reader: &mut Reader<'_>, node: &Node) -> (Vec<SlotValues>, Vec<SlotValues>) {
    let Some(fields) = reader.fields(node, "examples", &["hit", "miss"]) else {
        return (Vec::new(), Vec::new());
    };
    let mut rows = |key: &str| -> Vec<SlotValues> {
        let Some(node) = fields.maybe(key) else { return Vec::new() };
        let list = reader.list(node, key).unwrap_or_default();
        list.iter().filter_map(|node| SlotValues::read(reader, node, "example")).collect()
    };
    (rows("hit"), rows("miss"))
}
