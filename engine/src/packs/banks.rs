//! `banks.yaml`: banks of labelled payments, and what makes two payments alike: shared attributes (fingerprints) or
//! near numbers (vectors).

use super::yaml::{Node, Reader, Yaml};
use crate::domain::Label;
use crate::error::Place;
use crate::limits::{
    BANK_ATTRIBUTES_MAX, BANK_CAPACITY_MAX, BANK_DIMENSIONS, BANK_NEIGHBOURS_MAX, BANK_STEPS_MAX,
};

/// An attribute of a fingerprint: a slot, and for integers the steps between which values count as equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeDecl {
    /// Path of a field or feature.
    pub slot: String,
    /// Ascending steps; empty: values count as equal only when they are.
    pub steps: Vec<i64>,
    /// Where it is declared.
    pub place: Place,
}

/// A dimension of a vector: an integer slot, and the range that is mapped linearly to −127 … 127; beyond it the ends
/// count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DimensionDecl {
    /// Path of a field or feature.
    pub slot: String,
    /// What becomes −127.
    pub from: i64,
    /// What becomes 127; greater than `from`.
    pub to: i64,
    /// Where it is declared.
    pub place: Place,
}

/// What two payments are compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Likeness {
    /// 256-bit fingerprints by Hamming distance; near: at most so many bits differ.
    Fingerprint {
        /// What goes into the fingerprint.
        attributes: Vec<AttributeDecl>,
        /// Greatest distance that is near, in bits.
        range: u16,
    },
    /// 64 × int8 by dot product; near: at least so much.
    Vector {
        /// What the first dimensions hold; the others are 0.
        dimensions: Vec<DimensionDecl>,
        /// Least dot product that is near.
        range: i32,
    },
}

/// A declared bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankDecl {
    /// Its name; its slots are `similar.ID.best`, `similar.ID.near` and `similar.ID.fraud_share`.
    pub id: String,
    /// What it is for, for people.
    pub doc: String,
    /// What payments are compared by.
    pub likeness: Likeness,
    /// How many nearest neighbours the fraud share is over.
    pub k: u8,
    /// Which labelled payments it learns.
    pub learns: Vec<Label>,
    /// How many payments it holds per tenant; past it the oldest are forgotten.
    pub capacity: u32,
    /// Where it is declared.
    pub place: Place,
}

impl BankDecl {
    /// The paths of the slots it compares.
    pub fn slots(&self) -> impl Iterator<Item = &str> {
        let (attributes, dimensions) = match &self.likeness {
            Likeness::Fingerprint { attributes, .. } => (&attributes[..], &[][..]),
            Likeness::Vector { dimensions, .. } => (&[][..], &dimensions[..]),
        };
        attributes.iter().map(|a| a.slot.as_str()).chain(dimensions.iter().map(|d| d.slot.as_str()))
    }

    /// Whether two declarations ask for the same, so that what one has learned is the other's as well.
    pub fn is_same(&self, other: &BankDecl) -> bool {
        let attributes = |likeness: &Likeness| match likeness {
            Likeness::Fingerprint { attributes, range } => {
                let parts = attributes.iter().map(|a| (a.slot.clone(), a.steps.clone(), 0));
                (0, i64::from(*range), parts.collect::<Vec<_>>())
            }
            Likeness::Vector { dimensions, range } => {
                let parts = dimensions.iter().map(|d| (d.slot.clone(), vec![d.from, d.to], 1));
                (1, i64::from(*range), parts.collect::<Vec<_>>())
            }
        };
        (&self.id, self.k, &self.learns, self.capacity) == (&other.id, other.k, &other.learns, other.capacity)
            && attributes(&self.likeness) == attributes(&other.likeness)
    }
}

const KEYS: [&str; 9] = ["id", "doc", "kind", "attributes", "dimensions", "range", "k", "learn", "capacity"];
const LABELS: [(&str, Label); 2] = [("fraud", Label::Fraud), ("good", Label::Good)];

/// Reads `banks.yaml`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<BankDecl> {
    let Some(fields) = reader.fields(node, "banks.yaml", &["banks"]) else { return Vec::new() };
    let Some(list) = fields.must(reader, "banks.yaml", "banks") else { return Vec::new() };
    let mut banks: Vec<BankDecl> = Vec::new();
    for node in reader.list(list, "banks").unwrap_or_default() {
        let Some(bank) = bank(reader, node) else { continue };
        if let Some(first) = banks.iter().find(|known| known.id == bank.id) {
            let message = format!("bank {:?} is declared twice, first at {}", bank.id, first.place);
            reader.refuse_node::<()>(node, message);
            continue;
        }
        banks.push(bank);
    }
    banks
}

fn bank(reader: &mut Reader<'_>, node: &Node) -> Option<BankDecl> {
    let fields = reader.fields(node, "bank", &KEYS)?;
    let id = fields.must(reader, "bank", "id").and_then(|node| super::slot_name(reader, node, "id"));
    let doc = fields.maybe("doc").and_then(|node| reader.text(node, "doc"));
    let kinds = [("fingerprint", false), ("vector", true)];
    let is_vector = fields.must(reader, "bank", "kind").and_then(|node| reader.word(node, "kind", &kinds));
    let (wanted, stray) =
        if is_vector == Some(true) { ("dimensions", "attributes") } else { ("attributes", "dimensions") };
    if let Some(node) = fields.maybe(stray) {
        reader.refuse_node::<()>(node, format!("{stray}: not for this kind of bank, which has {wanted}"));
    }
    let parts = fields.must(reader, "bank", wanted);
    let range = fields.must(reader, "bank", "range");
    let likeness = if is_vector? {
        let dimensions = parts.and_then(|node| dimensions(reader, node));
        let most = 127 * 127 * BANK_DIMENSIONS as i64;
        let range = range.and_then(|node| reader.int(node, "range", -most..=most));
        Likeness::Vector { dimensions: dimensions?, range: range? as i32 }
    } else {
        let attributes = parts.and_then(|node| attributes(reader, node));
        let range = range.and_then(|node| reader.int(node, "range", 0..=255));
        Likeness::Fingerprint { attributes: attributes?, range: range? as u16 }
    };
    let most = BANK_NEIGHBOURS_MAX as i64;
    let k = fields.maybe("k").map_or(Some(10), |node| reader.int(node, "k", 1..=most));
    let learns = fields.maybe("learn").map_or(Some(vec![Label::Fraud, Label::Good]), |node| {
        let labels = reader.list(node, "learn")?;
        labels.iter().map(|node| reader.word(node, "label", &LABELS)).collect()
    });
    let most = i64::from(BANK_CAPACITY_MAX);
    let capacity =
        fields.maybe("capacity").map_or(Some(100_000), |node| reader.int(node, "capacity", 64..=most));
    Some(BankDecl {
        id: id?,
        doc: doc.unwrap_or_default().into(),
        likeness,
        k: k? as u8,
        learns: learns?,
        capacity: capacity? as u32,
        place: reader.place(node),
    })
}

fn attributes(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<AttributeDecl>> {
    let list = reader.list(node, "attributes")?;
    bounded(reader, node, "attributes", list.len(), BANK_ATTRIBUTES_MAX)?;
    let attribute = |reader: &mut Reader<'_>, node: &Node| {
        let place = reader.place(node);
        if let Yaml::Text(slot) = &node.value {
            return Some(AttributeDecl { slot: slot.clone(), steps: Vec::new(), place });
        }
        let fields = reader.fields(node, "attribute", &["slot", "steps"])?;
        let slot = fields.must(reader, "attribute", "slot").and_then(|node| reader.text(node, "slot"));
        let steps = fields.must(reader, "attribute", "steps").and_then(|node| steps(reader, node));
        Some(AttributeDecl { slot: slot?.into(), steps: steps?, place })
    };
    list.iter().map(|node| attribute(reader, node)).collect()
}

fn steps(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<i64>> {
    let list = reader.list(node, "steps")?;
    bounded(reader, node, "steps", list.len(), BANK_STEPS_MAX)?;
    let steps: Option<Vec<i64>> =
        list.iter().map(|node| reader.int(node, "step", i64::MIN..=i64::MAX)).collect();
    let steps = steps?;
    if steps.windows(2).any(|pair| pair[0] >= pair[1]) {
        return reader.refuse_node(node, "steps must be ascending, each once");
    }
    Some(steps)
}

fn dimensions(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<DimensionDecl>> {
    let list = reader.list(node, "dimensions")?;
    bounded(reader, node, "dimensions", list.len(), BANK_DIMENSIONS)?;
    let dimension = |reader: &mut Reader<'_>, node: &Node| {
        let fields = reader.fields(node, "dimension", &["slot", "from", "to"])?;
        let slot = fields.must(reader, "dimension", "slot").and_then(|node| reader.text(node, "slot"));
        let any = -(1 << 53)..=1 << 53;
        let from =
            fields.must(reader, "dimension", "from").and_then(|node| reader.int(node, "from", any.clone()));
        let to = fields.must(reader, "dimension", "to").and_then(|node| reader.int(node, "to", any));
        let (slot, from, to) = (slot?, from?, to?);
        if from >= to {
            return reader.refuse_node(node, format!("from {from} must be below to {to}"));
        }
        Some(DimensionDecl { slot: slot.into(), from, to, place: reader.place(node) })
    };
    list.iter().map(|node| dimension(reader, node)).collect()
}

fn bounded(reader: &mut Reader<'_>, node: &Node, what: &str, len: usize, most: usize) -> Option<()> {
    if (1..=most).contains(&len) {
        return Some(());
    }
    reader.refuse_node(node, format!("{what} has {len} entries, limit 1 to {most}"))
}
