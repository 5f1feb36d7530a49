//! The records that `docs/formats/governance.md` shows are records, spelled as they must be.

use super::super::*;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/formats/governance.md");

#[test]
fn the_pages_examples_read_back() {
    let mut shown = BTreeSet::new();
    for block in PAGE.split("```\n").skip(1).step_by(2).filter(|block| block.starts_with("interdict/")) {
        let (ty, _) = crate::record::type_of(block).unwrap();
        let read = match ty {
            "alliance" => Genesis::of_text(block).map(drop),
            "application" => Application::of_text(block).map(drop),
            "admission" => Admission::of_text(block).map(drop),
            "rotation" => Rotation::of_text(block).map(drop),
            "suspension" => Suspension::of_text(block).map(drop),
            "reinstatement" => Reinstatement::of_text(block).map(drop),
            "leaving" => Leaving::of_text(block).map(drop),
            "operator" => OperatorChange::of_text(block).map(drop),
            "rules" => RulesChange::of_text(block).map(drop),
            "trust" => TrustChange::of_text(block).map(drop),
            "tag-key" => TagKey::of_text(block).map(drop),
            other => panic!("{other} is not explained on this page"),
        };
        read.unwrap_or_else(|e| panic!("{ty}: {e}"));
        shown.insert(ty);
    }
    assert_eq!(shown.len(), 11, "{shown:?}");
}
