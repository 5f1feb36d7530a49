//! The slots of a generation: the catalogue's, then the features of all packs, then the lists.

use super::load::{Pack, sorted};
use super::yaml::is_identifier;
use crate::domain::{FeatureSpec, Schema, SlotDef, SlotId, ValueType};
use crate::error::{Error, ErrorKind, Place};
use crate::limits::{FEATURE_SLOTS_MAX, LISTS_MAX, SPACES_MAX};
use crate::rules::Predicate;

/// A group of features with its slots.
#[derive(Debug, Clone)]
pub struct FeatureGroup {
    /// What it computes.
    pub spec: FeatureSpec,
    /// Its filter, compiled.
    pub filter: Option<Predicate>,
    /// The first of its slots; the others follow, in the order of [`FeatureSpec::slots`].
    pub first: SlotId,
    /// How many slots it has.
    pub slots: u16,
    /// Where it is declared first: the pack's name and the place in it.
    pub declared: (String, Place),
}

/// The slots of a generation and what fills them.
#[derive(Debug, Clone)]
pub struct PackSchema {
    /// The slots.
    pub schema: Schema,
    /// The features, in the order of their slots.
    pub groups: Vec<FeatureGroup>,
    /// The lists: first those given, in their order, then those that packs expect and that do not exist yet.
    pub lists: Vec<(String, SlotId)>,
}

/// Builds the schema of packs over lists. Packs that declare a group of the same name with the same content share it.
///
/// # Errors
/// `Invalid` for two groups of one name that differ and for list names that rules could not write, `TooLarge` past
/// `FEATURE_SLOTS_MAX`, `SPACES_MAX` or `LISTS_MAX`.
pub fn schema(packs: &[&Pack], list_names: &[&str]) -> Result<PackSchema, Vec<Error>> {
    let mut built = PackSchema { schema: Schema::new(), groups: Vec::new(), lists: Vec::new() };
    let mut errors = Vec::new();
    let mut slots = 0;
    for pack in packs {
        for feature in &pack.features {
            let spec = &feature.spec;
            match built.groups.iter().find(|group| group.spec.name == spec.name) {
                Some(known) if known.spec == *spec => {}
                Some(known) => {
                    let (other, place) = &known.declared;
                    let message = format!(
                        "pack {:?}: feature {:?} differs from the one pack {other:?} declares at {place}",
                        pack.name(),
                        spec.name
                    );
                    errors.push(Error::new(ErrorKind::Invalid, message).at(feature.place.clone()));
                }
                None if slots + spec.slots().len() > FEATURE_SLOTS_MAX => {
                    let message = format!(
                        "feature {:?} would bring the packs' feature slots to {}, limit {FEATURE_SLOTS_MAX}",
                        spec.name,
                        slots + spec.slots().len()
                    );
                    errors.push(Error::new(ErrorKind::TooLarge, message).at(feature.place.clone()));
                }
                None if built.groups.len() >= SPACES_MAX => {
                    let message =
                        format!("feature {:?} would be one too many, limit {SPACES_MAX}", spec.name);
                    errors.push(Error::new(ErrorKind::TooLarge, message).at(feature.place.clone()));
                }
                None => {
                    slots += spec.slots().len();
                    let group = add_group(&mut built.schema, pack, feature);
                    built.groups.push(group);
                }
            }
        }
    }
    let expected = packs.iter().flat_map(|pack| pack.manifest.lists.iter().map(|list| list.name.as_str()));
    for name in list_names.iter().copied().chain(expected) {
        if !built.lists.iter().any(|(known, _)| known == name)
            && let Err(error) = add_list(&mut built, name)
        {
            errors.push(error);
        }
    }
    if errors.is_empty() { Ok(built) } else { Err(sorted(errors)) }
}

fn add_group(schema: &mut Schema, pack: &Pack, feature: &super::FeatureDecl) -> FeatureGroup {
    let first = SlotId(u16::try_from(schema.len()).expect("limits.rs keeps slots far below 65,536"));
    let slots = feature.spec.slots();
    let count = slots.len() as u16;
    for (path, unit) in slots {
        let doc = format!("feature {} of pack {}", feature.spec.name, pack.name());
        // One group has at most 7 aggregates × 16 windows; a path can repeat only within it, which names cannot.
        schema.add(SlotDef { path, ty: ValueType::Int, unit: unit.into(), doc });
    }
    FeatureGroup {
        spec: feature.spec.clone(),
        filter: feature.filter.clone(),
        first,
        slots: count,
        declared: (pack.name().into(), feature.place.clone()),
    }
}

fn add_list(built: &mut PackSchema, name: &str) -> Result<(), Error> {
    if !is_identifier(name) {
        let message = format!("list name {name:?}: expected 1 to 64 letters, digits, - or _");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if built.lists.len() >= LISTS_MAX {
        let message = format!("list {name:?} would be one too many, limit {LISTS_MAX}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let def = SlotDef {
        path: format!("lists.{name}"),
        ty: ValueType::Bool,
        unit: String::new(),
        doc: format!("whether the payment is on list {name}"),
    };
    let slot =
        built.schema.add(def).expect("each list is added once, and no field or feature begins with lists");
    built.lists.push((name.into(), slot));
    Ok(())
}
