//! A list file in JSONL: an entry a line, as in a delta, and `contributor` beside it.

use super::Import;
use crate::decode::entries::entries;
use crate::decode::reader::read;
use crate::decode::shape::ENTRY;
use crate::error::FieldError;
use crate::normalise::keys::TagKey;
use interdict_engine::domain::Entry;
use std::io::{BufRead, Read};
use zeroize::Zeroizing;

/// Longest line, in bytes; entries are far shorter.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The entries of a JSONL list, numbered by their order. `contributor` stands where a line names none.
///
/// # Errors
/// Every wrong line, at most [`crate::decode::entries::ERRORS_MAX`].
pub fn read_entries(
    mut reader: impl BufRead,
    file: &str,
    key: &TagKey,
    contributor: &str,
) -> Result<Vec<Entry>, Vec<FieldError>> {
    let mut import = Import::new(file);
    let mut line = Zeroizing::new(Vec::with_capacity(1024));
    for number in 1.. {
        line.clear();
        match reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                import.fail(number, FieldError::malformed("", format!("a file that can be read: {error}")));
                break;
            }
        }
        if line.len() as u64 > LINE_BYTES_MAX {
            let expected = format!("a line of at most {LINE_BYTES_MAX} bytes");
            import.fail(number, FieldError::too_large("", expected));
            break;
        }
        let json =
            line.strip_prefix("\u{feff}".as_bytes()).filter(|_| number == 1).unwrap_or(&line).trim_ascii();
        if json.is_empty() {
            continue;
        }
        let result = read(&ENTRY, json).and_then(|values| entries(&values, key, contributor));
        if !import.take(number, result) {
            break;
        }
    }
    import.finish()
}
