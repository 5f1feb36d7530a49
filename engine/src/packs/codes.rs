//! Outcomes in the codes of the networks: ISO 8583 data element 39 and ISO 20022 pacs.002 status and reason. A table is
//! built in (`docs/PACKS.md`); `codes.yaml` puts a pack's own rows before it. Per network, because they differ:
//! 57 means another thing in GICC, 65 on Mastercard e-commerce asks for authentication.

use super::manifest::{CLASSES, OUTCOMES};
use super::yaml::{Node, Reader};
use crate::domain::Outcome;
use crate::rules::Class;

/// What an outcome is called on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes {
    /// ISO 8583:1987 response code (DE39).
    pub iso8583: Option<String>,
    /// pacs.002 transaction status.
    pub status: Option<String>,
    /// pacs.002 status reason.
    pub reason: Option<String>,
}

/// A row of the map. It applies when everything it names fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    /// The network; `None`: any.
    pub network: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// What the decisive reason is about; `None`: anything.
    pub class: Option<Class>,
    /// The codes.
    pub codes: Codes,
}

/// The map from outcomes to codes: a pack's own rows, then the built-in ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeMap {
    rows: Vec<CodeRow>,
}

/// Network, outcome, class, DE39, pacs.002 status, reason; empty is "none" or "any".
type BuiltIn = (&'static str, Outcome, Option<Class>, &'static str, &'static str, &'static str);

const BUILT_IN: [BuiltIn; 14] = [
    ("", Outcome::Recorded, None, "00", "", ""),
    ("", Outcome::Approve, None, "00", "ACTC", ""),
    ("", Outcome::Review, None, "00", "ACTC", ""),
    ("visa", Outcome::Challenge, None, "1A", "", ""),
    ("mastercard", Outcome::Challenge, None, "65", "", ""),
    ("", Outcome::Challenge, None, "05", "RJCT", "NARR"),
    ("", Outcome::Hold, None, "00", "ACWP", "NARR"),
    ("visa", Outcome::Decline, Some(Class::Sanctions), "64", "RJCT", "RR04"),
    ("", Outcome::Decline, Some(Class::Sanctions), "62", "RJCT", "RR04"),
    ("", Outcome::Decline, Some(Class::Restricted), "62", "RJCT", "AG01"),
    ("", Outcome::Decline, Some(Class::LostStolen), "41", "RJCT", "AC06"),
    ("", Outcome::Decline, Some(Class::Velocity), "61", "RJCT", "AM02"),
    ("", Outcome::Decline, Some(Class::Security), "63", "RJCT", "NARR"),
    ("", Outcome::Decline, None, "59", "RJCT", "FRAD"),
];

impl Default for CodeMap {
    fn default() -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
        let rows = BUILT_IN.iter().map(|(network, outcome, class, iso8583, status, reason)| CodeRow {
            network: some(network),
            outcome: *outcome,
            class: *class,
            codes: Codes { iso8583: some(iso8583), status: some(status), reason: some(reason) },
        });
        CodeMap { rows: rows.collect() }
    }
}

impl CodeMap {
    /// The built-in map with rows of one's own before it.
    pub fn with(mut own: Vec<CodeRow>) -> CodeMap {
        own.extend(CodeMap::default().rows);
        CodeMap { rows: own }
    }
    /// Whether any row names a network.
    pub fn knows(&self, network: &str) -> bool {
        let named = self.rows.iter().filter_map(|row| row.network.as_deref());
        named.into_iter().any(|name| name.eq_ignore_ascii_case(network))
    }
    /// The codes of an outcome whose decisive reason is of a class, on a network (`None`: no network is known). The
    /// row that names most decides; of equals the first.
    pub fn codes(&self, network: Option<&str>, outcome: Outcome, class: Class) -> &Codes {
        let fits = |row: &&CodeRow| {
            row.outcome == outcome
                && row.class.is_none_or(|of| of == class)
                && row
                    .network
                    .as_deref()
                    .is_none_or(|of| network.is_some_and(|name| name.eq_ignore_ascii_case(of)))
        };
        // `max_by_key` keeps the last of equals, so the rows are walked from the end.
        let named = |row: &&CodeRow| (row.network.is_some(), row.class.is_some());
        let best = self.rows.iter().rev().filter(fits).max_by_key(named);
        &best.expect("the built-in map names every outcome").codes
    }
    /// All rows, a pack's own first.
    pub fn rows(&self) -> &[CodeRow] {
        &self.rows
    }
}

/// Reads `codes.yaml`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<CodeRow> {
    let Some(fields) = reader.fields(node, "codes.yaml", &["codes"]) else { return Vec::new() };
    let Some(list) = fields.must(reader, "codes.yaml", "codes") else { return Vec::new() };
    let list = reader.list(list, "codes").unwrap_or_default();
    list.iter().filter_map(|node| row(reader, node)).collect()
}

fn row(reader: &mut Reader<'_>, node: &Node) -> Option<CodeRow> {
    let fields = reader.fields(node, "code", &["network", "outcome", "class", "iso8583", "iso20022"])?;
    let network = fields.maybe("network").and_then(|node| reader.identifier(node, "network"));
    let outcome =
        fields.must(reader, "code", "outcome").and_then(|node| reader.word(node, "outcome", &OUTCOMES));
    let class = fields.maybe("class").and_then(|node| reader.word(node, "class", &CLASSES));
    let iso8583 = fields.maybe("iso8583").and_then(|node| code(reader, node, "iso8583", 2..=4));
    let (mut status, mut reason) = (None, None);
    if let Some(node) = fields.maybe("iso20022") {
        let fields = reader.fields(node, "iso20022", &["status", "reason"])?;
        status =
            fields.must(reader, "iso20022", "status").and_then(|node| code(reader, node, "status", 4..=4));
        reason = fields.maybe("reason").and_then(|node| code(reader, node, "reason", 1..=4));
    }
    if iso8583.is_none() && status.is_none() {
        return reader.refuse_node(node, "code: neither iso8583 nor iso20022 is given");
    }
    let codes = Codes { iso8583, status, reason };
    Some(CodeRow { network: network.map(String::from), outcome: outcome?, class, codes })
}

fn code(
    reader: &mut Reader<'_>,
    node: &Node,
    key: &str,
    length: std::ops::RangeInclusive<usize>,
) -> Option<String> {
    let text = reader.text(node, key)?;
    if length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return Some(text.into());
    }
    let message =
        format!("{key} {text:?}: expected {} to {} capitals or digits", length.start(), length.end());
    reader.refuse_node(node, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_row_decides_and_own_rows_come_first() {
        let map = CodeMap::default();
        let de39 =
            |map: &CodeMap, network, outcome, class| map.codes(network, outcome, class).iso8583.clone();
        assert_eq!(de39(&map, None, Outcome::Decline, Class::Fraud).as_deref(), Some("59"));
        assert_eq!(de39(&map, Some("VISA"), Outcome::Decline, Class::Sanctions).as_deref(), Some("64"));
        assert_eq!(de39(&map, Some("other"), Outcome::Decline, Class::Sanctions).as_deref(), Some("62"));
        assert_eq!(de39(&map, Some("visa"), Outcome::Decline, Class::Fraud).as_deref(), Some("59"));
        for outcome in Outcome::ALL {
            for class in Class::ALL {
                assert!(map.codes(None, outcome, class).iso8583.is_some());
            }
        }
        let own = CodeRow {
            network: None,
            outcome: Outcome::Decline,
            class: None,
            codes: Codes { iso8583: Some("05".into()), ..Codes::default() },
        };
        let map = CodeMap::with(vec![own]);
        assert_eq!(de39(&map, None, Outcome::Decline, Class::Fraud).as_deref(), Some("05"));
        assert_eq!(de39(&map, None, Outcome::Decline, Class::Velocity).as_deref(), Some("61"));
    }
}
