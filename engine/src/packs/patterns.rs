//! `patterns/*.yaml`: patterns over text fields, with texts that must hit and texts that must not.

use super::PartCost;
use super::load::sorted;
use super::yaml::{Node, Reader, Yaml};
use crate::calibration::Calibration;
use crate::domain::{Field, SlotDef, ValueType};
use crate::error::{Error, ErrorKind, Place, nearest};
use crate::limits::{PATTERN_DISTANCE_MAX, PATTERNS_PER_PACK_MAX, TEXT_BYTES_MAX};
use crate::patterns::{
    Extended, PatternHits, PatternScratch, PatternSet, PatternSource, View, field_by_path, lint, text_fields,
};
use std::collections::HashMap;

/// Texts of examples, with their places.
type Texts = Vec<(String, Place)>;

/// A declared pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternDecl {
    /// What is looked for, and where.
    pub source: PatternSource,
    /// What it is for, for people.
    pub doc: String,
    /// Texts that must hit.
    pub hit: Vec<(String, Place)>,
    /// Texts that must not.
    pub miss: Vec<(String, Place)>,
    /// Where it is declared.
    pub place: Place,
}

impl PatternDecl {
    /// Its slot: `patterns.ID`.
    pub fn slot(&self) -> SlotDef {
        let fields: Vec<&str> = self.source.fields.iter().map(|field| field.def().path).collect();
        SlotDef {
            path: format!("patterns.{}", self.source.id),
            ty: ValueType::Bool,
            unit: String::new(),
            doc: format!("{} (in {}, {})", self.doc, fields.join(", "), self.source.view.name()),
        }
    }
    /// Whether another declaration looks for the same in the same texts, wherever it stands.
    pub fn means_the_same(&self, other: &PatternDecl) -> bool {
        let key = |decl: &PatternDecl| {
            let s = &decl.source;
            (s.text.text().to_string(), s.fields.clone(), s.literal, s.view, s.case_sensitive, s.extended)
        };
        key(self) == key(other)
    }
}

const KEYS: [&str; 13] = [
    "id",
    "fields",
    "regex",
    "literal",
    "view",
    "doc",
    "case_sensitive",
    "edit_distance",
    "hamming_distance",
    "min_offset",
    "max_offset",
    "min_length",
    "examples",
];
const VIEWS: [(&str, View); 2] = [("raw", View::Raw), ("folded", View::Folded)];

/// Reads one file of patterns by itself.
///
/// # Errors
/// Everything that is wrong with it, sorted by place.
pub fn read_patterns(file: &str, bytes: &[u8]) -> Result<Vec<PatternDecl>, Vec<Error>> {
    let (mut reader, node) = Reader::open(file, bytes);
    let decls = node.map_or(Vec::new(), |node| read(&mut reader, &node));
    if reader.errors.is_empty() { Ok(decls) } else { Err(sorted(reader.errors)) }
}

/// Reads one file of patterns.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<PatternDecl> {
    let Some(fields) = reader.fields(node, "patterns file", &["patterns"]) else { return Vec::new() };
    let Some(list) = fields.must(reader, "patterns file", "patterns") else { return Vec::new() };
    let list = reader.list(list, "patterns").unwrap_or_default();
    list.iter().filter_map(|node| pattern(reader, node)).collect()
}

fn pattern(reader: &mut Reader<'_>, node: &Node) -> Option<PatternDecl> {
    let before = reader.errors.len();
    let fields = reader.fields(node, "pattern", &KEYS)?;
    let id = fields.must(reader, "pattern", "id").and_then(|node| super::slot_name(reader, node, "id"));
    let looked = fields.must(reader, "pattern", "fields").map(|node| fields_of(reader, node));
    let doc = fields.must(reader, "pattern", "doc").and_then(|node| reader.text(node, "doc"));
    let (regex, literal) = (fields.maybe("regex"), fields.maybe("literal"));
    let text = match (regex, literal) {
        (Some(node), None) => reader.source(node, "regex"),
        (None, Some(node)) => reader.source(node, "literal"),
        (Some(_), Some(node)) => reader.refuse_node(node, "pattern: regex and literal exclude each other"),
        (None, None) => reader.refuse(fields.place.clone(), "pattern: regex or literal is missing"),
    };
    let view = fields.maybe("view").and_then(|node| reader.word(node, "view", &VIEWS));
    let case_sensitive = fields.maybe("case_sensitive").and_then(|node| reader.flag(node, "case_sensitive"));
    let mut number = |key: &str, most: i64, least: i64| {
        fields.maybe(key).and_then(|node| reader.int(node, key, least..=most)).map(|n| n as u32)
    };
    let (bytes, distance) = (TEXT_BYTES_MAX as i64, i64::from(PATTERN_DISTANCE_MAX));
    let extended = Extended {
        min_offset: number("min_offset", bytes, 0),
        max_offset: number("max_offset", bytes, 0),
        min_length: number("min_length", bytes, 1),
        edit_distance: number("edit_distance", distance, 1).map(|n| n as u8),
        hamming_distance: number("hamming_distance", distance, 1).map(|n| n as u8),
    };
    let (hit, miss) =
        fields.maybe("examples").map_or((Vec::new(), Vec::new()), |node| examples(reader, node));
    if reader.errors.len() > before {
        return None;
    }
    let source = PatternSource {
        id: id?,
        fields: looked?,
        text: text?,
        literal: literal.is_some(),
        view: view.unwrap_or_default(),
        case_sensitive: case_sensitive.unwrap_or(false),
        extended,
    };
    Some(PatternDecl { source, doc: doc?.into(), hit, miss, place: reader.place(node) })
}

fn fields_of(reader: &mut Reader<'_>, node: &Node) -> Vec<Field> {
    let one = std::slice::from_ref(node);
    let list = match &node.value {
        Yaml::Text(_) => one,
        _ => reader.list(node, "fields").unwrap_or_default(),
    };
    let mut found = Vec::new();
    for node in list {
        let Some(path) = reader.text(node, "fields") else { continue };
        match field_by_path(path) {
            Some(field) if !found.contains(&field) => found.push(field),
            Some(_) => {}
            None => {
                let near = nearest(path, text_fields().map(|(path, _)| path));
                let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
                reader.refuse_node::<()>(node, format!("fields {path:?}: not a text field{near}"));
            }
        }
    }
    found
}

fn examples(reader: &mut Reader<'_>, node: &Node) -> (Texts, Texts) {
    let Some(fields) = reader.fields(node, "examples", &["hit", "miss"]) else {
        return (Vec::new(), Vec::new());
    };
    let mut texts = |key: &str| -> Vec<(String, Place)> {
        let Some(node) = fields.maybe(key) else { return Vec::new() };
        let mut texts = Vec::new();
        for node in reader.list(node, key).unwrap_or_default() {
            texts.extend(reader.text(node, key).map(|text| (text.to_string(), reader.place(node))));
        }
        texts
    };
    (texts("hit"), texts("miss"))
}

/// The patterns of all packs of a generation, each once, in the order of their slots. Packs that declare the same
/// under one id share it.
///
/// # Errors
/// `Invalid` for two patterns of one id that differ, `TooLarge` past `PATTERNS_PER_PACK_MAX`.
pub fn merge_patterns<'p>(
    packs: impl IntoIterator<Item = (&'p str, &'p [PatternDecl])>,
) -> Result<Vec<&'p PatternDecl>, Vec<Error>> {
    let (mut merged, mut errors) = (Vec::new(), Vec::new());
    let mut known: HashMap<&str, (&str, &PatternDecl)> = HashMap::new();
    for (pack, decls) in packs {
        if decls.len() > PATTERNS_PER_PACK_MAX {
            let message =
                format!("pack {pack:?} has {} patterns, limit {PATTERNS_PER_PACK_MAX}", decls.len());
            errors.push(Error::new(ErrorKind::TooLarge, message));
        }
        for decl in decls {
            let id = decl.source.id.as_str();
            match known.get(id) {
                Some((other, first)) if *other != pack && first.means_the_same(decl) => {}
                Some((other, first)) => {
                    let message = match *other == pack {
                        true => format!("pattern {id:?} is declared twice, first at {}", first.place),
                        false => format!(
                            "pack {pack:?}: pattern {id:?} differs from the one pack {other:?} declares at {}",
                            first.place
                        ),
                    };
                    errors.push(Error::new(ErrorKind::Invalid, message).at(decl.place.clone()));
                }
                None => {
                    known.insert(id, (pack, decl));
                    merged.push(decl);
                }
            }
        }
    }
    if errors.is_empty() { Ok(merged) } else { Err(sorted(errors)) }
}

/// What a check of a pack's patterns found.
#[derive(Debug, Clone, Default)]
pub struct PatternReport {
    /// Patterns that do not compile, lack examples, or do not do what their examples say.
    pub errors: Vec<Error>,
    /// Shapes that cost more than they need.
    pub warnings: Vec<Error>,
    /// What each pattern adds to a scan of every field, in their order.
    pub costs: Vec<PartCost>,
    /// What a scan costs beside that.
    pub shared: Vec<PartCost>,
}

/// Checks the patterns of a pack: they compile, have examples, and their examples hold; and says what they cost.
pub fn check_patterns(decls: &[PatternDecl], costs: &Calibration) -> PatternReport {
    let mut report = PatternReport::default();
    for decl in decls {
        for (texts, what) in [(&decl.hit, "hit"), (&decl.miss, "miss")] {
            if texts.is_empty() {
                let id = &decl.source.id;
                let message = format!(
                    "pattern {id:?}: examples.{what} is missing; every pattern shows a text that must {what}"
                );
                report.errors.push(Error::new(ErrorKind::Invalid, message).at(decl.place.clone()));
            }
        }
    }
    let sources: Vec<PatternSource> = decls.iter().map(|decl| decl.source.clone()).collect();
    report.warnings = sorted(lint(&sources));
    match PatternSet::compile(&sources, &[], None) {
        Ok(set) => {
            try_examples(decls, &set, &mut report.errors);
            let each = sources.iter().zip(set.costs_ps(costs));
            let part = |(source, ps): (&PatternSource, u64)| PartCost {
                part: format!("pattern {:?}", source.id),
                ps,
            };
            report.costs = each.map(part).collect();
            let shared = set.shared_costs_ps(costs).into_iter();
            report.shared = shared.map(|(part, ps)| PartCost { part, ps }).collect();
        }
        Err(errors) => report.errors.extend(errors),
    }
    report.errors = sorted(report.errors);
    report
}

fn try_examples(decls: &[PatternDecl], set: &PatternSet, errors: &mut Vec<Error>) {
    let (mut scratch, mut hits) = (PatternScratch::default(), PatternHits::default());
    for (number, decl) in decls.iter().enumerate() {
        let field = decl.source.fields[0];
        let expected = decl.hit.iter().map(|text| (text, true)).chain(decl.miss.iter().map(|t| (t, false)));
        for ((text, place), must_hit) in expected {
            let text_of = |of: Field| (of == field).then_some(text.as_str());
            if let Err(error) = set.scan_fields(&text_of, &mut scratch, &mut hits) {
                errors.push(error.at(place.clone()));
                continue;
            }
            if set.hit(&hits, number as u32) != Some(must_hit) {
                let (expected, got) = if must_hit { ("a hit", "a miss") } else { ("a miss", "a hit") };
                let message =
                    format!("example of pattern {:?}: expected {expected}, got {got}", decl.source.id);
                errors.push(Error::new(ErrorKind::Invalid, message).at(place.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILE: &str = r#"patterns:
  - id: gift_cards
    fields: [text, merchant.name]
    regex: '\bgift ?cards?\b'
    doc: gift cards
    examples:
      hit: ["Buy a GIFT CARD", "g i f t  c a r d", "g1ftc4rds"]
      miss: ["a gifted cardiologist"]
  - id: mule_account
    fields: text
    literal: "a.b+c"
    view: raw
    case_sensitive: true
    edit_distance: 1
    doc: a reference seen with mules
    examples: {hit: ["x a.b-c"], miss: ["A.B+C"]}
"#;

    #[test]
    fn patterns_are_read_checked_and_shared() {
        let decls = read_patterns("patterns/scams.yaml", FILE.as_bytes()).unwrap();
        assert_eq!(decls[0].source.fields, [Field::Text, Field::MerchantName]);
        assert_eq!(decls[0].slot().path, "patterns.gift_cards");
        let report = check_patterns(&decls, &Calibration::default());
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        let told = |parts: &[PartCost]| -> Vec<String> {
            parts.iter().map(|part| format!("{} {}", part.part, part.told())).collect()
        };
        // Three readings of two fields; one text with a distance.
        assert_eq!(told(&report.costs), ["pattern \"gift_cards\" 6.0 ns", "pattern \"mule_account\" 0.2 us"]);
        let shared = [
            "folding of merchant.name 2.0 us",
            "database of merchant.name (1 pattern) 0.4 us",
            "database of text, raw view (1 pattern) 0.1 us",
            "folding of text 2.0 us",
            "database of text (1 pattern) 0.4 us",
        ];
        let mut got = told(&report.shared);
        got.sort();
        let mut wanted = shared.map(String::from).to_vec();
        wanted.sort();
        assert_eq!(got, wanted);
        let other = read_patterns("patterns/x.yaml", FILE.replace("c a r d", "card").as_bytes()).unwrap();
        assert_eq!(merge_patterns([("a", &decls[..]), ("b", &other[..])]).unwrap().len(), 2);
        let other = read_patterns("patterns/x.yaml", FILE.replace("cards?", "card").as_bytes()).unwrap();
        let errors = merge_patterns([("a", &decls[..]), ("b", &other[..])]).unwrap_err();
        assert!(errors[0].message.contains("differs"), "{errors:?}");
        assert!(merge_patterns([("a", &[&decls[..], &decls[..]].concat()[..])]).is_err());
    }

    #[test]
    fn every_error_names_its_line() {
        let wrong = FILE
            .replace("merchant.name", "merchant.nme")
            .replace("edit_distance: 1", "edit_distance: 9")
            .replace("doc: a reference", "docs: a reference");
        let errors = read_patterns("patterns/scams.yaml", wrong.as_bytes()).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("patterns/scams.yaml:3:") && told[0].contains("merchant.name"));
        for (change, line, says) in
            [("gift ?cards?\\b", 4, "unclosed"), ("a gifted cardiologist", 8, "expected a miss")]
        {
            let by = if says == "unclosed" { "gift(" } else { "a gift card" };
            let decls = read_patterns("patterns/scams.yaml", FILE.replace(change, by).as_bytes()).unwrap();
            let told = check_patterns(&decls, &Calibration::default()).errors[0].to_string();
            assert!(
                told.starts_with(&format!("patterns/scams.yaml:{line}:")) && told.contains(says),
                "{told}"
            );
        }
    }
}
