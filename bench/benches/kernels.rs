//! The compute kernels, each beside what one would use without it, per pair of query and stored name or vector: names
//! against rapidfuzz and strsim, fingerprints and int8 vectors against simsimd and against reading their bytes, on banks
//! within and beyond the cache.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use interdict_shaders::{
    FingerprintBank, Kernel, NameBank, NameQuery, NameScratch, Need, VectorBank, dot_topk, hamming_range,
    hamming_topk, score_names, search_names, search_names_exhaustive,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rapidfuzz::fuzz::{Args, RatioBatchComparator};
use simsimd::{BinarySimilarity, SpatialSimilarity};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

/// Queries of each benchmark, taken in turn: listed names with one letter changed.
const QUERIES: usize = 16;
const ONSETS: [&str; 22] = [
    "b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "r", "s", "t", "v", "z", "sh", "kh", "al", "ch", "br",
    "st", "w",
];
const VOWELS: [&str; 10] = ["a", "a", "a", "e", "i", "i", "o", "u", "ai", "ou"];
const CODAS: [&str; 10] = ["", "", "n", "r", "l", "d", "m", "s", "h", "k"];

fn pick<'a>(rng: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[rng.random_range(0..from.len())]
}

/// Distinct tokens of 2 to 16 letters, 8 in the mean.
fn vocabulary(rng: &mut ChaCha8Rng, tokens: usize) -> Vec<String> {
    let mut seen = BTreeSet::new();
    while seen.len() < tokens {
        let syllables = rng.random_range(1..=3);
        let token: String = (0..syllables)
            .flat_map(|_| [pick(rng, &ONSETS), pick(rng, &VOWELS), pick(rng, &CODAS)])
            .collect();
        if (2..=16).contains(&token.len()) {
            seen.insert(token);
        }
    }
    seen.into_iter().collect()
}

/// Names of two to five tokens, 27 characters in the mean, as long as those of a sanctions list.
fn names(rng: &mut ChaCha8Rng, vocabulary: &[String], count: usize) -> Vec<String> {
    let name = |_| {
        let tokens: Vec<&str> = (0..[2, 2, 3, 3, 3, 4, 4, 5][rng.random_range(0..8usize)])
            .map(|_| vocabulary[rng.random_range(0..vocabulary.len())].as_str())
            .collect();
        let mut name = tokens.join(" ");
        name.truncate(64);
        name
    };
    (0..count).map(name).collect()
}

fn symbols(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if byte == b' ' { 27 } else { byte - b'a' + 1 }).collect()
}

struct World {
    texts: Vec<String>,
    bank: NameBank,
    queries: Vec<(String, NameQuery)>,
}

/// A bank of `texts`, and queries of `lengths` characters.
fn world(rng: &mut ChaCha8Rng, texts: Vec<String>, lengths: std::ops::RangeInclusive<usize>) -> World {
    let packed: Vec<Vec<u8>> = texts.iter().map(|text| symbols(text)).collect();
    let given: Vec<(u32, &[u8])> = (0..).zip(packed.iter().map(Vec::as_slice)).collect();
    let bank = NameBank::build(&given).expect("names of 2 to 64 symbols");
    let mut queries = Vec::new();
    while queries.len() < QUERIES {
        let mut text = texts[rng.random_range(0..texts.len())].clone();
        if lengths.contains(&text.len()) {
            let place = rng.random_range(0..text.len());
            text.replace_range(place..=place, "e");
            queries
                .push((text.clone(), NameQuery::new(&symbols(&text)).expect("a name of the bank, edited")));
        }
    }
    World { texts, bank, queries }
}

/// The kernels by the names of their functions: the machine's best is `ours`.
fn kernels() -> impl Iterator<Item = (&'static str, Kernel)> {
    Kernel::available()
        .into_iter()
        .map(|kernel| (if kernel == Kernel::best() { "ours" } else { kernel.name() }, kernel))
}

/// Every pair scored, nothing pruned.
fn score(c: &mut Criterion, world: &World, size: &str, slow: bool) {
    let mut group = c.benchmark_group("kernels/names, all pairs");
    group.throughput(Throughput::Elements(world.texts.len() as u64)).sample_size(10);
    group.measurement_time(Duration::from_secs(1));
    let mut scores = Vec::new();
    for (name, kernel) in kernels() {
        let mut queries = world.queries.iter().cycle();
        group.bench_function(BenchmarkId::new(name, size), |b| {
            b.iter(|| {
                let (_, query) = queries.next().expect("it cycles");
                score_names(kernel, &world.bank, query, &mut scores);
            });
        });
    }
    let mut queries = world.queries.iter().cycle();
    group.bench_function(BenchmarkId::new("rapidfuzz ratio", size), |b| {
        b.iter(|| {
            let (query, _) = queries.next().expect("it cycles");
            let ratio = RatioBatchComparator::new(query.bytes());
            for text in &world.texts {
                black_box(ratio.similarity(text.bytes()));
            }
        });
    });
    if slow {
        let mut queries = world.queries.iter().cycle();
        group.bench_function(BenchmarkId::new("strsim osa_distance", size), |b| {
            b.iter(|| {
                let (query, _) = queries.next().expect("it cycles");
                for text in &world.texts {
                    black_box(strsim::osa_distance(query, text));
                }
            });
        });
    }
    group.finish();
}

/// The names at or above a cut-off; per stored name, found or not.
fn search(c: &mut Criterion, world: &World, size: &str, percent: u8) {
    let mut group = c.benchmark_group(format!("kernels/names, {percent} %"));
    group.throughput(Throughput::Elements(world.texts.len() as u64)).sample_size(10);
    group.measurement_time(Duration::from_secs(1));
    let (mut scratch, mut hits) = (NameScratch::default(), Vec::new());
    for (name, kernel) in kernels() {
        let mut queries = world.queries.iter().cycle();
        group.bench_function(BenchmarkId::new(name, size), |b| {
            b.iter(|| {
                let (_, query) = queries.next().expect("it cycles");
                let need = Need::indel_percent(query.symbols_len(), percent);
                search_names(kernel, &world.bank, query, &need, &mut scratch, &mut hits);
                hits.len()
            });
        });
    }
    let mut queries = world.queries.iter().cycle();
    group.bench_function(BenchmarkId::new("ours, length window only", size), |b| {
        b.iter(|| {
            let (_, query) = queries.next().expect("it cycles");
            let need = Need::indel_percent(query.symbols_len(), percent);
            search_names_exhaustive(Kernel::best(), &world.bank, query, &need, &mut scratch, &mut hits);
            hits.len()
        });
    });
    let mut queries = world.queries.iter().cycle();
    let args = Args::default().score_cutoff(f64::from(percent) / 100.0);
    group.bench_function(BenchmarkId::new("rapidfuzz ratio", size), |b| {
        b.iter(|| {
            let (query, _) = queries.next().expect("it cycles");
            let ratio = RatioBatchComparator::new(query.bytes());
            let above = |text: &&String| ratio.similarity_with_args(text.bytes(), &args).is_some();
            world.texts.iter().filter(above).count()
        });
    });
    group.finish();
}

fn name_kernels(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let tokens = vocabulary(&mut rng, 18_000);
    for (size, count) in [("21k", 21_000), ("1M", 1_000_000)] {
        let texts = names(&mut rng, &tokens, count);
        let world = world(&mut rng, texts, 8..=32);
        score(c, &world, size, count < 100_000);
        for percent in [70, 80, 85] {
            search(c, &world, size, percent);
        }
    }
    let texts = names(&mut rng, &tokens, 21_000);
    let long = world(&mut rng, texts, 33..=64);
    score(c, &long, "21k, queries of 33 to 64", false);
    let many = vocabulary(&mut rng, 250_000);
    for (size, tokens) in [("18k tokens", tokens), ("250k tokens", many)] {
        let world = world(&mut rng, tokens, 4..=16);
        search(c, &world, size, 70);
    }
}

/// What memory and caches give on this machine: every byte loaded once from where it lies, as wide as libc can, since
/// comparing memory with itself finds each second load beside the core.
fn stream<const WORDS: usize>(rows: &[[u64; WORDS]]) -> bool {
    let words = rows.as_flattened();
    black_box(words) == black_box(words)
}

/// The first words of a row of bytes.
fn words<const WORDS: usize>(bytes: &[u8; 64]) -> [u64; WORDS] {
    std::array::from_fn(|word| u64::from_le_bytes(std::array::from_fn(|byte| bytes[8 * word + byte])))
}

fn hamming(c: &mut Criterion, size: &str, prints: &[[u64; 4]], query: &[u64; 4]) {
    let mut bank = FingerprintBank::with_capacity(prints.len());
    for (id, print) in (0..).zip(prints) {
        bank.push(id, print).expect("below the bank's limit");
    }
    let bytes = |print: &[u64; 4]| -> [u8; 32] {
        std::array::from_fn(|byte| print[byte / 8].to_le_bytes()[byte % 8])
    };
    let stored: Vec<[u8; 32]> = prints.iter().map(bytes).collect();
    let plain = bytes(query);

    let mut group = c.benchmark_group("kernels/hamming 256, nearest 10");
    group.throughput(Throughput::Elements(prints.len() as u64)).sample_size(10);
    group.measurement_time(Duration::from_secs(1));
    let mut out = Vec::new();
    for (name, kernel) in kernels() {
        group.bench_function(BenchmarkId::new(name, size), |b| {
            b.iter(|| hamming_topk(kernel, &bank, black_box(query), 10, &mut out));
        });
    }
    group.bench_function(BenchmarkId::new("ours, all within 90", size), |b| {
        b.iter(|| hamming_range(Kernel::best(), &bank, black_box(query), 90, 1000, &mut out));
    });
    // The least distance alone: keeping ten of them would only cost it more.
    group.bench_function(BenchmarkId::new("simsimd", size), |b| {
        b.iter(|| {
            let distance = |print: &[u8; 32]| u8::hamming(black_box(&plain), print).expect("equal lengths");
            stored.iter().map(distance).fold(f64::MAX, f64::min)
        });
    });
    group.bench_function(BenchmarkId::new("reading the same bytes", size), |b| {
        b.iter(|| stream(black_box(prints)));
    });
    group.finish();
}

fn dot(c: &mut Criterion, size: &str, vectors: &[[i8; 64]], query: &[i8; 64]) {
    let mut bank = VectorBank::with_capacity(vectors.len());
    for (id, vector) in (0..).zip(vectors) {
        bank.push(id, vector).expect("below the bank's limit");
    }
    let mut group = c.benchmark_group("kernels/dot 64 int8, largest 10");
    group.throughput(Throughput::Elements(vectors.len() as u64)).sample_size(10);
    group.measurement_time(Duration::from_secs(1));
    let mut out = Vec::new();
    for (name, kernel) in kernels() {
        group.bench_function(BenchmarkId::new(name, size), |b| {
            b.iter(|| dot_topk(kernel, &bank, black_box(query), 10, &mut out));
        });
    }
    group.bench_function(BenchmarkId::new("simsimd", size), |b| {
        b.iter(|| {
            let dot = |vector: &[i8; 64]| i8::dot(black_box(query), vector).expect("equal lengths");
            vectors.iter().map(dot).fold(f64::MIN, f64::max)
        });
    });
    let words: Vec<[u64; 8]> = vectors.iter().map(|vector| words(&vector.map(i8::cast_unsigned))).collect();
    group.bench_function(BenchmarkId::new("reading the same bytes", size), |b| {
        b.iter(|| stream(black_box(&words)));
    });
    group.finish();
}

fn vector_kernels(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut bytes = |_| rng.random::<[u8; 64]>();
    for (size, count) in [("64k", 64_000), ("1M", 1_000_000)] {
        let noise: Vec<[u8; 64]> = (0..=count).map(&mut bytes).collect();
        let prints: Vec<[u64; 4]> = noise.iter().map(words).collect();
        let vectors: Vec<[i8; 64]> = noise.iter().map(|bytes| bytes.map(u8::cast_signed)).collect();
        hamming(c, size, &prints[1..], &prints[0]);
        dot(c, size, &vectors[1..], &vectors[0]);
    }
}

criterion_group!(benches, name_kernels, vector_kernels);
criterion_main!(benches);
