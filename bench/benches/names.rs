//! Screening as the lane does it: a name against a whole watchlist at the default cut-off, per name asked. The list is
//! OFAC and UN, then a million names made of theirs. Beside it what one would write without it: rapidfuzz's ratio with
//! the same cut-off, and strsim's Jaro-Winkler, over all names, lowercased and without punctuation beforehand.
#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use interdict_engine::similarity::names::{
    Alias, Bank, CUTOFF_DEFAULT, Entry, Kind, Match, Quality, Scratch, Screener,
};
use interdict_ingest::watchlists::bank::load;
use interdict_shaders::Kernel;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rapidfuzz::fuzz::{Args, RatioBatchComparator};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Names asked, taken in turn; one in four is a listed one with a slip, the others are nobody's on the list.
const QUERIES: usize = 64;
const LISTED_EVERY: usize = 4;
const GROWN: usize = 1_000_000;

fn data(file: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let path = named.into_iter().chain(above).map(|folder| folder.join(file)).find(|path| path.exists());
    if path.is_none() {
        eprintln!("names skipped: no {file}; set INTERDICT_DATA");
    }
    path
}

/// OFAC and UN as one list.
fn listed() -> Option<Bank> {
    let mut entries = Vec::new();
    for file in ["ofac/sdn.csv", "un/consolidated.xml"] {
        let loaded = load(&data(file)?).unwrap_or_else(|errors| panic!("{file}: {errors:?}"));
        entries.extend_from_slice(loaded.bank.entries());
    }
    Some(Bank::new(entries).expect("within the bounds of a list"))
}

fn names(bank: &Bank) -> Vec<(&str, Kind)> {
    let of = |entry: &'_ Entry| entry.kind;
    let all = bank.entries().iter().flat_map(|entry| entry.names.iter().map(move |name| (name, of(entry))));
    all.map(|(alias, kind)| (alias.name.as_str(), kind)).collect()
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

/// Another letter for one inside a word, past its first; as it is where no word has five letters.
fn slip(rng: &mut ChaCha8Rng, word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    if letters.len() >= 5 && letters.iter().all(|letter| letter.is_ascii_alphabetic()) {
        let at = rng.random_range(1..letters.len() - 1);
        match rng.random_range(0..3) {
            0 => letters.swap(at, at + 1),
            1 => drop(letters.remove(at)),
            _ => letters[at] = char::from(b'a' + rng.random_range(0..26u8)),
        }
    }
    letters.into_iter().collect()
}

/// A longer list of the same kind of names: half of a name's words stay, the others are of any listed name, and one
/// word in five has a slip, so that the vocabulary grows with the list.
fn grown(rng: &mut ChaCha8Rng, list: &Bank) -> Bank {
    let all = names(list);
    let mut entries = Vec::with_capacity(GROWN);
    for number in 0..GROWN {
        let (name, kind) = *pick(rng, &all);
        let words = name.split_whitespace().map(|word| {
            let others: Vec<&str> = pick(rng, &all).0.split_whitespace().collect();
            let word = if rng.random_bool(0.5) { word } else { *pick(rng, &others) };
            if rng.random_bool(0.2) { slip(rng, word) } else { word.to_owned() }
        });
        let name = words.collect::<Vec<String>>().join(" ");
        let names = vec![Alias { name, quality: Quality::Strong }];
        entries.push(Entry { id: number.to_string(), kind, names });
    }
    Bank::new(entries).expect("within the bounds of a list")
}

/// Lowercase, and a space for everything that is neither letter nor digit: what rapidfuzz calls its default process.
fn plain(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' });
    let text: String = letters.flat_map(char::to_lowercase).collect();
    text.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// The names asked, and whether each is a listed one with a slip.
fn queries(rng: &mut ChaCha8Rng, list: &Bank) -> Option<Vec<(String, bool)>> {
    let people = std::fs::read_to_string(data("names/innocents_us.csv")?).expect("a readable file");
    let people: Vec<&str> = people.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    let all = names(list);
    let long = |word: &str| word.len() >= 5 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let mut asked = Vec::new();
    while asked.len() < QUERIES {
        if asked.len() % LISTED_EVERY != 0 {
            asked.push(((*pick(rng, &people)).to_owned(), false));
            continue;
        }
        let name = pick(rng, &all).0;
        let mut words: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
        let Some(at) = (0..words.len()).find(|at| long(&words[*at])) else { continue };
        words[at] = slip(rng, &words[at]);
        if rng.random_bool(0.5) {
            words.rotate_left(1);
        }
        asked.push((words.join(" "), true));
    }
    Some(asked)
}

/// How many of the listed names each way finds at the cut-off: the alternatives do less than the screener does.
fn say_who_finds(screener: &Screener, texts: &[String], queries: &[(String, bool)]) {
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    let cutoff = f64::from(CUTOFF_DEFAULT) / 1000.0;
    let mut found = [0; 3];
    let mut asked = 0;
    for (query, _) in queries.iter().filter(|(_, listed)| *listed) {
        screener.screen(query, None, CUTOFF_DEFAULT, &mut scratch, &mut out);
        assert!(!out.is_empty(), "a listed name with one slip is found");
        let (text, ratio) = (plain(query), RatioBatchComparator::new(plain(query).bytes()));
        asked += 1;
        found[0] += 1;
        found[1] += usize::from(texts.iter().any(|name| ratio.similarity(name.bytes()) >= cutoff));
        found[2] += usize::from(texts.iter().any(|name| strsim::jaro_winkler(&text, name) >= 0.9));
    }
    let [ours, ratio, winkler] = found;
    eprintln!(
        "listed names found, of {asked}: ours {ours}, ratio ≥ 0.8 {ratio}, Jaro-Winkler ≥ 0.9 {winkler}"
    );
}

fn screen(c: &mut Criterion, size: &str, screener: &Screener, texts: &[String], queries: &[(String, bool)]) {
    let mut group = c.benchmark_group("names");
    group.sample_size(10).measurement_time(Duration::from_secs(2));
    let (mut scratch, mut out) = (Scratch::default(), Vec::<Match>::new());
    let mut asked = queries.iter().cycle();
    group.bench_function(BenchmarkId::new("ours", size), |b| {
        b.iter(|| {
            let (query, _) = asked.next().expect("it cycles");
            screener.screen(black_box(query), None, CUTOFF_DEFAULT, &mut scratch, &mut out);
            out.len()
        });
    });
    // An alternative takes up to half a second a name at 1 M: as few rounds as ten samples have.
    group.sampling_mode(SamplingMode::Flat);
    let plain: Vec<String> = queries.iter().map(|(query, _)| plain(query)).collect();
    let args = Args::default().score_cutoff(f64::from(CUTOFF_DEFAULT) / 1000.0);
    let mut asked = plain.iter().cycle();
    group.bench_function(BenchmarkId::new("rapidfuzz ratio", size), |b| {
        b.iter(|| {
            let ratio = RatioBatchComparator::new(asked.next().expect("it cycles").bytes());
            let above = |text: &&String| ratio.similarity_with_args(text.bytes(), &args).is_some();
            texts.iter().filter(above).count()
        });
    });
    let mut asked = plain.iter().cycle();
    group.bench_function(BenchmarkId::new("strsim jaro_winkler", size), |b| {
        b.iter(|| {
            let query = asked.next().expect("it cycles");
            texts.iter().filter(|text| strsim::jaro_winkler(query, text) >= 0.9).count()
        });
    });
    group.finish();
}

fn screening(c: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let Some(list) = listed() else { return };
    let Some(queries) = queries(&mut rng, &list) else { return };
    let made_ready = |size: &str, bank: &Bank| {
        let began = Instant::now();
        let screener = Screener::new(bank, Kernel::best()).expect("within the bounds of a list");
        let texts: Vec<String> = names(bank).iter().map(|(name, _)| plain(name)).collect();
        eprintln!("{size}: {} names, ready after {:.1} s", texts.len(), began.elapsed().as_secs_f64());
        (screener, texts)
    };
    let mut group = c.benchmark_group("names/load");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function("OFAC and UN", |b| b.iter(|| Screener::new(black_box(&list), Kernel::best())));
    group.finish();
    {
        let (screener, texts) = made_ready("OFAC and UN", &list);
        say_who_finds(&screener, &texts, &queries);
        screen(c, "OFAC and UN", &screener, &texts, &queries);
    }
    // The list as data goes before its names are asked: a gigabyte otherwise.
    let (screener, texts) = made_ready("1M", &grown(&mut rng, &list));
    screen(c, "1M", &screener, &texts, &queries);
}

criterion_group!(benches, screening);
criterion_main!(benches);
