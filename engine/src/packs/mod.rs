//! Packs: folders of YAML that a risk team writes. Given as files in memory; read with all errors at once, checked
//! against the schema, tested by their own examples, archived as canonical bytes. `docs/PACKS.md` is the guide.

mod yaml;
mod archive;
mod manifest;
mod features;
mod screens;
mod banks;
mod slots;
mod rules;
mod patterns;
mod cases;
mod models;
mod codes;
mod load;
mod schema;
mod cost;
mod check;
mod test;

use features::slot_name;

pub use archive::{Files, archive, content_hash, unarchive};
pub use banks::{AttributeDecl, BankDecl, DimensionDecl, Likeness};
pub use cases::{Case, Expect};
pub use check::{Report, check, check_against};
pub use codes::{CodeMap, CodeRow, Codes};
pub use cost::{PartCost, StageCost};
pub use features::FeatureDecl;
pub use load::{Pack, load};
pub use manifest::{ListDecl, Manifest};
pub use models::{ModelDecl, ModelInput, models};
pub use patterns::{PatternDecl, PatternReport, check_patterns, merge_patterns, read_patterns};
pub use rules::RuleDecl;
pub use schema::{FeatureGroup, PackSchema, SlotStarts, schema};
pub use screens::ScreenDecl;
pub use slots::{Row, SlotValues};
pub use test::{Failure, RuleReport, TestReport, test};
