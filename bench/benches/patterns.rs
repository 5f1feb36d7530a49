//! The patterns stage: one payment's merchant name, remittance text and user agent through 1,000 and 10,000 patterns;
//! ours (a database a field, folded views), one Hyperscan database over the joined text, `regex::RegexSet`, in the
//! same run and over the same payments.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use interdict_engine::domain::{Field, Transaction, TransactionKind};
use interdict_engine::error::Place;
use interdict_engine::patterns::{
    Extended, Folder, PatternHits, PatternScratch, PatternSet, PatternSource, View,
};
use interdict_engine::rules::Source;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use std::time::Duration;

const PAYMENTS: usize = 256;
const FIELDS: [Field; 3] = [Field::MerchantName, Field::Text, Field::DeviceUserAgent];
const SYLLABLES: [&str; 16] = [
    "ka", "ro", "min", "tel", "so", "bra", "vex", "du", "pay", "gif", "loo", "net", "sta", "qui", "zen",
    "mar",
];

fn word(rng: &mut ChaCha8Rng, syllables: usize) -> String {
    (0..syllables).map(|_| SYLLABLES[rng.random_range(0..SYLLABLES.len())]).collect()
}

/// The mix of `design/rules-and-patterns.md`: literals, alternations, classes, words with gaps, devices.
fn pattern(rng: &mut ChaCha8Rng, number: usize) -> (Field, String) {
    let field = FIELDS[number % FIELDS.len()];
    let text = match rng.random_range(0..10) {
        0..4 => word(rng, 4),
        4 | 5 => format!("(?:{}|{}|{})", word(rng, 3), word(rng, 4), word(rng, 3)),
        6 => format!(r"\b{} ?{}\b", word(rng, 2), word(rng, 2)),
        7 => format!(r"{}[0-9]{{2,4}}{}", word(rng, 2), word(rng, 2)),
        8 => format!("{}.{{0,8}}{}", word(rng, 3), word(rng, 3)),
        _ => format!(r"{}-[a-z][0-9]{{3}}", word(rng, 3)),
    };
    (field, text)
}

fn source(number: usize, fields: Vec<Field>, text: &str, view: View) -> PatternSource {
    PatternSource {
        id: format!("p{number}"),
        fields,
        text: Source::new(text, Place::file("bench")),
        literal: false,
        view,
        case_sensitive: false,
        extended: Extended::default(),
    }
}

fn payments(rng: &mut ChaCha8Rng) -> Vec<Transaction> {
    let payment = |rng: &mut ChaCha8Rng| {
        let mut tx = Transaction::new("bench".into(), TransactionKind::Request, 0);
        let words: Vec<String> = (0..5).map(|n| word(rng, 2 + n % 3)).collect();
        tx.set_text(Field::MerchantName, &format!("{} {} 0{}", words[0], words[1], rng.random_range(10..99)));
        tx.set_text(
            Field::Text,
            &format!("Invoice {} for {} {}", rng.random_range(1000..9999), words[2], words[3]),
        );
        let agent = "Mozilla/5.0 (Linux; Android 14; SM-G99";
        tx.set_text(Field::DeviceUserAgent, &format!("{agent}{}B) {}", rng.random_range(0..9), words[4]));
        tx
    };
    (0..PAYMENTS).map(|_| payment(rng)).collect()
}

fn scan(
    set: &PatternSet,
    payments: &[Transaction],
    scratch: &mut PatternScratch,
    hits: &mut PatternHits,
) -> u64 {
    let mut found = 0;
    for tx in payments {
        set.scan(tx, scratch, hits).expect("there is memory");
        found += u64::from(set.hit(hits, 0) == Some(true));
    }
    found
}

fn patterns(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let payments = payments(&mut rng);
    let joined: Vec<Transaction> = payments
        .iter()
        .map(|tx| {
            let text: Vec<&str> = FIELDS.iter().filter_map(|field| tx.text(*field)).collect();
            let mut one = Transaction::new("bench".into(), TransactionKind::Request, 0);
            one.set_text(Field::Text, &text.join(" | "));
            one
        })
        .collect();
    let mut group = c.benchmark_group("patterns");
    group.throughput(Throughput::Elements(PAYMENTS as u64));
    group.sample_size(30).measurement_time(Duration::from_secs(3));
    let (mut scratch, mut hits) = (PatternScratch::default(), PatternHits::default());
    for count in [1_000, 10_000] {
        let made: Vec<(Field, String)> = (0..count).map(|n| pattern(&mut rng, n)).collect();
        for (name, view) in [("interdict", View::Folded), ("interdict, raw view", View::Raw)] {
            let sources: Vec<PatternSource> = made
                .iter()
                .enumerate()
                .map(|(n, (field, text))| source(n, vec![*field], text, view))
                .collect();
            let set = PatternSet::compile(&sources, &[], None).expect("the patterns are sound");
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| scan(&set, black_box(&payments), &mut scratch, &mut hits));
            });
        }
        let all: Vec<PatternSource> = made
            .iter()
            .enumerate()
            .map(|(n, (_, text))| source(n, vec![Field::Text], text, View::Raw))
            .collect();
        let one = PatternSet::compile(&all, &[], None).expect("the patterns are sound");
        group.bench_function(BenchmarkId::new("one Hyperscan database", count), |b| {
            b.iter(|| scan(&one, black_box(&joined), &mut scratch, &mut hits));
        });
        let texts = made.iter().map(|(_, text)| format!("(?i){text}"));
        let set = regex::RegexSetBuilder::new(texts)
            .size_limit(1 << 30)
            .dfa_size_limit(1 << 28)
            .build()
            .expect("sound");
        let matches = |tx: &Transaction| set.matches(tx.text(Field::Text).unwrap_or("")).len();
        if count == 1_000 {
            group.bench_function(BenchmarkId::new("RegexSet", count), |b| {
                b.iter(|| joined.iter().map(matches).sum::<usize>());
            });
            continue;
        }
        // 10,000 patterns no longer fit the cache of its lazy DFA, and a payment takes tens of ms: one at a time.
        group.throughput(Throughput::Elements(1)).sample_size(10).sampling_mode(SamplingMode::Flat);
        let mut payments = joined.iter().cycle();
        group.bench_function(BenchmarkId::new("RegexSet", count), |b| {
            b.iter(|| matches(payments.next().expect("it cycles")));
        });
    }
    // Of all payments again: what folding alone is of the above.
    group.throughput(Throughput::Elements(PAYMENTS as u64));
    let mut folder = Folder::default();
    group.bench_function("fold", |b| {
        b.iter(|| {
            for tx in black_box(&payments) {
                FIELDS.iter().filter_map(|field| tx.text(*field)).for_each(|text| folder.fold(text));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, patterns);
criterion_main!(benches);
