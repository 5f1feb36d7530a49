//! What needs the inside of the format: forged frames with a good checksum, frames inside records, and the rule that
//! tells a power loss from damage.
#![allow(clippy::unwrap_used)]

use super::format::{HEADER_BYTES, Header, take};
use super::frame::{CHAIN, FRAME_HEAD, Frame, RECORD_HEAD, Stamp, encode_batch};
use super::*;
use crate::faulty::{Crash, MemoryStorage};
use crate::{ErrorKind, KeyIdent, MasterKey, Sealing};
use proptest::prelude::*;

fn key() -> MasterKey {
    MasterKey::from_bytes([5; 32])
}

fn open(disk: &MemoryStorage, durability: Durability) -> Result<(Journal, Recovery), crate::Error> {
    Journal::open(Arc::new(disk.clone()), &key(), Options::new(durability, "test", [3; 32]))
}

fn accepted(sequence: u64, open: &[u8]) -> Record<'_> {
    Record { kind: RecordKind::Accepted, sequence, open, sealed: b"" }
}

/// A journal of three batches in one segment that is still open; its name and bytes.
fn one_segment(durability: Durability) -> (MemoryStorage, String, Vec<u8>) {
    let disk = MemoryStorage::new(0);
    let (mut journal, _) = open(&disk, durability).unwrap();
    for sequence in 1..=3 {
        let position = journal.append(&[accepted(sequence, &[7; 100])]).unwrap();
        journal.syncer().wait(position).unwrap();
    }
    drop(journal);
    let disk = disk.crash(Crash::Process);
    let name = super::walk::segment_name(1);
    let bytes = disk.dump()[&name].clone();
    (disk, name, bytes)
}

const FRAME_BYTES: usize = FRAME_HEAD + RECORD_HEAD + 100 + CHAIN;

/// Computes the checksum of the frame at `at` anew, as a forger would.
fn resum(bytes: &mut [u8], at: usize) {
    let header = Header::decode(&take(bytes, 0)).unwrap();
    let frame = &bytes[at..at + FRAME_BYTES];
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(header.seed(), &frame[..4]), &frame[8..]);
    bytes[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn an_edit_with_a_good_checksum_breaks_the_chain() {
    let (disk, name, good) = one_segment(Durability::Os);
    for n in 0..3 {
        let at = HEADER_BYTES + n * FRAME_BYTES;
        for edit in [at + FRAME_HEAD + RECORD_HEAD, at + 16, at + FRAME_BYTES - 1] {
            let mut bad = good.clone();
            bad[edit] ^= 1;
            resum(&mut bad, at);
            disk.put(&name, bad);
            let damage = check(&disk, &key()).unwrap().damage.unwrap();
            assert_eq!(damage.kind, ErrorKind::Corrupt);
            assert_eq!(damage.place.unwrap().offset, at as u64, "{damage}");
            assert!(damage.message.contains("chain"), "{damage}");
        }
    }
}

#[test]
fn a_frame_inside_a_record_does_not_pass_for_one_of_the_journal() {
    let (disk, name, good) = one_segment(Durability::Os);
    // A client sends the bytes of another journal's frame as text, and the batch with it is torn.
    let salt_of_another = Header { salt: [1; 16], ..Header::decode(&take(&good, 0)).unwrap() };
    let sealing = Sealing::from(&key());
    let segment_key = salt_of_another.clone().fresh_key(&sealing).unwrap();
    let mut forged = Vec::new();
    let seed = salt_of_another.seed();
    let stamp = Stamp { seed, chain: &[0; 32], at: 0, ordinal: 4, durable: 0 };
    encode_batch(&mut forged, &[accepted(9, &[7; 100])], &stamp, &segment_key);
    assert!(Frame::parse(&forged, 0, seed).is_ok());
    let header = Header::decode(&take(&good, 0)).unwrap();
    assert!(Frame::parse(&forged, 0, header.seed()).is_err());
    let mut torn = good.clone();
    let third = HEADER_BYTES + 2 * FRAME_BYTES;
    torn.truncate(third + 60);
    torn.extend_from_slice(&forged);
    disk.put(&name, torn);
    let (_, recovery) = open(&disk, Durability::Os).unwrap();
    assert_eq!((recovery.last_sequence, recovery.torn.len()), (2, 1));
}

#[test]
fn a_gap_is_damage_where_it_was_synced_and_a_torn_tail_where_it_was_not() {
    let second = HEADER_BYTES + FRAME_BYTES;
    for durability in [Durability::Os, Durability::Disk] {
        let (disk, name, good) = one_segment(durability);
        let mut gap = good.clone();
        gap[second..second + 80].fill(0);
        disk.put(&name, gap);
        let error = open(&disk, durability).map(|_| ()).unwrap_err();
        assert_eq!(error.place.unwrap().offset, second as u64, "{error}");
        assert!(error.message.contains("a valid frame follows"), "{error}");
    }
    // Under `disk`, three batches of which only the first was synced before the power went.
    let (disk, name, mut bytes) = one_segment(Durability::Disk);
    let third = second + FRAME_BYTES;
    bytes[third + 16..third + 24].copy_from_slice(&(second as u64).to_le_bytes());
    resum(&mut bytes, third);
    bytes[second..second + 80].fill(0);
    disk.put(&name, bytes);
    let (_, recovery) = open(&disk, Durability::Disk).unwrap();
    assert_eq!(recovery.last_sequence, 1);
    assert_eq!(
        recovery.torn,
        [Torn { segment: 1, offset: second as u64, bytes_cut: 2 * FRAME_BYTES as u64 }]
    );
}

#[test]
fn a_sealed_part_is_bound_to_its_record() {
    let disk = MemoryStorage::new(0);
    let (mut journal, _) = open(&disk, Durability::Os).unwrap();
    let record = Record { sealed: b"remittance", ..accepted(1, b"open") };
    journal.append(&[record]).unwrap();
    let name = super::walk::segment_name(1);
    let mut bytes = disk.dump()[&name].clone();
    let header = Header::decode(&take(&bytes, 0)).unwrap();
    bytes[HEADER_BYTES + FRAME_HEAD + RECORD_HEAD] ^= 1;
    let end = bytes.len();
    let frame = &bytes[HEADER_BYTES..end];
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(header.seed(), &frame[..4]), &frame[8..]);
    bytes[HEADER_BYTES + 4..HEADER_BYTES + 8].copy_from_slice(&sum.to_le_bytes());
    disk.put(&name, bytes);
    let error = journal.reader().read_accepted(1).unwrap_err();
    assert!(error.message.contains("does not authenticate"), "{error}");
}

proptest! {
    #[test]
    fn a_header_reads_back_and_any_flip_is_seen(
        numbers in any::<[u64; 4]>(), created_ms: i64, bytes in any::<[u8; 32]>(), engine in "[a-z0-9.é-]{0,16}",
        is_disk: bool, flip in 0..super::format::SLOT.start, bit in 0..8u8,
    ) {
        let mut header = Header {
            durability: if is_disk { Durability::Disk } else { Durability::Os },
            number: numbers[0],
            epoch: numbers[1],
            created_ms,
            first_sequence: numbers[2],
            previous_bytes: numbers[3],
            previous_chain: bytes,
            catalogue: bytes.map(|b| !b),
            engine,
            key_id: KeyIdent([0; 8]),
            salt: take(&bytes, 3),
            slot: [0; 60],
        };
        let sealing = Sealing::from(&key());
        header.fresh_key(&sealing).unwrap();
        let encoded = header.encode();
        let back = Header::decode(&encoded).unwrap();
        prop_assert_eq!(back.encode(), encoded);
        prop_assert_eq!((&back.engine, back.number, back.created_ms), (&header.engine, numbers[0], created_ms));
        prop_assert!(back.data_key(&sealing).unwrap().is_some());
        let mut bad = encoded;
        bad[flip] ^= 1 << bit;
        prop_assert!(Header::decode(&bad).is_err());
        let mut moved = back;
        moved.number = moved.number.wrapping_add(1);
        prop_assert!(moved.data_key(&sealing).is_err(), "a key moved to another segment's header");
    }

    #[test]
    fn any_bytes_parse_or_not_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0..5u32) {
        // A well-formed frame around arbitrary bytes, so that the record reader meets them.
        let mut frame = vec![0; 8];
        frame.extend_from_slice(&0u32.to_le_bytes());
        frame.extend_from_slice(&count.to_le_bytes());
        frame.extend_from_slice(&[0; 8]);
        frame.extend_from_slice(&bytes);
        frame.extend_from_slice(&[0; CHAIN]);
        let len = frame.len() as u32 - 8;
        frame[..4].copy_from_slice(&len.to_le_bytes());
        let sum = crc32c::crc32c_append(crc32c::crc32c(&frame[..4]), &frame[8..]);
        frame[4..8].copy_from_slice(&sum.to_le_bytes());
        let parsed = Frame::parse(&frame, 0, 0);
        let read = parsed.unwrap_or_else(|e| panic!("{}", e.what())).records(1, None).count();
        prop_assert!(read <= count as usize + 1);
        let _ = Frame::parse(&bytes, 0, 0);
    }
}
