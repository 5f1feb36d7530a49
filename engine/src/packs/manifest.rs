//! `pack.yaml`: who a pack is, whose payments it sees, which lists it expects, and what counts when a stage is skipped.

use super::Pack;
use super::yaml::{Node, Reader, Yaml, is_identifier};
use crate::domain::{Audience, Outcome};
use crate::error::Place;
use crate::lists::ListMeta;
use crate::rules::Class;
use crate::stage::Stage;

/// A list that a pack expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDecl {
    /// Its name; rules read it as `lists.NAME`.
    pub name: String,
    /// What is on it, for people.
    pub doc: String,
    /// What a block of it asks for; `decline` unless declared.
    pub outcome: Outcome,
    /// What a hit is about, for the code map; `fraud` unless declared.
    pub class: Class,
    /// Reason code of a hit; `LIST_` and the name in capitals unless declared.
    pub code: String,
    /// Who may see the reason; `internal` unless declared.
    pub audience: Audience,
    /// Where it is declared.
    pub place: Place,
}

impl ListDecl {
    /// Says in a list's meta what this pack expects of the list.
    pub fn describe(&self, meta: &mut ListMeta) {
        meta.block_outcome = self.outcome;
        meta.code.clone_from(&self.code);
        meta.audience = self.audience;
        meta.sanctions = self.class == Class::Sanctions;
    }
    /// The first of the packs' declarations of a list.
    pub fn find<'p>(packs: &'p [Pack], name: &str) -> Option<&'p ListDecl> {
        packs.iter().flat_map(|pack| &pack.manifest.lists).find(|declared| declared.name == name)
    }
}

/// What `pack.yaml` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the pack; its rules are `NAME/RULE`.
    pub name: String,
    /// Version, for people.
    pub version: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// The tenants it is for; `None`: all.
    pub tenants: Option<Vec<String>>,
    /// The lists it expects.
    pub lists: Vec<ListDecl>,
    /// What counts when a stage is skipped, by stage; see [`Manifest::default_of`].
    pub defaults: Vec<(Stage, Outcome)>,
    /// Budgets in µs, by stage.
    pub budgets_us: Vec<(Stage, u32)>,
}

impl Manifest {
    /// What counts when a stage is skipped: as declared, else `review`.
    pub fn default_of(&self, stage: Stage) -> Outcome {
        self.defaults.iter().find(|(of, _)| *of == stage).map_or(Outcome::Review, |(_, outcome)| *outcome)
    }
    /// The budget of a stage in µs, where one is declared.
    pub fn budget_us(&self, stage: Stage) -> Option<u32> {
        self.budgets_us.iter().find(|(of, _)| *of == stage).map(|(_, us)| *us)
    }
    /// Whether the pack's rules are for a tenant.
    pub fn is_for(&self, tenant: &str) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.iter().any(|name| name == tenant))
    }
}

/// What a payment may be answered with.
pub(super) const OUTCOMES: [(&str, Outcome); 5] = [
    ("approve", Outcome::Approve),
    ("review", Outcome::Review),
    ("challenge", Outcome::Challenge),
    ("hold", Outcome::Hold),
    ("decline", Outcome::Decline),
];
pub(super) const CLASSES: [(&str, Class); 6] = [
    ("fraud", Class::Fraud),
    ("sanctions", Class::Sanctions),
    ("restricted", Class::Restricted),
    ("lost_stolen", Class::LostStolen),
    ("velocity", Class::Velocity),
    ("security", Class::Security),
];
pub(super) const AUDIENCES: [(&str, Audience); 3] =
    [("internal", Audience::Internal), ("processor", Audience::Processor), ("customer", Audience::Customer)];

const KEYS: [&str; 8] =
    ["name", "version", "owner", "description", "tenants", "lists", "defaults", "budgets"];

/// Reads `pack.yaml`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<Manifest> {
    let fields = reader.fields(node, "pack", &KEYS)?;
    let name = fields.must(reader, "pack", "name").and_then(|node| reader.identifier(node, "name"));
    let version = fields.must(reader, "pack", "version").and_then(|node| reader.text(node, "version"));
    let owner = fields.must(reader, "pack", "owner").and_then(|node| reader.text(node, "owner"));
    let description = fields.maybe("description").and_then(|node| reader.text(node, "description"));
    let tenants = fields.maybe("tenants").and_then(|node| {
        let names = reader.list(node, "tenants")?;
        if names.is_empty() {
            return reader.refuse_node(node, "tenants is empty: leave it out to mean all");
        }
        Some(names.iter().filter_map(|node| reader.text(node, "tenant")).map(String::from).collect())
    });
    let lists = fields.maybe("lists").map_or(Vec::new(), |node| lists(reader, node));
    let defaults = fields.maybe("defaults").map_or(Vec::new(), |node| defaults(reader, node));
    let budgets_us = fields.maybe("budgets").map_or(Vec::new(), |node| budgets(reader, node));
    Some(Manifest {
        name: name?.into(),
        version: version?.into(),
        owner: owner?.into(),
        description: description.unwrap_or_default().into(),
        tenants,
        lists,
        defaults,
        budgets_us,
    })
}

fn lists(reader: &mut Reader<'_>, node: &Node) -> Vec<ListDecl> {
    let mut lists: Vec<ListDecl> = Vec::new();
    for node in reader.list(node, "lists").unwrap_or_default() {
        let Some(list) = list(reader, node) else { continue };
        if let Some(first) = lists.iter().find(|known| known.name == list.name) {
            let message = format!("list {:?} is declared twice, first at {}", list.name, first.place);
            reader.refuse_node::<()>(node, message);
            continue;
        }
        lists.push(list);
    }
    lists
}

fn list(reader: &mut Reader<'_>, node: &Node) -> Option<ListDecl> {
    let fields = reader.fields(node, "list", &["name", "doc", "outcome", "class", "code", "audience"])?;
    let name = fields.must(reader, "list", "name").and_then(|node| reader.identifier(node, "name"));
    let doc = fields.must(reader, "list", "doc").and_then(|node| reader.text(node, "doc"));
    let outcome = fields.maybe("outcome").and_then(|node| reader.word(node, "outcome", &OUTCOMES));
    let class = fields.maybe("class").and_then(|node| reader.word(node, "class", &CLASSES));
    let audience = fields.maybe("audience").and_then(|node| reader.word(node, "audience", &AUDIENCES));
    let code = fields.maybe("code").and_then(|node| reason_code(reader, node));
    let name = name?;
    let default_code = || format!("LIST_{}", name.to_ascii_uppercase().replace('-', "_"));
    Some(ListDecl {
        name: name.into(),
        doc: doc?.into(),
        outcome: outcome.unwrap_or(Outcome::Decline),
        class: class.unwrap_or_default(),
        code: code.map_or_else(default_code, String::from),
        audience: audience.unwrap_or(Audience::Internal),
        place: reader.place(node),
    })
}

/// A reason code: capitals, digits and `_`.
pub(super) fn reason_code<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<&'n str> {
    let code = reader.text(node, "code")?;
    if is_identifier(code) && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    {
        return Some(code);
    }
    reader.refuse_node(node, format!("code {code:?}: expected 1 to 64 capitals, digits or _"))
}

fn defaults(reader: &mut Reader<'_>, node: &Node) -> Vec<(Stage, Outcome)> {
    let known: Vec<&str> = Stage::LANE.iter().map(|stage| stage.name()).collect();
    let Some(fields) = reader.fields(node, "defaults", &known) else { return Vec::new() };
    let mut of = |stage: &Stage| {
        let node = fields.maybe(stage.name())?;
        Some((*stage, reader.word(node, stage.name(), &OUTCOMES)?))
    };
    Stage::LANE.iter().filter_map(&mut of).collect()
}

fn budgets(reader: &mut Reader<'_>, node: &Node) -> Vec<(Stage, u32)> {
    let keys: Vec<String> = Stage::LANE.iter().map(|stage| format!("{}_us", stage.name())).collect();
    let known: Vec<&str> = keys.iter().map(String::as_str).collect();
    let Some(fields) = reader.fields(node, "budgets", &known) else { return Vec::new() };
    let mut budgets = Vec::new();
    for (stage, key) in Stage::LANE.into_iter().zip(&keys) {
        let us = fields.maybe(key).and_then(|node| reader.int(node, key, 1..=1_000_000));
        budgets.extend(us.map(|us| (stage, us as u32)));
    }
    budgets
}

/// Whether a file holds nothing.
pub(super) fn is_empty(node: &Node) -> bool {
    matches!(node.value, Yaml::Null)
}
