//! The column mapping of a feed (`[feed.columns]`): for each of our fields the source's column, a constant or a
//! template, checked against the wire's names before the first row is read.

use crate::decode::shape::{LeafType, REQUEST};
use crate::error::shown_name;
use crate::normalise::time::duration_ms;
use interdict_engine::error::nearest;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a config section may hold; TOML's dotted keys (`amount.minor = …`) arrive as tables within tables.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Tree {
    Int(i64),
    Text(String),
    Table(BTreeMap<String, Tree>),
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A column, as it is.
    Column(String),
    /// A column of amounts in major units (`scale = "minor"`): scaled by the currency's exponent.
    Major(String),
    /// A column of integers since the Unix epoch, and how many ms one is: negative for fractions of a ms.
    Epoch(String, EpochUnit),
    /// The same text in every record.
    Text(String),
    /// The same integer in every record.
    Int(i64),
    /// Literal text and columns in turn.
    Template(Vec<Piece>),
}

/// The unit of a column of integer times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl EpochUnit {
    /// The time in ms; finer digits are rounded down; `None` past the range of an i64.
    pub fn to_ms(self, value: i64) -> Option<i64> {
        match self {
            EpochUnit::S => value.checked_mul(1000),
            EpochUnit::Ms => Some(value),
            EpochUnit::Us => Some(value.div_euclid(1_000)),
            EpochUnit::Ns => Some(value.div_euclid(1_000_000)),
        }
    }
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Literal(String),
    /// A column's value.
    Column(String),
}

/// A checked column mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Tree>")]
pub struct ColumnMap {
    fields: Vec<(u8, Source)>,
    label: Option<String>,
    label_delay_ms: i64,
}

impl ColumnMap {
    /// Number of each mapped leaf and its source, in the mapping's order.
    pub(crate) fn fields(&self) -> &[(u8, Source)] {
        &self.fields
    }
    /// The column of labels: nonzero, true or `fraud` is fraud, zero, false or `good` is good, null is unknown.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
    /// How long after the event a label may be seen, in ms.
    pub fn label_delay_ms(&self) -> i64 {
        self.label_delay_ms
    }
}

impl TryFrom<BTreeMap<String, Tree>> for ColumnMap {
    type Error = String;
    fn try_from(tree: BTreeMap<String, Tree>) -> Result<ColumnMap, String> {
        let mut map = ColumnMap::default();
        map.add("", tree)?;
        Ok(map)
    }
}

impl ColumnMap {
    fn add(&mut self, prefix: &str, table: BTreeMap<String, Tree>) -> Result<(), String> {
        for (name, tree) in table {
            let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match (path.as_str(), tree) {
                ("label", Tree::Text(column)) => self.label = Some(column),
                ("label_delay", Tree::Text(delay)) => {
                    self.label_delay_ms = duration_ms(&delay)
                        .ok_or_else(|| format!("label_delay is {delay:?}, expected a duration such as 7d"))?;
                }
                ("label" | "label_delay", _) => return Err(format!("{path}: expected text")),
                // A table is a source or a step of a path; no field of ours is called like a source's keys.
                (_, Tree::Table(inner)) if !is_source(&inner) => self.add(&path, inner)?,
                (_, tree) => {
                    let leaf = REQUEST.leaf(&path).ok_or_else(|| unknown(&path))?;
                    let source = source(&path, REQUEST.leaves[usize::from(leaf)].ty, tree)?;
                    self.fields.push((leaf, source));
                }
            }
        }
        Ok(())
    }
}

fn unknown(path: &str) -> String {
    let known = REQUEST.leaves.iter().map(|leaf| leaf.path).chain(["label", "label_delay"]);
    match nearest(path, known) {
        Some(near) => format!("unknown field {:?}; the nearest is {near}", shown_name(path)),
        None => format!("unknown field {:?}", shown_name(path)),
    }
}

const SOURCE_KEYS: [&str; 5] = ["column", "const", "template", "scale", "unit"];

fn is_source(table: &BTreeMap<String, Tree>) -> bool {
    table.keys().any(|key| SOURCE_KEYS.contains(&key.as_str()))
}

fn source(path: &str, ty: LeafType, tree: Tree) -> Result<Source, String> {
    let table = match tree {
        Tree::Text(column) => return Ok(Source::Column(column)),
        Tree::Int(_) => {
            return Err(format!("{path}: expected a column's name; a constant is {{ const = … }}"));
        }
        Tree::Table(table) => table,
    };
    let text = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(Tree::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{path}.{key}: expected text")),
    };
    if let Some(key) = table.keys().find(|key| !SOURCE_KEYS.contains(&key.as_str())) {
        return Err(format!("{path}.{key}: expected column, const, template, scale or unit"));
    }
    let is_time = matches!(path, "time" | "settles_at");
    let has = |key: &str| usize::from(table.contains_key(key));
    if has("column") + has("const") + has("template") != 1 {
        return Err(format!("{path}: expected exactly one of column, const, template"));
    }
    if has("column") == 0 && has("scale") + has("unit") > 0 {
        return Err(format!("{path}: scale and unit go with column"));
    }
    match (table.get("const"), ty) {
        (Some(Tree::Text(value)), LeafType::Text) => return Ok(Source::Text(value.clone())),
        (Some(Tree::Int(value)), LeafType::Int) => return Ok(Source::Int(*value)),
        (Some(_), LeafType::Int) => return Err(format!("{path}.const: expected an integer")),
        (Some(_), _) => return Err(format!("{path}.const: expected text")),
        (None, _) => {}
    }
    if let Some(template) = text("template")? {
        if ty != LeafType::Text || is_time {
            return Err(format!("{path}: a template gives text, which this field is not"));
        }
        return parse_template(&template)
            .ok_or_else(|| format!("{path}: {template:?} has an unclosed brace"));
    }
    let column = text("column")?.ok_or_else(|| format!("{path}.column: expected a column's name"))?;
    match (text("scale")?.as_deref(), text("unit")?.as_deref()) {
        (None, None) => Ok(Source::Column(column)),
        (Some("minor"), None) if path.ends_with(".minor") => Ok(Source::Major(column)),
        (None, Some(unit)) if is_time => {
            let unit = match unit {
                "s" => EpochUnit::S,
                "ms" => EpochUnit::Ms,
                "us" => EpochUnit::Us,
                "ns" => EpochUnit::Ns,
                _ => return Err(format!("{path}.unit is {unit:?}, expected s, ms, us or ns")),
            };
            Ok(Source::Epoch(column, unit))
        }
        (Some(scale), _) => Err(format!("{path}.scale is {scale:?}, expected \"minor\", for amounts only")),
        (None, Some(_)) => Err(format!("{path}.unit: only times have one")),
    }
}

fn parse_template(template: &str) -> Option<Source> {
    let (mut pieces, mut rest) = (Vec::new(), template);
    while let Some((literal, after)) = rest.split_once('{') {
        let (column, after) = after.split_once('}')?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        pieces.push(Piece::Column(column.into()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.into()));
    }
    Some(Source::Template(pieces))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ColumnMap, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn dotted_and_nested_keys_mean_the_same() {
        let flat = parse(
            r#"{"card.token": "C", "amount.minor": {"column": "A", "scale": "minor"}, "amount.currency": {"const": "EUR"},
                "terminal.id": {"template": "T-{X}-{Y}"}, "time": {"column": "T", "unit": "us"},
                "label": "F", "label_delay": "7d"}"#,
        )
        .unwrap();
        let nested = parse(
            r#"{"card": {"token": "C"}, "amount": {"minor": {"column": "A", "scale": "minor"}, "currency": {"const": "EUR"}},
                "terminal": {"id": {"template": "T-{X}-{Y}"}}, "time": {"column": "T", "unit": "us"},
                "label": "F", "label_delay": "7d"}"#,
        )
        .unwrap();
        let sorted = |map: &ColumnMap| {
            let mut fields = map.fields.clone();
            fields.sort_by_key(|(leaf, _)| *leaf);
            fields
        };
        assert_eq!(sorted(&flat), sorted(&nested));
        assert_eq!((flat.label(), flat.label_delay_ms()), (Some("F"), 604_800_000));
        let template = sorted(&flat).into_iter().find_map(|(_, source)| match source {
            Source::Template(pieces) => Some(pieces),
            _ => None,
        });
        let (literal, column) = (|t: &str| Piece::Literal(t.into()), |t: &str| Piece::Column(t.into()));
        assert_eq!(template, Some(vec![literal("T-"), column("X"), literal("-"), column("Y")]));
    }

    #[test]
    fn wrong_mappings_say_what_was_expected() {
        for (json, part) in [
            (r#"{"merchant.nmae": "X"}"#, "nearest is merchant.name"),
            (r#"{"merchant": {"nmae": "X"}}"#, "nearest is merchant.name"),
            (r#"{"amount.minor": 5}"#, "expected a column's name"),
            (r#"{"amount.minor": {"const": "5"}}"#, "expected an integer"),
            (r#"{"amount.minor": {"column": "A", "scale": "major"}}"#, "expected \"minor\""),
            (r#"{"id": {"column": "A", "scale": "minor"}}"#, "for amounts only"),
            (r#"{"id": {"column": "A", "unit": "s"}}"#, "only times"),
            (r#"{"time": {"column": "A", "unit": "h"}}"#, "expected s, ms, us or ns"),
            (r#"{"id": {"template": "x{"}}"#, "unclosed brace"),
            (r#"{"id": {"column": "A", "const": "B"}}"#, "exactly one of"),
            (r#"{"id": {"column": "A", "colour": "B"}}"#, "expected column, const"),
            (r#"{"label_delay": "soon"}"#, "such as 7d"),
        ] {
            let error = parse(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn epochs_round_down_and_do_not_overflow() {
        assert_eq!(EpochUnit::Us.to_ms(-1), Some(-1));
        assert_eq!(EpochUnit::Ns.to_ms(1_999_999), Some(1));
        assert_eq!(EpochUnit::S.to_ms(i64::MAX), None);
    }
}
