//! The `cel` interpreter over a row of slots: for the few expressions the typed tree does not hold (macros over
//! lists, joined strings), and as the oracle of the tests. It allocates at every evaluation.

use super::calendar::rfc3339;
use super::check::path_of;
use super::source::Source;
use super::syntax::{HAS_NAME, Syntax, each_child};
use crate::calibration::Calibration;
use crate::domain::{Schema, SlotId, SlotView, Value};
use crate::error::Error;
use cel::common::ast::{CallExpr, Expr, IdedExpr, SelectExpr};
use cel::{Context, Env};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

/// The standard functions, built once.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
/// Most visits that an estimate counts; 10,000 steps of macros in 16 KiB of text stay below.
const VISITS_MAX: u64 = 1 << 26;
/// The variable whose fields are the slots with single names, for `has(channel)`.
const SINGLES: &str = "@slots";

/// An expression that the `cel` interpreter evaluates.
#[derive(Debug, Clone)]
pub struct Interpreted {
    expr: IdedExpr,
    slots: Vec<(String, SlotId)>,
    /// Nodes, each as often as the macros around it visit it.
    visits: u64,
}

impl Interpreted {
    /// Parses and type-checks an expression, but keeps all of it for the interpreter. Tests and benchmarks compare
    /// the typed tree with this.
    ///
    /// # Errors
    /// As [`super::Expression::compile`].
    pub fn compile(source: &Source, schema: &Schema) -> Result<Interpreted, Vec<Error>> {
        super::Expression::compile(source, schema)?;
        Ok(Interpreted::new(&Syntax::parse(source)?.root, schema))
    }

    /// The program of a checked expression.
    pub(super) fn new(expr: &IdedExpr, schema: &Schema) -> Interpreted {
        let mut expr = expr.clone();
        let mut slots = Vec::new();
        collect(&expr, schema, &mut slots);
        slots.sort();
        slots.dedup();
        restore_has(&mut expr);
        let visits = weigh(&expr).0;
        Interpreted { expr, slots, visits }
    }

    /// Static cost in ps.
    pub(super) fn cost_ps(&self, costs: &Calibration) -> u64 {
        costs.interpreted_ps + costs.interpreted_node_ps * self.visits.min(VISITS_MAX)
    }

    /// Whether it reads no slot.
    pub(super) fn is_constant(&self) -> bool {
        self.slots.is_empty()
    }

    /// The value as a boolean; `None` for a CEL error.
    pub fn eval_bool<V: SlotView + ?Sized>(&self, view: &V) -> Option<bool> {
        match self.eval(view)? {
            cel::Value::Bool(value) => Some(value),
            _ => None,
        }
    }
    /// The value as an integer; `None` for a CEL error.
    pub fn eval_int<V: SlotView + ?Sized>(&self, view: &V) -> Option<i64> {
        match self.eval(view)? {
            cel::Value::Int(value) => Some(value),
            _ => None,
        }
    }
    /// The value; `None` for a CEL error.
    pub fn eval<V: SlotView + ?Sized>(&self, view: &V) -> Option<cel::Value> {
        cel::Value::resolve(&self.expr, &self.context(view)).ok()
    }

    /// The slots as CEL sees them: nested maps, in which a missing slot has no key. A group without any present slot
    /// is an empty map, so that `has(group.field)` is false rather than an error.
    fn context<V: SlotView + ?Sized>(&self, view: &V) -> Context<'static, 'static> {
        let mut root = Group::default();
        for (path, slot) in &self.slots {
            root.put(path, view.value(*slot).and_then(to_cel));
        }
        let mut context = Context::with_env(STANDARD.clone());
        let singles: HashMap<String, cel::Value> = root.values.clone().into_iter().collect();
        context.add_variable_from_value(SINGLES, singles);
        for (name, value) in root.values {
            context.add_variable_from_value(name, value);
        }
        for (name, group) in root.groups {
            context.add_variable_from_value(name, group.into_value());
        }
        context
    }
}

/// Evaluates an expression without variables; `None` for a CEL error.
pub(super) fn constant(expr: &IdedExpr) -> Option<cel::Value> {
    cel::Value::resolve(expr, &Context::with_env(STANDARD.clone())).ok()
}

/// A point in time written as RFC 3339, in ms since the Unix epoch; `None` for what is not, or is finer than a ms.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let literal = |value: &str| IdedExpr {
        id: 0,
        expr: Expr::Literal(cel::common::ast::LiteralValue::String(value.to_string().into())),
    };
    let call = CallExpr { func_name: "timestamp".into(), target: None, args: vec![literal(text)] };
    match constant(&IdedExpr { id: 0, expr: Expr::Call(call) })? {
        cel::Value::Timestamp(time) => {
            (time.timestamp_subsec_nanos() % 1_000_000 == 0).then(|| time.timestamp_millis())
        }
        _ => None,
    }
}

fn to_cel(value: Value<'_>) -> Option<cel::Value> {
    Some(match value {
        Value::Int(value) => cel::Value::Int(value),
        Value::Bool(value) => cel::Value::Bool(value),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        // Only `has` may ask for them.
        Value::Ip(_) | Value::Present => cel::Value::Bool(true),
        Value::Time(ms) if super::calendar::TIME_MS.contains(&ms) => {
            cel::Value::Timestamp(rfc3339(ms).parse().ok()?)
        }
        Value::Time(_) => return None,
    })
}

#[derive(Default)]
struct Group {
    values: BTreeMap<String, cel::Value>,
    groups: BTreeMap<String, Group>,
}

impl Group {
    fn put(&mut self, path: &str, value: Option<cel::Value>) {
        match path.split_once('.') {
            Some((first, rest)) => self.groups.entry(first.to_string()).or_default().put(rest, value),
            None => {
                if let Some(value) = value {
                    self.values.insert(path.to_string(), value);
                }
            }
        }
    }
    fn into_value(self) -> cel::Value {
        let groups = self.groups.into_iter().map(|(name, group)| (name, group.into_value()));
        self.values.into_iter().chain(groups).collect::<HashMap<String, cel::Value>>().into()
    }
}

/// How many nodes are visited at most, and how long the list is that the expression makes.
fn weigh(expr: &IdedExpr) -> (u64, u64) {
    match &expr.expr {
        Expr::Comprehension(c) => {
            let (range, length) = weigh(&c.iter_range);
            let step = weigh(&c.loop_step).0.saturating_add(2);
            (range.saturating_add(step.saturating_mul(length)).saturating_add(2), length)
        }
        inner => {
            let mut nodes = 1u64;
            each_child(expr, &mut |child| nodes = nodes.saturating_add(weigh(child).0));
            let length = if let Expr::List(list) = inner { list.elements.len() as u64 } else { 1 };
            (nodes, length)
        }
    }
}

fn collect(expr: &IdedExpr, schema: &Schema, slots: &mut Vec<(String, SlotId)>) {
    if let Some(path) = path_of(expr)
        && let Some(slot) = schema.find(&path)
    {
        slots.push((path, slot));
        return;
    }
    each_child(expr, &mut |child| collect(child, schema, slots));
}

/// Turns `_hs(channel)` into the presence test it stands for.
fn restore_has(expr: &mut IdedExpr) {
    match &mut expr.expr {
        Expr::Call(call) if call.func_name == HAS_NAME => {
            if let Some(IdedExpr { expr: Expr::Ident(name), .. }) = call.args.first() {
                let operand = Box::new(IdedExpr { id: 0, expr: Expr::Ident(SINGLES.into()) });
                expr.expr = Expr::Select(SelectExpr { operand, field: name.clone(), test: true });
            }
        }
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| restore_has(target));
            call.args.iter_mut().for_each(restore_has);
        }
        Expr::Select(select) => restore_has(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(restore_has),
        Expr::Comprehension(c) => {
            [&mut c.iter_range, &mut c.loop_cond, &mut c.loop_step].into_iter().for_each(restore_has);
        }
        _ => {}
    }
}
