//! A pattern as written, and what a rule's `matches` becomes when it is lifted into this stage.

use super::emit::Confirm;
use super::parse;
use crate::domain::catalogue::CATALOGUE;
use crate::domain::{Field, ValueType};
use crate::rules::Source;

/// Which view of a text a pattern is matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum View {
    /// The text as it came (after NFC).
    Raw,
    /// The text without case, accents, look-alikes, wide spacing and leetspeak; see [`super::fold()`].
    #[default]
    Folded,
}

impl View {
    /// All views.
    pub const ALL: [View; 2] = [View::Raw, View::Folded];
    /// The view's name, as in packs.
    pub const fn name(self) -> &'static str {
        match self {
            View::Raw => "raw",
            View::Folded => "folded",
        }
    }
}

/// Hyperscan's extended parameters. Offsets and lengths are bytes of the view's text, distances bytes changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Extended {
    /// A match ends at this offset or later.
    pub min_offset: Option<u32>,
    /// A match ends at this offset or earlier.
    pub max_offset: Option<u32>,
    /// A match is at least so long.
    pub min_length: Option<u32>,
    /// A match may differ by so many insertions, deletions and substitutions.
    pub edit_distance: Option<u8>,
    /// A match may differ by so many substitutions.
    pub hamming_distance: Option<u8>,
}

impl Extended {
    /// Whether none is given.
    pub fn is_none(&self) -> bool {
        *self == Extended::default()
    }
    /// Whether matches may differ from the pattern.
    pub fn is_approximate(&self) -> bool {
        self.edit_distance.is_some() || self.hamming_distance.is_some()
    }
}

/// A pattern as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternSource {
    /// Its id; rules read it as `patterns.ID`.
    pub id: String,
    /// The text fields it is looked for in; it hits when one of them matches.
    pub fields: Vec<Field>,
    /// The expression, or the text to be found when `literal`.
    pub text: Source,
    /// Whether `text` stands for itself.
    pub literal: bool,
    /// Which view of the fields.
    pub view: View,
    /// Whether case counts; raw view only.
    pub case_sensitive: bool,
    /// Extended parameters.
    pub extended: Extended,
}

/// A `matches("constant")` of a rule, run in this stage: raw view, case counts, as the `regex` crate means it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lift {
    /// The text field.
    pub field: Field,
    /// The expression.
    pub regex: String,
}

impl Lift {
    /// The lift of a pattern over a field, where this stage can answer exactly what the `regex` crate would.
    pub fn of(field: Field, regex: &str) -> Option<Lift> {
        if field.def().ty != ValueType::Text {
            return None;
        }
        let parsed = parse::lifted(regex)?;
        // A pattern that always needs its twin gains nothing from being found twice.
        let emitted = super::emit::emit(&parsed, false).ok()?;
        (emitted.confirm != Confirm::Always).then(|| Lift { field, regex: regex.into() })
    }
}

/// The fields that patterns may be looked for in, with their paths.
pub fn text_fields() -> impl Iterator<Item = (&'static str, Field)> {
    CATALOGUE.iter().filter(|def| def.ty == ValueType::Text).map(|def| (def.path, def.field))
}

/// The text field of a path.
pub fn field_by_path(path: &str) -> Option<Field> {
    text_fields().find(|(known, _)| *known == path).map(|(_, field)| field)
}
