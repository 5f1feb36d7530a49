//! The lane: `lane::decide` (lists, model, rules, decision) on packs/cards, for transactions of the Handbook that the
//! sequencer stamped after 50 days of feed with labels. Beside it the `cel` crate's interpreter over the same rules:
//! it gets the slots as variables and gives outcome and score, without lists, reasons and levers.
#![allow(missing_docs)]

use cel::{Context, Env, Program};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use interdict_engine::domain::{Body, Event, GenerationId, Label, Outcome, SlotView, Value};
use interdict_engine::features::StateLimits;
use interdict_engine::generation::{Generation, Manifest, PartKind, View};
use interdict_engine::identity::IdentityLimits;
use interdict_engine::lane::{Found, Open, Row, Scratch, decide};
use interdict_engine::lists::{ListMeta, build};
use interdict_engine::packs::{Files, archive};
use interdict_engine::rules::ScoreSource;
use interdict_engine::sequencer::{Sequencer, SequencerLimits, Submission, Taken, Work};
use interdict_ingest::feeds::{FileFeed, FileOptions};
use interdict_ingest::{Decoder, TagKeys};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

const DATA: &str = "handbook/transactions-2018-04-to-07.parquet";
/// About 52 days: every window of the pack, delays included, is covered at the end.
const ROWS: usize = 500_000;
/// The last so many are decided again and again; more than fit into the second-level cache.
const WORKS: usize = 4096;

fn pack_files(root: &Path) -> Files {
    let mut files = Files::new();
    for folder in ["", "rules", "tests", "models"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("packs/cards") {
            let path = entry.expect("a readable folder").path();
            if path.extension().is_some_and(|end| end == "yaml" || end == "onnx") {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                files.insert(name, std::fs::read(&path).expect("a readable file"));
            }
        }
    }
    files
}

/// packs/cards, its model included, with both of its lists loaded (empty ones: a probe costs the same when nothing hits).
fn generation() -> Arc<Generation> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../packs/cards"));
    let list = |name: &str| build(&ListMeta::new(name, None, 1), Vec::new()).expect("an empty list");
    let parts = [
        (PartKind::Pack, "cards", archive(&pack_files(&root))),
        (PartKind::List, "stolen_cards", list("stolen_cards")),
        (PartKind::List, "compromised_terminals", list("compromised_terminals")),
    ];
    let mut objects: BTreeMap<[u8; 32], Arc<Vec<u8>>> = BTreeMap::new();
    let mut rows = Vec::new();
    for (kind, name, bytes) in parts {
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        objects.insert(hash, Arc::new(bytes));
        rows.push((kind, name.to_owned(), hash));
    }
    let object = |hash: &[u8; 32]| Ok(objects[hash].clone() as Arc<dyn AsRef<[u8]> + Send + Sync>);
    Arc::new(Generation::build(Manifest::new(rows), &object).expect("packs/cards builds"))
}

fn data() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    named.into_iter().chain(above).map(|folder| folder.join(DATA)).find(|path| path.exists())
}

fn submission(event: Event) -> Submission {
    Submission { event, identity: None, alias: None, payment_digest: 0, refers_to: None }
}

/// The last `WORKS` of the first `ROWS` transactions, stamped; labels come when they are known.
fn works(path: &Path, generation: &Arc<Generation>) -> Vec<Work> {
    let columns = r#"{"id": "TRANSACTION_ID", "time": "TX_DATETIME", "card.token": "CUSTOMER_ID",
        "terminal.id": "TERMINAL_ID", "amount.minor": {"column": "TX_AMOUNT", "scale": "minor"},
        "amount.currency": {"const": "EUR"}, "channel": {"const": "chip"}, "label": "TX_FRAUD", "label_delay": "7d"}"#;
    let columns = Some(serde_json::from_str(columns).expect("a right mapping"));
    let options = FileOptions { columns, default_tenant: "default".into() };
    let feed = FileFeed::open(path, Decoder::new(Arc::new(TagKeys::new(&[7; 32]))), &options);
    let limits = SequencerLimits {
        features: StateLimits::default(),
        identity: IdentityLimits { horizon_ms: 1, bytes_max: 1 << 20, ..Default::default() },
    };
    let mut sequencer = Sequencer::new(limits, generation.clone());
    let id: GenerationId = View::new(generation.clone(), 1).id();
    let tenant: Arc<str> = "default".into();
    let publish = Event { tenant: tenant.clone(), arrival_ms: 0, body: Body::Publish { generation: id } };
    sequencer.publish(generation.clone(), publish);
    let (mut out, mut labels) = (Vec::new(), BTreeMap::new());
    for item in feed.expect("the Handbook").take(ROWS) {
        let record = item.expect("the file is whole").result.expect("the row is right");
        let time_ms = record.decoded.tx.time_ms;
        while let Some(due) = labels.first_entry().filter(|entry| *entry.key() <= (time_ms, u64::MAX)) {
            let ((time_ms, target), ()) = due.remove_entry();
            let body = Body::Label { target, label: Label::Fraud, time_ms };
            let mut noted = Vec::new();
            sequencer
                .step([submission(Event { tenant: tenant.clone(), arrival_ms: time_ms, body })], &mut noted);
        }
        if out.len() == 2 * WORKS {
            out.drain(..WORKS);
        }
        let body = Body::Payment(Box::new(record.decoded.tx));
        sequencer.step([submission(Event { tenant: tenant.clone(), arrival_ms: time_ms, body })], &mut out);
        if let Some(label) = record.label.filter(|label| label.label == Label::Fraud) {
            labels.insert((label.visible_at_ms, sequencer.last_sequence()), ());
        }
    }
    let last = out.split_off(out.len() - WORKS);
    last.into_iter()
        .map(|taken| match taken {
            Taken::Work(work) => work,
            other => panic!("a payment became {other:?}"),
        })
        .collect()
}

/// A rule for the interpreter.
struct Interpreted {
    when: Program,
    outcome: Outcome,
    score: Result<u16, Program>,
}

fn interpreted(generation: &Generation) -> Vec<Interpreted> {
    let program = |text: &str| Program::compile(text).expect("the pack's CEL");
    let rule = |rule: &interdict_engine::rules::Rule| Interpreted {
        when: program(rule.source().when.text()),
        outcome: rule.outcome(),
        score: match &rule.source().score {
            ScoreSource::Constant(score) => Ok(*score),
            ScoreSource::Expression(source) => Err(program(source.text())),
        },
    };
    generation.rules().rules().iter().map(rule).collect()
}

/// The interpreter's own functions, made once: it is not charged for them with each transaction.
static STDLIB: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// The slots as the interpreter's variables: groups as maps, missing slots absent.
fn context(work: &Work, found: &Found) -> Context<'static, 'static> {
    #[derive(Default)]
    struct Group(HashMap<String, cel::Value>, HashMap<String, Group>);
    impl Group {
        fn put(&mut self, path: &str, value: cel::Value) {
            match path.split_once('.') {
                Some((first, rest)) => self.1.entry(first.into()).or_default().put(rest, value),
                None => drop(self.0.insert(path.into(), value)),
            }
        }
        fn value(self) -> cel::Value {
            let groups = self.1.into_iter().map(|(name, group)| (name, group.value()));
            self.0.into_iter().chain(groups).collect::<HashMap<_, _>>().into()
        }
    }
    let mut root = Group::default();
    let row = Row::new(work.transaction(), &work.accepted.features, &work.view, found);
    for (slot, def) in work.view.generation().schema().slots() {
        let value = match row.value(slot) {
            Some(Value::Int(v)) => cel::Value::Int(v),
            Some(Value::Bool(v)) => cel::Value::Bool(v),
            Some(Value::Text(v)) => cel::Value::from(v),
            _ => continue,
        };
        root.put(&def.path, value);
    }
    let mut context = Context::with_env(STDLIB.clone());
    root.0.into_iter().for_each(|(name, value)| context.add_variable_from_value(name, value));
    root.1.into_iter().for_each(|(name, group)| context.add_variable_from_value(name, group.value()));
    context
}

fn interpret(rules: &[Interpreted], work: &Work, stages: &Found) -> (Outcome, u16) {
    let context = context(work, stages);
    let models = work.view.generation().models().iter().enumerate();
    let counting = models.filter(|(_, model)| model.counts()).filter_map(|(at, _)| stages.model(at));
    let mut found = (Outcome::Approve, counting.max().unwrap_or(0));
    for rule in rules {
        if !matches!(rule.when.execute(&context), Ok(cel::Value::Bool(true))) {
            continue;
        }
        let score = match &rule.score {
            Ok(score) => *score,
            Err(program) => match program.execute(&context) {
                Ok(cel::Value::Int(score)) => score.clamp(0, 1000) as u16,
                // As in the engine, a rule without a score is undecided.
                _ => continue,
            },
        };
        found = (found.0.max(rule.outcome), found.1.max(score));
    }
    found
}

fn decision(c: &mut Criterion) {
    let Some(path) = data() else {
        eprintln!("decision skipped: no {DATA}; set INTERDICT_DATA");
        return;
    };
    let generation = generation();
    let works = works(&path, &generation);
    let rules = interpreted(&generation);
    let mut scratch = Scratch::default();
    // What the stages before the rules found: the interpreter is not charged for them.
    let mut found = Vec::new();
    let mut strong = 0;
    for work in &works {
        let verdict = decide(work, &mut Open, &mut scratch);
        let stages = std::mem::take(&mut scratch.found);
        let plain = interpret(&rules, work, &stages);
        assert_eq!((verdict.outcome, verdict.score), plain, "before either is timed");
        found.push(stages);
        strong += usize::from(verdict.outcome > Outcome::Approve);
    }
    assert!(strong > 0, "the works must hold some that rules stop");
    let mut group = c.benchmark_group("decision/cards");
    group.throughput(Throughput::Elements(WORKS as u64));
    group.bench_function("interdict", |b| {
        let all = |scratch: &mut Scratch| {
            for work in &works {
                black_box(decide(black_box(work), &mut Open, scratch));
            }
        };
        b.iter(|| all(&mut scratch));
    });
    group.sample_size(10).bench_function("cel interpreter", |b| {
        b.iter_batched(
            || (),
            |()| {
                works.iter().zip(&found).for_each(|(work, found)| {
                    black_box(interpret(&rules, black_box(work), found));
                })
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, decision);
criterion_main!(benches);
