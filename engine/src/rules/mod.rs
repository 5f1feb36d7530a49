//! Rules: CEL expressions over the slots of a transaction, type-checked against the schema, lowered to a typed tree
//! and evaluated without allocation in CEL's three values. A rule whose value is an error is *undecided*: counted
//! and shown, never silently false.

mod calendar;
mod source;
mod syntax;
mod program;
mod check;
mod operators;
mod calls;
mod eval;
mod interpreted;
mod cost;
mod expression;
mod lift;
mod ruleset;
mod explain;

pub use explain::{Explained, Explanation, Join, Read};
pub use expression::{Computed, Expression, Predicate};
pub use interpreted::Interpreted;
pub use lift::Search;
pub use ruleset::{Class, Hit, Mode, Rule, RuleResults, RuleSet, RuleSource, ScoreSource, Undecided};
pub use source::Source;

/// A point in time written as RFC 3339, in ms since the Unix epoch; `None` for what is not one, is finer than a ms, or
/// lies outside the years 1 to 9999.
pub fn parse_time(text: &str) -> Option<i64> {
    interpreted::parse_time(text)
}

/// A point in time, in ms since the Unix epoch, as RFC 3339 in UTC.
pub fn format_time(ms: i64) -> String {
    calendar::rfc3339(ms.clamp(*calendar::TIME_MS.start(), *calendar::TIME_MS.end()))
}
