//! Every shader against its plain twin, through the dispatcher, and against SIMD where the twin would take too long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use interdict_shaders::layout::batch::HITS_MAX;
use interdict_shaders::layout::{FingerprintBank, VectorBank};
use interdict_shaders::{
    BankHandle, Dispatcher, Kernel, NameBank, NameQuery, NameScratch, Need, Options, Ran, RangeFound, Why,
    cpu, sample, search_names,
};

use crate::{always, start};

/// One dispatcher for the tests that break nothing.
fn shared() -> Option<&'static Dispatcher> {
    static SHARED: OnceLock<Option<Dispatcher>> = OnceLock::new();
    SHARED.get_or_init(|| start(always())).as_ref()
}

fn names_bank(names: &[Vec<u8>]) -> Arc<NameBank> {
    let names: Vec<(u32, &[u8])> = (0u32..).zip(names).map(|(id, name)| (id, name.as_slice())).collect();
    Arc::new(NameBank::build(&names).unwrap())
}

/// The dispatcher's answer is the twin's, and came from the GPU unless there are too many hits for it.
fn check_name(dispatcher: &Dispatcher, handle: &BankHandle<NameBank>, query: &[u8], need: &Need) {
    let prepared = NameQuery::new(query).unwrap();
    let (mut scratch, mut hits) = (NameScratch::default(), Vec::new());
    let ran = dispatcher.search_names(handle, &prepared, need, None, &mut scratch, &mut hits);
    let expected = cpu::name_lcs::search(handle.bank(), query, need);
    assert_eq!(hits, expected);
    let overflows = expected.len() > HITS_MAX;
    assert_eq!(ran, if overflows { Ran::Simd(Why::Overflow) } else { Ran::Gpu }, "{} hits", expected.len());
}

#[test]
fn names_of_every_length() {
    let Some(dispatcher) = shared() else { return };
    let mut numbers = sample::Numbers::new(1);
    let names: Vec<Vec<u8>> =
        (0..640).map(|index| (0..1 + index % 64).map(|_| 1 + numbers.below(9) as u8).collect()).collect();
    let handle = dispatcher.upload_names(names_bank(&names));
    assert_eq!(handle.refused(), None);
    for len in 1..=64usize {
        let query: Vec<u8> = (0..len).map(|_| 1 + numbers.below(9) as u8).collect();
        for percent in [40, 75] {
            check_name(dispatcher, &handle, &query, &Need::indel_percent(len as u8, percent));
        }
        check_name(dispatcher, &handle, &query, &Need::per_length(|_| 0));
    }
}

#[test]
fn names_that_carry_and_borrow_at_every_place() {
    let Some(dispatcher) = shared() else { return };
    // One symbol over and over carries through all 64 bits; symbols in turns carry across the halves.
    let mut names: Vec<Vec<u8>> = Vec::new();
    for len in [1usize, 2, 31, 32, 33, 63, 64] {
        names.push(vec![1; len]);
        names.push(vec![31; len]);
        names.push((0..len).map(|place| 1 + (place % 2) as u8).collect());
        names.push((0..len).map(|place| 1 + (place % 31) as u8).collect());
        names.push((0..len).map(|place| if place == len / 2 { 2 } else { 1 }).collect());
    }
    let handle = dispatcher.upload_names(names_bank(&names));
    for query in &names {
        for need in [Need::per_length(|_| 1), Need::per_length(|len| len), Need::per_length(|_| Need::NEVER)]
        {
            check_name(dispatcher, &handle, query, &need);
        }
    }
    let empty = dispatcher.upload_names(names_bank(&[]));
    check_name(dispatcher, &empty, &[1, 2, 3], &Need::per_length(|_| 1));
}

#[test]
fn twenty_thousand_names_in_batches() {
    let Some(dispatcher) = shared() else { return };
    let bank = Arc::new(sample::names(2, 20_000));
    let stored: Vec<Vec<u8>> = bank.iter().map(|(_, name)| name).collect();
    let handle = dispatcher.upload_names(Arc::clone(&bank));
    let mut numbers = sample::Numbers::new(3);
    let queries: Vec<Vec<u8>> = (0..64)
        .map(|_| {
            let name = &stored[numbers.below(20_000) as usize];
            sample::disturbed(&mut numbers, name, 3)
        })
        .collect();
    let before = dispatcher.stats();
    let total = AtomicUsize::new(0);
    // Four callers at once, so that queries gather while a batch is in flight.
    std::thread::scope(|scope| {
        for queries in queries.chunks(16) {
            let (bank, handle, total) = (&bank, &handle, &total);
            scope.spawn(move || {
                let mut scratch = NameScratch::default();
                let (mut hits, mut expected) = (Vec::new(), Vec::new());
                for query in queries {
                    let need = Need::indel_percent(query.len() as u8, 75);
                    let prepared = NameQuery::new(query).unwrap();
                    let ran =
                        dispatcher.search_names(handle, &prepared, &need, None, &mut scratch, &mut hits);
                    search_names(Kernel::Portable, bank, &prepared, &need, &mut scratch, &mut expected);
                    assert_eq!((hits.as_slice(), ran), (expected.as_slice(), Ran::Gpu));
                    total.fetch_add(hits.len(), Ordering::Relaxed);
                }
            });
        }
    });
    check_name(dispatcher, &handle, &queries[0], &Need::indel_percent(queries[0].len() as u8, 75));
    assert!(total.into_inner() > 40, "most queries are a stored name with few edits");
    assert!(dispatcher.stats().batches > before.batches);
}

fn check_prints(
    dispatcher: &Dispatcher,
    handle: &BankHandle<FingerprintBank>,
    query: &[u64; 4],
    ks: &[usize],
) {
    let mut hits = Vec::new();
    let all = cpu::hamming_range::search(handle.bank(), query, 256);
    for &k in ks {
        let ran = dispatcher.hamming_topk(handle, query, k, None, &mut hits);
        assert_eq!(hits, all[..k.min(all.len())], "top {k}");
        let farthest = all[..k.min(all.len())].last().map_or(0, |hit| hit.distance);
        let candidates = all.iter().filter(|hit| hit.distance <= farthest).count();
        let expected = match candidates {
            _ if k == 0 => Ran::Simd(Why::BreakEven),
            0..=HITS_MAX => Ran::Gpu,
            // Of equally near ones those of the least ids are told by their places, in 1,024 parts of the bank.
            _ if handle.bank().ids().is_sorted() && handle.bank().len() < 500_000 => Ran::Gpu,
            _ => Ran::Simd(Why::Overflow),
        };
        assert_eq!(ran, expected, "{candidates} candidates for {k}");
    }
    for distance_max in [0, 24, 40, 100, 256, u32::MAX] {
        let within = all.iter().filter(|hit| hit.distance <= distance_max).count();
        for cap in [usize::MAX, 10, 0] {
            let (found, ran) = dispatcher.hamming_range(handle, query, distance_max, cap, None, &mut hits);
            assert_eq!(found, RangeFound { found: within, truncated: within > cap });
            assert_eq!(hits, all[..within.min(cap)], "within {distance_max}, cap {cap}");
            // A count is exact however many there are.
            let overflows = cap > 0 && within > HITS_MAX;
            let expected = if overflows { Ran::Simd(Why::Overflow) } else { Ran::Gpu };
            assert_eq!(ran, expected, "within {distance_max}: {within}, cap {cap}");
        }
    }
}

#[test]
fn a_hundred_thousand_fingerprints() {
    let Some(dispatcher) = shared() else { return };
    let handle = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(4, 100_003)));
    let mut numbers = sample::Numbers::new(5);
    for _ in 0..2 {
        check_prints(dispatcher, &handle, &sample::fingerprint(&mut numbers), &[1, 2, 10, 63, 64]);
    }
    let stored = handle.bank().fingerprint(77);
    check_prints(dispatcher, &handle, &stored, &[1, 64]);
}

#[test]
fn fingerprints_that_tie() {
    let Some(dispatcher) = shared() else { return };
    let sizes = [
        (0u64, 1),
        (1, 1),
        (63, 1),
        (64, 2),
        (65, 3),
        (1000, 4),
        (1025, 1),
        (3000, 2),
        (5000, 1),
        (40_000, 7),
    ];
    for (len, spread) in sizes {
        // Falling ids: ties are broken by id, not by place. Rising ids: they are broken on the device.
        for rising in [false, true] {
            let mut bank = FingerprintBank::new();
            for index in 0..len {
                let id = if rising { 3 * index } else { 50_000 - index };
                bank.push(id, &[index % spread, 0, 0, u64::MAX]).unwrap();
            }
            let handle = dispatcher.upload_fingerprints(Arc::new(bank));
            check_prints(dispatcher, &handle, &[0, 0, 0, u64::MAX], &[0, 1, 3, 64]);
            check_prints(dispatcher, &handle, &[u64::MAX, u64::MAX, u64::MAX, 0], &[1, 64]);
        }
    }
}

fn check_vectors(dispatcher: &Dispatcher, handle: &BankHandle<VectorBank>, query: &[i8; 64], ks: &[usize]) {
    let mut hits = Vec::new();
    let all = cpu::dot_range::search(handle.bank(), query, i32::MIN);
    for &k in ks {
        let ran = dispatcher.dot_topk(handle, query, k, None, &mut hits);
        assert_eq!(hits, all[..k.min(all.len())], "top {k}");
        if all.len() <= HITS_MAX && k > 0 {
            assert_eq!(ran, Ran::Gpu, "top {k} of {}", all.len());
        }
    }
    let tenth = all.get(all.len() / 1000).map_or(0, |hit| hit.dot);
    for at_least in [i32::MIN, -1, 0, tenth, tenth + 1, 1 << 20, i32::MAX] {
        let reach = all.iter().filter(|hit| hit.dot >= at_least).count();
        for cap in [usize::MAX, 10, 0] {
            let (found, ran) = dispatcher.dot_range(handle, query, at_least, cap, None, &mut hits);
            assert_eq!(found, RangeFound { found: reach, truncated: reach > cap });
            assert_eq!(hits, all[..reach.min(cap)], "at least {at_least}, cap {cap}");
            let overflows = cap > 0 && reach > HITS_MAX;
            let expected = if overflows { Ran::Simd(Why::Overflow) } else { Ran::Gpu };
            assert_eq!(ran, expected, "at least {at_least}: {reach}, cap {cap}");
        }
    }
}

#[test]
fn a_hundred_thousand_vectors() {
    let Some(dispatcher) = shared() else { return };
    let handle = dispatcher.upload_vectors(Arc::new(sample::vectors(6, 100_003)));
    let mut numbers = sample::Numbers::new(7);
    let before = dispatcher.stats();
    for _ in 0..2 {
        check_vectors(dispatcher, &handle, &sample::vector(&mut numbers), &[1, 2, 10, 63, 64]);
    }
    // The bins are narrow enough that random vectors never tie by the thousand.
    let top = interdict_shaders::shader::Search::DotTopk as usize;
    assert!(dispatcher.stats().gpu[top] >= before.gpu[top] + 10);
}

#[test]
fn vectors_that_tie_or_are_extreme() {
    let Some(dispatcher) = shared() else { return };
    for stored in [i8::MIN, -1, 0, 1, i8::MAX] {
        let mut bank = VectorBank::new();
        for id in 0..130u64 {
            bank.push(1000 - id, &[if id % 3 == 0 { stored } else { stored / 2 }; 64]).unwrap();
        }
        let handle = dispatcher.upload_vectors(Arc::new(bank));
        for query in [i8::MIN, -1, 0, 1, i8::MAX] {
            check_vectors(dispatcher, &handle, &[query; 64], &[0, 1, 10, 64]);
        }
    }
    let empty = dispatcher.upload_vectors(Arc::new(VectorBank::new()));
    check_vectors(dispatcher, &empty, &[3; 64], &[0, 1, 64]);
}

#[test]
fn a_bank_over_the_binding_limit_is_searched_in_shards() {
    // 64 KiB: 512 fingerprints, 1,024 vectors' worth of words, or a few blocks of names to a shard.
    let Some(dispatcher) = start(Options { binding_bytes_max: Some(1 << 16), ..always() }) else { return };
    let mut numbers = sample::Numbers::new(8);

    let prints = dispatcher.upload_fingerprints(Arc::new(sample::fingerprints(9, 10_007)));
    assert_eq!(prints.shards_len(), 5);
    check_prints(&dispatcher, &prints, &sample::fingerprint(&mut numbers), &[1, 10, 64]);

    let vectors = dispatcher.upload_vectors(Arc::new(sample::vectors(10, 5_003)));
    assert_eq!(vectors.shards_len(), 5);
    check_vectors(&dispatcher, &vectors, &sample::vector(&mut numbers), &[1, 10, 64]);

    let bank = Arc::new(sample::names(11, 8_000));
    let names = dispatcher.upload_names(Arc::clone(&bank));
    assert!(names.shards_len() > 2, "{} shards", names.shards_len());
    for (_, name) in bank.iter().step_by(999) {
        let query = sample::disturbed(&mut numbers, &name, 2);
        check_name(&dispatcher, &names, &query, &Need::indel_percent(query.len() as u8, 70));
    }
    assert_eq!(dispatcher.stats().faults, [0; 6]);
}

/// Letters as 1 to 26, everything else as 27: enough for a kernel, which knows no language.
fn symbols(name: &str) -> Vec<u8> {
    let symbol = |letter: char| match letter.to_ascii_lowercase() {
        letter @ 'a'..='z' => letter as u8 - b'a' + 1,
        _ => 27,
    };
    name.chars().map(symbol).take(64).collect()
}

/// The names of OFAC's and the UN's lists, read as plainly as can be: the importers are not this crate's.
fn listed() -> Vec<Vec<u8>> {
    let folder = std::env::var_os("INTERDICT_DATA").map(std::path::PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"))
    });
    let read = |name: &str| {
        let path = folder.join(name);
        let bytes =
            std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; set INTERDICT_DATA", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let quoted = |line: &str| line.split('"').nth(1).map(symbols);
    let alternate = |line: &str| line.split('"').nth(3).map(symbols);
    let mut names: Vec<Vec<u8>> = read("ofac/sdn.csv").lines().filter_map(quoted).collect();
    names.extend(read("ofac/alt.csv").lines().filter_map(alternate));
    for tag in ["FIRST_NAME", "SECOND_NAME", "ALIAS_NAME"] {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        let text = read("un/consolidated.xml");
        names.extend(text.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).map(symbols));
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn the_lists_of_ofac_and_the_un() {
    let Some(dispatcher) = shared() else { return };
    let names = listed();
    assert!(names.len() > 18_000, "{}", names.len());
    let handle = dispatcher.upload_names(names_bank(&names));
    let mut numbers = sample::Numbers::new(12);
    for name in names.iter().step_by(names.len() / 12) {
        let query = sample::disturbed(&mut numbers, name, 2);
        check_name(dispatcher, &handle, &query, &Need::indel_percent(query.len() as u8, 75));
    }
}
