//! What a chunk's file is to others: Arrow, uncompressed, every buffer at a multiple of 64 bytes, with no text in it.
#![allow(clippy::unwrap_used)]

use super::life::full;
use arrow::array::AsArray;
use arrow::ipc::reader::FileReader;
use std::fs::File;

#[test]
fn a_file_is_arrow_ipc_and_holds_no_text() {
    let (world, window) = full();
    let mut seen = 0;
    for entry in std::fs::read_dir(world.window_dir()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(9).any(|text| text == b"Ana Silva"), "{}", path.display());
        if path.extension().is_none_or(|extension| extension != "arrow") {
            continue;
        }
        let mut reader = FileReader::try_new(File::open(&path).unwrap(), None).unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert!(reader.next().is_none());
        let sequence = batch.column_by_name("sequence").unwrap();
        let sequence = sequence.as_primitive::<arrow::datatypes::UInt64Type>().values().to_vec();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, format!("{:020}-{:020}.arrow", sequence[0], sequence[sequence.len() - 1]));
        let has_email = batch.column_by_name("email.tag.shared").is_some();
        assert_eq!(
            has_email,
            sequence.iter().any(|sequence| *sequence > 12),
            "a column that nobody has is left out"
        );
        seen += batch.num_rows();
    }
    assert_eq!(seen, window.len() - window.growing().len());
    // Mapped, so that rows are in no memory of ours.
    let reopened = world.open();
    for chunk in reopened.chunks() {
        let rows = chunk.rows();
        assert_eq!(rows.sequence.as_ptr() as usize % 64, 0);
        let tags = rows.tags.iter().flatten().next().unwrap();
        assert_eq!((tags.fingerprints.as_ptr() as usize % 64, tags.tags.as_ptr() as usize % 64), (0, 0));
    }
    assert!(reopened.memory_bytes() < 1024 && reopened.file_bytes() > 0);
}
