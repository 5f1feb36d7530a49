//! `screens.yaml`: which name fields are screened against which watchlists, and from which score on a listed name
//! counts as a match.

use super::yaml::{Node, Reader};
use crate::domain::Field;
use crate::error::Place;
use crate::limits::{SCORE_MAX, WATCHLISTS_PER_SCREEN_MAX};

/// The cut-off of a screen that declares none.
pub const CUTOFF_DEFAULT: u16 = 800;

/// A declared screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenDecl {
    /// Its name; its slots are `names.ID.score` and `names.ID.matches`.
    pub id: String,
    /// What it is for, for people.
    pub doc: String,
    /// The name field it reads.
    pub field: Field,
    /// The watchlists it searches, by name.
    pub watchlists: Vec<String>,
    /// The least score that counts, 1 to 1000.
    pub cutoff: u16,
    /// Where it is declared.
    pub place: Place,
}

impl ScreenDecl {
    /// Whether two declarations ask for the same.
    pub fn is_same(&self, other: &ScreenDecl) -> bool {
        (&self.id, self.field, &self.watchlists, self.cutoff)
            == (&other.id, other.field, &other.watchlists, other.cutoff)
    }
}

const KEYS: [&str; 5] = ["id", "doc", "field", "watchlists", "cutoff"];
const FIELDS: [(&str, Field); 3] = [
    ("payee.name", Field::PayeeName),
    ("payer.name", Field::PayerName),
    ("merchant.name", Field::MerchantName),
];

/// Reads `screens.yaml`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<ScreenDecl> {
    let Some(fields) = reader.fields(node, "screens.yaml", &["screens"]) else { return Vec::new() };
    let Some(list) = fields.must(reader, "screens.yaml", "screens") else { return Vec::new() };
    let mut screens: Vec<ScreenDecl> = Vec::new();
    for node in reader.list(list, "screens").unwrap_or_default() {
        let Some(screen) = screen(reader, node) else { continue };
        if let Some(first) = screens.iter().find(|known| known.id == screen.id) {
            let message = format!("screen {:?} is declared twice, first at {}", screen.id, first.place);
            reader.refuse_node::<()>(node, message);
            continue;
        }
        screens.push(screen);
    }
    screens
}

fn screen(reader: &mut Reader<'_>, node: &Node) -> Option<ScreenDecl> {
    let fields = reader.fields(node, "screen", &KEYS)?;
    let id = fields.must(reader, "screen", "id").and_then(|node| super::slot_name(reader, node, "id"));
    let doc = fields.maybe("doc").and_then(|node| reader.text(node, "doc"));
    let field = fields.must(reader, "screen", "field").and_then(|node| reader.word(node, "field", &FIELDS));
    let watchlists = fields.must(reader, "screen", "watchlists").and_then(|node| watchlists(reader, node));
    let cutoff = fields
        .maybe("cutoff")
        .map_or(Some(i64::from(CUTOFF_DEFAULT)), |node| reader.int(node, "cutoff", 1..=i64::from(SCORE_MAX)));
    Some(ScreenDecl {
        id: id?,
        doc: doc.unwrap_or_default().into(),
        field: field?,
        watchlists: watchlists?,
        cutoff: cutoff? as u16,
        place: reader.place(node),
    })
}

fn watchlists(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let list = reader.list(node, "watchlists")?;
    let names: Vec<String> =
        list.iter().filter_map(|node| reader.identifier(node, "watchlist")).map(String::from).collect();
    if names.is_empty() || names.len() > WATCHLISTS_PER_SCREEN_MAX {
        let message = format!("watchlists has {} names, limit 1 to {WATCHLISTS_PER_SCREEN_MAX}", names.len());
        return reader.refuse_node(node, message);
    }
    Some(names)
}
