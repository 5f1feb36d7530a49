//! `matches("constant")` over a field, handed to the pattern stage: the rules of a generation collect what is lifted, and
//! each node keeps its regex, so that a rule comes to the same where the stage did not run.

use super::program::{BoolExpr, NumExpr, TextExpr};
use crate::domain::Field;
use crate::limits::{PATTERN_LIFTS_MAX, PATTERN_PLACES_MAX};
use crate::patterns::Lift;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A `matches("constant")` of a rule over a field, whoever runs it: what `explain` shows the places of.
#[derive(Debug, Clone)]
pub struct Search {
    /// The text field.
    pub field: Field,
    regex: Arc<regex::Regex>,
}

impl Search {
    /// The expression, as written.
    pub fn regex(&self) -> &str {
        self.regex.as_str()
    }
    /// Where it matches in a text, in bytes: in order, disjoint, at most `PATTERN_PLACES_MAX`.
    pub fn positions(&self, text: &str) -> Vec<Range<usize>> {
        self.regex.find_iter(text).take(PATTERN_PLACES_MAX).map(|found| found.range()).collect()
    }
}

/// What has been lifted so far, each field and pattern once.
#[derive(Debug, Default)]
pub(super) struct Lifts {
    list: Vec<Lift>,
    /// Those of the rule at hand, lifted or not.
    searches: Vec<Search>,
    known: HashMap<Lift, Option<u32>>,
}

impl Lifts {
    pub fn into_list(self) -> Vec<Lift> {
        self.list
    }
    /// What was met since this was last asked, each field and pattern once.
    pub fn take_searches(&mut self) -> Box<[Search]> {
        std::mem::take(&mut self.searches).into()
    }
    fn search(&mut self, field: Field, regex: &Arc<regex::Regex>) {
        let known = |search: &Search| search.field == field && search.regex.as_str() == regex.as_str();
        if !self.searches.iter().any(known) {
            self.searches.push(Search { field, regex: regex.clone() });
        }
    }
    /// The number of a pattern over a field; `None` when the stage cannot answer for it.
    fn number(&mut self, field: Field, regex: &str) -> Option<u32> {
        let key = Lift { field, regex: regex.into() };
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let lift = Lift::of(field, regex).filter(|_| self.list.len() < PATTERN_LIFTS_MAX);
        let number = lift.map(|lift| {
            self.list.push(lift);
            self.list.len() as u32 - 1
        });
        self.known.insert(key, number);
        number
    }
}

impl BoolExpr {
    /// Lifts what can be lifted. Nesting is bounded by `EXPRESSION_DEPTH_MAX`.
    pub fn lift(&mut self, lifts: &mut Lifts) {
        match self {
            BoolExpr::Matches(text, pattern, number) => {
                if let TextExpr::Slot(slot) = text {
                    let field = u8::try_from(slot.0).ok().and_then(Field::from_number);
                    field.iter().for_each(|field| lifts.search(*field, pattern));
                    *number = field.and_then(|field| lifts.number(field, pattern.as_str()));
                }
                text.lift(lifts);
            }
            BoolExpr::Const(_)
            | BoolExpr::Fail
            | BoolExpr::Slot(_)
            | BoolExpr::Has(_)
            | BoolExpr::Interpreted(_) => {}
            BoolExpr::Not(operand) => operand.lift(lifts),
            BoolExpr::All(parts) | BoolExpr::Any(parts) => parts.iter_mut().for_each(|p| p.lift(lifts)),
            BoolExpr::If(parts) => {
                [&mut parts.0, &mut parts.1, &mut parts.2].into_iter().for_each(|part| part.lift(lifts));
            }
            BoolExpr::CompareBool(_, sides) => {
                sides.0.lift(lifts);
                sides.1.lift(lifts);
            }
            BoolExpr::CompareNum(_, a, b) => {
                a.lift(lifts);
                b.lift(lifts);
            }
            BoolExpr::CompareText(_, a, b) | BoolExpr::Find(_, a, b) => {
                a.lift(lifts);
                b.lift(lifts);
            }
            BoolExpr::NumIn(value, _) => value.lift(lifts),
            BoolExpr::TextIn(value, _) => value.lift(lifts),
            BoolExpr::NumAmong(value, among) => {
                value.lift(lifts);
                among.iter_mut().for_each(|num| num.lift(lifts));
            }
            BoolExpr::TextAmong(value, among) => {
                value.lift(lifts);
                among.iter_mut().for_each(|text| text.lift(lifts));
            }
        }
    }
}

impl NumExpr {
    /// Lifts what can be lifted.
    pub fn lift(&mut self, lifts: &mut Lifts) {
        match self {
            NumExpr::Const(_) | NumExpr::Fail | NumExpr::Slot(..) | NumExpr::Interpreted(_) => {}
            NumExpr::Negate(of) | NumExpr::Part(_, of) | NumExpr::Seconds(of) => of.lift(lifts),
            NumExpr::Arithmetic(_, _, sides) => {
                sides.0.lift(lifts);
                sides.1.lift(lifts);
            }
            NumExpr::If(parts) => {
                parts.0.lift(lifts);
                parts.1.lift(lifts);
                parts.2.lift(lifts);
            }
            NumExpr::Size(text) => text.lift(lifts),
        }
    }
}

impl TextExpr {
    /// Lifts what can be lifted.
    fn lift(&mut self, lifts: &mut Lifts) {
        if let TextExpr::If(parts) = self {
            parts.0.lift(lifts);
            parts.1.lift(lifts);
            parts.2.lift(lifts);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Class, Mode, RuleResults, RuleSet, RuleSource, ScoreSource, Source};
    use super::*;
    use crate::domain::{Audience, Outcome, Schema, SlotId, SlotView, Transaction, TransactionKind, Value};
    use crate::error::Place;
    use crate::patterns::{PatternHits, PatternScratch, PatternSet};
    use proptest::prelude::*;

    struct Row<'a>(&'a Transaction, &'a PatternSet, Option<&'a PatternHits>);
    impl SlotView for Row<'_> {
        fn value(&self, slot: SlotId) -> Option<Value<'_>> {
            self.0.get(Field::from_number(u8::try_from(slot.0).ok()?)?)
        }
        fn lifted(&self, lift: u32) -> Option<bool> {
            self.1.lifted(self.2?, lift)
        }
    }

    fn rules(texts: &[&str]) -> RuleSet {
        let rule = |text: &&str| RuleSource {
            pack: 0,
            id: (*text).into(),
            title: String::new(),
            when: Source::new(*text, Place::file("f")),
            outcome: Outcome::Review,
            score: ScoreSource::Expression(Source::new("text.matches('[0-9]{4}') ? 1 : 2", Place::file("f"))),
            code: "X".into(),
            class: Class::Fraud,
            audience: Audience::Internal,
            mode: Mode::Live,
        };
        RuleSet::compile(texts.iter().map(rule).collect(), &Schema::new()).unwrap()
    }

    const TEXTS: [&str; 8] = [
        "merchant.name.matches('gift')",
        "merchant.name.matches('(?i)gift') || text.matches('gift')",
        "!merchant.name.matches('^[a-z]+$')",
        r"text.matches('\\bcard\\b') && has(text)",
        r"text.matches('\\w{3}') ? merchant.name.matches('x.y') : text.matches('é+')",
        "(has(text) ? text : merchant.name).matches('gift')",
        "text.matches('')",
        "text.matches('(?m)^card')",
    ];

    #[test]
    fn each_field_and_pattern_is_lifted_once_and_what_cannot_be_is_not() {
        let rules = rules(&TEXTS);
        let lifts: Vec<_> = rules.lifts().iter().map(|lift| (lift.field, lift.regex.as_str())).collect();
        let expected = [
            (Field::MerchantName, "gift"),
            (Field::Text, "[0-9]{4}"),
            (Field::MerchantName, "(?i)gift"),
            (Field::Text, "gift"),
            (Field::MerchantName, "^[a-z]+$"),
            (Field::Text, r"\bcard\b"),
            (Field::Text, r"\w{3}"),
            (Field::MerchantName, "x.y"),
            (Field::Text, "é+"),
        ];
        assert_eq!(lifts, expected);
    }

    #[test]
    fn a_rule_s_searches_say_where_they_match() {
        let rules = rules(&TEXTS);
        let of = |rule| rules.searches(rule).iter().map(|s| (s.field, s.regex())).collect::<Vec<_>>();
        // The score's, after the condition's.
        let scored = (Field::Text, "[0-9]{4}");
        assert_eq!(of(0), [(Field::MerchantName, "gift"), scored]);
        assert_eq!(of(1), [(Field::MerchantName, "(?i)gift"), (Field::Text, "gift"), scored]);
        assert_eq!(of(5), [scored], "of a text that is either of two no field can be told");
        assert_eq!(of(7), [(Field::Text, "(?m)^card"), scored], "not lifted, and told all the same");
        assert_eq!(rules.searches(1)[0].positions("a GIFT, a gift"), [2..6, 10..14]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn a_rule_comes_to_the_same_with_and_without_the_stage(
            text in proptest::option::of("[gift cardéx1\nA]{0,8}|gift card 2024|é card|cardé"),
            name in proptest::option::of("[gift xy.\n]{0,8}|GIFT|gift\n"),
        ) {
            thread_local! {
                static SET: (RuleSet, PatternSet) = {
                    let rules = rules(&TEXTS);
                    let set = PatternSet::compile(&[], rules.lifts(), None).unwrap();
                    (rules, set)
                };
            }
            let mut tx = Transaction::new("t".into(), TransactionKind::Request, 0);
            text.iter().for_each(|text| tx.set_text(Field::Text, text));
            name.iter().for_each(|name| tx.set_text(Field::MerchantName, name));
            SET.with(|(rules, set)| {
                let (mut with, mut without) = (RuleResults::default(), RuleResults::default());
                let mut hits = PatternHits::default();
                set.scan(&tx, &mut PatternScratch::default(), &mut hits).unwrap();
                rules.evaluate(&Row(&tx, set, Some(&hits)), &mut with);
                rules.evaluate(&Row(&tx, set, None), &mut without);
                prop_assert_eq!(with, without);
                Ok(())
            })?;
        }
    }
}
