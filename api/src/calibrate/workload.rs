//! What the calibration times: one generation with rules, banks and models, pattern sets of several shapes and sizes, and
//! a watchlist of the size that sanctions lists have.

use super::{Probe, time};
use anyhow::{Context, Result, anyhow};
use interdict_engine::Error;
use interdict_engine::calibration::Calibration;
use interdict_engine::domain::{Field, Label, SlotId, SlotView, Transaction, TransactionKind};
use interdict_engine::error::Place;
use interdict_engine::generation::{Bytes, Generation, Manifest, PartKind, View};
use interdict_engine::lane::{Found, Row};
use interdict_engine::models::ModelScratch;
use interdict_engine::packs::{self, Pack};
use interdict_engine::patterns::{
    self, Extended, Folder, PatternHits, PatternScratch, PatternSet, PatternSource,
};
use interdict_engine::rules::{Rule, Source};
use interdict_engine::similarity::names::{
    Alias, Bank, CUTOFF_DEFAULT, Entry, Kind, Match, Quality, Scratch, Screener,
};
use interdict_engine::similarity::vectors::{Banks, VectorScratch};
use interdict_shaders::Kernel;
use std::hint::black_box;
use std::sync::Arc;

/// Names of the watchlist: `Calibration::screen_ps` is of so many.
const NAMES: usize = 20_000;
/// Labelled payments of each bank.
const LABELLED: u64 = 2048;
/// Attributes of the bank of fingerprints, and dimensions of the other, in `PACK`.
const ATTRIBUTES: u64 = 4;
const COLUMNS: usize = 8;

type Figure = fn(&mut Calibration) -> &mut u64;
type Estimate = fn(&Calibration) -> u64;
/// Draws an expression.
type Draw = fn(&mut Dice) -> String;

/// Every probe, timed.
pub(super) fn probes() -> Result<Vec<Probe>> {
    let world = World::new()?;
    let mut probes = Vec::new();
    scans(&mut probes)?;
    names(&mut probes)?;
    world.banks(&mut probes)?;
    world.models(&mut probes);
    world.rules(&mut probes)?;
    Ok(probes)
}

fn all(errors: Vec<Error>) -> anyhow::Error {
    anyhow!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// Drawn numbers, the same every time.
struct Dice(u64);
impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
    fn letter(&mut self) -> char {
        char::from(b'a' + self.roll(26) as u8)
    }
    fn word(&mut self, syllables: usize) -> String {
        const SYLLABLES: [&str; 24] = [
            "ka", "ro", "min", "tel", "so", "bra", "vex", "du", "pay", "gif", "loo", "net", "sta", "qui",
            "zen", "mar", "al", "ib", "han", "jo", "fer", "na", "wil", "och",
        ];
        (0..syllables).map(|_| SYLLABLES[self.roll(SYLLABLES.len())]).collect()
    }
}

/// A text of 256 bytes, as the estimates take them.
fn text(dice: &mut Dice) -> String {
    let mut text = String::new();
    while text.len() < 256 {
        let syllables = 1 + dice.roll(3);
        text += &dice.word(syllables);
        if dice.roll(4) == 0 {
            text += &dice.roll(10_000).to_string();
        }
        text.push(' ');
    }
    text.truncate(256);
    text
}

fn scans(probes: &mut Vec<Probe>) -> Result<()> {
    let mut dice = Dice(1);
    let texts: Vec<String> = (0..16).map(|_| text(&mut dice)).collect();
    let mut folder = Folder::default();
    let mut at = 0;
    let took_ps = time(|| {
        at = (at + 1) % texts.len();
        folder.fold(black_box(&texts[at]));
    });
    probes.push(Probe { figure: |c| &mut c.fold_ps, estimate: Box::new(|c| c.fold_ps), took_ps });
    let near = Extended { edit_distance: Some(1), ..Extended::default() };
    let shapes: [(Figure, usize, Extended, Draw); 5] = [
        (|c| &mut c.pattern_ps, 400, Extended::default(), |dice| dice.word(4)),
        (|c| &mut c.scan_ps, 8, Extended::default(), |dice| dice.word(4)),
        (
            |c| &mut c.pattern_short_ps,
            20,
            Extended::default(),
            |dice| format!("{}{}[a-z]{{1,3}}[0-9]", dice.letter(), dice.letter()),
        ),
        (
            |c| &mut c.pattern_bare_ps,
            20,
            Extended::default(),
            |dice| format!("[a-{}][{}-z][a-z][0-9]", dice.letter().max('e'), dice.letter().min('v')),
        ),
        (|c| &mut c.pattern_near_ps, 4, near, |dice| dice.word(3)),
    ];
    for (figure, count, extended, draw) in shapes {
        let source = |number: usize| PatternSource {
            id: format!("p{number}"),
            fields: vec![Field::Text],
            text: Source::new(draw(&mut dice), Place::file("calibration")),
            literal: false,
            view: patterns::View::Raw,
            // A distance counts bytes, and takes texts whose case has one byte a letter.
            case_sensitive: extended == near,
            extended,
        };
        let sources: Vec<PatternSource> = (0..count).map(source).collect();
        let set = PatternSet::compile(&sources, &[], None).map_err(all)?;
        let (mut scratch, mut hits) = (PatternScratch::default(), PatternHits::default());
        let mut scan =
            |text: &str| set.scan_fields(&|of| (of == Field::Text).then_some(text), &mut scratch, &mut hits);
        scan(&texts[0])?;
        let mut at = 0;
        let took_ps = time(|| {
            at = (at + 1) % texts.len();
            drop(black_box(scan(&texts[at])));
        });
        let estimate = move |c: &Calibration| {
            let shared = set.shared_costs_ps(c).into_iter().map(|(_, ps)| ps);
            set.costs_ps(c).into_iter().chain(shared).sum()
        };
        probes.push(Probe { figure, estimate: Box::new(estimate), took_ps });
    }
    Ok(())
}

fn names(probes: &mut Vec<Probe>) -> Result<()> {
    let mut dice = Dice(2);
    let words: Vec<String> = (0..9000).map(|n| dice.word(2 + n % 3)).collect();
    let name = |dice: &mut Dice| {
        let count = 2 + dice.roll(3);
        (0..count).map(|_| words[dice.roll(words.len())].as_str()).collect::<Vec<_>>().join(" ")
    };
    let entry = |number: usize| Entry {
        id: number.to_string(),
        kind: Kind::Person,
        names: vec![Alias { name: name(&mut dice), quality: Quality::Strong }],
    };
    let bank = Bank::new((0..NAMES).map(entry).collect())?;
    let screener = Screener::new(&bank, Kernel::best())?;
    // Names that are not on it, as most are: of other words, and a listed one's first word with another.
    let asked: Vec<String> = (0..32)
        .map(|n| {
            let listed = &bank.entries()[dice.roll(NAMES)].names[0].name;
            let first = listed.split(' ').next().unwrap_or_default();
            if n % 2 == 0 {
                format!("{first} {}", dice.word(3))
            } else {
                format!("{} {}", dice.word(3), dice.word(2))
            }
        })
        .collect();
    let (mut scratch, mut out, mut at) = (Scratch::default(), Vec::<Match>::new(), 0);
    let took_ps = time(|| {
        at = (at + 1) % asked.len();
        screener.screen(black_box(&asked[at]), None, CUTOFF_DEFAULT, &mut scratch, &mut out);
    });
    probes.push(Probe { figure: |c| &mut c.screen_ps, estimate: Box::new(|c| c.screen_ps), took_ps });
    Ok(())
}

const PACK: [(&str, &str); 2] = [
    ("pack.yaml", "name: calibration\nversion: \"1\"\nowner: calibration\n"),
    (
        "banks.yaml",
        "banks:
  - id: shared
    kind: fingerprint
    attributes: [channel, merchant.mcc, text, {slot: amount.minor, steps: [1000, 10000, 50000]}]
    range: 40
    k: 10
    learn: [fraud, good]
    capacity: 20000
  - id: numbers
    kind: vector
    dimensions: [{slot: amount.minor, from: 0, to: 100000}]
    range: 1000
    k: 10
    learn: [fraud, good]
    capacity: 20000
",
    ),
];

/// The models that are timed, trained by `engine/src/models/fixtures/make.py`, each with its class and the figure it
/// tells.
const MODELS: [(&str, &[u8], &str, Figure); 4] = [
    ("trees", include_bytes!("../../../engine/src/models/fixtures/trees.onnx"), "1", |c| &mut c.tree_step_ps),
    ("three", include_bytes!("../../../engine/src/models/fixtures/trees_three.onnx"), "fraud", |c| {
        &mut c.class_ps
    }),
    ("network", include_bytes!("../../../engine/src/models/fixtures/network.onnx"), "1", |c| {
        &mut c.tract_operator_ps
    }),
    ("logistic", include_bytes!("../../../engine/src/models/fixtures/logistic.onnx"), "1", |c| {
        &mut c.tract_ps
    }),
];

fn files() -> packs::Files {
    let mut files: packs::Files =
        PACK.iter().map(|(path, text)| (path.to_string(), text.as_bytes().to_vec())).collect();
    for (id, onnx, class, _) in MODELS {
        let inputs = "  - {slot: amount.minor}\n".repeat(COLUMNS);
        let declared = format!("id: {id}\nfile: {id}.onnx\ndoc: timed\nclass: {class}\ninputs:\n{inputs}");
        files.insert(format!("models/{id}.yaml"), declared.into_bytes());
        files.insert(format!("models/{id}.onnx"), onnx.to_vec());
    }
    files
}

struct World {
    pack: Pack,
    view: Arc<View>,
    payments: Vec<Transaction>,
}

impl World {
    fn new() -> Result<World> {
        let pack = packs::load(files()).map_err(all)?;
        let archive: Bytes = Arc::new(pack.archive());
        let manifest = Manifest::new(vec![(PartKind::Pack, pack.name().to_owned(), pack.content_hash())]);
        let generation = Generation::build(manifest, &|_| Ok(archive.clone())).map_err(all)?;
        let mut dice = Dice(3);
        let mut payment = |_| {
            let mut tx = Transaction::new("calibration".into(), TransactionKind::Request, 0);
            tx.set_int(Field::AmountMinor, dice.roll(100_000) as i64);
            tx.set_text(Field::Channel, ["chip", "ecommerce", "atm", "transfer"][dice.roll(4)]);
            tx.set_text(Field::MerchantMcc, ["5812", "5999", "6011", "7995"][dice.roll(4)]);
            tx.set_text(Field::Text, &text(&mut dice));
            tx
        };
        let payments = (0..64).map(&mut payment).collect();
        Ok(World { pack, view: View::new(Arc::new(generation), 0), payments })
    }

    /// Calls with each payment in turn.
    fn time(&self, mut call: impl FnMut(&Transaction)) -> u64 {
        let mut at = 0;
        time(|| {
            at = (at + 1) % self.payments.len();
            call(&self.payments[at]);
        })
    }
    fn row<'a>(&'a self, tx: &'a Transaction, found: &'a Found) -> Row<'a> {
        Row::new(tx, &[], &self.view, found)
    }

    fn banks(&self, probes: &mut Vec<Probe>) -> Result<()> {
        let plan = self.view.generation().banks().clone();
        let mut banks = Banks::new(plan.clone());
        for sequence in 0..LABELLED {
            let tx = &self.payments[sequence as usize % self.payments.len()];
            banks.observe(sequence, tx, &[]);
            let label = if sequence % 4 == 0 { Label::Fraud } else { Label::Good };
            banks.label(&tx.tenant, sequence, label);
        }
        let mut scratch = VectorScratch::default();
        let figures: [(Figure, Estimate); 2] = [
            (|c| &mut c.fingerprint_ps, |c| LABELLED * c.fingerprint_ps),
            (|c| &mut c.vector_ps, |c| LABELLED * c.vector_ps),
        ];
        for ((number, decl), (figure, estimate)) in plan.banks().enumerate().zip(figures) {
            let tenant = &self.payments[0].tenant;
            let contents = banks.learned().contents(tenant, number).context("the bank has learned")?;
            let prints: Vec<_> = self.payments.iter().filter_map(|tx| plan.prints(tx, &[])[number]).collect();
            let mut at = 0;
            let took_ps = time(|| {
                at = (at + 1) % prints.len();
                black_box(contents.likest(Kernel::best(), decl, &prints[at], None, &mut scratch));
            });
            probes.push(Probe { figure, estimate: Box::new(estimate), took_ps });
        }
        let took_ps = self.time(|tx| drop(black_box(plan.prints(tx, &[]))));
        let estimate = |c: &Calibration| ATTRIBUTES * c.attribute_ps;
        probes.push(Probe { figure: |c| &mut c.attribute_ps, estimate: Box::new(estimate), took_ps });
        Ok(())
    }

    fn models(&self, probes: &mut Vec<Probe>) {
        let generation = self.view.generation();
        let found = Found::default();
        let slot = generation.schema().find("amount.minor").unwrap_or(SlotId(0));
        let took_ps = self.time(|tx| {
            black_box(self.row(tx, &found).value(black_box(slot)));
        });
        probes.push(Probe {
            figure: |c| &mut c.model_input_ps,
            estimate: Box::new(|c| c.model_input_ps),
            took_ps,
        });
        let mut scratch = ModelScratch::default();
        for (id, _, _, figure) in MODELS {
            let Some(number) = generation.models().iter().position(|model| model.id() == id) else {
                continue;
            };
            let model = &generation.models()[number];
            let took_ps = self.time(|tx| {
                black_box(model.score(&self.row(tx, &found), &mut scratch));
            });
            let view = self.view.clone();
            let estimate = move |c: &Calibration| view.generation().models()[number].cost_ps(c);
            probes.push(Probe { figure, estimate: Box::new(estimate), took_ps });
        }
    }

    fn rules(&self, probes: &mut Vec<Probe>) -> Result<()> {
        let schema = self.view.generation().schema();
        let join = |parts: Vec<String>, by: &str| parts.join(by);
        let slots = join((0..16).map(|n| format!("amount.minor != -{}", n + 1)).collect(), " && ");
        let texts = join((0..8).map(|n| format!("text.contains(\"zq{n}\")")).collect(), " || ");
        let searches = join((0..4).map(|n| format!("text.matches(\"zq{n}+[0-9]x\")")).collect(), " || ");
        let exists = |count: i64| {
            let list = join((0..count).map(|n| format!("-{}", n + 1)).collect(), ", ");
            format!("[{list}].exists(n, n == amount.minor)")
        };
        let figures: [(Figure, String); 5] = [
            (|c| &mut c.slot_ps, slots),
            (|c| &mut c.text_ps, texts),
            (|c| &mut c.matches_ps, searches),
            (|c| &mut c.interpreted_node_ps, exists(64)),
            (|c| &mut c.interpreted_ps, exists(2)),
        ];
        let found = Found::default();
        for (figure, when) in figures {
            let rule = rule(&self.pack, &when, schema)?;
            let took_ps = self.time(|tx| {
                let _ = black_box(rule.eval(&self.row(tx, &found)));
            });
            let estimate = move |c: &Calibration| rule.cost_ps(c);
            probes.push(Probe { figure, estimate: Box::new(estimate), took_ps });
        }
        Ok(())
    }
}

/// A rule of a condition, compiled by itself: `matches` then stays with the rule.
fn rule(pack: &Pack, when: &str, schema: &interdict_engine::domain::Schema) -> Result<Rule> {
    let text = format!(
        "rules:\n  - id: r\n    title: timed\n    when: '{when}'\n    outcome: review\n    score: 1\n    code: T\n"
    );
    let mut files = pack.files().clone();
    files.insert("rules/r.yaml".into(), text.into_bytes());
    let pack = packs::load(files).map_err(all)?;
    let source = pack.rule_sources(0).pop().context("the pack has a rule")?;
    Rule::compile(source, schema).map_err(all)
}
