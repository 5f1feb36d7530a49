//! The rules stage: one transaction over 20 and 1,000 rules, the typed tree against the `cel` crate's interpreter, in the
//! same run and over the same rows. The interpreter gets one context a transaction, shared by all its programs.
#![allow(missing_docs)]

use cel::{Context, Env, Program};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use interdict_engine::domain::{Audience, Outcome, Schema, SlotDef, SlotId, SlotView, Value, ValueType};
use interdict_engine::error::Place;
use interdict_engine::rules::{RuleSet, RuleSource, ScoreSource, Source};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, LazyLock};

const COUNTRIES: [&str; 12] = ["FR", "DE", "PT", "ES", "US", "GB", "RU", "NG", "BR", "CN", "IN", "JP"];
const CHANNELS: [&str; 5] = ["chip", "contactless", "ecommerce", "atm", "transfer"];
const FEATURES: [&str; 8] = [
    "features.card.count_1h",
    "features.card.count_24h",
    "features.card.sum_1h",
    "features.card.sum_24h",
    "features.device.count_1h",
    "features.merchant.count_1h",
    "features.account.sum_7d",
    "features.ip.distinct_1h",
];
const ROWS: usize = 256;

struct Row(Vec<Option<Owned>>);

enum Owned {
    Int(i64),
    Bool(bool),
    Text(&'static str),
}

impl SlotView for Row {
    fn value(&self, slot: SlotId) -> Option<Value<'_>> {
        Some(match self.0[usize::from(slot.0)].as_ref()? {
            Owned::Int(v) => Value::Int(*v),
            Owned::Bool(v) => Value::Bool(*v),
            Owned::Text(v) => Value::Text(v),
        })
    }
}

fn schema() -> Schema {
    let mut schema = Schema::new();
    for (path, ty) in FEATURES
        .map(|path| (path, ValueType::Int))
        .into_iter()
        .chain([("lists.stolen", ValueType::Bool), ("lists.mules", ValueType::Bool)])
    {
        let def = SlotDef { path: path.into(), ty, unit: String::new(), doc: String::new() };
        schema.add(def).expect("paths are unique");
    }
    schema
}

fn rows(schema: &Schema, rng: &mut ChaCha8Rng) -> Vec<Row> {
    let names = ["Cafe du Nord 75", "AMZN Mktp DE", "Gift Card Store", "STEAM GAMES", "Bakery Maier"];
    let row = |rng: &mut ChaCha8Rng| {
        let mut values: Vec<Option<Owned>> = (0..schema.len()).map(|_| None).collect();
        let mut set =
            |path: &str, value| values[usize::from(schema.find(path).expect("known").0)] = Some(value);
        set("amount.minor", Owned::Int(rng.random_range(100..200_000)));
        set("amount.currency", Owned::Text("EUR"));
        set("channel", Owned::Text(CHANNELS[rng.random_range(0..5)]));
        set("merchant.country", Owned::Text(COUNTRIES[rng.random_range(0..12)]));
        set("payer.country", Owned::Text(COUNTRIES[rng.random_range(0..12)]));
        set("merchant.name", Owned::Text(names[rng.random_range(0..5)]));
        set("merchant.mcc", Owned::Text(["5812", "5999", "6011", "7995"][rng.random_range(0..4)]));
        set("cross_border", Owned::Bool(rng.random_bool(0.3)));
        FEATURES.iter().for_each(|path| set(path, Owned::Int(rng.random_range(0..40))));
        set("lists.stolen", Owned::Bool(rng.random_bool(0.01)));
        set("lists.mules", Owned::Bool(rng.random_bool(0.01)));
        Row(values)
    };
    (0..ROWS).map(|_| row(rng)).collect()
}

/// A rule as a risk team writes them; `patterns` says whether templates with `matches` are among them.
fn rule(rng: &mut ChaCha8Rng, patterns: bool) -> String {
    let country = |rng: &mut ChaCha8Rng| COUNTRIES[rng.random_range(0..12)];
    let feature = |rng: &mut ChaCha8Rng| FEATURES[rng.random_range(0..8)];
    let n = |rng: &mut ChaCha8Rng, to: i64| rng.random_range(0..to);
    match rng.random_range(0..if patterns { 10 } else { 9 }) {
        0 => format!(
            "amount.minor > {} && channel == '{}'",
            150_000 + n(rng, 50_000),
            CHANNELS[rng.random_range(0..5)]
        ),
        1 => format!("{} > {} && {} > {}", feature(rng), 20 + n(rng, 20), feature(rng), 20 + n(rng, 20)),
        2 => format!(
            "merchant.country in ['{}', '{}', '{}'] && amount.minor > {}",
            country(rng),
            country(rng),
            country(rng),
            n(rng, 200_000)
        ),
        3 => format!("merchant.country != payer.country && {} > {}", feature(rng), 30 + n(rng, 10)),
        4 => format!("(lists.stolen || lists.mules) && amount.minor > {}", n(rng, 100_000)),
        5 => format!(
            "merchant.name.startsWith('{}') && cross_border",
            ["Gift", "STEAM", "AMZN"][rng.random_range(0..3)]
        ),
        6 => format!("has(corridor) && corridor == '{}-{}'", country(rng), country(rng)),
        7 => format!(
            "!(channel in ['chip', 'contactless']) && {} * 100 > amount.minor + {}",
            feature(rng),
            n(rng, 5_000)
        ),
        8 => format!(
            "merchant.mcc == '7995' && (payer.country == '{}' || {} > {})",
            country(rng),
            feature(rng),
            35 + n(rng, 5)
        ),
        _ => format!("merchant.name.matches('(?i)gift.?cards? {}')", country(rng)),
    }
}

fn compile(texts: &[String], schema: &Schema) -> RuleSet {
    let source = |(number, text): (usize, &String)| RuleSource {
        pack: 0,
        id: format!("bench/{number}"),
        title: String::new(),
        when: Source::new(text.as_str(), Place::file("bench")),
        outcome: Outcome::Review,
        score: ScoreSource::Constant(500),
        code: "B".into(),
        class: Default::default(),
        audience: Audience::Internal,
        mode: Default::default(),
    };
    RuleSet::compile(texts.iter().enumerate().map(source).collect(), schema)
        .expect("the templates are well typed")
}

/// The interpreter's own functions, made once: it is not charged for them with each transaction.
static STDLIB: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The row as the interpreter's variables: groups as maps, missing slots absent.
fn context(schema: &Schema, row: &Row) -> Context<'static, 'static> {
    #[derive(Default)]
    struct Group(HashMap<String, cel::Value>, HashMap<String, Group>);
    impl Group {
        fn put(&mut self, path: &str, value: Option<cel::Value>) {
            match (path.split_once('.'), value) {
                (Some((first, rest)), value) => self.1.entry(first.into()).or_default().put(rest, value),
                (None, Some(value)) => drop(self.0.insert(path.into(), value)),
                (None, None) => {}
            }
        }
        fn value(self) -> cel::Value {
            let groups = self.1.into_iter().map(|(name, group)| (name, group.value()));
            self.0.into_iter().chain(groups).collect::<HashMap<_, _>>().into()
        }
    }
    let mut root = Group::default();
    for (slot, def) in schema.slots() {
        let value = row.value(slot).map(|value| match value {
            Value::Int(v) => cel::Value::Int(v),
            Value::Bool(v) => cel::Value::Bool(v),
            Value::Text(v) => cel::Value::from(v),
            _ => cel::Value::Bool(true),
        });
        root.put(&def.path, value);
    }
    let mut context = Context::with_env(STDLIB.clone());
    root.0.into_iter().for_each(|(name, value)| context.add_variable_from_value(name, value));
    root.1.into_iter().for_each(|(name, group)| context.add_variable_from_value(name, group.value()));
    context
}

fn interpret(programs: &[Program], schema: &Schema, row: &Row) -> usize {
    let context = context(schema, row);
    programs.iter().filter(|program| matches!(program.execute(&context), Ok(cel::Value::Bool(true)))).count()
}

fn rules(c: &mut Criterion) {
    let schema = schema();
    for (count, patterns) in [(20, false), (1000, false), (1000, true)] {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let rows = rows(&schema, &mut rng);
        // `has(corridor)` is ours: CEL's own macro takes selections only.
        let texts: Vec<String> = (0..count).map(|_| rule(&mut rng, patterns)).collect();
        let set = compile(&texts, &schema);
        let plain = |text: &String| text.replace("has(corridor) && ", "");
        let programs: Vec<Program> =
            texts.iter().map(|text| Program::compile(&plain(text)).expect("CEL")).collect();
        let mut results = set.results();
        for row in rows.iter().take(64) {
            set.evaluate(row, &mut results);
            assert_eq!(
                results.hits.len(),
                interpret(&programs, &schema, row),
                "both must agree before either is timed"
            );
        }
        let name = if patterns { "with patterns" } else { "without patterns" };
        let mut group = c.benchmark_group(format!("rules/{count} {name}"));
        group.bench_function(BenchmarkId::new("interdict", count), |b| {
            let mut rows = rows.iter().cycle();
            b.iter(|| set.evaluate(black_box(rows.next().expect("rows cycle")), &mut results));
        });
        group.sample_size(10).bench_function(BenchmarkId::new("cel interpreter", count), |b| {
            let mut rows = rows.iter().cycle();
            b.iter(|| interpret(&programs, &schema, black_box(rows.next().expect("rows cycle"))));
        });
        group.finish();
    }
}

fn compiling(c: &mut Criterion) {
    let schema = schema();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let texts: Vec<String> = (0..1000).map(|_| rule(&mut rng, true)).collect();
    let mut group = c.benchmark_group("rules/compile");
    group.sample_size(10).bench_function("1000", |b| b.iter(|| compile(black_box(&texts), &schema)));
    group.finish();
}

criterion_group!(benches, rules, compiling);
criterion_main!(benches);
