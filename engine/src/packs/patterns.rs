//! stub, to be replaced by h-patterns
use super::yaml::{Node, Reader};
use crate::error::{Error, Place};
use crate::patterns::{PatternSet, PatternSource};
/// d
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternDecl {
    /// s
    pub source: PatternSource,
    /// d
    pub doc: String,
    /// p
    pub place: Place,
}
pub(super) fn read(_: &mut Reader<'_>, _: &Node) -> Vec<PatternDecl> { Vec::new() }
pub(super) fn pattern_examples(_: &[PatternDecl], _: &PatternSet) -> Vec<Error> { Vec::new() }
