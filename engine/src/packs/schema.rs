//! The slots of a generation: the catalogue's, then the features of all packs, then what the stages find: lists,
//! patterns, names, banks, models.

use super::load::{Pack, sorted};
use super::yaml::is_identifier;
use super::{BankDecl, ModelDecl, PatternDecl, ScreenDecl, merge_patterns};
use crate::domain::{FeatureSpec, Schema, SlotDef, SlotId, ValueType};
use crate::error::{Error, ErrorKind, Place};
use crate::limits::{BANKS_MAX, FEATURE_SLOTS_MAX, LISTS_MAX, MODELS_MAX, SCREENS_MAX, SPACES_MAX};
use crate::rules::Predicate;
use crate::similarity::vectors::BankSlots;
use std::collections::HashMap;

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
    /// Where each kind of slot begins.
    pub starts: SlotStarts,
    /// The patterns, in the order of their slots.
    pub patterns: Vec<PatternDecl>,
    /// The screens, in the order of their slots (two each: score, matches).
    pub screens: Vec<ScreenDecl>,
    /// The banks, in the order of their slots ([`BankSlots`] each).
    pub banks: Vec<BankDecl>,
    /// The models, in the order of their slots, with the number of the pack that each belongs to.
    pub models: Vec<(usize, ModelDecl)>,
}

/// The first slot of each kind, in the order of the schema; the catalogue's come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotStarts {
    /// Features.
    pub features: u16,
    /// Lists.
    pub lists: u16,
    /// Patterns.
    pub patterns: u16,
    /// Names: the score and the number of matches of each screen.
    pub names: u16,
    /// Banks: [`BankSlots`] of each.
    pub banks: u16,
    /// Models.
    pub models: u16,
    /// Past the last.
    pub end: u16,
}

/// Builds the schema of packs over lists. Packs that declare a group of the same name with the same content share it.
///
/// # Errors
/// `Invalid` for two groups of one name that differ and for list names that rules could not write, `TooLarge` past
/// `FEATURE_SLOTS_MAX`, `SPACES_MAX` or `LISTS_MAX`.
pub fn schema(packs: &[&Pack], list_names: &[&str]) -> Result<PackSchema, Vec<Error>> {
    let mut built = PackSchema {
        schema: Schema::new(),
        groups: Vec::new(),
        lists: Vec::new(),
        starts: SlotStarts::default(),
        patterns: Vec::new(),
        screens: Vec::new(),
        banks: Vec::new(),
        models: Vec::new(),
    };
    let mut errors = Vec::new();
    let mut slots = 0;
    built.starts.features = at(&built.schema);
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
    built.starts.lists = at(&built.schema);
    let expected = packs.iter().flat_map(|pack| pack.manifest.lists.iter().map(|list| list.name.as_str()));
    for name in list_names.iter().copied().chain(expected) {
        if !built.lists.iter().any(|(known, _)| known == name)
            && let Err(error) = add_list(&mut built, name)
        {
            errors.push(error);
        }
    }
    found_slots(packs, &mut built, &mut errors);
    if errors.is_empty() { Ok(built) } else { Err(sorted(errors)) }
}

fn at(schema: &Schema) -> u16 {
    u16::try_from(schema.len()).expect("limits.rs keeps slots far below 65,536")
}

/// The slots of what the stages behind the lists find.
fn found_slots(packs: &[&Pack], built: &mut PackSchema, errors: &mut Vec<Error>) {
    built.starts.patterns = at(&built.schema);
    let declared = packs.iter().map(|pack| (pack.name(), &pack.patterns[..]));
    let patterns: Vec<PatternDecl> = match merge_patterns(declared) {
        Ok(merged) => merged.into_iter().cloned().collect(),
        Err(found) => {
            errors.extend(found);
            Vec::new()
        }
    };
    for decl in &patterns {
        let added = built.schema.add(decl.slot());
        assert!(added.is_some(), "each pattern is merged once, and no other slot begins with patterns");
    }
    built.starts.names = at(&built.schema);
    let declared = packs.iter().flat_map(|pack| pack.screens.iter().map(move |decl| (pack.name(), decl)));
    let screens = shared("screen", declared, SCREENS_MAX, errors);
    for decl in &screens {
        let doc = format!("best score of {} against {}", decl.field.def().path, decl.watchlists.join(", "));
        add(&mut built.schema, format!("names.{}.score", decl.id), ValueType::Int, "per mille", &doc);
        let doc = format!("listed names that {} is like", decl.field.def().path);
        add(&mut built.schema, format!("names.{}.matches", decl.id), ValueType::Int, "names", &doc);
    }
    built.starts.banks = at(&built.schema);
    let declared = packs.iter().flat_map(|pack| pack.banks.iter().map(move |decl| (pack.name(), decl)));
    let banks = shared("bank", declared, BANKS_MAX, errors);
    for decl in &banks {
        for (name, unit) in BankSlots::ALL {
            add(&mut built.schema, format!("similar.{}.{name}", decl.id), ValueType::Int, unit, &decl.doc);
        }
    }
    built.starts.models = at(&built.schema);
    for (number, pack) in packs.iter().enumerate() {
        for decl in &pack.models {
            if let Some((other, first)) = built.models.iter().find(|(_, known)| known.id == decl.id) {
                let message = format!(
                    "pack {:?}: model {:?} is declared by pack {:?} at {} as well",
                    pack.name(),
                    decl.id,
                    packs[*other].name(),
                    first.place
                );
                errors.push(Error::new(ErrorKind::Invalid, message).at(decl.place.clone()));
            } else if built.models.len() >= MODELS_MAX {
                let message = format!("model {:?} would be one too many, limit {MODELS_MAX}", decl.id);
                errors.push(Error::new(ErrorKind::TooLarge, message).at(decl.place.clone()));
            } else {
                add(&mut built.schema, format!("models.{}", decl.id), ValueType::Int, "per mille", &decl.doc);
                built.models.push((number, decl.clone()));
            }
        }
    }
    built.starts.end = at(&built.schema);
    (built.patterns, built.screens, built.banks) = (patterns, screens, banks);
}

fn add(schema: &mut Schema, path: String, ty: ValueType, unit: &str, doc: &str) {
    let added = schema.add(SlotDef { path, ty, unit: unit.into(), doc: doc.into() });
    assert!(added.is_some(), "each id is added once, and no two kinds of slot share a prefix");
}

/// What packs may declare together: the same under one name, shared.
trait Shared: Clone {
    fn id(&self) -> &str;
    fn place(&self) -> &Place;
    fn is_same(&self, other: &Self) -> bool;
}
macro_rules! shared {
    ($($decl:ty),*) => { $(impl Shared for $decl {
        fn id(&self) -> &str { &self.id }
        fn place(&self) -> &Place { &self.place }
        fn is_same(&self, other: &Self) -> bool { <$decl>::is_same(self, other) }
    })* };
}
shared!(ScreenDecl, BankDecl);

/// Declarations of all packs, each id once, in the order of the packs.
fn shared<'p, D: Shared + 'p>(
    what: &str,
    declared: impl Iterator<Item = (&'p str, &'p D)>,
    most: usize,
    errors: &mut Vec<Error>,
) -> Vec<D> {
    let mut kept: Vec<D> = Vec::new();
    let mut known: HashMap<&str, (usize, &str)> = HashMap::new();
    for (pack, decl) in declared {
        match known.get(decl.id()) {
            Some((at, _)) if kept[*at].is_same(decl) => {}
            Some((at, other)) => {
                let message = format!(
                    "pack {pack:?}: {what} {:?} differs from the one pack {other:?} declares at {}",
                    decl.id(),
                    kept[*at].place()
                );
                errors.push(Error::new(ErrorKind::Invalid, message).at(decl.place().clone()));
            }
            None if kept.len() >= most => {
                let message = format!("{what} {:?} would be one too many, limit {most}", decl.id());
                errors.push(Error::new(ErrorKind::TooLarge, message).at(decl.place().clone()));
            }
            None => {
                known.insert(decl.id(), (kept.len(), pack));
                kept.push(decl.clone());
            }
        }
    }
    kept
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
