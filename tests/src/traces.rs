//! Looks for traces of sensitive values in bytes, in the encodings a careless writer would leave them in: text in any
//! case, UTF-16 either way round, and digits packed two to a byte at either nibble.

use std::collections::HashMap;
use std::path::Path;

/// Shortest needle, in bytes: below it chance would find it in ciphertext (four bytes in a few megabytes, one run in
/// a thousand; six, one in a hundred million).
const NEEDLE_BYTES_MIN: usize = 6;
/// Bytes by which needles are looked up.
const HEAD: usize = 4;

/// What is looked for.
#[derive(Debug, Default)]
pub struct Secrets {
    needles: Vec<Needle>,
    by_head: HashMap<[u8; HEAD], Vec<usize>>,
}

#[derive(Debug)]
struct Needle {
    what: String,
    bytes: Vec<u8>,
}

impl Secrets {
    /// Adds a value, as it is written and, where it has twelve digits or more, as its digits alone, in every encoding.
    pub fn add(&mut self, value: &str) {
        self.text(value);
        let digits: String = value.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= 12 {
            self.text(&digits);
        }
        if digits.len() > 2 * NEEDLE_BYTES_MIN {
            self.packed(&digits);
        }
    }
    fn text(&mut self, value: &str) {
        let value = value.to_ascii_lowercase();
        self.needle("text", &value, value.as_bytes().to_vec());
        let units: Vec<u16> = value.encode_utf16().collect();
        self.needle("UTF-16LE", &value, units.iter().flat_map(|unit| unit.to_le_bytes()).collect());
        self.needle("UTF-16BE", &value, units.iter().flat_map(|unit| unit.to_be_bytes()).collect());
    }
    fn packed(&mut self, digits: &str) {
        // At the other alignment the first digit, and the last of an even number, share a byte with a stranger.
        for (name, digits) in [("BCD", digits), ("BCD, shifted", &digits[1..])] {
            let pairs = digits.as_bytes().chunks_exact(2);
            self.needle(name, digits, pairs.map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect());
        }
    }
    fn needle(&mut self, encoding: &str, value: &str, bytes: Vec<u8>) {
        assert!(bytes.len() >= NEEDLE_BYTES_MIN, "{value:?} as {encoding} is too short to look for");
        let head = bytes[..HEAD].try_into().expect("longer than that");
        self.by_head.entry(head).or_default().push(self.needles.len());
        self.needles.push(Needle { what: format!("{value:?} as {encoding}"), bytes });
    }

    /// What is found in bytes: the value with its encoding, and the offset.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        self.search(bytes, &mut found);
        // Capitals: packed digits have none, and are found above.
        let lower = bytes.to_ascii_lowercase();
        if lower != bytes {
            self.search(&lower, &mut found);
        }
        found.sort();
        found.dedup();
        found
    }
    fn search(&self, bytes: &[u8], found: &mut Vec<(String, usize)>) {
        for (at, head) in bytes.windows(HEAD).enumerate() {
            let head: [u8; HEAD] = head.try_into().expect("windows of that length");
            for needle in self.by_head.get(&head).into_iter().flatten().map(|number| &self.needles[*number]) {
                if bytes[at..].starts_with(&needle.bytes) {
                    found.push((needle.what.clone(), at));
                }
            }
        }
    }
    /// What is found in the files under a folder, and how many files and bytes were looked at.
    pub fn found_under(&self, dir: &Path) -> (Vec<String>, usize, u64) {
        let (mut found, mut files, mut bytes_read, mut folders) = (Vec::new(), 0, 0, vec![dir.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder of ours") {
                let path = entry.expect("a folder of ours").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).expect("a file of ours");
                (files, bytes_read) = (files + 1, bytes_read + bytes.len() as u64);
                let name = path.display().to_string();
                // A value may hide in a file's name as well.
                for (what, at) in self.found_in(&bytes).into_iter().chain(self.found_in(name.as_bytes())) {
                    found.push(format!("{name}: {what} at byte {at}"));
                }
            }
        }
        (found, files, bytes_read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_found_and_chance_is_not() {
        let mut secrets = Secrets::default();
        secrets.add("4539 1488-0343 6467");
        secrets.add("Ana Quillfeather");
        let odd: Vec<u8> = [0x94, 0x53, 0x91, 0x48, 0x80, 0x34, 0x36, 0x46, 0x7f].to_vec();
        for (encoding, bytes) in [
            ("text", b"pan=4539148803436467;".to_vec()),
            ("text", b"ANA QUILLFEATHER".to_vec()),
            ("UTF-16LE", "xAna Quillfeather".encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("UTF-16BE", "x4539148803436467".encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ("BCD", vec![0x45, 0x39, 0x14, 0x88, 0x03, 0x43, 0x64, 0x67]),
            ("BCD, shifted", odd),
        ] {
            let found = secrets.found_in(&bytes);
            assert!(found.iter().any(|(what, _)| what.ends_with(encoding)), "{encoding}: {found:?}");
        }
        assert!(secrets.found_in(b"4539 1488 ana quill feather").is_empty());
    }
}
