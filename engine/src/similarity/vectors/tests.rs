//! Banks against a plain list of what they were taught: nearest, near, fraud share, versions that stay as they were.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::domain::{Field, Label, Schema, Transaction, TransactionKind};
use crate::error::Place;
use crate::packs::{AttributeDecl, BankDecl, DimensionDecl, Likeness};
use interdict_shaders::Kernel;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn decl(likeness: Likeness, k: u8, learns: &[Label], capacity: u32) -> BankDecl {
    let learns = learns.to_vec();
    BankDecl { id: "b".into(), doc: String::new(), likeness, k, learns, capacity, place: Place::file("f") }
}
pub(super) fn fingerprints(k: u8, learns: &[Label], capacity: u32) -> BankDecl {
    let attribute =
        |slot: &str| AttributeDecl { slot: slot.into(), steps: Vec::new(), place: Place::file("f") };
    let attributes = ["merchant.mcc", "merchant.country", "channel", "acquirer"].map(attribute).to_vec();
    decl(Likeness::Fingerprint { attributes, range: 60 }, k, learns, capacity)
}
pub(super) fn vectors(k: u8) -> BankDecl {
    let slot = "amount.minor".to_owned();
    let dimensions = vec![DimensionDecl { slot, from: 0, to: 1000, place: Place::file("f") }];
    decl(Likeness::Vector { dimensions, range: 8000 }, k, &[Label::Fraud, Label::Good], 4096)
}
fn plan(banks: &[BankDecl]) -> Arc<BankPlan> {
    Arc::new(BankPlan::new(banks.to_vec(), &Schema::new(), Field::COUNT as u16).unwrap())
}
fn tx(values: (u8, u8, u8, i64)) -> Transaction {
    let mut tx = Transaction::new("t".into(), TransactionKind::Request, 0);
    tx.set_text(Field::MerchantMcc, &values.0.to_string());
    tx.set_text(Field::MerchantCountry, &values.1.to_string());
    tx.set_text(Field::Acquirer, &values.2.to_string());
    tx.set_int(Field::AmountMinor, values.3);
    tx
}

/// What a bank says, from all that it should hold.
pub(super) fn plainly(
    decl: &BankDecl,
    held: &BTreeMap<u64, (Print, Label)>,
    query: &Print,
) -> Option<Likest> {
    let likeness = |print: &Print| match (print, query) {
        (Print::Fingerprint(a), Print::Fingerprint(b)) => {
            256 - i64::from((0..4).map(|word| (a[word] ^ b[word]).count_ones()).sum::<u32>())
        }
        (Print::Vector(a), Print::Vector(b)) => {
            a.iter().zip(b).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum()
        }
        _ => panic!("two kinds in one bank"),
    };
    let mut all: Vec<(i64, u64, bool)> = held
        .iter()
        .map(|(sequence, (print, label))| (-likeness(print), *sequence, *label == Label::Fraud))
        .collect();
    all.sort_unstable();
    let nearest = &all[..all.len().min(usize::from(decl.k))];
    let near = match decl.likeness {
        Likeness::Fingerprint { range, .. } => {
            all.iter().filter(|(rank, ..)| 256 + rank <= i64::from(range)).count()
        }
        Likeness::Vector { range, .. } => {
            nearest.iter().filter(|(rank, ..)| -rank >= i64::from(range)).count()
        }
    };
    let frauds = nearest.iter().filter(|(.., fraud)| *fraud).count();
    Some(Likest {
        best: -nearest.first()?.0,
        near: near as i64,
        fraud_share: (frauds * 1000 / nearest.len()) as i64,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Labels in any order, again and otherwise, on every kernel; capacity is not reached here.
    #[test]
    fn banks_say_what_a_plain_list_says(
        payments in prop::collection::vec((0u8..4, 0u8..3, 0u8..6, 0i64..1200), 1..120),
        labels in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..160),
        k in 1u8..12,
    ) {
        let banks = [fingerprints(k, &[Label::Fraud, Label::Good], 4096), vectors(k), fingerprints(k, &[Label::Fraud], 4096)];
        let plan = plan(&banks);
        let mut state = Banks::new(plan.clone());
        let tenant: Arc<str> = "t".into();
        let prints: Vec<_> = payments
            .iter()
            .enumerate()
            .map(|(at, values)| state.observe(at as u64 + 1, &tx(*values), &[]).unwrap())
            .collect();
        let mut held: Vec<BTreeMap<u64, (Print, Label)>> = vec![BTreeMap::new(); banks.len()];
        let before = state.learned().clone();
        for (at, fraud) in labels {
            let at = at.index(payments.len());
            let label = if fraud { Label::Fraud } else { Label::Good };
            state.label(&tenant, at as u64 + 1, label);
            for (bank, held) in banks.iter().zip(&mut held).enumerate().map(|(n, (b, h))| ((n, b), h)) {
                match bank.1.learns.contains(&label) {
                    true => held.insert(at as u64 + 1, (prints[at][bank.0].unwrap(), label)),
                    false => held.remove(&(at as u64 + 1)),
                };
            }
        }
        prop_assert!(before.contents("t", 0).is_none(), "an earlier version stays as it was");
        let mut scratch = VectorScratch::default();
        for query in prints.iter().take(20) {
            for (bank, decl) in banks.iter().enumerate() {
                let query = query[bank].unwrap();
                for kernel in Kernel::available() {
                    let said = state
                        .learned()
                        .contents(&tenant, bank)
                        .and_then(|contents| contents.likest(kernel, decl, &query, None, &mut scratch));
                    prop_assert_eq!(said, plainly(decl, &held[bank], &query), "bank {} {:?}", bank, kernel);
                }
            }
        }
    }
}

#[test]
fn a_full_bank_forgets_its_oldest_and_a_label_of_what_no_longer_waits_is_counted() {
    let banks = [fingerprints(3, &[Label::Fraud], 1024)];
    let mut state = Banks::new(plan(&banks));
    let tenant: Arc<str> = "t".into();
    for sequence in 1..=3000 {
        state.observe(sequence, &tx((sequence as u8, 0, 0, 0)), &[]);
        assert!(state.label(&tenant, sequence, Label::Fraud));
        assert!(!state.label(&tenant, sequence, Label::Fraud), "said again it changes nothing");
    }
    let held = state.learned().contents("t", 0).unwrap().len();
    assert!((1..=1024).contains(&held), "{held}");
    assert!(!state.label(&tenant, 9999, Label::Fraud));
    assert!(!state.label("other", 5, Label::Good), "another tenant's payment teaches nothing");
    assert_eq!(state.counts(), BanksCounts { learned: 3000, forgotten: 2 });
}

#[test]
fn a_bank_declared_as_before_keeps_what_it_learned_over_a_publication() {
    let (kept, gone) = (fingerprints(3, &[Label::Fraud], 1024), vectors(4));
    let mut state = Banks::new(plan(&[gone.clone(), kept.clone()]));
    let tenant: Arc<str> = "t".into();
    state.observe(1, &tx((1, 2, 3, 4)), &[]);
    state.observe(2, &tx((1, 2, 3, 4)), &[]);
    state.label(&tenant, 1, Label::Fraud);
    let changed = BankDecl { k: 9, ..gone };
    state.replan(plan(&[kept, changed]));
    assert_eq!(state.learned().contents("t", 0).map(Contents::len), Some(1));
    assert_eq!(state.learned().contents("t", 1).map(Contents::len), Some(0));
    assert!(state.label(&tenant, 2, Label::Fraud), "what waited for a label still does");
    assert_eq!(state.learned().contents("t", 0).map(Contents::len), Some(2));
}

#[test]
fn a_plan_refuses_what_cannot_be_compared_by_name() {
    let attribute = |slot: &str, steps: &[i64]| AttributeDecl {
        slot: slot.into(),
        steps: steps.to_vec(),
        place: Place::file("banks.yaml"),
    };
    for (attributes, says) in [
        (vec![attribute("merchant.mccc", &[])], "did you mean merchant.mcc"),
        (vec![attribute("time", &[])], "no two payments share"),
        (vec![attribute("channel", &[3])], "only integers have steps"),
    ] {
        let bank = decl(Likeness::Fingerprint { attributes, range: 9 }, 1, &[Label::Fraud], 64);
        let errors = BankPlan::new(vec![bank], &Schema::new(), Field::COUNT as u16).unwrap_err();
        assert!(errors[0].to_string().contains(says), "{errors:?}");
    }
}
