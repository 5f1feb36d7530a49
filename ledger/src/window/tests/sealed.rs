//! A row's sealed part is the journal's ciphertext, and ends with the key of its segment.

use super::super::*;
use super::{payment, transaction};
use crate::faulty::MemoryStorage;
use crate::journal::{Durability, Journal, Options, Record, RecordKind};
use crate::{ErrorKind, MasterKey};
use interdict_engine::domain::Field;
use std::sync::Arc;

#[test]
fn a_row_gives_its_record_back_and_without_text_once_the_key_is_destroyed() {
    let (disk, key) = (MemoryStorage::new(0), MasterKey::from_bytes([5; 32]));
    let options = Options::new(Durability::Os, "test", [3; 32]);
    let (mut journal, _) = Journal::open(Arc::new(disk), &key, options).unwrap();
    let mut growing = Growing::default();
    let mut expected = Vec::new();
    for sequence in 1..=6 {
        let mut tx = transaction("acme");
        if sequence != 4 {
            tx.set_text(Field::PayerName, &format!("Ana Silva {sequence}"));
        }
        let payment = payment(sequence, tx);
        let (open, sealed) = (payment.accepted.encode_open(), payment.accepted.encode_sealed());
        let accepted = Record { kind: RecordKind::Accepted, sequence, open: &open, sealed: &sealed };
        let decided =
            Record { kind: RecordKind::Decided, open: &payment.decided_bytes, sealed: b"", ..accepted };
        journal.append(&[accepted, decided]).unwrap();
        if sequence == 3 {
            journal.roll().unwrap();
        }
        expected.push(payment);
    }
    let reader = journal.reader();
    reader
        .for_each(1, &mut |stored| {
            if stored.kind == RecordKind::Accepted {
                let payment = &mut expected[stored.sequence as usize - 1];
                payment.taken = stored.into();
                growing.push(&payment.row())?;
            }
            Ok(())
        })
        .unwrap();
    let rows = growing.rows();
    assert!(!rows.sealed.bytes.windows(3).any(|bytes| bytes == b"Ana"));
    let mut keys = reader.unsealer();
    for (row, payment) in rows.iter().zip(&expected) {
        assert_eq!(row.accepted(&mut keys).unwrap(), payment.accepted);
        assert_eq!(row.decided().unwrap(), payment.decided);
    }
    journal.destroy_key(1).unwrap();
    let mut keys = reader.unsealer();
    let name = |row: &Row<'_, '_>, keys: &mut crate::journal::Unsealer| {
        let accepted = row.accepted(keys).unwrap();
        let interdict_engine::domain::Body::Payment(tx) = accepted.event.body else { panic!("a payment") };
        assert_eq!(tx.amount_minor(), 1_250);
        tx.text(Field::PayerName).map(str::to_owned)
    };
    assert_eq!(name(&rows.row(0), &mut keys), None);
    assert_eq!(name(&rows.row(5), &mut keys).as_deref(), Some("Ana Silva 6"));
    // A whole segment removed is as a key destroyed.
    journal.remove_through(1).unwrap();
    assert_eq!(name(&rows.row(1), &mut reader.unsealer()), None);
    // What was changed does not pass for what was sealed.
    let mut forged = Growing::default();
    let mut payment = payment(6, transaction("acme"));
    payment.taken = Taken { open: payment.taken.open, ..expected[5].taken.clone() };
    payment.taken.sealed[0] ^= 1;
    forged.push(&payment.row()).unwrap();
    let error = forged.rows().row(0).accepted(&mut reader.unsealer()).unwrap_err();
    assert_eq!((error.kind, error.place), (ErrorKind::Corrupt, Some(expected[5].taken.place)));
}
