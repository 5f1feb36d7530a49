//! What a generation's banks compare payments by, resolved to slots; and a payment's own fingerprints and vectors.

use super::fingerprint::{Fingerprint, Votes};
use crate::domain::{Field, Schema, SlotId, Stamp, Transaction, Value, ValueType};
use crate::error::{Error, ErrorKind, nearest};
use crate::image::{Reader, Writer};
use crate::limits::BANK_DIMENSIONS;
use crate::packs::{BankDecl, Likeness};

/// The slots that each bank fills, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankSlots {
    /// Likeness of the nearest: bits in common (0 to 256), or the dot product.
    Best = 0,
    /// How many labelled payments are near.
    Near = 1,
    /// Fraud among the k nearest, per mille.
    FraudShare = 2,
}

impl BankSlots {
    /// All of them: name, unit.
    pub const ALL: [(&'static str, &'static str); 3] =
        [("best", "likeness"), ("near", "payments"), ("fraud_share", "per mille")];
}

/// One payment as a bank compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Print {
    /// Shared attributes.
    Fingerprint(Fingerprint),
    /// Near numbers.
    Vector([i8; BANK_DIMENSIONS]),
}

impl Print {
    pub(super) fn save(&self, to: &mut Writer<'_>) {
        match self {
            Print::Fingerprint(words) => to.u64s(words),
            Print::Vector(numbers) => to.bytes(&numbers.map(i8::cast_unsigned)),
        }
    }
    /// One of the kind that a bank is declared to have.
    pub(super) fn load(from: &mut Reader<'_>, decl: &BankDecl) -> Result<Print, Error> {
        match decl.likeness {
            Likeness::Fingerprint { .. } => {
                let mut words = Fingerprint::default();
                from.u64s(&mut words)?;
                Ok(Print::Fingerprint(words))
            }
            Likeness::Vector { .. } => {
                let bytes: [u8; BANK_DIMENSIONS] =
                    from.take(BANK_DIMENSIONS)?.try_into().expect("as many were taken");
                Ok(Print::Vector(bytes.map(u8::cast_signed)))
            }
        }
    }
}

/// One payment as each bank of its generation compares it; `None` where it has none of what the bank looks at.
pub type Prints = Box<[Option<Print>]>;

#[derive(Debug, Clone)]
enum Shape {
    Fingerprint(Vec<(SlotId, Vec<i64>)>),
    Vector(Vec<(SlotId, i64, i64)>),
}

/// The banks of a generation.
#[derive(Debug, Clone, Default)]
pub struct BankPlan {
    banks: Vec<(BankDecl, Shape)>,
}

impl BankPlan {
    /// Resolves declarations. Attributes and dimensions are fields or features: what is known of a payment before
    /// any stage has run.
    ///
    /// # Errors
    /// `Invalid` for a slot that is not there, is not of a payment itself, or is of a type that cannot be compared.
    pub fn new(banks: Vec<BankDecl>, schema: &Schema, lists_from: u16) -> Result<BankPlan, Vec<Error>> {
        let mut errors = Vec::new();
        let mut resolved = Vec::new();
        for decl in banks {
            let slot = |path: &str| slot(schema, lists_from, path);
            let shape = match &decl.likeness {
                Likeness::Fingerprint { attributes, .. } => {
                    let mut parts = Vec::new();
                    for attribute in attributes {
                        let found = slot(&attribute.slot).and_then(|id| {
                            attribute_type(schema.def(id).ty, &attribute.slot, attribute.steps.is_empty())
                                .map(|()| id)
                        });
                        match found {
                            Ok(id) => parts.push((id, attribute.steps.clone())),
                            Err(error) => errors.push(error.at(attribute.place.clone())),
                        }
                    }
                    Shape::Fingerprint(parts)
                }
                Likeness::Vector { dimensions, .. } => {
                    let mut parts = Vec::new();
                    for dimension in dimensions {
                        let found = slot(&dimension.slot).and_then(|id| match schema.def(id).ty {
                            ValueType::Int => Ok(id),
                            other => {
                                let message = format!(
                                    "dimension {}: expected an integer slot, it is {}",
                                    dimension.slot,
                                    other.name()
                                );
                                Err(Error::new(ErrorKind::Invalid, message))
                            }
                        });
                        match found {
                            Ok(id) => parts.push((id, dimension.from, dimension.to)),
                            Err(error) => errors.push(error.at(dimension.place.clone())),
                        }
                    }
                    Shape::Vector(parts)
                }
            };
            resolved.push((decl, shape));
        }
        if errors.is_empty() { Ok(BankPlan { banks: resolved }) } else { Err(errors) }
    }

    /// The banks' declarations, in order.
    pub fn banks(&self) -> impl ExactSizeIterator<Item = &BankDecl> {
        self.banks.iter().map(|(decl, _)| decl)
    }
    /// How many banks there are.
    pub fn len(&self) -> usize {
        self.banks.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.banks.is_empty()
    }
    /// A payment as each bank compares it.
    pub fn prints(&self, tx: &Transaction, stamps: &[Stamp]) -> Prints {
        self.banks
            .iter()
            .map(|(_, shape)| match shape {
                Shape::Fingerprint(parts) => fingerprint(parts, tx, stamps).map(Print::Fingerprint),
                Shape::Vector(parts) => vector(parts, tx, stamps).map(Print::Vector),
            })
            .collect()
    }
}

fn slot(schema: &Schema, lists_from: u16, path: &str) -> Result<SlotId, Error> {
    match schema.find(path) {
        Some(id) if id.0 < lists_from => Ok(id),
        Some(_) => {
            let message = format!("{path}: banks compare fields and features, not what stages find");
            Err(Error::new(ErrorKind::Invalid, message))
        }
        None => {
            let known = schema.slots().filter(|(id, _)| id.0 < lists_from).map(|(_, def)| def.path.as_str());
            let near = nearest(path, known).map_or(String::new(), |near| format!("; did you mean {near}?"));
            Err(Error::new(ErrorKind::Invalid, format!("unknown slot {path:?}{near}")))
        }
    }
}

fn attribute_type(ty: ValueType, path: &str, plain: bool) -> Result<(), Error> {
    let wrong = match ty {
        ValueType::Time => "a time, which no two payments share",
        ValueType::Int => return Ok(()),
        _ if !plain => "no integer, and only integers have steps",
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Invalid, format!("attribute {path} is {wrong}")))
}

/// The integer of a field or feature.
fn int(slot: SlotId, tx: &Transaction, stamps: &[Stamp]) -> Option<i64> {
    match field(slot) {
        Some(field) => tx.int(field),
        None => stamps.get(usize::from(slot.0) - Field::COUNT).copied().flatten(),
    }
}

fn field(slot: SlotId) -> Option<Field> {
    u8::try_from(slot.0).ok().and_then(Field::from_number)
}

fn fingerprint(parts: &[(SlotId, Vec<i64>)], tx: &Transaction, stamps: &[Stamp]) -> Option<Fingerprint> {
    let mut votes = Votes::default();
    for (position, (slot, steps)) in parts.iter().enumerate() {
        let position = position as u8;
        if let Some(value) = int(*slot, tx, stamps) {
            let value = if steps.is_empty() { value } else { steps.partition_point(|s| *s <= value) as i64 };
            votes.add(position, 0, &value.to_le_bytes());
            continue;
        }
        let Some(field) = field(*slot) else { continue };
        match tx.get(field) {
            Some(Value::Bool(value)) => votes.add(position, 1, &[u8::from(value)]),
            Some(Value::Text(text)) => votes.add(position, 2, text.as_bytes()),
            Some(Value::Ip(std::net::IpAddr::V4(ip))) => votes.add(position, 3, &ip.octets()),
            Some(Value::Ip(std::net::IpAddr::V6(ip))) => votes.add(position, 4, &ip.octets()),
            Some(Value::Present) => {
                if let Some(tag) = tx.lasting_tag(field) {
                    votes.add(position, 5, &tag.0.to_le_bytes());
                }
            }
            Some(Value::Int(_) | Value::Time(_)) | None => {}
        }
    }
    votes.fingerprint()
}

/// A dimension that is missing is 0, the middle of its range, and speaks for and against nothing.
fn vector(parts: &[(SlotId, i64, i64)], tx: &Transaction, stamps: &[Stamp]) -> Option<[i8; BANK_DIMENSIONS]> {
    let mut out = [0i8; BANK_DIMENSIONS];
    let mut any = false;
    for ((slot, from, to), out) in parts.iter().zip(&mut out) {
        if let Some(value) = int(*slot, tx, stamps) {
            any = true;
            *out = scaled(value, *from, *to);
        }
    }
    any.then_some(out)
}

/// `from` … `to` to −127 … 127, linearly, rounded down; beyond the ends the ends.
fn scaled(value: i64, from: i64, to: i64) -> i8 {
    let (value, from, to) = (i128::from(value.clamp(from, to)), i128::from(from), i128::from(to));
    ((value - from) * 254 / (to - from) - 127) as i8
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn a_range_is_mapped_onto_a_byte_and_its_ends_hold_beyond() {
        let of = |value| scaled(value, 0, 1000);
        assert_eq!((of(-5), of(0), of(500), of(1000), of(i64::MAX)), (-127, -127, 0, 127, 127));
        assert_eq!(scaled(i64::MIN, -(1 << 53), 1 << 53), -127);
    }
}
