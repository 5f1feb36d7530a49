//! All rules of a generation, numbered in the order they were given, and their evaluation over one row: which hit, with
//! what score, and which are undecided. A linear pass over typed trees; an index will stand behind the same
//! interface.

use super::expression::{Body, Expression, Predicate};
use super::lift::{Lifts, Search};
use super::program::NumExpr;
use super::source::Source;
use crate::calibration::Calibration;
use crate::domain::{Audience, Outcome, Schema, SlotId, SlotView};
use crate::error::{Error, ErrorKind};
use crate::limits::SCORE_MAX;
use crate::patterns::Lift;
use smallvec::SmallVec;

/// Whether a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// It takes part in verdicts.
    #[default]
    Live,
    /// It is evaluated and counted, and changes nothing.
    Shadow,
}

impl Mode {
    /// All modes.
    pub const ALL: [Mode; 2] = [Mode::Live, Mode::Shadow];
    /// The mode's name, as in packs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Live => "live",
            Mode::Shadow => "shadow",
        }
    }
    /// The mode of a name.
    pub fn by_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// What a rule is about; the code map picks network codes by outcome and class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Class {
    /// Suspected fraud.
    #[default]
    Fraud,
    /// Sanctions and money laundering.
    Sanctions,
    /// Not permitted: country, merchant category, product.
    Restricted,
    /// A lost or stolen card or device.
    LostStolen,
    /// An amount or frequency limit.
    Velocity,
    /// Authentication of message or sender.
    Security,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 6] =
        [Self::Fraud, Self::Sanctions, Self::Restricted, Self::LostStolen, Self::Velocity, Self::Security];
    /// The class's name, as in packs.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Fraud => "fraud",
            Class::Sanctions => "sanctions",
            Class::Restricted => "restricted",
            Class::LostStolen => "lost_stolen",
            Class::Velocity => "velocity",
            Class::Security => "security",
        }
    }
    /// The class of a name.
    pub fn by_name(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// A rule's score as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScoreSource {
    /// A constant, 0 to 1000.
    Constant(u16),
    /// A CEL expression of type int, clamped to 0 to 1000.
    Expression(Source),
}

/// A rule as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// Number of its pack within the generation.
    pub pack: u16,
    /// `pack/rule`.
    pub id: String,
    /// What it is about, for people.
    pub title: String,
    /// The condition.
    pub when: Source,
    /// What a hit asks for; `approve` for a rule that only scores.
    pub outcome: Outcome,
    /// The score of a hit.
    pub score: ScoreSource,
    /// Reason code.
    pub code: String,
    /// What it is about, for the code map.
    pub class: Class,
    /// Who may see the reason.
    pub audience: Audience,
    /// Whether it counts.
    pub mode: Mode,
}

#[derive(Debug, Clone)]
enum Score {
    Constant(u16),
    Computed(NumExpr),
}

/// A compiled rule.
#[derive(Debug, Clone)]
pub struct Rule {
    when: Predicate,
    score: Score,
    pack: u16,
    slots: SmallVec<[SlotId; 4]>,
    // Apart, so that the pass over all rules stays within few cache lines a rule.
    source: Box<RuleSource>,
}

impl Rule {
    /// Compiles a rule.
    ///
    /// # Errors
    /// As [`Expression::compile`]; `Invalid` also for a condition that is not bool and a score that is not int or is
    /// a constant outside 0 to 1000.
    pub fn compile(source: RuleSource, schema: &Schema) -> Result<Rule, Vec<Error>> {
        let mut errors = Vec::new();
        let when = Predicate::compile(&source.when, schema).map_err(|found| errors.extend(found)).ok();
        let score = compile_score(&source.score, schema).map_err(|found| errors.extend(found)).ok();
        let (Some(when), Some((score, read))) = (when, score) else {
            return Err(errors);
        };
        let mut slots: SmallVec<[SlotId; 4]> = when.slots().into();
        slots.extend(read);
        let mut seen = slots.clone();
        seen.sort();
        seen.dedup();
        if seen.len() < slots.len() {
            let mut kept = SmallVec::new();
            slots.into_iter().for_each(|slot| {
                if !kept.contains(&slot) {
                    kept.push(slot);
                }
            });
            slots = kept;
        }
        Ok(Rule { when, score, pack: source.pack, slots, source: Box::new(source) })
    }

    /// Number of its pack within the generation.
    pub fn pack(&self) -> u16 {
        self.pack
    }
    /// `pack/rule`.
    pub fn id(&self) -> &str {
        &self.source.id
    }
    /// What it is about, for people.
    pub fn title(&self) -> &str {
        &self.source.title
    }
    /// What a hit asks for.
    pub fn outcome(&self) -> Outcome {
        self.source.outcome
    }
    /// Reason code.
    pub fn code(&self) -> &str {
        &self.source.code
    }
    /// What it is about, for the code map.
    pub fn class(&self) -> Class {
        self.source.class
    }
    /// Who may see the reason.
    pub fn audience(&self) -> Audience {
        self.source.audience
    }
    /// Whether it counts.
    pub fn mode(&self) -> Mode {
        self.source.mode
    }
    /// The slots that condition and score read, in the order of the text, each once.
    pub fn slots(&self) -> &[SlotId] {
        &self.slots
    }
    /// The rule as written.
    pub fn source(&self) -> &RuleSource {
        &self.source
    }
    /// The compiled condition.
    pub fn when(&self) -> &Predicate {
        &self.when
    }
    /// Static cost of condition and score, an estimate in ps.
    pub fn cost_ps(&self, costs: &Calibration) -> u64 {
        self.when.cost_ps(costs)
            + match &self.score {
                Score::Constant(_) => 0,
                Score::Computed(tree) => tree.cost_ps(costs),
            }
    }
    /// Whether the `cel` interpreter runs part of it, which allocates.
    pub fn is_interpreted(&self) -> bool {
        self.when.is_interpreted() || matches!(&self.score, Score::Computed(tree) if tree.is_interpreted())
    }
    fn lift(&mut self, lifts: &mut Lifts) {
        self.when.tree.lift(lifts);
        if let Score::Computed(tree) = &mut self.score {
            tree.lift(lifts);
        }
    }
    /// Whether it hits: `Ok(Some(score))` for a hit, `Ok(None)` for a miss, `Err(Undecided)` when the condition, or
    /// the score of a condition that holds, is a CEL error.
    #[inline]
    pub fn eval<V: SlotView + ?Sized>(&self, view: &V) -> Result<Option<u16>, Undecided> {
        match self.when.eval(view) {
            Some(false) => Ok(None),
            None => Err(Undecided),
            Some(true) => match &self.score {
                Score::Constant(score) => Ok(Some(*score)),
                Score::Computed(tree) => {
                    let score = tree.eval(view).ok_or(Undecided)?;
                    Ok(Some(score.clamp(0, i64::from(SCORE_MAX)) as u16))
                }
            },
        }
    }
}

/// A rule came to no answer, because something it reads is missing or an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecided;

fn compile_score(source: &ScoreSource, schema: &Schema) -> Result<(Score, Vec<SlotId>), Vec<Error>> {
    let source = match source {
        ScoreSource::Constant(score) => return Ok((Score::Constant((*score).min(SCORE_MAX)), Vec::new())),
        ScoreSource::Expression(source) => source,
    };
    let expression = Expression::compile(source, schema)?;
    let slots = expression.slots().to_vec();
    let refuse = |message: String| Err(vec![Error::new(ErrorKind::Invalid, message).at(source.place(0))]);
    match expression.body {
        Body::Int(NumExpr::Const(score)) => match u16::try_from(score) {
            Ok(score) if score <= SCORE_MAX => Ok((Score::Constant(score), slots)),
            _ => refuse(format!("score is {score}, limit 0 to {SCORE_MAX}")),
        },
        Body::Int(tree) => Ok((Score::Computed(tree), slots)),
        _ => refuse(format!("score must be int, not {}", expression.type_name())),
    }
}

/// A rule that hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The rule's number.
    pub rule: u32,
    /// The hit's score, 0 to 1000.
    pub score: u16,
}

/// What the rules came to for one transaction. Reusable: made once with room for every rule, then cleared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleResults {
    /// Rules that hit, live and shadow, in rule order.
    pub hits: Vec<Hit>,
    /// Rules that are undecided, in rule order.
    pub undecided: Vec<u32>,
}

impl RuleResults {
    /// Empties it; its room stays.
    pub fn clear(&mut self) {
        self.hits.clear();
        self.undecided.clear();
    }
}

/// The rules of a generation.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    lifts: Vec<Lift>,
    /// By rule: apart, since only `explain` asks.
    searches: Vec<Box<[Search]>>,
}

impl RuleSet {
    /// Compiles all rules; their numbers are their places in the vector.
    ///
    /// # Errors
    /// The errors of all rules; see [`Rule::compile`].
    pub fn compile(sources: Vec<RuleSource>, schema: &Schema) -> Result<RuleSet, Vec<Error>> {
        let (mut rules, mut errors) = (Vec::with_capacity(sources.len()), Vec::new());
        for source in sources {
            match Rule::compile(source, schema) {
                Ok(rule) => rules.push(rule),
                Err(found) => errors.extend(found),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut lifts = Lifts::default();
        let each = rules.iter_mut().map(|rule| {
            rule.lift(&mut lifts);
            lifts.take_searches()
        });
        let searches = each.collect();
        Ok(RuleSet { rules, lifts: lifts.into_list(), searches })
    }

    /// Evaluates every rule over a row into `out`, which is cleared first.
    pub fn evaluate<V: SlotView + ?Sized>(&self, view: &V, out: &mut RuleResults) {
        self.evaluate_packs(view, |_| true, out);
    }

    /// Evaluates the rules of those packs for which `counts` says so: the packs of the transaction's tenant.
    pub fn evaluate_packs<V: SlotView + ?Sized>(
        &self,
        view: &V,
        counts: impl Fn(u16) -> bool,
        out: &mut RuleResults,
    ) {
        out.clear();
        for (number, rule) in self.rules.iter().enumerate() {
            if !counts(rule.pack()) {
                continue;
            }
            match rule.eval(view) {
                Ok(None) => {}
                Ok(Some(score)) => out.hits.push(Hit { rule: number as u32, score }),
                Err(Undecided) => out.undecided.push(number as u32),
            }
        }
    }

    /// Empty results with room for every rule, so that evaluation never allocates.
    pub fn results(&self) -> RuleResults {
        RuleResults {
            hits: Vec::with_capacity(self.rules.len()),
            undecided: Vec::with_capacity(self.rules.len()),
        }
    }
    /// A rule by its number.
    ///
    /// # Panics
    /// When there is no such rule.
    pub fn rule(&self, number: u32) -> &Rule {
        &self.rules[number as usize]
    }
    /// The number of a rule, by its id `pack/rule`.
    pub fn find(&self, id: &str) -> Option<u32> {
        self.rules.iter().position(|rule| rule.id() == id).map(|number| number as u32)
    }
    /// All rules, in the order of their numbers.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    /// The `matches(…)` that the pattern stage may answer through `SlotView::lifted`, by number.
    pub fn lifts(&self) -> &[Lift] {
        &self.lifts
    }
    /// Every `matches("constant")` over a field that a rule has, in condition and score.
    ///
    /// # Panics
    /// When there is no such rule.
    pub fn searches(&self, number: u32) -> &[Search] {
        &self.searches[number as usize]
    }
    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
    /// How many rules the `cel` interpreter runs in part; these allocate when evaluated.
    pub fn interpreted(&self) -> usize {
        self.rules.iter().filter(|rule| rule.is_interpreted()).count()
    }
}
