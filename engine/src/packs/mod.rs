//! Packs: folders of YAML that a risk team writes. Given as files in memory; read with all errors at once, checked
//! against the schema, tested by their own examples, archived as canonical bytes. `docs/PACKS.md` is the guide.

mod yaml;
mod archive;
mod manifest;
mod features;
mod slots;
mod rules;
mod patterns;
mod cases;
mod codes;
mod load;
mod schema;
mod check;
mod test;

pub use archive::{Files, archive, content_hash, unarchive};
pub use cases::{Case, Expect};
pub use check::{Report, check, check_against};
pub use codes::{CodeMap, CodeRow, Codes};
pub use features::FeatureDecl;
pub use load::{Pack, load};
pub use manifest::{ListDecl, Manifest};
pub use patterns::{PatternDecl, PatternReport, check_patterns, merge_patterns, read_patterns};
pub use rules::RuleDecl;
pub use schema::{FeatureGroup, PackSchema, schema};
pub use slots::{Row, SlotValues};
pub use test::{Failure, RuleReport, TestReport, test};
