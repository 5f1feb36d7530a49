//! A column mapping bound to a source's columns: one row of cells to read values, the same for Parquet and JSONL. No
//! JSON in between; identifiers that are numbers are spelled in plain decimal.

use super::FeedLabel;
use super::columns::{ColumnMap, EpochUnit, Piece, Source};
use crate::decode::labels::label_by_name;
use crate::decode::shape::{Leaf, LeafType, REQUEST};
use crate::decode::values::{Raw, Values};
use crate::error::FieldError;
use crate::normalise::{identifiers::decimal, money};
use interdict_engine::domain::{Currency, Label};
use zeroize::Zeroizing;

/// A value of a row.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// ms since the Unix epoch.
    Time(i64),
    /// Text of a source without types (CSV): read as what it is used for.
    Untyped(&'a str),
    /// What no field can take.
    Other,
}

/// What a column is used for; it says which cells will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Text,
    Int,
    Amount,
    Time,
    Epoch,
    Label,
}

impl Use {
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Use::Text => "text or an integer",
            Use::Int => "an integer",
            Use::Amount => "a number",
            Use::Time => "a timestamp or RFC 3339 text (integers need a unit)",
            Use::Epoch => "an integer",
            Use::Label => "an integer, a boolean, or fraud or good",
        }
    }
}

enum Bound {
    Column(usize),
    Major(usize),
    Epoch(usize, EpochUnit),
    Text(String),
    Int(i64),
    Template(Vec<BoundPiece>),
}

enum BoundPiece {
    Literal(String),
    Column(usize),
}

/// A mapping whose columns are numbered.
pub(crate) struct Mapping {
    /// The source's columns that are used, each once.
    pub(crate) columns: Vec<String>,
    fields: Vec<(u8, Bound)>,
    label: Option<usize>,
    label_delay_ms: i64,
}

impl Mapping {
    pub(crate) fn new(map: &ColumnMap) -> Mapping {
        let mut columns: Vec<String> = Vec::new();
        let mut number = |name: &str| {
            columns.iter().position(|known| known == name).unwrap_or_else(|| {
                columns.push(name.into());
                columns.len() - 1
            })
        };
        let mut fields = Vec::new();
        for (leaf, source) in map.fields() {
            let bound = match source {
                Source::Column(name) => Bound::Column(number(name)),
                Source::Major(name) => Bound::Major(number(name)),
                Source::Epoch(name, unit) => Bound::Epoch(number(name), *unit),
                Source::Text(text) => Bound::Text(text.clone()),
                Source::Int(value) => Bound::Int(*value),
                Source::Template(pieces) => {
                    let bind = |piece: &Piece| match piece {
                        Piece::Literal(text) => BoundPiece::Literal(text.clone()),
                        Piece::Column(name) => BoundPiece::Column(number(name)),
                    };
                    Bound::Template(pieces.iter().map(bind).collect())
                }
            };
            fields.push((*leaf, bound));
        }
        // Amounts in major units are scaled by the currency, which must be there by then.
        fields.sort_by_key(|(_, bound)| matches!(bound, Bound::Major(_)));
        let label = map.label().map(number);
        Mapping { columns, fields, label, label_delay_ms: map.label_delay_ms() }
    }

    /// Which column is used how, and for which of our fields.
    pub(crate) fn uses(&self) -> Vec<(usize, Use, &'static str)> {
        let mut uses = Vec::new();
        for (leaf, bound) in &self.fields {
            let def = &REQUEST.leaves[usize::from(*leaf)];
            match bound {
                Bound::Column(at) => uses.push((*at, use_of(*leaf), def.path)),
                Bound::Major(at) => uses.push((*at, Use::Amount, def.path)),
                Bound::Epoch(at, _) => uses.push((*at, Use::Epoch, def.path)),
                Bound::Template(pieces) => uses.extend(pieces.iter().filter_map(|piece| match piece {
                    BoundPiece::Column(at) => Some((*at, Use::Text, def.path)),
                    BoundPiece::Literal(_) => None,
                })),
                Bound::Text(_) | Bound::Int(_) => {}
            }
        }
        uses.extend(self.label.map(|at| (at, Use::Label, "label")));
        uses
    }

    /// The values of a row.
    pub(crate) fn values<'a>(&'a self, cell: impl Fn(usize) -> Cell<'a>) -> Result<Values<'a>, FieldError> {
        let mut values = Values::new();
        for (leaf, bound) in &self.fields {
            let value = match bound {
                Bound::Column(at) => self.column(*leaf, *at, cell(*at))?,
                Bound::Major(at) => self.major(*leaf, *at, cell(*at), &values)?,
                Bound::Epoch(at, unit) => match cell(*at) {
                    Cell::Null => Raw::Absent,
                    Cell::Untyped(text) => {
                        let value = integer(text).and_then(|value| unit.to_ms(value));
                        Raw::Int(value.ok_or_else(|| self.wrong(*leaf, *at, Use::Epoch.expected()))?)
                    }
                    Cell::Int(value) => Raw::Int(
                        unit.to_ms(value)
                            .ok_or_else(|| self.wrong(*leaf, *at, "a time within 64 bits of ms"))?,
                    ),
                    _ => return Err(self.wrong(*leaf, *at, Use::Epoch.expected())),
                },
                Bound::Text(text) => Raw::Borrowed(text),
                Bound::Int(value) => Raw::Int(*value),
                Bound::Template(pieces) => self.template(*leaf, pieces, &cell)?,
            };
            values.set(*leaf, value);
        }
        Ok(values)
    }
    /// The label of a row whose event is at `time_ms`.
    pub(crate) fn label<'a>(
        &'a self,
        cell: impl Fn(usize) -> Cell<'a>,
        time_ms: i64,
    ) -> Result<Option<FeedLabel>, FieldError> {
        let Some(at) = self.label else { return Ok(None) };
        let of = |fraud: bool| Some(if fraud { Label::Fraud } else { Label::Good });
        let label = match cell(at) {
            Cell::Null => return Ok(None),
            Cell::Int(value) => of(value != 0),
            Cell::Bool(fraud) => of(fraud),
            Cell::Text(name) => label_by_name(name),
            Cell::Untyped(text) => match (integer(text), text.to_ascii_lowercase().as_str()) {
                (Some(value), _) => of(value != 0),
                (None, "true") => of(true),
                (None, "false") => of(false),
                (None, name) => label_by_name(name),
            },
            _ => None,
        };
        let wrong = || FieldError::invalid("label", in_column(Use::Label.expected(), &self.columns[at]));
        let label = label.ok_or_else(wrong)?;
        Ok(Some(FeedLabel { label, visible_at_ms: time_ms.saturating_add(self.label_delay_ms) }))
    }

    fn wrong(&self, leaf: u8, column: usize, expected: &str) -> FieldError {
        let path = REQUEST.leaves[usize::from(leaf)].path;
        FieldError::invalid(path, in_column(expected, &self.columns[column]))
    }
    fn column<'a>(&self, leaf: u8, at: usize, cell: Cell<'a>) -> Result<Raw<'a>, FieldError> {
        Ok(match (use_of(leaf), cell) {
            (_, Cell::Null) => Raw::Absent,
            (Use::Text | Use::Time, Cell::Text(text) | Cell::Untyped(text)) => Raw::Borrowed(text),
            (Use::Int, Cell::Untyped(text)) => {
                Raw::Int(integer(text).ok_or_else(|| self.wrong(leaf, at, Use::Int.expected()))?)
            }
            (Use::Text, Cell::Int(value)) => Raw::Owned(decimal(value)),
            (Use::Int, Cell::Int(value)) | (Use::Time, Cell::Time(value)) => Raw::Int(value),
            (used, _) => return Err(self.wrong(leaf, at, used.expected())),
        })
    }
    fn major<'a>(
        &self,
        leaf: u8,
        at: usize,
        cell: Cell<'_>,
        values: &Values<'_>,
    ) -> Result<Raw<'a>, FieldError> {
        let major = match cell {
            Cell::Null => return Ok(Raw::Absent),
            Cell::Float(value) => value,
            Cell::Int(value) => value as f64,
            Cell::Untyped(text) => {
                number(text).ok_or_else(|| self.wrong(leaf, at, Use::Amount.expected()))?
            }
            _ => return Err(self.wrong(leaf, at, Use::Amount.expected())),
        };
        let currency = match leaf {
            _ if leaf == Leaf::SettlementMinor as u8 => Leaf::SettlementCurrency,
            _ => Leaf::AmountCurrency,
        };
        let parsed: Option<Currency> = values.text(currency).and_then(Currency::parse);
        let parsed = parsed.ok_or_else(|| FieldError::invalid(currency.path(), money::EXPECTED_CURRENCY))?;
        let minor =
            money::major_to_minor(major, parsed).map_err(|expected| self.wrong(leaf, at, expected))?;
        Ok(Raw::Int(minor))
    }
    fn template<'a>(
        &'a self,
        leaf: u8,
        pieces: &'a [BoundPiece],
        cell: &impl Fn(usize) -> Cell<'a>,
    ) -> Result<Raw<'a>, FieldError> {
        let mut text = Zeroizing::new(String::with_capacity(32));
        for piece in pieces {
            match piece {
                BoundPiece::Literal(literal) => text.push_str(literal),
                BoundPiece::Column(at) => match cell(*at) {
                    // Half a template would be another identifier.
                    Cell::Null => return Ok(Raw::Absent),
                    Cell::Text(value) | Cell::Untyped(value) => text.push_str(value),
                    Cell::Int(value) => text.push_str(&decimal(value)),
                    _ => return Err(self.wrong(leaf, *at, Use::Text.expected())),
                },
            }
        }
        Ok(Raw::Owned(text))
    }
}

/// The integer that a text writes in plain decimal.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// The number that a text writes with digits, a sign and a point: `f64`'s `inf`, `NaN` and exponents are none.
fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.'));
    if plain { text.parse().ok() } else { None }
}

fn in_column(expected: &str, column: &str) -> String {
    format!("{expected}, in column {column:?}")
}

fn use_of(leaf: u8) -> Use {
    match REQUEST.leaves[usize::from(leaf)].ty {
        _ if leaf == Leaf::Time as u8 || leaf == Leaf::SettlesAt as u8 => Use::Time,
        LeafType::Int => Use::Int,
        LeafType::Text | LeafType::Bool => Use::Text,
    }
}
