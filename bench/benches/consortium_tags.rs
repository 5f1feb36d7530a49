//! The consortium's tags: the keyed one of the path beside the oblivious one off it, which costs a thousand times as
//! much; batches share one proof. Ed25519 beside, since each answer is signed too. Criterion prints VOPRF figures for a
//! batch, the results for an item.
#![allow(missing_docs)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use interdict_consortium::keys::{KeyType, SignerKey};
use interdict_consortium::kind::Kind;
use interdict_consortium::tag::keyed::TagKey;
use interdict_consortium::tag::oblivious::{Blinded, Service};
use interdict_consortium::tag::random::Random;
use interdict_consortium::tag::sealing::{Addressed, OpeningKey, seal};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::hint::black_box;

fn keyed(c: &mut Criterion) {
    let mut group = c.benchmark_group("consortium_tag");
    let key = TagKey::new(1, &[7; 32]);
    group.bench_function("keyed", |b| b.iter(|| key.tag(Kind::Card, black_box("4111111111111111"))));
    let signer =
        SignerKey::from_seed("alliance.example/queries", KeyType::Ed25519, &[1; 32]).expect("a name");
    let message = [b'x'; 200];
    let signature = signer.sign(&message);
    group.bench_function("ed25519_sign_200B", |b| b.iter(|| signer.sign(black_box(&message))));
    group.bench_function("ed25519_verify_200B", |b| {
        b.iter(|| signer.verifier().is_signed(black_box(&message), &signature));
    });
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut fill = |bytes: &mut [u8]| rng.fill_bytes(bytes);
    let (opening, commitment) = (OpeningKey::from_bytes(&[9; 32]), key.commitment());
    let public = opening.public();
    let mut sealed =
        || seal(&key, "alliance.example", "bank-a.example", &public, &mut Random::new(&mut fill));
    let to = Addressed { alliance: "alliance.example", member: "bank-a.example", version: 1 };
    let once = sealed().expect("a key");
    group.bench_function("seal", |b| b.iter(&mut sealed));
    group.bench_function("open", |b| b.iter(|| opening.open(black_box(&once), &to, &commitment)));
    group.finish();
}

fn oblivious(c: &mut Criterion) {
    let mut group = c.benchmark_group("consortium_voprf");
    group.sample_size(20);
    let service = Service::from_seed(&[3; 32]).expect("a key");
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    for items in [1usize, 16, 256] {
        let cards: Vec<String> = (0..items).map(|n| format!("{n:016}")).collect();
        let mut fill = |bytes: &mut [u8]| rng.fill_bytes(bytes);
        let mut blind = || {
            let identifiers = cards.iter().map(|card| (Kind::Card, card.as_str()));
            Blinded::new(identifiers, &mut Random::new(&mut fill)).expect("identifiers")
        };
        let blinded = blind();
        group.throughput(Throughput::Elements(items as u64));
        group.bench_function(BenchmarkId::new("member_blind", items), |b| b.iter(&mut blind));
        let mut evaluate =
            || service.evaluate(blinded.elements(), &mut Random::new(&mut fill)).expect("elements");
        let answer = evaluate();
        group.bench_function(BenchmarkId::new("service_evaluate", items), |b| b.iter(&mut evaluate));
        group.bench_function(BenchmarkId::new("member_finish", items), |b| {
            b.iter_batched(
                || answer.clone(),
                |answer| blinded.finish(&answer, service.public()).expect("a proof"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, keyed, oblivious);
criterion_main!(benches);
