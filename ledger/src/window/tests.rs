//! The window against plain oracles: sets and text, no code of the engine's.
#![allow(clippy::unwrap_used)]

mod files;
mod life;
mod scanning;
mod sealed;

use super::*;
use interdict_engine::domain::{
    Body, Event, Field, GenerationId, KeyId, Recorded, Tag, Transaction, TransactionKind, Verdict,
};

/// A payment's records, and its bytes as they would lie in a journal.
pub(crate) struct Payment {
    pub accepted: Accepted,
    pub decided: Decided,
    pub taken: Taken,
    pub decided_bytes: Vec<u8>,
}

pub(crate) fn transaction(tenant: &str) -> Transaction {
    let mut tx = Transaction::new(tenant.into(), TransactionKind::Request, 1_700_000_000_000);
    tx.set_int(Field::AmountMinor, 1_250);
    tx.set_text(Field::AmountCurrency, "EUR");
    tx.set_text(Field::Channel, "transfer");
    tx
}

pub(crate) fn payment(sequence: u64, tx: Transaction) -> Payment {
    let generation = GenerationId { hash: [(sequence % 3) as u8; 32], overlay: sequence / 2 };
    let body = Body::Payment(Box::new(tx.clone()));
    let accepted = Accepted {
        sequence,
        event: Event { tenant: tx.tenant.clone(), arrival_ms: 1_700_000_000_000 + sequence as i64, body },
        generation,
        engine: "test".into(),
        features: vec![Some(3), None],
        approximate: Vec::new(),
        identity: Some(9),
        alias: None,
        payment_digest: 11,
        original: None,
        waits_for: Vec::new(),
    };
    let verdict = Verdict {
        sequence,
        outcome: Outcome::Approve,
        score: 17,
        reasons: Vec::new(),
        skipped: Vec::new(),
        default_applied: false,
        lever: Lever::StopBeforeCutoff,
        generation,
    };
    let decided = Decided { verdict, recovered: false, recorded: Recorded::default() };
    let (open, sealed) = (accepted.encode_open(), accepted.encode_sealed());
    let taken = Taken { sequence, place: Place { segment: 1, offset: 240 }, open, sealed };
    let decided_bytes = decided.encode();
    Payment { accepted, decided, taken, decided_bytes }
}

impl Payment {
    pub(crate) fn row(&self) -> NewRow<'_> {
        NewRow {
            taken: &self.taken,
            accepted: &self.accepted,
            decided_bytes: &self.decided_bytes,
            decided: &self.decided,
            outcome: self.decided.verdict.outcome,
            cut_off_ms: 1_700_000_000_000 + 1_000 * self.taken.sequence as i64,
            lever: self.decided.verdict.lever,
        }
    }
}

pub(crate) fn growing(payments: &[Payment]) -> Growing {
    let mut growing = Growing::default();
    payments.iter().for_each(|payment| growing.push(&payment.row()).unwrap());
    growing
}

#[test]
fn a_row_says_what_was_put_into_it() {
    let mut tx = transaction("acme");
    tx.set_ip(Field::DeviceIp, "::ffff:203.0.113.7".parse().unwrap());
    tx.set_text(Field::CardBin, "411111");
    tx.add_tag(Field::Card, KeyId::STATE, Tag(7 << 96 | 1));
    tx.add_tag(Field::Card, KeyId::LISTS, Tag(8 << 96 | 2));
    tx.add_tag(Field::Card, KeyId::SHARED, Tag(9 << 96 | 3));
    tx.add_tag(Field::Payee, KeyId::STATE, Tag(5));
    let with = payment(9, tx);
    let growing = growing(&[payment(4, transaction("acme")), with, payment(11, transaction("beta"))]);
    let rows = growing.rows();
    assert_eq!((rows.len(), rows.find(9), rows.find(10)), (3, Some(1), None));
    let row = rows.row(1);
    assert_eq!((row.sequence(), row.tenant(), row.channel(), row.currency()), (9, "acme", "transfer", "EUR"));
    assert_eq!((row.amount_minor(), row.time_ms()), (1_250, 1_700_000_000_000));
    assert_eq!((row.arrival_ms(), row.cut_off_ms()), (1_700_000_000_009, 1_700_000_009_000));
    assert_eq!((row.outcome(), row.lever()), (Some(Outcome::Approve), Some(Lever::StopBeforeCutoff)));
    assert_eq!((row.kind(), row.generation().overlay), (Some(TransactionKind::Request), 4));
    assert_eq!(row.ip().address(), Some("203.0.113.7".parse().unwrap()));
    assert_eq!(row.bin(), Some((41_111_100, 6)));
    let tag = |row: &Row<'_, '_>, field, shared| row.tag(TagColumn::of(field, shared).unwrap());
    // Lists go by the key that is not rotated.
    assert_eq!(tag(&row, Field::Card, false), Some(8 << 96 | 2));
    assert_eq!(tag(&row, Field::Card, true), Some(9 << 96 | 3));
    assert_eq!((tag(&row, Field::Payee, false), tag(&row, Field::Payee, true)), (Some(5), None));
    assert_eq!(tag(&rows.row(0), Field::Card, false), None);
    assert_eq!((rows.row(0).ip().address(), rows.row(2).bin(), rows.row(2).tenant()), (None, None, "beta"));
    assert_eq!(row.decided().unwrap().verdict.score, 17);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let mut growing = growing(&[payment(4, transaction("acme"))]);
    for wrong in [payment(4, transaction("acme")), payment(3, transaction("acme"))] {
        assert_eq!(growing.push(&wrong.row()).unwrap_err().kind, crate::ErrorKind::Invalid);
    }
    let other = payment(6, transaction("acme"));
    let mixed = NewRow { decided: &payment(7, transaction("acme")).decided, ..other.row() };
    assert_eq!(growing.push(&mixed).unwrap_err().kind, crate::ErrorKind::Invalid);
    assert_eq!((growing.len(), growing.rows().iter().count()), (1, 1));
    growing.push(&other.row()).unwrap();
}
