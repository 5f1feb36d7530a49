//! Every shader against its plain twin on a small bank, before the device serves: a driver that miscompiles one is
//! found here, and not in a verdict.

use super::bank::largest;
use super::{Ask, START_WAIT, fingerprint_hits, name_hits, vector_hits};
use crate::gpu::{Card, Fault, FaultKind, Found, GpuBank};
use crate::layout::{NameQuery, Need};
use crate::shader::Search;
use crate::{cpu, sample};

/// Names and vectors of a test's bank: four whole blocks and a partial one.
const LEN: usize = 300;
/// Queries of a test: two tiles, the second partial.
const QUERIES: usize = 6;

pub(super) fn run(card: &Card) -> Result<(), Fault> {
    let done = names(card).and_then(|()| fingerprints(card)).and_then(|()| vectors(card));
    if let Err(fault) = &done {
        card.gpu().health.retire(fault);
    }
    done
}

fn asked(card: &Card, bank: &GpuBank, asks: &[Ask]) -> Result<Vec<Found>, Fault> {
    let mut items = Vec::new();
    match Ask::batch(asks.iter(), bank, &mut items) {
        Some(batch) => card.run(&batch, START_WAIT),
        None => Ok(Vec::new()),
    }
}

fn same<H: PartialEq>(search: Search, gpu: &[H], twin: &[H]) -> Result<(), Fault> {
    if gpu == twin {
        return Ok(());
    }
    let detail =
        format!("{} found {} where its twin found {}, or others", search.name(), gpu.len(), twin.len());
    Err(Fault { kind: FaultKind::Wrong, detail })
}

fn names(card: &Card) -> Result<(), Fault> {
    let bank = sample::names(11, LEN);
    let uploaded = card.upload_names(&bank)?;
    let mut numbers = sample::Numbers::new(12);
    let stored: Vec<Vec<u8>> = bank.iter().map(|(_, name)| name).collect();
    // Of either width, so that the narrow loop and the wide one both run.
    for long in [false, true] {
        let queries: Vec<Vec<u8>> = (0..QUERIES)
            .map(|_| {
                let name = &stored[numbers.below(LEN as u64) as usize];
                let mut query = sample::disturbed(&mut numbers, name, 3);
                query.truncate(32);
                let tail = if long { 64 - query.len() } else { 0 };
                query.extend((0..tail).map(|_| 1 + numbers.below(31) as u8));
                query
            })
            .collect();
        let need = Need::per_length(|len| len / 2);
        let prepared = queries.iter().map(|symbols| NameQuery::new(symbols));
        let prepared: Vec<NameQuery> =
            prepared.collect::<Result<_, _>>().expect("generated names have at most 64 symbols of 1 to 31");
        let asks: Vec<Ask> = prepared.iter().map(|query| Ask::name(&bank, query, &need)).collect();
        let mut hits = Vec::new();
        for (query, found) in queries.iter().zip(asked(card, &uploaded, &asks)?) {
            name_hits(&bank, &found, &mut hits)?;
            same(Search::NameLcs, &hits, &cpu::name_lcs::search(&bank, query, &need))?;
        }
    }
    Ok(())
}

fn fingerprints(card: &Card) -> Result<(), Fault> {
    let bank = sample::fingerprints(13, LEN);
    let uploaded = card.upload_vectors(&bank)?;
    let mut numbers = sample::Numbers::new(14);
    let queries: Vec<[u64; 4]> = (0..QUERIES).map(|_| sample::fingerprint(&mut numbers)).collect();
    let mut hits = Vec::new();
    let range: Vec<Ask> = queries.iter().map(|query| Ask::hamming_range(query, 120)).collect();
    for (query, found) in queries.iter().zip(asked(card, &uploaded, &range)?) {
        fingerprint_hits(&bank, &found, usize::MAX, &mut hits)?;
        same(Search::HammingRange, &hits, &cpu::hamming_range::search(&bank, query, 120))?;
    }
    let topk: Vec<Ask> = queries.iter().map(|query| Ask::hamming_topk(query, 10)).collect();
    for (query, found) in queries.iter().zip(asked(card, &uploaded, &topk)?) {
        fingerprint_hits(&bank, &found, 10, &mut hits)?;
        same(Search::HammingTopk, &hits, &cpu::hamming_topk::search(&bank, query, 10))?;
    }
    Ok(())
}

fn vectors(card: &Card) -> Result<(), Fault> {
    let bank = sample::vectors(15, LEN);
    let uploaded = card.upload_vectors(&bank)?;
    let mut numbers = sample::Numbers::new(16);
    let queries: Vec<[i8; 64]> = (0..QUERIES).map(|_| sample::vector(&mut numbers)).collect();
    let mut hits = Vec::new();
    let range: Vec<Ask> = queries.iter().map(|query| Ask::dot_range(query, 20_000)).collect();
    for (query, found) in queries.iter().zip(asked(card, &uploaded, &range)?) {
        vector_hits(&bank, &found, usize::MAX, &mut hits)?;
        same(Search::DotRange, &hits, &cpu::dot_range::search(&bank, query, 20_000))?;
    }
    let topk: Vec<Ask> = queries.iter().map(|query| Ask::dot_topk(query, 10, largest(&bank))).collect();
    for (query, found) in queries.iter().zip(asked(card, &uploaded, &topk)?) {
        vector_hits(&bank, &found, 10, &mut hits)?;
        same(Search::DotTopk, &hits, &cpu::dot_topk::search(&bank, query, 10))?;
    }
    Ok(())
}
