//! Files to a pack: every file is read, every error is reported, sorted by place. What needs the schema (names and types
//! in rules and examples) is `check`'s.

use super::archive::{Files, archive, check_files, content_hash};
use super::banks::{self, BankDecl};
use super::cases::{self, Case};
use super::codes::{self, CodeMap};
use super::features::{self, FeatureDecl};
use super::manifest::{self, Manifest};
use super::models::{self, ModelDecl};
use super::patterns::{self, PatternDecl};
use super::rules::{self, RuleDecl};
use super::screens::{self, ScreenDecl};
use super::yaml::{Node, Reader};
use crate::error::{Error, ErrorKind, Place, nearest};
use crate::limits::{PACK_ERRORS_MAX, RULES_PER_PACK_MAX};
use crate::rules::RuleSource;
use std::collections::HashMap;

/// A pack, read and well-formed.
#[derive(Debug, Clone)]
pub struct Pack {
    /// `pack.yaml`.
    pub manifest: Manifest,
    /// `features.yaml`.
    pub features: Vec<FeatureDecl>,
    /// `patterns/*.yaml`, in the order of the files' names.
    pub patterns: Vec<PatternDecl>,
    /// `screens.yaml`.
    pub screens: Vec<ScreenDecl>,
    /// `banks.yaml`.
    pub banks: Vec<BankDecl>,
    /// `models/*.yaml`, in the order of the files' names.
    pub models: Vec<ModelDecl>,
    /// `rules/*.yaml`, in the order of the files' names.
    pub rules: Vec<RuleDecl>,
    /// `tests/*.yaml`.
    pub cases: Vec<Case>,
    /// `codes.yaml` before the built-in map.
    pub codes: CodeMap,
    /// Whether the pack has a `codes.yaml` of its own.
    pub has_codes: bool,
    files: Files,
}

impl Pack {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }
    /// Its files.
    pub fn files(&self) -> &Files {
        &self.files
    }
    /// The canonical bytes of its files; see [`super::unarchive`].
    pub fn archive(&self) -> Vec<u8> {
        archive(&self.files)
    }
    /// SHA-256 of the canonical bytes.
    pub fn content_hash(&self) -> [u8; 32] {
        content_hash(&self.files)
    }
    /// Its rules as `rules` compiles them; `number` is the pack's number within the generation.
    pub fn rule_sources(&self, number: u16) -> Vec<RuleSource> {
        self.rules.iter().map(|rule| rule.source(number, self.name())).collect()
    }
}

enum Kind {
    Manifest,
    Features,
    Screens,
    Banks,
    Codes,
    Patterns,
    Models,
    Rules,
    Cases,
    /// Read by whoever declares it, or by people.
    Other,
}

/// What a file is, by its path.
fn kind(path: &str) -> Option<Kind> {
    Some(match path {
        "pack.yaml" => Kind::Manifest,
        "features.yaml" => Kind::Features,
        "screens.yaml" => Kind::Screens,
        "banks.yaml" => Kind::Banks,
        "codes.yaml" => Kind::Codes,
        _ if path.starts_with("patterns/") && path.ends_with(".yaml") => Kind::Patterns,
        _ if path.starts_with("models/") && path.ends_with(".yaml") => Kind::Models,
        _ if path.starts_with("models/") && path.ends_with(".onnx") => Kind::Other,
        _ if path.starts_with("rules/") && path.ends_with(".yaml") => Kind::Rules,
        _ if path.starts_with("tests/") && path.ends_with(".yaml") => Kind::Cases,
        _ if path.ends_with(".md") || path == "LICENSE" => Kind::Other,
        _ => return None,
    })
}

/// Reads a pack.
///
/// # Errors
/// Everything that is wrong with it, sorted by place.
pub fn load(files: Files) -> Result<Pack, Vec<Error>> {
    check_files(&files)?;
    let mut errors = Vec::new();
    let (mut manifest, mut features, mut own_codes) = (None, Vec::new(), None);
    let (mut rules, mut cases) = (Vec::new(), Vec::new());
    let (mut patterns, mut screens, mut banks, mut models) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (path, bytes) in &files {
        let Some(kind) = kind(path) else {
            errors.push(unknown_file(path));
            continue;
        };
        if matches!(kind, Kind::Other) {
            continue;
        }
        let (mut reader, node) = Reader::open(path, bytes);
        if let Some(node) = node.filter(|node| not_empty(&mut reader, node)) {
            match kind {
                Kind::Manifest => manifest = manifest::read(&mut reader, &node),
                Kind::Features => features = features::read(&mut reader, &node),
                Kind::Screens => screens = screens::read(&mut reader, &node),
                Kind::Banks => banks = banks::read(&mut reader, &node),
                Kind::Patterns => patterns.extend(patterns::read(&mut reader, &node)),
                Kind::Models => models.extend(models::read(&mut reader, &node)),
                Kind::Codes => own_codes = Some(codes::read(&mut reader, &node)),
                Kind::Rules => rules.extend(rules::read(&mut reader, &node)),
                Kind::Cases => cases.extend(cases::read(&mut reader, &node)),
                Kind::Other => {}
            }
        }
        errors.append(&mut reader.errors);
    }
    if !files.contains_key("pack.yaml") {
        errors.push(Error::new(ErrorKind::NotFound, "pack.yaml is missing").at(Place::file("pack.yaml")));
    }
    duplicates(&rules, &mut errors);
    models::duplicates(&models, &mut errors);
    if rules.len() > RULES_PER_PACK_MAX {
        let message = format!("pack has {} rules, limit {RULES_PER_PACK_MAX}", rules.len());
        errors.push(Error::new(ErrorKind::TooLarge, message));
    }
    let Some(manifest) = manifest.filter(|_| errors.is_empty()) else {
        return Err(sorted(errors));
    };
    let has_codes = own_codes.is_some();
    let codes = CodeMap::with(own_codes.unwrap_or_default());
    Ok(Pack { manifest, features, patterns, screens, banks, models, rules, cases, codes, has_codes, files })
}

fn not_empty(reader: &mut Reader<'_>, node: &Node) -> bool {
    if manifest::is_empty(node) {
        reader.refuse_node::<()>(node, "file is empty");
        return false;
    }
    true
}

fn unknown_file(path: &str) -> Error {
    let known = ["pack.yaml", "features.yaml", "screens.yaml", "banks.yaml", "codes.yaml", "README.md"];
    let near = match path.split_once('/') {
        Some((_, name)) if path.ends_with(".yaml") => Some(format!("rules/{name} or tests/{name}")),
        Some((folder, name)) if ["rules", "tests", "patterns", "models"].contains(&folder) => {
            name.strip_suffix(".yml").map(|stem| format!("{folder}/{stem}.yaml"))
        }
        _ => nearest(path, known).map(String::from),
    };
    let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    let message = format!(
        "not a file of a pack{near} (known: pack.yaml, features.yaml, screens.yaml, banks.yaml, codes.yaml, \
         patterns/*.yaml, models/*.yaml, models/*.onnx, rules/*.yaml, tests/*.yaml, *.md)"
    );
    Error::new(ErrorKind::Invalid, message).at(Place::file(path))
}

fn duplicates(rules: &[RuleDecl], errors: &mut Vec<Error>) {
    let mut seen: HashMap<&str, &Place> = HashMap::new();
    for rule in rules {
        if let Some(first) = seen.get(rule.id.as_str()) {
            let message = format!("rule {:?} is declared twice, first at {first}", rule.id);
            errors.push(Error::new(ErrorKind::Invalid, message).at(rule.place.clone()));
        } else {
            seen.insert(&rule.id, &rule.place);
        }
    }
}

/// Errors in the order of their places, bounded; of the rest the number.
pub(super) fn sorted(mut errors: Vec<Error>) -> Vec<Error> {
    errors.sort_by(|a, b| {
        let key = |e: &Error| (e.place.file.clone(), e.place.line, e.place.column);
        key(a).cmp(&key(b))
    });
    errors.dedup();
    if errors.len() > PACK_ERRORS_MAX {
        let more = errors.len() - PACK_ERRORS_MAX;
        errors.truncate(PACK_ERRORS_MAX);
        errors.push(Error::new(ErrorKind::TooLarge, format!("and {more} more errors")));
    }
    errors
}
