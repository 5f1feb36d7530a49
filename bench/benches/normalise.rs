//! Normalise, part by part: a tag beside a bare SHA-256 of the same bytes, the checks, the folds.

use criterion::{Criterion, criterion_group, criterion_main};
use interdict_engine::domain::SubjectKind;
use interdict_ingest::TagKeys;
use interdict_ingest::normalise::{identifiers, text, time};
use std::hint::black_box;

fn normalise(c: &mut Criterion) {
    let keys = TagKeys::new(&[7; 32]);
    let tenant = keys.tenant("acme");
    let mut group = c.benchmark_group("normalise");
    group.bench_function("tag", |b| {
        b.iter(|| tenant.state.tag(SubjectKind::Card, black_box("4111111111111111")));
    });
    group.bench_function("tenant_keys", |b| b.iter(|| keys.tenant(black_box("acme"))));
    group.bench_function("pan", |b| b.iter(|| identifiers::Pan::parse(black_box("4111111111111111"))));
    group
        .bench_function("iban", |b| b.iter(|| identifiers::Iban::parse(black_box("DE89370400440532013000"))));
    group.bench_function("email", |b| b.iter(|| identifiers::email(black_box("Ana@example.org"))));
    group.bench_function("name_ascii", |b| b.iter(|| text::fold_name(black_box("Olaf Scholze"))));
    group.bench_function("name_accents", |b| b.iter(|| text::fold_name(black_box("José Núñez"))));
    group.bench_function("time", |b| b.iter(|| time::rfc3339_ms(black_box("2018-04-01T00:02:10.000Z"))));
    group.finish();
}

criterion_group!(benches, normalise);
criterion_main!(benches);
